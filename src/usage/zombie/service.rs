//! Acts on findings: judging a system, asking and hearing its owner, and what the authority decides.

use super::{
    finding::{
        self, Answer, Answered, Confidence, Course, Decision, Exemption, Filing, Finding, Hindrance, Judgement,
        Question, Signed,
    },
    judge::{Case, Logins, MachineUse, Thresholds, Use, judge},
    lifecycle::{Event, State},
    sheet, store,
};
use crate::{
    audit::{self, Outcome, Record, Who},
    db::{Db, DbError, Tx},
    error::{Kind, Problem},
    identity::{
        Actor, Department,
        policy::{self, Act},
        store as identity_store,
    },
    ids::{DepartmentId, FindingId},
    jurisdiction::{Criterion, Profile},
    system::{self, Member, System},
    text,
    usage::{
        judging::{self, Kept},
        verdict::Verdict,
    },
};
use jiff::{ToSpan, civil::Date};
use serde_json::{Value, json};
use sqlx::AnyConnection;
use std::sync::Arc;

/// An owner is given no longer than that for an answer.
const LONGEST_ANSWER_DAYS: i64 = 180;
/// Nobody is excused for longer; then the system is judged anew.
const LONGEST_EXEMPTION_DAYS: i64 = 366;

/// What acts on findings need of the house.
#[derive(Clone)]
pub struct Zombies {
    pub db: Db,
    pub profile: Arc<Profile>,
    pub thresholds: Thresholds,
    /// Days that an owner has for an answer where nobody says otherwise.
    pub answer_days: i64,
}

/// What a judgement found, and the finding that it is kept in: the open one, or the last.
#[derive(Debug)]
pub struct Found {
    pub judgement: Judgement,
    pub finding: Option<Finding>,
}

/// What an owner says.
#[derive(Clone, Debug)]
pub struct Reply {
    pub answer: Answered,
    pub reason: String,
    pub replaced_by: Option<String>,
    pub holds: Vec<Criterion>,
    pub denies: Vec<Criterion>,
}

/// A verdict that is older says nothing of today.
const STALE_DAYS: i64 = 7;

/// What is known of how the machines are used: the newest verdict of each that was kept. What is not known is never held
/// against a system.
async fn uses(conn: &mut AnyConnection, members: &[Member], today: Date) -> Result<Vec<MachineUse>, DbError> {
    let ids: Vec<String> = members.iter().map(|member| member.machine.text()).collect();
    let kept = judging::store::newest(conn, &ids, today).await?;
    let of = |member: &Member| {
        let fresh = |kept: &&Kept| today.duration_since(kept.day).as_hours() / 24 <= STALE_DAYS;
        let id = member.machine.text();
        let kept = kept.iter().find(|kept| kept.evidence.subject.id == id).filter(fresh);
        MachineUse {
            machine: member.machine,
            name: member.name.clone(),
            verdict: match kept.map(Kept::verdict) {
                Some(Verdict::Busy) => Use::Busy,
                Some(Verdict::Low) => Use::Low,
                Some(Verdict::Idle) => Use::Idle,
                Some(Verdict::Exempt) => Use::Exempt,
                Some(Verdict::Unknown) | None => Use::Unknown,
            },
            idle_days: kept.and_then(|kept| kept.evidence.idle).map_or(0, |idle| idle.days),
            logins: kept
                .and_then(|kept| kept.evidence.logins)
                .map(|logins| Logins { known_days: logins.known_days, last: logins.last_on }),
        }
    };
    Ok(members.iter().map(of).collect())
}

