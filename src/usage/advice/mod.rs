//! What size a machine should have, by what it has really used. Pure: a window, the machine's size, and settings that are
//! data ([`Sizing`], `profiles/sizing.yaml`).
//!
//! Advice to make something smaller rests on the upper end of a figure's bin, advice to make it larger on the lower end: what
//! a histogram hides never speaks for a change.

mod moving;
mod sizing;
#[cfg(test)]
mod tests;

pub use moving::{Need, needed};
pub use sizing::{Class, Moving, Sizing, SizingError};

use super::{histogram::Bounds, point::Metric, window::Window};
use crate::{catalogue, request::block::WorkloadClass, units::GIB};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// What is advised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Smaller,
    Larger,
    /// Allocated, and never used since anybody looked.
    NeverUsed,
}

impl Change {
    pub const fn chinese(self) -> &'static str {
        match self {
            Self::Smaller => "缩小",
            Self::Larger => "扩大",
            Self::NeverUsed => "从未使用",
        }
    }
}

/// Of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    Vcpu,
    Memory,
    Disk,
    /// All of it.
    Machine,
}

impl Resource {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Vcpu => "vcpu",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Machine => "machine",
        }
    }

    pub const fn chinese(self) -> &'static str {
        match self {
            Self::Vcpu => "CPU",
            Self::Memory => "内存",
            Self::Disk => "磁盘",
            Self::Machine => "整台",
        }
    }
}

/// One piece of advice, with the figures that it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Advice {
    pub change: Change,
    pub resource: Resource,
    /// vCPUs or bytes; of a whole machine 1.
    pub from: i64,
    pub to: i64,
    /// What was used, in the same unit, as the figure's bin knows it.
    #[schema(required)]
    pub measured: Option<f64>,
    /// Of which percentile that is.
    #[schema(required)]
    pub percentile: Option<f64>,
    #[schema(required)]
    pub headroom_percent: Option<f64>,
    /// 依据：平台规则
    pub sizing_version: u32,
    pub sentence: String,
}

/// A machine's size, and what it must not fall below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub vcpu: i64,
    /// In bytes, as with all that follow; `None` where nobody knows.
    pub memory: Option<i64>,
    pub disk: Option<i64>,
    /// Of its image and its database.
    pub least_memory: i64,
    pub least_disk: i64,
    pub class: WorkloadClass,
}

/// What is known of the whole time since the machine was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Life {
    /// Since then nobody has used it, and it was measured from the first.
    pub never_used_since: Option<Date>,
    /// Bytes that its disk has read and written, where all of its life was measured: no more than that was ever written.
    pub disk_bytes: Option<u64>,
}

/// All advice on one machine. Nothing where too little of the window is known.
pub fn advise(sizing: &Sizing, bounds: &catalogue::Bounds, size: &Size, life: &Life, window: &Window) -> Vec<Advice> {
    let case = Case { sizing, bounds, size, window };
    let mut advice = Vec::new();
    if let Some(since) = life.never_used_since {
        advice.push(Advice {
            change: Change::NeverUsed,
            resource: Resource::Machine,
            from: 1,
            to: 0,
            measured: None,
            percentile: None,
            headroom_percent: None,
            sizing_version: sizing.version,
            sentence: format!("{since} 起有数据以来从未使用，建议收回"),
        });
    } else {
        // A size is of use to somebody who uses the machine.
        advice.extend(case.vcpu());
        advice.extend(case.memory());
    }
    advice.extend(life.disk_bytes.and_then(|bytes| case.disk(bytes)));
    advice
}

struct Case<'a> {
    sizing: &'a Sizing,
    bounds: &'a catalogue::Bounds,
    size: &'a Size,
    window: &'a Window,
}

