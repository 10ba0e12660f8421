//! A build's wait for its names, and an operator's wish to have one tried again.

use super::{Names, lifecycle::Event, lifecycle::State, store};
use crate::{
    audit::{self, Outcome, Record, Who},
    db::{Db, DbError},
    error::Problem,
    identity::{
        Actor,
        policy::{self, Act},
    },
    ids::MachineId,
    machine::{lifecycle::State as MachineState, service::Machines},
};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Between two looks at a row that the registrar is at work on.
const LOOK: Duration = Duration::from_millis(100);

impl Names {
    /// Waits until it is clear what becomes of the name, for a while; answers the state it is in then, or `None` when
    /// `stop` came first.
    pub async fn settled(
        &self,
        db: &Db,
        machine: MachineId,
        stop: &CancellationToken,
    ) -> Result<Option<State>, DbError> {
        let began = Instant::now();
        loop {
            let found = {
                let mut conn = db.read().await?;
                store::find(&mut conn, machine).await?.map_or(State::Removed, |name| name.state)
            };
            if found != State::Pending || began.elapsed() >= self.wait {
                return Ok(Some(found));
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = sleep(LOOK) => {}
            }
        }
    }
}

impl Machines {
    /// Has a machine's name tried at once: one that was refused or taken, one that stands and is to be looked after, or
    /// one of a machine that was built before its zone had a server.
    pub async fn register_name(&self, actor: &Actor, id: &str) -> Result<(), Problem> {
        let scope = policy::scope(actor, Act::MachineRegisterName)?;
        let machine = self.find(id, scope.filter()).await?;
        let held = {
            let mut conn = self.db.read().await?;
            store::find(&mut conn, machine.id).await?
        };
        let wanted = self.names.wanted(&machine);
        if held.is_none() && wanted.is_none() {
            return Err(Problem::conflict(
                "name_not_served",
                "该虚拟机没有域名，或其域名由网络区域自己的 DNS 解析，不需要登记",
            ));
        }
        let changed = || Problem::conflict("name_state", "域名登记的状态刚刚变化；请重新查询后再试");
        let to = match &held {
            Some(name) => Some(
                name.state
                    .next(Event::Again)
                    .map_err(|_| Problem::conflict("name_state", "该域名已经注销，不能再登记"))?,
            ),
            None if matches!(machine.state, MachineState::Building | MachineState::Undone) => {
                return Err(Problem::conflict("machine_state", "虚拟机尚未交付，域名由建设过程登记"));
            }
            None => None,
        };
        let who = Who::from(actor);
        self.db
            .write(async move |tx| -> Result<(), Problem> {
                match (&held, to, &wanted) {
                    (Some(name), Some(to), _) => {
                        if !store::again(tx, machine.id, name.state, to).await? {
                            return Err(changed());
                        }
                    }
                    (_, _, Some(wanted)) => {
                        if !store::want(tx, wanted).await? {
                            return Err(changed());
                        }
                    }
                    _ => return Err(changed()),
                }
                let record = Record {
                    who: who.clone(),
                    action: Act::MachineRegisterName.word(),
                    object_type: "machine",
                    object_id: machine.id.text(),
                    department_id: Some(machine.department.text()),
                    outcome: Outcome::Done,
                    detail: json!({"fqdn": machine.intent.fqdn, "was": held.as_ref().map(|name| name.state.word())}),
                };
                Ok(audit::record(tx, record).await?)
            })
            .await?;
        self.names.bell.ring();
        Ok(())
    }
}
