//! What cannot be believed, one by one.

use super::*;

const MINUTE: Interval = Interval::MINUTE;

/// Takes a reading at its own instant.
fn take(track: &mut Track, reading: &Reading) -> Taken {
    track.take(reading, MINUTE, reading.at)
}

fn begun() -> Track {
    let mut track = Track::default();
    assert_eq!(take(&mut track, &reading(0, 1000)).cause, Some(Cause::First));
    track
}

fn value(taken: &Taken, metric: Metric) -> Option<f64> {
    taken.point.and_then(|point| point.values[metric.index()])
}

fn values(taken: &Taken) -> ByMetric<Option<f64>> {
    taken.point.expect("a point").values
}

#[test]
fn two_readings_are_a_point() {
    let taken = take(&mut begun(), &reading(60, 13_000));
    let point = taken.point.expect("a point");
    assert_eq!((taken.cause, taken.refused), (None, [None; 5]));
    assert_eq!((point.from, point.to), (at(0).as_microsecond(), at(60).as_microsecond()));
    // 12 of 120 seconds; 1 of 4 GiB; 12,000 bytes in 60 seconds, and on the disk each way.
    assert_eq!(point.values, [Some(10.0), Some(25.0), Some(400.0), Some(200.0), Some(200.0)]);
    assert_eq!(point.traffic, Traffic { disk: 24_000, received: 12_000, sent: 12_000 });
}

#[test]
fn what_a_source_does_not_tell_is_not_zero() {
    let mut track = begun();
    let silent = Reading { received_bytes: None, written_bytes: None, vcpus: None, memory: None, ..reading(60, 2000) };
    let taken = take(&mut track, &silent);
    assert_eq!(values(&taken)[1..], [None, None, None, Some(1000.0 / 60.0)]);
    // The size is known from before; what was not told has no difference next time.
    assert!(value(&taken, Metric::Cpu).is_some());
    let taken = take(&mut track, &reading(120, 3000));
    assert_eq!(values(&taken)[2..], [None, None, Some(1000.0 / 60.0)]);
    let mut unknown = Track::default();
    for seconds in [0, 60] {
        let taken = take(&mut unknown, &Reading { vcpus: None, ..reading(seconds, 1000) });
        assert_eq!((value(&taken, Metric::Cpu), taken.refused), (None, [None; 5]));
    }
}

#[test]
fn a_late_reading_changes_nothing() {
    let mut track = begun();
    take(&mut track, &reading(60, 2000));
    let before = track.clone();
    assert_eq!(
        take(&mut track, &reading(30, 1500)),
        Taken { point: None, cause: Some(Cause::Late), refused: [None; 5] }
    );
    assert_eq!(track, before);
}

#[test]
fn a_doubled_reading_changes_nothing() {
    let mut track = begun();
    let before = track.clone();
    // Of the same instant, and nothing is divided by no time.
    assert_eq!(take(&mut track, &reading(0, 1500)).cause, Some(Cause::Doubled));
    assert_eq!(track, before);
    assert_eq!(value(&take(&mut track, &reading(60, 7000)), Metric::Received), Some(100.0));
}

#[test]
fn readings_that_crowd_together_weigh_as_one() {
    let mut track = begun();
    assert_eq!(take(&mut track, &reading(29, 500_000)).cause, Some(Cause::Early));
    let taken = take(&mut track, &reading(60, 601_000));
    // What came before and after the early one, together; and no more than there is.
    assert_eq!(value(&taken, Metric::Received), Some(10_000.0));
    assert_eq!(take(&mut track, &reading(90, 602_000)).cause, None);
}

#[test]
fn a_reading_from_the_future_changes_nothing() {
    let mut track = begun();
    let before = track.clone();
    let taken = track.take(&reading(3600, 2000), MINUTE, at(3569));
    assert_eq!((taken.point, taken.cause), (None, Some(Cause::Future)));
    assert_eq!(track, before);
    assert_eq!(track.take(&reading(60, 2000), MINUTE, at(30)).cause, None);
}

#[test]
fn a_clock_that_was_set_back_does_not_silence_a_machine() {
    let mut track = begun();
    let year = 31_536_000;
    assert_eq!(take(&mut track, &reading(year, 2000)).cause, Some(Cause::Gap));
    assert_eq!(take(&mut track, &reading(60, 2000)).cause, Some(Cause::ClockSet));
    let taken = take(&mut track, &reading(120, 3000));
    // The counters of before the clock was set are not trusted, those since are not known yet.
    assert_eq!(taken.cause, Some(Cause::Reset));
    assert_eq!(take(&mut track, &reading(180, 4000)).cause, None);
}

