//! The trail: one record per act, in the act's own transaction, that nobody can change and that holds no secret.

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    plain,
    raw::{Raw, Reply},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

struct Stage {
    broker: Broker,
    raw: Raw,
    cast: Cast,
    url: String,
    acts: Vec<Act>,
}

/// An act that was done, and what its record must say.
struct Act {
    trace: String,
    person: &'static str,
    role: &'static str,
    action: &'static str,
    object: String,
}

impl Stage {
    async fn new(on: On) -> Self {
        let broker = Broker::start(Setup::new(on)).await;
        let cast = Cast::arrive(&broker).await;
        let (raw, url) = (Raw::new(&broker), broker.setup.database_url.clone());
        Self { broker, raw, cast, url, acts: Vec::new() }
    }

    async fn send(&self, trace: &str, token: &str, path: &str, body: impl Into<Vec<u8>>) -> Reply {
        let bearer = format!("Bearer {token}");
        let headers =
            [("authorization", bearer.as_str()), ("x-request-id", trace), ("content-type", "application/json")];
        self.raw.send(Method::POST, path, &headers, Some(body.into())).await
    }

    /// Does an act under a request id of its own. `object` picks the object's id out of the answer.
    async fn act(
        &mut self,
        who: &'static str,
        action: &'static str,
        path: &str,
        body: impl Into<Vec<u8>>,
        object: &str,
    ) -> Value {
        let (token, person, role) = match who {
            "requester" => (&self.cast.requester, "zhang", who),
            "operator" => (&self.cast.operator, "ops", who),
            _ => (&self.cast.authority, "wang", who),
        };
        let trace = format!("trace-{}-{}", self.acts.len(), action.replace('.', "-"));
        let reply = self.send(&trace, token, path, body).await;
        assert!((200..300).contains(&reply.status), "{action}: {reply:?}");
        assert_eq!(reply.header("x-request-id"), trace);
        let body = reply.json();
        let object = body.pointer(object).and_then(Value::as_str).unwrap_or(object).to_owned();
        self.acts.push(Act { trace, person, role, action, object });
        body
    }

