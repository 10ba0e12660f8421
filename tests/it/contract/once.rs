//! `Idempotency-Key`: a call that is sent again is done once, and its copies get its answer.

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    plain,
    raw::{Raw, Reply},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinSet};

async fn keyed(raw: &Raw, path: &str, token: &str, key: &str, body: &Value) -> Reply {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("idempotency-key", key)];
    raw.send(Method::POST, path, &headers, Some(body.to_string().into_bytes())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_gets_the_first_answer_and_another_body_is_refused() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on)).await;
        let (cast, raw) = (Cast::arrive(&broker).await, Raw::new(&broker));
        let body = json!({"code": "wj", "name": "相城区文教局"});
        let first = keyed(&raw, "/v1/departments", &cast.authority, "k-1", &body).await;
        assert_eq!((first.status, first.header("idempotency-replayed")), (201, ""), "{first:?}");
        let again = keyed(&raw, "/v1/departments", &cast.authority, "k-1", &body).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"), "{again:?}");
        for header in ["location", "content-type"] {
            assert_eq!(again.header(header), first.header(header), "{on:?} {header}");
        }
        assert_eq!(again.text, first.text);
        // A broker that was started anew knows it too.
        let mut broker = broker;
        broker.kill();
        let broker = Broker::start(broker.setup.clone()).await;
        let raw = Raw::new(&broker);
        let again = keyed(&raw, "/v1/departments", &cast.authority, "k-1", &body).await;
        assert_eq!((again.status, again.text.as_str()), (201, first.text.as_str()));
        let other = keyed(&raw, "/v1/departments", &cast.authority, "k-1", &json!({"code": "wj2", "name": "乙"})).await;
        assert_eq!((other.status, other.problem().as_str()), (422, "idempotency_key_reused"));
        let elsewhere = keyed(&raw, "/v1/hosts", &cast.authority, "k-1", &body).await;
        assert_eq!(elsewhere.problem(), "idempotency_key_reused");
        // Without a key, or with another person's, it is another call.
        let plainly = raw.json("/v1/departments", &cast.authority, &body).await;
        assert_eq!(plainly.status, 409, "{plainly:?}");
        let others = keyed(&raw, "/v1/departments", &cast.operator, "k-1", &body).await;
        assert_eq!((others.status, others.problem().as_str()), (403, "forbidden"));
        let url = &broker.setup.database_url;
        assert_eq!(plain::number(url, "select count(*) from departments where code like 'wj%'").await, 1);
        assert_eq!(plain::number(url, "select count(*) from audit where action = 'department.create'").await, 3);
        // It is kept for a day, and then the key is free.
        plain::run(url, "update calls set made_at = made_at - 86340000000").await.unwrap();
        let still = keyed(&raw, "/v1/departments", &cast.authority, "k-1", &body).await;
        assert_eq!((still.status, still.header("idempotency-replayed")), (201, "true"), "{still:?}");
        plain::run(url, "update calls set made_at = made_at - 61000000").await.unwrap();
        let late = keyed(&raw, "/v1/departments", &cast.authority, "k-1", &json!({"code": "wj2", "name": "乙"})).await;
        assert_eq!(late.status, 201, "{late:?}");
        assert_eq!(plain::number(url, "select count(*) from calls").await, 1, "what is old is swept away");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_wrote_nothing_and_is_judged_anew() {
    let broker = Broker::start(Setup::new(On::Sqlite)).await;
    let (cast, raw) = (Cast::arrive(&broker).await, Raw::new(&broker));
    let body = serde_json::to_value(broker::request()).unwrap();
    let early = keyed(&raw, "/v1/requests", &cast.requester, "k", &body).await;
    assert_eq!(early.status, 422, "{early:?}");
    broker.furnish(&cast).await;
    let later = keyed(&raw, "/v1/requests", &cast.requester, "k", &body).await;
    assert_eq!((later.status, later.header("idempotency-replayed")), (201, ""), "{later:?}");
    for key in ["", " ", "a b", &"x".repeat(129), "é"] {
        let odd = keyed(&raw, "/v1/requests", &cast.requester, key, &body).await;
        assert_eq!((odd.status, odd.problem().as_str()), (400, "idempotency_key_invalid"), "{key:?}");
    }
    let bearer = format!("Bearer {}", cast.operator);
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", "i")];
    let image =
        raw.send(Method::POST, "/v1/images?name=x&os_type=debian-12", &headers, Some(broker::raw_image())).await;
    assert_eq!(image.problem(), "idempotency_key_unsupported");
    let nobody = keyed(&raw, "/v1/requests", "jiyue_nobody", "k", &body).await;
    assert_eq!((nobody.status, nobody.problem().as_str()), (401, "unauthenticated"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_never_given_or_may_not_be_kept_is_not_made_up() {
    let broker = Broker::start(Setup::new(On::Sqlite)).await;
    let (cast, raw) = (Cast::arrive(&broker).await, Raw::new(&broker));
    let body = json!({"code": "wj", "name": "相城区文教局"});
    assert_eq!(keyed(&raw, "/v1/departments", &cast.authority, "k", &body).await.status, 201);
    let url = &broker.setup.database_url;
    // As when a broker dies between its commit and its answer.
    plain::run(url, "update calls set status = null, body = null").await.unwrap();
    let soon = keyed(&raw, "/v1/departments", &cast.authority, "k", &body).await;
    assert_eq!(
        (soon.status, soon.problem().as_str(), soon.header("retry-after")),
        (409, "idempotency_key_in_progress", "1")
    );
    plain::run(url, "update calls set made_at = made_at - 121000000").await.unwrap();
    let late = keyed(&raw, "/v1/departments", &cast.authority, "k", &body).await;
    assert_eq!((late.status, late.problem().as_str()), (409, "idempotency_answer_gone"));
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Hundreds of calls, each sent several times at once to two brokers: each is done once, and every copy hears of it. Half of
/// them could not be done twice anyway (a domain name is asked for once), half could. `CALLS=` of each half, `COPIES=` of a
/// call at most.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_copies_at_two_brokers_one_is_done() {
    let calls = setting("CALLS", 150);
    let most = setting("COPIES", 10);
    let setup = Setup::new(On::Postgres)
        .with("JIYUE_LOG_FILTER", "warn")
        .with("JIYUE_WORKER_WIDTH", "0")
        .with("JIYUE_IMAGE_SENDS_AT_ONCE", "0");
    let mut second = setup.clone();
    second.folder = crate::support::scratch("second");
    let one = Broker::start(setup.clone()).await;
    let cast = Cast::arrive(&one).await;
    one.furnish(&cast).await;
    let mut book = broker::task_book();
    book["number"] = json!("相信任〔2026〕18号");
    book["indicators"] = json!({"machines": 1000, "vcpu": 5000, "memory": "20000 GiB", "disk": "200000 GiB"});
    one.post("/v1/task-books", &cast.authority, &book).await.expect(201);
    // Both read tokens and seal with one key.
    std::fs::copy(setup.folder.join("secret.key"), second.folder.join("secret.key")).unwrap();
    let two = Broker::start(second).await;
    let raws = Arc::new([Raw::new(&one), Raw::new(&two)]);
    // No more connections than a process may have.
    let places = Arc::new(Semaphore::new(256));
    let mut copies = JoinSet::new();
    for n in 0..calls {
        let mut block = broker::request();
        block["任务书编号"] = json!("相信任〔2026〕18号");
        block["域名"] = json!(format!("copy{n}.xiangcheng.example"));
        for (path, token, body) in [
            ("/v1/requests", &cast.requester, block),
            ("/v1/images/test-image/distribute", &cast.operator, json!({"hosts": ["sim"]})),
        ] {
            let body = Arc::new(body);
            for copy in 0..2 + n % (most - 1) {
                let (raws, places, token, body) = (raws.clone(), places.clone(), token.clone(), body.clone());
                copies.spawn(async move {
                    let key = format!("copy-{n}");
                    loop {
                        let place = places.acquire().await.unwrap();
                        let reply = keyed(&raws[copy % 2], path, &token, &key, &body).await;
                        drop(place);
                        match reply.status {
                            201 | 202 => {
                                let replayed = reply.header("idempotency-replayed") == "true";
                                return ((path, n), (reply.text, replayed));
                            }
                            409 => assert_eq!(reply.problem(), "idempotency_key_in_progress"),
                            _ => panic!("{reply:?}"),
                        }
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                });
            }
        }
    }
    let mut heard: BTreeMap<_, Vec<(String, bool)>> = BTreeMap::new();
    while let Some(done) = copies.join_next().await {
        let (call, answer) = done.unwrap();
        heard.entry(call).or_default().push(answer);
    }
    assert_eq!(heard.len(), 2 * calls);
    for (call, copies) in heard {
        assert!(copies.iter().all(|(answer, _)| *answer == copies[0].0), "{call:?}: {copies:?}");
        assert_eq!(copies.iter().filter(|(_, replayed)| !replayed).count(), 1, "{call:?}: {copies:?}");
    }
    let (url, count) = (&setup.database_url, i64::try_from(calls).unwrap());
    assert_eq!(plain::number(url, "select count(*) from requests").await, count);
    for action in ["request.submit", "image.distribute"] {
        let sql = format!("select count(*) from audit where action = '{action}'");
        assert_eq!(plain::number(url, &sql).await, count, "{action}");
    }
    assert_eq!(plain::number(url, "select count(*) from calls").await, 2 * count);
}
