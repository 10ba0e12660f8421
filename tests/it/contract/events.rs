//! What happens, told as it happens: nothing twice, nothing left out, nothing to whom it does not concern.

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    plain,
    raw::Raw,
};
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Everything from a token on; the events, and the token to go on with.
async fn read(raw: &Raw, token: &str, from: Option<&str>) -> (Vec<Value>, String) {
    let (mut all, mut from) = (Vec::new(), from.map(str::to_owned));
    loop {
        let query = from.as_ref().map_or_else(String::new, |token| format!("&page_token={token}"));
        let reply = raw.get(&format!("/v1/events?page_size=7{query}"), token).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let page = reply.json();
        let next = page["next_page_token"].as_str().unwrap().to_owned();
        let items = page["items"].as_array().unwrap();
        if items.is_empty() {
            return (all, next);
        }
        all.extend(items.iter().cloned());
        from = Some(next);
    }
}

/// As [`read`], once there are so many: on PostgreSQL an event waits for transactions that began before it, other tests' too.
async fn read_many(raw: &Raw, token: &str, from: Option<&str>, many: usize) -> (Vec<Value>, String) {
    let began = Instant::now();
    loop {
        let (all, next) = read(raw, token, from).await;
        if all.len() >= many || began.elapsed() > Duration::from_secs(20) {
            return (all, next);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

async fn delivered(broker: &Broker, cast: &Cast) -> (String, String) {
    let made = broker.post("/v1/requests", &cast.requester, &broker::request()).await.expect(201);
    let request = made["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/requests/{request}/approve");
    let operation =
        broker.post(&path, &cast.authority, &json!({})).await.expect(202)["id"].as_str().unwrap().to_owned();
    broker.finished(&operation, &cast.authority, Duration::from_secs(20)).await;
    (request, operation)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_is_told_once_in_order_and_to_whom_it_concerns() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on)).await;
        let (cast, raw) = (Cast::arrive(&broker).await, Raw::new(&broker));
        broker.furnish(&cast).await;
        let (request, _) = delivered(&broker, &cast).await;
        let done = plain::number(&broker.setup.database_url, "select count(*) from audit where outcome = 'done'").await;
        let (all, token) = read_many(&raw, &cast.auditor, None, usize::try_from(done).unwrap()).await;
        assert_eq!(i64::try_from(all.len()).unwrap(), done, "{on:?} {:?}", kinds(&all));
        let of_request: Vec<_> = all.iter().filter(|event| event["subject"] == json!(request)).cloned().collect();
        assert_eq!(kinds(&of_request)[..2], ["jiyue.request.submit", "jiyue.request.approve"], "{on:?}");
        let first = &of_request[0];
        assert_eq!(
            (&first["specversion"], &first["source"]),
            (&json!("1.0"), &json!(format!("/v1/requests/{request}")))
        );
        let ids: BTreeSet<_> = all.iter().map(|event| event["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), all.len());
        assert!(!first.to_string().contains("zhang"), "who did it is for the audit trail: {first}");
        // Nothing new; then one thing.
        assert_eq!(read(&raw, &cast.auditor, Some(&token)).await.0, [Value::Null; 0]);
        let now = raw.get("/v1/events?from_now=true", &cast.auditor).await.json();
        assert_eq!(now["items"], json!([]));
        broker.post("/v1/departments", &cast.authority, &json!({"code": "new", "name": "新单位"})).await.expect(201);
        for from in [&token, now["next_page_token"].as_str().unwrap()] {
            assert_eq!(
                kinds(&read_many(&raw, &cast.auditor, Some(from), 1).await.0),
                ["jiyue.department.create"],
                "{on:?}"
            );
        }
        // Each department its own.
        let (mine, _) = read(&raw, &cast.requester, None).await;
        assert!(kinds(&mine).contains(&"jiyue.request.approve"), "{:?}", kinds(&mine));
        let (theirs, _) = read(&raw, &cast.other_requester, None).await;
        assert!(theirs.iter().all(|event| !event.to_string().contains(&request)), "{theirs:?}");
        let both = raw.get(&format!("/v1/events?from_now=true&page_token={token}"), &cast.auditor).await;
        assert_eq!(both.problem(), "malformed");
    }
}

/// Four write while one follows page by page: it hears of each act, and of none twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_follows_while_others_write_misses_nothing() {
    for on in On::BOTH {
        let setup = Setup::new(on).with("JIYUE_LOG_FILTER", "warn").with("JIYUE_WORKER_WIDTH", "0");
        let broker = Broker::start(setup.clone()).await;
        let cast = Cast::arrive(&broker).await;
        let mut book = broker::task_book();
        book["indicators"] = json!({"machines": 1000, "vcpu": 5000, "memory": "20000 GiB", "disk": "200000 GiB"});
        broker.post("/v1/task-books", &cast.authority, &book).await.expect(201);
        broker.simulated_host(&cast, "sim").await;
        broker.image(&cast, broker::raw_image()).await;
        let broker = Arc::new(broker);
        let mut writers = tokio::task::JoinSet::new();
        for lane in 0..4 {
            let (broker, requester, authority) = (broker.clone(), cast.requester.clone(), cast.authority.clone());
            writers.spawn(async move {
                for n in 0..25 {
                    let mut block = broker::request();
                    block["域名"] = json!(format!("l{lane}n{n}.xiangcheng.example"));
                    block["申请虚拟机数量"] = json!(1);
                    let made = broker.post("/v1/requests", &requester, &block).await.expect(201);
                    let id = made["items"][0]["id"].as_str().unwrap().to_owned();
                    broker.post(&format!("/v1/requests/{id}/approve"), &authority, &json!({})).await.expect(202);
                }
            });
        }
        // How many events there are to hear, once that is known.
        let ended = Arc::new(AtomicUsize::new(usize::MAX));
        let (raw, auditor, over) = (Raw::new(&broker), cast.auditor.clone(), ended.clone());
        let follower = tokio::spawn(async move {
            let (mut all, mut token) = (Vec::new(), None::<String>);
            let began = Instant::now();
            loop {
                let wanted = over.load(Ordering::Relaxed);
                let (more, next) = read(&raw, &auditor, token.as_deref()).await;
                all.extend(more);
                token = Some(next);
                if all.len() >= wanted || began.elapsed() > Duration::from_secs(120) {
                    return all;
                }
            }
        });
        writers.join_all().await;
        let done = plain::number(&setup.database_url, "select count(*) from audit where outcome = 'done'").await;
        ended.store(usize::try_from(done).unwrap(), Ordering::Relaxed);
        let heard = follower.await.unwrap();
        let ids: BTreeSet<_> = heard.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids.len(), heard.len(), "{on:?}: something was told twice");
        let written = plain::texts(&setup.database_url, "select id from audit where outcome = 'done'").await;
        assert_eq!(ids, written.into_iter().collect(), "{on:?}");
    }
}

