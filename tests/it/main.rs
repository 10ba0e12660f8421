//! The one integration binary: real servers, the real binary, and oracles that are not our own code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod api;
#[cfg(feature = "crash-points")]
mod crash;
mod goldens;
mod impatient;
mod layers;
mod provider_libvirt;
mod race;
mod real;
mod statements;
mod support;
mod two_brokers;
mod write_queue;
