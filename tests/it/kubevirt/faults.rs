//! The broker dies at every part of a build and of an undoing, and the API server in the midst of a build: each machine is
//! there once, nothing of what was undone is left, and nothing is concluded from what cannot be seen.

use super::{
    lab::Lab,
    player::Player,
    requests::{LIMIT, block, image_sha256, on_cluster, setup, until},
};
use crate::support::{
    broker::{self, Broker, Cast, Setup},
    sql::Sql,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const SPACE: &str = "jiyue-mzj";
/// What a broker or a cluster that has come back is given.
const CAUGHT_UP: Duration = Duration::from_secs(60);

struct Rounds {
    lab: Lab,
    setup: Setup,
    cast: Cast,
    broker: Option<Broker>,
    sql: Sql,
    requests: u32,
}

impl Rounds {
    async fn begin(adjust: impl Fn(Setup) -> Setup) -> Self {
        let lab = Lab::start().await;
        lab.storage_class();
        lab.image(&image_sha256()).await;
        let setup = adjust(setup(&lab, "vcpu = 64\nmemory_gib = 256\n"));
        let broker = Broker::start(setup.clone()).await;
        let cast = Cast::arrive(&broker).await;
        let mut book = broker::task_book();
        book["indicators"] = json!({"machines": 100, "vcpu": 100, "memory": "400 GiB", "disk": "400 GiB"});
        broker.post("/v1/task-books", &cast.authority, &book).await.expect(201);
        broker.image(&cast, broker::raw_image()).await;
        broker.post("/v1/hosts", &cast.operator, &on_cluster()).await.expect(201);
        let sql = Sql::reading(&setup.database_url).await;
        let mut this = Self { lab, setup, cast, broker: Some(broker), sql, requests: 0 };
        let first = this.submit(1, "kubevirt").await;
        until("the image is known to lie there", async || {
            let question = json!({"request": first});
            let told = this.broker().post("/v1/placement/explain", &this.cast.operator, &question).await;
            told.expect(200)["possible"] == true
        })
        .await;
        this.post(&format!("/v1/requests/{first}/cancel"), &this.cast.requester).await;
        this
    }

    fn broker(&self) -> &Broker {
        self.broker.as_ref().expect("a broker")
    }

    async fn player(&self) -> Player {
        Player::begin(&self.lab.plane.folder.join("admin.kubeconfig")).await
    }

    async fn submit(&mut self, machines: u32, wish: &str) -> String {
        self.requests += 1;
        let mut block = block(machines, &format!("第 {} 组", self.requests));
        block["落位要求"] = json!(wish);
        let made = self.broker().post("/v1/requests", &self.cast.requester, &block).await.expect(201);
        made["items"][0]["id"].as_str().unwrap().to_owned()
    }

    /// The broker may die before it has answered.
    async fn post(&self, path: &str, token: &str) {
        let url = format!("{}{path}", self.broker().url);
        let answer = crate::support::http().post(url).bearer_auth(token).json(&json!({})).send().await;
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status().is_success()), "{path}");
    }

    async fn start(&mut self, crash_at: &str) {
        self.broker = None;
        self.broker = Some(Broker::start(self.setup.clone().with("JIYUE_CRASH_AT", crash_at)).await);
    }

    /// It has died at the place; another follows, and ends what was begun within the time.
    async fn died_and_followed(&mut self, place: &str, id: &str, state: &str) {
        assert!(self.broker.as_mut().unwrap().died(LIMIT), "it never came to {place}:\n{}", self.broker().log());
        self.start("none").await;
        let began = Instant::now();
        while self.state(id).await != state {
            assert!(began.elapsed() < CAUGHT_UP, "{place}: {}\n{}", self.state(id).await, self.broker().log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        eprintln!("{place}: caught up {:.1?} after the restart", began.elapsed());
    }

    async fn state(&mut self, id: &str) -> String {
        self.sql.column(&format!("select state from requests where id = '{id}'")).await.remove(0)
    }

    /// What is on the cluster is what the books say runs, each once: a machine and its seed, made together.
    async fn is_once(&mut self, when: &str) {
        let held = "select name from machines where state not in ('undone', 'building') order by name";
        let held: Vec<_> = self.sql.column(held).await;
        let named = |kind: &str| -> Vec<String> {
            let mut all: Vec<_> = self
                .lab
                .names(kind)
                .into_iter()
                .filter_map(|n| n.strip_prefix("jiyue-mzj/").map(str::to_owned))
                .collect();
            all.sort();
            all
        };
        assert_eq!(named("vm"), held, "{when}");
        assert_eq!(named("secret"), held.iter().map(|name| format!("{name}-seed")).collect::<Vec<_>>(), "{when}");
        assert_eq!(self.sql.faults().await, [""; 0], "{when}");
        let (machines, seeds) = (self.lab.all(SPACE, "vm"), self.lab.all(SPACE, "secret"));
        for name in held {
            let of =
                |all: &[Value], name: &str| all.iter().find(|one| one["metadata"]["name"] == name).cloned().unwrap();
            let (machine, seed) = (of(&machines, &name), of(&seeds, &format!("{name}-seed")));
            let noted = &seed["metadata"]["annotations"]["cloud.jiyue.io/made"];
            assert_eq!(*noted, machine["metadata"]["uid"], "{when}: {name} is not the one that was made");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_part_of_a_build_on_a_cluster_each_machine_is_there_once() {
    let mut rounds = Rounds::begin(|setup| setup).await;
    let _player = rounds.player().await;
    let parts = ["image", "disk", "seed", "address", "name", "domain", "power", "answer"];
    let mut places = vec!["approval.committed".to_owned(), "build.1.domain".to_owned(), "build.deliver".to_owned()];
    places.extend(parts.map(|part| format!("build.0.{part}")));
    for place in places {
        rounds.start(&place).await;
        let id = rounds.submit(2, "kubevirt").await;
        rounds.post(&format!("/v1/requests/{id}/approve"), &rounds.cast.authority).await;
        rounds.died_and_followed(&place, &id, "delivered").await;
        rounds.is_once(&place).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_part_of_an_undoing_on_a_cluster_nothing_is_left() {
    let mut rounds = Rounds::begin(|setup| setup).await;
    // Nobody plays: every build waits for its last part, where the requester changes her mind.
    for place in ["build.turned_back", "undo.0.power", "undo.0.domain", "undo.0.seed", "undo.0.disk"] {
        rounds.start(place).await;
        let id = rounds.submit(1, "kubevirt").await;
        rounds.post(&format!("/v1/requests/{id}/approve"), &rounds.cast.authority).await;
        let step =
            format!("select count(*) from operations where request_id = '{id}' and current_step like '%.answer'");
        until("the build waits for the guest", async || rounds.sql.number(&step).await == 1).await;
        // CDI, played: the machine's disk, which is the machine's own and goes with it.
        let name = rounds.sql.column(&format!("select name from machines where request_id = '{id}'")).await.remove(0);
        let machine = rounds.lab.get(SPACE, "vm", &name).unwrap();
        let owner = json!([{"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "name": name,
            "uid": machine["metadata"]["uid"]}]);
        let template = &machine["spec"]["dataVolumeTemplates"][0]["metadata"];
        rounds.lab.claim(SPACE, template["name"].as_str().unwrap(), &template["labels"], "2Gi", &owner).await;
        rounds.post(&format!("/v1/requests/{id}/cancel"), &rounds.cast.requester).await;
        rounds.died_and_followed(place, &id, "cancelled").await;
        rounds.is_once(place).await;
        let claims: Vec<_> = rounds.lab.names("pvc").into_iter().filter(|name| name.starts_with(SPACE)).collect();
        assert_eq!(claims, [""; 0], "{place}");
    }
}

/// The API server dies with the first machines on it, and stays away for longer than a step is tried. Builds wait for it,
/// hosts build on, and nobody concludes anything.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_dies_in_the_midst_of_a_build_is_waited_for() {
    let away = Duration::from_secs(
        std::env::var("JIYUE_TEST_AWAY_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20),
    );
    // A step is given up after ten seconds, where it is given up.
    let adjust = |setup: Setup| setup.with("JIYUE_STEP_SECONDS", "10").with("JIYUE_WORKER_WIDTH", "4");
    let mut rounds = Rounds::begin(adjust).await;
    let broker = rounds.broker();
    broker.simulated_host(&rounds.cast, "sim").await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(rounds.submit(2, "kubevirt").await);
    }
    let beside = rounds.submit(1, "libvirt").await;
    let all = json!({"ids": ids});
    rounds.broker().post("/v1/requests/approve", &rounds.cast.authority, &all).await.expect(200);
    // Nobody plays yet, so those that have begun wait for their guests, and the others for their turn.
    until("the first machines are there", async || rounds.lab.names("vm").len() >= 2).await;
    rounds.lab.plane.kill("kube-apiserver");
    let began = Instant::now();
    let open = "select count(*) from requests where state = 'approved'";
    let open = rounds.sql.number(open).await;
    assert_eq!(open, i64::try_from(ids.len()).unwrap());

    // A host builds as if nothing were.
    rounds.post(&format!("/v1/requests/{beside}/approve"), &rounds.cast.authority).await;
    until("the host's machine is delivered", async || rounds.state(&beside).await == "delivered").await;
    eprintln!("the host's machine was delivered {:.1?} after the cluster had gone", began.elapsed());
    until("the cluster is unknown", async || {
        let host = rounds.broker().get("/v1/hosts/c1", &rounds.cast.operator).await.expect(200);
        host["state"] == "unknown"
    })
    .await;
    tokio::time::sleep(away.saturating_sub(began.elapsed())).await;
    let states = "select distinct state from requests where state <> 'cancelled' order by state";
    let states = rounds.sql.column(states).await;
    assert_eq!(states, ["approved", "delivered"], "after {:?}: {}", began.elapsed(), rounds.broker().log());
    let alarms = rounds.broker().get("/v1/alarms", &rounds.cast.operator).await.expect(200);
    let missing = |alarm: &&Value| alarm["kind"] == "missing";
    assert_eq!(alarms["items"].as_array().unwrap().iter().find(missing), None);

    rounds.lab.plane.revive().await;
    let _player = rounds.player().await;
    let began = Instant::now();
    for id in &ids {
        while rounds.state(id).await != "delivered" {
            assert!(began.elapsed() < CAUGHT_UP, "{}: {}", rounds.state(id).await, rounds.broker().log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    eprintln!("away {away:?}; all caught up {:.1?} after its return", began.elapsed());
    let on_host = format!("select count(*) from machines where request_id = '{beside}' and state = 'running'");
    assert_eq!(rounds.sql.number(&on_host).await, 1);
    assert_eq!(rounds.lab.names("vm").len(), 12);
    let made: std::collections::BTreeSet<_> = rounds.lab.names("vm").into_iter().collect();
    assert_eq!(made.len(), 12);
}
