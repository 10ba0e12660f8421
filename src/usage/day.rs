//! One machine's one day: what is kept of it for good, and nothing else. Rows of any days, sources and brokers can be added.

use super::{
    codec::{self, Broken, Reader},
    histogram::{Histogram, Scale},
    point::{ByMetric, Cause, DAY_MS, Interval, Metric, Traffic},
};
use jiff::civil::Date;

/// The form of a row. Rows live for years: a new form gets a new number, and this one stays readable.
const VERSION: u8 = 1;

/// What is known of one metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    pub histogram: Histogram,
    /// Exact, in the metric's own units.
    pub sum: u64,
    pub max: u64,
    /// Time that its samples speak for, in milliseconds.
    pub covered_ms: u32,
}

impl Measured {
    const fn new(metric: Metric) -> Self {
        Self { histogram: Histogram::new(metric.scale()), sum: 0, max: 0, covered_ms: 0 }
    }
}

/// One machine's one day, closed or so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    date: Date,
    pub(super) samples: u32,
    pub(super) covered_ms: u32,
    /// The source's, when the last sample came.
    pub(super) interval: Option<Interval>,
    /// The fewest and the most that the machine had.
    pub(super) vcpus: Option<(u32, u32)>,
    pub(super) metrics: ByMetric<Measured>,
    /// Of CPU, over half hours that had a sample.
    pub(super) maxima: Histogram,
    /// The highest mean of CPU over a half hour, in its own units.
    pub(super) highest_half_hour: u64,
    pub(super) traffic: Traffic,
    pub(super) causes: [u32; Cause::ALL.len()],
}

impl Day {
    /// A day of which nothing is known. `date` is the district's, as [`crate::time::civil`] tells it.
    pub const fn new(date: Date) -> Self {
        Self {
            date,
            samples: 0,
            covered_ms: 0,
            interval: None,
            vcpus: None,
            metrics: [
                Measured::new(Metric::Cpu),
                Measured::new(Metric::Memory),
                Measured::new(Metric::Disk),
                Measured::new(Metric::Received),
                Measured::new(Metric::Sent),
            ],
            maxima: Histogram::new(Scale::Percent),
            highest_half_hour: 0,
            traffic: Traffic { disk: 0, received: 0, sent: 0 },
            causes: [0; Cause::ALL.len()],
        }
    }

    pub const fn date(&self) -> Date {
        self.date
    }

    /// Points that said anything of their interval.
    pub const fn samples(&self) -> u32 {
        self.samples
    }

    /// Samples that the source owed, by the interval it had last; 0 where none ever came.
    pub fn due(&self) -> u32 {
        self.interval.map_or(0, Interval::due)
    }

    /// How much of the day samples speak for, from 0 to 1: samples seen over samples due, each at the interval that the
    /// source had then.
    pub fn coverage(&self) -> f64 {
        share(self.covered_ms)
    }

    pub fn coverage_of(&self, metric: Metric) -> f64 {
        share(self.of(metric).covered_ms)
    }

    pub const fn interval(&self) -> Option<Interval> {
        self.interval
    }

    /// The fewest and the most that the machine had.
    pub const fn vcpus(&self) -> Option<(u32, u32)> {
        self.vcpus
    }

    pub const fn histogram(&self, metric: Metric) -> &Histogram {
        &self.of(metric).histogram
    }

    /// The highest sample of CPU in each half hour.
    pub const fn maxima(&self) -> &Histogram {
        &self.maxima
    }

    pub fn mean(&self, metric: Metric) -> Option<f64> {
        let Measured { histogram, sum, .. } = self.of(metric);
        #[allow(clippy::cast_precision_loss, reason = "a count of samples")]
        let count = histogram.count() as f64;
        (histogram.count() > 0).then(|| metric.float(u128::from(*sum)) / count)
    }

    pub fn max(&self, metric: Metric) -> Option<f64> {
        let Measured { histogram, max, .. } = self.of(metric);
        (histogram.count() > 0).then(|| metric.float(u128::from(*max)))
    }

    /// The highest mean of CPU over a half hour.
    pub fn highest_half_hour(&self) -> Option<f64> {
        (self.maxima.count() > 0).then(|| Metric::Cpu.float(u128::from(self.highest_half_hour)))
    }

    pub const fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// How many readings, or metrics of one, gave no sample for this reason.
    pub const fn caused(&self, cause: Cause) -> u32 {
        self.causes[cause.index()]
    }

