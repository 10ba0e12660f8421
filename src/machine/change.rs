//! Acts that change what a machine has been given: its size, and how long it may be used.

use super::{
    Machine,
    plan::{Plan, Spec},
    service::{Machines, may},
    store,
};
use crate::{
    audit::{self, Outcome, Record, Who},
    capacity::{self, Amount, transfer},
    catalogue::{Bounds, Catalogue, database::Least},
    db::Tx,
    error::{Kind, Problem},
    identity::{
        Actor,
        policy::{self, Act},
    },
    ids::OperationId,
    operation::{Kind as OperationKind, NewOperation, store as operations},
    provider::Intent,
    task_book, text,
    units::Bytes,
};
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::json;

/// The size that a machine is to have; what is absent stays.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSize {
    pub vcpu: Option<u32>,
    pub memory_bytes: Option<i64>,
    /// May only grow.
    pub disk_bytes: Option<i64>,
}

/// Until when a machine may be used.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLeaseEnd {
    #[schema(value_type = String, format = Date)]
    pub lease_end: Date,
}

impl Machines {
    /// Claims the larger of both sizes in one transaction, and puts down the operation that brings the machine there.
    pub async fn resize(&self, actor: &Actor, id: &str, new: NewSize) -> Result<OperationId, Problem> {
        let scope = policy::scope(actor, Act::MachineResize)?;
        let machine = self.find(id, scope.filter()).await?;
        may(&machine, OperationKind::Resize)?;
        let from = Spec::of(&machine.intent);
        let to = wanted(from, new, &bounds(&self.catalogue, &machine))?;
        let plan = Plan::Resize { from, to };
        let operation = NewOperation {
            id: OperationId::new(),
            kind: OperationKind::Resize,
            department: machine.department,
            request: None,
            machine: Some(machine.id),
            steps_total: plan.steps_total(),
            trace_id: actor.trace_id.clone(),
            started_by: actor.person.login.clone(),
            plan: Some(plan.to_json()?),
        };
        let (id, who) = (operation.id, Who::from(actor));
        self.db
            .write(async move |tx| -> Result<(), Problem> {
                if !store::begin(tx, machine.id, operation.id, machine.state).await? {
                    return Err(busy());
                }
                claim_growth(tx, &machine, from, to).await?;
                operations::insert_all(tx, std::slice::from_ref(&operation)).await?;
                let detail = json!({"operation": operation.id, "name": machine.intent.name, "from": from, "to": to});
                Ok(audit::record(tx, record(who.clone(), Act::MachineResize, &machine, detail)).await?)
            })
            .await?;
        self.inventory.stale();
        self.bell.ring();
        Ok(id)
    }

    /// 延长使用期限
    pub async fn extend(&self, actor: &Actor, id: &str, new: NewLeaseEnd) -> Result<Machine, Problem> {
        let scope = policy::scope(actor, Act::MachineExtend)?;
        let machine = self.find(id, scope.filter()).await?;
        if !machine.state.holds().1 {
            return Err(Problem::conflict("machine_state", format!("虚拟机{}，没有期限可延", machine.state.label())));
        }
        if new.lease_end <= machine.lease_end {
            return Err(Problem::malformed(format!(
                "/lease_end: 须晚于现在的期限 {}；提前收回请用 jiyue machine delete",
                machine.lease_end
            )));
        }
        let who = Who::from(actor);
        let extended = self
            .db
            .write(async move |tx| -> Result<Machine, Problem> {
                let until = task_book::store::lease_limit_of_request(tx.conn(), machine.request).await?;
                if let Some((number, until)) = until
                    && new.lease_end > until
                {
                    return Err(Problem::new(
                        Kind::Refused,
                        "lease_beyond_task_book",
                        format!(
                            "/lease_end: 任务书 {number} 的资源使用期限到 {until}；要用到 {}，先办理任务书变更",
                            new.lease_end
                        ),
                    ));
                }
                if !store::extend(tx, machine.id, machine.lease_end, new.lease_end).await? {
                    return Err(busy());
                }
                let detail = json!({"name": machine.intent.name, "from": machine.lease_end, "to": new.lease_end});
                audit::record(tx, record(who.clone(), Act::MachineExtend, &machine, detail)).await?;
                Ok(Machine { lease_end: new.lease_end, ..machine.clone() })
            })
            .await?;
        // Placement looks at when leases end.
        self.inventory.stale();
        Ok(extended)
    }

    /// Names another unit (运维单位) to turn to, unless somebody changed the machine since `revision`.
    pub async fn set_contact(
        &self,
        actor: &Actor,
        machine: &Machine,
        contact: &str,
        revision: i64,
    ) -> Result<(), Problem> {
        policy::scope(actor, Act::MachineChange)?;
        let contact = text::said(contact, text::NAME).map_err(|fault| {
            Problem::malformed(format!("/om_unit: 文字不符合要求（{fault}）；请写明运维单位与联系方式，1 至 100 字"))
        })?;
        if contact == machine.contact {
            return Ok(());
        }
        let (who, machine) = (Who::from(actor), machine.clone());
        self.db
            .write(async move |tx| -> Result<(), Problem> {
                if !store::set_contact(tx, machine.id, &contact, revision).await? {
                    return Err(Problem::changed());
                }
                let detail = json!({"name": machine.intent.name, "from": machine.contact, "to": contact});
                Ok(audit::record(tx, record(who.clone(), Act::MachineChange, &machine, detail)).await?)
            })
            .await
    }
}

