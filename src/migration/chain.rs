//! What blocks a room: the systems that have to go before its own can, however far away they are, each with the way by which
//! it blocks. In memory, one walk per room over edges that are worked out once.
//!
//! A system that is to be moved waits for those without which it does not work, until they are in the cloud or may stay. One
//! that is to be given up waits for those that still need it. Systems that wait for each other go together, and are told so.

use super::{
    estate::{Estate, System},
    fate::Disposition,
};
use crate::ids::{RoomId, SystemId};
use jiff::civil::Date;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// A system that blocks a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    pub system: SystemId,
    /// From a system of the room to this one, a shortest way; this one alone where it is the room's own.
    pub way: Vec<SystemId>,
}

/// Who waits for whom, on a day.
pub struct Waits<'e> {
    systems: Vec<&'e System>,
    /// Row `n` of the edges begins at `starts[n]` and ends at `starts[n + 1]`.
    starts: Vec<u32>,
    edges: Vec<u32>,
    rooms: BTreeMap<RoomId, Vec<u32>>,
    open: Vec<bool>,
}

fn small(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl<'e> Waits<'e> {
    pub fn new(estate: &'e Estate, today: Date) -> Self {
        let systems: Vec<&System> = estate.systems.values().collect();
        let index: HashMap<SystemId, usize> = systems.iter().enumerate().map(|(n, system)| (system.id, n)).collect();
        let mut needed_by: Vec<Vec<u32>> = vec![Vec::new(); systems.len()];
        for (n, system) in systems.iter().enumerate() {
            for other in &system.needs {
                if let Some(list) = index.get(other).and_then(|other| needed_by.get_mut(*other)) {
                    list.push(small(n));
                }
            }
        }
        let (mut starts, mut edges, mut open) = (vec![0], Vec::new(), Vec::new());
        let mut rooms: BTreeMap<RoomId, Vec<u32>> = BTreeMap::new();
        for (n, system) in systems.iter().enumerate() {
            let is_open = system.open(today);
            open.push(is_open);
            if is_open && system.disposition() == Some(Disposition::Discard) {
                let users = needed_by.get(n).into_iter().flatten();
                let still = |user: &&u32| systems.get(**user as usize).is_some_and(|user| !user.discarded());
                edges.extend(users.filter(still));
            } else if is_open && !system.in_cloud() {
                let needs = system.needs.iter().filter_map(|other| index.get(other));
                let unsettled =
                    |other: &&usize| systems.get(**other).is_some_and(|other| !other.in_cloud() && other.open(today));
                edges.extend(needs.filter(unsettled).map(|other| small(*other)));
            }
            starts.push(small(edges.len()));
            if let Some(room) = system.room().filter(|_| is_open) {
                rooms.entry(room).or_default().push(small(n));
            }
        }
        Self { systems, starts, edges, rooms, open }
    }

    fn after(&self, n: u32) -> &[u32] {
        let at = |n: usize| self.starts.get(n).copied().unwrap_or(0) as usize;
        self.edges.get(at(n as usize)..at(n as usize + 1)).unwrap_or_default()
    }

    /// Everything that one system waits for at once.
    pub fn waits_for(&self, system: SystemId) -> impl Iterator<Item = SystemId> + '_ {
        let at = self.systems.binary_search_by_key(&system, |system| system.id).ok();
        at.into_iter().flat_map(|at| self.after(small(at))).filter_map(|n| self.id(*n))
    }

    fn id(&self, n: u32) -> Option<SystemId> {
        self.systems.get(n as usize).map(|system| system.id)
    }

    /// What blocks a room: its own systems first, then whatever those wait for, the nearest first.
    pub fn blockers(&self, room: RoomId) -> Vec<Blocker> {
        let mut from: Vec<Option<u32>> = vec![None; self.systems.len()];
        let order = self.walk(room, &mut from);
        let way = |last: u32| {
            let mut way = Vec::new();
            let mut at = last;
            loop {
                way.extend(self.id(at));
                match from.get(at as usize).copied().flatten() {
                    Some(before) if before != at => at = before,
                    _ => break,
                }
            }
            way.reverse();
            way
        };
        order.into_iter().filter_map(|n| Some(Blocker { system: self.id(n)?, way: way(n) })).collect()
    }

    /// How many block each room. The same walk, without the ways.
    pub fn counts(&self) -> BTreeMap<RoomId, usize> {
        let mut from: Vec<Option<u32>> = vec![None; self.systems.len()];
        let mut counts = BTreeMap::new();
        for room in self.rooms.keys() {
            let order = self.walk(*room, &mut from);
            for n in &order {
                if let Some(seen) = from.get_mut(*n as usize) {
                    *seen = None;
                }
            }
            counts.insert(*room, order.len());
        }
        counts
    }

    /// Breadth first; `from` is empty, and says afterwards whence each was reached. A system of the room comes from itself.
    fn walk(&self, room: RoomId, from: &mut [Option<u32>]) -> Vec<u32> {
        let mut order = Vec::new();
        let mut queue = VecDeque::new();
        for n in self.rooms.get(&room).into_iter().flatten() {
            if let Some(seen) = from.get_mut(*n as usize) {
                *seen = Some(*n);
                queue.push_back(*n);
            }
        }
        while let Some(n) = queue.pop_front() {
            order.push(n);
            for next in self.after(n) {
                if let Some(seen) = from.get_mut(*next as usize)
                    && seen.is_none()
                {
                    *seen = Some(n);
                    queue.push_back(*next);
                }
            }
        }
        order
    }

    /// Systems that wait for each other, each group once: they go together or not at all.
    pub fn knots(&self) -> Vec<Vec<SystemId>> {
        let mut knots = Vec::new();
        for knot in knots_of(self.systems.len(), |n| self.after(n)) {
            let mut ids: Vec<SystemId> = knot.into_iter().filter_map(|n| self.id(n)).collect();
            ids.sort();
            knots.push(ids);
        }
        knots.sort();
        knots
    }

    /// Whether it has still to leave its room.
    pub fn is_open(&self, system: SystemId) -> bool {
        let at = self.systems.binary_search_by_key(&system, |system| system.id);
        at.ok().and_then(|at| self.open.get(at)).copied().unwrap_or_default()
    }
}

