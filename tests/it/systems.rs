//! Information systems: entered, changed, and their machines, each department by itself.

use crate::support::{
    broker::{self, Broker, Cast, On, Setup},
    plain,
    raw::Raw,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// As the sample task book has it, so that what is asked for on it is this system's.
const PROJECT: &str = "民政综合业务管理平台";

pub struct Stage {
    pub broker: Broker,
    pub cast: Cast,
    pub raw: Raw,
}

impl Stage {
    pub async fn new(on: On) -> Self {
        let broker = Broker::start(Setup::new(on)).await;
        let cast = Cast::arrive(&broker).await;
        let raw = Raw::new(&broker);
        Self { broker, cast, raw }
    }

    pub async fn system(&self, name: &str, more: Value) -> Value {
        let mut body = json!({"name": name, "purpose": "低保审批"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.broker.post("/v1/systems", &self.cast.requester, &body).await.expect(201)
    }

    pub async fn set(&self, id: &str, change: Value) -> (u16, Value) {
        let bearer = format!("Bearer {}", self.cast.requester);
        let headers =
            [("authorization", bearer.as_str()), ("content-type", "application/merge-patch+json"), ("if-match", "*")];
        let body = Some(change.to_string().into_bytes());
        let reply = self.raw.send(Method::PATCH, &format!("/v1/systems/{id}"), &headers, body).await;
        (reply.status, reply.json())
    }

    /// Two machines, built on a task book of a project.
    async fn machines(&self) -> (String, Vec<String>) {
        let (broker, cast) = (&self.broker, &self.cast);
        let made = broker.post("/v1/requests", &cast.requester, &broker::request()).await.expect(201);
        let request = made["items"][0]["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/requests/{request}/approve");
        let operation = broker.post(&path, &cast.authority, &json!({})).await.expect(202);
        broker.finished(operation["id"].as_str().unwrap(), &cast.authority, Duration::from_secs(20)).await;
        let made = broker.get(&format!("/v1/requests/{request}"), &cast.requester).await.expect(200);
        let machines = made["machines"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap().to_owned());
        (request, machines.collect())
    }

    async fn members(&self, id: &str) -> Vec<(String, String)> {
        let system = self.broker.get(&format!("/v1/systems/{id}"), &self.cast.requester).await.expect(200);
        let machines = system["machines"].as_array().unwrap().iter();
        let text = |machine: &Value, field: &str| machine[field].as_str().unwrap().to_owned();
        let mut members: Vec<_> = machines.map(|m| (text(m, "id"), text(m, "by"))).collect();
        members.sort();
        members
    }

    async fn tie(&self, id: &str, act: &str, body: Value) -> broker::Answer {
        self.broker.post(&format!("/v1/systems/{id}/{act}"), &self.cast.requester, &body).await
    }
}

pub fn id(value: &Value) -> String {
    value["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_is_entered_read_and_changed_by_its_own_department() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        let (broker, cast) = (&stage.broker, &stage.cast);
        let facts = json!({"scope": "office", "frequency": "rarely", "last_updated_on": "2020-02-29",
            "maintained_until": "2030-01-01", "last_login_on": "2021-01-01", "replaced_by": "民政一体化平台"});
        let made = stage.system(" 低保审批系统 ", facts.clone()).await;
        assert_eq!((&made["name"], &made["department"]["code"]), (&json!("低保审批系统"), &json!("mzj")));
        assert_eq!((&made["recorded_by"], &made["machines"]), (&json!("zhang"), &json!([])));
        for (field, value) in facts.as_object().unwrap() {
            assert_eq!(&made[field], value, "{on:?} {field}");
        }
        let path = format!("/v1/systems/{}", id(&made));
        assert_eq!(broker.get(&path, &cast.requester).await.expect(200), made);
        // Everybody who watches over the cloud reads it; another department does not know that it is there.
        for token in [&cast.authority, &cast.operator, &cast.auditor] {
            assert_eq!(broker.get(&path, token).await.expect(200), made);
        }
        assert_eq!(broker.get(&path, &cast.other_requester).await.code(), "not_found");
        assert_eq!(broker.get("/v1/systems", &cast.other_requester).await.expect(200)["items"], json!([]));

        // Null takes back what was said; what is left out stays.
        let (status, changed) =
            stage.set(&id(&made), json!({"replaced_by": null, "frequency": null, "purpose": "受理"})).await;
        assert_eq!(status, 200, "{changed:#}");
        assert_eq!((&changed["replaced_by"], &changed["frequency"]), (&Value::Null, &Value::Null));
        assert_eq!((&changed["purpose"], &changed["scope"]), (&json!("受理"), &json!("office")));

        // A name is one in its department, and another's to use.
        let twin = json!({"name": "低保审批系统", "purpose": "x"});
        assert_eq!(broker.post("/v1/systems", &cast.requester, &twin).await.code(), "system_name_taken");
        broker.post("/v1/systems", &cast.other_requester, &twin).await.expect(201);
        let second = stage.system("另一个", json!({})).await;
        let (status, taken) = stage.set(&id(&second), json!({"name": "低保审批系统"})).await;
        assert_eq!((status, &taken["code"]), (409, &json!("system_name_taken")), "{on:?}");

        let url = &broker.setup.database_url;
        let written =
            "select count(*) from audit where object_type = 'system' and action in ('system.create', 'system.change')";
        assert_eq!(plain::number(url, written).await, 4, "{on:?}");
        // A change to what is there already is none.
        stage.set(&id(&made), json!({"purpose": "受理"})).await;
        assert_eq!(plain::number(url, written).await, 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_is_refused_by_field_with_the_mend() {
    let stage = Stage::new(On::Sqlite).await;
    let (broker, cast) = (&stage.broker, &stage.cast);
    let whole = json!({"name": "甲", "purpose": "乙"});
    let with = |field: &str, value: Value| {
        let mut body = whole.clone();
        body[field] = value;
        body
    };
    let tomorrow = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let tomorrow = tomorrow.saturating_add(jiff::Span::new().days(2)).to_string();
    for (body, status, word) in [
        (json!({"name": "甲"}), 400, "purpose"),
        (with("name", json!(" ")), 422, "/name: "),
        (with("name", json!("长".repeat(101))), 422, "/name: "),
        (with("name", json!("a\u{202e}b")), 422, "/name: "),
        (with("name", json!("甲\n乙")), 422, "/name: "),
        (with("purpose", json!("\u{0}")), 422, "/purpose: "),
        (with("scope", json!("全区")), 400, "/scope"),
        (with("frequency", json!(7)), 400, "/frequency"),
        (with("last_updated_on", json!("2026-02-30")), 400, "/last_updated_on"),
        (with("last_updated_on", json!(tomorrow)), 422, "/last_updated_on: "),
        (with("last_login_on", json!("9999-12-31")), 422, "/last_login_on: "),
        (with("maintained_until", json!("-009999-01-01")), 422, "/maintained_until: "),
        (with("replaced_by", json!("甲")), 422, "/replaced_by: "),
        (with("department", json!("jyj")), 422, "/department: "),
        (with("department", json!("nobody")), 422, "/department: "),
        (with("recorded_by", json!("wang")), 400, "recorded_by"),
    ] {
        let answer = broker.post("/v1/systems", &cast.requester, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{body} {answer:?}");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(word), "{body}: {detail}");
        assert!(status == 400 || detail.contains("请"), "{body}: {detail}");
    }
    // The authority has no department of its own to mean.
    let answer = broker.post("/v1/systems", &cast.authority, &whole).await;
    assert_eq!((answer.code(), answer.status.as_u16()), ("department_unknown", 422));
    broker.post("/v1/systems", &cast.authority, &with("department", json!("jyj"))).await.expect(201);
    // All at once.
    let all = json!({"name": "", "purpose": "", "last_login_on": tomorrow});
    let answer = broker.post("/v1/systems", &cast.requester, &all).await;
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("共有 3 处") && detail.contains("（3）/last_login_on: "), "{answer:?}");
    assert_eq!(plain::number(&broker.setup.database_url, "select count(*) from systems").await, 1);
    // Names that would be something else elsewhere are names here.
    for name in ["=cmd|'/c calc'!A1", "<script>alert(1)</script>", "'; drop table systems; --", "@SUM(1)", "${{7*7}}"] {
        let made = stage.system(name, json!({})).await;
        assert_eq!(made["name"], name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_are_a_systems_by_its_projects_name_or_by_somebodys_word() {
    for on in On::BOTH {
        let stage = Stage::new(on).await;
        let (broker, cast) = (&stage.broker, &stage.cast);
        broker.furnish(cast).await;
        let book = broker::task_book();
        assert_eq!(book["project"]["name"], PROJECT, "the sample's project");
        let same = id(&stage.system(PROJECT, json!({})).await);
        let other = id(&stage.system("低保审批系统", json!({})).await);
        let (request, machines) = stage.machines().await;
        let by = |tie: &str| {
            let mut all: Vec<_> = machines.iter().map(|m| (m.clone(), tie.to_owned())).collect();
            all.sort();
            all
        };
        // Built after the system was entered, and its own without a word.
        assert_eq!(stage.members(&same).await, by("project"), "{on:?}");
        assert_eq!(stage.members(&other).await, []);

        // A word moves them, and only a word moves them again.
        stage.tie(&other, "attach", json!({"requests": [request]})).await.expect(200);
        assert_eq!((stage.members(&same).await, stage.members(&other).await), (vec![], by("hand")), "{on:?}");
        stage.tie(&other, "attach", json!({"machines": machines})).await.expect(200);
        let taken = stage.tie(&same, "attach", json!({"machines": machines})).await;
        assert_eq!(taken.code(), "machine_attached", "{on:?}");
        let not_its_own = stage.tie(&same, "detach", json!({"machines": machines})).await;
        assert_eq!(not_its_own.code(), "machine_not_attached");
        stage.tie(&other, "detach", json!({"machines": [machines[0]]})).await.expect(200);
        assert_eq!(stage.members(&other).await, [(machines[1].clone(), "hand".to_owned())]);
        // Nobody's, until somebody says so: the project's name does not take it back.
        assert_eq!(stage.members(&same).await, []);
        stage.tie(&same, "attach", json!({"machines": [machines[0]]})).await.expect(200);
        assert_eq!(stage.members(&same).await, [(machines[0].clone(), "hand".to_owned())]);

        // What is in the bin is given back already.
        let path = format!("/v1/machines/{}/delete", machines[0]);
        let operation = broker.post(&path, &cast.requester, &json!({})).await.expect(202);
        broker.finished(operation["id"].as_str().unwrap(), &cast.authority, Duration::from_secs(20)).await;
        assert_eq!(stage.members(&same).await, []);

        for (body, word) in [
            (json!({}), "/machines"),
            (json!({"machines": vec!["x"; 201]}), "200"),
            (json!({"machines": [machines[0]]}), "/machines/0: "),
            (json!({"machines": [machines[1], "x' or 1=1"]}), "/machines/1: "),
            (json!({"requests": [jiyue::ids::RequestId::new()]}), "/requests/0: "),
        ] {
            let answer = stage.tie(&other, "attach", body.clone()).await;
            let detail = answer.body["detail"].as_str().unwrap_or_default();
            assert!(answer.status.is_client_error() && detail.contains(word), "{on:?} {body} {answer:?}");
        }
        // Another department's machine is not there for this one's system.
        let foreign = json!({"name": PROJECT, "purpose": "x"});
        let foreign = broker.post("/v1/systems", &cast.other_requester, &foreign).await.expect(201);
        assert_eq!(foreign["machines"], json!([]), "{on:?}: a name is no claim on another department's machines");
        let path = format!("/v1/systems/{}/attach", id(&foreign));
        let answer = broker.post(&path, &cast.other_requester, &json!({"machines": [machines[1]]})).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (422, "bad_value"));
        let answer = broker.post(&path, &cast.authority, &json!({"requests": [request]})).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (422, "bad_value"), "{on:?}: not for the authority either");
    }
}
