//! SQL of claims that change while they stand.

use crate::{
    capacity::{Amount, Size, inventory::Place},
    db::{DbError, Tx},
    identity::store::parsed,
    ids::{HostId, MachineId, NetworkId, OperationId},
};
use sqlx::{AnyConnection, Row};

/// Takes more of the host that a machine is on already. A host that takes nothing new may still let what it has grow;
/// one that does not answer may not.
pub async fn grow_on_host(tx: &mut Tx, host: HostId, amount: Amount) -> Result<bool, DbError> {
    let done = sqlx::query(
        "update hosts set used_vcpu = used_vcpu + $2, used_memory_bytes = used_memory_bytes + $3, \
         used_disk_bytes = used_disk_bytes + $4 where id = $1 and contact = 'reachable' \
         and used_vcpu + $2 <= limit_vcpu and used_memory_bytes + $3 <= limit_memory_bytes \
         and used_disk_bytes + $4 <= limit_disk_bytes",
    )
    .bind(host.text())
    .bind(amount.vcpu)
    .bind(amount.memory_bytes)
    .bind(amount.disk_bytes)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes down what a machine holds from now on, once the counters have taken it.
pub async fn set_size(tx: &mut Tx, machine: MachineId, size: Size) -> Result<(), DbError> {
    sqlx::query("update claims set vcpu = $2, memory_bytes = $3, disk_bytes = $4 where machine_id = $1")
        .bind(machine.text())
        .bind(i64::from(size.vcpu))
        .bind(size.memory.get())
        .bind(size.disk.get())
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Gives back what a machine holds beyond `size`, to the task book and the host; its compute must be held.
pub async fn shrink(tx: &mut Tx, machine: MachineId, size: Size) -> Result<(), DbError> {
    let (vcpu, memory, disk) = (i64::from(size.vcpu), size.memory.get(), size.disk.get());
    sqlx::query(
        "update task_books set used_vcpu = used_vcpu - (select vcpu - $2 from claims where machine_id = $1), \
         used_memory_bytes = used_memory_bytes - (select memory_bytes - $3 from claims where machine_id = $1), \
         used_disk_bytes = used_disk_bytes - (select disk_bytes - $4 from claims where machine_id = $1) \
         where id = (select task_book_id from claims where machine_id = $1 and compute_held = 1)",
    )
    .bind(machine.text())
    .bind(vcpu)
    .bind(memory)
    .bind(disk)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "update hosts set used_vcpu = used_vcpu - (select vcpu - $2 from claims where machine_id = $1), \
         used_memory_bytes = used_memory_bytes - (select memory_bytes - $3 from claims where machine_id = $1), \
         used_disk_bytes = used_disk_bytes - (select disk_bytes - $4 from claims where machine_id = $1) \
         where id = (select host_id from claims where machine_id = $1 and compute_held = 1)",
    )
    .bind(machine.text())
    .bind(vcpu)
    .bind(memory)
    .bind(disk)
    .execute(tx.conn())
    .await?;
    set_size(tx, machine, size).await
}

/// A machine's place on the host that it goes to, held beside the one that it has.
#[derive(Clone, Debug)]
pub struct Journey {
    pub machine: MachineId,
    pub operation: OperationId,
    pub host: HostId,
    pub network: NetworkId,
    pub amount: Amount,
}

/// Writes down the place, once the host's counters have taken it.
pub async fn depart(tx: &mut Tx, journey: &Journey) -> Result<(), DbError> {
    sqlx::query(
        "insert into journeys (machine_id, operation_id, host_id, network_id, vcpu, memory_bytes, disk_bytes) \
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(journey.machine.text())
    .bind(journey.operation.text())
    .bind(journey.host.text())
    .bind(journey.network.text())
    .bind(journey.amount.vcpu)
    .bind(journey.amount.memory_bytes)
    .bind(journey.amount.disk_bytes)
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn journey_of(conn: &mut AnyConnection, machine: MachineId) -> Result<Option<Journey>, DbError> {
    let row = sqlx::query(
        "select machine_id, operation_id, host_id, network_id, vcpu, memory_bytes, disk_bytes from journeys \
         where machine_id = $1",
    )
    .bind(machine.text())
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Journey {
            machine: parsed(&row, "machine_id")?,
            operation: parsed(&row, "operation_id")?,
            host: parsed(&row, "host_id")?,
            network: parsed(&row, "network_id")?,
            amount: Amount {
                machines: 0,
                vcpu: row.try_get("vcpu")?,
                memory_bytes: row.try_get("memory_bytes")?,
                disk_bytes: row.try_get("disk_bytes")?,
            },
        })
    })
    .transpose()
}

/// The machine is there: what it held where it came from is given back, and its claim is on the other host.
pub async fn arrive(tx: &mut Tx, journey: &Journey) -> Result<(), DbError> {
    let from = sqlx::query_scalar("select host_id from claims where machine_id = $1")
        .bind(journey.machine.text())
        .fetch_one(tx.conn())
        .await?;
    give_back(tx, from, journey.amount).await?;
    sqlx::query("update claims set host_id = $2, network_id = $3 where machine_id = $1")
        .bind(journey.machine.text())
        .bind(journey.host.text())
        .bind(journey.network.text())
        .execute(tx.conn())
        .await?;
    end(tx, journey.machine).await
}

/// The machine has stayed where it was: the place on the other host is given back.
pub async fn turn_back(tx: &mut Tx, journey: &Journey) -> Result<(), DbError> {
    give_back(tx, journey.host.text(), journey.amount).await?;
    end(tx, journey.machine).await
}

/// Puts a machine's claim on another host, with the address that it has there; what it held on the first is given back. The
/// new host's counters have taken it.
pub async fn rebase(tx: &mut Tx, machine: MachineId, place: &Place, mac: &str) -> Result<(), DbError> {
    let from = sqlx::query_scalar("select host_id from claims where machine_id = $1")
        .bind(machine.text())
        .fetch_one(tx.conn())
        .await?;
    let amount = Amount { machines: 0, ..Amount::of(place.size, 1).unwrap_or_default() };
    give_back(tx, from, amount).await?;
    sqlx::query(
        "update claims set host_id = $2, network_id = $3, address_pool = $4, address = $5, mac = $6 \
         where machine_id = $1",
    )
    .bind(machine.text())
    .bind(place.host.text())
    .bind(place.network.id.text())
    .bind(place.network.pool())
    .bind(place.address.to_string())
    .bind(mac)
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn give_back(tx: &mut Tx, host: String, amount: Amount) -> Result<(), DbError> {
    sqlx::query(
        "update hosts set used_vcpu = used_vcpu - $2, used_memory_bytes = used_memory_bytes - $3, \
         used_disk_bytes = used_disk_bytes - $4 where id = $1",
    )
    .bind(host)
    .bind(amount.vcpu)
    .bind(amount.memory_bytes)
    .bind(amount.disk_bytes)
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn end(tx: &mut Tx, machine: MachineId) -> Result<(), DbError> {
    sqlx::query("delete from journeys where machine_id = $1").bind(machine.text()).execute(tx.conn()).await?;
    Ok(())
}
