//! Stop, start, restart, into the recycle bin and out of it again: the runner of each.

use super::{
    Machine,
    build::settle,
    estate,
    lifecycle::{Event, State},
    name::{self, Names},
    steps::{self, Patience, StepError},
    store,
};
use crate::{
    audit::{self, Outcome, Record, Who},
    capacity::{self, inventory::Inventory, providers::Providers},
    db::Db,
    metrics::Metrics,
    operation::{
        Kind, Operation, crash,
        lifecycle::State as OperationState,
        store as operations,
        store::LeaseError,
        worker::{Held, RunError, Runner},
    },
    provider::{Part, Provider, ProviderError, Stop},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// Who else may be running from a machine's disk.
#[async_trait::async_trait]
pub trait Twin: Send + Sync {
    /// Makes sure, by a look at this moment, that nobody is.
    async fn is_off(&self, machine: &Machine) -> Result<(), ProviderError>;
}

pub struct Power {
    pub db: Db,
    pub providers: Providers,
    pub inventory: Inventory,
    pub metrics: Metrics,
    pub patience: Patience,
    /// How long a guest is asked to shut down before its power is cut.
    pub grace: Duration,
    pub names: Names,
    pub twin: Arc<dyn Twin>,
}

/// Steps of a stop and of a start.
pub const fn steps_total(kind: Kind) -> i64 {
    match kind {
        Kind::Start | Kind::Restore => 3,
        Kind::Reboot => 2,
        _ => 1,
    }
}

#[async_trait::async_trait]
impl Runner for Power {
    async fn run(&self, held: &Held, operation: Operation) -> Result<(), RunError> {
        let later = |reason: String| RunError::Later(reason);
        let machine = self.machine_of(&operation).await?;
        let provider = self.providers.of(machine.host).await.map_err(|e| later(e.to_string()))?;
        // A host that is proven to be off runs nothing: what is to be off there is off.
        let fenced = capacity::standing::store::is_fenced(&mut *self.db.read().await?, machine.host).await?;
        let outcome = if fenced && matches!(operation.kind, Kind::Stop | Kind::Bin) {
            Ok(())
        } else {
            let settled = if matches!(operation.kind, Kind::Start | Kind::Restore) {
                self.settle_in(held, &machine, &*provider).await?
            } else {
                Ok(())
            };
            match settled {
                Ok(()) => self.act(held, operation.kind, &machine, &*provider).await,
                Err(error) => Err(error),
            }
        };
        let failure = match outcome {
            Ok(()) => None,
            Err(StepError::Failed { part, source }) if !source.is_transient() => Some(format!("{part}: {source}")),
            Err(error) if matches!(operation.kind, Kind::Start | Kind::Restore | Kind::Reboot) => match error {
                // Patience is over: the guest does not come up.
                StepError::Failed { .. } => Some(error.to_string()),
                StepError::Stopped | StepError::Away(_) => return Err(later(error.to_string())),
            },
            // A stop is wanted until it is done.
            Err(error) => return Err(later(error.to_string())),
        };
        crash::point("power.acted");
        if operation.kind == Kind::Restore && failure.is_none() {
            self.name_again(&machine).await?;
        }
        self.finish(held, operation, machine, failure).await
    }
}

impl Power {
    /// The machine that an operation is about.
    pub(super) async fn machine_of(&self, operation: &Operation) -> Result<Machine, RunError> {
        let mut conn = self.db.read().await?;
        let id = operation.machine.map(crate::ids::MachineId::text).unwrap_or_default();
        let machine = store::find(&mut conn, &id, None).await?;
        machine.ok_or_else(|| RunError::Later(format!("no machine {id}")))
    }

    /// What went into the bin has lost its name in the district's DNS; what comes out of it has it again.
    async fn name_again(&self, machine: &Machine) -> Result<(), RunError> {
        let Some(wanted) = self.names.wanted(machine) else { return Ok(()) };
        let on_its_way = self.db.housekeep(async move |tx| name::store::want(tx, &wanted).await).await?;
        self.names.bell.ring();
        let later = || RunError::Later("the name's former record is still being removed".to_owned());
        if on_its_way { Ok(()) } else { Err(later()) }
    }

    /// What has to be so before a machine goes up, or grows.
    pub(super) async fn settle_in(
        &self,
        held: &Held,
        machine: &Machine,
        provider: &dyn Provider,
    ) -> Result<Result<(), StepError>, RunError> {
        let estate = estate::of(&mut *self.db.read().await?, provider, machine).await?;
        Ok(match estate {
            Some(estate) => steps::settle_in(provider, &estate, self.patience, &held.stop).await,
            None => Ok(()),
        })
    }

    /// A machine on a disk that may still go back starts only when nobody else runs from it.
    pub(super) async fn no_twin(&self, machine: &Machine) -> Result<(), StepError> {
        if !machine.intent.is_on_loan() {
            return Ok(());
        }
        self.twin.is_off(machine).await.map_err(|source| match source {
            // Nothing is known of it: a start waits for as long as that is so.
            ProviderError::Unreachable { .. } => StepError::Away(source),
            source => StepError::Failed { part: Part::Power, source },
        })
    }

    async fn act(&self, held: &Held, kind: Kind, machine: &Machine, provider: &dyn Provider) -> Result<(), StepError> {
        match kind {
            Kind::Reboot => {
                let failed = |source| StepError::Failed { part: Part::Power, source };
                provider.reboot(&machine.intent).await.map_err(failed)?;
                steps::ensure(provider, Part::Answer, &machine.intent, self.patience, &held.stop, &self.metrics).await
            }
            Kind::Start | Kind::Restore => {
                self.no_twin(machine).await?;
                // The definition too: it may have been taken away behind our back, and an operator has had a look.
                for part in [Part::Domain, Part::Power, Part::Answer] {
                    steps::ensure(provider, part, &machine.intent, self.patience, &held.stop, &self.metrics).await?;
                }
                Ok(())
            }
            _ => {
                let how = Stop::Graceful(self.grace);
                provider
                    .stop(&machine.intent, how)
                    .await
                    .map_err(|source| StepError::Failed { part: Part::Power, source })
            }
        }
    }

    /// What the act means, in one transaction. A start that failed leaves the machine off; a restore that failed leaves
    /// it in the bin, its compute freed again.
    async fn finish(
        &self,
        held: &Held,
        operation: Operation,
        machine: Machine,
        failure: Option<String>,
    ) -> Result<(), RunError> {
        let lease = held.lease.clone();
        let (event, frees) = match (operation.kind, &failure) {
            (Kind::Stop, None) | (Kind::Start, Some(_)) => (Some(Event::Stopped), false),
            (Kind::Start, None) => (Some(Event::Started), false),
            (Kind::Bin, None) => (Some(Event::Binned), true),
            (Kind::Restore, None) => (Some(Event::Restored), false),
            (Kind::Restore, Some(_)) => (None, true),
            _ => (None, false),
        };
        self.db
            .write(async move |tx| -> Result<(), LeaseError> {
                if frees {
                    capacity::store::release_compute(tx, machine.id).await?;
                    name::store::withdraw(tx, machine.id).await?;
                }
                match event {
                    Some(event) => settle(tx, machine.id, operation.id, machine.state, event).await?,
                    None => {
                        store::settle(tx, machine.id, operation.id, machine.state).await?;
                    }
                }
                let state = if failure.is_none() { OperationState::Succeeded } else { OperationState::Failed };
                operations::finish(tx, &lease, state, failure.as_deref()).await?;
                let record = Record {
                    who: Who::broker(&operation.trace_id),
                    action: match operation.kind {
                        Kind::Start => "machine.started",
                        Kind::Bin => "machine.binned",
                        Kind::Restore => "machine.restored",
                        Kind::Reboot => "machine.rebooted",
                        _ => "machine.stopped",
                    },
                    object_type: "machine",
                    object_id: machine.id.text(),
                    department_id: Some(machine.department.text()),
                    outcome: if failure.is_none() { Outcome::Done } else { Outcome::Denied },
                    detail: json!({"operation": operation.id, "started_by": operation.started_by, "failure": failure}),
                };
                Ok(audit::record(tx, record).await?)
            })
            .await?;
        if frees {
            self.inventory.stale();
            self.names.bell.ring();
        }
        Ok(())
    }
}

impl State {
    /// The state that an operation needs to find, and what it is called when it does not.
    pub const fn admits(self, kind: Kind) -> bool {
        matches!(
            (kind, self),
            // A machine that ought to run may be told so again: it was cut off, or its definition taken away.
            (
                Kind::Start
                    | Kind::Resize
                    | Kind::Migrate
                    | Kind::Rebuild
                    | Kind::Bin
                    | Kind::ImportDisk
                    | Kind::ReturnDisk,
                Self::Stopped | Self::Running,
            ) | (Kind::Stop | Kind::Reboot, Self::Running)
                | (Kind::Restore, Self::InBin)
        )
    }
}
