//! Where the time goes: processor time by program, and how long each step of a build took.

use crate::{lab::Lab, support::broker::Broker};
use std::{collections::BTreeMap, fs, process::Command};

/// Processor seconds so far: of the control plane's programs, the broker and this one.
pub fn by_program(lab: &Lab, broker: &Broker) -> BTreeMap<String, f64> {
    let mut spent = BTreeMap::new();
    let tick = Command::new("getconf").arg("CLK_TCK").output().expect("getconf runs");
    let tick: f64 = String::from_utf8_lossy(&tick.stdout).trim().parse().expect("a number");
    for entry in fs::read_dir("/proc").expect("processes").flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let of_plane = fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == lab.plane.folder);
        if !of_plane && pid != broker.pid() && pid != std::process::id() {
            continue;
        }
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name may hold anything, a closing bracket included; what follows the last one is numbers.
        let Some((head, rest)) = stat.rsplit_once(") ") else { continue };
        let name = head.split_once('(').map_or("?", |(_, name)| name).to_owned();
        let number = |at: usize| rest.split(' ').nth(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
        *spent.entry(name).or_default() += (number(11) + number(12)) / tick;
    }
    spent
}

/// The average of each step that was done, in milliseconds.
pub fn by_step(metrics: &str) -> Vec<(String, f64)> {
    let read = |what: &str| -> BTreeMap<String, f64> {
        let begin = format!("jiyue_build_step_duration_seconds_{what}{{");
        let lines = metrics.lines().filter(|line| line.starts_with(&begin) && line.contains("outcome=\"done\""));
        lines
            .filter_map(|line| {
                let step = line.split_once("step=\"")?.1.split_once('"')?.0;
                Some((step.to_owned(), line.rsplit_once(' ')?.1.parse().ok()?))
            })
            .collect()
    };
    let (sums, counts) = (read("sum"), read("count"));
    sums.into_iter().filter_map(|(step, sum)| Some((step.clone(), sum * 1000.0 / counts.get(&step)?))).collect()
}
