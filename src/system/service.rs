//! Acts on systems: entering, changing, and saying which machines are theirs.

use super::{Member, System, record::Facts, store};
use crate::{
    audit::{self, Outcome, Record, Who},
    db::{Db, DbError, Tx},
    error::{Kind, Problem},
    identity::{
        Actor,
        policy::{self, Act},
        store as identity_store,
    },
    ids::{DepartmentId, MachineId, SystemId},
    machine::{self, lifecycle::State},
    text,
};
use serde_json::{Value, json};

/// Machines and requests that one call names at most.
pub const MANY: usize = 200;

/// The systems of the house.
#[derive(Clone)]
pub struct Systems {
    pub db: Db,
}

/// What a call says of machines: themselves, or all that one request became.
#[derive(Clone, Debug, Default)]
pub struct Named {
    pub machines: Vec<String>,
    pub requests: Vec<String>,
}

impl Systems {
    /// Enters a system of a department: the caller's own, or the one that is named.
    pub async fn create(&self, actor: &Actor, department: Option<&str>, facts: Facts) -> Result<System, Problem> {
        let scope = policy::scope(actor, Act::SystemCreate)?;
        let facts = facts.check(self.db.clock().today()).map_err(refused)?;
        let key = department.map(str::to_owned).or_else(|| actor.department.map(DepartmentId::text));
        let Some(key) = key else {
            let detail = "/department: 没有写是哪个建设单位的系统；请填写单位代码，例如 mzj";
            return Err(Problem::new(Kind::Refused, "department_unknown", detail));
        };
        let mut conn = self.db.read().await?;
        let department = identity_store::find_department(&mut conn, &key).await?;
        drop(conn);
        // Another's department and one that is not there are not told apart.
        let department = department.filter(|d| scope.covers(d.id)).ok_or_else(|| {
            let shown = text::shown(&key);
            let detail = format!("/department: 没有代码为 {shown} 的建设单位，或当前令牌不属于它；请核对单位代码");
            Problem::new(Kind::Refused, "department_unknown", detail)
        })?;
        let now = self.db.clock().now();
        let system = System {
            id: SystemId::new(),
            department: department.id,
            facts,
            recorded_by: actor.person.login.clone(),
            recorded_at: now,
            created_at: now,
        };
        let (who, row) = (Who::from(actor), system.clone());
        self.db
            .write(async move |tx| -> Result<(), Problem> {
                store::insert(tx, &row).await.map_err(|error| taken(error, &row.facts))?;
                note(tx, &who, Act::SystemCreate, &row, json!(row.facts)).await
            })
            .await?;
        self.find(actor, &system.id.text()).await
    }

    /// A system that the caller may see.
    pub async fn find(&self, actor: &Actor, id: &str) -> Result<System, Problem> {
        self.found(actor, Act::SystemRead, id).await
    }

    async fn found(&self, actor: &Actor, act: Act, id: &str) -> Result<System, Problem> {
        let scope = policy::scope(actor, act)?;
        let mut conn = self.db.read().await?;
        store::find(&mut conn, id, scope.filter().as_deref()).await?.ok_or_else(|| Problem::not_found("系统"))
    }

    /// Its machines.
    pub async fn members(&self, system: &System) -> Result<Vec<Member>, Problem> {
        let mut conn = self.db.read().await?;
        Ok(store::members(&mut conn, system).await?)
    }

    /// Says other things of a system, unless somebody has since `revision`.
    pub async fn change(&self, actor: &Actor, system: &System, facts: Facts, revision: i64) -> Result<(), Problem> {
        let scope = policy::scope(actor, Act::SystemChange)?;
        if !scope.covers(system.department) {
            return Err(Problem::not_found("系统"));
        }
        let facts = facts.check(self.db.clock().today()).map_err(refused)?;
        if facts.replaced_by.as_ref().is_some_and(|other| *other == system.id.text()) {
            return Err(refused(vec![
                "/replaced_by: 系统不能由自己替代；请填写替代它的系统的名称，没有就不填".to_owned(),
            ]));
        }
        if facts == system.facts {
            return Ok(());
        }
        let (who, system) = (Who::from(actor), system.clone());
        self.db
            .write(async move |tx| -> Result<(), Problem> {
                let done = store::update(tx, system.id, &facts, &who.person, revision)
                    .await
                    .map_err(|error| taken(error, &facts))?;
                if !done {
                    return Err(Problem::changed());
                }
                let detail = json!({"from": system.facts, "to": facts});
                note(tx, &who, Act::SystemChange, &system, detail).await
            })
            .await
    }

    /// Says that machines are this system's.
    pub async fn attach(&self, actor: &Actor, id: &str, named: Named) -> Result<System, Problem> {
        let system = self.found(actor, Act::SystemAttach, id).await?;
        let machines = self.named(&system, &named).await?;
        self.tie(actor, Act::SystemAttach, &system, machines, Some(system.id)).await?;
        Ok(system)
    }

