//! SQL of disk imports, and of addresses that are kept for a way back.

use super::{DiskImport, Format, Found, lifecycle::State};
use crate::{
    db::{Batch, DbError, Listing, Slice, Sorts, Tx},
    identity::store::parsed,
    ids::{DiskImportId, MachineId, OperationId},
    time,
};
use sqlx::{AnyConnection, Row, any::AnyRow};
use std::net::Ipv4Addr;

pub const SORTS: Sorts = Sorts { id: "id", numbered: false, by: &[("created_at", "id")], default: "-created_at" };

fn import(row: &AnyRow) -> Result<DiskImport, DbError> {
    let instant =
        |column: &str| -> Result<_, DbError> { Ok(row.try_get::<Option<i64>, _>(column)?.map(time::from_micros)) };
    let flag = |column: &str| -> Result<Option<bool>, DbError> {
        Ok(row.try_get::<Option<i64>, _>(column)?.map(|flag| flag == 1))
    };
    let bytes = |column: &str| -> Result<u64, DbError> {
        u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| DbError::Corrupt { what: column.to_owned() })
    };
    let found = flag("was_running")?.zip(flag("had_autostart")?);
    Ok(DiskImport {
        id: parsed(row, "id")?,
        department: parsed(row, "department_id")?,
        server: parsed(row, "server_id")?,
        machine: parsed(row, "machine_id")?,
        operation: parsed(row, "operation_id")?,
        source_host: row.try_get("source_host")?,
        domain_id: parsed(row, "domain_id")?,
        domain_name: row.try_get("domain_name")?,
        disk_file: row.try_get("disk_file")?,
        disk_format: parsed::<Format>(row, "disk_format")?.0,
        state: parsed(row, "state")?,
        address: parsed(row, "address")?,
        own_address: parsed(row, "own_address")?,
        found: found.map(|(running, autostart)| Found { running, autostart }),
        file_bytes: bytes("file_bytes")?,
        virtual_bytes: row.try_get("virtual_bytes")?,
        written: row.try_get("written")?,
        copied_bytes: bytes("copied_bytes")?,
        sent_bytes: bytes("sent_bytes")?,
        digest_state: row.try_get("digest_state")?,
        sha256: row.try_get("sha256")?,
        checked_at: instant("checked_at")?,
        begun: row.try_get("begun")?,
        answered: flag("answered")?,
        note: row.try_get("note")?,
        evidence: row.try_get("evidence")?,
        own_disk_gone: row.try_get::<i64, _>("own_disk_gone")? == 1,
        created_by: row.try_get("created_by")?,
        created_at: time::from_micros(row.try_get("created_at")?),
        moved_at: instant("moved_at")?,
        ended_at: instant("ended_at")?,
    })
}

