//! Clients that hang up while their request is under way, and a database that takes 2 ms to answer: what somebody was
//! told is written is written. (A handler that holds a transaction loses such writes: its future is dropped with the
//! client, and its connection goes back to the pool with the transaction still open.)

use crate::support::{
    Dice,
    broker::{Broker, Cast, On, Setup},
    postgres, proxy,
    sql::Sql,
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::sleep,
};

const IMPATIENT: usize = 300;
const PATIENT: usize = 8;
const WANTED: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_hang_up_cost_nobody_an_acknowledged_write() {
    let postgres = postgres::shared();
    let direct = postgres.fresh();
    let slow = proxy::slow(([127, 0, 0, 1], postgres.port).into(), Duration::from_millis(2)).await;
    let mut setup =
        Setup::new(On::Postgres).with("JIYUE_DATABASE_READ_CONNECTIONS", "4").with("JIYUE_LOG_FILTER", "warn");
    setup.database_url = direct.replace(&format!(":{}/", postgres.port), &format!(":{}/", slow.port()));
    let mut broker = Broker::start(setup).await;
    let cast = Cast::arrive(&broker).await;

    let mut dice = Dice::from_env();
    let began = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    let longest = tokio::spawn(watch_transactions(direct.clone(), stop.clone()));
    let (told, early) = (Arc::new(Mutex::new(BTreeSet::new())), Arc::new(Mutex::new(Vec::new())));
    let (hung_up, refused) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let address: Arc<str> = broker.url.trim_start_matches("http://").into();
    let token: Arc<str> = cast.authority.as_str().into();
    let mut clients = JoinSet::new();
    for client in 0..IMPATIENT + PATIENT {
        let (mut dice, told, stop) = (dice.split(), told.clone(), stop.clone());
        let (hung_up, refused) = (hung_up.clone(), refused.clone());
        let (address, token, direct, early) = (address.clone(), token.clone(), direct.clone(), early.clone());
        clients.spawn(async move {
            let mut number = 0;
            let mut sql = if client < PATIENT { Some(Sql::reading(&direct).await) } else { None };
            while !stop.load(Ordering::Relaxed) {
                let mut patience = None;
                if client >= PATIENT {
                    // No more calls than a line this slow can carry; beyond that everybody only waits. Most of them
                    // read: a read that is given up uses the same connections.
                    sleep(Duration::from_millis(dice.below(4000))).await;
                    // From "at once" to "just before the answer": whatever the handler is at then is cut.
                    patience = Some(Duration::from_micros(dice.below(30_000) * (1 + dice.below(5))));
                    if dice.below(16) > 0 {
                        if read(&address, &token, patience).await {
                            hung_up.fetch_add(1, Ordering::Relaxed);
                        }
                        continue;
                    }
                }
                number += 1;
                let code = format!("d{client}-{number}");
                match create(&address, &token, &code, patience).await {
                    End::Acknowledged => {
                        // Told is written: at once, and not when somebody happens to commit on the same connection.
                        if let Some(sql) = &mut sql {
                            let count = format!("select count(*) from departments where code = '{code}'");
                            if sql.number(&count).await != 1 {
                                early.lock().unwrap().push(code.clone());
                            }
                        }
                        told.lock().unwrap().insert(code);
                    }
                    End::HungUp => drop(hung_up.fetch_add(1, Ordering::Relaxed)),
                    End::Unavailable => drop(refused.fetch_add(1, Ordering::Relaxed)),
                }
            }
        });
    }
    // Long enough for both kinds to have met often.
    while told.lock().unwrap().len() < WANTED || began.elapsed() < Duration::from_secs(8) {
        assert!(began.elapsed() < Duration::from_secs(60), "only {} acknowledged", told.lock().unwrap().len());
        sleep(Duration::from_millis(50)).await;
    }
    stop.store(true, Ordering::Relaxed);
    clients.join_all().await;
    let longest = longest.await.expect("the watcher");
    let told = told.lock().unwrap().clone();
    let seed = dice.seed;
    eprintln!(
        "{} acknowledged, {} hung up, {} told 503, in {:.1?}; longest idle transaction {longest} ms, seed {seed}",
        told.len(),
        hung_up.load(Ordering::Relaxed),
        refused.load(Ordering::Relaxed),
        began.elapsed()
    );
    assert!(hung_up.load(Ordering::Relaxed) > 500, "too few were impatient");
    assert!(longest < 1000, "a session was idle in its transaction for {longest} ms, seed {seed}");

    let early = early.lock().unwrap().clone();
    assert!(early.is_empty(), "{} were told before they were written, seed {seed}: {early:?}", early.len());
    // While the broker runs, and again when its sessions have ended: what an open transaction held is gone by then.
    for when in ["while it runs", "after it was stopped"] {
        let written = written(&direct).await;
        let lost: Vec<_> = told.difference(&written).collect();
        assert!(lost.is_empty(), "{when}: {} of {} lost, seed {seed}: {lost:?}", lost.len(), told.len());
        broker.kill();
    }
}

/// How a call ended for its client.
enum End {
    /// 201, read to its last byte.
    Acknowledged,
    HungUp,
    /// An honest no.
    Unavailable,
}

async fn create(address: &str, token: &str, code: &str, patience: Option<Duration>) -> End {
    let body = json!({"code": code, "name": format!("单位 {code}")}).to_string();
    let head = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    match exchange(address, token, &format!("POST /v1/departments HTTP/1.1\r\n{head}"), &body, patience).await {
        Some(answer) if answer.starts_with("HTTP/1.1 201") => End::Acknowledged,
        Some(answer) if answer.starts_with("HTTP/1.1 503") => End::Unavailable,
        None => End::HungUp,
        Some(answer) => panic!("{answer}"),
    }
}

/// True when it hung up.
async fn read(address: &str, token: &str, patience: Option<Duration>) -> bool {
    exchange(address, token, "GET /v1/departments?page_size=200 HTTP/1.1\r\n", "", patience).await.is_none()
}

/// One call on a connection of its own; `None` when patience ended first, and with it the connection.
async fn exchange(address: &str, token: &str, head: &str, body: &str, patience: Option<Duration>) -> Option<String> {
    let request = format!("{head}host: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n{body}");
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    match patience {
        None => Some(exchange.await.expect("an answer")),
        Some(patience) => Some(tokio::time::timeout(patience, exchange).await.ok()?.expect("an answer")),
    }
}

async fn written(url: &str) -> BTreeSet<String> {
    Sql::reading(url).await.column("select code from departments").await.into_iter().collect()
}

/// The longest time in milliseconds for which a session was seen idle inside a transaction.
async fn watch_transactions(url: String, stop: Arc<AtomicBool>) -> i64 {
    let mut sql = Sql::reading(&url).await;
    let mut longest = 0;
    while !stop.load(Ordering::Relaxed) {
        let now = sql
            .number(
                "select cast(coalesce(max(extract(epoch from clock_timestamp() - state_change) * 1000), 0) as bigint) \
                 from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'",
            )
            .await;
        longest = longest.max(now);
        sleep(Duration::from_millis(50)).await;
    }
    longest
}
