//! One look at all machines of ours that run on a host: one call, and nothing asked of any guest.

use super::{
    connection::{Call, Connection},
    domain_xml,
    fault::Fault,
    told::{self, Told},
    xml::Element,
};
use crate::{
    ids::MachineId,
    provider::{Mark, ProviderError, reading::Reading},
    time::Clock,
    units::Bytes,
};
use jiff::Timestamp;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use uuid::Uuid;
use virt::{connect::Connect, domain::Domain, error::ErrorNumber, sys};

/// How long one look may take. Fifty machines take some ten milliseconds; a QEMU that hangs takes for ever, once: after
/// that it is busy with a job, and told without what only it knows.
const LOOK_LIMIT: Duration = Duration::from_secs(20);
/// Balloon figures of this age say nothing of now: the guest has stopped to report.
const STALE_SECONDS: u64 = 10 * 60;
/// Processors of one domain that are looked at; no machine type of QEMU's has more.
const MOST_VCPUS: u64 = 4096;

/// Reads a host's counters.
#[derive(Clone, Debug)]
pub struct Meter {
    /// Lines of its own: a QEMU that hangs in the middle of a look keeps one, and the host's other calls have theirs.
    connection: Connection,
    known: Arc<Mutex<Ledger>>,
}

/// A machine of ours as one look has found it.
#[derive(Clone, Debug)]
pub struct Look {
    pub machine: MachineId,
    /// The domain's number: another one after each start.
    pub run: u32,
    /// Whether it has a channel on which an agent may answer.
    pub agent: bool,
    pub reading: Reading,
}

/// What was learnt of domains from their documents, which are long, so that they are read once in a run.
#[derive(Debug, Default)]
struct Ledger {
    /// Of the connection on which it was learnt: on a new one the host may be a restarted one, whose runs are numbered
    /// anew.
    number: u64,
    domains: HashMap<Uuid, Arc<Known>>,
}

/// A domain in one run.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    run: u32,
    /// `None` for what is not ours.
    machine: Option<MachineId>,
    agent: bool,
    /// The names of its own disks; a seed is none.
    disks: Vec<String>,
    /// Whether processors' own times are told. One counter is read for the whole of a run, since two would differ.
    by_vcpu: bool,
}

impl Meter {
    pub fn new(connection: Connection) -> Self {
        Self { connection, known: Arc::default() }
    }

    pub async fn look(&self) -> Result<Vec<Look>, ProviderError> {
        let act = format!("reading the counters of host {}", self.connection.host());
        let (meter, host) = (self.clone(), self.connection.host().to_owned());
        self.connection.run(&act, LOOK_LIMIT, move |call| meter.look_now(call, &host)).await
    }

    fn look_now(&self, call: &Call<'_>, host: &str) -> Result<Vec<Look>, Fault> {
        let at = Clock::System.now();
        let records = told::statistics(call.connect)?;
        let mut before = {
            let mut ledger = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            // Two looks at once would at worst both read the documents.
            if ledger.number == call.number { std::mem::take(&mut ledger.domains) } else { HashMap::new() }
        };
        let (mut domains, mut looks) = (HashMap::new(), Vec::new());
        for record in records {
            let known = match before.remove(&record.domain).filter(|known| known.run == record.run) {
                Some(known) => known,
                None => match learn(call.connect, record.domain, record.run, &record.told)? {
                    Some(known) => Arc::new(known),
                    None => continue,
                },
            };
            if let Some(machine) = known.machine {
                let mut reading = reading(&record.told, &known, at);
                reading.life = life(host, machine, known.run);
                looks.push(Look { machine, run: known.run, agent: known.agent, reading });
            }
            domains.insert(record.domain, known);
        }
        // What does not run any more is forgotten.
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Ledger { number: call.number, domains };
        Ok(looks)
    }
}

