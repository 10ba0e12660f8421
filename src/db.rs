//! The database: one SQL text for SQLite and PostgreSQL, and the queue that every mutation goes through.
//!
//! - Reads come from a pool whose connections are read-only, so that a write which by-passes the queue fails loudly.
//! - A write is a [`Db::write`] job: an async closure over a transaction. A writer thread takes what has queued up, runs
//!   each job in its own savepoint, commits once for all, and only then answers each. A client that goes away cannot cut
//!   a job in half, because the job is not its future. Jobs do no IO but SQL, and may be run again after a deadlock or a
//!   lost connection; so they hold no effects of their own.
//! - Jobs of one [`Group`] that wait together are handed over as one list, so that many claims become one statement.
//!
//! Expressions of the database's own clock stand here and nowhere else.

use crate::{metrics::Metrics, time::Clock};
use call::Call;
use sqlx::{
    AnyConnection, AnyPool, ConnectOptions, Connection, Executor, any::AnyConnectOptions, any::AnyPoolOptions,
    migrate::Migrator, pool::PoolConnection,
};
use std::{
    fmt::Write as _,
    str::FromStr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

pub mod call;
mod error;
mod gather;
mod joined;
mod probe;
mod queue;
mod slice;
pub use error::{DbError, JobError};
pub use gather::{Finding, Gather, Ways};
pub use joined::{Joined, Page, value};
pub use probe::{Seen, file, look};
use queue::{Act, Gathered, Told, Unit, spawn_lane};
pub use slice::{Batch, Key, Listing, MAX_PAGE, Order, Slice, Sorts};

/// Which database is behind the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// Its own clock, in microseconds.
    const fn clock(self) -> &'static str {
        match self {
            Self::Sqlite => "select cast(unixepoch('subsec') * 1000000 as integer)",
            Self::Postgres => "select cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)",
        }
    }
}

/// A handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    dialect: Dialect,
    reads: AnyPool,
    /// Groups go through one lane, so that two claims of one replica can never deadlock; on SQLite it is the only lane.
    grouped: mpsc::Sender<Box<dyn Unit>>,
    single: mpsc::Sender<Box<dyn Unit>>,
    told: Arc<Told>,
    clock: Clock,
}

/// How to open a database.
#[derive(Clone, Debug)]
pub struct Options {
    /// `sqlite:/path/to/file` or `postgres://…`
    pub url: String,
    pub read_connections: u32,
    pub clock: Clock,
}

impl Db {
    /// Opens the database, brings its tables up to date, and starts its writers.
    pub async fn open(options: Options) -> Result<Self, DbError> {
        sqlx::any::install_default_drivers();
        let (dialect, url) = normalise(&options.url)?;
        let mut first = connect(dialect, &url).await?;
        migrator(dialect).run(&mut first).await.map_err(|source| DbError::Migration { source })?;
        measure(dialect, &mut first).await?;
        drop(first);
        let reads = AnyPoolOptions::new()
            .max_connections(options.read_connections.max(1))
            .acquire_timeout(Duration::from_secs(10))
            // A file does not go away; asking each time whether it is there takes as long as reading from it.
            .test_before_acquire(dialect == Dialect::Postgres)
            .after_connect(move |conn, _| Box::pin(async move { conn.execute(read_only(dialect)).await.map(drop) }))
            .connect_lazy_with(quiet(&url)?);
        let told = Arc::default();
        let lane = |name: &str| spawn_lane(name, dialect, url.clone(), options.clock.clone(), Arc::clone(&told));
        let grouped = lane("db-claims")?;
        let single = match dialect {
            Dialect::Sqlite => grouped.clone(),
            Dialect::Postgres => lane("db-acts")?,
        };
        Ok(Self { inner: Arc::new(Inner { dialect, reads, grouped, single, told, clock: options.clock }) })
    }

    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// From now on the writers count what they do; the first that is given stays.
    pub fn counted_by(&self, metrics: &Metrics) {
        let _ = self.inner.told.metrics.set(metrics.clone());
    }

    /// Grows with each commit of this broker that changed anything, before anybody is answered.
    fn commits(&self) -> u64 {
        self.inner.told.commits.load(Ordering::SeqCst)
    }

