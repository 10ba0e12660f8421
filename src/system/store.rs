//! SQL of systems and of whose a machine is.

use super::{
    Member, System, Tie,
    record::{Facts, Frequency, Scope},
};
use crate::{
    db::{Batch, DbError, Listing, Slice, Sorts, Tx},
    identity::store::{parsed, parsed_opt},
    ids::{DepartmentId, MachineId, SystemId},
    time,
};
use jiff::civil::Date;
use sqlx::{AnyConnection, Row, any::AnyRow};

fn system(row: &AnyRow) -> Result<System, DbError> {
    Ok(System {
        id: parsed(row, "id")?,
        department: parsed(row, "department_id")?,
        facts: Facts {
            name: row.try_get("name")?,
            purpose: row.try_get("purpose")?,
            scope: parsed_opt(row, "scope")?,
            frequency: parsed_opt(row, "frequency")?,
            last_updated_on: parsed_opt(row, "last_updated_on")?,
            maintained_until: parsed_opt(row, "maintained_until")?,
            last_login_on: parsed_opt(row, "last_login_on")?,
            replaced_by: row.try_get("replaced_by")?,
        },
        recorded_by: row.try_get("recorded_by")?,
        recorded_at: time::from_micros(row.try_get("recorded_at")?),
        created_at: time::from_micros(row.try_get("created_at")?),
    })
}

pub async fn insert(tx: &mut Tx, system: &System) -> Result<(), DbError> {
    let (facts, now) = (&system.facts, tx.now().as_microsecond());
    sqlx::query(
        "insert into systems (id, department_id, name, purpose, scope, frequency, last_updated_on, maintained_until, \
         last_login_on, replaced_by, recorded_by, recorded_at, created_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)",
    )
    .bind(system.id.text())
    .bind(system.department.text())
    .bind(facts.name.as_str())
    .bind(facts.purpose.as_str())
    .bind(facts.scope.map(Scope::word))
    .bind(facts.frequency.map(Frequency::word))
    .bind(facts.last_updated_on.as_ref().map(Date::to_string))
    .bind(facts.maintained_until.as_ref().map(Date::to_string))
    .bind(facts.last_login_on.as_ref().map(Date::to_string))
    .bind(facts.replaced_by.as_deref())
    .bind(system.recorded_by.as_str())
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn find(conn: &mut AnyConnection, id: &str, department: Option<&str>) -> Result<Option<System>, DbError> {
    let row = sqlx::query(
        "select id, department_id, name, purpose, scope, frequency, last_updated_on, maintained_until, last_login_on, \
         replaced_by, recorded_by, recorded_at, created_at from systems \
         where id = $1 and (cast($2 as text) is null or department_id = $2)",
    )
    .bind(id)
    .bind(department)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(system).transpose()
}

/// Whether a department has a system of this name or id.
pub async fn is_known(conn: &mut AnyConnection, key: &str, department: DepartmentId) -> Result<bool, DbError> {
    let row = sqlx::query("select id from systems where (id = $1 or name = $1) and department_id = $2")
        .bind(key)
        .bind(department.text())
        .fetch_optional(conn)
        .await?;
    Ok(row.is_some())
}

pub const SORTS: Sorts =
    Sorts { id: "id", numbered: false, by: &[("created_at", "id"), ("name", "name")], default: "-created_at" };

/// Which systems a list has. `scope` is what the caller may see, `department` what was asked for.
#[derive(Default, serde::Serialize)]
pub struct Filter<'a> {
    pub scope: Option<&'a str>,
    pub department: Option<&'a str>,
    pub name: Option<&'a str>,
}

pub async fn list(conn: &mut AnyConnection, filter: &Filter<'_>, slice: &Slice) -> Result<Batch<System>, DbError> {
    Listing::new(
        "id, department_id, name, purpose, scope, frequency, last_updated_on, maintained_until, last_login_on, \
         replaced_by, recorded_by, recorded_at, created_at",
        "systems",
    )
    .only("department_id", filter.scope)
    .only("department_id", filter.department)
    .only("name", filter.name)
    .page(conn, slice, system)
    .await
}

