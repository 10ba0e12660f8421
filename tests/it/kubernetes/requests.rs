//! The life of a request that came by `kubectl`, and what people try with it.

use super::lab::{LIMIT, Lab, condition, request};
use crate::support::broker::On;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_request_is_applied_followed_built_and_put_into_the_bin() {
    let lab = Lab::start(On::Sqlite, |setup| setup).await;
    assert!(lab.apply(&request("oa", 1)).contains("resourcerequest.cloud.jiyue.io/oa created"));
    let waiting = lab.until_phase("oa", "Submitted");
    assert_eq!(condition(&waiting, "Accepted"), ("True", "accepted"));
    assert_eq!(condition(&waiting, "Approved"), ("Unknown", "waiting"));
    assert_eq!(waiting["metadata"]["finalizers"], json!(["cloud.jiyue.io/machines"]));
    lab.approve(&waiting).await;
    let done = lab.until_ready("oa");
    assert_eq!(done["status"]["phase"], "Delivered");
    assert_eq!(condition(&done, "Provisioned"), ("True", "delivered"));
    assert_eq!(done["status"]["observedGeneration"], done["metadata"]["generation"]);

    let table = lab.plane.done("zhang", &["get", "jiyue", "-n", "mzj"], "");
    eprintln!("{table}");
    let row: Vec<_> =
        table.lines().find(|line| line.starts_with("resourcerequest")).unwrap().split_whitespace().collect();
    assert_eq!(&row[1..5], ["Delivered", "True", "1/1", "相信任〔2026〕17号"]);
    let head: Vec<_> = table.lines().find(|l| l.contains("TASKBOOK")).unwrap().split_whitespace().collect();
    assert_eq!(head, ["NAME", "PHASE", "READY", "MACHINES", "TASKBOOK", "DEADLINE", "AGE"]);
    assert!(table.contains("machine.cloud.jiyue.io/") && table.contains("Running"), "{table}");

    lab.plane.done("zhang", &["delete", "rr", "oa", "-n", "mzj", "--timeout=60s"], "");
    lab.until_gone("oa");
    let machines = lab.broker().get("/v1/machines", &lab.cast.authority).await.expect(200);
    assert_eq!(machines["items"][0]["state"], "in_bin", "{machines:#}");
}

