//! What it costs to have machines built on a cluster by the broker, beside writing the same objects by hand, on one API
//! server in one run. `N` requests of one machine each (100) are applied, and approved by one bulk act; the clock runs from
//! the act until the last `VirtualMachine` is accepted and told to run, its instance runs, and its request and its mirror
//! say so. `WIDTH` at a time (16).
//!
//! Three ways: the broker as a process, with its controller and its provider; a plain client that writes the same secrets,
//! machines, mirrors and statuses, each once and as they are at the end, when the instance runs, by the same account (whose
//! requests are authorized, queued and written into the audit log, as an administrator's are not) and in a namespace with the
//! same quota, limits and policy (which the server reckons with at each instance); and machines alone, off, by an administrator,
//! which is what the API server can take at best. Nothing runs: `virt-controller` is played, the same for all. Requests are
//! counted by the server's audit log, from the application on; afterwards there must be none but watches and leases.
//!
//! `make bench-k8s` (`N=500 WIDTH=16`)

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![allow(
    clippy::cast_precision_loss,
    clippy::format_collect,
    dead_code,
    reason = "counts become figures; shares the tests' support"
)]

#[path = "../../tests/it/kubevirt/lab.rs"]
mod lab;
mod peer;
#[path = "../../tests/it/kubevirt/player.rs"]
mod player;
mod spent;
#[path = "../../tests/it/support/mod.rs"]
mod support;
mod view;

use lab::Lab;
use player::{Player, client};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};
use support::broker::{self, Broker, Cast, On, Setup};
use view::View;

const LIMIT: Duration = Duration::from_secs(600);
/// How long everything must be quiet for.
const REST: Duration = Duration::from_secs(20);

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[tokio::main]
async fn main() {
    let (n, width) = (setting("N", 100), setting("WIDTH", 16));
    let lab = Lab::start().await;
    lab.storage_class();
    let admin = client(&lab.plane.folder.join("admin.kubeconfig")).await;
    let setup = setup(&lab, width);
    let crd = setup.cli(None, "", &["crd"]);
    lab.plane.done("admin", &["apply", "--server-side", "-f", "-"], &String::from_utf8(crd.stdout).unwrap());
    lab.plane.done("admin", &["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"], "");
    lab.plane.done("admin", &["apply", "-f", "-"], &controller_role().to_string());
    for space in ["mzj", "peer", "bare"] {
        lab.plane.done("admin", &["create", "namespace", space], "");
    }
    lab.plane.done("admin", &["label", "namespace", "mzj", "cloud.jiyue.io/department=mzj"], "");
    let digest = Sha256::digest(broker::raw_image());
    lab.image(&digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()).await;
    let _player = Player::begin(&lab.plane.folder.join("admin.kubeconfig")).await;
    let view = View::begin(&admin);
    println!("{n} machines, {width} at a time; CRDs are KubeVirt's own: {}", lab.genuine);

    let ours = by_broker(&lab, setup, &view, n).await;
    // What the broker wrote is what the others write, and it is not there any more to read it.
    let model = peer::Model::read(&lab, "mzj");
    let same_account = client(&lab.kubeconfig).await;
    let by_hand = peer::whole(&same_account, &lab, &view, &model, n, width).await;
    let bare = peer::bare(&admin, &model, n, width).await;

    println!("\n{:>10} {:>12} {:>12} {:>12}", "", "accepted", "mirrored", "each");
    for (who, accepted, mirrored) in
        [("broker", ours.accepted, ours.mirrored), ("peer", by_hand.accepted, by_hand.mirrored), ("bare", bare, bare)]
    {
        let each = mirrored.as_secs_f64() * 1000.0 / n as f64;
        println!("{who:>10} {:>10.2} s {:>10.2} s {each:>9.1} ms", accepted.as_secs_f64(), mirrored.as_secs_f64());
    }
    let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
    println!(
        "\nbroker / peer: {:.2} until the status is mirrored (wanted: 1.5 at most), {:.2} until accepted",
        ratio(ours.mirrored, by_hand.mirrored),
        ratio(ours.accepted, by_hand.accepted)
    );
    println!("\nrequests of the broker a machine, from its application on, watches excepted:");
    for (what, count) in &ours.asked {
        println!("{what:>50} {:>8.2}", f64::from(*count) / n as f64);
    }
    let all = |asked: &BTreeMap<String, u32>| f64::from(asked.values().sum::<u32>()) / n as f64;
    println!("{:>50} {:>8.2} (wanted: 12 at most)", "in all", all(&ours.asked));
    println!("{:>50} {:>8.2}", "of them since the approval", all(&ours.asked) - all(&ours.before));
    println!("at rest, in {REST:?}: {:?}", ours.at_rest);
}

