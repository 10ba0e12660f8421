//! The fifth step, pure: what is told of an object. It follows from the database and from nothing that stood in the status
//! before, except since when each condition has been as it is.

use super::{
    build,
    crd::{Condition, Phase, ResourceRequestStatus, Violation},
    dereference::Facts,
    validate::Fault,
};
use crate::{
    error::Problem,
    machine::lifecycle::State,
    operation::{Operation, lifecycle::State as OperationState},
    request::{lifecycle::RequestState, store::Request},
};
use jiff::Timestamp;
use std::time::Duration;

/// Why an object was not taken as a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub code: String,
    pub message: String,
    pub violations: Vec<Violation>,
}

impl From<&Fault> for Refused {
    fn from(fault: &Fault) -> Self {
        Self { code: fault.code.to_owned(), message: fault.message.clone(), violations: Vec::new() }
    }
}

impl From<&Problem> for Refused {
    /// The code is that of the first rule; the message tells of all.
    fn from(problem: &Problem) -> Self {
        let told: Vec<String> = problem.errors.iter().map(|v| format!("{}{}", v.message, v.mend)).collect();
        let violations = problem.errors.iter().map(|v| Violation {
            field: build::place(&v.pointer),
            code: v.code.to_owned(),
            message: v.message.clone(),
            basis: v.basis.clone(),
            mend: v.mend.clone(),
        });
        Self {
            code: problem.errors.first().map_or(problem.code, |first| first.code).to_owned(),
            message: if told.is_empty() { problem.detail.clone() } else { told.join("\n") },
            violations: violations.take(MOST).collect(),
        }
    }
}

/// Violations that are told one by one.
const MOST: usize = 256;
const TRUE: &str = "True";
const FALSE: &str = "False";
const UNKNOWN: &str = "Unknown";