/// `(id, event, data)` of each event, until the stream ends or `enough` have come.
async fn stream(
    broker: &Broker,
    path: &str,
    token: &str,
    last: Option<&str>,
    enough: usize,
) -> Vec<(String, String, Value)> {
    let client = crate::support::http();
    let mut request =
        client.get(format!("{}{path}", broker.url)).bearer_auth(token).header("accept", "text/event-stream");
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let response = request.send().await.expect("a stream");
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let (mut bytes, mut text, mut events) = (response.bytes_stream(), String::new(), Vec::new());
    while events.len() < enough
        && let Ok(Some(chunk)) = tokio::time::timeout(Duration::from_secs(20), bytes.next()).await
    {
        text.push_str(std::str::from_utf8(&chunk.expect("bytes")).expect("UTF-8"));
        while let Some((event, rest)) = text.split_once("\n\n").map(|(a, b)| (a.to_owned(), b.to_owned())) {
            text = rest;
            let field = |name: &str| {
                let line = event.lines().find_map(|line| line.strip_prefix(name));
                line.map(|value| value.trim_start().to_owned()).unwrap_or_default()
            };
            if let Ok(data) = serde_json::from_str(&field("data:")) {
                events.push((field("id:"), field("event:"), data));
            }
        }
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_followed_to_its_end_and_taken_up_where_it_broke_off() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on)).await;
        let cast = Cast::arrive(&broker).await;
        broker.furnish(&cast).await;
        let made = broker.post("/v1/requests", &cast.requester, &broker::request()).await.expect(201);
        let request = made["items"][0]["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/requests/{request}/approve");
        let operation = broker.post(&path, &cast.authority, &json!({})).await.expect(202);
        let path = format!("/v1/operations/{}/events", operation["id"].as_str().unwrap());
        let events = stream(&broker, &path, &cast.requester, None, usize::MAX).await;
        let percents: Vec<_> = events.iter().map(|(_, _, data)| data["percent"].as_i64().unwrap()).collect();
        assert!(percents.is_sorted() && percents.last() == Some(&100), "{on:?} {percents:?}");
        assert!(events.iter().all(|(id, event, _)| event == "operation" && !id.is_empty()));
        assert_eq!(events.last().unwrap().2["state"], "succeeded");
        // From the last but nothing on: the end is known already.
        let last = events.last().unwrap().0.clone();
        assert_eq!(stream(&broker, &path, &cast.requester, Some(&last), usize::MAX).await, []);
        let late = stream(&broker, &path, &cast.requester, Some("queued/0/1/-"), usize::MAX).await;
        assert_eq!(late.len(), 1, "what it has become since");
        let raw = Raw::new(&broker);
        assert_eq!(raw.get(&path, &cast.other_requester).await.problem(), "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_of_all_events_is_taken_up_by_the_last_id() {
    let broker = Broker::start(Setup::new(On::Sqlite)).await;
    let cast = Cast::arrive(&broker).await;
    let first = stream(&broker, "/v1/events", &cast.auditor, None, 3).await;
    assert_eq!(first.len(), 3);
    assert!(first.iter().all(|(_, event, data)| data["type"] == json!(event)), "{first:?}");
    let all = read(&Raw::new(&broker), &cast.auditor, None).await.0;
    let rest = stream(&broker, "/v1/events", &cast.auditor, Some(&first[2].0), all.len() - 3).await;
    let ids =
        |events: &[(String, String, Value)]| events.iter().map(|(_, _, data)| data["id"].clone()).collect::<Vec<_>>();
    let told = [ids(&first), ids(&rest)].concat();
    assert_eq!(told, all.iter().map(|event| event["id"].clone()).collect::<Vec<_>>());
    // What happens while somebody listens comes at once.
    let (url, authority) = (broker.url.clone(), cast.authority.clone());
    let write = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let body = json!({"code": "new", "name": "新单位"});
        crate::support::http()
            .post(format!("{url}/v1/departments"))
            .bearer_auth(authority)
            .json(&body)
            .send()
            .await
            .unwrap();
    };
    let began = Instant::now();
    let (heard, ()) = tokio::join!(stream(&broker, "/v1/events?from_now=true", &cast.auditor, None, 1), write);
    assert_eq!(heard[0].1, "jiyue.department.create");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
