//! Our own rule, case by case.

use super::*;
use Code::*;

const YEAR: i64 = 396;

#[allow(clippy::unnecessary_wraps, reason = "as every story of hours")]
fn quiet(_: i64, _: i64) -> Option<Hour> {
    Some(Hour { logged_in: Some(false), ..QUIET })
}

#[test]
fn a_machine_that_does_nothing_for_a_year_is_idle_and_eligible() {
    let judgement = own(&Facts::default(), &history(YEAR, quiet));
    assert_eq!((judgement.verdict, codes(&judgement)), (Verdict::Idle, vec![AllQuiet]));
    assert_eq!((judgement.eligibility.eligible, why_not(&judgement)), (true, vec![]));
    assert!(judgement.figures.iter().all(|figure| figure.held == Held::Certain), "{:?}", judgement.figures);
}

#[test]
fn use_of_any_kind_is_not_idle() {
    type Case = (Verdict, Code, fn(i64, i64) -> Hour);
    let cases: &[Case] =
        &[
            (Verdict::Busy, SteadyCpu, |_, _| Hour { cpu: 60.0, ..QUIET }),
            (Verdict::Low, SteadyReceived, |_, _| Hour { received: 40_000.0, ..QUIET }),
            (Verdict::Low, SteadySent, |_, _| Hour { sent: 40_000.0, ..QUIET }),
            (Verdict::Low, SteadyDisk, |_, _| Hour { disk: 400_000.0, ..QUIET }),
            // Six hours a night.
            (Verdict::Busy, DailyWork, |_, hour| if hour < 6 { Hour { cpu: 70.0, ..QUIET } } else { QUIET }),
            // The last day of each month.
            (Verdict::Low, BusyDays, |n, hour| {
                let is_last = before(n) == before(n).last_of_month();
                if is_last && hour < 8 { Hour { cpu: 80.0, ..QUIET } } else { QUIET }
            }),
            // Hardly anything, by people.
            (Verdict::Low, WorkingHours, |n, hour| {
                if is_open(n, hour) { Hour { cpu: 1.2, sent: 300.0, ..QUIET } } else { QUIET }
            }),
            (Verdict::Low, LoggedIn, |n, hour| Hour { logged_in: Some(n % 9 == 0 && hour == 10), ..QUIET }),
            (Verdict::Low, Connected, |_, _| Hour { inbound: Some(9_000), ..QUIET }),
            // Data that varies, is not passed on, and is written.
            (Verdict::Low, MayReplicate, |n, hour| {
                let received = if (n + hour) % 3 == 0 { 12_000.0 } else { 7_000.0 };
                Hour { received, disk: 20_000.0, ..QUIET }
            }),
        ];
    for (verdict, code, hours) in cases {
        let judgement = own(&Facts::default(), &history(YEAR, |n, hour| Some(hours(n, hour))));
        assert_eq!((judgement.verdict, codes(&judgement).contains(code)), (*verdict, true), "{code:?} {judgement:?}");
        assert!(!judgement.eligibility.eligible && why_not(&judgement).contains(&NotIdle));
        assert!(judgement.figures.iter().any(|figure| figure.held == Held::Not), "{code:?}");
    }
}

#[test]
fn what_a_system_does_by_itself_is_not_use() {
    type Story = fn(i64, i64) -> Hour;
    let cases: &[(&str, Story)] = &[
        ("half an hour's backup each night, sent away", |_, hour| {
            if hour == 3 { Hour { cpu: 50.0, sent: 1e6, disk: 2e7, ..QUIET } } else { QUIET }
        }),
        ("a scan each Sunday", |n, hour| {
            let is_sunday = before(n).weekday().to_monday_zero_offset() == 6;
            if is_sunday && (2..5).contains(&hour) { Hour { cpu: 50.0, disk: 2e7, ..QUIET } } else { QUIET }
        }),
        ("a scan each Wednesday morning", |n, hour| {
            let is_wednesday = before(n).weekday().to_monday_zero_offset() == 2;
            if is_wednesday && (9..12).contains(&hour) { Hour { cpu: 50.0, disk: 2e7, ..QUIET } } else { QUIET }
        }),
        ("broadcasts", |_, _| Hour { received: 9_000.0, disk: 20_000.0, ..QUIET }),
        ("one login in a month", |n, hour| Hour { logged_in: Some(n % 40 == 12 && hour == 10), ..QUIET }),
        ("a forgotten session", |_, _| Hour { logged_in: Some(true), ..QUIET }),
        ("monitoring", |_, _| Hour { inbound: Some(600), ..QUIET }),
        ("an agent at work by day", |_, hour| if hour == 12 { Hour { cpu: 9.0, sent: 900.0, ..QUIET } } else { QUIET }),
    ];
    for (what, hours) in cases {
        let judgement = own(&Facts::default(), &history(YEAR, |n, hour| Some(hours(n, hour))));
        assert_eq!(judgement.verdict, Verdict::Idle, "{what}: {judgement:?}");
    }
}

