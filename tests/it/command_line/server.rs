//! Against a server that answers as it is told: what is sent, what is shown, which exit code.

use super::{err, jiyue, out};
use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::{
    os::unix::fs::PermissionsExt as _,
    process::Output,
    sync::{Arc, Mutex},
};

/// One call as the server saw it.
#[derive(Clone, Debug)]
pub struct Call {
    pub what: String,
    pub if_match: Option<String>,
    pub key: Option<String>,
    pub token: Option<String>,
    pub body: Value,
}

type Answers = fn(&Call, usize) -> Response;

/// A server, what it saw, and a home for the command.
pub struct Told {
    pub url: String,
    pub calls: Arc<Mutex<Vec<Call>>>,
    pub home: tempfile::TempDir,
}

#[derive(Clone)]
struct Part(Arc<Mutex<Vec<Call>>>, Answers);

pub async fn told(answers: Answers) -> Told {
    async fn answer(State(part): State<Part>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let call = Call {
            what: format!("{method} {uri}"),
            if_match: text("if-match"),
            key: text("idempotency-key"),
            token: text("authorization"),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        };
        let count = {
            let mut calls = part.0.lock().unwrap();
            calls.push(call.clone());
            calls.len()
        };
        (part.1)(&call, count)
    }
    let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(Part(calls.clone(), answers));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Told { url, calls, home: tempfile::tempdir().unwrap() }
}

