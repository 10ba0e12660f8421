//! Many machines on three hosts, reached by TLS: virsh in a loop, and the broker from approval to delivery.
//!
//! What differs, and is said with the figures: the broker's least machine has 128 MiB, a disk of its own, a seed, a console
//! and a network card behind its zone's filter, which libvirt sets up by some hundred programs. So virsh is also timed while
//! it makes diskless domains with such a card, and the very machines.

use crate::{
    load, median, plain,
    support::{
        broker::{self, Broker, Cast, On, Setup},
        hosts::{Hosts, ZONE_BRIDGE},
        intent, scratch,
        sql::Sql,
    },
};
use jiyue::provider::{
    DomainType, ImageRef, Intent, Link, NetworkIntent, Part, Provider,
    libvirt::{LibvirtHost, LibvirtSettings},
    seed,
};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const HOSTS: u8 = 3;
const POOL: &str = "fleet";
const FOLDER: &str = "/var/lib/libvirt/fleet";
/// Of the zone's addresses.
const FIRST: u8 = 20;
/// Machines of one request.
const BLOCK: usize = 64;
/// What a QEMU of 128 MiB that halts takes, and what is left to the rest of the machine.
const EACH_KIB: usize = 72 << 10;
const SPARE_KIB: usize = 2 << 20;

/// `alone`: the broker without its peers, for whoever looks where its time goes.
pub async fn run(wanted: usize, runs: usize, loops: usize, alone: bool) {
    let fits = available_kib().saturating_sub(SPARE_KIB) / EACH_KIB;
    let count = wanted.min(fits).min(usize::from(u8::MAX - FIRST) - 20);
    if count < wanted {
        println!("{count} machines and not {wanted}: there is no memory or address for more");
    }
    println!("{count} machines on {HOSTS} hosts by TLS, {runs} runs in turn, {loops} virsh side by side; {}", load());
    if alone {
        broker(count).await;
        return;
    }
    let (mut bare, mut attached, mut same, mut ours) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        bare.push(virsh_create(count, loops));
        attached.push(virsh_create_attached(count, loops).await);
        same.push(virsh_the_same(count, loops).await);
        ours.push(broker(count).await);
    }
    let (bare, attached) = (median(bare), median(attached));
    println!("\n{:<56}{:>12}{:>24}{:>24}", "", "machines/s", "beside bare domains", "beside attached ones");
    for (title, rate) in [
        ("virsh create, 32 MiB, diskless, no network", bare),
        ("virsh create, 32 MiB, diskless, in its zone", attached),
        ("virsh making our machines (volumes, define, start)", median(same)),
        ("jiyue, approval to delivery", median(ours)),
    ] {
        println!("{title:<56}{rate:>12.2}{:>23.2}×{:>23.2}×", rate / bare, rate / attached);
    }
    println!("{}", load());
}

/// One virsh per machine, the hosts in turn.
fn virsh_create(count: usize, loops: usize) -> f64 {
    let site = Site::up();
    let jobs = (0..count).map(|n| {
        let file = site.scratch.join(format!("{n}.xml"));
        std::fs::write(&file, plain::diskless(&format!("bare-{n}"), "")).expect("the scratch folder takes it");
        (site.of(n), vec!["create".to_owned(), file.display().to_string()])
    });
    time("virsh create", &jobs.collect::<Vec<_>>(), loops)
}

/// The same, each with the card that a machine of ours has.
async fn virsh_create_attached(count: usize, loops: usize) -> f64 {
    let site = Site::up();
    let image = site.image();
    for n in 0..usize::from(HOSTS) {
        site.ready(n, &image).await;
    }
    let jobs = (0..count).map(|n| {
        let file = site.scratch.join(format!("{n}.xml"));
        let whole = plain::domain(&site.intent(n, &image), FOLDER, ("bridge", ZONE_BRIDGE));
        let xml = plain::diskless(&format!("attached-{n}"), &plain::card(&whole));
        std::fs::write(&file, xml).expect("the scratch folder takes it");
        (site.of(n), vec!["create".to_owned(), file.display().to_string()])
    });
    time("virsh create, in zone", &jobs.collect::<Vec<_>>(), loops)
}