#[test]
fn a_floor_that_was_measured_raises_what_agents_may_do() {
    let heavy = history(YEAR, |_, _| Some(Hour { cpu: 15.0, sent: 25_000.0, ..QUIET }));
    assert_eq!(own(&Facts::default(), &heavy).verdict, Verdict::Busy);
    let floor = Some(Floor { vcpus: 0.25, received: 300.0, sent: 20_000.0, disk: 3_000.0 });
    assert_eq!(own(&Facts { floor, ..Facts::default() }, &heavy).verdict, Verdict::Idle);
}

#[test]
fn a_peer_that_is_busy_makes_a_standby() {
    let days = history(YEAR, |_, _| Some(Hour { received: 2_000.0, disk: 5_000.0, ..QUIET }));
    for (peer_busy, verdict, code) in [(None, Verdict::Idle, AllQuiet), (Some(true), Verdict::Low, Standby)] {
        let judgement = own(&Facts { peer_busy, ..Facts::default() }, &days);
        assert_eq!((judgement.verdict, codes(&judgement)), (verdict, vec![code]));
    }
}

#[test]
fn work_before_the_window_is_weighed() {
    let created = |days| Facts { created: Some(before(days)), ..Facts::default() };
    let work = |from: i64, to: i64| {
        move |n: i64, hour: i64| {
            let works = (to..=from).contains(&n) && is_open(n, hour);
            Some(if works { Hour { cpu: 40.0, received: 50_000.0, sent: 90_000.0, ..QUIET } } else { QUIET })
        }
    };
    let none = Facts::default();
    for (what, facts, days, from, to, verdict, code) in [
        ("one month of the year", none, YEAR, 200, 171, Verdict::Low, OnceAYear),
        ("the month after this one, last year", none, YEAR, 360, 330, Verdict::Low, OnceAYear),
        ("a season that was due two months ago", none, 500, 440, 400, Verdict::Idle, AllQuiet),
        ("a year of service until two months ago", none, YEAR, YEAR, 60, Verdict::Idle, Stopped),
        ("a year of service until three weeks ago", none, YEAR, YEAR, 21, Verdict::Busy, BusyDays),
        ("tried when it was new", none, 200, 200, 180, Verdict::Idle, OnlyAtFirst),
        ("known from its busy month on, and older", created(900), 200, 200, 180, Verdict::Low, OnceAYear),
        ("new, and tried", created(201), 200, 200, 180, Verdict::Idle, OnlyAtFirst),
    ] {
        let judgement = own(&facts, &history(days, work(from, to)));
        assert_eq!((judgement.verdict, codes(&judgement).contains(&code)), (verdict, true), "{what}: {judgement:?}");
        assert!(!judgement.eligibility.eligible, "{what}");
    }
    // Three days at the end of each quarter.
    let quarter = history(YEAR, |n, hour| {
        let works = [75, 76, 77, 165, 166, 167, 255, 256, 257, 345, 346].contains(&n) && hour < 12;
        Some(if works { Hour { cpu: 80.0, received: 50_000.0, ..QUIET } } else { QUIET })
    });
    let judgement = own(&none, &quarter);
    assert_eq!((judgement.verdict, codes(&judgement)), (Verdict::Low, vec![Recurring]));
    assert_eq!(judgement.work.len(), 4);
}

