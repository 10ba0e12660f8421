//! SQL of hosts, claims and the counters that guard them.
//!
//! The counters change only by guarded single statements: `used + asked <= limit` stands in the same statement that adds,
//! and CHECK constraints stand behind it. Claims flip their flags by a guard too, so that nothing is given back twice.

use super::{
    Amount, Claim, Host, HostNetwork, ProviderKind, Size,
    inventory::{Reading, Tenants, usable},
    standing::{Contact, Standing},
};
use crate::{
    db::{DbError, Sorts, Tx, placeholders},
    identity::store::{parsed, parsed_opt},
    ids::{HostId, MachineId, TaskBookId},
    labels::MlpsLevel,
    provider::DomainType,
    time,
    units::Bytes,
};
use ipnet::Ipv4Net;
use jiff::civil::Date;
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};
use std::{collections::HashMap, net::Ipv4Addr};

pub async fn insert_host(tx: &mut Tx, host: &Host) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    sqlx::query(
        "insert into hosts (id, name, provider, uri, pool, pool_path, domain_type, state, mlps_level, limit_vcpu, \
         limit_memory_bytes, limit_disk_bytes, created_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(host.id.text())
    .bind(host.name.as_str())
    .bind(host.provider.word())
    .bind(host.uri.as_str())
    .bind(host.pool.as_str())
    .bind(host.pool_path.as_str())
    .bind(host.domain_type.word())
    .bind("active")
    .bind(i64::from(host.mlps_level.get()))
    .bind(host.limit.vcpu)
    .bind(host.limit.memory_bytes)
    .bind(host.limit.disk_bytes)
    .bind(now)
    .execute(tx.conn())
    .await?;
    for network in &host.networks {
        sqlx::query(
            "insert into host_networks (id, host_id, zone, network, bridge, cidr, gateway, segment, dns, \
             first_address, last_address) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(network.id.text())
        .bind(host.id.text())
        .bind(network.zone.word())
        .bind(network.network.as_str())
        .bind(network.bridge.as_str())
        .bind(network.cidr.to_string())
        .bind(network.gateway.to_string())
        .bind(network.segment.as_deref())
        .bind(network.dns.to_string())
        .bind(network.first.to_string())
        .bind(network.last.to_string())
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

fn host(row: &AnyRow) -> Result<Host, DbError> {
    let domain_type = match row.try_get("domain_type")? {
        "kvm" => DomainType::Kvm,
        "qemu" => DomainType::Qemu,
        _ => return Err(DbError::Corrupt { what: "domain_type".to_owned() }),
    };
    let amount = |prefix: &str| -> Result<Amount, DbError> {
        Ok(Amount {
            machines: 0,
            vcpu: row.try_get(format!("{prefix}_vcpu").as_str())?,
            memory_bytes: row.try_get(format!("{prefix}_memory_bytes").as_str())?,
            disk_bytes: row.try_get(format!("{prefix}_disk_bytes").as_str())?,
        })
    };
    Ok(Host {
        id: parsed(row, "id")?,
        name: row.try_get("name")?,
        provider: parsed::<ProviderKind>(row, "provider")?,
        uri: row.try_get("uri")?,
        pool: row.try_get("pool")?,
        pool_path: row.try_get("pool_path")?,
        domain_type,
        standing: standing(row)?,
        mlps_level: MlpsLevel::new(row.try_get("mlps_level")?)
            .ok_or_else(|| DbError::Corrupt { what: "mlps_level".to_owned() })?,
        limit: amount("limit")?,
        used: amount("used")?,
        networks: Vec::new(),
    })
}

fn standing(row: &AnyRow) -> Result<Standing, DbError> {
    let instant =
        |column: &str| -> Result<_, DbError> { Ok(row.try_get::<Option<i64>, _>(column)?.map(time::from_micros)) };
    Ok(Standing {
        cordoned: row.try_get::<String, _>("state")? == "cordoned",
        draining: row.try_get::<i64, _>("draining")? == 1,
        drain_total: row.try_get("drain_total")?,
        drain_started_at: instant("drain_started_at")?,
        contact: parsed::<Contact>(row, "contact")?,
        contact_since: instant("contact_since")?,
        contact_reason: row.try_get("contact_reason")?,
        listed_at: instant("listed_at")?,
    })
}

fn network(row: &AnyRow, cluster: bool) -> Result<HostNetwork, DbError> {
    let (cidr, gateway) = (parsed::<Ipv4Net>(row, "cidr")?, parsed(row, "gateway")?);
    let (first, last) = usable(cidr);
    Ok(HostNetwork {
        id: parsed(row, "id")?,
        zone: parsed(row, "zone")?,
        network: row.try_get("network")?,
        bridge: row.try_get("bridge")?,
        cidr,
        gateway,
        dns: parsed_opt(row, "dns")?.unwrap_or(gateway),
        segment: row.try_get("segment")?,
        first: parsed_opt(row, "first_address")?.unwrap_or(first),
        last: parsed_opt(row, "last_address")?.unwrap_or(last),
        cluster,
    })
}

pub async fn host_revision(conn: &mut AnyConnection, id: HostId) -> Result<Option<i64>, DbError> {
    let row = sqlx::query("select revision from hosts where id = $1").bind(id.text()).fetch_optional(conn).await?;
    Ok(row.map(|row| row.try_get("revision")).transpose()?)
}

/// False when it is another version by now. A limit below what is used is refused by the table itself.
pub async fn change_host(
    tx: &mut Tx,
    id: HostId,
    limit: Amount,
    level: MlpsLevel,
    revision: i64,
) -> Result<bool, DbError> {
    let done = sqlx::query(
        "update hosts set limit_vcpu = $2, limit_memory_bytes = $3, limit_disk_bytes = $4, mlps_level = $5, \
         revision = revision + 1 where id = $1 and revision = $6",
    )
    .bind(id.text())
    .bind(limit.vcpu)
    .bind(limit.memory_bytes)
    .bind(limit.disk_bytes)
    .bind(i64::from(level.get()))
    .bind(revision)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The orders in which hosts are listed; of what is read at once, so by the names that [`sort_value`] knows.
pub const SORTS: Sorts =
    Sorts { id: "id", numbered: false, by: &[("created_at", "id"), ("name", "name")], default: "created_at" };

/// A host's value in one of the orders.
pub fn sort_value(host: &Host, column: &str) -> String {
    if column == "name" { host.name.clone() } else { host.id.text() }
}

/// All hosts with their networks, oldest first.
pub async fn list_hosts(conn: &mut AnyConnection) -> Result<Vec<Host>, DbError> {
    let mut networks: HashMap<String, Vec<HostNetwork>> = HashMap::new();
    let rows = sqlx::query("select id, host_id, zone, network, bridge, cidr, gateway, segment, dns, first_address, last_address from host_networks order by zone")
        .fetch_all(&mut *conn)
        .await?;
    for row in &rows {
        networks.entry(row.try_get("host_id")?).or_default().push(network(row, false)?);
    }
    let rows = sqlx::query(
        "select id, name, provider, uri, pool, pool_path, domain_type, state, mlps_level, limit_vcpu, \
         limit_memory_bytes, limit_disk_bytes, used_vcpu, used_memory_bytes, used_disk_bytes, contact, contact_since, \
         contact_reason, listed_at, draining, drain_total, drain_started_at from hosts order by id",
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let mut host = host(row)?;
            host.networks = networks.remove(&host.id.text()).unwrap_or_default();
            let cluster = host.provider == ProviderKind::Kubevirt;
            host.networks.iter_mut().for_each(|network| network.cluster = cluster);
            Ok(host)
        })
        .collect()
}

/// How many there are, and how many of them take machines.
pub async fn count_hosts(conn: &mut AnyConnection) -> Result<(i64, i64), DbError> {
    let row = sqlx::query(
        "select count(*) as hosts, count(case when state = 'active' and draining = 0 and contact = 'reachable' then 1 end) as active \
         from hosts",
    )
    .fetch_one(conn)
    .await?;
    Ok((row.try_get("hosts")?, row.try_get("active")?))
}

/// By id or name.
pub async fn find_host(conn: &mut AnyConnection, key: &str) -> Result<Option<Host>, DbError> {
    let row = sqlx::query(
        "select id, name, provider, uri, pool, pool_path, domain_type, state, mlps_level, limit_vcpu, \
         limit_memory_bytes, limit_disk_bytes, used_vcpu, used_memory_bytes, used_disk_bytes, contact, contact_since, \
         contact_reason, listed_at, draining, drain_total, drain_started_at from hosts where id = $1 or name = $1",
    )
    .bind(key)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut found = host(&row)?;
    let rows = sqlx::query(
        "select id, zone, network, bridge, cidr, gateway, segment, dns, first_address, last_address \
         from host_networks where host_id = $1 order by zone",
    )
    .bind(found.id.text())
    .fetch_all(conn)
    .await?;
    let cluster = found.provider == ProviderKind::Kubevirt;
    found.networks = rows.iter().map(|row| network(row, cluster)).collect::<Result<_, _>>()?;
    Ok(Some(found))
}

/// All that places are sought by.
pub async fn reading(conn: &mut AnyConnection) -> Result<Reading, DbError> {
    Ok(Reading {
        hosts: list_hosts(conn).await?,
        held_addresses: held_addresses(conn).await?,
        tenants: tenants(conn).await?,
        images: host_images(conn).await?,
    })
}

/// Machines that hold compute, by host and by the day on which their lease ends.
async fn tenants(conn: &mut AnyConnection) -> Result<Vec<Tenants>, DbError> {
    let rows = sqlx::query(
        "select claims.host_id, lease_end, count(*) as machines, \
         cast(sum(created_at / 1000000) as bigint) as since_sum \
         from claims join machines on machines.id = machine_id where compute_held = 1 \
         group by claims.host_id, lease_end",
    )
    .fetch_all(conn)
    .await?;
    let tenants = |row: &AnyRow| {
        Ok(Tenants {
            host: parsed(row, "host_id")?,
            machines: row.try_get("machines")?,
            since_sum: row.try_get("since_sum")?,
            lease_end: Some(time::day_begins(parsed::<Date>(row, "lease_end")?)),
        })
    };
    rows.iter().map(tenants).collect()
}

/// Images known to lie on hosts.
async fn host_images(conn: &mut AnyConnection) -> Result<Vec<(HostId, String)>, DbError> {
    let rows = sqlx::query("select host_id, sha256 from host_images").fetch_all(conn).await?;
    rows.iter().map(|row| Ok((parsed(row, "host_id")?, row.try_get("sha256")?))).collect()
}

/// Every address that a machine or the recycle bin holds, and those that a machine may come back to.
pub async fn held_addresses(conn: &mut AnyConnection) -> Result<Vec<(String, Ipv4Addr)>, DbError> {
    let rows = sqlx::query(
        "select address_pool, address from claims where storage_held = 1 \
         union all select address_pool, address from kept_addresses",
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("address_pool")?, parsed(row, "address")?))).collect()
}

/// Names of the list that somebody holds.
pub async fn held_names(conn: &mut AnyConnection, names: &[String]) -> Result<Vec<String>, DbError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "select fqdn from claims where storage_held = 1 and fqdn in ({})",
        placeholders(1, names.len()).trim_matches(['(', ')'])
    );
    let mut query = sqlx::query_scalar(AssertSqlSafe(sql));
    for name in names {
        query = query.bind(name.as_str());
    }
    Ok(query.fetch_all(conn).await?)
}

