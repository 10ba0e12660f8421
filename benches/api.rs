//! The HTTP surface, in one run beside its peer.
//!
//! - `PART=read`: an authenticated read of one operation by 32 clients, and the same bytes from a handler of axum alone that
//!   does nothing. Rates of whole rounds in turn, and their ratio; for an operation that is over, which is remembered, and
//!   for one under way, which is read each time.
//! - `PART=list`: the first page of 200 machines, of 1,000 and of 1,000,000 rows, in each order, for one department and for
//!   all; medians, both sizes in turn. `ROWS=` for another size.
//!
//! `make bench-api` (`SECONDS=3`, `CLIENTS=32`, `ROUNDS=3`, `ON=postgres` for the other database)

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

use axum::{Router, http::header, routing::get};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
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

fn on() -> On {
    if std::env::var("ON").is_ok_and(|on| on == "postgres") { On::Postgres } else { On::Sqlite }
}

#[tokio::main]
async fn main() {
    let part = std::env::var("PART").unwrap_or_default();
    if part.is_empty() || part == "read" {
        read().await;
    }
    if part.is_empty() || part == "list" {
        list().await;
    }
}

/// Whole answers per second that so many connections get, each asking again when it has its answer.
async fn rate(address: &str, request: &str, clients: u64, time: Duration) -> f64 {
    let (count, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut lanes = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let (count, over, address, request) = (count.clone(), over.clone(), address.to_owned(), request.to_owned());
        lanes.spawn(async move {
            let mut stream = TcpStream::connect(&address).await.expect("a connection");
            stream.set_nodelay(true).expect("no delay");
            let mut buffer = vec![0; 16 << 10];
            while !over.load(Ordering::Relaxed) {
                stream.write_all(request.as_bytes()).await.expect("sent");
                let mut filled = 0;
                loop {
                    let read = stream.read(&mut buffer[filled..]).await.expect("read");
                    assert!(read > 0, "the server hung up: {}", String::from_utf8_lossy(&buffer[..filled]));
                    filled += read;
                    if whole(&buffer[..filled]) {
                        break;
                    }
                }
                assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..filled]));
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (before, began) = (count.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(time).await;
    let rate = (count.load(Ordering::Relaxed) - before) as f64 / began.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    lanes.join_all().await;
    rate
}

/// Head, and as much after it as it says.
fn whole(bytes: &[u8]) -> bool {
    let Some(head) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length =
        text.lines().find_map(|line| line.strip_prefix("content-length:")).map_or(0, |n| n.trim().parse().unwrap());
    bytes.len() >= head + 4 + length
}

async fn read() {
    let (seconds, clients, rounds) = (setting("SECONDS", 3), setting("CLIENTS", 32), setting("ROUNDS", 3));
    let broker = Broker::start(Setup::new(on()).with("JIYUE_LOG_FILTER", "warn")).await;
    let cast = Cast::arrive(&broker).await;
    broker.furnish(&cast).await;
    let made = broker.post("/v1/requests", &cast.requester, &broker::request()).await.expect(201);
    let path = format!("/v1/requests/{}/approve", made["items"][0]["id"].as_str().unwrap());
    let operation = broker.post(&path, &cast.authority, &json!({})).await.expect(202);
    let id = operation["id"].as_str().unwrap().to_owned();
    broker.finished(&id, &cast.authority, Duration::from_secs(30)).await;
    let path = format!("/v1/operations/{id}");
    let body = broker.get(&path, &cast.requester).await.expect(200).to_string();
    let under_way = uuid::Uuid::now_v7();
    let mut sql = Sql::writing(&broker.setup.database_url).await;
    sql.run(&format!(
        "insert into operations (id, kind, department_id, request_id, state, steps_done, steps_total, current_step, trace_id, \
         started_by, lease_owner, lease_until, created_at) \
         select '{under_way}', kind, department_id, request_id, 'running', 1, steps_total, current_step, trace_id, \
         started_by, 'bench', {}, created_at from operations where id = '{id}'",
        i64::MAX
    ))
    .await;

    // A runtime of its own, so that the peer has as many threads as the broker.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let peer = listener.local_addr().expect("an address").to_string();
    let bare = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let listener = listener.into_std().expect("a socket");
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            let answer = move || async move { ([(header::CONTENT_TYPE, "application/json")], body.clone()) };
            axum::serve(listener, Router::new().route("/{*path}", get(answer))).await.expect("served");
        });
    });
    let ask = |host: &str, path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\naccept: */*\r\n\r\n",
            cast.requester
        )
    };
    let ours = broker.url.trim_start_matches("http://").to_owned();
    println!("{clients} clients read one operation, {rounds} rounds of {seconds} s each, {:?}\n", on());
    let asked = [(&peer, path.clone()), (&ours, path.clone()), (&ours, format!("/v1/operations/{under_way}"))];
    let mut rates = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        for (rates, (host, path)) in rates.iter_mut().zip(&asked) {
            rates.push(rate(host, &ask(host, path), clients, Duration::from_secs(seconds)).await);
        }
    }
    drop(bare);
    let [plain, over, running] = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    println!("{:<56}{:>12}", "", "answers/s");
    println!("{:<56}{plain:>12.0}", "axum alone, the same bytes");
    println!("{:<56}{over:>12.0}{:>10.2}×  (at least 0.50)", "jiyue: token, policy, row, tag, metrics", over / plain);
    println!("{:<56}{running:>12.0}{:>10.2}×", "jiyue: an operation under way", running / plain);
}

/// Looks at each list of each broker in turn, so that what else goes on here is shared by all.
const LOOKS: usize = 41;

async fn list() {
    let most = setting("ROWS", 1_000_000);
    println!("\nthe first 200 machines, medians of {LOOKS} looks in turn, {:?}\n", on());
    let mut brokers = Vec::new();
    for rows in [1000, most] {
        let broker =
            Broker::start(Setup::new(on()).with("JIYUE_LOG_FILTER", "warn").with("JIYUE_WORKER_WIDTH", "0")).await;
        let cast = Cast::arrive(&broker).await;
        broker.furnish(&cast).await;
        let made = broker.post("/v1/requests", &cast.requester, &broker::request()).await.expect(201);
        let request = made["items"][0]["id"].as_str().unwrap().to_owned();
        broker.post(&format!("/v1/requests/{request}/approve"), &cast.authority, &json!({})).await.expect(202);
        copies::machines(&broker.setup.database_url, rows).await;
        brokers.push((broker, cast));
    }
    println!("{:<40}{:>12}{:>12}{:>8}", "list, ms", "of 1,000", format!("of {most}"), "");
    for (who, query) in [
        ("auditor", ""),
        ("auditor", "&sort=name"),
        ("auditor", "&sort=-lease_end"),
        ("auditor", "&state=running"),
        ("auditor", "&department=mzj"),
        ("requester", ""),
        ("requester", "&sort=name"),
    ] {
        let path = format!("/v1/machines?page_size=200{query}");
        let mut times = [const { Vec::new() }; 2];
        for _ in 0..LOOKS {
            for ((broker, cast), times) in brokers.iter().zip(&mut times) {
                let token = if who == "auditor" { &cast.auditor } else { &cast.requester };
                let began = Instant::now();
                let page = broker.get(&path, token).await.expect(200);
                times.push(began.elapsed().as_secs_f64() * 1000.0);
                assert_eq!(page["items"].as_array().unwrap().len(), 200, "{path}");
            }
        }
        let [few, many] = times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[LOOKS / 2]
        });
        println!("{:<40}{few:>12.1}{many:>12.1}{:>7.2}×", format!("{who} {query}"), many / few);
    }
}
