//! What there is to give: hosts, their networks, what is taken of them, and where the next machine goes.
//!
//! Placement ranks hosts on an index in memory; the guarded updates of `store.rs` decide. See [`inventory`].

pub mod inventory;
pub mod maintenance;
pub mod placement;
pub mod providers;
pub mod service;
pub mod standing;
pub mod store;
pub mod transfer;
mod zones;

use crate::{
    error::Shortage,
    ids::{HostId, MachineId, NetworkId, TaskBookId},
    labels::{MlpsLevel, Zone},
    provider::{DomainType, Link, libvirt::Way},
    task_book::document::Indicators,
    units::Bytes,
};
use ipnet::Ipv4Net;
use standing::Standing;
use std::{net::Ipv4Addr, str::FromStr};

/// What one machine takes of a host and of a task book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub vcpu: u32,
    pub memory: Bytes,
    pub disk: Bytes,
}

/// A sum over machines, as task books and hosts are counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    pub machines: i64,
    pub vcpu: i64,
    pub memory_bytes: i64,
    pub disk_bytes: i64,
}

impl Amount {
    /// What `machines` machines of one size take; `None` on overflow.
    pub fn of(size: Size, machines: i64) -> Option<Self> {
        Some(Self {
            machines,
            vcpu: i64::from(size.vcpu).checked_mul(machines)?,
            memory_bytes: size.memory.times(machines)?.get(),
            disk_bytes: size.disk.times(machines)?.get(),
        })
    }

    /// `None` on overflow.
    pub fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            machines: self.machines.checked_add(other.machines)?,
            vcpu: self.vcpu.checked_add(other.vcpu)?,
            memory_bytes: self.memory_bytes.checked_add(other.memory_bytes)?,
            disk_bytes: self.disk_bytes.checked_add(other.disk_bytes)?,
        })
    }

    /// What is left of a limit of which `used` is taken; counters never exceed their limits.
    #[must_use]
    pub const fn minus(self, used: Self) -> Self {
        Self {
            machines: self.machines - used.machines,
            vcpu: self.vcpu - used.vcpu,
            memory_bytes: self.memory_bytes - used.memory_bytes,
            disk_bytes: self.disk_bytes - used.disk_bytes,
        }
    }

    /// Each dimension in which more is asked than is free.
    pub fn shortage(self, free: Self, of: &'static str) -> Vec<Shortage> {
        self.dimensions()
            .into_iter()
            .zip(free.dimensions())
            .filter(|((_, asked), (_, free))| asked > free)
            .map(|((dimension, asked), (_, free))| Shortage { dimension, asked, free, of })
            .collect()
    }

    /// The four dimensions by name.
    pub const fn dimensions(self) -> [(&'static str, i64); 4] {
        [
            ("machines", self.machines),
            ("vcpu", self.vcpu),
            ("memory_bytes", self.memory_bytes),
            ("disk_bytes", self.disk_bytes),
        ]
    }
}

impl From<Indicators> for Amount {
    fn from(indicators: Indicators) -> Self {
        Self {
            machines: indicators.machines,
            vcpu: indicators.vcpu,
            memory_bytes: indicators.memory.get(),
            disk_bytes: indicators.disk.get(),
        }
    }
}

/// Which implementation runs a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    Libvirt,
    /// A cluster: many machines under one name, which the cluster places itself.
    Kubevirt,
    /// For scale and fault tests only; nothing runs there.
    Simulated,
}

impl ProviderKind {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Libvirt => "libvirt",
            Self::Kubevirt => "kubevirt",
            Self::Simulated => "simulated",
        }
    }
}

/// Not a word of one of the small enums here.
#[derive(Debug, thiserror::Error)]
#[error("unknown word {0:?}")]
pub struct UnknownWord(String);

impl FromStr for ProviderKind {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "libvirt" => Ok(Self::Libvirt),
            "kubevirt" => Ok(Self::Kubevirt),
            "simulated" => Ok(Self::Simulated),
            _ => Err(UnknownWord(word.to_owned())),
        }
    }
}

/// 宿主机
#[derive(Clone, Debug)]
pub struct Host {
    pub id: HostId,
    pub name: String,
    pub provider: ProviderKind,
    pub uri: String,
    /// The libvirt storage pool and its directory on the host.
    pub pool: String,
    pub pool_path: String,
    pub domain_type: DomainType,
    pub standing: Standing,
    /// The highest MLPS level (等保级别) that the host may carry.
    pub mlps_level: MlpsLevel,
    /// What may be given out: what there is, times the overcommit, less the reserve. `machines` is not limited.
    pub limit: Amount,
    pub used: Amount,
    pub networks: Vec<HostNetwork>,
}

impl Host {
    /// What an operator should know of this host even though it is allowed.
    pub fn warnings(&self) -> Vec<String> {
        let way = (self.provider == ProviderKind::Libvirt).then(|| Way::read(&self.uri).ok()).flatten();
        way.and_then(|way| way.warning()).into_iter().collect()
    }
}

/// A zone's network on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostNetwork {
    pub id: NetworkId,
    pub zone: Zone,
    /// The libvirt network's name.
    pub network: String,
    pub bridge: String,
    pub cidr: Ipv4Net,
    /// The way out of it; on a network of the host's own, that is the host.
    pub gateway: Ipv4Addr,
    /// Who answers names there.
    pub dns: Ipv4Addr,
    /// A network that hosts share, by its bridge; a machine keeps its address when it goes from one host to another.
    /// Without it the network is libvirt's, of this host alone.
    pub segment: Option<String>,
    /// The part of the range that machines may have.
    pub first: Ipv4Addr,
    pub last: Ipv4Addr,
    /// It is a cluster's: without a segment its pod network, with one a network that its nodes attach machines to, which
    /// `bridge` names as `namespace/name`.
    pub cluster: bool,
}

impl HostNetwork {
    /// Where an address of it is unique.
    pub fn pool(&self) -> String {
        self.segment.clone().unwrap_or_else(|| self.id.text())
    }

    /// Whether it is the segment of this name, which other hosts may share.
    pub fn is_on(&self, segment: &str) -> bool {
        self.segment.as_deref() == Some(segment)
    }

    /// The name by which the host knows it: the libvirt network's, or the bridge's.
    pub fn device(&self) -> &str {
        if self.segment.is_some() { &self.bridge } else { &self.network }
    }

    /// How machines are attached to it.
    pub const fn link(&self) -> Link {
        let prefix = self.cidr.prefix_len();
        match (&self.segment, self.cluster) {
            (Some(_), true) => Link::Attached { prefix },
            (None, true) => Link::Pod,
            (Some(_), false) => Link::Bridge { prefix },
            (None, false) => Link::Network,
        }
    }
}

/// What one machine holds of everything that is scarce; see the table `claims`.
#[derive(Clone, Debug)]
pub struct Claim {
    pub machine: MachineId,
    pub task_book: TaskBookId,
    pub host: HostId,
    pub network: NetworkId,
    /// Where the address is unique; see [`HostNetwork::pool`].
    pub pool: String,
    pub size: Size,
    pub address: Ipv4Addr,
    pub mac: String,
    pub fqdn: Option<String>,
}
