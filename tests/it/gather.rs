//! Readings that many want at once, on both databases, without a server around them.

use crate::support::broker::{On, Setup};
use jiyue::{
    audit::{self, Outcome, Record, Who},
    db::{Db, DbError, Finding, Gather, Options, Tx, Ways},
    time::Clock,
};
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

async fn open(on: On) -> Db {
    again(&Setup::new(on)).await
}

async fn again(setup: &Setup) -> Db {
    let options = Options { url: setup.database_url.clone(), read_connections: 2, clock: Clock::System };
    Db::open(options).await.expect("a database")
}

async fn name(db: &Db, code: &str, name: &str) {
    let (code, name) = (code.to_owned(), name.to_owned());
    let job = async move |tx: &mut Tx| {
        sqlx::query(
            "insert into departments (id, code, name, created_at) values ($1, $1, $2, 0) \
             on conflict (id) do update set name = excluded.name",
        )
        .bind(&code)
        .bind(&name)
        .execute(tx.conn())
        .await?;
        let record = Record {
            who: Who::console(),
            action: "test.act",
            object_type: "test",
            object_id: code.clone(),
            department_id: None,
            outcome: Outcome::Done,
            detail: serde_json::json!({}),
        };
        audit::record(tx, record).await
    };
    db.write::<_, _, DbError>(job).await.expect("written");
}

/// How often the database was asked by the test of many callers, and by that of two brokers.
static ASKED: AtomicUsize = AtomicUsize::new(0);
static ASKED_HERE: AtomicUsize = AtomicUsize::new(0);

fn names<'a>(conn: &'a mut AnyConnection, keys: &'a [&'a str]) -> Finding<'a, String> {
    Box::pin(async move {
        if keys.contains(&"broken") {
            return Err(DbError::BadUrl);
        }
        if keys.iter().any(|key| key.starts_with("many")) {
            ASKED.fetch_add(1, Ordering::Relaxed);
        }
        if keys.contains(&"polled") {
            ASKED_HERE.fetch_add(1, Ordering::Relaxed);
        }
        let list = (1..=keys.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        let mut query = sqlx::query(AssertSqlSafe(format!("select id, name from departments where id in ({list})")));
        for key in keys {
            query = query.bind(*key);
        }
        let rows = query.fetch_all(conn).await?;
        Ok(rows.iter().map(|row| (row.get::<String, _>("id"), row.get::<String, _>("name"))).collect::<HashMap<_, _>>())
    })
}

fn gather(db: &Db) -> Gather<String> {
    Gather::new(db.clone(), Ways { find: names, settled: |name| name.starts_with("settled") })
}

#[tokio::test]
async fn many_callers_share_a_statement_and_each_gets_its_own_row() {
    let db = open(On::Sqlite).await;
    for n in 0..5 {
        name(&db, &format!("many{n}"), &format!("name{n}")).await;
    }
    let gather = std::sync::Arc::new(gather(&db));
    let mut callers = JoinSet::new();
    for n in 0..1000 {
        let gather = gather.clone();
        callers.spawn(async move {
            let row = gather.get(&format!("many{}", n % 7)).await.expect("read");
            let expected = (n % 7 < 5).then(|| format!("name{}", n % 7));
            assert_eq!(row.as_deref(), expected.as_ref(), "{n}");
        });
    }
    while let Some(done) = callers.join_next().await {
        done.expect("its own row");
    }
    let asked = ASKED.load(Ordering::Relaxed);
    assert!((1..200).contains(&asked), "{asked} statements for 1000 callers");
}

#[tokio::test]
async fn whoever_asks_after_a_commit_sees_it_and_what_is_settled_is_not_asked_again() {
    for on in [On::Sqlite, On::Postgres] {
        let db = open(on).await;
        let gather = std::sync::Arc::new(gather(&db));
        name(&db, "a", "0").await;
        let mut pollers = JoinSet::new();
        for _ in 0..8 {
            let gather = gather.clone();
            pollers.spawn(async move {
                while gather.get("a").await.expect("read").as_deref().unwrap() != "settled" {
                    tokio::task::yield_now().await;
                }
            });
        }
        for n in 1..100 {
            let now = n.to_string();
            name(&db, "a", &now).await;
            assert_eq!(gather.get("a").await.unwrap().as_deref(), Some(&now), "{on:?}");
        }
        name(&db, "a", "settled").await;
        while let Some(done) = pollers.join_next().await {
            done.expect("it ends");
        }
        // Nobody changes what is settled; that this does shows that it is remembered.
        name(&db, "a", "changed all the same").await;
        assert_eq!(gather.get("a").await.unwrap().as_deref().map(String::as_str), Some("settled"), "{on:?}");
    }
}

#[tokio::test]
async fn what_another_broker_commits_is_seen_soon_and_polling_costs_little() {
    for on in [On::Sqlite, On::Postgres] {
        let setup = Setup::new(on);
        let (here, there) = (again(&setup).await, again(&setup).await);
        let gather = gather(&here);
        name(&there, "polled", "0").await;
        let (mut looks, before) = (0, ASKED_HERE.load(Ordering::Relaxed));
        for n in 0..5 {
            let now = n.to_string();
            name(&there, "polled", &now).await;
            let written = Instant::now();
            while gather.get("polled").await.unwrap().as_deref() != Some(&now) {
                looks += 1;
                assert!(written.elapsed() < Duration::from_secs(5), "{on:?}: {n} is never seen");
            }
            for _ in 0..1000 {
                assert_eq!(gather.get("polled").await.unwrap().as_deref(), Some(&now), "{on:?}");
            }
        }
        let asked = ASKED_HERE.load(Ordering::Relaxed) - before;
        println!("{on:?}: {asked} statements for {} looks", looks + 5000);
        assert!(asked < 500, "{on:?}: {asked} statements for {} looks", looks + 5000);
    }
}

#[tokio::test]
async fn a_reading_that_fails_fails_for_those_who_waited_and_for_nobody_later() {
    let db = open(On::Sqlite).await;
    name(&db, "a", "name").await;
    let gather = gather(&db);
    assert!(gather.get("broken").await.is_err());
    assert_eq!(gather.get("a").await.unwrap().as_deref().map(String::as_str), Some("name"));
    assert_eq!(gather.get("absent").await.unwrap(), None);
}
