//! SQL of requests.

use super::{
    block::Block,
    lifecycle::{RequestEvent, RequestState},
};
use crate::{
    db::{Batch, DbError, Listing, Slice, Sorts, Tx, placeholders},
    identity::store::{parsed, parsed_opt},
    ids::{DepartmentId, OperationId, PersonId, RequestId, SubmissionId, TaskBookId},
    time,
};
use jiff::Timestamp;
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};

/// 资源申请: one block, submitted.
#[derive(Clone, Debug)]
pub struct Request {
    pub id: RequestId,
    pub department: DepartmentId,
    pub task_book: TaskBookId,
    /// The task book's number, for people.
    pub task_book_number: String,
    pub state: RequestState,
    pub block: Block,
    /// SHA-256 of the checked block: what a decision binds to.
    pub digest: String,
    pub submitted_by: PersonId,
    pub submitted_by_name: String,
    pub submitted_unit: String,
    pub submitted_at: Timestamp,
    /// What was handed in; of requests from before files were kept, nothing.
    pub submission: Option<Submission>,
    /// Which block of it this is, from 1.
    pub block_number: i64,
    pub decision: Option<Decision>,
    pub operation: Option<OperationId>,
}

/// What was handed in, without its content.
#[derive(Clone, Debug)]
pub struct Submission {
    pub id: SubmissionId,
    pub name: String,
    pub media_type: String,
    pub size_bytes: i64,
    pub sha256: String,
}

/// What a submission writes besides its requests.
#[derive(Clone, Debug)]
pub struct NewSubmission {
    pub file: Submission,
    pub department: DepartmentId,
    pub content: Vec<u8>,
    /// The report as read, as JSON.
    pub report: String,
    pub submitted_by: PersonId,
}

/// Who decided, and why.
#[derive(Clone, Debug)]
pub struct Decision {
    pub by_name: String,
    pub unit: String,
    pub at: Timestamp,
    pub reason: Option<String>,
}

/// What a submission writes.
#[derive(Clone, Debug)]
pub struct NewRequest {
    pub id: RequestId,
    pub department: DepartmentId,
    pub task_book: TaskBookId,
    pub task_book_version: i64,
    pub block: Block,
    pub digest: String,
    pub submitted_by: PersonId,
    pub submitted_unit: String,
    pub submission: SubmissionId,
    pub block_number: i64,
}

