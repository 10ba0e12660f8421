//! SQL of sealed passwords.

use crate::{
    db::{DbError, Tx},
    identity::store::parsed,
    ids::MachineId,
    secret::Sealed,
};
use sqlx::{AnyConnection, Row};

/// Keeps a machine's password; the one of a former life goes.
pub async fn keep(tx: &mut Tx, machine: MachineId, sealed: &Sealed) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    sqlx::query(
        "insert into machine_secrets (machine_id, key_id, sealed, made_at) values ($1, $2, $3, $4) \
         on conflict (machine_id) do update set key_id = excluded.key_id, sealed = excluded.sealed, \
         made_at = excluded.made_at",
    )
    .bind(machine.text())
    .bind(sealed.key_id.as_str())
    .bind(sealed.text.as_str())
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The machine's password, as long as it has not been handed over.
pub async fn find(conn: &mut AnyConnection, machine: MachineId) -> Result<Option<Sealed>, DbError> {
    let row = sqlx::query("select key_id, sealed from machine_secrets where machine_id = $1")
        .bind(machine.text())
        .fetch_optional(conn)
        .await?;
    row.map(|row| Ok(Sealed { key_id: row.try_get("key_id")?, text: row.try_get("sealed")? })).transpose()
}

/// Takes this very password away. False when somebody has been quicker, or it is another one by now.
pub async fn take(tx: &mut Tx, machine: MachineId, sealed: &Sealed) -> Result<bool, DbError> {
    let done = sqlx::query("delete from machine_secrets where machine_id = $1 and sealed = $2")
        .bind(machine.text())
        .bind(sealed.text.as_str())
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// A machine that is no more has no password.
pub async fn forget(tx: &mut Tx, machine: MachineId) -> Result<(), DbError> {
    sqlx::query("delete from machine_secrets where machine_id = $1").bind(machine.text()).execute(tx.conn()).await?;
    Ok(())
}

/// Machines within this range of ids whose password is still kept.
pub async fn kept(conn: &mut AnyConnection, first: MachineId, last: MachineId) -> Result<Vec<MachineId>, DbError> {
    let rows = sqlx::query("select machine_id from machine_secrets where machine_id >= $1 and machine_id <= $2")
        .bind(first.text())
        .bind(last.text())
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| parsed(row, "machine_id")).collect()
}

/// How many passwords another key has sealed.
pub async fn of_other_keys(conn: &mut AnyConnection, key_id: &str) -> Result<i64, DbError> {
    let row = sqlx::query("select count(*) as n from machine_secrets where key_id <> $1")
        .bind(key_id)
        .fetch_one(conn)
        .await?;
    Ok(row.try_get("n")?)
}