/// One virsh per machine too, which makes the volumes, fills the seed, defines and starts.
async fn virsh_the_same(count: usize, loops: usize) -> f64 {
    let site = Site::up();
    let image = site.image();
    for n in 0..usize::from(HOSTS) {
        site.ready(n, &image).await;
    }
    let jobs = (0..count).map(|n| {
        let intent = site.intent(n, &image);
        let (seed, xml) = (site.scratch.join(format!("{n}.img")), site.scratch.join(format!("{n}.xml")));
        let bytes = seed::volume(&intent).expect("a seed");
        std::fs::write(&seed, &bytes).expect("the scratch folder takes it");
        std::fs::write(&xml, plain::domain(&intent, FOLDER, ("bridge", ZONE_BRIDGE))).expect("and this");
        let volume = |end: &str| format!("{}.{}.{end}", intent.machine, intent.operation);
        let (disk, seed_volume) = (volume("root.qcow2"), volume("seed.img"));
        let script = format!(
            "vol-create-as {POOL} {disk} {} --format qcow2 --backing-vol image-{}.raw --backing-vol-format raw; \
             vol-create-as {POOL} {seed_volume} {} --format raw; vol-upload --pool {POOL} {seed_volume} {}; \
             define {}; start {}",
            intent.disk.get(),
            image.sha256,
            bytes.len(),
            seed.display(),
            xml.display(),
            intent.name
        );
        (site.of(n), vec![script])
    });
    time("virsh, our machines", &jobs.collect::<Vec<_>>(), loops)
}

/// From the first approval to the last delivery, with the settings that a broker has by default.
async fn broker(count: usize) -> f64 {
    let site = Site::up();
    let setup = Setup::new(On::Sqlite)
        .with("JIYUE_WORKER_POLL_MILLIS", "1000")
        .with("JIYUE_WORKER_LEASE_SECONDS", "15")
        .with("JIYUE_IMAGE_FOLDER", &site.scratch.join("images").display().to_string());
    // Whatever is to be tried out: JIYUE_BOOTS_AT_ONCE=8 make bench-build
    let own = std::env::vars().filter(|(key, _)| key.starts_with("JIYUE_")).collect::<Vec<_>>();
    let setup = own.iter().fold(setup, |setup, (key, value)| setup.with(key, value));
    let mut broker = Broker::start(setup.clone()).await;
    let cast = Cast::arrive(&broker).await;
    let mut book = broker::task_book();
    book["indicators"] = json!({"machines": 300, "vcpu": 300, "memory": "300 GiB", "disk": "1000 GiB"});
    broker.post("/v1/task-books", &cast.authority, &book).await.expect(201);
    let hosts = &site.hosts;
    for n in 1..=HOSTS {
        let document = json!({"name": format!("h{n}"), "uri": hosts.tls(n, "good"), "pool": POOL, "pool_path": FOLDER,
            "memory_reserve_bytes": 0, "vcpu_overcommit": 16,
            "zones": [{"zone": "government_extranet", "segment": "hall", "bridge": ZONE_BRIDGE,
                "cidr": format!("{}/24", hosts.guest(0)), "gateway": hosts.guest(1),
                "addresses": format!("{}-{}", hosts.guest(FIRST), hosts.guest(254))}]});
        broker.post("/v1/hosts", &cast.operator, &document).await.expect(201);
    }
    broker.image(&cast, broker::halting_image()).await;
    // Three hosts that are one machine have fewer processors than machines; nothing here runs on them anyway.
    broker.kill();
    Sql::writing(&setup.database_url).await.run("update hosts set limit_vcpu = 1000").await;
    let broker = Broker::start(setup).await;
    hosts.play_guests(FIRST..=254).await;
    let mut requests = Vec::new();
    for (n, machines) in blocks(count).enumerate() {
        let mut block = broker::request();
        block["域名"] = json!(format!("f{n}.xiangcheng.example"));
        block["申请虚拟机数量"] = json!(machines);
        block["磁盘空间"] = json!("1G");
        let made = broker.post("/v1/requests", &cast.requester, &block).await.expect(201);
        requests.push(made["items"][0]["id"].as_str().expect("an id").to_owned());
    }
    let (before, began) = (available_kib(), Instant::now());
    let mut operations = Vec::new();
    for id in &requests {
        let path = format!("/v1/requests/{id}/approve");
        let operation = broker.post(&path, &cast.authority, &json!({})).await.expect(202);
        operations.push(operation["id"].as_str().expect("an id").to_owned());
    }
    for id in &operations {
        let done = broker.finished(id, &cast.operator, Duration::from_mins(30)).await;
        assert_eq!(done["state"], "succeeded", "{done:#}");
    }
    let took = began.elapsed();
    let running: usize = (0..usize::from(HOSTS)).map(|n| site.virsh(n, &["list", "--uuid"]).lines().count()).sum();
    assert_eq!(running, count, "virsh sees every one of them run");
    assert_eq!(broker.get("/v1/ledger", &cast.auditor).await.expect(200)["consistent"], true);
    said("jiyue", count, took, before);
    steps(&broker, &cast).await;
    rate(count, took)
}

