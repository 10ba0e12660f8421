//! A range of days as one: what rules judge. It says how much of the time it speaks for, and leaves the judging to them.

use super::{
    day::{self, Day, PARTS, Part, Presence},
    histogram::{self, Bounds, Histogram, Share},
    point::{ByMetric, DAY_MS, Interval, Metric, Traffic},
};
use jiff::civil::Date;
use serde::Serialize;

/// What rules ask of single days.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    pub date: Date,
    pub samples: u32,
    /// From 0 to 1.
    pub coverage: f64,
    pub mean: ByMetric<Option<f64>>,
    pub max: ByMetric<Option<f64>>,
    /// The highest mean of CPU over a half hour.
    pub highest_half_hour: Option<f64>,
    pub traffic: Traffic,
    /// The fewest and the most that the machine had.
    pub vcpus: Option<(u32, u32)>,
    pub presence: Presence,
    pub parts: [Part; PARTS],
}

/// Days from one date to another, both of them in it. Days without a row are time that was owed and not seen.
#[derive(Clone, Debug)]
pub struct Window {
    from: Date,
    to: Date,
    days: Vec<Figures>,
    covered_ms: u64,
    covered_of: ByMetric<u64>,
    histograms: ByMetric<Histogram>,
    maxima: Histogram,
    sums: ByMetric<u128>,
    traffic: Traffic,
    vcpus: Option<(u32, u32)>,
    /// CPU by the fewest and the most vCPUs of the day: percent of what, where it was not always the same.
    sized: Vec<(Option<(u32, u32)>, Histogram)>,
}

impl Window {
    /// `None` if it would end before it begins.
    pub fn new(from: Date, to: Date) -> Option<Self> {
        (from <= to).then(|| Self::spanning(from, to))
    }

    fn spanning(from: Date, to: Date) -> Self {
        Self {
            from,
            to,
            days: Vec::new(),
            covered_ms: 0,
            covered_of: [0; 5],
            histograms: Metric::ALL.map(|metric| Histogram::new(metric.scale())),
            maxima: Histogram::new(Metric::Cpu.scale()),
            sums: [0; 5],
            traffic: Traffic::default(),
            vcpus: None,
            sized: Vec::new(),
        }
    }

    /// The last so many days to the end of one, that one with them; at least that one.
    pub fn ending(on: Date, length: u32) -> Self {
        let before = jiff::SignedDuration::from_hours(24 * (i64::from(length.max(1)) - 1));
        Self::spanning(on.checked_sub(before).unwrap_or(Date::MIN), on)
    }

    /// False, and nothing is added, for a day outside the window and for one that it has.
    pub fn add(&mut self, day: &Day) -> bool {
        let date = day.date();
        if date < self.from || date > self.to {
            return false;
        }
        if !Figures::of(day).enter(&mut self.days) {
            return false;
        }
        self.covered_ms += u64::from(day.covered_ms);
        for (at, measured) in day.metrics.iter().enumerate() {
            self.histograms[at].merge(&measured.histogram);
            self.covered_of[at] += u64::from(measured.covered_ms);
            self.sums[at] += u128::from(measured.sum);
        }
        self.maxima.merge(&day.maxima);
        self.traffic.add(day.traffic);
        self.vcpus = day::widest(self.vcpus, day.vcpus);
        let cpu = &day.metrics[Metric::Cpu.index()].histogram;
        match self.sized.iter_mut().find(|(vcpus, _)| *vcpus == day.vcpus) {
            Some((_, histogram)) => _ = histogram.merge(cpu),
            None => self.sized.push((day.vcpus, cpu.clone())),
        }
        true
    }

    pub const fn from(&self) -> Date {
        self.from
    }

    pub const fn to(&self) -> Date {
        self.to
    }

    /// How many days long it is.
    pub fn length(&self) -> u64 {
        // `from` is not after `to`.
        self.to.duration_since(self.from).as_hours().unsigned_abs() / 24 + 1
    }

    /// Days with a row, in order.
    pub fn days(&self) -> &[Figures] {
        &self.days
    }

    /// The last `count` days of the window, those of them that have a row.
    pub fn last_days(&self, count: u32) -> &[Figures] {
        let hours = 24 * (i64::from(count) - 1);
        let first = self.days.partition_point(|day| self.to.duration_since(day.date).as_hours() > hours);
        &self.days[first..]
    }

    /// The first day with a sample.
    pub fn first_evidence(&self) -> Option<Date> {
        self.days.iter().find(|day| day.samples > 0).map(|day| day.date)
    }

    pub fn samples(&self) -> u64 {
        self.days.iter().map(|day| u64::from(day.samples)).sum()
    }

    /// Samples that a source of this interval owed over the whole window.
    pub fn due(&self, interval: Interval) -> u64 {
        self.length() * u64::from(interval.due())
    }

