//! Acts on requests short of approval: checking, submitting, returning, cancelling.

use super::{
    apart::{ReadError, Reader},
    block::Block,
    lifecycle::{RequestEvent, RequestState},
    raw::RawReport,
    rules::{self, Code, Ground, Running, Snapshot, TaskBookView, Violation},
    store::{self, NewRequest, NewSubmission, Request, Submission},
};
use crate::{
    audit::{self, Outcome, Record, Who},
    capacity,
    catalogue::Catalogue,
    db::{Db, DbError, Tx},
    error::{Kind, Problem},
    identity::{
        Actor,
        policy::{self, Act},
    },
    ids::{DepartmentId, OperationId, RequestId, SubmissionId},
    jurisdiction::Profile,
    metrics::Metrics,
    operation::{self, term::Term},
    task_book,
    text::{self, hex},
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use sqlx::AnyConnection;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The rules with the data they read.
#[derive(Clone)]
pub struct Rules {
    pub db: Db,
    pub profile: Arc<Profile>,
    pub catalogue: Arc<Catalogue>,
    pub metrics: Metrics,
    pub reader: Reader,
}

/// What was handed in, byte for byte.
#[derive(Clone, Debug)]
pub struct Original {
    /// The file's name.
    pub name: String,
    pub media_type: String,
    pub content: Vec<u8>,
}

/// What became of a wish to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    AtOnce,
    /// The build turns back; the operation says when it is done.
    TurningBack(OperationId),
}

impl Rules {
    /// Reads a file, in a process of its own, and adds to it what its sender says besides.
    pub async fn read(&self, content: &[u8], name: &str, fields: &Map<String, Value>) -> Result<RawReport, Problem> {
        let form = match self.reader.read(content, name).await {
            Ok(form) => form,
            Err(ReadError::Fault(fault)) => return Err(self.unreadable(fault.code, &fault.reason)),
            Err(error) => return Err(Problem::internal(error)),
        };
        // Only `blocks` that is no list of objects is not a report.
        RawReport::of_form(form, fields)
            .map_err(|error| self.unreadable(Code::FileDamaged, &text::shown(&error.to_string())))
    }

    fn unreadable(&self, code: Code, reason: &str) -> Problem {
        let violation = Violation::new(&self.profile, code, code.rule().field, &[("reason", &reason)]);
        self.count(std::slice::from_ref(&violation));
        Problem::unreadable(code == Code::FileTooLarge, violation)
    }

    /// Every rule on a report as written; nothing is stored.
    pub async fn check(&self, actor: &Actor, report: &RawReport) -> Result<Vec<Block>, Problem> {
        policy::scope(actor, Act::RequestCheck)?;
        let judged = self.judge(own_department(actor)?, report).await?;
        Ok(judged.into_iter().map(|(block, _)| block).collect())
    }

    /// The same for a department that somebody else looks after.
    pub async fn check_for(&self, department: DepartmentId, report: &RawReport) -> Result<Vec<Block>, Problem> {
        Ok(self.judge(department, report).await?.into_iter().map(|(block, _)| block).collect())
    }

    /// Checks a report and keeps each of its blocks as a request that waits for its decision: all of them or none. What
    /// was handed in is kept with them, byte for byte.
    pub async fn submit(
        &self,
        actor: &Actor,
        report: &RawReport,
        original: Original,
    ) -> Result<Vec<RequestId>, Problem> {
        self.submit_with(actor, report, original, async |_, _| Ok(())).await
    }

    /// The same, and in the same transaction what else has to be so: an error of `also` undoes all of it.
    pub async fn submit_with(
        &self,
        actor: &Actor,
        report: &RawReport,
        original: Original,
        also: impl AsyncFn(&mut Tx, &[RequestId]) -> Result<(), Problem> + Send + 'static,
    ) -> Result<Vec<RequestId>, Problem> {
        policy::scope(actor, Act::RequestSubmit)?;
        let department = own_department(actor)?;
        let judged = self.judge(department, report).await?;
        let submission = NewSubmission {
            file: Submission {
                id: SubmissionId::new(),
                sha256: hex(&Sha256::digest(&original.content)),
                size_bytes: i64::try_from(original.content.len()).unwrap_or(i64::MAX),
                name: original.name,
                media_type: original.media_type,
            },
            department,
            content: original.content,
            report: report.as_read().to_string(),
            submitted_by: actor.person.id,
        };
        let requests: Vec<NewRequest> = (1..)
            .zip(judged)
            .map(|(block_number, (block, book))| NewRequest {
                id: RequestId::new(),
                department,
                task_book: book.id,
                task_book_version: book.version,
                digest: block.digest(),
                block,
                submitted_by: actor.person.id,
                submitted_unit: actor.unit.clone(),
                submission: submission.file.id,
                block_number,
            })
            .collect();
        let (ids, who) = (requests.iter().map(|request| request.id).collect::<Vec<_>>(), Who::from(actor));
        let made = ids.clone();
        self.db
            .write(async move |tx| -> Result<(), Problem> {
                store::insert_submission(tx, &submission).await?;
                for request in &requests {
                    store::insert(tx, request).await.map_err(already_waits)?;
                    let record = Record {
                        who: who.clone(),
                        action: Act::RequestSubmit.word(),
                        object_type: "request",
                        object_id: request.id.text(),
                        department_id: Some(request.department.text()),
                        outcome: Outcome::Done,
                        detail: json!({
                            "digest": request.digest,
                            "task_book": request.block.task_book,
                            "file_sha256": submission.file.sha256,
                        }),
                    };
                    audit::record(tx, record).await?;
                }
                also(tx, &made).await
            })
            .await?;
        for _ in &ids {
            self.metrics.request_entered(RequestState::Submitted.word());
        }
        Ok(ids)
    }