    /// Changes with whatever is committed, here or by another broker: two readings that are equal have nothing between them.
    /// It is taken before what it is to stand for is read.
    pub async fn mark(&self) -> Result<String, DbError> {
        match self.inner.dialect {
            // Its one writer is ours.
            Dialect::Sqlite => Ok(self.commits().to_string()),
            Dialect::Postgres => {
                let sql = "select cast(pg_current_snapshot() as text)";
                Ok(sqlx::query_scalar(sql).fetch_one(&mut *self.read().await?).await?)
            }
        }
    }

    /// Transactions from this number on could still be open: what they have written is not yet all there is.
    /// (SQLite's writer is alone, so nothing is ever open beside what is read; its records all say 0.)
    pub async fn horizon(&self, conn: &mut AnyConnection) -> Result<i64, DbError> {
        match self.inner.dialect {
            Dialect::Sqlite => Ok(1),
            Dialect::Postgres => {
                let sql = "select cast(cast(pg_snapshot_xmin(pg_current_snapshot()) as text) as bigint)";
                Ok(sqlx::query_scalar(sql).fetch_one(conn).await?)
            }
        }
    }

    /// A connection to read with. It is in no transaction, and cannot write.
    pub async fn read(&self) -> Result<PoolConnection<sqlx::Any>, DbError> {
        Ok(self.inner.reads.acquire().await?)
    }

    /// An act of somebody: runs `job` in a transaction and answers after its commit. A job that succeeds without having
    /// written an audit record is rolled back ([`DbError::Unaudited`]).
    pub async fn write<F, T, E>(&self, job: F) -> Result<T, E>
    where
        F: AsyncFn(&mut Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: JobError,
    {
        self.submit(&self.inner.single, true, job).await
    }

    /// The broker's own book-keeping (leases, progress): a write that nobody decided, and that the audit does not list.
    pub async fn housekeep<F, T, E>(&self, job: F) -> Result<T, E>
    where
        F: AsyncFn(&mut Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: JobError,
    {
        self.submit(&self.inner.single, false, job).await
    }

    async fn submit<F, T, E>(&self, lane: &mpsc::Sender<Box<dyn Unit>>, audited: bool, job: F) -> Result<T, E>
    where
        F: AsyncFn(&mut Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: JobError,
    {
        let (reply, answer) = oneshot::channel();
        // The broker's own book-keeping is nobody's call.
        let call = if audited { Call::current() } else { None };
        let act = Act { job, audited, call, out: None, reply };
        lane.send(Box::new(act)).await.map_err(|_| DbError::Stopped)?;
        answer.await.map_err(|_| DbError::Stopped)?
    }

    /// Hands one item to the writer, which runs all waiting items of the same group together.
    pub async fn grouped<G: Group>(&self, group: Arc<G>, item: G::Item) -> Result<G::Out, G::Error> {
        let (reply, answer) = oneshot::channel();
        let unit =
            Gathered { group, items: vec![item], calls: vec![Call::current()], replies: vec![reply], outs: Vec::new() };
        self.inner.grouped.send(Box::new(unit)).await.map_err(|_| DbError::Stopped)?;
        answer.await.map_err(|_| DbError::Stopped)?
    }
}

/// A transaction in the hands of a job.
pub struct Tx {
    conn: AnyConnection,
    dialect: Dialect,
    now: jiff::Timestamp,
    audits: u32,
}

impl Tx {
    /// The connection, for a store's statements.
    pub fn conn(&mut self) -> &mut AnyConnection {
        &mut self.conn
    }

    /// The broker's time at which this batch began.
    pub fn now(&self) -> jiff::Timestamp {
        self.now
    }

    /// Called by `audit.rs` alone, once for each record written.
    pub(crate) fn note_audit(&mut self, records: usize) {
        self.audits += u32::try_from(records).unwrap_or(u32::MAX);
    }

    /// The database's own clock in microseconds: what leases are measured by, so that brokers whose clocks differ agree.
    pub async fn database_now(&mut self) -> Result<i64, DbError> {
        Ok(sqlx::query_scalar(self.dialect.clock()).fetch_one(&mut self.conn).await?)
    }

    /// Runs `part` inside a savepoint: an error undoes it and leaves the rest of the transaction as it was.
    pub async fn nested<T, E: JobError>(&mut self, part: impl AsyncFnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let audits = self.audits;
        self.execute("savepoint part").await?;
        match part(self).await {
            Ok(value) => {
                self.execute("release savepoint part").await?;
                Ok(value)
            }
            Err(error) => {
                self.audits = audits;
                self.execute("rollback to savepoint part").await?;
                self.execute("release savepoint part").await?;
                Err(error)
            }
        }
    }

    async fn execute(&mut self, sql: &'static str) -> Result<(), DbError> {
        self.conn.execute(sql).await?;
        Ok(())
    }
}

/// Jobs of the same kind that the writer may run as one.
pub trait Group: Send + Sync + 'static {
    type Item: Send + 'static;
    type Out: Send + 'static;
    type Error: JobError;

    /// All items or none: an error undoes the whole list, which is then run one item at a time. Answers in the items'
    /// order, and writes at least one audit record for each.
    fn run(&self, tx: &mut Tx, items: &[Self::Item]) -> impl Future<Output = Result<Vec<Self::Out>, Self::Error>>;
}

/// `($1, $2), ($3, $4)`: placeholders for a statement over many rows. (The query builder of sqlx writes `?` for its `Any`
/// driver, which PostgreSQL does not read.)
pub fn placeholders(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 1..=columns {
            let comma = if column == 1 { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(text, "{comma}${}", row * columns + column);
        }
        text.push(')');
    }
    text
}

/// The tables, step by step.
fn migrator(dialect: Dialect) -> Migrator {
    match dialect {
        Dialect::Sqlite => sqlx::migrate!("migrations/sqlite"),
        Dialect::Postgres => sqlx::migrate!("migrations/postgres"),
    }
}

fn normalise(url: &str) -> Result<(Dialect, String), DbError> {
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        return Ok((Dialect::Postgres, url.to_owned()));
    }
    match url.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() && !path.contains(['?', '#']) => {
            Ok((Dialect::Sqlite, format!("sqlite:{path}?mode=rwc")))
        }
        _ => Err(DbError::BadUrl),
    }
}

