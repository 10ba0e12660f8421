//! Empties hosts that are being drained: one machine after the other is sent to another host, a few at a time. What cannot
//! go now says why, and is tried again.

use super::{Machine, journey::Cause, lifecycle::State, service::Machines, store};
use crate::{
    capacity,
    db::DbError,
    ids::{HostId, MachineId},
};
use serde::Serialize;
use sqlx::AnyConnection;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Machines on their way from one host at a time: disks are copied, and more would only share the wire.
const AT_ONCE: usize = 2;
/// Before a machine that could not go is tried again.
const AGAIN: Duration = Duration::from_secs(20);
const EVERY: Duration = Duration::from_secs(1);

/// How far the emptying of a host has come.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
pub struct Progress {
    /// Machines that are still here; those in the recycle bin stay and do not count.
    pub left: usize,
    /// Of these, on their way.
    pub moving: usize,
    pub stuck: Vec<Stuck>,
}

/// A machine that could not be moved.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Stuck {
    #[schema(value_type = String, format = Uuid)]
    pub machine_id: MachineId,
    pub name: String,
    pub reason: String,
}

/// Whether a machine has to go before its host can be switched off.
fn must_go(machine: &Machine) -> bool {
    matches!(machine.state, State::Building | State::Running | State::Stopped)
}

pub async fn progress(conn: &mut AnyConnection, host: HostId) -> Result<Progress, DbError> {
    let here: Vec<_> = store::of_host(conn, host).await?.into_iter().filter(must_go).collect();
    let stuck = here.iter().filter(|machine| machine.operation.is_none()).filter_map(|machine| {
        let reason = machine.stuck_reason.clone()?;
        Some(Stuck { machine_id: machine.id, name: machine.intent.name.clone(), reason })
    });
    Ok(Progress {
        left: here.len(),
        moving: here.iter().filter(|machine| machine.operation.is_some()).count(),
        stuck: stuck.collect(),
    })
}

/// Goes round until `stop`.
pub async fn run(machines: Machines, stop: CancellationToken) {
    let mut tried = HashMap::new();
    while !stop.is_cancelled() {
        if let Err(error) = round(&machines, &mut tried).await {
            tracing::warn!(%error, "host.drain.round");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(EVERY) => {}
        }
    }
}

async fn round(machines: &Machines, tried: &mut HashMap<MachineId, Instant>) -> Result<(), DbError> {
    tried.retain(|_, at| at.elapsed() < AGAIN);
    let mut conn = machines.db.read().await?;
    let hosts = capacity::store::list_hosts(&mut conn).await?;
    let mut going = Vec::new();
    for host in hosts.iter().filter(|host| host.standing.draining) {
        let here: Vec<_> = store::of_host(&mut conn, host.id).await?.into_iter().filter(must_go).collect();
        let under_way = here.iter().filter(|machine| machine.operation.is_some()).count();
        let free = here.into_iter().filter(|m| m.operation.is_none() && !tried.contains_key(&m.id));
        going.extend(free.take(AT_ONCE.saturating_sub(under_way)));
    }
    drop(conn);
    for machine in going {
        let (id, name) = (machine.id, machine.intent.name.clone());
        tried.insert(id, Instant::now());
        if let Err(problem) = machines.depart(Cause::broker(), machine, None).await {
            tracing::warn!(machine.id = %id, name, reason = problem.detail, "host.drain.stuck");
            let reason = problem.detail;
            machines.db.housekeep(async move |tx| store::set_stuck(tx, id, Some(&reason)).await).await?;
        }
    }
    Ok(())
}
