//! A provider in memory, for load and for faults that cannot be had from a real host on demand. It runs nothing and proves
//! nothing about libvirt; it is never configured by an operator.

mod load;

pub use load::Load;

use super::{
    Capacity, Destination, ImageRef, Intent, Journey, Mark, Observed, Part, Power, Provider, ProviderError, Seen,
    Shape, Stop, reading::Readings,
};
use crate::{
    ids::{MachineId, OperationId},
    time::Clock,
    units::Bytes,
};
use load::Counters;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use uuid::Uuid;

/// A call that faults and counts are kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    Capacity,
    Ensure(Part),
    Remove(Part),
    ClearSeed,
    Observe,
    Stop,
    Console,
    List,
    Reboot,
    Reshape,
    Migrate,
    Images,
    Readings,
}

/// What happens instead of the act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Permanent,
    Transient,
    /// Nothing is done and nothing is heard.
    Unreachable,
    /// The act is done, but the answer is lost on the way.
    LostReply,
    /// Never returns. The act is not done.
    Hang,
}

/// Something made for one machine by one operation, and still there.
pub type Standing = (MachineId, OperationId, Part);

/// Clones are the same host: a broker that "restarts" is given a clone.
#[derive(Clone, Debug)]
pub struct SimulatedHost {
    state: Arc<Mutex<State>>,
    latency: Duration,
}

#[derive(Debug)]
struct State {
    capacity: Capacity,
    images: BTreeSet<String>,
    machines: BTreeMap<(MachineId, OperationId), Machine>,
    /// Domains of somebody else, by name.
    foreign: BTreeSet<String>,
    faults: HashMap<Act, (Fault, u32)>,
    calls: HashMap<Act, u64>,
    /// What readings are dated by.
    clock: Clock,
    /// Of machines that run.
    counters: BTreeMap<MachineId, Counters>,
}

#[derive(Debug)]
struct Machine {
    intent: Intent,
    parts: BTreeSet<Part>,
}

/// A host that never fills.
impl Default for SimulatedHost {
    fn default() -> Self {
        Self::new(Capacity { vcpu: 1_000_000, memory: Bytes::MAX, disk: Bytes::MAX })
    }
}

impl SimulatedHost {
    pub fn new(capacity: Capacity) -> Self {
        let state = State {
            capacity,
            images: BTreeSet::new(),
            machines: BTreeMap::new(),
            foreign: BTreeSet::new(),
            faults: HashMap::new(),
            calls: HashMap::new(),
            clock: Clock::System,
            counters: BTreeMap::new(),
        };
        Self { state: Arc::new(Mutex::new(state)), latency: Duration::ZERO }
    }

