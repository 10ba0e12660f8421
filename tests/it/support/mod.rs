//! What tests stand on: real servers, started on free ports and stopped by pid.

pub mod broker;
pub mod control_plane;
pub mod farm;
pub mod guest;
pub mod hosts;
pub mod intent;
pub mod knot;
pub mod libvirt;
pub mod line;
pub mod packing;
pub mod plain;
pub mod postgres;
pub mod prometheus;
pub mod proxy;
pub mod psql;
pub mod raw;
pub mod site;
pub mod source;
pub mod sql;
pub mod ssh;
pub mod wire;

pub use postgres::free_port;
use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

/// A client that is not our own.
pub fn http() -> reqwest::Client {
    jiyue::client::install_ciphers();
    // A broker hangs up on a connection that says nothing; one that is about to be is not taken for the next call.
    let builder = reqwest::Client::builder().pool_idle_timeout(std::time::Duration::from_secs(1));
    builder.build().expect("a client")
}

/// A new folder for one test, with a short path (a socket's path must stay below 108 bytes).
pub fn scratch(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    if number == 0 {
        sweep();
    }
    let folder = std::env::temp_dir().join(format!("jy{}-{name}{number}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a scratch folder");
    folder
}

/// A file that its owner alone can read.
pub fn private_file(path: &std::path::Path, content: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, content).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("the file is ours");
}

/// Removes what test processes that are no more have left behind; a failed test's folders stay until the next run.
fn sweep() {
    let folders = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for folder in folders {
        let name = folder.file_name().to_string_lossy().into_owned();
        let owner =
            name.strip_prefix("jy").and_then(|rest| rest.split_once('-')).and_then(|(pid, _)| pid.parse::<u32>().ok());
        if owner.is_some_and(|pid| !PathBuf::from(format!("/proc/{pid}")).exists()) {
            // What another run is just sweeping too may be gone already.
            let _ = std::fs::remove_dir_all(folder.path());
        }
    }
}

/// Numbers that look random and can be had again: the seed is printed, and `JIYUE_TEST_SEED` sets it. (splitmix64)
pub struct Dice {
    pub seed: u64,
    state: u64,
}

impl Dice {
    pub fn from_env() -> Self {
        let clock = std::time::UNIX_EPOCH.elapsed().map_or(0, |age| u64::from(age.subsec_nanos()));
        Self::new(std::env::var("JIYUE_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(clock))
    }

    pub const fn new(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let bound = u64::try_from(from.len()).expect("a length");
        from[usize::try_from(self.below(bound)).expect("below a length")]
    }

    /// True once in so many throws.
    pub fn once_in(&mut self, throws: u64) -> bool {
        self.below(throws) == 0
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound.max(1)
    }

    /// Dice for a task of their own.
    pub fn split(&mut self) -> Self {
        Self { seed: self.seed, state: self.below(u64::MAX) }
    }
}
