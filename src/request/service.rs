//! Acts on requests short of approval: checking, submitting, returning, cancelling.

use super::{
    block::Block,
    lifecycle::{RequestEvent, RequestState},
    raw::RawBlock,
    rules::{self, Snapshot, TaskBookView, Violation},
    store::{self, NewRequest, Request},
};
use crate::{
    audit::{self, Outcome, Record, Who},
    capacity,
    catalogue::Catalogue,
    db::Db,
    error::{Kind, Problem},
    identity::{
        Actor,
        policy::{self, Act},
    },
    ids::{DepartmentId, OperationId, RequestId},
    jurisdiction::Profile,
    metrics::Metrics,
    operation, task_book, text,
};
use serde_json::json;
use sqlx::AnyConnection;
use std::{collections::BTreeSet, sync::Arc};

/// The rules with the data they read.
#[derive(Clone)]
pub struct Rules {
    pub db: Db,
    pub profile: Arc<Profile>,
    pub catalogue: Arc<Catalogue>,
    pub metrics: Metrics,
}

/// What became of a wish to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    AtOnce,
    /// The build turns back; the operation says when it is done.
    TurningBack(OperationId),
}

impl Rules {
    /// Every rule on a block as written; nothing is stored.
    pub async fn check(&self, actor: &Actor, raw: &RawBlock) -> Result<Block, Problem> {
        policy::scope(actor, Act::RequestCheck)?;
        self.judge(own_department(actor)?, raw).await.map(|(block, _)| block)
    }

    /// Checks a block and keeps it as a request that waits for its decision.
    pub async fn submit(&self, actor: &Actor, raw: &RawBlock) -> Result<RequestId, Problem> {
        policy::scope(actor, Act::RequestSubmit)?;
        let department = own_department(actor)?;
        let (block, book) = self.judge(department, raw).await?;
        let digest = block.digest();
        let request = NewRequest {
            id: RequestId::new(),
            department,
            task_book: book.id,
            task_book_version: book.version,
            block,
            digest,
            submitted_by: actor.person.id,
            submitted_unit: actor.unit.clone(),
        };
        let (id, who) = (request.id, Who::from(actor));
        self.db
            .write(async move |tx| -> Result<(), Problem> {
                store::insert(tx, &request).await.map_err(|error| {
                    if error.is_duplicate_of("domain") {
                        Problem::conflict("domain_taken", "该域名已在另一份待审批的申请中；请更换域名或先撤回那份申请")
                    } else {
                        error.into()
                    }
                })?;
                let record = Record {
                    who: who.clone(),
                    action: Act::RequestSubmit.word(),
                    object_type: "request",
                    object_id: request.id.text(),
                    department_id: Some(request.department.text()),
                    outcome: Outcome::Done,
                    detail: json!({"digest": request.digest, "task_book": request.block.task_book}),
                };
                Ok(audit::record(tx, record).await?)
            })
            .await?;
        self.metrics.request_entered(RequestState::Submitted.word());
        Ok(id)
    }

    /// Sends a waiting request back, with the reason.
    pub async fn send_back(&self, actor: &Actor, id: &str, reason: &str) -> Result<(), Problem> {
        let scope = policy::scope(actor, Act::RequestReturn)?;
        let request = self.find(id, scope.filter()).await?;
        may_decide(actor, &request)?;
        let reason = checked_reason(reason)?;
        self.decide(actor, &request, Act::RequestReturn, RequestState::Returned, Some(reason)).await
    }

    /// Withdraws a request: at once while it waits; by turning back its build once it is approved.
    pub async fn cancel(&self, actor: &Actor, id: &str, reason: Option<&str>) -> Result<Cancelled, Problem> {
        let scope = policy::scope(actor, Act::RequestCancel)?;
        let request = self.find(id, scope.filter()).await?;
        let reason = reason.map(checked_reason).transpose()?;
        if request.state == RequestState::Submitted {
            self.decide(actor, &request, Act::RequestCancel, RequestState::Cancelled, reason).await?;
            return Ok(Cancelled::AtOnce);
        }
        let (Some(operation), RequestState::Approved) = (request.operation, request.state) else {
            return Err(Problem::conflict(
                "request_not_cancellable",
                format!(
                    "申请的状态为 {}，只有待审批或建设中的申请可以撤回；已交付的虚拟机请用 jiyue machine delete 逐台删除",
                    request.state.word()
                ),
            ));
        };
        let who = Who::from(actor);
        let wish = reason.unwrap_or_else(|| "申请人撤回".to_owned());
        self.db
            .write(async move |tx| -> Result<(), Problem> {
                let asked = operation::store::ask_to_cancel(tx, operation, &wish).await?;
                let moved = store::advance(tx, request.id, RequestState::Approved, RequestEvent::Cancel).await?;
                if !(asked && moved) {
                    return Err(Problem::conflict(
                        "request_not_cancellable",
                        "建设已结束或正在撤销，无法撤回；请重新查询状态",
                    ));
                }
                let record = Record {
                    who: who.clone(),
                    action: Act::RequestCancel.word(),
                    object_type: "request",
                    object_id: request.id.text(),
                    department_id: Some(request.department.text()),
                    outcome: Outcome::Done,
                    detail: json!({"reason": wish, "operation": operation}),
                };
                Ok(audit::record(tx, record).await?)
            })
            .await?;
        Ok(Cancelled::TurningBack(operation))
    }

