//! Rows: what a day says, and how it is kept.

use super::*;
use crate::provider::reading::Guest;
use flate2::read::GzDecoder;
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

/// A day of a server that somebody works with, once a minute.
fn day_of_minutes(seed: u64) -> Box<Day> {
    let (mut dice, mut open) = (Dice(seed), OpenDay::new(DATE));
    let scale = 0.2 + 4.0 * dice.roll();
    for minute in 1..=1440_i64 {
        let work = if (540..1080).contains(&minute) { 1.0 } else { 0.15 };
        let mut draw = |most: f64| scale * work * most * (-dice.roll().max(1e-9).ln()) * (0.2 + dice.roll());
        let values = [draw(4.0), 30.0 + draw(0.5), draw(40_000.0), draw(8_000.0), draw(20_000.0)];
        let [cpu, memory, disk, received, sent] = values;
        let point = Point {
            from: at(minute * 60 - 60).as_microsecond(),
            to: at(minute * 60).as_microsecond(),
            interval: Interval::MINUTE,
            vcpus: Some(4),
            values: [cpu.min(100.0), memory.min(100.0), disk, received, sent].map(Some),
            traffic: Traffic { disk: disk as u64 * 60, received: received as u64 * 60, sent: sent as u64 * 60 },
            logged_in: Some(work == 1.0 && dice.roll() < 0.5),
            inbound: Some(received as u64 / 1000),
        };
        assert!(open.fold(&point));
    }
    open.close()
}

#[test]
fn a_day_of_minutes_fits_half_a_kilobyte() {
    let mut sizes: Vec<_> = (0..99).map(|seed| day_of_minutes(seed).encode().len()).collect();
    sizes.sort_unstable();
    println!("machine-days of 1440 busy samples: median {} bytes, longest {}", sizes[49], sizes[98]);
    assert!(sizes[49] <= 512, "{sizes:?}");
}

#[test]
fn real_machine_days_fit_half_a_kilobyte() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/bitbrains-rnd-2013-08-100vms.csv.gz");
    let Ok(file) = File::open(&path) else {
        println!("NOT TESTED: there is no trace at {}", path.display());
        return;
    };
    let mut rows = BTreeMap::<String, Vec<Gauge>>::new();
    for line in BufReader::new(GzDecoder::new(file)).lines().skip(1) {
        let line = line.expect("a line");
        let fields: Vec<&str> = line.split(',').collect();
        let number = |at: usize| fields[at].parse::<f64>().expect("a number");
        let rate = |at: usize| number(at) * 1024.0;
        let memory = number(6) * 100.0 / number(5);
        rows.entry(fields[0].to_owned()).or_default().push(Gauge {
            at: Timestamp::from_second(fields[1].parse().expect("seconds")).expect("an instant"),
            vcpus: Some(number(2) as u32),
            values: [number(4), memory, rate(7) + rate(8), rate(9), rate(10)].map(Some),
            logged_in: None,
            inbound: None,
        });
    }
    let interval = Interval::seconds(300).expect("an interval");
    let mut days = Vec::new();
    for gauges in rows.values() {
        let mut open = Open::default();
        for gauge in gauges {
            days.extend(open.take_gauge(gauge, interval, gauge.at).closed);
        }
        days.extend(open.close_before(Date::MAX));
    }
    let mut sizes: Vec<_> = days.iter().map(|day| day.encode().len()).collect();
    sizes.sort_unstable();
    let (median, longest) = (sizes[sizes.len() / 2], sizes[sizes.len() - 1]);
    println!("{} machines, {} days: median {median} bytes, longest {longest}", rows.len(), days.len());
    assert!(rows.len() == 100 && days.len() > 2_900 && median <= 512);
    for day in days {
        assert_eq!(Day::decode(day.date(), &day.encode()), Ok(*day));
    }
}

