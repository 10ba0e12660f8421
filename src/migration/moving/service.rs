//! Acts on disk imports.

use super::{
    Address, DiskImport,
    lifecycle::{Event, State},
    steps::{self, Sources},
    store,
};
use crate::{
    audit::{self, Outcome, Record, Who},
    capacity::{self, HostNetwork},
    db::DbError,
    error::{Kind, Problem},
    identity::{
        Actor,
        policy::{self, Act},
    },
    ids::{DiskImportId, OperationId},
    machine::{
        Machine, mac_of,
        service::{Machines, may},
        store as machines,
    },
    operation::{Kind as OperationKind, NewOperation, store as operations},
    provider::{
        Intent, ProviderError,
        libvirt::SourceHost,
        old_guest::{self, OldGuest, OldPower},
    },
    server,
    text::{self, shown},
};
use ipnet::Ipv4Net;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

/// What acts on disk imports need of the house.
#[derive(Clone)]
pub struct DiskImports {
    pub machines: Machines,
    pub sources: Sources,
}

/// What somebody says of one that is to begin.
#[derive(Clone, Debug)]
pub struct NewDiskImport {
    /// A legacy server's id.
    pub server: String,
    /// A `[[source_host]]`.
    pub source_host: String,
    /// The guest there, by name or UUID.
    pub domain: String,
    /// A machine's id.
    pub machine: String,
    pub address: Address,
    /// The old guest's address, where it is kept.
    pub old_address: Option<Ipv4Addr>,
}

impl DiskImports {
    pub async fn find(&self, actor: &Actor, act: Act, id: &str) -> Result<DiskImport, Problem> {
        let scope = policy::scope(actor, act)?.filter();
        let mut conn = self.machines.db.read().await?;
        store::find(&mut conn, id, scope.as_deref()).await?.ok_or_else(|| Problem::not_found("磁盘迁入"))
    }

    /// Looks at the old guest, which runs on meanwhile, and puts down the operation that moves its disk.
    pub async fn create(&self, actor: &Actor, new: NewDiskImport) -> Result<DiskImport, Problem> {
        policy::scope(actor, Act::DiskImportCreate)?;
        let source = self.source(&new.source_host)?;
        let (machine, network) = self.machine(&new).await?;
        let address = self.address(&new, &machine, &network)?;
        let guest = source.look(new.domain.trim()).await.map_err(|error| unreachable(&new.source_host, &error))?;
        let guest = guest.ok_or_else(|| {
            let detail = format!(
                "/domain: 源宿主机 {} 上没有 {}；请用 virsh list --all 核对",
                new.source_host,
                shown(&new.domain)
            );
            Problem::new(Kind::Refused, "source_guest_unknown", detail)
        })?;
        let import = self.judge(&new, source, &guest, &machine, address).await?;
        let import = DiskImport { created_by: actor.person.login.clone(), ..import };
        let operation = operation(actor, OperationKind::ImportDisk, &import, &machine);
        let import = DiskImport { operation: operation.id, ..import };
        let (who, row, moved) = (Who::from(actor), import.clone(), import.address != import.own_address);
        let wanted = (network.pool(), import.address);
        self.machines
            .db
            .write(async move |tx| -> Result<(), Problem> {
                store::insert(tx, &row).await.map_err(taken)?;
                if !machines::begin(tx, machine.id, operation.id, machine.state).await? {
                    return Err(busy());
                }
                if moved {
                    // What is kept for somebody's way back is in no claim.
                    if capacity::store::held_addresses(tx.conn()).await?.contains(&wanted) {
                        return Err(not_free(row.address));
                    }
                    let changed = store::change_address(tx, machine.id, row.address, &mac_of(row.address)).await;
                    changed.map_err(|error| address_taken(error, row.address))?;
                }
                operations::insert_all(tx, std::slice::from_ref(&operation)).await?;
                let detail = json!({"operation": operation.id, "server": row.server, "source_host": row.source_host,
                    "domain": row.domain_name, "domain_id": row.domain_id, "machine": row.machine,
                    "address": row.address});
                Ok(audit::record(tx, record(&who, Act::DiskImportCreate, &row, detail)).await?)
            })
            .await?;
        self.machines.inventory.stale();
        self.machines.bell.ring();
        Ok(import)
    }

