//! A system against the criteria of its district. Pure: from what is recorded of it, how its machines are used, what its
//! owner has answered, and the day.
//!
//! Every threshold here is a setting of the operators (依据：平台规则): no governing document gives a number.

use super::finding::{Answer, Answered, Confidence, Evidence, Judged, Judgement, Outcome, Source};
use crate::{
    ids::MachineId,
    jurisdiction::{Criterion, Profile},
    system::{
        System,
        record::{Frequency, Scope},
    },
    time,
};
use jiff::civil::Date;

/// With less history than that, whatever happens once a year has not been seen.
const YEAR_DAYS: i64 = 366;
/// A system that is used once a year is idle in between: it takes a year and a month without use to say more.
const YEARLY_DAYS: i64 = YEAR_DAYS + 31;

/// From when on something counts, in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// 长期空闲: all machines idle for so long.
    pub idle_days: i64,
    /// 停止更新: no update for so long.
    pub unmaintained_days: i64,
    /// 无人使用: no login for so long.
    pub unused_days: i64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { idle_days: 90, unmaintained_days: 365, unused_days: 180 }
    }
}

/// The word of a machine's verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Busy,
    Low,
    Idle,
    /// Not measured, or not enough of it.
    Unknown,
    Exempt,
}

/// Logins on a machine, as far as they were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logins {
    /// For how many days up to now logins would have been seen.
    pub known_days: i64,
    pub last: Option<Date>,
}

/// How one machine is used, as of the day of the judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineUse {
    pub machine: MachineId,
    pub name: String,
    pub verdict: Use,
    /// For how many days without a break the verdict has been idle.
    pub idle_days: i64,
    /// `None` where nobody can see them.
    pub logins: Option<Logins>,
}

/// All that a judgement is made of.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    pub system: &'a System,
    pub machines: &'a [MachineUse],
    pub answer: Option<&'a Answer>,
    /// What `replaced_by` names is a system of the same department.
    pub replacement_is_known: bool,
    pub today: Date,
}

/// What is known of one criterion before its owner is heard.
struct Known {
    outcome: Outcome,
    confidence: Confidence,
    /// Measured, so that a word against it does not undo it.
    measured: bool,
    evidence: Vec<Evidence>,
}

impl Known {
    fn new(outcome: Outcome, confidence: Confidence, evidence: Vec<Evidence>) -> Self {
        Self { outcome, confidence, measured: false, evidence }
    }

    fn unknown(evidence: Vec<Evidence>) -> Self {
        Self::new(Outcome::Unknown, Confidence::Low, evidence)
    }
}

/// Holds the system against every criterion that the profile names, in the profile's order.
pub fn judge(case: Case<'_>, profile: &Profile, thresholds: Thresholds) -> Judgement {
    let criteria = profile.zombie.criteria.iter().map(|stated| {
        let known = match stated.criterion {
            Criterion::OutOfStep => out_of_step(case, thresholds),
            Criterion::Replaced => replaced(case),
            Criterion::Idle => idle(case, thresholds),
            Criterion::Unmaintained => unmaintained(case, thresholds),
            Criterion::LittleUsed => little_used(case, thresholds),
        };
        let known = hear(case, stated.criterion, known);
        Judged {
            criterion: stated.criterion,
            text: stated.text.clone(),
            basis: profile.cite(&stated.clause),
            outcome: known.outcome,
            confidence: known.confidence,
            evidence: known.evidence,
        }
    });
    Judgement {
        on: case.today,
        needed: profile.zombie.needed,
        record: case.system.facts.clone(),
        machines: case.machines.iter().map(|machine| machine.name.clone()).collect(),
        criteria: criteria.collect(),
    }
}

impl Case<'_> {
    fn recorded(&self, text: String) -> Evidence {
        Evidence {
            source: Source::Record,
            on: time::civil(self.system.recorded_at),
            by: Some(self.system.recorded_by.clone()),
            machine_id: None,
            days: None,
            limit_days: None,
            text,
        }
    }

    fn measured(&self, machine: &MachineUse, text: String) -> Evidence {
        Evidence {
            source: Source::Measured,
            on: self.today,
            by: None,
            machine_id: Some(machine.machine),
            days: None,
            limit_days: None,
            text,
        }
    }

    /// Days since then; none of what is yet to come.
    fn days_since(&self, day: Date) -> i64 {
        day.until(self.today).map_or(0, |span| i64::from(span.get_days()))
    }
}

fn figures(evidence: Evidence, days: i64, limit_days: i64) -> Evidence {
    Evidence { days: Some(days), limit_days: Some(limit_days), ..evidence }
}

