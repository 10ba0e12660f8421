//! How fast machines are made, beside a plain libvirt client and beside virsh in a loop, on real libvirtd and QEMU.
//!
//! - `PART=share`: define and start of one machine by a plain client (`virt`, the same domain), by our provider, and by the
//!   whole broker with its writes. In turn, in one run, on one private libvirtd; medians, and what of ours is our own.
//! - `PART=fleet`: so many machines on three hosts by TLS: `virsh create` of diskless 32 MiB domains in a loop, without
//!   a network and in a zone; virsh making the very machines that we make (disk, seed, domain); and the broker, from approval to delivery.
//!
//! `make bench-build` (`ROUNDS=21` of the share, `RUNS=1` of the fleet, `N=200` machines as far as the memory goes,
//! `LOOPS=1` of virsh side by side; `PART=broker`: ours alone, with what its steps took). Needs root, like the tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![allow(clippy::format_collect, dead_code, reason = "shares the tests' support, of which it needs a part")]

#[path = "../../tests/it/support/mod.rs"]
mod support;

mod fleet;
mod plain;
mod share;

use std::time::Duration;

#[tokio::main]
async fn main() {
    let part = std::env::var("PART").unwrap_or_default();
    if part.is_empty() || part == "share" {
        share::run(setting("ROUNDS", 21)).await;
    }
    if part != "share" {
        fleet::run(setting("N", 200), setting("RUNS", 1), setting("LOOPS", 1), part == "broker").await;
    }
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// What else the machine does meanwhile: figures of a loaded machine say little, and should say so.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("load {} on {processors} processors", text.split(' ').next().unwrap_or("?"))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
