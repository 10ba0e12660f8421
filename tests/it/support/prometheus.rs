//! A real Prometheus and a real `node_exporter` for one test: ports and folders of their own, stopped by pid.

use serde_json::{Value, json};
use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const INSTALLED: &str = "is installed: hypervisor/install.sh test";

/// A process that ends with its owner.
pub struct Process(Child);

impl Process {
    fn start(command: &mut Command, log: &PathBuf) -> Self {
        let log = File::create(log).expect("a log");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        Self(child.unwrap_or_else(|error| panic!("{error}: {command:?} {INSTALLED}")))
    }

    /// SIGKILL, and gone.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// This machine's own exporter. Answers its address and itself.
pub fn node_exporter() -> (String, Process) {
    let folder = super::scratch("node");
    let address = format!("127.0.0.1:{}", super::free_port());
    let mut command = Command::new("prometheus-node-exporter");
    command.arg(format!("--web.listen-address={address}"));
    let exporter = Process::start(&mut command, &folder.join("log"));
    (address, exporter)
}

pub struct Prometheus {
    pub folder: PathBuf,
    pub address: String,
    process: Option<Process>,
}

impl Prometheus {
    /// Not yet running; scrapes these addresses every second.
    pub fn prepared(targets: &[&str]) -> Self {
        Self::configured(&json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [{"job_name": "node", "static_configs": [{"targets": targets}]}],
        }))
    }

    /// Not yet running, with settings of its own.
    pub fn configured(config: &Value) -> Self {
        let folder = super::scratch("prom");
        // JSON is YAML.
        std::fs::write(folder.join("prometheus.yml"), config.to_string()).expect("a configuration");
        Self { folder, address: format!("127.0.0.1:{}", super::free_port()), process: None }
    }

    /// A past that somebody else wrote down, as `OpenMetrics` text.
    pub fn with_past(self, text: &str) -> Self {
        let file = self.folder.join("past.om");
        std::fs::write(&file, text).expect("a file");
        let out = Command::new("promtool")
            .args(["tsdb", "create-blocks-from", "openmetrics"])
            .args([file, self.folder.join("data")])
            .output()
            .unwrap_or_else(|error| panic!("{error}: promtool {INSTALLED}"));
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        self
    }

    pub async fn start(&mut self) {
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", self.folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", self.folder.join("data").display()))
            .arg(format!("--web.listen-address={}", self.address))
            .arg("--log.level=warn");
        let log = self.folder.join("log");
        self.process = Some(Process::start(&mut command, &log));
        let (http, began) = (super::http(), Instant::now());
        let ready = format!("http://{}/-/ready", self.address);
        while !matches!(http.get(&ready).send().await, Ok(answer) if answer.status().is_success()) {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(60), "Prometheus did not come up: {log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn kill(&mut self) {
        self.process = None;
    }
}