impl Zombies {
    /// Judges a system now. What is suspected becomes a finding, or renews the open one.
    pub async fn judge(&self, actor: &Actor, system: &str) -> Result<Found, Problem> {
        let scope = policy::scope(actor, Act::ZombieJudge)?;
        if self.profile.zombie.criteria.is_empty() {
            let detail = format!("{}的规则文件没有写明僵尸系统的认定条件（zombie），无法判定", self.profile.name);
            return Err(Problem::conflict("no_criteria", detail));
        }
        let today = self.db.clock().today();
        let mut conn = self.db.read().await?;
        let system = system::store::find(&mut conn, system, scope.filter().as_deref())
            .await?
            .ok_or_else(|| Problem::not_found("系统"))?;
        let last = store::last_of(&mut conn, system.id).await?;
        // A word that was said to an earlier finding is none to this one.
        let answer = last.as_ref().filter(|last| !last.state.is_final()).and_then(|last| last.answer.as_ref());
        let judgement = self.evidence(&mut conn, &system, answer, today).await?;
        drop(conn);
        let course = finding::course(last.as_ref(), &judgement);
        let (who, kept) = (Who::from(actor), judgement.clone());
        let id = self
            .db
            .write(async move |tx| -> Result<Option<FindingId>, Problem> {
                let id = match (course, &last) {
                    (Course::Open, _) => {
                        let new = Finding::suspected(&system, kept.clone(), tx.now());
                        store::insert(tx, &new).await.map_err(already_open)?;
                        Some(new.id)
                    }
                    (Course::Renew, Some(last)) => {
                        let renewed = Finding { judgement: kept.clone(), ..last.clone() };
                        if !store::update(tx, &renewed, last.standing(today)).await? {
                            return Err(changed());
                        }
                        Some(last.id)
                    }
                    (Course::Leave | Course::Renew, last) => last.as_ref().map(|last| last.id),
                };
                let met: Vec<_> = kept.met(Confidence::Low).collect();
                let record = Record {
                    who: who.clone(),
                    action: Act::ZombieJudge.word(),
                    object_type: "system",
                    object_id: system.id.text(),
                    department_id: Some(system.department.text()),
                    outcome: Outcome::Done,
                    detail: json!({"name": system.facts.name, "met": met, "finding": id}),
                };
                audit::record(tx, record).await?;
                Ok(id)
            })
            .await?;
        let mut conn = self.db.read().await?;
        let finding = match id {
            Some(id) => store::find(&mut conn, &id.text(), None).await?,
            None => None,
        };
        Ok(Found { judgement, finding })
    }

    /// A finding that the caller may see.
    pub async fn find(&self, actor: &Actor, id: &str) -> Result<Finding, Problem> {
        self.found(actor, Act::ZombieRead, id).await
    }

    async fn found(&self, actor: &Actor, act: Act, id: &str) -> Result<Finding, Problem> {
        let scope = policy::scope(actor, act)?;
        let mut conn = self.db.read().await?;
        store::find(&mut conn, id, scope.filter().as_deref()).await?.ok_or_else(|| Problem::not_found("僵尸系统判定"))
    }

    /// Asks the owner, who has until a day.
    pub async fn ask(&self, actor: &Actor, id: &str, due_on: Option<Date>) -> Result<Finding, Problem> {
        let mut finding = self.found(actor, Act::ZombieAsk, id).await?;
        let state = self.next(&finding, Event::Ask)?;
        let today = self.db.clock().today();
        let due_on = due_on.unwrap_or_else(|| today.saturating_add(self.answer_days.days()));
        ahead("due_on", due_on, today, LONGEST_ANSWER_DAYS)?;
        finding.question = Some(Question { due_on, signed: self.signed(actor) });
        finding.answer = None;
        self.put(actor, Act::ZombieAsk, finding, state, json!({"due_on": due_on})).await
    }

    /// The owner's answer, and the judgement anew with it.
    pub async fn reply(&self, actor: &Actor, id: &str, reply: Reply) -> Result<Finding, Problem> {
        let mut finding = self.found(actor, Act::ZombieReply, id).await?;
        let state = self.next(&finding, reply.answer.event())?;
        let answer = Answer {
            answer: reply.answer,
            reason: said("reason", &reply.reason)?,
            replaced_by: successor(&reply, &finding)?,
            holds: reply.holds,
            denies: reply.denies,
            signed: self.signed(actor),
        };
        if let Some(both) = answer.holds.iter().find(|criterion| answer.denies.contains(criterion)) {
            let detail = format!("/denies: {both} 同时写在 holds 和 denies 中；请只写一处");
            return Err(Problem::new(Kind::Refused, "bad_value", detail));
        }
        let mut conn = self.db.read().await?;
        let system = system::store::find(&mut conn, &finding.system.text(), None)
            .await?
            .ok_or_else(|| Problem::not_found("系统"))?;
        finding.judgement = self.evidence(&mut conn, &system, Some(&answer), self.db.clock().today()).await?;
        drop(conn);
        let detail = json!({"answer": answer.answer, "reason": answer.reason, "replaced_by": answer.replaced_by,
            "holds": answer.holds, "denies": answer.denies});
        finding.answer = Some(answer);
        self.put(actor, Act::ZombieReply, finding, state, detail).await
    }

    /// Excuses a system until a day.
    pub async fn exempt(&self, actor: &Actor, id: &str, until: Date, evidence: &str) -> Result<Finding, Problem> {
        let mut finding = self.found(actor, Act::ZombieExempt, id).await?;
        self.may_decide(actor, &finding).await?;
        let state = self.next(&finding, Event::Exempt)?;
        ahead("until", until, self.db.clock().today(), LONGEST_EXEMPTION_DAYS)?;
        let exemption = Exemption { until, evidence: said("evidence", evidence)?, signed: self.signed(actor) };
        let detail = json!({"until": until, "evidence": exemption.evidence});
        finding.exemption = Some(exemption);
        // What was decided before is decided anew when the exemption is over.
        finding.decision = None;
        self.put(actor, Act::ZombieExempt, finding, state, detail).await
    }

