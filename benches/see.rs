//! What seeing costs with 10,000 machines, in one run beside its peer.
//!
//! - The status page (总览), asked again and again by one client, and a handler of axum alone that answers a word: medians
//!   of turns, and their ratio. The page is drawn once for each change; what reading and drawing it anew costs stands beside.
//! - A scrape of `/metrics`, without and with a series of each machine: time and bytes; and what one every 15 seconds takes
//!   of a core.
//!
//! `make bench-see` (`MACHINES=10000`, `TURNS=400`, `ON=postgres` for the other database)

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![allow(
    clippy::cast_precision_loss,
    clippy::format_collect,
    dead_code,
    reason = "counts become figures for people; shares the tests' support"
)]

#[path = "usage/copies.rs"]
mod copies;
#[path = "../tests/it/support/mod.rs"]
mod support;

use axum::{Router, routing::get};
use serde_json::json;
use std::time::{Duration, Instant};
use support::{
    broker::{self, Broker, Cast, On, Setup},
    sql::Sql,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// One connection that asks the same again and again.
struct Asker {
    stream: TcpStream,
    request: String,
    buffer: Vec<u8>,
}

impl Asker {
    async fn new(address: &str, path: &str, token: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\naccept: */*\r\n\r\n");
        Self { stream, request, buffer: vec![0; 64 << 20] }
    }

    /// How long a whole answer took, and how large it was.
    async fn ask(&mut self) -> (Duration, usize) {
        let began = Instant::now();
        self.stream.write_all(self.request.as_bytes()).await.expect("sent");
        let mut filled = 0;
        let mut end = None;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await.expect("read");
            assert!(read > 0, "the server hung up");
            filled += read;
            if end.is_none()
                && let Some(at) = self.buffer[..filled].windows(4).position(|w| w == b"\r\n\r\n")
            {
                let head = String::from_utf8_lossy(&self.buffer[..at]).to_ascii_lowercase();
                assert!(head.starts_with("http/1.1 200"), "{head}");
                let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).expect("a length");
                end = Some(at + 4 + length.trim().parse::<usize>().expect("a number"));
            }
            if end.is_some_and(|end| filled >= end) {
                return (began.elapsed(), filled);
            }
        }
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Seconds of a processor that a process has used.
fn used(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

/// A fleet of copies of one machine that was measured.
async fn fleet(on: On, machines: u64) -> (Setup, Cast) {
    let setup = Setup::new(on).with("JIYUE_LOG_FILTER", "warn");
    let broker = Broker::start(setup.clone().with("JIYUE_USAGE_SECONDS", "1")).await;
    let cast = Cast::arrive(&broker).await;
    broker.furnish(&cast).await;
    let made = broker.post("/v1/requests", &cast.requester, &broker::request()).await.expect(201);
    let path = format!("/v1/requests/{}/approve", made["items"][0]["id"].as_str().unwrap());
    let operation = broker.post(&path, &cast.authority, &json!({})).await.expect(202);
    broker.finished(operation["id"].as_str().unwrap(), &cast.authority, Duration::from_secs(60)).await;
    while broker.get("/v1/reports/capacity", &cast.auditor).await.expect(200)["busiest"][0].is_null() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(broker);
    let url = &setup.database_url;
    copies::machines(url, machines).await;
    let mut sql = Sql::writing(url).await;
    sql.run(
        "insert into claims (machine_id, task_book_id, host_id, network_id, vcpu, memory_bytes, disk_bytes, address, mac, \
         compute_held, storage_held) \
         select machines.id, one.task_book_id, one.host_id, one.network_id, one.vcpu, one.memory_bytes, one.disk_bytes, \
         machines.id, machines.id, 1, 1 from machines, (select * from claims limit 1) one \
         where machines.id not in (select machine_id from claims)",
    )
    .await;
    sql.run(
        "insert into usage_meters (subject_id, department_id, state, last_at, open_day) \
         select machines.id, machines.department_id, one.state, one.last_at, one.open_day from machines, \
         (select * from usage_meters where open_day is not null limit 1) one \
         where machines.id not in (select subject_id from usage_meters)",
    )
    .await;
    // Nothing but what is asked goes on.
    let quiet = setup
        .with("JIYUE_USAGE_SECONDS", "3600")
        .with("JIYUE_LISTING_SECONDS", "86400")
        .with("JIYUE_WORKER_WIDTH", "0");
    (quiet, cast)
}

#[tokio::main]
async fn main() {
    let on = if std::env::var("ON").is_ok_and(|on| on == "postgres") { On::Postgres } else { On::Sqlite };
    let (machines, turns) = (setting("MACHINES", 10_000), setting("TURNS", 400));
    let (setup, cast) = fleet(on, machines).await;
    let broker = Broker::start(setup.clone().with("JIYUE_USAGE_MACHINE_METRICS", "false")).await;
    let ours = broker.url.trim_start_matches("http://").to_owned();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("{machines} machines, {on:?}, {turns} turns; load of this machine before: {}\n", load.trim());

    // A runtime of its own, so that the peer has as many threads as the broker.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let peer = listener.local_addr().expect("an address").to_string();
    let bare = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let listener = listener.into_std().expect("a socket");
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, Router::new().route("/{*path}", get(async || "ok"))).await.expect("served");
        });
    });
    let mut plain = Asker::new(&peer, "/status", &cast.auditor).await;
    let mut page = Asker::new(&ours, "/status", &cast.auditor).await;
    let first = page.ask().await;
    let (mut bare_times, mut page_times, mut size) = (Vec::new(), Vec::new(), 0);
    for _ in 0..turns {
        bare_times.push(plain.ask().await.0);
        let (took, bytes) = page.ask().await;
        page_times.push(took);
        size = bytes;
    }
    let mut anew = Vec::new();
    for n in 0..9 {
        // A change that everybody sees: the next one who asks reads and draws.
        let body = json!({"code": format!("d{n}"), "name": format!("单位{n}")});
        broker.post("/v1/departments", &cast.authority, &body).await.expect(201);
        let name = format!("单位{n}改");
        let mut sql = Sql::writing(&broker.setup.database_url).await;
        sql.run(&format!("update machines set name = '{name}' where name = 'm{}'", n + 1)).await;
        sql.run(&format!("update departments set name = '相城区民政局{n}' where code = 'mzj'")).await;
        broker
            .post("/v1/departments", &cast.authority, &json!({"code": format!("e{n}"), "name": format!("局{n}")}))
            .await;
        anew.push(page.ask().await.0);
    }
    drop(bare);
    let (bare, cached) = (median(bare_times), median(page_times));
    println!("{:<60}{:>14.3?}", "axum alone, a word", bare);
    let ratio = cached.as_secs_f64() / bare.as_secs_f64();
    println!("{:<60}{cached:>14.3?}{ratio:>8.2}×  (below 5)", format!("the page as it was drawn, {size} bytes"));
    println!("{:<60}{:>14.3?}", "the page after a change: read and drawn anew", median(anew));
    println!("{:<60}{:>14.3?}", "the first page of a broker", first.0);

    scrape("without a series of each machine", &broker, &cast).await;
    drop(broker);
    let broker = Broker::start(setup.with("JIYUE_USAGE_MACHINE_METRICS", "true")).await;
    scrape("with one", &broker, &cast).await;
}

async fn scrape(what: &str, broker: &Broker, cast: &Cast) {
    let mut metrics = Asker::new(broker.url.trim_start_matches("http://"), "/metrics", &cast.auditor).await;
    // The gauges have looked at least once.
    tokio::time::sleep(Duration::from_secs(8)).await;
    let (mut times, mut size) = (Vec::new(), 0);
    for _ in 0..40 {
        let (took, bytes) = metrics.ask().await;
        times.push(took);
        size = bytes;
    }
    // What it takes of a processor: of many, less what goes on anyway in the same time.
    let idle_from = used(broker.pid());
    tokio::time::sleep(Duration::from_secs(10)).await;
    let idle = (used(broker.pid()) - idle_from) / 10.0;
    let (from, began, rounds) = (used(broker.pid()), Instant::now(), 100);
    for _ in 0..rounds {
        metrics.ask().await;
    }
    let each = ((used(broker.pid()) - from - idle * began.elapsed().as_secs_f64()) / f64::from(rounds)).max(0.0);
    println!(
        "{:<60}{:>14.3?}{size:>12} bytes; {:.3} % of a core at 15 s (and {:.2} % for looking every 5 s)",
        format!("a scrape {what}"),
        median(times),
        each / 15.0 * 100.0,
        idle * 100.0
    );
}
