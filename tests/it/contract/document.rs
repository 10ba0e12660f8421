//! The document against its own guide (`docs/api.md`): names, methods, status codes, parameters, examples. A route that
//! does not keep to it fails here.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Acts whose success is not that of their kind, and why.
const OTHERWISE: &[(&str, &[&str])] = &[
    // What is imported again unchanged was there already.
    ("task_books_import", &["200", "201"]),
    // A request that waits is withdrawn at once; one that is being built turns back step by step.
    ("requests_cancel", &["200", "202"]),
    // Each item says what became of it.
    ("requests_approve_many", &["200"]),
    ("requests_return_many", &["200"]),
];
/// Whole answers that are no JSON.
const PLAIN: &[&str] = &[
    "observability_readyz",
    "observability_healthz",
    "observability_metrics",
    "requests_original",
    "machines_log",
    "operations_events",
    "zombie_findings_sheet",
    "rooms_export",
];

pub struct Route {
    pub method: String,
    pub path: String,
    pub operation: Value,
}

impl Route {
    fn id(&self) -> &str {
        self.operation["operationId"].as_str().expect("an operationId")
    }

    fn parameters(&self) -> BTreeMap<(&str, &str), &Value> {
        let all = self.operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
        all.iter().map(|p| ((p["in"].as_str().unwrap(), p["name"].as_str().unwrap()), p)).collect()
    }

    fn responses(&self) -> &Map<String, Value> {
        self.operation["responses"].as_object().expect("responses")
    }

    fn successes(&self) -> Vec<&str> {
        self.responses().keys().map(String::as_str).filter(|status| status.starts_with('2')).collect()
    }
}

pub fn document() -> Value {
    serde_json::to_value(jiyue::http::openapi()).unwrap()
}

pub fn routes(document: &Value) -> Vec<Route> {
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let (method, path, operation) = (method.to_uppercase(), path.clone(), operation.clone());
            routes.push(Route { method, path, operation });
        }
    }
    routes
}

fn snake(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn kebab(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase()) && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}

/// What of a route is not as the guide has it.
fn faults(route: &Route) -> Vec<String> {
    let mut faults = Vec::new();
    let mut hold = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("{} {}: {what}", route.method, route.path));
        }
    };
    let segments: Vec<_> = route.path.trim_start_matches('/').split('/').collect();
    let api = segments[0] == "v1";
    let is_parameter = |segment: &&str| segment.starts_with('{');
    hold(api || segments.len() == 1, "what is not for monitoring stands under /v1");
    hold(
        segments.iter().skip(1).all(|s| is_parameter(s) || kebab(s) || *s == "openapi.json"),
        "segments are kebab-case",
    );
    hold(segments.iter().filter(|s| is_parameter(s)).count() <= 1, "one identifier in a path");
    hold(snake(route.id()), "the operationId is snake_case");
    hold(route.operation["summary"].as_str().is_some_and(|text| text.chars().any(|c| c > '一')), "a Chinese summary");
    hold(route.operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "one tag");
    hold(route.operation["x-act"].is_string(), "an act");
    let parameters = route.parameters();
    hold(parameters.keys().all(|(place, name)| *place == "header" || snake(name)), "parameters are snake_case");
    for ((place, name), parameter) in &parameters {
        hold(*place != "path" || parameter["required"] == Value::Bool(true), &format!("{name} is required"));
    }
    let successes = route.successes();
    let collection = segments.len() == 2 && !is_parameter(&segments[1]);
    let thing = segments.len() == 3 && is_parameter(&segments[2]);
    let expected: &[&str] = match OTHERWISE.iter().find(|(id, _)| *id == route.id()) {
        Some((_, statuses)) => statuses,
        None => match route.method.as_str() {
            "POST" if collection => &["201"],
            // What is done at once answers the thing; what takes its time answers the operation.
            "POST" if successes == ["202"] => &["202"],
            _ => &["200"],
        },
    };
    hold(successes == expected, &format!("{successes:?} instead of {expected:?}"));
    hold(matches!(route.method.as_str(), "GET" | "POST" | "PATCH"), "GET, POST and PATCH are all there is");
    hold(route.method != "PATCH" || thing, "things are patched, not lists or acts");
    for (status, response) in route.responses() {
        let kinds: Vec<_> = response["content"].as_object().map(|c| c.keys().cloned().collect()).unwrap_or_default();
        match status.as_bytes()[0] {
            b'4' | b'5' => {
                hold(kinds == ["application/problem+json"], &format!("{status} is a problem, not {kinds:?}"));
            }
            b'3' => hold(kinds.is_empty(), "304 has no body"),
            _ => {
                hold(!kinds.is_empty(), "an answer has a body");
                let plain = PLAIN.contains(&route.id());
                hold(
                    plain || kinds.contains(&"application/json".to_owned()),
                    &format!("{status} is JSON, not {kinds:?}"),
                );
                if status == "201" || status == "202" {
                    hold(response["headers"].get("Location").is_some(), "Location says where it is");
                }
            }
        }
        hold(response["description"].is_string(), "each answer is described");
    }
    hold(!api || route.responses().contains_key("503"), "503 is said");
    let open = route.operation["security"] == serde_json::json!([{}]);
    hold(open || route.responses().contains_key("4XX"), "4XX is said");
    if route.method == "GET" {
        hold(route.operation.get("requestBody").is_none(), "a GET has no body");
        let lists = collection && !open || parameters.contains_key(&("query", "sort"));
        if lists && route.id() != "events_list" && route.id() != "observability_ledger" {
            for name in ["page_size", "page_token", "sort"] {
                hold(parameters.contains_key(&("query", name)), &format!("a list has {name}"));
            }
            let orders = parameters.get(&("query", "sort")).and_then(|sort| sort["schema"]["enum"].as_array());
            hold(orders.is_some_and(|orders| !orders.is_empty()), "sort says which orders there are");
        }
    } else {
        let keyed = parameters.contains_key(&("header", "Idempotency-Key"));
        hold(keyed != matches!(route.id(), "images_import" | "usage_import"), "an act takes Idempotency-Key");
    }
    if route.method == "PATCH" {
        hold(parameters.contains_key(&("header", "If-Match")), "a change takes If-Match");
        let kinds = route.operation["requestBody"]["content"].as_object().unwrap().keys().collect::<Vec<_>>();
        hold(kinds == ["application/merge-patch+json"], "a change is a merge patch");
    }
    faults
}