/// Whether it is an address that a database could be at; asks nobody.
pub fn judge_url(url: &str) -> Result<(), DbError> {
    normalise(url).and_then(|(_, url)| quiet(&url)).map(drop)
}

/// The address without what may be a password in it: before the host, or among the options.
pub fn without_password(url: &str) -> String {
    let plain = url.split_once('?').map_or(url, |(plain, _)| plain);
    match (plain.split_once("://"), plain.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        // What looks like an option was a part of the password.
        (Some((scheme, _)), None) if url.contains('@') => format!("{scheme}://…"),
        _ => plain.to_owned(),
    }
}

fn quiet(url: &str) -> Result<AnyConnectOptions, DbError> {
    Ok(AnyConnectOptions::from_str(url)?.disable_statement_logging())
}

async fn connect(dialect: Dialect, url: &str) -> Result<AnyConnection, DbError> {
    let mut conn = AnyConnection::connect_with(&quiet(url)?).await?;
    conn.execute(match dialect {
        Dialect::Sqlite => {
            "pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on; pragma busy_timeout = 10000"
        }
        // A broker that stops in the middle of a transaction (frozen, or its machine lost power) must not keep the others
        // from the rows it has locked: the server takes them back, and what was begun is undone.
        Dialect::Postgres => "set timezone = 'UTC'; set idle_in_transaction_session_timeout = '5s'",
    })
    .await?;
    Ok(conn)
}

/// SQLite goes by its indexes, unless somebody has had tables measured; measures that are much older than the tables make it
/// go through the whole of one for each row of another. Where there are any, those that are wrong are taken anew.
/// (PostgreSQL sees to that by itself.)
async fn measure(dialect: Dialect, conn: &mut AnyConnection) -> Result<(), DbError> {
    if dialect == Dialect::Postgres {
        return Ok(());
    }
    let sql = "select 1 from sqlite_master where name = 'sqlite_stat1'";
    let measured = sqlx::query(sql).fetch_optional(&mut *conn);
    if measured.await?.is_some() {
        conn.execute("pragma optimize = 0x10002").await?;
    }
    Ok(())
}

fn read_only(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "pragma query_only = on; pragma busy_timeout = 10000",
        Dialect::Postgres => "set default_transaction_read_only = on",
    }
}