    /// Says that machines are not this system's, nor of any other until somebody says so.
    pub async fn detach(&self, actor: &Actor, id: &str, named: Named) -> Result<System, Problem> {
        let system = self.found(actor, Act::SystemDetach, id).await?;
        let machines = self.named(&system, &named).await?;
        let members = self.members(&system).await?;
        if let Some((_, name)) = machines.iter().find(|(id, _)| !members.iter().any(|m| m.machine == *id)) {
            let detail =
                format!("虚拟机 {name} 不属于系统“{}”；请用 jiyue system show 查看它的虚拟机", system.facts.name);
            return Err(Problem::conflict("machine_not_attached", detail));
        }
        self.tie(actor, Act::SystemDetach, &system, machines, None).await?;
        Ok(system)
    }

    /// The machines that a call means: of the system's own department, standing, each once.
    async fn named(&self, system: &System, named: &Named) -> Result<Vec<(MachineId, String)>, Problem> {
        let count = named.machines.len() + named.requests.len();
        if !(1..=MANY).contains(&count) {
            return Err(Problem::malformed(format!(
                "/machines: 没有写虚拟机或申请，或超过 {MANY} 个；请在 machines、requests 中写 1 至 {MANY} 个标识"
            )));
        }
        let department = system.department.text();
        let mut conn = self.db.read().await?;
        let mut found: Vec<(MachineId, String)> = Vec::new();
        let mut faults = Vec::new();
        for (n, key) in named.machines.iter().enumerate() {
            match machine::store::find(&mut conn, key, Some(&department)).await? {
                Some(one) if stands(one.state) => found.push((one.id, one.intent.name)),
                _ => faults.push(format!(
                    "/machines/{n}: 没有标识为 {} 的虚拟机，或它不属于本系统的建设单位；请用 jiyue machine list 核对",
                    text::shown(key)
                )),
            }
        }
        for (n, key) in named.requests.iter().enumerate() {
            let of_request = machine::store::of_request(&mut conn, key).await?;
            let before = found.len();
            let own = of_request.into_iter().filter(|one| one.department == system.department && stands(one.state));
            found.extend(own.map(|one| (one.id, one.intent.name)));
            if found.len() == before {
                faults.push(format!(
                    "/requests/{n}: 没有标识为 {} 的申请，或它不属于本系统的建设单位，或还没有虚拟机；请用 jiyue request list 核对",
                    text::shown(key)
                ));
            }
        }
        if !faults.is_empty() {
            return Err(refused(faults));
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    async fn tie(
        &self,
        actor: &Actor,
        act: Act,
        system: &System,
        machines: Vec<(MachineId, String)>,
        to: Option<SystemId>,
    ) -> Result<(), Problem> {
        let (who, system) = (Who::from(actor), system.clone());
        self.db
            .write(async move |tx| -> Result<(), Problem> {
                for (machine, name) in &machines {
                    if !store::tie(tx, *machine, system.id, to, &who.person).await? {
                        let detail =
                            format!("虚拟机 {name} 已属于另一个系统；请先用 jiyue system detach 从那个系统移出");
                        return Err(Problem::conflict("machine_attached", detail));
                    }
                }
                let names: Vec<_> = machines.iter().map(|(_, name)| name).collect();
                note(tx, &who, act, &system, json!({"machines": names})).await
            })
            .await
    }
}

const fn stands(state: State) -> bool {
    !matches!(state, State::InBin | State::Undone)
}

/// Everything that is wrong, in one answer.
fn refused(faults: Vec<String>) -> Problem {
    let count = faults.len();
    let detail = if count > 1 {
        let each = (1..).zip(faults).map(|(n, fault)| format!("（{n}）{fault}")).collect::<Vec<_>>();
        format!("共有 {count} 处要改：{}", each.join(" "))
    } else {
        faults.concat()
    };
    Problem::new(Kind::Refused, "bad_value", detail)
}

fn taken(error: DbError, facts: &Facts) -> Problem {
    if error.is_duplicate_of("name") {
        let detail = format!("/name: 本单位已有名称为“{}”的系统；请换一个名称，或修改已有的那个", facts.name);
        return Problem::conflict("system_name_taken", detail);
    }
    error.into()
}

async fn note(tx: &mut Tx, who: &Who, act: Act, system: &System, detail: Value) -> Result<(), Problem> {
    let record = Record {
        who: who.clone(),
        action: act.word(),
        object_type: "system",
        object_id: system.id.text(),
        department_id: Some(system.department.text()),
        outcome: Outcome::Done,
        detail,
    };
    Ok(audit::record(tx, record).await?)
}
