//! Where a machine goes. Pure: candidates in, the best one or a reason per host out.
//!
//! A host is refused by the first filter it fails. Those that pass are ranked by [`Score`], whose order is the order of
//! its fields; the host's id comes last, so that equal hosts are never chosen between by chance.

use super::{Amount, Size, standing::HostState};
use crate::{ids::HostId, labels::Zone};
use serde::Serialize;

/// A host as the scheduler sees it.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub id: HostId,
    pub state: HostState,
    pub limit: Amount,
    pub used: Amount,
    /// Whether the request's zone has a network here, and how many of its addresses are free.
    pub free_addresses: Option<i64>,
    /// Machines of the same request already placed here.
    pub siblings: i64,
}

/// Smaller is better, field by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score {
    /// Machines of one request go to different hosts while they can, so that one host's fault does not take all.
    pub siblings: i64,
    /// Best fit: the least memory left over, memory being what runs out first on virtualisation hosts. In mebibytes.
    pub memory_left_mib: i64,
    /// Then the fewest vCPUs left over.
    pub vcpu_left: i64,
    pub host: HostId,
}

/// Why a host cannot take the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Refusal {
    Cordoned,
    ZoneMissing { zone: Zone },
    VcpuShort { asked: i64, free: i64 },
    MemoryShort { asked: i64, free: i64 },
    DiskShort { asked: i64, free: i64 },
    AddressesShort { free: i64 },
}

/// The first filter that the host fails, or its score.
pub fn judge(candidate: &Candidate, size: Size, zone: Zone) -> Result<Score, Refusal> {
    if candidate.state != HostState::Active {
        return Err(Refusal::Cordoned);
    }
    let free_addresses = candidate.free_addresses.ok_or(Refusal::ZoneMissing { zone })?;
    let (vcpu, memory, disk) = (i64::from(size.vcpu), size.memory.get(), size.disk.get());
    let vcpu_free = candidate.limit.vcpu - candidate.used.vcpu;
    let memory_free = candidate.limit.memory_bytes - candidate.used.memory_bytes;
    let disk_free = candidate.limit.disk_bytes - candidate.used.disk_bytes;
    if vcpu > vcpu_free {
        return Err(Refusal::VcpuShort { asked: vcpu, free: vcpu_free });
    }
    if memory > memory_free {
        return Err(Refusal::MemoryShort { asked: memory, free: memory_free });
    }
    if disk > disk_free {
        return Err(Refusal::DiskShort { asked: disk, free: disk_free });
    }
    if free_addresses < 1 {
        return Err(Refusal::AddressesShort { free: free_addresses });
    }
    Ok(Score {
        siblings: candidate.siblings,
        memory_left_mib: (memory_free - memory) >> 20,
        vcpu_left: vcpu_free - vcpu,
        host: candidate.id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;

    const ZONE: Zone = Zone::GovernmentExtranet;

    fn size() -> Size {
        Size { vcpu: 2, memory: Bytes::gib(4).unwrap(), disk: Bytes::gib(40).unwrap() }
    }

    fn host(memory_gib: i64) -> Candidate {
        Candidate {
            id: HostId::new(),
            state: HostState::Active,
            limit: Amount { machines: 0, vcpu: 8, memory_bytes: memory_gib << 30, disk_bytes: 400 << 30 },
            used: Amount::default(),
            free_addresses: Some(10),
            siblings: 0,
        }
    }

    #[test]
    fn the_fullest_host_that_fits_is_best_and_siblings_outweigh_that() {
        let (full, roomy) = (host(5), host(64));
        assert!(judge(&full, size(), ZONE).unwrap() < judge(&roomy, size(), ZONE).unwrap());
        let crowded = Candidate { siblings: 1, ..host(5) };
        assert!(judge(&roomy, size(), ZONE).unwrap() < judge(&crowded, size(), ZONE).unwrap());
    }

    #[test]
    fn equal_hosts_are_told_apart_by_id() {
        let (a, b) = (host(8), host(8));
        let (first, second) = if a.id < b.id { (&a, &b) } else { (&b, &a) };
        assert!(judge(first, size(), ZONE).unwrap() < judge(second, size(), ZONE).unwrap());
    }

    #[test]
    fn each_filter_gives_its_own_reason() {
        let refusal = |change: fn(&mut Candidate)| {
            let mut candidate = host(8);
            change(&mut candidate);
            judge(&candidate, size(), ZONE).unwrap_err()
        };
        assert_eq!(refusal(|c| c.state = HostState::Cordoned), Refusal::Cordoned);
        assert_eq!(refusal(|c| c.free_addresses = None), Refusal::ZoneMissing { zone: ZONE });
        assert_eq!(refusal(|c| c.free_addresses = Some(0)), Refusal::AddressesShort { free: 0 });
        assert_eq!(refusal(|c| c.used.vcpu = 7), Refusal::VcpuShort { asked: 2, free: 1 });
        assert_eq!(refusal(|c| c.used.memory_bytes = 5 << 30), Refusal::MemoryShort { asked: 4 << 30, free: 3 << 30 });
        assert_eq!(refusal(|c| c.used.disk_bytes = 400 << 30), Refusal::DiskShort { asked: 40 << 30, free: 0 });
    }
}
