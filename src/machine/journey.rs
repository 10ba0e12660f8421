//! A machine goes to another host: by an operator's wish, because its host is being drained, or, built anew, because its
//! host is proven to be off.

use super::{
    Machine, approval, build,
    change::busy,
    credentials,
    intent::mac_of,
    lifecycle::State,
    name,
    plan::{Plan, Spec},
    service::{Machines, may},
    store,
};
use crate::{
    audit::{self, Outcome, Record, Who},
    capacity::{
        self, Amount, Host,
        inventory::{Ask, ImageNeed, Inventory, Move, NoPlace},
        placement::{PlaceKind, Wanted},
        standing::Contact,
        transfer::store::{self as transfer, Journey},
    },
    db::Tx,
    error::{Kind as ProblemKind, Problem},
    identity::{
        Actor,
        policy::{self, Act},
    },
    ids::{HostId, OperationId},
    operation::{Kind, NewOperation, store as operations},
    provider::{Intent, NetworkIntent},
    request,
    secret::Vault,
};
use serde::Deserialize;
use serde_json::json;

/// Where a machine is to go.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// A host's id or name; the best one when absent.
    pub to: Option<String>,
}

/// Who begins an operation: somebody, or the broker on somebody's behalf.
#[derive(Clone, Debug)]
pub struct Cause {
    pub who: Who,
    pub trace_id: String,
    pub started_by: String,
}

impl Cause {
    pub fn of(actor: &Actor) -> Self {
        Self { who: actor.into(), trace_id: actor.trace_id.clone(), started_by: actor.person.login.clone() }
    }

    /// The broker itself, emptying a host.
    pub fn broker() -> Self {
        let trace_id = uuid::Uuid::now_v7().to_string();
        Self { who: Who::broker(&trace_id), trace_id, started_by: "jiyue".to_owned() }
    }

    fn operation(&self, kind: Kind, machine: &Machine, steps_total: i64, plan: Option<String>) -> NewOperation {
        NewOperation {
            id: OperationId::new(),
            kind,
            department: machine.department,
            request: None,
            machine: Some(machine.id),
            steps_total,
            trace_id: self.trace_id.clone(),
            started_by: self.started_by.clone(),
            plan,
        }
    }

    fn record(&self, act: Act, machine: &Machine, detail: serde_json::Value) -> Record {
        Record {
            who: self.who.clone(),
            action: act.word(),
            object_type: "machine",
            object_id: machine.id.text(),
            department_id: Some(machine.department.text()),
            outcome: Outcome::Done,
            detail,
        }
    }
}

impl Machines {
    /// 迁移到另一台宿主机
    pub async fn migrate(&self, actor: &Actor, id: &str, target: Target) -> Result<OperationId, Problem> {
        let scope = policy::scope(actor, Act::MachineMigrate)?;
        let machine = self.find(id, scope.filter()).await?;
        may(&machine, Kind::Migrate)?;
        let only = match &target.to {
            None => None,
            Some(key) => {
                let mut conn = self.db.read().await?;
                let host = capacity::store::find_host(&mut conn, key).await?;
                Some(host.ok_or_else(|| Problem::not_found("目的宿主机"))?.id)
            }
        };
        if machine.intent.tenancy.is_some() {
            return Err(on_cluster());
        }
        if only == Some(machine.host) {
            return Err(Problem::malformed("/to: 它就在这台宿主机上；不写 to 则自动选择"));
        }
        self.depart(Cause::of(actor), machine, only).await
    }

