//! The index in memory that placement ranks hosts on: free capacity, free addresses, and who is where until when.
//!
//! Only the writer's job places, so approvals of one broker never compete for a place. The index may still be wrong:
//! another broker claims too. That is safe, because the guarded updates decide. A refusal by the database means that the
//! index is behind: it is read anew before anybody is told no.
//!
//! A decision looks at every host. What it looks at lies side by side ([`Candidate`]s, a few hundred bytes each), and
//! nothing is written down about hosts that refuse unless all of them do.

mod addresses;
#[cfg(test)]
mod tests;

use super::{
    Amount, Host, HostNetwork, ProviderKind, Size,
    placement::{self, Candidate, Here, PlaceKind, Precedence, Refusal, Score, Tenancy, Wanted},
};
use crate::{
    error::{HostRefusal, Shortage},
    ids::HostId,
    labels::Zone,
};
use addresses::Addresses;
pub use addresses::usable;
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
    /// Since when, and until when, as in [`Wanted`]: for giving it back.
    pub since: i64,
    pub lease_end: Option<i64>,
}

/// The image that machines start from.
#[derive(Clone, Copy, Debug)]
pub struct ImageNeed<'a> {
    pub sha256: &'a str,
    /// The broker has a copy to send, so that every host can be reached with it.
    pub sendable: bool,
}

/// What is asked for: `count` machines alike.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub wanted: Wanted,
    /// Without one, every host will do.
    pub image: Option<ImageNeed<'a>>,
    pub count: u32,
    /// Where machines of the same request are already, one entry each.
    pub siblings: &'a [HostId],
}

/// A machine that keeps its address when it goes to another host.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    /// The network that both hosts must share.
    pub segment: &'a str,
    pub from: HostId,
    /// The host that was asked for.
    pub only: Option<HostId>,
}

/// No host can take the machine: each host with its reason.
#[derive(Clone, Debug)]
pub struct NoPlace {
    /// Which of the machines asked for, from 1.
    pub machine: u32,
    pub refusals: Vec<(String, Refusal)>,
}

impl NoPlace {
    /// The numbers for the one who asked: per dimension what was asked and what the roomiest host has.
    pub fn shortage(&self) -> Vec<Shortage> {
        let mut best: BTreeMap<&'static str, (i64, i64)> = BTreeMap::new();
        for (_, refusal) in &self.refusals {
            let (dimension, asked, free) = refusal.shortage();
            let entry = best.entry(dimension).or_insert((asked, free));
            entry.1 = entry.1.max(free);
        }
        if best.is_empty() {
            best.insert("hosts", (1, 0));
        }
        best.into_iter().map(|(dimension, (asked, free))| Shortage { dimension, asked, free, of: "host" }).collect()
    }

    /// The reasons for an answer, of at most `limit` hosts.
    pub fn hosts(&self, limit: usize) -> Vec<HostRefusal> {
        self.refusals.iter().take(limit).map(|(host, refusal)| refusal.of(host)).collect()
    }
}

/// Where one machine would go, and what stood against it.
#[derive(Clone, Debug)]
pub struct Choice {
    pub host: String,
    pub score: Score,
    /// Hosts that could take it.
    pub passed: usize,
    /// The best of the others, in order.
    pub next: Vec<(String, Score)>,
}

/// A decision that nobody made, with its reasons.
#[derive(Clone, Debug, Default)]
pub struct Explanation {
    pub choices: Vec<Choice>,
    /// Hosts that cannot take the machine of this number, from 1, and so none of those after it.
    pub refused: Vec<(u32, String, Refusal)>,
    /// How many hosts there are.
    pub hosts: usize,
}

/// What the index is made from, as read in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    pub hosts: Vec<Host>,
    /// By the pool that they are unique in.
    pub held_addresses: Vec<(String, Ipv4Addr)>,
    /// Machines that run on a host until the same day.
    pub tenants: Vec<Tenants>,
    /// Images known to lie on a host, by their SHA-256.
    pub images: Vec<(HostId, String)>,
}

