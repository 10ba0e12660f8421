//! Machines' names in a district's DNS: the real broker, a real Knot, machines on a simulated host. kdig and plain SQL say
//! what has come of it.

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    knot::{Knot, OTHER_SECRET, SECRET, ZONE},
    site::Site,
    sql::Sql,
    wire::{Mode, Wire},
};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(90);

/// A broker whose names go to a Knot.
struct Town {
    knot: Knot,
    setup: Setup,
    broker: Broker,
    cast: Cast,
    sql: Sql,
    requests: usize,
}

/// Quick to try again, so that minutes are seconds.
fn setup(on: On, knot: &Knot, server: SocketAddr) -> Setup {
    let setup = Setup::new(on)
        .with("JIYUE_DNS_TIMEOUT_SECONDS", "2")
        .with("JIYUE_DNS_RETRY_SECONDS", "1")
        .with("JIYUE_DNS_WAIT_SECONDS", "3");
    configure(&setup, knot, server, SECRET, 1);
    setup
}

fn configure(setup: &Setup, knot: &Knot, server: SocketAddr, secret: &str, fudge: u16) {
    let key = knot.key_file("broker.key", secret);
    let config = format!(
        "[[dns]]\nsuffix = \"{ZONE}\"\nserver = \"{server}\"\nkey_name = \"jiyue\"\nkey_file = \"{}\"\n\
         fudge_seconds = {fudge}\n",
        key.display()
    );
    std::fs::write(setup.folder.join("config.toml"), config).unwrap();
}

impl Town {
    async fn open(on: On, knot: Knot) -> Self {
        let server = knot.address();
        Self::open_at(on, knot, server).await
    }

    async fn open_at(on: On, knot: Knot, server: SocketAddr) -> Self {
        let town = Self::empty(on, knot, server).await;
        town.broker.simulated_host(&town.cast, "sim").await;
        town.broker.image(&town.cast, broker::raw_image()).await;
        town
    }

    /// Without a host.
    async fn empty(on: On, knot: Knot, server: SocketAddr) -> Self {
        let setup = setup(on, &knot, server);
        let broker = Broker::start(setup.clone()).await;
        let cast = Cast::arrive(&broker).await;
        let mut book = broker::task_book();
        book["indicators"] = json!({"machines": 100, "vcpu": 400, "memory": "400 GiB", "disk": "4000 GiB"});
        broker.post("/v1/task-books", &cast.authority, &book).await.expect(201);
        let sql = Sql::reading(&setup.database_url).await;
        Self { knot, setup, broker, cast, sql, requests: 0 }
    }

    /// Another broker on the same database, with other settings.
    async fn restart(&mut self, env: &[(&str, &str)]) {
        self.broker.kill();
        let setup = env.iter().fold(self.setup.clone(), |setup, (key, value)| setup.with(key, value));
        self.broker = Broker::start(setup).await;
    }

    async fn submit(&mut self, host: &str, machines: usize) -> String {
        self.requests += 1;
        let mut block = broker::request();
        block["域名"] = json!(format!("{host}.{ZONE}"));
        block["申请虚拟机数量"] = json!(machines);
        block["磁盘空间"] = json!("1G");
        block["备注"] = json!(format!("第 {} 份", self.requests));
        let made = self.broker.post("/v1/requests", &self.cast.requester, &block).await.expect(201);
        made["items"][0]["id"].as_str().unwrap().to_owned()
    }

    /// Has it approved; the operation.
    async fn approve(&self, id: &str) -> String {
        let path = format!("/v1/requests/{id}/approve");
        let operation = self.broker.post(&path, &self.cast.authority, &json!({})).await.expect(202);
        operation["id"].as_str().unwrap().to_owned()
    }

    /// Built and delivered; its machines as the API shows them.
    async fn build(&mut self, host: &str, machines: usize) -> Vec<Value> {
        let id = self.submit(host, machines).await;
        let operation = self.approve(&id).await;
        let done = self.broker.finished(&operation, &self.cast.authority, LIMIT).await;
        assert_eq!(done["state"], "succeeded", "{done:#}");
        let request = self.broker.get(&format!("/v1/requests/{id}"), &self.cast.requester).await.expect(200);
        assert_eq!(request["state"], "delivered");
        request["machines"].as_array().unwrap().clone()
    }

