//! The addresses of one network: which are free, and which comes next.

use crate::capacity::HostNetwork;
use std::{collections::HashSet, net::Ipv4Addr};

pub(super) struct Addresses {
    pub network: HostNetwork,
    taken: HashSet<Ipv4Addr>,
    /// Where the search for a free address goes on.
    next: u32,
    /// Addresses that machines may have at all.
    total: i64,
}

impl Addresses {
    pub fn new(network: HostNetwork, taken: HashSet<Ipv4Addr>, scatter: bool) -> Self {
        let (first, last) = usable(&network);
        let total = i64::from(last) - i64::from(first) + 1 - i64::from(contains(&network, first, last));
        let next = if scatter && last > first { first + random() % (last - first) } else { first };
        Self { network, taken, next, total: total.max(0) }
    }

    pub fn free(&self) -> i64 {
        self.total - i64::try_from(self.taken.len()).unwrap_or(i64::MAX)
    }

    pub fn take(&mut self) -> Option<Ipv4Addr> {
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

    pub fn free_again(&mut self, address: Ipv4Addr) {
        self.taken.remove(&address);
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
