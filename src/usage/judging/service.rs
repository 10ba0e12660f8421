//! Acts: judging a day and keeping what was judged, and what owners agree to.

use super::{Agreement, Case, Line, Rules, agreement, agreement::Untimely, evidence, store};
use crate::{
    audit::{self, Outcome, Record, Who},
    catalogue::Catalogue,
    db::{Db, DbError},
    error::{Kind, Problem},
    identity::{
        Actor,
        policy::{self, Act},
    },
    ids::{AgreementId, MachineId, SystemId},
    machine::{self, Machine},
    text,
    usage::{
        self,
        verdict::{History, Verdict},
    },
};
use futures_util::{Stream, StreamExt, TryStreamExt, future::try_join, stream};
use jiff::{SignedDuration, civil::Date};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::HashSet, mem, sync::Arc};
use tokio::{
    sync::{Mutex, mpsc},
    task::spawn_blocking,
};

/// Machines that one statement reads.
const READ: i64 = 500;
/// Machines whose histories are in memory at once: each may have four hundred days, of half a thousand bytes.
const JUDGED_TOGETHER: usize = 128;
/// How many such lots are under way, and how many wait for that.
const LOTS: usize = 4;
/// Judgements that one transaction keeps.
const KEPT_TOGETHER: usize = 100;

/// Why a day is not judged.
#[derive(Debug, thiserror::Error)]
pub enum JudgingError {
    #[error("{day} is not over")]
    NotOver { day: Date },
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("the judging came to no end")]
    Cut(#[from] tokio::task::JoinError),
}

impl From<JudgingError> for Problem {
    fn from(error: JudgingError) -> Self {
        match error {
            JudgingError::NotOver { day } => {
                Self::malformed(format!("{day} 还没有过完，不能判定；请写昨天或更早的日期"))
            }
            JudgingError::Db(error) => error.into(),
            JudgingError::Cut(error) => Self::internal(error),
        }
    }
}

/// Whether what is judged now is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Yes,
    /// For whoever only looks at the database.
    No,
}

/// Cases that are judged together.
type Lot = Arc<[Case]>;

type Judging = fn(&Rules, &Case, &History) -> Line;

/// With all that it rests on, to be kept.
fn whole(rules: &Rules, case: &Case, history: &History) -> Line {
    evidence::judge(rules, case, history).into()
}

/// Judges.
#[derive(Clone)]
pub struct Judges {
    pub db: Db,
    pub rules: Arc<Rules>,
    pub catalogue: Arc<Catalogue>,
    /// One day is judged at a time: those who ask for the same day meanwhile find it kept.
    pub one: Arc<Mutex<()>>,
}

/// Until when a machine may be taken back.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAgreement {
    /// The last day; a year from now at most.
    #[schema(value_type = String, format = Date)]
    pub until: Date,
    pub reason: Option<String>,
}

impl Judges {
    /// The last day that is over.
    pub fn yesterday(&self) -> Date {
        let today = self.db.clock().today();
        today.yesterday().unwrap_or(Date::MIN)
    }

    /// What was judged of a day that is over; what was not is judged now.
    pub async fn lines(&self, day: Date, department: Option<&str>, keep: Keep) -> Result<Vec<Line>, JudgingError> {
        if let Some(judged) = self.judge(day, keep).await? {
            let own = |line: &Line| department.is_none_or(|id| line.subject().department.id.text() == id);
            return Ok(judged.into_iter().filter(own).collect());
        }
        let mut conn = self.db.read().await?;
        let (mut after, mut pages) = (String::new(), Vec::new());
        while let Some((last, page)) = store::lines(&mut conn, day, department, &after, READ).await? {
            after = last;
            // Read by another thread while the next page comes.
            pages.push(spawn_blocking(move || page.lines().map(Line::read).collect::<Result<Vec<_>, _>>()));
        }
        let mut lines = Vec::new();
        for page in pages {
            lines.extend(page.await?.map_err(|_| DbError::Corrupt { what: "evidence".to_owned() })?);
        }
        Ok(lines)
    }

    /// Judges a day that nobody has judged yet. What is not kept is answered.
    pub async fn judge(&self, day: Date, keep: Keep) -> Result<Option<Vec<Line>>, JudgingError> {
        if day >= self.db.clock().today() {
            return Err(JudgingError::NotOver { day });
        }
        let _one = self.one.lock().await;
        if store::is_judged(&mut *self.db.read().await?, day).await? {
            return Ok(None);
        }
        if keep == Keep::No {
            return Ok(Some(self.all(day, evidence::line).await?));
        }
        let judged = self.all(day, whole).await?;
        if judged.is_empty() {
            // A day before there was anything: nothing to remember of it.
            return Ok(None);
        }
        let judged = Arc::new(judged);
        for begin in (0..judged.len()).step_by(KEPT_TOGETHER) {
            let judged = Arc::clone(&judged);
            self.db
                .housekeep(async move |tx| {
                    let end = (begin + KEPT_TOGETHER).min(judged.len());
                    let evidence: Vec<_> = judged[begin..end].iter().filter_map(Line::evidence).collect();
                    store::keep(tx, day, &evidence).await?;
                    if end == judged.len() { store::close(tx, day).await } else { Ok(()) }
                })
                .await?;
        }
        tracing::info!(%day, machines = judged.len(), "usage.judged");
        Ok(None)
    }

