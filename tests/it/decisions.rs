//! Who decides, what a decision takes and gives back, and what the numbers say when there is not enough.

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    plain,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

const LIMIT: Duration = Duration::from_secs(20);
/// Everything an approval may write, and nothing else.
const WRITTEN: [&str; 4] = ["claims", "machines", "operations", "audit"];

struct Stage {
    broker: Broker,
    cast: Cast,
    url: String,
}

impl Stage {
    async fn new(on: On, width: &str) -> Self {
        let setup = Setup::new(on).with("JIYUE_WORKER_WIDTH", width);
        let url = setup.database_url.clone();
        let broker = Broker::start(setup).await;
        let cast = Cast::arrive(&broker).await;
        broker.furnish(&cast).await;
        Self { broker, cast, url }
    }

    /// Another broker on the same database, whose worker works.
    async fn worker(&self) -> Broker {
        let mut setup = self.broker.setup.clone();
        setup.env.retain(|(key, _)| key != "JIYUE_WORKER_WIDTH");
        Broker::start(setup).await
    }

    async fn submit(&self) -> String {
        self.submit_as(&broker::request()).await
    }

    async fn submit_as(&self, block: &Value) -> String {
        let made = self.broker.post("/v1/requests", &self.cast.requester, block).await.expect(201);
        made["items"][0]["id"].as_str().unwrap().to_owned()
    }

    /// An act on a request by the authority.
    async fn decide(&self, id: &str, act: &str, body: Value) -> broker::Answer {
        self.broker.post(&format!("/v1/requests/{id}/{act}"), &self.cast.authority, &body).await
    }

    async fn cancel(&self, id: &str) -> broker::Answer {
        self.broker.post(&format!("/v1/requests/{id}/cancel"), &self.cast.requester, &json!({})).await
    }

    async fn request(&self, id: &str) -> Value {
        self.broker.get(&format!("/v1/requests/{id}"), &self.cast.requester).await.expect(200)
    }

    /// Submitted, approved and built.
    async fn delivered(&self) -> (String, Vec<String>) {
        let id = self.submit().await;
        let operation = self.decide(&id, "approve", json!({})).await.expect(202);
        self.ended(&operation, "succeeded").await;
        let request = self.request(&id).await;
        let machines = request["machines"].as_array().unwrap().iter();
        (id, machines.map(|machine| machine["id"].as_str().unwrap().to_owned()).collect())
    }

    async fn ended(&self, operation: &Value, state: &str) -> Value {
        let ended = self.broker.finished(operation["id"].as_str().unwrap(), &self.cast.authority, LIMIT).await;
        assert_eq!(ended["state"], state, "{ended:#}");
        ended
    }

    async fn machine(&self, id: &str, act: &str) -> broker::Answer {
        self.broker.post(&format!("/v1/machines/{id}/{act}"), &self.cast.requester, &json!({})).await
    }

    async fn machine_state(&self, id: &str) -> Value {
        self.broker.get(&format!("/v1/machines/{id}"), &self.cast.requester).await.expect(200)["state"].clone()
    }

    /// Machines, vCPU, bytes of memory and of disk that the task book counts as used, by plain SQL.
    async fn used(&self) -> [i64; 4] {
        let mut used = [0; 4];
        for (n, what) in ["machines", "vcpu", "memory_bytes", "disk_bytes"].iter().enumerate() {
            used[n] = plain::number(&self.url, &format!("select used_{what} from task_books")).await;
        }
        used
    }

    async fn consistent(&self) {
        let ledger = self.broker.get("/v1/ledger", &self.cast.auditor).await.expect(200);
        assert_eq!(ledger["consistent"], true, "{ledger:#}");
    }

    async fn import(&self, version: i64, change: impl FnOnce(&mut Value)) {
        let mut book = broker::task_book();
        book["version"] = json!(version);
        change(&mut book);
        self.broker.post("/v1/task-books", &self.cast.authority, &book).await.expect(201);
    }

