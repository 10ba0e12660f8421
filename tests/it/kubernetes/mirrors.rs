//! What shows in the cluster of what came by another way: a request of the API in its department's namespace, its machines,
//! and what was judged of their use. Nothing that is done to a mirror is done to anything else.

use super::lab::{LIMIT, Lab, condition};
use crate::{
    report::{Beside, lived},
    support::broker::{self, On},
};
use jiyue::time::Clock;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A request by the API, of one machine; its id.
async fn ask(lab: &Lab, domain: &str) -> String {
    let mut block = broker::request();
    block["申请虚拟机数量"] = json!(1);
    block["域名"] = json!(domain);
    let made = lab.broker().post("/v1/requests", &lab.cast.requester, &block).await.expect(201);
    made["items"][0]["id"].as_str().expect("an id").to_owned()
}

/// Names of requests' objects in a namespace.
fn names(lab: &Lab, namespace: &str) -> Vec<String> {
    let path = "jsonpath={range .items[*]}{.metadata.name}{\"\\n\"}{end}";
    let text = lab.plane.done("admin", &["get", "rr", "-n", namespace, "-o", path], "");
    text.lines().map(str::to_owned).collect()
}

fn machine_mirrors(lab: &Lab) -> Vec<Value> {
    let list = lab.plane.read("/apis/cloud.jiyue.io/v1alpha1/namespaces/mzj/machines").expect("a list");
    list["items"].as_array().expect("items").clone()
}

