//! Three real hosts under one broker, and what happens to hosts: the daemon dies, the power goes, the cable is out, the
//! pool is full, a domain is swapped. While a machine is being made, another resized, a third moved and a fourth deleted.
//! virsh says afterwards whether everything is where the books say, once, and nothing is left over.

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    hosts::{Hosts, ZONE_BRIDGE},
    sql::Sql,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

/// How soon after a host's return everything has to be in order.
const CONVERGED: Duration = Duration::from_secs(60);
const POOL: &str = "faults";

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// libvirtd is killed; guests live on.
    Daemon,
    /// The whole host loses its power.
    Power,
    /// Nothing gets through.
    Cable,
}

struct Cloud {
    hosts: Hosts,
    broker: Broker,
    cast: Cast,
    sql: Sql,
    built: u32,
}

impl Cloud {
    /// With a pool of so many MiB on host 1, or of whatever the machine has.
    async fn new(pool_mib: Option<u32>) -> Self {
        let hosts = Hosts::up(3);
        if let Some(size) = pool_mib {
            let root = root_of_first(&hosts);
            let pool = format!("/var/lib/libvirt/{POOL}");
            let inside = Command::new("nsenter")
                .args(["--target", root.trim_start_matches("/proc/").trim_end_matches("/root"), "--mount", "sh", "-c"])
                .arg(format!("mkdir -p {pool} && mount -t tmpfs -o size={size}m tmpfs {pool}"))
                .status();
            assert!(inside.unwrap().success());
        }
        let setup = Setup::new(On::Sqlite)
            .with("JIYUE_LISTING_SECONDS", "2")
            .with("JIYUE_SILENCE_SECONDS", "4")
            .with("JIYUE_SHUTDOWN_SECONDS", "1")
            .with("JIYUE_STEP_SECONDS", if pool_mib.is_some() { "5" } else { "120" })
            .with("JIYUE_WORKER_WIDTH", "8");
        let broker = Broker::start(setup.clone()).await;
        let cast = Cast::arrive(&broker).await;
        let mut book = broker::task_book();
        for (key, limit) in [("machines", json!(60)), ("vcpu", json!(200))] {
            if book["indicators"].get(key).is_some() {
                book["indicators"][key] = limit;
            }
        }
        broker.post("/v1/task-books", &cast.authority, &book).await.expect(201);
        for n in 1..=3 {
            let document = json!({"name": format!("h{n}"), "uri": hosts.tls(n, "good"), "pool": POOL,
                "pool_path": format!("/var/lib/libvirt/{POOL}"), "memory_reserve_bytes": 0, "vcpu_overcommit": 16,
                "zones": [{"zone": "government_extranet", "segment": "hall", "bridge": ZONE_BRIDGE,
                    "cidr": format!("{}/24", hosts.guest(0)), "gateway": hosts.guest(1),
                    "addresses": format!("{}-{}", hosts.guest(100), hosts.guest(140))}]});
            broker.post("/v1/hosts", &cast.operator, &document).await.expect(201);
        }
        broker.image(&cast, broker::halting_image()).await;
        hosts.play_guests(100..=140).await;
        let sql = Sql::reading(&setup.database_url).await;
        Self { hosts, broker, cast, sql, built: 0 }
    }

    fn pool_of_first(&self) -> PathBuf {
        PathBuf::from(format!("{}/var/lib/libvirt/{POOL}", root_of_first(&self.hosts)))
    }

    /// Approves a request for so many machines; the operation that builds them.
    async fn begin(&mut self, machines: u32) -> (String, String) {
        self.built += 1;
        let mut block = broker::request();
        block["域名"] = json!(format!("f{}.xiangcheng.example", self.built));
        block["申请虚拟机数量"] = json!(machines);
        block["磁盘空间"] = json!("1G");
        let made = self.broker.post("/v1/requests", &self.cast.requester, &block).await.expect(201);
        let id = text(&made["items"][0], "id");
        let path = format!("/v1/requests/{id}/approve");
        let operation = self.broker.post(&path, &self.cast.authority, &json!({})).await.expect(202);
        (id, text(&operation, "id"))
    }

    /// Machines that run on host 1.
    async fn build_on_first(&mut self, machines: u32) -> Vec<Value> {
        self.for_others("cordon").await;
        let (request, operation) = self.begin(machines).await;
        let done = self.broker.finished(&operation, &self.cast.operator, CONVERGED).await;
        assert_eq!(done["state"], "succeeded", "{done:#}");
        self.for_others("uncordon").await;
        let request = self.broker.get(&format!("/v1/requests/{request}"), &self.cast.operator).await.expect(200);
        request["machines"].as_array().unwrap().clone()
    }

    async fn for_others(&self, act: &str) {
        for n in 2..=3 {
            self.broker.post(&format!("/v1/hosts/h{n}/{act}"), &self.cast.operator, &json!({})).await.expect(200);
        }
    }

