//! SQL of the gauges.

use crate::{
    db::{DbError, placeholders},
    usage::{Metric, Open, store::number},
};
use jiff::civil::Date;
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};
use std::collections::HashMap;

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

fn sum(row: &AnyRow) -> Result<Sum, DbError> {
    Ok(Sum {
        zone: row.try_get("zone")?,
        provider: row.try_get("provider")?,
        vcpu: row.try_get("vcpu")?,
        memory_bytes: row.try_get("memory_bytes")?,
        disk_bytes: row.try_get("disk_bytes")?,
    })
}

/// What machines hold of hosts. A host's kind is looked up beside the statement: what the planner takes for a table of one
/// row it reads through for each claim.
pub async fn allocated(conn: &mut AnyConnection, hosts: &Hosts) -> Result<Vec<Sum>, DbError> {
    let rows = sqlx::query(
        "select machines.zone as zone, claims.host_id as host_id, \
         cast(sum(claims.vcpu * claims.compute_held) as bigint) as vcpu, \
         cast(sum(claims.memory_bytes * claims.compute_held) as bigint) as memory_bytes, \
         cast(sum(claims.disk_bytes * claims.storage_held) as bigint) as disk_bytes from claims \
         join machines on machines.id = claims.machine_id \
         where claims.storage_held = 1 group by machines.zone, claims.host_id",
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let host: &str = row.try_get("host_id")?;
            // One that was added since the hosts were read counts from the next look on.
            let provider = hosts.get(host).map_or_else(|| "none".to_owned(), |(_, provider)| provider.clone());
            Ok(Sum {
                zone: row.try_get("zone")?,
                provider,
                vcpu: row.try_get("vcpu")?,
                memory_bytes: row.try_get("memory_bytes")?,
                disk_bytes: row.try_get("disk_bytes")?,
            })
        })
        .collect()
}

/// Names and kinds of provider, by the host's id.
pub type Hosts = HashMap<String, (String, String)>;

pub async fn hosts(conn: &mut AnyConnection) -> Result<Hosts, DbError> {
    let rows = sqlx::query("select id, name, provider from hosts").fetch_all(conn).await?;
    rows.iter().map(|row| Ok((row.try_get("id")?, (row.try_get("name")?, row.try_get("provider")?)))).collect()
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

/// A machine that runs, and how far measuring it has come.
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
    /// Whether the day under way is today.
    pub today: bool,
    /// Of today; the reader puts it here.
    pub mean: Option<Mean>,
}

/// What a machine used on average over the day so far, as shares of what it has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    pub cpu: f64,
    pub memory: Option<f64>,
}

/// The same as amounts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Used {
    pub vcpus: f64,
    pub memory_bytes: Option<f64>,
}

impl Running {
    /// On average over the day so far.
    #[allow(clippy::cast_precision_loss, reason = "sizes are below 2^53")]
    pub fn used(&self) -> Option<Used> {
        let Mean { cpu, memory } = self.mean?;
        let memory_bytes = memory.map(|share| share * self.memory_bytes as f64);
        Some(Used { vcpus: cpu * self.vcpu as f64, memory_bytes })
    }
}

impl Mean {
    fn of(open: &Open) -> Option<Self> {
        let day = open.so_far()?;
        let share = |metric| day.mean(metric).map(|percent| percent / 100.0);
        Some(Self { cpu: share(Metric::Cpu)?, memory: share(Metric::Memory) })
    }
}

/// Machines that run, and beside them how far measuring has come: each table is gone through once, whatever the planner
/// believes of its size.
pub async fn running(conn: &mut AnyConnection, today: Date, hosts: &Hosts) -> Result<Vec<Running>, DbError> {
    let mut meters: HashMap<String, (Option<i64>, bool)> = HashMap::new();
    for row in &sqlx::query("select subject_id, last_at, open_day from usage_meters").fetch_all(&mut *conn).await? {
        let day: Option<i64> = row.try_get("open_day")?;
        meters.insert(row.try_get("subject_id")?, (row.try_get("last_at")?, day == Some(number(today))));
    }
    let rows = sqlx::query(
        "select machines.id as id, machines.name as name, machines.zone as zone, machines.host_id as host_id, \
         claims.vcpu as vcpu, claims.memory_bytes as memory_bytes from machines \
         join claims on claims.machine_id = machines.id where machines.state = 'running'",
    )
    .fetch_all(conn)
    .await?;
    let machine = |row: &AnyRow| {
        // One on a host that was added since the hosts were read counts from the next look on.
        let Some((host, provider)) = hosts.get(row.try_get::<&str, _>("host_id")?).cloned() else { return Ok(None) };
        let (last_at, today) = meters.get(row.try_get::<&str, _>("id")?).copied().unwrap_or_default();
        Ok(Some(Running {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            zone: row.try_get("zone")?,
            provider,
            host,
            vcpu: row.try_get("vcpu")?,
            memory_bytes: row.try_get("memory_bytes")?,
            last_at,
            today,
            mean: None,
        }))
    };
    rows.iter().filter_map(|row| machine(row).transpose()).collect()
}

/// What some machines used today, each with the reading up to which that is so.
pub async fn means(
    conn: &mut AnyConnection,
    today: Date,
    machines: &[&str],
) -> Result<Vec<(String, Option<i64>, Option<Mean>)>, DbError> {
    if machines.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        // Of machines by their ids: the index of days under way would lead through all there are.
        "select subject_id, last_at, state from usage_meters where open_day + 0 = ${} and subject_id in {}",
        machines.len() + 1,
        placeholders(1, machines.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for machine in machines {
        query = query.bind(*machine);
    }
    let rows = query.bind(number(today)).fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            let state: &[u8] = row.try_get("state")?;
            // Whoever folds next says that it cannot be read.
            let mean = Open::decode(state).ok().as_ref().and_then(Mean::of);
            Ok((row.try_get("subject_id")?, row.try_get("last_at")?, mean))
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
