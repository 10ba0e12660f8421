//! A stream of machines that come and go, put on hosts by the product's own index and score, or by an order of somebody
//! else's to compare with. Hosts are alike and as many as it takes; nothing is ever moved.

use jiyue::{
    capacity::{
        Amount, Host, HostNetwork, ProviderKind, Size,
        inventory::{Ask, Inventory, Place, Reading},
        placement::{FOREVER, Wanted},
        standing::Standing,
    },
    ids::{HostId, NetworkId},
    labels::{MlpsLevel, Spread, Zone},
    provider::DomainType,
    units::{Bytes, GIB},
};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

/// One machine of a trace.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    pub arrives: i64,
    pub vcpu: i64,
    pub memory: i64,
    /// When it goes; `None` when it stays beyond the trace.
    pub departs: Option<i64>,
}

impl Visit {
    fn ask(&self, leases_known: bool) -> Ask<'static> {
        let lease_end = leases_known.then(|| self.departs.unwrap_or(FOREVER));
        ask(self.vcpu, self.memory, self.arrives, lease_end)
    }
}

/// What every host offers.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub vcpu: i64,
    pub memory: i64,
}

impl Shape {
    pub const fn new(vcpu: i64, memory_gib: i64) -> Self {
        Self { vcpu, memory: memory_gib * GIB }
    }

    pub const fn takes(self, visit: &Visit) -> bool {
        visit.vcpu <= self.vcpu && visit.memory <= self.memory
    }
}

/// What packs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packer {
    /// The product, told when leases end or not.
    Ours { leases_known: bool },
    /// The first host in use that has room.
    FirstFit,
    /// The host in use with the most room.
    WorstFit,
}

/// Means over the instants at which something arrives, each taken before it does.
#[derive(Clone, Copy, Debug)]
pub struct Packing {
    pub hosts: f64,
    /// `max(⌈vCPUs in use / a host's⌉, ⌈memory in use / a host's⌉)`: fewer hosts are impossible.
    pub bound: f64,
    /// Machines that fit no host even when it is empty, left out of both.
    pub left_out: usize,
}

impl Packing {
    pub fn ratio(self) -> f64 {
        self.hosts / self.bound
    }
}

/// Hosts by number; a place is known by the number of its machine.
trait Hosts {
    fn put(&mut self, number: usize, visit: &Visit) -> usize;
    fn take_away(&mut self, number: usize, visit: &Visit, host: usize);
}

/// Runs the trace, which is in order of arrival.
pub fn pack(trace: &[Visit], shape: Shape, packer: Packer) -> Packing {
    let fitting: Vec<Visit> = trace.iter().copied().filter(|visit| shape.takes(visit)).collect();
    let mut hosts: Box<dyn Hosts> = match packer {
        Packer::Ours { leases_known } => Box::new(Product::new(shape, most(&fitting, shape), leases_known)),
        Packer::FirstFit => Box::new(Plain { shape, worst: false, used: Vec::new() }),
        Packer::WorstFit => Box::new(Plain { shape, worst: true, used: Vec::new() }),
    };
    let mut leaving: BinaryHeap<Reverse<(i64, usize, usize)>> = BinaryHeap::new();
    let mut on: HashMap<usize, usize> = HashMap::new();
    let (mut vcpu, mut memory) = (0, 0);
    let (mut samples, mut hosts_sum, mut bound_sum) = (0_i64, 0_i64, 0_i64);
    let mut last = None;
    for number in order(&fitting, shape, packer) {
        let visit = &fitting[number];
        while let Some(&Reverse((at, gone, host))) = leaving.peek()
            && at <= visit.arrives
        {
            leaving.pop();
            hosts.take_away(gone, &fitting[gone], host);
            vcpu -= fitting[gone].vcpu;
            memory -= fitting[gone].memory;
            let held = on.get_mut(&host).expect("a host in use");
            *held -= 1;
            if *held == 0 {
                on.remove(&host);
            }
        }
        if last != Some(visit.arrives) {
            last = Some(visit.arrives);
            samples += 1;
            hosts_sum += i64::try_from(on.len()).unwrap();
            bound_sum += bound(vcpu, memory, shape);
        }
        let host = hosts.put(number, visit);
        *on.entry(host).or_default() += 1;
        vcpu += visit.vcpu;
        memory += visit.memory;
        if let Some(at) = visit.departs {
            leaving.push(Reverse((at, number, host)));
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "counts of hosts")]
    let mean = |sum: i64| sum as f64 / samples as f64;
    Packing { hosts: mean(hosts_sum), bound: mean(bound_sum), left_out: trace.len() - fitting.len() }
}

/// What arrives at one instant is one list to the product, as approvals that wait together are, in the order in which the
/// trace has it; others take it as it comes.
fn order(trace: &[Visit], shape: Shape, packer: Packer) -> Vec<usize> {
    let Packer::Ours { leases_known } = packer else { return (0..trace.len()).collect() };
    let index = inventory(hosts(1, shape));
    let mut order = Vec::with_capacity(trace.len());
    for list in trace.chunk_by(|one, next| one.arrives == next.arrives) {
        let asks: Vec<_> = list.iter().map(|visit| visit.ask(leases_known)).collect();
        let first = order.len();
        order.extend(index.precedence(&asks).into_iter().map(|at| first + at));
    }
    order
}

