//! Builds all machines of one request, or undoes them all.
//!
//! The runner re-reads the request's machines and ensures every part of each, from the first: what is there already
//! costs a look. A failure, a wish to cancel, or a task book revoked meanwhile turns the operation back; from then on it
//! only undoes, in reverse, and gives everything back in one transaction at the very end. A host that cannot be reached
//! keeps its claims: nothing is given back on the guess that nothing is there.

use super::{
    Machine, credentials,
    distribution::courier::Courier,
    estate,
    lifecycle::{Event, State},
    name::{self, Names, lifecycle::State as NameState},
    steps::{self, Patience, StepError},
    store,
};
use crate::{
    audit::{self, Outcome, Record, Who},
    capacity::{self, inventory::Inventory, providers::Providers},
    db::{Db, DbError, Tx},
    ids::{OperationId, RequestId},
    metrics::Metrics,
    operation::{
        Operation, crash,
        lifecycle::State as OperationState,
        store as operations,
        store::LeaseError,
        worker::{Held, RunError, Runner},
    },
    provider::{Destination, Intent, Part, Provider},
    request::{
        self,
        lifecycle::{RequestEvent, RequestState},
    },
    secret::Vault,
    task_book,
};
use futures_util::future::join_all;
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

pub struct Build {
    pub db: Db,
    pub providers: Providers,
    pub inventory: Inventory,
    pub metrics: Metrics,
    pub patience: Patience,
    /// Guests that may be booting at once: more only take each other's processor.
    pub boots: Arc<Semaphore>,
    pub names: Names,
    pub courier: Courier,
    pub vault: Vault,
}

/// Why going forward ended.
pub(super) enum Turn {
    Back(String),
    Interrupted(RunError),
}

impl From<LeaseError> for Turn {
    fn from(error: LeaseError) -> Self {
        Self::Interrupted(error.into())
    }
}

impl From<DbError> for Turn {
    fn from(error: DbError) -> Self {
        Self::Interrupted(error.into())
    }
}

/// The last step of each machine: its name in the district's DNS, where one keeps it.
const REGISTER: &str = "register";

/// How many steps a request of `machines` machines takes.
pub fn steps_total(machines: usize) -> i64 {
    i64::try_from(machines * (Part::ALL.len() + 1)).unwrap_or(i64::MAX)
}

#[async_trait::async_trait]
impl Runner for Build {
    async fn run(&self, held: &Held, operation: Operation) -> Result<(), RunError> {
        let Some(request) = operation.request else {
            return Err(RunError::Later("a build without a request".to_owned()));
        };
        let machines = {
            let mut conn = self.db.read().await?;
            store::of_request(&mut conn, &request.text()).await?
        };
        let result = self.drive(held, &operation, request, &machines).await;
        if let Err(RunError::Lease(LeaseError::Lost(_))) = &result {
            let sweep = sweep(self.db.clone(), self.providers.clone(), operation.id, machines);
            tokio::spawn(sweep.in_current_span());
        }
        result
    }
}

impl Build {
    async fn drive(
        &self,
        held: &Held,
        operation: &Operation,
        request: RequestId,
        machines: &[Machine],
    ) -> Result<(), RunError> {
        let mut reason = operation.reason.clone().unwrap_or_default();
        if operation.state != OperationState::Unwinding {
            let turn = match operation.cancel_reason.clone() {
                Some(wish) => Err(Turn::Back(wish)),
                None => self.forward(held, machines).await,
            };
            let turn = match turn {
                Ok(()) => self.deliver(held, operation, request, machines).await,
                Err(turn) => Err(turn),
            };
            reason = match turn {
                Ok(()) => return Ok(()),
                Err(Turn::Interrupted(error)) => return Err(error),
                Err(Turn::Back(reason)) => reason,
            };
            self.turn_back(held, &reason).await?;
            crash::point("build.turned_back");
        }
        tracing::warn!(request.id = %request, reason, "build.unwinding");
        self.undo(held, machines).await?;
        self.give_back(held, operation, request, machines, reason).await
    }