/// Where the machines' time went: each step's mean, its waiting for a turn on the host included.
async fn steps(broker: &Broker, cast: &Cast) {
    let Value::String(text) = broker.get("/metrics", &cast.auditor).await.expect(200) else { return };
    let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
    for sum in text.lines().filter(|line| line.starts_with("jiyue_build_step") && line.contains("_sum{")) {
        let count = sum.replace("_sum{", "_count{");
        let count = count.rsplit_once(' ').map_or("", |(name, _)| name);
        let count = text.lines().find(|line| line.starts_with(count)).and_then(value);
        if let (Some(sum_of), Some(count)) = (value(sum), count) {
            let labels = sum.split(['{', '}']).nth(1).unwrap_or_default();
            println!("  {labels:<32}{:>10.0} ms", sum_of / count * 1000.0);
        }
    }
}

fn blocks(count: usize) -> impl Iterator<Item = usize> {
    (0..count.div_ceil(BLOCK)).map(move |n| BLOCK.min(count - n * BLOCK))
}

#[allow(clippy::cast_precision_loss, reason = "hundreds")]
fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn said(title: &str, count: usize, took: Duration, available_before: usize) {
    let each = available_before.saturating_sub(available_kib()) / count / 1024;
    println!(
        "{title:<22}{count:>5} in {:>6.1} s{:>8.2}/s, {each} MiB each; {}",
        took.as_secs_f64(),
        rate(count, took),
        load()
    );
}

fn available_kib() -> usize {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or_default()
}

/// Three hosts of one run's own, with nothing on them, and a folder; gone when dropped.
struct Site {
    hosts: Hosts,
    scratch: PathBuf,
}

impl Site {
    fn up() -> Self {
        Self { hosts: Hosts::up(HOSTS), scratch: scratch("fleet") }
    }

    /// The host of the machine `n`, as a broker reaches it.
    fn of(&self, n: usize) -> String {
        let host = u8::try_from(n % usize::from(HOSTS)).expect("few hosts") + 1;
        self.hosts.tls(host, "good")
    }

    fn virsh(&self, n: usize, args: &[&str]) -> String {
        let host = u8::try_from(n % usize::from(HOSTS)).expect("few hosts") + 1;
        self.hosts.virsh(host, args).unwrap_or_else(|error| panic!("virsh {args:?}: {error}"))
    }

    /// Pool, image and filters are on the host, as they are once a first machine has been there.
    async fn ready(&self, n: usize, image: &ImageRef) {
        let host = LibvirtHost::new(LibvirtSettings {
            name: format!("h{n}"),
            uri: self.of(n),
            insecure_networks: Vec::new(),
            pool: POOL.to_owned(),
            pool_path: FOLDER.to_owned(),
            domain_type: DomainType::Qemu,
            networks: Vec::new(),
        });
        host.prepare(&[]).await.expect("the host is prepared");
        let first = self.intent(0, image);
        let parts = [Part::Image, Part::Disk, Part::Seed, Part::Address, Part::Domain];
        for part in parts {
            host.ensure(part, &first).await.expect("it is made");
        }
        for part in parts.into_iter().rev() {
            host.remove(part, &first).await.expect("it is removed");
        }
    }

    fn image(&self) -> ImageRef {
        intent::halting(&self.scratch)
    }

    fn intent(&self, n: usize, image: &ImageRef) -> Intent {
        let last = FIRST + u8::try_from(n).expect("no more than addresses");
        let network = NetworkIntent {
            network: ZONE_BRIDGE.to_owned(),
            link: Link::Bridge { prefix: 24 },
            mac: format!("52:54:00:fb:00:{last:02x}"),
            address: self.hosts.guest(last),
            gateway: self.hosts.guest(1),
            dns: self.hosts.guest(1),
        };
        intent::plain(format!("same-{n}"), image.clone(), network)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.scratch);
    }
}

fn virsh(uri: &str, args: &[String]) {
    let out = Command::new("virsh").args(["-q", "-c", uri]).args(args).stdin(Stdio::null()).output();
    let out = out.expect("virsh is installed");
    // A script of several acts ends well only if its last one did; what any said on the way is told.
    assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// Runs all jobs, so many side by side, each of them with every so-manyth job.
fn time(title: &str, jobs: &[(String, Vec<String>)], loops: usize) -> f64 {
    let (before, began) = (available_kib(), Instant::now());
    std::thread::scope(|scope| {
        for start in 0..loops {
            let mine = jobs.iter().skip(start).step_by(loops);
            scope.spawn(move || mine.for_each(|(uri, args)| virsh(uri, args)));
        }
    });
    let took = began.elapsed();
    said(title, jobs.len(), took, before);
    rate(jobs.len(), took)
}
