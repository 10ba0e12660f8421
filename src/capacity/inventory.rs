//! The index in memory that placement ranks hosts on: free capacity and free addresses.
//!
//! Only the writer's job places, so approvals of one broker never compete for a place. The index may still be wrong:
//! another broker claims too. That is safe, because the guarded updates decide. A refusal by the database means that the
//! index is behind: it is read anew before anybody is told no.

use super::{
    Amount, Host, HostNetwork, Size,
    placement::{self, Candidate, Refusal, Score},
};
use crate::{
    error::Shortage,
    ids::{HostId, NetworkId},
    labels::Zone,
};
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
    hosts: Vec<Entry>,
    /// Another broker was met: look for addresses elsewhere than it does.
    scatter: bool,
}

struct Entry {
    host: Host,
    addresses: HashMap<Zone, Addresses>,
}

struct Addresses {
    network: HostNetwork,
    taken: HashSet<Ipv4Addr>,
    /// Where the search for a free address goes on.
    next: u32,
    /// Addresses that machines may have at all.
    total: i64,
}

impl Addresses {
    fn new(network: HostNetwork, taken: HashSet<Ipv4Addr>, scatter: bool) -> Self {
        let (first, last) = usable(&network);
        let total = i64::from(last) - i64::from(first) + 1 - i64::from(contains(&network, first, last));
        let next = if scatter && last > first { first + random() % (last - first) } else { first };
        Self { network, taken, next, total: total.max(0) }
    }

    fn free(&self) -> i64 {
        self.total - i64::try_from(self.taken.len()).unwrap_or(i64::MAX)
    }

    fn take(&mut self) -> Option<Ipv4Addr> {
        let (first, last) = usable(&self.network);
        if self.free() < 1 {
            return None;
        }
        for _ in first..=last {
            let address = Ipv4Addr::from(self.next);
            self.next = if self.next >= last { first } else { self.next + 1 };
            if address != self.network.gateway && self.taken.insert(address) {
                return Some(address);
            }
        }
        None
    }
}

/// First and last address between the network's own and its broadcast address.
fn usable(network: &HostNetwork) -> (u32, u32) {
    (u32::from(network.cidr.network()).saturating_add(1), u32::from(network.cidr.broadcast()).saturating_sub(1))
}

/// The random tail of an identifier: brokers must only differ, not be unpredictable.
fn random() -> u32 {
    let bytes = uuid::Uuid::now_v7().into_bytes();
    u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]])
}

fn contains(network: &HostNetwork, first: u32, last: u32) -> bool {
    (first..=last).contains(&u32::from(network.gateway))
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
    pub fn replace(&self, mark: u64, hosts: Vec<Host>, held_addresses: Vec<(NetworkId, Ipv4Addr)>) {
        let mut held: HashMap<_, HashSet<Ipv4Addr>> = HashMap::new();
        for (network, address) in held_addresses {
            held.entry(network).or_default().insert(address);
        }
        let mut state = self.lock();
        let scatter = state.scatter;
        let entry = |host: Host| Entry {
            addresses: host
                .networks
                .iter()
                .map(|n| (n.zone, Addresses::new(n.clone(), held.remove(&n.id).unwrap_or_default(), scatter)))
                .collect(),
            host,
        };
        state.hosts = hosts.into_iter().map(entry).collect();
        state.read_at = Some(mark);
    }

    /// Finds a place for `count` machines of one size and takes them in the index, or takes nothing.
    pub fn reserve(&self, size: Size, zone: Zone, count: u32) -> Result<Vec<Place>, NoPlace> {
        let mut state = self.lock();
        let mut places = Vec::new();
        let mut siblings: HashMap<HostId, i64> = HashMap::new();
        for _ in 0..count {
            match take_best(&mut state.hosts, &siblings, size, zone) {
                Ok(place) => {
                    *siblings.entry(place.host).or_default() += 1;
                    places.push(place);
                }
                Err(refusals) => {
                    give_back(&mut state.hosts, &places);
                    return Err(NoPlace { refusals });
                }
            }
        }
        Ok(places)
    }

    /// Gives back places that the database refused or that were not needed.
    pub fn release(&self, places: &[Place]) {
        give_back(&mut self.lock().hosts, places);
    }
}

fn take_best(
    hosts: &mut [Entry],
    siblings: &HashMap<HostId, i64>,
    size: Size,
    zone: Zone,
) -> Result<Place, Vec<(String, Refusal)>> {
    let mut best: Option<(Score, usize)> = None;
    let mut refusals = Vec::new();
    for (index, entry) in hosts.iter().enumerate() {
        let candidate = Candidate {
            id: entry.host.id,
            state: entry.host.state,
            limit: entry.host.limit,
            used: entry.host.used,
            free_addresses: entry.addresses.get(&zone).map(Addresses::free),
            siblings: siblings.get(&entry.host.id).copied().unwrap_or(0),
        };
        match placement::judge(&candidate, size, zone) {
            Ok(score) if best.is_none_or(|(held, _)| score < held) => best = Some((score, index)),
            Err(refusal) if best.is_none() => refusals.push((entry.host.name.clone(), refusal)),
            // Not better than the best, or refused where another host takes it: nobody asks why.
            Ok(_) | Err(_) => {}
        }
    }
    let Some((_, index)) = best else { return Err(refusals) };
    let entry = &mut hosts[index];
    let taken = entry.addresses.get_mut(&zone).and_then(|a| a.take().map(|address| (a.network.clone(), address)));
    let Some((network, address)) = taken else {
        return Err(vec![(entry.host.name.clone(), Refusal::AddressesShort { free: 0 })]);
    };
    count(&mut entry.host.used, size, 1);
    Ok(Place { host: entry.host.id, network, address, size })
}

fn give_back(hosts: &mut [Entry], places: &[Place]) {
    for place in places {
        let Some(entry) = hosts.iter_mut().find(|entry| entry.host.id == place.host) else { continue };
        count(&mut entry.host.used, place.size, -1);
        if let Some(addresses) = entry.addresses.get_mut(&place.network.zone) {
            addresses.taken.remove(&place.address);
        }
    }
}

fn count(used: &mut Amount, size: Size, sign: i64) {
    used.vcpu += sign * i64::from(size.vcpu);
    used.memory_bytes += sign * size.memory.get();
    used.disk_bytes += sign * size.disk.get();
}
