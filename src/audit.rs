//! The audit trail: who did what to which object, why it was allowed, and what came of it. A record is written in the
//! transaction of the act itself, so that neither is there without the other; the table refuses changes and deletions.

use crate::db::{Batch, DbError, Listing, Slice, Sorts, Tx, placeholders};
use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};
use std::str::FromStr;
use uuid::Uuid;

/// One act, as it will be read years later.
#[derive(Clone, Debug)]
pub struct Record {
    pub who: Who,
    /// Dotted name: `request.approve`.
    pub action: &'static str,
    pub object_type: &'static str,
    pub object_id: String,
    pub department_id: Option<String>,
    pub outcome: Outcome,
    /// Facts that explain the act: reason, digest, numbers. Never a secret.
    pub detail: Value,
}

/// Whose act it was, and by which call.
#[derive(Clone, Debug)]
pub struct Who {
    pub person: String,
    pub unit: String,
    pub role: String,
    pub token_id: Option<String>,
    /// The request id that logs, operations and libvirt calls carry too.
    pub trace_id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Denied,
}

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Denied => "denied",
        }
    }
}

/// Not an outcome.
#[derive(Debug, thiserror::Error)]
#[error("unknown outcome: {0:?}")]
pub struct UnknownOutcome(String);

impl FromStr for Outcome {
    type Err = UnknownOutcome;
    fn from_str(word: &str) -> Result<Self, UnknownOutcome> {
        let all = [Self::Done, Self::Denied];
        all.into_iter().find(|outcome| outcome.word() == word).ok_or_else(|| UnknownOutcome(word.to_owned()))
    }
}

impl Who {
    /// The broker itself, carrying on what somebody began.
    pub fn broker(trace_id: &str) -> Self {
        Self {
            person: "jiyue".to_owned(),
            unit: "jiyue".to_owned(),
            role: "broker".to_owned(),
            token_id: None,
            trace_id: trace_id.to_owned(),
        }
    }

    /// Somebody with a shell on the broker's own machine.
    pub fn console() -> Self {
        Self { person: "console".to_owned(), role: "console".to_owned(), ..Self::broker("console") }
    }
}

/// Writes one record into the transaction of the act.
pub async fn record(tx: &mut Tx, record: Record) -> Result<(), DbError> {
    record_all(tx, std::slice::from_ref(&record)).await
}

/// Writes many records with one statement.
pub async fn record_all(tx: &mut Tx, records: &[Record]) -> Result<(), DbError> {
    if records.is_empty() {
        return Ok(());
    }
    let now = tx.now().as_microsecond();
    let sql = format!(
        "insert into audit (id, at, person, unit, role, token_id, action, object_type, object_id, department_id, \
         trace_id, outcome, detail, build) values {}",
        placeholders(records.len(), 14)
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for r in records {
        query = query
            .bind(Uuid::now_v7().to_string())
            .bind(now)
            .bind(r.who.person.as_str())
            .bind(r.who.unit.as_str())
            .bind(r.who.role.as_str())
            .bind(r.who.token_id.as_deref())
            .bind(r.action)
            .bind(r.object_type)
            .bind(r.object_id.as_str())
            .bind(r.department_id.as_deref())
            .bind(r.who.trace_id.as_str())
            .bind(r.outcome.word())
            .bind(r.detail.to_string())
            .bind(env!("CARGO_PKG_VERSION"));
    }
    query.execute(tx.conn()).await?;
    tx.note_audit(records.len());
    Ok(())
}

/// A record as it is read back.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(as = AuditRecord)]
pub struct Entry {
    pub seq: i64,
    #[schema(value_type = String, format = DateTime)]
    pub at: jiff::Timestamp,
    pub person: String,
    pub unit: String,
    pub role: String,
    pub action: String,
    pub object_type: String,
    pub object_id: String,
    pub trace_id: String,
    pub outcome: String,
    pub detail: Value,
}

pub const SORTS: Sorts = Sorts { id: "seq", numbered: true, by: &[("seq", "seq")], default: "-seq" };

/// Which records a list has. `scope` is what the caller may see.
#[derive(Default, serde::Serialize)]
pub struct Filter<'a> {
    pub scope: Option<&'a str>,
    pub action: Option<&'a str>,
    pub object_type: Option<&'a str>,
    pub object_id: Option<&'a str>,
    pub person: Option<&'a str>,
    pub outcome: Option<&'a str>,
    pub trace_id: Option<&'a str>,
}