/// Reads a domain's document; nothing when it has gone meanwhile.
fn learn(connect: &Connect, id: Uuid, run: u32, told: &Told) -> Result<Option<Known>, Fault> {
    let document = Domain::lookup_by_uuid(connect, id)
        // The lasting definition where there is one, as in the listing.
        .and_then(|domain| domain.get_xml_desc(sys::VIR_DOMAIN_XML_INACTIVE));
    match document {
        Ok(xml) => Ok(Some(known(&Element::parse(&xml)?, id, run, told))),
        Err(error) if error.code() == ErrorNumber::NoDomain => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn known(document: &Element, id: Uuid, run: u32, told: &Told) -> Known {
    // A mark that was copied to another domain makes that one no machine.
    let machine = Mark::read(document).map(|mark| mark.machine).filter(|machine| machine.0 == id);
    let by_vcpu = vcpu_times(told).next().is_some();
    Known { run, machine, agent: domain_xml::has_agent(document), disks: domain_xml::own_disks(document), by_vcpu }
}

/// A number for this run of the machine on this host. A domain's number grows with each start and outlasts a restart of the
/// daemon; the host is in it because after a move the other host may be at the same number. Numbering begins anew when the
/// host restarts, or a daemon under which nothing runs, and libvirt tells nothing else that differs between two runs: then a
/// machine may come by its old number. Its counters have begun anew, too, and are known by going back, unless the new ones
/// have outgrown the old ones before they are first read: then the little that the old run had counted is missing, once.
fn life(host: &str, machine: MachineId, run: u32) -> u64 {
    let id = Uuid::new_v5(&machine.0, format!("{host}/{run}").as_bytes());
    // A number that any database can keep.
    id.as_u64_pair().0 >> 1
}

fn reading(told: &Told, known: &Known, at: Timestamp) -> Reading {
    let vcpus = told.number("vcpu.current");
    let memory = told.number("balloon.current").and_then(kib);
    let disks = || {
        let name =
            |n: &u64| told.text(&format!("block.{n}.name")).is_some_and(|name| known.disks.iter().any(|d| d == name));
        Some((0..told.number("block.count")?).filter(name))
    };
    let cards = || Some(0..told.number("net.count")?);
    Reading {
        at,
        life: 0,
        vcpus: vcpus.and_then(|count| u32::try_from(count).ok()),
        memory,
        cpu_nanos: cpu_nanos(told, known, vcpus),
        memory_used: memory_used(told, at),
        read_bytes: disks().and_then(|disks| sum(told, "block", disks, "rd.bytes")),
        written_bytes: disks().and_then(|disks| sum(told, "block", disks, "wr.bytes")),
        // libvirt turns the directions of a tap around: what it calls received is what the guest has received.
        received_bytes: cards().and_then(|cards| sum(told, "net", cards, "rx.bytes")),
        sent_bytes: cards().and_then(|cards| sum(told, "net", cards, "tx.bytes")),
        guest: None,
    }
}

/// All of them, or nothing: a sum that lacks one would go back.
fn sum(told: &Told, group: &str, which: impl Iterator<Item = u64>, field: &str) -> Option<u64> {
    let one = |n| told.number(&format!("{group}.{n}.{field}"));
    which.map(one).try_fold(0_u64, |sum, bytes| sum.checked_add(bytes?))
}

fn vcpu_times(told: &Told) -> impl Iterator<Item = u64> {
    let count = told.number("vcpu.maximum").unwrap_or_default().min(MOST_VCPUS);
    (0..count).filter_map(|n| told.number(&format!("vcpu.{n}.time")))
}

/// Time that the processors' threads have run, under KVM and under emulation alike: of each it is at most the time that has
/// passed, so that the share of what was allocated cannot exceed 100 %. Where that is not told it is all of QEMU's time,
/// with what it spends on disks and network for the guest, and may be more.
fn cpu_nanos(told: &Told, known: &Known, vcpus: Option<u64>) -> Option<u64> {
    if !known.by_vcpu {
        return told.number("cpu.time");
    }
    let count = vcpu_times(told).count();
    (u64::try_from(count).ok()? >= vcpus?).then(|| vcpu_times(told).fold(0, u64::saturating_add))
}

fn kib(count: u64) -> Option<Bytes> {
    count.checked_mul(1024).and_then(|bytes| i64::try_from(bytes).ok()).and_then(Bytes::new)
}

/// As the guest's balloon driver says, which is the guest's word: what cannot be so is not told.
fn memory_used(told: &Told, at: Timestamp) -> Option<Bytes> {
    let number = |name: &str| told.number(&format!("balloon.{name}"));
    let last = number("last-update").filter(|seconds| *seconds > 0)?;
    if u64::try_from(at.as_second()).ok()?.abs_diff(last) > STALE_SECONDS {
        return None;
    }
    let has = number("available").filter(|has| number("maximum").is_none_or(|most| *has <= most))?;
    let free = match number("usable") {
        Some(usable) => usable,
        // Older drivers count caches as used and do not always say how much they are.
        None => number("unused")?.checked_add(number("disk_caches").unwrap_or_default())?,
    };
    has.checked_sub(free).and_then(kib)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::OperationId,
        provider::{DomainType, libvirt::told::Value, tests::intent},
    };

    const NOW: i64 = 2_000_000_000;

    fn told(more: &[(&str, u64)]) -> Told {
        let numbers = [
            ("cpu.time", 900),
            ("vcpu.current", 2),
            ("vcpu.maximum", 4),
            ("vcpu.0.time", 300),
            ("vcpu.1.time", 50),
            ("balloon.current", 1024),
            ("balloon.maximum", 1024),
            ("balloon.available", 1000),
            ("balloon.usable", 600),
            ("balloon.unused", 400),
            ("balloon.last-update", 2_000_000_000 - 60),
            ("block.count", 2),
            ("block.0.rd.bytes", 10),
            ("block.0.wr.bytes", 20),
            ("block.1.rd.bytes", 1000),
            ("block.1.wr.bytes", 1000),
            ("net.count", 2),
            ("net.0.rx.bytes", 1),
            ("net.0.tx.bytes", 2),
            ("net.1.rx.bytes", 3),
            ("net.1.tx.bytes", 4),
        ];
        let names = [("block.0.name", "vda"), ("block.1.name", "vdb")];
        let numbers = numbers.iter().chain(more).map(|(name, n)| ((*name).to_owned(), Value::Number(*n)));
        let names = names.iter().map(|(name, text)| ((*name).to_owned(), Value::Text((*text).to_owned())));
        let mut values: HashMap<_, _> = numbers.chain(names).collect();
        values.retain(|_, value| *value != Value::Number(u64::MAX));
        values.into_iter().collect()
    }

    fn document() -> Element {
        let path = |name: &str| format!("/pool/{name}");
        let places = domain_xml::Places {
            disk: path("root.qcow2"),
            image: path("image.qcow2"),
            seed: path("seed.img"),
            console: path("console.log"),
        };
        Element::parse(&domain_xml::domain(&intent(), &places, DomainType::Qemu).unwrap()).unwrap()
    }

    /// With these in place of what is told; `u64::MAX` takes something away.
    fn read(more: &[(&str, u64)]) -> Reading {
        let known = known(&document(), intent().machine.0, 1, &told(&[]));
        reading(&told(more), &known, Timestamp::from_second(NOW).unwrap())
    }

    #[test]
    fn everything_is_summed_but_the_seed() {
        let read = read(&[]);
        assert_eq!((read.vcpus, read.cpu_nanos), (Some(2), Some(350)));
        assert_eq!((read.memory, read.memory_used), (Bytes::mib(1), kib(400)));
        assert_eq!((read.read_bytes, read.written_bytes), (Some(10), Some(20)));
        assert_eq!((read.received_bytes, read.sent_bytes), (Some(4), Some(6)));
    }

    #[test]
    fn what_is_not_told_is_not_zero() {
        let none = u64::MAX;
        assert_eq!(read(&[("block.0.rd.bytes", none)]).read_bytes, None);
        assert_eq!(read(&[("block.0.rd.bytes", none)]).written_bytes, Some(20));
        assert_eq!(read(&[("block.count", none)]).read_bytes, None);
        assert_eq!(read(&[("block.count", 0)]).read_bytes, Some(0));
        assert_eq!(read(&[("net.1.tx.bytes", none)]).sent_bytes, None);
        // In the same run it never becomes the other counter, nor the sum of fewer processors.
        assert_eq!(read(&[("vcpu.1.time", none)]).cpu_nanos, None);
        assert_eq!(read(&[("vcpu.0.time", none), ("vcpu.1.time", none)]).cpu_nanos, None);
        let known = Known { by_vcpu: false, ..known(&document(), intent().machine.0, 1, &Told::default()) };
        assert_eq!(reading(&told(&[]), &known, Timestamp::UNIX_EPOCH).cpu_nanos, Some(900));
    }

    #[test]
    fn a_guest_that_lies_about_its_memory_is_not_heard() {
        let used = |more: &[(&str, u64)]| read(more).memory_used;
        let none = u64::MAX;
        assert_eq!(used(&[("balloon.usable", none)]), kib(600));
        assert_eq!(used(&[("balloon.usable", none), ("balloon.disk_caches", 100)]), kib(500));
        assert_eq!(used(&[("balloon.usable", none), ("balloon.disk_caches", none - 1)]), None);
        assert_eq!(used(&[("balloon.usable", none), ("balloon.unused", none)]), None);
        assert_eq!(used(&[("balloon.usable", 1001)]), None);
        assert_eq!(used(&[("balloon.available", 1025)]), None);
        assert_eq!(used(&[("balloon.available", none)]), None);
        assert_eq!(used(&[("balloon.last-update", 0)]), None);
        assert_eq!(used(&[("balloon.last-update", 2_000_000_000 - 700)]), None);
    }

    #[test]
    fn only_a_mark_of_its_own_makes_a_machine() {
        let ours = known(&document(), intent().machine.0, 7, &Told::default());
        assert_eq!((ours.machine, ours.run, ours.agent, ours.by_vcpu), (Some(intent().machine), 7, true, false));
        assert_eq!(ours.disks, ["vda"]);
        assert_eq!(known(&document(), OperationId::new().0, 7, &Told::default()).machine, None);
        assert_eq!(known(&Element::new("domain"), intent().machine.0, 7, &Told::default()).machine, None);
    }

    #[test]
    fn a_life_is_one_run_on_one_host() {
        let machine = intent().machine;
        let lives =
            [life("a", machine, 1), life("a", machine, 2), life("b", machine, 1), life("a", MachineId::new(), 1)];
        assert_eq!(life("a", machine, 1), lives[0]);
        assert!((1..4).all(|n| lives[n] != lives[0]) && lives.iter().all(|life| i64::try_from(*life).is_ok()));
    }
}
