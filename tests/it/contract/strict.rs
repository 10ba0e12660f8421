//! What is refused before it is understood: lists for objects, names that stand twice, names that nobody knows, numbers
//! that nobody can keep.

use super::document::{document, routes};
use crate::support::{
    broker::{Broker, Cast, On, Setup},
    raw::{Raw, Reply},
};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The schema behind a reference.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(path) => document.pointer(path.trim_start_matches('#')).expect("a schema"),
        None => schema,
    }
}

/// The names of all fields below a part of the document, through its references.
fn fields(document: &Value, part: &Value, seen: &mut BTreeSet<String>, found: &mut BTreeSet<String>) {
    match part {
        Value::Object(map) => {
            found.extend(map.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys).cloned());
            if let Some(path) = map.get("$ref").and_then(Value::as_str)
                && seen.insert(path.to_owned())
            {
                fields(document, resolved(document, part), seen, found);
            }
            // Examples are no schemas.
            map.iter().filter(|(name, _)| *name != "example").for_each(|(_, p)| fields(document, p, seen, found));
        }
        Value::Array(parts) => parts.iter().for_each(|part| fields(document, part, seen, found)),
        _ => {}
    }
}

/// Every field of every answer, into every body: whoever names what only the broker may set is told so.
#[tokio::test(flavor = "multi_thread")]
async fn no_field_that_is_only_given_out_is_taken_in() {
    let document = document();
    let mut given = BTreeSet::new();
    for route in routes(&document) {
        fields(&document, &route.operation["responses"], &mut BTreeSet::new(), &mut given);
    }
    assert!(given.len() > 150, "{} {given:?}", given.len());
    let broker = Broker::start(Setup::new(On::Sqlite)).await;
    let (cast, raw) = (Cast::arrive(&broker).await, Raw::new(&broker));
    broker.furnish(&cast).await;
    let mut tried = 0;
    for route in routes(&document) {
        for (kind, content) in route.operation["requestBody"]["content"].as_object().into_iter().flatten() {
            if !kind.ends_with("json") {
                continue;
            }
            let schema = resolved(&document, &content["schema"]);
            let known: Map<String, Value> = schema["properties"].as_object().cloned().unwrap_or_default();
            let example = content["example"].as_object().cloned().unwrap_or_default();
            for field in given.iter().filter(|field| !known.contains_key(*field) && !example.contains_key(*field)) {
                let mut body = example.clone();
                body.insert(field.clone(), json!("x"));
                let mut told = Vec::new();
                for token in [&cast.authority, &cast.operator, &cast.requester] {
                    let bearer = format!("Bearer {token}");
                    let headers =
                        [("authorization", bearer.as_str()), ("content-type", kind.as_str()), ("if-match", "*")];
                    let path = route.path.replace("{id}", "none");
                    let method: Method = route.method.parse().unwrap();
                    let bytes = Value::Object(body.clone()).to_string().into_bytes();
                    let reply = raw.send(method, &path, &headers, Some(bytes)).await;
                    assert!((400..500).contains(&reply.status), "{} {path} took {field}: {}", route.method, reply.text);
                    if reply.status != 403 {
                        told.push(reply);
                    }
                    tried += 1;
                }
                // Whoever may do it is told that it is the field which is wrong, and not that something else is. A form knows
                // some by another name, and has them already.
                let named = |reply: &Reply| {
                    let again = reply.violations().iter().any(|(_, code)| code == "duplicate_field");
                    matches!(reply.status, 400 | 422) && (again || reply.text.contains(field.as_str()))
                };
                assert!(
                    !told.is_empty() && told.iter().all(named),
                    "{} {} {field}: {told:?}",
                    route.method,
                    route.path
                );
            }
        }
    }
    assert!(tried > 2000, "{tried}");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_say_two_things_or_are_not_objects_are_refused_by_name() {
    let broker = Broker::start(Setup::new(On::Sqlite)).await;
    let (cast, raw) = (Cast::arrive(&broker).await, Raw::new(&broker));
    broker.furnish(&cast).await;
    for (path, token, kind, body, word) in [
        ("/v1/departments", &cast.authority, "application/json", r#"["wj", "文教局"]"#, "花括号"),
        ("/v1/departments", &cast.authority, "application/yaml", "- wj\n- 文教局\n", ""),
        ("/v1/departments", &cast.authority, "application/json", r#"{"code": "a", "code": "b", "name": "c"}"#, "code"),
        ("/v1/departments", &cast.authority, "application/json", r#"{"code": "a", "name": "c", "id": 1}"#, "id"),
        (
            "/v1/hosts",
            &cast.operator,
            "application/json",
            r#"{"name": "n", "uri": "simulated:", "zones": [["internet", "n", "b", "10.0.0.0/24"]]}"#,
            "/zones/0",
        ),
        ("/v1/requests", &cast.requester, "application/json", r#"{"域名": "a.example", "域名": "b.example"}"#, "域名"),
        ("/v1/requests/approve", &cast.authority, "application/json", r#"{"ids": "all"}"#, "/ids"),
        ("/v1/placement/explain", &cast.operator, "application/json", r#"{"vcpu": 1e400}"#, ""),
        ("/v1/departments", &cast.authority, "application/json", "\u{feff}{}", ""),
        ("/v1/departments", &cast.authority, "application/json", "", "code"),
        ("/v1/departments", &cast.authority, "application/json", "null", ""),
    ] {
        let reply = raw.post(path, token, kind, body.to_owned()).await;
        assert_eq!((reply.status, reply.problem().as_str()), (400, "malformed"), "{path} {body}: {}", reply.text);
        assert!(reply.json()["detail"].as_str().unwrap().contains(word), "{path} {body}: {}", reply.text);
    }
    // UTF-16, GBK and broken UTF-8.
    for bytes in [&b"\xff\xfe{\0}\0"[..], &b"{\"name\": \"\xce\xc4\"}"[..], &b"{\"name\": \"\xc3\"}"[..]] {
        let reply = raw.post("/v1/departments", &cast.authority, "application/json", bytes).await;
        assert_eq!((reply.status, reply.problem().as_str()), (400, "malformed"), "{}", reply.text);
    }
}

/// Around every edge of what a number can be: refused, or kept to the last digit.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_kept_whole_or_refused() {
    let broker = Broker::start(Setup::new(On::Sqlite)).await;
    let (cast, raw) = (Cast::arrive(&broker).await, Raw::new(&broker));
    broker.furnish(&cast).await;
    let bearer = format!("Bearer {}", cast.operator);
    let headers =
        [("authorization", bearer.as_str()), ("content-type", "application/merge-patch+json"), ("if-match", "*")];
    let mut kept = 0;
    for number in [
        "0",
        "1",
        "2147483647",
        "2147483648",
        "4294967296",
        "9007199254740991",
        "9007199254740992",
        "9007199254740993",
        "9223372036854775806",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "-1",
        "-9223372036854775808",
        "1.5",
        "1e3",
        "1E400",
        "0.1e1",
        "-0",
        "00",
        "+1",
        "0x10",
        "NaN",
        "Infinity",
        "\"8\"",
        "true",
        "null",
        "[]",
        "{}",
    ] {
        for field in ["vcpu", "memory_bytes", "disk_bytes"] {
            let body = format!(r#"{{"capacity": {{"{field}": {number}}}}}"#);
            let reply = raw.send(Method::PATCH, "/v1/hosts/sim", &headers, Some(body.clone().into_bytes())).await;
            if reply.status == 200 {
                let shown = raw.get("/v1/hosts/sim", &cast.operator).await;
                // As text, so that nothing is rounded on the way.
                let whole = number.strip_prefix('-').unwrap_or(number);
                assert!(shown.text.contains(&format!("\"{field}\":{whole}")), "{body}: {}", shown.text);
                kept += 1;
            } else {
                assert_eq!((reply.status, reply.problem().as_str()), (400, "malformed"), "{body}: {}", reply.text);
            }
        }
    }
    assert!(kept >= 30, "{kept}");
}