#[test]
fn a_day_says_what_was_folded_into_it() {
    let mut open = Open::default();
    // 40 minutes from midnight on: 10 % of CPU, but 60 % in the minute that ends at half past.
    let mut count = 0;
    for minute in 0..=40 {
        count += if minute == 30 { 72_000 } else { 12_000 };
        assert_eq!(open.take(&reading(minute * 60, count), Interval::MINUTE, at(minute * 60)).closed, None);
    }
    let day = open.so_far().expect("a day");
    assert_eq!((day.date(), day.samples(), day.due(), day.vcpus()), (DATE, 40, 1440, Some((2, 2))));
    assert_eq!((day.coverage(), day.interval()), (40.0 / 1440.0, Some(Interval::MINUTE)));
    assert_eq!((day.max(Metric::Cpu), day.mean(Metric::Cpu)), (Some(60.0), Some(11.25)));
    assert_eq!(day.highest_half_hour(), Some(11.666_666));
    let maxima: Vec<_> = day.maxima().hits().map(|(bounds, count)| (bounds.low < 61.0, count)).collect();
    assert_eq!(maxima, [(true, 1), (true, 1)]);
    assert_eq!(day.traffic().received, count - 12_000);
    // The rest of the day is silent, and the next day ends this one.
    let step = open.take(&reading(86_460, count), Interval::MINUTE, at(86_460));
    assert_eq!(step.closed, Some(day));
    assert_eq!(open.close_before(DATE), None);
    let next = open.close_before(Date::MAX).expect("the next day");
    assert_eq!((next.samples(), next.due(), next.caused(Cause::Gap), next.mean(Metric::Cpu)), (0, 1440, 1, None));
}

#[test]
fn a_day_says_who_was_there_and_when_it_worked() {
    let hour = Interval::seconds(3_600).expect("an interval");
    let (mut open, mut count) = (Open::default(), 0);
    for n in 0..=24_i64 {
        // At 10 % of CPU and 3 B/s from 10 to 16, and by nobody that could be told from 18 on.
        count += if (11..=16).contains(&n) { 720_000 } else { 0 };
        let received_bytes = Some(count / 72_000 * 1_080);
        let logins = if (11..=16).contains(&n) { vec!["user".to_owned()] } else { Vec::new() };
        let guest = (n <= 18).then(|| Guest { logins, ..Guest::default() });
        open.take(&Reading { received_bytes, guest, ..reading(n * 3_600, count) }, hour, at(n * 3_600));
    }
    let day = open.so_far().expect("a day");
    assert_eq!(day.presence(), Presence { asked: 18, logged_in: 6, counted: 0, inbound: 0 });
    let shown = day.parts().map(|part| (part.samples, part.cpu, part.received));
    assert_eq!(shown, [(4, 0, 0), (4, 0, 0), (4, 2_000, 6), (4, 4_000, 12), (4, 0, 0), (4, 0, 0)]);
    assert_eq!(Day::decode(DATE, &day.encode()), Ok(*day));
    // A gauge tells connections a second; what is no quantity is not told, and nobody is there is not nobody knows.
    let mut open = Open::default();
    for (minute, inbound) in [(1, Some(0.5)), (2, Some(f64::NAN)), (3, Some(-1.0)), (4, None), (5, Some(0.1))] {
        let gauge = Gauge { logged_in: Some(false), inbound, ..gauge(minute * 60, [Some(1.0); 5]) };
        open.take_gauge(&gauge, Interval::MINUTE, gauge.at);
    }
    let presence = open.so_far().expect("a day").presence();
    assert_eq!(presence, Presence { asked: 5, logged_in: 0, counted: 2, inbound: 36 });
}

#[test]
fn a_sample_over_midnight_covers_only_its_own_day() {
    let mut open = Open::default();
    let dates: Vec<_> = [-90, -30, 30, 90]
        .map(|second| open.take(&reading(second, 1000), Interval::MINUTE, at(second)).closed)
        .into_iter()
        .flatten()
        .map(|day| (day.date(), day.samples(), day.coverage() * 86_400.0))
        .collect();
    assert_eq!(dates, [(DATE.yesterday().expect("a date"), 1, 60.0)]);
    let day = open.so_far().expect("a day");
    assert_eq!((day.date(), day.samples(), (day.coverage() * 86_400.0).round()), (DATE, 2, 90.0));
    // What ends at midnight was the day before.
    let mut open = Open::default();
    open.take(&reading(86_340, 0), Interval::MINUTE, at(86_340));
    open.take(&reading(86_400, 0), Interval::MINUTE, at(86_400));
    assert_eq!(open.so_far().map(|day| day.date()), Some(DATE));
}

