//! Approval: one transaction that decides the request, claims quota, takes a place on a host for each machine, fixes
//! everything that identifies the machines, puts down the operation that builds them, and records who did it. Or it
//! answers with the shortage in numbers and writes nothing.
//!
//! Approvals that wait together are written together ([`ApprovalGroup`]): one guarded update for all task books, one for
//! all hosts, one insert per table. When a guard refuses the list, each is tried alone.

use super::{Machine, build, image::Image, lifecycle::State, store};
use crate::{
    audit::{self, Outcome, Record, Who},
    capacity::{
        self, Amount, Claim, Size,
        inventory::{Inventory, NoPlace, Place, Reservation},
    },
    db::{Db, DbError, Group, JobError, Tx},
    error::{Kind, Problem, Shortage},
    identity::{
        Actor,
        policy::{self, Act},
    },
    ids::{HostId, MachineId, OperationId, RequestId, TaskBookId},
    metrics::Metrics,
    operation::{Kind as OperationKind, NewOperation, crash, store as operations, worker::Bell},
    provider::{ImageRef, Intent, NetworkIntent},
    request::{
        self,
        lifecycle::RequestState,
        service::Rules,
        store::{Approved, Request},
    },
    task_book, text,
};
use jiff::{ToSpan, civil::Date};
use serde_json::json;
use std::{collections::BTreeMap, net::Ipv4Addr, path::PathBuf, sync::Arc};

/// Tries at finding places before a refusal is final; each starts from a fresh reading of the database.
const ATTEMPTS: usize = 8;

/// Everything that one approval writes.
pub struct Approval {
    decision: Approved,
    task_book: (TaskBookId, i64, Amount),
    machines: Vec<(Claim, Machine)>,
    operation: NewOperation,
    record: Record,
}

/// Why the database did not take an approval.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("the request is no longer waiting")]
    NotWaiting,
    #[error("the task book refused")]
    TaskBook,
    #[error("a host refused")]
    Host,
    #[error("the name {0} is taken")]
    Name(String),
    /// An address or a domain's name on its host was taken meanwhile: another place will do.
    #[error("a place was taken meanwhile")]
    Place,
    #[error("database")]
    Db(#[from] DbError),
}

impl JobError for Refusal {
    fn again(&self) -> Option<DbError> {
        match self {
            Self::Db(error) => error.again(),
            _ => None,
        }
    }
}

/// Writes waiting approvals together.
pub struct ApprovalGroup;

impl Group for ApprovalGroup {
    type Item = Approval;
    type Out = ();
    type Error = Refusal;

    async fn run(&self, tx: &mut Tx, items: &[Approval]) -> Result<Vec<()>, Refusal> {
        let decisions: Vec<_> = items.iter().map(|item| &item.decision).collect();
        if request::store::approve_all(tx, &decisions).await? != items.len() {
            return Err(Refusal::NotWaiting);
        }
        let mut books: BTreeMap<(TaskBookId, i64), Amount> = BTreeMap::new();
        let mut hosts: BTreeMap<HostId, Amount> = BTreeMap::new();
        for item in items {
            let (id, version, amount) = item.task_book;
            add(books.entry((id, version)).or_default(), amount)?;
            for (claim, _) in &item.machines {
                let one = Amount::of(claim.size, 1).ok_or(Refusal::Host)?;
                add(hosts.entry(claim.host).or_default(), one)?;
            }
        }
        let books: Vec<_> = books.into_iter().map(|((id, version), amount)| (id, version, amount)).collect();
        if capacity::store::claim_quota(tx, &books).await? != books.len() {
            return Err(Refusal::TaskBook);
        }
        let hosts: Vec<_> = hosts.into_iter().collect();
        if capacity::store::claim_hosts(tx, &hosts).await? != hosts.len() {
            return Err(Refusal::Host);
        }
        let claims: Vec<_> =
            items.iter().flat_map(|item| item.machines.iter().map(|(claim, _)| claim.clone())).collect();
        capacity::store::insert_claims(tx, &claims).await.map_err(|error| taken(error, items))?;
        let machines: Vec<_> = items.iter().flat_map(|item| item.machines.iter().map(|(_, machine)| machine)).collect();
        store::insert_all(tx, &machines).await.map_err(|error| taken(error, items))?;
        let operations: Vec<_> = items.iter().map(|item| item.operation.clone()).collect();
        operations::insert_all(tx, &operations).await?;
        let records: Vec<_> = items.iter().map(|item| item.record.clone()).collect();
        audit::record_all(tx, &records).await?;
        Ok(vec![(); items.len()])
    }
}

