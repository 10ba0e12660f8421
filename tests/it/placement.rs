//! Where machines go and why not elsewhere, by the public endpoints: levels, spreading, images, leases, the explanation.

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    plain,
};
use serde_json::{Value, json};

/// Everything that a decision may write.
const WRITTEN: [&str; 5] = ["claims", "machines", "operations", "audit", "requests"];

struct Stage {
    broker: Broker,
    cast: Cast,
    url: String,
}

impl Stage {
    async fn new(on: On) -> Self {
        // The worker is paused: this is about places, and nothing is built.
        let setup = Setup::new(on).with("JIYUE_WORKER_WIDTH", "0");
        let url = setup.database_url.clone();
        let broker = Broker::start(setup).await;
        let cast = Cast::arrive(&broker).await;
        broker.post("/v1/task-books", &cast.authority, &broker::task_book()).await.expect(201);
        broker.image(&cast, broker::raw_image()).await;
        Self { broker, cast, url }
    }

    async fn host(&self, name: &str, more: Value) {
        let mut host = json!({"name": name, "uri": "simulated:", "zones": [
            {"zone": "government_extranet", "network": "n1", "bridge": "b1", "cidr": "10.0.0.0/16"}]});
        host.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.broker.post("/v1/hosts", &self.cast.operator, &host).await.expect(201);
    }

    /// A request for so many machines, with these fields changed.
    async fn submit(&self, machines: u32, domain: &str, changes: Value) -> String {
        let mut block = broker::request();
        block["申请虚拟机数量"] = json!(machines);
        block["域名"] = json!(format!("{domain}.xiangcheng.example"));
        block.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let made = self.broker.post("/v1/requests", &self.cast.requester, &block).await.expect(201);
        made["items"][0]["id"].as_str().unwrap().to_owned()
    }

    async fn approve(&self, id: &str) -> broker::Answer {
        self.broker.post(&format!("/v1/requests/{id}/approve"), &self.cast.authority, &json!({})).await
    }

    async fn explain(&self, question: &Value) -> Value {
        self.broker.post("/v1/placement/explain", &self.cast.operator, question).await.expect(200)
    }

    /// The hosts of a request's machines, in order.
    async fn hosts(&self, id: &str) -> Vec<String> {
        let shown = self.broker.get(&format!("/v1/requests/{id}"), &self.cast.authority).await.expect(200);
        let machines = shown["machines"].as_array().unwrap();
        machines.iter().map(|machine| machine["host"].as_str().unwrap().to_owned()).collect()
    }
}

