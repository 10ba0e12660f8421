//! Real Prometheuses.

use super::{
    player::{self, Player, http},
    samples, server, state, until,
};
use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    prometheus::{Prometheus, node_exporter},
};
use jiyue::time::{self, Clock};
use serde_json::{Value, json};
use std::{fmt::Write as _, time::Instant};

fn setup(on: On, kind: &str, address: &str, interval: u32) -> Setup {
    let setup = Setup::new(on).with("JIYUE_USAGE_SECONDS", "3600");
    let config = format!(
        "[[usage_source]]\nname = \"room-1\"\nurl = \"http://{address}\"\nkind = \"{kind}\"\n\
         interval_seconds = {interval}\ntimeout_seconds = 2\n"
    );
    std::fs::write(setup.folder.join("config.toml"), config).unwrap();
    setup
}

/// Percent of this machine's memory that is in use.
fn memory_in_use() -> f64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let field = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    100.0 * (1.0 - field("MemAvailable:") / field("MemTotal:"))
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_is_measured_by_a_real_prometheus_until_it_is_killed() {
    let (target, _exporter) = node_exporter();
    let mut prometheus = Prometheus::prepared(&[&target]);
    prometheus.start().await;
    for on in On::BOTH {
        let broker = Broker::start(setup(on, "node_exporter", &prometheus.address, 3)).await;
        let cast = Cast::arrive(&broker).await;
        let path = server(&broker, &cast, "this-machine", "room-1", &target).await;
        let usage = until(&broker, &cast.requester, &path, |usage| {
            samples(usage) >= 2
                && usage["usage"]["memory_percent"].is_object()
                && usage["usage"]["cpu_percent"].is_object()
        })
        .await;
        let figure =
            |pointer: &str| usage.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("{usage:#}"));
        assert!(figure("/usage/cpu_percent/max") > 0.0 && figure("/usage/cpu_percent/max") <= 100.0, "{usage:#}");
        let memory = figure("/usage/memory_percent/mean");
        assert!((memory - memory_in_use()).abs() < 25.0, "{memory} and {}", memory_in_use());
        let sources = broker.get("/v1/usage-sources", &cast.operator).await.expect(200);
        assert_eq!((state(&sources, "state"), &sources["items"][0]["measured"]), ("ok", &json!(1)), "{sources:#}");
        if on == On::Postgres {
            prometheus.kill();
            let sources =
                until(&broker, &cast.operator, "/v1/usage-sources", |body| state(body, "state") == "failing").await;
            assert_eq!(state(&sources, "failure_code"), "unreachable", "{sources:#}");
            let before = samples(&broker.get(&path, &cast.requester).await.expect(200));
            tokio::time::sleep(std::time::Duration::from_secs(4)).await;
            assert_eq!(samples(&broker.get(&path, &cast.requester).await.expect(200)), before, "unknown, not idle");
        }
    }
}

