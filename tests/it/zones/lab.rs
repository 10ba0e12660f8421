//! One host with two zones of its own and two bridges, and small guests in them that do as they are told.

use crate::support::{
    intent,
    libvirt::{self, Libvirt, small_guest},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use jiyue::{
    provider::{
        DomainType, ImageFormat, ImageRef, Intent, Link, NetworkIntent, Part, Provider,
        libvirt::{LibvirtHost, LibvirtSettings, NetworkSetup},
    },
    units::Bytes,
};
use serde_json::{Value, json};
use std::{
    net::{Ipv4Addr, TcpListener},
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
    time::{Duration, Instant},
};

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Yes,
    No,
}

impl Verdict {
    pub const fn of(status: i64) -> Self {
        if status == 0 { Self::Yes } else { Self::No }
    }
}

pub struct Lab {
    pub host: LibvirtHost,
    pub settings: LibvirtSettings,
    name: String,
    range: [u8; 2],
    first: u8,
}

/// What a command in a guest has come to.
#[derive(Debug)]
pub struct Done {
    pub status: i64,
    pub output: String,
    /// For whoever reads of a failure.
    #[allow(dead_code, reason = "printed with the rest")]
    pub wrong: String,
}

#[allow(clippy::unused_self, reason = "what a guest is made to do reads as the lab's doing")]
impl Lab {
    /// With the zones a and b as networks of its own.
    pub async fn new() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let pid = std::process::id();
        // Bridges and ranges are the whole machine's, where other runs may be at work.
        let range = [172, 16 + u8::try_from(pid % 16).unwrap()];
        let routes = ip(&["route", "show", "table", "all"]);
        let (n, first) = loop {
            let n = NEXT.fetch_add(1, Ordering::Relaxed);
            assert!(n < 64, "no address range is free");
            let first = n * 4;
            if !(first..first + 4).any(|third| routes.contains(&format!("{}.{}.{third}.", range[0], range[1]))) {
                break (n, first);
            }
        };
        let name = format!("z{:x}{n}", pid % 0xfffff);
        let ours = [('a', first), ('b', first + 1)];
        let networks = ours.map(|(zone, third)| {
            (format!("{name}{zone}"), format!("{}.{}.{third}.0/24", range[0], range[1]).parse().unwrap())
        });
        let settings = LibvirtSettings {
            name: "test".into(),
            uri: libvirt::shared().uri.clone(),
            insecure_networks: Vec::new(),
            pool: name.clone(),
            pool_path: libvirt::shared().folder.join("pools").join(&name).to_str().unwrap().into(),
            domain_type: DomainType::Qemu,
            networks: networks.to_vec(),
        };
        let lab = Self { host: LibvirtHost::new(settings.clone()), settings, name, range, first };
        let setups = ['a', 'b'].map(|zone| NetworkSetup {
            network: lab.network(zone),
            bridge: lab.bridge(zone),
            gateway: lab.gateway(zone),
            prefix: 24,
            domain: None,
            forward: true,
        });
        lab.host.prepare(&setups).await.unwrap();
        for zone in ['c', 'd'] {
            ip(&["link", "add", &lab.bridge(zone), "type", "bridge"]);
            ip(&["link", "set", &lab.bridge(zone), "up"]);
        }
        lab
    }

    pub fn network(&self, zone: char) -> String {
        format!("{}{zone}", self.name)
    }

    /// The bridge of a zone: of a and b libvirt's, c and d stand for those that hosts share.
    pub fn bridge(&self, zone: char) -> String {
        format!("jy{}{zone}", self.name)
    }

    fn at(&self, zone: char, last: u8) -> Ipv4Addr {
        let third = self.first + u8::from(zone == 'b');
        Ipv4Addr::new(self.range[0], self.range[1], third, last)
    }

    pub fn gateway(&self, zone: char) -> Ipv4Addr {
        self.at(zone, 1)
    }

    /// An address of zone a that nobody has.
    pub fn spare(&self) -> Ipv4Addr {
        self.at('a', 77)
    }

    pub fn intent(&self, zone: char, last: u8, image: ImageRef) -> Intent {
        let name = format!("{}{zone}-small-{last}", self.name);
        let address = self.at(zone, last);
        let [_, b, c, d] = address.octets();
        let network = NetworkIntent {
            network: self.network(zone),
            link: Link::Network,
            mac: format!("52:54:00:{b:02x}:{c:02x}:{d:02x}"),
            address,
            gateway: self.gateway(zone),
            dns: self.gateway(zone),
        };
        Intent {
            fqdn: Some(format!("{name}.zone.test")),
            disk: Bytes::mib(256).unwrap(),
            ..intent::plain(name, image, network)
        }
    }

    /// Two in zone a and one in zone b.
    pub async fn three_guests(&self) -> [Intent; 3] {
        let image = intent::image(small_guest(), ImageFormat::Qcow2);
        let guests = [('a', 11), ('a', 12), ('b', 13)].map(|(zone, last)| self.intent(zone, last, image.clone()));
        for guest in &guests {
            self.build(guest, &Part::ALL[..7]).await;
        }
        // They boot side by side.
        for guest in &guests {
            self.build(guest, &[Part::Answer]).await;
            self.wait_for_agent(guest);
        }
        guests
    }

    /// Repeats what is not right yet, as the engine does.
    pub async fn build(&self, intent: &Intent, parts: &[Part]) {
        let begun = Instant::now();
        for part in parts {
            while let Err(e) = self.host.ensure(*part, intent).await {
                assert!(e.is_transient() && begun.elapsed() < Duration::from_secs(180), "{part}: {e}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }

    fn agent(&self, guest: &Intent, command: &Value) -> Result<Value, String> {
        let said = libvirt::shared().virsh(&[
            "qemu-agent-command",
            &guest.machine.text(),
            "--timeout",
            "10",
            &command.to_string(),
        ])?;
        Ok(serde_json::from_str::<Value>(&said).unwrap()["return"].clone())
    }

    fn wait_for_agent(&self, guest: &Intent) {
        let begun = Instant::now();
        while let Err(e) = self.agent(guest, &json!({"execute": "guest-ping"})) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{e}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// Runs a script in the guest, as root, by its agent.
    pub fn run(&self, guest: &Intent, script: &str) -> Done {
        self.finish(guest, &self.start(guest, script))
    }

    /// Runs scripts side by side.
    pub fn run_all(&self, guest: &Intent, scripts: &[&str]) -> Vec<Done> {
        let started: Vec<_> = scripts.iter().map(|script| self.start(guest, script)).collect();
        started.iter().map(|pid| self.finish(guest, pid)).collect()
    }

    fn start(&self, guest: &Intent, script: &str) -> Value {
        let arguments = json!({"path": "/bin/sh", "arg": ["-c", script], "capture-output": true,
            "env": ["PATH=/sbin:/bin"]});
        let started = self.agent(guest, &json!({"execute": "guest-exec", "arguments": arguments}));
        started.expect("it starts")["pid"].clone()
    }

    fn finish(&self, guest: &Intent, pid: &Value) -> Done {
        let begun = Instant::now();
        loop {
            let ask = json!({"execute": "guest-exec-status", "arguments": {"pid": pid}});
            let status = self.agent(guest, &ask).expect("the agent answers");
            if status["exited"] == true {
                let text = |key: &str| {
                    let bytes = BASE64_STANDARD.decode(status[key].as_str().unwrap_or_default()).expect("Base64");
                    String::from_utf8_lossy(&bytes).trim().replace('\n', " / ")
                };
                let status = status["exitcode"].as_i64().unwrap_or(-1);
                return Done { status, output: text("out-data"), wrong: text("err-data") };
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not end");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Takes the running machine's filter away, behind our back.
    pub fn without_filter(&self, guest: &Intent) {
        let card = self.shown_card(guest);
        let (begin, rest) = card.split_once("<filterref").expect("a filter");
        let (_, end) = rest.split_once("</filterref>").expect("its end");
        self.update(guest, &[begin, end].concat());
    }

    /// Plugs the running machine's card into a plain bridge, behind the filter of a machine there.
    pub fn plug(&self, guest: &Intent, bridge: char) {
        let network = NetworkIntent {
            network: self.bridge(bridge),
            link: Link::Bridge { prefix: 24 },
            address: self.on_bridge(guest),
            ..guest.network.clone()
        };
        // As `prepare` of a host with that bridge has it; the test's own copy, for the provider moves no cards.
        let filter = format!("jiyue-bridge-1-{}", network.network);
        let xml = format!("<filter name='{filter}' chain='root'><filterref filter='jiyue-guest-1'/></filter>");
        if libvirt::shared().virsh(&["nwfilter-dumpxml", &filter]).is_err() {
            define("nwfilter-define", &xml);
        }
        let parameter = format!("<parameter name='IP' value='{}'/>", network.address);
        self.update(
            guest,
            &format!(
                "<interface type='bridge'><mac address='{}'/><source bridge='{}'/><model type='virtio'/>
                 <filterref filter='{filter}'>{parameter}</filterref></interface>",
                network.mac, network.network
            ),
        );
        let flush =
            format!("ip addr flush dev eth0; ip neigh flush dev eth0; ip addr add {}/24 dev eth0", network.address);
        assert_eq!(self.run(guest, &flush).status, 0);
    }

    /// The address that a guest has on either bridge: of one range.
    pub fn on_bridge(&self, guest: &Intent) -> Ipv4Addr {
        let [.., last] = guest.network.address.octets();
        Ipv4Addr::new(self.range[0], self.range[1], self.first + 2, last)
    }

    fn shown_card(&self, guest: &Intent) -> String {
        let xml = libvirt::shared().virsh(&["dumpxml", &guest.machine.text()]).unwrap();
        let begin = xml.find("<interface").expect("a card");
        let end = xml.find("</interface>").expect("its end") + "</interface>".len();
        xml[begin..end].to_owned()
    }

    fn update(&self, guest: &Intent, card: &str) {
        let file = crate::support::scratch("card").join("card.xml");
        std::fs::write(&file, card).unwrap();
        let done = libvirt::shared().virsh(&["update-device", &guest.machine.text(), file.to_str().unwrap(), "--live"]);
        done.unwrap_or_else(|e| panic!("{e}: {card}"));
    }

    /// What this machine, which is the host, believes of an address of zone a.
    pub fn neighbour(&self, address: Ipv4Addr) -> String {
        ip(&["neigh", "show", &address.to_string(), "dev", &self.bridge('a')])
    }

    /// Whether zone a's bridge has ever heard of a card.
    pub fn bridge_knows(&self, card: &str) -> bool {
        let out = Command::new("bridge").args(["fdb", "show", "br", &self.bridge('a')]).output().expect("iproute2");
        String::from_utf8_lossy(&out.stdout).contains(card)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let virsh = |args: &[&str]| libvirt::shared().virsh(args);
        for name in virsh(&["list", "--all", "--name"]).unwrap_or_default().lines() {
            if name.starts_with(&self.name) {
                let _ = virsh(&["destroy", name]);
                let _ = virsh(&["undefine", name]);
            }
        }
        for zone in ['a', 'b'] {
            let _ = virsh(&["net-destroy", &self.network(zone)]);
            let _ = virsh(&["net-undefine", &self.network(zone)]);
        }
        let _ = virsh(&["pool-destroy", &self.name]);
        let _ = virsh(&["pool-undefine", &self.name]);
        let _ = std::fs::remove_dir_all(&self.settings.pool_path);
        for zone in ['c', 'd'] {
            let _ = Command::new("ip").args(["link", "del", &self.bridge(zone)]).output();
        }
    }
}

/// A service of the host's at one of its addresses, which takes leave of whoever comes. Whether the port was free: where
/// somebody listens on all addresses already, he is who a guest would reach.
pub fn listen(address: Ipv4Addr, port: u16) -> bool {
    let Ok(listener) = TcpListener::bind((address, port)) else { return false };
    std::thread::spawn(move || listener.incoming().for_each(drop));
    true
}

/// Defines something of the shared libvirtd's.
#[track_caller]
pub fn define(command: &str, xml: &str) {
    define_on(libvirt::shared(), command, xml);
}

#[track_caller]
pub fn define_on(libvirt: &Libvirt, command: &str, xml: &str) {
    let file = crate::support::scratch("define").join("it.xml");
    std::fs::write(&file, xml).unwrap();
    libvirt.virsh(&[command, file.to_str().unwrap()]).unwrap_or_else(|e| panic!("{command}: {e}"));
}

#[track_caller]
fn ip(args: &[&str]) -> String {
    let out = Command::new("ip").args(args).output().expect("iproute2 is installed");
    assert!(out.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}
