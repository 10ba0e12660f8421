//! A real libvirtd, real volumes, real dnsmasq, real guests. `virsh` is the oracle: what it says counts, not what the
//! provider says of itself.

mod line;
mod readings;

use crate::support::{
    intent,
    libvirt::{self, small_guest},
};
use jiyue::{
    ids::{MachineId, OperationId},
    provider::{
        DomainType, ImageFormat, ImageRef, Intent, Link, NetworkIntent, Observed, Part, Provider, ProviderError, Stop,
        libvirt::{LibvirtHost, LibvirtSettings, NetworkSetup},
    },
    units::Bytes,
};
use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

fn uri() -> String {
    libvirt::shared().uri.clone()
}

/// A folder that the daemon sees too.
fn pool_dir() -> PathBuf {
    libvirt::shared().folder.join("pools")
}

fn try_virsh(args: &[&str]) -> Result<String, String> {
    libvirt::shared().virsh(args)
}

fn virsh(args: &[&str]) -> String {
    try_virsh(args).unwrap_or_else(|e| panic!("virsh {args:?}: {e}"))
}

/// A pool and a network of one test's own, taken away at its end.
struct Place {
    host: Arc<LibvirtHost>,
    settings: LibvirtSettings,
    setup: NetworkSetup,
}

impl Place {
    async fn new() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        // Tests of several processes may meet on one machine, whose bridges and address ranges are shared.
        let pid = std::process::id();
        let name = format!("t{pid}-{n}");
        let settings = LibvirtSettings {
            name: "test".into(),
            uri: uri(),
            insecure_networks: Vec::new(),
            pool: name.clone(),
            pool_path: pool_dir().join(&name).to_str().unwrap().into(),
            domain_type: DomainType::Qemu,
            networks: Vec::new(),
        };
        let setup = NetworkSetup {
            network: name,
            bridge: format!("jyt{:x}-{n}", pid % 0xfffff),
            gateway: Ipv4Addr::new(10, 128 + (pid % 100) as u8, n, 1),
            prefix: 24,
            domain: Some("zone.test".into()),
            forward: false,
        };
        let host = Arc::new(LibvirtHost::new(settings.clone()));
        for _ in 0..2 {
            host.prepare(std::slice::from_ref(&setup)).await.unwrap();
        }
        Self { host, settings, setup }
    }

    /// Another broker process, as far as the host can tell.
    fn again(&self) -> LibvirtHost {
        LibvirtHost::new(self.settings.clone())
    }

    fn address(&self, last: u8) -> Ipv4Addr {
        let [a, b, c, _] = self.setup.gateway.octets();
        Ipv4Addr::new(a, b, c, last)
    }

    fn intent(&self, last: u8, image: ImageRef) -> Intent {
        let name = format!("{}-m{last}", self.setup.network);
        let [_, b, c, _] = self.setup.gateway.octets();
        let network = NetworkIntent {
            network: self.setup.network.clone(),
            link: Link::Network,
            mac: format!("52:54:00:{b:02x}:{c:02x}:{last:02x}"),
            address: self.address(last),
            gateway: self.setup.gateway,
            dns: self.setup.gateway,
        };
        Intent {
            fqdn: Some(format!("{name}.zone.test")),
            ssh_keys: vec![
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4pVv0y8xvBDDEpDxEVpJzEEjpfRT5fGgNRuqX9vEyI test".into(),
            ],
            ..intent::plain(name, image, network)
        }
    }

    fn pool_file(&self, name: &str) -> PathBuf {
        Path::new(&self.settings.pool_path).join(name)
    }

    /// The pool's volumes apart from base images, as virsh lists them after a refresh; and the folder's files agree.
    fn volumes(&self) -> Vec<String> {
        virsh(&["pool-refresh", &self.settings.pool]);
        let list = virsh(&["vol-list", &self.settings.pool]);
        let mut names: Vec<String> =
            list.lines().filter_map(|l| l.split_whitespace().next()).map(str::to_owned).collect();
        let files =
            std::fs::read_dir(&self.settings.pool_path).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
        let mut files: Vec<String> = files.collect();
        names.sort();
        files.sort();
        assert_eq!(names, files);
        names.retain(|n| !n.starts_with("image-"));
        names
    }

    /// The network's reservations and records, running and lasting.
    fn network_hosts(&self) -> Vec<String> {
        let both =
            [virsh(&["net-dumpxml", &self.setup.network]), virsh(&["net-dumpxml", "--inactive", &self.setup.network])];
        let lines = both.iter().flat_map(|xml| xml.lines()).map(str::trim);
        lines.filter(|l| l.starts_with("<host ")).map(str::to_owned).collect()
    }

    fn domains(&self) -> Vec<String> {
        let list = virsh(&["list", "--all", "--name"]);
        list.lines().map(str::trim).filter(|n| n.starts_with(&self.setup.network)).map(str::to_owned).collect()
    }

    fn assert_clean(&self) {
        assert_eq!((self.domains(), self.volumes(), self.network_hosts()), (vec![], vec![], vec![]));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for name in self.domains() {
            let _ = try_virsh(&["destroy", &name]);
            let _ = try_virsh(&["undefine", &name]);
        }
        let _ = try_virsh(&["net-destroy", &self.setup.network]);
        let _ = try_virsh(&["net-undefine", &self.setup.network]);
        let _ = try_virsh(&["pool-destroy", &self.settings.pool]);
        let _ = try_virsh(&["pool-undefine", &self.settings.pool]);
        let _ = std::fs::remove_dir_all(&self.settings.pool_path);
    }
}