/// What people try, and what comes of it. The database decides; an object only asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_an_object_says_of_itself_approves_nothing() {
    let lab = Lab::start(On::Sqlite, |setup| setup).await;
    let plane = &lab.plane;
    let place = |mut object: Value, namespace: &str| {
        object["metadata"]["namespace"] = json!(namespace);
        object.to_string()
    };

    // Somebody else's namespace, one that is nobody's, and one whose department there is not.
    let foreign = lab.refused("zhang", &["apply", "-f", "-"], &place(request("a", 1), "jyj"));
    assert!(foreign.contains("forbidden"), "{foreign}");
    let label = ["label", "namespace", "mzj", "--overwrite", "cloud.jiyue.io/department=jyj"];
    assert!(lab.refused("zhang", &label, "").contains("forbidden"));
    let forged = ["patch", "rr", "a", "-n", "mzj", "--subresource=status", "--type=merge", "-p", "{\"status\":{}}"];
    assert!(lab.refused("zhang", &forged, "").contains("forbidden"));
    for (namespace, reason) in
        [("ours", "namespace_unassigned"), ("lost", "department_unknown"), ("jyj", "task_book_not_found")]
    {
        plane.done("admin", &["apply", "-f", "-"], &place(request("a", 1), namespace));
        let get = ["get", "rr", "a", "-n", namespace, "-o", "jsonpath={.status.phase} {.status.reason}"];
        let wanted = format!("Refused {reason}");
        eventually(|| plane.done("admin", &get, "") == wanted, &wanted);
        // What is refused can go when it likes.
        plane.done("admin", &["delete", "rr", "a", "-n", namespace, "--timeout=20s"], "");
    }

    // An annotation and a forged status: the status is written over by the truth.
    let mut object = request("b", 2);
    object["metadata"]["annotations"] = json!({"cloud.jiyue.io/approved": "true", "approved-by": "wang"});
    object["status"] = json!({"phase": "Delivered", "approvedGeneration": 1});
    lab.apply(&object);
    let waiting = lab.until_phase("b", "Submitted");
    assert!(waiting["status"].get("approvedGeneration").is_none(), "{waiting:#}");
    let status = json!({"status": {"phase": "Delivered", "approvedGeneration": 1, "term": 999_999, "conditions": [
        {"type": "Approved", "status": "True", "reason": "approved", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    let forge = ["patch", "rr", "b", "-n", "mzj", "--subresource=status", "--type=merge", "-p", &status.to_string()];
    plane.done("admin", &forge, "");
    // In two calls: what we leave out goes with the second.
    let told = lab.until("b", |o| {
        let is_bare = o["status"].get("approvedGeneration").is_none();
        is_bare && condition(o, "Approved") == ("Unknown", "waiting") && o["status"]["phase"] == "Submitted"
    });
    assert_eq!(lab.machines().await, 0);

    // An edit while it waits is another request; the one before is withdrawn.
    let first = told["status"]["requestId"].as_str().unwrap().to_owned();
    object["spec"]["cpuCount"] = json!(2);
    lab.apply(&object);
    let second = lab.until("b", |o| o["status"]["requestId"] != json!(first) && o["status"]["phase"] == "Submitted");
    let before = lab.broker().get(&format!("/v1/requests/{first}"), &lab.cast.authority).await.expect(200);
    assert_eq!(before["state"], "cancelled");

    // The same once more, by another object and by the API: one need is one request.
    let mut again = request("c", 2);
    again["spec"]["cpuCount"] = json!(2);
    lab.apply(&again);
    let refused = lab.until_phase("c", "Refused");
    assert_eq!(condition(&refused, "Accepted"), ("False", "duplicate_request"));
    assert_eq!(refused["status"]["violations"][0]["code"], "duplicate_request");
    lab.plane.done("zhang", &["delete", "rr", "c", "-n", "mzj", "--timeout=20s"], "");

    // Sent back, mended, and submitted anew.
    let path = format!("/v1/requests/{}/return", second["status"]["requestId"].as_str().unwrap());
    lab.broker().post(&path, &lab.cast.authority, &json!({"reason": "请写明用途"})).await.expect(200);
    let returned = lab.until_phase("b", "Returned");
    assert_eq!(condition(&returned, "Approved"), ("False", "returned"));
    object["spec"]["workloadDescription"] = json!("民政综合业务管理平台的应用服务");
    lab.apply(&object);
    let mended = lab.until_phase("b", "Submitted");

    // Once approved, the definition refuses every edit; one that was seen anyway is told and never built.
    lab.approve(&mended).await;
    let done = lab.until_ready("b");
    object["spec"]["vmCount"] = json!(7);
    let late = lab.refused("zhang", &["apply", "-f", "-"], &object.to_string());
    assert!(late.contains("申请已经批准"), "{late}");
    lab.broker().signal("STOP");
    let blank = [
        "patch",
        "rr",
        "b",
        "-n",
        "mzj",
        "--subresource=status",
        "--type=merge",
        "-p",
        "{\"status\":{\"approvedGeneration\":null}}",
    ];
    plane.done("admin", &blank, "");
    lab.apply(&object);
    lab.broker().signal("CONT");
    let edited = lab.until("b", |o| condition(o, "Accepted") == ("False", "edited_after_approval"));
    assert_eq!(edited["status"]["approvedGeneration"], done["status"]["approvedGeneration"]);
    assert_eq!(edited["status"]["digest"], done["status"]["digest"]);
    assert_eq!(lab.machines().await, 1);

    // A finalizer that was taken off is put back, and one that waits is withdrawn with its object.
    lab.apply(&request("d", 4));
    let waiting = lab.until_phase("d", "Submitted");
    lab.plane.done(
        "zhang",
        &["patch", "rr", "d", "-n", "mzj", "--type=merge", "-p", "{\"metadata\":{\"finalizers\":[]}}"],
        "",
    );
    lab.until("d", |o| o["metadata"]["finalizers"] == json!(["cloud.jiyue.io/machines"]));
    lab.plane.done("zhang", &["delete", "rr", "d", "-n", "mzj", "--timeout=60s"], "");
    let path = format!("/v1/requests/{}", waiting["status"]["requestId"].as_str().unwrap());
    assert_eq!(lab.broker().get(&path, &lab.cast.authority).await.expect(200)["state"], "cancelled");
    lab.is_once().await;
}

#[track_caller]
fn eventually(holds: impl Fn() -> bool, what: &str) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < LIMIT, "never {what}");
        std::thread::sleep(Duration::from_millis(150));
    }
}