    /// All machines side by side. One that fails stops the others at their next step; none is dropped in mid-step,
    /// because a call to a hypervisor goes on whether or not anybody waits for it.
    async fn forward(&self, held: &Held, machines: &[Machine]) -> Result<(), Turn> {
        let stop = held.back.child_token();
        let done = AtomicI64::new(0);
        let turns = join_all(machines.iter().map(async |machine| {
            let turn = self.build_one(held, machine, &done, &stop).await;
            if turn.is_err() {
                stop.cancel();
            }
            turn
        }))
        .await;
        let mut interrupted = None;
        for turn in turns {
            match turn {
                Ok(()) => {}
                Err(Turn::Back(reason)) => return Err(Turn::Back(reason)),
                Err(Turn::Interrupted(error)) => interrupted = Some(error),
            }
        }
        interrupted.map_or(Ok(()), |error| Err(Turn::Interrupted(error)))
    }

    pub(super) async fn build_one(
        &self,
        held: &Held,
        machine: &Machine,
        done: &AtomicI64,
        stop: &CancellationToken,
    ) -> Result<(), Turn> {
        let provider =
            self.providers.of(machine.host).await.map_err(|e| Turn::Interrupted(RunError::Later(e.to_string())))?;
        // Known to be away: others get the turn at once, and a listing that comes back says when it is over.
        if matches!(provider.destination(), Destination::Cluster)
            && capacity::standing::store::is_unknown(&mut *self.db.read().await?, machine.host).await?
        {
            return Err(Turn::Interrupted(RunError::Later("the cluster is away".to_owned())));
        }
        let intent = self.with_password(machine).await?;
        let estate = estate::of(&mut *self.db.read().await?, &*provider, machine).await?;
        if let Some(estate) = estate
            && let Err(error) = steps::settle_in(&*provider, &estate, self.patience, stop).await
        {
            return Err(self.not_done(held, machine, Part::Image, done, error).await?);
        }
        let mut permit = None;
        for part in Part::ALL {
            if part == provider.starts_with() {
                // A cluster starts its guests in its own order, on other processors than a host's.
                if !matches!(provider.destination(), Destination::Cluster) {
                    permit = Arc::clone(&self.boots).acquire_owned().await.ok();
                }
                self.still_approved(machine).await?;
            }
            // The write proves that the lease still holds, before the host is touched; where it is not, the next one does.
            if !provider.makes_by_itself(part) {
                self.report(held, done.load(Ordering::Relaxed), format!("{}.{part}", machine.intent.name)).await?;
            }
            let elsewhere = part == Part::Name && self.names.wanted(machine).is_some();
            let outcome = if elsewhere {
                Ok(()) // a name that a DNS server keeps is registered when the machine answers
            } else if part == Part::Image {
                self.arrive(machine, &*provider, stop).await
            } else {
                steps::ensure(&*provider, part, &intent, self.patience, stop, &self.metrics).await
            };
            if let Err(error) = outcome {
                return Err(self.not_done(held, machine, part, done, error).await?);
            }
            crash::point(&format!("build.{}.{part}", machine.ordinal));
            done.fetch_add(1, Ordering::Relaxed);
        }
        drop(permit);
        if intent.database.is_some() {
            self.clear_seed(held, machine, &*provider, done, stop).await?;
        }
        self.register(held, machine, done, stop).await
    }

    /// The image is brought by the courier, for it may be on its way already: from here, or from another broker.
    async fn arrive(
        &self,
        machine: &Machine,
        provider: &dyn Provider,
        stop: &CancellationToken,
    ) -> Result<(), StepError> {
        let (began, patience) = (Instant::now(), self.patience.of(Part::Image, &machine.intent));
        let arrived = self.courier.arrive(machine.host, provider, &machine.intent.image, patience, stop).await;
        match &arrived {
            Ok(()) => self.metrics.step_took(Part::Image.word(), "done", began.elapsed()),
            Err(StepError::Failed { .. }) => self.metrics.step_took(Part::Image.word(), "failed", began.elapsed()),
            Err(StepError::Stopped | StepError::Away(_)) => {}
        }
        arrived
    }