    /// The same host at a distance: each call takes this long.
    #[must_use]
    pub fn with_latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// The same host by another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        self.state().clock = clock;
        self
    }

    /// What a machine pretends to do from now on, in this run and the next ones.
    pub fn pretend(&self, machine: MachineId, load: Load) {
        let mut state = self.state();
        let (now, vcpus) = (state.clock.now(), state.running(machine).map_or(0, |intent| intent.vcpu));
        match state.counters.get_mut(&machine) {
            Some(counters) => counters.change(now, vcpus, load),
            None => drop(state.counters.insert(machine, Counters::begin(now, load))),
        }
    }

    /// The next `times` calls of this kind go wrong in this way; `u32::MAX` is for ever.
    pub fn inject(&self, act: Act, fault: Fault, times: u32) {
        self.state().faults.insert(act, (fault, times));
    }

    /// All goes well again.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// How often a call was made, faults included.
    pub fn calls(&self, act: Act) -> u64 {
        self.state().calls.get(&act).copied().unwrap_or_default()
    }

    /// Puts a domain of somebody else there.
    pub fn plant_foreign(&self, name: &str) {
        self.state().foreign.insert(name.to_owned());
    }

    /// All that stands for machines; empty means that nothing has leaked. Images stay and are not counted.
    pub fn standing(&self) -> Vec<Standing> {
        let state = self.state();
        let of = |((machine, operation), m): (&(MachineId, OperationId), &Machine)| {
            m.parts.iter().map(|part| (*machine, *operation, *part)).collect::<Vec<_>>()
        };
        state.machines.iter().flat_map(of).collect()
    }

    /// The machines that run.
    pub fn running(&self) -> Vec<MachineId> {
        let state = self.state();
        let on = state.machines.iter().filter(|(_, m)| m.parts.contains(&Part::Power));
        on.map(|((machine, _), _)| *machine).collect()
    }

    /// Sum of what the disks and domains that stand were promised, in processors, bytes of memory and bytes of disk.
    /// Wide integers: an oracle must be able to show an overrun.
    pub fn promised(&self) -> (i128, i128, i128) {
        let state = self.state();
        state.machines.values().fold((0, 0, 0), |(vcpu, memory, disk), m| {
            let domain = i128::from(m.parts.contains(&Part::Domain));
            let volume = i128::from(m.parts.contains(&Part::Disk));
            let i = &m.intent;
            (
                vcpu + domain * i128::from(i.vcpu),
                memory + domain * i128::from(i.memory.get()),
                disk + volume * i128::from(i.disk.get()),
            )
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the call, lets a fault strike, and does the act.
    async fn perform<T>(
        &self,
        act: Act,
        run: impl FnOnce(&mut State) -> Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        let unreachable = || ProviderError::Unreachable { host: "simulated".to_owned(), source: None };
        let fault = self.state().strike(act);
        let (act, reason) = (format!("{act:?}"), "injected".to_owned());
        match fault {
            None => run(&mut self.state()),
            Some(Fault::LostReply) => run(&mut self.state()).and_then(|_| Err(unreachable())),
            Some(Fault::Unreachable) => Err(unreachable()),
            Some(Fault::Transient) => Err(ProviderError::Transient { act, reason }),
            Some(Fault::Permanent) => Err(ProviderError::Permanent { act, reason }),
            Some(Fault::Hang) => std::future::pending().await,
        }
    }
}

impl State {
    fn strike(&mut self, act: Act) -> Option<Fault> {
        *self.calls.entry(act).or_default() += 1;
        let (fault, times) = self.faults.get_mut(&act)?;
        let fault = *fault;
        if *times != u32::MAX {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.faults.remove(&act);
            }
        }
        Some(fault)
    }

    /// Whether another's domain has the machine's name or UUID.
    fn is_foreign(&self, intent: &Intent) -> bool {
        let other = |(key, m): (&(MachineId, OperationId), &Machine)| {
            *key != key_of(intent)
                && m.parts.contains(&Part::Domain)
                && (key.0 == intent.machine || m.intent.name == intent.name)
        };
        self.foreign.contains(&intent.name) || self.machines.iter().any(other)
    }

    fn has(&self, intent: &Intent, part: Part) -> bool {
        self.machines.get(&key_of(intent)).is_some_and(|m| m.parts.contains(&part))
    }

    /// Whether a part of another machine collides with this one's.
    fn taken(&self, intent: &Intent, part: Part, collides: impl Fn(&Intent) -> bool) -> bool {
        let mut others = self.machines.iter().filter(|(key, _)| **key != key_of(intent));
        others.any(|(_, m)| m.parts.contains(&part) && collides(&m.intent))
    }

    fn ensure(&mut self, part: Part, intent: &Intent) -> Result<(), ProviderError> {
        let act = || format!("{part} of {}", intent.name);
        let permanent = |reason: &str| Err(ProviderError::Permanent { act: act(), reason: reason.to_owned() });
        let (mine, network) = (&intent.network, |i: &Intent| i.network.network == intent.network.network);
        match part {
            Part::Image => {
                self.images.insert(intent.image.sha256.clone());
                return Ok(());
            }
            Part::Disk if !self.images.contains(&intent.image.sha256) => return permanent("the image is missing"),
            Part::Address
                if self.taken(intent, part, |i| {
                    network(i) && (i.network.address == mine.address || i.network.mac == mine.mac)
                }) =>
            {
                return permanent("the address is taken");
            }
            Part::Name if intent.fqdn.is_none() => return Ok(()),
            Part::Name if self.taken(intent, part, |i| network(i) && i.fqdn == intent.fqdn) => {
                return permanent("the name is taken");
            }
            Part::Domain | Part::Power if self.is_foreign(intent) => {
                return Err(ProviderError::NotOurs { what: format!("domain {}", intent.name) });
            }
            Part::Domain if !self.has(intent, Part::Disk) || !self.has(intent, Part::Seed) => {
                return permanent("a volume is missing");
            }
            Part::Seed if !self.has(intent, part) && intent.lacks_password() => {
                return permanent("the seed lacks the database's password");
            }
            Part::Power if !self.has(intent, Part::Domain) => return permanent("the domain is not defined"),
            Part::Answer => {
                let reason = "nobody answers".to_owned();
                let on = self.has(intent, Part::Power);
                return if on { Ok(()) } else { Err(ProviderError::Transient { act: act(), reason }) };
            }
            Part::Disk | Part::Seed | Part::Address | Part::Name | Part::Domain | Part::Power => {}
        }
        let machine = || Machine { intent: intent.clone(), parts: BTreeSet::new() };
        let new = self.machines.entry(key_of(intent)).or_insert_with(machine).parts.insert(part);
        if new && part == Part::Power {
            let load = self.counters.get(&intent.machine).map(|counters| counters.load().clone());
            let counters = Counters::begin(self.clock.now(), load.unwrap_or_default());
            self.counters.insert(intent.machine, counters);
        }
        Ok(())
    }

    fn remove(&mut self, part: Part, intent: &Intent) -> Result<(), ProviderError> {
        let Some(machine) = self.machines.get_mut(&key_of(intent)) else { return Ok(()) };
        if matches!(part, Part::Disk | Part::Seed) && machine.parts.contains(&Part::Domain) {
            let reason = "its domain is still defined".to_owned();
            return Err(ProviderError::Transient { act: format!("removing {part} of {}", intent.name), reason });
        }
        machine.parts.remove(&part);
        if part == Part::Domain {
            machine.parts.remove(&Part::Power);
        }
        if machine.parts.is_empty() {
            self.machines.remove(&key_of(intent));
        }
        Ok(())
    }
}

impl State {
    fn running(&self, machine: MachineId) -> Option<&Intent> {
        let mut on = self.machines.iter().filter(|((id, _), m)| *id == machine && m.parts.contains(&Part::Power));
        on.next().map(|(_, m)| &m.intent)
    }

    fn readings(&mut self) -> Readings {
        let now = self.clock.now();
        let on = self.machines.iter().filter(|(_, m)| m.parts.contains(&Part::Power));
        let read = on.map(|((id, _), m)| {
            // One that has moved here runs without having been started here.
            let counters = self.counters.entry(*id).or_insert_with(|| Counters::begin(now, Load::default()));
            (*id, counters.read(now, m.intent.vcpu, m.intent.memory))
        });
        read.collect()
    }

    fn list(&self) -> Vec<Seen> {
        let ours =
            self.machines.iter().filter(|(_, m)| m.parts.contains(&Part::Domain)).map(|((id, operation), m)| Seen {
                id: id.0,
                name: m.intent.name.clone(),
                mark: Some(Mark { machine: *id, operation: *operation }),
                power: if m.parts.contains(&Part::Power) { Power::On(1) } else { Power::Cut },
                shape: m.shape(),
                address: None,
            });
        let foreign = self.foreign.iter().map(|name| Seen {
            // The same at each listing, as a domain's own would be.
            id: Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()),
            name: name.clone(),
            mark: None,
            power: Power::On(1),
            shape: Shape::default(),
            address: None,
        });
        ours.chain(foreign).collect()
    }
}

