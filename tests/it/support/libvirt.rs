//! A libvirtd of the tests' own, and virsh as an oracle that is not the product's own code.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// A private libvirtd; it goes down with the test process.
pub struct Libvirt {
    pub folder: PathBuf,
    pub uri: String,
}

/// The libvirtd that most tests share, each with networks and pools of its own.
pub fn shared() -> &'static Libvirt {
    static SHARED: OnceLock<Libvirt> = OnceLock::new();
    SHARED.get_or_init(|| Libvirt::up(super::scratch("lv")))
}

impl Libvirt {
    pub fn up(folder: PathBuf) -> Self {
        let owner = std::process::id().to_string();
        let text = script(&["up", &folder.to_string_lossy(), "--owner", &owner]);
        let uri = text.lines().last().unwrap_or_default().to_owned();
        assert!(uri.starts_with("qemu+unix:"), "{text}");
        Self { folder, uri }
    }

    /// `kill -9` of the daemon alone; guests live on.
    pub fn kill_daemon(&self) {
        script(&["killd", &self.folder.to_string_lossy()]);
    }

    pub fn start_daemon(&self) {
        script(&["startd", &self.folder.to_string_lossy()]);
    }

    /// virsh, as plain text; a failure is its standard error.
    pub fn virsh(&self, args: &[&str]) -> Result<String, String> {
        run_virsh(&self.uri, args)
    }
}

pub(super) fn run_virsh(uri: &str, args: &[&str]) -> Result<String, String> {
    let out = Command::new("virsh").args(["-q", "-c", uri]).args(args).output().expect("virsh is installed");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
    if out.status.success() { Ok(text(out.stdout)) } else { Err(text(out.stderr)) }
}

/// The small guest, built at most once per version and kept in the cache folder.
pub fn small_guest() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| built("guest/build.sh", &["small"]))
}

/// The small guest with PostgreSQL.
pub fn postgresql_guest() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| built("guest/build.sh", &["postgresql"]))
}

/// A full Debian with cloud-init; building it takes minutes.
pub fn debian() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| built("debian/build.sh", &[]))
}

fn built(script: &str, args: &[&str]) -> PathBuf {
    let script = root().join("hypervisor").join(script);
    let out = Command::new("bash").arg(script).args(args).output().expect("the build script runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    PathBuf::from(text.lines().last().expect("the image's path"))
}

fn script(args: &[&str]) -> String {
    let out = Command::new("bash")
        .arg(root().join("tests/support/private-libvirtd.sh"))
        .args(args)
        .output()
        .expect("the script runs");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
