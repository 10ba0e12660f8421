//! What a host's zones must not be: on a bridge that is not there, shared with one another, or other than elsewhere.

use crate::support::{
    broker::{Broker, Cast, On, Setup},
    site::Site,
};
use serde_json::{Value, json};
use std::process::Command;

struct Stage {
    broker: Broker,
    cast: Cast,
}

impl Stage {
    async fn new() -> Self {
        let broker = Broker::start(Setup::new(On::Sqlite)).await;
        let cast = Cast::arrive(&broker).await;
        Self { broker, cast }
    }

    async fn add(&self, host: &Value) -> crate::support::broker::Answer {
        self.broker.post("/v1/hosts", &self.cast.operator, host).await
    }

    async fn refused(&self, host: &Value, code: &str, words: &[&str]) {
        let answer = self.add(host).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (422, code), "{answer:?}");
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        for word in words {
            assert!(detail.contains(word), "{word} is not in {detail}");
        }
    }
}

/// An interface that is no bridge.
struct Pair(String);

impl Pair {
    fn new(name: &str) -> Self {
        let pair = Self(format!("p{name}"));
        let peer = format!("q{name}");
        let made = Command::new("ip").args(["link", "add", &pair.0, "type", "veth", "peer", "name", &peer]).status();
        assert!(made.expect("iproute2").success());
        pair
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", &self.0]).status();
    }
}

fn simulated(name: &str, zones: &Value) -> Value {
    json!({"name": name, "uri": "simulated:", "zones": zones})
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_that_would_not_be_apart_are_refused_with_both_values() {
    let stage = Stage::new().await;
    let segment =
        |zone: &str, name: &str, cidr: &str| json!({"zone": zone, "segment": name, "bridge": "br0", "cidr": cidr});
    let (gov, net) = ("government_extranet", "internet");
    let mut second = segment(net, "net", "10.8.0.0/25");
    stage
        .refused(
            &simulated("h1", &json!([segment(gov, "gov", "10.8.0.0/24"), second])),
            "host_refused",
            &["/zones/1/bridge", "br0", "/zones/1/cidr", "10.8.0.0/25", "10.8.0.0/24"],
        )
        .await;
    second["bridge"] = json!("br1");
    second["cidr"] = json!("10.9.0.0/24");
    stage.add(&simulated("h1", &json!([segment(gov, "gov", "10.8.0.0/24"), second]))).await.expect(201);
    // Elsewhere the same, and then it is one; anything else is not.
    stage.add(&simulated("h2", &json!([segment(gov, "gov", "10.8.0.0/24")]))).await.expect(201);
    let other = |change: fn(&mut Value)| {
        let mut zone = segment(gov, "gov", "10.8.0.0/24");
        change(&mut zone);
        simulated("h3", &json!([zone]))
    };
    for (host, words) in [
        (other(|z| z["cidr"] = json!("10.8.0.0/23")), &["/zones/0/cidr", "h1", "10.8.0.0/23", "10.8.0.0/24"][..]),
        (other(|z| z["gateway"] = json!("10.8.0.254")), &["/zones/0/gateway", "10.8.0.254", "10.8.0.1"]),
        (other(|z| z["dns"] = json!("10.8.0.53")), &["/zones/0/dns", "10.8.0.53", "10.8.0.1"]),
        (other(|z| z["zone"] = json!("government_private")), &["/zones/0/zone", "government_private", gov]),
        (other(|z| z["segment"] = json!("gov2")), &["/zones/0/cidr", "10.8.0.0/24", "h1"]),
    ] {
        stage.refused(&host, "host_refused", words).await;
    }
    let network = json!([{"zone": "government_private", "network": "n", "bridge": "b", "cidr": "10.9.0.0/24"}]);
    stage.refused(&simulated("h3", &network), "host_refused", &["/zones/0/cidr", "10.9.0.0/24", net]).await;
    let hosts = stage.broker.get("/v1/hosts", &stage.cast.operator).await.expect(200);
    assert_eq!(hosts["items"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_is_not_there_is_named() {
    let stage = Stage::new().await;
    let site = Site::new();
    let mut host = site.host();
    let shared = json!({"zone": "internet", "segment": "net", "bridge": "jy-no-such", "cidr": "10.250.0.0/24"});
    host["zones"].as_array_mut().unwrap().push(shared);
    stage.refused(&host, "host_unusable", &["/zones/1/bridge", "jy-no-such", "ip link add"]).await;
    // Nor is every interface a bridge.
    let pair = Pair::new(&site.name);
    host["zones"][1]["bridge"] = json!(pair.0);
    stage.refused(&host, "host_unusable", &["/zones/1/bridge", &format!("网桥 {}", pair.0)]).await;
    // A name that somebody has already, for a network that wants a bridge of its own.
    host["zones"].as_array_mut().unwrap().pop();
    let taken = Site::new();
    host["zones"][0]["network"] = json!(taken.name);
    host["zones"][0]["bridge"] = json!("lo");
    host["zones"][0]["cidr"] = json!(format!("{}/24", taken.address(0)));
    stage.refused(&host, "host_unusable", &["/zones/0/bridge", "占用"]).await;
    assert_eq!(Site::virsh(&["list", "--all", "--name"]).matches("jiyue-probe").count(), 0);
    assert_eq!(stage.broker.get("/v1/hosts", &stage.cast.operator).await.expect(200)["items"], json!([]));
}