pub async fn insert_submission(tx: &mut Tx, submission: &NewSubmission) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    sqlx::query(
        "insert into submissions (id, department_id, name, media_type, size_bytes, sha256, content, report, \
         submitted_by, submitted_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(submission.file.id.text())
    .bind(submission.department.text())
    .bind(submission.file.name.as_str())
    .bind(submission.file.media_type.as_str())
    .bind(submission.file.size_bytes)
    .bind(submission.file.sha256.as_str())
    .bind(submission.content.as_slice())
    .bind(submission.report.as_str())
    .bind(submission.submitted_by.text())
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The bytes that were handed in.
pub async fn content(conn: &mut AnyConnection, submission: SubmissionId) -> Result<Vec<u8>, DbError> {
    let bytes = sqlx::query_scalar("select content from submissions where id = $1")
        .bind(submission.text())
        .fetch_one(conn)
        .await?;
    Ok(bytes)
}

pub async fn insert(tx: &mut Tx, request: &NewRequest) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    sqlx::query(
        "insert into requests (id, department_id, task_book_id, task_book_version, state, block, digest, domain, \
         submitted_by, submitted_unit, submitted_at, submission_id, block_number, likeness) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(request.id.text())
    .bind(request.department.text())
    .bind(request.task_book.text())
    .bind(request.task_book_version)
    .bind(RequestState::Submitted.word())
    .bind(request.block.canonical_json())
    .bind(request.digest.as_str())
    .bind(request.block.domain.as_ref().map(|domain| domain.as_str().to_owned()))
    .bind(request.submitted_by.text())
    .bind(request.submitted_unit.as_str())
    .bind(now)
    .bind(request.submission.text())
    .bind(request.block_number)
    .bind(request.block.likeness())
    .execute(tx.conn())
    .await?;
    Ok(())
}

fn request(row: &AnyRow) -> Result<Request, DbError> {
    let decided_at: Option<i64> = row.try_get("decided_at")?;
    let decision = match decided_at {
        None => None,
        Some(at) => Some(Decision {
            by_name: row.try_get("decided_by_name")?,
            unit: row.try_get("decided_unit")?,
            at: time::from_micros(at),
            reason: row.try_get("decision_reason")?,
        }),
    };
    Ok(Request {
        id: parsed(row, "id")?,
        department: parsed(row, "department_id")?,
        task_book: parsed(row, "task_book_id")?,
        task_book_number: row.try_get("number")?,
        state: parsed(row, "state")?,
        block: serde_json::from_str(row.try_get("block")?)
            .map_err(|_| DbError::Corrupt { what: "block".to_owned() })?,
        digest: row.try_get("digest")?,
        submitted_by: parsed(row, "submitted_by")?,
        submitted_by_name: row.try_get("submitted_by_name")?,
        submitted_unit: row.try_get("submitted_unit")?,
        submitted_at: time::from_micros(row.try_get("submitted_at")?),
        submission: submission(row)?,
        block_number: row.try_get("block_number")?,
        decision,
        operation: parsed_opt(row, "operation_id")?,
    })
}

fn submission(row: &AnyRow) -> Result<Option<Submission>, DbError> {
    let Some(id) = parsed_opt(row, "submission_id")? else { return Ok(None) };
    Ok(Some(Submission {
        id,
        name: row.try_get("file_name")?,
        media_type: row.try_get("media_type")?,
        size_bytes: row.try_get("size_bytes")?,
        sha256: row.try_get("sha256")?,
    }))
}

pub async fn find(conn: &mut AnyConnection, id: &str, department: Option<&str>) -> Result<Option<Request>, DbError> {
    let row = sqlx::query(
        "select requests.id, requests.department_id, task_book_id, number, state, block, digest, requests.submitted_by, \
         submitter.name as submitted_by_name, submitted_unit, requests.submitted_at, decider.name as decided_by_name, \
         decided_unit, decided_at, decision_reason, operation_id, block_number, submission_id, \
         submissions.name as file_name, media_type, size_bytes, sha256 from requests \
         left join submissions on submissions.id = submission_id join task_books on task_books.id = task_book_id join people submitter on submitter.id = requests.submitted_by \
         left join people decider on decider.id = decided_by \
         where requests.id = $1 and (cast($2 as text) is null or requests.department_id = $2)",
    )
    .bind(id)
    .bind(department)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(request).transpose()
}

/// Newest first, below the id `before`.
pub const SORTS: Sorts =
    Sorts { id: "requests.id", numbered: false, by: &[("created_at", "requests.id")], default: "-created_at" };

/// Which requests a list has. `scope` is what the caller may see, `department` what was asked for.
#[derive(Default, serde::Serialize)]
pub struct Filter<'a> {
    pub scope: Option<&'a str>,
    pub department: Option<&'a str>,
    pub state: Option<&'a str>,
    pub task_book: Option<&'a str>,
}

pub async fn list(conn: &mut AnyConnection, filter: &Filter<'_>, slice: &Slice) -> Result<Batch<Request>, DbError> {
    Listing::new(
        "requests.id, requests.department_id, task_book_id, number, state, block, digest, requests.submitted_by, \
         submitter.name as submitted_by_name, submitted_unit, requests.submitted_at, decider.name as decided_by_name, \
         decided_unit, decided_at, decision_reason, operation_id, block_number, submission_id, \
         submissions.name as file_name, media_type, size_bytes, sha256",
        "requests left join submissions on submissions.id = submission_id \
         join task_books on task_books.id = task_book_id join people submitter on submitter.id = requests.submitted_by \
         left join people decider on decider.id = decided_by",
    )
    .only("requests.department_id", filter.scope)
    .only("requests.department_id", filter.department)
    .only("requests.state", filter.state)
    .only("task_books.number", filter.task_book)
    .page(conn, slice, request)
    .await
}

