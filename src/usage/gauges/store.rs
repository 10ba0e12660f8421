//! SQL of the gauges.

use crate::{
    db::{DbError, placeholders},
    usage::{Open, store::number},
};
use jiff::civil::Date;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

/// A request that counts, and on which kind of provider its first machine is, if it has one.
#[derive(Clone, Debug)]
pub struct Asked {
    pub id: String,
    pub state: String,
    pub provider: Option<String>,
}

pub async fn asked(conn: &mut AnyConnection) -> Result<Vec<Asked>, DbError> {
    let rows = sqlx::query(
        "select requests.id as id, requests.state as state, hosts.provider as provider from requests \
         left join machines on machines.request_id = requests.id and machines.ordinal = 0 \
         left join hosts on hosts.id = machines.host_id \
         where requests.state in ('submitted', 'approved', 'delivered')",
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Asked { id: row.try_get("id")?, state: row.try_get("state")?, provider: row.try_get("provider")? })
        })
        .collect()
}

/// The blocks of some requests, as JSON.
pub async fn blocks(conn: &mut AnyConnection, requests: &[String]) -> Result<Vec<(String, String)>, DbError> {
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("select id, block from requests where id in {}", placeholders(1, requests.len()));
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for request in requests {
        query = query.bind(request.as_str());
    }
    let rows = query.fetch_all(conn).await?;
    rows.iter().map(|row| Ok((row.try_get("id")?, row.try_get("block")?))).collect()
}

/// A sum over one zone and one kind of provider.
#[derive(Clone, Debug)]
pub struct Sum {
    pub zone: String,
    pub provider: String,
    pub vcpu: i64,
    pub memory_bytes: i64,
    pub disk_bytes: i64,
}

fn sum(row: &sqlx::any::AnyRow) -> Result<Sum, DbError> {
    Ok(Sum {
        zone: row.try_get("zone")?,
        provider: row.try_get("provider")?,
        vcpu: row.try_get("vcpu")?,
        memory_bytes: row.try_get("memory_bytes")?,
        disk_bytes: row.try_get("disk_bytes")?,
    })
}

/// What machines hold of hosts.
pub async fn allocated(conn: &mut AnyConnection) -> Result<Vec<Sum>, DbError> {
    let rows = sqlx::query(
        "select machines.zone as zone, hosts.provider as provider, \
         cast(sum(claims.vcpu * claims.compute_held) as bigint) as vcpu, \
         cast(sum(claims.memory_bytes * claims.compute_held) as bigint) as memory_bytes, \
         cast(sum(claims.disk_bytes * claims.storage_held) as bigint) as disk_bytes from claims \
         join machines on machines.id = claims.machine_id join hosts on hosts.id = claims.host_id \
         where claims.storage_held = 1 group by machines.zone, hosts.provider",
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(sum).collect()
}

/// What hosts have to give out. A host counts in each of its zones.
pub async fn physical(conn: &mut AnyConnection) -> Result<Vec<Sum>, DbError> {
    let rows = sqlx::query(
        "select host_networks.zone as zone, hosts.provider as provider, \
         cast(sum(hosts.limit_vcpu) as bigint) as vcpu, \
         cast(sum(hosts.limit_memory_bytes) as bigint) as memory_bytes, \
         cast(sum(hosts.limit_disk_bytes) as bigint) as disk_bytes from hosts \
         join host_networks on host_networks.host_id = hosts.id group by host_networks.zone, hosts.provider",
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(sum).collect()
}

/// A machine that runs, and what is remembered of its use.
#[derive(Clone, Debug)]
pub struct Running {
    pub id: String,
    pub name: String,
    pub zone: String,
    pub provider: String,
    pub host: String,
    pub vcpu: i64,
    pub memory_bytes: i64,
    pub last_at: Option<i64>,
    /// Of today.
    pub open: Option<Open>,
}

pub async fn running(conn: &mut AnyConnection, today: Date) -> Result<Vec<Running>, DbError> {
    let rows = sqlx::query(
        "select machines.id as id, machines.name as name, machines.zone as zone, hosts.provider as provider, \
         hosts.name as host, claims.vcpu as vcpu, claims.memory_bytes as memory_bytes, usage_meters.last_at as last_at, \
         case when usage_meters.open_day = $1 then usage_meters.state end as state from machines \
         join hosts on hosts.id = machines.host_id join claims on claims.machine_id = machines.id \
         left join usage_meters on usage_meters.subject_id = machines.id where machines.state = 'running'",
    )
    .bind(number(today))
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let state: Option<Vec<u8>> = row.try_get("state")?;
            Ok(Running {
                id: row.try_get("id")?,
                name: row.try_get("name")?,
                zone: row.try_get("zone")?,
                provider: row.try_get("provider")?,
                host: row.try_get("host")?,
                vcpu: row.try_get("vcpu")?,
                memory_bytes: row.try_get("memory_bytes")?,
                last_at: row.try_get("last_at")?,
                // Whoever folds next says that it cannot be read.
                open: state.and_then(|state| Open::decode(&state).ok()),
            })
        })
        .collect()
}

