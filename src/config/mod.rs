//! Settings: built-in defaults, then a TOML file, then environment variables (`JIYUE_DATABASE_URL`, …).
//!
//! `read.rs` makes them of what is written, `check.rs` judges them against this machine. Both find all faults at once, and
//! each fault names the key, what is wrong and the mend. `packaging/jiyue.toml` says the same to people, line by line; a test
//! holds the two together.

mod check;
mod read;
#[cfg(test)]
mod tests;

use crate::{
    dns::ZoneSettings,
    k8s::settings::KubernetesSettings,
    migration::moving::settings::SourceHostSettings,
    provider::kubevirt::ClusterSettings,
    usage::{source::settings::SourceSettings, zombie::judge::Thresholds},
};
use ipnet::IpNet;
use serde::Deserialize;
use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// The file that the package installs: every setting with its default, commented out.
pub const DOCUMENTED: &str = include_str!("../../packaging/jiyue.toml");

#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where the service listens.
    pub listen: SocketAddr,
    /// PEM files of the certificate (with its chain) and of its key. Both or neither: without them the service speaks
    /// plain HTTP. They are read again on SIGHUP and when they change.
    pub tls_certificate: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    /// How long a client may take for a call's head, and how long a connection may lie idle.
    pub http_header_seconds: u64,
    /// How long a body may stand still on its way in, or an answer on its way out.
    pub http_stall_seconds: u64,
    /// `sqlite:/path/to/file` or `postgres://user@host/database`
    pub database_url: String,
    /// Connections for reading.
    pub database_read_connections: u32,
    /// The key that passwords are kept sealed by until they are handed over; made at the first start. Brokers on one
    /// database share it.
    pub secret_key_file: PathBuf,
    /// The folder of images.
    pub image_folder: PathBuf,
    pub image_max_bytes: u64,
    /// Images on their way to hosts at once; 0 pauses their distribution.
    pub image_sends_at_once: usize,
    /// Longest pause before a host that did not take an image is sent it again.
    pub image_retry_seconds: u64,
    /// `xiangcheng`, `suzhou-new-district`, or the path of a profile of your own.
    pub jurisdiction: String,
    /// Lets `simulated:` hosts be added, on which nothing runs: for load and fault tests, never for a service.
    pub allow_simulated_hosts: bool,
    /// Management networks that nobody else can reach, in which hosts may be spoken to by `qemu+tcp`: unencrypted, and
    /// with no proof of who it is on either side. As a variable: with commas between.
    pub insecure_networks: Vec<IpNet>,
    /// Operations under way at once; 0 pauses the worker.
    pub worker_width: usize,
    /// How long a broker holds an operation without a sign of life.
    pub worker_lease_seconds: u64,
    pub worker_poll_millis: u64,
    /// Guests that may be booting at once.
    pub boots_at_once: usize,
    /// How long a guest may take to answer.
    pub answer_seconds: u64,
    /// The same where the first start installs a database.
    pub install_seconds: u64,
    /// How long any other step is repeated before its failure counts.
    pub step_seconds: u64,
    /// How long a guest is asked to shut down before its power is cut.
    pub shutdown_seconds: u64,
    /// Each host is listed in full at least this often.
    pub listing_seconds: u64,
    /// Between two readings of what a machine uses.
    pub usage_seconds: u32,
    /// Whether `/metrics` has series of each machine.
    pub usage_machine_metrics: bool,
    /// Rule sets of idle machines, and what is assumed of images and links, in place of those that ship with the broker.
    pub idle_rules: Option<PathBuf>,
    /// A host that has not answered for so long is unknown.
    pub silence_seconds: u64,
    /// A program that switches a host off and succeeds only when it is off; called with the host's name and URI.
    pub fence_command: Option<PathBuf>,
    /// Zones whose names are registered in a DNS server by signed updates; all other names are kept by the libvirt
    /// networks' own DNS. In the file only: a list has no environment variable.
    pub dns: Vec<ZoneSettings>,
    /// How long one attempt at a DNS server may take.
    pub dns_timeout_seconds: u64,
    /// Longest pause before a DNS server that does not answer is tried again; five times as long where it refuses, sixty
    /// times where a name is somebody else's.
    pub dns_retry_seconds: u64,
    /// How long a build waits for its names before it is delivered without them.
    pub dns_wait_seconds: u64,
    /// 长期空闲: a system is judged idle when all of its machines have been for so many days. No governing document gives
    /// a number, here or in the three below.
    pub zombie_idle_days: u32,
    /// 停止更新: no update for so many days.
    pub zombie_unmaintained_days: u32,
    /// 无人使用: no login for so many days.
    pub zombie_unused_days: u32,
    /// Days that a department has for its answer.
    pub zombie_answer_days: u32,
    /// Prometheus-compatible sources that measure legacy servers. In the file only, as `dns`.
    pub usage_source: Vec<SourceSettings>,
    /// A cluster whose requests are taken; in the file only, as `dns`.
    pub kubernetes: Option<KubernetesSettings>,
    /// Kubernetes clusters with KubeVirt that machines may be built on; each is registered among the hosts by its name. In
    /// the file only, as `dns`.
    pub cluster: Vec<ClusterSettings>,
    /// Libvirt hosts of departmental rooms, whose guests' disks are taken over; in the file only, as `dns`.
    pub source_host: Vec<SourceHostSettings>,
    /// `text` or `json`
    pub log_format: LogFormat,
    /// As in `info,jiyue=debug`.
    pub log_filter: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8460)),
            tls_certificate: None,
            tls_key: None,
            http_header_seconds: 30,
            http_stall_seconds: 30,
            database_url: "sqlite:/var/lib/jiyue/jiyue.db".to_owned(),
            database_read_connections: 8,
            secret_key_file: PathBuf::from("/var/lib/jiyue/secret.key"),
            image_folder: PathBuf::from("/var/lib/jiyue/images"),
            image_max_bytes: 64 << 30,
            image_sends_at_once: 2,
            image_retry_seconds: 600,
            jurisdiction: "xiangcheng".to_owned(),
            allow_simulated_hosts: false,
            insecure_networks: Vec::new(),
            worker_width: 4,
            worker_lease_seconds: 15,
            worker_poll_millis: 1000,
            boots_at_once: 4,
            answer_seconds: 300,
            install_seconds: 3600,
            step_seconds: 120,
            shutdown_seconds: 60,
            listing_seconds: 30,
            usage_seconds: 60,
            usage_machine_metrics: true,
            idle_rules: None,
            silence_seconds: 20,
            fence_command: None,
            dns: Vec::new(),
            dns_timeout_seconds: 10,
            dns_retry_seconds: 60,
            dns_wait_seconds: 15,
            zombie_idle_days: 90,
            zombie_unmaintained_days: 365,
            zombie_unused_days: 180,
            zombie_answer_days: 15,
            usage_source: Vec::new(),
            kubernetes: None,
            cluster: Vec::new(),
            source_host: Vec::new(),
            log_format: LogFormat::Text,
            log_filter: "info".to_owned(),
        }
    }
}

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The setting, as `worker_width` or `dns[0].server`; empty where the file as a whole cannot be read.
    pub key: String,
    pub what: String,
    pub mend: String,
}