fn bound(vcpu: i64, memory: i64, shape: Shape) -> i64 {
    let hosts = |used: i64, each: i64| (used + each - 1) / each;
    hosts(vcpu, shape.vcpu).max(hosts(memory, shape.memory))
}

/// Hosts that are surely enough: twice the highest bound, and some for small traces.
fn most(trace: &[Visit], shape: Shape) -> usize {
    let mut changes: Vec<(i64, i64, i64)> = Vec::with_capacity(trace.len() * 2);
    for visit in trace {
        changes.push((visit.arrives, visit.vcpu, visit.memory));
        changes.extend(visit.departs.map(|at| (at, -visit.vcpu, -visit.memory)));
    }
    changes.sort_unstable();
    let (mut vcpu, mut memory, mut highest) = (0, 0, 0);
    for (_, more_vcpu, more_memory) in changes {
        vcpu += more_vcpu;
        memory += more_memory;
        highest = highest.max(bound(vcpu, memory, shape));
    }
    usize::try_from(highest * 2 + 20).unwrap()
}

/// Empty hosts, alike.
pub fn hosts(count: usize, shape: Shape) -> Vec<Host> {
    let host = |number: usize| Host {
        id: HostId::new(),
        name: format!("h{number:04}"),
        provider: ProviderKind::Simulated,
        uri: "simulated:".to_owned(),
        pool: "jiyue".to_owned(),
        pool_path: "/".to_owned(),
        domain_type: DomainType::Qemu,
        standing: Standing::default(),
        mlps_level: MlpsLevel::HIGHEST,
        limit: Amount { machines: 0, vcpu: shape.vcpu, memory_bytes: shape.memory, disk_bytes: 1 << 50 },
        used: Amount::default(),
        networks: vec![HostNetwork {
            id: NetworkId::new(),
            zone: Zone::GovernmentExtranet,
            network: "n".to_owned(),
            bridge: "b".to_owned(),
            cidr: "10.0.0.0/12".parse().unwrap(),
            gateway: "10.0.0.1".parse().unwrap(),
            dns: "10.0.0.1".parse().unwrap(),
            segment: None,
            first: "10.0.0.2".parse().unwrap(),
            last: "10.15.255.254".parse().unwrap(),
            cluster: false,
        }],
    };
    (0..count).map(host).collect()
}

/// An index of these hosts.
pub fn inventory(hosts: Vec<Host>) -> Inventory {
    let inventory = Inventory::default();
    inventory.replace(inventory.mark(), Reading { hosts, ..Reading::default() });
    inventory
}

/// What is asked for one machine.
pub fn ask(vcpu: i64, memory: i64, now: i64, lease_end: Option<i64>) -> Ask<'static> {
    let size =
        Size { vcpu: u32::try_from(vcpu).unwrap(), memory: Bytes::new(memory).unwrap(), disk: Bytes::gib(1).unwrap() };
    let wanted = Wanted {
        size,
        zone: Zone::GovernmentExtranet,
        mlps_level: MlpsLevel::HIGHEST,
        lease_end,
        spread: Spread::Prefer,
        fixed_address: false,
        database: false,
        kind: None,
        now,
    };
    Ask { wanted, image: None, count: 1, siblings: &[] }
}

struct Product {
    inventory: Inventory,
    leases_known: bool,
    numbers: HashMap<HostId, usize>,
    places: HashMap<usize, Place>,
}

impl Product {
    fn new(shape: Shape, count: usize, leases_known: bool) -> Self {
        let hosts = hosts(count, shape);
        let numbers = hosts.iter().enumerate().map(|(number, host)| (host.id, number)).collect();
        Self { inventory: inventory(hosts), leases_known, numbers, places: HashMap::new() }
    }
}

impl Hosts for Product {
    fn put(&mut self, number: usize, visit: &Visit) -> usize {
        let [place] = &self.inventory.reserve(&visit.ask(self.leases_known)).expect("enough hosts")[..] else {
            panic!("not one place")
        };
        self.places.insert(number, place.clone());
        self.numbers[&place.host]
    }

    fn take_away(&mut self, number: usize, _: &Visit, _: usize) {
        let place = self.places.remove(&number).expect("a machine that was placed");
        self.inventory.release(&[place]);
    }
}

struct Plain {
    shape: Shape,
    worst: bool,
    /// vCPUs, memory and machines on each host that was ever used.
    used: Vec<(i64, i64, usize)>,
}

impl Hosts for Plain {
    fn put(&mut self, _: usize, visit: &Visit) -> usize {
        let fits = |(vcpu, memory, _): &(i64, i64, usize)| {
            vcpu + visit.vcpu <= self.shape.vcpu && memory + visit.memory <= self.shape.memory
        };
        let mut rooms = self.used.iter().enumerate().filter(|(_, used)| used.2 > 0 && fits(used));
        let found = if self.worst { rooms.min_by_key(|(_, used)| (used.1, used.0)) } else { rooms.next() };
        let found = found.or_else(|| self.used.iter().enumerate().find(|(_, used)| used.2 == 0));
        let host = found.map_or(self.used.len(), |(host, _)| host);
        if host == self.used.len() {
            self.used.push((0, 0, 0));
        }
        let used = &mut self.used[host];
        *used = (used.0 + visit.vcpu, used.1 + visit.memory, used.2 + 1);
        host
    }

    fn take_away(&mut self, _: usize, visit: &Visit, host: usize) {
        let used = &mut self.used[host];
        *used = (used.0 - visit.vcpu, used.1 - visit.memory, used.2 - 1);
    }
}
