//! Where a machine goes. Pure: hosts as [`Candidate`]s in, the best one or a reason per host out.
//!
//! A host is refused by the first filter it fails, in this order, which goes from what no waiting cures to what a
//! departure does: state, network zone, kind of place, database, fixed address, MLPS level, image, anti-affinity, vCPU, memory, disk, addresses. Those that pass
//! are ranked by [`Score`], whose order is the order of its fields; the host's id comes last, so that equal hosts are
//! never chosen between by chance, nor by the order in which they are looked at.

mod refusal;
mod tenancy;
#[cfg(test)]
mod tests;

pub use refusal::Refusal;
pub use tenancy::Tenancy;

use super::{Amount, Size, standing::HostState};
use crate::{
    ids::HostId,
    labels::{MlpsLevel, ProviderWish, Spread, Zone},
};
use serde::Serialize;
use std::cmp::Reverse;

/// The end of a lease that has none: later than any other.
pub const FOREVER: i64 = i64::MAX;

/// What is to be placed: one machine of a request, all of which are alike.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub size: Size,
    pub zone: Zone,
    pub mlps_level: MlpsLevel,
    /// When the machine's lease ends, in seconds since the epoch; `None` when that is not known.
    pub lease_end: Option<i64>,
    pub spread: Spread,
    /// Names that a DNS server is to keep: the address must stay what it is.
    pub fixed_address: bool,
    /// It serves a database, which is asked before it is handed over.
    pub database: bool,
    /// The kind of place that it must go to, if not any.
    pub kind: Option<PlaceKind>,
    /// The instant of the decision, in seconds since the epoch.
    pub now: i64,
}

/// A host of its own, or a cluster of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceKind {
    Host,
    Cluster,
}

impl PlaceKind {
    /// What a request's wish leaves; `None` where any will do.
    pub const fn wished(wish: ProviderWish) -> Option<Self> {
        match wish {
            ProviderWish::Any => None,
            ProviderWish::Libvirt => Some(Self::Host),
            ProviderWish::Kubevirt => Some(Self::Cluster),
        }
    }

    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Host => Self::Cluster,
            Self::Cluster => Self::Host,
        }
    }

    pub const fn label(self) -> &'static str {
        match self {
            Self::Host => "宿主机",
            Self::Cluster => "集群",
        }
    }
}

/// A host as the scheduler sees it: what does not change from one decision to the next without the index knowing.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    pub id: HostId,
    pub kind: PlaceKind,
    pub state: HostState,
    /// The highest level that the host may carry.
    pub mlps_level: MlpsLevel,
    /// What may be given out: overcommit and the host's own reserve are already in it.
    pub limit: Amount,
    pub used: Amount,
    /// Machines that run here, and the sum of the instants since when, in seconds since the epoch.
    pub machines: i64,
    pub since_sum: i64,
    /// When the last lease here ends; [`FOREVER`] while one of them is not known.
    pub last_end: i64,
}

/// What only this decision makes of a host.
#[derive(Clone, Copy, Debug)]
pub struct Here {
    /// Free addresses in the zone asked for; `None` where the zone has no network here.
    pub free_addresses: Option<i64>,
    /// What is given there is kept, and is not the cluster's to choose at each start.
    pub fixed_address: bool,
    /// Machines of the same request already placed here.
    pub siblings: u32,
    /// The image lies on the host, or the broker has a copy to send.
    pub image: bool,
}

