//! SQL of machines and images.

use super::{Machine, image::Image, lifecycle::State};
use crate::{
    db::{Batch, DbError, Listing, Slice, Sorts, Tx, placeholders},
    identity::store::{parsed, parsed_opt},
    ids::{HostId, MachineId, OperationId},
    provider::{ImageFormat, Intent},
    time,
    units::Bytes,
};
use jiff::civil::Date;
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};
use std::net::Ipv4Addr;

pub async fn insert_all(tx: &mut Tx, machines: &[&Machine]) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    let sql = format!(
        "insert into machines (id, request_id, department_id, host_id, ordinal, name, state, intent, image_sha256, \
         zone, lease_end, contact, operation_id, created_at) values {}",
        placeholders(machines.len(), 14)
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for m in machines {
        let intent = serde_json::to_string(&m.intent).map_err(|_| DbError::Corrupt { what: "intent".to_owned() })?;
        query = query
            .bind(m.id.text())
            .bind(m.request.text())
            .bind(m.department.text())
            .bind(m.host.text())
            .bind(m.ordinal)
            .bind(m.intent.name.as_str())
            .bind(m.state.word())
            .bind(intent)
            .bind(m.intent.image.sha256.as_str())
            .bind(m.zone.word())
            .bind(m.lease_end.to_string())
            .bind(m.contact.as_str())
            .bind(m.operation.map(OperationId::text))
            .bind(now);
    }
    query.execute(tx.conn()).await?;
    Ok(())
}

fn machine(row: &AnyRow) -> Result<Machine, DbError> {
    let instant =
        |column: &str| -> Result<_, DbError> { Ok(row.try_get::<Option<i64>, _>(column)?.map(time::from_micros)) };
    Ok(Machine {
        id: parsed(row, "id")?,
        request: parsed(row, "request_id")?,
        department: parsed(row, "department_id")?,
        host: parsed(row, "host_id")?,
        ordinal: row.try_get("ordinal")?,
        state: parsed(row, "state")?,
        intent: serde_json::from_str(row.try_get("intent")?)
            .map_err(|_| DbError::Corrupt { what: "intent".to_owned() })?,
        zone: parsed(row, "zone")?,
        lease_end: parsed(row, "lease_end")?,
        contact: row.try_get("contact")?,
        operation: parsed_opt(row, "operation_id")?,
        created_at: time::from_micros(row.try_get("created_at")?),
        ready_at: instant("ready_at")?,
        binned_at: instant("binned_at")?,
        run: row.try_get("run_id")?,
        stuck_reason: row.try_get("stuck_reason")?,
        address_seen: parsed_opt(row, "address_seen")?,
    })
}

pub async fn find(conn: &mut AnyConnection, id: &str, department: Option<&str>) -> Result<Option<Machine>, DbError> {
    let row = sqlx::query(
        "select id, request_id, department_id, host_id, ordinal, state, intent, zone, lease_end, contact, \
         operation_id, created_at, ready_at, binned_at, run_id, stuck_reason, address_seen from machines \
         where id = $1 and (cast($2 as text) is null or department_id = $2)",
    )
    .bind(id)
    .bind(department)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(machine).transpose()
}

/// A request's machines in order.
pub async fn of_request(conn: &mut AnyConnection, request: &str) -> Result<Vec<Machine>, DbError> {
    let rows = sqlx::query(
        "select id, request_id, department_id, host_id, ordinal, state, intent, zone, lease_end, contact, \
         operation_id, created_at, ready_at, binned_at, run_id, stuck_reason, address_seen from machines where request_id = $1 order by ordinal",
    )
    .bind(request)
    .fetch_all(conn)
    .await?;
    rows.iter().map(machine).collect()
}

/// The machines that belong on a host: those that hold something there.
pub async fn of_host(conn: &mut AnyConnection, host: HostId) -> Result<Vec<Machine>, DbError> {
    let rows = sqlx::query(
        "select id, request_id, department_id, host_id, ordinal, state, intent, zone, lease_end, contact, \
         operation_id, created_at, ready_at, binned_at, run_id, stuck_reason, address_seen from machines where host_id = $1 \
         and state <> 'undone' order by id",
    )
    .bind(host.text())
    .fetch_all(conn)
    .await?;
    rows.iter().map(machine).collect()
}

/// Machines on their way to a host.
pub async fn bound_for(conn: &mut AnyConnection, host: HostId) -> Result<Vec<Machine>, DbError> {
    let rows = sqlx::query(
        "select id, request_id, department_id, machines.host_id as host_id, ordinal, state, intent, zone, lease_end, \
         contact, machines.operation_id as operation_id, created_at, ready_at, binned_at, run_id, stuck_reason, address_seen from machines \
         join journeys on journeys.machine_id = machines.id where journeys.host_id = $1 order by id",
    )
    .bind(host.text())
    .fetch_all(conn)
    .await?;
    rows.iter().map(machine).collect()
}

