//! What building on a cluster costs beside writing the same objects by hand, on one API server in one run: `N` machines
//! (100), `WIDTH` at a time (16), until the last is accepted and told to run, and until the last is told to be ready.
//!
//! Three ways: the provider, part by part; a plain client that writes the same secret and machine, running, and looks at the
//! same status; and machines alone, off, which is what the API server can take at best. Nothing runs: `virt-controller` is
//! played, the same for all, so the second clock is mostly the player's. Requests are counted by the server's audit log.
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
#[path = "../../tests/it/kubevirt/player.rs"]
mod player;
#[path = "../../tests/it/support/mod.rs"]
mod support;

use futures_util::{StreamExt, stream};
use jiyue::{
    provider::{Estate, Intent, Part, Provider},
    units::Bytes,
};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams, PostParams},
};
use lab::Lab;
use player::{Player, client, resource};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[tokio::main]
async fn main() {
    let (n, width) = (setting("N", 100), setting("WIDTH", 16));
    let lab = Lab::start().await;
    lab.storage_class();
    lab.image(&"ab".repeat(32)).await;
    let admin = lab.plane.folder.join("admin.kubeconfig");
    let _player = Player::begin(&admin).await;
    let plain = client(&admin).await;
    println!("{n} machines, {width} at a time; CRDs are KubeVirt's own: {}", lab.genuine);

    let ours = provider(&lab, n, width).await;
    // What the provider wrote is what the others write.
    let machine = lab.get("jiyue-bench", "vm", "bench-0").expect("a machine");
    let secret = lab.get("jiyue-bench", "secret", "bench-0-seed").expect("a seed");
    for space in ["peer", "bare"] {
        lab.plane.done("admin", &["create", "namespace", space], "");
    }
    let peer = by_hand(&plain, &machine, Some(&secret), n, width).await;
    let bare = by_hand(&plain, &machine, None, n, width).await;

    println!("{:>10} {:>12} {:>12} {:>12}", "", "accepted", "ready", "each");
    for (who, (accepted, ready)) in [("provider", ours), ("peer", peer), ("bare", bare)] {
        let each = accepted.as_secs_f64() * 1000.0 / n as f64;
        println!("{who:>10} {:>10.2} s {:>10.2} s {each:>9.1} ms", accepted.as_secs_f64(), ready.as_secs_f64());
    }
    let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
    println!("\nprovider / peer: accepted {:.2}, ready {:.2}", ratio(ours.0, peer.0), ratio(ours.1, peer.1));
    let asked = lab.plane.asked();
    println!("\nrequests of the provider, by verb and resource, a machine:");
    for (kind, count) in &asked {
        println!("{kind:>40} {:>8.2}", f64::from(*count) / n as f64);
    }
    println!("{:>40} {:>8.2}", "in all", f64::from(asked.values().sum::<u32>()) / n as f64);
}

fn intent(number: usize) -> Intent {
    let place = [number / 250, number % 250 + 2].map(|part| u8::try_from(part).unwrap());
    lab::intent("bench", &format!("bench-{number}"), place)
}

async fn provider(lab: &Lab, n: usize, width: usize) -> (Duration, Duration) {
    let cluster = lab.provider();
    let many = i64::try_from(n).unwrap();
    let began = Instant::now();
    let intents: Vec<_> = (0..n).map(intent).collect();
    let estate = Estate {
        tenancy: intents[0].tenancy.clone().unwrap(),
        machines: many,
        vcpu: many * 2,
        memory: Bytes::gib(4 * many).unwrap(),
        disk: Bytes::gib(10 * many).unwrap(),
        range: "10.244.0.0/16".parse().unwrap(),
    };
    cluster.settle_in(&estate).await.unwrap();
    let build = async |intent: &Intent| {
        for part in Part::ALL.into_iter().filter(|part| *part != Part::Answer) {
            cluster.ensure(part, intent).await.unwrap();
        }
    };
    stream::iter(&intents).for_each_concurrent(width, build).await;
    let accepted = began.elapsed();
    let answer = async |intent: &Intent| {
        while let Err(error) = cluster.ensure(Part::Answer, intent).await {
            assert!(error.is_transient(), "{error}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    stream::iter(&intents).for_each_concurrent(width, answer).await;
    (accepted, began.elapsed())
}

/// The same objects under another namespace; without the secret, the machines alone and off.
async fn by_hand(
    client: &Client,
    machine: &Value,
    secret: Option<&Value>,
    n: usize,
    width: usize,
) -> (Duration, Duration) {
    let space = if secret.is_some() { "peer" } else { "bare" };
    let secrets = ApiResource {
        group: String::new(),
        version: "v1".into(),
        api_version: "v1".into(),
        kind: "Secret".into(),
        plural: "secrets".into(),
    };
    let vms =
        Api::<DynamicObject>::namespaced_with(client.clone(), space, &resource("VirtualMachine", "virtualmachines"));
    let secrets = Api::<DynamicObject>::namespaced_with(client.clone(), space, &secrets);
    let vmi = resource("VirtualMachineInstance", "virtualmachineinstances");
    let vmis = Api::<DynamicObject>::namespaced_with(client.clone(), space, &vmi);
    let renamed = |object: &Value, name: String| -> DynamicObject {
        let mut object = object.clone();
        object["metadata"] = json!({"name": name, "namespace": space, "labels": object["metadata"]["labels"]});
        object.as_object_mut().unwrap().remove("status");
        if secret.is_none() {
            object["spec"]["runStrategy"] = "Halted".into();
        }
        serde_json::from_value(object).unwrap()
    };
    let began = Instant::now();
    let write = async |number: usize| {
        if let Some(secret) = secret {
            secrets.create(&PostParams::default(), &renamed(secret, format!("p-{number}-seed"))).await.unwrap();
        }
        vms.create(&PostParams::default(), &renamed(machine, format!("p-{number}"))).await.unwrap();
    };
    stream::iter(0..n).for_each_concurrent(width, write).await;
    let accepted = began.elapsed();
    if secret.is_some() {
        loop {
            let all = vmis.list(&ListParams::default()).await.unwrap();
            if all.items.iter().filter(|one| one.data["status"]["phase"] == "Running").count() == n {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    (accepted, began.elapsed())
}
