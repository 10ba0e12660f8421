//! A real Knot DNS for one test: a port and a folder of its own, stopped by pid; and kdig and knsupdate as oracles that are
//! not our own code.

use std::{
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub const ZONE: &str = "xiangcheng.example";
/// Two secrets of 64 bytes, in Base64.
pub const SECRET: &str = "MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3BxcnN0dQ==";
pub const OTHER_SECRET: &str =
    "b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgYQ==";

pub struct Knot {
    pub folder: PathBuf,
    pub port: u16,
    child: Option<Child>,
}

impl Knot {
    /// Set up, not yet running: one zone, whose updates are for the holder of the key `jiyue`; and a key `stranger` that the
    /// server knows and that may update nothing.
    pub fn prepared() -> Self {
        let folder = super::scratch("knot");
        for sub in ["run", "db", "zones"] {
            std::fs::create_dir(folder.join(sub)).expect("a folder");
        }
        let zone = format!(
            "$ORIGIN {ZONE}.\n$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n\
             old A 192.0.2.9\n*.wild A 192.0.2.10\n"
        );
        std::fs::write(folder.join("zones/zone"), zone).expect("a zone");
        let knot = Self { folder, port: super::free_port(), child: None };
        knot.configure("hmac-sha256", SECRET);
        knot
    }

    pub fn started() -> Self {
        let mut knot = Self::prepared();
        knot.start();
        knot
    }

    /// The key that the server knows from its next start on.
    pub fn configure(&self, algorithm: &str, secret: &str) {
        let at = self.folder.display();
        let conf = format!(
            "server:\n  rundir: {at}/run\n  listen: 127.0.0.1@{}\n  user: root:root\n  udp-workers: 1\n  \
             tcp-workers: 2\n  background-workers: 1\nlog:\n  - target: stderr\n    any: info\n\
             database:\n  storage: {at}/db\n\
             key:\n  - id: jiyue\n    algorithm: {algorithm}\n    secret: {secret}\n  \
             - id: stranger\n    algorithm: {algorithm}\n    secret: {secret}\n\
             acl:\n  - id: updates\n    key: jiyue\n    action: update\n\
             zone:\n  - domain: {ZONE}\n    storage: {at}/zones\n    file: zone\n    acl: updates\n    \
             zonefile-sync: -1\n    journal-content: all\n",
            self.port
        );
        std::fs::write(self.folder.join("knot.conf"), conf).expect("a configuration");
        // For knsupdate, which writes other people's records.
        self.key_file("client.key", &format!("{algorithm}:jiyue:{secret}"));
    }

    pub fn start(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log")).expect("a log");
        let child = Command::new("knotd").arg("-c").arg(self.folder.join("knot.conf")).stderr(log).spawn();
        self.child = Some(child.expect("knotd is installed: hypervisor/install.sh test"));
        let began = Instant::now();
        while self.dig(ZONE, "SOA").is_empty() {
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(20), "Knot did not come up: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGKILL, and gone. What it had acknowledged is in its journal.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// A file in the folder that its owner alone can read.
    pub fn key_file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.join(name);
        let _ = std::fs::remove_file(&path);
        let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(content.as_bytes())).expect("a key file");
        path
    }

    /// The records of one kind at a name, as kdig prints them, sorted.
    pub fn dig(&self, name: &str, kind: &str) -> Vec<String> {
        let port = self.port.to_string();
        let args = ["@127.0.0.1", "-p", &port, "+tcp", "+short", "+time=1", "+retry=0", name, kind];
        let out = Command::new("kdig").args(args).stderr(Stdio::null()).output().expect("kdig is installed");
        let text = String::from_utf8_lossy(&out.stdout);
        let mut lines: Vec<_> =
            text.lines().filter(|line| !line.starts_with(";;") && !line.is_empty()).map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// Somebody else's hand: lines for knsupdate, as `add oa 60 A 192.0.2.1`, relative to the zone.
    pub fn by_hand(&self, lines: &[&str]) {
        let mut script = format!("server 127.0.0.1 {}\nzone {ZONE}.\norigin {ZONE}.\n", self.port);
        script.extend(lines.iter().map(|line| format!("update {line}\n")));
        script.push_str("send\nquit\n");
        let mut child = Command::new("knsupdate")
            .args(["-v", "-k"])
            .arg(self.folder.join("client.key"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("knsupdate is installed");
        child.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("knsupdate reads");
        let out = child.wait_with_output().expect("knsupdate ends");
        let said = [out.stdout, out.stderr].concat();
        assert!(out.status.success(), "{lines:?}: {}", String::from_utf8_lossy(&said));
    }

    /// How often the zone has changed since it was made: its serial number, which began with 1.
    pub fn changes(&self) -> u32 {
        let soa = self.dig(ZONE, "SOA").pop().expect("the zone has its SOA");
        soa.split_whitespace().nth(2).and_then(|serial| serial.parse::<u32>().ok()).expect("a serial number") - 1
    }
}

impl Drop for Knot {
    fn drop(&mut self) {
        self.stop();
    }
}
