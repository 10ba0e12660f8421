//! A host's worth of the shared libvirtd for one test: a pool, a network, a bridge and an address range of its own; and
//! what virsh says of them.

use super::{
    libvirt::{self, Libvirt},
    sql::Sql,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
};
use tokio::{io::AsyncWriteExt, net::TcpListener};

pub struct Site {
    pub name: String,
    pub bridge: String,
    net: [u8; 3],
}

/// A domain as virsh knows it.
#[derive(Debug)]
pub struct Domain {
    pub name: String,
    pub running: bool,
    pub xml: String,
}

impl Site {
    pub fn new() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let pid = std::process::id();
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            assert!(number < 250, "no address range is free");
            let net = [10, 20 + u8::try_from(pid % 100).expect("below 100"), number];
            // Bridges and routes are the whole machine's; another run may be at work.
            let routes = Command::new("ip").args(["route", "show", "table", "all"]).output().expect("ip is installed");
            if String::from_utf8_lossy(&routes.stdout).contains(&format!("{}.{}.{}.", net[0], net[1], net[2])) {
                continue;
            }
            let name = format!("s{:x}-{number}", pid % 0xf_ffff);
            return Self { bridge: format!("jy{name}"), name, net };
        }
    }

    pub fn libvirt() -> &'static Libvirt {
        libvirt::shared()
    }

    pub fn address(&self, last: u8) -> String {
        let [a, b, c] = self.net;
        format!("{a}.{b}.{c}.{last}")
    }

    pub fn gateway(&self) -> String {
        self.address(1)
    }

    pub fn pool_path(&self) -> String {
        Self::libvirt().folder.join("pools").join(&self.name).to_string_lossy().into_owned()
    }

    /// The document that adds it as a host.
    pub fn host(&self) -> Value {
        json!({"name": self.name, "uri": Self::libvirt().uri, "pool": self.name, "pool_path": self.pool_path(),
            "memory_reserve_bytes": 0, "vcpu_overcommit": 16, "zones": [{"zone": "government_extranet",
            "network": self.name, "bridge": self.bridge, "cidr": format!("{}/24", self.address(0))}]})
    }

    #[track_caller]
    pub fn virsh(args: &[&str]) -> String {
        Self::libvirt().virsh(args).unwrap_or_else(|error| panic!("virsh {args:?}: {error}"))
    }

    /// Plays the guests' part for the addresses `2..=last`: the bridge carries them itself, and whoever connects to
    /// port 22 is greeted as an SSH server would, or refused at once when the guests are not to answer. For guests that
    /// cannot, because their disk holds nothing but a halt. The addresses go with the bridge.
    pub async fn play_guests(&self, last: u8, answering: bool) {
        let ip = |act: &str, address: &str| {
            let done = Command::new("ip").args(["addr", act, &format!("{address}/32"), "dev", &self.bridge]).status();
            assert!(done.expect("ip runs").success(), "{act} {address} on {}", self.bridge);
        };
        for host in 2..=last {
            let address = self.address(host);
            ip("add", &address);
            match TcpListener::bind((address.as_str(), 22)).await {
                Ok(listener) if answering => drop(tokio::spawn(greet(listener))),
                Ok(_) => {}
                // This machine's own SSH server listens on every address, so it greets; nobody is there without one.
                Err(_) if answering => {}
                Err(_) => ip("del", &address),
            }
        }
    }

    /// Every domain on this site's network, by UUID.
    pub fn domains(&self) -> BTreeMap<String, Domain> {
        let mine = format!("<source network='{}'", self.name);
        let running = Self::virsh(&["list", "--uuid"]);
        let all = Self::virsh(&["list", "--all", "--uuid"]);
        // One virsh for all: there are many. Where another test's domain has gone in between, one for each.
        let dump = all.split_whitespace().map(|uuid| format!("dumpxml {uuid}; ")).collect::<String>();
        let dumped = Self::libvirt().virsh(&[&dump]).unwrap_or_else(|_| {
            all.split_whitespace().filter_map(|uuid| Self::libvirt().virsh(&["dumpxml", uuid]).ok()).collect()
        });
        let domains = dumped.split_inclusive("</domain>").filter(|xml| xml.contains(&mine)).map(|xml| {
            let inner = |from, to| between(xml, from, to).next().expect("an element").to_owned();
            let uuid = inner("<uuid>", "</uuid>");
            let running = running.split_whitespace().any(|other| other == uuid);
            (uuid, Domain { name: inner("<name>", "</name>"), running, xml: xml.to_owned() })
        });
        domains.collect()
    }

    /// Every volume of the pool after a refresh, base images apart; libvirt's list and the folder agree.
    pub fn volumes(&self) -> BTreeSet<String> {
        Self::virsh(&["pool-refresh", &self.name]);
        let list = Self::virsh(&["vol-list", &self.name]);
        let listed: BTreeSet<_> = list.lines().filter_map(|l| l.split_whitespace().next()).map(str::to_owned).collect();
        let folder = std::fs::read_dir(self.pool_path()).expect("the pool's folder");
        let files: BTreeSet<_> = folder.map(|f| f.unwrap().file_name().to_string_lossy().into_owned()).collect();
        assert_eq!(listed, files);
        listed.into_iter().filter(|name| !name.starts_with("image-")).collect()
    }

    /// Reserved leases (hardware address, address) and DNS records (address, name) of the running network and of its
    /// lasting definition.
    #[expect(clippy::type_complexity, reason = "two sets of pairs, twice")]
    pub fn network(&self) -> [(BTreeSet<(String, String)>, BTreeSet<(String, String)>); 2] {
        let read = |xml: &str| {
            let dhcp = between(xml, "<dhcp>", "</dhcp>").next().unwrap_or_default();
            let leases = between(dhcp, "<host ", "/>").map(|host| (quoted(host, "mac"), quoted(host, "ip"))).collect();
            let dns = between(xml, "<dns", "</dns>").next().unwrap_or_default();
            let records = between(dns, "<host ", "</host>").flat_map(|host| {
                between(host, "<hostname>", "</hostname>").map(|name| (quoted(host, "ip"), name.to_owned()))
            });
            (leases, records.collect())
        };
        [
            read(&Self::virsh(&["net-dumpxml", &self.name])),
            read(&Self::virsh(&["net-dumpxml", "--inactive", &self.name])),
        ]
    }

    /// What virsh and the machines table say of each other, and what is wrong with the books: empty when there is exactly
    /// what the table says, and nothing is left of anything else. To be asked when no operation is under way.
    pub async fn faults(&self, sql: &mut Sql) -> Vec<String> {
        let mut faults = sql.faults().await;
        let (domains, volumes) = (self.domains(), self.volumes());
        let (mut uuids, mut files) = (BTreeSet::new(), BTreeSet::new());
        let (mut wanted_leases, mut wanted_records) = (BTreeSet::new(), BTreeSet::new());
        let rows = "select machines.id, machines.state, machines.name, address, mac, coalesce(fqdn, ''), coalesce(machines.operation_id, ''), \
             coalesce(requests.operation_id, '') from machines join claims on machine_id = machines.id \
             join requests on requests.id = request_id where machines.state <> 'undone'";
        for row in sql.rows(rows).await {
            let [id, state, name, address, mac, fqdn, operation, built_by] = &row[..] else { panic!("{row:?}") };
            if !operation.is_empty() {
                faults.push(format!("{name} is still under operation {operation}"));
            }
            uuids.insert(id.clone());
            wanted_leases.insert((mac.clone(), address.clone()));
            wanted_records.insert((address.clone(), fqdn.clone()));
            let Some(domain) = domains.get(id) else {
                faults.push(format!("{name} is {state} and has no domain"));
                continue;
            };
            if domain.running != (state == "running") || domain.name != *name {
                faults.push(format!("{name} is {state}, its domain is {:?}, running: {}", domain.name, domain.running));
            }
            let mark = between(&domain.xml, "<metadata>", "</metadata>").next().unwrap_or_default();
            if quoted(mark, "machine") != *id || quoted(mark, "operation") != *built_by {
                faults.push(format!("{name} does not carry our mark: {mark}"));
            }
            let sources =
                between(&domain.xml, "<source file='", "'").chain(between(&domain.xml, "<source path='", "'"));
            files.extend(sources.filter_map(|path| path.strip_prefix(&self.pool_path())).map(|f| f[1..].to_owned()));
        }
        files.retain(|name| !name.starts_with("image-"));
        let found = domains.keys().cloned().collect();
        compare("domains", &uuids, &found, &mut faults);
        compare("volumes", &files, &volumes, &mut faults);
        for (copy, (leases, records)) in ["running", "lasting"].into_iter().zip(self.network()) {
            compare(&format!("{copy} leases"), &wanted_leases, &leases, &mut faults);
            compare(&format!("{copy} DNS records"), &wanted_records, &records, &mut faults);
        }
        faults
    }
}

async fn greet(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        // A client that has gone needs no greeting.
        tokio::spawn(async move { stream.write_all(b"SSH-2.0-test\r\n").await });
    }
}

fn compare<T: Ord + std::fmt::Debug>(what: &str, wanted: &BTreeSet<T>, found: &BTreeSet<T>, faults: &mut Vec<String>) {
    let leaked: Vec<_> = found.difference(wanted).collect();
    let missing: Vec<_> = wanted.difference(found).collect();
    if !leaked.is_empty() || !missing.is_empty() {
        faults.push(format!("{what}: leaked {leaked:?}, missing {missing:?}"));
    }
}

/// Every text between the two marks.
pub fn between<'a>(text: &'a str, from: &'a str, to: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(from).skip(1).filter_map(move |rest| rest.split_once(to)).map(|(inner, _)| inner)
}

/// An attribute's value. libvirt writes ' in what it makes, and hands metadata on as it was.
fn quoted(text: &str, attribute: &str) -> String {
    let find = |quote: &str| {
        let (_, rest) = text.split_once(&format!("{attribute}={quote}"))?;
        rest.split_once(quote).map(|(value, _)| value.to_owned())
    };
    find("'").or_else(|| find("\"")).unwrap_or_default()
}
