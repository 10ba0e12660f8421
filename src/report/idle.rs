//! The idle report (闲置资源报告): which machines nobody uses, for how long, what taking them back would free, and what that
//! rests on; of which machines nobody can say, and why; which sizes are out of proportion. Pure: kept judgements in, a
//! document out.

use crate::{
    identity::Department,
    usage::{
        advice::Advice,
        judging::{Evidence, Idle, Line, Subject},
        verdict::{Code, Figure, Held, Verdict},
    },
};
use jiff::civil::Date;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// For how long a machine has been idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
pub enum Age {
    #[serde(rename = "under_30")]
    Under30Days,
    #[serde(rename = "30_to_59")]
    From30Days,
    #[serde(rename = "60_to_89")]
    From60Days,
    #[serde(rename = "over_90")]
    From90Days,
}

impl Age {
    pub const ALL: [Self; 4] = [Self::Under30Days, Self::From30Days, Self::From60Days, Self::From90Days];

    pub const fn of(days: i64) -> Self {
        match days {
            ..30 => Self::Under30Days,
            30..60 => Self::From30Days,
            60..90 => Self::From60Days,
            _ => Self::From90Days,
        }
    }

    pub const fn chinese(self) -> &'static str {
        match self {
            Self::Under30Days => "不满 30 天",
            Self::From30Days => "30–59 天",
            Self::From60Days => "60–89 天",
            Self::From90Days => "90 天以上",
        }
    }
}

/// So many machines, and what they hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Holding {
    pub machines: i64,
    pub vcpu: i64,
    pub memory_bytes: i64,
    pub disk_bytes: i64,
}

impl Holding {
    fn add(&mut self, line: &Line) {
        let subject = line.subject();
        self.machines += 1;
        self.vcpu = self.vcpu.saturating_add(subject.vcpu.unwrap_or(0));
        self.memory_bytes = self.memory_bytes.saturating_add(subject.memory_bytes.unwrap_or(0));
        self.disk_bytes = self.disk_bytes.saturating_add(subject.disk_bytes.unwrap_or(0));
    }
}

/// How many machines are what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Totals {
    pub machines: i64,
    pub busy: i64,
    pub low: i64,
    pub unknown: i64,
    pub exempt: i64,
    /// What all idle machines hold: what would be free without them.
    pub idle: Holding,
    /// Of those, the ones that may be proposed for reclaim.
    pub eligible: Holding,
    /// All idle ones by how long they have been, in the order of [`Age`]; every age is there.
    pub ages: Vec<Aged>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Aged {
    pub age: Age,
    pub holding: Holding,
}

impl Totals {
    fn of<'a>(all: impl IntoIterator<Item = &'a Line>) -> Self {
        let ages = Age::ALL.map(|age| Aged { age, holding: Holding::default() }).to_vec();
        let mut totals = Self { ages, ..Self::default() };
        for line in all {
            totals.machines += 1;
            match line.verdict() {
                Verdict::Busy => totals.busy += 1,
                Verdict::Low => totals.low += 1,
                Verdict::Unknown => totals.unknown += 1,
                Verdict::Exempt => totals.exempt += 1,
                Verdict::Idle => {
                    totals.idle.add(line);
                    if line.evidence().is_some_and(|evidence| evidence.judgement.eligibility.eligible) {
                        totals.eligible.add(line);
                    }
                    let age = Age::of(days(line));
                    for aged in totals.ages.iter_mut().filter(|aged| aged.age == age) {
                        aged.holding.add(line);
                    }
                }
            }
        }
        totals
    }
}

/// For how many days it has been idle.
fn days(line: &Line) -> i64 {
    line.evidence().and_then(|evidence| evidence.idle).map_or(0, |idle: Idle| idle.days)
}

/// A department's one system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Group {
    pub department: Department,
    /// `null`: machines that are of no system.
    #[schema(required)]
    pub system: Option<String>,
    #[serde(flatten)]
    pub totals: Totals,
}

/// What is advised of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Advised {
    pub id: String,
    pub name: String,
    pub department: Department,
    #[schema(required)]
    pub system: Option<String>,
    pub advice: Advice,
}

/// A machine that only a histogram's bin keeps from being called idle.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Borderline {
    pub id: String,
    pub name: String,
    pub department: Department,
    #[schema(required)]
    pub system: Option<String>,
    /// What lies on its threshold.
    #[schema(value_type = Vec<Object>)]
    pub figures: Vec<Figure>,
}

/// The rules that a judgement of the report was made by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
pub struct RulesUsed {
    pub rule_set: String,
    pub version: u32,
}

