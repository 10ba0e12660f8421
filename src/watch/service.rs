//! What follows from a listing, and what people do about alarms.

use super::{
    Alarm, AlarmKind,
    drift::{self, Drift, Expected},
    store,
};
use crate::{
    audit::{self, Outcome, Record, Who},
    capacity::{
        self, Host,
        inventory::Inventory,
        providers::Providers,
        standing::{Contact, store as standing},
    },
    db::{Db, DbError, Tx},
    error::{Kind as ProblemKind, Problem, story},
    identity::{
        Actor,
        policy::{self, Act},
    },
    ids::{HostId, MachineId, OperationId},
    machine::{Machine, distribution::service::Distribution, lifecycle::State, power, store as machines},
    operation::{Kind, NewOperation, store as operations, worker::Bell},
    provider::{Mark, Power, ProviderError, Seen},
};
use serde_json::json;

/// What the watch needs of the house.
#[derive(Clone)]
pub struct Watch {
    pub db: Db,
    pub providers: Providers,
    pub inventory: Inventory,
    pub bell: Bell,
    pub distribution: Distribution,
}

impl Watch {
    /// Lists one host and draws the conclusions. Answers whether it was heard of.
    pub async fn look(&self, host: HostId) -> Result<bool, DbError> {
        let (before, believed) = (self.expected(host).await?, self.distribution.belief(host).await?);
        let provider = match self.providers.of(host).await {
            Ok(provider) => provider,
            Err(error) => {
                tracing::error!(host.id = %host, %error, "host.watch.no_provider");
                return Ok(false);
            }
        };
        match provider.list().await {
            Ok(seen) => {
                let after = self.expected(host).await?;
                self.heard(host, drift::judge(&before, &seen, &after)).await?;
                self.distribution.look(host, provider.as_ref(), &believed).await?;
                Ok(true)
            }
            Err(error) => {
                tracing::warn!(host.id = %host, error = %story(&error).join(": "), "host.watch.silent");
                Ok(false)
            }
        }
    }

    /// A host has not answered for long enough: its machines are unknown from now on, not gone.
    pub async fn silent(&self, host: HostId, reason: &str) -> Result<(), DbError> {
        self.turn(host, Contact::Reachable, Contact::Unknown, "host.lost", reason).await
    }

    async fn turn(
        &self,
        host: HostId,
        from: Contact,
        to: Contact,
        action: &'static str,
        reason: &str,
    ) -> Result<(), DbError> {
        let reason = reason.to_owned();
        let turned = self
            .db
            .housekeep(async move |tx| -> Result<bool, DbError> {
                let turned = standing::set_contact(tx, host, from, to, Some(&reason)).await?;
                if turned {
                    audit::record(tx, on_host(host, action, json!({"reason": reason}))).await?;
                }
                Ok(turned)
            })
            .await?;
        if turned {
            tracing::warn!(host.id = %host, contact = to.word(), "host.contact");
            self.inventory.stale();
        }
        Ok(())
    }

    async fn expected(&self, host: HostId) -> Result<Vec<Expected>, DbError> {
        let mut conn = self.db.read().await?;
        let here = machines::of_host(&mut conn, host).await?;
        let coming = machines::bound_for(&mut conn, host).await?;
        let all = here.into_iter().chain(coming.into_iter().filter(|machine| machine.host != host));
        Ok(all.map(|machine| Expected::of(&machine, machine.run)).collect())
    }

