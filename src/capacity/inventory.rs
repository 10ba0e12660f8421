//! The index in memory that placement ranks hosts on: free capacity and free addresses.
//!
//! Only the writer's job places, so approvals of one broker never compete for a place. The index may still be wrong:
//! another broker claims too. That is safe, because the guarded updates decide. A refusal by the database means that the
//! index is behind: it is read anew before anybody is told no.

use super::{
    Amount, Host, HostNetwork, Size,
    placement::{self, Candidate, Refusal, Score},
};
use crate::{error::Shortage, ids::HostId, labels::Zone};
use ipnet::Ipv4Net;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A place found for one machine, already taken in the index.
#[derive(Clone, Debug)]
pub struct Place {
    pub host: HostId,
    pub network: HostNetwork,
    pub address: Ipv4Addr,
    pub size: Size,
}

/// No host can take the machine: each host with its reason.
#[derive(Clone, Debug)]
pub struct NoPlace {
    pub refusals: Vec<(String, Refusal)>,
}

impl NoPlace {
    /// The numbers for the one who asked: per dimension what was asked and what the roomiest host has.
    pub fn shortage(&self) -> Vec<Shortage> {
        let mut best: BTreeMap<&'static str, (i64, i64)> = BTreeMap::new();
        for (_, refusal) in &self.refusals {
            let (dimension, asked, free) = match *refusal {
                Refusal::VcpuShort { asked, free } => ("vcpu", asked, free),
                Refusal::MemoryShort { asked, free } => ("memory_bytes", asked, free),
                Refusal::DiskShort { asked, free } => ("disk_bytes", asked, free),
                Refusal::AddressesShort { free } => ("addresses", 1, free),
                Refusal::Cordoned | Refusal::ZoneMissing { .. } => ("hosts", 1, 0),
            };
            let entry = best.entry(dimension).or_insert((asked, free));
            entry.1 = entry.1.max(free);
        }
        if best.is_empty() {
            best.insert("hosts", (1, 0));
        }
        best.into_iter().map(|(dimension, (asked, free))| Shortage { dimension, asked, free, of: "host" }).collect()
    }
}

/// The index; cheap to clone.
#[derive(Clone, Default)]
pub struct Inventory {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// How often something happened that the index does not know, and how often that was when it was last read. They
    /// differ at the start.
    changes: u64,
    read_at: Option<u64>,
    hosts: Vec<Host>,
    /// By the pool that they are unique in: hosts that share a network share its addresses.
    addresses: HashMap<String, Addresses>,
    /// Another broker was met: look for addresses elsewhere than it does.
    scatter: bool,
}

struct Addresses {
    /// What machines may have, both ends included.
    first: u32,
    last: u32,
    /// Not a machine's, though they lie in between.
    reserved: Vec<Ipv4Addr>,
    taken: HashSet<Ipv4Addr>,
    /// Where the search for a free address goes on.
    next: u32,
    /// Addresses that machines may have at all.
    total: i64,
}

impl Addresses {
    fn new(network: &HostNetwork, taken: HashSet<Ipv4Addr>, scatter: bool) -> Self {
        let (first, last) = (u32::from(network.first), u32::from(network.last));
        let mut reserved = vec![network.gateway];
        if network.dns != network.gateway {
            reserved.push(network.dns);
        }
        reserved.retain(|address| (first..=last).contains(&u32::from(*address)));
        let total = i64::from(last) - i64::from(first) + 1 - i64::try_from(reserved.len()).unwrap_or_default();
        let next = if scatter && last > first { first + random() % (last - first) } else { first };
        Self { first, last, reserved, taken, next, total: total.max(0) }
    }

    fn free(&self) -> i64 {
        self.total - i64::try_from(self.taken.len()).unwrap_or(i64::MAX)
    }

    fn take(&mut self) -> Option<Ipv4Addr> {
        if self.free() < 1 {
            return None;
        }
        for _ in self.first..=self.last {
            let address = Ipv4Addr::from(self.next);
            self.next = if self.next >= self.last { self.first } else { self.next + 1 };
            if !self.reserved.contains(&address) && self.taken.insert(address) {
                return Some(address);
            }
        }
        None
    }
}

/// First and last address between a range's own and its broadcast address.
pub fn usable(cidr: Ipv4Net) -> (Ipv4Addr, Ipv4Addr) {
    (
        Ipv4Addr::from(u32::from(cidr.network()).saturating_add(1)),
        Ipv4Addr::from(u32::from(cidr.broadcast()).saturating_sub(1)),
    )
}

/// The random tail of an identifier: brokers must only differ, not be unpredictable.
fn random() -> u32 {
    let bytes = uuid::Uuid::now_v7().into_bytes();
    u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]])
}

impl Inventory {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is counters and sets; a panic in between leaves nothing that the database would not correct.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called when something was given back or a host changed: the next placement reads anew.
    pub fn stale(&self) {
        self.lock().changes += 1;
    }

    /// To be called when a place turned out to be taken: by another broker, as this one's own are known.
    pub fn collided(&self) {
        let mut state = self.lock();
        state.changes += 1;
        state.scatter = true;
    }

    pub fn is_fresh(&self) -> bool {
        let state = self.lock();
        state.read_at == Some(state.changes)
    }

    /// To be taken before hosts and addresses are read, and given to [`Inventory::replace`].
    pub fn mark(&self) -> u64 {
        self.lock().changes
    }

