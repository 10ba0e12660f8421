//! SQL of waves and blackouts, and of what zones have to give.

use super::{Amount, Blackout, Days, Node, Wave};
use crate::{
    db::{DbError, Tx},
    identity::{
        Department,
        store::{parsed, parsed_opt},
    },
    ids::{BlackoutId, SystemId, WaveId},
    labels::Zone,
    migration::fate::Trigger,
    time,
};
use jiff::civil::Date;
use sqlx::{AnyConnection, Row};
use std::collections::BTreeMap;

/// All of them, with their systems.
pub async fn waves(conn: &mut AnyConnection) -> Result<BTreeMap<WaveId, Wave>, DbError> {
    let rows =
        sqlx::query("select id, name, day_from, day_to, note, created_at from waves").fetch_all(&mut *conn).await?;
    let mut waves = BTreeMap::new();
    for row in &rows {
        let wave = Wave {
            id: parsed(row, "id")?,
            name: row.try_get("name")?,
            window: Days { from: parsed(row, "day_from")?, to: parsed(row, "day_to")? },
            note: row.try_get("note")?,
            systems: BTreeMap::new(),
            created_at: time::from_micros(row.try_get("created_at")?),
        };
        waves.insert(wave.id, wave);
    }
    let rows = sqlx::query("select wave_id, system_id, node, node_on from wave_systems").fetch_all(conn).await?;
    for row in &rows {
        let (wave, system): (WaveId, SystemId) = (parsed(row, "wave_id")?, parsed(row, "system_id")?);
        let node = Node { trigger: parsed_opt(row, "node")?, on: parsed_opt(row, "node_on")? };
        if let Some(wave) = waves.get_mut(&wave) {
            wave.systems.insert(system, node);
        }
    }
    Ok(waves)
}

/// Writes a wave as it is from now on.
pub async fn put(tx: &mut Tx, wave: &Wave) -> Result<(), DbError> {
    sqlx::query(
        "insert into waves (id, name, day_from, day_to, note, created_at) values ($1, $2, $3, $4, $5, $6) \
         on conflict (id) do update set name = excluded.name, day_from = excluded.day_from, \
         day_to = excluded.day_to, note = excluded.note",
    )
    .bind(wave.id.text())
    .bind(wave.name.as_str())
    .bind(wave.window.from.to_string())
    .bind(wave.window.to.to_string())
    .bind(wave.note.as_deref())
    .bind(wave.created_at.as_microsecond())
    .execute(tx.conn())
    .await?;
    sqlx::query("delete from wave_systems where wave_id = $1").bind(wave.id.text()).execute(tx.conn()).await?;
    for (system, node) in &wave.systems {
        sqlx::query("insert into wave_systems (wave_id, system_id, node, node_on) values ($1, $2, $3, $4)")
            .bind(wave.id.text())
            .bind(system.text())
            .bind(node.trigger.map(Trigger::word))
            .bind(node.on.as_ref().map(Date::to_string))
            .execute(tx.conn())
            .await?;
    }
    Ok(())
}

pub async fn remove(tx: &mut Tx, wave: WaveId) -> Result<(), DbError> {
    sqlx::query("delete from wave_systems where wave_id = $1").bind(wave.text()).execute(tx.conn()).await?;
    sqlx::query("delete from waves where id = $1").bind(wave.text()).execute(tx.conn()).await?;
    Ok(())
}

pub async fn blackouts(conn: &mut AnyConnection) -> Result<BTreeMap<BlackoutId, Blackout>, DbError> {
    let rows = sqlx::query(
        "select blackouts.id as id, department_id, day_from, day_to, reason, created_by, \
         blackouts.created_at as created_at, code, name from blackouts \
         left join departments on departments.id = department_id",
    )
    .fetch_all(conn)
    .await?;
    let mut blackouts = BTreeMap::new();
    for row in &rows {
        let unit = match parsed_opt(row, "department_id")? {
            Some(id) => Some(Department { id, code: row.try_get("code")?, name: row.try_get("name")? }),
            None => None,
        };
        let blackout = Blackout {
            id: parsed(row, "id")?,
            unit,
            days: Days { from: parsed(row, "day_from")?, to: parsed(row, "day_to")? },
            reason: row.try_get("reason")?,
            by: row.try_get("created_by")?,
            created_at: time::from_micros(row.try_get("created_at")?),
        };
        blackouts.insert(blackout.id, blackout);
    }
    Ok(blackouts)
}

pub async fn insert_blackout(tx: &mut Tx, blackout: &Blackout) -> Result<(), DbError> {
    sqlx::query(
        "insert into blackouts (id, department_id, day_from, day_to, reason, created_by, created_at) \
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(blackout.id.text())
    .bind(blackout.unit.as_ref().map(|unit| unit.id.text()))
    .bind(blackout.days.from.to_string())
    .bind(blackout.days.to.to_string())
    .bind(blackout.reason.as_str())
    .bind(blackout.by.as_str())
    .bind(blackout.created_at.as_microsecond())
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn remove_blackout(tx: &mut Tx, blackout: BlackoutId) -> Result<(), DbError> {
    sqlx::query("delete from blackouts where id = $1").bind(blackout.text()).execute(tx.conn()).await?;
    Ok(())
}

/// What machines hold, by their zone and the last day of their lease.
pub async fn leases(conn: &mut AnyConnection) -> Result<Vec<(Zone, Date, Amount)>, DbError> {
    let rows = sqlx::query(
        "select machines.zone as zone, lease_end, cast(sum(claims.vcpu * compute_held) as bigint) as vcpu, \
         cast(sum(claims.memory_bytes * compute_held) as bigint) as memory_bytes, \
         cast(sum(claims.disk_bytes * storage_held) as bigint) as disk_bytes \
         from claims join machines on machines.id = machine_id where storage_held = 1 \
         group by machines.zone, lease_end",
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let zone: String = row.try_get("zone")?;
            let zone = zone.parse().map_err(|_| DbError::Corrupt { what: "machines.zone".to_owned() })?;
            let amount = Amount {
                vcpu: row.try_get("vcpu")?,
                memory_bytes: row.try_get("memory_bytes")?,
                disk_bytes: row.try_get("disk_bytes")?,
            };
            Ok((zone, parsed(row, "lease_end")?, amount))
        })
        .collect()
}
