//! Information systems (政务信息系统): whose they are, what they are for, who uses them and how often, and which machines
//! are theirs.
//!
//! What is recorded here is somebody's statement, kept with who made it and when. What nobody has stated stays unknown.

pub mod record;
pub mod service;
pub mod store;
pub mod survey;

use crate::ids::{DepartmentId, MachineId, SystemId};
use jiff::Timestamp;
use record::Facts;

/// 政务信息系统
#[derive(Clone, Debug)]
pub struct System {
    pub id: SystemId,
    pub department: DepartmentId,
    pub facts: Facts,
    /// Whose word the facts are: the login of whoever wrote them last.
    pub recorded_by: String,
    pub recorded_at: Timestamp,
    pub created_at: Timestamp,
}

/// A machine of a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub machine: MachineId,
    pub name: String,
    pub tie: Tie,
    /// It has been delivered.
    pub ready: bool,
}

/// Why a machine counts as a system's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tie {
    /// Somebody has said so.
    Hand,
    /// It was asked for from a migration wave, for this very system.
    Request,
    /// The task book that it was asked on names a project of the system's own name, and nobody has said otherwise.
    Project,
}

impl Tie {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hand => "hand",
            Self::Request => "request",
            Self::Project => "project",
        }
    }
}
