//! Placement in process: decisions per second on the index that approvals use, and how many hosts a day's work takes.
//!
//! Packing runs the requests of a public trace (Azure, 2017; `TRACE=`, by default in `../shared/data`; `PART=`, 0 unless
//! told otherwise) through the same index and the same score: hosts alike, as many as it takes, departures at an instant
//! before arrivals at it, nothing ever moved. Hosts in use and the bound (the most of ⌈vCPUs in use / a host's⌉ and
//! ⌈memory in use / a host's⌉) are sampled before each distinct instant of arrival; what counts is mean by mean.
//!
//! `cargo bench --bench placement` (`SECONDS=3 TRACE=file.csv.gz PART=0`)

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![allow(clippy::cast_precision_loss, reason = "counts become figures for people")]

#[path = "../tests/it/support/packing.rs"]
mod packing;

use flate2::read::GzDecoder;
use packing::{Packer, Shape, Visit};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Host, limit on the ratio without lease ends, limit with them.
const SHAPES: [(Shape, f64, f64); 2] = [(Shape::new(64, 448), 1.11, 1.07), (Shape::new(40, 90), 1.17, 1.15)];

fn main() {
    let seconds = std::env::var("SECONDS").map_or(3, |text| text.parse().expect("SECONDS is a number"));
    println!("decisions per second, one thread, {seconds} s each\n");
    println!("{:>8} {:>14} {:>14} {:>12}", "hosts", "decisions/s", "µs/decision", "placed");
    for hosts in [1000, 5000] {
        decide(hosts, Duration::from_secs(seconds));
    }
    println!();
    pack();
}

/// Sizes, lives and instants that never repeat in step, without a generator of random numbers.
fn step(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Fills the hosts to seven tenths and then lets machines come and go: a decision is a place found, taken and, for
/// another machine, given back.
fn decide(hosts: usize, time: Duration) {
    let inventory = packing::inventory(packing::hosts(hosts, Shape::new(64, 448)));
    let (mut state, mut now) = (42, 0);
    let mut draw = |now: i64| {
        let vcpu = 1 << (step(&mut state) % 4);
        let memory = (vcpu * (2 + i64::try_from(step(&mut state) % 6).unwrap())) << 30;
        let lease = now + i64::try_from(step(&mut state) % 1000).unwrap() * 86_400;
        packing::ask(vcpu, memory, now, Some(lease))
    };
    let mut places = Vec::new();
    let (mut vcpu, full) = (0, hosts as u64 * 64 * 7 / 10);
    while vcpu < full {
        now += 60;
        let ask = draw(now);
        vcpu += u64::from(ask.wanted.size.vcpu);
        places.extend(inventory.reserve(&ask).expect("room"));
    }
    let (began, mut done) = (Instant::now(), 0_u64);
    while began.elapsed() < time {
        for _ in 0..100 {
            now += 60;
            let at = usize::try_from(now / 60 * 7919).unwrap() % places.len();
            inventory.release(&[places.swap_remove(at)]);
            places.extend(inventory.reserve(&draw(now)).expect("room"));
            done += 1;
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!("{hosts:>8} {:>14.0} {:>14.1} {:>12}", done as f64 / took, took * 1e6 / done as f64, places.len());
}

fn pack() {
    let file = std::env::var_os("TRACE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/azure-v1-requests-dev.csv.gz"),
        PathBuf::from,
    );
    let part = std::env::var("PART").unwrap_or_else(|_| "0".to_owned());
    let Ok(content) = File::open(&file) else {
        println!("no trace at {} (TRACE=): nothing was packed", file.display());
        return;
    };
    let trace = read(content, &file, &part);
    assert!(!trace.is_empty(), "{} has no rows of part {part} (PART=)", file.display());
    println!("packing, {} requests of part {part} of {}\n", trace.len(), file.display());
    println!("{:>10} {:<16} {:>10} {:>10} {:>8} {:>8} {:>6}", "host", "order", "hosts", "bound", "ratio", "limit", "");
    for (shape, blind, seeing) in SHAPES {
        let name = format!("{} / {}", shape.vcpu, shape.memory >> 30);
        let rows = [
            ("lease ends hidden", Packer::Ours { leases_known: false }, Some(blind)),
            ("lease ends known", Packer::Ours { leases_known: true }, Some(seeing)),
            ("first fit", Packer::FirstFit, None),
            ("worst fit", Packer::WorstFit, None),
        ];
        let mut left_out = 0;
        for (order, packer, limit) in rows {
            let packing = packing::pack(&trace, shape, packer);
            let verdict = match limit {
                Some(limit) if packing.ratio() > limit => "OVER",
                Some(_) => "ok",
                None => "",
            };
            println!(
                "{name:>10} {order:<16} {:>10.2} {:>10.2} {:>8.4} {:>8} {verdict:>6}",
                packing.hosts,
                packing.bound,
                packing.ratio(),
                limit.map_or_else(String::new, |limit| limit.to_string()),
            );
            left_out = packing.left_out;
        }
        if left_out > 0 {
            println!("{name:>10} {left_out} requests fit no such host and are left out, of hosts and bound alike");
        }
    }
}

/// `arrive_s, vcpu, mem_gib, depart_s or -1, part` a line, under a heading.
fn read(file: File, path: &Path, part: &str) -> Vec<Visit> {
    let gz = path.extension().is_some_and(|extension| extension == "gz");
    let content: Box<dyn Read> = if gz { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    let mut trace = Vec::new();
    for line in BufReader::new(content).lines().skip(1) {
        let line = line.expect("a readable trace");
        let columns: Vec<&str> = line.split(',').collect();
        let [arrives, vcpu, memory, departs, of] = columns[..] else { panic!("not five columns: {line}") };
        if of.trim() != part {
            continue;
        }
        let number = |text: &str| text.trim().parse::<f64>().unwrap_or_else(|_| panic!("not a number: {line}"));
        #[allow(clippy::cast_possible_truncation, reason = "seconds and bytes of a trace are far below 2^53")]
        let whole = |number: f64| number.round() as i64;
        trace.push(Visit {
            arrives: whole(number(arrives)),
            vcpu: whole(number(vcpu)),
            memory: whole(number(memory) * f64::from(1 << 30)),
            departs: Some(whole(number(departs))).filter(|at| *at >= 0),
        });
    }
    trace.sort_by_key(|visit| visit.arrives);
    trace
}
