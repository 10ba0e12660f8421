//! SQL of departments, people and tokens.

use super::{Department, Person, Role};
use crate::{
    db::{Batch, DbError, Listing, Slice, Sorts, Tx, value},
    ids::{DepartmentId, PersonId, TokenId},
    time,
};
use sqlx::{AnyConnection, Row, any::AnyRow};
use std::str::FromStr;

/// A token with its holder, as the database has it.
#[derive(Clone, Debug)]
pub struct TokenRow {
    pub id: TokenId,
    pub person: Person,
    pub unit: String,
    pub role: Role,
    pub department: Option<DepartmentId>,
    pub expires_at: jiff::Timestamp,
    pub revoked_at: Option<jiff::Timestamp>,
}

/// Reads a text column into a type of ours; what cannot be read is named, not guessed.
pub fn parsed<T: FromStr>(row: &AnyRow, column: &str) -> Result<T, DbError> {
    value(row.try_get(column)?, column)
}

/// The same for a column that may be null.
pub fn parsed_opt<T: FromStr>(row: &AnyRow, column: &str) -> Result<Option<T>, DbError> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(|text| value(text, column)).transpose()
}

fn department(row: &AnyRow) -> Result<Department, DbError> {
    Ok(Department { id: parsed(row, "id")?, code: row.try_get("code")?, name: row.try_get("name")? })
}

pub async fn insert_department(tx: &mut Tx, department: &Department) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    sqlx::query("insert into departments (id, code, name, created_at) values ($1, $2, $3, $4)")
        .bind(department.id.text())
        .bind(department.code.as_str())
        .bind(department.name.as_str())
        .bind(now)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// By id or by code.
pub async fn find_department(conn: &mut AnyConnection, key: &str) -> Result<Option<Department>, DbError> {
    let row = sqlx::query("select id, code, name from departments where id = $1 or code = $1")
        .bind(key)
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(department).transpose()
}

/// After `after`, oldest first.
pub const DEPARTMENT_SORTS: Sorts = Sorts {
    id: "id",
    numbered: false,
    by: &[("created_at", "id"), ("code", "code"), ("name", "name")],
    default: "created_at",
};

/// Those of the caller's scope, and of them the one with this name.
pub async fn list_departments(
    conn: &mut AnyConnection,
    scope: Option<&str>,
    name: Option<&str>,
    slice: &Slice,
) -> Result<Batch<Department>, DbError> {
    Listing::new("id, code, name", "departments")
        .only("id", scope)
        .only("name", name)
        .page(conn, slice, department)
        .await
}

pub async fn department_revision(conn: &mut AnyConnection, id: DepartmentId) -> Result<Option<i64>, DbError> {
    let row =
        sqlx::query("select revision from departments where id = $1").bind(id.text()).fetch_optional(conn).await?;
    Ok(row.map(|row| row.try_get("revision")).transpose()?)
}

/// False when it is another version by now. Who belonged to the old name belongs to the new one: who may decide is judged
/// by it.
pub async fn rename_department(
    tx: &mut Tx,
    department: &Department,
    name: &str,
    revision: i64,
) -> Result<bool, DbError> {
    let done = sqlx::query("update departments set name = $2, revision = revision + 1 where id = $1 and revision = $3")
        .bind(department.id.text())
        .bind(name)
        .bind(revision)
        .execute(tx.conn())
        .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query("update tokens set unit = $2 where unit = $1 or department_id = $3")
        .bind(department.name.as_str())
        .bind(name)
        .bind(department.id.text())
        .execute(tx.conn())
        .await?;
    sqlx::query("update requests set submitted_unit = $2 where state = 'submitted' and department_id = $1")
        .bind(department.id.text())
        .bind(name)
        .execute(tx.conn())
        .await?;
    Ok(true)
}

/// All of them, for what names departments.
pub async fn all_departments(conn: &mut AnyConnection) -> Result<Vec<Department>, DbError> {
    let rows = sqlx::query("select id, code, name from departments").fetch_all(conn).await?;
    rows.iter().map(department).collect()
}

fn person(row: &AnyRow) -> Result<Person, DbError> {
    Ok(Person { id: parsed(row, "person_id")?, login: row.try_get("login")?, name: row.try_get("person_name")? })
}

/// The person with this login, made when new. The name given last is kept.
pub async fn upsert_person(tx: &mut Tx, login: &str, name: &str) -> Result<Person, DbError> {
    let now = tx.now().as_microsecond();
    let row = sqlx::query(
        "insert into people (id, login, name, created_at) values ($1, $2, $3, $4) \
         on conflict (login) do update set name = excluded.name returning id as person_id, login, name as person_name",
    )
    .bind(PersonId::new().text())
    .bind(login)
    .bind(name)
    .bind(now)
    .fetch_one(tx.conn())
    .await?;
    person(&row)
}

pub async fn insert_token(tx: &mut Tx, row: &TokenRow, secret_hash: &str) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    sqlx::query(
        "insert into tokens (id, secret_hash, person_id, unit, role, department_id, created_at, expires_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(row.id.text())
    .bind(secret_hash)
    .bind(row.person.id.text())
    .bind(row.unit.as_str())
    .bind(row.role.word())
    .bind(row.department.map(DepartmentId::text))
    .bind(now)
    .bind(row.expires_at.as_microsecond())
    .execute(tx.conn())
    .await?;
    Ok(())
}

fn token(row: &AnyRow) -> Result<TokenRow, DbError> {
    Ok(TokenRow {
        id: parsed(row, "id")?,
        person: person(row)?,
        unit: row.try_get("unit")?,
        role: parsed(row, "role")?,
        department: parsed_opt(row, "department_id")?,
        expires_at: time::from_micros(row.try_get("expires_at")?),
        revoked_at: row.try_get::<Option<i64>, _>("revoked_at")?.map(time::from_micros),
    })
}

pub async fn find_token(conn: &mut AnyConnection, secret_hash: &str) -> Result<Option<TokenRow>, DbError> {
    let row = sqlx::query(
        "select tokens.id, person_id, login, people.name as person_name, unit, role, department_id, expires_at, \
         revoked_at from tokens join people on people.id = person_id where secret_hash = $1",
    )
    .bind(secret_hash)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(token).transpose()
}

pub async fn list_tokens(conn: &mut AnyConnection) -> Result<Vec<TokenRow>, DbError> {
    let rows = sqlx::query(
        "select tokens.id, person_id, login, people.name as person_name, unit, role, department_id, expires_at, \
         revoked_at from tokens join people on people.id = person_id order by tokens.id",
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(token).collect()
}

/// True when it was valid until now.
pub async fn revoke_token(tx: &mut Tx, id: &str) -> Result<bool, DbError> {
    let now = tx.now().as_microsecond();
    let done = sqlx::query("update tokens set revoked_at = $2 where id = $1 and revoked_at is null")
        .bind(id)
        .bind(now)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}