    /// Back to the old guest: an import that is under way turns back, one that has arrived begins its way home.
    pub async fn roll_back(&self, actor: &Actor, id: &str, reason: &str) -> Result<OperationId, Problem> {
        let import = self.find(actor, Act::DiskImportRollBack, id).await?;
        let reason = text::said(reason, text::PROSE)
            .map_err(|fault| Problem::malformed(format!("/reason: 文字不符合要求（{fault}）；请写明为什么退回")))?;
        let who = Who::from(actor);
        let detail = json!({"reason": reason, "domain": import.domain_name, "machine": import.machine});
        if import.state == State::Importing {
            let (operation, row) = (import.operation, import.clone());
            self.machines
                .db
                .write(async move |tx| -> Result<(), Problem> {
                    if !operations::ask_to_cancel(tx, operation, &reason).await? {
                        return Err(Problem::conflict("disk_import_busy", "已经在退回，或刚刚有了结果；请重新查询"));
                    }
                    Ok(audit::record(tx, record(&who, Act::DiskImportRollBack, &row, detail.clone())).await?)
                })
                .await?;
            self.machines.bell.ring();
            return Ok(operation);
        }
        let to = import.state.next(Event::TurnBack).map_err(|_| wrong_state(&import, "退回"))?;
        let machine = self.machine_of(&import).await?;
        may(&machine, OperationKind::ReturnDisk)?;
        let operation = operation(actor, OperationKind::ReturnDisk, &import, &machine);
        let begun = operation.id;
        self.machines
            .db
            .write(async move |tx| -> Result<(), Problem> {
                if !store::advance(tx, import.id, import.state, to, operation.id, Some(&reason)).await?
                    || !machines::begin(tx, machine.id, operation.id, machine.state).await?
                {
                    return Err(busy());
                }
                operations::insert_all(tx, std::slice::from_ref(&operation)).await?;
                Ok(audit::record(tx, record(&who, Act::DiskImportRollBack, &import, detail.clone())).await?)
            })
            .await?;
        self.machines.bell.ring();
        Ok(begun)
    }

    /// The old guest stays off for good: it must be seen to be off now, or, where its host is gone, somebody says what shows
    /// it. Its disk stays where it is. The disk that the machine was built with is given up.
    pub async fn finish(&self, actor: &Actor, id: &str, said: Option<&str>) -> Result<DiskImport, Problem> {
        let import = self.find(actor, Act::DiskImportFinish, id).await?;
        let machine = self.machine_of(&import).await?;
        if import.state != State::Finished {
            let to = import.state.next(Event::Finish).map_err(|_| wrong_state(&import, "了结"))?;
            if machine.operation.is_some() {
                return Err(busy());
            }
            let evidence = self.evidence(&import, said).await?;
            let (who, row, seen) = (Who::from(actor), import.clone(), machine.clone());
            self.machines
                .db
                .write(async move |tx| -> Result<(), Problem> {
                    if !store::advance(tx, row.id, row.state, to, row.operation, None).await? {
                        return Err(busy());
                    }
                    store::set_evidence(tx, row.id, &evidence).await?;
                    store::stay(tx, row.machine).await?;
                    // As it is in this very transaction: somebody may have begun to change its size.
                    let now = machines::find(tx.conn(), &row.machine.text(), None).await?;
                    let now = now.filter(|now| now.operation.is_none() && now.host == seen.host).ok_or_else(busy)?;
                    machines::set_intent(tx, row.machine, now.host, &settled(&now.intent)).await?;
                    let detail = json!({"evidence": evidence, "domain": row.domain_name, "domain_id": row.domain_id});
                    Ok(audit::record(tx, record(&who, Act::DiskImportFinish, &row, detail)).await?)
                })
                .await?;
            self.machines.inventory.stale();
        }
        if !import.own_disk_gone {
            self.give_up_own(&import, &machine).await?;
        }
        self.find(actor, Act::DiskImportFinish, id).await
    }