pub async fn insert(tx: &mut Tx, import: &DiskImport) -> Result<(), DbError> {
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    sqlx::query(
        "insert into disk_imports (id, department_id, server_id, machine_id, operation_id, source_host, domain_id, \
         domain_name, disk_file, disk_format, state, address, own_address, file_bytes, virtual_bytes, written, \
         created_by, created_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
    )
    .bind(import.id.text())
    .bind(import.department.text())
    .bind(import.server.text())
    .bind(import.machine.text())
    .bind(import.operation.text())
    .bind(import.source_host.as_str())
    .bind(import.domain_id.to_string())
    .bind(import.domain_name.as_str())
    .bind(import.disk_file.as_str())
    .bind(import.disk_format.word())
    .bind(import.state.word())
    .bind(import.address.to_string())
    .bind(import.own_address.to_string())
    .bind(signed(import.file_bytes))
    .bind(import.virtual_bytes)
    .bind(import.written.as_str())
    .bind(import.created_by.as_str())
    .bind(import.created_at.as_microsecond())
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn find(conn: &mut AnyConnection, id: &str, department: Option<&str>) -> Result<Option<DiskImport>, DbError> {
    let row = sqlx::query(
        "select id, department_id, server_id, machine_id, operation_id, source_host, domain_id, domain_name, disk_file, \
         disk_format, state, address, own_address, was_running, had_autostart, file_bytes, virtual_bytes, written, \
         copied_bytes, sent_bytes, digest_state, sha256, checked_at, begun, answered, note, evidence, own_disk_gone, \
         created_by, created_at, moved_at, ended_at from disk_imports \
         where id = $1 and (cast($2 as text) is null or department_id = $2)",
    )
    .bind(id)
    .bind(department)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(import).transpose()
}

/// The one in an operation's hands.
pub async fn of_operation(conn: &mut AnyConnection, operation: OperationId) -> Result<Option<DiskImport>, DbError> {
    let row = sqlx::query(
        "select id, department_id, server_id, machine_id, operation_id, source_host, domain_id, domain_name, disk_file, \
         disk_format, state, address, own_address, was_running, had_autostart, file_bytes, virtual_bytes, written, \
         copied_bytes, sent_bytes, digest_state, sha256, checked_at, begun, answered, note, evidence, own_disk_gone, \
         created_by, created_at, moved_at, ended_at from disk_imports where operation_id = $1",
    )
    .bind(operation.text())
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(import).transpose()
}

/// The one of a machine from which there is a way back.
pub async fn open_of(conn: &mut AnyConnection, machine: MachineId) -> Result<Option<DiskImport>, DbError> {
    let row = sqlx::query(
        "select id, department_id, server_id, machine_id, operation_id, source_host, domain_id, domain_name, disk_file, \
         disk_format, state, address, own_address, was_running, had_autostart, file_bytes, virtual_bytes, written, \
         copied_bytes, sent_bytes, digest_state, sha256, checked_at, begun, answered, note, evidence, own_disk_gone, \
         created_by, created_at, moved_at, ended_at from disk_imports \
         where machine_id = $1 and state in ('importing', 'moved', 'returning')",
    )
    .bind(machine.text())
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(import).transpose()
}

/// Which disk imports a list has. `scope` is what the caller may see.
#[derive(Default, serde::Serialize)]
pub struct Filter<'a> {
    pub scope: Option<&'a str>,
    pub department: Option<&'a str>,
    pub state: Option<&'a str>,
    pub machine: Option<&'a str>,
    pub server: Option<&'a str>,
}

pub async fn list(conn: &mut AnyConnection, filter: &Filter<'_>, slice: &Slice) -> Result<Batch<DiskImport>, DbError> {
    Listing::new(
        "id, department_id, server_id, machine_id, operation_id, source_host, domain_id, domain_name, disk_file, \
         disk_format, state, address, own_address, was_running, had_autostart, file_bytes, virtual_bytes, written, \
         copied_bytes, sent_bytes, digest_state, sha256, checked_at, begun, answered, note, evidence, own_disk_gone, \
         created_by, created_at, moved_at, ended_at",
        "disk_imports",
    )
    .only("department_id", filter.scope)
    .only("department_id", filter.department)
    .only("state", filter.state)
    .only("machine_id", filter.machine)
    .only("server_id", filter.server)
    .page(conn, slice, import)
    .await
}