    /// Decides that it is one: on what is known today, and only if that carries it.
    pub async fn confirm(&self, actor: &Actor, id: &str, reason: &str) -> Result<Finding, Problem> {
        let mut finding = self.found(actor, Act::ZombieConfirm, id).await?;
        self.may_decide(actor, &finding).await?;
        let state = self.next(&finding, Event::Confirm)?;
        let reason = said("reason", reason)?;
        let today = self.db.clock().today();
        let mut conn = self.db.read().await?;
        let system = system::store::find(&mut conn, &finding.system.text(), None)
            .await?
            .ok_or_else(|| Problem::not_found("系统"))?;
        let judgement = self.evidence(&mut conn, &system, finding.answer.as_ref(), today).await?;
        drop(conn);
        finding::carries(&finding, &judgement, today).map_err(|hindrance| hindered(&hindrance))?;
        let met: Vec<_> = judgement.met(Confidence::Medium).collect();
        let detail = json!({"reason": reason, "met": met});
        finding.judgement = judgement;
        finding.decision = Some(Decision { reason, signed: self.signed(actor) });
        self.put(actor, Act::ZombieConfirm, finding, state, detail).await
    }

    /// Decides that it is none.
    pub async fn dismiss(&self, actor: &Actor, id: &str, reason: &str) -> Result<Finding, Problem> {
        let mut finding = self.found(actor, Act::ZombieDismiss, id).await?;
        self.may_decide(actor, &finding).await?;
        let state = self.next(&finding, Event::Dismiss)?;
        let reason = said("reason", reason)?;
        let detail = json!({"reason": reason});
        finding.decision = Some(Decision { reason, signed: self.signed(actor) });
        self.put(actor, Act::ZombieDismiss, finding, state, detail).await
    }

    /// Takes it on file.
    pub async fn file(&self, actor: &Actor, id: &str, number: Option<&str>) -> Result<Finding, Problem> {
        let mut finding = self.found(actor, Act::ZombieFile, id).await?;
        self.may_decide(actor, &finding).await?;
        let state = self.next(&finding, Event::File)?;
        let number = number.map(|number| line("number", number)).transpose()?;
        let detail = json!({"number": number});
        finding.filing = Some(Filing { number, signed: self.signed(actor) });
        self.put(actor, Act::ZombieFile, finding, state, detail).await
    }

    /// The sheet that is filed, of what was confirmed.
    pub async fn sheet(&self, actor: &Actor, id: &str) -> Result<Vec<u8>, Problem> {
        let finding = self.found(actor, Act::ZombieRead, id).await?;
        if !matches!(finding.state, State::Confirmed | State::Filed) {
            let detail = format!("这项判定的状态为“{}”，认定之后才有备案表", finding.state.label());
            return Err(Problem::conflict("finding_not_confirmed", detail));
        }
        let mut conn = self.db.read().await?;
        let department = department(&mut conn, finding.department).await?;
        drop(conn);
        let sheet = sheet::Sheet { profile: &self.profile, department: &department.name, finding: &finding };
        sheet.write().map_err(Problem::internal)
    }

    /// Everything that is known of a system today, held against the criteria.
    async fn evidence(
        &self,
        conn: &mut AnyConnection,
        system: &System,
        answer: Option<&Answer>,
        today: Date,
    ) -> Result<Judgement, DbError> {
        let members = system::store::members(conn, system).await?;
        let machines = uses(conn, &members, today).await?;
        let replacement_is_known = match &system.facts.replaced_by {
            Some(other) => system::store::is_known(conn, other, system.department).await?,
            None => false,
        };
        let case = Case { system, machines: &machines, answer, replacement_is_known, today };
        Ok(judge(case, &self.profile, self.thresholds))
    }

    fn next(&self, finding: &Finding, event: Event) -> Result<State, Problem> {
        let state = finding.standing(self.db.clock().today());
        state.next(event).map_err(|refusal| {
            let detail = format!("这项判定的状态为“{}”（{}），不能办理此事；请重新查询", state.label(), refusal.state);
            Problem::conflict("finding_state", detail)
        })
    }

    fn signed(&self, actor: &Actor) -> Signed {
        Signed { by: actor.person.login.clone(), unit: actor.unit.clone(), at: self.db.clock().now() }
    }

