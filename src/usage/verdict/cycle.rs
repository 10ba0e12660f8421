//! Days of work over a year: whether what is quiet now is over, or only waiting for its next turn.

use super::{Span, Thresholds, days_between};
use jiff::civil::Date;
use serde::Serialize;

/// What the days of work before the window say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cycle {
    /// There were none.
    Never,
    /// One of them is in the window.
    Now,
    /// Work came back more than once, and has not been away much longer than before.
    Recurring,
    /// A season's work, whose next turn may still come.
    OnceAYear,
    /// Long in use, and then no more.
    Stopped,
    /// Used when it was new, and then no more.
    OnlyAtFirst,
    /// A season's work that did not come back when it was due.
    Missed,
}

impl Cycle {
    /// Whether a machine that is quiet now may be called idle.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Never | Self::Stopped | Self::OnlyAtFirst | Self::Missed)
    }
}

/// Days of work, in order, as spans with no pause longer than `pause_days` in them.
pub fn spans(worked: &[Date], thresholds: &Thresholds) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for day in worked {
        match spans.last_mut() {
            Some(span) if days_between(span.to, *day) <= i64::from(thresholds.pause_days) => span.to = *day,
            _ => spans.push(Span { from: *day, to: *day }),
        }
    }
    spans
}

/// `first` is the first day of which anything is known, `created` when the machine came to be, if that is known; `window`
/// begins the time that is judged.
pub fn cycle(
    runs: &[Span],
    first: Date,
    created: Option<Date>,
    window: Date,
    on: Date,
    thresholds: &Thresholds,
) -> Cycle {
    let Some(last) = runs.last() else { return Cycle::Never };
    if last.to >= window {
        return Cycle::Now;
    }
    let season = i64::from(thresholds.season_days);
    let quiet = days_between(last.to, on);
    let away = runs.windows(2).map(|pair| days_between(pair[0].to, pair[1].from)).max();
    // Half as long again as ever, and a fortnight.
    if away.is_some_and(|away| quiet <= away + away / 2 + 14) {
        return Cycle::Recurring;
    }
    if days_between(last.from, last.to) >= season {
        return Cycle::Stopped;
    }
    // Of a machine that was there before anything was known of it, what its first days were the last of cannot be told.
    let existed = created.is_some_and(|created| days_between(created, first) > i64::from(thresholds.existed_days));
    let starts = |run: &Span| days_between(first, run.from) <= i64::from(thresholds.first_use_days);
    if runs.first().is_some_and(|run| starts(run) && !existed && days_between(run.from, last.to) < season) {
        return Cycle::OnlyAtFirst;
    }
    if days_between(last.from, on) <= 365 + i64::from(thresholds.late_days) { Cycle::OnceAYear } else { Cycle::Missed }
}
