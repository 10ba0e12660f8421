//! The index in memory that placement ranks hosts on: free capacity and free addresses.
//!
//! It may be wrong: another broker claims too, and claims under way are counted before they commit. That is safe,
//! because the guarded updates decide. A refusal by the database means that the index is behind: it is read anew before
//! anybody is told no.

use super::{
    Amount, Host, HostNetwork, Size,
    placement::{self, Candidate, Refusal, Score},
    store,
};
use crate::{
    db::{Db, DbError},
    error::Shortage,
    ids::HostId,
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
    /// False until the first reading, and after a release: the index only ever errs towards full.
    fresh: bool,
    hosts: Vec<Entry>,
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
    fn new(network: HostNetwork, taken: HashSet<Ipv4Addr>) -> Self {
        let (first, last) = usable(&network);
        let total = i64::from(last) - i64::from(first) + 1 - i64::from(contains(&network, first, last));
        Self { network, taken, next: first, total: total.max(0) }
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
        self.lock().fresh = false;
    }

    pub fn is_fresh(&self) -> bool {
        self.lock().fresh
    }

    /// Reads hosts and claims from the database.
    pub async fn reload(&self, db: &Db) -> Result<(), DbError> {
        let mut conn = db.read().await?;
        let hosts = store::list_hosts(&mut conn).await?;
        let mut held: HashMap<_, HashSet<Ipv4Addr>> = HashMap::new();
        for (network, address) in store::held_addresses(&mut conn).await? {
            held.entry(network).or_default().insert(address);
        }
        let entries = hosts
            .into_iter()
            .map(|host| Entry {
                addresses: host
                    .networks
                    .iter()
                    .map(|n| (n.zone, Addresses::new(n.clone(), held.remove(&n.id).unwrap_or_default())))
                    .collect(),
                host,
            })
            .collect();
        *self.lock() = State { fresh: true, hosts: entries };
        Ok(())
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
            name: &entry.host.name,
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