/// Domain names of the list that waiting requests ask for.
pub async fn waiting_names(conn: &mut AnyConnection, names: &[String]) -> Result<Vec<String>, DbError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let sql =
        format!("select domain from requests where state = 'submitted' and domain in {}", placeholders(1, names.len()));
    let mut query = sqlx::query_scalar(AssertSqlSafe(sql));
    for name in names {
        query = query.bind(name.as_str());
    }
    Ok(query.fetch_all(conn).await?)
}

/// The department's requests of these likenesses that still hold: waiting, being built, or with machines that live.
pub async fn running(
    conn: &mut AnyConnection,
    department: DepartmentId,
    likenesses: &[String],
) -> Result<Vec<(String, RequestId, Timestamp)>, DbError> {
    if likenesses.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "select likeness, id, submitted_at from requests where (department_id, likeness) in (values {}) \
         and (state in ('submitted', 'approved') or state = 'delivered' and exists (select 1 from machines \
         where machines.request_id = requests.id and machines.state in ('running', 'stopped')))",
        placeholders(likenesses.len(), 2)
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for likeness in likenesses {
        query = query.bind(department.text()).bind(likeness.as_str());
    }
    let rows = query.fetch_all(conn).await?;
    rows.iter()
        .map(|row| Ok((row.try_get("likeness")?, parsed(row, "id")?, time::from_micros(row.try_get("submitted_at")?))))
        .collect()
}

/// A decision on a request, as a batch writes it.
#[derive(Clone, Debug)]
pub struct Approved {
    pub request: RequestId,
    /// The request must still be what was decided on.
    pub digest: String,
    pub by: PersonId,
    pub unit: String,
    pub reason: Option<String>,
    pub operation: OperationId,
}

/// Marks all of them approved; fewer than asked means that at least one was no longer waiting, or had changed.
pub async fn approve_all(tx: &mut Tx, decisions: &[&Approved]) -> Result<usize, DbError> {
    let now = tx.now().as_microsecond();
    let sql = format!(
        "update requests set state = 'approved', decided_by = v.column3, decided_unit = v.column4, \
         decision_reason = v.column5, operation_id = v.column6, decided_at = v.column7 from (values {}) as v \
         where requests.id = v.column1 and requests.digest = v.column2 and requests.state = 'submitted'",
        placeholders(decisions.len(), 7)
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for decision in decisions {
        query = query
            .bind(decision.request.text())
            .bind(decision.digest.as_str())
            .bind(decision.by.text())
            .bind(decision.unit.as_str())
            .bind(decision.reason.as_deref())
            .bind(decision.operation.text())
            .bind(now);
    }
    let done = query.execute(tx.conn()).await?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
}

/// Ends a waiting request by a decision of somebody: returned or cancelled.
pub async fn decide(
    tx: &mut Tx,
    id: RequestId,
    to: RequestState,
    by: PersonId,
    unit: &str,
    reason: Option<&str>,
) -> Result<bool, DbError> {
    let now = tx.now().as_microsecond();
    let done = sqlx::query(
        "update requests set state = $2, decided_by = $3, decided_unit = $4, decision_reason = $5, decided_at = $6 \
         where id = $1 and state = 'submitted'",
    )
    .bind(id.text())
    .bind(to.word())
    .bind(by.text())
    .bind(unit)
    .bind(reason)
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// From one state by an event to the next; false when it is no longer in the first.
pub async fn advance(tx: &mut Tx, id: RequestId, from: RequestState, event: RequestEvent) -> Result<bool, DbError> {
    let to = from.next(event).map_err(|refusal| DbError::Corrupt { what: refusal.to_string() })?;
    let done = sqlx::query("update requests set state = $3 where id = $1 and state = $2")
        .bind(id.text())
        .bind(from.word())
        .bind(to.word())
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}