    /// How much of the whole window samples speak for, from 0 to 1: seen over due, whatever interval the source had when.
    pub fn coverage(&self) -> f64 {
        self.share_of_time(self.covered_ms)
    }

    pub fn coverage_of(&self, metric: Metric) -> f64 {
        self.share_of_time(self.covered_of[metric.index()])
    }

    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a calendar are below 2^53")]
    fn share_of_time(&self, covered_ms: u64) -> f64 {
        covered_ms as f64 / (self.length() * u64::from(DAY_MS)) as f64
    }

    /// CPU and memory in percent of what was allocated, the others in bytes per second.
    pub const fn histogram(&self, metric: Metric) -> &Histogram {
        &self.histograms[metric.index()]
    }

    /// The highest sample of CPU in each half hour, in percent of the vCPUs allocated.
    pub const fn maxima(&self) -> &Histogram {
        &self.maxima
    }

    #[allow(clippy::cast_precision_loss, reason = "a count of samples")]
    pub fn mean(&self, metric: Metric) -> Option<f64> {
        let count = self.histogram(metric).count();
        (count > 0).then(|| metric.float(self.sums[metric.index()]) / count as f64)
    }

    pub fn max(&self, metric: Metric) -> Option<f64> {
        highest(self.days.iter().map(|day| day.max[metric.index()]))
    }

    /// The highest mean of CPU over a half hour in the last `days` days, in percent of the vCPUs allocated.
    pub fn highest_half_hour(&self, days: u32) -> Option<f64> {
        highest(self.last_days(days).iter().map(|day| day.highest_half_hour))
    }

    pub const fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// The fewest and the most that the machine had.
    pub const fn vcpus(&self) -> Option<(u32, u32)> {
        self.vcpus
    }

    /// The percentile of CPU in vCPUs, by nearest rank. `None` where the size of the machine was not always known.
    pub fn vcpus_percentile(&self, q: f64) -> Option<Bounds> {
        let rank = histogram::rank(q, self.histogram(Metric::Cpu).count())?;
        let (mut lows, mut highs) = (Vec::new(), Vec::new());
        for (vcpus, histogram) in self.sized.iter().filter(|(_, histogram)| histogram.count() > 0) {
            let (fewest, most) = (*vcpus)?;
            for (bounds, count) in histogram.hits() {
                lows.push((bounds.low * f64::from(fewest) / 100.0, count));
                highs.push((bounds.high * f64::from(most) / 100.0, count));
            }
        }
        // No value is below its low nor above its high, so neither is any value by rank.
        Some(Bounds { low: by_rank(lows, rank)?, high: by_rank(highs, rank)? })
    }

    /// The share of time in which the machine used fewer than so many vCPUs. `None` where its size was not always known.
    pub fn share_below_vcpus(&self, vcpus: f64) -> Option<Share> {
        let (mut certain, mut possible, mut all) = (0, 0, 0);
        for (size, histogram) in self.sized.iter().filter(|(_, histogram)| histogram.count() > 0) {
            let (fewest, most) = (*size)?;
            for (bounds, count) in histogram.hits() {
                let count = u64::from(count);
                all += count;
                certain += if bounds.high * f64::from(most) / 100.0 <= vcpus { count } else { 0 };
                possible += if bounds.low * f64::from(fewest) / 100.0 < vcpus { count } else { 0 };
            }
        }
        Share::of(certain, possible, all)
    }
}

fn highest(of: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    of.flatten().max_by(f64::total_cmp)
}

fn by_rank(mut values: Vec<(f64, u32)>, rank: u64) -> Option<f64> {
    values.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut below = 0;
    let found = values.into_iter().find(|(_, count)| {
        below += u64::from(*count);
        below >= rank
    });
    found.map(|(value, _)| value)
}

impl Figures {
    /// Into days that are in order. False, and nothing is added, where there is one of that date.
    pub(super) fn enter(self, days: &mut Vec<Self>) -> bool {
        // Rows mostly come in order.
        let place = match days.last() {
            Some(last) if last.date >= self.date => match days.binary_search_by_key(&self.date, |day| day.date) {
                Ok(_) => return false,
                Err(place) => place,
            },
            _ => days.len(),
        };
        days.insert(place, self);
        true
    }

    pub(super) fn of(day: &Day) -> Self {
        Self {
            date: day.date(),
            samples: day.samples(),
            coverage: day.coverage(),
            mean: Metric::ALL.map(|metric| day.mean(metric)),
            max: Metric::ALL.map(|metric| day.max(metric)),
            highest_half_hour: day.highest_half_hour(),
            traffic: day.traffic(),
            vcpus: day.vcpus(),
            presence: day.presence(),
            parts: *day.parts(),
        }
    }
}
