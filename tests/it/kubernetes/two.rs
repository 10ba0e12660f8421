//! Two brokers on one PostgreSQL. The one whose term it is stands still, past its lease, and wakes when the other has gone on
//! for it: it must write nothing any more, neither into the database nor into the cluster.

use super::{
    gate::{behind_a_gate, merges},
    lab::{LIMIT, Lab, configure, request, times},
};
use crate::support::{
    Dice,
    broker::{Broker, On, Setup},
    scratch,
};
use std::{
    collections::BTreeMap,
    fs::{File, read_to_string},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_broker_that_wakes_up_after_its_term_writes_nothing() {
    let trials = times("JIYUE_TEST_PAUSES", 2);
    // The first stands still by itself in the one place where it hurts most: its status is composed and not yet written.
    let mut lab = Lab::start(On::Postgres, |setup| setup.with("JIYUE_TEST_STOP_AT", "k8s.status")).await;
    join(&mut lab).await;

    let history = History::watched(&lab);
    let mut dice = Dice::from_env();
    eprintln!("seed {}", dice.seed);
    let mut sql = lab.sql().await;
    let epoch = "select cast(epoch as text) from terms where work = 'kubernetes'";
    let mut stale = 0;
    for trial in 0..trials {
        let name = format!("p{trial}");
        let leader = leader(&lab).await;
        let other = 1 - leader;
        let before = sql.rows(epoch).await;
        lab.apply(&request(&name, trial));
        if trial > 0 {
            tokio::time::sleep(Duration::from_millis(dice.below(500))).await;
            lab.brokers[leader].signal("STOP");
        }
        let began = Instant::now();
        while sql.rows(epoch).await == before {
            assert!(began.elapsed() < LIMIT, "trial {trial}: nobody takes over");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let waiting = lab.until_phase(&name, "Submitted");
        let id = waiting["status"]["requestId"].as_str().unwrap();
        let path = format!("/v1/requests/{id}/approve");
        lab.brokers[other].post(&path, &lab.cast.authority, &serde_json::json!({})).await.expect(202);
        // Whoever's term it is has nothing more to say after that.
        let done = lab.until_ready(&name);
        let written = sql.rows("select cast(writes as text), cast(epoch as text) from terms").await;
        lab.brokers[leader].signal("CONT");
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let after = lab.object(&name).unwrap();
        if after["status"] != done["status"]
            || sql.rows("select cast(writes as text), cast(epoch as text) from terms").await != written
        {
            eprintln!("trial {trial}: {} → {}, {written:?}", done["status"], after["status"]);
            stale += 1;
        }
    }
    let writes = history.never_went_back();
    assert!(writes >= trials, "the history holds {writes} statuses");
    eprintln!("{trials} trials, {writes} statuses, {stale} stale writes");
    assert_eq!(stale, 0);
    assert_eq!(lab.machines().await, i64::try_from(trials).unwrap());
    lab.is_once().await;
}

/// A status that somebody else has put a word into takes two calls. The second is on its way when its broker stands still,
/// and comes in when the other has written a newer status: it rests on what the first has left, and is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_second_call_that_comes_in_after_its_term_is_refused() {
    let (mut lab, gate) = behind_a_gate(On::Postgres).await;
    join(&mut lab).await;
    assert_eq!(leader(&lab).await, 0, "the first one there");
    lab.apply(&request("two", 1));
    let waiting = lab.until_phase("two", "Submitted");
    let history = History::watched(&lab);
    let (go_on, until) = oneshot::channel();
    gate.interpose(merges("/two/status"), async move { until.await.expect("it is let go") });
    let word = "{\"status\":{\"reason\":\"StrangersWord\"}}";
    let patch = ["patch", "rr", "two", "-n", "mzj", "--subresource=status", "--type=merge", "-p", word];
    lab.plane.done("admin", &patch, "");
    lab.until("two", |_| gate.has_interposed());
    lab.brokers[0].signal("STOP");
    let path = format!("/v1/requests/{}/approve", waiting["status"]["requestId"].as_str().unwrap());
    lab.brokers[1].post(&path, &lab.cast.authority, &serde_json::json!({})).await.expect(202);
    let done = lab.until_ready("two");
    assert!(done["status"]["reason"].is_null(), "{done:#}");
    assert_eq!(gate.conflicts(), 0);
    go_on.send(()).expect("it is waited for");
    lab.until("two", |_| gate.conflicts() > 0);
    lab.brokers[0].signal("CONT");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(lab.object("two").unwrap()["status"], done["status"]);
    assert!(history.never_went_back() >= 2);
    lab.is_once().await;
}

/// Every status that there ever was since it began, in order.
struct History {
    file: PathBuf,
    watch: Child,
}

impl History {
    fn watched(lab: &Lab) -> Self {
        let file = lab.plane.folder.join("history");
        let watch = Command::new(crate::support::control_plane::programs().join("kubectl"))
            .arg("--kubeconfig")
            .arg(lab.plane.folder.join("admin.kubeconfig"))
            .args(["get", "rr", "-n", "mzj", "--watch", "--output-watch-events", "-o"])
            .arg("jsonpath={.object.metadata.name} {.object.status.term}{\"\\n\"}")
            .stdout(File::create(&file).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { file, watch }
    }

    /// No status is of an earlier term than the one before it; how many there were.
    #[track_caller]
    fn never_went_back(mut self) -> usize {
        let _ = self.watch.kill();
        let _ = self.watch.wait();
        let mut newest: BTreeMap<String, i64> = BTreeMap::new();
        let mut writes = 0;
        for line in read_to_string(&self.file).unwrap().lines() {
            let Some((name, term)) = line.split_once(' ') else { continue };
            let Ok(term) = term.trim().parse::<i64>() else { continue };
            writes += 1;
            let known = newest.entry(name.to_owned()).or_insert(term);
            assert!(term >= *known, "{name} was written in term {term} after term {known}");
            *known = term;
        }
        writes
    }
}

/// Waits until the first broker stands still by itself.
async fn until_still(lab: &Lab) {
    let stat = format!("/proc/{}/stat", lab.brokers[0].pid());
    let began = Instant::now();
    while !read_to_string(&stat).unwrap().contains(") T ") {
        assert!(began.elapsed() < LIMIT, "it never stood still:\n{}", lab.brokers[0].log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A second broker on the same database, which never stands still by itself.
async fn join(lab: &mut Lab) {
    let mut second = lab.setup.clone();
    second.env.retain(|(key, _)| key != "JIYUE_TEST_STOP_AT");
    second.folder = scratch("second");
    second = second.with("JIYUE_IMAGE_FOLDER", &lab.setup.folder.join("images").to_string_lossy());
    second = second.with("JIYUE_SECRET_KEY_FILE", &lab.setup.folder.join("secret.key").to_string_lossy());
    configure(&lab.plane.folder.join("jiyue.kubeconfig"), &second);
    lab.brokers.push(Broker::start(second).await);
}

/// Everything about the submission is decided and nothing written when the broker stands still. When it wakes, the other has
/// let the object go, and there is nothing left that could tell it so but its term.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_submission_that_wakes_up_after_its_term_is_none() {
    // Long enough for a deletion in between, on a slow machine.
    let adjust =
        |setup: Setup| setup.with("JIYUE_TEST_STOP_AT", "k8s.submitting").with("JIYUE_WORKER_LEASE_SECONDS", "12");
    let mut lab = Lab::start(On::Postgres, adjust).await;
    join(&mut lab).await;
    assert_eq!(leader(&lab).await, 0, "the first one there");
    lab.apply(&request("late", 1));
    until_still(&lab).await;
    lab.plane.done("zhang", &["delete", "rr", "late", "-n", "mzj", "--wait=false"], "");
    let mut sql = lab.sql().await;
    assert_eq!(sql.number("select count(*) from requests").await, 0, "the other was too early");
    lab.until_gone("late");
    assert!(lab.brokers[1].log().contains("kubernetes.term.began"));
    lab.brokers[0].signal("CONT");
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(sql.number("select count(*) from requests").await, 0, "{}", lab.brokers[0].log());
    assert_eq!(sql.number("select count(*) from kube_requests").await, 0);
    // It is well otherwise.
    lab.apply(&request("next", 2));
    lab.until_phase("next", "Submitted");
    lab.is_once().await;
}

/// Whose term it is.
async fn leader(lab: &Lab) -> usize {
    let began = Instant::now();
    loop {
        for (n, broker) in lab.brokers.iter().enumerate() {
            let metrics = broker.get("/metrics", &lab.cast.auditor).await;
            if metrics.body.as_str().is_some_and(|text| text.contains("jiyue_kubernetes_leader 1")) {
                return n;
            }
        }
        assert!(began.elapsed() < LIMIT, "nobody leads");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