    async fn machine(&self, machine: &Value) -> Value {
        let path = format!("/v1/machines/{}", machine["id"].as_str().unwrap());
        self.broker.get(&path, &self.cast.requester).await.expect(200)
    }

    /// Waits until a machine's name is in this state; the name.
    async fn until(&self, machine: &Value, state: &str) -> Value {
        let began = Instant::now();
        loop {
            let now = self.machine(machine).await;
            if now["registration"]["state"] == state {
                return now["registration"].clone();
            }
            assert!(began.elapsed() < LIMIT, "not {state}: {now:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn register_again(&self, machine: &Value) -> broker::Answer {
        let path = format!("/v1/machines/{}/register-name", machine["id"].as_str().unwrap());
        self.broker.post(&path, &self.cast.operator, &json!({})).await
    }

    async fn audited(&mut self, machine: &Value, action: &str) -> i64 {
        let id = machine["id"].as_str().unwrap();
        let sql = format!("select count(*) from audit where object_id = '{id}' and action = '{action}'");
        self.sql.number(&sql).await
    }

    /// Names in this state by the metrics.
    async fn gauge(&self, state: &str) -> i64 {
        let text = self.broker.get("/metrics", "").await.body;
        let line = format!("jiyue_names{{state=\"{state}\"}} ");
        let text = text.as_str().unwrap();
        text.lines().find_map(|l| l.strip_prefix(&line)).map_or(-1, |number| number.parse().unwrap())
    }

    #[track_caller]
    fn stands(&self, machine: &Value) {
        let fqdn = machine["fqdn"].as_str().unwrap();
        assert_eq!(self.knot.dig(fqdn, "A"), [machine["address"].as_str().unwrap()], "{fqdn}");
        let mark = self.knot.dig(&format!("_jiyue.{fqdn}"), "TXT");
        assert!(mark.len() == 1 && mark[0].contains(machine["id"].as_str().unwrap()), "{fqdn}: {mark:?}");
    }

    #[track_caller]
    fn gone(&self, fqdn: &str) {
        assert_eq!(self.knot.dig(fqdn, "A"), [""; 0], "{fqdn}");
        assert_eq!(self.knot.dig(&format!("_jiyue.{fqdn}"), "TXT"), [""; 0], "{fqdn}");
    }

    /// Plays the purge, which turns a machine's name to removal in its own transaction.
    async fn withdraw(&self, machine: &Value) {
        let mut sql = Sql::writing(&self.setup.database_url).await;
        let id = machine["id"].as_str().unwrap();
        let set = "state = 'removing', reason = null, attempts = 0, next_try = 0";
        assert_eq!(sql.run(&format!("update names set {set} where machine_id = '{id}'")).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_registered_when_the_machine_answers() {
    for on in On::BOTH {
        let mut town = Town::open(on, Knot::started()).await;
        let began = Instant::now();
        let machines = town.build("oa", 2).await;
        eprintln!("{on:?}: two machines built and registered in {:.1?}", began.elapsed());
        assert_eq!(machines.len(), 2);
        for machine in &machines {
            // The build has waited for it.
            assert_eq!(machine["registration"]["state"], "registered", "{machine:#}");
            assert_eq!(machine["registration"]["server"], town.knot.address().to_string());
            town.stands(machine);
            assert_eq!(town.audited(machine, "name.registered").await, 1);
        }
        let list = town.broker.get("/v1/machines", &town.cast.operator).await.expect(200);
        assert_eq!(list["items"][0]["registration"]["state"], "registered");
        let id = machines[0]["id"].as_str().unwrap();
        let shown = town.setup.cli(Some(&town.broker), &town.cast.operator, &["machine", "show", id]);
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains("域名登记") && shown.contains("已登记"), "{shown}");
        let began = Instant::now();
        while town.gauge("registered").await != 2 {
            assert!(began.elapsed() < LIMIT);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(town.gauge("taken").await, 0);

        // In the recycle bin nobody answers there: the name goes from the server, and nobody else gets it meanwhile.
        let act = async |town: &Town, act: &str| {
            let path = format!("/v1/machines/{id}/{act}");
            let operation = town.broker.post(&path, &town.cast.requester, &json!({})).await.expect(202);
            let id = operation["id"].as_str().unwrap().to_owned();
            let done = town.broker.finished(&id, &town.cast.authority, LIMIT).await;
            assert_eq!(done["state"], "succeeded", "{done:#}");
        };
        act(&town, "delete").await;
        town.until(&machines[0], "removed").await;
        town.gone(machines[0]["fqdn"].as_str().unwrap());
        act(&town, "restore").await;
        town.until(&machines[0], "registered").await;
        town.stands(&machines[0]);
        // The machine goes for good: its name goes with it, the other stays, and a further removal has nothing to do.
        town.withdraw(&machines[0]).await;
        town.until(&machines[0], "removed").await;
        town.gone(machines[0]["fqdn"].as_str().unwrap());
        town.stands(&machines[1]);
        assert_eq!(town.audited(&machines[0], "name.removed").await, 2);
        assert_eq!(town.register_again(&machines[0]).await.code(), "name_state");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_is_down_machines_are_delivered_and_named_later() {
    let mut town = Town::open(On::Sqlite, Knot::prepared()).await;
    let machines = town.build("oa", 1).await;
    let name = &machines[0]["registration"];
    assert_eq!((&name["state"], &machines[0]["state"]), (&json!("pending"), &json!("running")));
    assert!(name["reason"].as_str().unwrap().contains("连接不上"), "{name:#}");
    assert!(name["attempts"].as_i64().unwrap() >= 1 && !name["next_try_at"].is_null(), "{name:#}");
    town.knot.start();
    let began = Instant::now();
    let name = town.until(&machines[0], "registered").await;
    eprintln!("registered {:.1?} after the server was up", began.elapsed());
    assert!(name["reason"].is_null() && name["next_try_at"].is_null(), "{name:#}");
    town.stands(&machines[0]);
    // Down again while the name is to go.
    town.knot.stop();
    town.withdraw(&machines[0]).await;
    let began = Instant::now();
    loop {
        let name = town.until(&machines[0], "removing").await;
        if name["reason"].as_str().is_some_and(|reason| reason.contains("连接不上")) {
            break;
        }
        assert!(began.elapsed() < LIMIT, "{name:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    town.knot.start();
    town.until(&machines[0], "removed").await;
    town.gone(machines[0]["fqdn"].as_str().unwrap());
    assert_eq!(town.audited(&machines[0], "name.removed").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_said_and_once_mended_the_name_is_registered() {
    let mut town = Town::open(On::Sqlite, Knot::started()).await;
    let server = town.knot.address();
    configure(&town.setup, &town.knot, server, OTHER_SECRET, 1);
    town.restart(&[]).await;
    let machines = town.build("oa", 1).await;
    let name = &machines[0]["registration"];
    assert_eq!(name["state"], "refused_key", "{name:#}");
    assert!(name["reason"].as_str().unwrap().contains("BADSIG"), "{name:#}");
    town.gone(machines[0]["fqdn"].as_str().unwrap());
    assert_eq!(town.audited(&machines[0], "name.refused_key").await, 1);
    // The secret stands in no log, and in no answer.
    let log = std::fs::read_to_string(town.setup.folder.join("serve.log")).unwrap();
    assert!(!log.contains(&OTHER_SECRET[..20]) && !log.contains(&SECRET[..20]));
    // Mended on our side: a broker that starts tries at once.
    configure(&town.setup, &town.knot, server, SECRET, 1);
    let began = Instant::now();
    town.restart(&[]).await;
    town.until(&machines[0], "registered").await;
    eprintln!("registered {:.1?} after the restart", began.elapsed());
    town.stands(&machines[0]);

    // Mended on the server's side: it is tried again by itself. The same for a key that is refused when a name is to go.
    town.knot.stop();
    town.knot.configure("hmac-sha256", OTHER_SECRET);
    town.knot.start();
    let more = town.build("hr", 1).await;
    assert_eq!(more[0]["registration"]["state"], "refused_key");
    town.withdraw(&machines[0]).await;
    town.until(&machines[0], "removal_refused").await;
    town.knot.stop();
    town.knot.configure("hmac-sha256", SECRET);
    town.knot.start();
    town.until(&more[0], "registered").await;
    town.until(&machines[0], "removed").await;
    town.gone(machines[0]["fqdn"].as_str().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_is_left_alone_until_an_operator_asks_again() {
    let mut town = Town::open(On::Sqlite, Knot::started()).await;
    town.knot.by_hand(&["add oa 60 A 192.0.2.1"]);
    let machines = town.build("oa", 2).await;
    let (taken, free) = (&machines[0], &machines[1]);
    assert_eq!(taken["registration"]["state"], "taken", "{taken:#}");
    assert!(taken["registration"]["reason"].as_str().unwrap().contains("A 192.0.2.1"), "{taken:#}");
    assert_eq!(free["registration"]["state"], "registered");
    let fqdn = taken["fqdn"].as_str().unwrap();
    assert_eq!(town.knot.dig(fqdn, "A"), ["192.0.2.1"]);
    assert_eq!(town.audited(taken, "name.taken").await, 1);
    // It is still taken; and a requester may not ask.
    town.register_again(taken).await.expect(200);
    town.until(taken, "taken").await;
    let path = format!("/v1/machines/{}/register-name", taken["id"].as_str().unwrap());
    assert_eq!(town.broker.post(&path, &town.cast.requester, &json!({})).await.code(), "forbidden");
    town.knot.by_hand(&["del oa A 192.0.2.1"]);
    let id = taken["id"].as_str().unwrap();
    let cli = town.setup.cli(Some(&town.broker), &town.cast.operator, &["machine", "register-name", id]);
    assert!(cli.status.success(), "{}", String::from_utf8_lossy(&cli.stderr));
    town.until(taken, "registered").await;
    town.stands(taken);
    assert!(town.audited(taken, "machine.register_name").await >= 2);
    // Somebody has deleted it by hand; an operator has it looked after.
    town.knot.by_hand(&["del oa A", "del _jiyue.oa TXT"]);
    town.register_again(taken).await.expect(200);
    tokio::time::sleep(Duration::from_millis(300)).await;
    town.until(taken, "registered").await;
    town.stands(taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undone_build_leaves_no_name() {
    let mut town = Town::open(On::Sqlite, Knot::prepared()).await;
    town.restart(&[("JIYUE_DNS_WAIT_SECONDS", "60")]).await;
    // The server is down, so the build waits at its last step, where the requester changes her mind.
    let id = town.submit("oa", 2).await;
    let operation = town.approve(&id).await;
    let began = Instant::now();
    while town.sql.number("select count(*) from operations where current_step like '%.register'").await != 1 {
        assert!(began.elapsed() < LIMIT);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let path = format!("/v1/requests/{id}/cancel");
    town.broker.post(&path, &town.cast.requester, &json!({})).await.expect(202);
    let done = town.broker.finished(&operation, &town.cast.authority, LIMIT).await;
    assert_eq!(done["state"], "cancelled", "{done:#}");
    // The undoing has not waited for the server. The name is free in the books: the next machine gets it as soon as the
    // server has let go of the last one's.
    let machines = town.broker.get(&format!("/v1/requests/{id}"), &town.cast.requester).await.expect(200);
    let undone = machines["machines"].as_array().unwrap().clone();
    assert_eq!(undone[0]["registration"]["state"], "removing", "{undone:#?}");
    town.restart(&[]).await;
    let next = town.build("oa", 1).await;
    assert_eq!(next[0]["registration"]["state"], "pending");
    town.knot.start();
    for machine in &undone {
        town.until(machine, "removed").await;
    }
    town.until(&next[0], "registered").await;
    town.stands(&next[0]);
    town.gone(undone[1]["fqdn"].as_str().unwrap());
    assert_eq!(town.audited(&undone[0], "name.removed").await, 1);
}

/// An update that was held up on its way arrives when the name has been removed: it is removed once more, before anybody
/// calls it gone.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_comes_late_leaves_nothing() {
    let knot = Knot::started();
    let wire = Wire::to(knot.address()).await;
    let mut town = Town::open_at(On::Sqlite, knot, wire.address).await;
    configure(&town.setup, &town.knot, wire.address, SECRET, 5);
    town.restart(&[("JIYUE_DNS_TIMEOUT_SECONDS", "1"), ("JIYUE_DNS_WAIT_SECONDS", "1")]).await;
    wire.set(Mode::Hold);
    let machines = town.build("oa", 1).await;
    assert_eq!(machines[0]["registration"]["state"], "pending", "{machines:#?}");
    // The held update may be carried out for some seconds yet. A removal goes by another way and finds nothing.
    configure(&town.setup, &town.knot, town.knot.address(), SECRET, 5);
    town.withdraw(&machines[0]).await;
    town.restart(&[]).await;
    let fqdn = machines[0]["fqdn"].as_str().unwrap().to_owned();
    let waiting = "select count(*) from names where state = 'removing' and reason like '%没有得到回答%'";
    let began = Instant::now();
    while town.sql.number(waiting).await != 1 {
        assert!(began.elapsed() < LIMIT);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    town.gone(&fqdn);
    wire.set(Mode::Through);
    let began = Instant::now();
    while *wire.delivered.lock().unwrap() == 0 {
        assert!(began.elapsed() < LIMIT);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    town.stands(&machines[0]);
    town.until(&machines[0], "removed").await;
    eprintln!("what the late update had added was removed {:.1?} later", began.elapsed());
    town.gone(&fqdn);
    assert_eq!(town.audited(&machines[0], "name.removed").await, 1);
}

/// Two brokers on one database: each name is registered and removed by one of them, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_brokers_share_the_names() {
    let mut town = Town::open(On::Postgres, Knot::prepared()).await;
    let mut second = town.setup.clone();
    second.folder = crate::support::scratch("second");
    second = second.with("JIYUE_IMAGE_FOLDER", &town.setup.folder.join("images").to_string_lossy());
    configure(&second, &town.knot, town.knot.address(), SECRET, 1);
    let other = Broker::start(second).await;
    town.restart(&[("JIYUE_DNS_WAIT_SECONDS", "1")]).await;
    // All names wait for the server, and both brokers for them.
    let machines = town.build("oa", 20).await;
    town.knot.start();
    let began = Instant::now();
    for machine in &machines {
        town.until(machine, "registered").await;
    }
    eprintln!("20 names by two brokers in {:.1?}", began.elapsed());
    for machine in &machines {
        town.stands(machine);
        assert_eq!(town.audited(machine, "name.registered").await, 1);
    }
    for machine in &machines {
        town.withdraw(machine).await;
    }
    for machine in &machines {
        town.until(machine, "removed").await;
        town.gone(machine["fqdn"].as_str().unwrap());
        assert_eq!(town.audited(machine, "name.removed").await, 1);
    }
    // What either of them has done, the other has not repeated.
    let log = |broker: &Broker| std::fs::read_to_string(broker.setup.folder.join("serve.log")).unwrap();
    let done = |log: String| log.lines().filter(|l| l.contains("name.tried") && l.contains("fault=None")).count();
    let shares = [done(log(&town.broker)), done(log(&other))];
    eprintln!("done: {shares:?}");
    assert_eq!(shares[0] + shares[1], 40);
}

#[cfg(feature = "crash-points")]
#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_update_and_the_row_it_is_done_once() {
    for on in On::BOTH {
        let mut town = Town::open(on, Knot::started()).await;
        town.restart(&[("JIYUE_CRASH_AT", "name.registered")]).await;
        let id = town.submit("oa", 1).await;
        town.approve(&id).await;
        assert!(town.broker.died(LIMIT));
        // The update is carried out, and nobody has written so.
        assert_eq!(town.knot.dig(&format!("oa.{ZONE}"), "A").len(), 1);
        assert_eq!(town.sql.column("select state from names").await, ["pending"]);
        town.restart(&[]).await;
        let operation = town.sql.column("select id from operations").await.remove(0);
        let done = town.broker.finished(&operation, &town.cast.authority, LIMIT).await;
        assert_eq!(done["state"], "succeeded", "{done:#}");
        let request = town.broker.get(&format!("/v1/requests/{id}"), &town.cast.requester).await.expect(200);
        let machine = request["machines"][0].clone();
        town.until(&machine, "registered").await;
        town.stands(&machine);
        assert_eq!(town.audited(&machine, "name.registered").await, 1);

        town.restart(&[("JIYUE_CRASH_AT", "name.removed")]).await;
        town.withdraw(&machine).await;
        assert!(town.broker.died(LIMIT));
        town.gone(&format!("oa.{ZONE}"));
        assert_eq!(town.sql.column("select state from names").await, ["removing"]);
        // Meanwhile somebody else has taken the name, even with our address. It stays his.
        let address = machine["address"].as_str().unwrap();
        town.knot.by_hand(&[&format!("add oa 60 A {address}")]);
        town.restart(&[]).await;
        town.until(&machine, "removed").await;
        assert_eq!(town.audited(&machine, "name.removed").await, 1);
        assert_eq!(town.knot.dig(&format!("oa.{ZONE}"), "A"), [address]);
    }
}

/// Killed in the last step of a build, and then cancelled: the registered name goes with the machine.
#[cfg(feature = "crash-points")]
#[tokio::test(flavor = "multi_thread")]
async fn a_registered_name_goes_when_its_build_is_undone() {
    let mut town = Town::open(On::Sqlite, Knot::started()).await;
    town.restart(&[("JIYUE_CRASH_AT", "build.deliver")]).await;
    let id = town.submit("oa", 2).await;
    let operation = town.approve(&id).await;
    assert!(town.broker.died(LIMIT));
    assert_eq!(town.knot.dig(&format!("oa-1.{ZONE}"), "A").len(), 1);
    town.restart(&[("JIYUE_WORKER_WIDTH", "0")]).await;
    let path = format!("/v1/requests/{id}/cancel");
    town.broker.post(&path, &town.cast.requester, &json!({})).await.expect(202);
    town.restart(&[]).await;
    let done = town.broker.finished(&operation, &town.cast.authority, LIMIT).await;
    assert_eq!(done["state"], "cancelled", "{done:#}");
    let request = town.broker.get(&format!("/v1/requests/{id}"), &town.cast.requester).await.expect(200);
    for machine in request["machines"].as_array().unwrap() {
        town.until(machine, "removed").await;
        town.gone(machine["fqdn"].as_str().unwrap());
        assert_eq!(town.audited(machine, "name.removed").await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_be_used_are_refused_at_the_start() {
    let knot = Knot::prepared();
    let setup = Setup::new(On::Sqlite);
    let refused = |config: String| {
        std::fs::write(setup.folder.join("config.toml"), config).unwrap();
        let path = setup.folder.join("config.toml");
        let out = setup.cli(None, "", &["serve", "--config", &path.to_string_lossy()]);
        assert!(!out.status.success());
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let key = knot.key_file("key", SECRET).display().to_string();
    let zone = |server: &str, key: &str, more: &str| {
        format!(
            "[[dns]]\nsuffix = \"a.example\"\nserver = \"{server}\"\nkey_name = \"jiyue\"\nkey_file = \"{key}\"\n{more}"
        )
    };
    let open = knot.folder.join("open.key");
    std::fs::write(&open, SECRET).unwrap();
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let open = open.display().to_string();
    for (config, words) in [
        (zone("10.0.0.1:53", &open, ""), ["dns[0].key_file", "chmod 600"]),
        (zone("10.0.0.1:53", "/nowhere", ""), ["dns[0].key_file", "/nowhere"]),
        (zone("dns.example", &key, ""), ["dns[0].server", "10.1.1.53:53"]),
        (zone("10.0.0.1:53", &key, "ttl = 0\n"), ["dns[0].ttl", "300"]),
        (zone("10.0.0.1:53", &key, "algorithm = \"hmac-md5\"\n"), ["hmac-md5", "hmac-sha256"]),
        (zone("10.0.0.1:53", &key, "kye = 1\n"), ["kye", "key_name"]),
        (format!("{0}{0}", zone("10.0.0.1:53", &key, "")), ["dns[1].suffix", "a.example"]),
    ] {
        let said = refused(config);
        assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
        assert!(!said.contains(&SECRET[..20]), "{said}");
    }
}

/// On a real host the zone network's own DNS does not answer for a name that a DNS server keeps.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_real_host_the_networks_own_dns_stays_out_of_it() {
    let (knot, site) = (Knot::started(), Site::new());
    let server = knot.address();
    let mut town = Town::empty(On::Sqlite, knot, server).await;
    town.broker.post("/v1/hosts", &town.cast.operator, &site.host()).await.expect(201);
    town.broker.image(&town.cast, broker::halting_image()).await;
    site.play_guests(5, true).await;
    let machine = town.build("oa", 1).await.remove(0);
    assert_eq!(machine["registration"]["state"], "registered", "{machine:#}");
    town.stands(&machine);
    let network = Site::virsh(&["net-dumpxml", &site.name]);
    assert!(network.contains(machine["address"].as_str().unwrap()), "{network}");
    assert!(!network.contains(machine["fqdn"].as_str().unwrap()), "{network}");
}
