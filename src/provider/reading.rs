//! What a source has counted of one machine, at one instant. Counters only grow within one life; what they mean per second,
//! and whether they can be believed, is for whoever folds them.

use crate::{ids::MachineId, units::Bytes};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Counters and gauges; `None` is "the source does not tell", never zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub at: Timestamp,
    /// Which life the counters belong to: another number means that they began anew.
    pub life: u64,
    /// As allocated at that instant.
    pub vcpus: Option<u32>,
    pub memory: Option<Bytes>,
    /// Time that all vCPUs together have run.
    pub cpu_nanos: Option<u64>,
    /// Of the guest's own, without its caches where it tells.
    pub memory_used: Option<Bytes>,
    pub read_bytes: Option<u64>,
    pub written_bytes: Option<u64>,
    pub received_bytes: Option<u64>,
    pub sent_bytes: Option<u64>,
    pub guest: Option<Guest>,
}

/// What an agent inside the guest tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// Logins that are open, by user name, sorted.
    pub logins: Vec<String>,
    pub filesystems: Vec<Filesystem>,
    /// Sorted, without loopback and link-local ones.
    pub addresses: Vec<std::net::IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filesystem {
    pub mountpoint: String,
    pub total: Bytes,
    pub used: Bytes,
}

/// What one look at a host gave: machines of ours that run there, by their marks.
pub type Readings = Vec<(MachineId, Reading)>;