/// Strongly connected components of more than one, by Tarjan's method without its recursion: a chain may be as long as the
/// survey.
pub fn knots_of<'a>(count: usize, after: impl Fn(u32) -> &'a [u32]) -> Vec<Vec<u32>> {
    const UNSEEN: u32 = u32::MAX;
    let (mut index, mut low, mut on) = (vec![UNSEEN; count], vec![0_u32; count], vec![false; count]);
    let (mut stack, mut knots, mut next) = (Vec::new(), Vec::new(), 0);
    let get = |list: &[u32], n: u32| list.get(n as usize).copied().unwrap_or(UNSEEN);
    for root in 0..small(count) {
        if get(&index, root) != UNSEEN {
            continue;
        }
        // A system, and how many of its edges have been followed.
        let mut work: Vec<(u32, usize)> = vec![(root, 0)];
        while let Some((n, edge)) = work.pop() {
            let at = n as usize;
            if edge == 0 {
                if let (Some(i), Some(l), Some(o)) = (index.get_mut(at), low.get_mut(at), on.get_mut(at)) {
                    (*i, *l, *o) = (next, next, true);
                }
                next += 1;
                stack.push(n);
            }
            if let Some(to) = after(n).get(edge).copied() {
                work.push((n, edge + 1));
                if get(&index, to) == UNSEEN {
                    work.push((to, 0));
                } else if on.get(to as usize).copied().unwrap_or_default()
                    && let Some(l) = low.get_mut(at)
                {
                    *l = (*l).min(get(&index, to));
                }
                continue;
            }
            if let Some((parent, _)) = work.last() {
                let own = get(&low, n);
                if let Some(l) = low.get_mut(*parent as usize) {
                    *l = (*l).min(own);
                }
            }
            if get(&low, n) == get(&index, n) {
                let mut knot = Vec::new();
                while let Some(member) = stack.pop() {
                    if let Some(o) = on.get_mut(member as usize) {
                        *o = false;
                    }
                    knot.push(member);
                    if member == n {
                        break;
                    }
                }
                if knot.len() > 1 {
                    knots.push(knot);
                }
            }
        }
    }
    knots
}