/// What a condition says, without its times.
struct Said(&'static str, String, String);

fn said(status: &'static str, reason: &str, message: impl Into<String>) -> Said {
    Said(status, reason.to_owned(), message.into())
}

/// The whole status of an object.
pub fn compose(facts: &Facts, refused: Option<&Refused>, term: i64, now: Timestamp) -> ResourceRequestStatus {
    let request = facts.request.as_ref();
    let phase = phase(facts, refused);
    let (ready, asked) = count(facts);
    let all = [
        ("Accepted", accepted(facts, refused)),
        ("Approved", approved(request)),
        ("Provisioned", provisioned(request, facts.operation.as_ref())),
        ("Ready", is_ready(facts, ready, asked)),
    ];
    let before = facts.object.status.clone().unwrap_or_default();
    let conditions: Vec<Condition> = all
        .into_iter()
        .map(|(kind, Said(status, reason, message))| {
            let old = before.conditions.iter().find(|condition| condition.kind == kind);
            let since = old.filter(|old| old.status == status).map(|old| old.last_transition_time.clone());
            Condition {
                kind: kind.to_owned(),
                status: status.to_owned(),
                reason,
                message,
                observed_generation: Some(facts.generation),
                last_transition_time: since.unwrap_or_else(|| seconds(now)),
            }
        })
        .collect();
    let decided = request.filter(|request| was_approved(request));
    let off = conditions.iter().find(|condition| condition.status == FALSE && condition.kind != "Ready");
    ResourceRequestStatus {
        observed_generation: Some(facts.generation),
        phase: Some(phase),
        reason: off.filter(|_| phase != Phase::Approved).map(|condition| condition.reason.clone()),
        request_id: request.map(|request| request.id.text()),
        // A mirror is what was decided on, whichever its generation.
        approved_generation: decided.map(|_| facts.bound.as_ref().map_or(facts.generation, |bound| bound.generation)),
        digest: decided.map(|request| request.digest.clone()),
        task_book: request.map(|request| request.task_book_number.clone()).or_else(|| number(facts)),
        machines: Some(format!("{ready}/{asked}")),
        deadline: facts.machines.iter().filter(|m| m.state != State::Undone).map(|m| m.lease_end.to_string()).min(),
        term: Some(term),
        conditions,
        violations: refused.map(|refused| refused.violations.clone()).unwrap_or_default(),
    }
}

/// Whether the second says the same as the first, whoever wrote it.
pub fn is_told(before: Option<&ResourceRequestStatus>, now: &ResourceRequestStatus) -> bool {
    before.is_some_and(|before| ResourceRequestStatus { term: now.term, ..before.clone() } == *now)
}

/// Whether what there is to tell is only that it was approved, less than `soon` ago, and is being built as it was asked for.
/// What comes of that says it too.
pub fn is_passing(facts: &Facts, now: Timestamp, soon: Duration) -> bool {
    let Some(operation) = &facts.operation else { return false };
    let was_waiting = facts.object.status.as_ref().is_some_and(|before| {
        before.phase == Some(Phase::Submitted)
            && before.observed_generation == Some(facts.generation)
            && before.request_id == facts.request.as_ref().map(|request| request.id.text())
    });
    was_waiting
        && facts.object.metadata.deletion_timestamp.is_none()
        && !facts.is_edited()
        && facts.request.as_ref().is_some_and(|request| request.state == RequestState::Approved)
        && operation.state != OperationState::Unwinding
        && operation.cancel_reason.is_none()
        && now.duration_since(operation.created_at).unsigned_abs() < soon
}

/// As Kubernetes writes instants.
fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn number(facts: &Facts) -> Option<String> {
    let spec = &facts.object.spec;
    spec.task_book.clone().or_else(|| spec.government_approval.clone()).or_else(|| spec.upper_level_filing.clone())
}

fn was_approved(request: &Request) -> bool {
    request.operation.is_some()
}

fn phase(facts: &Facts, refused: Option<&Refused>) -> Phase {
    if facts.object.metadata.deletion_timestamp.is_some() {
        return Phase::Deleting;
    }
    let Some(request) = &facts.request else { return Phase::Refused };
    match request.state {
        // An edit of what had ended was not taken.
        RequestState::Returned | RequestState::Cancelled if refused.is_some() && facts.is_edited() => Phase::Refused,
        RequestState::Submitted => Phase::Submitted,
        RequestState::Returned => Phase::Returned,
        RequestState::Approved => Phase::Approved,
        RequestState::Delivered => Phase::Delivered,
        RequestState::Failed => Phase::Failed,
        RequestState::Cancelling | RequestState::Cancelled => Phase::Cancelled,
    }
}

/// Machines that run, and machines that were asked for.
fn count(facts: &Facts) -> (usize, i64) {
    let ready = facts.machines.iter().filter(|machine| machine.state == State::Running).count();
    let asked = facts.request.as_ref().map_or(facts.object.spec.vm_count, |r| i64::from(r.block.machines));
    (ready, asked)
}

fn accepted(facts: &Facts, refused: Option<&Refused>) -> Said {
    if let Some(Refused { code, message, .. }) = refused {
        return said(FALSE, code, message.as_str());
    }
    match (&facts.request, &facts.bound) {
        (Some(request), Some(bound)) if was_approved(request) && facts.is_edited() => said(
            FALSE,
            "edited_after_approval",
            format!(
                "批准的是第 {} 版的内容（摘要 {}）；之后的改动不会建设，请改回原样，另有需要的另交一份申请",
                bound.generation,
                request.digest.get(..12).unwrap_or_default()
            ),
        ),
        (Some(request), _) if facts.is_mirror => said(
            TRUE,
            "mirrored",
            format!("申请 {} 是在平台上提交的，这里只作显示；修改、撤回、删除请在平台上办理", request.id),
        ),
        (Some(request), _) => said(TRUE, "accepted", format!("已受理，申请编号 {}", request.id)),
        (None, _) => said(UNKNOWN, "pending", "尚未受理"),
    }
}

fn approved(request: Option<&Request>) -> Said {
    let Some(request) = request else { return said(UNKNOWN, "not_submitted", "尚未受理") };
    let decision = request.decision.as_ref();
    let by = decision.map(|d| format!("{}（{}）", d.by_name, d.unit)).unwrap_or_default();
    let why = decision.and_then(|d| d.reason.as_deref()).map(|reason| format!("：{reason}")).unwrap_or_default();
    match request.state {
        RequestState::Submitted => said(UNKNOWN, "waiting", "等待审批；审批在集约平台上进行"),
        RequestState::Returned => {
            said(FALSE, "returned", format!("{by}退回{why}；改好后再次 kubectl apply 即重新提交"))
        }
        RequestState::Cancelling | RequestState::Cancelled if decision.is_none() || request.operation.is_none() => {
            said(FALSE, "cancelled", format!("已撤回{why}"))
        }
        _ => said(TRUE, "approved", format!("{by}批准，摘要 {}", request.digest)),
    }
}

fn provisioned(request: Option<&Request>, operation: Option<&Operation>) -> Said {
    let Some(request) = request.filter(|request| was_approved(request)) else {
        return said(UNKNOWN, "not_approved", "尚未批准");
    };
    let why = operation.and_then(|op| op.reason.clone()).map(|reason| format!("：{reason}")).unwrap_or_default();
    match request.state {
        RequestState::Delivered => said(TRUE, "delivered", "已交付"),
        RequestState::Failed => said(FALSE, "build_failed", format!("建设失败，已撤销{why}")),
        RequestState::Cancelling | RequestState::Cancelled => said(FALSE, "cancelled", format!("建设已撤回{why}")),
        _ => said(FALSE, "building", "正在建设"),
    }
}

fn is_ready(facts: &Facts, ready: usize, asked: i64) -> Said {
    if i64::try_from(ready).is_ok_and(|ready| ready == asked) {
        return said(TRUE, "running", format!("{asked} 台虚拟机都在运行"));
    }
    let in_bin = facts.machines.iter().filter(|machine| machine.state == State::InBin).count();
    let more = if in_bin > 0 { format!("，{in_bin} 台在回收站") } else { String::new() };
    said(FALSE, "machines_not_running", format!("{asked} 台虚拟机中 {ready} 台在运行{more}"))
}