impl Machine {
    fn shape(&self) -> Shape {
        Shape {
            vcpu: self.intent.vcpu,
            memory_bytes: self.intent.memory.get(),
            disks: Vec::new(),
            macs: vec![self.intent.network.mac.clone()],
        }
    }
}

const fn key_of(intent: &Intent) -> (MachineId, OperationId) {
    (intent.machine, intent.operation)
}

#[async_trait::async_trait]
impl Provider for SimulatedHost {
    async fn capacity(&self) -> Result<Capacity, ProviderError> {
        self.perform(Act::Capacity, |state| Ok(state.capacity)).await
    }

    async fn ensure(&self, part: Part, intent: &Intent) -> Result<(), ProviderError> {
        self.perform(Act::Ensure(part), |state| state.ensure(part, intent)).await
    }

    async fn remove(&self, part: Part, intent: &Intent) -> Result<(), ProviderError> {
        self.perform(Act::Remove(part), |state| state.remove(part, intent)).await
    }

    async fn clear_seed(&self, intent: &Intent) -> Result<(), ProviderError> {
        let there = |state: &mut State| {
            let (act, reason) = (format!("clearing the seed of {}", intent.name), "the volume is missing".to_owned());
            if state.has(intent, Part::Seed) { Ok(()) } else { Err(ProviderError::Permanent { act, reason }) }
        };
        self.perform(Act::ClearSeed, there).await
    }