    async fn finished(&self, operation: &Value) -> Value {
        let id = operation["id"].as_str().unwrap();
        self.broker.finished(id, &self.cast.authority, Duration::from_secs(20)).await
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.broker.setup.folder.join("serve.log")).unwrap()
    }

    /// Every act that there is.
    async fn live(&mut self) {
        let json = |value: Value| value.to_string();
        self.act(
            "authority",
            "department.create",
            "/v1/departments",
            json(json!({"code": "wjw", "name": "相城区卫健委"})),
            "/id",
        )
        .await;
        self.act("authority", "task_book.import", "/v1/task-books", json(broker::task_book()), "/id").await;
        let host = json!({"name": "sim", "uri": "simulated:", "zones": [
            {"zone": "government_extranet", "network": "n1", "bridge": "b1", "cidr": "10.0.0.0/8"}]});
        self.act("operator", "host.add", "/v1/hosts", json(host), "/id").await;
        let image = "/v1/images?name=test-image&os_type=debian-12&stand_in=true";
        let image = self.act("operator", "image.import", image, broker::raw_image(), "/sha256").await;
        let sha256 = image["sha256"].as_str().unwrap().to_owned();
        self.act("operator", "image.distribute", "/v1/images/test-image/distribute", "{}", &sha256).await;
        for (action, act) in [("request.return", "return"), ("request.cancel", "cancel")] {
            let made =
                self.act("requester", "request.submit", "/v1/requests", json(broker::request()), "/items/0/id").await;
            let path = format!("/v1/requests/{}/{act}", made["items"][0]["id"].as_str().unwrap());
            let who = if act == "return" { "authority" } else { "requester" };
            self.act(who, action, &path, json(json!({"reason": "材料不全"})), "/id").await;
        }
        let made =
            self.act("requester", "request.submit", "/v1/requests", json(broker::request()), "/items/0/id").await;
        let id = made["items"][0]["id"].as_str().unwrap().to_owned();
        let operation =
            self.act("authority", "request.approve", &format!("/v1/requests/{id}/approve"), "{}", &id).await;
        self.finished(&operation).await;
        let request = self.broker.get(&format!("/v1/requests/{id}"), &self.cast.requester).await.expect(200);
        let machine = request["machines"][0]["id"].as_str().unwrap().to_owned();
        for (action, act, who) in [
            ("machine.stop", "stop", "operator"),
            ("machine.start", "start", "requester"),
            ("machine.delete", "delete", "requester"),
            ("machine.restore", "restore", "requester"),
        ] {
            let operation = self.act(who, action, &format!("/v1/machines/{machine}/{act}"), "", &machine).await;
            let ended = self.finished(&operation).await;
            assert_eq!(
                (&ended["state"], ended["trace_id"].as_str()),
                (&json!("succeeded"), Some(self.acts.last().unwrap().trace.as_str()))
            );
        }
        let path = "/v1/task-books/相信任〔2026〕17号/revoke";
        self.act("authority", "task_book.revoke", path, json(json!({"reason": "项目终止"})), "/id").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_act_has_one_record_with_who_what_and_by_which_call() {
    for on in On::BOTH {
        let mut stage = Stage::new(on).await;
        stage.live().await;
        for act in &stage.acts {
            let unit = if act.role == "requester" { "相城区民政局" } else { "区信息办" };
            let columns = "person || '|' || unit || '|' || role || '|' || action || '|' || object_id || '|' || outcome";
            let sql = format!("select {columns} from audit where trace_id = '{}' and role <> 'broker'", act.trace);
            let wanted = format!("{}|{unit}|{}|{}|{}|done", act.person, act.role, act.action, act.object);
            assert_eq!(plain::texts(&stage.url, &sql).await, [wanted], "{on:?} {}", act.trace);
        }
        // The broker carries on under the id of the call that began it: in the audit, in the operation and in the log.
        let log = stage.log();
        for (action, broker_action) in [("request.approve", "request.deliver"), ("machine.delete", "machine.binned")] {
            let trace = &stage.acts.iter().find(|act| act.action == action).unwrap().trace;
            let sql = format!("select action from audit where trace_id = '{trace}' and role = 'broker'");
            assert_eq!(plain::texts(&stage.url, &sql).await, [broker_action], "{on:?}");
            let sql = format!("select count(*) from operations where trace_id = '{trace}'");
            assert_eq!(plain::number(&stage.url, &sql).await, 1, "{on:?}");
            let lines: Vec<_> = log.lines().filter(|line| line.contains(trace.as_str())).collect();
            for event in ["http.answered", "operation.taken", "operation.finished"] {
                assert!(
                    lines.iter().any(|line| line.contains(event)),
                    "{on:?} no {event} of {trace}:\n{}",
                    lines.join("\n")
                );
            }
        }
        let trace = &stage.acts.iter().find(|act| act.action == "request.approve").unwrap().trace;
        assert!(log.lines().any(|line| line.contains(trace.as_str()) && line.contains("machine.step.done")), "{on:?}");
        // Nothing else is in the trail than acts, what the broker did for them, and the console's tokens.
        let rest = "select count(*) from audit where role <> 'broker' and role <> 'console'";
        assert_eq!(plain::number(&stage.url, rest).await, i64::try_from(stage.acts.len()).unwrap() + 2, "{on:?}");
        let tokens = "select count(*) from audit where role = 'console' and action = 'token.create'";
        assert_eq!(
            plain::number(&stage.url, tokens).await,
            plain::number(&stage.url, "select count(*) from tokens").await
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_leaves_no_record_but_a_denial_does() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        let cast = &stage.cast;
        let before = plain::number(&stage.url, "select count(*) from audit").await;
        let department = json!({"code": "mzj", "name": "别的单位"}).to_string();
        for (token, path, body, status) in [
            (&cast.authority, "/v1/departments", department.as_str(), 409),
            (&cast.authority, "/v1/departments", "{", 400),
            (&cast.authority, "/v1/requests/nobody/approve", "{}", 404),
            (&cast.requester, "/v1/requests/check", "{}", 422),
            (&cast.requester, "/v1/requests", "{}", 422),
        ] {
            assert_eq!(stage.send("refused", token, path, body).await.status, status, "{path}");
        }
        assert_eq!(plain::number(&stage.url, "select count(*) from audit").await, before, "{on:?}");
        let path = "/v1/requests/01234567-89ab-7def-8123-456789abcdef/approve";
        assert_eq!(stage.send("denied-1", &cast.requester, path, "{}").await.status, 403);
        assert_eq!(stage.raw.get("/v1/hosts", &cast.requester).await.status, 403);
        assert_eq!(stage.raw.get("/v1/hosts", "nobody").await.status, 401);
        let denials = plain::texts(
            &stage.url,
            "select person || '|' || role || '|' || action || '|' || object_id || '|' || detail from audit \
             where outcome = 'denied' order by seq",
        )
        .await;
        let wanted = [
            format!(
                "zhang|requester|policy.denied|POST /v1/requests/{{id}}/approve|{{\"code\":\"forbidden\",\"path\":\"{path}\"}}"
            ),
            "zhang|requester|policy.denied|GET /v1/hosts|{\"code\":\"forbidden\",\"path\":\"/v1/hosts\"}".to_owned(),
        ];
        assert_eq!(denials, wanted, "{on:?}");
        assert_eq!(plain::texts(&stage.url, "select object_id from audit where trace_id = 'denied-1'").await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_refuses_to_change_or_delete_a_record() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        let content = "select cast(count(*) as text) || min(person) || max(trace_id) from audit";
        let before = plain::texts(&stage.url, content).await;
        for sql in [
            "update audit set person = 'nobody'",
            "update audit set trace_id = 'x' where seq = 1",
            "delete from audit",
            "delete from audit where seq = (select max(seq) from audit)",
            "update audit set seq = seq + 1000",
        ] {
            let refused = plain::run(&stage.url, sql).await.unwrap_err();
            // PostgreSQL has a reason of its own for a generated number.
            let ours =
                refused.contains("audit records are never") || refused.contains("can only be updated to DEFAULT");
            assert!(ours, "{on:?} {sql}: {refused}");
        }
        if on == On::Postgres {
            assert!(plain::run(&stage.url, "truncate audit").await.is_err());
        } else {
            // Replacing is deleting in disguise: SQLite fires no trigger of deletion for it.
            let replace = "insert or replace into audit select * from audit where seq = 1";
            let refused = plain::run(&stage.url, replace).await.unwrap_err();
            assert!(refused.contains("audit records are never"), "{refused}");
        }
        assert_eq!(plain::texts(&stage.url, content).await, before, "{on:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_log_the_audit_or_the_database() {
    for on in On::BOTH {
        let mut stage = Stage::new(on).await;
        stage.live().await;
        let planted = format!("jiyue_{}", "Q".repeat(43));
        for path in ["/v1/requests", "/v1/hosts"] {
            stage.raw.get(path, &planted).await;
        }
        // A token in the wrong place is not repeated either.
        stage.raw.get(&format!("/v1/requests?token={planted}"), &stage.cast.requester).await;
        let cast = &stage.cast;
        let secrets =
            [&cast.authority, &cast.operator, &cast.auditor, &cast.requester, &cast.other_requester, &planted];
        let mut places = vec![stage.log()];
        let columns = "id || person || unit || role || coalesce(token_id, '') || action || object_type || object_id || trace_id || detail";
        places.push(plain::texts(&stage.url, &format!("select {columns} from audit")).await.join("\n"));
        places.push(
            plain::texts(&stage.url, "select id || secret_hash || person_id || unit from tokens").await.join("\n"),
        );
        if on == On::Sqlite {
            for file in ["jiyue.db", "jiyue.db-wal"] {
                let bytes = std::fs::read(stage.broker.setup.folder.join(file)).unwrap_or_default();
                places.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        for secret in secrets {
            // Without its prefix, which everybody knows.
            let secret = secret.trim_start_matches("jiyue_");
            for (n, place) in places.iter().enumerate() {
                assert!(place.len() > 100 || n > 2, "{on:?}: nothing in place {n}");
                assert!(!place.contains(secret), "{on:?}: a token stands in place {n}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_that_cannot_be_printed_is_replaced_everywhere_alike() {
    let mut stage = Stage::new(On::Sqlite).await;
    for (n, odd) in
        ["", "a b", "<script>", "x'; drop table audit; --", "甲", &"x".repeat(65), "a\tb"].into_iter().enumerate()
    {
        let body = json!({"code": format!("d{n}"), "name": format!("单位{n}")}).to_string();
        let reply = stage.send(odd, &stage.cast.authority, "/v1/departments", body).await;
        assert_eq!(reply.status, 201, "{odd:?}: {reply:?}");
        let id = reply.header("x-request-id").to_owned();
        assert!(id != odd && uuid::Uuid::parse_str(&id).is_ok(), "{odd:?}: {id}");
        let sql = format!("select object_id from audit where trace_id = '{id}'");
        assert_eq!(plain::texts(&stage.url, &sql).await, [reply.json()["id"].as_str().unwrap()], "{odd:?}");
        assert!(stage.log().lines().any(|line| line.contains(&id) && line.contains("http.answered")), "{odd:?}");
    }
    // One that can be is kept.
    stage
        .act(
            "authority",
            "department.create",
            "/v1/departments",
            json!({"code": "ok", "name": "好"}).to_string(),
            "/id",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trail_is_read_page_by_page_each_department_its_own() {
    for on in On::BOTH {
        let mut stage = Stage::new(on).await;
        stage.live().await;
        let all = plain::number(&stage.url, "select count(*) from audit").await;
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/audit-records?page_size=3{token}");
            let page = stage.broker.get(&path, &stage.cast.auditor).await.expect(200);
            seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["seq"].as_i64().unwrap()));
            match page["next_page_token"].as_str() {
                Some(next) => token = format!("&page_token={next}"),
                None => break,
            }
        }
        assert!(seen.is_sorted_by(|a, b| a > b) && seen.len() == usize::try_from(all).unwrap(), "{on:?} {seen:?}");
        let own = stage.broker.get("/v1/audit-records", &stage.cast.requester).await.expect(200);
        let own: Vec<_> =
            own["items"].as_array().unwrap().iter().map(|item| item["action"].as_str().unwrap()).collect();
        assert!(
            own.contains(&"request.approve") && own.contains(&"machine.stop"),
            "{on:?}: others' acts on one's own {own:?}"
        );
        let other = stage.broker.get("/v1/audit-records", &stage.cast.other_requester).await.expect(200);
        let other: Vec<_> =
            other["items"].as_array().unwrap().iter().map(|item| item["action"].as_str().unwrap()).collect();
        assert!(other.iter().all(|action| matches!(*action, "department.create" | "token.create")), "{on:?} {other:?}");
    }
}
