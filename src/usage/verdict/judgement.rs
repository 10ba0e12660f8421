//! A judgement, and what it rests on.

use super::reason::Reason;
use crate::usage::{histogram::Bounds, window::Window};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// What a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Busy,
    /// Used, but little, or about to be used again.
    Low,
    Idle,
    /// Nobody can say: data is missing. Never a kind of idle.
    Unknown,
    /// Not judged until a day.
    Exempt,
}

impl Verdict {
    pub const ALL: [Self; 5] = [Self::Busy, Self::Low, Self::Idle, Self::Unknown, Self::Exempt];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Low => "low",
            Self::Idle => "idle",
            Self::Unknown => "unknown",
            Self::Exempt => "exempt",
        }
    }

    /// As people read it.
    pub const fn chinese(self) -> &'static str {
        match self {
            Self::Busy => "在用",
            Self::Low => "低使用",
            Self::Idle => "闲置",
            Self::Unknown => "无法判断",
            Self::Exempt => "豁免",
        }
    }
}

/// What the owner has said of reclaiming the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    Agreed,
    Objected,
}

/// What a machine of this image does when nobody uses it: agents, timers, the network's own talk.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    pub vcpus: f64,
    /// Bytes per second.
    pub received: f64,
    pub sent: f64,
    pub disk: f64,
}

/// What is known of a machine besides its days. Absent is unknown, and is never read as the convenient answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Facts {
    /// When it came to be.
    pub created: Option<Date>,
    /// Of its image, measured on machines that nobody uses.
    pub floor: Option<Floor>,
    /// What its network card can send, in bytes per second.
    pub link: Option<f64>,
    /// Whether another machine of the same system is busy.
    pub peer_busy: Option<bool>,
    /// The last day of an exemption.
    pub exempt_until: Option<Date>,
    pub owner: Option<Owner>,
}

/// Whether a figure keeps to its threshold. Histograms know a value up to its bin: where the threshold cuts that bin, the
/// figure is said to be on the border and never counts for idleness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    Certain,
    Possible,
    Not,
    Unknown,
}

impl Held {
    /// Of a value that is exact.
    pub const fn exactly(holds: Option<bool>) -> Self {
        match holds {
            Some(true) => Self::Certain,
            Some(false) => Self::Not,
            None => Self::Unknown,
        }
    }

    /// Of one that is known up to two limits.
    pub const fn between(certain: bool, possible: bool) -> Self {
        match (certain, possible) {
            (true, _) => Self::Certain,
            (false, true) => Self::Possible,
            (false, false) => Self::Not,
        }
    }
}

/// A figure, its threshold, and whether it kept to it: a machine is quiet where the figure is not above the threshold, or
/// not below it where `at_least` says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Stable, as `sent_steady`.
    pub name: String,
    pub unit: String,
    /// The value, or where it lies: never above `high`, never below `low`. `null` where it is not known.
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub threshold: f64,
    pub at_least: bool,
    pub held: Held,
}

/// Evidence is for people and for comparison with what was kept: nine digits are more than any of it has.
pub(super) fn rounded(value: f64) -> f64 {
    let digits = value.abs().max(1e-300).log10().floor();
    let unit = 10f64.powf(8.0 - digits);
    if value == 0.0 || !unit.is_finite() { value } else { (value * unit).round() / unit }
}

impl Figure {
    fn new(name: &str, unit: &str, value: Option<(f64, f64)>, threshold: f64, at_least: bool, held: Held) -> Self {
        // JSON has no infinity; the last bin of a scale has no end.
        let finite = |value: f64| value.is_finite().then(|| rounded(value));
        Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            low: value.and_then(|value| finite(value.0)),
            high: value.and_then(|value| finite(value.1)),
            threshold,
            at_least,
            held,
        }
    }

    /// An exact value that is to be at most the threshold.
    pub(super) fn at_most(name: &str, unit: &str, value: Option<f64>, threshold: f64) -> Self {
        let held = Held::exactly(value.map(|value| value <= threshold));
        Self::new(name, unit, value.map(|value| (value, value)), threshold, false, held)
    }

    /// An exact value that is to be below the threshold.
    pub(super) fn below(name: &str, unit: &str, value: Option<f64>, threshold: f64) -> Self {
        let held = Held::exactly(value.map(|value| value < threshold));
        Self::new(name, unit, value.map(|value| (value, value)), threshold, false, held)
    }

    /// An exact value that is to be at least the threshold.
    pub(super) fn at_least(name: &str, unit: &str, value: Option<f64>, threshold: f64) -> Self {
        let held = Held::exactly(value.map(|value| value >= threshold));
        Self::new(name, unit, value.map(|value| (value, value)), threshold, true, held)
    }

    /// A value within a bin that is to be below the threshold.
    pub(super) fn bounds_below(name: &str, unit: &str, value: Option<Bounds>, threshold: f64) -> Self {
        let held = value.map_or(Held::Unknown, |b| Held::between(b.high <= threshold, b.low < threshold));
        Self::new(name, unit, value.map(|b| (b.low, b.high)), threshold, false, held)
    }

    /// A share, certain and possible, that is to be at least the threshold.
    pub(super) fn share_at_least(name: &str, value: Option<(f64, f64)>, threshold: f64) -> Self {
        let held = value.map_or(Held::Unknown, |(low, high)| Held::between(low >= threshold, high >= threshold));
        Self::new(name, "share", value, threshold, true, held)
    }
}

/// The days that a part of the judgement speaks of, both of them in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub from: Date,
    pub to: Date,
}

/// How much of the time samples speak for, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    pub span: Span,
    pub all: f64,
    /// CPU, memory, disk, received, sent.
    pub by_metric: [f64; 5],
}

impl Coverage {
    pub(super) fn of(window: &Window) -> Self {
        Self {
            span: Span { from: window.from(), to: window.to() },
            all: rounded(window.coverage()),
            by_metric: crate::usage::Metric::ALL.map(|metric| rounded(window.coverage_of(metric))),
        }
    }
}

/// Whether a machine may be proposed for reclaim. Another question than the verdict: one may be idle and not eligible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eligibility {
    pub eligible: bool,
    /// Why not.
    pub reasons: Vec<Reason>,
}

/// What a rule set says of a machine as of a day, with all that it rests on. What is kept as evidence is this, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    pub rule_set: String,
    pub rule_version: u32,
    pub day: Date,
    pub verdict: Verdict,
    pub reasons: Vec<Reason>,
    pub eligibility: Eligibility,
    pub window: Coverage,
    /// Of the time before, as far as it was looked at and the machine was known.
    pub history: Option<Coverage>,
    /// When it worked beyond its upkeep, as far as that is known.
    pub work: Vec<Span>,
    pub figures: Vec<Figure>,
    /// Facts as they were known then.
    pub facts: Facts,
}