    /// A request that the scope covers.
    pub async fn find(&self, id: &str, department: Option<String>) -> Result<Request, Problem> {
        let mut conn = self.db.read().await?;
        store::find(&mut conn, id, department.as_deref()).await?.ok_or_else(|| Problem::not_found("申请"))
    }

    async fn decide(
        &self,
        actor: &Actor,
        request: &Request,
        act: Act,
        to: RequestState,
        reason: Option<String>,
    ) -> Result<(), Problem> {
        let (who, by, unit) = (Who::from(actor), actor.person.id, actor.unit.clone());
        let (id, department) = (request.id, request.department);
        self.db
            .write(async move |tx| -> Result<(), Problem> {
                if !store::decide(tx, id, to, by, &unit, reason.as_deref()).await? {
                    return Err(Problem::conflict("request_not_waiting", "申请已不在待审批状态；请重新查询"));
                }
                let record = Record {
                    who: who.clone(),
                    action: act.word(),
                    object_type: "request",
                    object_id: id.text(),
                    department_id: Some(department.text()),
                    outcome: Outcome::Done,
                    detail: json!({"reason": reason}),
                };
                Ok(audit::record(tx, record).await?)
            })
            .await?;
        self.metrics.request_entered(to.word());
        Ok(())
    }

    async fn judge(
        &self,
        department: DepartmentId,
        raw: &RawBlock,
    ) -> Result<(Block, task_book::store::Held), Problem> {
        let wants = raw.wants(&self.catalogue, &self.profile);
        let mut conn = self.db.read().await?;
        let book = match &wants.task_book {
            Some(number) => task_book::store::find(&mut conn, number, Some(&department.text())).await?,
            None => None,
        };
        let mut names: BTreeSet<String> =
            capacity::store::held_names(&mut conn, &wants.names).await?.into_iter().collect();
        for name in &wants.names {
            if store::domain_waits(&mut conn, name).await? {
                names.insert(name.clone());
            }
        }
        drop(conn);
        let snapshot = Snapshot { department, task_book: book.as_ref().map(view), taken_names: names };
        let today = self.db.clock().today();
        let judged = rules::check(raw, &self.catalogue, &self.profile, &snapshot, today);
        match (judged, book) {
            (Ok(block), Some(book)) => Ok((block, book)),
            (Ok(_), None) => Err(Problem::not_found("任务书")),
            (Err(violations), _) => {
                self.count(&violations);
                Err(Problem::refused(violations))
            }
        }
    }

    /// The rules once more at the approval: the task book, the names and the day may have changed. Indicators are left
    /// to the guarded claim, which answers with the numbers of that very moment.
    pub async fn still_admissible(
        &self,
        conn: &mut AnyConnection,
        request: &Request,
        book: &task_book::store::Held,
    ) -> Result<(), Problem> {
        let wanted: Vec<_> = request.block.machine_names().into_iter().flatten().map(|name| name.fqdn).collect();
        let taken_names = capacity::store::held_names(conn, &wanted).await?.into_iter().collect();
        let snapshot = Snapshot { department: request.department, task_book: Some(view(book)), taken_names };
        let today = self.db.clock().today();
        let mut violations = rules::judge(&request.block, &self.catalogue, &self.profile, &snapshot, today);
        violations.retain(|violation| !violation.code.ends_with("_over_indicator"));
        if violations.is_empty() {
            return Ok(());
        }
        self.count(&violations);
        Err(Problem::refused(violations))
    }

    fn count(&self, violations: &[Violation]) {
        for violation in violations {
            self.metrics.rule_violated(violation.code);
        }
    }
}

/// Who decides is judged by the person and the unit behind the token: nobody decides what they asked for themselves,
/// whichever of their tokens they use, and no unit decides its own requests.
pub fn may_decide(actor: &Actor, request: &Request) -> Result<(), Problem> {
    if actor.person.id == request.submitted_by {
        return Err(Problem::new(
            Kind::Forbidden,
            "self_decision",
            format!("申请由 {} 本人提交，不能由本人审批（更换令牌也不可以）；请由其他审批人办理", actor.person.name),
        ));
    }
    if actor.unit == request.submitted_unit {
        return Err(Problem::new(
            Kind::Forbidden,
            "own_unit_decision",
            format!("申请由本单位（{}）提交，不能由本单位审批；请由其他单位的审批人办理", actor.unit),
        ));
    }
    Ok(())
}

fn own_department(actor: &Actor) -> Result<DepartmentId, Problem> {
    actor.department.ok_or_else(|| {
        Problem::new(Kind::Forbidden, "forbidden", "只有建设单位的申请人可以提交申请；请使用申请人的令牌")
    })
}

fn checked_reason(reason: &str) -> Result<String, Problem> {
    text::said(reason, text::PROSE)
        .map_err(|fault| Problem::malformed(format!("/reason: 原因不符合要求（{fault}）；请写明原因，不超过 2000 字")))
}

fn view(book: &task_book::store::Held) -> TaskBookView {
    TaskBookView {
        department: book.department,
        valid_from: book.valid_from,
        valid_until: book.valid_until,
        revoked: book.revoked.as_ref().map(|(_, reason)| reason.clone()),
        limits: book.limits,
        used: book.used,
        allowed: book.allowed.clone(),
    }
}