    async fn act(&self, machine: &Value, act: &str, token: &str, body: &Value) -> String {
        let path = format!("/v1/machines/{}/{act}", text(machine, "id"));
        text(&self.broker.post(&path, token, body).await.expect(202), "id")
    }

    async fn host_is(&self, n: u8, state: &str, limit: Duration) {
        let began = Instant::now();
        loop {
            let host = self.broker.get(&format!("/v1/hosts/h{n}"), &self.cast.operator).await.expect(200);
            if host["state"] == state {
                return;
            }
            assert!(began.elapsed() < limit, "h{n} is not {state}: {host:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until nothing is under way and nothing is wrong, at most so long; how long it took.
    async fn converged(&mut self) -> Duration {
        let began = Instant::now();
        loop {
            let faults = self.faults().await;
            if faults.is_empty() {
                return began.elapsed();
            }
            assert!(began.elapsed() < CONVERGED, "{faults:#?}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// What the books and virsh say of each other.
    async fn faults(&mut self) -> Vec<String> {
        let mut faults = self.sql.faults().await;
        let open = self.sql.number("select count(*) from operations where finished_at is null").await;
        if open > 0 {
            return vec![format!("{open} operations are under way")];
        }
        let rows = "select machines.id, hosts.name, machines.state, machines.name, cast(claims.vcpu as text) from machines \
             join claims on machine_id = machines.id join hosts on hosts.id = machines.host_id \
             where machines.state <> 'undone'";
        let rows = self.sql.rows(rows).await;
        let mut seen: BTreeMap<String, Vec<(u8, bool)>> = BTreeMap::new();
        for n in 1..=3_u8 {
            let Ok(all) = self.hosts.virsh(n, &["list", "--all", "--uuid"]) else {
                return vec![format!("host {n} does not answer")];
            };
            let on = self.hosts.virsh(n, &["list", "--uuid"]).unwrap_or_default();
            for id in all.split_whitespace() {
                seen.entry(id.to_owned()).or_default().push((n, on.split_whitespace().any(|other| other == id)));
            }
            let mine: Vec<_> = rows.iter().filter(|row| row[1] == format!("h{n}")).map(|row| row[0].as_str()).collect();
            if self.hosts.virsh(n, &["pool-refresh", POOL]).is_err() {
                return vec![format!("the pool of host {n} cannot be read")];
            }
            let list = self.hosts.virsh(n, &["vol-list", POOL]).unwrap_or_default();
            let volumes: BTreeSet<_> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
            for name in volumes.iter().filter(|name| !name.starts_with("image-")) {
                if !mine.iter().any(|id| name.starts_with(id)) {
                    faults.push(format!("host {n} has {name} left over"));
                }
            }
            for id in mine {
                let kinds = ["root.qcow2", "seed.img", "console.log"];
                let has = |kind: &&str| volumes.iter().any(|v| v.starts_with(id) && v.ends_with(*kind));
                let missing: Vec<_> = kinds.iter().filter(|kind| !has(kind)).collect();
                if !missing.is_empty() {
                    faults.push(format!("host {n} lacks {missing:?} of {id}"));
                }
            }
        }
        for row in &rows {
            let [id, host, state, name, vcpu] = &row[..] else { panic!("{row:?}") };
            let places = seen.remove(id).unwrap_or_default();
            let n: u8 = host.trim_start_matches('h').parse().expect("a host's number");
            if places != [(n, state == "running")] {
                faults.push(format!("{name} is {state} on {host}; virsh sees it (host, running) at {places:?}"));
            } else if let Ok(info) = self.hosts.virsh(n, &["vcpucount", id, "--maximum", "--config"])
                && info.trim() != vcpu
            {
                faults.push(format!("{name} claims {vcpu} processors and is defined with {info}"));
            }
        }
        faults.extend(seen.keys().map(|id| format!("{id} is nobody's: {:?}", seen[id])));
        let ledger = self.broker.get("/v1/ledger", &self.cast.auditor).await.expect(200);
        if ledger["consistent"] != true {
            faults.push(format!("{ledger:#}"));
        }
        faults
    }
}

/// Host 1's file system, as this machine sees it: by its first process.
fn root_of_first(hosts: &Hosts) -> String {
    let keeper = std::fs::read_to_string(hosts.folder.join("h1/pid")).expect("host 1 runs");
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", keeper.trim())).expect("a process");
    format!("/proc/{}/root", children.split_whitespace().next().expect("its first process"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_befalls_a_host_all_is_in_order_within_a_minute_of_its_return() {
    let mut cloud = Cloud::new(None).await;
    for fault in [Fault::Daemon, Fault::Cable, Fault::Power] {
        let machines = cloud.build_on_first(3).await;
        assert!(machines.iter().all(|machine| machine["host"] == "h1"), "{machines:#?}");
        // A pool that an image is still being sent to cannot be read by others.
        cloud.converged().await;
        let (authority, operator, requester) =
            (cloud.cast.authority.clone(), cloud.cast.operator.clone(), cloud.cast.requester.clone());
        // All four at once, and the fault in the midst of them.
        let create = cloud.begin(1).await.1;
        let resize = cloud.act(&machines[0], "resize", &authority, &json!({"vcpu": 2})).await;
        let migrate = cloud.act(&machines[1], "migrate", &operator, &json!({"to": "h2"})).await;
        let delete = cloud.act(&machines[2], "delete", &requester, &json!({})).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        match fault {
            Fault::Daemon => cloud.hosts.kill_daemon(1),
            Fault::Power => cloud.hosts.kill(1),
            Fault::Cable => cloud.hosts.cut(1),
        }
        if !matches!(fault, Fault::Daemon) {
            // Silent for long enough to be known as unknown: its machines too, and none is gone.
            cloud.host_is(1, "unknown", Duration::from_secs(40)).await;
            let shown = cloud.broker.get(&format!("/v1/machines/{}", text(&machines[0], "id")), &operator).await;
            let shown = shown.expect(200);
            assert!(shown["state"] == "unknown" || shown["host"] == "h2", "{shown:#}");
        }
        match fault {
            Fault::Daemon => cloud.hosts.start_daemon(1),
            Fault::Power => cloud.hosts.boot(1),
            Fault::Cable => cloud.hosts.mend(1),
        }
        cloud.host_is(1, "active", CONVERGED).await;
        let took = cloud.converged().await;
        let mut ends = Vec::new();
        for operation in [&create, &resize, &migrate, &delete] {
            let done = cloud.broker.get(&format!("/v1/operations/{operation}"), &operator).await.expect(200);
            ends.push(format!("{} {}", text(&done, "kind"), text(&done, "state")));
        }
        eprintln!("{fault:?}: in order {took:.1?} after its return; {}", ends.join(", "));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_pool_costs_a_build_and_a_swapped_domain_nothing() {
    let mut cloud = Cloud::new(Some(2300)).await;
    let standing = cloud.build_on_first(1).await;
    cloud.for_others("cordon").await;
    let filler = cloud.pool_of_first().join("filler");
    let mut full = Command::new("dd");
    full.args(["if=/dev/zero", "bs=1M", "status=none"]).arg(format!("of={}", filler.display()));
    assert!(!full.status().unwrap().success(), "the pool has no end");
    let (request, operation) = cloud.begin(1).await;
    let done = cloud.broker.finished(&operation, &cloud.cast.operator, CONVERGED).await;
    assert_eq!(done["state"], "failed", "{done:#}");
    let reason = text(&done, "reason");
    assert!(reason.contains("space") || reason.contains("upload") || reason.contains("volume"), "{reason}");
    std::fs::remove_file(&filler).unwrap();
    cloud.converged().await;
    let request = cloud.broker.get(&format!("/v1/requests/{request}"), &cloud.cast.requester).await.expect(200);
    assert_eq!(request["state"], "failed");
    // With room again, the next one is built.
    let (_, operation) = cloud.begin(1).await;
    let done = cloud.broker.finished(&operation, &cloud.cast.operator, CONVERGED).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");

    // A domain is swapped behind our back: ours is taken away, a stranger has its name.
    let (id, name) = (text(&standing[0], "id"), text(&standing[0], "name"));
    let _ = cloud.hosts.virsh(1, &["destroy", &id]);
    cloud.hosts.virsh(1, &["undefine", &id]).unwrap();
    let xml = format!(
        "<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>"
    );
    let file = cloud.broker.setup.folder.join("stranger.xml");
    std::fs::write(&file, xml).unwrap();
    cloud.hosts.virsh(1, &["define", &file.to_string_lossy()]).unwrap();
    let began = Instant::now();
    loop {
        let alarms = cloud.broker.get("/v1/alarms", &cloud.cast.operator).await.expect(200);
        let mut kinds: Vec<_> = alarms["items"].as_array().unwrap().iter().map(|alarm| text(alarm, "kind")).collect();
        kinds.sort();
        if kinds == ["foreign", "missing"] {
            break;
        }
        assert!(began.elapsed() < CONVERGED, "{alarms:#}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // Starting it while the stranger is in its place fails and touches nothing.
    let operation = cloud.act(&standing[0], "start", &cloud.cast.operator.clone(), &json!({})).await;
    let done = cloud.broker.finished(&operation, &cloud.cast.operator, CONVERGED).await;
    assert_eq!(done["state"], "failed", "{done:#}");
    assert!(cloud.hosts.virsh(1, &["dominfo", &name]).unwrap().contains(&name));
    // With the stranger gone it comes back on its disk.
    cloud.hosts.virsh(1, &["undefine", &name]).unwrap();
    let operation = cloud.act(&standing[0], "start", &cloud.cast.operator.clone(), &json!({})).await;
    let done = cloud.broker.finished(&operation, &cloud.cast.operator, CONVERGED).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    cloud.for_others("uncordon").await;
    cloud.converged().await;
}
