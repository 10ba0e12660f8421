//! Legacy servers: what a department has that is not ours to build. A name, whose it is, how large, and where it is measured.

pub mod service;
pub mod store;
pub mod survey;

use crate::ids::{DepartmentId, ServerId};
use jiff::Timestamp;

/// One that is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub id: ServerId,
    pub department: DepartmentId,
    pub created_at: Timestamp,
    pub facts: Facts,
}

/// What people say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Unique within the department.
    pub name: String,
    /// Where it is not known, the source's own number is taken.
    pub cores: Option<u32>,
    pub memory_bytes: Option<i64>,
    pub measured: Option<Place>,
}

/// Where it is measured; unique, for one series speaks for one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A source's name in the settings.
    pub source: String,
    /// What that source calls the server.
    pub instance: String,
}
