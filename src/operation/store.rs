//! SQL of operations. Lease times are the database's clock, so that brokers with different clocks agree.

use super::{Kind, NewOperation, Operation, lifecycle::State};
use crate::{
    db::{Batch, DbError, Listing, Slice, Sorts, Tx, placeholders},
    identity::store::{parsed, parsed_opt},
    ids::OperationId,
    time,
};
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};
use std::collections::HashMap;

/// Proof that this broker may act on an operation, until another one takes it over.
#[derive(Clone, Debug)]
pub struct Lease {
    pub operation: OperationId,
    pub owner: String,
    pub epoch: i64,
}

/// A write under a lease.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another broker has taken the operation over: stop at once, touch nothing.
    #[error("the lease on operation {0} is lost")]
    Lost(OperationId),
    #[error("database")]
    Db(#[from] DbError),
}

impl crate::db::JobError for LeaseError {
    fn again(&self) -> Option<DbError> {
        match self {
            Self::Lost(_) => None,
            Self::Db(error) => error.again(),
        }
    }
}

fn operation(row: &AnyRow) -> Result<Operation, DbError> {
    Ok(Operation {
        id: parsed(row, "id")?,
        kind: parsed::<Kind>(row, "kind")?,
        department: parsed(row, "department_id")?,
        request: parsed_opt(row, "request_id")?,
        machine: parsed_opt(row, "machine_id")?,
        state: parsed::<State>(row, "state")?,
        cancel_reason: row.try_get("cancel_reason")?,
        reason: row.try_get("reason")?,
        steps_done: row.try_get("steps_done")?,
        steps_total: row.try_get("steps_total")?,
        current_step: row.try_get("current_step")?,
        trace_id: row.try_get("trace_id")?,
        started_by: row.try_get("started_by")?,
        attempts: row.try_get("attempts")?,
        plan: row.try_get("plan")?,
        created_at: time::from_micros(row.try_get("created_at")?),
        finished_at: row.try_get::<Option<i64>, _>("finished_at")?.map(time::from_micros),
    })
}

