//! The broker dies at every step, the API server is away, the store forgets: everything is caught up, once.

use super::lab::{LIMIT, Lab, condition, request};
use crate::support::{
    self,
    broker::{self, On},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What leads to a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Apply,
    /// Of what waits.
    Edit,
    Delete,
    Approve,
    /// Deleting what runs.
    Bin,
    /// A request by the API.
    Ask,
}

const PLACES: &[(&str, Way)] = &[
    ("k8s.finalizer", Way::Apply),
    ("k8s.submitting", Way::Apply),
    ("k8s.submitted", Way::Apply),
    ("k8s.status", Way::Apply),
    ("k8s.replaced", Way::Edit),
    ("k8s.leaving", Way::Delete),
    ("k8s.withdrawn", Way::Delete),
    ("k8s.released", Way::Delete),
    ("approval.committed", Way::Approve),
    ("build.0.disk", Way::Approve),
    ("build.deliver", Way::Approve),
    ("k8s.mirror", Way::Approve),
    ("k8s.mirror_status", Way::Approve),
    ("k8s.binned", Way::Bin),
    ("k8s.mirrored", Way::Ask),
];

/// Where it dies, and then one that does not: what was asked for is there once, and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_broker_that_dies_at_any_step_is_followed_by_one_that_ends_it_once() {
    let mut lab = Lab::start(On::Sqlite, |setup| setup).await;
    for (n, (place, way)) in PLACES.iter().enumerate() {
        let mut name = format!("r{n}");
        let mut object = request(&name, n);
        let mut waiting = Value::Null;
        if !matches!(way, Way::Apply | Way::Ask) {
            lab.apply(&object);
            waiting = lab.until_phase(&name, "Submitted");
        }
        if *way == Way::Bin {
            lab.approve(&waiting).await;
            lab.until_ready(&name);
        }
        let here = (*place).to_owned();
        lab.restart(|setup| setup.with("JIYUE_CRASH_AT", &here));
        match way {
            Way::Apply => drop(lab.apply(&object)),
            Way::Edit => {
                object["spec"]["cpuCount"] = json!(3);
                lab.apply(&object);
            }
            Way::Delete | Way::Bin => {
                drop(lab.plane.done("zhang", &["delete", "rr", &name, "-n", "mzj", "--wait=false"], ""));
            }
            Way::Approve | Way::Ask => {
                lab.brokers[0].ready().await;
                let (path, token, body) = if *way == Way::Ask {
                    let mut block = broker::request();
                    block["申请虚拟机数量"] = json!(1);
                    ("/v1/requests".to_owned(), &lab.cast.requester, block)
                } else {
                    let id = waiting["status"]["requestId"].as_str().unwrap();
                    (format!("/v1/requests/{id}/approve"), &lab.cast.authority, json!({}))
                };
                // It may die before it answers.
                let url = format!("{}{path}", lab.broker().url);
                let _ = support::http().post(url).bearer_auth(token).json(&body).send().await;
            }
        }
        assert!(lab.brokers[0].died(LIMIT), "it never came to {place}:\n{}", lab.brokers[0].log());
        if *place == "k8s.submitted" {
            // The finalizer comes first: there is never a request whose object could go without it.
            let left = lab.object(&name).expect("applied");
            assert_eq!(left["metadata"]["finalizers"], json!(["cloud.jiyue.io/machines"]), "{left:#}");
        }
        lab.restart(|setup| setup);
        lab.brokers[0].ready().await;
        let began = Instant::now();
        if *way == Way::Ask {
            let ids = "select requests.id from requests where id not in (select request_id from kube_requests)";
            name = lab.sql().await.column(ids).await.pop().expect("it was asked before it died");
        }
        match way {
            Way::Apply | Way::Edit | Way::Ask => {
                let cpus = object["spec"]["cpuCount"].clone();
                let told = lab.until(&name, |o| {
                    let is_seen = o["status"]["observedGeneration"] == o["metadata"]["generation"];
                    is_seen && o["status"]["phase"] == "Submitted" && condition(o, "Accepted").0 == "True"
                });
                let path = format!("/v1/requests/{}", told["status"]["requestId"].as_str().unwrap());
                let kept = lab.broker().get(&path, &lab.cast.authority).await.expect(200);
                assert_eq!(kept["state"], "submitted", "{place}: {kept:#}");
                assert!(*way == Way::Ask || kept["block"]["vcpu"] == cpus, "{place}: {kept:#}");
                eprintln!("{place}: caught up {:?} after the restart", began.elapsed());
                lab.approve(&told).await;
                lab.until_ready(&name);
            }
            Way::Approve => {
                lab.until_ready(&name);
                eprintln!("{place}: built {:?} after the restart", began.elapsed());
                let mirrors = || lab.plane.done("admin", &["get", "jm", "-n", "mzj", "--no-headers"], "");
                let (count, began) = (lab.machines().await, Instant::now());
                while i64::try_from(mirrors().lines().count()).unwrap() < count {
                    assert!(began.elapsed() < LIMIT, "{place}: {}", mirrors());
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
            Way::Delete | Way::Bin => {
                lab.until_gone(&name);
                eprintln!("{place}: gone {:?} after the restart", began.elapsed());
            }
        }
        lab.is_once().await;
    }
    // Each that was approved has the one machine that it asked for, by whichever death.
    let mut sql = lab.sql().await;
    let many = |wanted: &[Way]| PLACES.iter().filter(|(_, way)| wanted.contains(way)).count().to_string();
    let built = many(&[Way::Apply, Way::Edit, Way::Ask, Way::Approve]);
    assert_eq!(
        sql.rows("select state, cast(count(*) as text) from machines group by state order by state").await,
        [["in_bin".to_owned(), many(&[Way::Bin])], ["running".to_owned(), built]]
    );
    let each = "select cast(count(*) as text) from machines group by request_id having count(*) <> 1";
    assert_eq!(sql.column(each).await, [""; 0]);
    assert_eq!(
        sql.number("select count(*) from kube_requests where deleting_at is not null and released_at is null").await,
        0
    );
}

/// Nothing is concluded from what cannot be seen, and what is built meanwhile is built.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_api_server_that_is_away_and_a_store_that_forgets_change_nothing() {
    let mut lab = Lab::start(On::Sqlite, |setup| setup).await;
    lab.apply(&request("stays", 1));
    lab.apply(&request("built", 2));
    lab.apply(&request("goes", 3));
    let waiting = lab.until_phase("built", "Submitted");
    lab.until_phase("stays", "Submitted");
    lab.until_phase("goes", "Submitted");

    let away = Duration::from_secs(u64::try_from(super::lab::times("JIYUE_TEST_AWAY_SECONDS", 15)).unwrap());
    lab.plane.kill("kube-apiserver");
    let operation = lab.approve(&waiting).await;
    let done = lab.broker().finished(operation["id"].as_str().unwrap(), &lab.cast.authority, LIMIT).await;
    assert_eq!(done["state"], "succeeded", "without the cluster: {done:#}");
    tokio::time::sleep(away).await;
    assert_eq!(
        lab.sql().await.column("select distinct state from requests order by state").await,
        ["delivered", "submitted"]
    );
    lab.plane.revive().await;
    let began = Instant::now();
    lab.until_ready("built");
    let took = began.elapsed();
    eprintln!("away {away:?}; caught up {took:?} after its return");
    assert!(took < Duration::from_secs(60));

    // The broker stands still; the versions that it watches from are forgotten, the server starts anew.
    lab.broker().signal("STOP");
    lab.apply(&request("new", 4));
    lab.plane.done("zhang", &["delete", "rr", "goes", "-n", "mzj", "--wait=false"], "");
    lab.plane.compact().await;
    lab.plane.kill("kube-apiserver");
    lab.plane.revive().await;
    lab.broker().signal("CONT");
    lab.until_phase("new", "Submitted");
    lab.until_gone("goes");
    let states = "select submissions.name, requests.state from requests join submissions on submissions.id = submission_id \
                  order by submissions.name";
    let expected = [("built", "delivered"), ("goes", "cancelled"), ("new", "submitted"), ("stays", "submitted")];
    let rows = lab.sql().await.rows(states).await;
    assert_eq!(rows, expected.map(|(name, state)| vec![format!("{name}.mzj.json"), state.to_owned()]));

    // With the worker paused nothing enters the bin: the object waits, and after its time that is an alarm.
    lab.restart(|setup| setup.with("JIYUE_WORKER_WIDTH", "0"));
    lab.brokers[0].ready().await;
    lab.plane.done("zhang", &["delete", "rr", "built", "-n", "mzj", "--wait=false"], "");
    let began = Instant::now();
    let alarm = loop {
        let alarms = lab.broker().get("/v1/alarms?kind=finalizer_stuck", &lab.cast.operator).await.expect(200);
        if let Some(alarm) = alarms["items"].get(0) {
            break alarm.clone();
        }
        assert!(began.elapsed() < LIMIT, "no alarm:\n{}", lab.broker().log());
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    assert_eq!((&alarm["name"], &alarm["host"]), (&json!("mzj/built"), &json!(null)), "{alarm:#}");
    assert!(lab.object("built").is_some());
    let metrics = lab.broker().get("/metrics", &lab.cast.auditor).await;
    assert!(metrics.body.as_str().unwrap_or_default().contains("jiyue_kubernetes_deletions_waiting 1"), "{metrics:?}");
    // Whoever takes the finalizer off has not stopped it: that it was to be deleted is known.
    lab.plane.done(
        "admin",
        &["patch", "rr", "built", "-n", "mzj", "--type=merge", "-p", "{\"metadata\":{\"finalizers\":null}}"],
        "",
    );
    lab.until_gone("built");
    lab.restart(|setup| setup);
    lab.brokers[0].ready().await;
    let began = Instant::now();
    loop {
        let open = lab.broker().get("/v1/alarms?kind=finalizer_stuck", &lab.cast.operator).await.expect(200);
        if open["items"].as_array().is_some_and(Vec::is_empty) {
            break;
        }
        assert!(began.elapsed() < LIMIT, "never cleared: {open:#}\n{}", lab.broker().log());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(lab.sql().await.rows("select state from machines").await, [["in_bin"]]);
    lab.is_once().await;
}
