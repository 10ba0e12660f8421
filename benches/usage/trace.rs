//! A synthetic trace: the same numbers for every run, whatever the order of its lines.

use std::{
    fs::File,
    io::{self, BufWriter},
    path::Path,
};

/// 2024-06-01 00:00 in the district.
pub const BEGINS: i64 = 1_717_171_200;
pub const STEP: i64 = 300;
pub const SAMPLES: i64 = 86_400 / STEP;
pub const HEADER: [&str; 6] = ["vm", "ts", "cpu_percent", "mem_percent", "net_rx_kbps", "net_tx_kbps"];

/// Chance that is always the same: of a machine, a sample, and what it is for; from 0 to 1.
fn chance(machine: i64, sample: i64, what: i64) -> f64 {
    let mut bits = (machine.unsigned_abs() << 40) ^ (sample.unsigned_abs() << 8) ^ what.unsigned_abs();
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// CPU, memory, received, sent: an eighth of the machines do nothing but keep their agents alive, an eighth hardly more, the
/// others work by day.
fn values(machine: i64, sample: i64) -> [f64; 4] {
    let hour = (sample % SAMPLES) as f64 * 24.0 / SAMPLES as f64;
    let day = (-((hour - 14.0) / 4.0).powi(2)).exp();
    let size = chance(machine, 0, 10);
    let work = match machine % 8 {
        0 => 0.0,
        1 => 0.05 * size,
        _ => 0.2 + size,
    };
    let noise = |what| -(chance(machine, sample, what).max(1e-9)).ln();
    let busy = work * (0.15 + day);
    [
        (0.3 + 0.2 * noise(1) + busy * (6.0 + 12.0 * noise(2))).min(100.0),
        (20.0 + 40.0 * size + busy * 3.0 * noise(3)).min(100.0),
        0.3 + 0.2 * noise(4) + busy * 40.0 * noise(5),
        0.2 + 0.2 * noise(6) + busy * 90.0 * noise(7),
    ]
}

/// Machine by machine, as traces are published, or instant by instant, as a collector would write it.
pub fn write(path: &Path, machines: i64, days: i64, by_time: bool) -> io::Result<()> {
    let half = path.with_extension("half");
    let mut out = csv::WriterBuilder::new().from_writer(BufWriter::with_capacity(1 << 20, File::create(&half)?));
    out.write_record(HEADER)?;
    let mut line = |machine: i64, sample: i64| {
        let [cpu, memory, received, sent] = values(machine, sample).map(|value| (value * 1000.0).round() / 1000.0);
        out.serialize((format!("m{machine}"), BEGINS + (sample + 1) * STEP, cpu, memory, received, sent))
    };
    let samples = days * SAMPLES;
    if by_time {
        for sample in 0..samples {
            for machine in 1..=machines {
                line(machine, sample)?;
            }
        }
    } else {
        for machine in 1..=machines {
            for sample in 0..samples {
                line(machine, sample)?;
            }
        }
    }
    out.flush()?;
    std::fs::rename(half, path)
}