    /// What becomes of a build whose step was not done.
    async fn not_done(
        &self,
        held: &Held,
        machine: &Machine,
        part: Part,
        done: &AtomicI64,
        error: StepError,
    ) -> Result<Turn, Turn> {
        let why = match error {
            StepError::Failed { .. } => return Ok(Turn::Back(format!("{}: {error}", machine.intent.name))),
            StepError::Away(_) => error.to_string(),
            StepError::Stopped => "stopped between two steps".to_owned(),
        };
        // By somebody's wish, which the report answers; or because the process is stopping, or the cluster away.
        self.report(held, done.load(Ordering::Relaxed), format!("{}.{part}", machine.intent.name)).await?;
        Ok(Turn::Interrupted(RunError::Later(why)))
    }

    /// What the provider is told: with the password, as long as it is the broker's to know.
    async fn with_password(&self, machine: &Machine) -> Result<Intent, Turn> {
        if machine.intent.database.is_none() {
            return Ok(machine.intent.clone());
        }
        let mut conn = self.db.read().await?;
        let sealed = credentials::store::find(&mut conn, machine.id).await?;
        let name = &machine.intent.name;
        let sealed =
            sealed.ok_or_else(|| Turn::Back(format!("{name}: its database's password is not kept any more")))?;
        // Another broker may have the key.
        let later = |error| Turn::Interrupted(RunError::Later(format!("{name}: {error}; see secret_key_file")));
        Ok(machine.intent.with_password(Some(self.vault.open(machine.id, &sealed).map_err(later)?)))
    }

    /// The guest has made its database: from now on its password stands in no file of the host's.
    async fn clear_seed(
        &self,
        held: &Held,
        machine: &Machine,
        provider: &dyn Provider,
        done: &AtomicI64,
        stop: &CancellationToken,
    ) -> Result<(), Turn> {
        if let Err(error) = steps::clear_seed(provider, &machine.intent, self.patience, stop).await {
            return Err(self.not_done(held, machine, Part::Seed, done, error).await?);
        }
        crash::point(&format!("build.{}.cleared", machine.ordinal));
        Ok(())
    }