#[test]
fn an_interval_may_change_within_a_day() {
    let mut open = Open::default();
    let five = Interval::seconds(300).expect("an interval");
    for (second, interval) in [(0, five), (300, five), (600, five), (660, Interval::MINUTE), (720, Interval::MINUTE)] {
        open.take(&reading(second, 0), interval, at(second));
    }
    let day = open.so_far().expect("a day");
    assert_eq!((day.samples(), day.due(), (day.coverage() * 86_400.0).round()), (4, 1440, 720.0));
}

#[test]
fn a_row_of_another_form_is_told_from_a_broken_one() {
    let row = day_of_minutes(7).encode();
    let mut other = row.clone();
    other[0] = 9;
    assert_eq!(Day::decode(DATE, &other), Err(Broken::Version(9)));
    assert_eq!(Day::decode(DATE, &row[..row.len() - 1]), Err(Broken::Short));
    assert_eq!(Day::decode(DATE, &[&row[..], &[0]].concat()), Err(Broken::Long));
    assert_eq!(Day::decode(DATE, &[]), Err(Broken::Short));
    let mut one = Day::new(DATE);
    assert!(!one.merge(&Day::new(DATE.tomorrow().expect("a date"))));
    assert_eq!(Day::decode(DATE, &one.encode()), Ok(one));
}

fn row() -> impl Strategy<Value = Vec<u8>> {
    any::<u64>().prop_map(|seed| day_of_minutes(seed).encode())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 128 } else { 20_000 }))]

    /// Cut anywhere, the two parts of a day added are the day. Half hours are whole where the cut is between two.
    #[test]
    fn parts_of_a_day_added_are_the_day(cut in 0..48_i64, seed in any::<u64>()) {
        let mut dice = Dice(seed);
        let (mut whole, mut parts) = (OpenDay::new(DATE), [OpenDay::new(DATE), OpenDay::new(DATE)]);
        for minute in 1..=1440_i64 {
            let to = at(minute * 60).as_microsecond();
            let values = [90.0, 90.0, 1e6, 1e3, 1e9].map(|most| (dice.roll() < 0.9).then(|| most * dice.roll()));
            let traffic = Traffic { disk: 1, received: 2, sent: 3 };
            let (logged_in, inbound) = ((dice.roll() < 0.5).then(|| dice.roll() < 0.5), (dice.roll() < 0.5).then_some(7));
            let from = to - 60_000_000;
            let point =
                Point { from, to, interval: Interval::MINUTE, vcpus: Some(2), values, traffic, logged_in, inbound };
            prop_assert!(whole.fold(&point) && parts[usize::from(minute > cut * 30)].fold(&point));
        }
        let [first, second] = parts.map(OpenDay::close);
        let mut both = second;
        prop_assert!(both.merge(&first));
        prop_assert_eq!(both, whole.close());
    }

    /// Any bytes are either what we would have written or refused; nothing panics.
    #[test]
    fn any_bytes_are_a_row_or_none(row in row(), at in any::<prop::sample::Index>(), by in 1..=255_u8, noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut bent = row.clone();
        bent[at.index(row.len())] ^= by;
        let versioned = [&[1][..], &noise[..]].concat();
        for bytes in [&row[..], &bent[..], &noise[..], &versioned[..], &row[..at.index(row.len())]] {
            if let Ok(day) = Day::decode(DATE, bytes) {
                prop_assert_eq!(day.encode(), bytes);
            }
        }
        let open = [&[1, 0, 1, 0, 0][..], &bent[..]].concat();
        for bytes in [&noise[..], &versioned[..], &open[..]] {
            if let Ok(open) = Open::decode(bytes) {
                prop_assert_eq!(open.encode(), bytes);
            }
        }
    }
}