/// Machines of one host whose leases end together.
#[derive(Clone, Copy, Debug)]
pub struct Tenants {
    pub host: HostId,
    pub machines: i64,
    /// The sum of the instants since when they are there, in seconds since the epoch.
    pub since_sum: i64,
    pub lease_end: Option<i64>,
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
    /// Another broker was met: look for addresses elsewhere than it does.
    scatter: bool,
    /// What all hosts may give out.
    total: Amount,
    /// What every decision looks at.
    candidates: Vec<Candidate>,
    /// What only a decision's outcome looks at; one for each candidate.
    entries: Vec<Entry>,
    index: HashMap<HostId, usize>,
    /// Hosts that share a network share its addresses.
    pools: Vec<Addresses>,
    /// Free addresses of each pool.
    free: Vec<i64>,
    /// Each candidate's pool of each zone.
    pool_of: Vec<[Option<usize>; Zone::ALL.len()]>,
}

struct Entry {
    name: String,
    networks: Vec<HostNetwork>,
    tenancy: Tenancy,
    images: HashSet<String>,
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
    pub fn replace(&self, mark: u64, reading: Reading) {
        let mut state = self.lock();
        let fresh = State {
            changes: state.changes,
            scatter: state.scatter,
            read_at: Some(mark),
            ..State::of(reading, state.scatter)
        };
        *state = fresh;
    }

    /// Another host on the same network for a machine that keeps its address, taken in the index.
    pub fn reserve_beside(&self, ask: &Ask<'_>, way: Move<'_>) -> Result<(HostId, HostNetwork), NoPlace> {
        let mut state = self.lock();
        let siblings = state.siblings(ask);
        let mut best: Option<(Score, usize)> = None;
        let mut refusals = Vec::new();
        for (at, candidate) in state.candidates.iter().enumerate() {
            if candidate.id == way.from || way.only.is_some_and(|only| only != candidate.id) {
                continue;
            }
            // It brings its address along; a host without the segment might as well lack the zone.
            let shared = state.entries[at].network(ask.wanted.zone).is_some_and(|n| n.is_on(way.segment));
            let here = Here { free_addresses: shared.then_some(1), ..state.here(ask, at, siblings[at]) };
            match placement::judge(candidate, &ask.wanted, here) {
                Ok(score) if best.is_none_or(|(held, _)| score < held) => best = Some((score, at)),
                Ok(_) => {}
                Err(refusal) => refusals.push((state.entries[at].name.clone(), refusal)),
            }
        }
        let found = best.and_then(|(_, at)| Some((at, state.entries[at].network(ask.wanted.zone)?.clone())));
        let Some((at, network)) = found else { return Err(NoPlace { machine: 1, refusals }) };
        state.settle(at, &ask.wanted);
        Ok((state.candidates[at].id, network))
    }

