//! A finding and what it is made of; pure rules on what follows from a judgement.

use super::lifecycle::{Event, State};
use crate::{
    ids::{DepartmentId, FindingId, MachineId, SystemId},
    jurisdiction::Criterion,
    system::{System, record::Facts},
};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

/// Whether a criterion is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ZombieOutcome)]
pub enum Outcome {
    Met,
    NotMet,
    /// Nobody knows, or what is known contradicts itself.
    Unknown,
}

impl Outcome {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Met => "符合",
            Self::NotMet => "不符合",
            Self::Unknown => "不明",
        }
    }
}

/// How much an outcome can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ZombieConfidence)]
pub enum Confidence {
    /// A reason to ask, none to decide.
    Low,
    /// Enough for a decision once the owner has been heard.
    Medium,
    /// Enough even where the owner keeps silent.
    High,
}

impl Confidence {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Low => "低",
            Self::Medium => "中",
            Self::High => "高",
        }
    }

    /// One step less; `None` below the lowest.
    pub const fn lowered(self) -> Option<Self> {
        match self {
            Self::High => Some(Self::Medium),
            Self::Medium => Some(Self::Low),
            Self::Low => None,
        }
    }
}

/// Where a piece of evidence comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ZombieSource)]
pub enum Source {
    /// Measured on the system's machines.
    Measured,
    /// Recorded of the system.
    Record,
    /// The owner's answer.
    Owner,
}

impl Source {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Measured => "实测",
            Self::Record => "登记",
            Self::Owner => "单位答复",
        }
    }
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ZombieEvidence)]
pub struct Evidence {
    pub source: Source,
    /// The day that it speaks of, or on which it was said.
    #[schema(value_type = String, format = Date)]
    pub on: Date,
    /// Whose statement it is: a login. Absent where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid)]
    pub machine_id: Option<MachineId>,
    /// The figure, in days, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<i64>,
    /// What the figure was held against, in days: a setting of the operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_days: Option<i64>,
    /// A Chinese sentence with the figures.
    pub text: String,
}

/// A system held against one criterion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ZombieCriterionJudged)]
pub struct Judged {
    pub criterion: Criterion,
    /// The criterion as the document has it.
    pub text: String,
    /// Document and clause.
    pub basis: String,
    pub outcome: Outcome,
    pub confidence: Confidence,
    pub evidence: Vec<Evidence>,
}

/// A system held against all criteria of its district, as of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ZombieJudgement)]
pub struct Judgement {
    #[schema(value_type = String, format = Date)]
    pub on: Date,
    /// How many criteria have to be met.
    pub needed: usize,
    /// What was recorded of the system on that day.
    pub record: Facts,
    /// The names of its machines on that day.
    pub machines: Vec<String>,
    pub criteria: Vec<Judged>,
}

impl Judgement {
    /// Criteria that are met with at least this confidence.
    pub fn met(&self, least: Confidence) -> impl Iterator<Item = Criterion> {
        let met = self.criteria.iter().filter(move |c| c.outcome == Outcome::Met && c.confidence >= least);
        met.map(|c| c.criterion)
    }

    /// Whether there is a reason to ask.
    pub fn is_suspicious(&self) -> bool {
        self.met(Confidence::Low).next().is_some()
    }
}

/// What an owner says to the finding as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ZombieAnswerWord)]
pub enum Answered {
    /// 认可
    Agree,
    /// 已由其他系统替代
    Replaced,
    /// 有异议
    Object,
}

impl Answered {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Agree => "认可",
            Self::Replaced => "已由其他系统替代",
            Self::Object => "有异议",
        }
    }

    pub const fn event(self) -> Event {
        match self {
            Self::Agree | Self::Replaced => Event::Agree,
            Self::Object => Event::Object,
        }
    }
}

