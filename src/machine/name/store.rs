//! SQL of names. Lease times and times of the next try are the database's clock, as with operations.

use super::{Registration, Wanted, lifecycle::State};
use crate::{
    db::{DbError, Tx, placeholders},
    dns::Entry,
    identity::store::parsed,
    ids::MachineId,
    time::{self, micros},
};
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};
use std::{collections::HashMap, time::Duration};

/// A row in the hands of one registrar.
#[derive(Clone, Debug)]
pub struct Held {
    pub name: Registration,
    /// For so long an update of before may still be carried out.
    pub open_for: Duration,
    epoch: i64,
}

/// What an attempt came to.
#[derive(Clone, Debug)]
pub struct Settled {
    pub to: State,
    pub server: String,
    pub reason: Option<String>,
    pub pause: Duration,
    /// For so long the update of this attempt may still be carried out.
    pub open_for: Duration,
}

fn registration(row: &AnyRow) -> Result<Registration, DbError> {
    let state: State = parsed(row, "state")?;
    let next_try: i64 = row.try_get("next_try")?;
    Ok(Registration {
        entry: Entry {
            fqdn: row.try_get("fqdn")?,
            address: parsed(row, "address")?,
            machine: parsed(row, "machine_id")?,
            operation: parsed(row, "operation_id")?,
        },
        department: parsed(row, "department_id")?,
        zone: row.try_get("zone")?,
        server: row.try_get("server")?,
        reason: row.try_get("reason")?,
        attempts: row.try_get("attempts")?,
        next_try: (next_try > 0 && state.is_open()).then(|| time::from_micros(next_try)),
        updated_at: time::from_micros(row.try_get("updated_at")?),
        state,
    })
}

/// A machine's name is wanted. A row that has been there before is taken up again once its removal is over; before that
/// only by the very same entry, and not while an update of the removal may still be carried out. Answers whether it is on
/// its way now.
pub async fn want(tx: &mut Tx, wanted: &Wanted) -> Result<bool, DbError> {
    let (now, database_now) = (tx.now().as_microsecond(), tx.database_now().await?);
    sqlx::query(
        "insert into names (machine_id, department_id, operation_id, fqdn, address, zone, server, state, created_at, \
         updated_at) values ($1, $2, $3, $4, $5, $6, $7, 'pending', $8, $8) on conflict (machine_id) do update set \
         operation_id = excluded.operation_id, address = excluded.address, zone = excluded.zone, \
         server = excluded.server, state = 'pending', reason = null, attempts = 0, next_try = 0, \
         updated_at = excluded.updated_at where names.state = 'removed' or (names.state in ('removing', \
         'removal_refused') and names.operation_id = excluded.operation_id and names.address = excluded.address \
         and names.lease_until <= $9 and names.open_until <= $9)",
    )
    .bind(wanted.entry.machine.text())
    .bind(wanted.department.text())
    .bind(wanted.entry.operation.text())
    .bind(wanted.entry.fqdn.as_str())
    .bind(wanted.entry.address.to_string())
    .bind(wanted.zone.as_str())
    .bind(wanted.server.to_string())
    .bind(now)
    .bind(database_now)
    .execute(tx.conn())
    .await?;
    let on_its_way: i64 = sqlx::query_scalar(
        "select count(*) from names where machine_id = $1 and operation_id = $2 and address = $3 \
         and state not in ('removing', 'removal_refused', 'removed')",
    )
    .bind(wanted.entry.machine.text())
    .bind(wanted.entry.operation.text())
    .bind(wanted.entry.address.to_string())
    .fetch_one(tx.conn())
    .await?;
    Ok(on_its_way == 1)
}

