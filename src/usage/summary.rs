//! A window in the figures that people read.

use super::{
    histogram::Bounds,
    point::Metric,
    window::{Figures, Window},
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// How one metric was distributed over the samples of a window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Distribution {
    pub mean: f64,
    /// By nearest rank. Never below the true one, and above it by one step of the histogram at most (a tenth for percents, a
    /// quarter for rates).
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    /// Exact.
    pub max: f64,
}

impl Distribution {
    fn of(window: &Window, metric: Metric) -> Option<Self> {
        let (mean, max) = (window.mean(metric)?, window.max(metric)?);
        let rank = |q| window.histogram(metric).percentile(q).map(|bounds: Bounds| rounded(bounds.high.min(max)));
        Some(Self { mean: rounded(mean), p50: rank(50.0)?, p95: rank(95.0)?, p99: rank(99.0)?, max: rounded(max) })
    }
}

/// Three digits after the point: what is finer is the histogram's, not the machine's.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// What a machine has used over some days.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Summary {
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    #[schema(value_type = String, format = Date)]
    pub to: Date,
    pub samples: u64,
    /// Percent of the whole time from the first day's begin to the last day's end that samples speak for. What is not covered
    /// is unknown, not idle.
    pub coverage_percent: f64,
    /// Of the vCPUs that it had; `null` when nothing was measured, as with all that follow.
    #[schema(required)]
    pub cpu_percent: Option<Distribution>,
    /// Of the memory that it had.
    #[schema(required)]
    pub memory_percent: Option<Distribution>,
    /// Read and written.
    #[schema(required)]
    pub disk_bytes_per_second: Option<Distribution>,
    #[schema(required)]
    pub received_bytes_per_second: Option<Distribution>,
    #[schema(required)]
    pub sent_bytes_per_second: Option<Distribution>,
    pub disk_bytes: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
}

impl From<&Window> for Summary {
    fn from(window: &Window) -> Self {
        let of = |metric| Distribution::of(window, metric);
        let traffic = window.traffic();
        Self {
            from: window.from(),
            to: window.to(),
            samples: window.samples(),
            coverage_percent: rounded(window.coverage() * 100.0),
            cpu_percent: of(Metric::Cpu),
            memory_percent: of(Metric::Memory),
            disk_bytes_per_second: of(Metric::Disk),
            received_bytes_per_second: of(Metric::Received),
            sent_bytes_per_second: of(Metric::Sent),
            disk_bytes: traffic.disk,
            received_bytes: traffic.received,
            sent_bytes: traffic.sent,
        }
    }
}

/// One day of it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DaySummary {
    #[schema(value_type = String, format = Date)]
    pub date: Date,
    pub samples: u32,
    pub coverage_percent: f64,
    #[schema(required)]
    pub cpu_mean_percent: Option<f64>,
    #[schema(required)]
    pub cpu_max_percent: Option<f64>,
    #[schema(required)]
    pub memory_mean_percent: Option<f64>,
    pub disk_bytes: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
}

impl From<&Figures> for DaySummary {
    fn from(day: &Figures) -> Self {
        Self {
            date: day.date,
            samples: day.samples,
            coverage_percent: rounded(day.coverage * 100.0),
            cpu_mean_percent: day.mean[Metric::Cpu.index()].map(rounded),
            cpu_max_percent: day.max[Metric::Cpu.index()].map(rounded),
            memory_mean_percent: day.mean[Metric::Memory.index()].map(rounded),
            disk_bytes: day.traffic.disk,
            received_bytes: day.traffic.received,
            sent_bytes: day.traffic.sent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{Interval, OpenDay, Point, Traffic};
    use jiff::civil::date;

    #[test]
    fn percentiles_are_of_a_hundred() {
        let day = date(2026, 3, 2);
        let mut open = OpenDay::new(day);
        let begins = crate::time::day_begins(day) * 1_000_000;
        for minute in 0..100_i32 {
            let from = begins + i64::from(minute) * 60_000_000;
            open.fold(&Point {
                from,
                to: from + 60_000_000,
                interval: Interval::MINUTE,
                vcpus: Some(2),
                values: [Some(f64::from(minute + 1)), None, None, None, None],
                traffic: Traffic::default(),
                logged_in: None,
                inbound: None,
            });
        }
        let mut window = Window::new(day, day).unwrap();
        assert!(window.add(&open.close()));
        let cpu = Summary::from(&window).cpu_percent.unwrap();
        for (found, truth) in [(cpu.p50, 50.0), (cpu.p95, 95.0), (cpu.p99, 99.0)] {
            assert!(truth <= found && found <= truth * 1.1, "{found} for {truth}");
        }
    }
}