    pub(super) const fn note(&mut self, cause: Cause) {
        let count = &mut self.causes[cause.index()];
        *count = count.saturating_add(1);
    }

    const fn of(&self, metric: Metric) -> &Measured {
        &self.metrics[metric.index()]
    }

    /// Adds another part of the same day, which must not speak for the same time. False, and nothing is added, if it is of
    /// another day.
    pub fn merge(&mut self, other: &Self) -> bool {
        if self.date != other.date {
            return false;
        }
        self.samples = self.samples.saturating_add(other.samples);
        self.covered_ms = cover(self.covered_ms, other.covered_ms);
        self.interval = self.interval.max(other.interval);
        self.vcpus = widest(self.vcpus, other.vcpus);
        for (own, new) in self.metrics.iter_mut().zip(&other.metrics) {
            own.histogram.merge(&new.histogram);
            own.sum = own.sum.saturating_add(new.sum);
            own.max = own.max.max(new.max);
            own.covered_ms = cover(own.covered_ms, new.covered_ms);
        }
        self.maxima.merge(&other.maxima);
        self.highest_half_hour = self.highest_half_hour.max(other.highest_half_hour);
        self.traffic.add(other.traffic);
        for (own, new) in self.causes.iter_mut().zip(&other.causes) {
            *own = own.saturating_add(*new);
        }
        true
    }

    /// The row, without its date, which is its key.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(384);
        self.write(&mut out);
        out
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        let (fewest, most) = self.vcpus.unwrap_or_default();
        let head = [self.samples, self.covered_ms, self.interval.map_or(0, Interval::as_millis), fewest, most - fewest];
        for number in head {
            codec::write(out, u64::from(number));
        }
        for Measured { histogram, sum, max, covered_ms } in &self.metrics {
            histogram.write(out);
            if histogram.count() > 0 {
                codec::write(out, *sum);
                codec::write(out, *max);
                codec::write(out, u64::from(self.covered_ms - covered_ms));
            }
        }
        self.maxima.write(out);
        if self.maxima.count() > 0 {
            codec::write(out, self.highest_half_hour);
        }
        for bytes in [self.traffic.disk, self.traffic.received, self.traffic.sent] {
            codec::write(out, bytes);
        }
        codec::write_counts(out, &self.causes);
    }

    /// What [`Day::encode`] made, and nothing else.
    pub fn decode(date: Date, bytes: &[u8]) -> Result<Self, Broken> {
        let mut day = Self::new(date);
        day.read(bytes)?;
        Ok(day)
    }

    /// Into an empty day.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let mut reader = Reader::new(bytes);
        reader.version(VERSION)?;
        self.samples = reader.small(u32::MAX, "a number of samples")?;
        self.covered_ms = reader.small(DAY_MS, "a time")?;
        self.interval = Interval::millis(reader.small(DAY_MS, "an interval")?);
        let fewest = reader.small(u32::MAX, "a number of vCPUs")?;
        let most = fewest.checked_add(reader.small(u32::MAX, "a number of vCPUs")?);
        let most = most.filter(|most| fewest > 0 || *most == 0).ok_or(Broken::Value("a number of vCPUs"))?;
        self.vcpus = (most > 0).then_some((fewest, most));
        for measured in &mut self.metrics {
            measured.histogram.read(&mut reader)?;
            if measured.histogram.count() > 0 {
                measured.sum = reader.number()?;
                measured.max = reader.number()?;
                measured.covered_ms = self.covered_ms - reader.small(self.covered_ms, "a time")?;
            }
        }
        self.maxima.read(&mut reader)?;
        if self.maxima.count() > 0 {
            self.highest_half_hour = reader.number()?;
        }
        self.traffic = Traffic { disk: reader.number()?, received: reader.number()?, sent: reader.number()? };
        reader.counts(&mut self.causes)?;
        reader.end()
    }
}

fn share(covered_ms: u32) -> f64 {
    f64::from(covered_ms) / f64::from(DAY_MS)
}

/// A day has no more time than it has.
pub(super) fn cover(one: u32, other: u32) -> u32 {
    one.saturating_add(other).min(DAY_MS)
}

pub(super) fn widest(one: Option<(u32, u32)>, other: Option<(u32, u32)>) -> Option<(u32, u32)> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
        (one, other) => one.or(other),
    }
}