#[test]
fn a_new_life_has_no_rate_until_its_own_second_reading() {
    for count in [0, 500, 50_000] {
        let mut track = begun();
        let taken = take(&mut track, &Reading { life: 2, ..reading(60, count) });
        assert_eq!((taken.point, taken.cause, taken.refused), (None, Some(Cause::Reset), [None; 5]));
        let taken = take(&mut track, &Reading { life: 2, ..reading(120, count + 6000) });
        assert_eq!((value(&taken, Metric::Sent), taken.cause), (Some(100.0), None));
    }
}

#[test]
fn a_counter_that_goes_back_is_refused_alone() {
    let mut track = begun();
    let taken = take(&mut track, &Reading { received_bytes: Some(10), ..reading(60, 7000) });
    assert_eq!(taken.refused, [None, None, None, Some(Cause::Back), None]);
    assert_eq!((value(&taken, Metric::Received), value(&taken, Metric::Sent)), (None, Some(100.0)));
    assert_eq!(taken.point.expect("a point").traffic, Traffic { disk: 12_000, received: 0, sent: 6000 });
    assert_eq!(taken.causes().collect::<Vec<_>>(), [Cause::Back]);
    // It began anew, and is believed from there on.
    let taken = take(&mut track, &Reading { received_bytes: Some(610), ..reading(120, 8000) });
    assert_eq!((value(&taken, Metric::Received), taken.refused), (Some(10.0), [None; 5]));
    // Half of the disk's was not read: neither is the whole.
    let taken = take(&mut track, &Reading { written_bytes: Some(0), ..reading(180, 9000) });
    assert_eq!((taken.refused[2], taken.point.expect("a point").traffic.disk), (Some(Cause::Back), 0));
}

#[test]
fn a_counter_that_was_misread_once_has_no_burst_on_its_way_back() {
    for dip in [0, 999] {
        let mut track = Track::default();
        let sent = |minute: i64, count| Reading { sent_bytes: Some(count), ..reading(60 * minute, 1000) };
        let story = [1_000_000_000, 1_000_006_000, dip, dip + 6, 1_000_030_000, 1_000_036_000];
        let taken: Vec<_> =
            story.into_iter().zip(0..).map(|(count, minute)| take(&mut track, &sent(minute, count))).collect();
        let rates: Vec<_> = taken.iter().map(|taken| value(taken, Metric::Sent)).collect();
        assert_eq!(rates, [None, Some(100.0), None, Some(0.1), None, Some(100.0)]);
        assert_eq!((taken[2].refused[4], taken[4].refused[4]), (Some(Cause::Back), Some(Cause::Back)));
    }
}

#[test]
fn more_than_there_is_is_refused_and_a_little_more_is_all() {
    for (millis, cpu, refused) in
        [(120_000, Some(100.0), None), (132_000, Some(100.0), None), (132_001, None, Some(Cause::Impossible))]
    {
        let taken = take(&mut begun(), &Reading { cpu_nanos: Some((1000 + millis) * 1_000_000), ..reading(60, 1000) });
        assert_eq!((value(&taken, Metric::Cpu), taken.refused[0]), (cpu, refused));
    }
    let gib = |gib: i64, mib: i64| Bytes::new((gib << 30) + (mib << 20));
    for (used, memory, refused) in
        [(gib(4, 409), Some(100.0), None), (gib(4, 410), None, Some(Cause::Impossible)), (gib(0, 0), Some(0.0), None)]
    {
        let taken = take(&mut begun(), &Reading { memory_used: used, ..reading(60, 1000) });
        assert_eq!((value(&taken, Metric::Memory), taken.refused[1]), (memory, refused));
    }
    let taken = take(&mut begun(), &Reading { memory: Bytes::new(0), ..reading(60, 1000) });
    assert_eq!((value(&taken, Metric::Memory), taken.refused[1]), (None, None));
    let taken = take(&mut begun(), &Reading { sent_bytes: Some(u64::MAX), ..reading(60, 1000) });
    assert_eq!((taken.refused[4], taken.point.expect("a point").traffic.sent), (Some(Cause::Impossible), 0));
}

