//! The queue that every mutation goes through, on both databases, without a server around it.

use crate::support::{
    broker::{On, Setup},
    plain, postgres,
};
use jiyue::{
    audit::{self, Outcome, Record, Who},
    db::{Db, DbError, Group, Joined, Options, Tx},
    time::Clock,
};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{sync::Notify, task::JoinHandle, time::Duration};

async fn open(on: On) -> (Db, String) {
    let setup = Setup::new(on);
    let options = Options { url: setup.database_url.clone(), read_connections: 2, clock: Clock::System };
    (Db::open(options).await.expect("a database"), setup.database_url)
}

async fn insert(tx: &mut Tx, code: &str) -> Result<(), DbError> {
    sqlx::query("insert into departments (id, code, name, created_at) values ($1, $1, $1, 0)")
        .bind(code)
        .execute(tx.conn())
        .await?;
    Ok(())
}

fn record(object: &str) -> Record {
    Record {
        who: Who::console(),
        action: "test.act",
        object_type: "test",
        object_id: object.to_owned(),
        department_id: None,
        outcome: Outcome::Done,
        detail: serde_json::json!({}),
    }
}

async fn codes(url: &str) -> Vec<String> {
    plain::texts(url, "select code from departments order by code").await
}

/// Keeps the writer busy until `open` is called, so that what is sent meanwhile waits together.
struct Gate {
    open: Arc<Notify>,
    held: JoinHandle<Result<(), DbError>>,
}

impl Gate {
    async fn shut(db: &Db) -> Self {
        let (open, shut) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (opened, closed, db) = (Arc::clone(&open), Arc::clone(&shut), db.clone());
        let held = tokio::spawn(async move {
            db.housekeep(async move |_| {
                closed.notify_one();
                opened.notified().await;
                Ok(())
            })
            .await
        });
        shut.notified().await;
        Self { open, held }
    }