#[test]
fn missing_data_is_never_idle() {
    let known =
        |gone: fn(i64, i64) -> bool| history(YEAR, move |n, hour| if gone(n, hour) { None } else { quiet(n, hour) });
    for (what, days, code) in [
        ("two days of the window", known(|n, _| (10..12).contains(&n)), CoverageShort),
        ("an hour and a half of each day", known(|n, hour| hour < 1 + n % 2 && n < 31), CoverageShort),
        ("most of today", known(|n, hour| n == 0 && hour > 10), CollectorSilent),
        ("all", Vec::new(), CoverageShort),
    ] {
        let judgement = own(&Facts::default(), &days);
        assert_eq!(
            (judgement.verdict, codes(&judgement).contains(&code)),
            (Verdict::Unknown, true),
            "{what}: {judgement:?}"
        );
        assert!(!judgement.eligibility.eligible, "{what}");
    }
    // A day of thirty-one may be missing; more than three of a year in a row bar reclaim, which the owner may waive.
    let judgement = own(&Facts::default(), &known(|n, _| (100..105).contains(&n) || n == 9));
    assert_eq!((judgement.verdict, why_not(&judgement)), (Verdict::Idle, vec![HistoryGaps, OwnerNotAgreed]));
    // So does a month's outage, and an hour or two of each day before the window; the window speaks for itself.
    for gone in [|n: i64, _| (100..130).contains(&n), |n: i64, hour: i64| n >= 31 && hour < 2] {
        let judgement = own(&Facts::default(), &known(gone));
        assert_eq!((judgement.verdict, codes(&judgement)), (Verdict::Idle, vec![AllQuiet, HistoryGaps]));
        assert_eq!(why_not(&judgement), [HistoryGaps, OwnerNotAgreed]);
    }
    // A season that was due in the outage may have come.
    let season = |n: i64, hour: i64, gone: bool| match n {
        31..61 if gone => None,
        388..396 if is_open(n, hour) => Some(Hour { cpu: 40.0, received: 50_000.0, sent: 90_000.0, ..QUIET }),
        _ => quiet(n, hour),
    };
    for (gone, verdict) in [(false, Verdict::Idle), (true, Verdict::Low)] {
        let facts = Facts { created: Some(before(900)), ..Facts::default() };
        let judgement = own(&facts, &history(YEAR, |n, hour| season(n, hour, gone)));
        assert_eq!(judgement.verdict, verdict, "{judgement:?}");
    }
    // Fewer than three signals.
    let mut open = OpenDay::new(ON);
    for hour in 0..24 {
        let point = QUIET.point(ON, hour, Some(2));
        let values = [point.values[0], point.values[1], None, point.values[3], None];
        assert!(open.fold(&Point { values, ..point }));
    }
    let mut day = *open.close();
    let mut days = Vec::new();
    for n in 0..40 {
        days.push(Day::decode(before(n), &day.encode()).expect("a day"));
    }
    assert_eq!(codes(&own(&Facts::default(), &days)), [TooFewSignals]);
    // What a source tells for half a day is missing for the other half.
    day = super::day(ON, |hour| Some(Hour { cpu: if hour < 12 { 1.0 } else { f64::NAN }, ..QUIET }));
    days[0] = day;
    assert!(codes(&own(&Facts::default(), &days[..31])).contains(&CoverageShort));
}

#[test]
fn who_may_be_reclaimed_is_another_question() {
    let owner = |owner| Facts { owner: Some(owner), ..Facts::default() };
    let short = history(100, quiet);
    let judgement = own(&Facts::default(), &short);
    assert_eq!((judgement.verdict, why_not(&judgement)), (Verdict::Idle, vec![HistoryShort, OwnerNotAgreed]));
    assert!(own(&owner(Owner::Agreed), &short).eligibility.eligible);
    let long = history(YEAR, quiet);
    assert_eq!(why_not(&own(&owner(Owner::Objected), &long)), [OwnerObjected]);
    let unasked = history(YEAR, |_, _| Some(QUIET));
    assert_eq!(why_not(&own(&Facts::default(), &unasked)), [LoginsUnknown, OwnerNotAgreed]);
    // A login half a year ago.
    let logged_in = history(YEAR, |n, hour| Some(Hour { logged_in: Some(n == 180 && hour == 9), ..QUIET }));
    assert_eq!(why_not(&own(&Facts::default(), &logged_in)), [UsedWithinAYear, OwnerNotAgreed]);
    // Nobody can agree to what is used.
    let busy = history(YEAR, |_, _| Some(Hour { cpu: 60.0, ..QUIET }));
    assert_eq!(why_not(&own(&owner(Owner::Agreed), &busy)), [NotIdle]);
    for (until, verdict) in [(before(0), Verdict::Exempt), (before(1), Verdict::Idle)] {
        let judgement = own(&Facts { exempt_until: Some(until), ..Facts::default() }, &long);
        assert_eq!((judgement.verdict, judgement.eligibility.eligible), (verdict, verdict == Verdict::Idle));
    }
}

#[test]
fn the_same_days_give_the_same_judgement() {
    let days = history(YEAR, |n, hour| {
        Some(Hour { cpu: 1.0 + ((n * 7 + hour) % 5) as f64 / 3.0, sent: 150.0 + (hour % 7) as f64, ..QUIET })
    });
    let judgement = own(&Facts::default(), &days);
    let shuffled: Vec<&Day> = days.iter().rev().step_by(2).chain(days.iter().rev().skip(1).step_by(2)).collect();
    let sets = sets();
    for set in sets.all() {
        let (one, other) = (
            judge(set, &Facts::default(), days.iter(), ON),
            judge(set, &Facts::default(), shuffled.iter().copied(), ON),
        );
        assert_eq!(serde_json::to_string(&one).expect("JSON"), serde_json::to_string(&other).expect("JSON"));
        let read: Judgement = serde_json::from_value(serde_json::json!(one)).expect("what was written");
        assert_eq!(read, one);
    }
    // Days after the one that is judged change nothing.
    let later = day(ON.tomorrow().expect("a day"), |_| Some(Hour { cpu: 90.0, ..QUIET }));
    assert_eq!(own(&Facts::default(), &[days, vec![later]].concat()), judgement);
}
