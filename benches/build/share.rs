//! What of a define and start is the broker's own.

use crate::{
    load, median, millis, plain,
    support::{
        broker::{self, Broker, Cast, On, Setup},
        intent,
        libvirt::Libvirt,
        scratch,
    },
};
use jiyue::provider::{
    DomainType, ImageRef, Intent, Link, NetworkIntent, Part, Provider,
    libvirt::{LibvirtHost, LibvirtSettings, NetworkSetup},
};
use serde_json::{Value, json};
use std::{
    net::Ipv4Addr,
    process::Command,
    time::{Duration, Instant},
};
use tokio::{io::AsyncWriteExt, net::TcpListener};
use virt::{connect::Connect, domain::Domain};

const POOL: &str = "share";

/// Everything on one private libvirtd.
struct Ground {
    libvirt: Libvirt,
    host: LibvirtHost,
    pool: String,
    network: NetworkSetup,
    image: ImageRef,
    connect: Connect,
    built: u8,
}

pub async fn run(rounds: usize) {
    let mut ground = Ground::new().await;
    let mut whole = Whole::new(&ground).await;
    println!("define and start, 128 MiB, disk, seed, network, console; {rounds} rounds in turn; {}", load());
    let (mut theirs, mut ours, mut all) = (Vec::new(), Vec::new(), Vec::new());
    // The filters are on the host once a first machine has been there; the plain client refers to them.
    ground.by_provider().await;
    // The first of each warms up: QEMU's files into memory, libvirt's idea of QEMU, our connections.
    for round in 0..=rounds {
        let mut times = [Duration::ZERO; 3];
        for turn in 0..3 {
            let which = (turn + round) % 3;
            times[which] = match which {
                0 => ground.plainly().await,
                1 => ground.by_provider().await,
                _ => whole.build().await,
            };
        }
        if round > 0 {
            theirs.push(millis(times[0]));
            ours.push(millis(times[1]));
            all.push(millis(times[2]));
        }
    }
    println!("{:<34}{:>10}{:>14}{:>14}", "", "median", "our share", "paired");
    println!("{:<34}{:>7.1} ms", "plain client (virt)", median(theirs.clone()));
    line("provider", &ours, &theirs);
    line("broker, with its writes and looks", &all, &theirs);
    println!("{}\n", load());
}

/// The share by the medians, and the median of each round's own difference, which a drifting load moves less.
fn line(title: &str, ours: &[f64], theirs: &[f64]) {
    let (mine, plain) = (median(ours.to_vec()), median(theirs.to_vec()));
    let pairs = ours.iter().zip(theirs).map(|(ours, theirs)| ours - theirs).collect();
    println!(
        "{title:<34}{mine:>7.1} ms{:>12.1} %{:>12.1} %",
        (mine - plain) / mine * 100.0,
        median(pairs) / mine * 100.0
    );
}

impl Ground {
    async fn new() -> Self {
        let libvirt = Libvirt::up(scratch("lv"));
        let pool = libvirt.folder.join(POOL).display().to_string();
        let pid = std::process::id();
        let network = NetworkSetup {
            network: POOL.to_owned(),
            bridge: format!("jyb{:x}", pid % 0xf_ffff),
            gateway: Ipv4Addr::new(10, 128 + (pid % 100) as u8, 250, 1),
            prefix: 24,
            domain: Some("zone.test".to_owned()),
            forward: false,
        };
        let host = LibvirtHost::new(LibvirtSettings {
            name: "bench".to_owned(),
            uri: libvirt.uri.clone(),
            insecure_networks: Vec::new(),
            pool: POOL.to_owned(),
            pool_path: pool.clone(),
            domain_type: DomainType::Qemu,
            networks: Vec::new(),
        });
        host.prepare(std::slice::from_ref(&network)).await.expect("the host is prepared");
        let image = intent::halting(&libvirt.folder);
        let connect = Connect::open(Some(&libvirt.uri)).expect("it answers");
        Self { libvirt, host, pool, network, image, connect, built: 0 }
    }

    fn address(&self, last: u8) -> Ipv4Addr {
        let [a, b, c, _] = self.network.gateway.octets();
        Ipv4Addr::new(a, b, c, last)
    }

    /// The next machine, with all that comes before its domain.
    async fn prepared(&mut self) -> Intent {
        self.built = self.built % 90 + 1;
        let last = 10 + self.built;
        let network = NetworkIntent {
            network: self.network.network.clone(),
            link: Link::Network,
            mac: format!("52:54:00:fa:00:{last:02x}"),
            address: self.address(last),
            gateway: self.network.gateway,
            dns: self.network.gateway,
        };
        let intent = intent::plain(format!("share-{last}"), self.image.clone(), network);
        for part in [Part::Image, Part::Disk, Part::Seed, Part::Address] {
            self.host.ensure(part, &intent).await.expect("it is made");
        }
        intent
    }

    async fn cleared(&self, intent: &Intent) {
        for part in Part::ALL.into_iter().rev() {
            self.host.remove(part, intent).await.expect("it is removed");
        }
    }