/// Adds to many task books at once, each within its limits, valid and at the version the decision was made on. Answers
/// how many took it: fewer than asked means that at least one refused.
pub async fn claim_quota(tx: &mut Tx, claims: &[(TaskBookId, i64, Amount)]) -> Result<usize, DbError> {
    let sql = format!(
        "update task_books set used_machines = used_machines + v.column3, used_vcpu = used_vcpu + v.column4, \
         used_memory_bytes = used_memory_bytes + v.column5, used_disk_bytes = used_disk_bytes + v.column6 \
         from (values {}) as v where task_books.id = v.column1 and task_books.version = v.column2 \
         and revoked_at is null and used_machines + v.column3 <= limit_machines and used_vcpu + v.column4 <= limit_vcpu \
         and used_memory_bytes + v.column5 <= limit_memory_bytes and used_disk_bytes + v.column6 <= limit_disk_bytes",
        placeholders(claims.len(), 6)
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (id, version, amount) in claims {
        query = query
            .bind(id.text())
            .bind(*version)
            .bind(amount.machines)
            .bind(amount.vcpu)
            .bind(amount.memory_bytes)
            .bind(amount.disk_bytes);
    }
    let done = query.execute(tx.conn()).await?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
}

/// The same for hosts that take new machines.
pub async fn claim_hosts(tx: &mut Tx, claims: &[(HostId, Amount)]) -> Result<usize, DbError> {
    let sql = format!(
        "update hosts set used_vcpu = used_vcpu + v.column2, used_memory_bytes = used_memory_bytes + v.column3, \
         used_disk_bytes = used_disk_bytes + v.column4 from (values {}) as v where hosts.id = v.column1 \
         and state = 'active' and draining = 0 and contact = 'reachable' and used_vcpu + v.column2 <= limit_vcpu \
         and used_memory_bytes + v.column3 <= limit_memory_bytes and used_disk_bytes + v.column4 <= limit_disk_bytes",
        placeholders(claims.len(), 4)
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (id, amount) in claims {
        query = query.bind(id.text()).bind(amount.vcpu).bind(amount.memory_bytes).bind(amount.disk_bytes);
    }
    let done = query.execute(tx.conn()).await?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
}

pub async fn insert_claims(tx: &mut Tx, claims: &[Claim]) -> Result<(), DbError> {
    let sql = format!(
        "insert into claims (machine_id, task_book_id, host_id, network_id, vcpu, memory_bytes, disk_bytes, address, \
         mac, fqdn, compute_held, storage_held, address_pool) values {}",
        placeholders(claims.len(), 13)
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for claim in claims {
        query = query
            .bind(claim.machine.text())
            .bind(claim.task_book.text())
            .bind(claim.host.text())
            .bind(claim.network.text())
            .bind(i64::from(claim.size.vcpu))
            .bind(claim.size.memory.get())
            .bind(claim.size.disk.get())
            .bind(claim.address.to_string())
            .bind(claim.mac.as_str())
            .bind(claim.fqdn.as_deref())
            .bind(1_i64)
            .bind(1_i64)
            .bind(claim.pool.as_str());
    }
    query.execute(tx.conn()).await?;
    Ok(())
}

/// Frees a machine's compute (count, vCPU, memory). False when it held none: nothing is given back twice.
pub async fn release_compute(tx: &mut Tx, machine: MachineId) -> Result<bool, DbError> {
    let row = sqlx::query(
        "update claims set compute_held = 0 where machine_id = $1 and compute_held = 1 \
         returning task_book_id, host_id, vcpu, memory_bytes",
    )
    .bind(machine.text())
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(false) };
    let (vcpu, memory): (i64, i64) = (row.try_get("vcpu")?, row.try_get("memory_bytes")?);
    let (task_book, host): (String, String) = (row.try_get("task_book_id")?, row.try_get("host_id")?);
    sqlx::query(
        "update task_books set used_machines = used_machines - 1, used_vcpu = used_vcpu - $2, \
         used_memory_bytes = used_memory_bytes - $3 where id = $1",
    )
    .bind(task_book)
    .bind(vcpu)
    .bind(memory)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "update hosts set used_vcpu = used_vcpu - $2, used_memory_bytes = used_memory_bytes - $3 where id = $1",
    )
    .bind(host)
    .bind(vcpu)
    .bind(memory)
    .execute(tx.conn())
    .await?;
    Ok(true)
}

/// Frees a machine's storage: disk, name and address.
pub async fn release_storage(tx: &mut Tx, machine: MachineId) -> Result<bool, DbError> {
    let row = sqlx::query(
        "update claims set storage_held = 0 where machine_id = $1 and storage_held = 1 and compute_held = 0 \
         returning task_book_id, host_id, disk_bytes",
    )
    .bind(machine.text())
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(false) };
    let disk: i64 = row.try_get("disk_bytes")?;
    let (task_book, host): (String, String) = (row.try_get("task_book_id")?, row.try_get("host_id")?);
    sqlx::query("update task_books set used_disk_bytes = used_disk_bytes - $2 where id = $1")
        .bind(task_book)
        .bind(disk)
        .execute(tx.conn())
        .await?;
    sqlx::query("update hosts set used_disk_bytes = used_disk_bytes - $2 where id = $1")
        .bind(host)
        .bind(disk)
        .execute(tx.conn())
        .await?;
    Ok(true)
}

