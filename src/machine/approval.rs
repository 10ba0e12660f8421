//! Approval: one transaction that decides the request, takes a place on a host for each machine, claims quota, fixes
//! everything that identifies the machines, puts down the operation that builds them, and records who did it. Or it
//! answers with the shortage in numbers and writes nothing.
//!
//! Approvals that wait together are written together ([`ApprovalGroup`]): one guarded update for all task books, one for
//! all hosts, one insert per table. Places are sought inside the writer's job, where approvals of one broker come one
//! list after the other and cannot be given the same place. When a guard refuses a list, each of it is tried alone.

use super::{
    credentials,
    intent::{Approval, Decision, compose},
    origin::{self, Origin},
    store,
};
use crate::{
    audit,
    capacity::{
        self, Amount, Size,
        inventory::{Ask, Inventory, NoPlace, Place},
        placement::{PlaceKind, Wanted},
    },
    db::{Db, DbError, Group, JobError, Tx},
    error::{HostRefusals, Kind, Problem},
    identity::{
        self, Actor,
        policy::{self, Act},
    },
    ids::{HostId, OperationId, TaskBookId},
    metrics::Metrics,
    operation::{crash, store as operations, worker::Bell},
    request::{self, block::Block, lifecycle::RequestState, service::Rules, store::Request},
    secret::{Vault, VaultError},
    task_book, text, time,
};
use jiff::{ToSpan, civil::Date};
use std::{collections::BTreeMap, sync::Arc};

