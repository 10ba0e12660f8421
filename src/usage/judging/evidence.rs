//! One subject judged: the verdict, the figures that people ask for, what may be advised. Pure: a case, its days, the day.

use super::{Case, Line, Subject, line::Brief};
use crate::{
    catalogue,
    usage::{
        Metric,
        advice::{self, Advice, Life, Size, Sizing},
        summary::Summary,
        verdict::{self, Assumed, History, Judgement, Past, RuleSet, Verdict},
    },
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// What subjects are judged by.
#[derive(Clone, Debug)]
pub struct Rules {
    pub set: RuleSet,
    pub sizing: Sizing,
    pub assumed: Assumed,
    pub bounds: catalogue::Bounds,
}

impl Rules {
    /// What a machine's days are to be taken into, to be judged at the end of one.
    pub fn history(&self, on: Date) -> History {
        History::of(&self.set, on)
    }
}

/// Since when an idle machine has been idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Idle {
    #[schema(value_type = String, format = Date)]
    pub since: Date,
    /// To the end of the day that was judged.
    pub days: i64,
    /// Nothing shows that it was ever used.
    pub never_used: bool,
}

/// Logins, where they are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Logins {
    /// For how many days without a break, to the day that was judged, they would have been seen.
    pub known_days: i64,
    #[schema(value_type = Option<String>, format = Date)]
    pub last_on: Option<Date>,
}

/// What is kept of a subject and a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Evidence {
    pub subject: Subject,
    /// Verdict, eligibility, reasons, and each figure with its threshold.
    #[schema(value_type = Object)]
    pub judgement: Judgement,
    /// Over the window of the rules.
    pub usage: Summary,
    /// Of an idle machine.
    #[schema(required)]
    pub idle: Option<Idle>,
    #[schema(required)]
    pub logins: Option<Logins>,
    /// Of an unknown one: why nothing was measured, where that is known.
    #[schema(required)]
    pub cause: Option<String>,
    pub advice: Vec<Advice>,
    /// What was not measured and taken for true, each with where it is from.
    #[serde(default)]
    pub assumed: Vec<String>,
}

/// What the rules say of a case whose days were taken in, at the end of the last of them.
pub fn judge(rules: &Rules, case: &Case, history: &History) -> Evidence {
    Judged::of(rules, case, history).whole(case, history)
}

/// The same as a report needs it, if nobody keeps it: of a machine in use the figures are not even reckoned.
pub fn line(rules: &Rules, case: &Case, history: &History) -> Line {
    let judged = Judged::of(rules, case, history);
    match Brief::of(&case.subject, &judged.judgement, &judged.advice) {
        Some(brief) => Line::Brief(Box::new(brief)),
        None => Line::from(judged.whole(case, history)),
    }
}

/// What is said, without what it rests on.
struct Judged {
    judgement: Judgement,
    idle: Option<Idle>,
    advice: Vec<Advice>,
    assumed: Vec<String>,
}

impl Judged {
    fn of(rules: &Rules, case: &Case, history: &History) -> Self {
        let (recent, past) = (history.recent(), history.past());
        let mut facts = case.facts;
        let assumed = case.made_of.as_ref().map(|of| rules.assumed.tell(&mut facts, &of.os, &of.image, of.zone));
        let judgement = verdict::judge_history(&rules.set, &facts, history);
        let idle = idle(&judgement, past.first_evidence(), recent.to());
        let advice = match (case.subject.vcpu, judgement.verdict) {
            (_, Verdict::Unknown | Verdict::Exempt) | (None, _) => Vec::new(),
            (Some(vcpu), _) => {
                let size = Size {
                    vcpu,
                    memory: case.subject.memory_bytes,
                    disk: case.subject.disk_bytes,
                    least_memory: case.least_memory,
                    least_disk: case.least_disk,
                    class: case.subject.workload_class,
                };
                let life = life(case, idle, past, rules);
                advice::advise(&rules.sizing, &rules.bounds, &size, &life, recent)
            }
        };
        Self { judgement, idle, advice, assumed: assumed.unwrap_or_default() }
    }

    fn whole(self, case: &Case, history: &History) -> Evidence {
        let past = history.past();
        Evidence {
            subject: case.subject.clone(),
            usage: Summary::from(history.recent()),
            idle: self.idle,
            logins: logins(past),
            cause: cause(case, &self.judgement, past),
            judgement: self.judgement,
            advice: self.advice,
            assumed: self.assumed,
        }
    }
}

/// From one date to another, in days.
fn between(from: Date, to: Date) -> i64 {
    to.duration_since(from).as_hours() / 24
}

/// From the day after the last that shows work, or from the first of which anything is known.
fn idle(judgement: &Judgement, first: Option<Date>, on: Date) -> Option<Idle> {
    if judgement.verdict != Verdict::Idle {
        return None;
    }
    let worked = judgement.work.last().map(|span| span.to.tomorrow().unwrap_or(span.to));
    let since = worked.or(first)?;
    Some(Idle { since, days: between(since, on) + 1, never_used: worked.is_none() })
}

/// What is known of a machine's whole life: nothing of one that was not measured from its delivery on.
fn life(case: &Case, idle: Option<Idle>, past: &Past, rules: &Rules) -> Life {
    let on = past.to();
    let Some((delivered, first)) = case.subject.delivered_on.zip(past.first_evidence()) else {
        return Life::default();
    };
    if between(delivered, first) > 1 || between(delivered, on) >= i64::from(rules.set.lookback()) {
        return Life::default();
    }
    let bytes = past.seen().fold(0_u64, |sum, day| sum.saturating_add(day.traffic.disk));
    // The first day had begun before the machine was there.
    let covered = past.days_after_first(Metric::Disk);
    #[allow(clippy::cast_precision_loss, reason = "days")]
    let owed = between(first, on) as f64;
    Life {
        never_used_since: idle.filter(|idle| idle.never_used).map(|idle| idle.since),
        disk_bytes: (owed >= 1.0 && covered >= owed * rules.sizing.coverage).then_some(bytes),
    }
}

fn logins(past: &Past) -> Option<Logins> {
    let mut known_days = 0;
    for day in past.seen().rev() {
        if day.presence.asked == 0 || between(day.date, past.to()) != known_days {
            break;
        }
        known_days += 1;
    }
    let last_on = past.seen().rev().find(|day| day.presence.logged_in > 0).map(|day| day.date);
    (known_days > 0 || last_on.is_some()).then_some(Logins { known_days, last_on })
}

fn cause(case: &Case, judgement: &Judgement, past: &Past) -> Option<String> {
    if judgement.verdict != Verdict::Unknown {
        return None;
    }
    if case.subject.state == "stopped" {
        return Some("虚拟机已停机，停机期间没有用量".to_owned());
    }
    if let Some(failure) = &case.unread {
        return Some(format!("读不到所在宿主机：{failure}"));
    }
    past.first_evidence().is_none().then(|| "从来没有采集到数据".to_owned())
}
