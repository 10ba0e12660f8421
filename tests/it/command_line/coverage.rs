//! Every act of the API can be done at the command line. The table says by which command; it is held against the server's
//! own OpenAPI document and against the command tree.

use super::{err, server::told};
use axum::{Json, response::IntoResponse as _};
use jiyue::cli;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Operation, and the command that performs it.
const COMMANDS: &[(&str, &str)] = &[
    ("GET /v1/alarms", "alarm list"),
    ("GET /v1/alarms/{id}", "alarm show"),
    ("POST /v1/alarms/{id}/acknowledge", "alarm acknowledge"),
    ("GET /v1/audit-records", "audit list"),
    ("GET /v1/departments", "department list"),
    ("POST /v1/departments", "department create"),
    ("GET /v1/departments/{id}", "department show"),
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
    ("POST /v1/servers/{id}/replay-usage", "server replay"),
    ("GET /v1/usage-sources", "usage sources"),
    ("GET /v1/usage", "usage list"),
    ("GET /v1/usage/advice", "usage advice"),
    ("GET /v1/verdicts", "usage verdicts"),
    ("GET /v1/machines/{id}/verdicts", "usage verdicts"),
    ("POST /v1/machines/{id}/agree-reclaim", "machine agree-reclaim"),
    ("POST /v1/machines/{id}/withdraw-reclaim", "machine withdraw-reclaim"),
    ("GET /v1/reports", "report list"),
    ("GET /v1/reports/idle", "report idle"),
    ("GET /v1/reports/{id}", "report show"),
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
    ("GET /v1/systems", "system list"),
    ("POST /v1/systems", "system create"),
    ("GET /v1/systems/{id}", "system show"),
    ("PATCH /v1/systems/{id}", "system set"),
    ("POST /v1/systems/{id}/attach", "system attach"),
    ("POST /v1/systems/{id}/detach", "system detach"),
    ("POST /v1/systems/{id}/judge", "zombie judge"),
    ("GET /v1/systems/{id}/move", "system move"),
    ("POST /v1/systems/{id}/decide", "system decide"),
    ("POST /v1/systems/{id}/advance", "system advance"),
    ("POST /v1/systems/{id}/exempt", "system exempt"),
    ("GET /v1/rooms", "room list"),
    ("GET /v1/rooms/{id}", "room show"),
    ("GET /v1/rooms/export", "room export"),
    ("POST /v1/rooms/import", "room import"),
    ("POST /v1/rooms/{id}/record", "room record"),
    ("POST /v1/rooms/{id}/reopen", "room reopen"),
    ("POST /v1/rooms/{id}/sign", "room sign"),
    ("POST /v1/systems/{id}/request", "system request"),
    ("GET /v1/waves", "wave list"),
    ("POST /v1/waves", "wave create"),
    ("GET /v1/waves/{id}", "wave show"),
    ("PATCH /v1/waves/{id}", "wave set"),
    ("GET /v1/waves/{id}/check", "wave check"),
    ("POST /v1/waves/{id}/delete", "wave delete"),
    ("GET /v1/blackouts", "blackout list"),
    ("POST /v1/blackouts", "blackout create"),
    ("POST /v1/blackouts/{id}/delete", "blackout delete"),
    ("GET /v1/deadlines", "deadline list"),
    ("POST /v1/deadlines/{id}/meet", "deadline meet"),
    ("GET /v1/reports/rooms", "report rooms"),
    ("GET /v1/reports/capacity", "report capacity"),
    ("GET /v1/zombie-findings", "zombie list"),
    ("GET /v1/zombie-findings/{id}", "zombie show"),
    ("POST /v1/zombie-findings/{id}/ask", "zombie ask"),
    ("POST /v1/zombie-findings/{id}/confirm", "zombie confirm"),
    ("POST /v1/zombie-findings/{id}/dismiss", "zombie dismiss"),
    ("POST /v1/zombie-findings/{id}/exempt", "zombie exempt"),
    ("POST /v1/zombie-findings/{id}/file", "zombie file"),
    ("POST /v1/zombie-findings/{id}/reply", "zombie reply"),
    ("GET /v1/zombie-findings/{id}/sheet", "zombie sheet"),
    ("GET /v1/disk-imports", "disk-import list"),
    ("POST /v1/disk-imports", "disk-import create"),
    ("GET /v1/disk-imports/{id}", "disk-import show"),
    ("POST /v1/disk-imports/{id}/rollback", "disk-import rollback"),
    ("POST /v1/disk-imports/{id}/finish", "disk-import finish"),
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
        "crd",
        "dashboards",
        "top",
    ];
    let known: BTreeSet<_> = COMMANDS.iter().map(|(_, command)| *command).chain(HERE.iter().copied()).collect();
    let tree = tree();
    let strangers: Vec<_> = tree.iter().filter(|command| !known.contains(command.as_str())).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}

