//! A machine's days as far back as a rule looks: figures by day and how much is known, without distributions.

use super::{days_before, days_between};
use crate::usage::{
    day::Day,
    point::{ByMetric, DAY_MS, Metric},
    window::Figures,
};
use jiff::civil::Date;

/// Days in order, each once.
#[derive(Clone, Debug)]
pub struct Past {
    from: Date,
    to: Date,
    days: Vec<Figures>,
    covered_ms: u64,
    covered_of: ByMetric<u64>,
    /// The first day on which each was known, and how much of it was.
    first_of: ByMetric<Option<(Date, f64)>>,
}

impl Past {
    /// The last `length` days to the end of `on`, none of them known yet.
    pub fn ending(on: Date, length: u32) -> Self {
        Self {
            from: days_before(on, i64::from(length) - 1),
            to: on,
            days: Vec::new(),
            covered_ms: 0,
            covered_of: [0; 5],
            first_of: [None; 5],
        }
    }

    /// Takes in a day, unless it is outside or there already.
    pub fn add(&mut self, day: &Day) {
        let date = day.date();
        if date < self.from || date > self.to || !Figures::of(day).enter(&mut self.days) {
            return;
        }
        self.covered_ms += u64::from(day.covered_ms);
        for metric in Metric::ALL {
            let at = metric.index();
            self.covered_of[at] += u64::from(day.metrics[at].covered_ms);
            if day.histogram(metric).count() > 0 && self.first_of[at].is_none_or(|(first, _)| date < first) {
                self.first_of[at] = Some((date, day.coverage_of(metric)));
            }
        }
    }

    pub const fn to(&self) -> Date {
        self.to
    }

    pub fn days(&self) -> &[Figures] {
        &self.days
    }

    /// Days with a sample, in order.
    pub fn seen(&self) -> impl DoubleEndedIterator<Item = &Figures> {
        self.days.iter().filter(|day| day.samples > 0)
    }

    /// For how many days a metric is known, but for what is known of it on the first day with a sample.
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a calendar are below 2^53")]
    pub fn days_after_first(&self, metric: Metric) -> f64 {
        let first = self.first_of[metric.index()].filter(|(date, _)| Some(*date) == self.first_evidence());
        self.covered_of[metric.index()] as f64 / f64::from(DAY_MS) - first.map_or(0.0, |(_, coverage)| coverage)
    }

    /// The first day with a sample.
    pub fn first_evidence(&self) -> Option<Date> {
        self.seen().next().map(|day| day.date)
    }

    pub fn samples(&self) -> u64 {
        self.days.iter().map(|day| u64::from(day.samples)).sum()
    }

    /// Whether anything was ever known of a metric.
    pub const fn knows(&self, metric: Metric) -> bool {
        self.first_of[metric.index()].is_some()
    }

    /// How much of the time since the first sample others speak for, from 0 to 1.
    pub fn coverage(&self) -> f64 {
        let first = self.seen().next();
        self.share(self.covered_ms, first.map(|day| (day.date, day.coverage)))
    }

    /// Of one metric: one that is measured since last week has no gap before. Of one that is never known, 0.
    pub fn coverage_of(&self, metric: Metric) -> f64 {
        self.share(self.covered_of[metric.index()], self.first_of[metric.index()])
    }

    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a calendar are below 2^53")]
    fn share(&self, covered_ms: u64, first: Option<(Date, f64)>) -> f64 {
        let Some((date, coverage)) = first else { return 0.0 };
        // What is missing of the first day was before its first sample, and is no gap.
        let days = (days_between(date, self.to) + 1) as f64 - (1.0 - coverage);
        (covered_ms as f64 / (days * f64::from(DAY_MS)).max(1.0)).min(1.0)
    }
}
