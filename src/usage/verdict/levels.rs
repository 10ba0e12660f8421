//! How much a machine does, day by day, above what it does by itself: its floor, and days that stand out from it.

use super::{Facts, Thresholds, days_between, middle::median, past::Past, rhythm};
use crate::usage::{
    histogram::Bounds,
    point::Metric,
    window::{Figures, Window},
};
use jiff::civil::{Date, Weekday};
use std::collections::BTreeSet;

/// What use shows in, in this order wherever there are four of something: vCPUs, and bytes per second.
pub const CORE: [Metric; 4] = [Metric::Cpu, Metric::Received, Metric::Sent, Metric::Disk];

/// A vCPU for a day, in vCPU-hours.
const DAY_HOURS: f64 = 24.0;
const DAY_SECONDS: f64 = 86_400.0;

/// What a machine does by itself, and what of that is too much to be only that.
#[derive(Clone, Debug)]
pub struct Levels {
    /// vCPUs.
    pub size: f64,
    /// The middle of all samples of the window.
    pub middle: [Option<Bounds>; 4],
    /// What no sum of agents does without end.
    pub steady_most: [f64; 4],
    /// The middle, at most what agents do: what is subtracted.
    pub floor: [f64; 4],
    /// The middle one of the days' means.
    pub typical: [Option<f64>; 4],
}

/// A day's mean in the units of [`CORE`]. Days that are known for less than half say nothing.
pub fn mean(day: &Figures, core: usize, assumed: f64) -> Option<f64> {
    let mean = day.mean[CORE[core].index()].filter(|_| day.coverage >= 0.5)?;
    let vcpus = day.vcpus.map_or(assumed, |(_, most)| f64::from(most));
    Some(if core == 0 { mean * vcpus / 100.0 } else { mean })
}

fn means(window: &Window, core: usize, assumed: f64) -> Vec<f64> {
    let mut means: Vec<f64> = window.days().iter().filter_map(|day| mean(day, core, assumed)).collect();
    means.sort_by(f64::total_cmp);
    means
}

/// A percentile of all samples, in the units of [`CORE`].
pub fn percentile(window: &Window, core: usize, q: f64, assumed: f64) -> Option<Bounds> {
    let metric = CORE[core];
    if core > 0 {
        return window.histogram(metric).percentile(q);
    }
    window.vcpus_percentile(q).or_else(|| {
        let bounds = window.histogram(metric).percentile(q)?;
        Some(Bounds { low: bounds.low * assumed / 100.0, high: bounds.high * assumed / 100.0 })
    })
}

impl Levels {
    pub fn of(recent: &Window, facts: &Facts, t: &Thresholds) -> Self {
        let size = recent.vcpus().map_or(t.assumed_vcpus, |(_, most)| f64::from(most));
        let image = facts.floor.map_or([0.0; 4], |floor| [floor.vcpus, floor.received, floor.sent, floor.disk]);
        let most = [t.steady_vcpus.max(t.steady_cpu_share * size), t.steady_received, t.steady_sent, t.steady_disk];
        // Twice what the image was measured to do: no two machines are alike.
        let steady_most = [0, 1, 2, 3].map(|core| most[core].max(2.0 * image[core]));
        let middle = [0, 1, 2, 3].map(|core| percentile(recent, core, 50.0, t.assumed_vcpus));
        let floor = [0, 1, 2, 3].map(|core| middle[core].map_or(0.0, |middle| middle.low.min(steady_most[core])));
        let typical = [0, 1, 2, 3].map(|core| median(means(recent, core, t.assumed_vcpus)));
        Self { size, middle, steady_most, floor, typical }
    }

    /// What upkeep may add to the floor on every day: vCPUs, and bytes per second received.
    pub fn upkeep(&self, t: &Thresholds) -> [f64; 2] {
        [(t.upkeep_vcpu_hours / DAY_HOURS).max(t.upkeep_cpu_share * self.size), t.upkeep_received_bytes / DAY_SECONDS]
    }

    /// What a typical day has above the floor: vCPUs, and bytes per second received.
    pub fn daily(&self) -> [Option<f64>; 2] {
        [0, 1].map(|core| self.typical[core].map(|typical| (typical - self.floor[core]).max(0.0)))
    }