/// Smaller is better, field by field. Integers alone: the same hosts give the same answer on every machine.
///
/// The order was found on a public trace of a large cloud (`benches/placement.rs`): what empties a host is that nothing
/// long-lived is left on it, so leases that end together belong together, and what stays anyway is filled first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
pub struct Score {
    /// Machines of the same request here: they go to different hosts while they can, so that one host's fault does not
    /// take all.
    pub siblings: u32,
    /// Nothing runs here yet: a host in use is filled before another is begun.
    pub empty: bool,
    /// By how many seconds the machine's lease outlasts every other on the host, and so keeps the host from falling
    /// free. 0 where the lease's end is not known.
    pub lease_extension_s: i64,
    /// False where the machine asks most of what the host has most of: a larger share of its vCPUs than of its memory,
    /// and more vCPUs than memory would still be left (by over 5 % of the host), or the other way round. There it uses
    /// what could not be given out otherwise.
    pub misfit: bool,
    /// For how many seconds something else keeps the host after the machine's lease: the room on hosts that stay longest
    /// is kept for machines that stay as long.
    pub lease_gap_s: i64,
    /// Machine-seconds that what runs here has run. More is better: what has stayed long stays longer, so this host will
    /// hardly fall free, and the others may.
    #[schema(value_type = i64)]
    pub settled_s: Reverse<i64>,
    /// Best fit: the least left over, of memory first, which is what runs out first on virtualisation hosts.
    pub memory_left_mib: i64,
    pub vcpu_left: i64,
    pub disk_left_gib: i64,
    #[serde(rename = "host_id")]
    #[schema(value_type = String, format = Uuid)]
    pub host: HostId,
}

/// Which of several machines to place first: smaller before greater, field by field.
///
/// Whoever is placed first gets room on hosts in use, and whoever is placed last is what new hosts are begun with. So the
/// order is by how long a machine will stay, as far as that can be told: hosts begun for what goes soon fall free soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Precedence {
    /// What stays longest first: whatever comes after it may go where it keeps the host anyway.
    pub lease_end: Reverse<i64>,
    /// False where the machine wants more than half of an average host in some dimension: two of these never share a host,
    /// so they are what the others are fitted around.
    pub small: bool,
    /// vCPUs of all that was asked for in one go and alike (`cohort`). What comes in great numbers goes soon, on the public
    /// trace: of machines of one vCPU that came by the dozens nine in ten were gone within the hour, of single ones half.
    pub cohort_vcpu: i64,
    /// What asks most of memory beyond its share of vCPUs first: few hosts have room for it, and the others fill what is
    /// left. In units of an average host's vCPU × bytes.
    pub lean: Reverse<i128>,
}

impl Precedence {
    /// `average` is what a host has to give on average.
    pub fn of(wanted: &Wanted, cohort_vcpu: i64, average: Amount) -> Self {
        let (vcpu, memory) = (i64::from(wanted.size.vcpu), wanted.size.memory.get());
        let by = |asked: i64, of: i64| i128::from(asked) * i128::from(of);
        let over_half = |asked: i64, of: i64| by(asked, 2) > i128::from(of);
        Self {
            lease_end: Reverse(wanted.lease_end.unwrap_or(FOREVER)),
            small: !over_half(vcpu, average.vcpu) && !over_half(memory, average.memory_bytes),
            cohort_vcpu,
            lean: Reverse(by(memory, average.vcpu) - by(vcpu, average.memory_bytes)),
        }
    }
}

/// Machines that were asked for one after another, alike in all that makes them interchangeable to a host, are one cohort.
pub fn cohort(one: &Wanted, next: &Wanted) -> bool {
    (one.size, one.zone, one.mlps_level) == (next.size, next.zone, next.mlps_level)
}

/// The first filter that the host fails, or its score.
pub fn judge(host: &Candidate, wanted: &Wanted, here: Here) -> Result<Score, Refusal> {
    let left = admit(host, wanted, here)?;
    Ok(score(host, wanted, left, lead(host, wanted, here)))
}

/// The host's score if it passes and is better than the best so far. The same answer as [`judge`] and a comparison, which
/// most hosts lose in the first fields: the rest is not looked at then, nor the filters.
pub fn outdo(host: &Candidate, wanted: &Wanted, here: Here, best: Option<&Score>) -> Option<Score> {
    let lead = lead(host, wanted, here);
    if best.is_some_and(|best| lead > (best.siblings, best.empty, best.lease_extension_s)) {
        return None;
    }
    let score = score(host, wanted, admit(host, wanted, here).ok()?, lead);
    best.is_none_or(|best| score < *best).then_some(score)
}

/// The first fields of the score.
fn lead(host: &Candidate, wanted: &Wanted, here: Here) -> (u32, bool, i64) {
    let empty = host.machines == 0;
    let extension = match wanted.lease_end {
        Some(end) if !empty => end.saturating_sub(host.last_end).max(0),
        _ => 0,
    };
    (here.siblings, empty, extension)
}