    /// In which order to place a list, by its positions.
    pub fn precedence(&self, list: &[Ask<'_>]) -> Vec<usize> {
        let average = self.lock().average();
        let cohorts = list.chunk_by(|one, next| placement::cohort(&one.wanted, &next.wanted)).flat_map(|cohort| {
            let vcpu = cohort.iter().map(|ask| i64::from(ask.wanted.size.vcpu).saturating_mul(i64::from(ask.count)));
            let vcpu = vcpu.fold(0_i64, i64::saturating_add);
            cohort.iter().map(move |ask| Precedence::of(&ask.wanted, vcpu, average))
        });
        let mut order: Vec<(Precedence, usize)> = cohorts.zip(0..).collect();
        // The position comes last: what is alike is placed as it came.
        order.sort_unstable();
        order.into_iter().map(|(_, at)| at).collect()
    }

    /// Finds a place for each machine asked for and takes them in the index, or takes nothing.
    pub fn reserve(&self, ask: &Ask<'_>) -> Result<Vec<Place>, NoPlace> {
        let mut state = self.lock();
        let mut places = Vec::with_capacity(ask.count as usize);
        let mut siblings = state.siblings(ask);
        for machine in 1..=ask.count {
            let taken = state.best(ask, &siblings).and_then(|at| Some((at, state.take(at, &ask.wanted)?)));
            let Some((at, place)) = taken else {
                let refusals = state.refusals(ask, &siblings);
                state.give_back(&places);
                return Err(NoPlace { machine, refusals });
            };
            siblings[at] += 1;
            places.push(place);
        }
        Ok(places)
    }

    /// Gives back places that the database refused or that were not needed.
    pub fn release(&self, places: &[Place]) {
        self.lock().give_back(places);
    }

    /// What [`Inventory::reserve`] would do and why, with the best `next` of the hosts that were passed over. The places
    /// stay taken: this is for an index that is thrown away.
    pub fn explain(&self, ask: &Ask<'_>, next: usize) -> Explanation {
        let mut state = self.lock();
        let mut told = Explanation { hosts: state.candidates.len(), ..Explanation::default() };
        let mut siblings = state.siblings(ask);
        let mut refused = vec![false; state.candidates.len()];
        for machine in 1..=ask.count {
            let mut passed = Vec::new();
            for (at, candidate) in state.candidates.iter().enumerate() {
                match placement::judge(candidate, &ask.wanted, state.here(ask, at, siblings[at])) {
                    Ok(score) => passed.push((score, at)),
                    // Within a request a host only fills up: what refuses one machine refuses those after it.
                    Err(_) if refused[at] => {}
                    Err(refusal) => {
                        refused[at] = true;
                        told.refused.push((machine, state.entries[at].name.clone(), refusal));
                    }
                }
            }
            passed.sort_unstable();
            let Some(&(score, at)) = passed.first() else { break };
            if state.take(at, &ask.wanted).is_none() {
                break;
            }
            siblings[at] += 1;
            let name = |at: usize| state.entries[at].name.clone();
            let others = passed.iter().skip(1).take(next).map(|(score, at)| (name(*at), *score));
            told.choices.push(Choice { host: name(at), score, passed: passed.len(), next: others.collect() });
        }
        told
    }
}

impl Entry {
    fn network(&self, zone: Zone) -> Option<&HostNetwork> {
        self.networks.iter().find(|network| network.zone == zone)
    }
}

impl State {
    fn of(reading: Reading, scatter: bool) -> Self {
        let mut held: HashMap<String, HashSet<Ipv4Addr>> = HashMap::new();
        for (pool, address) in reading.held_addresses {
            held.entry(pool).or_default().insert(address);
        }
        let mut state = Self::default();
        let mut pools: HashMap<String, usize> = HashMap::new();
        for host in reading.hosts {
            let mut pool_of = [None; Zone::ALL.len()];
            for network in &host.networks {
                let pool = *pools.entry(network.pool()).or_insert_with_key(|pool| {
                    let taken = held.remove(pool).unwrap_or_default();
                    state.pools.push(Addresses::new(network, taken, scatter));
                    state.pools.len() - 1
                });
                pool_of[network.zone as usize] = Some(pool);
            }
            state.total.vcpu = state.total.vcpu.saturating_add(host.limit.vcpu);
            state.total.memory_bytes = state.total.memory_bytes.saturating_add(host.limit.memory_bytes);
            state.index.insert(host.id, state.candidates.len());
            state.pool_of.push(pool_of);
            let on_cluster = host.provider == ProviderKind::Kubevirt;
            state.candidates.push(Candidate {
                id: host.id,
                kind: if on_cluster { PlaceKind::Cluster } else { PlaceKind::Host },
                state: host.standing.state(),
                mlps_level: host.mlps_level,
                limit: host.limit,
                used: host.used,
                machines: 0,
                since_sum: 0,
                last_end: i64::MIN,
            });
            let (tenancy, images) = (Tenancy::default(), HashSet::new());
            state.entries.push(Entry { name: host.name, networks: host.networks, tenancy, images });
        }
        state.free = state.pools.iter().map(Addresses::free).collect();
        for tenants in reading.tenants {
            if let Some(entry) = state.at(tenants.host).and_then(|at| state.entries.get_mut(at)) {
                entry.tenancy.arrive(tenants.machines, tenants.since_sum, tenants.lease_end);
            }
        }
        for (host, sha256) in reading.images {
            if let Some(entry) = state.at(host).and_then(|at| state.entries.get_mut(at)) {
                entry.images.insert(sha256);
            }
        }
        for at in 0..state.entries.len() {
            state.agree(at);
        }
        state
    }

