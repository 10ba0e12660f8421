//! Settings: built-in defaults, then a TOML file, then environment variables (`JIYUE_DATABASE_URL`, …).

use crate::dns::ZoneSettings;
use config::{Config, Environment, File};
use ipnet::IpNet;
use serde::Deserialize;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where the service listens.
    pub listen: SocketAddr,
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
            silence_seconds: 20,
            fence_command: None,
            dns: Vec::new(),
            dns_timeout_seconds: 10,
            dns_retry_seconds: 60,
            dns_wait_seconds: 15,
            log_format: LogFormat::Text,
            log_filter: "info".to_owned(),
        }
    }
}

impl Settings {
    /// Reads the settings; a word that is not one of them is an error that names it.
    pub fn load(file: Option<&Path>) -> Result<Self, config::ConfigError> {
        let mut builder = Config::builder();
        if let Some(file) = file {
            builder = builder.add_source(File::from(file).format(config::FileFormat::Toml));
        }
        // The command line's own variables share the prefix and are not settings.
        let ours = Environment::with_prefix("JIYUE").source(Some(
            std::env::vars()
                .filter(|(key, _)| {
                    !matches!(key.as_str(), "JIYUE_SERVER" | "JIYUE_TOKEN" | "JIYUE_CRASH_AT" | "JIYUE_CACHE")
                        && !key.starts_with("JIYUE_TEST_")
                })
                .collect(),
        ));
        let ours = ours.try_parsing(true).list_separator(",").with_list_parse_key("insecure_networks");
        builder.add_source(ours).build()?.try_deserialize()
    }

    pub const fn lease(&self) -> Duration {
        Duration::from_secs(self.worker_lease_seconds)
    }
}
