//! 64 clients race for one task book: never a machine too many, and not one too few.

use crate::support::{
    Dice,
    broker::{self, Broker, Cast, On, Setup},
    sql::Sql,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const CLIENTS: usize = 64;
const REQUESTS: usize = 10_000;
const LIMIT: i64 = 6_000;

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_clients_racing_for_one_task_book_on_sqlite_take_exactly_its_limit() {
    race(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_clients_racing_for_one_task_book_on_postgresql_take_exactly_its_limit() {
    race(On::Postgres).await;
}

async fn race(on: On) {
    // The worker is paused: this is about claims, and nothing is built.
    let mut broker =
        Broker::start(Setup::new(on).with("JIYUE_WORKER_WIDTH", "0").with("JIYUE_LOG_FILTER", "warn")).await;
    let cast = Cast::arrive(&broker).await;
    let mut book = broker::task_book();
    book["indicators"] = json!({"machines": LIMIT, "vcpu": 20_000, "memory": "20000 GiB", "disk": "200000 GiB"});
    broker.post("/v1/task-books", &cast.authority, &book).await.expect(201);
    broker.simulated_host(&cast, "sim").await;
    broker.image(&cast, broker::raw_image()).await;
    let waiting = submit_many(&broker, &cast).await;

    let began = Instant::now();
    let tally = Arc::new(std::sync::Mutex::new(BTreeMap::<String, usize>::new()));
    let (waiting, next) = (Arc::new(waiting), Arc::new(AtomicUsize::new(0)));
    let http = crate::support::http();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (waiting, next, tally, http) = (waiting.clone(), next.clone(), tally.clone(), http.clone());
        let (url, token) = (broker.url.clone(), cast.authority.clone());
        clients.spawn(async move {
            while let Some(id) = waiting.get(next.fetch_add(1, Ordering::Relaxed)) {
                let url = format!("{url}/v1/requests/{id}/approve");
                let answer = http.post(url).bearer_auth(&token).json(&json!({})).send().await.expect("an answer");
                let status = answer.status().as_u16();
                let body: Value = answer.json().await.expect("JSON");
                let word = match status {
                    202 => "accepted".to_owned(),
                    409 => {
                        let code = body["code"].as_str().unwrap_or_default();
                        // The numbers of the moment: one machine asked, none left.
                        let short = &body["shortage"][0];
                        assert_eq!(short["dimension"], "machines", "{body:#}");
                        assert_eq!((&short["asked"], &short["free"]), (&json!(1), &json!(0)), "{body:#}");
                        format!("409 {code}")
                    }
                    _ => format!("{status} {}", body["code"].as_str().unwrap_or_default()),
                };
                *tally.lock().unwrap().entry(word).or_default() += 1;
            }
        });
    }
    clients.join_all().await;
    let took = began.elapsed();
    let tally = tally.lock().unwrap().clone();
    let mut sql = Sql::reading(&broker.setup.database_url).await;
    let accepting = sql
        .number("select cast((max(at) - min(at)) / 1000 as bigint) from audit where action = 'request.approve'")
        .await;
    eprintln!(
        "{on:?}: {REQUESTS} approvals by {CLIENTS} clients in {took:.1?}, the accepted in {accepting} ms: {tally:?}"
    );

    let books = Books::read(&mut sql, "task_books", "claims").await;
    assert_eq!(books.fault(), None, "{on:?}");
    // The last unit was takeable: the clients were refused nothing that was still free.
    assert_eq!((books.used, books.held), (LIMIT, LIMIT), "{on:?}");
    let accepted = usize::try_from(LIMIT).unwrap();
    let expected = [("409 indicator_exceeded", REQUESTS - accepted), ("accepted", accepted)];
    assert_eq!(tally, expected.map(|(word, n)| (word.to_owned(), n)).into(), "{on:?}");
    assert_eq!(sql.faults().await, Vec::<String>::new(), "{on:?}");
    let count = async |sql: &mut Sql, text: &str| sql.number(text).await;
    assert_eq!(count(&mut sql, "select count(*) from requests where state = 'approved'").await, LIMIT);
    assert_eq!(count(&mut sql, "select count(*) from operations where kind = 'build'").await, LIMIT);
    assert_eq!(count(&mut sql, "select count(*) from audit where action = 'request.approve'").await, LIMIT);
    let ledger = broker.get("/v1/ledger", &cast.auditor).await.expect(200);
    assert_eq!(ledger["consistent"], true, "{on:?} {ledger:#}");
    broker.kill();

    mutant(on, &broker.setup.database_url).await;
}

/// One request by the public endpoint, and its copies by SQL: submitting is tested elsewhere, and 10,000 submissions over
/// HTTP would take longer than the race.
async fn submit_many(broker: &Broker, cast: &Cast) -> Vec<String> {
    let mut block = broker::request();
    block["申请虚拟机数量"] = json!(1);
    block["域名"] = Value::Null;
    block["无域名理由"] = json!("仅供本项目内部调用");
    let made = broker.post("/v1/requests", &cast.requester, &block).await.expect(201);
    let first = made["items"][0]["id"].as_str().unwrap().to_owned();
    let mut sql = Sql::writing(&broker.setup.database_url).await;
    let mut ids = vec![first.clone()];
    ids.extend((1..REQUESTS).map(|_| uuid::Uuid::now_v7().to_string()));
    for part in ids[1..].chunks(500) {
        let values: Vec<_> = part.iter().map(|id| format!("('{id}')")).collect();
        sql.run(&format!(
            "insert into requests (id, department_id, task_book_id, task_book_version, state, block, digest, domain, \
             submitted_by, submitted_unit, submitted_at) select v.column1, department_id, task_book_id, \
             task_book_version, state, block, digest, domain, submitted_by, submitted_unit, submitted_at \
             from requests, (values {}) as v where requests.id = '{first}'",
            values.join(", ")
        ))
        .await;
    }
    ids
}

/// A task book as plain SQL sees it.
#[derive(Debug)]
struct Books {
    used: i64,
    limit: i64,
    held: i64,
}

impl Books {
    async fn read(sql: &mut Sql, books: &str, claims: &str) -> Self {
        Self {
            used: sql.number(&format!("select used_machines from {books}")).await,
            limit: sql.number(&format!("select limit_machines from {books}")).await,
            held: sql.number(&format!("select cast(coalesce(sum(compute_held), 0) as bigint) from {claims}")).await,
        }
    }

    /// What the race must never leave behind.
    fn fault(&self) -> Option<String> {
        let over = self.used > self.limit || self.held > self.limit;
        (over || self.used != self.held).then(|| format!("over-allocated: {self:?}"))
    }
}

/// The test's power: a claimer that looks first and writes afterwards, on copies of the tables that have no CHECK, must
/// be found out by the same oracle. And with the CHECK behind it, even that claimer takes nothing too much.
async fn mutant(on: On, url: &str) {
    const NAIVE_LIMIT: i64 = 200;
    let mut dice = Dice::from_env();
    let mut sql = Sql::writing(url).await;
    let mut found = None;
    for round in 1..=5 {
        // `as select` copies columns and rows, and no constraint.
        for (copy, table) in [("naive_books", "task_books"), ("naive_claims", "claims")] {
            sql.run(&format!("drop table if exists {copy}")).await;
            sql.run(&format!("create table {copy} as select * from {table}")).await;
        }
        sql.run("delete from naive_claims").await;
        sql.run(&format!("update naive_books set used_machines = 0, limit_machines = {NAIVE_LIMIT}")).await;
        naive_race(url, "naive_books", "naive_claims", &mut dice).await;
        let books = Books::read(&mut sql, "naive_books", "naive_claims").await;
        eprintln!("{on:?}: mutant, round {round}, seed {}: {books:?}", dice.seed);
        found = books.fault();
        if found.is_some() {
            break;
        }
    }
    assert!(found.is_some_and(|fault| fault.starts_with("over-allocated")), "{on:?}: the race did not show the mutant");

    sql.run("delete from naive_claims").await;
    let room = NAIVE_LIMIT;
    sql.run(&format!("update task_books set limit_machines = used_machines + {room}")).await;
    naive_race(url, "task_books", "naive_claims", &mut dice).await;
    let books = Books::read(&mut sql, "task_books", "naive_claims").await;
    assert!(books.used <= books.limit && books.held <= room, "{on:?}: the CHECK let it through: {books:?}");
}

/// 64 tasks, each with a connection of its own: read, compare, and only then write.
async fn naive_race(url: &str, books: &'static str, claims: &'static str, dice: &mut Dice) {
    let mut tasks = JoinSet::new();
    let gate = Arc::new(tokio::sync::Barrier::new(CLIENTS));
    for _ in 0..CLIENTS {
        let mut dice = dice.split();
        let (url, gate) = (url.to_owned(), gate.clone());
        tasks.spawn(async move {
            let mut sql = Sql::writing(&url).await;
            if url.starts_with("sqlite:") {
                sql.run("pragma synchronous = off").await;
            }
            gate.wait().await;
            for _ in 0..10 {
                let used = sql.number(&format!("select used_machines from {books}")).await;
                let limit = sql.number(&format!("select limit_machines from {books}")).await;
                if used + 1 > limit {
                    continue;
                }
                tokio::time::sleep(Duration::from_micros(dice.below(3000))).await;
                naive_write(&mut sql, books, claims).await;
            }
        });
    }
    tasks.join_all().await;
}

async fn naive_write(sql: &mut Sql, books: &str, claims: &str) {
    use sqlx::{AssertSqlSafe, Executor};
    let begin = "begin";
    let update = format!("update {books} set used_machines = used_machines + 1");
    let id = uuid::Uuid::now_v7();
    let insert = format!(
        "insert into {claims} (machine_id, task_book_id, compute_held, storage_held) select '{id}', id, 1, 1 from {books}"
    );
    let conn = sql.conn();
    conn.execute(AssertSqlSafe(begin)).await.expect("begin");
    for text in [update, insert] {
        if conn.execute(AssertSqlSafe(text)).await.is_err() {
            // A CHECK has refused, or another writer was quicker.
            conn.execute("rollback").await.expect("rollback");
            return;
        }
    }
    conn.execute("commit").await.expect("commit");
}
