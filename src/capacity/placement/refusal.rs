//! Why a host cannot take a machine: a word for programs, a sentence for people, and the numbers for both.

use super::PlaceKind;
use crate::{
    capacity::standing::HostState,
    error::HostRefusal,
    labels::{MlpsLevel, Zone},
};
use std::fmt;

/// One for each filter, in the filters' order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It takes nothing new.
    NotActive {
        state: HostState,
    },
    ZoneMissing {
        zone: Zone,
    },
    /// It has to be a host, or a cluster, and this is the other one.
    OtherKind {
        kind: PlaceKind,
    },
    /// A cluster hands over no databases: the broker could not ask them.
    NoDatabases,
    /// Names are to be registered, and the zone's network here keeps no addresses.
    AddressFloats {
        zone: Zone,
    },
    /// The host may not carry a system of this level.
    LevelLow {
        asked: MlpsLevel,
        highest: MlpsLevel,
    },
    /// The image neither lies there nor can be sent.
    ImageUnreachable,
    /// No claim of the cluster's namespace of images holds it, and nothing is sent to a cluster.
    ImageNotOnCluster,
    /// The request asks for a host of its own for each of its machines, and one is here.
    SiblingHere {
        siblings: u32,
    },
    VcpuShort {
        asked: i64,
        free: i64,
        limit: i64,
    },
    MemoryShort {
        asked: i64,
        free: i64,
        limit: i64,
    },
    DiskShort {
        asked: i64,
        free: i64,
        limit: i64,
    },
    AddressesShort {
        zone: Zone,
        free: i64,
    },
}

impl Refusal {
    /// The stable word.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotActive { .. } => "not_active",
            Self::ZoneMissing { .. } => "zone_missing",
            Self::OtherKind { .. } => "other_kind",
            Self::NoDatabases => "no_databases",
            Self::AddressFloats { .. } => "address_floats",
            Self::LevelLow { .. } => "mlps_level_low",
            Self::ImageUnreachable => "image_unreachable",
            Self::ImageNotOnCluster => "image_not_on_cluster",
            Self::SiblingHere { .. } => "sibling_here",
            Self::VcpuShort { .. } => "vcpu_short",
            Self::MemoryShort { .. } => "memory_short",
            Self::DiskShort { .. } => "disk_short",
            Self::AddressesShort { .. } => "addresses_short",
        }
    }

    /// What is short, how much of it was asked, and how much there is. A host that is out of the question for other
    /// reasons is a host that is short.
    pub fn shortage(self) -> (&'static str, i64, i64) {
        match self {
            Self::VcpuShort { asked, free, .. } => ("vcpu", asked, free),
            Self::MemoryShort { asked, free, .. } => ("memory_bytes", asked, free),
            Self::DiskShort { asked, free, .. } => ("disk_bytes", asked, free),
            Self::AddressesShort { free, .. } => ("addresses", 1, free),
            Self::LevelLow { asked, highest } => ("mlps_level", asked.get().into(), highest.get().into()),
            Self::NotActive { .. }
            | Self::ZoneMissing { .. }
            | Self::OtherKind { .. }
            | Self::NoDatabases
            | Self::AddressFloats { .. }
            | Self::ImageUnreachable
            | Self::ImageNotOnCluster
            | Self::SiblingHere { .. } => ("hosts", 1, 0),
        }
    }

    /// For an answer.
    pub fn of(self, host: &str) -> HostRefusal {
        let numbers = match self.shortage() {
            ("hosts", ..) => None,
            (_, asked, free) => Some((asked, free)),
        };
        HostRefusal {
            host: host.to_owned(),
            reason: self.reason(),
            message: self.to_string(),
            asked: numbers.map(|(asked, _)| asked),
            free: numbers.map(|(_, free)| free),
        }
    }
}

/// In Chinese, for people.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotActive { state } => write!(f, "{}", state.label()),
            Self::ZoneMissing { zone } => write!(f, "没有接入{}", zone.label()),
            Self::OtherKind { kind } => write!(f, "是{}，要求建在{}上", kind.label(), kind.other().label()),
            Self::NoDatabases => f.write_str("是集群，不交付数据库：交付前要用口令连上数据库验收，集约连不到集群里的客户机"),
            Self::AddressFloats { zone } => {
                write!(f, "{}在这里是集群的 Pod 网络，地址每次启动都会变，不能登记域名", zone.label())
            }
            Self::LevelLow { asked, highest } => write!(f, "最高承载等保 {highest} 级，申请为 {asked} 级"),
            Self::ImageUnreachable => f.write_str("主机上没有所需镜像，服务上也没有可发送的副本"),
            Self::ImageNotOnCluster => f.write_str(
                "集群的镜像命名空间里没有所需镜像的卷（image- 加镜像的 SHA-256）；集约不向集群发送镜像，由集群管理员导入",
            ),
            Self::SiblingHere { siblings } => write!(f, "已有本申请的 {siblings} 台虚拟机，而申请要求各台分散"),
            Self::VcpuShort { asked, free, limit } => {
                write!(f, "CPU 不足：需 {asked} 核，余 {free} 核（可分配 {limit} 核）")
            }
            Self::MemoryShort { asked, free, limit } => {
                write!(f, "内存不足：需 {}，余 {}（可分配 {}）", Size(asked), Size(free), Size(limit))
            }
            Self::DiskShort { asked, free, limit } => {
                write!(f, "磁盘不足：需 {}，余 {}（可分配 {}）", Size(asked), Size(free), Size(limit))
            }
            Self::AddressesShort { zone, .. } => write!(f, "{}的地址已用完", zone.label()),
        }
    }
}

/// Bytes as people compare them: one decimal, rounded down, for what is free must not look like more than it is.
struct Size(i64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shift, unit) = match self.0 {
            n if n >= 1 << 40 => (40, "TiB"),
            n if n >= 1 << 30 => (30, "GiB"),
            n if n >= 1 << 20 => (20, "MiB"),
            n => return write!(f, "{n} B"),
        };
        let tenths = (i128::from(self.0) * 10) >> shift;
        match (tenths / 10, tenths % 10) {
            (whole, 0) => write!(f, "{whole} {unit}"),
            (whole, rest) => write!(f, "{whole}.{rest} {unit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_never_looks_like_more_than_it_is() {
        let shown = [0, 1023, (1 << 20) * 3 / 2, 5 << 30, (2 << 40) - 1].map(|n| Size(n).to_string());
        assert_eq!(shown, ["0 B", "1023 B", "1.5 MiB", "5 GiB", "1.9 TiB"]);
    }
}