    async fn plainly(&mut self) -> Duration {
        let intent = self.prepared().await;
        let xml = plain::domain(&intent, &self.pool, ("network", &self.network.network));
        let connect = &self.connect;
        let took = tokio::task::block_in_place(|| {
            let began = Instant::now();
            let domain = plain::define_and_start(connect, &xml);
            let took = began.elapsed();
            drop::<Domain>(domain);
            took
        });
        self.cleared(&intent).await;
        took
    }

    async fn by_provider(&mut self) -> Duration {
        let intent = self.prepared().await;
        let began = Instant::now();
        self.host.ensure(Part::Domain, &intent).await.expect("defined");
        self.host.ensure(Part::Power, &intent).await.expect("started");
        let took = began.elapsed();
        self.cleared(&intent).await;
        took
    }
}

/// The real broker on the same libvirtd, with a network of its own.
struct Whole {
    broker: Broker,
    cast: Cast,
    built: usize,
}

impl Whole {
    async fn new(ground: &Ground) -> Self {
        let setup = Setup::new(On::Sqlite)
            .with("JIYUE_LOG_FORMAT", "json")
            .with("JIYUE_SHUTDOWN_SECONDS", "0")
            .with("JIYUE_WORKER_LEASE_SECONDS", "15");
        let broker = Broker::start(setup).await;
        let cast = Cast::arrive(&broker).await;
        let mut book = broker::task_book();
        book["indicators"] = json!({"machines": 500, "vcpu": 500, "memory": "500 GiB", "disk": "1000 GiB"});
        broker.post("/v1/task-books", &cast.authority, &book).await.expect(201);
        let [a, b, _, _] = ground.network.gateway.octets();
        let bridge = format!("{}w", ground.network.bridge);
        let host = json!({"name": "bench", "uri": ground.libvirt.uri, "pool": "whole", "memory_reserve_bytes": 0,
            "pool_path": ground.libvirt.folder.join("whole"), "zones": [{"zone": "government_extranet",
            "network": "whole", "bridge": bridge, "cidr": format!("{a}.{b}.251.0/24")}]});
        broker.post("/v1/hosts", &cast.operator, &host).await.expect(201);
        broker.image(&cast, broker::halting_image()).await;
        for last in 2..=120 {
            answer(Ipv4Addr::new(a, b, 251, last), &bridge).await;
        }
        Self { broker, cast, built: 0 }
    }

    /// From the last step before the domain to the end of the start, by the broker's own log: define and start, and what
    /// comes with it, two writes under the lease and a look at the task book among it.
    async fn build(&mut self) -> Duration {
        self.built += 1;
        let mut block = broker::request();
        block["域名"] = json!(format!("f{}.xiangcheng.example", self.built));
        block["申请虚拟机数量"] = json!(1);
        block["磁盘空间"] = json!("1G");
        let made = self.broker.post("/v1/requests", &self.cast.requester, &block).await.expect(201);
        let id = made["items"][0]["id"].as_str().expect("an id").to_owned();
        let path = format!("/v1/requests/{id}/approve");
        let operation = self.broker.post(&path, &self.cast.authority, &json!({})).await.expect(202);
        self.ended(&operation).await;
        let request = self.broker.get(&format!("/v1/requests/{id}"), &self.cast.operator).await.expect(200);
        let machine = request["machines"][0]["id"].as_str().expect("an id").to_owned();
        let took = self.logged(&machine, "power").duration_since(self.logged(&machine, "name"));
        let path = format!("/v1/machines/{machine}/delete");
        let bin = self.broker.post(&path, &self.cast.requester, &json!({})).await.expect(202);
        self.ended(&bin).await;
        Duration::try_from(took).expect("time goes forward")
    }

    async fn ended(&self, operation: &Value) {
        let id = operation["id"].as_str().expect("an id");
        let done = self.broker.finished(id, &self.cast.operator, Duration::from_mins(2)).await;
        assert_eq!(done["state"], "succeeded", "{done:#}");
    }

    /// When the machine's step was done.
    fn logged(&self, machine: &str, step: &str) -> jiff::Timestamp {
        let log = std::fs::read_to_string(self.broker.setup.folder.join("serve.log")).expect("a log");
        let of_step = |line: &str| {
            let line: Value = serde_json::from_str(line).ok()?;
            let fields = &line["fields"];
            let mine = fields["message"] == "machine.step.done" && fields["step"] == step;
            (mine && fields["machine.id"] == machine).then(|| line["timestamp"].as_str()?.parse().ok())?
        };
        log.lines().rev().find_map(of_step).unwrap_or_else(|| panic!("no {step} of {machine} in the log"))
    }
}

/// Guests that only halt do not answer, so this machine does, on their bridge.
async fn answer(address: Ipv4Addr, bridge: &str) {
    let added = Command::new("ip").args(["addr", "add", &format!("{address}/32"), "dev", bridge]).status();
    assert!(added.expect("ip is installed").success());
    let listener = TcpListener::bind((address, 22)).await.expect("the port is free");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move { stream.write_all(b"SSH-2.0-bench\r\n").await });
        }
    });
}
