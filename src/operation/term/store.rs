//! SQL of terms. Their time is the database's clock.

use super::Term;
use crate::db::{DbError, Tx};

/// The epoch of a new term, where none is under way.
pub async fn take(tx: &mut Tx, work: &str, owner: &str, micros: i64) -> Result<Option<i64>, DbError> {
    let now = tx.database_now().await?;
    let epoch = sqlx::query_scalar(
        "insert into terms (work, owner, lease_until, epoch, writes) values ($1, $2, $3, 1, 0) \
         on conflict (work) do update set owner = excluded.owner, lease_until = excluded.lease_until, \
         epoch = terms.epoch + 1 where terms.lease_until <= $4 returning epoch",
    )
    .bind(work)
    .bind(owner)
    .bind(now + micros)
    .bind(now)
    .fetch_optional(tx.conn())
    .await?;
    Ok(epoch)
}

/// False when another term has begun.
pub async fn renew(tx: &mut Tx, term: Term, micros: i64) -> Result<bool, DbError> {
    let now = tx.database_now().await?;
    let done = sqlx::query("update terms set lease_until = $3 where work = $1 and epoch = $2")
        .bind(term.work)
        .bind(term.epoch)
        .bind(now + micros)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a term before its time, so that another broker need not wait.
pub async fn release(tx: &mut Tx, term: Term) -> Result<(), DbError> {
    sqlx::query("update terms set lease_until = 0 where work = $1 and epoch = $2")
        .bind(term.work)
        .bind(term.epoch)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Whether it is still this term; its row is locked until the end of the transaction.
pub async fn hold(tx: &mut Tx, term: Term) -> Result<bool, DbError> {
    let done = sqlx::query("update terms set writes = writes + 1 where work = $1 and epoch = $2")
        .bind(term.work)
        .bind(term.epoch)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}
