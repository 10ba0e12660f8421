//! Brings a machine to its new size, or back to the old one.

use super::{
    Machine,
    lifecycle::State,
    plan::{Plan, Spec},
    power::Power,
    steps::{self, StepError},
    store,
};
use crate::{
    audit::{self, Outcome, Record, Who},
    capacity::transfer,
    operation::{
        Operation, crash,
        lifecycle::State as OperationState,
        store as operations,
        store::LeaseError,
        worker::{Held, RunError, Runner},
    },
    provider::{Part, Provider, Stop},
};
use serde_json::json;
use std::sync::Arc;

pub struct Resize {
    pub power: Arc<Power>,
}

#[async_trait::async_trait]
impl Runner for Resize {
    async fn run(&self, held: &Held, operation: Operation) -> Result<(), RunError> {
        let machine = self.power.machine_of(&operation).await?;
        let Some(Plan::Resize { from, to }) = Plan::from_json(operation.plan.as_deref()) else {
            return Err(RunError::Later("a resize without its plan".to_owned()));
        };
        let provider = self.power.providers.of(machine.host).await.map_err(|e| RunError::Later(e.to_string()))?;
        let settled = self.power.settle_in(held, &machine, &*provider).await?;
        let reshaped = match settled {
            Ok(()) => self.reshape(held, &machine, from, to, &*provider).await,
            Err(error) => Err(error),
        };
        let (failure, reached) = match reshaped {
            Ok(()) => (None, to),
            Err(error @ StepError::Failed { .. }) if is_final(&error) => {
                let reached = self.back(held, &machine, from, to, &*provider).await?;
                (Some(error.to_string()), reached)
            }
            Err(error) => return Err(RunError::Later(error.to_string())),
        };
        crash::point("resize.done");
        self.finish(held, operation, machine, reached, failure).await
    }
}

/// A host that cannot be reached says nothing about the new size: the change is wanted until it is done.
fn is_final(error: &StepError) -> bool {
    match error {
        StepError::Stopped | StepError::Away(_) => false,
        StepError::Failed { part, source } => !source.is_transient() || *part == Part::Answer,
    }
}

impl Resize {
    async fn reshape(
        &self,
        held: &Held,
        machine: &Machine,
        from: Spec,
        to: Spec,
        provider: &dyn Provider,
    ) -> Result<(), StepError> {
        let restart = machine.state == State::Running && from.needs_restart(to);
        let failed = |part| move |source| StepError::Failed { part, source };
        if restart {
            provider.stop(&machine.intent, Stop::Graceful(self.power.grace)).await.map_err(failed(Part::Power))?;
            crash::point("resize.stopped");
        }
        let wanted = to.applied(&machine.intent);
        provider.reshape(&wanted).await.map_err(failed(Part::Domain))?;
        crash::point("resize.reshaped");
        if restart {
            self.power.no_twin(machine).await?;
            self.up(held, &wanted, provider).await?;
        }
        Ok(())
    }

    async fn up(
        &self,
        held: &Held,
        intent: &crate::provider::Intent,
        provider: &dyn Provider,
    ) -> Result<(), StepError> {
        for part in [Part::Power, Part::Answer] {
            steps::ensure(provider, part, intent, self.power.patience, &held.stop, &self.power.metrics).await?;
        }
        Ok(())
    }

    /// Back to the processors and the memory that it had. A disk that has grown stays so: it cannot be made smaller
    /// without losing what is on it.
    async fn back(
        &self,
        held: &Held,
        machine: &Machine,
        from: Spec,
        to: Spec,
        provider: &dyn Provider,
    ) -> Result<Spec, RunError> {
        let reached = Spec { disk: to.disk, ..from };
        let later = |error: String| RunError::Later(format!("turning back: {error}"));
        let had = reached.applied(&machine.intent);
        if let Err(error) = provider.reshape(&had).await {
            if error.is_transient() {
                return Err(later(error.to_string()));
            }
            // Not even the disk has grown.
            let before = from.applied(&machine.intent);
            provider.reshape(&before).await.map_err(|error| later(error.to_string()))?;
            self.start_again(held, machine, &before, provider).await.map_err(|error| later(error.to_string()))?;
            return Ok(from);
        }
        self.start_again(held, machine, &had, provider).await.map_err(|error| later(error.to_string()))?;
        Ok(reached)
    }

    async fn start_again(
        &self,
        held: &Held,
        machine: &Machine,
        intent: &crate::provider::Intent,
        provider: &dyn Provider,
    ) -> Result<(), StepError> {
        if machine.state != State::Running {
            return Ok(());
        }
        let failed = |source| StepError::Failed { part: Part::Power, source };
        provider.stop(intent, Stop::Now).await.map_err(failed)?;
        self.power.no_twin(machine).await?;
        self.up(held, intent, provider).await
    }

    async fn finish(
        &self,
        held: &Held,
        operation: Operation,
        machine: Machine,
        reached: Spec,
        failure: Option<String>,
    ) -> Result<(), RunError> {
        let lease = held.lease.clone();
        self.power
            .db
            .write(async move |tx| -> Result<(), LeaseError> {
                transfer::store::shrink(tx, machine.id, reached.size()).await?;
                store::set_intent(tx, machine.id, machine.host, &reached.applied(&machine.intent)).await?;
                store::settle(tx, machine.id, operation.id, machine.state).await?;
                let state = if failure.is_none() { OperationState::Succeeded } else { OperationState::Failed };
                operations::finish(tx, &lease, state, failure.as_deref()).await?;
                let record = Record {
                    who: Who::broker(&operation.trace_id),
                    action: "machine.resized",
                    object_type: "machine",
                    object_id: machine.id.text(),
                    department_id: Some(machine.department.text()),
                    outcome: if failure.is_none() { Outcome::Done } else { Outcome::Denied },
                    detail: json!({"operation": operation.id, "size": reached, "failure": failure}),
                };
                Ok(audit::record(tx, record).await?)
            })
            .await?;
        self.power.inventory.stale();
        Ok(())
    }
}