/// What the broker took.
struct Ours {
    accepted: Duration,
    mirrored: Duration,
    /// Until the approval, and in all.
    before: BTreeMap<String, u32>,
    asked: BTreeMap<String, u32>,
    at_rest: BTreeMap<String, u32>,
}

async fn by_broker(lab: &Lab, setup: Setup, view: &View, n: usize) -> Ours {
    let broker = Broker::start(setup).await;
    let cast = Cast::arrive(&broker).await;
    let mut book = broker::task_book();
    book["indicators"] = json!({"machines": 5000, "vcpu": 5000, "memory": "4000 GiB", "disk": "20000 GiB"});
    broker.post("/v1/task-books", &cast.authority, &book).await.expect(201);
    broker.image(&cast, broker::raw_image()).await;
    let cluster = json!({"name": "c1", "uri": "kubernetes:c1",
        "zones": [{"zone": "government_extranet", "network": "pod", "cidr": "10.244.0.0/16"}]});
    broker.post("/v1/hosts", &cast.operator, &cluster).await.expect(201);
    let question = json!({"vcpu": 1, "memory_bytes": 128 << 20, "disk_bytes": 2_i64 << 30, "os": "debian-12",
        "zone": "government_extranet", "mlps_level": 2});
    view::until(LIMIT, "a machine has a place", async || {
        broker.post("/v1/placement/explain", &cast.operator, &question).await.expect(200)["possible"] == true
    })
    .await;

    let quiet = asked(lab);
    let items: Vec<Value> = (0..n).map(|number| request("mzj", number)).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    lab.plane.done("admin", &["create", "-f", "-"], &list);
    view::until(LIMIT, "all are submitted", async || view.requests("mzj", "Submitted").len() == n).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = difference(&quiet, &asked(lab));

    let ids: Vec<_> = view.requests("mzj", "Submitted").iter().map(|o| o["status"]["requestId"].clone()).collect();
    let spent = spent::by_program(lab, &broker);
    let began = Instant::now();
    let acts = ids.chunks(200).map(|some| {
        let (broker, cast) = (&broker, &cast);
        async move {
            let body = json!({"ids": some});
            let outcomes = broker.post("/v1/requests/approve", &cast.authority, &body).await.expect(200);
            assert!(outcomes["items"].as_array().unwrap().iter().all(|item| item["status"] == 202), "{outcomes:#}");
        }
    });
    futures_util::future::join_all(acts).await;
    println!("the act is answered after {:.2?}", began.elapsed());
    let told = |what: &str| println!("{:>8.2} s {what}", began.elapsed().as_secs_f64());
    view::until(LIMIT, "all are accepted", async || view.machines_on("jiyue-mzj") == n).await;
    let accepted = began.elapsed();
    told("the last machine is accepted and told to run");
    view::until(LIMIT, "all are delivered", async || view.requests("mzj", "Delivered").len() == n).await;
    told("the last request says that it is delivered");
    view::until(LIMIT, "all mirrors run", async || view.mirrors("mzj") == n).await;
    let mirrored = began.elapsed();
    told("the last mirror says that its machine runs");
    println!("processor seconds meanwhile:");
    for (program, seconds) in spent::by_program(lab, &broker) {
        println!("{program:>28} {:>8.2}", seconds - spent.get(&program).unwrap_or(&0.0));
    }
    let metrics = broker.get("/metrics", &cast.auditor).await;
    println!("milliseconds a step, on average:");
    for (step, took) in spent::by_step(metrics.body.as_str().unwrap_or_default()) {
        println!("{step:>28} {took:>8.1}");
    }

    // Addresses that a listing finds later are mirrored too; then nothing is left to be done.
    let mut last = asked(lab);
    let rest = loop {
        tokio::time::sleep(REST).await;
        let now = asked(lab);
        let since = difference(&last, &now);
        if since.values().sum::<u32>() < 10 || began.elapsed() > LIMIT {
            break since;
        }
        last = now;
    };
    let wrong = broker.log().lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).count();
    println!("{wrong} warnings in the broker's log");
    Ours { accepted, mirrored, before, asked: difference(&quiet, &last), at_rest: rest }
}