    /// Claims a place on another host and puts down the operation that goes there, in one transaction.
    pub async fn depart(&self, cause: Cause, machine: Machine, only: Option<HostId>) -> Result<OperationId, Problem> {
        if machine.intent.imported.is_some() {
            return Err(on_old_disk());
        }
        let (inventory, sendable) = (self.inventory.clone(), image_is_here(&machine));
        let departed = self
            .db
            .write(async move |tx| -> Result<OperationId, Problem> {
                capacity::service::refresh(&inventory, tx).await?;
                let kin = Kin::read(tx, &machine).await?;
                let size = Spec::of(&machine.intent).size();
                let from = capacity::store::find_host(tx.conn(), &machine.host.text()).await?;
                let segment = from.as_ref().and_then(|host| host.networks.iter().find(|n| n.zone == machine.zone));
                let Some(segment) = segment.and_then(|network| network.segment.clone()) else {
                    return Err(not_movable());
                };
                let way = Move { segment: &segment, from: machine.host, only };
                let (to, network) =
                    inventory.reserve_beside(&kin.ask(&machine, sendable), way).map_err(|no| nowhere(&no))?;
                let amount = Amount { machines: 0, ..Amount::of(size, 1).ok_or_else(not_movable)? };
                if capacity::store::claim_hosts(tx, &[(to, amount)]).await? != 1 {
                    inventory.stale();
                    return Err(contended());
                }
                let intent = Intent {
                    network: NetworkIntent {
                        network: network.device().to_owned(),
                        link: network.link(),
                        gateway: network.gateway,
                        dns: network.dns,
                        ..machine.intent.network.clone()
                    },
                    ..machine.intent.clone()
                };
                let plan = Plan::Migrate { to, intent: Box::new(intent) };
                let operation = cause.operation(Kind::Migrate, &machine, plan.steps_total(), Some(plan.to_json()?));
                if !store::begin(tx, machine.id, operation.id, machine.state).await? {
                    return Err(busy());
                }
                let journey =
                    Journey { machine: machine.id, operation: operation.id, host: to, network: network.id, amount };
                transfer::depart(tx, &journey).await?;
                operations::insert_all(tx, std::slice::from_ref(&operation)).await?;
                let detail =
                    json!({"operation": operation.id, "name": machine.intent.name, "from": machine.host, "to": to});
                audit::record(tx, cause.record(Act::MachineMigrate, &machine, detail)).await?;
                Ok(operation.id)
            })
            .await;
        // What was taken in the index for a journey that did not begin is still taken there.
        self.inventory.stale();
        self.bell.ring();
        departed
    }

    /// Builds a machine anew on another host, with an empty disk, once its own is proven to be off.
    pub async fn rebuild(&self, actor: &Actor, id: &str) -> Result<OperationId, Problem> {
        let scope = policy::scope(actor, Act::MachineRebuild)?;
        let machine = self.find(id, scope.filter()).await?;
        may(&machine, Kind::Rebuild)?;
        if machine.intent.is_on_loan() {
            return Err(on_loan());
        }
        let (cause, inventory, vault) = (Cause::of(actor), self.inventory.clone(), self.vault.clone());
        let sendable = image_is_here(&machine);
        let begun = self
            .db
            .write(async move |tx| -> Result<OperationId, Problem> {
                let host = capacity::store::find_host(tx.conn(), &machine.host.text()).await?;
                let host = host.ok_or_else(|| Problem::not_found("宿主机"))?;
                // In this very transaction: the host may have been taken back in a moment ago.
                if host.standing.contact != Contact::Fenced {
                    return Err(not_fenced(&host));
                }
                begin_anew(tx, (&inventory, &vault), &cause, &machine, sendable).await
            })
            .await;
        self.inventory.stale();
        self.bell.ring();
        begun
    }
}

/// The broker has the image's file. Asked before the transaction, which does no other IO.
fn image_is_here(machine: &Machine) -> bool {
    machine.intent.image.path.is_file()
}

/// What a machine that goes elsewhere still owes to its request: the level, and the distance to the others.
struct Kin {
    wanted: Wanted,
    elsewhere: Vec<HostId>,
}

impl Kin {
    async fn read(tx: &mut Tx, machine: &Machine) -> Result<Self, Problem> {
        let (id, now) = (machine.request.text(), tx.now().as_second());
        let request = request::store::find(tx.conn(), &id, None).await?;
        let request = request.ok_or_else(|| Problem::not_found("申请"))?;
        let all = store::of_request(tx.conn(), &id).await?;
        let others = all.iter().filter(|other| other.id != machine.id && other.state.holds().0);
        let size = Spec::of(&machine.intent).size();
        Ok(Self {
            // What has begun on a host goes on on one; a cluster moves its machines itself.
            wanted: Wanted {
                kind: Some(PlaceKind::Host),
                ..approval::wanted(&request.block, size, machine.lease_end, now)
            },
            elsewhere: others.map(|other| other.host).collect(),
        })
    }

