//! Machines that move between real hosts which share nothing: libvirt's migration, real QEMU, a guest that is talked to.
//! virsh says what each host has, `qemu-img` what is on a disk, the guest itself whether it went on.

mod breaks;
mod guest;

use crate::support::{hosts::Hosts, intent};
use jiyue::{
    ids::{MachineId, OperationId},
    provider::{
        Destination, DomainType, ImageRef, Intent, Journey, Link, NetworkIntent, Part, Power, Provider, ProviderError,
        libvirt::{LibvirtHost, LibvirtSettings, NetworkSetup},
    },
    units::Bytes,
};
use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// Where on its disk a machine has something of its own: from so far on, so much.
const WRITTEN: &str = "2M 8M";

/// Where a machine goes from and to, with a pool of one test's own on each host, at another path on each.
struct Trip<'a> {
    hosts: &'a Hosts,
    name: String,
    /// The numbers of the two hosts.
    from: u8,
    to: u8,
}

impl<'a> Trip<'a> {
    async fn new(hosts: &'a Hosts, from: u8, to: u8) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let trip = Self { hosts, name: format!("trip{}", NEXT.fetch_add(1, Ordering::Relaxed)), from, to };
        for n in [from, to] {
            trip.host(n).prepare(&[]).await.unwrap();
        }
        trip
    }

    fn settings(&self, n: u8) -> LibvirtSettings {
        LibvirtSettings {
            name: format!("kvm{n}"),
            uri: self.hosts.tls(n, "good"),
            insecure_networks: Vec::new(),
            pool: self.name.clone(),
            pool_path: format!("/var/lib/libvirt/{}-on-{n}", self.name),
            domain_type: DomainType::Qemu,
            networks: Vec::new(),
        }
    }

    /// A broker's view of a host; each call is another broker.
    fn host(&self, n: u8) -> LibvirtHost {
        LibvirtHost::new(self.settings(n))
    }

    fn journey(&self, intent: &Intent) -> Journey {
        Journey { from: intent.clone(), to: intent.clone(), destination: Destination::Libvirt(self.settings(self.to)) }
    }

    fn intent(&self, image: ImageRef) -> Intent {
        let last = self.hosts.next_guest();
        let network = NetworkIntent {
            network: crate::support::hosts::ZONE_BRIDGE.into(),
            link: Link::Bridge { prefix: 24 },
            mac: format!("52:54:00:07:01:{last:02x}"),
            address: self.hosts.guest(last),
            gateway: self.hosts.guest(1),
            dns: self.hosts.guest(1),
        };
        Intent {
            memory: Bytes::mib(32).unwrap(),
            disk: Bytes::mib(64).unwrap(),
            ..intent::plain(format!("{}-m{last}", self.name), image, network)
        }
    }

    fn volume(&self, n: u8, name: &str) -> PathBuf {
        self.hosts.seen_from_here(n, &self.settings(n).pool_path).join(name)
    }

    fn disk(&self, n: u8, intent: &Intent) -> PathBuf {
        self.volume(n, &format!("{}.{}.root.qcow2", intent.machine, intent.operation))
    }

    #[track_caller]
    fn virsh(&self, n: u8, args: &[&str]) -> String {
        self.hosts.virsh(n, args).unwrap_or_else(|e| panic!("virsh on host {n}: {args:?}: {e}"))
    }

    /// The machine's state on a host, as virsh words it; nothing where there is none.
    fn state(&self, n: u8, intent: &Intent) -> String {
        self.hosts.virsh(n, &["domstate", &intent.machine.text()]).unwrap_or_default()
    }

    /// Every domain of this trip and every volume but images.
    fn left_on(&self, n: u8) -> Vec<String> {
        self.virsh(n, &["pool-refresh", &self.name]);
        let words = |text: String| {
            text.lines().filter_map(|l| l.split_whitespace().next()).map(str::to_owned).collect::<Vec<_>>()
        };
        let domains = words(self.virsh(n, &["list", "--all", "--name"]));
        let volumes = words(self.virsh(n, &["vol-list", &self.name]));
        let ours = domains.into_iter().filter(|name| name.starts_with(&self.name));
        ours.chain(volumes.into_iter().filter(|name| !name.starts_with("image-"))).collect()
    }