    /// What a host may give out on average, of vCPUs and memory.
    fn average(&self) -> Amount {
        let hosts = i64::try_from(self.candidates.len()).unwrap_or(i64::MAX).max(1);
        let total = self.total;
        Amount { vcpu: total.vcpu / hosts, memory_bytes: total.memory_bytes / hosts, ..Amount::default() }
    }

    fn at(&self, host: HostId) -> Option<usize> {
        self.index.get(&host).copied()
    }

    /// How many machines of the same request are on each host.
    fn siblings(&self, ask: &Ask<'_>) -> Vec<u32> {
        let mut siblings = vec![0; self.candidates.len()];
        for at in ask.siblings.iter().filter_map(|host| self.at(*host)) {
            siblings[at] += 1;
        }
        siblings
    }

    fn here(&self, ask: &Ask<'_>, at: usize, siblings: u32) -> Here {
        // Nothing is sent to a cluster: its images are brought there by its own operators.
        let sent = self.candidates[at].kind == PlaceKind::Host;
        let image =
            ask.image.is_none_or(|image| sent && image.sendable || self.entries[at].images.contains(image.sha256));
        let free_addresses = self.pool_of[at][ask.wanted.zone as usize].map(|pool| self.free[pool]);
        let fixed_address = sent || self.entries[at].network(ask.wanted.zone).is_some_and(|n| n.segment.is_some());
        Here { free_addresses, fixed_address, siblings, image }
    }

    /// The best host of all.
    fn best(&self, ask: &Ask<'_>, siblings: &[u32]) -> Option<usize> {
        let mut best: Option<(Score, usize)> = None;
        for (at, candidate) in self.candidates.iter().enumerate() {
            let here = self.here(ask, at, siblings[at]);
            let held = best.as_ref().map(|(held, _)| held);
            if let Some(score) = placement::outdo(candidate, &ask.wanted, here, held) {
                best = Some((score, at));
            }
        }
        best.map(|(_, at)| at)
    }

    /// Why each host refuses; asked only when all do.
    fn refusals(&self, ask: &Ask<'_>, siblings: &[u32]) -> Vec<(String, Refusal)> {
        let judged = self.candidates.iter().enumerate().filter_map(|(at, candidate)| {
            let refusal = placement::judge(candidate, &ask.wanted, self.here(ask, at, siblings[at])).err()?;
            Some((self.entries[at].name.clone(), refusal))
        });
        judged.collect()
    }

    fn take(&mut self, at: usize, wanted: &Wanted) -> Option<Place> {
        let network = self.entries[at].network(wanted.zone)?.clone();
        let pool = self.pool_of[at][wanted.zone as usize]?;
        let address = self.pools[pool].take()?;
        self.free[pool] = self.pools[pool].free();
        self.settle(at, wanted);
        Some(Place {
            host: self.candidates[at].id,
            network,
            address,
            size: wanted.size,
            since: wanted.now,
            lease_end: wanted.lease_end,
        })
    }

    fn settle(&mut self, at: usize, wanted: &Wanted) {
        self.entries[at].tenancy.arrive(1, wanted.now, wanted.lease_end);
        count(&mut self.candidates[at].used, wanted.size, 1);
        self.agree(at);
    }

    fn give_back(&mut self, places: &[Place]) {
        for place in places {
            let Some(at) = self.at(place.host) else { continue };
            if let Some(pool) = self.pool_of[at][place.network.zone as usize] {
                self.pools[pool].free_again(place.address);
                self.free[pool] = self.pools[pool].free();
            }
            self.entries[at].tenancy.leave(place.since, place.lease_end);
            count(&mut self.candidates[at].used, place.size, -1);
            self.agree(at);
        }
    }

    /// Copies into the candidate what its entry says.
    fn agree(&mut self, at: usize) {
        let (tenancy, candidate) = (&self.entries[at].tenancy, &mut self.candidates[at]);
        candidate.machines = tenancy.machines();
        candidate.since_sum = tenancy.since_sum();
        candidate.last_end = tenancy.last_end();
    }
}

fn count(used: &mut Amount, size: Size, sign: i64) {
    used.vcpu += sign * i64::from(size.vcpu);
    used.memory_bytes += sign * size.memory.get();
    used.disk_bytes += sign * size.disk.get();
}
