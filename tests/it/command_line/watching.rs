//! `--wait`, `--watch` and streams of events.

use super::{
    err, jiyue, out,
    server::{Told, problem, told},
};
use axum::{
    Json,
    body::Body,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::{process::Stdio, time::Duration};

fn operation(state: &str, percent: u32) -> Value {
    json!({"id": "op-1", "kind": "stop", "state": state, "percent": percent, "steps_done": percent / 50, "steps_total": 2,
        "machine_id": "m-1", "finished_at": (percent == 100).then_some("2026-11-21T01:00:00Z")})
}

fn stream(events: &[(u32, Value)]) -> Response {
    let text: String =
        events.iter().map(|(id, data)| format!("event: operation\nid: {id}\ndata: {data}\n\n")).collect();
    ([("content-type", "text/event-stream")], text).into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_follows_the_stream_and_asks_only_where_there_is_none() {
    let streaming = told(|call, _| match call.what.as_str() {
        "POST /v1/machines/m-1/stop" => {
            (axum::http::StatusCode::ACCEPTED, Json(operation("queued", 0))).into_response()
        }
        "GET /v1/operations/op-1/events" => stream(&[(1, operation("running", 50)), (2, operation("succeeded", 100))]),
        _ => Json(json!({"id": "m-1", "state": "stopped"})).into_response(),
    })
    .await;
    let output = streaming.run(&["machine", "stop", "m-1", "--wait"], &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(err(&output), " 50%  停机 进行中 1/2\n100%  停机 已完成 2/2\n");
    assert_eq!(
        streaming.seen(),
        ["POST /v1/machines/m-1/stop", "GET /v1/operations/op-1/events", "GET /v1/machines/m-1"]
    );

    let older = told(|call, n| match call.what.as_str() {
        "POST /v1/machines/m-1/stop" => {
            (axum::http::StatusCode::ACCEPTED, Json(operation("queued", 0))).into_response()
        }
        "GET /v1/operations/op-1/events" => problem(404, "route_not_found"),
        "GET /v1/operations/op-1" if n < 4 => Json(operation("running", 50)).into_response(),
        _ => Json(operation("failed", 100)).into_response(),
    })
    .await;
    let output = older.run(&["machine", "stop", "m-1", "--wait", "-o", "json"], &[]).await;
    assert_eq!(output.status.code(), Some(1), "what was waited for failed");
    assert_eq!(serde_json::from_str::<Value>(&out(&output)).unwrap()["state"], "failed");
}

/// A terminal gets a bar that moves, and none is left behind.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_on_a_terminal_draws_a_bar() {
    let slow = told(|call, _| match call.what.as_str() {
        "POST /v1/machines/m-1/stop" => {
            (axum::http::StatusCode::ACCEPTED, Json(operation("queued", 0))).into_response()
        }
        "GET /v1/operations/op-1/events" => {
            let events = [operation("running", 50), operation("succeeded", 100)];
            let pieces = futures_util::stream::iter(events).then(async |data| {
                let piece = format!("event: operation\nid: {}\ndata: {data}\n\n", data["percent"]);
                tokio::time::sleep(Duration::from_millis(600)).await;
                Ok::<_, std::io::Error>(piece)
            });
            ([("content-type", "text/event-stream")], Body::from_stream(pieces)).into_response()
        }
        _ => Json(json!({"id": "m-1", "state": "stopped"})).into_response(),
    })
    .await;
    let mut command = std::process::Command::new("timeout");
    let wait = concat!(env!("CARGO_BIN_EXE_jiyue"), " machine stop m-1 --wait");
    command.args(["20", "script", "-qec", wait, "/dev/null"]).env("HOME", slow.home.path());
    command.env("JIYUE_SERVER", &slow.url).env("JIYUE_TOKEN", "t").env("TERM", "xterm").stdin(Stdio::null());
    command.env_remove("LANG").env_remove("LC_ALL");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let shown = out(&output);
    assert!(shown.contains("50% [===") && shown.contains("停机 进行中 1/2"), "{shown}");
    let (_, last) = shown.rsplit_once("50% [===").unwrap();
    assert!(last.contains("\u{1b}[2K") && last.contains("操作已完成"), "{last}");
}

/// Runs for a while, and what came on standard output until then.
async fn for_a_while(told: &Told, args: &[&str], pause: Duration) -> String {
    let mut command = jiyue(told.home.path(), args);
    command.env("JIYUE_SERVER", &told.url).env("JIYUE_TOKEN", "t").stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    tokio::time::sleep(pause).await;
    child.kill().unwrap();
    tokio::task::spawn_blocking(move || out(&child.wait_with_output().unwrap())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_a_list_tells_what_changes_and_nothing_twice() {
    let list = told(|_, n| {
        let machine = |id: &str, state: &str| json!({"id": id, "name": id, "state": state});
        let second = if n < 3 { "building" } else { "running" };
        let mut items = vec![machine("a", "running"), machine("b", second)];
        if n > 3 {
            items.remove(0);
        }
        Json(json!({"items": items})).into_response()
    })
    .await;
    let shown = for_a_while(
        &list,
        &["machine", "list", "--watch", "--interval", "1", "-o", "json"],
        Duration::from_millis(4600),
    )
    .await;
    let lines: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: Vec<_> =
        lines.iter().map(|line| (line["id"].as_str(), line["state"].as_str(), line["gone"].as_str())).collect();
    let wanted = [
        (Some("a"), Some("running"), None),
        (Some("b"), Some("building"), None),
        (Some("b"), Some("running"), None),
        (None, None, Some("a")),
    ];
    assert_eq!(said, wanted, "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_drawn_anew() {
    let list =
        told(|_, _| Json(json!({"items": [{"id": "a", "name": "x", "state": "running"}]})).into_response()).await;
    let mut command = std::process::Command::new("timeout");
    let watch = concat!(env!("CARGO_BIN_EXE_jiyue"), " machine list --watch --interval 1");
    command.args(["3", "script", "-qec", watch, "/dev/null"]).env("HOME", list.home.path());
    command.env("JIYUE_SERVER", &list.url).env("JIYUE_TOKEN", "t").env("TERM", "xterm").stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let drawn = out(&output).matches("\u{1b}[H\u{1b}[2J").count();
    assert!((2..=4).contains(&drawn), "{drawn}: {}", out(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_one_a_line_and_go_on_where_they_broke() {
    let feed = told(|call, n| {
        let event = |id: usize| json!({"specversion": "1.0", "id": id.to_string(), "type": "machine.delivered", "subject": "machines/m", "source": "/jiyue", "time": "2026-11-21T01:00:00Z"});
        if call.what.contains('?') {
            let items = if call.what.contains("page_token=end") { vec![] } else { vec![event(1), event(2)] };
            return Json(json!({"items": items, "next_page_token": "end"})).into_response();
        }
        match n {
            1 => stream(&[(1, event(1)), (2, event(2))]),
            2 => stream(&[(3, event(3))]),
            _ => problem(403, "forbidden"),
        }
    })
    .await;
    let output = feed.run(&["event", "watch", "-o", "name"], &[]).await;
    assert_eq!((out(&output).as_str(), output.status.code()), ("1\n2\n3\n", Some(1)), "{}", err(&output));
    let listed = feed.run(&["event", "list", "-o", "json"], &[]).await;
    let page: Value = serde_json::from_str(&out(&listed)).unwrap();
    assert_eq!((page["items"].as_array().map(Vec::len), page["next_page_token"].as_str()), (Some(2), Some("end")));
}
