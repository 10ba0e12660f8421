//! `kill -9` between any two steps: after the restart the machines are there or fully undone, and nothing has leaked.
//!
//! Real libvirtd, real QEMU, SQLite, the real binary built with `--features crash-points`. The guests hold a boot sector
//! that halts, so that they cost next to nothing, and the test itself answers in their place (`Site::play_guests`);
//! a guest that really boots goes through one such kill in `real.rs`.

use crate::support::{
    Dice,
    broker::{self, Broker, Cast, On, Setup, halting_image},
    site::Site,
    sql::Sql,
};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    sync::Mutex,
    time::{Duration, Instant},
};

const PARTS: [&str; 8] = ["image", "disk", "seed", "address", "name", "domain", "power", "answer"];
/// What a restarted broker is given to come to an end.
const LIMIT: Duration = Duration::from_secs(180);

#[test]
fn killed_at_any_point_of_a_build_it_is_finished_after_the_restart() {
    let mut points = vec!["approval.committed".to_owned(), "build.deliver".to_owned()];
    points.extend((0..2).flat_map(|machine| PARTS.map(|part| format!("build.{machine}.{part}"))));
    in_lanes(points, 4, true, async |lane: &mut Lane, point: &str| {
        let id = lane.submit(machines(point)).await;
        lane.kill_at(point, async |lane| {
            lane.try_post(&format!("/v1/requests/{id}/approve"), &lane.cast.authority).await;
        })
        .await;
        lane.restart_and_settle().await;
        lane.check_request(&id, "delivered", point).await;
    });
}

#[test]
fn killed_at_any_point_of_an_undoing_nothing_is_left_after_the_restart() {
    let mut points = vec!["build.turned_back".to_owned()];
    points.extend((0..2).flat_map(|machine| PARTS.map(|part| format!("undo.{machine}.{part}"))));
    // Nobody answers for the guests here, so every build waits for its last part, where the requester changes her mind.
    in_lanes(points, 6, false, async |lane: &mut Lane, point: &str| {
        let id = lane.submit(machines(point)).await;
        lane.kill_at(point, async |lane| {
            lane.post(&format!("/v1/requests/{id}/approve"), &lane.cast.authority).await;
            lane.until("select count(*) from operations where current_step like '%.answer'", 1).await;
            lane.post(&format!("/v1/requests/{id}/cancel"), &lane.cast.requester).await;
        })
        .await;
        lane.restart_and_settle().await;
        lane.check_request(&id, "cancelled", point).await;
    });
}

#[test]
fn killed_after_an_act_on_a_machine_the_act_is_finished_after_the_restart() {
    in_lanes(vec!["power.acted".to_owned()], 1, true, async |lane: &mut Lane, point: &str| {
        let id = lane.submit(1).await;
        lane.post(&format!("/v1/requests/{id}/approve"), &lane.cast.authority).await;
        lane.settle().await;
        lane.check_request(&id, "delivered", "before").await;
        let machine = lane.sql.column("select id from machines where ordinal = 0").await.remove(0);
        for (act, state) in [("stop", "stopped"), ("start", "running"), ("delete", "in_bin"), ("restore", "running")] {
            lane.kill_at(point, async |lane| {
                lane.try_post(&format!("/v1/machines/{machine}/{act}"), &lane.cast.requester).await;
            })
            .await;
            lane.restart_and_settle().await;
            let now = lane.sql.column(&format!("select state from machines where id = '{machine}'")).await;
            assert_eq!(now, [state], "after {act}");
            lane.check(&format!("{point} of {act}")).await;
        }
        // A task book that is revoked while the broker lies dead: nothing may start under it.
        let id = lane.submit(1).await;
        lane.kill_at("build.0.seed", async |lane| {
            lane.try_post(&format!("/v1/requests/{id}/approve"), &lane.cast.authority).await;
        })
        .await;
        lane.start(&[("JIYUE_WORKER_WIDTH", "0")]).await;
        let number = lane.sql.column("select id from task_books").await.remove(0);
        let revoke = json!({"reason": "项目终止"});
        let path = format!("/v1/task-books/{number}/revoke");
        lane.broker().post(&path, &lane.cast.authority, &revoke).await.expect(200);
        lane.restart_and_settle().await;
        lane.check_request(&id, "failed", "revoked while dead").await;
    });
}

#[test]
fn killed_at_random_instants_it_converges() {
    let dice = Mutex::new(Dice::from_env());
    eprintln!("seed {}", dice.lock().unwrap().seed);
    in_lanes((0..5).map(|n| n.to_string()).collect(), 2, true, async |lane: &mut Lane, round: &str| {
        let id = lane.submit(2).await;
        lane.post(&format!("/v1/requests/{id}/approve"), &lane.cast.authority).await;
        let (seed, wait) = {
            let mut dice = dice.lock().unwrap();
            (dice.seed, Duration::from_millis(dice.below(2500)))
        };
        tokio::time::sleep(wait).await;
        lane.restart_and_settle().await;
        lane.check_request(&id, "delivered", &format!("seed {seed}, round {round}, after {wait:?}")).await;
    });
}

/// As many machines as the point needs: each costs libvirt a second, as it loads a network's firewall rules anew for every
/// lease.
fn machines(point: &str) -> usize {
    if point.contains(".0.") { 1 } else { 2 }
}