#[test]
fn a_machine_that_was_resized_is_measured_by_the_larger_size() {
    for (before, after) in [(2, 8), (8, 2)] {
        let mut track = Track::default();
        take(&mut track, &Reading { vcpus: Some(before), ..reading(0, 0) });
        let taken = take(&mut track, &Reading { vcpus: Some(after), ..reading(60, 240_000) });
        assert_eq!((value(&taken, Metric::Cpu), taken.point.and_then(|p| p.vcpus)), (Some(50.0), Some(8)));
        let taken = take(&mut track, &Reading { vcpus: Some(after), ..reading(120, 300_000) });
        assert_eq!(taken.point.and_then(|p| p.vcpus), Some(after));
    }
}

#[test]
fn over_a_gap_only_bytes_are_known() {
    for (seconds, gap) in [(150, None), (151, Some(Cause::Gap))] {
        let mut open = Open::default();
        open.take(&reading(10, 1000), MINUTE, at(10));
        let step = open.take(&reading(10 + seconds, 7000), MINUTE, at(10 + seconds));
        assert_eq!(step.taken.cause, gap);
        let day = open.so_far().expect("a day");
        assert_eq!(day.traffic(), Traffic { disk: 12_000, received: 6000, sent: 6000 });
        assert_eq!((day.samples(), day.caused(Cause::Gap)), if gap.is_some() { (0, 1) } else { (1, 0) });
        // One sample speaks for one interval, even where two were due.
        assert_eq!(day.coverage(), if gap.is_some() { 0.0 } else { 60.0 / 86_400.0 });
    }
}

#[test]
fn gauges_are_refused_by_metric() {
    let full = [Some(10.0), Some(25.0), Some(400.0), Some(200.0), Some(100.0)];
    for (bad, cause) in [
        (f64::NAN, Cause::NotANumber),
        (f64::INFINITY, Cause::NotANumber),
        (f64::NEG_INFINITY, Cause::NotANumber),
        (-0.001, Cause::Negative),
        (f64::MAX, Cause::Impossible),
    ] {
        for metric in Metric::ALL {
            let mut values = full;
            values[metric.index()] = Some(bad);
            let taken = Track::default().take_gauge(&gauge(60, values), MINUTE, at(60));
            let point = taken.point.expect("a point");
            let mut expected = full;
            expected[metric.index()] = None;
            assert_eq!((point.values, taken.refused[metric.index()]), (expected, Some(cause)), "{bad} {metric:?}");
            let mut traffic = Traffic { disk: 24_000, received: 12_000, sent: 6000 };
            match metric {
                Metric::Disk => traffic.disk = 0,
                Metric::Received => traffic.received = 0,
                Metric::Sent => traffic.sent = 0,
                Metric::Cpu | Metric::Memory => {}
            }
            assert_eq!(point.traffic, traffic);
        }
    }
    let taken = Track::default().take_gauge(&gauge(60, [Some(109.0); 5]), MINUTE, at(60));
    assert_eq!(values(&taken), [Some(100.0), Some(100.0), Some(109.0), Some(109.0), Some(109.0)]);
}

#[test]
fn gauges_stand_for_one_interval_each() {
    let mut track = Track::default();
    let mut take = |seconds: i64, now: i64| {
        let taken = track.take_gauge(&gauge(seconds, [Some(10.0); 5]), MINUTE, at(now));
        (taken.point.map(|p| (p.to - p.from) / 1_000_000), taken.cause)
    };
    assert_eq!(take(60, 60), (Some(60), None));
    assert_eq!(take(60, 60), (None, Some(Cause::Doubled)));
    assert_eq!(take(59, 60), (None, Some(Cause::Late)));
    assert_eq!(take(80, 80), (None, Some(Cause::Early)));
    assert_eq!(take(100, 100), (Some(40), None));
    assert_eq!(take(1000, 1000), (Some(60), Some(Cause::Gap)));
    assert_eq!(take(9000, 1060), (None, Some(Cause::Future)));
    // A source of another kind takes over: its counters have no past.
    let mut track = begun();
    track.take_gauge(&gauge(60, [Some(10.0); 5]), MINUTE, at(60));
    assert_eq!(super::guards::take(&mut track, &reading(120, 2000)).cause, Some(Cause::Reset));
}
