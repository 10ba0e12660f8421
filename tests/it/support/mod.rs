//! What tests stand on: real servers, started on free ports and stopped by pid.

pub mod broker;
pub mod libvirt;
pub mod plain;
pub mod postgres;
pub mod source;

pub use postgres::free_port;
use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

/// A new folder for one test, with a short path (a socket's path must stay below 108 bytes).
pub fn scratch(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("jy{}-{name}{number}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a scratch folder");
    folder
}
