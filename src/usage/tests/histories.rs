//! Random histories: gaps, doubles, late ones, resets told and untold, misread counters. What is folded never says more than
//! what truly happened, and a restart at any instant changes nothing.

use super::*;
use proptest::prelude::*;

/// What befalls the reading at the end of a stretch.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Arrives,
    Lost,
    Doubled,
    /// Arrives after the next one.
    Late,
    /// The machine began a new life somewhere in the stretch.
    Reborn,
    /// Its counters began anew, and it does not say so.
    Untold,
    /// All counters are read as zero.
    Misread,
    /// Its clock is a day ahead for once.
    Ahead,
    /// The broker starts again.
    Restart,
}

/// A stretch in which all rates stay what they are.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    seconds: i64,
    /// Thousandths of all vCPUs.
    cpu: u64,
    bytes: u64,
    fate: Fate,
}

fn stretch() -> impl Strategy<Value = Stretch> {
    let fate = prop_oneof![
        12 => Just(Fate::Arrives), 2 => Just(Fate::Lost), 1 => Just(Fate::Doubled), 1 => Just(Fate::Late),
        1 => Just(Fate::Reborn), 1 => Just(Fate::Untold), 1 => Just(Fate::Misread), 1 => Just(Fate::Ahead), 1 => Just(Fate::Restart),
    ];
    let seconds = prop_oneof![6 => Just(60_i64), 2 => 55..65_i64, 1 => 1..400_i64, 1 => 400..9_000_i64];
    let busy = prop_oneof![2 => Just((0, 0)), 2 => (0..1001_u64, 0..1_000_000_u64), 1 => Just((1000, 10_000_000))];
    (seconds, busy, fate).prop_map(|(seconds, (cpu, bytes), fate)| Stretch { seconds, cpu, bytes, fate })
}

/// What truly happened, and what of it was told.
#[derive(Default)]
struct Truth {
    /// End of each stretch in seconds, and all milliseconds of CPU and bytes until then.
    ends: Vec<(i64, u64, u64)>,
    /// When a reading arrived that was right about its time.
    told: Vec<i64>,
}

impl Truth {
    fn until(&self, second: i64) -> (u64, u64) {
        self.ends.iter().rfind(|(end, ..)| *end <= second).map_or((0, 0), |(_, cpu, bytes)| (*cpu, *bytes))
    }

    /// Seconds of a day that readings truly speak for: nothing before the first, nothing of gaps, no more than an interval
    /// for each.
    fn covered(&self, day: i64) -> i64 {
        let mut told = self.told.clone();
        told.sort_unstable();
        let pairs = told.windows(2).filter(|pair| pair[1] - pair[0] <= 150);
        let clipped = pairs.map(|pair| (pair[1].min(day + 86_400) - pair[0].max(pair[1] - 60).max(day)).max(0));
        clipped.sum()
    }
}

/// In the order of their arrival, with the broker's clock, and where it starts again.
fn deliveries(story: &[Stretch], begins: i64) -> (Truth, Vec<(Reading, i64, bool)>) {
    let (mut truth, mut out, mut held) = (Truth::default(), Vec::new(), None);
    // No counter that is right stands at zero: one that is misread at where it stood is right as far as anybody can know.
    let (mut now, mut life, mut cpu, mut bytes) = (begins, 1, 1, 1);
    let (mut all_cpu, mut all_bytes) = (0, 0);
    // Whether a right reading was taken since the counters began: a wrong one in its place could be their beginning.
    let mut known = true;
    truth.ends.push((now, 0, 0));
    out.push((Reading { life, ..reading(now, 1) }, now, false));
    truth.told.push(now);
    for Stretch { seconds, cpu: busy, bytes: rate, fate } in story {
        let ran = |seconds: i64| (2 * busy * seconds.unsigned_abs(), rate * seconds.unsigned_abs());
        let whole = ran(*seconds);
        (all_cpu, all_bytes) = (all_cpu + whole.0, all_bytes + whole.1);
        if matches!(fate, Fate::Reborn | Fate::Untold) {
            life += u64::from(*fate == Fate::Reborn);
            let since = ran(seconds / 2);
            (cpu, bytes) = (1 + since.0, 1 + since.1);
        } else {
            (cpu, bytes) = (cpu + whole.0, bytes + whole.1);
        }
        now += seconds;
        truth.ends.push((now, all_cpu, all_bytes));
        let full = |at: i64| Reading {
            at: self::at(at),
            life,
            cpu_nanos: Some(cpu * 1_000_000),
            read_bytes: Some(bytes),
            written_bytes: Some(1),
            received_bytes: Some(bytes),
            sent_bytes: Some(bytes),
            ..reading(at, 0)
        };
        let release = held.take();
        known = known && !matches!(fate, Fate::Reborn | Fate::Untold);
        match fate {
            Fate::Misread if !known => {}
            Fate::Lost => {}
            Fate::Late => held = Some((full(now), now)),
            Fate::Ahead => out.push((full(now + 86_400), now, false)),
            Fate::Misread => out.push((Reading { life, ..reading(now, 0) }, now, false)),
            Fate::Doubled => out.extend([(full(now), now, false), (full(now), now, false)]),
            Fate::Arrives | Fate::Reborn | Fate::Untold => out.push((full(now), now, false)),
            Fate::Restart => out.push((full(now), now, true)),
        }
        if !matches!(fate, Fate::Lost | Fate::Late | Fate::Ahead) {
            truth.told.push(now);
            known = known || (*fate != Fate::Misread && *seconds >= 30);
        }
        if let Some((reading, at)) = release {
            truth.told.push(at);
            out.push((reading, now, false));
        }
    }
    (truth, out)
}

