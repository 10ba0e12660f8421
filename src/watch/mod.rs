//! The watch over hosts: each is listed in full, again and again, and what is seen is held against what the broker knows.
//! What differs is an alarm for people. The broker touches nothing that is not its own, and of its own it only starts
//! again what has lost its power without anybody's wish.

pub mod drift;
pub mod service;
pub mod store;
pub mod task;

use crate::ids::{AlarmId, HostId, MachineId};
use jiff::Timestamp;
use std::str::FromStr;

/// What is odd about a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlarmKind {
    /// It carries no mark of ours.
    Foreign,
    /// It carries our mark, and is not a machine that belongs on this host.
    Stray,
    /// A machine's domain is not there.
    Missing,
    /// It is not made of what was approved.
    Altered,
    /// It runs, or runs anew, and the broker has not started it.
    Restarted,
    /// It ought to run, and somebody has cut its power.
    PowerCut,
    /// An object of a cluster that is to be deleted waits too long for its machines. It is on no host.
    FinalizerStuck,
}

impl AlarmKind {
    pub const ALL: [Self; 7] = [
        Self::Foreign,
        Self::Stray,
        Self::Missing,
        Self::Altered,
        Self::Restarted,
        Self::PowerCut,
        Self::FinalizerStuck,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::Stray => "stray",
            Self::Missing => "missing",
            Self::Altered => "altered",
            Self::Restarted => "restarted",
            Self::PowerCut => "power_cut",
            Self::FinalizerStuck => "finalizer_stuck",
        }
    }

    /// What people read.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Foreign => "来历不明的虚拟机",
            Self::Stray => "不该在这台宿主机上",
            Self::Missing => "虚拟机不见了",
            Self::Altered => "配置被改动",
            Self::Restarted => "未经平台启动",
            Self::PowerCut => "被断电",
            Self::FinalizerStuck => "集群里的申请删不掉",
        }
    }

    /// Whether it happened once, and stands until somebody has seen it; the others stand as long as they are seen.
    pub const fn is_event(self) -> bool {
        matches!(self, Self::Restarted)
    }
}

/// Not a kind of alarm.
#[derive(Debug, thiserror::Error)]
#[error("unknown kind of alarm: {0:?}")]
pub struct UnknownKind(String);

impl FromStr for AlarmKind {
    type Err = UnknownKind;
    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.word() == word).ok_or_else(|| UnknownKind(word.to_owned()))
    }
}

/// 告警
#[derive(Clone, Debug)]
pub struct Alarm {
    pub id: AlarmId,
    /// None for an object of a cluster.
    pub host: Option<HostId>,
    pub kind: AlarmKind,
    /// The domain's UUID on its host, or the object's UID.
    pub domain_id: String,
    pub name: String,
    pub machine: Option<MachineId>,
    /// What was expected and what was seen, in Chinese.
    pub detail: String,
    pub first_seen_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub acknowledged_by: Option<String>,
    pub acknowledged_at: Option<Timestamp>,
    pub cleared_at: Option<Timestamp>,
}