/// What of a schema is not as the guide has it.
fn misnamed(name: &str, schema: &Value, found: &mut Vec<String>) {
    let Some(object) = schema.as_object() else { return };
    for (field, inner) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let at = format!("{name}.{field}");
        // RFC 9457 and CloudEvents name some of theirs.
        if !snake(field) {
            found.push(format!("{at} is not snake_case"));
        }
        let types: Vec<_> = match &inner["type"] {
            Value::String(one) => vec![one.as_str()],
            Value::Array(some) => some.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if field.ends_with("_bytes") && !types.contains(&"integer") && inner.get("$ref").is_none() {
            found.push(format!("{at} is no integer"));
        }
        if field.ends_with("_at") && inner["format"] != "date-time" {
            found.push(format!("{at} is no date-time"));
        }
        misnamed(&at, inner, found);
    }
    if let Some(items) = object.get("items") {
        misnamed(name, items, found);
    }
}

#[test]
fn every_route_keeps_to_the_guide() {
    let document = document();
    let routes = routes(&document);
    let ids: BTreeSet<_> = routes.iter().map(Route::id).collect();
    assert_eq!(ids.len(), routes.len(), "operationIds are unique");
    let all: Vec<_> = routes.iter().flat_map(faults).collect();
    assert_eq!(all, [""; 0]);
    let mut found = Vec::new();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        misnamed(name, schema, &mut found);
    }
    assert_eq!(found, [""; 0]);
    let mut stale: Vec<_> = OTHERWISE.iter().map(|(id, _)| *id).chain(PLAIN.iter().copied()).collect();
    stale.retain(|id| !ids.contains(id));
    assert_eq!(stale, [""; 0], "exceptions for routes that are not there");
}

#[test]
fn a_route_that_breaks_the_guide_is_found() {
    let document = document();
    let routes = routes(&document);
    let broken = |id: &str, spoil: &dyn Fn(&mut Route)| {
        let route = routes.iter().find(|route| route.id() == id).unwrap();
        let mut route =
            Route { method: route.method.clone(), path: route.path.clone(), operation: route.operation.clone() };
        assert_eq!(faults(&route), [""; 0], "{id}");
        spoil(&mut route);
        let found = faults(&route);
        assert!(!found.is_empty(), "{id}: {}", route.operation);
    };
    broken("machines_list", &|route| route.path = "/v1/machine_list".into());
    broken("machines_list", &|route| {
        route.operation["parameters"].as_array_mut().unwrap().retain(|p| p["name"] != "sort");
    });
    broken("machines_list", &|route| route.operation["operationId"] = "machinesList".into());
    broken("machines_start", &|route| route.operation["responses"]["202"]["headers"] = Value::Null);
    broken("machines_start", &|route| route.operation["parameters"] = Value::Null);
    broken("machines_change", &|route| {
        route.operation["parameters"].as_array_mut().unwrap().retain(|p| p["in"] == "path");
    });
    broken("departments_create", &|route| {
        let responses = route.operation["responses"].as_object_mut().unwrap();
        let made = responses.remove("201").unwrap();
        responses.insert("200".into(), made);
    });
    broken("departments_create", &|route| drop(route.operation["responses"].as_object_mut().unwrap().remove("4XX")));
    broken("departments_create", &|route| {
        let content = route.operation["responses"]["4XX"]["content"].as_object_mut().unwrap();
        let problem = content.remove("application/problem+json").unwrap();
        content.insert("application/json".into(), problem);
    });
}
