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
    let told = Arc::new(Mutex::new(BTreeSet::new()));
    let hung_up = Arc::new(AtomicI64::new(0));
    let address: Arc<str> = broker.url.trim_start_matches("http://").into();
    let token: Arc<str> = cast.authority.as_str().into();
    let mut clients = JoinSet::new();
    for client in 0..IMPATIENT + PATIENT {
        let (mut dice, told, stop, hung_up) = (dice.split(), told.clone(), stop.clone(), hung_up.clone());
        let (address, token) = (address.clone(), token.clone());
        clients.spawn(async move {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                let code = format!("d{client}-{number}");
                let patience = (client >= PATIENT).then(|| Duration::from_micros(dice.below(30_000)));
                if create(&address, &token, &code, patience).await {
                    told.lock().unwrap().insert(code);
                } else {
                    hung_up.fetch_add(1, Ordering::Relaxed);
                    // So many at once would only fill the listener's queue.
                    sleep(Duration::from_millis(dice.below(200))).await;
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
        "{} acknowledged, {} hung up in {:.1?}, longest idle transaction {longest} ms, seed {seed}",
        told.len(),
        hung_up.load(Ordering::Relaxed),
        began.elapsed()
    );
    assert!(hung_up.load(Ordering::Relaxed) > 1000);
    assert!(longest < 1000, "a session was idle in its transaction for {longest} ms, seed {seed}");

    // While the broker runs, and again when its sessions have ended: what an open transaction held is gone by then.
    for when in ["while it runs", "after it was stopped"] {
        let written = written(&direct).await;
        let lost: Vec<_> = told.difference(&written).collect();
        assert!(lost.is_empty(), "{when}: {} of {} lost, seed {seed}: {lost:?}", lost.len(), told.len());
        broker.kill();
    }
}

/// Sends the request on a connection of its own. True when the whole 201 was read in time.
async fn create(address: &str, token: &str, code: &str, patience: Option<Duration>) -> bool {
    let body = json!({"code": code, "name": format!("单位 {code}")}).to_string();
    let request = format!(
        "POST /v1/departments HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = match patience {
        None => exchange.await,
        Some(patience) => match tokio::time::timeout(patience, exchange).await {
            Ok(answer) => answer,
            // The connection is closed by being dropped.
            Err(_) => return false,
        },
    };
    match answer {
        Ok(answer) if answer.starts_with("HTTP/1.1 201") => true,
        Ok(answer) => {
            assert!(answer.is_empty() || patience.is_some(), "{answer}");
            assert!(!answer.starts_with("HTTP/1.1 5"), "{answer}");
            false
        }
        Err(_) => false,
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