impl Fault {
    fn new(key: impl Into<String>, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { key: key.into(), what: what.into(), mend: mend.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}：", self.key)?;
        }
        write!(f, "{}；{}", self.what, self.mend)
    }
}

/// All that is wrong with the settings; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "共有 {} 处要改", self.0.len())?;
        for (number, fault) in (1..).zip(&self.0) {
            write!(f, "\n  {number}. {fault}")?;
        }
        Ok(())
    }
}

/// The database's address may hold a password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("listen", &self.listen).finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads the settings from the file and this process's environment.
    pub fn load(file: Option<&Path>) -> Result<Self, Faults> {
        read::load(file, std::env::vars())
    }

    /// Everything that would keep a service with these settings from doing its work, as far as this machine can tell
    /// without starting one. Changes nothing.
    pub fn check(&self) -> Result<(), Faults> {
        let faults = check::faults(self);
        if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
    }

    /// What is allowed and should not stay so, in Chinese.
    pub fn warnings(&self) -> Vec<String> {
        check::warnings(self)
    }

    pub const fn lease(&self) -> Duration {
        Duration::from_secs(self.worker_lease_seconds)
    }

    /// Longest wait between two looks for work.
    pub const fn poll(&self) -> Duration {
        Duration::from_millis(self.worker_poll_millis)
    }

    /// From when on something counts against a system.
    pub fn zombie_thresholds(&self) -> Thresholds {
        Thresholds {
            idle_days: self.zombie_idle_days.into(),
            unmaintained_days: self.zombie_unmaintained_days.into(),
            unused_days: self.zombie_unused_days.into(),
        }
    }

    /// Certificate and key, where both are set.
    pub fn tls(&self) -> Option<(&Path, &Path)> {
        Some((self.tls_certificate.as_deref()?, self.tls_key.as_deref()?))
    }

    /// The database's address as it may be shown: without what stands between the scheme and the host.
    pub fn database_shown(&self) -> String {
        crate::db::without_password(&self.database_url)
    }
}