/// Hands the points to several lanes, each with a thread, a broker, a database and a site of its own.
fn in_lanes<F>(points: Vec<String>, lanes: usize, answering: bool, act: F)
where
    F: AsyncFn(&mut Lane, &str) + Sync,
{
    let (began, count) = (Instant::now(), points.len());
    let queue = Mutex::new(VecDeque::from(points));
    std::thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                // The lane waits for virsh and for deaths without yielding, and the answering goes on meanwhile.
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
                runtime.expect("a runtime").block_on(async {
                    let mut lane = Lane::open(answering).await;
                    loop {
                        let Some(point) = queue.lock().unwrap().pop_front() else { break };
                        let began = Instant::now();
                        act(&mut lane, &point).await;
                        eprintln!("{point}: {:.1?}", began.elapsed());
                    }
                });
            });
        }
    });
    eprintln!("{count} points in {:.1?}", began.elapsed());
}

struct Lane {
    site: Site,
    setup: Setup,
    cast: Cast,
    broker: Option<Broker>,
    sql: Sql,
    requests: usize,
}

impl Lane {
    async fn open(answering: bool) -> Self {
        let site = Site::new();
        // Halting guests do not hear the power button: cut their power soon.
        let setup = Setup::new(On::Sqlite).with("JIYUE_SHUTDOWN_SECONDS", "1").with("JIYUE_BOOTS_AT_ONCE", "8");
        let broker = Broker::start(setup.clone()).await;
        let cast = Cast::arrive(&broker).await;
        let mut book = broker::task_book();
        book["indicators"] = json!({"machines": 100, "vcpu": 100, "memory": "400 GiB", "disk": "400 GiB"});
        broker.post("/v1/task-books", &cast.authority, &book).await.expect(201);
        broker.post("/v1/hosts", &cast.operator, &site.host()).await.expect(201);
        broker.image(&cast, halting_image()).await;
        site.play_guests(60, answering).await;
        let sql = Sql::reading(&setup.database_url).await;
        Self { site, setup, cast, broker: Some(broker), sql, requests: 0 }
    }

    fn broker(&self) -> &Broker {
        self.broker.as_ref().expect("a broker")
    }

    /// Ends the one there is by SIGKILL and starts another.
    async fn start(&mut self, env: &[(&str, &str)]) {
        self.broker = None;
        let setup = env.iter().fold(self.setup.clone(), |setup, (key, value)| setup.with(key, value));
        self.broker = Some(Broker::start(setup).await);
    }

    /// A broker that dies at `point` is told to `act`, and dies.
    async fn kill_at(&mut self, point: &str, act: impl AsyncFnOnce(&mut Self)) {
        self.start(&[("JIYUE_CRASH_AT", point)]).await;
        act(self).await;
        let died = self.broker.as_mut().expect("a broker").died(Duration::from_secs(120));
        assert!(died, "the broker did not come to {point}");
    }

    async fn restart_and_settle(&mut self) {
        self.start(&[]).await;
        self.settle().await;
    }

    /// Waits until no operation is left.
    async fn settle(&mut self) {
        self.until("select count(*) from operations where finished_at is null", 0).await;
    }

    async fn until(&mut self, sql: &str, wanted: i64) {
        let began = Instant::now();
        while self.sql.number(sql).await != wanted {
            if began.elapsed() > LIMIT {
                let all = "select kind || ' ' || state || ' ' || coalesce(current_step, '') || ' ' || coalesce(reason, '') from operations where finished_at is null";
                panic!("after {LIMIT:?} still: {:?}", self.sql.column(all).await);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Small machines under a name of their own.
    async fn submit(&mut self, machines: usize) -> String {
        self.requests += 1;
        let mut block = broker::request();
        block["申请虚拟机数量"] = json!(machines);
        block["磁盘空间"] = json!("1G");
        block["域名"] = json!(format!("{}-m{}.xiangcheng.example", self.site.name, self.requests));
        let made = self.broker().post("/v1/requests", &self.cast.requester, &block).await.expect(201);
        made["items"][0]["id"].as_str().unwrap().to_owned()
    }

    async fn post(&self, path: &str, token: &str) -> Value {
        self.broker().post(path, token, &json!({})).await.expect(202)
    }

    /// The broker may die before it has answered.
    async fn try_post(&self, path: &str, token: &str) {
        let url = format!("{}{path}", self.broker().url);
        let answer = crate::support::http().post(url).bearer_auth(token).json(&json!({})).send().await;
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == 202), "{path}");
    }

    async fn check_request(&mut self, id: &str, state: &str, when: &str) {
        let now = self.sql.column(&format!("select state from requests where id = '{id}'")).await;
        let reason = self.sql.column("select coalesce(reason, '') from operations order by id desc limit 1").await;
        assert_eq!(now, [state], "{when}: {reason:?}");
        let machines = self.sql.column(&format!("select state from machines where request_id = '{id}'")).await;
        let wanted = if state == "delivered" { "running" } else { "undone" };
        assert!(!machines.is_empty() && machines.iter().all(|state| state == wanted), "{when}: {machines:?}");
        // Each act has left its record once, however often it was taken up again.
        let ended = if state == "delivered" { "request.deliver" } else { "request.undo" };
        for action in ["request.approve", ended] {
            let sql = format!("select count(*) from audit where action = '{action}' and object_id = '{id}'");
            assert_eq!(self.sql.number(&sql).await, 1, "{when}: {action}");
        }
        let operations =
            format!("select count(*) from operations where request_id = '{id}' and finished_at is not null");
        assert_eq!(self.sql.number(&operations).await, 1, "{when}");
        self.check(when).await;
    }

    /// virsh, plain SQL, and the product's own ledger.
    async fn check(&mut self, when: &str) {
        assert_eq!(self.site.faults(&mut self.sql).await, Vec::<String>::new(), "{when}");
        let ledger = self.setup.cli(self.broker.as_ref(), &self.cast.auditor, &["ledger", "verify"]);
        assert!(ledger.status.success(), "{when}: {}", String::from_utf8_lossy(&ledger.stdout));
    }
}