/// The last login that anybody knows of, from the machines or from the record.
fn last_login(case: Case<'_>) -> Option<(Date, Evidence)> {
    let seen = case.machines.iter().filter_map(|m| Some((m.logins?.last?, m)));
    let seen = seen
        .max_by_key(|(day, _)| *day)
        .map(|(day, machine)| (day, case.measured(machine, format!("虚拟机 {} 最近一次登录在 {day}", machine.name))));
    let said = case.system.facts.last_login_on;
    let said = said.map(|day| (day, case.recorded(format!("登记的最近一次登录在 {day}"))));
    match (seen, said) {
        (Some(seen), Some(said)) => Some(if said.0 > seen.0 { said } else { seen }),
        (seen, said) => seen.or(said),
    }
}

/// No login on any machine for so many days, seen on all of them.
fn nobody_came(case: Case<'_>, days: i64) -> bool {
    !case.machines.is_empty()
        && case.machines.iter().all(|machine| {
            machine
                .logins
                .is_some_and(|l| l.known_days >= days && l.last.is_none_or(|day| case.days_since(day) >= days))
        })
}

/// ① Only its owner knows the business. Logins are a hint, and no more.
fn out_of_step(case: Case<'_>, limits: Thresholds) -> Known {
    let limit = limits.unused_days;
    if let Some((day, evidence)) = last_login(case) {
        let days = case.days_since(day);
        let outcome = if days >= limit { Outcome::Met } else { Outcome::NotMet };
        return Known::new(outcome, Confidence::Low, vec![figures(evidence, days, limit)]);
    }
    if nobody_came(case, limit) {
        let text = |m: &MachineUse| format!("虚拟机 {} 连续 {limit} 天以上无人登录", m.name);
        let evidence = case.machines.iter().map(|m| figures(case.measured(m, text(m)), limit, limit));
        return Known::new(Outcome::Met, Confidence::Low, evidence.collect());
    }
    Known::unknown(vec![
        case.recorded("没有登记最近登录日期，也没有实测到登录情况；是否脱节须由建设单位说明".to_owned()),
    ])
}

/// ② The record names what does its work now.
fn replaced(case: Case<'_>) -> Known {
    let Some(other) = &case.system.facts.replaced_by else {
        return Known::unknown(vec![case.recorded("没有登记替代它的系统；能否替代须由建设单位说明".to_owned())]);
    };
    if case.replacement_is_known {
        let evidence = case.recorded(format!("登记为由“{other}”替代，该系统已在本单位登记"));
        return Known::new(Outcome::Met, Confidence::High, vec![evidence]);
    }
    let evidence = case.recorded(format!("登记为由“{other}”替代，本单位没有登记这个系统"));
    Known::new(Outcome::Met, Confidence::Medium, vec![evidence])
}

/// ③ Every machine idle, without a break, for long enough. One that is used clears the system; one that is not known
/// leaves it open.
fn idle(case: Case<'_>, limits: Thresholds) -> Known {
    if case.machines.is_empty() {
        let evidence = vec![case.recorded("系统没有登记虚拟机，没有可以实测的资源".to_owned())];
        return Known { measured: true, ..Known::unknown(evidence) };
    }
    let yearly = case.system.facts.frequency == Some(Frequency::Yearly);
    let limit = if yearly { limits.idle_days.max(YEARLY_DAYS) } else { limits.idle_days };
    let evidence = case.machines.iter().map(|machine| {
        let name = &machine.name;
        let text = match machine.verdict {
            Use::Busy => format!("虚拟机 {name} 在用"),
            Use::Low => format!("虚拟机 {name} 使用率低，但不是空闲"),
            Use::Idle => format!("虚拟机 {name} 已连续空闲 {} 天（须满 {limit} 天）", machine.idle_days),
            Use::Unknown => format!("虚拟机 {name} 的使用情况不明：没有计量数据，或数据不足"),
            Use::Exempt => format!("虚拟机 {name} 已豁免闲置判定"),
        };
        let evidence = case.measured(machine, text);
        if machine.verdict == Use::Idle { figures(evidence, machine.idle_days, limit) } else { evidence }
    });
    let evidence = evidence.collect();
    let any = |verdict| case.machines.iter().any(|machine| machine.verdict == verdict);
    let (outcome, confidence) = if any(Use::Busy) || any(Use::Low) || any(Use::Exempt) {
        (Outcome::NotMet, Confidence::High)
    } else if any(Use::Unknown) {
        (Outcome::Unknown, Confidence::Low)
    } else {
        let days = case.machines.iter().map(|machine| machine.idle_days).min().unwrap_or_default();
        match days {
            days if days < limit => (Outcome::NotMet, Confidence::High),
            days if days < YEAR_DAYS => (Outcome::Met, Confidence::Medium),
            _ => (Outcome::Met, Confidence::High),
        }
    };
    Known { outcome, confidence, measured: true, evidence }
}

