//! An old guest's disk moves into the cloud: from a libvirt host of a departmental room (`[[source_host]]` in the settings)
//! into a machine that was built by an ordinary request.
//!
//! The old guest is stopped for the copy, and whatever breaks when, at most one of the two runs from that disk: each is
//! started only after the other was seen to be off, by a look at that moment. Until somebody says that it is finished there
//! is a way back; the old disk is read and never written or deleted.

pub mod lifecycle;
pub mod plan;
pub mod runner;
pub mod service;
pub mod settings;
pub mod steps;
pub mod store;

pub use runner::{Moves, OldGuests};
pub use service::DiskImports;
pub use steps::Sources;

use crate::{
    ids::{DepartmentId, DiskImportId, MachineId, OperationId, ServerId},
    provider::ImageFormat,
};
use jiff::Timestamp;
use lifecycle::State;
use std::{net::Ipv4Addr, str::FromStr};
use uuid::Uuid;

/// Which address a machine has on the old disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// The old guest's.
    Keep,
    /// The one that it was built with.
    New,
}

/// A disk on its way, on the way back, or where it stays.
#[derive(Clone, Debug)]
pub struct DiskImport {
    pub id: DiskImportId,
    pub department: DepartmentId,
    /// Of the survey: whose guest it is.
    pub server: ServerId,
    pub machine: MachineId,
    pub operation: OperationId,
    pub source_host: String,
    pub domain_id: Uuid,
    pub domain_name: String,
    /// The file on the source host, and the format that its definition says.
    pub disk_file: String,
    pub disk_format: ImageFormat,
    pub state: State,
    pub address: Ipv4Addr,
    pub own_address: Ipv4Addr,
    /// How the old guest was found; `None` until anything is done to it.
    pub found: Option<Found>,
    pub file_bytes: u64,
    pub virtual_bytes: i64,
    /// When the old disk was last written, as its host said when the copy began.
    pub written: String,
    pub copied_bytes: u64,
    pub sent_bytes: u64,
    pub digest_state: Option<String>,
    /// Of what was read, once all was.
    pub sha256: Option<String>,
    /// What was read back has the same digest.
    pub checked_at: Option<Timestamp>,
    pub begun: i64,
    pub answered: Option<bool>,
    pub note: Option<String>,
    pub evidence: Option<String>,
    pub own_disk_gone: bool,
    pub created_by: String,
    pub created_at: Timestamp,
    pub moved_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
}

/// What a way back restores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub running: bool,
    pub autostart: bool,
}

impl DiskImport {
    pub fn kept(&self) -> Address {
        if self.address == self.own_address { Address::New } else { Address::Keep }
    }
}

/// Not a word for an image's format.
#[derive(Debug, thiserror::Error)]
#[error("unknown format {0:?}")]
pub struct UnknownFormat(String);

/// A format as a column of its own.
pub struct Format(pub ImageFormat);

impl FromStr for Format {
    type Err = UnknownFormat;
    fn from_str(word: &str) -> Result<Self, UnknownFormat> {
        [ImageFormat::Raw, ImageFormat::Qcow2]
            .into_iter()
            .find(|format| format.word() == word)
            .map(Self)
            .ok_or_else(|| UnknownFormat(word.to_owned()))
    }
}
