//! A whole request, approved over the API onto a cluster.

use super::{lab::Lab, player::Player};
use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    plain,
};
use serde_json::{Value, json};
use std::{
    fs,
    time::{Duration, Instant},
};

pub const LIMIT: Duration = Duration::from_secs(90);

/// A broker that has this cluster in its settings.
pub fn setup(lab: &Lab, more: &str) -> Setup {
    let setup = Setup::new(On::Sqlite)
        .with("JIYUE_IMAGE_RETRY_SECONDS", "2")
        .with("JIYUE_LISTING_SECONDS", "2")
        .with("JIYUE_SILENCE_SECONDS", "3");
    let text = format!(
        "[[cluster]]\nname = \"c1\"\nkubeconfig = \"{}\"\nstorage_class = \"fast\"\ndisk_gib = 1000\n{more}",
        lab.kubeconfig.display()
    );
    fs::write(setup.folder.join("config.toml"), text).expect("a configuration");
    setup
}

pub fn image_sha256() -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(broker::raw_image()).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn on_cluster() -> Value {
    json!({"name": "c1", "uri": "kubernetes:c1",
        "zones": [{"zone": "government_extranet", "network": "pod", "cidr": "10.244.0.0/16"}]})
}

pub fn block(machines: u32, purpose: &str) -> Value {
    let mut block = broker::request();
    let fields = block.as_object_mut().unwrap();
    fields.remove("域名");
    fields.insert("无域名理由".into(), json!("仅供本项目内部调用"));
    fields.insert("申请虚拟机数量".into(), json!(machines));
    fields.insert("运行内容".into(), json!(purpose));
    block
}

pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < LIMIT, "never: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

pub async fn submit(broker: &Broker, cast: &Cast, block: &Value) -> String {
    let made = broker.post("/v1/requests", &cast.requester, block).await.expect(201);
    made["items"][0]["id"].as_str().unwrap().to_owned()
}