pub async fn insert_all(tx: &mut Tx, operations: &[NewOperation]) -> Result<(), DbError> {
    if operations.is_empty() {
        return Ok(());
    }
    let now = tx.now().as_microsecond();
    let sql = format!(
        "insert into operations (id, kind, department_id, request_id, machine_id, state, steps_total, trace_id, \
         started_by, plan, created_at) values {}",
        placeholders(operations.len(), 11)
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for op in operations {
        query = query
            .bind(op.id.text())
            .bind(op.kind.word())
            .bind(op.department.text())
            .bind(op.request.map(crate::ids::RequestId::text))
            .bind(op.machine.map(crate::ids::MachineId::text))
            .bind(State::Queued.word())
            .bind(op.steps_total)
            .bind(op.trace_id.as_str())
            .bind(op.started_by.as_str())
            .bind(op.plan.as_deref())
            .bind(now);
    }
    query.execute(tx.conn()).await?;
    Ok(())
}

/// Those of the ids that there are. The list is filled up to a power of two, so that few statements serve any number.
pub async fn find_all(conn: &mut AnyConnection, ids: &[&str]) -> Result<HashMap<String, Operation>, DbError> {
    let Some(last) = ids.last() else { return Ok(HashMap::new()) };
    let many = ids.len().next_power_of_two();
    let sql = format!(
        "select id, kind, department_id, request_id, machine_id, state, cancel_reason, reason, steps_done, \
         steps_total, current_step, trace_id, started_by, attempts, plan, created_at, finished_at from operations \
         where id in {}",
        placeholders(1, many)
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for at in 0..many {
        query = query.bind(*ids.get(at).unwrap_or(last));
    }
    let rows = query.fetch_all(conn).await?;
    rows.iter().map(|row| Ok((row.try_get("id")?, operation(row)?))).collect()
}

pub async fn find(conn: &mut AnyConnection, id: &str) -> Result<Option<Operation>, DbError> {
    Ok(find_all(conn, &[id]).await?.remove(id))
}

/// Newest first, below the id `before`.
pub const SORTS: Sorts = Sorts { id: "id", numbered: false, by: &[("created_at", "id")], default: "-created_at" };

/// Which operations a list has. `scope` is what the caller may see.
#[derive(Default, serde::Serialize)]
pub struct Filter<'a> {
    pub scope: Option<&'a str>,
    pub state: Option<&'a str>,
    pub kind: Option<&'a str>,
    pub request: Option<&'a str>,
    pub machine: Option<&'a str>,
}

pub async fn list(conn: &mut AnyConnection, filter: &Filter<'_>, slice: &Slice) -> Result<Batch<Operation>, DbError> {
    Listing::new(
        "id, kind, department_id, request_id, machine_id, state, cancel_reason, reason, steps_done, \
         steps_total, current_step, trace_id, started_by, attempts, plan, created_at, finished_at",
        "operations",
    )
    .only("department_id", filter.scope)
    .only("state", filter.state)
    .only("kind", filter.kind)
    .only("request_id", filter.request)
    .only("machine_id", filter.machine)
    .page(conn, slice, operation)
    .await
}

/// Takes the oldest operation that nobody holds and whose time has come. The condition stands twice: a second broker
/// that waited for the row must see that it is taken.
pub async fn take(tx: &mut Tx, owner: &str, lease_micros: i64) -> Result<Option<(Lease, Operation)>, DbError> {
    let now = tx.database_now().await?;
    let row = sqlx::query(
        "update operations set lease_owner = $1, lease_until = $2, epoch = epoch + 1, attempts = attempts + 1, \
         state = case when state = 'queued' then 'running' else state end \
         where id = (select id from operations where finished_at is null and lease_until <= $3 and run_after <= $3 \
         order by created_at, id limit 1) and finished_at is null and lease_until <= $3 \
         returning id, kind, department_id, request_id, machine_id, state, cancel_reason, reason, steps_done, \
         steps_total, current_step, trace_id, started_by, attempts, plan, created_at, finished_at, epoch",
    )
    .bind(owner)
    .bind(now + lease_micros)
    .bind(now)
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let operation = operation(&row)?;
    let lease = Lease { operation: operation.id, owner: owner.to_owned(), epoch: row.try_get("epoch")? };
    Ok(Some((lease, operation)))
}

/// Holds the lease for another term; answers the reason to turn back, if somebody gave one.
pub async fn renew(tx: &mut Tx, lease: &Lease, lease_micros: i64) -> Result<Option<String>, LeaseError> {
    let now = tx.database_now().await?;
    let row = sqlx::query(
        "update operations set lease_until = $3 where id = $1 and epoch = $2 and finished_at is null \
         returning cancel_reason",
    )
    .bind(lease.operation.text())
    .bind(lease.epoch)
    .bind(now + lease_micros)
    .fetch_optional(tx.conn())
    .await
    .map_err(DbError::from)?;
    match row {
        Some(row) => Ok(row.try_get("cancel_reason").map_err(DbError::from)?),
        None => Err(LeaseError::Lost(lease.operation)),
    }
}

/// Lets go before the end: the operation is taken up again once `delay` has passed.
pub async fn release(tx: &mut Tx, lease: &Lease, delay_micros: i64, reason: &str) -> Result<(), LeaseError> {
    let now = tx.database_now().await?;
    let done = sqlx::query(
        "update operations set lease_owner = null, lease_until = 0, run_after = $3, reason = $4 \
         where id = $1 and epoch = $2 and finished_at is null",
    )
    .bind(lease.operation.text())
    .bind(lease.epoch)
    .bind(now + delay_micros)
    .bind(reason)
    .execute(tx.conn())
    .await
    .map_err(DbError::from)?;
    held(lease, done.rows_affected())
}

/// Notes how far it has come; answers the reason to turn back, if somebody gave one.
pub async fn progress(
    tx: &mut Tx,
    lease: &Lease,
    steps_done: i64,
    current_step: &str,
) -> Result<Option<String>, LeaseError> {
    let row = sqlx::query(
        "update operations set steps_done = $3, current_step = $4 where id = $1 and epoch = $2 \
         and finished_at is null returning cancel_reason",
    )
    .bind(lease.operation.text())
    .bind(lease.epoch)
    .bind(steps_done)
    .bind(current_step)
    .fetch_optional(tx.conn())
    .await
    .map_err(DbError::from)?;
    match row {
        Some(row) => Ok(row.try_get("cancel_reason").map_err(DbError::from)?),
        None => Err(LeaseError::Lost(lease.operation)),
    }
}

/// From here on it undoes.
pub async fn turn_back(tx: &mut Tx, lease: &Lease, reason: &str) -> Result<(), LeaseError> {
    let done = sqlx::query(
        "update operations set state = 'unwinding', reason = $3 where id = $1 and epoch = $2 \
         and state in ('queued', 'running')",
    )
    .bind(lease.operation.text())
    .bind(lease.epoch)
    .bind(reason)
    .execute(tx.conn())
    .await
    .map_err(DbError::from)?;
    held(lease, done.rows_affected())
}

/// The end, in the same transaction as what it means for the request or the machine.
pub async fn finish(tx: &mut Tx, lease: &Lease, state: State, reason: Option<&str>) -> Result<(), LeaseError> {
    let now = tx.now().as_microsecond();
    let done = sqlx::query(
        "update operations set state = $3, reason = $4, finished_at = $5, lease_owner = null, current_step = null, \
         steps_done = case when $3 = 'succeeded' then steps_total else steps_done end \
         where id = $1 and epoch = $2 and finished_at is null",
    )
    .bind(lease.operation.text())
    .bind(lease.epoch)
    .bind(state.word())
    .bind(reason)
    .bind(now)
    .execute(tx.conn())
    .await
    .map_err(DbError::from)?;
    held(lease, done.rows_affected())
}

/// Asks an unfinished operation to turn back. True when it was still on its way forward.
pub async fn ask_to_cancel(tx: &mut Tx, id: OperationId, reason: &str) -> Result<bool, DbError> {
    let done = sqlx::query(
        "update operations set cancel_reason = $2, run_after = 0 where id = $1 and finished_at is null \
         and state in ('queued', 'running') and cancel_reason is null",
    )
    .bind(id.text())
    .bind(reason)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

fn held(lease: &Lease, rows: u64) -> Result<(), LeaseError> {
    if rows == 1 { Ok(()) } else { Err(LeaseError::Lost(lease.operation)) }
}