/// Two days, ending with yesterday, of a server with two cores, one of them idle all the time.
fn past() -> String {
    let today = time::day_begins(Clock::System.today());
    let minutes = || (1..=2 * 1440_i64).map(|minute| (minute, today - 2 * 86_400 + minute * 60));
    let of = "instance=\"old:9100\",job=\"node\"";
    let mut text = String::from("# TYPE node_cpu_seconds counter\n");
    for (core, pace) in [(0, 60), (1, 0)] {
        for (minute, at) in minutes() {
            let _ =
                writeln!(text, "node_cpu_seconds_total{{{of},cpu=\"{core}\",mode=\"idle\"}} {} {at}", minute * pace);
        }
    }
    for (name, value) in [("node_memory_MemTotal_bytes", 4_000), ("node_memory_MemAvailable_bytes", 1_000)] {
        let _ = writeln!(text, "# TYPE {name} gauge");
        for (_, at) in minutes() {
            let _ = writeln!(text, "{name}{{{of}}} {value} {at}");
        }
    }
    text.push_str("# EOF\n");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servers_past_is_replayed_and_repeating_it_changes_nothing() {
    let mut prometheus = Prometheus::prepared(&[]).with_past(&past());
    prometheus.start().await;
    for on in On::BOTH {
        // A rate over a minute needs two samples of it; over two minutes there are always two.
        let broker = Broker::start(setup(on, "node_exporter", &prometheus.address, 120)).await;
        let cast = Cast::arrive(&broker).await;
        let path = server(&broker, &cast, "old", "room-1", "old:9100").await;
        let replay = path.replace("/usage", "/replay-usage");
        let today = Clock::System.today();
        let (from, to) = (today.checked_sub(jiff::Span::new().days(9)).unwrap(), today);
        let range = json!({"from": from, "to": to});
        let began = Instant::now();
        let done = broker.post(&replay, &cast.operator, &range).await.expect(200);
        eprintln!("{on:?}: ten days replayed in {:?}", began.elapsed());
        assert_eq!(done, json!({"days_found": 2, "days_written": 2}));
        let usage = broker.get(&path, &cast.requester).await.expect(200);
        let figure =
            |pointer: &str| usage.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("{usage:#}"));
        assert!((figure("/usage/cpu_percent/mean") - 50.0).abs() < 0.5, "one of two cores: {usage:#}");
        assert!((figure("/usage/memory_percent/mean") - 75.0).abs() < 0.1, "{usage:#}");
        assert!(samples(&usage) >= 2 * 720 - 2, "{usage:#}");

        let again = broker.post(&replay, &cast.operator, &range).await.expect(200);
        assert_eq!(again, json!({"days_found": 2, "days_written": 0}));
        assert_eq!(broker.get(&path, &cast.requester).await.expect(200), usage, "{on:?}");

        for (body, status) in [
            (json!({"from": to, "to": from}), 400),
            (json!({"from": "2020-01-01", "to": to}), 400),
            (json!({"from": from}), 400),
        ] {
            assert_eq!(broker.post(&replay, &cast.operator, &body).await.status.as_u16(), status, "{body}");
        }
        assert_eq!(broker.post(&replay, &cast.requester, &range).await.code(), "forbidden");
        if on == On::Postgres {
            prometheus.kill();
            let failed = broker.post(&replay, &cast.operator, &range).await;
            assert_eq!((failed.status.as_u16(), failed.code()), (503, "usage_source_failed"));
            assert_eq!(broker.get(&path, &cast.requester).await.expect(200), usage, "nothing is lost");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubevirt_recording_measures_machines_by_their_names() {
    for on in On::BOTH {
        let player = Player::start(|_| http("200 OK", "")).await;
        let mut prometheus = Prometheus::prepared(&[&player.address]);
        prometheus.start().await;
        let broker = Broker::start(setup(on, "kubevirt", &prometheus.address, 3)).await;
        let cast = Cast::arrive(&broker).await;
        broker.furnish(&cast).await;
        let mut block = broker::request();
        block["申请虚拟机数量"] = json!(1);
        let made = broker.post("/v1/requests", &cast.requester, &block).await.expect(201);
        let approve = format!("/v1/requests/{}/approve", made["items"][0]["id"].as_str().unwrap());
        let operation = broker.post(&approve, &cast.authority, &json!({})).await.expect(202);
        let done = broker.finished(operation["id"].as_str().unwrap(), &cast.authority, super::LIMIT).await;
        assert_eq!(done["state"], "succeeded", "{done:#}");
        let machines = broker.get("/v1/machines", &cast.operator).await.expect(200);
        let name = machines["items"][0]["name"].as_str().unwrap().to_owned();
        let path = format!("/v1/machines/{}/usage", machines["items"][0]["id"].as_str().unwrap());

        let began = Instant::now();
        player.plays(move |_| http("200 OK", &player::recording(began).replace("VMI_NAME", &name)));
        let usage = until(&broker, &cast.requester, &path, |usage| {
            usage.pointer("/usage/cpu_percent/max").and_then(Value::as_f64).is_some_and(|max| max > 22.0)
                && usage["usage"]["memory_percent"].is_object()
        })
        .await;
        let figure =
            |pointer: &str| usage.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("{usage:#}"));
        // Half a second of two processors a second; three of four GB to be had.
        assert!((figure("/usage/cpu_percent/max") - 25.0).abs() < 3.0, "{usage:#}");
        assert!((figure("/usage/memory_percent/mean") - 25.0).abs() < 0.1, "{usage:#}");
        let sources = broker.get("/v1/usage-sources", &cast.operator).await.expect(200);
        assert_eq!(sources["items"][0]["measured"], 1, "the other one is nobody's: {sources:#}");
    }
}