pub async fn act(broker: &Broker, cast: &Cast, machine: &str, verb: &str) -> Value {
    let path = format!("/v1/machines/{machine}/{verb}");
    // Only whose machine it is may delete it.
    let by = if verb == "delete" { &cast.requester } else { &cast.operator };
    let begun = broker.post(&path, by, &json!({})).await.expect(202);
    let operation = begun["operation_id"].as_str().or(begun["id"].as_str()).expect("an operation").to_owned();
    broker.finished(&operation, &cast.operator, LIMIT).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_approved_built_and_lived_with_on_a_cluster() {
    let mut lab = Lab::start().await;
    lab.storage_class();
    let broker = Broker::start(setup(&lab, "vcpu = 64\nmemory_gib = 256\n")).await;
    let cast = Cast::arrive(&broker).await;
    broker.post("/v1/task-books", &cast.authority, &broker::task_book()).await.expect(201);
    broker.image(&cast, broker::raw_image()).await;
    // What cannot be is told when the cluster is registered.
    let unknown = broker
        .post(
            "/v1/hosts",
            &cast.operator,
            &json!({"name": "c2", "uri": "kubernetes:c2", "zones": on_cluster()["zones"]}),
        )
        .await;
    assert_eq!(unknown.code(), "host_refused", "{unknown:?}");
    let host = broker.post("/v1/hosts", &cast.operator, &on_cluster()).await.expect(201);
    assert_eq!(host["provider"], "kubevirt", "{host:#}");

    // The image is not there yet, and nobody sends it; a name would need an address that stays.
    let id = submit(&broker, &cast, &block(2, "接口网关")).await;
    let approve = format!("/v1/requests/{id}/approve");
    let refused = broker.post(&approve, &cast.authority, &json!({})).await;
    assert_eq!(refused.body["hosts"][0]["reason"], "image_not_on_cluster", "{refused:?}");
    let named = submit(&broker, &cast, &broker::request()).await;
    let told = broker.post("/v1/placement/explain", &cast.operator, &json!({"request": named})).await.expect(200);
    assert_eq!(told["refused"][0]["reason"], "address_floats", "{told:#}");
    lab.image(&image_sha256()).await;
    until("the image is known to lie there", async || {
        let told = broker.post("/v1/placement/explain", &cast.operator, &json!({"request": id})).await.expect(200);
        told["possible"] == true
    })
    .await;

    let player = Player::begin(&lab.plane.folder.join("admin.kubeconfig")).await;
    let begun = broker.post(&approve, &cast.authority, &json!({})).await.expect(202);
    let operation = begun["operation_id"].as_str().or(begun["id"].as_str()).unwrap().to_owned();
    let ended = broker.finished(&operation, &cast.operator, LIMIT).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}\n{}", broker.log());
    let shown = broker.get(&format!("/v1/requests/{id}"), &cast.operator).await.expect(200);
    let machines: Vec<_> =
        shown["machines"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((machines.len(), lab.names("vm").len()), (2, 2));
    // The address is what the cluster gave, and known soon.
    let first = format!("/v1/machines/{}", machines[0]);
    until("the address is known", async || {
        broker.get(&first, &cast.operator).await.expect(200)["address"].as_str().unwrap().starts_with("10.244.1.")
    })
    .await;

    // Quota as the task book says, and the real controller counts by it.
    let book = broker::task_book();
    let space = lab.names("quota")[0].split('/').next().unwrap().to_owned();
    let quota = lab.get(&space, "quota", "jiyue").unwrap();
    let hard = &quota["spec"]["hard"];
    let granted = plain::number(&broker.setup.database_url, "select limit_machines from task_books").await;
    assert_eq!(hard["count/virtualmachineinstances.kubevirt.io"], granted.to_string(), "{book:#}");

    for (verb, state) in [("stop", "stopped"), ("start", "running"), ("reboot", "running")] {
        let ended = act(&broker, &cast, &machines[0], verb).await;
        assert_eq!(ended["state"], "succeeded", "{verb}: {ended:#}");
        assert_eq!(broker.get(&first, &cast.operator).await.expect(200)["state"], state, "{verb}");
    }
    // What a cluster does itself.
    let moved = broker.post(&format!("{first}/migrate"), &cast.operator, &json!({})).await;
    assert_eq!(moved.code(), "machine_on_cluster", "{moved:?}");
    let drained = broker.post("/v1/hosts/c1/drain", &cast.operator, &json!({})).await;
    assert_eq!(drained.code(), "host_is_cluster", "{drained:?}");

    // Into the bin: off, and kept.
    assert_eq!(act(&broker, &cast, &machines[0], "delete").await["state"], "succeeded");
    assert_eq!((lab.names("vm").len(), lab.names("vmi").len()), (2, 1));

    // Edited and deleted behind our back: two alarms, and nothing is done about it.
    let second = broker.get(&format!("/v1/machines/{}", machines[1]), &cast.operator).await.expect(200);
    let (name, alarms) = (second["name"].as_str().unwrap().to_owned(), "/v1/alarms");
    let has = async |kind: &str| {
        let all = broker.get(alarms, &cast.operator).await.expect(200);
        all["items"].as_array().unwrap().iter().any(|alarm| alarm["kind"] == kind && alarm["name"] == name.as_str())
    };
    let edit = json!({"spec": {"template": {"spec": {"domain": {"cpu": {"cores": 16}}}}}}).to_string();
    lab.plane.done("admin", &["patch", "vm", &name, "-n", &space, "--type=merge", "-p", &edit], "");
    until("the change is noticed", async || has("altered").await).await;

    // The API server is gone for a while: unknown, not gone; and afterwards as before.
    lab.plane.kill("kube-apiserver");
    until("the cluster is unknown", async || {
        broker.get("/v1/hosts/c1", &cast.operator).await.expect(200)["state"] == "unknown"
    })
    .await;
    assert!(!has("missing").await);
    lab.plane.revive().await;
    let began = Instant::now();
    until("the cluster is back", async || {
        broker.get("/v1/hosts/c1", &cast.operator).await.expect(200)["state"] == "active"
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!((lab.names("vm").len(), lab.names("vmi").len()), (2, 1));

    lab.plane.done("admin", &["delete", "vm", &name, "-n", &space], "");
    until("it is missed", async || has("missing").await).await;
    assert_eq!(lab.names("vm").len(), 1);
    drop(player);
}
