//! One machine's one day: what is kept of it for good, and nothing else. Rows of any days, sources and brokers can be added.

use super::{
    codec::{self, Broken, Reader},
    histogram::{Histogram, Scale},
    point::{ByMetric, Cause, DAY_MS, Interval, Metric, Traffic},
};
use jiff::civil::Date;
use serde::Serialize;

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

/// How many parts a day has: of four hours each, so that the third to the fifth are those in which offices work.
pub const PARTS: usize = 6;

/// A part of a day: sums over the samples that knew CPU, received and sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Part {
    pub samples: u32,
    /// Hundredths of a percent of the vCPUs allocated.
    pub cpu: u64,
    /// Bytes per second.
    pub received: u64,
    pub sent: u64,
}

/// Who was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Presence {
    /// Samples that knew whether anybody was logged in.
    pub asked: u32,
    /// Those of them in which somebody was.
    pub logged_in: u32,
    /// Samples that knew of connections from outside.
    pub counted: u32,
    pub inbound: u64,
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
    pub(super) presence: Presence,
    pub(super) parts: [Part; PARTS],
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
            presence: Presence { asked: 0, logged_in: 0, counted: 0, inbound: 0 },
            parts: [Part { samples: 0, cpu: 0, received: 0, sent: 0 }; PARTS],
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

    pub const fn presence(&self) -> Presence {
        self.presence
    }

    /// In the order of the day.
    pub const fn parts(&self) -> &[Part; PARTS] {
        &self.parts
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
        self.presence.add(other.presence);
        for (own, new) in self.parts.iter_mut().zip(other.parts) {
            own.add(new);
        }
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
        let Presence { asked, logged_in, counted, inbound } = self.presence;
        codec::write(out, u64::from(asked));
        if asked > 0 {
            codec::write(out, u64::from(logged_in));
        }
        codec::write(out, u64::from(counted));
        if counted > 0 {
            codec::write(out, inbound);
        }
        for Part { samples, cpu, received, sent } in self.parts {
            codec::write(out, u64::from(samples));
            if samples > 0 {
                for sum in [cpu, received, sent] {
                    codec::write(out, sum);
                }
            }
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
        let presence = &mut self.presence;
        presence.asked = reader.small(u32::MAX, "a number of samples")?;
        if presence.asked > 0 {
            presence.logged_in = reader.small(presence.asked, "a number of samples")?;
        }
        presence.counted = reader.small(u32::MAX, "a number of samples")?;
        if presence.counted > 0 {
            presence.inbound = reader.number()?;
        }
        for part in &mut self.parts {
            part.samples = reader.small(u32::MAX, "a number of samples")?;
            if part.samples > 0 {
                *part = Part { cpu: reader.number()?, received: reader.number()?, sent: reader.number()?, ..*part };
            }
        }
        reader.counts(&mut self.causes)?;
        reader.end()
    }
}

impl Presence {
    const fn add(&mut self, other: Self) {
        self.asked = self.asked.saturating_add(other.asked);
        self.logged_in = self.logged_in.saturating_add(other.logged_in);
        self.counted = self.counted.saturating_add(other.counted);
        self.inbound = self.inbound.saturating_add(other.inbound);
    }

    pub(super) fn note(&mut self, logged_in: Option<bool>, inbound: Option<u64>) {
        self.add(Self {
            asked: u32::from(logged_in.is_some()),
            logged_in: u32::from(logged_in == Some(true)),
            counted: u32::from(inbound.is_some()),
            inbound: inbound.unwrap_or_default(),
        });
    }
}

impl Part {
    pub(super) const fn add(&mut self, other: Self) {
        self.samples = self.samples.saturating_add(other.samples);
        self.cpu = self.cpu.saturating_add(other.cpu);
        self.received = self.received.saturating_add(other.received);
        self.sent = self.sent.saturating_add(other.sent);
    }

    /// One sample, if it knew all three.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast saturates; values are not negative"
    )]
    pub(super) fn sample(values: &ByMetric<Option<f64>>) -> Option<Self> {
        let whole = |metric: Metric, unit: f64| values[metric.index()].map(|value| (value * unit + 0.5) as u64);
        let (cpu, received, sent) =
            (whole(Metric::Cpu, 100.0)?, whole(Metric::Received, 1.0)?, whole(Metric::Sent, 1.0)?);
        Some(Self { samples: 1, cpu, received, sent })
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
