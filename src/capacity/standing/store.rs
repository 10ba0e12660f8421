//! SQL of how hosts stand. Every change names what it changes from, so that two brokers tell the same story once.

use super::Contact;
use crate::{
    db::{DbError, Tx},
    ids::HostId,
};
use sqlx::AnyConnection;

/// What is wanted of a host. False when that was wanted already.
pub async fn set_cordoned(tx: &mut Tx, host: HostId, cordoned: bool) -> Result<bool, DbError> {
    let (to, from) = if cordoned { ("cordoned", "active") } else { ("active", "cordoned") };
    let done = sqlx::query("update hosts set state = $2 where id = $1 and state = $3")
        .bind(host.text())
        .bind(to)
        .bind(from)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Begins to move a host's machines away; it takes nothing new from now on. Answers how many there are, or `None` when it
/// is being drained already.
pub async fn begin_drain(tx: &mut Tx, host: HostId) -> Result<Option<i64>, DbError> {
    let now = tx.now().as_microsecond();
    let total: Option<i64> = sqlx::query_scalar(
        "update hosts set state = 'cordoned', draining = 1, drain_started_at = $2, drain_total = \
         (select count(*) from claims where claims.host_id = hosts.id and compute_held = 1) \
         where id = $1 and draining = 0 returning drain_total",
    )
    .bind(host.text())
    .bind(now)
    .fetch_optional(tx.conn())
    .await?;
    Ok(total)
}

/// Ends it, for whatever reason; the host stays cordoned.
pub async fn end_drain(tx: &mut Tx, host: HostId) -> Result<bool, DbError> {
    let done = sqlx::query("update hosts set draining = 0 where id = $1 and draining = 1")
        .bind(host.text())
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// What was learnt of whether it answers. False when it is not in the state that this was decided on.
pub async fn set_contact(
    tx: &mut Tx,
    host: HostId,
    from: Contact,
    to: Contact,
    reason: Option<&str>,
) -> Result<bool, DbError> {
    let now = tx.now().as_microsecond();
    let done = sqlx::query(
        "update hosts set contact = $3, contact_since = $4, contact_reason = $5 where id = $1 and contact = $2",
    )
    .bind(host.text())
    .bind(from.word())
    .bind(to.word())
    .bind(now)
    .bind(reason)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether a host is proven to be off.
pub async fn is_fenced(conn: &mut AnyConnection, host: HostId) -> Result<bool, DbError> {
    let fenced: i64 = sqlx::query_scalar("select count(*) from hosts where id = $1 and contact = 'fenced'")
        .bind(host.text())
        .fetch_one(conn)
        .await?;
    Ok(fenced == 1)
}

/// Whether nothing has been heard of it for a while.
pub async fn is_unknown(conn: &mut AnyConnection, host: HostId) -> Result<bool, DbError> {
    let unknown: i64 = sqlx::query_scalar("select count(*) from hosts where id = $1 and contact = 'unknown'")
        .bind(host.text())
        .fetch_one(conn)
        .await?;
    Ok(unknown == 1)
}

/// A full listing has come back.
pub async fn listed(tx: &mut Tx, host: HostId) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    sqlx::query("update hosts set listed_at = $2 where id = $1").bind(host.text()).bind(now).execute(tx.conn()).await?;
    Ok(())
}