/// ④ Nobody is under contract, and nothing has been updated.
fn unmaintained(case: Case<'_>, limits: Thresholds) -> Known {
    let (facts, limit) = (&case.system.facts, limits.unmaintained_days);
    let mut evidence = Vec::new();
    let contract = facts.maintained_until.map(|until| {
        let ended = until < case.today;
        let text = if ended {
            format!("运维合同已于 {until} 到期")
        } else {
            format!("运维合同到 {until} 才到期")
        };
        evidence.push(Evidence { days: ended.then(|| case.days_since(until)), ..case.recorded(text) });
        ended
    });
    let stale = facts.last_updated_on.map(|day| {
        let days = case.days_since(day);
        let text = format!("最近一次更新在 {day}，距今 {days} 天（满 {limit} 天算停止更新）");
        evidence.push(figures(case.recorded(text), days, limit));
        days >= limit
    });
    let (outcome, confidence) = match (contract, stale) {
        (Some(false), _) => (Outcome::NotMet, Confidence::High),
        (_, Some(false)) => (Outcome::NotMet, Confidence::Medium),
        (Some(true), Some(true)) => (Outcome::Met, Confidence::High),
        // One half alone is a reason to ask.
        (Some(true), None) | (None, Some(true)) => (Outcome::Met, Confidence::Low),
        (None, None) => {
            evidence.push(case.recorded("没有登记运维合同到期日，也没有登记最近更新日期".to_owned()));
            (Outcome::Unknown, Confidence::Low)
        }
    };
    Known::new(outcome, confidence, evidence)
}

/// ⑤ Few use it, and seldom: both.
fn little_used(case: Case<'_>, limits: Thresholds) -> Known {
    let facts = &case.system.facts;
    let mut evidence = Vec::new();
    let small = facts.scope.map(|scope| {
        evidence.push(case.recorded(format!("登记的使用范围：{}", scope.label())));
        scope == Scope::Office
    });
    let seldom = facts.frequency.map(|frequency| {
        evidence.push(case.recorded(format!("登记的使用频度：{}", frequency.label())));
        matches!(frequency, Frequency::Yearly | Frequency::Rarely)
    });
    match (small, seldom) {
        (Some(false), _) | (_, Some(false)) => Known::new(Outcome::NotMet, Confidence::High, evidence),
        (Some(true), Some(true)) => {
            let confidence = if nobody_came(case, limits.unused_days) {
                let text = |m: &MachineUse| format!("虚拟机 {} 连续 {} 天以上无人登录", m.name, limits.unused_days);
                let seen = case.machines.iter();
                let seen = seen.map(|m| figures(case.measured(m, text(m)), limits.unused_days, limits.unused_days));
                evidence.extend(seen);
                Confidence::High
            } else {
                Confidence::Medium
            };
            Known::new(Outcome::Met, confidence, evidence)
        }
        (None, _) | (_, None) => {
            let missing = if small.is_none() { "使用范围" } else { "使用频度" };
            evidence.push(case.recorded(format!("没有登记{missing}")));
            Known::unknown(evidence)
        }
    }
}

/// What the owner says of one criterion: that it is met, or that it is not.
fn word(answer: &Answer, criterion: Criterion, outcome: Outcome) -> Option<bool> {
    if answer.denies.contains(&criterion) {
        return Some(false);
    }
    if answer.holds.contains(&criterion) || (answer.answer == Answered::Replaced && criterion == Criterion::Replaced) {
        return Some(true);
    }
    // A word to the finding as a whole is one to each criterion that it found met, and to no other.
    (outcome == Outcome::Met).then_some(answer.answer != Answered::Object)
}

/// Weighs the owner's word. It makes sure what was likely, decides what nobody knew, and takes weight from what it
/// contradicts; where it contradicts the owner's own record nothing is known any more, and what was measured stands.
fn hear(case: Case<'_>, criterion: Criterion, mut known: Known) -> Known {
    let Some(answer) = case.answer else { return known };
    let Some(holds) = word(answer, criterion, known.outcome) else { return known };
    let mut text = format!("建设单位答复：{}，{}", if holds { "符合" } else { "不符合" }, answer.reason);
    if let (Criterion::Replaced, Some(other)) = (criterion, &answer.replaced_by) {
        text = format!("{text}（由“{other}”替代）");
    }
    known.evidence.push(Evidence {
        source: Source::Owner,
        on: time::civil(answer.signed.at),
        by: Some(answer.signed.by.clone()),
        machine_id: None,
        days: None,
        limit_days: None,
        text,
    });
    (known.outcome, known.confidence) = match (known.outcome, holds) {
        // Of what is measured, a word does not make up what the meter does not know.
        (Outcome::Unknown | Outcome::NotMet, true) if known.measured => (known.outcome, known.confidence),
        // Low: logins, which say nothing of the business.
        (Outcome::NotMet, true) if known.confidence > Confidence::Low => (Outcome::Unknown, Confidence::Low),
        (_, true) => (Outcome::Met, Confidence::High),
        (Outcome::NotMet, false) => (Outcome::NotMet, Confidence::High),
        (Outcome::Unknown, false) => (Outcome::NotMet, Confidence::Medium),
        (Outcome::Met, false) => match known.confidence.lowered() {
            Some(less) => (Outcome::Met, less),
            None => (Outcome::Unknown, Confidence::Low),
        },
    };
    known
}
