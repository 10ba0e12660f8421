//! The registrar: takes names whose time has come, asks the DNS server, and writes what it said.
//!
//! A name is held by a lease that outlasts any attempt. An update can be repeated, so a death at any instant costs a
//! repetition: the name is found as it was left. What a broker did after it had lost its lease is looked after by taking
//! the removal up once more.

use super::{
    Names,
    lifecycle::{self, Event, State},
    store::{self, Held, Settled},
};
use crate::{
    audit::{self, Outcome, Record, Who},
    db::{Db, DbError, Tx},
    dns::Fault,
    metrics::Metrics,
    operation::crash,
};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

/// How the registrar goes about it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Longest wait between two looks for work.
    pub poll: Duration,
    /// How long one attempt may take.
    pub limit: Duration,
    /// What the lease has beyond that: how long a broker may give no sign of life.
    pub lease: Duration,
    /// The longest pause between two attempts at a server that does not answer.
    pub longest_pause: Duration,
}

/// Attempts under way at once.
const WIDTH: usize = 8;
/// So many times longer is the wait for work while every name is where it is to be.
const IDLE: u32 = 10;

pub struct Registrar {
    pub db: Db,
    pub names: Names,
    pub metrics: Metrics,
    pub settings: Settings,
}

impl Registrar {
    /// Works until `stop`; attempts under way come to their end.
    pub async fn run(self, stop: CancellationToken) {
        let registrar = Arc::new(self);
        let mut running = JoinSet::new();
        if let Err(error) = registrar.db.housekeep(async move |tx| store::hurry(tx).await).await {
            tracing::warn!(%error, "name.hurry.failed");
        }
        while !stop.is_cancelled() {
            while running.try_join_next().is_some() {}
            let taken = if running.len() < WIDTH { registrar.take().await } else { None };
            if let Some(held) = taken {
                running.spawn(Arc::clone(&registrar).attempt(held));
                continue;
            }
            // Whoever wants something rings. Only what is open is looked after: an attempt to come, or one left by another
            // broker.
            let pause = if registrar.count_open().await > 0 { 1 } else { IDLE };
            tokio::select! {
                () = stop.cancelled() => {}
                () = registrar.names.bell.rung() => {}
                Some(_) = running.join_next() => {}
                () = sleep(registrar.settings.poll * pause) => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    async fn take(&self) -> Option<Held> {
        let (lease, memory) = (self.settings.limit + self.settings.lease, self.names.zones.memory());
        self.db.housekeep(async move |tx| store::take(tx, lease, memory).await).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "name.take.failed");
            None
        })
    }

    /// Tells the metrics how many names are in which state; how many are not where they are to be.
    async fn count_open(&self) -> i64 {
        let counted = async {
            let mut conn = self.db.read().await?;
            store::count(&mut conn).await
        };
        match counted.await {
            Ok(counts) => {
                let of = |state| counts.iter().find(|(found, _)| *found == state).map_or(0, |(_, number)| *number);
                for state in State::ALL {
                    self.metrics.names_are(state.word(), of(state));
                }
                State::ALL.into_iter().filter(|state| state.is_open()).map(of).sum()
            }
            Err(error) => {
                tracing::warn!(%error, "name.count.failed");
                0
            }
        }
    }

    async fn attempt(self: Arc<Self>, held: Held) {
        let name = &held.name;
        let leaving = name.state.is_leaving();
        let zone = self.names.zones.named(&name.zone);
        let result = match zone {
            Some(zone) if leaving => zone.remove(&name.entry, self.settings.limit).await,
            Some(zone) => zone.register(&name.entry, self.settings.limit).await,
            None => Err(Fault::Refused(String::new())),
        };
        crash::point(if leaving { "name.removed" } else { "name.registered" });
        let event = Event::from(&result);
        self.metrics.name_tried(if leaving { "remove" } else { "register" }, word(event));
        let to = match name.state.next(event) {
            Ok(to) => to,
            Err(refusal) => return tracing::error!(%refusal, "name.lifecycle"),
        };
        let fault = result.err();
        tracing::info!(machine.id = %name.machine(), fqdn = name.entry.fqdn, state = %to, attempts = name.attempts,
            ?fault, "name.tried");
        let server = zone.map_or_else(|| name.server.clone(), |zone| zone.server().to_string());
        let settled = if to == State::Removed && !held.open_for.is_zero() {
            // Nothing is there; but an update of ours that got no answer may still arrive. Look again when none can.
            let reason = Some(lifecycle::WAITING.to_owned());
            Settled { to: State::Removing, server, reason, pause: held.open_for, open_for: Duration::ZERO }
        } else {
            let reason = fault.as_ref().map(|fault| match zone {
                Some(_) => lifecycle::reason(fault, &server, leaving),
                None => lifecycle::no_zone(&name.zone),
            });
            let may_come = !leaving && fault.as_ref().is_some_and(Fault::leaves_it_open);
            let open_for = if may_come { self.names.zones.memory() } else { Duration::ZERO };
            Settled { to, server, reason, pause: to.pause(name.attempts, self.settings.longest_pause), open_for }
        };
        let may_stand = !leaving && matches!(event, Event::Done | Event::Silent);
        if let Err(error) = self.write(held, settled, may_stand).await {
            // The lease runs out, and somebody tries again.
            tracing::warn!(%error, "name.write.failed");
        }
    }