fn score(host: &Candidate, wanted: &Wanted, left: Amount, lead: (u32, bool, i64)) -> Score {
    let (siblings, empty, lease_extension_s) = lead;
    let lease_gap_s = match wanted.lease_end {
        Some(end) if !empty => host.last_end.saturating_sub(end).max(0),
        _ => 0,
    };
    Score {
        siblings,
        empty,
        lease_extension_s,
        misfit: !fills_a_gap(host, wanted.size, left),
        lease_gap_s,
        settled_s: Reverse(host.machines.saturating_mul(wanted.now).saturating_sub(host.since_sum)),
        memory_left_mib: left.memory_bytes >> 20,
        vcpu_left: left.vcpu,
        disk_left_gib: left.disk_bytes >> 30,
        host: host.id,
    }
}

/// The filters; what would be left of the host when all let the machine pass.
fn admit(host: &Candidate, wanted: &Wanted, here: Here) -> Result<Amount, Refusal> {
    if host.state != HostState::Active {
        return Err(Refusal::NotActive { state: host.state });
    }
    let zone = wanted.zone;
    let Some(free_addresses) = here.free_addresses else {
        return Err(Refusal::ZoneMissing { zone });
    };
    if wanted.kind.is_some_and(|kind| kind != host.kind) {
        return Err(Refusal::OtherKind { kind: host.kind });
    }
    if wanted.database && host.kind == PlaceKind::Cluster {
        return Err(Refusal::NoDatabases);
    }
    if wanted.fixed_address && !here.fixed_address {
        return Err(Refusal::AddressFloats { zone });
    }
    if wanted.mlps_level > host.mlps_level {
        return Err(Refusal::LevelLow { asked: wanted.mlps_level, highest: host.mlps_level });
    }
    if !here.image {
        return Err(match host.kind {
            PlaceKind::Host => Refusal::ImageUnreachable,
            PlaceKind::Cluster => Refusal::ImageNotOnCluster,
        });
    }
    // Within a cluster they keep off each other's nodes: it is told so with each machine.
    if wanted.spread == Spread::Require && here.siblings > 0 && host.kind == PlaceKind::Host {
        return Err(Refusal::SiblingHere { siblings: here.siblings });
    }
    let size = wanted.size;
    let (vcpu, memory, disk) = (i64::from(size.vcpu), size.memory.get(), size.disk.get());
    let (limit, free) = (host.limit, host.limit.minus(host.used));
    if vcpu > free.vcpu {
        return Err(Refusal::VcpuShort { asked: vcpu, free: free.vcpu, limit: limit.vcpu });
    }
    if memory > free.memory_bytes {
        return Err(Refusal::MemoryShort { asked: memory, free: free.memory_bytes, limit: limit.memory_bytes });
    }
    if disk > free.disk_bytes {
        return Err(Refusal::DiskShort { asked: disk, free: free.disk_bytes, limit: limit.disk_bytes });
    }
    if free_addresses < 1 {
        return Err(Refusal::AddressesShort { zone, free: free_addresses });
    }
    Ok(Amount {
        machines: 0,
        vcpu: free.vcpu - vcpu,
        memory_bytes: free.memory_bytes - memory,
        disk_bytes: free.disk_bytes - disk,
    })
}

/// See [`Score::misfit`]. Shares are compared by cross-multiplication, in 128 bits: nothing is rounded, nothing wraps.
fn fills_a_gap(host: &Candidate, size: Size, left: Amount) -> bool {
    let (vcpu, memory) = (i128::from(host.limit.vcpu), i128::from(host.limit.memory_bytes));
    let more_vcpu = i128::from(size.vcpu) * memory > i128::from(size.memory.get()) * vcpu;
    let spare_vcpu = 20 * (i128::from(left.vcpu) * memory - i128::from(left.memory_bytes) * vcpu);
    if more_vcpu { spare_vcpu > vcpu * memory } else { -spare_vcpu > vcpu * memory }
}
