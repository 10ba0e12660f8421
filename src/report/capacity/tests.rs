//! Readings in, a report out.

use super::*;
use crate::metrics::Stock;
use jiff::SignedDuration;

const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

fn amount(vcpu: i64) -> Amount {
    Amount { vcpu, memory_bytes: vcpu << 30, disk_bytes: vcpu << 33 }
}

fn host(name: &str, state: HostState, allocated: i64) -> Host {
    Host {
        name: name.to_owned(),
        provider: "simulated".to_owned(),
        state,
        zones: vec!["internet".to_owned()],
        physical: amount(32),
        allocated: amount(allocated),
    }
}

fn reading() -> Reading {
    let stock = |vcpus| Stock { vcpus, memory_bytes: vcpus * 1024.0, disk_bytes: vcpus * 2048.0 };
    let key = |stage, provider: &str| (stage, "internet".to_owned(), provider.to_owned());
    let stocks = BTreeMap::from([
        (key(Stage::Requested, "none"), stock(4.0)),
        (key(Stage::Requested, "simulated"), stock(8.0)),
        (key(Stage::Approved, "simulated"), stock(8.0)),
        (key(Stage::Allocated, "simulated"), stock(8.0)),
        (key(Stage::Physical, "simulated"), stock(96.0)),
    ]);
    Reading {
        look: Look { stocks, running: Vec::new() },
        hosts: vec![
            host("a", HostState::Active, 8),
            host("b", HostState::Cordoned, 0),
            host("c", HostState::Unknown, 16),
        ],
        ..Reading::default()
    }
}

fn made(read: Reading) -> CapacityReport {
    report(Head { now: NOW, district: "相城区", authority: "区信息办" }, read)
}

#[test]
fn only_hosts_that_take_machines_have_something_free() {
    let report = made(reading());
    let zone = &report.zones[0];
    assert_eq!((report.zones.len(), zone.zone.as_str(), zone.hosts), (1, "internet", 3));
    assert_eq!(zone.free, amount(24), "of the active one alone");
    assert_eq!((zone.requested.vcpu, zone.approved.vcpu, zone.allocated.vcpu, zone.physical.vcpu), (12, 8, 8, 96));
    let names: Vec<_> =
        report.hosts.iter().map(|host| (host.name.as_str(), host.free.vcpu, host.used_percent)).collect();
    assert_eq!(names, [("c", 0, 50.0), ("a", 24, 25.0), ("b", 0, 0.0)], "the fullest first");
    assert_eq!(zone.measured, None, "nothing was measured, which is not 0");
}

#[test]
fn how_long_it_lasts_is_told_only_where_it_is_known() {
    let pace = |days: i64, came: i64, went: i64| {
        let since = (NOW - SignedDuration::from_hours(24 * days)).as_microsecond();
        let paces = BTreeMap::from([("internet".to_owned(), Pace { since, came: amount(came), went: amount(went) })]);
        made(Reading { paces, ..reading() }).zones[0].outlook.vcpu
    };
    assert_eq!(made(reading()).zones[0].outlook.vcpu.trend, Trend::Unknown, "nothing was ever given out");
    assert_eq!(pace(6, 60, 0), Outlook { trend: Trend::Unknown, per_day: None, days_left: None }, "too short a past");
    // Ten days: 12 cores came and 2 went, so one a day; 24 are free.
    assert_eq!(pace(10, 12, 2), Outlook { trend: Trend::Growing, per_day: Some(1.0), days_left: Some(24) });
    // A past of a year counts its last thirty days.
    assert_eq!(pace(365, 60, 0).days_left, Some(12));
    assert_eq!(pace(30, 5, 5), Outlook { trend: Trend::Steady, per_day: Some(0.0), days_left: None });
    assert_eq!(pace(30, 0, 9).trend, Trend::Steady, "it shrinks");
    let slow = pace(30, 1, 0);
    assert_eq!((slow.trend, slow.days_left), (Trend::Growing, Some(720)));
}

#[test]
fn task_books_show_from_four_fifths_on() {
    let book = |number: &str, used: i64| Book {
        number: number.to_owned(),
        department: "民政局".to_owned(),
        indicators: [(used, 100), (0, 0), (79, 100), (100, 100)],
    };
    let report = made(Reading { books: vec![book("1", 80), book("2", 96)], ..reading() });
    let rows: Vec<_> = report.task_books.iter().map(|b| (b.task_book.as_str(), b.indicator, b.percent)).collect();
    assert_eq!(
        rows,
        [("1", "disk", 100.0), ("2", "disk", 100.0), ("2", "machines", 96.0), ("1", "machines", 80.0)],
        "nothing of nothing, and the fullest first"
    );
}

#[test]
fn what_does_not_wait_is_not_listed() {
    let waiting = |what, number| Waiting { what, number, since: None };
    let report = made(Reading { waiting: vec![waiting("requests", 0), waiting("alarms", 2)], ..reading() });
    assert_eq!(report.waiting, [waiting("alarms", 2)]);
}