    /// Deletes the disk that the machine was built with, which nothing runs from any more. Can be repeated.
    async fn give_up_own(&self, import: &DiskImport, machine: &Machine) -> Result<(), Problem> {
        let provider = self.machines.providers.of(machine.host).await.map_err(Problem::internal)?;
        let current = settled(&machine.intent);
        if let Some(disks) = provider.disks()
            && current.imported.is_some_and(|imported| imported.import == import.id)
        {
            let gone = disks.discard_disk(&current, &steps::own(&machine.intent, import)).await;
            if let Err(error) = gone {
                let detail = format!("已经了结；虚拟机原来的空盘暂时没能删除（{error}）。请稍后再执行一次");
                return Err(Problem::new(Kind::Unavailable, "own_disk_left", detail));
            }
            let id = import.id;
            self.machines.db.housekeep(async move |tx| store::own_disk_gone(tx, id).await).await?;
        }
        Ok(())
    }

    /// What shows that the old guest is off, as JSON.
    async fn evidence(&self, import: &DiskImport, said: Option<&str>) -> Result<String, Problem> {
        let said = said
            .map(|text| {
                text::said(text, text::PROSE)
                    .map_err(|fault| Problem::malformed(format!("/evidence: 文字不符合要求（{fault}）")))
            })
            .transpose()?;
        let power = match self.sources.of(&import.source_host) {
            Some(source) => source.power(import.domain_id).await,
            None => Err(ProviderError::Unreachable { host: import.source_host.clone(), source: None }),
        };
        let at = self.machines.db.clock().now();
        let told = |state: &str| json!({"domain_state": state, "at": at, "said": said}).to_string();
        match (power, &said) {
            (Ok(OldPower::Off), _) => Ok(told("shut off")),
            (Ok(OldPower::Gone), _) => Ok(told("undefined")),
            (Ok(OldPower::On), _) => Err(Problem::conflict(
                "source_guest_running",
                format!(
                    "旧机 {} 正在源宿主机 {} 上运行；先查明并停下它，再了结",
                    import.domain_name, import.source_host
                ),
            )),
            // A person's word, under that person's name.
            (Err(_), Some(_)) => Ok(told("not asked")),
            (Err(error), None) => Err(Problem::new(
                Kind::Unavailable,
                "source_host_unreachable",
                format!(
                    "联系不上源宿主机 {}（{error}），不能认定旧机已经关停；请恢复连接，或在 evidence 里写明它已下电、拆除的依据",
                    import.source_host
                ),
            )),
        }
    }

    fn source(&self, name: &str) -> Result<&SourceHost, Problem> {
        self.sources.of(name).ok_or_else(|| {
            let known: Vec<_> = self.sources.names().collect();
            let known =
                if known.is_empty() { "一台也没有".to_owned() } else { format!("有 {}", known.join("、")) };
            let name = shown(name);
            let detail =
                format!("/source_host: 配置文件里没有源宿主机 {name}（{known}）；先写 [[source_host]]，重启服务后再迁");
            Problem::new(Kind::Refused, "source_host_unknown", detail)
        })
    }

