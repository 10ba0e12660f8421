//! Whether use goes with working hours. People come in the morning, leave in the evening and stay away on Sundays; timers do
//! not. Ranks, not sums: one nightly job, however large, moves nothing.

use super::{Thresholds, middle::median};
use crate::usage::{point::Metric, window::Figures};
use jiff::civil::Weekday;

/// How sure it is that use goes with working hours, in standard deviations of what chance would give, and by how much it
/// rises in the metric's unit. The larger of two tests: working days against days off, and hours of work against the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rhythm {
    pub z: f64,
    pub rise: f64,
    /// What it rises from.
    pub from: f64,
}

/// Holidays are not looked up: days off among working days only blunt the test.
const WORKING: [Weekday; 5] =
    [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday];

/// CPU in vCPUs, received and sent in bytes per second.
pub fn rhythms(days: &[Figures], thresholds: &Thresholds) -> [Rhythm; 3] {
    [0, 1, 2].map(|metric| {
        let days: Vec<(Weekday, [f64; 6])> = days
            .iter()
            .filter_map(|day| Some((day.date.weekday(), parts(day, metric, thresholds.assumed_vcpus)?)))
            .collect();
        [by_week(&days), by_hours(&days)].into_iter().max_by(|one, other| one.z.total_cmp(&other.z)).unwrap_or_default()
    })
}

/// Means of a day's parts; `None` unless each of them is known for the most part.
#[allow(clippy::cast_precision_loss, reason = "sums of a day")]
fn parts(day: &Figures, metric: usize, assumed: f64) -> Option<[f64; 6]> {
    let most = day.parts.iter().map(|part| part.samples).max().unwrap_or_default();
    if day.parts.iter().any(|part| part.samples == 0 || part.samples * 2 < most) {
        return None;
    }
    let vcpus = day.vcpus.map_or(assumed, |(_, most)| f64::from(most));
    Some(day.parts.map(|part| {
        let sum = [part.cpu as f64 * vcpus / 1e4, part.received as f64, part.sent as f64][metric];
        sum / f64::from(part.samples)
    }))
}

/// The middle one of the three parts in which offices are closed: a job in one of them does not move it.
fn closed(parts: &[f64; 6]) -> f64 {
    let [a, b, c] = [parts[0], parts[1], parts[5]];
    a.max(b).min(a.min(b).max(c))
}

/// What open hours have above closed ones.
fn above(parts: &[f64; 6]) -> f64 {
    (parts[2] + parts[3] + parts[4]) / 3.0 - closed(parts)
}

/// By how much the hours in which offices work are above the others on one day.
pub fn rise(day: &Figures, metric: usize, assumed: f64) -> Option<f64> {
    parts(day, metric, assumed).map(|parts| above(&parts))
}

fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a count of days")]
    let count = values.clone().count().max(1) as f64;
    values.sum::<f64>() / count
}

/// Of connections from outside in a day, counted; monitoring knows no days off.
#[allow(clippy::cast_precision_loss, reason = "counts of a day")]
pub fn inbound(days: &[Figures]) -> Rhythm {
    let counted = days.iter().filter(|day| day.presence.counted > 0 && day.coverage >= 0.5);
    let of = |day: &Figures| day.presence.inbound as f64 * f64::from(day.samples) / f64::from(day.presence.counted);
    let days: Vec<(Weekday, f64)> = counted.map(|day| (day.date.weekday(), of(day) / day.coverage)).collect();
    by_weekday(&days)
}

/// By how much open hours are above closed ones, on working days against days off. What is there every day at some hour is
/// there on days off too, and cancels.
fn by_week(days: &[(Weekday, [f64; 6])]) -> Rhythm {
    let from = mean(days.iter().map(|(_, parts)| closed(parts)));
    let days: Vec<(Weekday, f64)> = days.iter().map(|(weekday, parts)| (*weekday, above(parts))).collect();
    Rhythm { from, ..by_weekday(&days) }
}

/// Working days against days off; the least of what is left when each weekday in turn is left out: a timer may keep to one
/// of them.
fn by_weekday(days: &[(Weekday, f64)]) -> Rhythm {
    Weekday::Monday
        .cycle_forward()
        .take(7)
        .map(|without| {
            let days = days.iter().filter(|(weekday, _)| *weekday != without);
            against(days.map(|(weekday, value)| (*value, WORKING.contains(weekday))).collect())
        })
        .min_by(|one, other| one.z.total_cmp(&other.z))
        .unwrap_or_default()
}