impl Told {
    /// Runs the command with this server and a token.
    pub async fn run(&self, args: &[&str], set: &[(&str, &str)]) -> Output {
        let mut command = jiyue(self.home.path(), args);
        command.env("JIYUE_SERVER", &self.url).env("JIYUE_TOKEN", "t0ken").envs(set.iter().copied());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    pub fn seen(&self) -> Vec<String> {
        self.calls.lock().unwrap().iter().map(|call| call.what.clone()).collect()
    }
}

pub fn problem(status: u16, code: &str) -> Response {
    let body = json!({"title": "不行", "detail": "因为这样", "code": code, "status": status});
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

fn machine(id: &str, state: &str) -> Value {
    json!({"id": id, "name": format!("oa-{id}"), "state": state, "address": "10.0.0.2", "fqdn": "oa.gov.cn"})
}

#[tokio::test(flavor = "multi_thread")]
async fn names_alone_are_for_other_commands() {
    let told =
        told(|_, _| Json(json!({"items": [machine("m-1", "running"), machine("m-2", "stopped")]})).into_response())
            .await;
    let output = told
        .run(
            &["machine", "list", "-o", "name", "--zone", "政务外网", "--host", "n1", "--sort", "-name", "--limit", "2"],
            &[],
        )
        .await;
    assert_eq!((out(&output).as_str(), output.status.code()), ("m-1\nm-2\n", Some(0)), "{}", err(&output));
    assert_eq!(told.seen(), ["GET /v1/machines?zone=government_extranet&host=n1&sort=-name&page_size=2"]);
    assert_eq!(told.calls.lock().unwrap()[0].token.as_deref(), Some("Bearer t0ken"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_is_decided_singly_and_several_together() {
    let told = told(|call, _| match call.what.as_str() {
        "POST /v1/requests/a/approve" => (StatusCode::ACCEPTED, Json(json!({"id": "op-1"}))).into_response(),
        "POST /v1/requests/return" => {
            Json(json!({"items": [{"request_id": "a", "status": 202}, {"request_id": "b", "status": 202}]}))
                .into_response()
        }
        _ => {
            let third = if call.body["comment"] == "混" { 403 } else { 409 };
            let refused = json!({"title": "额度不够", "detail": "差 2 核", "code": "quota_shortage"});
            Json(json!({"items": [
                {"request_id": "a", "status": 202, "operation": {"id": "op-1", "state": "queued"}},
                {"request_id": "b", "status": 409, "problem": refused},
                {"request_id": "c", "status": third, "problem": refused}]}))
            .into_response()
        }
    })
    .await;
    let one = told.run(&["request", "approve", "a", "-o", "name"], &[]).await;
    assert_eq!((out(&one).as_str(), one.status.code()), ("op-1\n", Some(0)));
    let three = told.run(&["request", "approve", "a", "b", "c"], &[]).await;
    assert_eq!(three.status.code(), Some(4), "{}", err(&three));
    insta::assert_snapshot!(out(&three), @"
    3 份申请，1 份成功
    申请  结果      操作  原因               代码
    a     排队中    op-1  -                  -
    b     没有办成  -     额度不够：差 2 核  quota_shortage
    c     没有办成  -     额度不够：差 2 核  quota_shortage
    ");
    let mixed = told.run(&["request", "approve", "a", "b", "c", "--comment", "混"], &[]).await;
    assert_eq!(mixed.status.code(), Some(1));
    let back = told.run(&["request", "return", "a", "b", "--reason", "改"], &[]).await;
    assert_eq!(back.status.code(), Some(0));
    let calls = told.calls.lock().unwrap();
    assert_eq!(calls[1].body, json!({"ids": ["a", "b", "c"]}));
    assert_eq!(calls[3].body, json!({"ids": ["a", "b"], "reason": "改"}));
    assert!(calls.iter().all(|call| call.key.is_some()), "every act has its key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_carries_the_mark_of_what_was_read() {
    let told = told(|call, _| match call.what.split(' ').next() {
        Some("GET") => {
            ([("etag", "\"7\"")], Json(json!({"id": "h", "name": "node1", "state": "active"}))).into_response()
        }
        _ if call.body["mlps_level"] == 2 => problem(412, "precondition_failed"),
        _ => Json(json!({"id": "h", "name": "node1", "state": "active"})).into_response(),
    })
    .await;
    let good = told.run(&["host", "set", "node1", "--vcpu", "4", "--memory", "2GiB"], &[]).await;
    assert_eq!(good.status.code(), Some(0), "{}", err(&good));
    let stale = told.run(&["host", "set", "node1", "--mlps-level", "二级"], &[]).await;
    assert_eq!(stale.status.code(), Some(4));
    assert!(err(&stale).contains("precondition_failed") && err(&stale).contains("再改一次"), "{}", err(&stale));
    let calls = told.calls.lock().unwrap();
    assert_eq!((calls[1].what.as_str(), calls[1].if_match.as_deref()), ("PATCH /v1/hosts/node1", Some("\"7\"")));
    assert_eq!(calls[1].body, json!({"capacity": {"vcpu": 4, "memory_bytes": 2_147_483_648_u64}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_what_happened() {
    let told = told(|call, _| match call.what.as_str() {
        what if what.contains("refused") => problem(403, "forbidden"),
        what if what.contains("missing") => problem(404, "not_found"),
        what if what.contains("conflict") => problem(409, "quota_shortage"),
        what if what.contains("broken") => problem(500, "internal"),
        _ => Json(json!({"id": "x"})).into_response(),
    })
    .await;
    for (args, code) in [
        (&["machine", "show", "good"][..], 0),
        (&["machine", "show", "refused"], 1),
        (&["machine", "show", "missing"], 1),
        (&["machine", "stop", "conflict"], 4),
        (&["machine", "show", "broken"], 3),
        (&["machine", "show"], 2),
        (&["machine", "show", "a", "--output", "xml"], 2),
        (&["machine", "show", "a", "--ca-file", "/no/such/file"], 2),
        (&["machine", "show", "a", "--context", "none"], 2),
        (&["machine", "stop", "a", "--server", "http://127.0.0.1:1"], 3),
    ] {
        let output = told.run(args, &[]).await;
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", err(&output));
        assert_eq!(output.stderr.is_empty(), code == 0, "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_locale_chooses_the_language_and_the_service_keeps_its_own() {
    let told = told(|_, _| problem(409, "quota_shortage")).await;
    for (args, set, wanted) in [
        (&["machine", "stop", "m"][..], &[][..], "错误：不行（HTTP 409，quota_shortage）\n  因为这样"),
        (&["machine", "stop", "m"], &[("LANG", "en_US.UTF-8")], "Error: 不行 (HTTP 409, quota_shortage)\n  因为这样"),
        (
            &["machine", "stop", "m", "--lang", "en"],
            &[("LANG", "zh_CN.UTF-8")],
            "Error: 不行 (HTTP 409, quota_shortage)\n  因为这样",
        ),
        (
            &["--lang=zh", "machine", "stop", "m"],
            &[("LC_ALL", "en_GB")],
            "错误：不行（HTTP 409，quota_shortage）\n  因为这样",
        ),
    ] {
        let output = told.run(args, set).await;
        assert_eq!((err(&output).trim_end(), output.status.code()), (wanted, Some(4)), "{args:?} {set:?}");
    }
    let help = told.run(&["machine", "--help"], &[("LANG", "en_US.UTF-8")]).await;
    assert!(out(&help).contains("Usage: jiyue machine") && out(&help).contains("Commands:"), "{}", out(&help));
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_for_terminals_alone() {
    let told = told(|_, _| Json(json!({"items": [machine("m-1", "running")]})).into_response()).await;
    let plain = told.run(&["machine", "list"], &[]).await;
    assert!(!out(&plain).contains('\u{1b}') && out(&plain).contains("运行中"));
    let forced = told.run(&["machine", "list"], &[("CLICOLOR_FORCE", "1")]).await;
    assert!(out(&forced).contains('\u{1b}'));
    let never = told.run(&["machine", "list"], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).await;
    assert_eq!(out(&never), out(&plain));
    // A terminal of its own, as `script` makes one.
    let on_a_terminal = |set: &'static [(&'static str, &'static str)]| {
        let mut command = std::process::Command::new("script");
        command.args(["-qec", concat!(env!("CARGO_BIN_EXE_jiyue"), " machine list"), "/dev/null"]);
        command
            .env("JIYUE_SERVER", &told.url)
            .env("JIYUE_TOKEN", "t")
            .env("HOME", told.home.path())
            .env("TERM", "xterm");
        command.env_remove("NO_COLOR").env_remove("LANG").env_remove("LC_ALL").envs(set.iter().copied());
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let shown = on_a_terminal(&[]).await.unwrap();
    assert!(out(&shown).contains("\u{1b}[") && out(&shown).contains("运行中"), "{}", out(&shown));
    assert!(!out(&on_a_terminal(&[("NO_COLOR", "1")]).await.unwrap()).contains('\u{1b}'));
    assert!(!out(&on_a_terminal(&[("TERM", "dumb")]).await.unwrap()).contains('\u{1b}'));
}

#[tokio::test(flavor = "multi_thread")]
async fn contexts_are_added_used_and_sent_to_their_own_server_alone() {
    let told = told(|_, _| Json(json!({"items": []})).into_response()).await;
    let run = async |args: &[&str], set: &[(&str, &str)]| {
        let mut command = jiyue(told.home.path(), args);
        command.envs(set.iter().copied());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };
    let token = told.home.path().join("token");
    std::fs::write(&token, "from-file\n").unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let add = ["context", "add", "prod", "--server", &told.url, "--token-file", token.to_str().unwrap()];
    assert_eq!(run(&add, &[]).await.status.code(), Some(0));
    assert_eq!(run(&add, &[]).await.status.code(), Some(2), "it is there already");
    let second = ["context", "add", "test", "--server", &told.url, "--", "printf", "from-command"];
    assert_eq!(run(&second, &[]).await.status.code(), Some(0));

    assert_eq!(run(&["machine", "list"], &[]).await.status.code(), Some(0));
    assert_eq!(run(&["machine", "list", "--context", "test"], &[]).await.status.code(), Some(0));
    assert_eq!(run(&["context", "use", "test"], &[]).await.status.code(), Some(0));
    assert_eq!(run(&["machine", "list"], &[]).await.status.code(), Some(0));
    assert_eq!(run(&["machine", "list"], &[("JIYUE_TOKEN", "from-env")]).await.status.code(), Some(0));
    let tokens: Vec<_> = told.calls.lock().unwrap().iter().map(|call| call.token.clone().unwrap()).collect();
    assert_eq!(tokens, ["Bearer from-file", "Bearer from-command", "Bearer from-command", "Bearer from-env"]);
    // Another server gets no token of a context.
    let elsewhere = run(&["machine", "list", "--server", "http://127.0.0.1:1"], &[]).await;
    assert!(err(&elsewhere).contains("no_token"), "{}", err(&elsewhere));

    let list = run(&["context", "list", "-o", "json"], &[]).await;
    let show = run(&["context", "show"], &[]).await;
    for shown in [&list, &show] {
        assert!(!out(shown).contains("from-file") && out(shown).contains(&told.url), "{}", out(shown));
    }
    assert!(out(&show).contains("printf from-command"));
    let file = told.home.path().join(".config/jiyue/config.toml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let exposed = run(&["machine", "list"], &[]).await;
    assert_eq!(exposed.status.code(), Some(2));
    assert!(err(&exposed).contains("file_exposed") && err(&exposed).contains("chmod 600"), "{}", err(&exposed));
}