/// Operations of one kind and state that have no end yet.
#[derive(Clone, Debug)]
pub struct Unfinished {
    pub kind: String,
    pub state: String,
    pub number: i64,
    /// When the oldest was begun.
    pub oldest: Option<i64>,
}

pub async fn operations(conn: &mut AnyConnection) -> Result<Vec<Unfinished>, DbError> {
    let rows = sqlx::query(
        "select kind, state, count(*) as number, cast(min(created_at) as bigint) as oldest from operations \
         where finished_at is null group by kind, state",
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Unfinished {
                kind: row.try_get("kind")?,
                state: row.try_get("state")?,
                number: row.try_get("number")?,
                oldest: row.try_get("oldest")?,
            })
        })
        .collect()
}

/// Requests that somebody waits for: state, number, and since when the oldest is in it (an approved one: since its
/// decision).
pub async fn requests(conn: &mut AnyConnection) -> Result<Vec<(String, i64, Option<i64>)>, DbError> {
    let rows = sqlx::query(
        "select state, count(*) as number, \
         cast(min(case when state = 'submitted' then submitted_at else decided_at end) as bigint) as oldest \
         from requests where state in ('submitted', 'approved', 'cancelling') group by state",
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("state")?, row.try_get("number")?, row.try_get("oldest")?))).collect()
}

/// Machines by state.
pub async fn machines(conn: &mut AnyConnection) -> Result<Vec<(String, i64)>, DbError> {
    let rows = sqlx::query("select state, count(*) as number from machines group by state").fetch_all(conn).await?;
    rows.iter().map(|row| Ok((row.try_get("state")?, row.try_get("number")?))).collect()
}

/// Findings about zombie systems by state.
pub async fn findings(conn: &mut AnyConnection) -> Result<Vec<(String, i64)>, DbError> {
    let rows =
        sqlx::query("select state, count(*) as number from zombie_findings group by state").fetch_all(conn).await?;
    rows.iter().map(|row| Ok((row.try_get("state")?, row.try_get("number")?))).collect()
}

/// What is claimed of a task book in force, and what it allows, by indicator.
#[derive(Clone, Debug)]
pub struct Book {
    pub number: String,
    pub department: String,
    /// Machines, vCPUs, memory, disk: used, then allowed.
    pub indicators: [(i64, i64); 4],
}

pub async fn task_books(conn: &mut AnyConnection, today: Date) -> Result<Vec<Book>, DbError> {
    let rows = sqlx::query(
        "select task_books.number as number, departments.name as department, used_machines, limit_machines, \
         used_vcpu, limit_vcpu, used_memory_bytes, limit_memory_bytes, used_disk_bytes, limit_disk_bytes \
         from task_books join departments on departments.id = task_books.department_id \
         where revoked_at is null and valid_from <= $1 and valid_until >= $1",
    )
    .bind(today.to_string())
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Book {
                number: row.try_get("number")?,
                department: row.try_get("department")?,
                indicators: [
                    (row.try_get("used_machines")?, row.try_get("limit_machines")?),
                    (row.try_get("used_vcpu")?, row.try_get("limit_vcpu")?),
                    (row.try_get("used_memory_bytes")?, row.try_get("limit_memory_bytes")?),
                    (row.try_get("used_disk_bytes")?, row.try_get("limit_disk_bytes")?),
                ],
            })
        })
        .collect()
}
