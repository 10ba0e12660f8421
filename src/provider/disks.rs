//! What a place can do that takes over a disk from elsewhere. The disk lies beside the one that the machine was built with,
//! under the name that the intent gives it ([`super::Imported`]); which of the two the machine runs on is said by its
//! definition.

use super::{Intent, ProviderError};

/// Every call can be repeated and can be cut at any instant. None of them touches a disk that a running machine has.
#[async_trait::async_trait]
pub trait Disks: Send + Sync {
    /// Makes sure of room for a disk of so many bytes, all of them zero. One of this length that is there already is kept as
    /// it is, unless it is to be made `anew`; whether it was kept is answered.
    async fn open_disk(&self, intent: &Intent, length: u64, anew: bool) -> Result<bool, ProviderError>;
    /// Writes a piece of it. Success means that the place has all of the piece.
    async fn write_disk(&self, intent: &Intent, offset: u64, piece: Vec<u8>) -> Result<(), ProviderError>;
    /// The SHA-256 of what lies there, read back; lower-case hexadecimal.
    async fn disk_digest(&self, intent: &Intent) -> Result<String, ProviderError>;
    /// Has the machine, which must be off, run on the disk of this intent from its next start on.
    async fn change_disk(&self, intent: &Intent) -> Result<(), ProviderError>;
    /// Whether the machine, which runs, does so from the disk of this intent: somebody may have started it as it was before.
    async fn runs_on(&self, intent: &Intent) -> Result<bool, ProviderError>;
    /// Deletes the disk of `unused`, a disk of the machine which its definition as `current` does not name; "not there" is
    /// success.
    async fn discard_disk(&self, current: &Intent, unused: &Intent) -> Result<(), ProviderError>;
}