    /// The machine, which must be able to take a disk over, and the network that it is on.
    async fn machine(&self, new: &NewDiskImport) -> Result<(Machine, HostNetwork), Problem> {
        let refused = |code: &'static str, detail: &str| Problem::new(Kind::Refused, code, detail);
        let mut conn = self.machines.db.read().await?;
        let machine = machines::find(&mut conn, &new.machine, None).await?;
        let machine = machine.ok_or_else(|| Problem::not_found("虚拟机"))?;
        let server = server::store::find(&mut conn, &new.server, None).await?;
        let server = server.ok_or_else(|| Problem::not_found("服务器"))?;
        if server.department != machine.department {
            let detail = "/server_id: 这台服务器和虚拟机不是同一个单位的；请核对编号";
            return Err(refused("server_of_another_department", detail));
        }
        may(&machine, OperationKind::ImportDisk)?;
        if machine.intent.imported.is_some() {
            let detail = "/machine_id: 它已经运行在迁来的磁盘上；请为这台旧机另申请一台虚拟机";
            return Err(refused("machine_on_imported_disk", detail));
        }
        if machine.intent.database.is_some() {
            let detail = "/machine_id: 它是带数据库交付的，换了磁盘数据库就没有了；请申请一台不带数据库的虚拟机";
            return Err(refused("machine_with_database", detail));
        }
        let host = capacity::store::find_host(&mut conn, &machine.host.text()).await?;
        let network = host.and_then(|host| host.networks.into_iter().find(|network| network.zone == machine.zone));
        drop(conn);
        let network = network.ok_or_else(|| Problem::not_found("虚拟机所在的网络"))?;
        let provider = self.machines.providers.of(machine.host).await.map_err(Problem::internal)?;
        if machine.intent.tenancy.is_some() || provider.disks().is_none() {
            let detail = "/machine_id: 只能迁入 libvirt 宿主机上的虚拟机；请在申请时指定落在宿主机上";
            return Err(refused("machine_takes_no_disk", detail));
        }
        Ok((machine, network))
    }

    /// The address that the machine has on the old disk.
    fn address(&self, new: &NewDiskImport, machine: &Machine, network: &HostNetwork) -> Result<Ipv4Addr, Problem> {
        let own = machine.intent.network.address;
        let refused = |detail: String| Err(Problem::new(Kind::Refused, "address_not_kept", detail));
        let Address::Keep = new.address else {
            if new.old_address.is_some() {
                return Err(Problem::malformed("/old_address: 只在 address 为 keep 时填写"));
            }
            return Ok(own);
        };
        let Some(old) = new.old_address else {
            return refused("/old_address: 要保留原地址，须写明它是什么；或把 address 改为 new".to_owned());
        };
        if !fits(old, network.cidr) || old == network.gateway || old == network.dns {
            return refused(format!(
                "/old_address: {old} 不是网络区域 {} 的网段 {} 里虚拟机可用的地址，带过去也通不了；请把 address 改为 new，并改 DNS 和对接方的配置",
                machine.zone.word(),
                network.cidr
            ));
        }
        if self.machines.names.wanted(machine).is_some() {
            return refused(format!(
                "/address: 虚拟机的域名 {} 由本区的 DNS 登记在 {own}，目前不能随地址一起改；请把 address 改为 new",
                machine.intent.fqdn.as_deref().unwrap_or_default()
            ));
        }
        Ok(old)
    }

    /// What the old guest is, and whether its disk can be taken over.
    async fn judge(
        &self,
        new: &NewDiskImport,
        source: &SourceHost,
        guest: &OldGuest,
        machine: &Machine,
        address: Ipv4Addr,
    ) -> Result<DiskImport, Problem> {
        let unfit = |unfit: &old_guest::Unfit| {
            let detail = format!("/domain: 旧机 {} 迁不了：{unfit}", guest.name);
            Problem::new(Kind::Refused, "source_guest_unfit", detail)
        };
        let movable = old_guest::movable(guest).map_err(|fault| unfit(&fault))?;
        let file = source.file(&movable.file).await.map_err(|error| match error {
            ProviderError::Permanent { reason, .. } => {
                Problem::new(Kind::Refused, "source_guest_unfit", format!("/domain: {reason}"))
            }
            error => unreachable(&new.source_host, &error),
        })?;
        let runs = guest.power == OldPower::On;
        let header =
            old_guest::fits(&file, movable.format, machine.intent.disk, runs).map_err(|fault| unfit(&fault))?;
        Ok(DiskImport {
            id: DiskImportId::new(),
            department: machine.department,
            server: new.server.parse().map_err(|_| Problem::not_found("服务器"))?,
            machine: machine.id,
            operation: OperationId::new(),
            source_host: new.source_host.clone(),
            domain_id: guest.id,
            domain_name: guest.name.chars().take(200).collect(),
            disk_file: movable.file,
            disk_format: movable.format,
            state: State::Importing,
            address,
            own_address: machine.intent.network.address,
            found: None,
            file_bytes: file.length,
            virtual_bytes: header.map_or(0, |header| header.virtual_size.get()),
            // Nothing has been copied of it as it is now.
            written: String::new(),
            copied_bytes: 0,
            sent_bytes: 0,
            digest_state: None,
            sha256: None,
            checked_at: None,
            begun: 0,
            answered: None,
            note: None,
            evidence: None,
            own_disk_gone: false,
            created_by: String::new(),
            created_at: self.machines.db.clock().now(),
            moved_at: None,
            ended_at: None,
        })
    }