/// Who said something, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ZombieSigned)]
pub struct Signed {
    /// A login.
    pub by: String,
    pub unit: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// The question to the owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ZombieQuestion)]
pub struct Question {
    /// The last day for the answer.
    #[schema(value_type = String, format = Date)]
    pub due_on: Date,
    #[serde(flatten)]
    pub signed: Signed,
}

/// The owner's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ZombieAnswer)]
pub struct Answer {
    pub answer: Answered,
    pub reason: String,
    /// The system that does the work now.
    pub replaced_by: Option<String>,
    /// Criteria that the owner says are met, and not met.
    pub holds: Vec<Criterion>,
    pub denies: Vec<Criterion>,
    #[serde(flatten)]
    pub signed: Signed,
}

/// 豁免: excused until a day, on evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ZombieExemption)]
pub struct Exemption {
    /// The last day.
    #[schema(value_type = String, format = Date)]
    pub until: Date,
    pub evidence: String,
    #[serde(flatten)]
    pub signed: Signed,
}

/// The authority's decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ZombieDecision)]
pub struct Decision {
    pub reason: String,
    #[serde(flatten)]
    pub signed: Signed,
}

/// 备案
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ZombieFiling)]
pub struct Filing {
    /// 备案号, where the authority gives one.
    pub number: Option<String>,
    #[serde(flatten)]
    pub signed: Signed,
}

/// 僵尸系统判定
#[derive(Clone, Debug)]
pub struct Finding {
    pub id: FindingId,
    pub system: SystemId,
    pub system_name: String,
    pub department: DepartmentId,
    pub state: State,
    pub judgement: Judgement,
    pub question: Option<Question>,
    pub answer: Option<Answer>,
    pub exemption: Option<Exemption>,
    pub decision: Option<Decision>,
    pub filing: Option<Filing>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub revision: i64,
}

impl Finding {
    /// The first word on a system.
    pub fn suspected(system: &System, judgement: Judgement, now: Timestamp) -> Self {
        Self {
            id: FindingId::new(),
            system: system.id,
            system_name: system.facts.name.clone(),
            department: system.department,
            state: State::Suspected,
            judgement,
            question: None,
            answer: None,
            exemption: None,
            decision: None,
            filing: None,
            created_at: now,
            updated_at: now,
            revision: 1,
        }
    }

    /// Whether its exemption is over.
    pub fn has_lapsed(&self, today: Date) -> bool {
        self.state == State::Exempt && self.exemption.as_ref().is_none_or(|exemption| exemption.until < today)
    }

    /// The state that acts begin from: an exemption that is over is none.
    pub fn standing(&self, today: Date) -> State {
        if self.has_lapsed(today) { State::Exempt.next(Event::Lapse).unwrap_or(self.state) } else { self.state }
    }
}

/// Why a finding cannot be confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// The owner may still answer, until this day.
    OwnerNotHeard { due_on: Option<Date> },
    /// Fewer criteria than needed are met with the confidence that is asked for.
    TooLittle { met: usize, needed: usize, least: Confidence },
}

/// Whether what is known carries a decision. An owner who was heard: what is at least likely counts. One who kept silent
/// until the day was over: only what is certain does. What is unknown never counts.
pub fn carries(finding: &Finding, judgement: &Judgement, today: Date) -> Result<(), Hindrance> {
    let least = if finding.answer.is_some() {
        Confidence::Medium
    } else {
        let due_on = finding.question.as_ref().map(|question| question.due_on);
        if due_on.is_none_or(|due| due >= today) {
            return Err(Hindrance::OwnerNotHeard { due_on });
        }
        Confidence::High
    };
    let (met, needed) = (judgement.met(least).count(), judgement.needed.max(1));
    if met < needed { Err(Hindrance::TooLittle { met, needed, least }) } else { Ok(()) }
}

/// What a judgement does to what was found before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Nothing is suspected, or it is decided already.
    Leave,
    /// A finding begins.
    Open,
    /// The open one has newer evidence.
    Renew,
}

/// `last` is the system's newest finding. One that was dismissed is not raised again on what was known then: only a
/// criterion that was not met is news. One that is on file is done with.
pub fn course(last: Option<&Finding>, now: &Judgement) -> Course {
    let Some(last) = last else {
        return if now.is_suspicious() { Course::Open } else { Course::Leave };
    };
    match last.state {
        State::Filed | State::Confirmed => Course::Leave,
        State::Dismissed => {
            let known: Vec<_> = last.judgement.met(Confidence::Low).collect();
            let news = now.met(Confidence::Low).any(|criterion| !known.contains(&criterion));
            if news { Course::Open } else { Course::Leave }
        }
        _ => Course::Renew,
    }
}