    /// Sends a waiting request back, with the reason.
    pub async fn send_back(&self, actor: &Actor, id: &str, reason: &str) -> Result<(), Problem> {
        let scope = policy::scope(actor, Act::RequestReturn)?;
        let request = self.find(id, scope.filter()).await?;
        may_decide(actor, &request)?;
        let reason = checked_reason(reason)?;
        self.decide(actor, &request, Act::RequestReturn, RequestState::Returned, Some(reason), None).await
    }

    /// Withdraws a request: at once while it waits; by turning back its build once it is approved.
    pub async fn cancel(&self, actor: &Actor, id: &str, reason: Option<&str>) -> Result<Cancelled, Problem> {
        self.cancel_in(None, actor, id, reason).await
    }

    /// The same under a term, which must not be over.
    pub async fn cancel_in(
        &self,
        term: Option<Term>,
        actor: &Actor,
        id: &str,
        reason: Option<&str>,
    ) -> Result<Cancelled, Problem> {
        let scope = policy::scope(actor, Act::RequestCancel)?;
        let request = self.find(id, scope.filter()).await?;
        let reason = reason.map(checked_reason).transpose()?;
        if request.state == RequestState::Submitted {
            self.decide(actor, &request, Act::RequestCancel, RequestState::Cancelled, reason, term).await?;
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
                Term::hold_if(term, tx).await?;
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

    /// What was handed in for a request, if it is kept.
    pub async fn original(&self, actor: &Actor, id: &str) -> Result<Original, Problem> {
        let scope = policy::scope(actor, Act::RequestRead)?;
        let request = self.find(id, scope.filter()).await?;
        let file = request.submission.ok_or_else(|| Problem::not_found("申请的原件"))?;
        let mut conn = self.db.read().await?;
        let content = store::content(&mut conn, file.id).await?;
        Ok(Original { name: file.name, media_type: file.media_type, content })
    }

    async fn decide(
        &self,
        actor: &Actor,
        request: &Request,
        act: Act,
        to: RequestState,
        reason: Option<String>,
        term: Option<Term>,
    ) -> Result<(), Problem> {
        let (who, by, unit) = (Who::from(actor), actor.person.id, actor.unit.clone());
        let (id, department) = (request.id, request.department);
        self.db
            .write(async move |tx| -> Result<(), Problem> {
                Term::hold_if(term, tx).await?;
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
        if to == RequestState::Returned {
            let waited = self.db.clock().now().duration_since(request.submitted_at);
            self.metrics.request_decided(to.word(), waited.as_secs_f64());
        }
        Ok(())
    }

    async fn judge(
        &self,
        department: DepartmentId,
        report: &RawReport,
    ) -> Result<Vec<(Block, task_book::store::Held)>, Problem> {
        let ground = self.ground();
        let wants = rules::wants(report, ground);
        let mut books = BTreeMap::new();
        let mut conn = self.db.read().await?;
        for number in wants.numbers {
            if let Some(book) = task_book::store::find(&mut conn, &number, Some(&department.text())).await? {
                books.insert(number, book);
            }
        }
        let names: Vec<String> = wants.names.into_iter().collect();
        let mut taken_names: BTreeSet<String> =
            capacity::store::held_names(&mut conn, &names).await?.into_iter().collect();
        taken_names.extend(store::waiting_names(&mut conn, &names).await?);
        let likenesses: Vec<String> = wants.likenesses.into_iter().collect();
        let running = store::running(&mut conn, department, &likenesses).await?;
        drop(conn);
        let snapshot = Snapshot {
            department,
            task_books: books.iter().map(|(number, book)| (number.clone(), view(book))).collect(),
            taken_names,
            running: running.into_iter().map(|(likeness, id, at)| (likeness, Running { id, at })).collect(),
        };
        let blocks = rules::check(report, ground, Some(&snapshot)).map_err(|violations| {
            self.count(&violations);
            Problem::refused(violations)
        })?;
        let with_book = |block: Block| {
            let book = books.get(&block.task_book).cloned().ok_or_else(|| Problem::not_found("任务书"))?;
            Ok((block, book))
        };
        blocks.into_iter().map(with_book).collect()
    }

    fn ground(&self) -> Ground<'_> {
        Ground { catalogue: &self.catalogue, profile: &self.profile, today: self.db.clock().today() }
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
        let snapshot = Snapshot {
            department: request.department,
            task_books: BTreeMap::from([(request.block.task_book.clone(), view(book))]),
            taken_names,
            running: BTreeMap::new(),
        };
        let mut violations = rules::judge(&request.block, self.ground(), &snapshot);
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

/// Between the check and the write somebody else asked for the same.
fn already_waits(error: DbError) -> Problem {
    if error.is_duplicate_of("domain") {
        Problem::conflict("domain_taken", "该域名已在另一份待审批的申请中；请更换域名或先撤回那份申请")
    } else if error.is_duplicate_of("likeness") {
        Problem::conflict("duplicate_request", "相同的申请已在等待审批；不要重复提交，或先撤回那份申请")
    } else {
        error.into()
    }
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
        basis: book.basis,
        valid_from: book.valid_from,
        valid_until: book.valid_until,
        lease_until: book.lease_until,
        revoked: book.revoked.as_ref().map(|(_, reason)| reason.clone()),
        limits: book.limits,
        used: book.used,
        allowed: book.allowed.clone(),
    }
}
