//! SQL of the capacity report, beside that of the gauges.

use super::{Amount, Host, OpenAlarm, Owner, Pace, UnderWay};
use crate::{
    capacity::standing::{Contact, Standing},
    db::{DbError, placeholders},
    identity::store::parsed,
    time,
};
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};
use std::collections::{BTreeMap, HashMap};

fn amount(row: &AnyRow, columns: [&str; 3]) -> Result<Amount, DbError> {
    let [vcpu, memory, disk] = columns;
    Ok(Amount { vcpu: row.try_get(vcpu)?, memory_bytes: row.try_get(memory)?, disk_bytes: row.try_get(disk)? })
}

pub async fn hosts(conn: &mut AnyConnection) -> Result<Vec<Host>, DbError> {
    let mut zones: HashMap<String, Vec<String>> = HashMap::new();
    for row in
        &sqlx::query("select host_id, zone from host_networks order by host_id, zone").fetch_all(&mut *conn).await?
    {
        zones.entry(row.try_get("host_id")?).or_default().push(row.try_get("zone")?);
    }
    let rows = sqlx::query(
        "select id, name, provider, state, contact, draining, limit_vcpu, limit_memory_bytes, limit_disk_bytes, \
         used_vcpu, used_memory_bytes, used_disk_bytes from hosts order by name",
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let standing = Standing {
                cordoned: row.try_get::<&str, _>("state")? == "cordoned",
                draining: row.try_get::<i64, _>("draining")? == 1,
                contact: parsed::<Contact>(row, "contact")?,
                ..Standing::default()
            };
            Ok(Host {
                name: row.try_get("name")?,
                provider: row.try_get("provider")?,
                state: standing.state(),
                zones: zones.remove(row.try_get::<&str, _>("id")?).unwrap_or_default(),
                physical: amount(row, ["limit_vcpu", "limit_memory_bytes", "limit_disk_bytes"])?,
                allocated: amount(row, ["used_vcpu", "used_memory_bytes", "used_disk_bytes"])?,
            })
        })
        .collect()
}

/// By zone. What was resized since that day counts as large as it is now.
pub async fn paces(conn: &mut AnyConnection, day: i64) -> Result<BTreeMap<String, Pace>, DbError> {
    let rows = sqlx::query(
        "select machines.zone as zone, cast(min(machines.created_at) as bigint) as since, \
         cast(sum(case when machines.created_at >= $1 then claims.vcpu * claims.compute_held else 0 end) as bigint) as came_vcpu, \
         cast(sum(case when machines.created_at >= $1 then claims.memory_bytes * claims.compute_held else 0 end) as bigint) as came_memory, \
         cast(sum(case when machines.created_at >= $1 then claims.disk_bytes * claims.storage_held else 0 end) as bigint) as came_disk, \
         cast(sum(case when machines.created_at < $1 and machines.binned_at >= $1 then claims.vcpu * (1 - claims.compute_held) else 0 end) as bigint) as went_vcpu, \
         cast(sum(case when machines.created_at < $1 and machines.binned_at >= $1 then claims.memory_bytes * (1 - claims.compute_held) else 0 end) as bigint) as went_memory, \
         cast(sum(case when machines.created_at < $1 and machines.binned_at >= $1 then claims.disk_bytes * (1 - claims.storage_held) else 0 end) as bigint) as went_disk \
         from machines join claims on claims.machine_id = machines.id group by machines.zone",
    )
    .bind(day)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let pace = Pace {
                since: row.try_get("since")?,
                came: amount(row, ["came_vcpu", "came_memory", "came_disk"])?,
                went: amount(row, ["went_vcpu", "went_memory", "went_disk"])?,
            };
            Ok((row.try_get("zone")?, pace))
        })
        .collect()
}

/// The oldest that have no end yet.
pub async fn operations(conn: &mut AnyConnection, most: i64) -> Result<Vec<UnderWay>, DbError> {
    let rows = sqlx::query(
        "select operations.id as id, operations.kind as kind, operations.state as state, operations.current_step as step, \
         operations.steps_done as done, operations.steps_total as total, operations.created_at as created_at, \
         departments.name as department, machines.name as machine from operations \
         join departments on departments.id = operations.department_id \
         left join machines on machines.id = operations.machine_id \
         where operations.finished_at is null order by operations.created_at, operations.id limit $1",
    )
    .bind(most)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let (done, total): (i64, i64) = (row.try_get("done")?, row.try_get("total")?);
            Ok(UnderWay {
                id: row.try_get("id")?,
                kind: row.try_get("kind")?,
                state: row.try_get("state")?,
                department: row.try_get("department")?,
                machine: row.try_get("machine")?,
                step: row.try_get("step")?,
                percent: done.saturating_mul(100).checked_div(total).unwrap_or(0).clamp(0, 100),
                created_at: time::from_micros(row.try_get("created_at")?),
            })
        })
        .collect()
}

/// The newest that nobody has cleared.
pub async fn alarms(conn: &mut AnyConnection, most: i64) -> Result<Vec<OpenAlarm>, DbError> {
    let rows = sqlx::query(
        "select alarms.id as id, alarms.kind as kind, alarms.name as name, coalesce(hosts.name, '') as host, \
         alarms.acknowledged_at as acknowledged_at, alarms.first_seen_at as first_seen_at from alarms \
         left join hosts on hosts.id = alarms.host_id where alarms.cleared_at is null \
         order by alarms.first_seen_at desc, alarms.id limit $1",
    )
    .bind(most)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(OpenAlarm {
                id: row.try_get("id")?,
                kind: row.try_get("kind")?,
                host: row.try_get("host")?,
                name: row.try_get("name")?,
                acknowledged: row.try_get::<Option<i64>, _>("acknowledged_at")?.is_some(),
                first_seen_at: time::from_micros(row.try_get("first_seen_at")?),
            })
        })
        .collect()
}

/// Alarms that nobody has cleared; of those, the ones that nobody has looked at, and since when the oldest of these is there.
pub async fn alarms_open(conn: &mut AnyConnection) -> Result<(i64, i64, Option<i64>), DbError> {
    let row = sqlx::query(
        "select count(*) as open, \
         cast(coalesce(sum(case when acknowledged_at is null then 1 else 0 end), 0) as bigint) as unseen, \
         cast(min(case when acknowledged_at is null then first_seen_at end) as bigint) as oldest \
         from alarms where cleared_at is null",
    )
    .fetch_one(conn)
    .await?;
    Ok((row.try_get("open")?, row.try_get("unseen")?, row.try_get("oldest")?))
}

/// Since when the host is silent that has been longest.
pub async fn silent_since(conn: &mut AnyConnection) -> Result<Option<i64>, DbError> {
    let row = sqlx::query("select cast(min(contact_since) as bigint) as since from hosts where contact = 'unknown'")
        .fetch_one(conn)
        .await?;
    Ok(row.try_get("since")?)
}

/// Whose some machines are.
pub async fn owners(conn: &mut AnyConnection, machines: &[&str]) -> Result<BTreeMap<String, Owner>, DbError> {
    if machines.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sql = format!(
        "select machines.id as id, departments.name as department, systems.name as system from machines \
         join departments on departments.id = machines.department_id \
         left join system_machines on system_machines.machine_id = machines.id \
         left join systems on systems.id = system_machines.system_id where machines.id in {}",
        placeholders(1, machines.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for machine in machines {
        query = query.bind(*machine);
    }
    let rows = query.fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            let owner = Owner { department: row.try_get("department")?, system: row.try_get("system")? };
            Ok((row.try_get("id")?, owner))
        })
        .collect()
}