    async fn observe(&self, intent: &Intent) -> Result<Observed, ProviderError> {
        let look = |state: &mut State| {
            Ok(match (state.has(intent, Part::Domain), state.has(intent, Part::Power)) {
                (true, true) => Observed::Running,
                (true, false) => Observed::Off,
                (false, _) if state.is_foreign(intent) => Observed::Foreign,
                (false, _) => Observed::Absent,
            })
        };
        self.perform(Act::Observe, look).await
    }

    async fn stop(&self, intent: &Intent, _: Stop) -> Result<(), ProviderError> {
        self.perform(Act::Stop, |state| state.remove(Part::Power, intent)).await
    }

    async fn list(&self) -> Result<Vec<Seen>, ProviderError> {
        self.perform(Act::List, |state| Ok(state.list())).await
    }

    async fn readings(&self) -> Result<Readings, ProviderError> {
        self.perform(Act::Readings, |state| Ok(state.readings())).await
    }

    async fn reboot(&self, intent: &Intent) -> Result<(), ProviderError> {
        let on = |state: &mut State| {
            let reason = "it is not running".to_owned();
            let act = || format!("rebooting {}", intent.name);
            if state.has(intent, Part::Power) { Ok(()) } else { Err(ProviderError::Permanent { act: act(), reason }) }
        };
        self.perform(Act::Reboot, on).await
    }

    async fn reshape(&self, intent: &Intent) -> Result<(), ProviderError> {
        let reshape = |state: &mut State| match state.machines.get_mut(&key_of(intent)) {
            Some(machine) if machine.parts.contains(&Part::Domain) => {
                machine.intent = intent.clone();
                Ok(())
            }
            _ => Err(ProviderError::Permanent {
                act: format!("resizing {}", intent.name),
                reason: "the domain is not defined".to_owned(),
            }),
        };
        self.perform(Act::Reshape, reshape).await
    }

    fn destination(&self) -> Destination {
        Destination::Simulated(self.clone())
    }

    async fn migrate(&self, journey: &Journey, report: &(dyn Fn(u8) + Send + Sync)) -> Result<(), ProviderError> {
        let Destination::Simulated(there) = &journey.destination else {
            return Err(ProviderError::Permanent {
                act: format!("moving {}", journey.from.name),
                reason: "the other host is of another kind".to_owned(),
            });
        };
        let moved = |state: &mut State| {
            let Some(machine) = state.machines.remove(&key_of(&journey.from)) else {
                let arrived = there.state().has(&journey.to, Part::Domain);
                let (act, reason) = (format!("moving {}", journey.from.name), "neither host has it".to_owned());
                return if arrived { Ok(()) } else { Err(ProviderError::Permanent { act, reason }) };
            };
            let mut arrived = there.state();
            arrived.images.insert(journey.to.image.sha256.clone());
            arrived.machines.insert(key_of(&journey.to), Machine { intent: journey.to.clone(), ..machine });
            Ok(())
        };
        report(50);
        self.perform(Act::Migrate, moved).await?;
        report(100);
        Ok(())
    }

    async fn images(&self) -> Result<Vec<String>, ProviderError> {
        self.perform(Act::Images, |state| Ok(state.images.iter().cloned().collect())).await
    }

    async fn has_image(&self, image: &ImageRef) -> Result<bool, ProviderError> {
        self.perform(Act::Images, |state| Ok(state.images.contains(&image.sha256))).await
    }

    async fn bring_image(&self, image: &ImageRef, report: &(dyn Fn(u8) + Send + Sync)) -> Result<(), ProviderError> {
        let bring = |state: &mut State| {
            state.images.insert(image.sha256.clone());
            Ok(())
        };
        self.perform(Act::Ensure(Part::Image), bring).await?;
        report(100);
        Ok(())
    }

