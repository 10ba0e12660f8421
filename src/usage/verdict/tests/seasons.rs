//! Systems that work for a while once a year: none may be reclaimed, at whatever time of the year one looks.

use super::*;

const SERIES: u64 = 10_000;
const SEED: u64 = 20_261;
const DAYS: i64 = 396;

#[test]
fn ten_thousand_systems_that_work_once_a_year_and_none_is_eligible() {
    let sets = sets();
    let set = sets.find(RuleSets::OWN).expect("our own");
    let mut state = SEED;
    let mut roll = |most: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % most
    };
    let point = |date: Date, cpu: f64, rate: f64| {
        let from = time::day_begins(date) * 1_000_000;
        Point {
            from,
            to: from + 86_400_000_000,
            interval: Interval::seconds(86_400).expect("a day"),
            vcpus: Some(4),
            values: [cpu, 20.0, 5_000.0, 400.0 + rate, 200.0 + rate].map(Some),
            traffic: Traffic::default(),
            // Nobody ever logs in, as far as anybody asked.
            logged_in: Some(false),
            inbound: None,
        }
    };
    let (mut idle, mut eligible) = (0, 0);
    for _ in 0..SERIES {
        let (length, phase) = (5 + roll(56) as i64, roll(365) as i64);
        let (cpu, rate) = (5.0 + roll(80) as f64, roll(200_000) as f64);
        let days: Vec<Day> = (0..DAYS)
            .rev()
            .map(|n| {
                let works = (n + phase) % 365 < length;
                let mut open = OpenDay::new(before(n));
                let noise = 1.0 + roll(100) as f64 / 500.0;
                let cpu = if works { cpu } else { 0.8 };
                assert!(open.fold(&point(before(n), cpu * noise, if works { rate } else { 0.0 })));
                *open.close()
            })
            .collect();
        let judgement = judge(set, &Facts::default(), days.iter(), ON);
        idle += u32::from(judgement.verdict == Verdict::Idle);
        eligible += u32::from(judgement.eligibility.eligible);
    }
    println!("{SERIES} systems that work once a year, seed {SEED}: {idle} called idle, {eligible} eligible");
    assert_eq!((idle, eligible), (0, 0));
}