/// 闲置资源报告
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct IdleReport {
    /// `idle`
    pub kind: &'static str,
    /// The day at whose end all of this was so.
    #[schema(value_type = String, format = Date)]
    pub as_of: Date,
    /// The district's name.
    pub district: String,
    pub authority: String,
    /// `null`: of all departments.
    #[schema(required)]
    pub department: Option<Department>,
    /// 依据：平台规则. More than one where rules were changed between two judgements of the day.
    pub rules: Vec<RulesUsed>,
    pub totals: Totals,
    /// By department and system.
    pub groups: Vec<Group>,
    /// Idle machines, those idle longest first within their system, each with its evidence.
    pub idle: Vec<Evidence>,
    /// Those of which nobody can say, with the cause.
    pub unknown: Vec<Evidence>,
    /// Those that a threshold cuts the histogram's bin of: used as far as anybody can tell, and idle if their true value is
    /// in the lower part of its bin.
    pub borderline: Vec<Borderline>,
    pub exempt: Vec<Evidence>,
    pub advice: Vec<Advised>,
}

/// Whose report it is.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    pub as_of: Date,
    pub district: &'a str,
    pub authority: &'a str,
    pub department: Option<&'a Department>,
}

/// The report of some judgements of one day. Their order does not matter.
pub fn report(head: Head<'_>, mut all: Vec<Line>) -> IdleReport {
    let key = |line: &Line| {
        let subject = line.subject();
        (subject.department.code.clone(), subject.system.clone(), -days(line), subject.name.clone(), subject.id.clone())
    };
    all.sort_by_cached_key(key);
    let mut groups: BTreeMap<(&str, Option<&str>), Vec<&Line>> = BTreeMap::new();
    for line in &all {
        let subject = line.subject();
        groups.entry((&subject.department.code, subject.system.as_deref())).or_default().push(line);
    }
    let groups = groups
        .into_iter()
        .filter_map(|((_, system), members)| {
            let department = members.first()?.subject().department.clone();
            Some(Group { department, system: system.map(str::to_owned), totals: Totals::of(members) })
        })
        .collect();
    let rules: BTreeSet<(&str, u32)> = all.iter().map(Line::rules).collect();
    let rules = rules.into_iter().map(|(name, version)| RulesUsed { rule_set: name.to_owned(), version }).collect();
    let advice = all.iter().flat_map(|line| advised(line.subject(), line.advice())).collect();
    let borderline = all.iter().filter_map(|line| borderline(line.evidence()?)).collect();
    let totals = Totals::of(&all);
    let (mut idle, mut unknown, mut exempt) = (Vec::new(), Vec::new(), Vec::new());
    for line in all {
        let Line::Whole(evidence) = line else { continue };
        match evidence.judgement.verdict {
            Verdict::Idle => idle.push(*evidence),
            Verdict::Unknown => unknown.push(*evidence),
            Verdict::Exempt => exempt.push(*evidence),
            Verdict::Busy | Verdict::Low => {}
        }
    }
    IdleReport {
        kind: "idle",
        as_of: head.as_of,
        district: head.district.to_owned(),
        authority: head.authority.to_owned(),
        department: head.department.cloned(),
        rules,
        totals,
        groups,
        idle,
        unknown,
        borderline,
        exempt,
        advice,
    }
}

fn borderline(evidence: &Evidence) -> Option<Borderline> {
    let (subject, judgement) = (&evidence.subject, &evidence.judgement);
    judgement.reasons.iter().any(|reason| reason.code == Code::OnTheBorder).then(|| Borderline {
        id: subject.id.clone(),
        name: subject.name.clone(),
        department: subject.department.clone(),
        system: subject.system.clone(),
        figures: judgement.figures.iter().filter(|figure| figure.held == Held::Possible).cloned().collect(),
    })
}

/// Each piece of advice on a machine with whose it is.
pub fn advised<'a>(subject: &'a Subject, advice: &'a [Advice]) -> impl Iterator<Item = Advised> + 'a {
    advice.iter().map(|advice| Advised {
        id: subject.id.clone(),
        name: subject.name.clone(),
        department: subject.department.clone(),
        system: subject.system.clone(),
        advice: advice.clone(),
    })
}

/// Why nobody can say: the cause where one is known, and what the rules lacked.
pub fn why(evidence: &Evidence) -> String {
    let reasons = evidence.judgement.reasons.iter().map(|reason| reason.sentence.as_str());
    evidence.cause.as_deref().into_iter().chain(reasons).collect::<Vec<_>>().join("；")
}
