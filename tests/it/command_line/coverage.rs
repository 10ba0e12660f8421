//! Every act of the API can be done at the command line. The table says by which command; it is held against the server's
//! own OpenAPI document and against the command tree.

use jiyue::cli;
use serde_json::Value;
use std::collections::BTreeSet;

/// Operation, and the command that performs it.
const COMMANDS: &[(&str, &str)] = &[
    ("GET /v1/alarms", "alarm list"),
    ("GET /v1/alarms/{id}", "alarm show"),
    ("POST /v1/alarms/{id}/acknowledge", "alarm acknowledge"),
    ("GET /v1/audit-records", "audit list"),
    ("GET /v1/departments", "department list"),
    ("POST /v1/departments", "department create"),
    ("GET /v1/departments/{id}", "department rename"),
    ("PATCH /v1/departments/{id}", "department rename"),
    ("GET /v1/events", "event list"),
    ("GET /v1/hosts", "host list"),
    ("POST /v1/hosts", "host add"),
    ("GET /v1/hosts/{id}", "host show"),
    ("PATCH /v1/hosts/{id}", "host set"),
    ("POST /v1/hosts/{id}/cancel-drain", "host drain"),
    ("POST /v1/hosts/{id}/confirm-fenced", "host confirm-fenced"),
    ("POST /v1/hosts/{id}/cordon", "host cordon"),
    ("POST /v1/hosts/{id}/drain", "host drain"),
    ("POST /v1/hosts/{id}/fence", "host fence"),
    ("POST /v1/hosts/{id}/readmit", "host readmit"),
    ("POST /v1/hosts/{id}/uncordon", "host uncordon"),
    ("GET /v1/images", "image list"),
    ("POST /v1/images", "image import"),
    ("GET /v1/images/{id}", "image show"),
    ("POST /v1/images/{id}/distribute", "image distribute"),
    ("GET /v1/images/{id}/hosts", "image show"),
    ("GET /v1/ledger", "ledger verify"),
    ("GET /v1/machines", "machine list"),
    ("GET /v1/machines/{id}", "machine show"),
    ("PATCH /v1/machines/{id}", "machine set"),
    ("POST /v1/machines/{id}/credentials", "machine credentials"),
    ("POST /v1/machines/{id}/delete", "machine delete"),
    ("POST /v1/machines/{id}/extend", "machine extend"),
    ("GET /v1/machines/{id}/log", "machine log"),
    ("GET /v1/machines/{id}/usage", "usage show"),
    ("GET /v1/servers", "server list"),
    ("POST /v1/servers", "server create"),
    ("GET /v1/servers/{id}", "server show"),
    ("PATCH /v1/servers/{id}", "server set"),
    ("GET /v1/servers/{id}/usage", "usage show"),
    ("GET /v1/usage", "usage list"),
    ("POST /v1/usage/import", "usage import"),
    ("POST /v1/machines/{id}/migrate", "machine migrate"),
    ("POST /v1/machines/{id}/reboot", "machine reboot"),
    ("POST /v1/machines/{id}/rebuild", "machine rebuild"),
    ("POST /v1/machines/{id}/register-name", "machine register-name"),
    ("POST /v1/machines/{id}/resize", "machine resize"),
    ("POST /v1/machines/{id}/restore", "machine restore"),
    ("POST /v1/machines/{id}/start", "machine start"),
    ("POST /v1/machines/{id}/stop", "machine stop"),
    ("GET /v1/operations", "operation list"),
    ("GET /v1/operations/{id}", "operation show"),
    ("GET /v1/operations/{id}/events", "operation watch"),
    ("POST /v1/placement/explain", "placement explain"),
    ("GET /v1/requests", "request list"),
    ("POST /v1/requests", "request submit"),
    ("POST /v1/requests/approve", "request approve"),
    ("POST /v1/requests/check", "request check"),
    ("POST /v1/requests/return", "request return"),
    ("GET /v1/requests/{id}", "request show"),
    ("POST /v1/requests/{id}/approve", "request approve"),
    ("POST /v1/requests/{id}/cancel", "request cancel"),
    ("GET /v1/requests/{id}/original", "request original"),
    ("POST /v1/requests/{id}/return", "request return"),
    ("GET /v1/task-books", "task-book list"),
    ("POST /v1/task-books", "task-book import"),
    ("GET /v1/task-books/{id}", "task-book show"),
    ("POST /v1/task-books/{id}/revoke", "task-book revoke"),
    ("GET /v1/rules", "rules list"),
    ("GET /v1/rules/{code}", "rules show"),
    ("GET /v1/openapi.json", "openapi"),
];

/// What no person does at a command line.
const NOBODY: &[(&str, &str)] = &[
    ("GET /healthz", "asked by whatever keeps the service running"),
    ("GET /readyz", "asked by whatever sends it traffic"),
    ("GET /metrics", "read by Prometheus"),
];

/// Every operation of a document.
fn operations(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().expect("paths");
    let methods = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("a path").keys();
        let methods = methods.filter(|key| matches!(key.as_str(), "get" | "post" | "put" | "patch" | "delete"));
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    methods.collect()
}

/// Every command that does something, in words.
fn commands(command: &clap::Command, path: &str, found: &mut BTreeSet<String>) {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let path = format!("{path} {}", sub.get_name()).trim().to_owned();
        if sub.has_subcommands() {
            commands(sub, &path, found);
        } else {
            found.insert(path);
        }
    }
}

/// Operations that nobody performs, and rows of the table that stand for nothing.
fn gaps(document: &Value, tree: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
    let operations = operations(document);
    let known = |operation: &str| COMMANDS.iter().chain(NOBODY).any(|(known, _)| *known == operation);
    let unreachable = operations.iter().filter(|operation| !known(operation)).cloned().collect();
    let listed = COMMANDS.iter().chain(NOBODY).map(|(operation, _)| *operation);
    let idle = listed.filter(|operation| !operations.contains(*operation));
    let wordless = COMMANDS.iter().map(|(_, command)| *command).filter(|command| !tree.contains(*command));
    (unreachable, idle.chain(wordless).map(Into::into).collect())
}

fn tree() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    commands(&cli::command(), "", &mut found);
    found
}

#[test]
fn every_act_of_the_api_has_its_command() {
    let mut document = serde_json::to_value(jiyue::http::openapi()).expect("a document");
    assert!(operations(&document).len() > 50);
    assert_eq!(gaps(&document, &tree()), (Vec::new(), Vec::new()));
    // The check can fail: an act more, a command less.
    document["paths"]["/v1/machines/{id}/explode"] = serde_json::json!({"post": {}});
    let mut fewer = tree();
    fewer.remove("machine stop");
    let found = gaps(&document, &fewer);
    assert_eq!(found, (vec!["POST /v1/machines/{id}/explode".to_owned()], vec!["machine stop".to_owned()]));
}

#[test]
fn every_command_belongs_to_an_act_or_to_this_machine() {
    const HERE: &[&str] = &[
        "serve",
        "doctor",
        "token create",
        "token list",
        "token revoke",
        "context list",
        "context use",
        "context add",
        "context remove",
        "context show",
        "completion",
        "man",
        "event watch",
    ];
    let known: BTreeSet<_> = COMMANDS.iter().map(|(_, command)| *command).chain(HERE.iter().copied()).collect();
    let tree = tree();
    let strangers: Vec<_> = tree.iter().filter(|command| !known.contains(command.as_str())).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}