    /// Whoever has answered for the owner, and the owner's own people, do not decide.
    async fn may_decide(&self, actor: &Actor, finding: &Finding) -> Result<(), Problem> {
        if finding.answer.as_ref().is_some_and(|answer| answer.signed.by == actor.person.login) {
            let detail = format!("建设单位的答复由 {} 本人作出，不能由本人决定；请由其他审批人办理", actor.person.name);
            return Err(Problem::new(Kind::Forbidden, "self_decision", detail));
        }
        let mut conn = self.db.read().await?;
        if department(&mut conn, finding.department).await?.name == actor.unit {
            let detail = format!("系统属于本单位（{}），不能由本单位决定；请由其他单位的审批人办理", actor.unit);
            return Err(Problem::new(Kind::Forbidden, "own_unit_decision", detail));
        }
        Ok(())
    }

    async fn put(
        &self,
        actor: &Actor,
        act: Act,
        finding: Finding,
        state: State,
        detail: Value,
    ) -> Result<Finding, Problem> {
        let (who, id) = (Who::from(actor), finding.id.text());
        self.db.write(async move |tx| put(tx, &who, act, &finding, state, &detail).await).await?;
        let mut conn = self.db.read().await?;
        store::find(&mut conn, &id, None).await?.ok_or_else(|| Problem::not_found("僵尸系统判定"))
    }
}

async fn put(tx: &mut Tx, who: &Who, act: Act, finding: &Finding, state: State, detail: &Value) -> Result<(), Problem> {
    if !store::update(tx, finding, state).await? {
        return Err(changed());
    }
    let record = Record {
        who: who.clone(),
        action: act.word(),
        object_type: "zombie_finding",
        object_id: finding.id.text(),
        department_id: Some(finding.department.text()),
        outcome: Outcome::Done,
        detail: json!({"system": finding.system_name, "from": finding.state.word(), "to": state.word(), "said": detail}),
    };
    Ok(audit::record(tx, record).await?)
}

async fn department(conn: &mut AnyConnection, id: DepartmentId) -> Result<Department, Problem> {
    let found = identity_store::find_department(conn, &id.text()).await?;
    found.ok_or_else(|| Problem::not_found("建设单位"))
}

fn changed() -> Problem {
    Problem::conflict("finding_state", "这项判定刚刚有了变化；请重新查询后再办理")
}

fn already_open(error: DbError) -> Problem {
    if matches!(error, DbError::Unique { .. }) {
        return Problem::conflict("finding_state", "这个系统刚刚由别人判定过；请重新查询");
    }
    error.into()
}

fn hindered(hindrance: &Hindrance) -> Problem {
    let detail = match hindrance {
        Hindrance::OwnerNotHeard { due_on: Some(day) } => {
            format!("建设单位还没有答复，期限到 {day}；请等其答复，或期限过后再认定")
        }
        Hindrance::OwnerNotHeard { due_on: None } => {
            "还没有征求建设单位的意见；请先用 jiyue zombie ask 征求意见".to_owned()
        }
        Hindrance::TooLittle { met, needed, least } => format!(
            "依据不足：把握为“{}”以上的条件符合 {met} 项，须 {needed} 项；不明的不计。请补充登记或计量数据，或不予认定",
            least.label()
        ),
    };
    Problem::conflict("evidence_insufficient", detail)
}

/// A day after today, and not too far.
fn ahead(field: &str, day: Date, today: Date, most: i64) -> Result<(), Problem> {
    let last = today.saturating_add(most.days());
    if day > today && day <= last {
        return Ok(());
    }
    let detail = format!("/{field}: {day} 不在 {today} 之后至 {last} 之间；请写明一个将来的日期，最长 {most} 天");
    Err(Problem::new(Kind::Refused, "bad_value", detail))
}

fn said(field: &str, text: &str) -> Result<String, Problem> {
    text::said(text, text::PROSE).map_err(|fault| {
        let detail = format!("/{field}: 文字不符合要求（{fault}）；请改为 1 至 {} 字", text::PROSE.max_chars);
        Problem::new(Kind::Refused, "text_refused", detail)
    })
}

fn line(field: &str, text: &str) -> Result<String, Problem> {
    text::said(text, text::NAME).map_err(|fault| {
        let detail = format!("/{field}: 文字不符合要求（{fault}）；请改为 1 至 {} 字的一行文字", text::NAME.max_chars);
        Problem::new(Kind::Refused, "text_refused", detail)
    })
}

/// Who does the work now, where that is the answer.
fn successor(reply: &Reply, finding: &Finding) -> Result<Option<String>, Problem> {
    let named = reply.replaced_by.as_deref().map(|other| line("replaced_by", other)).transpose()?;
    let fault = match &named {
        None if reply.answer == Answered::Replaced => "没有写由哪个系统替代；请填写那个系统的名称",
        Some(other) if text::fold(other) == text::fold(&finding.system_name) || *other == finding.system.text() => {
            "系统不能由自己替代；请填写替代它的系统的名称"
        }
        _ => return Ok(named),
    };
    Err(Problem::new(Kind::Refused, "bad_value", format!("/replaced_by: {fault}")))
}
