//! The broker dies at every step, the API server is away, the store forgets: everything is caught up, once.

use super::lab::{LIMIT, Lab, condition, request};
use crate::support::broker::On;
use serde_json::json;
use std::time::{Duration, Instant};

/// Where it dies, and what leads there: an application, an edit, a deletion while it waits, a deletion once it runs.
const PLACES: &[(&str, &str)] = &[
    ("k8s.finalizer", "apply"),
    ("k8s.submitted", "apply"),
    ("k8s.status", "apply"),
    ("k8s.replaced", "edit"),
    ("k8s.leaving", "delete"),
    ("k8s.withdrawn", "delete"),
    ("k8s.released", "delete"),
    ("k8s.binned", "bin"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_broker_that_dies_at_any_step_is_followed_by_one_that_ends_it_once() {
    let mut lab = Lab::start(On::Sqlite, |setup| setup).await;
    for (n, (place, way)) in PLACES.iter().enumerate() {
        let name = format!("r{n}");
        let mut object = request(&name, n);
        if *way != "apply" {
            lab.apply(&object);
            let waiting = lab.until_phase(&name, "Submitted");
            if *way == "bin" {
                lab.approve(&waiting).await;
                lab.until(&name, |object| condition(object, "Ready").0 == "True");
            }
        }
        let here = (*place).to_owned();
        lab.restart(|setup| setup.with("JIYUE_CRASH_AT", &here));
        match *way {
            "apply" => drop(lab.apply(&object)),
            "edit" => {
                object["spec"]["cpuCount"] = json!(3);
                lab.apply(&object);
            }
            _ => drop(lab.plane.done("zhang", &["delete", "rr", &name, "-n", "mzj", "--wait=false"], "")),
        }
        assert!(lab.brokers[0].died(LIMIT), "it never came to {place}:\n{}", lab.brokers[0].log());
        lab.restart(|setup| setup);
        lab.brokers[0].ready().await;
        let began = Instant::now();
        match *way {
            "apply" | "edit" => {
                let cpus = object["spec"]["cpuCount"].clone();
                let told = lab.until(&name, |o| {
                    let is_seen = o["status"]["observedGeneration"] == o["metadata"]["generation"];
                    is_seen && o["status"]["phase"] == "Submitted" && condition(o, "Accepted").0 == "True"
                });
                let path = format!("/v1/requests/{}", told["status"]["requestId"].as_str().unwrap());
                let kept = lab.broker().get(&path, &lab.cast.authority).await.expect(200);
                assert_eq!((&kept["state"], &kept["block"]["vcpu"]), (&json!("submitted"), &cpus), "{place}: {kept:#}");
            }
            _ => lab.until_gone(&name),
        }
        eprintln!("{place}: caught up {:?} after the restart", began.elapsed());
        lab.is_once().await;
    }
    let mut sql = lab.sql().await;
    assert_eq!(sql.rows("select state from machines").await, [["in_bin"]]);
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
    lab.until("built", |object| condition(object, "Ready").0 == "True");
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