/// Another state, unless it is no longer in the one that this was decided on. `operation` is what it is in the hands of.
pub async fn advance(
    tx: &mut Tx,
    id: DiskImportId,
    from: State,
    to: State,
    operation: OperationId,
    note: Option<&str>,
) -> Result<bool, DbError> {
    let now = tx.now().as_microsecond();
    let done = sqlx::query(
        "update disk_imports set state = $3, operation_id = $4, note = $5, \
         moved_at = case when $3 = 'moved' then $6 else moved_at end, \
         ended_at = case when $3 in ('returned', 'failed', 'finished') then $6 else ended_at end \
         where id = $1 and state = $2",
    )
    .bind(id.text())
    .bind(from.word())
    .bind(to.word())
    .bind(operation.text())
    .bind(note)
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// How the old guest was found; once, before anything is done to it.
pub async fn found(tx: &mut Tx, id: DiskImportId, found: Found) -> Result<(), DbError> {
    sqlx::query("update disk_imports set was_running = $2, had_autostart = $3 where id = $1 and was_running is null")
        .bind(id.text())
        .bind(i64::from(found.running))
        .bind(i64::from(found.autostart))
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// A copy begins at its beginning, of a file that looks like this.
pub async fn begin(
    tx: &mut Tx,
    id: DiskImportId,
    file_bytes: u64,
    virtual_bytes: i64,
    written: &str,
) -> Result<(), DbError> {
    sqlx::query(
        "update disk_imports set file_bytes = $2, virtual_bytes = $3, written = $4, copied_bytes = 0, \
         digest_state = null, sha256 = null, checked_at = null, begun = begun + 1 where id = $1",
    )
    .bind(id.text())
    .bind(i64::try_from(file_bytes).unwrap_or(i64::MAX))
    .bind(virtual_bytes)
    .bind(written)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What was copied is not what the old guest has now.
pub async fn forget_copy(tx: &mut Tx, id: DiskImportId) -> Result<(), DbError> {
    sqlx::query(
        "update disk_imports set copied_bytes = 0, digest_state = null, sha256 = null, checked_at = null, \
         written = '' where id = $1",
    )
    .bind(id.text())
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// One more piece lies there; `digest_state` is the digest's of all until then.
pub async fn copied(
    tx: &mut Tx,
    id: DiskImportId,
    copied_bytes: u64,
    sent: u64,
    digest_state: &str,
) -> Result<(), DbError> {
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    sqlx::query(
        "update disk_imports set copied_bytes = $2, sent_bytes = sent_bytes + $3, digest_state = $4 where id = $1",
    )
    .bind(id.text())
    .bind(signed(copied_bytes))
    .bind(signed(sent))
    .bind(digest_state)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// All of it was read, and this is its digest.
pub async fn read(tx: &mut Tx, id: DiskImportId, sha256: &str) -> Result<(), DbError> {
    sqlx::query("update disk_imports set sha256 = $2 where id = $1")
        .bind(id.text())
        .bind(sha256)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// What was read back is what was read.
pub async fn checked(tx: &mut Tx, id: DiskImportId) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    sqlx::query("update disk_imports set checked_at = $2 where id = $1")
        .bind(id.text())
        .bind(now)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Whether the guest answered after its first start on the cloud's host.
pub async fn answered(tx: &mut Tx, id: DiskImportId, answered: bool) -> Result<(), DbError> {
    sqlx::query("update disk_imports set answered = $2 where id = $1")
        .bind(id.text())
        .bind(i64::from(answered))
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Why the one in this operation's hands turned back.
pub async fn set_note(tx: &mut Tx, operation: OperationId, note: &str) -> Result<(), DbError> {
    sqlx::query("update disk_imports set note = $2 where operation_id = $1")
        .bind(operation.text())
        .bind(note)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// What shows that the old guest stays off.
pub async fn set_evidence(tx: &mut Tx, id: DiskImportId, evidence: &str) -> Result<(), DbError> {
    sqlx::query("update disk_imports set evidence = $2 where id = $1")
        .bind(id.text())
        .bind(evidence)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// The disk that the machine was built with has been given up.
pub async fn own_disk_gone(tx: &mut Tx, id: DiskImportId) -> Result<(), DbError> {
    sqlx::query("update disk_imports set own_disk_gone = 1 where id = $1").bind(id.text()).execute(tx.conn()).await?;
    Ok(())
}

/// Puts a machine's claim on another address of the network that it is on, and keeps the one that it had until
/// [`come_back`] or [`stay`]. The index of claims refuses an address that is taken.
pub async fn change_address(tx: &mut Tx, machine: MachineId, to: Ipv4Addr, mac: &str) -> Result<(), DbError> {
    sqlx::query(
        "insert into kept_addresses (machine_id, address_pool, address) \
         select machine_id, address_pool, address from claims where machine_id = $1",
    )
    .bind(machine.text())
    .execute(tx.conn())
    .await?;
    set_address(tx, machine, to, mac).await
}

/// The machine has its own address again.
pub async fn come_back(tx: &mut Tx, machine: MachineId, own: Ipv4Addr, mac: &str) -> Result<(), DbError> {
    set_address(tx, machine, own, mac).await?;
    stay(tx, machine).await
}

/// The machine stays where it is: what was kept for it is free.
pub async fn stay(tx: &mut Tx, machine: MachineId) -> Result<(), DbError> {
    sqlx::query("delete from kept_addresses where machine_id = $1").bind(machine.text()).execute(tx.conn()).await?;
    Ok(())
}

async fn set_address(tx: &mut Tx, machine: MachineId, to: Ipv4Addr, mac: &str) -> Result<(), DbError> {
    sqlx::query("update claims set address = $2, mac = $3 where machine_id = $1")
        .bind(machine.text())
        .bind(to.to_string())
        .bind(mac)
        .execute(tx.conn())
        .await?;
    Ok(())
}
