//! Legacy servers: whose they are, what can be said of them, and who may.

use crate::support::{
    broker::{Broker, Cast, On, Setup},
    plain,
    raw::{Raw, Reply},
};
use reqwest::Method;
use serde_json::{Value, json};

async fn patch(raw: &Raw, path: &str, token: &str, seen: &str, body: &Value) -> Reply {
    let bearer = format!("Bearer {token}");
    let headers =
        [("authorization", bearer.as_str()), ("content-type", "application/merge-patch+json"), ("if-match", seen)];
    raw.send(Method::PATCH, path, &headers, Some(body.to_string().into_bytes())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_registered_once_changed_with_open_eyes_and_shown_to_its_own() {
    for on in On::BOTH {
        let broker = Broker::start(Setup::new(on)).await;
        let (cast, raw) = (Cast::arrive(&broker).await, Raw::new(&broker));
        broker.furnish(&cast).await;
        let server = json!({"name": " 档案库旧服务器 ", "department": "mzj", "cores": 8, "memory_bytes": 1_u64 << 35});
        let made = broker.post("/v1/servers", &cast.operator, &server).await.expect(201);
        assert_eq!((&made["name"], &made["department"]["code"]), (&json!("档案库旧服务器"), &json!("mzj")), "{made:#}");
        let again = broker.post("/v1/servers", &cast.operator, &server).await;
        assert_eq!((again.status.as_u16(), again.code()), (409, "server_name_taken"));
        // Another department may have one of that name.
        let theirs = json!({"name": "档案库旧服务器", "department": "jyj"});
        broker.post("/v1/servers", &cast.operator, &theirs).await.expect(201);
        for (wrong, status, word) in [
            (json!({"name": "", "department": "mzj"}), 422, "/name"),
            (json!({"name": "a\u{202e}b", "department": "mzj"}), 422, "/name"),
            (json!({"name": "a\nb", "department": "mzj"}), 422, "/name"),
            (json!({"name": "x".repeat(101), "department": "mzj"}), 422, "/name"),
            (json!({"name": "x", "department": "none"}), 404, ""),
            (json!({"name": "x", "department": "mzj", "cores": 0}), 400, "/cores"),
            (json!({"name": "x", "department": "mzj", "cores": 1.5}), 400, "/cores"),
            (json!({"name": "x", "department": "mzj", "memory_bytes": 0}), 400, "/memory_bytes"),
            (json!({"name": "x", "department": "mzj", "source": "s"}), 400, "/instance"),
            (json!({"name": "x", "department": "mzj", "source": "s", "instance": "i"}), 422, "/source"),
        ] {
            let refused = broker.post("/v1/servers", &cast.operator, &wrong).await;
            assert_eq!(refused.status.as_u16(), status, "{on:?} {wrong}: {refused:?}");
            assert!(refused.body["detail"].as_str().unwrap().contains(word), "{on:?} {wrong}: {refused:?}");
        }

        let path = format!("/v1/servers/{}", made["id"].as_str().unwrap());
        let seen = raw.get(&path, &cast.requester).await;
        let tag = seen.header("etag").to_owned();
        let change = json!({"name": "二号", "cores": null});
        let done = patch(&raw, &path, &cast.operator, &tag, &change).await;
        assert_eq!((done.status, &done.json()["name"], &done.json()["cores"]), (200, &json!("二号"), &Value::Null));
        assert_eq!(done.json()["memory_bytes"], json!(1_u64 << 35), "what is not named stays");
        let late = patch(&raw, &path, &cast.operator, &tag, &json!({"name": "三号"})).await;
        assert_eq!((late.status, late.problem().as_str()), (412, "precondition_failed"));
        for (who, status) in [(&cast.requester, 403), (&cast.authority, 403), (&cast.auditor, 403)] {
            assert_eq!(patch(&raw, &path, who, "*", &json!({})).await.status, status);
        }
        assert_eq!(raw.get(&path, &cast.other_requester).await.problem(), "not_found");
        let listed = raw.get("/v1/servers", &cast.other_requester).await.json();
        assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed:#}");

        // A change that is none leaves no trace; each of the others leaves one.
        patch(&raw, &path, &cast.operator, "*", &json!({"name": "二号"})).await;
        let traces = |act: &str| format!("select count(*) from audit where action = 'server.{act}'");
        let url = &broker.setup.database_url;
        assert_eq!(plain::number(url, &traces("create")).await, 2);
        assert_eq!(plain::number(url, &traces("change")).await, 1);

        // What it uses is told as of machines: so far, nothing.
        let usage = broker.get(&format!("{path}/usage"), &cast.requester).await.expect(200);
        assert_eq!((&usage["kind"], &usage["usage"]["samples"]), (&json!("server"), &json!(0)), "{usage:#}");
        let listed = broker.get("/v1/usage?kind=server&department=mzj", &cast.auditor).await.expect(200);
        assert_eq!(listed["items"][0]["name"], "二号", "{listed:#}");
        let machines = broker.get("/v1/usage?kind=machine", &cast.auditor).await.expect(200);
        assert_eq!(machines["items"], json!([]));
    }
}