    /// It is on the destination, in this state, with its disk, and nothing of it is at the source.
    #[track_caller]
    fn assert_arrived(&self, intent: &Intent, state: &str) {
        assert_eq!(self.left_on(self.from), [""; 0]);
        assert_eq!(self.state(self.to, intent), state);
        let (there, path) = (self.left_on(self.to), self.settings(self.to).pool_path);
        assert_eq!(there.len(), 4, "one domain and its three volumes: {there:?}");
        for inactive in [&["dumpxml"][..], &["dumpxml", "--inactive"]] {
            let xml = self.virsh(self.to, &[inactive, &[&intent.machine.text()]].concat());
            assert!(xml.contains(&intent.operation.text()), "it carries its mark: {xml}");
            assert!(xml.contains("urn:jiyue:machine:1") && xml.contains(&path), "{xml}");
            assert!(!xml.contains(&self.settings(self.from).pool_path), "a path of the old host: {xml}");
            let kind = if intent.network.link == Link::Network { "network" } else { "bridge" };
            let filter = format!("<filterref filter='jiyue-{kind}-1-{}'>", intent.network.network);
            let address = format!("<parameter name='IP' value='{}'/>", intent.network.address);
            assert!(xml.contains(&filter) && xml.contains(&address), "it has its filter: {xml}");
        }
    }

    /// Writes into the machine's resting disk, behind libvirt's back, as a guest would have.
    #[track_caller]
    fn scribble(&self, n: u8, intent: &Intent, pattern: u8, place: &str) {
        let said = self.qemu_io(n, intent, &[&format!("write -P {pattern} {place}")]);
        assert!(said.contains("wrote"), "on host {n}: {said}");
    }

    /// Whether the pattern is there.
    fn is_scribbled(&self, n: u8, intent: &Intent, pattern: u8, place: &str) -> bool {
        let said = self.qemu_io(n, intent, &["-U", "-r", &format!("read -P {pattern} {place}")]);
        assert!(said.contains("bytes at offset"), "on host {n}: {said}");
        !said.contains("Pattern verification failed")
    }