    async fn audits(&self, action: &str) -> i64 {
        plain::number(&self.url, &format!("select count(*) from audit where action = '{action}'")).await
    }
}

const MIB: i64 = 1 << 20;
const GIB: i64 = 1 << 30;
/// The sample request on its task book.
const TWO: [i64; 4] = [2, 2, 256 * MIB, 4 * GIB];

#[tokio::test(flavor = "multi_thread")]
async fn nobody_decides_what_they_or_their_unit_asked_for() {
    for on in On::BOTH {
        let stage = Stage::new(on, "0").await;
        let id = stage.submit().await;
        let token = |login: &str, unit: &str| {
            let args = ["--person", login, "--name", login, "--unit", unit, "--role", "authority"];
            stage.broker.setup.token(&args)
        };
        // The same person with the token of another office; another person of the unit that asked.
        for (login, unit, code) in [
            ("zhang", "区信息办", "self_decision"),
            ("zhang", "相城区民政局", "self_decision"),
            ("sun", "相城区民政局", "own_unit_decision"),
            ("sun", "  相城区民政局 ", "own_unit_decision"),
        ] {
            let token = token(login, unit);
            for (act, body) in [("approve", json!({})), ("return", json!({"reason": "材料不全"}))] {
                let answer = stage.broker.post(&format!("/v1/requests/{id}/{act}"), &token, &body).await;
                assert_eq!((answer.status.as_u16(), answer.code()), (403, code), "{on:?} {login} {unit} {act}");
            }
        }
        assert_eq!(stage.request(&id).await["state"], "submitted");
        assert_eq!(stage.audits("policy.denied").await, 8, "{on:?}");
        assert_eq!(stage.used().await, [0; 4]);
        let token = token("sun", "区大数据局");
        stage.broker.post(&format!("/v1/requests/{id}/approve"), &token, &json!({})).await.expect(202);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_request_is_returned_with_its_reason_or_called_off_once() {
    for on in On::BOTH {
        let stage = Stage::new(on, "0").await;
        let id = stage.submit().await;
        for reason in
            [json!({}), json!({"reason": ""}), json!({"reason": " \n "}), json!({"reason": "长".repeat(2001)})]
        {
            let answer = stage.decide(&id, "return", reason.clone()).await;
            assert!(matches!(answer.status.as_u16(), 400 | 422), "{on:?} {reason} {answer:?}");
        }
        let returned = stage.decide(&id, "return", json!({"reason": "请补充 运行内容"})).await.expect(200);
        assert_eq!((&returned["state"], &returned["decision_reason"]), (&json!("returned"), &json!("请补充 运行内容")));
        assert_eq!((&returned["decided_by"], &returned["decided_unit"]), (&json!("wang"), &json!("区信息办")));
        assert_eq!(stage.decide(&id, "return", json!({"reason": "再退"})).await.code(), "request_not_waiting");
        assert_eq!(stage.decide(&id, "approve", json!({})).await.code(), "request_not_waiting");
        assert_eq!(stage.cancel(&id).await.code(), "request_not_cancellable");
        // Its name is free again; while the next one waits, it is not.
        let next = stage.submit().await;
        let twin = stage.broker.post("/v1/requests", &stage.cast.requester, &broker::request()).await;
        assert_eq!(twin.status.as_u16(), 422);
        assert_eq!(twin.body["errors"][0]["code"], "duplicate_request");
        let mut other = broker::request();
        other["运行内容"] = json!("另一用途");
        let other = stage.broker.post("/v1/requests", &stage.cast.requester, &other).await;
        assert_eq!(other.body["errors"][0]["code"], "domain_taken");
        assert_eq!(stage.cancel(&next).await.expect(200)["state"], "cancelled");
        assert_eq!(stage.cancel(&next).await.code(), "request_not_cancellable");
        assert_eq!(stage.decide(&next, "approve", json!({})).await.code(), "request_not_waiting");
        stage.submit().await;
        assert_eq!((stage.audits("request.return").await, stage.audits("request.cancel").await), (1, 1), "{on:?}");
        assert_eq!(stage.used().await, [0; 4]);
        stage.consistent().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_called_off_or_fails_gives_everything_back_once() {
    for on in On::BOTH {
        let stage = Stage::new(on, "0").await;
        for wish in ["cancel", "revoke"] {
            let id = stage.submit().await;
            let queued = stage.decide(&id, "approve", json!({})).await.expect(202);
            assert_eq!((&queued["state"], stage.used().await), (&json!("queued"), TWO), "{on:?}");
            let (request_ends, operation_ends) = if wish == "cancel" {
                assert_eq!(stage.cancel(&id).await.expect(202)["id"], queued["id"]);
                assert_eq!(stage.request(&id).await["state"], "cancelling");
                assert_eq!(stage.cancel(&id).await.code(), "request_not_cancellable");
                ("cancelled", "cancelled")
            } else {
                let path = "/v1/task-books/相信任〔2026〕17号/revoke";
                stage.broker.post(path, &stage.cast.authority, &json!({"reason": "项目终止"})).await.expect(200);
                ("failed", "failed")
            };
            // Nothing is given back before everything is undone.
            assert_eq!(stage.used().await, TWO, "{on:?} {wish}");
            let worker = stage.worker().await;
            let operation = stage.ended(&queued, operation_ends).await;
            drop(worker);
            if wish == "revoke" {
                assert!(operation["reason"].as_str().unwrap().contains("任务书已撤销"), "{operation:#}");
            }
            let request = stage.request(&id).await;
            assert_eq!(request["state"], request_ends, "{on:?} {wish}");
            assert!(request["machines"].as_array().unwrap().iter().all(|machine| machine["state"] == "undone"));
            assert_eq!(stage.used().await, [0; 4], "{on:?} {wish}");
            let held = "select count(*) from claims where compute_held + storage_held > 0";
            assert_eq!(plain::number(&stage.url, held).await, 0, "{on:?} {wish}");
            assert_eq!(
                plain::number(&stage.url, "select used_vcpu + used_memory_bytes + used_disk_bytes from hosts").await,
                0
            );
            stage.consistent().await;
        }
        assert_eq!(stage.audits("request.undo").await, 2, "{on:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_to_cancel_between_the_last_step_and_the_delivery_undoes_all() {
    // The moment is hit exactly: a trigger plays the user who cancels when the last step is noted.
    let stage = Stage::new(On::Sqlite, "0").await;
    let mut block = broker::request();
    block["申请虚拟机数量"] = json!(1);
    let id = stage.submit_as(&block).await;
    let operation = stage.decide(&id, "approve", json!({})).await.expect(202);
    let trigger = "create trigger late after update of current_step on operations \
        when new.current_step like '%.answer' and new.cancel_reason is null begin \
        update operations set cancel_reason = '迟到的撤回' where id = new.id; \
        update requests set state = 'cancelling' where id = new.request_id; end";
    plain::run(&stage.url, trigger).await.unwrap();
    let _worker = stage.worker().await;
    stage.ended(&operation, "cancelled").await;
    let request = stage.request(&id).await;
    assert_eq!((&request["state"], &request["machines"][0]["state"]), (&json!("cancelled"), &json!("undone")));
    assert_eq!(stage.used().await, [0; 4]);
    stage.consistent().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_approvals_of_one_request_one_counts() {
    for on in On::BOTH {
        let stage = Arc::new(Stage::new(on, "0").await);
        // Without a name of its own, so that no second wall (names are unique) hides a hole in the first.
        let mut block = broker::request();
        block["域名"] = json!(null);
        block["no_domain_reason"] = json!("仅供本项目内部调用");
        let id = stage.submit_as(&block).await;
        let mut calls = Vec::new();
        for _ in 0..20 {
            let (stage, id) = (Arc::clone(&stage), id.clone());
            calls.push(tokio::spawn(async move { stage.decide(&id, "approve", json!({})).await }));
        }
        let mut accepted = 0;
        for call in calls {
            let answer = call.await.unwrap();
            match answer.status.as_u16() {
                202 => accepted += 1,
                status => assert_eq!((status, answer.code()), (409, "request_not_waiting"), "{on:?}"),
            }
        }
        assert_eq!((accepted, stage.used().await), (1, TWO), "{on:?}");
        assert_eq!(plain::counts(&stage.url, &WRITTEN[..3]).await, [2, 2, 1], "{on:?}");
        assert_eq!(stage.audits("request.approve").await, 1, "{on:?}");
        stage.consistent().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_book_is_judged_again_at_the_approval() {
    for on in On::BOTH {
        let stage = Stage::new(on, "0").await;
        let id = stage.submit().await;
        let before = plain::counts(&stage.url, &WRITTEN).await;
        // A version that is too small: the numbers of this moment, each dimension that is short.
        stage
            .import(2, |book| {
                book["indicators"] = json!({"machines": 1, "vcpu": 20, "memory": "128 MiB", "disk": "500 GiB"});
            })
            .await;
        let short = stage.decide(&id, "approve", json!({})).await;
        assert_eq!((short.status.as_u16(), short.code()), (409, "indicator_exceeded"), "{on:?}");
        let numbers = json!([
            {"dimension": "machines", "asked": 2, "free": 1, "of": "task_book"},
            {"dimension": "memory_bytes", "asked": 256 * MIB, "free": 128 * MIB, "of": "task_book"},
        ]);
        assert_eq!(short.body["shortage"], numbers, "{on:?}");
        // One that no longer allows what was asked for.
        stage.import(3, |book| book["allowed"]["zones"] = json!(["互联网"])).await;
        let refused = stage.decide(&id, "approve", json!({})).await;
        assert_eq!(refused.status.as_u16(), 422, "{on:?} {refused:?}");
        assert_eq!(refused.body["errors"][0]["code"], "zone_not_in_task_book");
        stage.import(4, |_| ()).await;
        let path = "/v1/task-books/相信任〔2026〕17号/revoke";
        stage.broker.post(path, &stage.cast.authority, &json!({"reason": "项目终止"})).await.expect(200);
        let revoked = stage.decide(&id, "approve", json!({})).await;
        assert_eq!(revoked.status.as_u16(), 422, "{on:?} {revoked:?}");
        assert_eq!(
            (&revoked.body["errors"][0]["pointer"], &revoked.body["errors"][0]["code"]),
            (&json!("/task_book"), &json!("task_book_revoked"))
        );
        // Three versions and a revocation are in the audit; of the refused approvals nothing is anywhere.
        let after = plain::counts(&stage.url, &WRITTEN).await;
        assert_eq!(after, [before[0], before[1], before[2], before[3] + 4], "{on:?}");
        assert_eq!((stage.used().await, &stage.request(&id).await["state"]), ([0; 4], &json!("submitted")), "{on:?}");
        let again = stage.broker.post(path, &stage.cast.authority, &json!({"reason": "再撤"})).await;
        assert_eq!(again.code(), "task_book_revoked");
        let mut next = broker::task_book();
        next["version"] = json!(5);
        assert_eq!(stage.broker.post("/v1/task-books", &stage.cast.authority, &next).await.code(), "task_book_revoked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_hosts_cannot_hold_is_refused_with_numbers_and_nothing_is_written() {
    for on in On::BOTH {
        let setup = Setup::new(on).with("JIYUE_WORKER_WIDTH", "0");
        let url = setup.database_url.clone();
        let broker = Broker::start(setup).await;
        let cast = Cast::arrive(&broker).await;
        broker.post("/v1/task-books", &cast.authority, &broker::task_book()).await.expect(201);
        let stage = Stage { broker, cast, url };
        let mut block = broker::request();
        block["申请虚拟机数量"] = json!(6);
        let id = stage.submit_as(&block).await;
        assert_eq!(stage.decide(&id, "approve", json!({})).await.code(), "image_missing");
        stage.broker.image(&stage.cast, broker::raw_image()).await;
        let before = plain::counts(&stage.url, &WRITTEN).await;
        let short = |numbers: Value| {
            let (stage, id) = (&stage, &id);
            async move {
                let answer = stage.decide(id, "approve", json!({})).await;
                assert_eq!((answer.status.as_u16(), answer.code()), (409, "capacity_exceeded"), "{on:?} {answer:?}");
                assert_eq!(answer.body["shortage"], numbers, "{on:?}");
            }
        };
        short(json!([{"dimension": "hosts", "asked": 1, "free": 0, "of": "host"}])).await;
        let add = async |name: &str, zone: &str, cidr: &str| {
            let host = json!({"name": name, "uri": "simulated:",
                "zones": [{"zone": zone, "network": "n1", "bridge": "b1", "cidr": cidr}]});
            stage.broker.post("/v1/hosts", &stage.cast.operator, &host).await.expect(201);
        };
        // A host without the zone; one with five addresses for machines; then each dimension short on it.
        add("other-zone", "internet", "10.1.0.0/24").await;
        short(json!([{"dimension": "hosts", "asked": 1, "free": 0, "of": "host"}])).await;
        add("small", "government_extranet", "10.2.0.0/29").await;
        let answer = stage.decide(&id, "approve", json!({})).await;
        let numbers = answer.body["shortage"].as_array().cloned().unwrap_or_default();
        assert!(
            numbers.contains(&json!({"dimension": "addresses", "asked": 1, "free": 0, "of": "host"})),
            "{on:?} {answer:?}"
        );
        assert_eq!(plain::counts(&stage.url, &WRITTEN).await[..3], before[..3], "{on:?}");
        assert_eq!(stage.used().await, [0; 4]);
        // The index in memory believes in room that the database does not have: the database decides.
        add("wide", "government_extranet", "10.3.0.0/24").await;
        plain::run(&stage.url, "update hosts set limit_vcpu = 2").await.unwrap();
        let answer = stage.decide(&id, "approve", json!({})).await;
        let numbers = answer.body["shortage"].as_array().cloned().unwrap_or_default();
        assert!(
            numbers.contains(&json!({"dimension": "vcpu", "asked": 1, "free": 0, "of": "host"})),
            "{on:?} {answer:?}"
        );
        plain::run(&stage.url, "update hosts set limit_vcpu = 5").await.unwrap();
        stage.decide(&id, "approve", json!({})).await.expect(202);
        assert_eq!(
            plain::number(&stage.url, "select max(used_vcpu) from hosts").await,
            3,
            "{on:?}: spread over two hosts"
        );
        plain::run(&stage.url, "update hosts set limit_vcpu = used_vcpu").await.unwrap();
        let mut next = broker::request();
        next["域名"] = json!("next.xiangcheng.example");
        let next = stage.submit_as(&next).await;
        let answer = stage.decide(&next, "approve", json!({})).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (409, "capacity_exceeded"), "{on:?} {answer:?}");
        assert_eq!(plain::counts(&stage.url, &WRITTEN[..3]).await, [6, 6, 1], "{on:?}");
        stage.consistent().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bin_frees_compute_at_once_and_keeps_disk_name_and_address() {
    for on in On::BOTH {
        let stage = Stage::new(on, "4").await;
        let (_, machines) = stage.delivered().await;
        let machine = &machines[0];
        assert_eq!(stage.used().await, TWO);
        let address = "select address || fqdn from claims where compute_held = 0 and storage_held = 1";
        let binned = stage.machine(machine, "delete").await.expect(202);
        stage.ended(&binned, "succeeded").await;
        assert_eq!(
            (stage.machine_state(machine).await, stage.used().await),
            (json!("in_bin"), [1, 1, 128 * MIB, 4 * GIB]),
            "{on:?}"
        );
        let kept = plain::texts(&stage.url, address).await;
        assert_eq!(kept.len(), 1, "{on:?}");
        stage.consistent().await;
        for act in ["delete", "stop", "start"] {
            assert_eq!(stage.machine(machine, act).await.code(), "machine_state", "{on:?} {act}");
        }
        let mut other = broker::request();
        other["运行内容"] = json!("另一用途");
        let check = stage.broker.post("/v1/requests/check", &stage.cast.requester, &other).await;
        assert_eq!(check.body["errors"][0]["code"], "domain_taken", "{on:?}");
        // No room on the task book, then none on the host that has its disk.
        stage.import(2, |book| book["indicators"]["machines"] = json!(1)).await;
        let short = stage.machine(machine, "restore").await;
        assert_eq!((short.status.as_u16(), short.code()), (409, "indicator_exceeded"), "{on:?}");
        assert_eq!(
            short.body["shortage"],
            json!([{"dimension": "machines", "asked": 1, "free": 0, "of": "task_book"}])
        );
        stage.import(3, |_| ()).await;
        plain::run(&stage.url, "update hosts set limit_memory_bytes = used_memory_bytes + 1").await.unwrap();
        let short = stage.machine(machine, "restore").await;
        assert_eq!((short.status.as_u16(), short.code()), (409, "capacity_exceeded"), "{on:?}");
        let numbers = json!([{"dimension": "memory_bytes", "asked": 128 * MIB, "free": 1, "of": "host"}]);
        assert_eq!(short.body["shortage"], numbers);
        assert_eq!((stage.machine_state(machine).await, stage.used().await[0]), (json!("in_bin"), 1), "{on:?}");
        plain::run(&stage.url, &format!("update hosts set limit_memory_bytes = {}", i64::MAX)).await.unwrap();
        let restored = stage.machine(machine, "restore").await.expect(202);
        assert_eq!(stage.used().await, TWO, "{on:?}: claimed before it starts");
        stage.ended(&restored, "succeeded").await;
        assert_eq!(stage.machine_state(machine).await, "running");
        let again = plain::texts(&stage.url, "select address || fqdn from claims").await;
        assert!(again.contains(&kept[0]), "{on:?}");
        stage.consistent().await;
        // A revoked task book lets machines stop, but not start.
        let stop = stage.machine(machine, "stop").await.expect(202);
        stage.ended(&stop, "succeeded").await;
        let path = "/v1/task-books/相信任〔2026〕17号/revoke";
        stage.broker.post(path, &stage.cast.authority, &json!({"reason": "项目终止"})).await.expect(200);
        assert_eq!(stage.machine(machine, "start").await.code(), "task_book_revoked", "{on:?}");
        let stop = stage.machine(&machines[1], "stop").await.expect(202);
        stage.ended(&stop, "succeeded").await;
        stage.consistent().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_machine_takes_no_second_act() {
    for on in On::BOTH {
        let mut stage = Stage::new(on, "4").await;
        let (_, machines) = stage.delivered().await;
        // The same house with the worker paused.
        stage.broker.kill();
        let paused = stage.broker.setup.clone().with("JIYUE_WORKER_WIDTH", "0");
        stage.broker = Broker::start(paused).await;
        let stage = Arc::new(stage);
        let mut calls = Vec::new();
        for n in 0..20 {
            let (stage, machine) = (Arc::clone(&stage), machines[0].clone());
            let act = if n % 2 == 0 { "stop" } else { "delete" };
            calls.push(tokio::spawn(async move { stage.machine(&machine, act).await }));
        }
        let mut accepted = Vec::new();
        for call in calls {
            let answer = call.await.unwrap();
            match answer.status.as_u16() {
                202 => accepted.push(answer.body),
                status => assert_eq!((status, answer.code()), (409, "machine_busy"), "{on:?}"),
            }
        }
        assert_eq!(accepted.len(), 1, "{on:?} {accepted:#?}");
        let operator = &stage.cast.operator;
        let path = format!("/v1/machines/{}/stop", machines[0]);
        assert_eq!(stage.broker.post(&path, operator, &json!({})).await.code(), "machine_busy");
        let _worker = stage.worker().await;
        stage.ended(&accepted[0], "succeeded").await;
        stage.consistent().await;
    }
}