pub(super) fn busy() -> Problem {
    Problem::conflict("machine_busy", "该虚拟机的状态刚刚变化；请重新查询后再试")
}

fn record(who: Who, act: Act, machine: &Machine, detail: serde_json::Value) -> Record {
    Record {
        who,
        action: act.word(),
        object_type: "machine",
        object_id: machine.id.text(),
        department_id: Some(machine.department.text()),
        outcome: Outcome::Done,
        detail,
    }
}

/// What the machine's database needs at least, if it has one.
pub fn least(catalogue: &Catalogue, intent: &Intent) -> Option<Least> {
    let profile = catalogue.database(&intent.database.as_ref()?.key)?.profile.as_ref()?;
    Some(match &profile.install {
        Some(install) if intent.installs() => install.least,
        _ => profile.least,
    })
}

/// The sizes that the machine may have: with a database, not less than that needs.
fn bounds(catalogue: &Catalogue, machine: &Machine) -> Bounds {
    let mut bounds = catalogue.bounds.clone();
    if let Some(least) = least(catalogue, &machine.intent) {
        bounds.memory = least.memory.max(*bounds.memory.start())..=*bounds.memory.end();
    }
    bounds
}

/// Every fault of a wish at once, or the size that it comes to.
fn wanted(from: Spec, new: NewSize, bounds: &Bounds) -> Result<Spec, Problem> {
    let mut faults = Vec::new();
    let bytes = |stated: Option<i64>, present: Bytes| stated.map_or(Some(present), Bytes::new);
    let vcpu = new.vcpu.unwrap_or(from.vcpu);
    if !bounds.vcpu.contains(&i64::from(vcpu)) {
        faults.push(format!("/vcpu: 须在 {} 至 {} 之间", bounds.vcpu.start(), bounds.vcpu.end()));
    }
    let memory = bytes(new.memory_bytes, from.memory);
    if !memory.is_some_and(|memory| bounds.memory.contains(&memory)) {
        faults.push(format!("/memory_bytes: 须在 {} 至 {} 之间", bounds.memory.start(), bounds.memory.end()));
    }
    let disk = bytes(new.disk_bytes, from.disk);
    if !disk.is_some_and(|disk| bounds.disk.contains(&disk)) {
        faults.push(format!("/disk_bytes: 须在 {} 至 {} 之间", bounds.disk.start(), bounds.disk.end()));
    }
    if disk.is_some_and(|disk| disk < from.disk) {
        faults.push(format!("/disk_bytes: 磁盘现在是 {}，只能扩大；缩小会丢数据，请另行申请再迁移", from.disk));
    }
    match (memory, disk) {
        (Some(memory), Some(disk)) if faults.is_empty() => {
            let to = Spec { vcpu, memory, disk };
            if to == from {
                return Err(Problem::malformed("至少改变一项：vcpu、memory_bytes、disk_bytes；现在就是这个规格"));
            }
            Ok(to)
        }
        _ => Err(Problem::new(Kind::Refused, "size_refused", faults.join("；"))),
    }
}

/// What the machine takes beyond what it has, of its task book and of its host.
async fn claim_growth(tx: &mut Tx, machine: &Machine, from: Spec, to: Spec) -> Result<(), Problem> {
    let growth = transfer::growth(from.size(), to.size());
    if growth != Amount::default() {
        let Some((book, host, _)) = capacity::store::claimed(tx.conn(), machine.id).await? else {
            return Err(Problem::not_found("虚拟机的资源占用记录"));
        };
        let held =
            task_book::store::find(tx.conn(), &book.text(), None).await?.ok_or_else(|| Problem::not_found("任务书"))?;
        if capacity::store::claim_quota(tx, &[(book, held.version, growth)]).await? != 1 {
            if let Some((_, reason)) = held.revoked {
                return Err(Problem::conflict("task_book_revoked", format!("任务书 {} 已撤销：{reason}", held.number)));
            }
            let short = growth.shortage(Amount::from(held.limits).minus(held.used.into()), "task_book");
            return Err(Problem::short(
                "indicator_exceeded",
                format!("超出任务书 {} 的控制指标；先办理任务书变更", held.number),
                short,
            ));
        }
        if !transfer::store::grow_on_host(tx, host, growth).await? {
            let row = capacity::store::find_host(tx.conn(), &host.text())
                .await?
                .ok_or_else(|| Problem::not_found("宿主机"))?;
            let free = Amount { machines: 0, ..row.limit.minus(row.used) };
            return Err(Problem::short(
                "capacity_exceeded",
                "所在宿主机容不下变更后的规格；可先由运维员迁移到更空的宿主机（jiyue machine migrate）",
                growth.shortage(free, "host"),
            ));
        }
    }
    transfer::store::set_size(tx, machine.id, transfer::larger(from.size(), to.size())).await?;
    Ok(())
}