/// What a machine claims, for taking it again.
pub async fn claimed(
    conn: &mut AnyConnection,
    machine: MachineId,
) -> Result<Option<(TaskBookId, HostId, Size)>, DbError> {
    let row =
        sqlx::query("select task_book_id, host_id, vcpu, memory_bytes, disk_bytes from claims where machine_id = $1")
            .bind(machine.text())
            .fetch_optional(conn)
            .await?;
    row.map(|row| {
        let corrupt = || DbError::Corrupt { what: "claims".to_owned() };
        let size = Size {
            vcpu: u32::try_from(row.try_get::<i64, _>("vcpu")?).map_err(|_| corrupt())?,
            memory: Bytes::new(row.try_get("memory_bytes")?).ok_or_else(corrupt)?,
            disk: Bytes::new(row.try_get("disk_bytes")?).ok_or_else(corrupt)?,
        };
        Ok((parsed(&row, "task_book_id")?, parsed(&row, "host_id")?, size))
    })
    .transpose()
}

/// Marks a machine's compute as held again, once the counters have taken it. False when it was held already.
pub async fn hold_compute(tx: &mut Tx, machine: MachineId) -> Result<bool, DbError> {
    let done = sqlx::query(
        "update claims set compute_held = 1 where machine_id = $1 and compute_held = 0 and storage_held = 1",
    )
    .bind(machine.text())
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A counter as it stands, beside what its rows add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Task book number or host name.
    pub subject: String,
    pub recorded: Amount,
    pub recomputed: Amount,
}

