//! Waves (迁移批次): which systems move together, and when. Made by hand, and checked: every conflict is named, with what it
//! rests on. Pure: the survey in memory, what is free, and the day.
//!
//! What blocks a wave keeps its systems from being planned; what warns is for people to weigh. A room that is late already
//! warns only: the later it is, the sooner its systems have to go.

pub mod check;
pub mod service;
pub mod store;
#[cfg(test)]
mod tests;

pub use check::{Bases, Conflict, Ground, Level, ZoneStand, check};

use super::{fate::Trigger, said::Unit};
use crate::{
    ids::{BlackoutId, SystemId, WaveId},
    labels::Zone,
};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Days, both ends in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Days {
    pub from: Date,
    pub to: Date,
}

impl Days {
    pub fn has(self, day: Date) -> bool {
        (self.from..=self.to).contains(&day)
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }
}

/// The node at which a system moves, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub trigger: Option<Trigger>,
    pub on: Option<Date>,
}

/// 迁移批次
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wave {
    pub id: WaveId,
    pub name: String,
    /// The cutover window.
    pub window: Days,
    pub note: Option<String>,
    pub systems: BTreeMap<SystemId, Node>,
    pub created_at: Timestamp,
}

/// 封网期
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blackout {
    pub id: BlackoutId,
    /// Whose; the whole district's where it is nobody's.
    pub unit: Option<Unit>,
    pub days: Days,
    pub reason: String,
    /// A login.
    pub by: String,
    pub created_at: Timestamp,
}

/// vCPUs and bytes; what a zone has, and what a wave asks of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = WaveAmount)]
pub struct Amount {
    pub vcpu: i64,
    pub memory_bytes: i64,
    pub disk_bytes: i64,
}

impl Amount {
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            vcpu: self.vcpu.saturating_add(other.vcpu),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
            disk_bytes: self.disk_bytes.saturating_add(other.disk_bytes),
        }
    }

    /// Whether all of it is there.
    pub const fn within(self, free: Self) -> bool {
        self.vcpu <= free.vcpu && self.memory_bytes <= free.memory_bytes && self.disk_bytes <= free.disk_bytes
    }
}

/// What a system will take of the cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    pub zone: Option<Zone>,
    /// What is not claimed yet.
    pub amount: Amount,
    /// Servers of which nobody knows how much they use.
    pub unknown: Vec<String>,
}

/// What a zone has to give on hosts that take machines: all claims are subtracted, whenever their leases end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    pub free: Amount,
    /// What machines of the zone hold, by the last day of their lease.
    pub leases: Vec<(Date, Amount)>,
}
