//! Sources that answer nothing, garbage, half, too much, of another time, or two things of one server: the server is unknown
//! and the cause is named.

use super::{
    LIMIT,
    player::{Player, http},
    samples, server, state, until,
};
use crate::support::broker::{Broker, Cast, On, Setup};
use jiyue::time::Clock;
use serde_json::{Value, json};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

/// One question of CPU and one of memory, every second.
fn setup(on: On, address: &str) -> Setup {
    let setup = Setup::new(on);
    let config = format!(
        "[[usage_source]]\nname = \"played\"\nurl = \"http://{address}\"\nkind = \"custom\"\ninterval_seconds = 1\n\
         timeout_seconds = 1\nqueries = {{ cpu = \"c{{$only}}\", memory = \"m{{$only}}\" }}\n"
    );
    std::fs::write(setup.folder.join("config.toml"), config).unwrap();
    setup
}

fn now() -> f64 {
    let micros = u32::try_from(Clock::System.now().as_second()).expect("before 2106");
    f64::from(micros)
}

fn vector(series: &[(&str, f64, &str)]) -> Option<Vec<u8>> {
    let series: Vec<Value> = series
        .iter()
        .map(|(instance, at, value)| json!({"metric": {"instance": instance}, "value": [at, value]}))
        .collect();
    http("200 OK", &json!({"status": "success", "data": {"resultType": "vector", "result": series}}).to_string())
}

