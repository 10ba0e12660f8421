//! The one integration binary: real servers, the real binary, and oracles that are not our own code.

#![allow(clippy::case_sensitive_file_extension_comparisons, clippy::format_collect, reason = "plain words in a test")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod api;
mod audit;
mod authorization;
mod command_line;
#[cfg(feature = "crash-points")]
mod contract;
mod crash;
mod databases;
mod decisions;
mod disk_imports;
mod distribution;
mod dns;
mod doctor;
mod faults;
mod forms;
mod fuzz_api;
mod gather;
mod goldens;
mod guest_images;
mod hostile_images;
mod hostile_names;
mod hosts_libvirt;
mod impatient;
mod input;
mod journeys;
mod judging;
mod kubernetes;
mod kubevirt;
mod language;
mod layers;
mod manifests;
mod migration;
mod names;
mod package;
mod packing;
mod placement;
mod provider_libvirt;
mod race;
mod real;
mod report;
mod rooms;
mod secrets;
mod seeing;
mod servers;
mod service;
mod slow;
mod statements;
mod support;
mod systems;
mod two_brokers;
mod uploads;
mod usage;
mod usage_import;
mod usage_sources;
mod watch;
mod write_queue;
mod zombies;
mod zones;
