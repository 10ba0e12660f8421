//! The runners of a journey: moving a machine with its disk, and building it anew.

use super::{
    Machine,
    build::{Build, Turn, settle},
    distribution::courier::Courier,
    lifecycle::{Event, State},
    plan::Plan,
    power::Power,
    steps::{self, StepError},
    store,
};
use crate::{
    audit::{self, Outcome, Record, Who},
    capacity::transfer::store as transfer,
    ids::HostId,
    operation::{
        Operation, crash,
        lifecycle::State as OperationState,
        store as operations,
        store::LeaseError,
        worker::{Held, RunError, Runner},
    },
    provider::{Intent, Journey, Observed, Part, Provider, ProviderError},
};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU8, Ordering},
    },
    time::Duration,
};
use tokio::time::interval;

/// How often the way made so far is written down.
const TELL_EVERY: Duration = Duration::from_secs(1);

pub struct Migrate {
    pub power: Arc<Power>,
    pub courier: Courier,
}

#[async_trait::async_trait]
impl Runner for Migrate {
    async fn run(&self, held: &Held, operation: Operation) -> Result<(), RunError> {
        let later = |reason: String| RunError::Later(reason);
        let machine = self.power.machine_of(&operation).await?;
        let Some(Plan::Migrate { to, intent }) = Plan::from_json(operation.plan.as_deref()) else {
            return Err(later("a journey without its plan".to_owned()));
        };
        let source = self.power.providers.of(machine.host).await.map_err(|e| later(e.to_string()))?;
        let target = self.power.providers.of(to).await.map_err(|e| later(e.to_string()))?;
        let journey =
            Journey { from: machine.intent.clone(), to: (*intent).clone(), destination: target.destination() };
        let failure = match self.travel(held, &journey, &*source, (to, &*target)).await? {
            Ok(()) => None,
            Err(error) if error.is_transient() => return Err(later(error.to_string())),
            // It has not left: then it has stayed, and the place is given back. Anything else is tried again.
            Err(error) => match source.observe(&machine.intent).await {
                Ok(Observed::Running | Observed::Off) => Some(error.to_string()),
                _ => return Err(later(error.to_string())),
            },
        };
        crash::point("migrate.done");
        self.finish(held, operation, machine, to, *intent, failure).await
    }
}

impl Migrate {
    /// Goes the way, and tells how far it has come.
    async fn travel(
        &self,
        held: &Held,
        journey: &Journey,
        source: &dyn Provider,
        (to, target): (HostId, &dyn Provider),
    ) -> Result<Result<(), ProviderError>, RunError> {
        let percent = AtomicU8::new(0);
        let way = async {
            // First, and apart from the journey: it may take longest, and the machine runs on meanwhile.
            let patience = self.power.patience.of(Part::Image, &journey.to);
            match self.courier.arrive(to, target, &journey.to.image, patience, &held.stop).await {
                Ok(()) => {}
                Err(StepError::Failed { source, .. }) => return Err(source),
                Err(StepError::Stopped | StepError::Away(_)) => {
                    let (act, reason) = ("the journey".to_owned(), "stopped before it began".to_owned());
                    return Err(ProviderError::Transient { act, reason });
                }
            }
            crash::point("migrate.image");
            source.migrate(journey, &|done| percent.store(done.min(99), Ordering::Relaxed)).await
        };
        tokio::pin!(way);
        let mut ticks = interval(TELL_EVERY);
        loop {
            tokio::select! {
                outcome = &mut way => return Ok(outcome),
                _ = ticks.tick() => {
                    let (lease, done) = (held.lease.clone(), i64::from(percent.load(Ordering::Relaxed)));
                    let label = format!("{}.migrate", journey.to.name);
                    // A lease that is lost ends this turn; the host goes on, and whoever has taken over looks first.
                    self.power.db.housekeep(async move |tx| operations::progress(tx, &lease, done, &label).await).await?;
                }
            }
        }
    }

    async fn finish(
        &self,
        held: &Held,
        operation: Operation,
        machine: Machine,
        to: HostId,
        intent: Intent,
        failure: Option<String>,
    ) -> Result<(), RunError> {
        let lease = held.lease.clone();
        self.power
            .db
            .write(async move |tx| -> Result<(), LeaseError> {
                if let Some(journey) = transfer::journey_of(tx.conn(), machine.id).await? {
                    if failure.is_none() {
                        transfer::arrive(tx, &journey).await?;
                        store::set_intent(tx, machine.id, to, &intent).await?;
                    } else {
                        transfer::turn_back(tx, &journey).await?;
                        store::set_stuck(tx, machine.id, failure.as_deref()).await?;
                    }
                }
                store::settle(tx, machine.id, operation.id, machine.state).await?;
                let state = if failure.is_none() { OperationState::Succeeded } else { OperationState::Failed };
                operations::finish(tx, &lease, state, failure.as_deref()).await?;
                let detail = json!({"operation": operation.id, "from": machine.host, "to": to, "failure": failure});
                Ok(audit::record(tx, record(&operation, &machine, "machine.migrated", failure.is_none(), detail))
                    .await?)
            })
            .await?;
        self.power.inventory.stale();
        Ok(())
    }
}

/// Builds one machine where its claim is now.
pub struct Rebuild {
    pub power: Arc<Power>,
    pub build: Arc<Build>,
}

#[async_trait::async_trait]
impl Runner for Rebuild {
    async fn run(&self, held: &Held, operation: Operation) -> Result<(), RunError> {
        let machine = self.power.machine_of(&operation).await?;
        let (done, stop) = (AtomicI64::new(0), held.back.child_token());
        match self.build.build_one(held, &machine, &done, &stop).await {
            Ok(()) => {}
            Err(Turn::Interrupted(error)) => return Err(error),
            Err(Turn::Back(reason)) => {
                // There is nothing to go back to: what was made goes, and it is tried again.
                let provider = self.power.providers.of(machine.host).await;
                let provider = provider.map_err(|error| RunError::Later(error.to_string()))?;
                for part in Part::ALL.into_iter().rev() {
                    let removed = steps::remove(&*provider, part, &machine.intent, &held.stop).await;
                    removed.map_err(|error| RunError::Later(error.to_string()))?;
                }
                return Err(RunError::Later(reason));
            }
        }
        crash::point("rebuild.done");
        let lease = held.lease.clone();
        self.power
            .db
            .write(async move |tx| -> Result<(), LeaseError> {
                settle(tx, machine.id, operation.id, State::Building, Event::Built).await?;
                operations::finish(tx, &lease, OperationState::Succeeded, None).await?;
                let detail = json!({"operation": operation.id, "host": machine.host});
                Ok(audit::record(tx, record(&operation, &machine, "machine.rebuilt", true, detail)).await?)
            })
            .await?;
        Ok(())
    }
}

fn record(
    operation: &Operation,
    machine: &Machine,
    action: &'static str,
    done: bool,
    detail: serde_json::Value,
) -> Record {
    Record {
        who: Who::broker(&operation.trace_id),
        action,
        object_type: "machine",
        object_id: machine.id.text(),
        department_id: Some(machine.department.text()),
        outcome: if done { Outcome::Done } else { Outcome::Denied },
        detail,
    }
}
