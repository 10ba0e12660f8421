//! Servers that a Prometheus measures. `real`: Debian's Prometheus and `node_exporter` on this machine, a past that promtool
//! wrote, a recording of `KubeVirt`'s metrics. `wrong`: everything that a source can answer and should not.

pub mod player;
mod real;
mod wrong;

use crate::support::broker::{Broker, Cast};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

/// Asks until it is so.
async fn until(broker: &Broker, token: &str, path: &str, so: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let body = broker.get(path, token).await.expect(200);
        if so(&body) {
            return body;
        }
        assert!(began.elapsed() < LIMIT, "{path}: {body:#}\n{}", broker.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A server of `mzj`; the path of its usage.
async fn server(broker: &Broker, cast: &Cast, name: &str, source: &str, instance: &str) -> String {
    let server = json!({"name": name, "department": "mzj", "source": source, "instance": instance});
    let made = broker.post("/v1/servers", &cast.operator, &server).await.expect(201);
    format!("/v1/servers/{}/usage", made["id"].as_str().unwrap())
}

fn samples(usage: &Value) -> u64 {
    usage["usage"]["samples"].as_u64().expect("a number")
}

fn state<'a>(sources: &'a Value, key: &str) -> &'a str {
    sources["items"][0][key].as_str().unwrap_or_default()
}
