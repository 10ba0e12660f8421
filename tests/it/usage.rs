//! What machines use, from the host's answer to the API, on both databases. The machines here are simulated and do nothing;
//! what real guests use is in `provider_libvirt::readings`.

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    plain,
};
use jiyue::{
    capacity::providers::Providers,
    db::{Db, Options},
    ids::MachineId,
    metrics::Metrics,
    provider::reading::{Filesystem, Guest, Reading},
    time::{self, Clock},
    units::Bytes,
    usage::{Day, Interval, Metric, service::Collector, store},
};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(60);

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The id of a machine that has been built.
pub async fn machine(broker: &Broker, cast: &Cast) -> String {
    let mut block = broker::request();
    block["申请虚拟机数量"] = json!(1);
    let made = broker.post("/v1/requests", &cast.requester, &block).await.expect(201);
    let id = text(&made, "/items/0/id");
    let operation = broker.post(&format!("/v1/requests/{id}/approve"), &cast.authority, &json!({})).await.expect(202);
    let done = broker.finished(&text(&operation, "/id"), &cast.authority, LIMIT).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    let request = broker.get(&format!("/v1/requests/{id}"), &cast.operator).await.expect(200);
    text(&request, "/machines/0/id")
}

/// Asks until it is so.
async fn until(broker: &Broker, token: &str, path: &str, so: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let body = broker.get(path, token).await.expect(200);
        if so(&body) {
            return body;
        }
        assert!(began.elapsed() < LIMIT, "{body:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn samples(body: &Value) -> u64 {
    body["usage"]["samples"].as_u64().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_machines_use_is_read_kept_and_shown() {
    for on in On::BOTH {
        let setup = Setup::new(on).with("JIYUE_USAGE_SECONDS", "1");
        let mut broker = Broker::start(setup.clone()).await;
        let cast = Cast::arrive(&broker).await;
        broker.furnish(&cast).await;
        let id = machine(&broker, &cast).await;
        let path = format!("/v1/machines/{id}/usage");

        let used = until(&broker, &cast.requester, &path, |body| samples(body) >= 3).await;
        assert_eq!(used["usage"]["cpu_percent"]["max"], 0.0, "it does nothing: {used:#}");
        assert_eq!(used["usage"]["memory_percent"], Value::Null, "nobody tells: {used:#}");
        assert_eq!(used["days"].as_array().map(Vec::len), Some(1), "{used:#}");
        let covered = used.pointer("/days/0/coverage_percent").and_then(Value::as_f64).unwrap();
        assert!(covered > 0.0 && covered < 1.0, "seconds of a day: {covered}");

        // Answered is written: who dies loses at most what was not answered yet.
        broker.kill();
        let mut broker = Broker::start(setup.clone()).await;
        let again = broker.get(&path, &cast.requester).await.expect(200);
        assert!(samples(&again) >= samples(&used), "{again:#}");

        let listed = broker.get("/v1/usage?department=mzj&sort=name", &cast.auditor).await.expect(200);
        assert_eq!(text(&listed, "/items/0/id"), id);
        // Long ago there was nothing, which is known to be nothing.
        let before = broker.get("/v1/usage?from=2020-01-01&to=2020-01-31", &cast.authority).await.expect(200);
        assert_eq!(before.pointer("/items/0/usage/samples"), Some(&json!(0)), "{before:#}");
        assert_eq!(before.pointer("/items/0/usage/cpu_percent"), Some(&Value::Null));

        assert_eq!(broker.get(&path, &cast.other_requester).await.code(), "not_found");
        let theirs = broker.get("/v1/usage", &cast.other_requester).await.expect(200);
        assert_eq!(theirs["items"], json!([]));
        for wrong in ["?from=2026-02-01&to=2026-01-01", "?from=2020-01-01&to=2026-01-01", "?from=yesterday"] {
            let refused = broker.get(&format!("{path}{wrong}"), &cast.requester).await;
            assert_eq!((refused.status.as_u16(), refused.code()), (400, "malformed"), "{wrong}: {refused:?}");
        }

        assert_eq!(used["guest"], Value::Null, "it has no agent");
        broker.kill();
        a_silent_machine_has_its_day_closed(&setup, &id).await;
        let broker = Broker::start(setup.clone()).await;
        let told = broker.get(&path, &cast.requester).await.expect(200);
        assert_eq!(told.pointer("/guest/logins"), Some(&json!(["root"])), "{told:#}");
        assert_eq!(told.pointer("/guest/filesystems/0/used_bytes"), Some(&json!(2_i64 << 30)));
        assert_eq!(told.pointer("/guest/addresses"), Some(&json!(["10.66.0.7"])));
    }
}

/// A day that is over, of a machine that has fallen silent, is closed by whoever comes first, once.
async fn a_silent_machine_has_its_day_closed(setup: &Setup, id: &str) {
    let micros = Arc::new(AtomicI64::new(0));
    let clock = Clock::Fixed(Arc::clone(&micros));
    let options = Options { url: setup.database_url.clone(), read_connections: 1, clock };
    let day = jiff::civil::date(2035, 3, 1);
    let set = |seconds: i64| micros.store((time::day_begins(day) + seconds) * 1_000_000, Ordering::Relaxed);
    set(0);
    let db = Db::open(options).await.expect("a database");
    let collector = Collector {
        db: db.clone(),
        providers: Providers::new(db.clone(), &[], &[]),
        metrics: Metrics::new().expect("metrics"),
        every: Interval::MINUTE,
        sources: Arc::default(),
    };
    let machine: MachineId = id.parse().expect("an id");
    for minute in 0..=3_i64 {
        set(minute * 60);
        let reading = Reading {
            at: db.clock().now(),
            life: 7,
            vcpus: Some(2),
            memory: None,
            cpu_nanos: Some(minute.unsigned_abs() * 60_000_000_000),
            memory_used: None,
            read_bytes: None,
            written_bytes: None,
            received_bytes: None,
            sent_bytes: None,
            // The agent falls silent after its second answer.
            guest: (minute < 2).then(|| Guest {
                logins: vec!["root".to_owned(); usize::from(minute == 1)],
                filesystems: vec![Filesystem {
                    mountpoint: "/".to_owned(),
                    total: Bytes::gib(20).expect("a size"),
                    used: Bytes::gib(minute + 1).expect("a size"),
                }],
                addresses: vec!["10.66.0.7".parse().expect("an address")],
            }),
        };
        collector.keep(vec![(machine, reading)]).await.expect("kept");
    }
    let kept = async || {
        let mut conn = db.read().await.expect("a connection");
        let mut days = store::days(&mut conn, &[id.to_owned()], day, day).await.expect("days");
        days.remove(id).unwrap_or_default()
    };
    let (told_at, told) = {
        let mut conn = db.read().await.expect("a connection");
        store::guest(&mut conn, id).await.expect("read").expect("what it told last")
    };
    assert_eq!(told_at.as_second(), time::day_begins(day) + 60, "when it told it");
    assert_eq!((told.logins.as_slice(), told.filesystems[0].used.get()), (&["root".to_owned()][..], 2_i64 << 30));
    let so_far = kept().await;
    assert_eq!(so_far.iter().map(Day::samples).collect::<Vec<_>>(), [3]);
    assert_eq!(so_far[0].mean(Metric::Cpu), Some(50.0), "one of two processors");
    let rows = format!(
        "select count(*) from usage_days where subject_id = '{id}' and {} between day and day + 15",
        store::number(day)
    );
    assert_eq!(collector.close_silent().await.expect("closed"), 0, "the day is not over");
    assert_eq!(plain::number(&setup.database_url, &rows).await, 0);
    set(86_400);
    assert_eq!(collector.close_silent().await.expect("closed"), 1);
    assert_eq!(collector.close_silent().await.expect("closed"), 0);
    assert_eq!(plain::number(&setup.database_url, &rows).await, 1);
    assert_eq!(kept().await, so_far);
}
