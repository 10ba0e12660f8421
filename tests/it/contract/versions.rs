//! `ETag`, `If-None-Match`, `If-Match` and merge patches: nobody undoes what another did meanwhile.

use crate::support::{
    broker::{Broker, Cast, On, Setup},
    plain,
    raw::{Raw, Reply},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;

async fn patch(raw: &Raw, path: &str, token: &str, seen: Option<&str>, body: &str) -> Reply {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/merge-patch+json")];
    headers.extend(seen.map(|tag| ("if-match", tag)));
    raw.send(Method::PATCH, path, &headers, Some(body.as_bytes().to_vec())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changes_something_has_seen_it_as_it_is() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on)).await;
        let (cast, raw) = (Cast::arrive(&broker).await, Raw::new(&broker));
        broker.furnish(&cast).await;
        let (path, body) = ("/v1/departments/mzj", r#"{"name": "相城区民政和社会事业局"}"#);
        let seen = raw.get(path, &cast.authority).await;
        let tag = seen.header("etag").to_owned();
        assert!(tag.len() == 34 && tag.starts_with('"'), "{tag}");
        let blind = patch(&raw, path, &cast.authority, None, body).await;
        assert_eq!((blind.status, blind.problem().as_str()), (428, "precondition_required"));
        let done = patch(&raw, path, &cast.authority, Some(&tag), body).await;
        assert_eq!((done.status, &done.json()["name"]), (200, &json!("相城区民政和社会事业局")), "{done:?}");
        let late = patch(&raw, path, &cast.authority, Some(&tag), r#"{"name": "别的"}"#).await;
        assert_eq!((late.status, late.problem().as_str()), (412, "precondition_failed"));
        // Whoever looks again with the tag of what it has is told so without the body.
        let bearer = format!("Bearer {}", cast.authority);
        let now = raw.get(path, &cast.authority).await.header("etag").to_owned();
        assert_ne!(now, tag);
        for (known, status) in [(now.as_str(), 304), (tag.as_str(), 200), ("*", 304)] {
            let reply =
                raw.send(Method::GET, path, &[("authorization", &bearer), ("if-none-match", known)], None).await;
            assert_eq!(
                (reply.status, reply.header("etag"), reply.text.is_empty()),
                (status, now.as_str(), status == 304)
            );
        }
        // The department's people belong to the new name: who may decide is judged by it.
        let unit = "select count(*) from tokens where unit = '相城区民政和社会事业局'";
        assert_eq!(plain::number(&broker.setup.database_url, unit).await, 1);
        let taken = patch(&raw, "/v1/departments/jyj", &cast.authority, Some("*"), body).await;
        assert_eq!((taken.status, taken.problem().as_str()), (409, "department_name_taken"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_say_only_what_can_be_changed() {
    let broker = Broker::start(Setup::new(On::Sqlite)).await;
    let (cast, raw) = (Cast::arrive(&broker).await, Raw::new(&broker));
    broker.furnish(&cast).await;
    let server = json!({"name": "旧服务器", "department": "mzj"});
    let server = broker.post("/v1/servers", &cast.operator, &server).await.expect(201);
    let server = format!("/v1/servers/{}", server["id"].as_str().unwrap());
    for (path, token, body, status, word) in [
        ("/v1/hosts/sim", &cast.operator, r#"{"name": "x"}"#, 400, "name"),
        ("/v1/hosts/sim", &cast.operator, r#"{"capacity": null}"#, 400, "/capacity"),
        ("/v1/hosts/sim", &cast.operator, r#"{"capacity": {"vcpu": -1}}"#, 400, "/capacity/vcpu"),
        ("/v1/hosts/sim", &cast.operator, r#"{"capacity": {"vcpu": 9223372036854775808}}"#, 400, "/capacity/vcpu"),
        ("/v1/hosts/sim", &cast.operator, r#"{"mlps_level": 5}"#, 400, "/mlps_level"),
        ("/v1/hosts/sim", &cast.operator, r#"{"mlps_level": 3, "mlps_level": 2}"#, 400, "mlps_level"),
        (&server, &cast.operator, r#"{"name": null}"#, 400, "/name"),
        (&server, &cast.operator, r#"{"name": "a\u202eb"}"#, 422, "/name"),
        (&server, &cast.operator, r#"{"department": "jyj"}"#, 400, "department"),
        (&server, &cast.operator, r#"{"cores": 0}"#, 400, "/cores"),
        (&server, &cast.operator, r#"{"memory_bytes": -1}"#, 400, "/memory_bytes"),
        (&server, &cast.operator, r#"{"instance": "h:9100"}"#, 400, "/source"),
        (&server, &cast.operator, r#"{"source": "none", "instance": "h:9100"}"#, 422, "/source"),
        ("/v1/departments/mzj", &cast.authority, r#"{"name": ""}"#, 422, "/name"),
        ("/v1/departments/mzj", &cast.authority, r#"{"name": null}"#, 400, "/name"),
        ("/v1/departments/mzj", &cast.authority, "[]", 400, ""),
        ("/v1/departments/none", &cast.authority, "{}", 404, ""),
    ] {
        let reply = patch(&raw, path, token, Some("*"), body).await;
        assert_eq!(reply.status, status, "{path} {body}: {}", reply.text);
        assert!(reply.json()["detail"].as_str().unwrap().contains(word), "{path} {body}: {}", reply.text);
    }
    let bearer = format!("Bearer {}", cast.operator);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("if-match", "*")];
    let plainly = raw.send(Method::PATCH, "/v1/hosts/sim", &headers, Some(b"{}".to_vec())).await;
    assert_eq!((plainly.status, plainly.problem().as_str()), (415, "unsupported_media_type"));
    // A change that is there already, and none at all, leave no trace.
    let url = &broker.setup.database_url;
    let before = plain::number(url, "select count(*) from audit").await;
    for body in ["{}", r#"{"capacity": {}}"#] {
        assert_eq!(patch(&raw, "/v1/hosts/sim", &cast.operator, Some("*"), body).await.status, 200);
    }
    assert_eq!(plain::number(url, "select count(*) from audit").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_keeps_what_it_has_given_out_and_a_machine_tells_whom_to_call() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on)).await;
        let (cast, raw) = (Cast::arrive(&broker).await, Raw::new(&broker));
        broker.furnish(&cast).await;
        let made = broker.post("/v1/requests", &cast.requester, &crate::support::broker::request()).await.expect(201);
        let request = made["items"][0]["id"].as_str().unwrap();
        broker.post(&format!("/v1/requests/{request}/approve"), &cast.authority, &json!({})).await.expect(202);
        let low = patch(&raw, "/v1/hosts/sim", &cast.operator, Some("*"), r#"{"capacity": {"vcpu": 1}}"#).await;
        assert_eq!((low.status, low.problem().as_str()), (409, "capacity_below_use"), "{on:?}");
        let level = patch(&raw, "/v1/hosts/sim", &cast.operator, Some("*"), r#"{"mlps_level": 1}"#).await;
        assert_eq!(level.problem(), "host_in_use");
        let more = patch(&raw, "/v1/hosts/sim", &cast.operator, Some("*"), r#"{"capacity": {"vcpu": 1000}}"#).await;
        assert_eq!((more.status, &more.json()["capacity"]["vcpu"]), (200, &json!(1000)), "{more:?}");
        let machine =
            raw.get("/v1/machines", &cast.requester).await.json()["items"][0]["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/machines/{machine}");
        let body = r#"{"om_unit": "区民政局信息中心 0512-11111111"}"#;
        for (who, status) in [(&cast.other_requester, 404), (&cast.auditor, 403), (&cast.requester, 200)] {
            assert_eq!(patch(&raw, &path, who, Some("*"), body).await.status, status, "{on:?}");
        }
        assert_eq!(raw.get(&path, &cast.requester).await.json()["om_unit"], "区民政局信息中心 0512-11111111");
        let said: Value = raw.get("/v1/audit-records?action=machine.change", &cast.auditor).await.json();
        assert_eq!(said["items"].as_array().unwrap().len(), 1);
    }
}

/// Many change one thing at once, each from what it has seen: every change that was accepted is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_change_one_thing_at_once_none_is_undone_unseen() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on)).await;
        let (cast, raw) = (Cast::arrive(&broker).await, Arc::new(Raw::new(&broker)));
        broker.furnish(&cast).await;
        let start = raw.get("/v1/hosts/sim", &cast.operator).await.json()["capacity"]["vcpu"].as_i64().unwrap();
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (raw, token) = (raw.clone(), cast.operator.clone());
            clients.spawn(async move {
                let mut done = 0;
                while done < 10 {
                    let seen = raw.get("/v1/hosts/sim", &token).await;
                    let vcpu = seen.json()["capacity"]["vcpu"].as_i64().unwrap() + 1;
                    let body = json!({"capacity": {"vcpu": vcpu}}).to_string();
                    let reply = patch(&raw, "/v1/hosts/sim", &token, Some(seen.header("etag")), &body).await;
                    match reply.status {
                        200 => done += 1,
                        412 => {}
                        _ => panic!("{reply:?}"),
                    }
                }
            });
        }
        clients.join_all().await;
        let end = raw.get("/v1/hosts/sim", &cast.operator).await.json()["capacity"]["vcpu"].as_i64().unwrap();
        assert_eq!(end, start + 80, "{on:?}");
    }
}