    /// One transaction: the row, and the audit record when the state is another one now.
    async fn write(&self, held: Held, settled: Settled, may_stand: bool) -> Result<(), DbError> {
        let (kept, to) = (held.clone(), settled.to);
        let written = if held.name.state == to {
            self.db.housekeep(async move |tx| store::settle(tx, &kept, &settled).await).await?
        } else {
            let job = async move |tx: &mut Tx| -> Result<(), Unsettled> {
                if !store::settle(tx, &kept, &settled).await? {
                    return Err(Unsettled::Changed);
                }
                Ok(audit::record(tx, record(&kept, &settled)).await?)
            };
            match self.db.write(job).await {
                Ok(()) => true,
                Err(Unsettled::Changed) => false,
                Err(Unsettled::Db(error)) => return Err(error),
            }
        };
        if !written {
            self.let_go(held, may_stand).await?;
        }
        if !written || to == State::Removed {
            // Something else is wanted by now; or another machine has waited for the name.
            self.names.bell.ring();
        }
        Ok(())
    }

    /// Somebody wants something else of the row by now, or another broker has it. In that case it may be over, and
    /// what this broker registered too late may stand.
    async fn let_go(&self, held: Held, may_stand: bool) -> Result<(), DbError> {
        let (machine, memory) = (held.name.machine(), self.names.zones.memory());
        let reopened = self
            .db
            .housekeep(async move |tx| -> Result<bool, DbError> {
                let ours = store::release(tx, &held).await?;
                Ok(!ours && may_stand && store::reopen(tx, machine, memory).await?)
            })
            .await?;
        if reopened {
            tracing::warn!(machine.id = %machine, "name.reopened");
        }
        Ok(())
    }
}

/// Why what an attempt came to was not written.
#[derive(Debug, thiserror::Error)]
enum Unsettled {
    #[error("the row has changed meanwhile")]
    Changed,
    #[error("database")]
    Db(#[from] DbError),
}

impl crate::db::JobError for Unsettled {
    fn again(&self) -> Option<DbError> {
        match self {
            Self::Changed => None,
            Self::Db(error) => error.again(),
        }
    }
}

const fn word(event: Event) -> &'static str {
    match event {
        Event::Done => "done",
        Event::Silent => "silent",
        Event::KeyRefused => "refused_key",
        Event::Taken => "taken",
        Event::Refused | Event::Again | Event::Withdraw => "refused",
    }
}

fn record(held: &Held, settled: &Settled) -> Record {
    let name = &held.name;
    let action = match settled.to {
        State::Registered => "name.registered",
        State::Removed => "name.removed",
        State::Pending | State::Removing => "name.unreachable",
        State::RefusedKey => "name.refused_key",
        State::Refused => "name.refused",
        State::Taken => "name.taken",
        State::RemovalRefused => "name.removal_refused",
    };
    Record {
        who: Who::broker("registrar"),
        action,
        object_type: "machine",
        object_id: name.machine().text(),
        department_id: Some(name.department.text()),
        outcome: if settled.reason.is_none() { Outcome::Done } else { Outcome::Denied },
        detail: json!({"fqdn": name.entry.fqdn, "address": name.entry.address, "server": settled.server,
            "operation": name.entry.operation, "reason": settled.reason}),
    }
}