pub async fn revision(conn: &mut AnyConnection, id: SystemId) -> Result<Option<i64>, DbError> {
    let row = sqlx::query("select revision from systems where id = $1").bind(id.text()).fetch_optional(conn).await?;
    Ok(row.map(|row| row.try_get("revision")).transpose()?)
}

/// False when it is another version by now.
pub async fn update(tx: &mut Tx, id: SystemId, facts: &Facts, by: &str, revision: i64) -> Result<bool, DbError> {
    let now = tx.now().as_microsecond();
    let done = sqlx::query(
        "update systems set name = $2, purpose = $3, scope = $4, frequency = $5, last_updated_on = $6, \
         maintained_until = $7, last_login_on = $8, replaced_by = $9, recorded_by = $10, recorded_at = $11, \
         revision = revision + 1 where id = $1 and revision = $12",
    )
    .bind(id.text())
    .bind(facts.name.as_str())
    .bind(facts.purpose.as_str())
    .bind(facts.scope.map(Scope::word))
    .bind(facts.frequency.map(Frequency::word))
    .bind(facts.last_updated_on.as_ref().map(Date::to_string))
    .bind(facts.maintained_until.as_ref().map(Date::to_string))
    .bind(facts.last_login_on.as_ref().map(Date::to_string))
    .bind(facts.replaced_by.as_deref())
    .bind(by)
    .bind(now)
    .bind(revision)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A system's machines that stand: those that were said to be its own, and, where nobody has said anything, those that were
/// asked for from its wave and those of a project of its name.
pub async fn members(conn: &mut AnyConnection, system: &System) -> Result<Vec<Member>, DbError> {
    let rows = sqlx::query(
        "select machines.id as id, machines.name as name, system_machines.system_id as system_id, \
         (select min(system_id) from system_requests where request_id = machines.request_id) as asked_for, \
         cast(case when ready_at is not null and state <> 'building' then 1 else 0 end as bigint) as ready from machines \
         left join system_machines on system_machines.machine_id = machines.id \
         where machines.department_id = $2 and machines.state not in ('in_bin', 'undone') \
         and (system_machines.system_id = $1 or (system_machines.machine_id is null and (exists ( \
         select 1 from system_requests where request_id = machines.request_id and system_id = $1) or (not exists ( \
         select 1 from system_requests where request_id = machines.request_id) and exists ( \
         select 1 from requests join task_books on task_books.id = requests.task_book_id \
         where requests.id = machines.request_id and task_books.project_name = $3))))) order by machines.id",
    )
    .bind(system.id.text())
    .bind(system.department.text())
    .bind(system.facts.name.as_str())
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let said: Option<String> = row.try_get("system_id")?;
            let asked_for: Option<String> = row.try_get("asked_for")?;
            let tie = match (said, asked_for) {
                (Some(_), _) => Tie::Hand,
                (None, Some(_)) => Tie::Request,
                (None, None) => Tie::Project,
            };
            let ready: i64 = row.try_get("ready")?;
            Ok(Member { machine: parsed(row, "id")?, name: row.try_get("name")?, tie, ready: ready == 1 })
        })
        .collect()
}

/// Says whose a machine is, or that it is none's. False when it was said to be another system's.
pub async fn tie(
    tx: &mut Tx,
    machine: MachineId,
    from: SystemId,
    to: Option<SystemId>,
    by: &str,
) -> Result<bool, DbError> {
    let now = tx.now().as_microsecond();
    let done = sqlx::query(
        "insert into system_machines (machine_id, system_id, set_by, set_at) values ($1, $2, $3, $4) \
         on conflict (machine_id) do update set system_id = excluded.system_id, set_by = excluded.set_by, \
         set_at = excluded.set_at where system_machines.system_id is null or system_machines.system_id = $5",
    )
    .bind(machine.text())
    .bind(to.map(SystemId::text))
    .bind(by)
    .bind(now)
    .bind(from.text())
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}