/// Tries at places before a refusal by the database is final; each starts from a fresh reading.
const ATTEMPTS: usize = 8;

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
    /// An address or a domain's name on its host was taken by another broker: another place will do.
    #[error("a place was taken meanwhile")]
    Place,
    #[error("no host has room")]
    NoPlace(NoPlace),
    #[error("no password could be made")]
    Secret(#[from] VaultError),
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

/// Finds places for waiting approvals and writes them together.
pub struct ApprovalGroup {
    inventory: Inventory,
    vault: Vault,
}

impl Group for ApprovalGroup {
    type Item = Decision;
    type Out = OperationId;
    type Error = Refusal;

    async fn run(&self, tx: &mut Tx, items: &[Decision]) -> Result<Vec<OperationId>, Refusal> {
        let mut refusal = Refusal::Place;
        for _ in 0..ATTEMPTS {
            let read_now = capacity::service::refresh(&self.inventory, tx).await?;
            let (approvals, places) = match self.place(items, tx.now().as_second()) {
                Ok(found) => found,
                // A no is only believed of an index that has just been read.
                Err(no) if read_now => return Err(Refusal::NoPlace(no)),
                Err(_) => {
                    self.inventory.stale();
                    continue;
                }
            };
            match tx.nested(async |tx| write(tx, &self.vault, items, &approvals).await).await {
                Ok(()) => return Ok(approvals.iter().map(|approval| approval.operation.id).collect()),
                Err(error) => refusal = error,
            }
            self.inventory.release(&places);
            match refusal {
                Refusal::Host => self.inventory.stale(),
                Refusal::Place => self.inventory.collided(),
                other => return Err(other),
            }
        }
        Err(refusal)
    }
}

impl ApprovalGroup {
    /// Places in the index for the whole list, or for nobody.
    fn place(&self, items: &[Decision], now: i64) -> Result<(Vec<Approval>, Vec<Place>), NoPlace> {
        let asks: Vec<_> = items.iter().map(|item| ask(item, now)).collect();
        let (mut placed, mut all) = (Vec::with_capacity(items.len()), Vec::new());
        for at in self.inventory.precedence(&asks) {
            match self.inventory.reserve(&asks[at]) {
                Ok(places) => {
                    placed.push((at, compose(&items[at], &places)));
                    all.extend(places);
                }
                Err(no) => {
                    self.inventory.release(&all);
                    return Err(no);
                }
            }
        }
        placed.sort_by_key(|(at, _)| *at);
        Ok((placed.into_iter().map(|(_, approval)| approval).collect(), all))
    }
}

/// One guarded statement per kind of thing, for the whole list.
async fn write(tx: &mut Tx, vault: &Vault, items: &[Decision], approvals: &[Approval]) -> Result<(), Refusal> {
    let decisions: Vec<_> = approvals.iter().map(|approval| &approval.decision).collect();
    if request::store::approve_all(tx, &decisions).await? != approvals.len() {
        return Err(Refusal::NotWaiting);
    }
    let mut books: BTreeMap<(TaskBookId, i64), Amount> = BTreeMap::new();
    let mut hosts: BTreeMap<HostId, Amount> = BTreeMap::new();
    for (item, approval) in items.iter().zip(approvals) {
        add(books.entry((item.book.id, item.book.version)).or_default(), item.amount)?;
        for (claim, _) in &approval.machines {
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
    let built = || approvals.iter().flat_map(|approval| &approval.machines);
    let claims: Vec<_> = built().map(|(claim, _)| claim.clone()).collect();
    capacity::store::insert_claims(tx, &claims).await.map_err(|error| taken(error, approvals))?;
    let machines: Vec<_> = built().map(|(_, machine)| machine).collect();
    store::insert_all(tx, &machines).await.map_err(|error| taken(error, approvals))?;
    for machine in machines.iter().filter(|machine| machine.intent.database.is_some()) {
        credentials::store::keep(tx, machine.id, &vault.make(machine.id)?.1).await?;
    }
    let operations: Vec<_> = approvals.iter().map(|approval| approval.operation.clone()).collect();
    operations::insert_all(tx, &operations).await?;
    let records: Vec<_> = approvals.iter().map(|approval| approval.record.clone()).collect();
    Ok(audit::record_all(tx, &records).await?)
}

fn add(sum: &mut Amount, amount: Amount) -> Result<(), Refusal> {
    *sum = sum.plus(amount).ok_or(Refusal::TaskBook)?;
    Ok(())
}

/// Which scarce thing an insert found taken.
fn taken(error: DbError, approvals: &[Approval]) -> Refusal {
    match &error {
        DbError::Unique { .. } if error.is_duplicate_of("fqdn") => {
            let claims = approvals.iter().flat_map(|approval| &approval.machines);
            Refusal::Name(claims.filter_map(|(claim, _)| claim.fqdn.clone()).collect::<Vec<_>>().join(", "))
        }
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
    pub vault: Vault,
}

impl Approver {
    /// Approves a request as the authority; answers the operation that builds it.
    pub async fn approve(&self, actor: &Actor, id: &str, comment: Option<String>) -> Result<OperationId, Problem> {
        let refusal = match self.attempt(actor, id, comment).await {
            Err(problem) if matches!(problem.kind, Kind::Refused | Kind::Shortage | Kind::Conflict) => problem,
            done => return done,
        };
        // Another approval of the very same request may have taken the names or the last place meanwhile: the request
        // is not short of anything then, it is decided.
        let mut conn = self.db.read().await?;
        let request = request::store::find(&mut conn, id, None).await?;
        let decided = request.filter(|request| request.state != RequestState::Submitted);
        Err(decided.map_or(refusal, |request| not_waiting(&request)))
    }

    async fn attempt(&self, actor: &Actor, id: &str, comment: Option<String>) -> Result<OperationId, Problem> {
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
        let images = store::images_of(&mut conn, &request.block.os).await?;
        let origin = origin::choose(&self.rules.catalogue, &images, &request.block.os, Some(&request.block.database))?;
        large_enough(&request, &origin)?;
        self.rules.still_admissible(&mut conn, &request, &book).await?;
        let department = identity::store::find_department(&mut conn, &request.department.text()).await?;
        let department = department.ok_or_else(|| Problem::not_found("单位"))?;
        drop(conn);
        let size = Size { vcpu: request.block.vcpu, memory: request.block.memory, disk: request.block.disk };
        let amount =
            Amount::of(size, i64::from(request.block.machines)).ok_or_else(|| Problem::malformed("数量过大"))?;
        let decision = Decision {
            actor: actor.clone(),
            comment,
            request: request.clone(),
            department: department.code,
            book,
            image_is_here: origin.image.is_here(),
            origin,
            amount,
            lease_end: lease_end(&request.block, self.db.clock().today()),
        };
        let submitted_at = request.submitted_at;
        let group = Arc::new(ApprovalGroup { inventory: self.inventory.clone(), vault: self.vault.clone() });
        match self.db.grouped(group, decision).await {
            Ok(operation) => {
                crash::point("approval.committed");
                self.metrics.request_entered(RequestState::Approved.word());
                let waited = self.db.clock().now().duration_since(submitted_at);
                self.metrics.request_decided(RequestState::Approved.word(), waited.as_secs_f64());
                self.bell.ring();
                Ok(operation)
            }
            Err(refusal) => {
                if matches!(refusal, Refusal::Db(_)) {
                    // Places that were undone with the transaction are still taken in the index.
                    self.inventory.stale();
                }
                Err(self.explain(refusal, &request, amount).await)
            }
        }
    }

    async fn explain(&self, refusal: Refusal, request: &Request, amount: Amount) -> Problem {
        match refusal {
            Refusal::NotWaiting => not_waiting(request),
            Refusal::Name(names) => {
                Problem::conflict("domain_taken", format!("域名 {names} 已被占用；请退回申请并更换域名"))
            }
            Refusal::NoPlace(no) => no_place(&no, request.block.machines),
            Refusal::TaskBook => self.over_indicator(request, amount).await.unwrap_or_else(|problem| problem),
            Refusal::Host | Refusal::Place => {
                Problem::new(Kind::Unavailable, "placement_contended", "资源竞争激烈，本次未能落位；请稍后重试")
            }
            Refusal::Secret(error) => Problem::internal(error),
            Refusal::Db(error) => error.into(),
        }
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
        let free = Amount::from(book.limits).minus(book.used.into());
        let short = amount.shortage(free, "task_book");
        if short.is_empty() {
            // Somebody gave back in between, or the task book has a new version.
            return Ok(Problem::conflict(
                "task_book_changed",
                format!("任务书 {} 在审批期间发生变化，请重试", book.number),
            ));
        }
        Ok(Problem::short("indicator_exceeded", format!("超出任务书 {} 的控制指标", book.number), short))
    }
}

/// 运维周期 counted from today.
pub(super) fn lease_end(block: &Block, today: Date) -> Date {
    today.saturating_add(i64::from(block.om_period_months).months())
}

/// What a request's machines ask of hosts.
fn ask(decision: &Decision, now: i64) -> Ask<'_> {
    let block = &decision.request.block;
    Ask {
        wanted: Wanted {
            database: decision.origin.database.is_some(),
            ..wanted(block, Size { vcpu: block.vcpu, memory: block.memory, disk: block.disk }, decision.lease_end, now)
        },
        image: Some(decision.image_need()),
        count: block.machines,
        siblings: &[],
    }
}

/// What one machine of a block asks, at a size and until a day that need not be the block's any more.
pub(super) fn wanted(block: &Block, size: Size, lease_end: Date, now: i64) -> Wanted {
    Wanted {
        size,
        zone: block.zone,
        mlps_level: block.mlps_level,
        lease_end: Some(time::day_begins(lease_end)),
        spread: block.spread,
        fixed_address: block.machine_names().is_some(),
        database: false,
        kind: PlaceKind::wished(block.provider),
        now,
    }
}

/// Refusals that a sentence names, and those that an answer lists.
const TOLD: usize = 20;
const LISTED: usize = 100;

pub(super) fn no_place(no: &NoPlace, count: u32) -> Problem {
    let told: Vec<_> = no.refusals.iter().take(TOLD).map(|(host, why)| format!("{host} {why}")).collect();
    let which =
        if count > 1 { format!("第 {} 台（共 {count} 台）", no.machine) } else { "这台虚拟机".to_owned() };
    let more = match no.refusals.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!("；另有 {more} 台宿主机未列出"),
    };
    let detail = if told.is_empty() {
        "没有可用的宿主机；请先用 jiyue host add 登记".to_owned()
    } else {
        format!("没有宿主机能够容纳{which}：{}{more}", told.join("；"))
    };
    let mut problem = Problem::short("capacity_exceeded", detail, no.shortage());
    problem.hosts = Some(Box::new(HostRefusals(no.hosts(LISTED))));
    problem
}

pub(super) fn not_waiting(request: &Request) -> Problem {
    Problem::conflict(
        "request_not_waiting",
        format!("申请 {} 的状态为 {}，只有待审批（submitted）的申请可以审批", request.id, request.state.word()),
    )
}

/// The machines have room for what they start from.
fn large_enough(request: &Request, origin: &Origin) -> Result<(), Problem> {
    let (block, image) = (&request.block, &origin.image);
    if image.virtual_size > block.disk {
        return Err(Problem::conflict(
            "disk_below_image",
            format!(
                "磁盘空间 {} 小于镜像 {} 的 {}；请退回申请并改为不小于该容量",
                block.disk, image.name, image.virtual_size
            ),
        ));
    }
    let Some(least) = origin.database.as_ref().map(origin::Template::least) else { return Ok(()) };
    if block.memory < least.memory || block.disk < least.disk {
        return Err(Problem::conflict(
            "size_below_database",
            format!(
                "从镜像 {} 建这种数据库，每台至少要内存 {}、磁盘 {}，申请的是 {}、{}；请退回申请并改大，或导入带这种数据库的镜像",
                image.name, least.memory, least.disk, block.memory, block.disk
            ),
        ));
    }
    Ok(())
}
