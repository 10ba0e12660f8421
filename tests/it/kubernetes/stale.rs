//! The picture that the broker has of the cluster is old, has gaps, or changes under its hands: nothing is built and nothing
//! deleted on it, and it is caught up.

use super::{
    gate::{Gate, behind_a_gate, merges},
    lab::{LIMIT, Lab, request, times},
};
use crate::support::broker::On;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// What is owed after any of it.
const CAUGHT_UP: Duration = Duration::from_secs(60);

fn uid(object: &Value) -> String {
    object["metadata"]["uid"].as_str().expect("a uid").to_owned()
}

/// Takes off what holds an object, as only an administrator would.
fn strip(lab: &Lab, name: &str) {
    let bare = "{\"metadata\":{\"finalizers\":null}}";
    lab.plane.done("admin", &["patch", "rr", name, "-n", "mzj", "--type=merge", "-p", bare], "");
}

fn delete(lab: &Lab, name: &str) {
    lab.plane.done("zhang", &["delete", "rr", name, "-n", "mzj", "--wait=false"], "");
}

/// Deleted, let go by force, and made again under its old name: the same name is another object now.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_object_that_was_made_again_under_its_name_is_not_the_one_that_was_seen() {
    let (lab, gate) = behind_a_gate(On::Sqlite).await;
    for trial in 0..times("JIYUE_TEST_STALE", 1) {
        let name = format!("s{trial}");
        lab.apply(&request(&name, 2 * trial));
        let waiting = lab.until_phase(&name, "Submitted");
        lab.approve(&waiting).await;
        let before = lab.until_ready(&name);
        let path = format!("/v1/requests/{}", before["status"]["requestId"].as_str().unwrap());
        let kept = lab.broker().get(&path, &lab.cast.authority).await.expect(200);
        let machine = kept["machines"][0]["id"].as_str().expect("a machine").to_owned();
        // What the broker itself has just written comes to it too.
        tokio::time::sleep(Duration::from_secs(1)).await;

        gate.hold();
        let made = gate.machines();
        delete(&lab, &name);
        strip(&lab, &name);
        lab.until_gone(&name);
        let mut again = request(&name, 2 * trial + 1);
        again["spec"]["cpuCount"] = json!(2);
        lab.apply(&again);
        let fresh = lab.object(&name).expect("made again");
        assert_ne!(uid(&fresh), uid(&before));

        // Its machine's mirror goes with it, by the cluster's collector, and is not made again for an object that is no more.
        let began = Instant::now();
        while lab.plane.done("admin", &["get", "jm", "-n", "mzj", "-o", "name"], "").lines().count() > trial {
            assert!(began.elapsed() < LIMIT, "nothing collects the mirror");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(gate.machines(), made, "made for an object that is no more");

        // An act in the database makes the broker look, by the picture that it has: the old object, alive.
        let stop = format!("/v1/machines/{machine}/stop");
        let operation = lab.broker().post(&stop, &lab.cast.operator, &json!({})).await.expect(202);
        let done = lab.broker().finished(operation["id"].as_str().unwrap(), &lab.cast.authority, LIMIT).await;
        assert_eq!(done["state"], "succeeded", "{done:#}");
        untouched(&lab, &name, &fresh, &machine).await;

        // Then it sees the old object's deletion, and that alone: what bears the name by now is not to be deleted.
        let passed = gate.passed();
        gate.let_through(1);
        let began = Instant::now();
        while gate.passed() == passed {
            assert!(began.elapsed() < LIMIT, "nothing came through");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        untouched(&lab, &name, &fresh, &machine).await;

        // The whole truth: another request, and the first one's machine is where it was.
        gate.reopen();
        let began = Instant::now();
        let second = lab.until_phase(&name, "Submitted");
        assert!(began.elapsed() < CAUGHT_UP, "{:?}", began.elapsed());
        assert_eq!(uid(&second), uid(&fresh));
        assert_ne!(second["status"]["requestId"], before["status"]["requestId"]);
        lab.approve(&second).await;
        lab.until_ready(&name);
        let mut sql = lab.sql().await;
        let twice = format!(
            "select machines.state from machines join requests on requests.id = request_id join submissions on \
             submissions.id = submission_id where submissions.name = '{name}.mzj.json' order by machines.id"
        );
        assert_eq!(sql.column(&twice).await, ["stopped", "running"]);
    }
    assert_eq!(lab.sql().await.number("select count(*) from kube_requests where deleting_at is not null").await, 0);
    assert_eq!(lab.sql().await.faults().await, [""; 0]);
    between_two_calls(&lab, &gate).await;
}

/// Between what the broker has read or written and its next call somebody else writes: that is neither kept as if it were ours
/// nor wiped out.
async fn between_two_calls(lab: &Lab, gate: &Gate) {
    let (http, server) = lab.plane.client("admin");
    let all = format!("{server}/apis/cloud.jiyue.io/v1alpha1/namespaces/mzj/resourcerequests");
    let merge = |url: String, body: Value| {
        let call = http.patch(url).header("content-type", "application/merge-patch+json").body(body.to_string());
        async move { assert!(call.send().await.expect("an answer").status().is_success()) }
    };
    // A field that we leave out is forged; while it is taken out, another one is.
    lab.apply(&request("forged", 97));
    let waiting = lab.until_phase("forged", "Submitted");
    let status = format!("{all}/forged/status");
    let again = merge(status.clone(), json!({"status": {"digest": "forged"}}));
    gate.interpose(merges("/forged/status"), again);
    merge(status, json!({"status": {"phase": "Delivered", "approvedGeneration": 1}})).await;
    lab.until("forged", |_| gate.has_interposed());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let told = lab.until("forged", |object| object["status"]["phase"] == "Submitted");
    lab.until("forged", |object| object["status"]["digest"].is_null());
    assert_eq!(told["status"]["requestId"], waiting["status"]["requestId"]);

    // Let go by force while we let it go, and made again: what holds the new one is not ours to take off.
    lab.apply(&request("held", 98));
    lab.until_phase("held", "Submitted");
    let mut again = request("held", 99);
    again["metadata"]["finalizers"] = json!(["jiyue.test/held"]);
    let bare = merge(format!("{all}/held"), json!({"metadata": {"finalizers": null}}));
    let made = http.post(&all).header("content-type", "application/json").body(again.to_string());
    gate.interpose(merges("/held"), async move {
        bare.await;
        assert!(made.send().await.expect("an answer").status().is_success());
    });
    delete(lab, "held");
    lab.until("held", |_| gate.has_interposed());
    let fresh = lab.until("held", |object| object["status"]["phase"] == "Submitted");
    let held = fresh["metadata"]["finalizers"].as_array().expect("some").contains(&json!("jiyue.test/held"));
    assert!(held, "{fresh:#}");
    strip(lab, "held");
}

/// For some seconds, in which a broker that believed its picture would have acted on it.
async fn untouched(lab: &Lab, name: &str, fresh: &Value, machine: &str) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        let now = lab.object(name).expect("nobody deletes it");
        assert_eq!((uid(&now), now.get("status")), (uid(fresh), None), "written on what was not seen: {now:#}");
        let mut sql = lab.sql().await;
        let state = sql.column(&format!("select state from machines where id = '{machine}'")).await;
        assert_eq!(state, ["stopped"], "its own object was never read as deleted:\n{}", lab.broker().log());
        let leaving = "select count(*) from kube_requests where deleting_at is not null";
        assert_eq!(sql.number(leaving).await, 0);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The watch is cut, the store forgets and the server starts anew: from where the broker would go on watching, there is nothing
/// any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_watch_that_has_lost_its_place_is_caught_up_and_nothing_follows_from_what_is_missing() {
    let (mut lab, gate) = behind_a_gate(On::Sqlite).await;
    for (n, name) in ["built", "lost", "goes", "edited", "stays"].into_iter().enumerate() {
        lab.apply(&request(name, n));
    }
    for name in ["built", "lost"] {
        let waiting = lab.until_phase(name, "Submitted");
        lab.approve(&waiting).await;
        lab.until_ready(name);
    }
    for name in ["goes", "edited", "stays"] {
        lab.until_phase(name, "Submitted");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let states = "select submissions.name, requests.state from requests join submissions on submissions.id = submission_id \
                  order by requests.id";
    let before = lab.sql().await.rows(states).await;

    gate.shut();
    lab.apply(&request("new", 7));
    delete(&lab, "goes");
    let mut edited = request("edited", 3);
    edited["spec"]["cpuCount"] = json!(2);
    lab.apply(&edited);
    // Gone without a trace, its machine still running: no watch will ever speak of it again.
    delete(&lab, "lost");
    strip(&lab, "lost");
    lab.until_gone("lost");
    lab.plane.compact().await;
    lab.plane.kill("kube-apiserver");
    lab.plane.revive().await;
    assert_eq!(gate.gone(), 0);
    assert_eq!(lab.sql().await.rows(states).await, before, "nothing follows from silence");

    gate.reopen();
    let began = Instant::now();
    lab.until_phase("new", "Submitted");
    lab.until_gone("goes");
    lab.until("edited", |object| {
        let is_seen = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        is_seen && object["status"]["phase"] == "Submitted"
    });
    let took = began.elapsed();
    eprintln!("410 answered {} times; caught up {took:?} after the watch came back", gate.gone());
    assert!(gate.gone() > 0, "the version was not gone:\n{}", lab.broker().log());
    assert!(took < CAUGHT_UP, "{took:?}");

    tokio::time::sleep(Duration::from_secs(6)).await;
    let mut sql = lab.sql().await;
    let after: Vec<_> = sql.rows(states).await.into_iter().map(|row| row.join(" ")).collect();
    let wanted = [
        "built.mzj.json delivered",
        "lost.mzj.json delivered",
        "goes.mzj.json cancelled",
        "edited.mzj.json cancelled",
        "stays.mzj.json submitted",
        "new.mzj.json submitted",
        "edited.mzj.json submitted",
    ];
    let sorted = |mut all: Vec<String>| {
        all.sort();
        all
    };
    assert_eq!(sorted(after), sorted(wanted.map(str::to_owned).to_vec()));
    assert_eq!(sql.column("select state from machines").await, ["running", "running"]);
    lab.is_once().await;
}

/// Somebody else writes the same objects all the time: whatever the broker has read is old when it writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_a_storm_of_conflicts_each_request_is_built_once() {
    const MANY: usize = 10;
    let (lab, gate) = behind_a_gate(On::Sqlite).await;
    let (http, server) = lab.plane.client("admin");
    let (over, writes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    for n in 0..MANY {
        lab.apply(&request(&format!("w{n}"), n));
    }
    let writers: Vec<_> = (0..MANY)
        .map(|n| {
            let (http, over, writes) = (http.clone(), Arc::clone(&over), Arc::clone(&writes));
            let url = format!("{server}/apis/cloud.jiyue.io/v1alpha1/namespaces/mzj/resourcerequests/w{n}");
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    let turn = writes.fetch_add(1, Ordering::SeqCst);
                    let body = json!({"metadata": {"annotations": {"storm": turn.to_string()}}}).to_string();
                    let call = http.patch(&url).header("content-type", "application/merge-patch+json").body(body);
                    let status = call.send().await.expect("an answer").status();
                    assert!(matches!(status, StatusCode::OK | StatusCode::CONFLICT), "{status}");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
        })
        .collect();
    let storm = Duration::from_secs(u64::try_from(times("JIYUE_TEST_STORM_SECONDS", 10)).unwrap());
    let began = Instant::now();
    // Approved as they come; what is slow to be told of is approved all the same.
    let mut approved = 0;
    while began.elapsed() < storm {
        let waiting = lab.broker().get("/v1/requests?state=submitted", &lab.cast.authority).await.expect(200);
        for item in waiting["items"].as_array().expect("items") {
            let path = format!("/v1/requests/{}/approve", item["id"].as_str().unwrap());
            lab.broker().post(&path, &lab.cast.authority, &json!({})).await.expect(202);
            approved += 1;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    over.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.expect("it writes to the end");
    }
    let (conflicts, writes) = (gate.conflicts(), writes.load(Ordering::SeqCst));
    let calm = Instant::now();
    for n in 0..MANY {
        let name = format!("w{n}");
        let seen = lab.until(&name, |object| !object["status"]["requestId"].is_null());
        if seen["status"]["phase"] == "Submitted" {
            let path = format!("/v1/requests/{}/approve", seen["status"]["requestId"].as_str().unwrap());
            // It may have been approved, and its status be old.
            lab.broker().post(&path, &lab.cast.authority, &json!({})).await;
        }
        lab.until_ready(&name);
    }
    let took = calm.elapsed();
    eprintln!(
        "{writes} writes of others, {conflicts} conflicts met by the broker, {approved} approved in the storm; caught up {took:?} after it"
    );
    assert!(conflicts >= MANY, "no storm: {conflicts} conflicts");
    assert!(took < CAUGHT_UP, "{took:?}");
    assert_eq!(lab.machines().await, i64::try_from(MANY).unwrap());
    lab.is_once().await;
}