/// What the broker has asked, by verb and resource, watches and leases excepted.
fn asked(lab: &Lab) -> BTreeMap<String, u32> {
    let log = fs::read_to_string(lab.plane.folder.join("audit.log")).unwrap_or_default();
    let mut asked = BTreeMap::new();
    for event in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let object = &event["objectRef"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (verb, resource, part) = (text(&event["verb"]), text(&object["resource"]), text(&object["subresource"]));
        if verb != "watch" && resource != "leases" {
            *asked.entry(format!("{verb} {resource} {part}").trim().to_owned()).or_default() += 1;
        }
    }
    asked
}

fn difference(before: &BTreeMap<String, u32>, after: &BTreeMap<String, u32>) -> BTreeMap<String, u32> {
    let more = |(key, n): (&String, &u32)| (key.clone(), n - before.get(key).copied().unwrap_or_default());
    after.iter().map(more).filter(|(_, n)| *n > 0).collect()
}

fn setup(lab: &Lab, width: usize) -> Setup {
    let setup = Setup::new(On::Sqlite)
        .with("JIYUE_WORKER_WIDTH", &width.to_string())
        .with("JIYUE_WORKER_LEASE_SECONDS", "30")
        .with("JIYUE_WORKER_POLL_MILLIS", "1000");
    let way = lab.kubeconfig.display();
    let text = format!(
        "[kubernetes]\nkubeconfig = \"{way}\"\n\n[[cluster]]\nname = \"c1\"\nkubeconfig = \"{way}\"\n\
         storage_class = \"fast\"\ndisk_gib = 100000\nvcpu = 4000\nmemory_gib = 16000\n"
    );
    fs::write(setup.folder.join("config.toml"), text).expect("a configuration");
    setup
}

/// What the controller needs besides, as `src/k8s/mod.rs` lists it.
fn controller_role() -> Value {
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    let group = "cloud.jiyue.io";
    let rules = [
        rule("", &["namespaces"], &["list", "watch"]),
        rule(group, &["resourcerequests"], &["get", "list", "watch", "patch"]),
        rule(group, &["resourcerequests/status", "machines/status", "taskbooks/status"], &["patch"]),
        rule(group, &["resourcerequests/finalizers"], &["update"]),
        rule(group, &["machines", "taskbooks"], &["list", "watch", "create", "patch"]),
    ];
    let version = "rbac.authorization.k8s.io/v1";
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": version, "kind": "ClusterRole", "metadata": {"name": "jiyue-controller"}, "rules": rules},
        {"apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": "jiyue-controller"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "jiyue-controller"},
            "subjects": [{"kind": "User", "name": "broker"}]},
    ]})
}

/// A request of one machine; the number makes it unlike the others.
fn request(namespace: &str, number: usize) -> Value {
    json!({"apiVersion": "cloud.jiyue.io/v1alpha1", "kind": "ResourceRequest",
    "metadata": {"name": format!("r-{number}"), "namespace": namespace},
    "spec": {
        "taskBook": "相信任〔2026〕17号", "vmCount": 1, "cpuCount": 1, "memory": "128Mi", "disk": "2Gi",
        "osType": "debian-12", "dbType": "none", "noDomainReason": "仅供本项目内部调用",
        "workloadDescription": format!("民政综合业务管理平台第 {number} 组"),
        "networkZone": "government_extranet", "secrecyLevel": "none", "mlpsLevel": 2,
        "deployMilestone": "2035-06-30", "omPeriodMonths": 36,
        "omUnit": {"name": "相城区民政局信息中心", "contact": "联系人 0512-00000000"},
        "sshKeys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMBOF11sz54+bPZs6DViXtHXPljimFjdnCDOdz0c5uq6"],
    }})
}