    async fn heard(&self, host: HostId, drift: Drift) -> Result<(), DbError> {
        let started = self
            .db
            .housekeep(async move |tx| -> Result<(bool, bool), DbError> {
                standing::listed(tx, host).await?;
                let back = standing::set_contact(tx, host, Contact::Unknown, Contact::Reachable, None).await?;
                if back {
                    audit::record(tx, on_host(host, "host.found", json!({}))).await?;
                }
                settle_alarms(tx, host, &drift).await?;
                for (machine, address) in &drift.addresses {
                    machines::learn_address(tx, *machine, *address).await?;
                }
                for (machine, run) in &drift.runs {
                    machines::learn_run(tx, *machine, Some(*run)).await?;
                }
                for machine in &drift.shut_down {
                    if machines::has_shut_down(tx, *machine).await? {
                        audit::record(tx, on_machine(*machine, "machine.shut_down_by_guest", json!({}))).await?;
                    }
                }
                let mut started = false;
                for machine in &drift.lost {
                    started |= recover(tx, *machine).await?;
                }
                Ok((started, back))
            })
            .await?;
        if started.1 {
            self.inventory.stale();
        }
        if started.0 || started.1 {
            self.bell.ring();
        }
        Ok(())
    }

    /// 知悉告警
    pub async fn acknowledge(&self, actor: &Actor, id: &str) -> Result<Alarm, Problem> {
        policy::scope(actor, Act::AlarmAcknowledge)?;
        let mut conn = self.db.read().await?;
        let alarm = store::find(&mut conn, id).await?.ok_or_else(|| Problem::not_found("告警"))?;
        drop(conn);
        let (who, by) = (Who::from(actor), actor.person.login.clone());
        self.db
            .write(async move |tx| -> Result<Alarm, Problem> {
                if store::acknowledge(tx, alarm.id, &by).await? && alarm.kind.is_event() {
                    // What happened has been seen: from here on the present run is the known one.
                    if let Some(machine) = alarm.machine {
                        machines::learn_run(tx, machine, None).await?;
                    }
                    store::clear(tx, alarm.id).await?;
                }
                let record = Record {
                    who: who.clone(),
                    action: Act::AlarmAcknowledge.word(),
                    object_type: "alarm",
                    object_id: alarm.id.text(),
                    department_id: None,
                    outcome: Outcome::Done,
                    detail: json!({"kind": alarm.kind.word(), "name": alarm.name, "domain": alarm.domain_id}),
                };
                audit::record(tx, record).await?;
                store::find(tx.conn(), &alarm.id.text()).await?.ok_or_else(|| Problem::not_found("告警"))
            })
            .await
    }

    /// Takes a fenced host back in, once it answers and nothing runs there that runs elsewhere now.
    pub async fn readmit(&self, actor: &Actor, key: &str) -> Result<Host, Problem> {
        policy::scope(actor, Act::HostReadmit)?;
        let host = {
            let mut conn = self.db.read().await?;
            capacity::store::find_host(&mut conn, key).await?.ok_or_else(|| Problem::not_found("宿主机"))?
        };
        if host.standing.contact != Contact::Fenced {
            return Err(Problem::conflict("host_not_fenced", format!("宿主机 {} 没有被隔离", host.name)));
        }
        let provider = self.providers.of(host.id).await.map_err(Problem::internal)?;
        let seen = provider.list().await.map_err(|error| unheard(&host, &error))?;
        let expected = self.expected(host.id).await?;
        let strays = strays(&seen, &expected);
        if !strays.is_empty() {
            return Err(Problem::conflict(
                "stray_machines",
                format!(
                    "宿主机 {} 上还有已经不属于它的虚拟机：{}；它们可能已在别处重建，请在宿主机上核对后用 virsh destroy、undefine 清除，再重新接入",
                    host.name,
                    strays.join("、")
                ),
            ));
        }
        let (id, who) = (host.id, Who::from(actor));
        let host = self
            .db
            .write(async move |tx| -> Result<Host, Problem> {
                standing::set_contact(tx, id, Contact::Fenced, Contact::Reachable, None).await?;
                let record = Record { who: who.clone(), ..on_host(id, Act::HostReadmit.word(), json!({})) };
                audit::record(tx, record).await?;
                capacity::store::find_host(tx.conn(), &id.text()).await?.ok_or_else(|| Problem::not_found("宿主机"))
            })
            .await?;
        self.inventory.stale();
        self.bell.ring();
        Ok(host)
    }
}

