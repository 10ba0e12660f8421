//! What is folded, held against what was.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "figures of tests are small, and some are exact"
)]

mod guards;
mod histories;
mod rows;
mod windows;

use super::*;
use crate::{provider::reading::Reading, time, units::Bytes};
use jiff::{Timestamp, civil::Date};

/// A midnight in the district.
const DATE: Date = Date::constant(2035, 3, 1);

fn midnight() -> i64 {
    time::day_begins(DATE)
}

/// So many seconds after that midnight.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(midnight() + seconds).expect("an instant")
}

/// Of a machine of two vCPUs and 4 GiB whose every counter stands at `count`, and the CPU's at so many milliseconds.
fn reading(seconds: i64, count: u64) -> Reading {
    Reading {
        at: at(seconds),
        life: 1,
        vcpus: Some(2),
        memory: Bytes::gib(4),
        cpu_nanos: Some(count * 1_000_000),
        memory_used: Bytes::gib(1),
        read_bytes: Some(count),
        written_bytes: Some(count),
        received_bytes: Some(count),
        sent_bytes: Some(count),
        guest: None,
    }
}

fn gauge(seconds: i64, values: ByMetric<Option<f64>>) -> Gauge {
    Gauge { at: at(seconds), vcpus: Some(2), values, logged_in: None, inbound: None }
}

/// Numbers that look like chance and are always the same.
struct Dice(u64);

impl Dice {
    /// From 0 to 1.
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1_u32 << 31)
    }
}
