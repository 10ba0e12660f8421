//! Following an operation to its end: a bar on a terminal, a line per step elsewhere.

use super::{
    format,
    language::{colon, say, semicolon, tr},
    output::Screen,
    problem::Failure,
    words,
};
use crate::client::{Client, ClientError, Filter};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(500);
/// A service that restarts takes its operations up again; so long a silence is waited out.
const SILENCE: Duration = Duration::from_mins(1);

/// The operation after it has ended, well or not. Ctrl-C leaves it running on the server.
pub async fn follow(client: &Client, id: &str, screen: &Screen) -> Result<Value, Failure> {
    let bar = bar(screen);
    let ended = tokio::select! {
        ended = until_the_end(client, id, screen, &bar) => ended,
        signal = tokio::signal::ctrl_c() => match signal {
            Ok(()) => Err(Failure::Interrupted { operation: id.to_owned() }),
            Err(error) => Err(error.into()),
        },
    };
    bar.finish_and_clear();
    ended
}

/// `Ok` for an operation that succeeded.
pub fn succeeded(operation: &Value) -> Result<(), Failure> {
    if state(operation) == "succeeded" { Ok(()) } else { Err(Failure::Operation(Box::new(operation.clone()))) }
}

/// By the operation's own stream; by asking again and again where the service has none, or where it breaks off.
async fn until_the_end(client: &Client, id: &str, screen: &Screen, bar: &ProgressBar) -> Result<Value, Failure> {
    let mut seen = Seen::default();
    let mut show = |operation: &Value| {
        bar.set_position(percent(operation));
        bar.set_message(line(operation));
        match seen.news(operation).filter(|_| !screen.can_draw()) {
            Some(line) => screen.progress(&line),
            None => Ok(()),
        }
    };
    let mut stream = client.operations().follow(id);
    while let Ok(Some(message)) = stream.next().await {
        let Ok(operation) = serde_json::from_str::<Value>(&message.data) else { continue };
        show(&operation)?;
        if ended(&operation) {
            return Ok(operation);
        }
    }
    let mut answered = Instant::now();
    let mut silent = false;
    loop {
        match client.get::<Value>(&["operations", id], &[]).await {
            Ok(operation) => {
                (answered, silent) = (Instant::now(), false);
                show(&operation)?;
                if ended(&operation) {
                    return Ok(operation);
                }
            }
            Err(ClientError::Unreachable { .. } | ClientError::AnswerLost { .. }) if answered.elapsed() < SILENCE => {
                bar.set_message(tr("连不上服务，正在重试").to_owned());
                if !std::mem::replace(&mut silent, true) && !screen.can_draw() {
                    screen.progress(tr("连不上服务，正在重试"))?;
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Follows a host's draining until nothing is left on it, or somebody stops it.
pub async fn drained(client: &Client, host: &str, screen: &Screen) -> Result<(), Failure> {
    let bar = bar(screen);
    let mut said = String::new();
    let ended = loop {
        let sheet: Value = client.get(&["hosts", host], &[]).await?;
        let Some(drain) = sheet.get("drain").filter(|drain| !drain.is_null()) else { break false };
        let number = |key: &str| drain.get(key).and_then(Value::as_u64).unwrap_or_default();
        let (total, left) = (number("total").max(number("left")), number("left"));
        let stuck = drain.get("stuck").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let why = stuck.iter().filter_map(|s| Some(said_of(s.get("name")?.as_str()?, s.get("reason")?.as_str()?)));
        let moved = say!("已迁出 {done}/{total}，途中 {moving}", done = total - left, total, moving = number("moving"));
        let line = format::clean(&std::iter::once(moved).chain(why).collect::<Vec<_>>().join(semicolon()));
        bar.set_position(((total - left) * 100).checked_div(total).unwrap_or(100));
        bar.set_message(line.clone());
        if line != said && !screen.can_draw() {
            screen.progress(&line)?;
        }
        said = line;
        if left == 0 {
            break true;
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            signal = tokio::signal::ctrl_c() => {
                signal?;
                bar.finish_and_clear();
                return Ok(screen.note(tr("只是不再跟踪，迁出照常进行；停止迁出：jiyue host drain 名称 --cancel"))?);
            }
        }
    };
    bar.finish_and_clear();
    Ok(screen.note(tr(if ended { "全部迁出，可以维护" } else { "迁出已被停止" }))?)
}

/// Follows an image on its way to hosts until each has it or has refused it.
pub async fn distributed(client: &Client, image: &str, to: &[Value], screen: &Screen) -> Result<(), Failure> {
    let bar = bar(screen);
    let mut said = String::new();
    let hosts = loop {
        let all = image_hosts(client, image).await?;
        let asked = |host: &&Value| to.iter().any(|other| other.get("host") == host.get("host"));
        let hosts: Vec<_> = all.iter().filter(asked).cloned().collect();
        let line = format::clean(&hosts.iter().map(on_its_way).collect::<Vec<_>>().join(semicolon()));
        let done: u64 = hosts.iter().map(percent).sum();
        bar.set_position(done.checked_div(hosts.len() as u64).unwrap_or(100));
        bar.set_message(line.clone());
        if line != said && !screen.can_draw() {
            screen.progress(&line)?;
        }
        said = line;
        if hosts.iter().all(|host| matches!(state(host), "present" | "failed")) {
            break hosts;
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            signal = tokio::signal::ctrl_c() => {
                signal?;
                bar.finish_and_clear();
                return Ok(screen.note(tr("只是不再跟踪，分发照常进行；再看进度：jiyue image show"))?);
            }
        }
    };
    bar.finish_and_clear();
    let failed: Vec<_> = hosts.iter().filter(|host| state(host) == "failed").cloned().collect();
    if !failed.is_empty() {
        return Err(Failure::Undistributed(failed));
    }
    if !screen.for_people() {
        return Ok(screen.items("/host", &hosts)?);
    }
    Ok(screen.done(&say!("已分发到 {n} 台宿主机", n = hosts.len()), &Value::Null)?)
}

/// How far an image has come on each host, however many there are.
pub async fn image_hosts(client: &Client, image: &str) -> Result<Vec<Value>, ClientError> {
    Ok(client.list(&["images", image, "hosts"], &Filter::new()).await?.items)
}

/// `node1 传输中 40%`.
fn on_its_way(host: &Value) -> String {
    let text = |key: &str| host.get(key).and_then(Value::as_str).unwrap_or_default();
    let (state, _) = words::transfer_state(state(host));
    let now = format!("{} {}", text("host"), tr(state));
    match text("state") {
        "sending" => format!("{now} {}%", percent(host)),
        "failed" => said_of(&now, text("reason")),
        _ => now,
    }
}

/// A name and what is said of it.
fn said_of(name: &str, said: &str) -> String {
    format!("{name}{}{said}", colon())
}

fn bar(screen: &Screen) -> ProgressBar {
    let target = if screen.can_draw() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(100), target);
    // A template that does not parse is a fault of ours that a plain bar survives.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {percent:>3}% [{bar:30}] {elapsed} {wide_msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// What has been said already.
#[derive(Default)]
struct Seen {
    line: String,
}

impl Seen {
    /// The line to print, when it says something new.
    fn news(&mut self, operation: &Value) -> Option<String> {
        let line = line(operation);
        let new = line != self.line;
        self.line.clone_from(&line);
        new.then(|| format!("{:>3}%  {line}", percent(operation)))
    }
}

/// `建设虚拟机 进行中 3/9 start_domain`, without what is not known.
fn line(operation: &Value) -> String {
    let text = |key: &str| operation.get(key).and_then(Value::as_str).unwrap_or_default();
    let number = |key: &str| operation.get(key).and_then(Value::as_u64);
    let steps = match (number("steps_done"), number("steps_total")) {
        (Some(done), Some(total)) => format!("{done}/{total}"),
        _ => String::new(),
    };
    let (state, _) = words::operation_state(state(operation));
    let parts = [tr(words::operation_kind(text("kind"))), tr(state), &steps, text("current_step")];
    format::clean(&parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "))
}

fn percent(operation: &Value) -> u64 {
    operation.get("percent").and_then(Value::as_u64).unwrap_or_default().min(100)
}

fn state(operation: &Value) -> &str {
    operation.get("state").and_then(Value::as_str).unwrap_or_default()
}

fn ended(operation: &Value) -> bool {
    // A newer server may know more ways to end.
    matches!(state(operation), "succeeded" | "failed" | "cancelled")
        || operation.get("finished_at").is_some_and(Value::is_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_changed_step_makes_a_line() {
        let at = |state: &str, percent: u32, done: u32, step: &str| json!({"kind": "build", "state": state, "percent": percent, "steps_done": done, "steps_total": 9, "current_step": step});
        let mut seen = Seen::default();
        let said: Vec<_> = [
            at("queued", 0, 0, ""),
            at("running", 10, 1, "disk"),
            at("running", 12, 1, "disk"),
            at("running", 40, 4, "start"),
            at("succeeded", 100, 9, ""),
        ]
        .iter()
        .filter_map(|operation| seen.news(operation))
        .collect();
        insta::assert_snapshot!(said.join("\n"), @"
          0%  建设虚拟机 排队中 0/9
         10%  建设虚拟机 进行中 1/9 disk
         40%  建设虚拟机 进行中 4/9 start
        100%  建设虚拟机 已完成 9/9
        ");
    }

    #[test]
    fn only_success_is_success() {
        for (state, ok) in [("succeeded", true), ("failed", false), ("cancelled", false), ("", false)] {
            assert_eq!(succeeded(&json!({"state": state})).is_ok(), ok, "{state}");
        }
        assert!(!ended(&json!({"state": "unwinding", "finished_at": null})));
        assert!(ended(&json!({"state": "superseded", "finished_at": "2026-11-21T01:00:00Z"})));
    }
}