    async fn console(&self, intent: &Intent, limit: usize) -> Result<String, ProviderError> {
        let tail = |state: &mut State| {
            let text = if state.has(intent, Part::Power) { "simulated machine\n" } else { "" };
            Ok(text.chars().take(limit).collect())
        };
        self.perform(Act::Console, tail).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::tests::intent;
    use std::sync::atomic::{AtomicI64, Ordering};

    fn host() -> SimulatedHost {
        SimulatedHost::new(Capacity { vcpu: 8, memory: Bytes::gib(16).unwrap(), disk: Bytes::gib(100).unwrap() })
    }

    #[tokio::test]
    async fn a_machine_is_built_and_removed_without_a_trace() {
        let (host, intent) = (host(), intent());
        for part in Part::ALL {
            host.ensure(part, &intent).await.unwrap();
            host.clone().ensure(part, &intent).await.unwrap();
        }
        assert_eq!(host.observe(&intent).await.unwrap(), Observed::Running);
        assert_eq!((host.running(), host.promised().0), (vec![intent.machine], 2));
        host.stop(&intent, Stop::Now).await.unwrap();
        assert_eq!(host.observe(&intent).await.unwrap(), Observed::Off);
        for part in Part::ALL.into_iter().rev() {
            host.remove(part, &intent).await.unwrap();
            host.remove(part, &intent).await.unwrap();
        }
        assert_eq!((host.standing(), host.promised()), (vec![], (0, 0, 0)));
    }

    #[tokio::test]
    async fn faults_strike_as_often_as_asked() {
        let (host, intent) = (host(), intent());
        host.inject(Act::Ensure(Part::Image), Fault::Transient, 2);
        for _ in 0..2 {
            assert!(host.ensure(Part::Image, &intent).await.unwrap_err().is_transient());
        }
        host.ensure(Part::Image, &intent).await.unwrap();
        assert_eq!(host.calls(Act::Ensure(Part::Image)), 3);
        host.inject(Act::Ensure(Part::Disk), Fault::LostReply, 1);
        assert!(host.ensure(Part::Disk, &intent).await.is_err());
        assert_eq!(host.standing(), [(intent.machine, intent.operation, Part::Disk)]);
        host.inject(Act::Observe, Fault::Hang, u32::MAX);
        assert!(tokio::time::timeout(Duration::from_millis(20), host.observe(&intent)).await.is_err());
        host.heal();
        assert_eq!(host.observe(&intent).await.unwrap(), Observed::Absent);
    }

    #[tokio::test]
    async fn what_a_machine_pretends_is_counted() {
        let micros = Arc::new(AtomicI64::new(0));
        let (host, intent) = (host().with_clock(Clock::Fixed(Arc::clone(&micros))), intent());
        let pass = |seconds: i64| micros.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
        host.pretend(intent.machine, Load { busy: 0.5, sent_per_second: 7, ..Load::default() });
        for part in Part::ALL {
            assert_eq!(host.readings().await.unwrap(), []);
            host.ensure(part, &intent).await.unwrap();
            if part == Part::Power {
                break;
            }
        }
        pass(10);
        let read = host.readings().await.unwrap();
        let [(machine, first)] = &read[..] else { panic!("{read:?}") };
        assert_eq!((*machine, first.vcpus, first.memory), (intent.machine, Some(2), Some(intent.memory)));
        assert_eq!((first.cpu_nanos, first.sent_bytes, first.read_bytes), (Some(10_000_000_000), Some(70), Some(0)));
        host.pretend(intent.machine, Load::default());
        pass(10);
        assert_eq!(host.readings().await.unwrap()[0].1.cpu_nanos, Some(10_000_000_000));
        host.stop(&intent, Stop::Now).await.unwrap();
        assert_eq!(host.readings().await.unwrap(), []);
        host.ensure(Part::Power, &intent).await.unwrap();
        let next = &host.readings().await.unwrap()[0].1;
        assert_eq!((next.cpu_nanos, next.life == first.life), (Some(0), false));
        host.inject(Act::Readings, Fault::Unreachable, 1);
        assert!(matches!(host.readings().await, Err(ProviderError::Unreachable { .. })));
    }

    #[tokio::test]
    async fn others_are_in_the_way_and_stay() {
        let (host, first) = (host(), intent());
        for part in Part::ALL {
            host.ensure(part, &first).await.unwrap();
        }
        let second = Intent { operation: OperationId::new(), ..intent() };
        for part in [Part::Address, Part::Name] {
            assert!(matches!(host.ensure(part, &second).await, Err(ProviderError::Permanent { .. })), "{part}");
        }
        assert!(matches!(host.ensure(Part::Domain, &second).await, Err(ProviderError::NotOurs { .. })));
        assert_eq!(host.observe(&second).await.unwrap(), Observed::Foreign);
        let before = host.standing();
        for part in Part::ALL.into_iter().rev() {
            host.remove(part, &second).await.unwrap();
        }
        assert_eq!(host.standing(), before);
    }
}