    async fn all(&self, day: Date, judge: Judging) -> Result<Vec<Line>, JudgingError> {
        let (cases, mut judged): (Vec<Lot>, Vec<Line>) = {
            let (lots, all) = mpsc::channel(LOTS);
            let reading = self.read_cases(day, lots);
            let judging =
                self.judge_lots(stream::unfold(all, async |mut all| Some((all.recv().await?, all))), day, judge);
            let ((), judged) = try_join(reading, judging).await?;
            let (cases, judged): (Vec<_>, Vec<_>) = judged.into_iter().unzip();
            (cases, judged.into_iter().flatten().collect())
        };
        // A machine that only takes in what another of its system does is no idle one; whether the other is busy is known now.
        let busy: HashSet<SystemId> = judged
            .iter()
            .filter(|line| line.verdict() == Verdict::Busy)
            .filter_map(|line| line.subject().system_id)
            .collect();
        let is_quiet = |line: &Line| matches!(line.verdict(), Verdict::Idle | Verdict::Low);
        let (mut places, mut again) = (Vec::new(), Vec::new());
        for (at, (case, line)) in cases.iter().flat_map(|lot| lot.iter()).zip(&judged).enumerate() {
            if case.subject.system_id.is_some_and(|system| busy.contains(&system)) && is_quiet(line) {
                let mut case = case.clone();
                case.facts.peer_busy = Some(true);
                places.push(at);
                again.push(case);
            }
        }
        let again: Vec<Lot> = again.chunks(JUDGED_TOGETHER).map(Lot::from).collect();
        let again = self.judge_lots(stream::iter(again), day, judge).await?.into_iter().flat_map(|(_, lines)| lines);
        for (at, line) in places.into_iter().zip(again) {
            judged[at] = line;
        }
        Ok(judged)
    }

