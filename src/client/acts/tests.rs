//! Every act that the document knows is one that programs can ask for by type.

use super::*;
use crate::client::Patience;
use axum::{Json, Router, body::Body, extract, http::StatusCode};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

/// The document's operation that a call is, or nothing.
fn documented(document: &Value, method: &str, path: &str) -> Option<String> {
    let same = |template: &str| {
        let (ours, theirs): (Vec<_>, Vec<_>) = (path.split('/').collect(), template.split('/').collect());
        ours.len() == theirs.len()
            && ours.iter().zip(&theirs).all(|(a, b)| a == b || (b.starts_with('{') && *a == "ID"))
    };
    let paths = document["paths"].as_object().unwrap().iter();
    let found = paths.filter(|(template, item)| same(template) && item.get(method.to_lowercase()).is_some());
    found.map(|(template, _)| format!("{method} {template}")).next()
}

/// What programs do not ask for by type.
const UNTYPED: &[&str] = &["GET /healthz", "GET /readyz", "GET /metrics", "GET /v1/openapi.json"];

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a list of all acts")]
async fn every_typed_act_is_one_of_the_services_own_and_none_is_missing() {
    let seen: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let told = seen.clone();
    let handler = async move |request: extract::Request<Body>| {
        told.lock().unwrap().push((request.method().to_string(), request.uri().path().to_owned()));
        (StatusCode::NOT_FOUND, Json(json!({"title": "没有", "code": "not_found"})))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
    let c = Client::builder(&url).patience(Patience::NONE).build().unwrap();
    let (all, none) = (Filter::new(), json!({}));
    // Each is refused; what counts is what was asked.
    macro_rules! ask { ($($call:expr),+ $(,)?) => {{ let mut n = 0; $(assert!($call.await.is_err()); n += 1;)+ n }} }
    let (hosts, requests, machines) = (c.hosts(), c.requests(), c.machines());
    let (departments, books, images, alarms, operations) =
        (c.departments(), c.task_books(), c.images(), c.alarms(), c.operations());
    let (name, date) = ("n", jiff::civil::date(2028, 1, 1));
    let image = NewImage { name, os_type: "debian-12", database: None, stand_in: true };
    let asked = ask!(
        departments.list(&all),
        departments.create("c", name),
        departments.show("ID"),
        departments.rename("ID", "e", name),
        books.list(&all),
        books.show("ID"),
        books.import(&none),
        books.revoke("ID", "r"),
        hosts.list(&all),
        hosts.show("ID"),
        hosts.add(&none),
        hosts.set("ID", "e", &none),
        hosts.cordon("ID"),
        hosts.uncordon("ID"),
        hosts.drain("ID"),
        hosts.cancel_drain("ID"),
        hosts.fence("ID"),
        hosts.confirm_fenced("ID", name, "r"),
        hosts.readmit("ID"),
        images.list(&all),
        images.show("ID"),
        images.import(image, 1, futures_util::stream::iter([Ok(Bytes::from("x"))])),
        images.hosts("ID"),
        images.distribute("ID", &["h"]),
        requests.list(&all),
        requests.show("ID"),
        requests.check(&none),
        requests.submit(&none),
        requests.submit_file("f", vec![1], &none),
        requests.original("ID"),
        requests.approve("ID", None),
        requests.send_back("ID", "r"),
        requests.cancel("ID", None),
        requests.approve_many(&["a"], None),
        requests.send_back_many(&["a"], "r"),
        machines.list(&all),
        machines.show("ID"),
        machines.start("ID"),
        machines.stop("ID"),
        machines.reboot("ID"),
        machines.delete("ID"),
        machines.restore("ID"),
        machines.rebuild("ID"),
        machines.resize("ID", None, None, None),
        machines.migrate("ID", None),
        machines.extend("ID", date),
        machines.set("ID", "e", &none),
        machines.register_name("ID"),
        machines.credentials("ID"),
        machines.log("ID", None),
        machines.usage("ID", &[]),
        c.servers().usage("ID", &[]),
        c.usage().list(&all),
        c.usage().advice(&all),
        c.usage().import(None, 1, futures_util::stream::iter([Ok(Bytes::from("x"))])),
        c.verdicts().list(&all),
        machines.verdicts("ID", &all),
        machines.agree_reclaim("ID", date, None),
        machines.withdraw_reclaim("ID"),
        c.reports().list(&all),
        c.reports().idle(&[("format", "csv")]),
        c.reports().fetch("ID", "xlsx"),
        c.systems().list(&all),
        c.systems().show("ID"),
        c.systems().create(&none),
        c.systems().set("ID", "e", &none),
        c.systems().attach("ID", &["m"], &[]),
        c.systems().detach("ID", &["m"], &[]),
        c.systems().judge("ID"),
        c.zombie_findings().list(&all),
        c.zombie_findings().show("ID"),
        c.zombie_findings().ask("ID", None),
        c.zombie_findings().reply("ID", &none),
        c.zombie_findings().exempt("ID", date, "e"),
        c.zombie_findings().confirm("ID", "r"),
        c.zombie_findings().dismiss("ID", "r"),
        c.zombie_findings().file("ID", None),
        c.zombie_findings().sheet("ID"),
        c.disk_imports().list(&all),
        c.disk_imports().show("ID"),
        c.disk_imports().create(&none),
        c.disk_imports().roll_back("ID", "r"),
        c.disk_imports().finish("ID", None),
        c.rooms().list(&all),
        c.rooms().show("ID"),
        c.rooms().import("n", None, 1, futures_util::stream::iter([Ok(Bytes::from("x"))])),
        c.rooms().export(&[("form", "merge")]),
        c.rooms().record("ID", &none),
        c.rooms().sign("ID", "r"),
        c.rooms().reopen("ID", "r"),
        c.systems().fate("ID"),
        c.systems().decide("ID", &none),
        c.systems().advance("ID", &none),
        c.systems().exempt("ID", date, "e"),
        c.systems().request("ID", &none),
        c.waves().list(&all),
        c.waves().create(&none),
        c.waves().show("ID"),
        c.waves().set("ID", "e", &none),
        c.waves().check("ID"),
        c.waves().delete("ID"),
        c.blackouts().list(&all),
        c.blackouts().create(&none),
        c.blackouts().delete("ID"),
        c.deadlines().list(&all),
        c.deadlines().meet("ID", "e"),
        c.reports().rooms(&[("format", "csv")]),
        c.reports().capacity(&[("format", "csv")]),
        c.servers().list(&all),
        c.servers().show("ID"),
        c.servers().create(&none),
        c.servers().set("ID", "e", &none),
        c.servers().replay("ID", date, date),
        c.usage_sources().list(&all),
        operations.list(&all),
        operations.show("ID"),
        operations.wait("ID"),
        alarms.list(&all),
        alarms.show("ID"),
        c.events().list(&all),
        c.rules().list(&all),
        c.rules().show("ID"),
        alarms.acknowledge("ID"),
        c.audit_records().list(&all),
        c.ledger(),
        c.explain_placement(&none),
    );
    let document = serde_json::to_value(crate::http::openapi()).unwrap();
    let seen = seen.lock().unwrap();
    // Waiting asks the stream and, where there is none, the operation itself.
    assert_eq!(seen.len(), asked + 1);
    let mut acts: BTreeSet<_> = UNTYPED.iter().map(|act| (*act).to_owned()).collect();
    for (method, path) in seen.iter() {
        acts.insert(documented(&document, method, path).unwrap_or_else(|| panic!("{method} {path}")));
    }
    let all = document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    assert_eq!(acts, all.collect());
    assert!(documented(&document, "POST", "/v1/machines/ID/explode").is_none());
}
