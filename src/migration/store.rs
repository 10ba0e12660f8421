//! SQL of the survey.

use super::{
    estate::Object,
    progress::Moved,
    register::Met,
    room::{Room, Standing},
};
use crate::{
    db::{DbError, Tx, placeholders},
    identity::store::parsed,
    ids::{DepartmentId, ServerId, SystemId},
};
use jiff::civil::Date;
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};
use std::collections::HashMap;

/// Rows of one statement: seven values each, well below what SQLite binds.
const AT_ONCE: usize = 500;

/// How often the survey has changed.
pub async fn revision(conn: &mut AnyConnection) -> Result<i64, DbError> {
    Ok(sqlx::query("select revision from estate where id = 1").fetch_one(conn).await?.try_get("revision")?)
}

/// One change more, and the day that it belongs to; nothing where somebody has changed it since `seen`. Whoever writes waits
/// here for whoever writes before.
pub async fn advance(tx: &mut Tx, seen: i64, today: Date) -> Result<Option<(i64, Date)>, DbError> {
    let row = sqlx::query(
        "update estate set revision = revision + 1, day = case when day < $2 then $2 else day end \
         where id = 1 and revision = $1 returning revision, day",
    )
    .bind(seen)
    .bind(today.to_string())
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| Ok((row.try_get("revision")?, parsed(&row, "day")?))).transpose()
}

/// From now on nothing is written of a day before this one.
pub async fn end_days_before(tx: &mut Tx, today: Date) -> Result<(), DbError> {
    sqlx::query("update estate set day = $1 where id = 1 and day < $1")
        .bind(today.to_string())
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Keeps things as they are from now on.
pub async fn put_all(tx: &mut Tx, revision: i64, day: Date, objects: &[Object]) -> Result<(), DbError> {
    let (now, day_text) = (tx.now().as_microsecond(), day.to_string());
    for some in objects.chunks(AT_ONCE) {
        let sql = format!(
            "insert into estate_versions (kind, object_id, revision, day, at, standing, body) values {}",
            placeholders(some.len(), 7)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for object in some {
            let broken = |_| DbError::Corrupt { what: "estate_versions.body".to_owned() };
            query = query
                .bind(object.kind())
                .bind(object.id())
                .bind(revision)
                .bind(day_text.clone())
                .bind(now)
                .bind(object.standing(day).word())
                .bind(serde_json::to_string(object).map_err(broken)?);
        }
        query.execute(tx.conn()).await?;
    }
    Ok(())
}

/// Everything as it was at the end of a day.
pub async fn load(conn: &mut AnyConnection, day: Date) -> Result<Vec<Object>, DbError> {
    let rows = sqlx::query(
        "select v.body as body from estate_versions v join (select kind, object_id, max(revision) as revision \
         from estate_versions where day <= $1 group by kind, object_id) last \
         on last.kind = v.kind and last.object_id = v.object_id and last.revision = v.revision",
    )
    .bind(day.to_string())
    .fetch_all(conn)
    .await?;
    rows.iter().map(object).collect()
}

fn object(row: &AnyRow) -> Result<Object, DbError> {
    let text: String = row.try_get("body")?;
    serde_json::from_str(&text).map_err(|_| DbError::Corrupt { what: "estate_versions.body".to_owned() })
}

/// Every change until the end of a day, in its order.
pub async fn moved(conn: &mut AnyConnection, day: Date) -> Result<Vec<Moved>, DbError> {
    let rows = sqlx::query(
        "select kind, object_id, day, standing from estate_versions where day <= $1 and kind <> 'server' \
         order by revision, kind, object_id",
    )
    .bind(day.to_string())
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let standing: String = row.try_get("standing")?;
            Ok(Moved {
                kind: row.try_get("kind")?,
                id: row.try_get("object_id")?,
                day: parsed(row, "day")?,
                standing: match standing.as_str() {
                    "pending" => Standing::Pending,
                    "exempt" => Standing::Exempt,
                    "gone" => Standing::Gone,
                    _ => return Err(DbError::Corrupt { what: "estate_versions.standing".to_owned() }),
                },
            })
        })
        .collect()
}

/// Enters a room's name. What is known of it stands elsewhere.
pub async fn insert_room(tx: &mut Tx, room: &Room) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    sqlx::query("insert into rooms (id, department_id, name, created_at) values ($1, $2, $3, $4)")
        .bind(room.id.text())
        .bind(room.unit.id.text())
        .bind(room.name.as_str())
        .bind(now)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Every system that is registered, by department and name.
pub async fn systems(conn: &mut AnyConnection) -> Result<HashMap<(DepartmentId, String), SystemId>, DbError> {
    let rows = sqlx::query("select id, department_id, name from systems").fetch_all(conn).await?;
    rows.iter().map(|row| Ok(((parsed(row, "department_id")?, row.try_get("name")?), parsed(row, "id")?))).collect()
}

/// Every server that is registered, by department and name.
pub async fn servers(conn: &mut AnyConnection) -> Result<HashMap<(DepartmentId, String), ServerId>, DbError> {
    let rows = sqlx::query("select id, department_id, name from servers").fetch_all(conn).await?;
    rows.iter().map(|row| Ok(((parsed(row, "department_id")?, row.try_get("name")?), parsed(row, "id")?))).collect()
}

/// What of the dated register has been done until the end of a day.
pub async fn met(conn: &mut AnyConnection, day: Date) -> Result<Vec<(String, Met)>, DbError> {
    let rows = sqlx::query(
        "select deadline, period, day, evidence, met_by, unit from deadlines_met where day <= $1 \
         order by deadline, period",
    )
    .bind(day.to_string())
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let met = Met {
                period: row.try_get("period")?,
                on: parsed(row, "day")?,
                evidence: row.try_get("evidence")?,
                by: row.try_get("met_by")?,
                unit: row.try_get("unit")?,
            };
            Ok((row.try_get("deadline")?, met))
        })
        .collect()
}

pub async fn insert_met(tx: &mut Tx, deadline: &str, met: &Met) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    sqlx::query(
        "insert into deadlines_met (deadline, period, day, at, evidence, met_by, unit) \
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(deadline)
    .bind(met.period.as_str())
    .bind(met.on.to_string())
    .bind(now)
    .bind(met.evidence.as_str())
    .bind(met.by.as_str())
    .bind(met.unit.as_str())
    .execute(tx.conn())
    .await?;
    Ok(())
}