#[track_caller]
fn until_mirrors(lab: &Lab, what: &str, wish: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let all = machine_mirrors(lab);
        if wish(&all) {
            return all;
        }
        assert!(began.elapsed() < LIMIT, "never {what}: {all:#?}\n{}", lab.broker().log());
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_request_of_the_api_shows_in_its_departments_namespace_and_its_object_is_no_lever() {
    let lab = Lab::start(On::Sqlite, |setup| setup).await;
    let plane = &lab.plane;
    let id = ask(&lab, "oa.xiangcheng.example").await;
    let waiting = lab.until_phase(&id, "Submitted");
    assert_eq!(condition(&waiting, "Accepted"), ("True", "mirrored"));
    assert_eq!(condition(&waiting, "Approved"), ("Unknown", "waiting"));
    assert_eq!(waiting["status"]["requestId"], json!(id));
    assert_eq!(waiting["metadata"].get("finalizers"), None);
    assert_eq!(names(&lab, "jyj"), [""; 0], "another department's");
    // It says what the request says.
    let kept = lab.broker().get(&format!("/v1/requests/{id}"), &lab.cast.authority).await.expect(200);
    let (spec, block) = (&waiting["spec"], &kept["block"]);
    for (ours, theirs) in [("vmCount", "machines"), ("cpuCount", "vcpu"), ("domain", "domain"), ("osType", "os")] {
        assert_eq!(spec[ours], block[theirs], "{ours}: {spec:#} {block:#}");
    }

    let path = format!("/v1/requests/{id}/approve");
    lab.broker().post(&path, &lab.cast.authority, &json!({})).await.expect(202);
    let done = lab.until_ready(&id);
    assert_eq!(done["status"]["phase"], "Delivered");
    let mirrors = until_mirrors(&lab, "one running", |all| all.len() == 1 && all[0]["status"]["phase"] == "Running");
    assert_eq!(mirrors[0]["metadata"]["ownerReferences"][0]["uid"], done["metadata"]["uid"]);
    assert_eq!(mirrors[0]["status"].get("usageVerdict"), None, "nobody has judged it");
    let machine = mirrors[0]["spec"]["id"].as_str().expect("an id").to_owned();

    // Whoever deletes it deletes what shows.
    plane.done("zhang", &["delete", "rr", &id, "-n", "mzj", "--timeout=30s"], "");
    let back = lab.until_ready(&id);
    assert_ne!(back["metadata"]["uid"], done["metadata"]["uid"]);
    until_mirrors(&lab, "back", |all| {
        all.len() == 1 && all[0]["metadata"]["ownerReferences"][0]["uid"] == back["metadata"]["uid"]
    });

    // An edit is refused once it was approved; where somebody has got past that, it is written over.
    let edit = ["patch", "rr", &id, "-n", "mzj", "--type=merge", "-p", "{\"spec\":{\"vmCount\":7,\"remarks\":\"x\"}}"];
    assert!(lab.refused("zhang", &edit, "").contains("申请已经批准"));
    lab.broker().signal("STOP");
    let blank = "{\"status\":{\"approvedGeneration\":null,\"phase\":\"Failed\"}}";
    plane.done("admin", &["patch", "rr", &id, "-n", "mzj", "--subresource=status", "--type=merge", "-p", blank], "");
    plane.done("zhang", &edit, "");
    lab.broker().signal("CONT");
    let mended = lab.until(&id, |object| object["spec"] == done["spec"] && object["status"]["phase"] == "Delivered");
    assert_eq!(mended["status"]["approvedGeneration"], mended["metadata"]["generation"]);

    // What is judged of its use, and only that.
    let beside = Beside::new(&lab.setup).await;
    let yesterday = Clock::System.today().yesterday().expect("a day");
    lived(&beside.db, &machine, yesterday, 400, 0.4, 50.0).await;
    lab.broker().get(&format!("/v1/reports/idle?as_of={yesterday}"), &lab.cast.authority).await.expect(200);
    until_mirrors(&lab, "judged", |all| all[0]["status"]["usageVerdict"] == "idle");
    let table = plane.done("zhang", &["get", "jm", "-n", "mzj"], "");
    let (head, row) = (table.lines().next().expect("a head"), table.lines().nth(1).expect("a row"));
    let at = head.split_whitespace().position(|word| word == "USAGE").expect("a column");
    assert_eq!(row.split_whitespace().nth(at), Some("idle"), "{table}");

    // No act came of any of it.
    let mut sql = lab.sql().await;
    assert_eq!(sql.column("select state from machines").await, ["running"]);
    assert_eq!(sql.number("select count(*) from requests").await, 1);
    assert_eq!(sql.number("select count(*) from kube_requests").await, 0);
    // What is done where it can be done shows.
    let bin = format!("/v1/machines/{machine}/delete");
    lab.broker().post(&bin, &lab.cast.requester, &json!({})).await.expect(202);
    until_mirrors(&lab, "in the bin", |all| all[0]["status"]["phase"] == "InBin");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_mirror_comes_with_the_namespace_and_does_not_come_back_once_its_request_has_ended() {
    let lab = Lab::start(On::Sqlite, |setup| setup).await;
    let plane = &lab.plane;
    plane.done("admin", &["label", "namespace", "mzj", "cloud.jiyue.io/department-"], "");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let id = ask(&lab, "hr.xiangcheng.example").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(names(&lab, "mzj"), [""; 0], "it is nobody's namespace");
    plane.done("admin", &["label", "namespace", "mzj", "cloud.jiyue.io/department=mzj"], "");
    lab.until_phase(&id, "Submitted");

    let path = format!("/v1/requests/{id}/cancel");
    lab.broker().post(&path, &lab.cast.requester, &json!({"reason": "不需要了"})).await.expect(200);
    let ended = lab.until_phase(&id, "Cancelled");
    assert_eq!(condition(&ended, "Approved"), ("False", "cancelled"));
    plane.done("zhang", &["delete", "rr", &id, "-n", "mzj", "--timeout=30s"], "");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(names(&lab, "mzj"), [""; 0], "nothing of it lives");

    // Many by the API, and the controller learns of all of them when it begins.
    let mut lab = lab;
    lab.plane.done("admin", &["label", "namespace", "mzj", "cloud.jiyue.io/department-"], "");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(ask(&lab, &format!("n{n}.xiangcheng.example")).await);
    }
    lab.broker().signal("STOP");
    lab.plane.done("admin", &["label", "namespace", "mzj", "cloud.jiyue.io/department=mzj"], "");
    lab.restart(|setup| setup);
    lab.brokers[0].ready().await;
    for id in &ids {
        lab.until_phase(id, "Submitted");
    }
    // In somebody else's namespace it is neither shown nor asked for.
    let mut foreign = super::lab::request(&ids[0], 99);
    foreign["metadata"]["namespace"] = json!("jyj");
    lab.plane.done("admin", &["create", "-f", "-"], &foreign.to_string());
    let get = ["get", "rr", &ids[0], "-n", "jyj", "-o", "jsonpath={.status.phase} {.status.reason}"];
    let began = Instant::now();
    while lab.plane.done("admin", &get, "") != "Refused name_is_a_request" {
        assert!(began.elapsed() < LIMIT, "{}", lab.plane.done("admin", &get, ""));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(lab.sql().await.number("select count(*) from requests").await, 6);
}
