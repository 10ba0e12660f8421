//! Machines: from an approval to a running guest, and through stopping, the recycle bin and back.

pub mod approval;
pub mod build;
pub mod change;
pub mod credentials;
pub mod distribution;
pub mod drain;
mod estate;
pub mod explain;
pub mod image;
mod intent;
pub mod journey;
pub mod ledger;
pub mod lifecycle;
pub mod name;
mod origin;
pub mod plan;
pub mod power;
pub mod relocate;
pub mod resize;
pub mod service;
pub mod steps;
pub mod store;

pub use intent::mac_of;

use crate::{
    ids::{DepartmentId, HostId, MachineId, OperationId, RequestId},
    labels::Zone,
    provider::Intent,
};
use jiff::{Timestamp, civil::Date};
use lifecycle::State;
use std::net::Ipv4Addr;

/// 虚拟机
#[derive(Clone, Debug)]
pub struct Machine {
    pub id: MachineId,
    pub request: RequestId,
    pub department: DepartmentId,
    pub host: HostId,
    /// 0 for the request's first machine.
    pub ordinal: i64,
    pub state: State,
    /// Fixed at approval; what the provider is told.
    pub intent: Intent,
    pub zone: Zone,
    /// 运维周期 counted from the approval; nothing happens at its end but notices.
    pub lease_end: Date,
    /// 运维单位 and how to reach it.
    pub contact: String,
    /// The operation under way on it; while there is one, no other is accepted.
    pub operation: Option<OperationId>,
    pub created_at: Timestamp,
    pub ready_at: Option<Timestamp>,
    pub binned_at: Option<Timestamp>,
    /// The run of its domain that the broker knows of.
    pub run: Option<i64>,
    /// Why it could not be moved away, when it should.
    pub stuck_reason: Option<String>,
    /// The address that it was last seen to have, where its place gives it another one at each start.
    pub address_seen: Option<Ipv4Addr>,
}

impl Machine {
    /// Where it is reached; `None` while its place has not given it an address yet.
    pub fn address(&self) -> Option<Ipv4Addr> {
        let network = &self.intent.network;
        if network.link.is_fixed() { Some(network.address) } else { self.address_seen }
    }
}