    /// Puts the machine's name down for the registrar and waits a while for it. That it cannot be registered now is no
    /// reason to take the machine from its owner: it is delivered, and the name's own state says what is the matter.
    async fn register(
        &self,
        held: &Held,
        machine: &Machine,
        done: &AtomicI64,
        stop: &CancellationToken,
    ) -> Result<(), Turn> {
        let (label, began) = (format!("{}.{REGISTER}", machine.intent.name), Instant::now());
        if let Some(wanted) = self.names.wanted(machine) {
            let (lease, steps, step) = (held.lease.clone(), done.load(Ordering::Relaxed), label.clone());
            let put_down = self.db.housekeep(async move |tx| -> Result<Result<bool, String>, LeaseError> {
                match operations::progress(tx, &lease, steps, &step).await? {
                    Some(wish) => Ok(Err(wish)),
                    None => Ok(Ok(name::store::want(tx, &wanted).await?)),
                }
            });
            match put_down.await? {
                Err(wish) => return Err(Turn::Back(wish)),
                // Built anew elsewhere: the record of its former life goes first.
                Ok(false) => {
                    let reason = "the name's former record is still being removed".to_owned();
                    return Err(Turn::Interrupted(RunError::Later(reason)));
                }
                Ok(true) => {}
            }
            self.names.bell.ring();
            let Some(state) = self.names.settled(&self.db, machine.id, stop).await? else {
                // By somebody's wish, which the report answers; or because the process is stopping.
                self.report(held, done.load(Ordering::Relaxed), label).await?;
                return Err(Turn::Interrupted(RunError::Later("stopped between two steps".to_owned())));
            };
            let outcome = if state == NameState::Registered { "done" } else { "failed" };
            self.metrics.step_took(REGISTER, outcome, began.elapsed());
            tracing::info!(machine.id = %machine.id, %state, "machine.step.registered");
        }
        crash::point(&format!("build.{}.{REGISTER}", machine.ordinal));
        done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Notes how far the build has come; turns back when somebody wants it cancelled.
    async fn report(&self, held: &Held, done: i64, label: String) -> Result<(), Turn> {
        let lease = held.lease.clone();
        let wish = self.db.housekeep(async move |tx| operations::progress(tx, &lease, done, &label).await).await?;
        wish.map_or(Ok(()), |reason| Err(Turn::Back(reason)))
    }

    /// No machine starts without a valid task book, even when it was valid at the approval.
    async fn still_approved(&self, machine: &Machine) -> Result<(), Turn> {
        let mut conn = self.db.read().await?;
        let revoked = task_book::store::is_revoked_for_request(&mut conn, machine.request).await?;
        if revoked { Err(Turn::Back("项目任务书已撤销".to_owned())) } else { Ok(()) }
    }

    async fn deliver(
        &self,
        held: &Held,
        operation: &Operation,
        request: RequestId,
        machines: &[Machine],
    ) -> Result<(), Turn> {
        crash::point("build.deliver");
        let (lease, operation, began) = (held.lease.clone(), operation.clone(), operation.created_at);
        let ids: Vec<_> = machines.iter().map(|m| m.id).collect();
        let delivered = self
            .db
            .write(async move |tx| -> Result<bool, LeaseError> {
                // First whether it may be delivered: machines that are still to be undone stay in the operation's hands.
                if !request::store::advance(tx, request, RequestState::Approved, RequestEvent::Deliver).await? {
                    audit::record(tx, record(&operation, "request.deliver", Outcome::Denied)).await?;
                    return Ok(false);
                }
                for id in &ids {
                    settle(tx, *id, operation.id, State::Building, Event::Built).await?;
                }
                operations::finish(tx, &lease, OperationState::Succeeded, None).await?;
                audit::record(tx, record(&operation, "request.deliver", Outcome::Done)).await?;
                Ok(true)
            })
            .await?;
        if !delivered {
            // Somebody asked to cancel after the last step had been taken.
            return Err(Turn::Back("交付前被撤回".to_owned()));
        }
        self.ended(RequestState::Delivered, began);
        tracing::info!(request.id = %request, machines = machines.len(), "request.delivered");
        Ok(())
    }

    async fn turn_back(&self, held: &Held, reason: &str) -> Result<(), RunError> {
        let (lease, reason) = (held.lease.clone(), reason.to_owned());
        Ok(self.db.housekeep(async move |tx| operations::turn_back(tx, &lease, &reason).await).await?)
    }

    async fn undo(&self, held: &Held, machines: &[Machine]) -> Result<(), RunError> {
        let later = |error: String| RunError::Later(error);
        self.withdraw(held, machines).await?;
        for machine in machines.iter().rev() {
            // Nothing runs on a host that is proven to be off; what lies there is a stray when it comes back, and it is
            // not taken back in before that has been cleared.
            if capacity::standing::store::is_fenced(&mut *self.db.read().await?, machine.host).await? {
                tracing::warn!(machine.id = %machine.id, "machine.undo.host_fenced");
                continue;
            }
            let provider = self.providers.of(machine.host).await.map_err(|e| later(e.to_string()))?;
            for part in Part::ALL.into_iter().rev() {
                let (lease, label) = (held.lease.clone(), format!("{}.{part}.undo", machine.intent.name));
                self.db.housekeep(async move |tx| operations::progress(tx, &lease, 0, &label).await).await?;
                steps::remove(&*provider, part, &machine.intent, &held.stop)
                    .await
                    .map_err(|error| later(format!("{}: {error}", machine.intent.name)))?;
                crash::point(&format!("undo.{}.{part}", machine.ordinal));
            }
        }
        Ok(())
    }

    /// The names go first, by the registrar's hand and in its own time.
    async fn withdraw(&self, held: &Held, machines: &[Machine]) -> Result<(), RunError> {
        let (lease, ids) = (held.lease.clone(), machines.iter().map(|m| m.id).collect::<Vec<_>>());
        let withdrawn = self.db.housekeep(async move |tx| -> Result<(), LeaseError> {
            operations::progress(tx, &lease, 0, "register.undo").await?;
            for id in &ids {
                name::store::withdraw(tx, *id).await?;
            }
            Ok(())
        });
        withdrawn.await?;
        self.names.bell.ring();
        Ok(())
    }

    /// Counts what became of a request, and how long it took since its approval.
    fn ended(&self, state: RequestState, began: jiff::Timestamp) {
        self.metrics.request_entered(state.word());
        let took = self.db.clock().now().duration_since(began);
        self.metrics.request_built(state.word(), took.as_secs_f64());
    }

    async fn give_back(
        &self,
        held: &Held,
        operation: &Operation,
        request: RequestId,
        machines: &[Machine],
        reason: String,
    ) -> Result<(), RunError> {
        let (lease, operation, began) = (held.lease.clone(), operation.clone(), operation.created_at);
        let ids: Vec<_> = machines.iter().map(|m| m.id).collect();
        let ended = self
            .db
            .write(async move |tx| -> Result<RequestState, LeaseError> {
                for id in &ids {
                    capacity::store::release_compute(tx, *id).await?;
                    capacity::store::release_storage(tx, *id).await?;
                    credentials::store::forget(tx, *id).await?;
                    settle(tx, *id, operation.id, State::Building, Event::Undone).await?;
                }
                let cancelled =
                    request::store::advance(tx, request, RequestState::Cancelling, RequestEvent::Undo).await?;
                let (ended, state) = if cancelled {
                    (RequestState::Cancelled, OperationState::Cancelled)
                } else {
                    request::store::advance(tx, request, RequestState::Approved, RequestEvent::FailBuild).await?;
                    (RequestState::Failed, OperationState::Failed)
                };
                operations::finish(tx, &lease, state, Some(&reason)).await?;
                let record =
                    Record { detail: json!({"reason": reason}), ..record(&operation, "request.undo", Outcome::Done) };
                audit::record(tx, record).await?;
                Ok(ended)
            })
            .await?;
        self.inventory.stale();
        self.ended(ended, began);
        tracing::warn!(request.id = %request, state = ended.word(), "request.undone");
        Ok(())
    }
}

/// The lease was lost: this broker stood still, another has taken over. A call to a host that was under way meanwhile may
/// have come to its end after the other's undoing, and have made again what that had removed. So once the operation is
/// over and undone, what carries its id is removed once more. Not under the lease, which nobody holds any more: an
/// operation that is over is never taken up again.
async fn sweep(db: Db, providers: Providers, operation: OperationId, machines: Vec<Machine>) {
    let swept = async {
        let over = loop {
            let found = {
                let mut conn = db.read().await?;
                operations::find(&mut conn, &operation.text()).await?
            };
            match found {
                Some(found) if !found.state.is_final() => sleep(Duration::from_secs(1)).await,
                found => break found,
            }
        };
        if over.is_none_or(|over| over.state == OperationState::Succeeded) {
            return Ok(());
        }
        let never = CancellationToken::new();
        for machine in machines.iter().rev() {
            let later = |error: &dyn std::fmt::Display| RunError::Later(format!("{}: {error}", machine.intent.name));
            let provider = providers.of(machine.host).await.map_err(|e| later(&e))?;
            let address = machine.intent.network.address;
            for part in Part::ALL.into_iter().rev() {
                // A record carries no mark. Whoever has inherited the address may have inherited the name too.
                if part == Part::Name {
                    let mut conn = db.read().await?;
                    if capacity::store::held_addresses(&mut conn).await?.iter().any(|(_, held)| *held == address) {
                        continue;
                    }
                }
                steps::remove(&*provider, part, &machine.intent, &never).await.map_err(|e| later(&e))?;
            }
        }
        tracing::info!("build.swept");
        Ok::<_, RunError>(())
    };
    if let Err(error) = swept.await {
        tracing::warn!(%error, "build.sweep.failed");
    }
}

/// A machine's state after the event, with its operation taken off. A machine that this operation has settled already
/// stays as it is.
pub(super) async fn settle(
    tx: &mut Tx,
    machine: crate::ids::MachineId,
    operation: crate::ids::OperationId,
    from: State,
    event: Event,
) -> Result<(), DbError> {
    let state = from.next(event).map_err(|refusal| DbError::Corrupt { what: refusal.to_string() })?;
    if !store::settle(tx, machine, operation, state).await? {
        tracing::warn!(machine.id = %machine, "machine.settle.twice");
    }
    Ok(())
}

fn record(operation: &Operation, action: &'static str, outcome: Outcome) -> Record {
    Record {
        who: Who::broker(&operation.trace_id),
        action,
        object_type: "request",
        object_id: operation.request.map(RequestId::text).unwrap_or_default(),
        department_id: Some(operation.department.text()),
        outcome,
        detail: json!({"operation": operation.id, "started_by": operation.started_by}),
    }
}
