//! What is asked of a cluster beside building on it: how much it has left, what its machines use, where a request wants to
//! go; on the command line where people do it there. And a machine's way into the bin and out of it again.

use super::{
    lab::Lab,
    player::Player,
    requests::{LIMIT, act, block, image_sha256, on_cluster, setup, submit, until},
};
use crate::{
    support::{
        broker::{self, Broker, Cast},
        prometheus::Prometheus,
    },
    usage_sources::player::{self, Player as Exporter, http},
};
use jiyue::{
    provider::{
        Provider as _,
        kubevirt::{ClusterSettings, KubevirtCluster},
    },
    units::Bytes,
};
use serde_json::{Value, json};
use std::time::Instant;

/// A node that never was, as its kubelet would have entered it.
fn node(name: &str, cpu: &str, memory: &str, cordoned: bool) -> Value {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {"unschedulable": cordoned},
        "status": {"capacity": {"cpu": "64", "memory": "512Gi", "pods": "110"},
            "allocatable": {"cpu": cpu, "memory": memory, "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True", "reason": "Played", "lastHeartbeatTime": now,
                "lastTransitionTime": now}]}})
}

/// A pod on a node, which nobody runs.
fn pod(name: &str, node: &str, labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "none",
            "resources": {"requests": {"cpu": "1500m", "memory": "2Gi"}}}]}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_added_on_the_command_line_with_what_its_nodes_have_left() {
    let lab = Lab::start().await;
    lab.storage_class();
    lab.image(&image_sha256()).await;
    let broker = Broker::start(setup(&lab, "")).await;
    let cast = Cast::arrive(&broker).await;
    broker.post("/v1/task-books", &cast.authority, &broker::task_book()).await.expect(201);
    broker.image(&cast, broker::raw_image()).await;
    let args = ["get", "serviceaccounts", "-n", "default", "-o", "name"];
    until("pods can be made", async || lab.plane.done("admin", &args, "").contains("serviceaccount/default")).await;
    let all = json!({"apiVersion": "v1", "kind": "List", "items": [
        node("n1", "7900m", "16Gi", false),
        node("n2", "32", "64Gi", true),
        node("n3", "4", "8Gi", false),
        pod("somebody-s", "n1", &json!({})),
        // Ours: the broker counts it itself.
        pod("ours", "n3", &json!({"cloud.jiyue.io/machine": "01890000-0000-7000-8000-000000000001"})),
    ]});
    lab.plane.done("admin", &["create", "-f", "-"], &all.to_string());
    let taints = ["get", "nodes", "-o", "jsonpath={range .items[*]}{.metadata.name}={.spec.taints[*].key} {end}"];
    until("the nodes are taken for ready", async || {
        let told = lab.plane.done("admin", &taints, "");
        told.contains("n1= ") && told.contains("n3= ")
    })
    .await;

    let cli = |token: &str, args: &[&str]| {
        let out = broker.setup.cli(Some(&broker), token, args);
        let text = [out.stdout, out.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (out.status.code(), text)
    };
    let zone = "zone=government_extranet,network=pod,cidr=10.244.0.0/16";
    let (code, told) = cli(&cast.operator, &["host", "add", "c2", "--uri", "kubernetes:c2", "--zone", zone]);
    assert!(code == Some(1) && told.contains("c2"), "{code:?} {told}");
    let (code, told) = cli(&cast.operator, &["host", "add", "c1", "--uri", "kubernetes:c1", "--zone", zone, "--wait"]);
    assert_eq!(code, Some(0), "{told}");
    let host = broker.get("/v1/hosts/c1", &cast.operator).await.expect(200);
    // 7.9 and 4 processors less 1.5, 24 GiB less 2; the disk is a setting.
    let measuring = ClusterSettings { vcpu: None, memory_gib: None, ..lab.settings() };
    let measured = KubevirtCluster::new(measuring).capacity().await.unwrap();
    let gib = |n| Bytes::gib(n).unwrap();
    assert_eq!((measured.vcpu, measured.memory, measured.disk), (10, gib(22), gib(1000)));
    // Of that, as of every host unless it is said otherwise: processors four times, memory but for one GiB.
    let left = json!({"vcpu": 40, "memory_bytes": 21_i64 << 30, "disk_bytes": 1000_i64 << 30});
    assert_eq!((&host["capacity"], &host["provider"]), (&left, &json!("kubevirt")), "{host:#}");

    // A request says where it wants to go, and the place that is not there is told with its reason.
    broker.simulated_host(&cast, "sim").await;
    let sizes = ["--vcpu", "1", "--memory", "128MiB", "--disk", "2GiB", "--zone", "政务外网"];
    for (wish, chosen, refusal) in
        [("libvirt", "sim", "是集群，要求建在宿主机上"), ("kubevirt", "c1", "是宿主机，要求建在集群上")]
    {
        let ask = [&["placement", "explain"], &sizes[..], &["--provider", wish]].concat();
        let (code, told) = cli(&cast.operator, &ask);
        assert!(code == Some(0) && told.contains(refusal), "{wish}: {told}");
        let named = cli(&cast.operator, &[&ask[..], &["-o", "name"]].concat());
        assert_eq!((named.0, named.1.trim()), (Some(0), chosen), "{wish}");
    }
    let (code, told) =
        cli(&cast.operator, &[&["placement", "explain"], &sizes[..], &["--provider", "公有云"]].concat());
    assert!(code == Some(2) && told.contains("kubevirt（集群）"), "{code:?} {told}");
    until("the image is known to lie there", async || {
        let question = json!({"vcpu": 1, "memory_bytes": 128 << 20, "disk_bytes": 2_i64 << 30, "os": "debian-12",
            "zone": "government_extranet", "mlps_level": 2, "provider": "kubevirt"});
        broker.post("/v1/placement/explain", &cast.operator, &question).await.expect(200)["possible"] == true
    })
    .await;

    // Handed in on the command line; approved where only the other kind of place has room.
    let file = broker.setup.folder.join("block.json");
    std::fs::write(&file, block(1, "只上集群").to_string()).unwrap();
    let file = file.to_str().unwrap();
    let (code, told) = cli(&cast.requester, &["request", "submit", file, "--provider", "kubevirt", "-o", "name"]);
    assert_eq!(code, Some(0), "{told}");
    let id = told.trim().rsplit('/').next().unwrap().to_owned();
    let shown = broker.get(&format!("/v1/requests/{id}"), &cast.requester).await.expect(200);
    assert_eq!(shown["block"]["provider"], "kubevirt", "{shown:#}");
    broker.post("/v1/hosts/c1/cordon", &cast.operator, &json!({})).await.expect(200);
    let refused = broker.post(&format!("/v1/requests/{id}/approve"), &cast.authority, &json!({})).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "capacity_exceeded"), "{refused:?}");
    let mut reasons: Vec<_> = refused.body["hosts"].as_array().unwrap().iter().map(|h| h["reason"].clone()).collect();
    reasons.sort_by_key(Value::to_string);
    assert_eq!(reasons, ["not_active", "other_kind"], "{refused:?}");
    assert!(refused.body["detail"].as_str().unwrap().contains("是宿主机，要求建在集群上"), "{refused:?}");
    broker.post("/v1/hosts/c1/uncordon", &cast.operator, &json!({})).await.expect(200);
    let _player = Player::begin(&lab.plane.folder.join("admin.kubeconfig")).await;
    let begun = broker.post(&format!("/v1/requests/{id}/approve"), &cast.authority, &json!({})).await.expect(202);
    let ended = broker.finished(begun["id"].as_str().unwrap(), &cast.operator, LIMIT).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}\n{}", broker.log());
    assert_eq!(lab.names("vm").len(), 1);
    // A wish that is none is told with its field.
    let mut odd = block(1, "别处");
    odd["落位要求"] = json!("公有云");
    let refused = broker.post("/v1/requests", &cast.requester, &odd).await;
    let error = &refused.body["errors"][0];
    assert_eq!((&error["pointer"], &error["code"]), (&json!("/provider"), &json!("bad_value")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_on_a_cluster_is_measured_and_goes_into_the_bin_and_out_of_it() {
    let lab = Lab::start().await;
    lab.storage_class();
    lab.image(&image_sha256()).await;
    let exporter = Exporter::start(|_| http("200 OK", "")).await;
    let mut prometheus = Prometheus::prepared(&[&exporter.address]);
    prometheus.start().await;
    let more = format!(
        "vcpu = 64\nmemory_gib = 256\nusage_source = \"kv\"\n\n[[usage_source]]\nname = \"kv\"\nkind = \"kubevirt\"\n\
         url = \"http://{}\"\ninterval_seconds = 3\ntimeout_seconds = 2\n",
        prometheus.address
    );
    let broker = Broker::start(setup(&lab, &more).with("JIYUE_USAGE_SECONDS", "3600")).await;
    let cast = Cast::arrive(&broker).await;
    broker.post("/v1/task-books", &cast.authority, &broker::task_book()).await.expect(201);
    broker.image(&cast, broker::raw_image()).await;
    broker.post("/v1/hosts", &cast.operator, &on_cluster()).await.expect(201);
    broker.simulated_host(&cast, "sim").await;
    let _player = Player::begin(&lab.plane.folder.join("admin.kubeconfig")).await;
    let mut machines = Vec::new();
    for wish in ["kubevirt", "libvirt"] {
        let mut block = block(1, wish);
        block["落位要求"] = json!(wish);
        let id = submit(&broker, &cast, &block).await;
        until("it has a place", async || {
            let told = broker.post("/v1/placement/explain", &cast.operator, &json!({"request": id})).await.expect(200);
            told["possible"] == true
        })
        .await;
        let begun = broker.post(&format!("/v1/requests/{id}/approve"), &cast.authority, &json!({})).await.expect(202);
        let ended = broker.finished(begun["id"].as_str().unwrap(), &cast.operator, LIMIT).await;
        assert_eq!(ended["state"], "succeeded", "{ended:#}\n{}", broker.log());
        let shown = broker.get(&format!("/v1/requests/{id}"), &cast.operator).await.expect(200);
        let machine = &shown["machines"][0];
        machines.push((machine["id"].as_str().unwrap().to_owned(), machine["name"].as_str().unwrap().to_owned()));
    }
    let [(id, name), (beside, name_beside)] = &machines[..] else { panic!("{machines:?}") };

    // The source of this cluster measures its machines, and none of a host that is called by a name that it knows.
    let (name, name_beside, began) = (name.clone(), name_beside.clone(), Instant::now());
    let known = name.clone();
    exporter.plays(move |_| {
        let text = player::recording(began).replace("VMI_NAME", &known).replace("of-somebody-else", &name_beside);
        http("200 OK", &text)
    });
    until("it is measured", async || {
        let usage = broker.get(&format!("/v1/machines/{id}/usage"), &cast.requester).await.expect(200);
        usage
            .pointer("/usage/memory_percent/mean")
            .and_then(Value::as_f64)
            .is_some_and(|mean| (mean - 25.0).abs() < 0.1)
            && usage["usage"]["cpu_percent"].is_object()
    })
    .await;
    let usage = broker.get(&format!("/v1/machines/{beside}/usage"), &cast.requester).await.expect(200);
    assert_eq!(usage["usage"]["samples"], 0, "{usage:#}");

    // Into the bin, and out of it: the same object, running again, its compute claimed again.
    let space = lab.names("quota")[0].split('/').next().unwrap().to_owned();
    let before = lab.get(&space, "vm", &name).unwrap();
    assert_eq!(act(&broker, &cast, id, "delete").await["state"], "succeeded");
    let binned = lab.get(&space, "vm", &name).unwrap();
    assert_eq!((&binned["spec"]["runStrategy"], lab.names("vmi")), (&json!("Halted"), Vec::<String>::new()));
    let path = format!("/v1/machines/{id}");
    assert_eq!(broker.get(&path, &cast.requester).await.expect(200)["state"], "in_bin");
    let begun = broker.post(&format!("{path}/restore"), &cast.requester, &json!({})).await.expect(202);
    let operation = begun["operation_id"].as_str().or(begun["id"].as_str()).unwrap();
    let ended = broker.finished(operation, &cast.operator, LIMIT).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}\n{}", broker.log());
    let now = lab.get(&space, "vm", &name).unwrap();
    assert_eq!(
        (&now["metadata"]["uid"], &now["spec"]["runStrategy"]),
        (&before["metadata"]["uid"], &json!("RerunOnFailure"))
    );
    assert_eq!((lab.names("vm").len(), lab.names("vmi")), (1, vec![format!("{space}/{name}")]));
    assert_eq!(broker.get(&path, &cast.requester).await.expect(200)["state"], "running");
}