impl Case<'_> {
    fn vcpu(&self) -> Option<Advice> {
        self.known(Metric::Cpu)?;
        let Class { percentile, headroom_percent } = self.sizing.class(self.size.class);
        let used = self.window.vcpus_percentile(percentile)?;
        let (step, least) = (self.bounds.vcpu_step, *self.bounds.vcpu.start());
        let to = |used: f64| rounded_up(with(used, headroom_percent), step).max(least).min(*self.bounds.vcpu.end());
        let (change, to) = self.change(self.size.vcpu, to(used.high), to(used.low))?;
        let measured = edge(used, change);
        let sentence = format!(
            "近 {} 天 CPU P{percentile} 为 {measured:.2} 核，加 {headroom_percent}% 余量要 {to} 核，现有 {} 核",
            self.window.length(),
            self.size.vcpu,
        );
        Some(self.advice(change, Resource::Vcpu, (self.size.vcpu, to), measured, sentence))
    }

    fn memory(&self) -> Option<Advice> {
        self.known(Metric::Memory)?;
        let memory = self.size.memory?;
        let Class { percentile, headroom_percent } = self.sizing.class(self.size.class);
        let percent = self.window.histogram(Metric::Memory).percentile(percentile)?;
        let share = |percent: f64| percent / 100.0 * float(memory);
        let used = Bounds { low: share(percent.low), high: share(percent.high) };
        let highest = with(share(self.window.max(Metric::Memory)?), self.sizing.memory_over_highest_percent);
        let step = self.bounds.memory_step.get();
        let least = self.size.least_memory.max(self.bounds.memory.start().get());
        let to = |used: f64| {
            let wanted = with(used, headroom_percent).max(highest);
            rounded_up(wanted, step).max(least).min(self.bounds.memory.end().get())
        };
        let (change, to) = self.change(memory, to(used.high), to(used.low))?;
        let measured = edge(used, change);
        let sentence = format!(
            "近 {} 天内存 P{percentile} 为 {}，加 {headroom_percent}% 余量要 {}，现有 {}",
            self.window.length(),
            gib(measured),
            gib(float(to)),
            gib(float(memory)),
        );
        Some(self.advice(change, Resource::Memory, (memory, to), measured, sentence))
    }

    /// Disks are only ever advised to be smaller: how full one is nobody tells us.
    fn disk(&self, moved: u64) -> Option<Advice> {
        let disk = self.size.disk?;
        #[allow(clippy::cast_precision_loss, reason = "a figure for people and thresholds")]
        let moved = moved as f64;
        let headroom = self.sizing.disk_headroom_percent;
        let least = self.size.least_disk.max(self.bounds.disk.start().get());
        let to = rounded_up(float(least) + with(moved, headroom), self.bounds.disk_step.get());
        let (change, to) = self.change(disk, to, disk)?;
        let sentence = format!(
            "交付以来磁盘读写合计 {}，写过的不会更多；加系统所需的 {} 和 {headroom}% 余量要 {}，现有 {}，其余从未写过；磁盘不能就地缩小，重建时改小",
            gib(moved),
            gib(float(least)),
            gib(float(to)),
            gib(float(disk)),
        );
        let advice = self.advice(change, Resource::Disk, (disk, to), moved, sentence);
        Some(Advice { change: Change::NeverUsed, percentile: None, headroom_percent: Some(headroom), ..advice })
    }

    fn known(&self, metric: Metric) -> Option<()> {
        (self.window.coverage_of(metric) >= self.sizing.coverage).then_some(())
    }

    /// By the careful end of each way.
    fn change(&self, from: i64, smaller: i64, larger: i64) -> Option<(Change, i64)> {
        if larger > from {
            return Some((Change::Larger, larger));
        }
        let worth = float(from - smaller) >= float(from) * self.sizing.least_saving_percent / 100.0;
        (smaller < from && worth).then_some((Change::Smaller, smaller))
    }

    fn advice(&self, change: Change, of: Resource, size: (i64, i64), measured: f64, sentence: String) -> Advice {
        let Class { percentile, headroom_percent } = self.sizing.class(self.size.class);
        Advice {
            change,
            resource: of,
            from: size.0,
            to: size.1,
            measured: Some((measured * 1000.0).round() / 1000.0),
            percentile: Some(percentile),
            headroom_percent: Some(headroom_percent),
            sizing_version: self.sizing.version,
            sentence,
        }
    }
}

const fn edge(used: Bounds, change: Change) -> f64 {
    if matches!(change, Change::Larger) { used.low } else { used.high }
}

fn with(used: f64, percent: f64) -> f64 {
    used * (1.0 + percent / 100.0)
}

#[allow(clippy::cast_precision_loss, reason = "sizes are below 2^53")]
const fn float(size: i64) -> f64 {
    size as f64
}

#[allow(clippy::cast_possible_truncation, reason = "a cast saturates")]
fn rounded_up(wanted: f64, step: i64) -> i64 {
    ((wanted / float(step)).ceil() as i64).saturating_mul(step)
}

fn gib(bytes: f64) -> String {
    format!("{:.2} GiB", bytes / float(GIB))
}