fn unheard(host: &Host, error: &ProviderError) -> Problem {
    Problem::new(
        ProblemKind::Unavailable,
        "host_unreachable",
        format!("宿主机 {} 没有回应：{}", host.name, story(error).join("：")),
    )
}

/// Domains that carry our mark and do not belong here any more.
fn strays(seen: &[Seen], expected: &[Expected]) -> Vec<String> {
    let belongs = |mark: &Mark| expected.iter().any(|e| e.mark == *mark);
    let stray = |domain: &&Seen| domain.mark.is_some_and(|mark| !belongs(&mark));
    let shown = |domain: &Seen| match domain.power {
        Power::On(_) => format!("{}（运行中）", domain.name),
        _ => domain.name.clone(),
    };
    seen.iter().filter(stray).map(shown).collect()
}

/// Opens what is new, and closes what is no longer seen. What happened once stays until somebody has seen it.
async fn settle_alarms(tx: &mut Tx, host: HostId, drift: &Drift) -> Result<(), DbError> {
    for alarm in store::open_on(tx.conn(), host).await? {
        let again = drift.findings.iter().any(|f| f.kind == alarm.kind && f.domain_id == alarm.domain_id);
        if !again && !alarm.kind.is_event() && store::clear(tx, alarm.id).await? {
            tracing::info!(host.id = %host, kind = alarm.kind.word(), domain = alarm.name, "alarm.cleared");
        }
    }
    for finding in &drift.findings {
        if store::raise(tx, Some(host), finding).await? {
            tracing::warn!(host.id = %host, kind = finding.kind.word(), domain = finding.name, "alarm.raised");
            let detail = json!({"kind": finding.kind.word(), "domain": finding.domain_id, "name": finding.name});
            audit::record(tx, on_host(host, "alarm.raised", detail)).await?;
        }
    }
    Ok(())
}

/// Starts a machine again that has lost its power: an operation like anybody's.
async fn recover(tx: &mut Tx, id: MachineId) -> Result<bool, DbError> {
    let Some(machine) = machines::find(tx.conn(), &id.text(), None).await? else { return Ok(false) };
    let trace_id = uuid::Uuid::now_v7().to_string();
    let operation = recovery(&machine, &trace_id);
    if !machines::begin(tx, id, operation.id, State::Running).await? {
        return Ok(false);
    }
    operations::insert_all(tx, std::slice::from_ref(&operation)).await?;
    let record = Record {
        who: Who::broker(&trace_id),
        department_id: Some(machine.department.text()),
        ..on_machine(id, "machine.recover", json!({"operation": operation.id, "name": machine.intent.name}))
    };
    audit::record(tx, record).await?;
    tracing::warn!(machine.id = %id, "machine.recover");
    Ok(true)
}

fn recovery(machine: &Machine, trace_id: &str) -> NewOperation {
    NewOperation {
        id: OperationId::new(),
        kind: Kind::Start,
        department: machine.department,
        request: None,
        machine: Some(machine.id),
        steps_total: power::steps_total(Kind::Start),
        trace_id: trace_id.to_owned(),
        started_by: "jiyue".to_owned(),
        plan: None,
    }
}

fn on_host(host: HostId, action: &'static str, detail: serde_json::Value) -> Record {
    Record {
        who: Who::broker("watch"),
        action,
        object_type: "host",
        object_id: host.text(),
        department_id: None,
        outcome: Outcome::Done,
        detail,
    }
}

fn on_machine(machine: MachineId, action: &'static str, detail: serde_json::Value) -> Record {
    Record { object_type: "machine", object_id: machine.text(), ..on_host(HostId(machine.0), action, detail) }
}

/// Every kind, also those of which there is none: for the gauges.
pub fn by_kind(counts: &[(AlarmKind, i64)]) -> impl Iterator<Item = (&'static str, i64)> {
    let of = |kind| counts.iter().find(|(k, _)| *k == kind).map_or(0, |(_, n)| *n);
    AlarmKind::ALL.into_iter().map(move |kind| (kind.word(), of(kind)))
}