fn add(sum: &mut Amount, amount: Amount) -> Result<(), Refusal> {
    *sum = sum.plus(amount).ok_or(Refusal::TaskBook)?;
    Ok(())
}

/// Which scarce thing an insert found taken.
fn taken(error: DbError, items: &[Approval]) -> Refusal {
    match &error {
        DbError::Unique { .. } if error.is_duplicate_of("fqdn") => Refusal::Name(
            items
                .iter()
                .flat_map(|item| &item.machines)
                .filter_map(|(claim, _)| claim.fqdn.clone())
                .collect::<Vec<_>>()
                .join(", "),
        ),
        DbError::Unique { .. } => Refusal::Place,
        _ => error.into(),
    }
}

/// What approvals need of the house.
#[derive(Clone)]
pub struct Approver {
    pub db: Db,
    pub inventory: Inventory,
    pub bell: Bell,
    pub metrics: Metrics,
    pub rules: Rules,
}

impl Approver {
    /// Approves a request as the authority; answers the operation that builds it.
    pub async fn approve(&self, actor: &Actor, id: &str, comment: Option<String>) -> Result<OperationId, Problem> {
        let scope = policy::scope(actor, Act::RequestApprove)?;
        let comment = comment
            .map(|comment| text::check(&comment, text::NAME))
            .transpose()
            .map_err(|fault| Problem::malformed(format!("/comment: 审批意见不符合要求（{fault}），不超过 100 字")))?;
        let mut conn = self.db.read().await?;
        let request = request::store::find(&mut conn, id, scope.filter().as_deref())
            .await?
            .ok_or_else(|| Problem::not_found("申请"))?;
        request::service::may_decide(actor, &request)?;
        if request.state != RequestState::Submitted {
            return Err(not_waiting(&request));
        }
        let book = task_book::store::find(&mut conn, &request.task_book.text(), None)
            .await?
            .ok_or_else(|| Problem::not_found("任务书"))?;
        let image = store::image_for(&mut conn, &request.block.os).await?.ok_or_else(|| no_image(&request))?;
        if image.virtual_size > request.block.disk {
            return Err(Problem::conflict(
                "disk_below_image",
                format!(
                    "磁盘空间 {} 小于镜像 {} 的 {}；请退回申请并改为不小于该容量",
                    request.block.disk, image.name, image.virtual_size
                ),
            ));
        }
        self.rules.still_admissible(&mut conn, &request, &book).await?;
        drop(conn);
        let size = Size { vcpu: request.block.vcpu, memory: request.block.memory, disk: request.block.disk };
        let amount =
            Amount::of(size, i64::from(request.block.machines)).ok_or_else(|| Problem::malformed("数量过大"))?;
        for _ in 0..ATTEMPTS {
            let places = self.reserve(size, &request).await?;
            let approval = self.compose(actor, &request, &book, &image, &places, amount, comment.as_deref());
            let operation = approval.operation.id;
            let refusal = match self.db.grouped(Arc::new(ApprovalGroup), approval).await {
                Ok(()) => {
                    crash::point("approval.committed");
                    places.keep();
                    self.metrics.request_entered(RequestState::Approved.word());
                    self.bell.ring();
                    return Ok(operation);
                }
                Err(refusal) => refusal,
            };
            // Stale before the places are free: nobody is to be given an address that was just found taken.
            match refusal {
                Refusal::Place => self.inventory.collided(),
                Refusal::Host => self.inventory.stale(),
                _ => {}
            }
            places.refused();
            match refusal {
                Refusal::Host | Refusal::Place => {}
                Refusal::NotWaiting => return Err(not_waiting(&request)),
                Refusal::Name(names) => {
                    return Err(Problem::conflict(
                        "domain_taken",
                        format!("域名 {names} 已被占用；请退回申请并更换域名"),
                    ));
                }
                Refusal::TaskBook => return Err(self.over_indicator(&request, amount).await?),
                Refusal::Db(error) => return Err(error.into()),
            }
        }
        Err(Problem::new(Kind::Unavailable, "placement_contended", "资源竞争激烈，本次未能落位；请稍后重试"))
    }

