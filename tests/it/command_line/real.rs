//! Against a real broker.

use super::{err, jiyue, out};
use crate::support::broker::{self, Broker, Cast, On, Setup};
use serde_json::Value;
use std::process::Output;

async fn run(broker: &Broker, home: &std::path::Path, token: &str, args: &[&str]) -> Output {
    let mut command = jiyue(home, args);
    command.env("JIYUE_SERVER", &broker.url).env("JIYUE_TOKEN", token);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_approved_waited_for_and_seen_by_name() {
    let (broker, home) = (Broker::start(Setup::new(On::Sqlite)).await, tempfile::tempdir().unwrap());
    let cast = Cast::arrive(&broker).await;
    broker.furnish(&cast).await;
    broker.post("/v1/requests", &cast.requester, &broker::request()).await.expect(201);
    let waiting =
        run(&broker, home.path(), &cast.authority, &["request", "list", "--state", "submitted", "-o", "name"]).await;
    let id = out(&waiting).trim().to_owned();
    assert_eq!(id.len(), 36, "{}", err(&waiting));
    let approved =
        run(&broker, home.path(), &cast.authority, &["request", "approve", &id, "--wait", "--lang", "en"]).await;
    assert_eq!(approved.status.code(), Some(0), "{}", err(&approved));
    assert!(out(&approved).contains("The operation is done") && err(&approved).contains("100%"), "{}", out(&approved));
    let machines = run(&broker, home.path(), &cast.requester, &["machine", "list", "-o", "name"]).await;
    assert_eq!(out(&machines).lines().count(), 2);
    let audit = run(&broker, home.path(), &cast.auditor, &["audit", "list", "--limit", "3", "-o", "json"]).await;
    let audit: Value = serde_json::from_str(&out(&audit)).unwrap();
    assert_eq!(audit["items"].as_array().map(Vec::len), Some(3));
    // Page after page, without a record twice.
    let whole = run(&broker, home.path(), &cast.auditor, &["audit", "list", "-o", "name"]).await;
    let numbers: std::collections::BTreeSet<_> = out(&whole).lines().map(str::to_owned).collect();
    assert_eq!(numbers.len(), out(&whole).lines().count());
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_filters_bulk_decisions_and_events_are_used_as_agreed() {
    let (broker, home) = (Broker::start(Setup::new(On::Sqlite)).await, tempfile::tempdir().unwrap());
    let cast = Cast::arrive(&broker).await;
    broker.furnish(&cast).await;
    let ask = async |token: &str, args: &[&str]| run(&broker, home.path(), token, args).await;
    let code = ask(&cast.authority, &["department", "list", "-o", "name"]).await;
    let code = out(&code).lines().next().unwrap().to_owned();
    let renamed = ask(&cast.authority, &["department", "rename", &code, "新名称"]).await;
    assert!(renamed.status.success() && out(&renamed).contains("新名称"), "{}", err(&renamed));
    let host = out(&ask(&cast.operator, &["host", "list", "-o", "name"]).await).trim().to_owned();
    // What an act names is what the next command takes.
    let made = ask(&cast.authority, &["department", "create", "wj", "文教局", "-o", "name"]).await;
    assert_eq!(out(&made), "wj\n");
    let shown = ask(&cast.authority, &["department", "show", out(&made).trim(), "-o", "name"]).await;
    assert_eq!(out(&shown), "wj\n", "{}", err(&shown));
    for args in [&["image", "distribute", "test-image"][..], &["image", "distribute", "test-image", "--wait"]] {
        let sent = ask(&cast.operator, &[args, &["-o", "name"]].concat()).await;
        assert_eq!(out(&sent).trim(), host, "{}", err(&sent));
    }
    let size = ["--vcpu", "1", "--memory", "1GiB", "--disk", "2GiB", "--zone", "政务外网", "-o", "name"];
    let placed = ask(&cast.operator, &[&["placement", "explain"][..], &size].concat()).await;
    assert_eq!(out(&placed).trim(), host, "{}", err(&placed));
    let acts =
        ask(&cast.auditor, &["audit", "list", "--action", "department.create", "--sort", "seq", "-o", "json"]).await;
    let acts: Value = serde_json::from_str(&out(&acts)).unwrap();
    assert!(acts["items"].as_array().is_some_and(|all| all.len() > 1), "{acts}");
    let set = ask(&cast.operator, &["host", "set", &host, "--mlps-level", "三级", "-o", "json"]).await;
    assert!(out(&set).contains("\"mlps_level\": 3"), "{}", err(&set));
    for _ in 0..2 {
        broker.post("/v1/requests", &cast.requester, &broker::request()).await;
    }
    let ids =
        out(&ask(&cast.authority, &["request", "list", "--state", "submitted", "--sort", "created_at", "-o", "name"])
            .await);
    let absent = "00000000-0000-7000-8000-000000000000";
    let decided: Vec<_> = ["request", "approve"].into_iter().chain(ids.lines()).chain([absent, "--wait"]).collect();
    let decided = ask(&cast.authority, &decided).await;
    assert_eq!(decided.status.code(), Some(1), "one of them is not there: {}", out(&decided));
    assert!(out(&decided).contains("已完成"), "{}", out(&decided));
    let running =
        ask(&cast.requester, &["machine", "list", "--state", "running", "--sort", "name", "-o", "name"]).await;
    assert!(out(&running).lines().count() >= 2, "{}", err(&running));
    let unknown = ask(&cast.authority, &["operation", "list", "--kind", "no-such-kind"]).await;
    assert!(matches!(unknown.status.code(), Some(0 | 1)));
    let events = ask(&cast.auditor, &["event", "list", "-o", "json"]).await;
    let events: Value = serde_json::from_str(&out(&events)).unwrap_or_default();
    assert!(events["items"].as_array().is_some_and(|all| !all.is_empty()) && events["next_page_token"].is_string());
}