/// Whether the marked values are above the others (Mann and Whitney).
#[allow(clippy::cast_precision_loss, reason = "counts of days")]
fn against(mut ranked: Vec<(f64, bool)>) -> Rhythm {
    ranked.sort_by(|one, other| one.0.total_cmp(&other.0));
    let working = ranked.iter().filter(|(_, working)| *working).count();
    let off = ranked.len() - working;
    if working < 12 || off < 6 {
        return Rhythm::default();
    }
    // Equal values share their ranks.
    let (mut rank_sum, mut ties, mut at) = (0.0, 0.0, 0);
    while at < ranked.len() {
        let same = ranked[at..].iter().take_while(|(value, _)| *value <= ranked[at].0).count();
        let rank = at as f64 + 0.5 * (same as f64 + 1.0);
        rank_sum += rank * ranked[at..at + same].iter().filter(|(_, working)| *working).count() as f64;
        ties += (same as f64).powi(3) - same as f64;
        at += same;
    }
    let (n, m) = (working as f64, off as f64);
    let all = n + m;
    let (u, variance) =
        (rank_sum - n * (n + 1.0) / 2.0, n * m / 12.0 * ((all + 1.0) - ties / (all * (all - 1.0)).max(1.0)));
    if variance <= 0.0 {
        return Rhythm::default();
    }
    let side = |wanted: bool| ranked.iter().filter(move |(_, working)| *working == wanted).map(|(value, _)| *value);
    Rhythm { z: (u - n * m / 2.0) / variance.sqrt(), rise: mean(side(true)) - mean(side(false)), from: 0.0 }
}

/// On working days, each part of the open hours against the closed ones (signs). The second best of the three counts: a
/// timer fills one part of a day, a person more. And of the weekdays the least, each left out in turn, as above.
#[allow(clippy::cast_precision_loss, reason = "counts of days")]
fn by_hours(days: &[(Weekday, [f64; 6])]) -> Rhythm {
    let without = |without: Weekday| {
        let working: Vec<&[f64; 6]> = days
            .iter()
            .filter(|(weekday, _)| *weekday != without && WORKING.contains(weekday))
            .map(|(_, parts)| parts)
            .collect();
        if working.len() < 12 {
            return Rhythm::default();
        }
        let from = mean(working.iter().map(|parts| closed(parts)));
        let mut found = [2, 3, 4].map(|part| {
            let differences = || working.iter().map(|parts| parts[part] - closed(parts));
            let above = differences().filter(|difference| *difference > 0.0).count() as f64;
            let below = differences().filter(|difference| *difference < 0.0).count() as f64;
            let z = (above - below) / (above + below).max(1.0).sqrt();
            Rhythm { z, rise: mean(differences()), from }
        });
        found.sort_by(|one, other| other.z.total_cmp(&one.z));
        found[1]
    };
    WORKING.into_iter().map(without).min_by(|one, other| one.z.total_cmp(&other.z)).unwrap_or_default()
}

/// Whether what a machine received it wrote, from day to day.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Together {
    /// From -1 to 1: how often the two stand out on the same side of the days around them.
    pub share: f64,
    /// How sure that is, in standard deviations of what chance would give.
    pub z: f64,
    /// How far received varies from day to day, as a share of itself.
    pub spread: f64,
}

/// Signs against the days around, so that neither slow drift nor single large days count for much.
#[allow(clippy::cast_precision_loss, reason = "counts of days")]
pub fn together(days: &[Figures]) -> Together {
    let of = |day: &Figures, metric: Metric| day.mean[metric.index()].filter(|_| day.coverage >= 0.5);
    let (mut with, mut against, mut spreads) = (0_u32, 0_u32, Vec::new());
    for days in days.windows(3) {
        let around = |metric| Some(of(&days[0], metric)?.midpoint(of(&days[2], metric)?));
        let out = |metric| Some(of(&days[1], metric)? - around(metric)?);
        let Some((received, disk)) = out(Metric::Received).zip(out(Metric::Disk)) else { continue };
        with += u32::from(received * disk > 0.0);
        against += u32::from(received * disk < 0.0);
        spreads.extend(around(Metric::Received).filter(|around| *around > 0.0).map(|around| (received / around).abs()));
    }
    let (difference, all) = (f64::from(with) - f64::from(against), f64::from(with + against).max(1.0));
    Together { share: difference / all, z: difference / all.sqrt(), spread: median(spreads).unwrap_or_default() }
}