    /// What was read becomes the index. What changed while it was being read makes it stale again.
    pub fn replace(&self, mark: u64, hosts: Vec<Host>, held_addresses: Vec<(String, Ipv4Addr)>) {
        let mut held: HashMap<_, HashSet<Ipv4Addr>> = HashMap::new();
        for (pool, address) in held_addresses {
            held.entry(pool).or_default().insert(address);
        }
        let mut state = self.lock();
        let scatter = state.scatter;
        let mut addresses = HashMap::new();
        for network in hosts.iter().flat_map(|host| &host.networks) {
            addresses
                .entry(network.pool())
                .or_insert_with_key(|pool| Addresses::new(network, held.remove(pool).unwrap_or_default(), scatter));
        }
        (state.hosts, state.addresses) = (hosts, addresses);
        state.read_at = Some(mark);
    }

    /// Another host on the same segment for a machine that keeps its address: the best one, or the one asked for. Taken
    /// in the index.
    pub fn reserve_beside(
        &self,
        size: Size,
        zone: Zone,
        segment: &str,
        from: HostId,
        only: Option<HostId>,
    ) -> Result<(HostId, HostNetwork), NoPlace> {
        let mut state = self.lock();
        let mut best: Option<(Score, usize)> = None;
        let mut refusals = Vec::new();
        for (index, host) in state.hosts.iter().enumerate() {
            if host.id == from || only.is_some_and(|only| only != host.id) {
                continue;
            }
            let shared = host.networks.iter().any(|n| n.zone == zone && n.segment.as_deref() == Some(segment));
            match placement::judge(&candidate(host, shared.then_some(1), 0), size, zone) {
                Ok(score) if best.is_none_or(|(held, _)| score < held) => best = Some((score, index)),
                Ok(_) => {}
                Err(refusal) => refusals.push((host.name.clone(), refusal)),
            }
        }
        let found = best.and_then(|(_, index)| {
            let host = state.hosts.get_mut(index)?;
            let network = host.networks.iter().find(|n| n.zone == zone)?.clone();
            count(&mut host.used, size, 1);
            Some((host.id, network))
        });
        found.ok_or(NoPlace { refusals })
    }

    /// Finds a place for `count` machines of one size and takes them in the index, or takes nothing.
    pub fn reserve(&self, size: Size, zone: Zone, count: u32) -> Result<Vec<Place>, NoPlace> {
        let mut state = self.lock();
        let mut places = Vec::new();
        let mut siblings: HashMap<HostId, i64> = HashMap::new();
        for _ in 0..count {
            match take_best(&mut state, &siblings, size, zone) {
                Ok(place) => {
                    *siblings.entry(place.host).or_default() += 1;
                    places.push(place);
                }
                Err(refusals) => {
                    give_back(&mut state, &places);
                    return Err(NoPlace { refusals });
                }
            }
        }
        Ok(places)
    }

    /// Gives back places that the database refused or that were not needed.
    pub fn release(&self, places: &[Place]) {
        give_back(&mut self.lock(), places);
    }
}

fn candidate(host: &Host, free_addresses: Option<i64>, siblings: i64) -> Candidate {
    Candidate {
        id: host.id,
        state: host.standing.state(),
        limit: host.limit,
        used: host.used,
        free_addresses,
        siblings,
    }
}

fn take_best(
    state: &mut State,
    siblings: &HashMap<HostId, i64>,
    size: Size,
    zone: Zone,
) -> Result<Place, Vec<(String, Refusal)>> {
    let mut best: Option<(Score, usize)> = None;
    let mut refusals = Vec::new();
    for (index, host) in state.hosts.iter().enumerate() {
        let network = host.networks.iter().find(|network| network.zone == zone);
        let free = network.and_then(|network| state.addresses.get(&network.pool())).map(Addresses::free);
        let candidate = candidate(host, free, siblings.get(&host.id).copied().unwrap_or(0));
        match placement::judge(&candidate, size, zone) {
            Ok(score) if best.is_none_or(|(held, _)| score < held) => best = Some((score, index)),
            Err(refusal) if best.is_none() => refusals.push((host.name.clone(), refusal)),
            // Not better than the best, or refused where another host takes it: nobody asks why.
            Ok(_) | Err(_) => {}
        }
    }
    let Some(host) = best.and_then(|(_, index)| state.hosts.get_mut(index)) else { return Err(refusals) };
    let network = host.networks.iter().find(|network| network.zone == zone).cloned();
    let taken = network.and_then(|n| state.addresses.get_mut(&n.pool())?.take().map(|address| (n, address)));
    let Some((network, address)) = taken else {
        return Err(vec![(host.name.clone(), Refusal::AddressesShort { free: 0 })]);
    };
    count(&mut host.used, size, 1);
    Ok(Place { host: host.id, network, address, size })
}

fn give_back(state: &mut State, places: &[Place]) {
    for place in places {
        if let Some(host) = state.hosts.iter_mut().find(|host| host.id == place.host) {
            count(&mut host.used, place.size, -1);
        }
        if let Some(addresses) = state.addresses.get_mut(&place.network.pool()) {
            addresses.taken.remove(&place.address);
        }
    }
}

fn count(used: &mut Amount, size: Size, sign: i64) {
    used.vcpu += sign * i64::from(size.vcpu);
    used.memory_bytes += sign * size.memory.get();
    used.disk_bytes += sign * size.disk.get();
}
