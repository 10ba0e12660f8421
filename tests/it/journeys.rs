//! Machines that go from host to host by an operator's wish, or because their host is being drained: what the books say
//! of it, on both databases. Nothing runs on these hosts; real moves are in `migration`.

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    sql::Sql,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(120);

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

/// Two hosts or more on one segment, and a third on a network of its own.
struct Town {
    broker: Broker,
    cast: Cast,
    sql: Sql,
}

impl Town {
    async fn new(on: On, hosts: &[&str]) -> Self {
        let setup = Setup::new(on).with("JIYUE_LISTING_SECONDS", "1");
        let broker = Broker::start(setup.clone()).await;
        let cast = Cast::arrive(&broker).await;
        broker.post("/v1/task-books", &cast.authority, &broker::task_book()).await.expect(201);
        for host in hosts {
            let document = json!({"name": host, "uri": "simulated:", "zones": [{"zone": "government_extranet",
                "segment": "hall", "bridge": "br0", "cidr": "10.9.0.0/24", "gateway": "10.9.0.1",
                "addresses": "10.9.0.50-10.9.0.99"}]});
            broker.post("/v1/hosts", &cast.operator, &document).await.expect(201);
        }
        broker.image(&cast, broker::raw_image()).await;
        let sql = Sql::reading(&setup.database_url).await;
        Self { broker, cast, sql }
    }

    async fn build(&self, domain: &str, machines: u32) -> Vec<Value> {
        let mut block = broker::request();
        block["域名"] = json!(domain);
        block["申请虚拟机数量"] = json!(machines);
        let made = self.broker.post("/v1/requests", &self.cast.requester, &block).await.expect(201);
        let id = text(&made["items"][0], "id");
        let path = format!("/v1/requests/{id}/approve");
        let operation = self.broker.post(&path, &self.cast.authority, &json!({})).await.expect(202);
        let done = self.broker.finished(&text(&operation, "id"), &self.cast.authority, LIMIT).await;
        assert_eq!(done["state"], "succeeded", "{done:#}");
        let request = self.broker.get(&format!("/v1/requests/{id}"), &self.cast.operator).await.expect(200);
        request["machines"].as_array().unwrap().clone()
    }

    async fn on_host(&self, host: &str, act: &str) -> Value {
        self.broker.post(&format!("/v1/hosts/{host}/{act}"), &self.cast.operator, &json!({})).await.expect(200)
    }

    async fn machine(&self, id: &str) -> Value {
        self.broker.get(&format!("/v1/machines/{id}"), &self.cast.operator).await.expect(200)
    }

    async fn until(&self, path: &str, so: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let body = self.broker.get(path, &self.cast.operator).await.expect(200);
            if so(&body) {
                return body;
            }
            assert!(began.elapsed() < LIMIT, "{body:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn books_agree(&mut self) {
        assert_eq!(self.sql.faults().await, Vec::<String>::new());
        let ledger = self.broker.get("/v1/ledger", &self.cast.auditor).await.expect(200);
        assert_eq!(ledger["consistent"], true, "{ledger:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_moves_and_keeps_its_address() {
    for on in On::BOTH {
        let mut town = Town::new(on, &["a", "b"]).await;
        let machine = town.build("oa.xiangcheng.example", 1).await[0].clone();
        let (id, from) = (text(&machine, "id"), text(&machine, "host"));
        assert_eq!(text(&machine, "address"), "10.9.0.50", "the first of what machines may have");
        let to = if from == "a" { "b" } else { "a" };
        let path = format!("/v1/machines/{id}/migrate");
        let migrate = async |body: Value| town.broker.post(&path, &town.cast.operator, &body).await;
        assert_eq!(migrate(json!({"to": from})).await.code(), "malformed");
        assert_eq!(migrate(json!({"to": "nowhere"})).await.code(), "not_found");
        assert_eq!(town.broker.post(&path, &town.cast.requester, &json!({})).await.status, 403);
        town.on_host(to, "cordon").await;
        let refused = migrate(json!({})).await;
        assert_eq!(refused.code(), "capacity_exceeded", "{refused:?}");
        town.on_host(to, "uncordon").await;
        let operation = migrate(json!({"to": to})).await.expect(202);
        let done = town.broker.finished(&text(&operation, "id"), &town.cast.operator, LIMIT).await;
        assert_eq!(done["state"], "succeeded", "{done:#}");
        let moved = town.machine(&id).await;
        assert_eq!((text(&moved, "host"), text(&moved, "state")), (to.to_owned(), "running".to_owned()));
        assert_eq!(text(&moved, "address"), text(&machine, "address"));
        assert_eq!(town.sql.number("select count(*) from journeys").await, 0);
        let used = format!("select used_vcpu from hosts where name = '{from}'");
        assert_eq!(town.sql.number(&used).await, 0);
        town.books_agree().await;
        // The watch finds nothing odd about it.
        tokio::time::sleep(Duration::from_millis(2500)).await;
        let alarms = town.broker.get("/v1/alarms", &town.cast.operator).await.expect(200);
        assert_eq!(alarms["items"], json!([]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_is_emptied_and_says_what_cannot_go() {
    for on in On::BOTH {
        let mut town = Town::new(on, &["a"]).await;
        let machines = town.build("oa.xiangcheng.example", 3).await;
        let binned = text(&machines[2], "id");
        let path = format!("/v1/machines/{binned}/delete");
        let operation = town.broker.post(&path, &town.cast.requester, &json!({})).await.expect(202);
        town.broker.finished(&text(&operation, "id"), &town.cast.operator, LIMIT).await;

        // Nowhere to go: each machine says so, and nothing has moved.
        let draining = town.on_host("a", "drain").await;
        assert_eq!((text(&draining, "state"), &draining["drain"]["total"]), ("draining".into(), &json!(2)));
        let stuck = town.until("/v1/hosts/a", |h| h["drain"]["stuck"].as_array().unwrap().len() == 2).await;
        assert_eq!((&stuck["drain"]["left"], &stuck["drain"]["moving"]), (&json!(2), &json!(0)));
        town.on_host("a", "cancel-drain").await;
        assert_eq!(text(&town.until("/v1/hosts/a", |_| true).await, "state"), "cordoned");

        // With room beside it, it is emptied, but for the recycle bin.
        let document = json!({"name": "b", "uri": "simulated:", "zones": [{"zone": "government_extranet",
            "segment": "hall", "bridge": "br0", "cidr": "10.9.0.0/24", "gateway": "10.9.0.1",
            "addresses": "10.9.0.50-10.9.0.99"}]});
        town.broker.post("/v1/hosts", &town.cast.operator, &document).await.expect(201);
        town.on_host("a", "drain").await;
        town.until("/v1/hosts/a", |h| h["drain"]["left"] == 0).await;
        for machine in &machines[..2] {
            assert_eq!(text(&town.machine(&text(machine, "id")).await, "host"), "b");
        }
        assert_eq!(text(&town.machine(&binned).await, "host"), "a");
        town.books_agree().await;
        assert_eq!(text(&town.on_host("a", "uncordon").await, "state"), "active");
    }
}
