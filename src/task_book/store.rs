//! SQL of task books. Their `used_*` counters belong to `capacity`, which alone changes them.

use super::document::{Allowed, Indicators, Project, TaskBook};
use crate::{
    db::{Batch, DbError, Listing, Slice, Sorts, Tx},
    identity::store::parsed,
    ids::{DepartmentId, RequestId, TaskBookId},
    labels::FilingBasis,
    time,
    units::Bytes,
};
use jiff::{Timestamp, civil::Date};
use sqlx::{AnyConnection, Row, any::AnyRow};

/// A task book in force, with what is used of it.
#[derive(Clone, Debug)]
pub struct Held {
    pub id: TaskBookId,
    pub number: String,
    pub basis: FilingBasis,
    pub version: i64,
    pub department: DepartmentId,
    pub project: Project,
    pub valid_from: Date,
    pub valid_until: Date,
    /// The last day on which its machines may be used.
    pub lease_until: Date,
    pub allowed: Allowed,
    pub limits: Indicators,
    pub used: Indicators,
    pub revoked: Option<(Timestamp, String)>,
}

fn held(row: &AnyRow) -> Result<Held, DbError> {
    let indicators = |prefix: &str| -> Result<Indicators, DbError> {
        let get = |name: &str| row.try_get::<i64, _>(format!("{prefix}_{name}").as_str());
        let bytes = |n: i64| Bytes::new(n).ok_or_else(|| DbError::Corrupt { what: format!("{prefix} bytes") });
        Ok(Indicators {
            machines: get("machines")?,
            vcpu: get("vcpu")?,
            memory: bytes(get("memory_bytes")?)?,
            disk: bytes(get("disk_bytes")?)?,
        })
    };
    let revoked_at: Option<i64> = row.try_get("revoked_at")?;
    let revoked_reason: Option<String> = row.try_get("revoked_reason")?;
    Ok(Held {
        id: parsed(row, "id")?,
        number: row.try_get("number")?,
        basis: parsed(row, "basis")?,
        version: row.try_get("version")?,
        department: parsed(row, "department_id")?,
        project: Project { code: row.try_get("project_code")?, name: row.try_get("project_name")? },
        valid_from: parsed(row, "valid_from")?,
        valid_until: parsed(row, "valid_until")?,
        lease_until: parsed(row, "lease_until")?,
        allowed: serde_json::from_str(row.try_get("allowed")?)
            .map_err(|_| DbError::Corrupt { what: "allowed".to_owned() })?,
        limits: indicators("limit")?,
        used: indicators("used")?,
        revoked: revoked_at.map(|at| (time::from_micros(at), revoked_reason.unwrap_or_default())),
    })
}

/// By id or number.
pub async fn find(conn: &mut AnyConnection, key: &str, department: Option<&str>) -> Result<Option<Held>, DbError> {
    let row = sqlx::query(
        "select id, number, basis, version, department_id, project_code, project_name, valid_from, valid_until, \
         coalesce(lease_until, valid_until) as lease_until, allowed, \
         limit_machines, limit_vcpu, limit_memory_bytes, limit_disk_bytes, used_machines, used_vcpu, \
         used_memory_bytes, used_disk_bytes, revoked_at, revoked_reason from task_books \
         where (id = $1 or number = $1) and (cast($2 as text) is null or department_id = $2)",
    )
    .bind(key)
    .bind(department)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(held).transpose()
}

/// Newest first, below the id `before`.
pub const SORTS: Sorts =
    Sorts { id: "id", numbered: false, by: &[("created_at", "id"), ("number", "number")], default: "-created_at" };

/// Which task books a list has. `scope` is what the caller may see, `department` what was asked for.
#[derive(Default, serde::Serialize)]
pub struct Filter<'a> {
    pub scope: Option<&'a str>,
    pub department: Option<&'a str>,
    pub number: Option<&'a str>,
}

pub async fn list(conn: &mut AnyConnection, filter: &Filter<'_>, slice: &Slice) -> Result<Batch<Held>, DbError> {
    Listing::new(
        "id, number, basis, version, department_id, project_code, project_name, valid_from, valid_until, \
         coalesce(lease_until, valid_until) as lease_until, allowed, \
         limit_machines, limit_vcpu, limit_memory_bytes, limit_disk_bytes, used_machines, used_vcpu, \
         used_memory_bytes, used_disk_bytes, revoked_at, revoked_reason",
        "task_books",
    )
    .only("department_id", filter.scope)
    .only("department_id", filter.department)
    .only("number", filter.number)
    .page(conn, slice, held)
    .await
}

fn allowed_text(book: &TaskBook) -> Result<String, DbError> {
    serde_json::to_string(&book.allowed).map_err(|_| DbError::Corrupt { what: "allowed".to_owned() })
}