fn asks_memory(head: &str) -> bool {
    head.lines().next().unwrap_or_default().contains("query=m%7B")
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_source_answers_wrongly_is_named_and_the_server_stays_unknown() {
    let elsewhere = Player::start(|_| vector(&[("a", now(), "50")])).await;
    let player = Player::start(|_| http("200 OK", "<html>")).await;
    let broker = Broker::start(setup(On::Sqlite, &player.address)).await;
    let cast = Cast::arrive(&broker).await;
    let path = server(&broker, &cast, "a", "played", "a").await;
    let sources = "/v1/usage-sources";
    let is = |code: &'static str| move |body: &Value| state(body, "failure_code") == code;

    until(&broker, &cast.operator, sources, is("garbage")).await;
    player.plays(|_| None);
    until(&broker, &cast.operator, sources, is("timed_out")).await;
    player.plays(|_| {
        let mut half = vector(&[("a", now(), "50")])?;
        half.truncate(half.len() - 10);
        Some(half)
    });
    until(&broker, &cast.operator, sources, is("cut_short")).await;
    let to = elsewhere.address.clone();
    player.plays(move |_| {
        let head =
            format!("HTTP/1.1 302 Found\r\nLocation: http://{to}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        Some(head.into_bytes())
    });
    until(&broker, &cast.operator, sources, is("redirected")).await;
    player.plays(|_| http("503 Service Unavailable", "later"));
    until(&broker, &cast.operator, sources, is("http_status")).await;
    player.plays(|_| http("400 Bad Request", r#"{"status":"error","errorType":"bad_data","error":"x"}"#));
    let body = until(&broker, &cast.operator, sources, is("refused")).await;
    assert_eq!(state(&body, "failure"), "cpu：拒绝了查询（bad_data）；memory：拒绝了查询（bad_data）");
    player.plays(|_| http("200 OK", r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#));
    until(&broker, &cast.operator, sources, is("wrong_type")).await;
    player.plays(|_| vector(&[("a", now() + 3600.0, "50")]));
    until(&broker, &cast.operator, sources, is("future")).await;
    player.plays(|_| vector(&[("a", now() - 10.0, "50")]));
    until(&broker, &cast.operator, sources, is("stale")).await;
    let large = http("200 OK", &" ".repeat((32 << 20) + 1));
    player.plays(move |_| large.clone());
    until(&broker, &cast.operator, sources, is("too_large")).await;

    let usage = broker.get(&path, &cast.requester).await.expect(200);
    assert_eq!(samples(&usage), 0, "nothing of it was believed: {usage:#}");
    assert_eq!(elsewhere.calls.load(Ordering::Relaxed), 0, "redirects are not followed");
    let body = broker.get(sources, &cast.operator).await.expect(200);
    assert_eq!((state(&body, "state"), &body["items"][0]["collected_at"]), ("failing", &Value::Null));
    let metrics =
        crate::support::http().get(format!("{}/metrics", broker.url)).send().await.unwrap().text().await.unwrap();
    for code in ["garbage", "timed_out", "cut_short", "redirected", "stale", "too_large"] {
        let line = format!("jiyue_usage_source_rounds_total{{outcome=\"{code}\",source=\"played\"}}");
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }

    // Half of the questions answered is half of the metrics, and says so.
    player.plays(|head| if asks_memory(head) { http("500 Oops", "") } else { vector(&[("a", now(), "50")]) });
    let usage = until(&broker, &cast.requester, &path, |usage| samples(usage) >= 2).await;
    assert_eq!(
        (&usage["usage"]["cpu_percent"]["max"], &usage["usage"]["memory_percent"]),
        (&json!(50.0), &Value::Null)
    );
    let body = broker.get(sources, &cast.operator).await.expect(200);
    assert_eq!((state(&body, "state"), state(&body, "failure")), ("partial", "memory：答复 HTTP 500"));
    // And all of them is well.
    player.plays(|_| vector(&[("a", now(), "50")]));
    until(&broker, &cast.operator, sources, |body| state(body, "state") == "ok").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_cannot_be_believed_make_their_server_unknown_and_no_other() {
    for on in On::BOTH {
        let player = Player::start(|_| {
            let at = now();
            vector(&[
                ("good", at, "50"),
                ("nan", at, "NaN"),
                ("infinite", at, "+Inf"),
                ("negative", at, "-1"),
                ("twice", at, "1"),
                ("twice", at, "1"),
                ("word", at, "much"),
                ("nobody's", at, "1"),
            ])
        })
        .await;
        let broker = Broker::start(setup(on, &player.address)).await;
        let cast = Cast::arrive(&broker).await;
        let names = ["good", "nan", "infinite", "negative", "twice", "word", "absent"];
        let mut paths = Vec::new();
        for name in names {
            paths.push(server(&broker, &cast, name, "played", name).await);
        }
        until(&broker, &cast.requester, &paths[0], |usage| samples(usage) >= 2).await;
        for (name, path) in names.iter().zip(&paths).skip(1) {
            let usage = broker.get(path, &cast.requester).await.expect(200);
            assert_eq!(samples(&usage), 0, "{on:?} {name}: {usage:#}");
            assert_eq!(usage["usage"]["cpu_percent"], Value::Null, "{on:?} {name}");
        }
        let body = broker.get("/v1/usage-sources", &cast.auditor).await.expect(200);
        assert_eq!(body["items"][0]["servers"], 7, "{body:#}");
        let metrics =
            crate::support::http().get(format!("{}/metrics", broker.url)).send().await.unwrap().text().await.unwrap();
        for cause in ["not_a_number", "negative", "duplicated", "no_series"] {
            let line = format!("jiyue_usage_refusals_total{{cause=\"{cause}\"}}");
            assert!(metrics.contains(&line), "{on:?} {line}\n{metrics}");
        }
        // One instance is one server's.
        let other = json!({"name": "again", "department": "jyj", "source": "played", "instance": "good"});
        assert_eq!(broker.post("/v1/servers", &cast.operator, &other).await.code(), "server_instance_taken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_brokers_one_asks_each_time() {
    let player = Player::start(|_| vector(&[("a", now(), "50")])).await;
    let setup = setup(On::Postgres, &player.address);
    let broker = Broker::start(setup.clone()).await;
    let _other = Broker::start(setup).await;
    let cast = Cast::arrive(&broker).await;
    let path = server(&broker, &cast, "a", "played", "a").await;
    until(&broker, &cast.requester, &path, |usage| samples(usage) >= 1).await;
    let (began, before) = (Instant::now(), player.calls.load(Ordering::Relaxed));
    tokio::time::sleep(Duration::from_secs(6)).await;
    let calls = player.calls.load(Ordering::Relaxed) - before;
    let rounds = usize::try_from(began.elapsed().as_secs()).unwrap() + 2;
    // Two questions a round; two brokers that did not share would ask twice as often.
    assert!(calls >= 6 && calls <= rounds * 2, "{calls} calls in {:?}", began.elapsed());
    assert!(began.elapsed() < LIMIT);
}