/// The run that a machine is known by from now on, unless something is under way on it.
pub async fn learn_run(tx: &mut Tx, id: MachineId, run: Option<i64>) -> Result<(), DbError> {
    sqlx::query("update machines set run_id = $2 where id = $1 and operation_id is null")
        .bind(id.text())
        .bind(run)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// The address that the place has given a machine which keeps none.
pub async fn learn_address(tx: &mut Tx, id: MachineId, address: Ipv4Addr) -> Result<(), DbError> {
    sqlx::query("update machines set address_seen = $2 where id = $1")
        .bind(id.text())
        .bind(address.to_string())
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// A running machine that was seen to have shut itself down. False when something else has happened to it meanwhile.
pub async fn has_shut_down(tx: &mut Tx, id: MachineId) -> Result<bool, DbError> {
    let done = sqlx::query(
        "update machines set state = 'stopped', run_id = null \
         where id = $1 and operation_id is null and state = 'running'",
    )
    .bind(id.text())
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub const SORTS: Sorts = Sorts {
    id: "id",
    numbered: false,
    by: &[("created_at", "id"), ("name", "name"), ("lease_end", "lease_end")],
    default: "-created_at",
};

/// Which machines a list has. `scope` is what the caller may see, `department` what was asked for.
#[derive(Default, serde::Serialize)]
pub struct Filter<'a> {
    pub scope: Option<&'a str>,
    pub department: Option<&'a str>,
    pub request: Option<&'a str>,
    pub host: Option<&'a str>,
    pub state: Option<&'a str>,
    pub zone: Option<&'a str>,
    pub name: Option<&'a str>,
}

/// Newest first, below the id `before`.
pub async fn list(conn: &mut AnyConnection, filter: &Filter<'_>, slice: &Slice) -> Result<Batch<Machine>, DbError> {
    Listing::new(
        "id, request_id, department_id, host_id, ordinal, state, intent, zone, lease_end, contact, \
         operation_id, created_at, ready_at, binned_at, run_id, stuck_reason, address_seen",
        "machines",
    )
    .only("department_id", filter.scope)
    .only("department_id", filter.department)
    .only("request_id", filter.request)
    .only("host_id", filter.host)
    .only("state", filter.state)
    .only("zone", filter.zone)
    .only("name", filter.name)
    .page(conn, slice, machine)
    .await
}

pub async fn revision(conn: &mut AnyConnection, id: MachineId) -> Result<Option<i64>, DbError> {
    let row = sqlx::query("select revision from machines where id = $1").bind(id.text()).fetch_optional(conn).await?;
    Ok(row.map(|row| row.try_get("revision")).transpose()?)
}

/// False when it is another version by now.
pub async fn set_contact(tx: &mut Tx, id: MachineId, contact: &str, revision: i64) -> Result<bool, DbError> {
    let done = sqlx::query("update machines set contact = $2, revision = revision + 1 where id = $1 and revision = $3")
        .bind(id.text())
        .bind(contact)
        .bind(revision)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Puts an operation on a machine that has none and is still in the state the decision was made on. False otherwise.
pub async fn begin(tx: &mut Tx, id: MachineId, operation: OperationId, state: State) -> Result<bool, DbError> {
    let done =
        sqlx::query("update machines set operation_id = $2 where id = $1 and operation_id is null and state = $3")
            .bind(id.text())
            .bind(operation.text())
            .bind(state.word())
            .execute(tx.conn())
            .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes the operation off again, in the state that it led to. False when the machine is no longer under it.
pub async fn settle(tx: &mut Tx, id: MachineId, operation: OperationId, state: State) -> Result<bool, DbError> {
    let now = tx.now().as_microsecond();
    let done = sqlx::query(
        "update machines set state = $3, operation_id = null, run_id = null, \
         ready_at = case when $3 = 'running' and ready_at is null then $4 else ready_at end, \
         stuck_reason = case when $3 = state then stuck_reason else null end, \
         binned_at = case when $3 = 'in_bin' then $4 else null end where id = $1 and operation_id = $2",
    )
    .bind(id.text())
    .bind(operation.text())
    .bind(state.word())
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What the machine is from now on, and where.
pub async fn set_intent(tx: &mut Tx, id: MachineId, host: HostId, intent: &Intent) -> Result<(), DbError> {
    let text = serde_json::to_string(intent).map_err(|_| DbError::Corrupt { what: "intent".to_owned() })?;
    sqlx::query("update machines set intent = $2, host_id = $3 where id = $1")
        .bind(id.text())
        .bind(text)
        .bind(host.text())
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Another state under the operation that the machine is in the hands of.
pub async fn set_state(tx: &mut Tx, id: MachineId, state: State) -> Result<(), DbError> {
    sqlx::query("update machines set state = $2 where id = $1 and operation_id is not null")
        .bind(id.text())
        .bind(state.word())
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Why it could not be moved away.
pub async fn set_stuck(tx: &mut Tx, id: MachineId, reason: Option<&str>) -> Result<(), DbError> {
    sqlx::query("update machines set stuck_reason = $2 where id = $1")
        .bind(id.text())
        .bind(reason)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Moves the end of its lease. False when it has been moved meanwhile.
pub async fn extend(tx: &mut Tx, id: MachineId, from: Date, to: Date) -> Result<bool, DbError> {
    let done = sqlx::query("update machines set lease_end = $3 where id = $1 and lease_end = $2")
        .bind(id.text())
        .bind(from.to_string())
        .bind(to.to_string())
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Machines whose state and claim contradict each other: what the ledger must never find.
pub async fn contradictions(conn: &mut AnyConnection) -> Result<Vec<(String, State, bool, bool)>, DbError> {
    let rows = sqlx::query(
        "select id, state, coalesce(compute_held, 0) as compute_held, coalesce(storage_held, 0) as storage_held \
         from machines left join claims on machine_id = machines.id where operation_id is null",
    )
    .fetch_all(conn)
    .await?;
    let mut found = Vec::new();
    for row in &rows {
        let state: State = parsed(row, "state")?;
        let compute = row.try_get::<i64, _>("compute_held")? == 1;
        let storage = row.try_get::<i64, _>("storage_held")? == 1;
        if state.holds() != (compute, storage) {
            found.push((row.try_get("id")?, state, compute, storage));
        }
    }
    Ok(found)
}

pub async fn insert_image(tx: &mut Tx, image: &Image) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    sqlx::query(
        "insert into images (sha256, name, os_type, stand_in, format, size_bytes, virtual_size_bytes, path, \
         imported_at, database) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(image.sha256.as_str())
    .bind(image.name.as_str())
    .bind(image.os_type.as_str())
    .bind(i64::from(image.stand_in))
    .bind(image.format.word())
    .bind(image.size.get())
    .bind(image.virtual_size.get())
    .bind(image.path.as_str())
    .bind(now)
    .bind(image.database.as_deref())
    .execute(tx.conn())
    .await?;
    Ok(())
}

fn image(row: &AnyRow) -> Result<Image, DbError> {
    let corrupt = |what: &str| DbError::Corrupt { what: what.to_owned() };
    let size = |column: &str| Bytes::new(row.try_get(column)?).ok_or_else(|| corrupt(column));
    Ok(Image {
        sha256: row.try_get("sha256")?,
        name: row.try_get("name")?,
        os_type: row.try_get("os_type")?,
        database: row.try_get("database")?,
        stand_in: row.try_get::<i64, _>("stand_in")? == 1,
        format: match row.try_get("format")? {
            "raw" => ImageFormat::Raw,
            "qcow2" => ImageFormat::Qcow2,
            _ => return Err(corrupt("format")),
        },
        size: size("size_bytes")?,
        virtual_size: size("virtual_size_bytes")?,
        path: row.try_get("path")?,
        imported_at: time::from_micros(row.try_get("imported_at")?),
    })
}

/// Newest first.
pub async fn list_images(conn: &mut AnyConnection) -> Result<Vec<Image>, DbError> {
    let rows = sqlx::query(
        "select sha256, name, os_type, stand_in, format, size_bytes, virtual_size_bytes, path, imported_at, database \
         from images order by imported_at desc, sha256",
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(image).collect()
}

/// The images of an operating system: real ones before stand-ins, then the newest.
pub async fn images_of(conn: &mut AnyConnection, os_type: &str) -> Result<Vec<Image>, DbError> {
    let rows = sqlx::query(
        "select sha256, name, os_type, stand_in, format, size_bytes, virtual_size_bytes, path, imported_at, database \
         from images where os_type = $1 order by stand_in, imported_at desc",
    )
    .bind(os_type)
    .fetch_all(conn)
    .await?;
    rows.iter().map(image).collect()
}

pub async fn find_image(conn: &mut AnyConnection, sha256: &str) -> Result<Option<Image>, DbError> {
    let row = sqlx::query(
        "select sha256, name, os_type, stand_in, format, size_bytes, virtual_size_bytes, path, imported_at, database \
         from images where sha256 = $1",
    )
    .bind(sha256)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(image).transpose()
}