    /// Places on the index; a no is only believed of an index that has just been read.
    async fn reserve(&self, size: Size, request: &Request) -> Result<Reservation, Problem> {
        let find = || self.inventory.reserve(size, request.block.zone, request.block.machines);
        if self.inventory.is_fresh()
            && let Ok(places) = find()
        {
            return Ok(places);
        }
        self.inventory.reload(&self.db).await?;
        find().map_err(|no| no_place(&no))
    }

    /// The numbers of the task book, read after it had refused.
    async fn over_indicator(&self, request: &Request, amount: Amount) -> Result<Problem, Problem> {
        let mut conn = self.db.read().await?;
        let Some(book) = task_book::store::find(&mut conn, &request.task_book.text(), None).await? else {
            return Ok(Problem::not_found("任务书"));
        };
        if let Some((_, reason)) = book.revoked {
            return Ok(Problem::conflict("task_book_revoked", format!("任务书 {} 已撤销：{reason}", book.number)));
        }
        let asked = amount.dimensions();
        let free = Amount {
            machines: book.limits.machines - book.used.machines,
            vcpu: book.limits.vcpu - book.used.vcpu,
            memory_bytes: book.limits.memory.get() - book.used.memory.get(),
            disk_bytes: book.limits.disk.get() - book.used.disk.get(),
        };
        let short: Vec<_> = asked
            .into_iter()
            .zip(free.dimensions())
            .filter(|((_, asked), (_, free))| asked > free)
            .map(|((dimension, asked), (_, free))| Shortage { dimension, asked, free, of: "task_book" })
            .collect();
        if short.is_empty() {
            // Somebody gave back in between, or the task book has a new version.
            return Ok(Problem::conflict(
                "task_book_changed",
                format!("任务书 {} 在审批期间发生变化，请重试", book.number),
            ));
        }
        Ok(Problem::short("indicator_exceeded", format!("超出任务书 {} 的控制指标", book.number), short))
    }

    #[expect(clippy::too_many_arguments, reason = "one pure function from what was read to what is written")]
    fn compose(
        &self,
        actor: &Actor,
        request: &Request,
        book: &task_book::store::Held,
        image: &Image,
        places: &[Place],
        amount: Amount,
        comment: Option<&str>,
    ) -> Approval {
        let operation = OperationId::new();
        let names = request.block.machine_names();
        let today = self.db.clock().today();
        let lease_end = today.saturating_add(i64::from(request.block.om_period_months).months());
        let machines = places
            .iter()
            .enumerate()
            .map(|(ordinal, place)| {
                let name = names.as_ref().and_then(|names| names.get(ordinal));
                compose_machine(
                    request,
                    book,
                    image,
                    place,
                    operation,
                    ordinal,
                    name.map(|n| (n.host.as_str(), n.fqdn.as_str())),
                    lease_end,
                )
            })
            .collect();
        Approval {
            decision: Approved {
                request: request.id,
                digest: request.digest.clone(),
                by: actor.person.id,
                unit: actor.unit.clone(),
                reason: comment.map(str::to_owned),
                operation,
            },
            task_book: (book.id, book.version, amount),
            machines,
            operation: NewOperation {
                id: operation,
                kind: OperationKind::Build,
                department: request.department,
                request: Some(request.id),
                machine: None,
                steps_total: build::steps_total(places.len()),
                trace_id: actor.trace_id.clone(),
                started_by: actor.person.login.clone(),
            },
            record: Record {
                who: Who::from(actor),
                action: Act::RequestApprove.word(),
                object_type: "request",
                object_id: request.id.text(),
                department_id: Some(request.department.text()),
                outcome: Outcome::Done,
                detail: json!({"digest": request.digest, "task_book": book.number, "version": book.version,
                    "operation": operation, "comment": comment}),
            },
        }
    }
}

