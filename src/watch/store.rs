//! SQL of alarms.

use super::{Alarm, AlarmKind, drift::Finding};
use crate::{
    db::{Batch, DbError, Listing, Slice, Sorts, Tx},
    identity::store::{parsed, parsed_opt},
    ids::{AlarmId, HostId, MachineId},
    time,
};
use sqlx::{AnyConnection, Row, any::AnyRow};

fn alarm(row: &AnyRow) -> Result<Alarm, DbError> {
    let instant =
        |column: &str| -> Result<_, DbError> { Ok(row.try_get::<Option<i64>, _>(column)?.map(time::from_micros)) };
    Ok(Alarm {
        id: parsed(row, "id")?,
        host: parsed_opt(row, "host_id")?,
        kind: parsed::<AlarmKind>(row, "kind")?,
        domain_id: row.try_get("domain_id")?,
        name: row.try_get("name")?,
        machine: parsed_opt(row, "machine_id")?,
        detail: row.try_get("detail")?,
        first_seen_at: time::from_micros(row.try_get("first_seen_at")?),
        last_seen_at: time::from_micros(row.try_get("last_seen_at")?),
        acknowledged_by: row.try_get("acknowledged_by")?,
        acknowledged_at: instant("acknowledged_at")?,
        cleared_at: instant("cleared_at")?,
    })
}

/// Alarms, newest first, below the id `before`; the open ones only unless `all`.
pub const SORTS: Sorts = Sorts { id: "id", numbered: false, by: &[("created_at", "id")], default: "-created_at" };

/// Which alarms a list has.
#[derive(Default, serde::Serialize)]
pub struct Filter<'a> {
    /// Those that are over too.
    pub all: bool,
    pub kind: Option<&'a str>,
    pub host: Option<&'a str>,
    pub machine: Option<&'a str>,
}

pub async fn list(conn: &mut AnyConnection, filter: &Filter<'_>, slice: &Slice) -> Result<Batch<Alarm>, DbError> {
    Listing::new(
        "id, host_id, kind, domain_id, name, machine_id, detail, first_seen_at, last_seen_at, \
         acknowledged_by, acknowledged_at, cleared_at",
        "alarms",
    )
    .when(!filter.all, "cleared_at is null")
    .only("kind", filter.kind)
    .only("host_id", filter.host)
    .only("machine_id", filter.machine)
    .page(conn, slice, alarm)
    .await
}

pub async fn find(conn: &mut AnyConnection, id: &str) -> Result<Option<Alarm>, DbError> {
    let row = sqlx::query(
        "select id, host_id, kind, domain_id, name, machine_id, detail, first_seen_at, last_seen_at, \
         acknowledged_by, acknowledged_at, cleared_at from alarms where id = $1",
    )
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(alarm).transpose()
}

/// A host's open alarms.
pub async fn open_on(conn: &mut AnyConnection, host: HostId) -> Result<Vec<Alarm>, DbError> {
    let rows = sqlx::query(
        "select id, host_id, kind, domain_id, name, machine_id, detail, first_seen_at, last_seen_at, \
         acknowledged_by, acknowledged_at, cleared_at from alarms where host_id = $1 and cleared_at is null \
         order by id",
    )
    .bind(host.text())
    .fetch_all(conn)
    .await?;
    rows.iter().map(alarm).collect()
}

/// How many open alarms there are of each kind.
pub async fn count_open(conn: &mut AnyConnection) -> Result<Vec<(AlarmKind, i64)>, DbError> {
    let rows = sqlx::query("select kind, count(*) as n from alarms where cleared_at is null group by kind")
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok((parsed(row, "kind")?, row.try_get("n")?))).collect()
}

/// Enters what was found. True when it is new; otherwise it was seen before and is seen again.
pub async fn raise(tx: &mut Tx, host: Option<HostId>, finding: &Finding) -> Result<bool, DbError> {
    let now = tx.now().as_microsecond();
    let again = sqlx::query(
        "update alarms set last_seen_at = $4, detail = $5 where coalesce(host_id, '') = $1 and kind = $2 \
         and domain_id = $3 and cleared_at is null",
    )
    .bind(host.map(HostId::text).unwrap_or_default())
    .bind(finding.kind.word())
    .bind(finding.domain_id.as_str())
    .bind(now)
    .bind(finding.detail.as_str())
    .execute(tx.conn())
    .await?;
    if again.rows_affected() > 0 {
        return Ok(false);
    }
    let done = sqlx::query(
        "insert into alarms (id, host_id, kind, domain_id, name, machine_id, detail, first_seen_at, last_seen_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8) on conflict do nothing",
    )
    .bind(AlarmId::new().text())
    .bind(host.map(HostId::text))
    .bind(finding.kind.word())
    .bind(finding.domain_id.as_str())
    .bind(finding.name.as_str())
    .bind(finding.machine.map(MachineId::text))
    .bind(finding.detail.as_str())
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The open alarm about something that is on no host.
pub async fn open_off_hosts(
    conn: &mut AnyConnection,
    kind: AlarmKind,
    subject: &str,
) -> Result<Option<Alarm>, DbError> {
    let row = sqlx::query(
        "select id, host_id, kind, domain_id, name, machine_id, detail, first_seen_at, last_seen_at, \
         acknowledged_by, acknowledged_at, cleared_at from alarms where host_id is null and kind = $1 \
         and domain_id = $2 and cleared_at is null",
    )
    .bind(kind.word())
    .bind(subject)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(alarm).transpose()
}

/// What is no longer so.
pub async fn clear(tx: &mut Tx, id: AlarmId) -> Result<bool, DbError> {
    let now = tx.now().as_microsecond();
    let done = sqlx::query("update alarms set cleared_at = $2 where id = $1 and cleared_at is null")
        .bind(id.text())
        .bind(now)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Somebody has seen it. False when somebody had already.
pub async fn acknowledge(tx: &mut Tx, id: AlarmId, by: &str) -> Result<bool, DbError> {
    let now = tx.now().as_microsecond();
    let done = sqlx::query(
        "update alarms set acknowledged_by = $2, acknowledged_at = $3 where id = $1 and acknowledged_by is null",
    )
    .bind(id.text())
    .bind(by)
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}
