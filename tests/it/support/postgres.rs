//! One throw-away PostgreSQL for the whole run: its own cluster, its own port, gone with the test process.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

/// A running cluster.
pub struct Postgres {
    pub port: u16,
    bin: PathBuf,
    next: AtomicU32,
}

/// The cluster of this run, started at first use.
pub fn shared() -> &'static Postgres {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    SHARED.get_or_init(|| Postgres::start(false))
}

impl Postgres {
    /// A cluster that is `durable` waits for the disk as a real one does; tests of behaviour need not.
    pub fn start(durable: bool) -> Self {
        let bin = bin_folder();
        let folder = super::scratch("pg");
        let owner = unprivileged();
        let data = folder.join("data");
        run(Command::new("chown").arg(&owner).arg(&folder));
        run(as_user(&owner, &bin.join("initdb"))
            .args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync", "-D"])
            .arg(&data));
        let port = super::free_port();
        let fsync = if durable { "fsync=on" } else { "fsync=off" };
        let (ready, started) = mpsc::channel();
        let postgres = bin.join("postgres");
        // The death signal is tied to the thread that starts the child, so that thread must live as long as we do.
        std::thread::spawn(move || {
            let mut child = as_user(&owner, &postgres)
                .arg("-D")
                .arg(&data)
                .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=400"])
                .args(["-c", fsync, "-c", &format!("unix_socket_directories={}", folder.display())])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("postgres starts");
            ready.send(()).expect("the test waits");
            let _ = child.wait();
        });
        started.recv().expect("postgres was started");
        let this = Self { port, bin, next: AtomicU32::new(0) };
        let began = Instant::now();
        while !this.psql("postgres", "select 1").0 {
            assert!(began.elapsed() < Duration::from_secs(30), "PostgreSQL did not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        this
    }

    /// A new empty database; its address.
    pub fn fresh(&self) -> String {
        let name = format!("t{}", self.next.fetch_add(1, Ordering::Relaxed));
        let (ok, text) = self.psql("postgres", &format!("create database {name}"));
        assert!(ok, "{text}");
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// A program of the same installation, told where the cluster is.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres"]);
        command
    }

    /// Plain SQL, as an oracle that is not the product's own code.
    pub fn psql(&self, database: &str, sql: &str) -> (bool, String) {
        let out = self.program("psql").args(["-XAtq", "-d", database, "-c", sql]).output().expect("psql runs");
        let text = if out.status.success() { out.stdout } else { out.stderr };
        (out.status.success(), String::from_utf8_lossy(&text).trim().to_owned())
    }
}

fn bin_folder() -> PathBuf {
    let all = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed: hypervisor/install.sh test");
    let mut versions: Vec<_> =
        all.flatten().map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").exists()).collect();
    versions.sort();
    versions.pop().expect("PostgreSQL's server is installed: hypervisor/install.sh test")
}

/// PostgreSQL refuses to run as root; Debian's package brings a user of its own.
fn unprivileged() -> String {
    "postgres".to_owned()
}

fn as_user(user: &str, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", user, "--clear-groups", "--pdeathsig", "QUIT", "--"]).arg(program);
    command.current_dir("/");
    command
}

fn run(command: &mut Command) {
    let out = command.output().expect("the program exists");
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// A port that was free a moment ago, and that nobody else is given: below those that outgoing connections start from, of
/// which the tests open thousands, and one after the other.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id() % 12_000;
    for _ in 0..12_000 {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let port = u16::try_from(port).expect("below 32768");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}