/// The machine goes: its name is to be removed. For the undoing of a build and for a purge, in their own transaction. A
/// machine without a row, or whose name has gone already, costs nothing. Whoever holds the row keeps it for as long as his
/// update may be under way, so the removal comes after it.
pub async fn withdraw(tx: &mut Tx, machine: MachineId) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    sqlx::query(
        "update names set state = 'removing', reason = null, attempts = 0, next_try = 0, updated_at = $2 \
         where machine_id = $1 and state not in ('removing', 'removed')",
    )
    .bind(machine.text())
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Has it tried at once, in the state that it is to be tried in. False when it is no longer in the state that this was
/// decided on.
pub async fn again(tx: &mut Tx, machine: MachineId, from: State, to: State) -> Result<bool, DbError> {
    let now = tx.now().as_microsecond();
    let done = sqlx::query(
        "update names set state = $3, reason = null, attempts = 0, next_try = 0, updated_at = $4 \
         where machine_id = $1 and state = $2",
    )
    .bind(machine.text())
    .bind(from.word())
    .bind(to.word())
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Everything that is open is tried now: a broker that has just started may have other settings.
pub async fn hurry(tx: &mut Tx) -> Result<(), DbError> {
    sqlx::query("update names set next_try = 0 where state not in ('registered', 'removed') and next_try > 0")
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Takes the name that has waited longest of those that nobody holds and whose time has come. A name that is still to be
/// removed for an earlier machine goes first. The condition stands twice: a second broker that waited for the row must see
/// that it is taken. Who held it last and never let go may have sent an update, which may be carried out for as long as
/// `memory` still.
pub async fn take(tx: &mut Tx, lease: Duration, memory: Duration) -> Result<Option<Held>, DbError> {
    let now = tx.database_now().await?;
    let row = sqlx::query(
        "update names set lease_until = $1, epoch = epoch + 1, attempts = attempts + 1, \
         open_until = case when lease_until > 0 and lease_until + $3 > open_until then lease_until + $3 \
         else open_until end \
         where machine_id = (select n.machine_id from names n where n.state not in ('registered', 'removed') \
         and n.next_try <= $2 and n.lease_until <= $2 and (n.state in ('removing', 'removal_refused') or not exists \
         (select 1 from names o where o.fqdn = n.fqdn and o.state = 'removing')) \
         order by n.next_try, n.machine_id limit 1) and lease_until <= $2 and state not in ('registered', 'removed') \
         returning machine_id, department_id, operation_id, fqdn, address, zone, server, state, reason, attempts, \
         next_try, updated_at, open_until, epoch",
    )
    .bind(now + micros(lease))
    .bind(now)
    .bind(micros(memory))
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let open_for = row.try_get::<i64, _>("open_until")? - now;
    let open_for = Duration::from_micros(u64::try_from(open_for).unwrap_or_default());
    Ok(Some(Held { name: registration(&row)?, open_for, epoch: row.try_get("epoch")? }))
}

/// Writes what an attempt came to. False when the row is no longer what it was when it was taken: somebody wants something else
/// of it by now, or another broker has it.
pub async fn settle(tx: &mut Tx, held: &Held, settled: &Settled) -> Result<bool, DbError> {
    let (now, database_now) = (tx.now().as_microsecond(), tx.database_now().await?);
    let done = sqlx::query(
        "update names set state = $4, server = $5, reason = $6, next_try = $7, lease_until = 0, \
         updated_at = case when state = $4 then updated_at else $8 end, \
         open_until = case when $9 > open_until then $9 else open_until end \
         where machine_id = $1 and epoch = $2 and state = $3",
    )
    .bind(held.name.machine().text())
    .bind(held.epoch)
    .bind(held.name.state.word())
    .bind(settled.to.word())
    .bind(settled.server.as_str())
    .bind(settled.reason.as_deref())
    .bind(database_now + micros(settled.pause))
    .bind(now)
    .bind(if settled.open_for.is_zero() { 0 } else { database_now + micros(settled.open_for) })
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Lets go of a row of which somebody wants something else by now. False when another broker has it.
pub async fn release(tx: &mut Tx, held: &Held) -> Result<bool, DbError> {
    let done = sqlx::query("update names set lease_until = 0 where machine_id = $1 and epoch = $2")
        .bind(held.name.machine().text())
        .bind(held.epoch)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// A name that goes or has gone is to be removed once more, because an update may have come late. Whoever is at work on it
/// loses it; his lease runs out first. True when the name was going at all.
pub async fn reopen(tx: &mut Tx, machine: MachineId, open_for: Duration) -> Result<bool, DbError> {
    let (now, open_until) = (tx.now().as_microsecond(), tx.database_now().await? + micros(open_for));
    let done = sqlx::query(
        "update names set state = 'removing', attempts = 0, next_try = 0, epoch = epoch + 1, updated_at = $2, \
         open_until = $3 \
         where machine_id = $1 and state in ('removing', 'removal_refused', 'removed')",
    )
    .bind(machine.text())
    .bind(now)
    .bind(open_until)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn find(conn: &mut AnyConnection, machine: MachineId) -> Result<Option<Registration>, DbError> {
    let row = sqlx::query(
        "select machine_id, department_id, operation_id, fqdn, address, zone, server, state, reason, attempts, \
         next_try, updated_at from names where machine_id = $1",
    )
    .bind(machine.text())
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(registration).transpose()
}

/// The names of these machines.
pub async fn of(conn: &mut AnyConnection, machines: &[MachineId]) -> Result<HashMap<MachineId, Registration>, DbError> {
    if machines.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = format!(
        "select machine_id, department_id, operation_id, fqdn, address, zone, server, state, reason, attempts, \
         next_try, updated_at from names where machine_id in {}",
        placeholders(1, machines.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for machine in machines {
        query = query.bind(machine.text());
    }
    let rows = query.fetch_all(conn).await?;
    rows.iter().map(|row| registration(row).map(|name| (name.machine(), name))).collect()
}

/// How many names are in which state.
pub async fn count(conn: &mut AnyConnection) -> Result<Vec<(State, i64)>, DbError> {
    let rows = sqlx::query("select state, count(*) as number from names group by state").fetch_all(conn).await?;
    rows.iter().map(|row| Ok((parsed(row, "state")?, row.try_get("number")?))).collect()
}
