//! Many at once: each is built exactly once, at a bounded cost, and at rest nobody asks for anything.

use super::lab::{LIMIT, Lab, condition, request, times};
use crate::support::broker::On;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_requests_at_once_are_each_built_exactly_once() {
    let many = times("JIYUE_TEST_CROWD", 60);
    let lab =
        Lab::start(On::Sqlite, |setup| setup.with("JIYUE_WORKER_WIDTH", "32").with("JIYUE_BOOTS_AT_ONCE", "64")).await;
    let before = asked(&lab);
    let items: Vec<Value> = (0..many).map(|n| request(&format!("c{n}"), n)).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    lab.plane.done("zhang", &["create", "-f", "-"], &list);
    // Sent again, it is what it is.
    lab.plane.done("zhang", &["apply", "--server-side", "-f", "-"], &list);
    let ids = until_all(&lab, many, "Submitted");
    assert_eq!(lab.machines().await, 0);
    let began = Instant::now();
    for some in ids.chunks(200) {
        let answer = lab.broker().post("/v1/requests/approve", &lab.cast.authority, &json!({"ids": some})).await;
        let outcomes = answer.expect(200);
        assert!(outcomes["items"].as_array().unwrap().iter().all(|item| item["status"] == 202), "{outcomes:#}");
    }
    until_all(&lab, many, "Delivered");
    eprintln!("{many} requests: {:?} from the act to the last status", began.elapsed());
    assert_eq!(lab.machines().await, i64::try_from(many).unwrap());
    lab.is_once().await;
    // One status may have told of two things, and tells of both.
    let all = lab.plane.done("admin", &["get", "rr", "-n", "mzj", "-o", "json"], "");
    let all: Value = serde_json::from_str(&all).unwrap();
    for object in all["items"].as_array().unwrap() {
        for (kind, reason) in [("Accepted", "accepted"), ("Approved", "approved"), ("Provisioned", "delivered")] {
            assert_eq!(condition(object, kind), ("True", reason), "{object:#}");
        }
        assert_eq!(object["status"]["approvedGeneration"], object["metadata"]["generation"]);
    }

    // Until all mirrors are written.
    let mirrors = || lab.plane.done("admin", &["get", "jm", "-n", "mzj", "--no-headers"], "");
    let began = Instant::now();
    while mirrors().lines().filter(|line| line.contains("Running")).count() < many {
        assert!(began.elapsed() < LIMIT, "{}", mirrors());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let free = lab.plane.done("admin", &["get", "tb", "-o", "jsonpath={.items[0].status.free.machines}"], "");
    assert_eq!(free.trim(), (5000 - many).to_string());
    let spent = difference(&before, &asked(&lab));
    let ours: i64 = spent.iter().filter(|(what, _)| !what.contains("kubectl")).map(|(_, n)| n).sum();
    eprintln!("asked of the API server, what kubectl asked included: {spent:#?}\n{ours} in all for {many} machines");

    // At rest: not one request but watches in ten seconds.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let quiet = asked(&lab);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(difference(&quiet, &asked(&lab)), BTreeMap::new());
    told_all_the_same(lab, many).await;
}

/// In a crowd an approval is told with what comes of it. Where nothing comes, for nobody builds, it is told all the same.
async fn told_all_the_same(mut lab: Lab, before: usize) {
    const MANY: usize = 40;
    lab.restart(|setup| setup.with("JIYUE_WORKER_WIDTH", "0"));
    lab.brokers[0].ready().await;
    let items: Vec<Value> = (0..MANY).map(|n| request(&format!("d{n}"), before + n)).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    lab.plane.done("zhang", &["create", "-f", "-"], &list);
    let ids = until_all(&lab, MANY, "Submitted");
    lab.broker().post("/v1/requests/approve", &lab.cast.authority, &json!({"ids": ids})).await.expect(200);
    let began = Instant::now();
    until_all(&lab, MANY, "Approved");
    eprintln!("{MANY} approvals that nobody builds upon are told after {:?}", began.elapsed());
    let object = lab.object("d0").expect("it is there");
    assert_eq!((condition(&object, "Approved").0, condition(&object, "Provisioned").1), ("True", "building"));
    assert_eq!(object["status"]["approvedGeneration"], object["metadata"]["generation"]);
}

/// Waits until so many objects are in a phase; their requests' ids.
fn until_all(lab: &Lab, many: usize, phase: &str) -> Vec<String> {
    let columns = "custom-columns=P:.status.phase,I:.status.requestId";
    let limit = LIMIT + Duration::from_millis(200) * u32::try_from(many).unwrap();
    let began = Instant::now();
    loop {
        let table = lab.plane.done("admin", &["get", "rr", "-n", "mzj", "--no-headers", "-o", columns], "");
        let rows: Vec<_> = table.lines().filter_map(|line| line.split_once(char::is_whitespace)).collect();
        let there: Vec<_> = rows.iter().filter(|(p, _)| *p == phase).map(|(_, id)| id.trim().to_owned()).collect();
        if there.len() == many {
            return there;
        }
        assert!(began.elapsed() < limit, "{} of {many} are {phase}:\n{}", there.len(), lab.broker().log());
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Calls of our resources that were no watches, by verb and resource, as the API server counts them. Only the broker and
/// the test's own kubectl make any.
fn asked(lab: &Lab) -> BTreeMap<String, i64> {
    let metrics = lab.plane.done("admin", &["get", "--raw", "/metrics"], "");
    let label = |line: &str, name: &str| {
        line.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split_once('"')).map(|(v, _)| v.to_owned())
    };
    let mut counts = BTreeMap::new();
    for line in metrics.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
        if label(line, "group").as_deref() != Some("cloud.jiyue.io") || label(line, "verb").as_deref() == Some("WATCH")
        {
            continue;
        }
        let part = |name| label(line, name).unwrap_or_default();
        let key = format!("{} {} {} {}", part("verb"), part("resource"), part("subresource"), part("code"));
        let count = line.rsplit_once(' ').and_then(|(_, n)| n.parse::<f64>().ok()).unwrap_or_default();
        #[allow(clippy::cast_possible_truncation, reason = "a count")]
        let count = count as i64;
        *counts.entry(key).or_default() += count;
    }
    counts
}

fn difference(before: &BTreeMap<String, i64>, after: &BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    let more = |(key, n): (&String, &i64)| (key.clone(), n - before.get(key).copied().unwrap_or_default());
    after.iter().map(more).filter(|(_, n)| *n > 0).collect()
}