    async fn machine_of(&self, import: &DiskImport) -> Result<Machine, Problem> {
        let mut conn = self.machines.db.read().await?;
        let machine = machines::find(&mut conn, &import.machine.text(), None).await?;
        machine.ok_or_else(|| Problem::not_found("虚拟机"))
    }
}

/// An address that a guest may have in the range.
fn fits(address: Ipv4Addr, cidr: Ipv4Net) -> bool {
    cidr.contains(&address) && address != cidr.network() && address != cidr.broadcast()
}

/// The machine once there is no way back any more.
fn settled(intent: &Intent) -> Intent {
    let imported = intent.imported.map(|imported| crate::provider::Imported { settled: true, ..imported });
    Intent { imported, ..intent.clone() }
}

fn operation(actor: &Actor, kind: OperationKind, import: &DiskImport, machine: &Machine) -> NewOperation {
    NewOperation {
        id: OperationId::new(),
        kind,
        department: import.department,
        request: None,
        machine: Some(machine.id),
        // Percent.
        steps_total: 100,
        trace_id: actor.trace_id.clone(),
        started_by: actor.person.login.clone(),
        plan: None,
    }
}

fn record(who: &Who, act: Act, import: &DiskImport, detail: Value) -> Record {
    Record {
        who: who.clone(),
        action: act.word(),
        object_type: "disk_import",
        object_id: import.id.text(),
        department_id: Some(import.department.text()),
        outcome: Outcome::Done,
        detail,
    }
}

fn busy() -> Problem {
    Problem::conflict("machine_busy", "该虚拟机的状态刚刚变化；请重新查询后再试")
}

fn wrong_state(import: &DiskImport, act: &str) -> Problem {
    let label = import.state.label();
    Problem::conflict("disk_import_state", format!("磁盘迁入处于“{label}”（{}），不能{act}", import.state))
}

fn unreachable(host: &str, error: &ProviderError) -> Problem {
    let detail = format!("暂时问不到源宿主机 {host}：{error}；请检查它的 libvirt 和两边之间的网络，再试一次");
    Problem::new(Kind::Unavailable, "source_host_unreachable", detail)
}

/// A guest or a machine that is in another import's hands already.
fn taken(error: DbError) -> Problem {
    if error.is_duplicate_of("guest") || error.is_duplicate_of("domain_id") {
        return Problem::conflict(
            "source_guest_taken",
            "这台旧机的磁盘已经在迁，或迁了还没有了结；见 jiyue disk-import list",
        );
    }
    if error.is_duplicate_of("machine") {
        return Problem::conflict(
            "disk_import_open",
            "这台虚拟机的另一次磁盘迁入还没有了结；见 jiyue disk-import list",
        );
    }
    error.into()
}

fn address_taken(error: DbError, address: Ipv4Addr) -> Problem {
    if error.is_duplicate_of("address") { not_free(address) } else { error.into() }
}

fn not_free(address: Ipv4Addr) -> Problem {
    let detail = format!("/old_address: {address} 已经是另一台虚拟机的；请把 address 改为 new，或先腾出这个地址");
    Problem::new(Kind::Refused, "address_not_kept", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_a_guest_may_have_are_kept() {
        let cidr: Ipv4Net = "10.8.0.0/24".parse().unwrap();
        let may = |last: u8| fits(Ipv4Addr::new(10, 8, 0, last), cidr);
        assert!(may(1) && may(254) && !may(0) && !may(255));
        assert!(!fits(Ipv4Addr::new(10, 8, 1, 5), cidr));
    }
}