    fn ask<'a>(&'a self, machine: &'a Machine, sendable: bool) -> Ask<'a> {
        Ask {
            wanted: self.wanted,
            image: Some(ImageNeed { sha256: &machine.intent.image.sha256, sendable }),
            count: 1,
            siblings: &self.elsewhere,
        }
    }
}

async fn begin_anew(
    tx: &mut Tx,
    (inventory, vault): (&Inventory, &Vault),
    cause: &Cause,
    machine: &Machine,
    sendable: bool,
) -> Result<OperationId, Problem> {
    capacity::service::refresh(inventory, tx).await?;
    let kin = Kin::read(tx, machine).await?;
    let size = Spec::of(&machine.intent).size();
    let place = inventory.reserve(&kin.ask(machine, sendable)).map_err(|no| nowhere(&no))?.into_iter().next();
    let place = place.ok_or_else(contended)?;
    let amount = Amount { machines: 0, ..Amount::of(size, 1).ok_or_else(not_movable)? };
    if capacity::store::claim_hosts(tx, &[(place.host, amount)]).await? != 1 {
        return Err(contended());
    }
    let parts = build::steps_total(1);
    let operation = cause.operation(Kind::Rebuild, machine, parts, None);
    if !store::begin(tx, machine.id, operation.id, machine.state).await? {
        return Err(busy());
    }
    let mac = mac_of(place.address);
    // Another operation in its mark: should the old domain ever come back, it is known as a stray.
    let intent = Intent {
        operation: operation.id,
        network: NetworkIntent {
            network: place.network.device().to_owned(),
            link: place.network.link(),
            mac: mac.clone(),
            address: place.address,
            gateway: place.network.gateway,
            dns: place.network.dns,
        },
        // Its disk is gone, whichever it was.
        imported: None,
        ..machine.intent.clone()
    };
    if intent.database.is_some() {
        // Its data is gone, and so is what the old password was good for.
        let (_, sealed) = vault.make(machine.id).map_err(Problem::internal)?;
        credentials::store::keep(tx, machine.id, &sealed).await?;
    }
    name::store::withdraw(tx, machine.id).await?;
    transfer::rebase(tx, machine.id, &place, &mac).await?;
    store::set_intent(tx, machine.id, place.host, &intent).await?;
    store::set_state(tx, machine.id, State::Building).await?;
    operations::insert_all(tx, std::slice::from_ref(&operation)).await?;
    let detail = json!({"operation": operation.id, "name": intent.name, "from": machine.host, "to": place.host});
    audit::record(tx, cause.record(Act::MachineRebuild, machine, detail)).await?;
    Ok(operation.id)
}

fn not_fenced(host: &Host) -> Problem {
    Problem::conflict(
        "host_not_fenced",
        format!(
            "宿主机 {} 没有证明已断电，不能在别处重建：那样可能有两台同时运行。先执行 jiyue host fence，或亲自断电后执行 jiyue host confirm-fenced",
            host.name
        ),
    )
}

fn on_cluster() -> Problem {
    let detail = "虚拟机在集群上，由集群自己在节点之间迁移；不能迁到宿主机，也不能由宿主机迁来";
    Problem::conflict("machine_on_cluster", detail)
}

fn on_old_disk() -> Problem {
    Problem::conflict(
        "machine_on_imported_disk",
        "虚拟机运行在从旧机迁来的磁盘上，这块磁盘没有基础镜像，目前不能随虚拟机换宿主机；请让它留在这台宿主机上",
    )
}

fn on_loan() -> Problem {
    Problem::conflict(
        "disk_import_open",
        "虚拟机的磁盘迁入还没有了结，重建会让旧机和它可能同时运行；先执行 jiyue disk-import finish 或 rollback",
    )
}

fn not_movable() -> Problem {
    Problem::conflict(
        "machine_not_movable",
        "它接在宿主机自己的网络上，换一台宿主机就要换地址；只有接在共用网段（segment）上的虚拟机可以迁移",
    )
}

fn contended() -> Problem {
    Problem::new(ProblemKind::Unavailable, "placement_contended", "资源竞争激烈，本次未能落位；请稍后重试")
}

fn nowhere(no: &NoPlace) -> Problem {
    approval::no_place(no, 1)
}