/// A value that the command line takes for an option of a list.
fn some_value(option: &clap::Arg) -> String {
    let possible = option.get_possible_values();
    match (possible.first(), option.get_id().as_str()) {
        (Some(value), _) => value.get_name().to_owned(),
        (None, "zone") => "政务外网".to_owned(),
        (None, _) => "x".to_owned(),
    }
}

/// Whatever a list of the service can be filtered and ordered by, its command can, and sends it under the service's name.
#[tokio::test(flavor = "multi_thread")]
async fn every_list_can_be_had_as_the_service_gives_it() {
    let document = serde_json::to_value(jiyue::http::openapi()).expect("a document");
    let told = told(|_, _| Json(json!({"items": []})).into_response()).await;
    let mut walked = 0;
    for (operation, words) in COMMANDS.iter().filter(|(_, words)| words.ends_with(" list")) {
        let path = operation.strip_prefix("GET ").expect("a list is read");
        let parameters = document["paths"][path]["get"]["parameters"].as_array().cloned().unwrap_or_default();
        let Some(sort) = parameters.iter().find(|parameter| parameter["name"] == "sort") else { continue };
        let tree = cli::command();
        let command = words.split(' ').fold(&tree, |command, word| command.find_subcommand(word).expect("a command"));
        // The rules are listed from the program itself.
        if words.starts_with("rules ") {
            continue;
        }
        let paging = ["limit", "all", "watch", "interval"];
        let options =
            command.get_arguments().filter(|arg| !arg.is_global_set() && !paging.contains(&arg.get_id().as_str()));
        let mut args: Vec<String> = words.split(' ').map(Into::into).collect();
        for option in options {
            args.push(format!("--{}", option.get_long().expect("a name")));
            if option.get_action().takes_values() {
                args.push(some_value(option));
            }
        }
        let output = told.run(&args.iter().map(String::as_str).collect::<Vec<_>>(), &[]).await;
        assert!(output.status.success(), "{args:?}: {}", err(&output));
        let asked = told.seen().pop().expect("a call");
        let (asked_path, query) = asked.split_once('?').expect("a query");
        assert_eq!(asked_path, *operation);
        let sent: BTreeSet<_> = query.split('&').filter_map(|pair| Some(pair.split_once('=')?.0.to_owned())).collect();
        let known = parameters.iter().filter(|parameter| parameter["in"] == "query");
        let known = known.map(|parameter| parameter["name"].as_str().expect("a name").to_owned());
        assert_eq!(sent, known.filter(|name| name != "page_token").collect(), "jiyue {words}");
        let orders = command.get_arguments().find(|arg| arg.get_id() == "sort").expect("--sort").get_possible_values();
        let orders: Vec<_> = orders.iter().map(|order| Value::from(order.get_name())).collect();
        assert_eq!(sort["schema"]["enum"], Value::from(orders), "jiyue {words} --sort");
        walked += 1;
    }
    assert_eq!(walked, 19);
}
