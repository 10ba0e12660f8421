//! SQL of what binds requests to objects of a cluster.

use crate::{
    db::{DbError, Tx},
    identity::store::parsed,
    ids::{DepartmentId, RequestId},
    time,
};
use jiff::Timestamp;
use sqlx::{AnyConnection, Row, any::AnyRow};

/// An object and the request that it has become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    pub uid: String,
    pub namespace: String,
    pub name: String,
    pub department: DepartmentId,
    pub request: RequestId,
    /// The generation of the object, and the digest of its spec, that the request was made of.
    pub generation: i64,
    pub spec_sha256: String,
    /// When a live read first said that it is to be deleted.
    pub deleting_at: Option<Timestamp>,
    pub released_at: Option<Timestamp>,
}

fn bound(row: &AnyRow) -> Result<Bound, DbError> {
    let instant =
        |column: &str| -> Result<_, DbError> { Ok(row.try_get::<Option<i64>, _>(column)?.map(time::from_micros)) };
    Ok(Bound {
        uid: row.try_get("uid")?,
        namespace: row.try_get("namespace")?,
        name: row.try_get("name")?,
        department: parsed(row, "department_id")?,
        request: parsed(row, "request_id")?,
        generation: row.try_get("generation")?,
        spec_sha256: row.try_get("spec_sha256")?,
        deleting_at: instant("deleting_at")?,
        released_at: instant("released_at")?,
    })
}

/// Binds an object to its request for the first time. False when it is bound already.
pub async fn insert(tx: &mut Tx, bound: &Bound) -> Result<bool, DbError> {
    let done = sqlx::query(
        "insert into kube_requests (uid, namespace, name, department_id, request_id, generation, spec_sha256) \
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (uid) do nothing",
    )
    .bind(bound.uid.as_str())
    .bind(bound.namespace.as_str())
    .bind(bound.name.as_str())
    .bind(bound.department.text())
    .bind(bound.request.text())
    .bind(bound.generation)
    .bind(bound.spec_sha256.as_str())
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Binds an object to another request than `from`. False when it is no longer bound to that one, or is being deleted.
pub async fn rebind(tx: &mut Tx, bound: &Bound, from: RequestId) -> Result<bool, DbError> {
    let done = sqlx::query(
        "update kube_requests set request_id = $2, generation = $3, spec_sha256 = $4 \
         where uid = $1 and request_id = $5 and deleting_at is null",
    )
    .bind(bound.uid.as_str())
    .bind(bound.request.text())
    .bind(bound.generation)
    .bind(bound.spec_sha256.as_str())
    .bind(from.text())
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn find(conn: &mut AnyConnection, uid: &str) -> Result<Option<Bound>, DbError> {
    let row = sqlx::query(
        "select uid, namespace, name, department_id, request_id, generation, spec_sha256, deleting_at, released_at \
         from kube_requests where uid = $1",
    )
    .bind(uid)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(bound).transpose()
}

/// By the request, which is a machine's or its own.
pub async fn of_request(conn: &mut AnyConnection, request: &str) -> Result<Option<Bound>, DbError> {
    let row = sqlx::query(
        "select uid, namespace, name, department_id, request_id, generation, spec_sha256, deleting_at, released_at \
         from kube_requests where request_id = $1",
    )
    .bind(request)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(bound).transpose()
}

pub async fn of_machine(conn: &mut AnyConnection, machine: &str) -> Result<Option<Bound>, DbError> {
    let row = sqlx::query(
        "select uid, namespace, kube_requests.name as name, kube_requests.department_id as department_id, \
         kube_requests.request_id as request_id, generation, spec_sha256, deleting_at, released_at from kube_requests \
         join machines on machines.request_id = kube_requests.request_id where machines.id = $1",
    )
    .bind(machine)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(bound).transpose()
}

/// Those that are to be deleted and have not been let go, the longest waiting first.
pub async fn leaving(conn: &mut AnyConnection) -> Result<Vec<Bound>, DbError> {
    let rows = sqlx::query(
        "select uid, namespace, name, department_id, request_id, generation, spec_sha256, deleting_at, released_at \
         from kube_requests where deleting_at is not null and released_at is null order by deleting_at",
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(bound).collect()
}

/// Requests of a department that live and have come by no object, in the order of their ids, after one of them: `most` at
/// most.
pub async fn unbound(
    conn: &mut AnyConnection,
    department: DepartmentId,
    after: &str,
    most: i64,
) -> Result<Vec<String>, DbError> {
    let rows = sqlx::query(
        "select id from requests where department_id = $1 and id > $2 \
         and (state in ('submitted', 'approved', 'cancelling') or state = 'delivered' and exists (select 1 from machines \
         where machines.request_id = requests.id and machines.state <> 'undone')) \
         and not exists (select 1 from kube_requests where kube_requests.request_id = requests.id) order by id limit $3",
    )
    .bind(department.text())
    .bind(after)
    .bind(most)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// That a live read said that it is to be deleted. True when nobody had noted it.
pub async fn set_leaving(tx: &mut Tx, uid: &str) -> Result<bool, DbError> {
    let now = tx.now().as_microsecond();
    let done = sqlx::query("update kube_requests set deleting_at = $2 where uid = $1 and deleting_at is null")
        .bind(uid)
        .bind(now)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// That it was let go. True when nobody had noted it.
pub async fn set_released(tx: &mut Tx, uid: &str) -> Result<bool, DbError> {
    let now = tx.now().as_microsecond();
    let done = sqlx::query("update kube_requests set released_at = $2 where uid = $1 and released_at is null")
        .bind(uid)
        .bind(now)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}