fn chosen(explained: &Value) -> Vec<&str> {
    explained["machines"].as_array().unwrap().iter().map(|choice| choice["host"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_writes_nothing_and_the_approval_does_what_it_said() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        for name in ["a", "b", "c"] {
            stage.host(name, json!({})).await;
        }
        let id = stage.submit(2, "one", json!({})).await;
        let before = plain::counts(&stage.url, &WRITTEN).await;
        let told = stage.explain(&json!({"request": id})).await;
        assert_eq!((&told["possible"], &told["hosts"], &told["refused"]), (&json!(true), &json!(3), &json!([])));
        assert_eq!(told["asked"]["lease_end"].as_str().map(str::len), Some(10), "{on:?} {told:#}");
        let hosts = chosen(&told);
        assert_eq!(hosts.len(), 2, "{on:?} {told:#}");
        assert_ne!(hosts[0], hosts[1], "{on:?}: siblings keep apart");
        assert_eq!(told["machines"][0]["passed"], 3, "{on:?}");
        assert_eq!(told["machines"][0]["next"].as_array().map(Vec::len), Some(2), "{on:?}");
        assert_eq!(told["machines"][0]["score"]["empty"], true, "{on:?}");
        assert_eq!(plain::counts(&stage.url, &WRITTEN).await, before, "{on:?}: nothing is written");
        stage.approve(&id).await.expect(202);
        assert_eq!(stage.hosts(&id).await, hosts, "{on:?}");

        // What runs until later draws what runs as long; nothing begins the third host.
        let same = stage.submit(1, "two", json!({"运行内容": "另一用途"})).await;
        let told = stage.explain(&json!({"request": same})).await;
        assert_eq!(told["machines"][0]["score"]["lease_extension_s"], 0, "{on:?} {told:#}");
        assert_eq!(told["machines"][0]["score"]["lease_gap_s"], 0, "{on:?} {told:#}");
        assert!(hosts.contains(&chosen(&told)[0]), "{on:?} {told:#}");

        // Told by the command line in a table, and as it came.
        let shown = stage.broker.setup.cli(Some(&stage.broker), &stage.cast.auditor, &["placement", "explain", &same]);
        let text = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.status.success() && text.contains("1 台都有位置") && text.contains("租期早于"), "{on:?} {text}");
        let args = ["placement", "explain", &same, "-o", "json"];
        let shown = stage.broker.setup.cli(Some(&stage.broker), &stage.cast.authority, &args);
        let document: Value = serde_json::from_slice(&shown.stdout).unwrap();
        assert_eq!(chosen(&document), chosen(&told), "{on:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_host_that_refuses_says_why_in_the_answer() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        stage.host("low", json!({"mlps_level": 1})).await;
        stage.host("short", json!({})).await;
        stage.host("closed", json!({})).await;
        stage
            .host(
                "elsewhere",
                json!({"zones": [
                {"zone": "internet", "network": "n1", "bridge": "b1", "cidr": "10.1.0.0/24"}]}),
            )
            .await;
        stage.broker.post("/v1/hosts/closed/cordon", &stage.cast.operator, &json!({})).await.expect(200);
        plain::run(&stage.url, "update hosts set limit_memory_bytes = 1048576 where name = 'short'").await.unwrap();
        let id = stage.submit(1, "one", json!({})).await;
        let answer = stage.approve(&id).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (409, "capacity_exceeded"), "{on:?} {answer:?}");
        let hosts = json!([
            {"host": "low", "reason": "mlps_level_low", "message": "最高承载等保 1 级，申请为 2 级", "asked": 2, "free": 1},
            {"host": "short", "reason": "memory_short", "message": "内存不足：需 128 MiB，余 1 MiB（可分配 1 MiB）",
                "asked": 128 << 20, "free": 1 << 20},
            {"host": "closed", "reason": "not_active", "message": "暂停接收"},
            {"host": "elsewhere", "reason": "zone_missing", "message": "没有接入政务外网"},
        ]);
        assert_eq!(answer.body["hosts"], hosts, "{on:?}");
        assert_eq!(
            answer.body["detail"],
            "没有宿主机能够容纳这台虚拟机：low 最高承载等保 1 级，申请为 2 级；\
             short 内存不足：需 128 MiB，余 1 MiB（可分配 1 MiB）；closed 暂停接收；elsewhere 没有接入政务外网",
            "{on:?}"
        );
        let told = stage.explain(&json!({"request": id})).await;
        assert_eq!((&told["possible"], &told["refused_total"]), (&json!(false), &json!(4)), "{on:?}");
        let reasons = told["refused"].as_array().unwrap().iter().map(|refused| {
            assert_eq!(refused["from_machine"], 1);
            refused["reason"].as_str().unwrap()
        });
        assert_eq!(reasons.collect::<Vec<_>>(), ["mlps_level_low", "memory_short", "not_active", "zone_missing"]);

        // By sizes and conditions alone; what is wrong with them is told at once.
        let mut sizes =
            json!({"vcpu": 1, "memory_bytes": 2 << 20, "disk_bytes": 1 << 20, "zone": "government_extranet"});
        assert_eq!(chosen(&stage.explain(&sizes).await), ["low"], "{on:?}: level 1 will do, {sizes}");
        sizes["mlps_level"] = json!(2);
        assert_eq!(stage.explain(&sizes).await["possible"], false, "{on:?}");
        sizes["memory_bytes"] = json!(1 << 20);
        assert_eq!(chosen(&stage.explain(&sizes).await), ["short"], "{on:?}");
        let wrong = json!({"vcpu": 0, "memory_bytes": -1, "zone": "政务内网", "mlps_level": 5, "machines": 65});
        let refused = stage.broker.post("/v1/placement/explain", &stage.cast.operator, &wrong).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (422, "placement_question_refused"), "{on:?}");
        for pointer in ["/vcpu", "/memory_bytes", "/disk_bytes", "/zone", "/mlps_level", "/machines"] {
            assert!(refused.body["detail"].as_str().unwrap().contains(pointer), "{on:?} {pointer} {refused:?}");
        }
        let both = json!({"request": id, "vcpu": 1});
        let refused = stage.broker.post("/v1/placement/explain", &stage.cast.operator, &both).await;
        assert_eq!(refused.code(), "placement_question_refused", "{on:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_that_must_be_apart_are_or_the_request_is_refused() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        for name in ["a", "b"] {
            stage.host(name, json!({})).await;
        }
        let three = stage.submit(3, "one", json!({"分散要求": "必须"})).await;
        let answer = stage.approve(&three).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (409, "capacity_exceeded"), "{on:?} {answer:?}");
        let hosts = answer.body["hosts"].as_array().unwrap();
        assert_eq!(hosts.len(), 2);
        assert!(hosts.iter().all(|host| host["reason"] == "sibling_here"), "{on:?} {answer:?}");
        assert!(answer.body["detail"].as_str().unwrap().contains("第 3 台（共 3 台）"), "{on:?} {answer:?}");
        stage.host("c", json!({})).await;
        stage.approve(&three).await.expect(202);
        let mut hosts = stage.hosts(&three).await;
        hosts.sort();
        assert_eq!(hosts, ["a", "b", "c"], "{on:?}");
        // Where it is only preferred, there is room for more machines than hosts.
        let five = stage.submit(5, "two", json!({"运行内容": "另一用途"})).await;
        stage.approve(&five).await.expect(202);
        let hosts = stage.hosts(&five).await;
        for name in ["a", "b", "c"] {
            assert!(hosts.iter().filter(|host| *host == name).count() <= 2, "{on:?} {hosts:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_whose_file_is_gone_is_only_where_it_is_known_to_lie() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        for name in ["a", "b"] {
            stage.host(name, json!({})).await;
        }
        for file in std::fs::read_dir(stage.broker.setup.folder.join("images")).unwrap().flatten() {
            std::fs::remove_file(file.path()).unwrap();
        }
        let id = stage.submit(2, "one", json!({})).await;
        let answer = stage.approve(&id).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (409, "capacity_exceeded"), "{on:?} {answer:?}");
        assert_eq!(answer.body["hosts"][1]["reason"], "image_unreachable", "{on:?} {answer:?}");
        let lies = "insert into host_images (host_id, sha256) select hosts.id, sha256 from hosts, images where hosts.name = 'b'";
        plain::run(&stage.url, lies).await.unwrap();
        stage.approve(&id).await.expect(202);
        assert_eq!(stage.hosts(&id).await, ["b", "b"], "{on:?}");
    }
}