    /// Days on which the machine worked, in the whole of `year`: those that are far from a typical day, and those that stand
    /// out, though less, where they stand together. Days before the window also have to stand out from every day in it: what
    /// happens now, and is not work, was no work then.
    pub fn worked(&self, recent: &Window, year: &Past, t: &Thresholds) -> Vec<Date> {
        let unusual = [
            (t.unusual_vcpu_hours / DAY_HOURS).max(t.unusual_cpu_share * self.size),
            t.unusual_received_bytes / DAY_SECONDS,
            t.unusual_sent_bytes / DAY_SECONDS,
        ];
        let least = [t.raised_vcpus, t.raised_received, t.raised_sent];
        let days: Vec<Shown> = year.days().iter().map(|day| Shown::of(day, t.assumed_vcpus)).collect();
        let begins = year.days().partition_point(|day| day.date < recent.from());
        let (before, now) = days.split_at(begins);
        // What the most of a month's days is: of the window, and of a typical month before it.
        let highest = |days: &[Shown], of: fn(&Shown, usize) -> Option<f64>, core: usize| {
            days.iter().filter_map(|day| of(day, core)).max_by(f64::total_cmp)
        };
        let month = usize::try_from(recent.length()).unwrap_or(usize::MAX).max(1);
        let typically = |of: fn(&Shown, usize) -> Option<f64>, core: usize| {
            median(before.rchunks(month).filter_map(|days| highest(days, of, core)).collect())
        };
        let above = |value: Option<f64>, from: Option<f64>, share: f64, least: f64| {
            value.zip(from).is_some_and(|(value, from)| value > (from * (1.0 + share)).max(from + least))
        };
        let mean: fn(&Shown, usize) -> Option<f64> = |day, core| day.mean[core];
        let rise: fn(&Shown, usize) -> Option<f64> = |day, core| day.rise[core];
        let of_now = [0, 1, 2].map(|core| [highest(now, mean, core), highest(now, rise, core)]);
        let of_before = [0, 1, 2].map(|core| [typically(mean, core), typically(rise, core)]);
        let mut worked = BTreeSet::new();
        let (mut alone, mut risen) = (BTreeSet::new(), Vec::new());
        for (n, day) in days.iter().enumerate() {
            let is_now = n >= begins;
            let far = |core: usize, unusual: f64| {
                let typical = self.typical[core];
                above(day.mean[core], typical, t.unusual_times, unusual)
                    && (is_now || above(day.mean[core], of_now[core][0], t.raised_share, 0.0))
            };
            if far(1, unusual[1]) || far(2, unusual[2]) {
                worked.insert(day.date);
            } else if far(0, unusual[0]) {
                let sent = above(day.mean[2], self.typical[2], 0.0, t.weekly_sent_bytes / DAY_SECONDS);
                let much = (t.weekly_vcpu_hours / DAY_HOURS).max(t.weekly_cpu_share * self.size);
                let long = above(day.mean[0], self.typical[0], 0.0, much);
                if sent || long {
                    worked.insert(day.date)
                } else {
                    alone.insert(day.date)
                };
            }
            let stands_out = (0..3).any(|core| {
                let [mean, rise] = if is_now { of_before[core] } else { of_now[core] };
                above(day.mean[core], mean, t.raised_share, least[core])
                    || above(day.rise[core], rise, t.raised_share, least[core])
            });
            if stands_out {
                risen.push(day.date);
            }
        }
        let weekly = weekly(&alone, year.to(), t.weekly_share);
        worked.extend(alone.into_iter().filter(|day| Some(day.weekday()) != weekly));
        worked.extend(crowded(&risen, t.raised_days_of_seven));
        worked.into_iter().collect()
    }
}

/// What a day shows of CPU, received and sent: its mean, and by how much working hours are above the others.
struct Shown {
    date: Date,
    mean: [Option<f64>; 3],
    rise: [Option<f64>; 3],
}

impl Shown {
    fn of(day: &Figures, assumed: f64) -> Self {
        Self {
            date: day.date,
            mean: [0, 1, 2].map(|core| mean(day, core, assumed)),
            rise: [0, 1, 2].map(|core| rhythm::rise(day, core, assumed).map(|rise| rise.max(0.0))),
        }
    }
}

/// The weekday of a weekly timer: of days that stand out by CPU alone, in the last four weeks, all are of one weekday, and
/// they are most of its four.
#[allow(clippy::cast_precision_loss, reason = "a count of weeks")]
fn weekly(alone: &BTreeSet<Date>, on: Date, share: f64) -> Option<Weekday> {
    let late: Vec<Date> = alone.iter().copied().filter(|day| days_between(*day, on) < 28).collect();
    let weekday = late.first()?.weekday();
    (late.len() as f64 >= 4.0 * share && late.iter().all(|day| day.weekday() == weekday)).then_some(weekday)
}

/// Days of which so many stand in some seven days together.
fn crowded(days: &[Date], least: u32) -> BTreeSet<Date> {
    let least = usize::try_from(least).unwrap_or(usize::MAX).max(1);
    let together = days.windows(least).filter(|days| days_between(days[0], days[days.len() - 1]) < 7);
    together.flatten().copied().collect()
}