    fn qemu_io(&self, n: u8, intent: &Intent, args: &[&str]) -> String {
        // The path of the base in the header holds inside the host only.
        let format = intent.image.format.word();
        let base = self.volume(n, &format!("image-{}.{format}", intent.image.sha256));
        let file = |path: &Path| format!(r#""file":{{"driver":"file","filename":"{}"}}"#, path.display());
        let disk = file(&self.disk(n, intent));
        let base = format!(r#""backing":{{"driver":"{format}","read-only":true,{}}}"#, file(&base));
        let (command, flags) = args.split_last().unwrap();
        let chain = format!(r#"json:{{"driver":"qcow2",{disk},{base}}}"#);
        let out = Command::new("qemu-io").args(flags).args(["-c", command, &chain]).output().expect("qemu-io");
        String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
    }

    /// Up to its definition, with some megabytes of its own on its disk.
    async fn build(&self, intent: &Intent) {
        let host = self.host(self.from);
        for part in [Part::Image, Part::Disk, Part::Seed, Part::Address, Part::Name] {
            host.ensure(part, intent).await.unwrap();
        }
        self.scribble(self.from, intent, 7, WRITTEN);
        host.ensure(Part::Domain, intent).await.unwrap();
    }

    async fn build_running(&self, intent: &Intent) {
        self.build(intent).await;
        self.host(self.from).ensure(Part::Power, intent).await.unwrap();
    }

    /// A line so slow that the journey takes some ten seconds; and as it was.
    fn slow_down(&self, intent: &Intent) {
        self.virsh(self.from, &["migrate-setspeed", &intent.name, "1"]);
    }

    fn speed_up(&self, intent: &Intent) {
        // Gone from there, if it has arrived after all.
        let _ = self.hosts.virsh(self.from, &["migrate-setspeed", &intent.name, "1000"]);
    }

    /// Waits until the journey is under way: the source has a job and the destination the domain.
    async fn under_way(&self, intent: &Intent) {
        let begun = Instant::now();
        loop {
            let job = self.hosts.virsh(self.from, &["domjobinfo", &intent.name]).unwrap_or_default();
            if job.contains("Outgoing migration") && self.state(self.to, intent) == "paused" {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "it does not set out: {job}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Tries until it has arrived, as a worker would.
    async fn insist(&self, journey: &Journey) {
        let begun = Instant::now();
        let host = self.host(self.from);
        while let Err(error) = host.migrate(journey, &|_| ()).await {
            assert!(error.is_transient(), "{error}");
            println!("        not yet, {:.1} s: {error}", begun.elapsed().as_secs_f64());
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not arrive: {error}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

impl Drop for Trip<'_> {
    fn drop(&mut self) {
        for n in [self.from, self.to] {
            for name in self.hosts.virsh(n, &["list", "--all", "--name"]).unwrap_or_default().lines() {
                if name.starts_with(&self.name) {
                    let _ = self.hosts.virsh(n, &["destroy", name]);
                    let _ = self.hosts.virsh(n, &["undefine", name]);
                }
            }
            let _ = self.hosts.virsh(n, &["pool-destroy", &self.name]);
            let _ = self.hosts.virsh(n, &["pool-undefine", &self.name]);
        }
    }
}

/// A base that halts as soon as it is booted.
fn halting() -> ImageRef {
    static IMAGE: std::sync::OnceLock<ImageRef> = std::sync::OnceLock::new();
    IMAGE.get_or_init(|| intent::halting(&crate::support::scratch("halt"))).clone()
}

/// Looks at both hosts all the time, and remembers whether both ran the machine at one moment.
struct Watcher {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<(u32, Vec<String>)>>,
}

impl Watcher {
    fn over(trip: &Trip<'_>, intent: &Intent) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (sockets, id, stopped) =
            ([trip.from, trip.to].map(|n| trip.hosts.socket(n)), intent.machine.text(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let ask = |uri: &str| {
                let out = Command::new("virsh").args(["-q", "-c", uri, "domstate", &id]).output().expect("virsh");
                String::from_utf8_lossy(&out.stdout).trim().to_owned()
            };
            let (mut looks, mut doubles) = (0, Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                // The destination before and after the source: both run it only if it is so in one moment.
                let (before, here, after) = (ask(&sockets[1]), ask(&sockets[0]), ask(&sockets[1]));
                looks += 1;
                if [&before, &here, &after].iter().all(|state| *state == "running") {
                    doubles.push(format!("{before}/{here}/{after}"));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            (looks, doubles)
        });
        Self { stop, thread: Some(thread) }
    }

    /// Each moment in which both ran it.
    fn doubles(mut self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let (looks, doubles) = self.thread.take().unwrap().join().unwrap();
        assert!(looks > 0);
        doubles
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resting_machine_moves_with_its_disk_and_a_stale_copy_is_not_taken_for_it() {
    let hosts = crate::support::hosts::shared();
    let trip = Trip::new(hosts, 1, 2).await;
    let intent = trip.intent(halting());
    trip.build(&intent).await;
    let (journey, heard) = (trip.journey(&intent), Mutex::new(Vec::new()));
    let begun = Instant::now();
    let source = trip.host(1);
    source.migrate(&journey, &|percent| heard.lock().unwrap().push(percent)).await.unwrap();
    println!("resting machine moved in {:.2} s, told {:?}", begun.elapsed().as_secs_f64(), heard.lock().unwrap());
    assert_eq!(heard.lock().unwrap().last(), Some(&100));
    trip.assert_arrived(&intent, "shut off");
    assert!(trip.is_scribbled(2, &intent, 7, WRITTEN));
    // Again, and by another broker: already there.
    source.migrate(&journey, &|_| ()).await.unwrap();
    trip.host(1).migrate(&journey, &|_| ()).await.unwrap();
    trip.assert_arrived(&intent, "shut off");
    // The copy is a disk like one that was built there.
    let there = trip.host(2);
    for part in [Part::Disk, Part::Seed, Part::Domain, Part::Power] {
        there.ensure(part, &intent).await.unwrap();
    }
    there.stop(&intent, jiyue::provider::Stop::Now).await.unwrap();

    // A journey given up after the copy was defined: both have it. What the source has written since counts.
    let back = Trip { hosts, name: trip.name.clone(), from: 2, to: 1 };
    let stale = |pattern: u8| {
        let at = trip.disk(1, &intent);
        std::fs::copy(trip.disk(2, &intent), &at).unwrap();
        // As a copy would have been written there: its base has its own path on that host.
        let base = format!("{}/image-{}.raw", trip.settings(1).pool_path, intent.image.sha256);
        let rebase = Command::new("qemu-img").args(["rebase", "-u", "-F", "raw", "-b", &base]).arg(&at).status();
        assert!(rebase.unwrap().success());
        trip.virsh(1, &["pool-refresh", &trip.name]);
        trip.scribble(1, &intent, pattern, WRITTEN);
    };
    stale(99);
    let first = trip.host(1);
    for part in [Part::Seed, Part::Domain] {
        first.ensure(part, &intent).await.unwrap();
    }
    back.insist(&back.journey(&intent)).await;
    back.assert_arrived(&intent, "shut off");
    assert!(trip.is_scribbled(1, &intent, 7, WRITTEN));
    std::mem::forget(back);
    first.remove(Part::Domain, &intent).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_moved_stays_as_it_was() {
    let hosts = crate::support::hosts::shared();
    let trip = Trip::new(hosts, 2, 3).await;
    let intent = trip.intent(halting());
    trip.build_running(&intent).await;
    let journey = trip.journey(&intent);
    let source = trip.host(2);
    let permanent = async |journey: &Journey, word: &str| match source.migrate(journey, &|_| ()).await {
        Err(ProviderError::Permanent { reason, .. }) => assert!(reason.contains(word), "{reason}"),
        other => panic!("{word}: {other:?}"),
    };
    // A running machine keeps its address, and goes only where its host can reach.
    let mut moved = journey.clone();
    moved.to.network.address = hosts.guest(250);
    permanent(&moved, "address").await;
    let by_socket = LibvirtSettings { uri: hosts.socket(3), ..trip.settings(3) };
    permanent(&Journey { destination: Destination::Libvirt(by_socket), ..journey.clone() }, "socket").await;
    let kvm = LibvirtSettings { domain_type: DomainType::Kvm, ..trip.settings(3) };
    permanent(&Journey { destination: Destination::Libvirt(kvm), ..journey.clone() }, "kvm").await;
    permanent(&Journey { destination: Destination::Libvirt(trip.settings(2)), ..journey.clone() }, "one").await;
    let mut other = journey.clone();
    other.to.operation = OperationId::new();
    permanent(&other, "one machine").await;
    let nobody = Intent { machine: MachineId::new(), ..intent.clone() };
    permanent(&trip.journey(&Intent { name: format!("{}x", intent.name), ..nobody }), "neither").await;
    assert_eq!(trip.left_on(3), [""; 0]);
    assert_eq!(trip.state(2, &intent), "running");
    // Somebody else's domain of its name at the destination, which stays as it is.
    let xml = crate::support::scratch("xml").join("d.xml");
    let stranger = format!(
        "<domain type='qemu'><name>{}</name><memory unit='MiB'>32</memory><os><type arch='x86_64'>hvm</type></os></domain>",
        intent.name
    );
    std::fs::write(&xml, stranger).unwrap();
    trip.virsh(3, &["define", xml.to_str().unwrap()]);
    let before = trip.virsh(3, &["dumpxml", &intent.name]);
    let refused = source.migrate(&journey, &|_| ()).await;
    assert!(matches!(refused, Err(ProviderError::NotOurs { .. })), "{refused:?}");
    assert_eq!(trip.virsh(3, &["dumpxml", &intent.name]), before);
    // And running twice, which only a person can set right: nothing is touched.
    trip.virsh(3, &["undefine", &intent.name]);
    let twin = trip.virsh(2, &["dumpxml", "--inactive", &intent.name]).replace("-on-2/", "-on-3/");
    std::fs::write(&xml, twin).unwrap();
    let there = trip.host(3);
    for part in [Part::Image, Part::Disk, Part::Seed, Part::Domain, Part::Power] {
        there.ensure(part, &intent).await.unwrap();
    }
    permanent(&journey, "both").await;
    let watcher = Watcher::over(&trip, &intent);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_ne!(watcher.doubles(), [""; 0], "the watcher is awake");
    assert_eq!((trip.state(2, &intent), trip.state(3, &intent)), ("running".into(), "running".into()));
    // Listed on either, and the listing tells ours from others'.
    let listed = there.list().await.unwrap();
    let seen = listed.iter().find(|seen| seen.id == intent.machine.0).expect("listed");
    assert!(
        matches!(seen.power, Power::On(_)) && seen.mark.is_some_and(|mark| mark.operation == intent.operation),
        "{seen:?}"
    );
    // One of the two is ended by hand; then it goes its way.
    trip.virsh(3, &["destroy", &intent.name]);
    trip.insist(&journey).await;
    trip.assert_arrived(&intent, "running");
    assert!(trip.is_scribbled(3, &intent, 7, WRITTEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_networks_of_the_hosts_own_the_reservation_goes_along() {
    let hosts = crate::support::hosts::shared();
    let trip = Trip::new(hosts, 3, 1).await;
    let net = |third: u8| NetworkSetup {
        network: trip.name.clone(),
        bridge: format!("v-{}", trip.name),
        gateway: Ipv4Addr::new(10, 201, third, 1),
        prefix: 24,
        domain: None,
        forward: false,
    };
    trip.host(3).prepare(&[net(1)]).await.unwrap();
    trip.host(1).prepare(&[net(2)]).await.unwrap();
    let at = |third: u8, last: u8| NetworkIntent {
        network: trip.name.clone(),
        link: Link::Network,
        mac: format!("52:54:00:c9:{third:02x}:{last:02x}"),
        address: Ipv4Addr::new(10, 201, third, last),
        gateway: Ipv4Addr::new(10, 201, third, 1),
        dns: Ipv4Addr::new(10, 201, third, 1),
    };
    let reserved = |n: u8| {
        let copies = [&["net-dumpxml"][..], &["net-dumpxml", "--inactive"]];
        let dumps = copies.map(|words| trip.virsh(n, &[words, &[trip.name.as_str()]].concat()));
        dumps.map(|xml| xml.lines().filter(|line| line.contains("<host ")).count())
    };
    let bare = trip.intent(halting());
    let intent = Intent { network: at(1, 10), fqdn: Some("m.zone.test".into()), ..bare };
    let source = trip.host(3);
    for part in [Part::Image, Part::Disk, Part::Seed, Part::Address] {
        source.ensure(part, &intent).await.unwrap();
    }
    // The name as it stands there; whether it answers cannot be asked from here.
    let record = "<host ip='10.201.1.10'><hostname>m.zone.test</hostname></host>";
    trip.virsh(3, &["net-update", &trip.name, "add", "dns-host", record, "--live", "--config"]);
    trip.scribble(3, &intent, 7, WRITTEN);
    source.ensure(Part::Domain, &intent).await.unwrap();
    assert_eq!((reserved(3), reserved(1)), ([2, 2], [0, 0]));

    // Off, it may get another address, and its card with it.
    let to = Intent { network: at(2, 20), ..intent.clone() };
    let journey = Journey { to: to.clone(), ..trip.journey(&intent) };
    source.migrate(&journey, &|_| ()).await.unwrap();
    trip.assert_arrived(&to, "shut off");
    assert!(trip.is_scribbled(1, &to, 7, WRITTEN));
    assert_eq!((reserved(3), reserved(1)), ([0, 0], [2, 2]));
    assert!(trip.virsh(1, &["dumpxml", &to.name]).contains(&to.network.mac));

    // Running, it goes back only to a network that has the same address behind the same gateway.
    trip.host(1).ensure(Part::Power, &to).await.unwrap();
    let back = Trip { hosts, name: trip.name.clone(), from: 1, to: 3 };
    let elsewhere = Journey { from: to.clone(), to: intent.clone(), ..back.journey(&to) };
    let refused = back.host(1).migrate(&elsewhere, &|_| ()).await;
    assert!(matches!(refused, Err(ProviderError::Permanent { .. })), "{refused:?}");
    assert_eq!((reserved(3), reserved(1), trip.state(1, &to)), ([0, 0], [2, 2], "running".to_owned()));
    trip.virsh(3, &["net-destroy", &trip.name]);
    trip.virsh(3, &["net-undefine", &trip.name]);
    trip.host(3).prepare(&[net(2)]).await.unwrap();
    back.insist(&back.journey(&to)).await;
    back.assert_arrived(&to, "running");
    assert_eq!((reserved(3), reserved(1)), ([2, 2], [0, 0]));
    for n in [1, 3] {
        trip.virsh(n, &["net-destroy", &trip.name]);
        trip.virsh(n, &["net-undefine", &trip.name]);
    }
    std::mem::forget(back);
}
