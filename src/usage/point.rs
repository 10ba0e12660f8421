//! What one interval of one machine was: the one shape that counters and gauges come to.

use super::histogram::Scale;
use serde::Serialize;

/// What is measured, each with a histogram per day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Of the vCPUs allocated.
    Cpu,
    /// Of the memory allocated.
    Memory,
    /// Read and written, together.
    Disk,
    Received,
    Sent,
}

impl Metric {
    pub const ALL: [Self; 5] = [Self::Cpu, Self::Memory, Self::Disk, Self::Received, Self::Sent];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Received => "received",
            Self::Sent => "sent",
        }
    }

    pub const fn scale(self) -> Scale {
        match self {
            Self::Cpu | Self::Memory => Scale::Percent,
            Self::Disk | Self::Received | Self::Sent => Scale::Rate,
        }
    }

    /// Its place in what is kept by metric.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Sums and maxima are kept in whole millionths of a percent and thousandths of a byte per second, so that they come out
    /// the same in whatever order rows are added.
    const fn unit(self) -> f64 {
        match self.scale() {
            Scale::Percent => 1e6,
            Scale::Rate => 1e3,
        }
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast saturates; values are not negative"
    )]
    pub(super) fn fixed(self, value: f64) -> u64 {
        (value * self.unit() + 0.5) as u64
    }

    #[allow(clippy::cast_precision_loss, reason = "a figure for people and thresholds")]
    pub(super) fn float(self, fixed: u128) -> f64 {
        fixed as f64 / self.unit()
    }
}

/// Something for each metric.
pub type ByMetric<T> = [T; Metric::ALL.len()];

/// How often a source looks, in milliseconds: from one to a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(u32);

/// A day, in milliseconds.
pub const DAY_MS: u32 = 86_400_000;

impl Interval {
    pub const MINUTE: Self = Self(60_000);

    pub const fn millis(millis: u32) -> Option<Self> {
        if millis >= 1 && millis <= DAY_MS { Some(Self(millis)) } else { None }
    }

    pub const fn seconds(seconds: u32) -> Option<Self> {
        Self::millis(seconds.saturating_mul(1000))
    }

    pub const fn as_millis(self) -> u32 {
        self.0
    }

    pub const fn as_micros(self) -> i64 {
        // A day at most.
        self.0 as i64 * 1000
    }

    /// Samples that a day owes.
    pub const fn due(self) -> u32 {
        DAY_MS / self.0
    }
}

/// Bytes that went through, whatever the time it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    pub disk: u64,
    pub received: u64,
    pub sent: u64,
}

impl Traffic {
    pub(super) const fn add(&mut self, other: Self) {
        self.disk = self.disk.saturating_add(other.disk);
        self.received = self.received.saturating_add(other.received);
        self.sent = self.sent.saturating_add(other.sent);
    }

    pub(super) const fn of(metric: Metric, bytes: u64) -> Self {
        let none = Self { disk: 0, received: 0, sent: 0 };
        match metric {
            Metric::Disk => Self { disk: bytes, ..none },
            Metric::Received => Self { received: bytes, ..none },
            Metric::Sent => Self { sent: bytes, ..none },
            Metric::Cpu | Metric::Memory => none,
        }
    }
}

/// One interval, in microseconds since the epoch, and what was found of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub from: i64,
    pub to: i64,
    /// The source's own at the time.
    pub interval: Interval,
    pub vcpus: Option<u32>,
    /// Means over the interval. All `None` over a gap: a mean over hours says nothing of any minute.
    pub values: ByMetric<Option<f64>>,
    pub traffic: Traffic,
    /// Whether anybody was logged in at its end.
    pub logged_in: Option<bool>,
    /// Connections that others opened to the machine in the meantime.
    pub inbound: Option<u64>,
}

impl Point {
    /// Of which nothing is known yet.
    pub(super) const fn new(from: i64, to: i64, interval: Interval, vcpus: Option<u32>) -> Self {
        let traffic = Traffic { disk: 0, received: 0, sent: 0 };
        Self { from, to, interval, vcpus, values: [None; 5], traffic, logged_in: None, inbound: None }
    }

    /// Where the time begins that the point speaks for: never more than the source's interval before its end, for the source
    /// owed another sample before that.
    pub fn covers_from(&self) -> i64 {
        self.from.max(self.to - self.interval.as_micros())
    }
}

/// Why a reading, or one metric of it, gave no sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Nothing to take the difference from.
    First,
    /// Of an instant before the last one's.
    Late,
    /// Of the last one's instant.
    Doubled,
    /// Less than half an interval after the last one.
    Early,
    /// Of an instant that is still to come.
    Future,
    /// What was believed last is itself still to come: our own clock was set back.
    ClockSet,
    /// The counters belong to another life than the last ones.
    Reset,
    /// More than two and a half intervals after the last one.
    Gap,
    /// A counter went back within one life, or came back to where it had been.
    Back,
    /// More than there is.
    Impossible,
    NotANumber,
    Negative,
    /// The source says two things of one subject.
    Duplicated,
}

impl Cause {
    pub const ALL: [Self; 13] = [
        Self::First,
        Self::Late,
        Self::Doubled,
        Self::Early,
        Self::Future,
        Self::ClockSet,
        Self::Reset,
        Self::Gap,
        Self::Back,
        Self::Impossible,
        Self::NotANumber,
        Self::Negative,
        Self::Duplicated,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Late => "late",
            Self::Doubled => "doubled",
            Self::Early => "early",
            Self::Future => "future",
            Self::ClockSet => "clock_set",
            Self::Reset => "reset",
            Self::Gap => "gap",
            Self::Back => "back",
            Self::Impossible => "impossible",
            Self::NotANumber => "not_a_number",
            Self::Negative => "negative",
            Self::Duplicated => "duplicated",
        }
    }

    /// Its place in what is kept by cause. Stored rows stand on the order: new ones go to the end.
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_in_the_order_that_rows_stand_on() {
        assert!(Metric::ALL.iter().enumerate().all(|(at, metric)| metric.index() == at));
        assert!(Cause::ALL.iter().enumerate().all(|(at, cause)| cause.index() == at));
        for (metric, cause) in Metric::ALL.iter().zip(Cause::ALL) {
            assert_eq!(serde_json::json!(metric), metric.word());
            assert_eq!(serde_json::json!(cause), cause.word());
        }
    }

    #[test]
    fn an_interval_is_at_most_a_day() {
        assert_eq!(Interval::seconds(60), Some(Interval::MINUTE));
        assert_eq!((Interval::millis(0), Interval::seconds(86_401), Interval::seconds(u32::MAX)), (None, None, None));
        assert_eq!(Interval::seconds(300).map(Interval::due), Some(288));
    }
}