    async fn open(self) {
        // What was spawned has reached the queue.
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.open.notify_one();
        self.held.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_wait_together_are_committed_once_and_answered_after_that() {
    for on in On::BOTH {
        let (db, url) = open(on).await;
        let gate = Gate::shut(&db).await;
        let mut jobs = Vec::new();
        for n in 0..5 {
            let (db, seen_from) = (db.clone(), url.clone());
            jobs.push(tokio::spawn(async move {
                db.housekeep(async move |tx| {
                    insert(tx, &format!("d{n}")).await?;
                    // Nothing of the batch is there for others before its commit.
                    Ok::<_, DbError>((codes(&seen_from).await.len(), tx.now()))
                })
                .await
            }));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        gate.open().await;
        let mut began = Vec::new();
        for job in jobs {
            let (seen, now) = job.await.unwrap().unwrap();
            assert_eq!(seen, 0, "{on:?}");
            began.push(now);
            assert_eq!(codes(&url).await.len(), 5, "{on:?}: an answer comes after the commit");
        }
        began.dedup();
        assert_eq!(began.len(), 1, "{on:?}: one batch, one time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_or_panics_undoes_itself_and_nobody_else() {
    for on in On::BOTH {
        let (db, url) = open(on).await;
        let gate = Gate::shut(&db).await;
        let mut jobs = Vec::new();
        for n in 0..6 {
            let db = db.clone();
            jobs.push(tokio::spawn(async move {
                db.housekeep(async move |tx| {
                    insert(tx, &format!("d{n}")).await?;
                    match n {
                        1 => Err(DbError::BadUrl),
                        3 => panic!("on purpose"),
                        // A statement that fails would poison the whole transaction on PostgreSQL, were it not undone.
                        4 => insert(tx, "d0").await,
                        _ => Ok(()),
                    }
                })
                .await
            }));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        gate.open().await;
        let mut answers = Vec::new();
        for job in jobs {
            answers.push(job.await.unwrap().err().map(|error| error.to_string()));
        }
        let told: Vec<_> = answers.iter().map(Option::is_some).collect();
        assert_eq!(told, [false, true, false, true, true, false], "{on:?} {answers:?}");
        assert_eq!(answers[3].as_deref(), Some("the write queue did not answer"));
        assert!(answers[4].as_deref().is_some_and(|text| text.contains("exists already")), "{on:?} {answers:?}");
        assert_eq!(codes(&url).await, ["d0", "d2", "d5"], "{on:?}");
        // Alone, too; and the queue goes on.
        let alone = db
            .housekeep(async move |tx: &mut Tx| -> Result<(), DbError> {
                insert(tx, "lonely").await?;
                panic!("on purpose")
            })
            .await;
        assert!(matches!(alone, Err(DbError::Stopped)), "{on:?} {alone:?}");
        db.housekeep(async |tx| insert(tx, "after").await).await.unwrap();
        assert_eq!(codes(&url).await, ["after", "d0", "d2", "d5"], "{on:?}");
    }
}

/// Measures of tables that have grown since would lead SQLite's planner astray.
#[tokio::test(flavor = "multi_thread")]
async fn measures_that_are_older_than_their_tables_are_taken_anew() {
    let (db, url) = open(On::Sqlite).await;
    db.housekeep(async |tx: &mut Tx| insert(tx, "first").await).await.unwrap();
    let measured = async || plain::texts(&url, "select stat from sqlite_stat1 where tbl = 'departments'").await;
    plain::run(&url, "analyze").await.unwrap();
    assert!(measured().await.iter().all(|stat| stat.starts_with("1 ")), "{:?}", measured().await);
    db.housekeep(async |tx: &mut Tx| {
        for n in 0..2000 {
            insert(tx, &format!("d{n}")).await?;
        }
        Ok::<_, DbError>(())
    })
    .await
    .unwrap();
    drop(db);
    let options = Options { url: url.clone(), read_connections: 2, clock: Clock::System };
    let _db = Db::open(options).await.unwrap();
    // A large one is judged by a part of it.
    let rows = |stat: &String| stat.split(' ').next().and_then(|rows| rows.parse::<u64>().ok());
    assert!(measured().await.iter().all(|stat| rows(stat) > Some(1000)), "{:?}", measured().await);
}

/// Whoever remembers what he has read reads again after a change, and after nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_mark_moves_with_a_change_and_not_with_a_look() {
    for on in On::BOTH {
        let (db, _) = open(on).await;
        let mut before = db.mark().await.unwrap();
        for n in 0..3 {
            db.probe_writing().await.unwrap();
            db.housekeep(async |tx: &mut Tx| {
                sqlx::query("update departments set name = 'none' where code = 'none'").execute(tx.conn()).await?;
                Ok::<_, DbError>(())
            })
            .await
            .unwrap();
            // PostgreSQL's is the whole server's, and other tests use the same one.
            if on == On::Sqlite {
                assert_eq!(db.mark().await.unwrap(), before, "nothing was changed");
            }
            db.housekeep(async move |tx: &mut Tx| insert(tx, &format!("d{n}")).await).await.unwrap();
            let after = db.mark().await.unwrap();
            assert_ne!(after, before, "{on:?}: change {n}");
            before = after;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_without_its_audit_record_is_rolled_back() {
    for on in On::BOTH {
        let (db, url) = open(on).await;
        let gate = Gate::shut(&db).await;
        let (silent, noted) = (db.clone(), db.clone());
        let silent = tokio::spawn(async move { silent.write(async |tx| insert(tx, "silent").await).await });
        tokio::time::sleep(Duration::from_millis(10)).await;
        let noted = tokio::spawn(async move {
            noted
                .write(async |tx| {
                    insert(tx, "noted").await?;
                    audit::record(tx, record("noted")).await
                })
                .await
        });
        gate.open().await;
        // A neighbour's record does not count for it.
        assert!(matches!(silent.await.unwrap(), Err(DbError::Unaudited)), "{on:?}");
        noted.await.unwrap().unwrap();
        let alone = db.write(async |tx| insert(tx, "alone").await).await;
        assert!(matches!(alone, Err(DbError::Unaudited)), "{on:?} {alone:?}");
        // A record that was written and undone does not count either.
        let undone = db
            .write(async |tx| {
                insert(tx, "undone").await?;
                let part =
                    tx.nested(async |tx| audit::record(tx, record("undone")).await.and(Err::<(), _>(DbError::BadUrl)));
                assert!(part.await.is_err());
                Ok::<_, DbError>(())
            })
            .await;
        assert!(matches!(undone, Err(DbError::Unaudited)), "{on:?} {undone:?}");
        assert_eq!(codes(&url).await, ["noted"], "{on:?}");
        assert_eq!(plain::texts(&url, "select object_id from audit").await, ["noted"], "{on:?}");
    }
}

/// Inserts names; refuses the list when one of them is `no`.
#[derive(Default)]
struct Names {
    runs: Mutex<Vec<usize>>,
    forgets_audit: bool,
}

impl Group for Names {
    type Item = &'static str;
    type Out = String;
    type Error = DbError;

    async fn run(&self, tx: &mut Tx, items: &[&'static str]) -> Result<Vec<String>, DbError> {
        self.runs.lock().unwrap().push(items.len());
        let mut outs = Vec::new();
        for item in items {
            insert(tx, item).await?;
            outs.push((*item).to_owned());
        }
        if !self.forgets_audit {
            audit::record_all(tx, &items.iter().map(|item| record(item)).collect::<Vec<_>>()).await?;
        }
        if items.contains(&"no") { Err(DbError::BadUrl) } else { Ok(outs) }
    }
}

async fn together(db: &Db, group: &Arc<Names>, items: &[&'static str]) -> Vec<Result<String, DbError>> {
    let blocker = Arc::new(Blocker::default());
    let (lane, held) = (db.clone(), Arc::clone(&blocker));
    let waits = tokio::spawn(async move { lane.grouped(held, ()).await });
    blocker.running.notified().await;
    let mut waiting = Vec::new();
    for item in items {
        let (db, group, item) = (db.clone(), Arc::clone(group), *item);
        waiting.push(tokio::spawn(async move { db.grouped(group, item).await }));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    blocker.go.notify_one();
    waits.await.unwrap().unwrap();
    let mut answers = Vec::new();
    for one in waiting {
        answers.push(one.await.unwrap());
    }
    answers
}

/// Keeps the lane of groups busy.
#[derive(Default)]
struct Blocker {
    running: Notify,
    go: Notify,
}

impl Group for Blocker {
    type Item = ();
    type Out = ();
    type Error = DbError;

    async fn run(&self, tx: &mut Tx, items: &[()]) -> Result<Vec<()>, DbError> {
        self.running.notify_one();
        self.go.notified().await;
        audit::record(tx, record("blocker")).await?;
        Ok(items.to_vec())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_runs_as_one_list_and_one_by_one_when_the_list_is_refused() {
    for on in On::BOTH {
        let (db, url) = open(on).await;
        let group = Arc::new(Names::default());
        let answers = together(&db, &group, &["a", "b", "c"]).await;
        assert_eq!(answers.into_iter().map(Result::unwrap).collect::<Vec<_>>(), ["a", "b", "c"], "{on:?}");
        assert_eq!(*group.runs.lock().unwrap(), [3], "{on:?}");
        let answers = together(&db, &group, &["d", "no", "a", "e"]).await;
        let told: Vec<_> = answers.iter().map(|answer| answer.as_deref().ok()).collect();
        assert_eq!(told, [Some("d"), None, None, Some("e")], "{on:?}");
        assert!(matches!(answers[1], Err(DbError::BadUrl)), "{on:?} {answers:?}");
        assert!(matches!(answers[2], Err(DbError::Unique { .. })), "{on:?} {answers:?}");
        assert_eq!(*group.runs.lock().unwrap(), [3, 4, 1, 1, 1, 1], "{on:?}");
        assert_eq!(codes(&url).await, ["a", "b", "c", "d", "e"], "{on:?}");
        let kept = plain::texts(&url, "select object_id from audit where object_id <> 'blocker' order by 1").await;
        assert_eq!(kept, ["a", "b", "c", "d", "e"], "{on:?}: no record without its act");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_forgets_a_record_is_rolled_back() {
    for on in On::BOTH {
        let (db, url) = open(on).await;
        let group = Arc::new(Names { forgets_audit: true, ..Names::default() });
        for answer in together(&db, &group, &["a", "b"]).await {
            assert!(matches!(answer, Err(DbError::Unaudited)), "{on:?} {answer:?}");
        }
        assert_eq!(codes(&url).await, [""; 0], "{on:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_with_cannot_write() {
    for on in On::BOTH {
        let (db, url) = open(on).await;
        for sql in [
            "insert into departments (id, code, name, created_at) values ('a', 'a', 'a', 0)",
            "delete from departments",
            "update task_books set used_machines = 0",
            "create table t (id text)",
        ] {
            let mut conn = db.read().await.unwrap();
            let refused = sqlx::query(sql).execute(&mut *conn).await.unwrap_err().to_string();
            assert!(refused.contains("readonly") || refused.contains("read-only"), "{on:?} {sql}: {refused}");
        }
        assert_eq!(plain::number(&url, "select count(*) from departments").await, 0, "{on:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_connection_is_cut_is_run_again() {
    let (db, url) = open(On::Postgres).await;
    db.housekeep(async |tx| insert(tx, "before").await).await.unwrap();
    let name = url.rsplit('/').next().unwrap().to_owned();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    db.housekeep(async move |tx| {
        insert(tx, "cut").await?;
        if counted.fetch_add(1, Ordering::SeqCst) == 0 {
            let cut = format!(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}' and pid <> pg_backend_pid()"
            );
            assert!(postgres::shared().psql("postgres", &cut).0);
        }
        insert(tx, "again").await
    })
    .await
    .unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert_eq!(codes(&url).await, ["again", "before", "cut"]);
}

/// A broker that is frozen inside a transaction holds its row locks only as long as the server waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_falls_silent_lets_the_others_go_on_and_runs_again() {
    let rename = async |tx: &mut Tx, to: &str| -> Result<(), DbError> {
        let renaming = sqlx::query("update departments set name = $1 where code = 'shared'").bind(to.to_owned());
        renaming.execute(tx.conn()).await?;
        Ok(())
    };
    let (db, url) = open(On::Postgres).await;
    db.housekeep(async |tx| insert(tx, "shared").await).await.unwrap();
    let options = Options { url: url.clone(), read_connections: 2, clock: Clock::System };
    let other = Db::open(options).await.expect("a second broker");
    let (runs, locked) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (counted, holding) = (Arc::clone(&runs), Arc::clone(&locked));
    let silent = tokio::spawn(async move {
        db.housekeep(async move |tx| {
            rename(tx, "silent").await?;
            if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                holding.notify_one();
                tokio::time::sleep(Duration::from_secs(12)).await;
            }
            rename(tx, "awake").await
        })
        .await
    });
    locked.notified().await;
    let going_on = other.housekeep(async move |tx| rename(tx, "other").await);
    tokio::time::timeout(Duration::from_secs(9), going_on).await.expect("the lock is taken back").unwrap();
    assert_eq!(plain::texts(&url, "select name from departments").await, ["other"]);
    silent.await.unwrap().unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert_eq!(plain::texts(&url, "select name from departments").await, ["awake"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_does_not_cut_its_job_in_half() {
    for on in On::BOTH {
        let (db, url) = open(on).await;
        let gate = Gate::shut(&db).await;
        let leaving = db.clone();
        let caller = tokio::spawn(async move {
            leaving
                .housekeep(async |tx| {
                    insert(tx, "one").await?;
                    insert(tx, "two").await
                })
                .await
        });
        tokio::time::sleep(Duration::from_millis(30)).await;
        caller.abort();
        gate.open().await;
        db.housekeep(async |_| Ok::<_, DbError>(())).await.unwrap();
        assert_eq!(codes(&url).await, ["one", "two"], "{on:?}");
    }
}

#[tokio::test]
async fn rows_that_come_together_are_what_they_would_be_one_by_one() {
    const DAYS: Joined<2> = Joined { texts: ["subject_id", "nullif(day, 3)"], bytes: Some("data") };
    for on in On::BOTH {
        let (db, _) = open(on).await;
        // No text, the end of one in C, nothing, and what stands between texts.
        let all: [(&str, i64, &[u8]); 4] =
            [("a", 1, &[0xff, 0, 0xfe]), ("a", 2, b""), ("b", 3, &[0]), ("楼", 4, "\u{1f}一".as_bytes())];
        db.housekeep(async move |tx| -> Result<(), DbError> {
            for (subject, day, data) in all {
                sqlx::query("insert into usage_days (subject_id, day, data) values ($1, $2, $3)")
                    .bind(subject)
                    .bind(day)
                    .bind(data.to_vec())
                    .execute(tx.conn())
                    .await?;
            }
            Ok(())
        })
        .await
        .expect("rows");
        let mut conn = db.read().await.expect("a connection");
        let sql = DAYS.sql(&conn, "select subject_id, day, data from usage_days where day < $1 order by day desc");
        let asked = || sqlx::query(sqlx::AssertSqlSafe(sql.clone()));
        for (below, expected) in [(9, 4), (2, 1), (1, 0)] {
            let row = asked().bind(below).fetch_one(&mut *conn).await.expect("a row");
            let page = DAYS.read(&row).expect("a page");
            let found: Vec<_> = page.rows().map(|([subject, day], data)| (subject, day.to_owned(), data)).collect();
            let day = |day: i64| if day == 3 { String::new() } else { day.to_string() };
            let mut rows: Vec<_> = all.iter().map(|(subject, at, data)| (*subject, day(*at), *data)).collect();
            rows.truncate(expected);
            rows.reverse();
            assert_eq!(found, rows, "{on:?}");
        }
        drop(conn);
        // A text with what stands between texts would make two of one.
        let insert = "insert into usage_days (subject_id, day, data) values ('one\u{1f}two', 9, $1)";
        db.housekeep(async move |tx| -> Result<(), DbError> {
            sqlx::query(insert).bind(vec![1_u8]).execute(tx.conn()).await?;
            Ok(())
        })
        .await
        .expect("a row");
        let mut conn = db.read().await.expect("a connection");
        let row = asked().bind(10).fetch_one(&mut *conn).await.expect("a row");
        assert!(matches!(DAYS.read(&row), Err(DbError::Corrupt { .. })), "{on:?}");
    }
}