/// Fixes everything that identifies one machine.
#[expect(clippy::too_many_arguments, reason = "one pure function from what was read to what is written")]
fn compose_machine(
    request: &Request,
    book: &task_book::store::Held,
    image: &Image,
    place: &Place,
    operation: OperationId,
    ordinal: usize,
    name: Option<(&str, &str)>,
    lease_end: Date,
) -> (Claim, Machine) {
    let id = MachineId::new();
    let mac = mac_of(place.address);
    let fqdn = name.map(|(_, fqdn)| fqdn.to_owned());
    let intent = Intent {
        machine: id,
        operation,
        name: slug_of(name.map_or("vm", |(host, _)| host), id),
        fqdn: fqdn.clone(),
        vcpu: place.size.vcpu,
        memory: place.size.memory,
        disk: place.size.disk,
        image: ImageRef {
            sha256: image.sha256.clone(),
            format: image.format,
            size: image.size,
            path: PathBuf::from(&image.path),
        },
        network: NetworkIntent {
            network: place.network.network.clone(),
            mac: mac.clone(),
            address: place.address,
            gateway: place.network.gateway,
            dns: place.network.gateway,
        },
        ssh_keys: request.block.ssh_keys.clone(),
    };
    let claim = Claim {
        machine: id,
        task_book: book.id,
        host: place.host,
        network: place.network.id,
        size: place.size,
        address: place.address,
        mac,
        fqdn,
    };
    let unit = &request.block.om_unit;
    let machine = Machine {
        id,
        request: request.id,
        department: request.department,
        host: place.host,
        ordinal: i64::try_from(ordinal).unwrap_or(i64::MAX),
        state: State::Building,
        intent,
        zone: request.block.zone,
        lease_end,
        contact: format!("{} {}", unit.name, unit.contact),
        operation: Some(operation),
        created_at: jiff::Timestamp::UNIX_EPOCH,
        ready_at: None,
        binned_at: None,
    };
    (claim, machine)
}

/// A hardware address that is the address in other words: QEMU's own prefix, then its four bytes. dnsmasq keeps an
/// address for about an hour for the card that had it last, whatever is reserved; so who inherits an address must
/// inherit its card too. Within a network it is unique because the address is.
fn mac_of(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("52:54:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

/// The domain's name on its host: readable, and unique by the identifier's random tail. At most 63 characters.
fn slug_of(host: &str, id: MachineId) -> String {
    let bytes = id.0.as_bytes();
    let host: String = host.chars().take(50).collect();
    format!("{}-{:02x}{:02x}{:02x}{:02x}", host.trim_end_matches('-'), bytes[8] & 0x3f, bytes[9], bytes[10], bytes[11])
}

fn no_place(no: &NoPlace) -> Problem {
    let reasons: Vec<_> = no
        .refusals
        .iter()
        .take(20)
        .map(|(host, refusal)| format!("{host}: {}", serde_json::to_string(refusal).unwrap_or_default()))
        .collect();
    let detail = if reasons.is_empty() {
        "没有可用的宿主机；请先用 jiyue host add 登记".to_owned()
    } else {
        format!("没有宿主机能够容纳：{}", reasons.join("；"))
    };
    Problem::short("capacity_exceeded", detail, no.shortage())
}

fn no_image(request: &Request) -> Problem {
    Problem::conflict(
        "image_missing",
        format!(
            "还没有操作系统 {} 的镜像；请先导入：jiyue image import 文件 --os {}",
            request.block.os, request.block.os
        ),
    )
}

pub(super) fn not_waiting(request: &Request) -> Problem {
    Problem::conflict(
        "request_not_waiting",
        format!(
            "申请 {} 的状态为 {}，只有待审批（submitted）的申请可以审批",
            RequestId::text(request.id),
            request.state.word()
        ),
    )
}
