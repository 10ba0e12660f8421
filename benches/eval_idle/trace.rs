//! A trace with the columns of the Bitbrains data, plain or packed, and what may stand beside them: `label` (`idle` and
//! whatever begins with `zombie` is idle, anything else is not, empty is unknown), `created` (a date), `logged_in` and
//! `peer_busy` (0 or 1), `inbound` (connections per second), `link_mbps`. Rows of one machine are in the order of time.

use crate::machines::Sample;
use flate2::read::MultiGzDecoder;
use jiff::{Timestamp, civil::Date};
use jiyue::usage::{Day, Gauge, Interval, Open, verdict::Facts};
use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

#[derive(Default)]
pub struct Traced {
    pub label: String,
    pub cores: u32,
    pub facts: Facts,
    open: Open,
    pub days: Vec<Day>,
    /// Of a machine that does next to nothing: its samples, for noise as it really is.
    pub samples: Vec<Sample>,
}

fn kib(text: Option<&str>) -> Option<f64> {
    text?.parse::<f64>().ok().map(|value| value * 1024.0)
}

/// All machines by name. `None` where there is no such file.
pub fn read(path: &Path, interval: Interval) -> Option<BTreeMap<String, Traced>> {
    let file = File::open(path).ok()?;
    let packed = path.extension().is_some_and(|ending| ending == "gz");
    let reader: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut reader = csv::Reader::from_reader(std::io::BufReader::with_capacity(1 << 20, reader));
    let headers = reader.headers().expect("a header").clone();
    let at = |name: &str| headers.iter().position(|header| header == name);
    let need = |name: &str| at(name).unwrap_or_else(|| panic!("the trace has no column {name}"));
    let (vm, ts, cores, cpu) = (need("vm"), need("ts"), need("cores"), need("cpu_percent"));
    let (capacity, used) = (need("mem_capacity_kb"), need("mem_used_kb"));
    let (read, written) = (need("disk_read_kbps"), need("disk_write_kbps"));
    let (received, sent) = (need("net_rx_kbps"), need("net_tx_kbps"));
    let more = ["label", "created", "logged_in", "peer_busy", "inbound", "link_mbps"].map(at);
    let mut machines = BTreeMap::<String, Traced>::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).expect("a row") {
        let text = |column: Option<usize>| column.and_then(|column| record.get(column)).filter(|text| !text.is_empty());
        let number = |column: usize| record.get(column).and_then(|text| text.parse::<f64>().ok());
        let name = record.get(vm).unwrap_or_default();
        if !machines.contains_key(name) {
            machines.insert(name.to_owned(), Traced::default());
        }
        let machine = machines.get_mut(name).expect("just inserted");
        let flag = |column| text(column).map(|text| text == "1" || text == "true");
        if let Some(label) = text(more[0]) {
            label.clone_into(&mut machine.label);
        }
        machine.facts.created = text(more[1]).and_then(|text| text.parse::<Date>().ok()).or(machine.facts.created);
        machine.facts.peer_busy = flag(more[3]).or(machine.facts.peer_busy);
        let link = text(more[5]).and_then(|text| text.parse::<f64>().ok()).map(|mbps| mbps * 125_000.0);
        machine.facts.link = link.or(machine.facts.link);
        let Some(second) = number(ts) else { continue };
        let Ok(instant) = Timestamp::from_second(second as i64) else { continue };
        machine.cores = number(cores).map_or(0, |cores| cores as u32);
        let disk = kib(record.get(read)).zip(kib(record.get(written))).map(|(read, written)| read + written);
        let memory = number(used).zip(number(capacity)).map(|(used, all)| used * 100.0 / all);
        let (received, sent) = (kib(record.get(received)), kib(record.get(sent)));
        let gauge = Gauge {
            at: instant,
            vcpus: (machine.cores > 0).then_some(machine.cores),
            values: [number(cpu), memory, disk, received, sent],
            logged_in: flag(more[2]),
            inbound: text(more[4]).and_then(|text| text.parse().ok()),
        };
        if machine.samples.len() < 9_000 {
            machine.samples.push(Sample {
                cpu: number(cpu).unwrap_or_default() * f64::from(machine.cores) / 100.0,
                memory: memory.unwrap_or_default(),
                disk: disk.unwrap_or_default(),
                received: received.unwrap_or_default(),
                sent: sent.unwrap_or_default(),
                logged_in: false,
                inbound: 0.0,
            });
        }
        machine.days.extend(machine.open.take_gauge(&gauge, interval, instant).closed.map(|day| *day));
    }
    for machine in machines.values_mut() {
        machine.days.extend(machine.open.close_before(Date::MAX).map(|day| *day));
    }
    Some(machines)
}
