//! Windows: days as one.

use super::*;

fn date(day: i8) -> Date {
    Date::constant(2035, 3, day)
}

/// A day of one value per metric all day long, sampled every five minutes over the given share of it.
fn day(date: Date, vcpus: u32, samples: i64, cpu: f64, rate: f64) -> Box<Day> {
    let (mut open, begins) = (OpenDay::new(date), time::day_begins(date) * 1_000_000);
    for sample in 0..samples {
        let from = begins + sample * 300_000_000;
        let to = from + 300_000_000;
        let bytes = rate as u64 * 300;
        assert!(open.fold(&Point {
            from,
            to,
            interval: Interval::seconds(300).expect("an interval"),
            vcpus: Some(vcpus),
            values: [Some(cpu), None, Some(rate), Some(rate), Some(rate)],
            traffic: Traffic { disk: bytes, received: bytes, sent: bytes },
            logged_in: None,
            inbound: None,
        }));
    }
    open.close()
}

#[test]
fn days_that_are_missing_were_due() {
    let mut window = Window::new(date(1), date(14)).expect("a window");
    assert_eq!((window.coverage(), window.first_evidence(), window.mean(Metric::Cpu)), (0.0, None, None));
    for day in [day(date(9), 2, 288, 4.0, 10.0), day(date(3), 2, 144, 8.0, 20.0), Box::new(Day::new(date(2)))] {
        assert!(window.add(&day));
        assert!(!window.add(&day), "twice");
    }
    for outside in [Date::constant(2035, 2, 28), date(15)] {
        assert!(!window.add(&day(outside, 2, 288, 90.0, 1e9)));
    }
    assert_eq!((window.length(), window.days().len(), window.first_evidence()), (14, 3, Some(date(3))));
    assert!((window.coverage() - 1.5 / 14.0).abs() < 1e-12);
    assert_eq!(window.coverage_of(Metric::Sent), window.coverage());
    assert_eq!(window.coverage_of(Metric::Memory), 0.0);
    assert_eq!((window.samples(), window.due(Interval::seconds(300).expect("an interval"))), (432, 14 * 288));
    assert_eq!(Window::new(date(2), date(1)).map(|w| w.length()), None);
    assert_eq!(Window::new(date(2), date(2)).map(|w| w.length()), Some(1));
}

#[test]
fn rules_find_their_figures() {
    let mut window = Window::new(date(1), date(7)).expect("a window");
    for number in 1..=7 {
        let busy = number == 3;
        assert!(window.add(&day(
            date(number),
            2,
            288,
            if busy { 50.0 } else { 1.0 },
            if busy { 5000.0 } else { 10.0 }
        )));
    }
    // Days on which the mean of CPU and the traffic were low.
    let low = window.days().iter().filter(|day| {
        day.mean[0].is_some_and(|cpu| cpu <= 10.0) && day.traffic.received + day.traffic.sent <= 6_000_000
    });
    assert_eq!(low.count(), 6);
    assert_eq!(window.max(Metric::Cpu), Some(50.0));
    assert_eq!((window.highest_half_hour(3), window.highest_half_hour(7)), (Some(1.0), Some(50.0)));
    assert_eq!(window.last_days(3).iter().map(|day| day.date).collect::<Vec<_>>(), [date(5), date(6), date(7)]);
    assert!(window.last_days(0).is_empty());
    assert!(window.maxima().percentile(85.0).is_some_and(|b| b.low <= 1.0 && 1.0 < b.high));
    assert!(window.maxima().percentile(95.0).is_some_and(|b| b.low <= 50.0 && 50.0 < b.high));
    assert!((window.mean(Metric::Cpu).expect("a mean") - 8.0).abs() < 1e-9);
    assert_eq!(window.histogram(Metric::Sent).share_below(1000.0).map(|share| share.certain), Some(6.0 / 7.0));
    assert_eq!(window.traffic().sent, 6 * 864_000 + 432_000_000);
}

#[test]
fn percent_of_what_is_known_by_day() {
    let mut window = Window::new(date(1), date(2)).expect("a window");
    assert!(window.add(&day(date(1), 2, 288, 2.0, 1.0)) && window.add(&day(date(2), 16, 288, 2.0, 1.0)));
    assert_eq!(window.vcpus(), Some((2, 16)));
    // 0.04 vCPU on the first day, 0.32 on the second.
    assert_eq!(window.share_below_vcpus(0.1), Some(Share { certain: 0.5, possible: 0.5 }));
    assert_eq!(window.share_below_vcpus(0.04), Some(Share { certain: 0.0, possible: 0.5 }));
    for (q, exact) in [(50.0, 0.04), (51.0, 0.32), (100.0, 0.32)] {
        let bounds = window.vcpus_percentile(q).expect("bounds");
        assert!(bounds.low <= exact && exact < bounds.high && bounds.high < 1.11 * bounds.low, "{bounds:?}");
    }
    let mut unknown = Window::new(date(1), date(1)).expect("a window");
    assert_eq!(unknown.share_below_vcpus(1.0), None);
    let mut gauges = Open::default();
    gauges.take_gauge(&Gauge { vcpus: None, ..gauge(60, [Some(1.0); 5]) }, Interval::MINUTE, at(60));
    assert!(unknown.add(&gauges.so_far().expect("a day")));
    assert_eq!((unknown.share_below_vcpus(1.0), unknown.vcpus_percentile(50.0)), (None, None));
    assert!(unknown.histogram(Metric::Cpu).percentile(50.0).is_some());
}
