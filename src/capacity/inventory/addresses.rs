//! The addresses of one pool: which are free, and which comes next. Hosts that share a network share its pool.

use crate::capacity::HostNetwork;
use ipnet::Ipv4Net;
use std::{collections::HashSet, net::Ipv4Addr};

pub(super) struct Addresses {
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
    pub fn new(network: &HostNetwork, taken: HashSet<Ipv4Addr>, scatter: bool) -> Self {
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

    pub fn free(&self) -> i64 {
        self.total - i64::try_from(self.taken.len()).unwrap_or(i64::MAX)
    }

    pub fn take(&mut self) -> Option<Ipv4Addr> {
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

    pub fn free_again(&mut self, address: Ipv4Addr) {
        self.taken.remove(&address);
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