    /// Every machine and legacy server of the day, with what is known of it besides its days, to whoever judges them
    /// meanwhile.
    async fn read_cases(&self, day: Date, lots: mpsc::Sender<Lot>) -> Result<(), JudgingError> {
        let mut conn = self.db.read().await?;
        let (agreed, exempt) = (store::agreed(&mut conn, day).await?, store::exempt(&mut conn).await?);
        let (unread, ground) = (store::unread_hosts(&mut conn).await?, store::ground(&mut conn).await?);
        drop(conn);
        let complete = |case: &mut Case| {
            case.facts.owner = agreed.get(&case.subject.id).copied();
            case.facts.exempt_until = case.subject.system_id.and_then(|system| exempt.get(&system.text()).copied());
            case.unread = case.host.and_then(|host| unread.get(&host.text()).cloned());
            let least = case.intent.take().and_then(|intent| machine::change::least(&self.catalogue, &intent));
            if let Some(least) = least {
                case.least_memory = least.memory.get();
                case.least_disk = case.least_disk.max(least.disk.get());
            }
        };
        for machines in [true, false] {
            let mut after = String::new();
            loop {
                // Not held while others judge: they need one as well.
                let mut conn = self.db.read().await?;
                let mut page = if machines {
                    store::machines(&mut conn, &ground, day, &after, READ).await?
                } else {
                    store::servers(&mut conn, day, &after, READ).await?
                };
                drop(conn);
                let Some(last) = page.last() else { break };
                after.clone_from(&last.subject.id);
                page.iter_mut().for_each(complete);
                while !page.is_empty() {
                    let rest = page.split_off(JUDGED_TOGETHER.min(page.len()));
                    // Whoever judges has stopped, and says why.
                    if lots.send(mem::replace(&mut page, rest).into()).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    async fn judge_lots(
        &self,
        lots: impl Stream<Item = Lot>,
        day: Date,
        judge: Judging,
    ) -> Result<Vec<(Lot, Vec<Line>)>, JudgingError> {
        let hours = 24 * (i64::from(self.rules.set.lookback()) - 1);
        let from = day.checked_sub(SignedDuration::from_hours(hours)).unwrap_or(Date::MIN);
        // Thousands of bytes: not to be moved about.
        let empty = Box::new(self.rules.history(day));
        lots.map(|lot| {
            let (db, rules, empty) = (self.db.clone(), Arc::clone(&self.rules), empty.clone());
            // Each a task of its own: to decode days is half of the work, and no thread is to do it for all lots.
            let judged = tokio::spawn(async move {
                let ids: Vec<&str> = lot.iter().map(|case| case.subject.id.as_str()).collect();
                let mut conn = db.read().await?;
                let histories =
                    usage::store::fold(&mut conn, &ids, (from, day), &empty, |kept, day| kept.add(day)).await?;
                drop(conn);
                let judged = spawn_blocking(move || {
                    let history = |case: &Case| histories.get(&case.subject.id).unwrap_or(&empty);
                    let judged = lot.iter().map(|case| judge(&rules, case, history(case))).collect();
                    (lot, judged)
                });
                Ok::<_, JudgingError>(judged.await?)
            });
            async move { judged.await? }
        })
        .buffered(LOTS)
        .try_collect()
        .await
    }

    /// The owner agrees that a machine be taken back if it is idle, until a day. What was agreed before ends with that.
    pub async fn agree(&self, actor: &Actor, id: &str, new: NewAgreement) -> Result<Agreement, Problem> {
        let machine = self.machine(actor, Act::MachineAgreeReclaim, id).await?;
        let today = self.db.clock().today();
        agreement::timely(today, new.until).map_err(|untimely| {
            let detail = match untimely {
                Untimely::Past => format!("/until: {} 已经过了；请写今天或以后的日期", new.until),
                Untimely::TooLong => {
                    format!("/until: 最长 {} 天；到期后可以再次同意", agreement::LONGEST_DAYS)
                }
            };
            Problem::new(Kind::Refused, "agreement_untimely", detail)
        })?;
        let reason =
            new.reason.as_deref().map(|reason| text::said(reason, text::PROSE)).transpose().map_err(|fault| {
                let detail = format!("/reason: 文字不符合要求（{fault}）；请改为 1 至 {} 字", text::PROSE.max_chars);
                Problem::new(Kind::Refused, "text_refused", detail)
            })?;
        let who = Who::from(actor);
        let agreement = Agreement {
            id: AgreementId::new(),
            machine_id: machine.id,
            agreed_on: today,
            until: new.until,
            reason,
            agreed_by: who.person.clone(),
            agreed_at: self.db.clock().now(),
            withdrawn_on: None,
            withdrawn_by: None,
        };
        self.db
            .write(async move |tx| -> Result<Agreement, Problem> {
                store::withdraw(tx, machine.id, today, &who.person).await?;
                store::agree(tx, &agreement).await?;
                let detail = json!({"name": machine.intent.name, "until": agreement.until, "reason": agreement.reason});
                audit::record(tx, record(&who, Act::MachineAgreeReclaim, &machine, detail)).await?;
                Ok(agreement.clone())
            })
            .await
    }

    /// The owner does not agree any longer.
    pub async fn withdraw(&self, actor: &Actor, id: &str) -> Result<Agreement, Problem> {
        let machine = self.machine(actor, Act::MachineWithdrawReclaim, id).await?;
        let (today, who) = (self.db.clock().today(), Who::from(actor));
        let withdrawn = self
            .db
            .write(async move |tx| -> Result<AgreementId, Problem> {
                let withdrawn = store::withdraw(tx, machine.id, today, &who.person)
                    .await?
                    .ok_or_else(|| Problem::conflict("not_agreed", "没有同意过回收这台虚拟机，或已经撤回"))?;
                let detail = json!({"name": machine.intent.name, "agreement": withdrawn});
                audit::record(tx, record(&who, Act::MachineWithdrawReclaim, &machine, detail)).await?;
                Ok(withdrawn)
            })
            .await?;
        let mut conn = self.db.read().await?;
        store::find_agreement(&mut conn, withdrawn).await?.ok_or_else(|| Problem::not_found("同意回收的记录"))
    }

    async fn machine(&self, actor: &Actor, act: Act, id: &str) -> Result<Machine, Problem> {
        let scope = policy::scope(actor, act)?;
        let mut conn = self.db.read().await?;
        let machine = machine::store::find(&mut conn, id, scope.filter().as_deref()).await?;
        machine.filter(|machine| machine.state.holds().1).ok_or_else(|| Problem::not_found("虚拟机"))
    }
}

fn record(who: &Who, act: Act, machine: &Machine, detail: Value) -> Record {
    let id: MachineId = machine.id;
    Record {
        who: who.clone(),
        action: act.word(),
        object_type: "machine",
        object_id: id.text(),
        department_id: Some(machine.department.text()),
        outcome: Outcome::Done,
        detail,
    }
}
