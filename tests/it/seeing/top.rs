//! `jiyue top` on a terminal that is one, and on what is none.

use super::status::{alarmed, browse, machines, until};
use crate::support::{
    broker::{Broker, Cast, On, Setup},
    plain,
    prometheus::Prometheus,
    scratch,
};
use serde_json::{Value, json};
use std::{
    io::Write,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(60);

/// A name that clears a screen, sets its title and turns its reading direction.
const HOSTILE: &str = "局\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}";

async fn furnished() -> (Broker, Cast) {
    let broker =
        Broker::start(Setup::new(On::Sqlite).with("JIYUE_USAGE_SECONDS", "1").with("JIYUE_LISTING_SECONDS", "3600"))
            .await;
    let cast = Cast::arrive(&broker).await;
    broker.furnish(&cast).await;
    plain::run(
        &broker.setup.database_url,
        &format!(
            "insert into alarms (id, host_id, kind, domain_id, name, detail, first_seen_at, last_seen_at) \
             select '019ad000-0000-7000-8000-000000000001', id, 'foreign', 'x', '{HOSTILE}', 'x', 1790000000000000, 1 \
             from hosts where name = 'sim'"
        ),
    )
    .await
    .unwrap();
    alarmed(&broker, &cast).await;
    (broker, cast)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_terminal_gets_one_look() {
    let (broker, cast) = furnished().await;
    let out = broker.setup.cli(Some(&broker), &cast.operator, &["top"]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success() && text.contains("各网络区域") && text.contains("政务外网"), "{text}");
    assert!(text.contains("来历不明") && !text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text:?}");
    for args in [["-o", "json", "top"].as_slice(), &["-o", "json", "report", "capacity"]] {
        let out = broker.setup.cli(Some(&broker), &cast.auditor, args);
        let report: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!((&report["kind"], &report["hosts"][0]["name"]), (&json!("capacity"), &json!("sim")));
    }
    let out = broker.setup.cli(Some(&broker), &cast.requester, &["top"]);
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!((out.status.code(), told.contains("capacity.read")), (Some(1), true), "{told}");
}

/// The page and `top` know no Prometheus: with one that was there and is gone they answer as before, and say why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prometheus_that_is_gone_takes_nothing_with_it() {
    let (broker, cast) = furnished().await;
    let mut prometheus = Prometheus::prepared(&[broker.url.trim_start_matches("http://")]);
    prometheus.start().await;
    prometheus.kill();
    let out = broker.setup.cli(Some(&broker), &cast.operator, &["top"]);
    let said = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
    assert!(out.status.success() && said.contains("来历不明") && said.contains("不经过 Prometheus"), "{said}");
    let page = reqwest::Client::new().get(format!("{}/status", broker.url)).bearer_auth(&cast.operator).send();
    let page = page.await.unwrap().text().await.unwrap();
    assert!(page.contains("不经过 Prometheus") && page.contains("sim"), "{page}");
}

/// What was written, without the orders to the terminal between it.
fn without_orders(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest));
    }
    plain
}

/// Waits until the terminal has shown something.
fn shown(log: &std::path::Path, what: &str) -> String {
    let began = Instant::now();
    loop {
        let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
        // Between two wide letters the cursor is moved.
        if text.contains(what) || without_orders(&text).contains(what) {
            return text;
        }
        assert!(began.elapsed() < LIMIT, "{what} was not shown: {text:?}");
        sleep(Duration::from_millis(50));
    }
}

/// A terminal with what runs on it: a test that fails leaves neither behind.
struct Terminal(Child);

impl Terminal {
    /// What `script` has started, by their ids.
    fn running(&self) -> Vec<String> {
        let id = self.0.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        children.split_whitespace().map(str::to_owned).collect()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let running = self.running();
        let _ = self.0.kill();
        let _ = self.0.wait();
        for one in running {
            // Mostly it has gone with its terminal.
            let _ = Command::new("kill").args(["-KILL", &one]).stderr(Stdio::null()).status();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_is_drawn_on_listens_and_is_given_back() {
    let (broker, cast) = furnished().await;
    machines(&broker, &cast, "oa.xiangcheng.example", 3).await;
    let busiest = async || broker.get("/v1/reports/capacity", &cast.auditor).await.expect(200)["busiest"].clone();
    until("machines are measured", async || busiest().await.as_array().map(Vec::len) == Some(3)).await;
    alarmed(&broker, &cast).await;
    let log = scratch("top").join("log");
    // `script` is a terminal of its own (a pseudo one), whose other side is written down.
    let mut terminal = Command::new("script");
    terminal
        .args(["--quiet", "--flush", "--return", "--command"])
        .arg(format!("stty rows 30 cols 110; exec {} top --interval 1", env!("CARGO_BIN_EXE_jiyue")))
        .arg(&log)
        .env("JIYUE_SERVER", &broker.url)
        .env("JIYUE_TOKEN", &cast.auditor)
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .env("TERM", "xterm-256color")
        .env("LANG", "zh_CN.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut terminal = Terminal(terminal.spawn().expect("script is there"));
    let mut keys = terminal.0.stdin.take().unwrap();
    let mut press = |key: &str| keys.write_all(key.as_bytes()).and_then(|()| keys.flush()).unwrap();
    let text = shown(&log, "来历不明");
    assert!(text.contains("\u{1b}[?1049h"), "on a screen of its own: {text:?}");
    assert!(!text.contains("owned\u{7}") && !text.contains("\u{1b}]0;") && !text.contains('\u{202e}'), "{text:?}");
    if let Some(to) = std::env::var_os("JIYUE_TEST_PICTURES") {
        let picture = std::path::Path::new(&to).join("top.png").display().to_string();
        let saw = browse(&["terminal", &log.display().to_string(), "110", "30", &picture]);
        eprintln!("{}", saw["text"].as_str().unwrap());
    }
    // Only what changes is written anew.
    assert!(!text.contains('闲') && !text.contains("没有测到"), "{text:?}");
    press("s");
    shown(&log, "闲");
    press("/");
    shown(&log, "回");
    press("zz\r");
    shown(&log, "没有测到");
    press("q");
    let began = Instant::now();
    let status = loop {
        if let Some(status) = terminal.0.try_wait().unwrap() {
            break status;
        }
        assert!(began.elapsed() < LIMIT, "q ends it");
        sleep(Duration::from_millis(50));
    };
    assert!(status.success(), "{status}");
    assert!(shown(&log, "\u{1b}[?1049l").contains("\u{1b}[?25h"), "the terminal is as before");
}

/// As when a test fails in the middle of it.
#[test]
fn a_terminal_that_is_let_go_takes_with_it_what_runs_there() {
    let mut script = Command::new("script");
    script.args(["--quiet", "--command", "exec sleep 600", "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let terminal = Terminal(script.spawn().expect("script is there"));
    let began = Instant::now();
    let sleeper = loop {
        if let Some(one) = terminal.running().into_iter().next() {
            break one;
        }
        assert!(began.elapsed() < LIMIT, "it has started something");
        sleep(Duration::from_millis(20));
    };
    drop(terminal);
    let alive = || std::fs::read_to_string(format!("/proc/{sleeper}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    let began = Instant::now();
    while alive() {
        assert!(began.elapsed() < LIMIT, "{sleeper} is still there");
        sleep(Duration::from_millis(20));
    }
}
