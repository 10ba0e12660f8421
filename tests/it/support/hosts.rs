//! Several libvirt hosts of the tests' own on this machine, joined by two switches: management and the guests' zone.
//! Their virsh, by socket, is the oracle: it reaches a host whose cable is out.

use super::libvirt::{root, run_virsh};
use std::{
    net::Ipv4Addr,
    ops::RangeInclusive,
    path::PathBuf,
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU8, Ordering},
    },
};
use tokio::{io::AsyncWriteExt, net::TcpListener};

/// The bridge that is each host's end of the zone.
pub const ZONE_BRIDGE: &str = "jyzone";

pub struct Hosts {
    pub folder: PathBuf,
    management: [u8; 3],
    zone: [u8; 3],
    next: AtomicU8,
}

/// The three hosts that tests share; who breaks one takes hosts of its own.
pub fn shared() -> &'static Hosts {
    static SHARED: OnceLock<Hosts> = OnceLock::new();
    SHARED.get_or_init(|| Hosts::up(3))
}

impl Hosts {
    /// Powers them on; they go down with the test process, or when dropped.
    pub fn up(count: u8) -> Self {
        let folder = super::scratch("hosts");
        let owner = std::process::id().to_string();
        let text = script(&["up", &folder.to_string_lossy(), &count.to_string(), "--owner", &owner]);
        let range = |text: Option<&str>| {
            let network: ipnet::Ipv4Net = text.and_then(|t| t.parse().ok()).expect("a range");
            let [a, b, c, _] = network.network().octets();
            [a, b, c]
        };
        let mut ranges = text.lines().last().unwrap_or_default().split(' ');
        let (management, zone) = (range(ranges.next()), range(ranges.next()));
        Self { folder, management, zone, next: AtomicU8::new(10) }
    }

    /// The range of the management network, as for `insecure_networks`.
    pub fn management(&self) -> String {
        let [a, b, c] = self.management;
        format!("{a}.{b}.{c}.0/24")
    }

    /// An address on the management network; host `n` has 10 + n, and 110 + n, which its certificate does not name.
    pub const fn at(&self, last: u8) -> Ipv4Addr {
        let [a, b, c] = self.management;
        Ipv4Addr::new(a, b, c, last)
    }

    /// An address in the zone; .1 is this machine.
    pub const fn guest(&self, last: u8) -> Ipv4Addr {
        let [a, b, c] = self.zone;
        Ipv4Addr::new(a, b, c, last)
    }

    /// The last byte of an address in the zone that no other test is given.
    pub fn next_guest(&self) -> u8 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub fn tcp(&self, n: u8) -> String {
        format!("qemu+tcp://{}/system", self.at(10 + n))
    }

    /// By TLS, with the client's certificates of this case: `good`, `wrong-ca`, `expired`, `foreign`, `none`.
    pub fn tls(&self, n: u8, case: &str) -> String {
        format!("qemu+tls://{}/system?pkipath={}", self.at(10 + n), self.pki(case).display())
    }

    pub fn pki(&self, case: &str) -> PathBuf {
        self.folder.join("pki").join(case)
    }

    /// By socket, which needs no network.
    pub fn socket(&self, n: u8) -> String {
        format!("qemu+unix:///system?socket={}/h{n}/run/libvirt-sock", self.folder.display())
    }

    /// Where a folder below a host's `/var/lib/libvirt` lies on this machine.
    pub fn seen_from_here(&self, n: u8, path: &str) -> PathBuf {
        let below = path.strip_prefix("/var/lib/libvirt/").expect("a folder that the host keeps");
        self.folder.join(format!("h{n}/lib")).join(below)
    }

    pub fn virsh(&self, n: u8, args: &[&str]) -> Result<String, String> {
        run_virsh(&self.socket(n), args)
    }

    /// A power cut.
    pub fn kill(&self, n: u8) {
        self.act("kill", n);
    }

    pub fn boot(&self, n: u8) {
        self.act("boot", n);
    }

    /// `kill -9` of libvirtd alone; guests live on.
    pub fn kill_daemon(&self, n: u8) {
        self.act("killd", n);
    }

    pub fn start_daemon(&self, n: u8) {
        self.act("startd", n);
    }

    /// Takes the cable out of the management port.
    pub fn cut(&self, n: u8) {
        self.act("cut", n);
    }

    pub fn mend(&self, n: u8) {
        self.act("mend", n);
    }

    /// Has this machine, which is in the zone too, answer for guests that hold nothing but a halt: SSH's greeting, at these
    /// addresses.
    pub async fn play_guests(&self, lasts: RangeInclusive<u8>) {
        let here = Command::new("ip").args(["-o", "addr", "show", "to", &self.guest(1).to_string()]).output();
        let here = String::from_utf8_lossy(&here.expect("ip is installed").stdout).into_owned();
        let device = here.split_whitespace().nth(1).expect("this machine is in the zone").to_owned();
        for last in lasts {
            let address = self.guest(last);
            let added = Command::new("ip").args(["addr", "add", &format!("{address}/32"), "dev", &device]).status();
            assert!(added.expect("ip is installed").success());
            let Ok(listener) = TcpListener::bind((address, 22)).await else { continue };
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    tokio::spawn(async move { stream.write_all(b"SSH-2.0-test\r\n").await });
                }
            });
        }
    }

    fn act(&self, act: &str, n: u8) {
        script(&[act, &self.folder.to_string_lossy(), &n.to_string()]);
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        // Without a judgement: the test may be failing just now.
        let _ = command(&["down", &self.folder.to_string_lossy()]).output();
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command.arg(root().join("tests/support/hosts.sh")).args(args);
    command
}

fn script(args: &[&str]) -> String {
    let out = command(args).output().expect("the script runs");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}