/// All rows, the last one as it stands; and all points.
fn fold(deliveries: &[(Reading, i64, bool)], restarts: bool) -> (Vec<Day>, Vec<Point>) {
    let (mut open, mut days, mut points) = (Open::default(), Vec::new(), Vec::new());
    for (reading, now, restart) in deliveries {
        if restarts && *restart {
            open = Open::decode(&open.encode()).expect("what was written");
        }
        let step = open.take(reading, Interval::MINUTE, at(*now));
        days.extend(step.closed.map(|day| *day));
        points.extend(step.taken.point);
    }
    days.extend(open.so_far().map(|day| *day));
    (days, points)
}

fn cases() -> ProptestConfig {
    ProptestConfig::with_cases(if cfg!(debug_assertions) { 512 } else { 20_000 })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn nothing_is_said_that_did_not_happen(story in proptest::collection::vec(stretch(), 0..120), begins in 0..86_400_i64) {
        let (truth, deliveries) = deliveries(&story, begins);
        let (days, points) = fold(&deliveries, false);
        let mut last = i64::MIN;
        for point in &points {
            let seconds = |micros: i64| micros / 1_000_000 - midnight();
            let (from, to) = (seconds(point.from), seconds(point.to));
            prop_assert!(from >= last && to > from, "{:?}", point);
            last = to;
            let (before, after) = (truth.until(from), truth.until(to));
            // And one for what a counter began from.
            let (cpu, bytes) = (after.0 - before.0 + 1, after.1 - before.1 + 1);
            let span = (to - from) as f64;
            for metric in [Metric::Disk, Metric::Received, Metric::Sent] {
                if let Some(rate) = point.values[metric.index()] {
                    let bytes = if metric == Metric::Disk { bytes + 1 } else { bytes };
                    prop_assert!(rate <= bytes as f64 / span * (1.0 + 1e-12), "{} {:?}", bytes, point);
                }
            }
            if let Some(percent) = point.values[Metric::Cpu.index()] {
                prop_assert!(percent <= cpu as f64 / (20.0 * span) * (1.0 + 1e-12), "{} {:?}", cpu, point);
            }
            let Traffic { disk, received, sent } = point.traffic;
            prop_assert!(disk.max(received + 1).max(sent + 1) <= bytes + 1);
        }
        prop_assert!(days.windows(2).all(|pair| pair[0].date() < pair[1].date()));
        let mut window = Window::new(DATE, DATE.checked_add(jiff::Span::new().days(60)).expect("a date")).expect("a window");
        for day in &days {
            let covered = truth.covered(time::day_begins(day.date()) - midnight()) as f64 / 86_400.0;
            prop_assert!(day.coverage() <= covered + 1e-9, "{} {} of {}", day.date(), day.coverage(), covered);
            for metric in Metric::ALL {
                prop_assert!(day.coverage_of(metric) <= day.coverage());
                prop_assert!(day.histogram(metric).count() <= u64::from(day.samples()));
            }
            prop_assert_eq!(Day::decode(day.date(), &day.encode()), Ok(Day::clone(day)));
            prop_assert!(window.add(day) && !window.add(day));
        }
        let bytes = truth.ends.last().map_or(0, |end| end.2) + points.len() as u64;
        prop_assert!(window.traffic().received <= bytes);
        prop_assert_eq!(window.samples(), points.iter().filter(|p| p.values.iter().any(Option::is_some)).count() as u64);
    }

    #[test]
    fn a_restart_at_any_instant_changes_nothing(story in proptest::collection::vec(stretch(), 0..120), begins in 0..86_400_i64) {
        let (_, mut deliveries) = deliveries(&story, begins);
        prop_assert_eq!(fold(&deliveries, true), fold(&deliveries, false));
        for (.., restart) in &mut deliveries {
            *restart = true;
        }
        prop_assert_eq!(fold(&deliveries, true), fold(&deliveries, false));
    }

    /// A story told without a fault is told in full.
    #[test]
    fn nothing_is_lost_of_what_arrives(rates in proptest::collection::vec((0..1001_u64, 0..10_000_000_u64), 1..200), begins in 0..86_400_i64) {
        let story: Vec<_> =
            rates.iter().map(|(cpu, bytes)| Stretch { seconds: 60, cpu: *cpu, bytes: *bytes, fate: Fate::Arrives }).collect();
        let (truth, deliveries) = deliveries(&story, begins);
        let (days, points) = fold(&deliveries, true);
        prop_assert_eq!(points.len(), rates.len());
        prop_assert_eq!(days.iter().map(|day| day.traffic().sent).sum::<u64>(), truth.ends.last().map_or(0, |end| end.2));
        for day in &days {
            let truly = truth.covered(time::day_begins(day.date()) - midnight()) as f64 / 86_400.0;
            // The sample over midnight is the next day's, and covers nothing of this one.
            prop_assert!((-1e-9..60.5 / 86_400.0).contains(&(truly - day.coverage())));
        }
        for (point, (cpu, bytes)) in points.iter().zip(&rates) {
            prop_assert!((point.values[0].expect("CPU") - *cpu as f64 / 10.0).abs() < 1e-9);
            prop_assert!((point.values[3].expect("received") - *bytes as f64).abs() < 1e-3);
        }
    }
}
