//! SQL of legacy servers.

use super::{Facts, Place, Server};
use crate::{
    db::{Batch, DbError, Listing, Slice, Sorts, Tx},
    identity::store::parsed,
    ids::ServerId,
    time,
};
use sqlx::{AnyConnection, Row, any::AnyRow};

pub const SORTS: Sorts =
    Sorts { id: "id", numbered: false, by: &[("created_at", "id"), ("name", "name")], default: "-created_at" };

fn server(row: &AnyRow) -> Result<Server, DbError> {
    let source: Option<String> = row.try_get("source")?;
    let instance: Option<String> = row.try_get("instance")?;
    let cores: Option<i64> = row.try_get("cores")?;
    let corrupt = |_| DbError::Corrupt { what: "servers.cores".to_owned() };
    Ok(Server {
        id: parsed(row, "id")?,
        department: parsed(row, "department_id")?,
        created_at: time::from_micros(row.try_get("created_at")?),
        facts: Facts {
            name: row.try_get("name")?,
            cores: cores.map(u32::try_from).transpose().map_err(corrupt)?,
            memory_bytes: row.try_get("memory_bytes")?,
            measured: source.zip(instance).map(|(source, instance)| Place { source, instance }),
        },
    })
}

pub async fn insert(tx: &mut Tx, server: &Server) -> Result<(), DbError> {
    let (facts, place) = (&server.facts, server.facts.measured.as_ref());
    sqlx::query(
        "insert into servers (id, department_id, name, cores, memory_bytes, source, instance, created_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(server.id.text())
    .bind(server.department.text())
    .bind(facts.name.as_str())
    .bind(facts.cores.map(i64::from))
    .bind(facts.memory_bytes)
    .bind(place.map(|place| place.source.as_str()))
    .bind(place.map(|place| place.instance.as_str()))
    .bind(server.created_at.as_microsecond())
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// False when it is another version by now.
pub async fn set(tx: &mut Tx, id: ServerId, facts: &Facts, revision: i64) -> Result<bool, DbError> {
    let place = facts.measured.as_ref();
    let done = sqlx::query(
        "update servers set name = $2, cores = $3, memory_bytes = $4, source = $5, instance = $6, \
         revision = revision + 1 where id = $1 and revision = $7",
    )
    .bind(id.text())
    .bind(facts.name.as_str())
    .bind(facts.cores.map(i64::from))
    .bind(facts.memory_bytes)
    .bind(place.map(|place| place.source.as_str()))
    .bind(place.map(|place| place.instance.as_str()))
    .bind(revision)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn find(conn: &mut AnyConnection, id: &str, department: Option<&str>) -> Result<Option<Server>, DbError> {
    let row = sqlx::query(
        "select id, department_id, name, cores, memory_bytes, source, instance, created_at from servers \
         where id = $1 and (cast($2 as text) is null or department_id = $2)",
    )
    .bind(id)
    .bind(department)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(server).transpose()
}

pub async fn revision(conn: &mut AnyConnection, id: ServerId) -> Result<Option<i64>, DbError> {
    let row = sqlx::query("select revision from servers where id = $1").bind(id.text()).fetch_optional(conn).await?;
    Ok(row.map(|row| row.try_get("revision")).transpose()?)
}

/// Which servers a list has. `scope` is what the caller may see, `department` what was asked for.
#[derive(Default, serde::Serialize)]
pub struct Filter<'a> {
    pub scope: Option<&'a str>,
    pub department: Option<&'a str>,
    pub name: Option<&'a str>,
    pub source: Option<&'a str>,
}

pub async fn list(conn: &mut AnyConnection, filter: &Filter<'_>, slice: &Slice) -> Result<Batch<Server>, DbError> {
    Listing::new("id, department_id, name, cores, memory_bytes, source, instance, created_at", "servers")
        .only("department_id", filter.scope)
        .only("department_id", filter.department)
        .only("name", filter.name)
        .only("source", filter.source)
        .page(conn, slice, server)
        .await
}
