//! What rules say, case by case, over random histories, and of systems that work once a year.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "figures of tests are small, and some are exact"
)]

mod assumed;
mod cases;
mod histories;
mod seasons;
mod sets;

use super::*;
use crate::{
    time,
    usage::{Interval, OpenDay, Point, Traffic},
};
use jiff::{SignedDuration, Timestamp};

/// A Friday.
const ON: Date = Date::constant(2036, 2, 29);

fn before(days: i64) -> Date {
    ON - SignedDuration::from_hours(24 * days)
}

fn sets() -> RuleSets {
    RuleSets::embedded().expect("rule sets")
}

/// One hour of a machine of two vCPUs: CPU in percent, and bytes per second.
#[derive(Clone, Copy, Debug)]
struct Hour {
    cpu: f64,
    received: f64,
    sent: f64,
    disk: f64,
    logged_in: Option<bool>,
    inbound: Option<u64>,
}

/// What agents do.
const QUIET: Hour = Hour { cpu: 1.0, received: 300.0, sent: 200.0, disk: 3_000.0, logged_in: None, inbound: None };

impl Hour {
    fn point(self, date: Date, hour: i64, vcpus: Option<u32>) -> Point {
        let from = (time::day_begins(date) + hour * 3_600) * 1_000_000;
        let whole = |rate: f64| rate as u64 * 3_600;
        Point {
            from,
            to: from + 3_600_000_000,
            interval: Interval::seconds(3_600).expect("an interval"),
            vcpus,
            values: [self.cpu, 20.0, self.disk, self.received, self.sent].map(Some),
            traffic: Traffic { disk: whole(self.disk), received: whole(self.received), sent: whole(self.sent) },
            logged_in: self.logged_in,
            inbound: self.inbound,
        }
    }
}

/// A day of hours; `None` is one of which nothing is known.
fn day(date: Date, hours: impl Fn(i64) -> Option<Hour>) -> Day {
    let mut open = OpenDay::new(date);
    for hour in 0..24 {
        if let Some(known) = hours(hour) {
            assert!(open.fold(&known.point(date, hour, Some(2))));
        }
    }
    *open.close()
}

/// The last so many days, the `n`th before the last given its number and hour.
fn history(days: i64, hours: impl Fn(i64, i64) -> Option<Hour>) -> Vec<Day> {
    (0..days).rev().map(|n| day(before(n), |hour| hours(n, hour))).collect()
}

fn own(facts: &Facts, days: &[Day]) -> Judgement {
    judge(sets().find(RuleSets::OWN).expect("our own"), facts, days.iter(), ON)
}

fn codes(judgement: &Judgement) -> Vec<Code> {
    judgement.reasons.iter().map(|reason| reason.code).collect()
}

fn why_not(judgement: &Judgement) -> Vec<Code> {
    judgement.eligibility.reasons.iter().map(|reason| reason.code).collect()
}

/// Working hours of working days.
fn is_open(n: i64, hour: i64) -> bool {
    before(n).weekday().to_monday_zero_offset() < 5 && (9..18).contains(&hour)
}
