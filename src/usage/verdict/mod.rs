//! Idle verdicts: what rules say of one machine as of one day, with every figure that they rest on.
//!
//! Rules are data ([`RuleSets`], `profiles/idle-rules.yaml`). Deciding takes days, facts and a date, and nothing else: the
//! same three give the same [`Judgement`] at any time, which is why one can be asked for again and held against what was kept.

mod assumed;
mod criteria;
mod cycle;
mod history;
mod judgement;
mod levels;
mod middle;
mod own;
mod past;
mod reason;
mod rhythm;
mod rules;
#[cfg(test)]
mod tests;

pub use assumed::{Assumed, ImageFloor, ZoneLink};
pub use cycle::Cycle;
pub use history::History;
pub use judgement::{Coverage, Eligibility, Facts, Figure, Floor, Held, Judgement, Owner, Span, Verdict};
pub use past::Past;
pub use reason::{Code, Reason};
pub use rules::{Criterion, Direction, Method, Percent, RuleSet, RuleSets, RulesError, Source, Thresholds};

use super::day::Day;
use jiff::{SignedDuration, civil::Date};

/// What a rule set says of a machine at the end of a day. `days` may be any of the machine's, in any order; those after `on`
/// are not looked at.
pub fn judge<'a>(set: &RuleSet, facts: &Facts, days: impl Iterator<Item = &'a Day>, on: Date) -> Judgement {
    let mut history = History::of(set, on);
    days.for_each(|day| history.add(day));
    judge_history(set, facts, &history)
}

/// What a rule set says of a machine whose days were taken in before.
pub fn judge_history(set: &RuleSet, facts: &Facts, history: &History) -> Judgement {
    match &set.method {
        Method::Criteria(criteria) => criteria::judge(set, criteria, facts, history.recent()),
        Method::Signals(thresholds) => own::judge(set, thresholds, facts, history.recent(), history.past()),
    }
}

/// So many days before a date, or as many as a calendar has.
fn days_before(date: Date, days: i64) -> Date {
    date.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(if days < 0 { Date::MAX } else { Date::MIN })
}

/// Days from one date to another.
fn days_between(from: Date, to: Date) -> i64 {
    to.duration_since(from).as_hours() / 24
}