fn sum(row: &AnyRow) -> Result<Sum, DbError> {
    let amount = |prefix: &str| -> Result<Amount, DbError> {
        let get = |name: &str| row.try_get::<i64, _>(format!("{prefix}_{name}").as_str());
        Ok(Amount {
            machines: get("machines")?,
            vcpu: get("vcpu")?,
            memory_bytes: get("memory_bytes")?,
            disk_bytes: get("disk_bytes")?,
        })
    };
    Ok(Sum { subject: row.try_get("subject")?, recorded: amount("used")?, recomputed: amount("sum")? })
}

/// Every task book's counters beside the sum of its claims.
pub async fn sums_of_task_books(conn: &mut AnyConnection) -> Result<Vec<Sum>, DbError> {
    let rows = sqlx::query(
        "select number as subject, used_machines, used_vcpu, used_memory_bytes, used_disk_bytes, \
         cast(coalesce(sum(compute_held), 0) as bigint) as sum_machines, \
         cast(coalesce(sum(vcpu * compute_held), 0) as bigint) as sum_vcpu, \
         cast(coalesce(sum(memory_bytes * compute_held), 0) as bigint) as sum_memory_bytes, \
         cast(coalesce(sum(disk_bytes * storage_held), 0) as bigint) as sum_disk_bytes \
         from task_books left join claims on task_book_id = task_books.id \
         group by task_books.id, number, used_machines, used_vcpu, used_memory_bytes, used_disk_bytes order by number",
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(sum).collect()
}

/// Every host's counters beside the sum of its claims and of what is on its way there.
pub async fn sums_of_hosts(conn: &mut AnyConnection) -> Result<Vec<Sum>, DbError> {
    let rows = sqlx::query(
        "select name as subject, cast(0 as bigint) as used_machines, used_vcpu, used_memory_bytes, used_disk_bytes, \
         cast(0 as bigint) as sum_machines, \
         cast(coalesce((select sum(vcpu * compute_held) from claims where claims.host_id = hosts.id), 0) \
         + coalesce((select sum(vcpu) from journeys where journeys.host_id = hosts.id), 0) as bigint) as sum_vcpu, \
         cast(coalesce((select sum(memory_bytes * compute_held) from claims where claims.host_id = hosts.id), 0) \
         + coalesce((select sum(memory_bytes) from journeys where journeys.host_id = hosts.id), 0) as bigint) \
         as sum_memory_bytes, \
         cast(coalesce((select sum(disk_bytes * storage_held) from claims where claims.host_id = hosts.id), 0) \
         + coalesce((select sum(disk_bytes) from journeys where journeys.host_id = hosts.id), 0) as bigint) \
         as sum_disk_bytes from hosts order by name",
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(sum).collect()
}
