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
    pub vcpu: i64,
    pub memory_bytes: i64,
    pub last_at: Option<i64>,
    /// Of today.
    pub open: Option<Open>,
}

pub async fn running(conn: &mut AnyConnection, today: Date) -> Result<Vec<Running>, DbError> {
    let rows = sqlx::query(
        "select machines.id as id, machines.name as name, machines.zone as zone, hosts.provider as provider, \
         claims.vcpu as vcpu, claims.memory_bytes as memory_bytes, usage_meters.last_at as last_at, \
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
                vcpu: row.try_get("vcpu")?,
                memory_bytes: row.try_get("memory_bytes")?,
                last_at: row.try_get("last_at")?,
                // Whoever folds next says that it cannot be read.
                open: state.and_then(|state| Open::decode(&state).ok()),
            })
        })
        .collect()
}