pub async fn insert(tx: &mut Tx, id: TaskBookId, department: DepartmentId, book: &TaskBook) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    sqlx::query(
        "insert into task_books (id, number, version, department_id, project_code, project_name, valid_from, \
         valid_until, allowed, limit_machines, limit_vcpu, limit_memory_bytes, limit_disk_bytes, created_at, \
         updated_at, basis, lease_until) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, $15, $16)",
    )
    .bind(id.text())
    .bind(book.number.as_str())
    .bind(book.version)
    .bind(department.text())
    .bind(book.project.code.as_str())
    .bind(book.project.name.as_str())
    .bind(book.valid_from.to_string())
    .bind(book.valid_until.to_string())
    .bind(allowed_text(book)?)
    .bind(book.indicators.machines)
    .bind(book.indicators.vcpu)
    .bind(book.indicators.memory.get())
    .bind(book.indicators.disk.get())
    .bind(now)
    .bind(book.basis.word())
    .bind(book.lease_until.map(|day| day.to_string()))
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Puts the next version in force. False when it is not the next one any more, when the task book was revoked, or when
/// more is used than the new version allows.
pub async fn supersede(tx: &mut Tx, id: TaskBookId, from_version: i64, book: &TaskBook) -> Result<bool, DbError> {
    let now = tx.now().as_microsecond();
    let done = sqlx::query(
        "update task_books set version = $3, project_code = $4, project_name = $5, valid_from = $6, valid_until = $7, \
         allowed = $8, limit_machines = $9, limit_vcpu = $10, limit_memory_bytes = $11, limit_disk_bytes = $12, \
         updated_at = $13, basis = $14, lease_until = $15 where id = $1 and version = $2 and revoked_at is null and used_machines <= $9 \
         and used_vcpu <= $10 and used_memory_bytes <= $11 and used_disk_bytes <= $12",
    )
    .bind(id.text())
    .bind(from_version)
    .bind(book.version)
    .bind(book.project.code.as_str())
    .bind(book.project.name.as_str())
    .bind(book.valid_from.to_string())
    .bind(book.valid_until.to_string())
    .bind(allowed_text(book)?)
    .bind(book.indicators.machines)
    .bind(book.indicators.vcpu)
    .bind(book.indicators.memory.get())
    .bind(book.indicators.disk.get())
    .bind(now)
    .bind(book.basis.word())
    .bind(book.lease_until.map(|day| day.to_string()))
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps a version for ever, word for word.
pub async fn insert_version(
    tx: &mut Tx,
    id: TaskBookId,
    version: i64,
    document: &str,
    digest: &str,
    imported_by: &str,
) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    sqlx::query(
        "insert into task_book_versions (task_book_id, version, document, digest, imported_by, imported_at) \
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(id.text())
    .bind(version)
    .bind(document)
    .bind(digest)
    .bind(imported_by)
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn version_digest(conn: &mut AnyConnection, id: TaskBookId, version: i64) -> Result<Option<String>, DbError> {
    Ok(sqlx::query_scalar("select digest from task_book_versions where task_book_id = $1 and version = $2")
        .bind(id.text())
        .bind(version)
        .fetch_optional(conn)
        .await?)
}

/// False when it was revoked before.
pub async fn revoke(tx: &mut Tx, id: TaskBookId, reason: &str) -> Result<bool, DbError> {
    let now = tx.now().as_microsecond();
    let done = sqlx::query(
        "update task_books set revoked_at = $2, revoked_reason = $3, updated_at = $2 \
         where id = $1 and revoked_at is null",
    )
    .bind(id.text())
    .bind(now)
    .bind(reason)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The number of a request's task book, and the last day on which its machines may be used.
pub async fn lease_limit_of_request(
    conn: &mut AnyConnection,
    request: RequestId,
) -> Result<Option<(String, Date)>, DbError> {
    let row = sqlx::query(
        "select number, coalesce(lease_until, valid_until) as until from task_books \
         join requests on requests.task_book_id = task_books.id where requests.id = $1",
    )
    .bind(request.text())
    .fetch_optional(conn)
    .await?;
    row.map(|row| Ok((row.try_get("number")?, parsed(&row, "until")?))).transpose()
}

/// What a department's task books allow in all; of a revoked one, what is still in use.
pub async fn granted(conn: &mut AnyConnection, department: DepartmentId) -> Result<[i64; 4], DbError> {
    let row = sqlx::query(
        "select cast(coalesce(sum(case when revoked_at is null then limit_machines else used_machines end), 0) as bigint) \
         as machines, \
         cast(coalesce(sum(case when revoked_at is null then limit_vcpu else used_vcpu end), 0) as bigint) as vcpu, \
         cast(coalesce(sum(case when revoked_at is null then limit_memory_bytes else used_memory_bytes end), 0) as bigint) \
         as memory_bytes, \
         cast(coalesce(sum(case when revoked_at is null then limit_disk_bytes else used_disk_bytes end), 0) as bigint) \
         as disk_bytes from task_books where department_id = $1",
    )
    .bind(department.text())
    .fetch_one(conn)
    .await?;
    Ok([row.try_get("machines")?, row.try_get("vcpu")?, row.try_get("memory_bytes")?, row.try_get("disk_bytes")?])
}

/// Whether the task book behind a request was revoked.
pub async fn is_revoked_for_request(conn: &mut AnyConnection, request: RequestId) -> Result<bool, DbError> {
    let revoked: Option<i64> = sqlx::query_scalar(
        "select revoked_at from task_books where id = (select task_book_id from requests where id = $1)",
    )
    .bind(request.text())
    .fetch_one(conn)
    .await?;
    Ok(revoked.is_some())
}
