//! Two brokers on one PostgreSQL and one host. The one that holds the lease is stopped in the middle of its work and wakes
//! up when the other has long finished: it must change nothing any more, neither in the books nor on the host.

use crate::support::{
    Dice,
    broker::{self, Broker, Cast, On, Setup, halting_image},
    site::Site,
    sql::Sql,
};
use serde_json::json;
use std::{
    process::Command,
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_broker_that_wakes_up_late_changes_nothing() {
    let site = Site::new();
    let setup = Setup::new(On::Postgres).with("JIYUE_BOOTS_AT_ONCE", "8");
    let mut second = setup.clone();
    second.folder = crate::support::scratch("second");
    // Both find the images where they were imported.
    second = second.with("JIYUE_IMAGE_FOLDER", &setup.folder.join("images").to_string_lossy());
    let late = Broker::start(setup.clone()).await;
    let cast = Cast::arrive(&late).await;
    let mut book = broker::task_book();
    book["indicators"] = json!({"machines": 100, "vcpu": 100, "memory": "400 GiB", "disk": "400 GiB"});
    late.post("/v1/task-books", &cast.authority, &book).await.expect(201);
    late.post("/v1/hosts", &cast.operator, &site.host()).await.expect(201);
    late.image(&cast, halting_image()).await;
    // Nobody answers for the guests: each build waits for its last part, until the requester withdraws the request.
    site.play_guests(20, false).await;
    let mut sql = Sql::reading(&setup.database_url).await;
    let mut dice = Dice::from_env();
    let seed = dice.seed;
    eprintln!("seed {seed}");

    for round in 0..4 {
        let mut block = broker::request();
        block["域名"] = json!(format!("{}-r{round}.xiangcheng.example", site.name));
        block["申请虚拟机数量"] = json!(1);
        let made = late.post("/v1/requests", &cast.requester, &block).await.expect(201);
        let id = made["items"][0]["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/requests/{id}/approve");
        let operation = late.post(&path, &cast.authority, &json!({})).await.expect(202);
        let operation = operation["id"].as_str().unwrap();
        let pause = Duration::from_millis(dice.below(2200));
        tokio::time::sleep(pause).await;
        signal(&late, "STOP");
        let when = format!("seed {seed}, round {round}, stopped after {pause:?}");

        // The other takes over when the lease is over, and undoes everything.
        let other = Broker::start(second.clone()).await;
        let cancel = format!("/v1/requests/{id}/cancel");
        other.post(&cancel, &cast.requester, &json!({})).await.expect(202);
        let done = other.finished(operation, &cast.authority, Duration::from_secs(180)).await;
        assert_eq!(done["state"], "cancelled", "{when}: {done:#}");
        assert_eq!(site.faults(&mut sql).await, Vec::<String>::new(), "{when}");

        signal(&late, "CONT");
        let row = format!(
            "select state, cast(epoch as text), cast(finished_at as text) from operations where id = '{operation}'"
        );
        let finished = sql.rows(&row).await;
        // What it was in the middle of it may still do to the host, and must then take back.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let began = Instant::now();
        let mut faults = site.faults(&mut sql).await;
        while !faults.is_empty() && began.elapsed() < Duration::from_secs(60) {
            eprintln!("{when}, not yet taken back: {faults:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
            faults = site.faults(&mut sql).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(sql.rows(&row).await, finished, "{when}");
        assert_eq!(finished[0][1], "2", "{when}: taken once by each");
        assert_eq!(site.faults(&mut sql).await, Vec::<String>::new(), "{when}, after it woke up");
        for action in ["request.approve", "request.cancel", "request.undo"] {
            let count = format!("select count(*) from audit where action = '{action}' and object_id = '{id}'");
            assert_eq!(sql.number(&count).await, 1, "{when}: {action}");
        }
    }
}

fn signal(broker: &Broker, name: &str) {
    let done = Command::new("kill").args([&format!("-{name}"), &broker.pid().to_string()]).status();
    assert!(done.expect("kill runs").success());
}