pub async fn list(conn: &mut AnyConnection, filter: &Filter<'_>, slice: &Slice) -> Result<Batch<Entry>, DbError> {
    Listing::new("seq, at, person, unit, role, action, object_type, object_id, trace_id, outcome, detail", "audit")
        .only("department_id", filter.scope)
        .only("action", filter.action)
        .only("object_type", filter.object_type)
        .only("object_id", filter.object_id)
        .only("person", filter.person)
        .only("outcome", filter.outcome)
        .only("trace_id", filter.trace_id)
        .page(conn, slice, entry)
        .await
}

fn entry(row: &AnyRow) -> Result<Entry, DbError> {
    Ok(Entry {
        seq: row.try_get("seq")?,
        at: crate::time::from_micros(row.try_get("at")?),
        person: row.try_get("person")?,
        unit: row.try_get("unit")?,
        role: row.try_get("role")?,
        action: row.try_get("action")?,
        object_type: row.try_get("object_type")?,
        object_id: row.try_get("object_id")?,
        trace_id: row.try_get("trace_id")?,
        outcome: row.try_get("outcome")?,
        detail: serde_json::from_str(row.try_get("detail")?).unwrap_or(Value::Null),
    })
}

/// What happened, for whoever follows: an act that was done, without who did it and why.
#[derive(Clone, Debug)]
pub struct Happening {
    pub mark: Mark,
    /// The record's own id.
    pub id: String,
    pub at: jiff::Timestamp,
    pub action: String,
    pub object_type: String,
    pub object_id: String,
    pub department_id: Option<String>,
    pub trace_id: String,
}

/// A place in the stream of what happened. Nothing that commits later stands before a place that was once read: where
/// many write at once (PostgreSQL), records are in the order of their transactions, and those of transactions that could
/// still be open are held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    pub transaction: i64,
    pub seq: i64,
}

/// What happened after a place, oldest first. `horizon` is [`crate::db::Db::horizon`].
pub async fn happenings(
    conn: &mut AnyConnection,
    scope: Option<&str>,
    after: Mark,
    horizon: i64,
    limit: i64,
) -> Result<Vec<Happening>, DbError> {
    let rows = sqlx::query(
        "select transaction_id, seq, id, at, action, object_type, object_id, department_id, trace_id from audit \
         where (transaction_id, seq) > ($1, $2) and transaction_id < $3 and outcome = 'done' \
         and (cast($4 as text) is null or department_id = $4) order by transaction_id, seq limit $5",
    )
    .bind(after.transaction)
    .bind(after.seq)
    .bind(horizon)
    .bind(scope)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Happening {
                mark: Mark { transaction: row.try_get("transaction_id")?, seq: row.try_get("seq")? },
                id: row.try_get("id")?,
                at: crate::time::from_micros(row.try_get("at")?),
                action: row.try_get("action")?,
                object_type: row.try_get("object_type")?,
                object_id: row.try_get("object_id")?,
                department_id: row.try_get("department_id")?,
                trace_id: row.try_get("trace_id")?,
            })
        })
        .collect()
}

/// The place after everything that can be read now.
pub async fn last(conn: &mut AnyConnection, horizon: i64) -> Result<Mark, DbError> {
    let row = sqlx::query(
        "select transaction_id, seq from audit where transaction_id < $1 order by transaction_id desc, seq desc limit 1",
    )
    .bind(horizon)
    .fetch_optional(conn)
    .await?;
    match row {
        Some(row) => Ok(Mark { transaction: row.try_get("transaction_id")?, seq: row.try_get("seq")? }),
        None => Ok(Mark::default()),
    }
}