/// A base that boots into nothing, for what needs no guest: two megabytes that are not all alike.
fn blank(folder: &tempfile::TempDir) -> ImageRef {
    let path = folder.path().join("blank.raw");
    std::fs::write(&path, (0..2_u32 << 20).map(|i| (i / 4096).to_le_bytes()[0]).collect::<Vec<_>>()).unwrap();
    intent::image(&path, ImageFormat::Raw)
}

/// Repeats what is not right yet, as the engine does.
async fn ensure(host: &LibvirtHost, part: Part, intent: &Intent) {
    let begun = Instant::now();
    let mut attempts = 0;
    loop {
        attempts += 1;
        match host.ensure(part, intent).await {
            Ok(()) => break,
            Err(e) if e.is_transient() && begun.elapsed() < Duration::from_mins(2) => {}
            Err(e) => panic!("{part}: {e}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("{:>8} {:>7.3} s, {attempts} attempts", part.word(), begun.elapsed().as_secs_f64());
}

async fn remove_all(host: &LibvirtHost, intent: &Intent) {
    for part in Part::ALL.into_iter().rev() {
        for _ in 0..2 {
            let begun = Instant::now();
            host.remove(part, intent).await.unwrap_or_else(|e| panic!("removing {part}: {e}"));
            println!("{:>8} {:>7.3} s gone", part.word(), begun.elapsed().as_secs_f64());
        }
    }
}

const UP_TO_DOMAIN: [Part; 6] = [Part::Image, Part::Disk, Part::Seed, Part::Address, Part::Name, Part::Domain];

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_built_stopped_and_removed() {
    let place = Place::new().await;
    let host = &place.host;
    let intent = place.intent(10, intent::image(small_guest(), ImageFormat::Qcow2));
    assert_eq!(host.observe(&intent).await.unwrap(), Observed::Absent);
    for part in Part::ALL {
        ensure(host, part, &intent).await;
        ensure(host, part, &intent).await;
    }
    assert_eq!(host.observe(&intent).await.unwrap(), Observed::Running);
    // SSH may answer a moment before the guest says so.
    let mut console = String::new();
    for _ in 0..150 {
        console = host.console(&intent, 4096).await.unwrap();
        if console.contains("READY") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(console.contains("READY") && console.contains(&intent.name), "{console}");
    assert!(host.console(&intent, 5).await.unwrap().len() <= 5);
    // The guest took its name from the seed and its address from the reservation.
    let leases = virsh(&["net-dhcp-leases", &place.setup.network]);
    assert!(leases.contains(&intent.network.mac) && leases.contains(&intent.network.address.to_string()), "{leases}");
    assert_eq!(virsh(&["domuuid", &intent.name]).trim(), intent.machine.text());
    assert!(virsh(&["dumpxml", &intent.name]).contains(&intent.operation.text()));
    // A second broker finds everything done, and the running guest is not disturbed.
    let other = place.again();
    for part in Part::ALL {
        ensure(&other, part, &intent).await;
    }
    assert_eq!(host.console(&intent, 1 << 20).await.unwrap().matches("READY").count(), 1);
    // No volume of a machine that is defined can be removed.
    assert!(matches!(host.remove(Part::Disk, &intent).await, Err(ProviderError::Transient { .. })));

    let begun = Instant::now();
    host.stop(&intent, Stop::Graceful(Duration::from_mins(1))).await.unwrap();
    println!("graceful {:>7.3} s", begun.elapsed().as_secs_f64());
    assert!(begun.elapsed() < Duration::from_secs(55), "the guest heard the button");
    assert_eq!(host.observe(&intent).await.unwrap(), Observed::Off);
    host.stop(&intent, Stop::Now).await.unwrap();
    ensure(host, Part::Power, &intent).await;
    assert_eq!(virsh(&["domstate", &intent.name]).trim(), "running");
    let begun = Instant::now();
    host.stop(&intent, Stop::Graceful(Duration::from_secs(1))).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "a guest that does not hear is cut off");
    assert_eq!(virsh(&["domstate", &intent.name]).trim(), "shut off");
    ensure(host, Part::Power, &intent).await;

    remove_all(host, &intent).await;
    place.assert_clean();
    assert_eq!(host.observe(&intent).await.unwrap(), Observed::Absent);
    assert_eq!(host.console(&intent, 100).await.unwrap(), "");

    // The next machine at that address, while dnsmasq still remembers the last one's lease.
    let next = place.intent(10, intent.image.clone());
    for part in Part::ALL {
        ensure(host, part, &next).await;
    }
    remove_all(host, &next).await;
    place.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_foreign_is_never_touched() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new().await;
    let host = &place.host;
    let intent = place.intent(10, blank(&folder));
    for part in &UP_TO_DOMAIN[..5] {
        ensure(host, *part, &intent).await;
    }
    let stranger = |uuid: &str, mark: &str| {
        let xml = format!(
            "<domain type='qemu'><name>{}</name><uuid>{uuid}</uuid><metadata>{mark}</metadata><memory unit='MiB'>32</memory>
             <os><type arch='x86_64'>hvm</type></os></domain>",
            intent.name
        );
        let file = folder.path().join("stranger.xml");
        std::fs::write(&file, xml).unwrap();
        virsh(&["define", file.to_str().unwrap()]);
        virsh(&["start", &intent.name]);
        virsh(&["dumpxml", &intent.name])
    };
    let other_uuid = MachineId::new().text();
    let mark = |machine, operation: &str| {
        format!("<m:machine xmlns:m='urn:jiyue:machine:1' machine='{machine}' operation='{operation}'/>")
    };
    let cases = [
        (other_uuid.clone(), String::new(), true),
        // Another machine of ours that has the name.
        (other_uuid.clone(), mark(other_uuid.as_str(), &intent.operation.text()), true),
        // Our UUID, but not made by us, or by another operation.
        (intent.machine.text(), String::new(), false),
        (intent.machine.text(), mark(&intent.machine.text(), &OperationId::new().text()), false),
    ];
    for (uuid, mark, only_name) in cases {
        let before = stranger(&uuid, &mark);
        for part in [Part::Domain, Part::Power] {
            assert!(matches!(host.ensure(part, &intent).await, Err(ProviderError::NotOurs { .. })), "{part}");
        }
        assert_eq!(host.observe(&intent).await.unwrap(), Observed::Foreign);
        for part in [Part::Power, Part::Domain, Part::Disk] {
            let removed = host.remove(part, &intent).await;
            // Where only the name is taken ours is surely gone; where the UUID is, nothing is sure.
            if only_name {
                removed.unwrap();
            } else {
                assert!(matches!(removed, Err(ProviderError::NotOurs { .. })), "{part}");
            }
        }
        let stopped = host.stop(&intent, Stop::Now).await;
        assert_eq!(stopped.is_ok(), only_name);
        assert_eq!(virsh(&["dumpxml", &intent.name]), before);
        virsh(&["destroy", &intent.name]);
        virsh(&["undefine", &intent.name]);
    }
    ensure(host, Part::Disk, &intent).await;
    ensure(host, Part::Domain, &intent).await;
    remove_all(host, &intent).await;
    place.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines)] // one state after the other, on one host
async fn half_made_states_converge() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new().await;
    let host = &place.host;
    let pool = place.settings.pool.as_str();
    let intent = place.intent(10, blank(&folder));
    let image = format!("image-{}.raw", intent.image.sha256);
    let (image_file, ready_file) = (place.pool_file(&image), place.pool_file(&format!("{image}.ready")));
    let whole = std::fs::read(&intent.image.path).unwrap();

    // Uploads that were cut: nothing but the volume; some bytes; all bytes but the last; all bytes, not yet marked.
    for cut in [0, 4096, whole.len() - 1, whole.len()] {
        let mut bytes = whole[..cut].to_vec();
        bytes.resize(whole.len(), 0);
        std::fs::write(&image_file, &bytes).unwrap();
        virsh(&["pool-refresh", pool]);
        ensure(&place.again(), Part::Image, &intent).await;
        assert!(std::fs::read(&image_file).unwrap() == whole && ready_file.exists(), "cut at {cut}");
        virsh(&["vol-delete", "--pool", pool, &image]);
        virsh(&["vol-delete", "--pool", pool, &format!("{image}.ready")]);
    }
    // A marker without its image.
    std::fs::write(&ready_file, "").unwrap();
    virsh(&["pool-refresh", pool]);
    ensure(host, Part::Image, &intent).await;
    assert!(std::fs::read(&image_file).unwrap() == whole);
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&image_file).unwrap().permissions().mode() & 0o777, 0o444);
    }
    // A marked image that lost its bytes to a power cut is found by the next connection, and left as it is.
    std::fs::write(&image_file, vec![0; whole.len()]).unwrap();
    let damaged = place.again().ensure(Part::Image, &intent).await;
    assert!(matches!(damaged, Err(ProviderError::Permanent { .. })), "{damaged:?}");
    std::fs::write(&image_file, &whole).unwrap();
    ensure(&place.again(), Part::Image, &intent).await;

    // A disk file as a killed daemon leaves it: empty, or of another size, or without its base.
    let disk_file = place.pool_file(&format!("{}.{}.root.qcow2", intent.machine, intent.operation));
    let disk = disk_file.to_str().unwrap();
    let qemu_img =
        |args: &[&str]| assert!(Command::new("qemu-img").args(args).output().unwrap().status.success(), "{args:?}");
    for n in 0..3 {
        match n {
            0 => std::fs::write(disk, "").unwrap(),
            1 => {
                qemu_img(&["create", "-q", "-f", "qcow2", "-F", "raw", "-b", image_file.to_str().unwrap(), disk, "5G"]);
            }
            _ => qemu_img(&["create", "-q", "-f", "qcow2", disk, "1G"]),
        }
        virsh(&["pool-refresh", pool]);
        ensure(host, Part::Disk, &intent).await;
        let info = Command::new("qemu-img").args(["info", "--output=json", disk]).output().unwrap().stdout;
        let info: serde_json::Value = serde_json::from_slice(&info).unwrap();
        assert_eq!((&info["virtual-size"], &info["format"]), (&(1_u64 << 30).into(), &"qcow2".into()));
        assert_eq!(
            (&info["full-backing-filename"], &info["backing-filename-format"]),
            (&image_file.to_str().into(), &"raw".into())
        );
        if n < 2 {
            std::fs::remove_file(disk).unwrap();
            virsh(&["pool-refresh", pool]);
        }
    }
    // A seed half uploaded, or of another length.
    let seed_file = place.pool_file(&format!("{}.{}.seed.img", intent.machine, intent.operation));
    ensure(host, Part::Seed, &intent).await;
    let seed = std::fs::read(&seed_file).unwrap();
    for cut in [0, 1000, seed.len() / 2] {
        std::fs::write(&seed_file, &seed[..cut]).unwrap();
        virsh(&["pool-refresh", pool]);
        ensure(host, Part::Seed, &intent).await;
        assert!(std::fs::read(&seed_file).unwrap() == seed);
        std::fs::write(&seed_file, [&seed[..cut], &vec![0; seed.len() - cut]].concat()).unwrap();
        ensure(host, Part::Seed, &intent).await;
        assert!(std::fs::read(&seed_file).unwrap() == seed);
    }
    // One of the network's two copies changed, the other not.
    let network = place.setup.network.as_str();
    let lease = format!("<host mac='{}' name='{}' ip='{}'/>", intent.network.mac, intent.name, intent.network.address);
    let record =
        format!("<host ip='{}'><hostname>{}</hostname></host>", intent.network.address, intent.fqdn.as_ref().unwrap());
    for copy in ["--live", "--config"] {
        virsh(&["net-update", network, "add", "ip-dhcp-host", &lease, copy]);
        virsh(&["net-update", network, "add", "dns-host", &record, copy]);
        ensure(host, Part::Address, &intent).await;
        ensure(host, Part::Name, &intent).await;
        assert_eq!(place.network_hosts().len(), 4);
        virsh(&["net-update", network, "delete", "ip-dhcp-host", &lease, copy]);
        virsh(&["net-update", network, "delete", "dns-host", &record, copy]);
        host.remove(Part::Name, &intent).await.unwrap();
        host.remove(Part::Address, &intent).await.unwrap();
        assert_eq!(place.network_hosts(), Vec::<String>::new());
    }
    ensure(host, Part::Address, &intent).await;
    ensure(host, Part::Name, &intent).await;
    // Defined and not started; and a console log from before the definition.
    ensure(host, Part::Domain, &intent).await;
    assert_eq!(host.observe(&intent).await.unwrap(), Observed::Off);
    virsh(&["undefine", &intent.name]);
    ensure(host, Part::Domain, &intent).await;
    ensure(host, Part::Power, &intent).await;
    // Paused, as a start that was cut can leave it.
    virsh(&["suspend", &intent.name]);
    ensure(host, Part::Power, &intent).await;
    assert_eq!(virsh(&["domstate", &intent.name]).trim(), "running");
    // A disk that differs under a defined machine is a finding, not leftovers.
    let bigger = Intent { disk: Bytes::gib(2).unwrap(), ..intent.clone() };
    assert!(matches!(host.ensure(Part::Disk, &bigger).await, Err(ProviderError::Permanent { .. })));
    // Removed from any state: a log that was rotated goes along, and undefining never leaves a running guest.
    std::fs::write(place.pool_file(&format!("{}.{}.console.log.0", intent.machine, intent.operation)), "old").unwrap();
    host.remove(Part::Domain, &intent).await.unwrap();
    remove_all(host, &intent).await;
    place.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be_met_are_permanent() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new().await;
    let host = &place.host;
    let intent = place.intent(10, blank(&folder));
    let permanent = |result: Result<(), ProviderError>, part: &str| match result {
        Err(ProviderError::Permanent { reason, .. }) => assert!(reason.contains(part), "{reason}"),
        other => panic!("{other:?}"),
    };
    // An image that is not what it is called, or is gone.
    let mut wrong = intent.clone();
    wrong.image.sha256 = "0".repeat(64);
    permanent(host.ensure(Part::Image, &wrong).await, "digest");
    permanent(host.ensure(Part::Image, &wrong).await, "digest");
    wrong.image.path = "/nonexistent".into();
    permanent(host.ensure(Part::Image, &wrong).await, "copy");
    permanent(host.ensure(Part::Disk, &intent).await, "missing");
    ensure(host, Part::Image, &intent).await;
    permanent(
        host.ensure(Part::Disk, &Intent { disk: Bytes::mib(1).unwrap(), ..intent.clone() }).await,
        "needs a disk",
    );
    // A qcow2 image over a file of the host.
    let hostile = folder.path().join("hostile.qcow2");
    let args = ["create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/hostname", hostile.to_str().unwrap(), "1M"];
    assert!(Command::new("qemu-img").args(args).output().unwrap().status.success());
    let hostile = Intent { image: intent::image(&hostile, ImageFormat::Qcow2), ..intent.clone() };
    ensure(host, Part::Image, &hostile).await;
    permanent(host.ensure(Part::Disk, &hostile).await, "backing file");

    // Addresses and names of others, which stay as they are.
    let network = place.setup.network.as_str();
    ensure(host, Part::Address, &intent).await;
    ensure(host, Part::Name, &intent).await;
    let mut second = place.intent(11, intent.image.clone());
    second.fqdn.clone_from(&intent.fqdn);
    permanent(host.ensure(Part::Name, &second).await, "taken by");
    second.network.mac.clone_from(&intent.network.mac);
    permanent(host.ensure(Part::Address, &second).await, &intent.network.address.to_string());
    let before = place.network_hosts();
    // libvirt would delete by address or by name alone.
    host.remove(Part::Name, &second).await.unwrap();
    host.remove(Part::Address, &second).await.unwrap();
    host.remove(Part::Name, &Intent { fqdn: Some("x.zone.test".into()), ..intent.clone() }).await.unwrap();
    assert_eq!(place.network_hosts(), before);
    let shared = format!("<host ip='{}'><hostname>foreign.zone.test</hostname></host>", place.address(12));
    virsh(&["net-update", network, "add", "dns-host", &shared, "--live", "--config"]);
    permanent(host.ensure(Part::Name, &place.intent(12, intent.image.clone())).await, "already named");
    host.remove(Part::Name, &place.intent(12, intent.image.clone())).await.unwrap();
    assert_eq!(place.network_hosts().len(), 6);
    virsh(&["net-update", network, "delete", "dns-host", &shared, "--live", "--config"]);
    // The network with another range.
    let other = NetworkSetup { prefix: 25, ..place.setup.clone() };
    permanent(host.prepare(&[other]).await, network);
    let elsewhere = LibvirtSettings { pool_path: "/tmp".into(), ..place.settings.clone() };
    permanent(LibvirtHost::new(elsewhere).prepare(&[]).await, &place.settings.pool_path);
    // No name asked for: nothing to do.
    ensure(host, Part::Name, &Intent { fqdn: None, ..place.intent(13, intent.image.clone()) }).await;
    remove_all(host, &intent).await;
    place.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probe_finds_what_boots() {
    let _ = tracing_subscriber::fmt().with_test_writer().with_env_filter("jiyue=info").try_init();
    let place = Place::new().await;
    // What a probe killed long ago has left; 2024 is in its name.
    let old = "jiyue-probe-018d0000-0000-7000-8000-0000000000aa";
    let young = format!("jiyue-probe-{}", MachineId::new());
    std::fs::write(place.pool_file(&format!("{old}.img")), "").unwrap();
    std::fs::write(place.pool_file(&format!("{young}.img")), "").unwrap();
    virsh(&["pool-refresh", &place.settings.pool]);
    let begun = Instant::now();
    let kind = place.host.probe_domain_type_within(&[], Duration::from_secs(6)).await.unwrap();
    println!("probe: {kind:?} after {:.3} s", begun.elapsed().as_secs_f64());
    assert!(begun.elapsed() < Duration::from_secs(40));
    assert_eq!(place.volumes(), [format!("{young}.img")]);
    assert!(!virsh(&["list", "--all", "--name"]).contains(old));
    // A guest that starts and stays silent is no proof, and is cleared away like any other.
    let silent = place.host.probe_domain_type_within(&[], Duration::ZERO).await;
    assert!(matches!(silent, Err(ProviderError::Permanent { .. })), "{silent:?}");
    assert_eq!(place.volumes(), [format!("{young}.img")]);
    let probes = virsh(&["list", "--all", "--name"]);
    for probe in probes.lines().filter(|name| name.starts_with("jiyue-probe-")) {
        // One of another test on the same daemon, if it is still there at all.
        assert!(!try_virsh(&["dumpxml", probe]).unwrap_or_default().contains(&place.settings.pool_path));
    }
    let capacity = place.host.capacity().await.unwrap();
    let node = virsh(&["nodeinfo"]);
    let field = |name: &str| {
        node.lines().find_map(|l| l.strip_prefix(name)).unwrap().split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(capacity.vcpu.to_string(), field("CPU(s):"));
    assert_eq!((capacity.memory.get() / 1024).to_string(), field("Memory size:"));
    assert!(capacity.disk.get() > 1 << 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new().await;
    let image = blank(&folder);
    let begun = Instant::now();
    let machine = |last| {
        let (host, intent) = (Arc::clone(&place.host), place.intent(last, image.clone()));
        tokio::spawn(async move {
            for part in UP_TO_DOMAIN {
                ensure(&host, part, &intent).await;
            }
            intent
        })
    };
    let tasks: Vec<_> = (10..30).map(machine).collect();
    let mut intents = Vec::new();
    for task in tasks {
        intents.push(task.await.unwrap());
    }
    println!("20 machines defined after {:.2} s", begun.elapsed().as_secs_f64());
    assert_eq!((place.domains().len(), place.volumes().len(), place.network_hosts().len()), (20, 60, 80));
    let remove = |intent: Intent| {
        let host = Arc::clone(&place.host);
        tokio::spawn(async move {
            for part in Part::ALL.into_iter().rev() {
                while let Err(e) = host.remove(part, &intent).await {
                    assert!(e.is_transient(), "{e}");
                }
            }
        })
    };
    let begun = Instant::now();
    for task in intents.into_iter().map(remove).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    println!("and removed after {:.2} s", begun.elapsed().as_secs_f64());
    place.assert_clean();
}
