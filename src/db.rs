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

use crate::time::Clock;
use call::Call;
use futures_util::{FutureExt, future::LocalBoxFuture};
use sqlx::{
    AnyConnection, AnyPool, ConnectOptions, Connection, Executor, any::AnyConnectOptions, any::AnyPoolOptions,
    migrate::Migrator, pool::PoolConnection,
};
use std::{
    any::{Any, TypeId},
    fmt::Write as _,
    panic::AssertUnwindSafe,
    str::FromStr,
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

pub mod call;
mod error;
mod probe;
mod slice;
pub use error::{DbError, JobError};
pub use probe::{Seen, file, look};
pub use slice::{Batch, Key, Listing, MAX_PAGE, Order, Slice, Sorts};

/// Jobs that one commit may carry.
const BATCH: usize = 256;
/// Jobs that may wait before a caller is made to wait too.
const QUEUE: usize = 4096;
/// How often a batch is run again after a deadlock, a busy file or a connection lost before its commit.
const ATTEMPTS: u32 = 6;

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
        drop(first);
        let reads = AnyPoolOptions::new()
            .max_connections(options.read_connections.max(1))
            .acquire_timeout(Duration::from_secs(10))
            // A file does not go away; asking each time whether it is there takes as long as reading from it.
            .test_before_acquire(dialect == Dialect::Postgres)
            .after_connect(move |conn, _| Box::pin(async move { conn.execute(read_only(dialect)).await.map(drop) }))
            .connect_lazy_with(quiet(&url)?);
        let lane = |name: &str| spawn_lane(name, dialect, url.clone(), options.clock.clone());
        let grouped = lane("db-claims")?;
        let single = match dialect {
            Dialect::Sqlite => grouped.clone(),
            Dialect::Postgres => lane("db-acts")?,
        };
        Ok(Self { inner: Arc::new(Inner { dialect, reads, grouped, single, clock: options.clock }) })
    }

    pub fn clock(&self) -> &Clock {
        &self.inner.clock
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

/// What became of a unit within its batch.
enum Verdict {
    Keep,
    Undo,
    /// The whole batch must be run again.
    Again(DbError),
}

/// Something the writer runs in one savepoint and answers after the commit.
trait Unit: Any + Send {
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> LocalBoxFuture<'a, Verdict>;
    /// After the commit (`None`), or with what prevented it.
    fn finish(self: Box<Self>, failure: Option<&DbError>);
    /// Units with the same key can be merged.
    fn key(&self) -> Option<TypeId>;
    fn absorb(&mut self, other: Box<dyn Any>);
}

struct Act<F, T, E> {
    job: F,
    audited: bool,
    call: Option<Call>,
    out: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Unit for Act<F, T, E>
where
    F: AsyncFn(&mut Tx) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: JobError,
{
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> LocalBoxFuture<'a, Verdict> {
        Box::pin(async move {
            let before = tx.audits;
            let mut result = (self.job)(tx).await;
            if result.is_ok() && self.audited && tx.audits == before {
                result = Err(DbError::Unaudited.into());
            }
            if result.is_ok()
                && let Some(call) = &self.call
                && let Err(error) = call.mark(tx).await
            {
                result = Err(error.into());
            }
            let verdict = match &result {
                Ok(_) => Verdict::Keep,
                Err(error) => error.again().map_or(Verdict::Undo, Verdict::Again),
            };
            self.out = Some(result);
            verdict
        })
    }

    fn finish(self: Box<Self>, failure: Option<&DbError>) {
        let answer = match (failure, self.out) {
            // A refusal stands whether or not the others' work was committed.
            (_, Some(Err(error))) if error.again().is_none() => Err(error),
            (Some(failure), _) => Err(failure.retell().into()),
            (None, Some(out)) => out,
            (None, None) => Err(DbError::Stopped.into()),
        };
        if let (Ok(_), Some(call)) = (&answer, &self.call) {
            call.committed();
        }
        // The caller may have gone; the work is done all the same.
        let _ = self.reply.send(answer);
    }

    fn key(&self) -> Option<TypeId> {
        None
    }

    fn absorb(&mut self, _: Box<dyn Any>) {}
}

struct Gathered<G: Group> {
    group: Arc<G>,
    items: Vec<G::Item>,
    /// Whose each item is.
    calls: Vec<Option<Call>>,
    replies: Vec<oneshot::Sender<Result<G::Out, G::Error>>>,
    outs: Vec<Result<G::Out, G::Error>>,
}

impl<G: Group> Gathered<G> {
    async fn part(group: &G, tx: &mut Tx, items: &[G::Item], calls: &[Option<Call>]) -> Result<Vec<G::Out>, G::Error> {
        let before = tx.audits;
        let outs = group.run(tx, items).await?;
        if outs.len() != items.len() || ((tx.audits - before) as usize) < items.len() {
            return Err(DbError::Unaudited.into());
        }
        for call in calls.iter().flatten() {
            call.mark(tx).await?;
        }
        Ok(outs)
    }
}

impl<G: Group> Unit for Gathered<G> {
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> LocalBoxFuture<'a, Verdict> {
        Box::pin(async move {
            self.outs.clear();
            let (group, items, calls) = (&self.group, &self.items, &self.calls);
            match tx.nested(async |tx| Self::part(group, tx, items, calls).await).await {
                Ok(outs) => {
                    self.outs = outs.into_iter().map(Ok).collect();
                    return Verdict::Keep;
                }
                Err(error) => match error.again() {
                    Some(error) => return Verdict::Again(error),
                    None if items.len() == 1 => {
                        self.outs.push(Err(error));
                        return Verdict::Keep;
                    }
                    None => {}
                },
            }
            for (item, call) in items.iter().zip(calls) {
                let (alone, its) = (std::slice::from_ref(item), std::slice::from_ref(call));
                match tx.nested(async |tx| Self::part(group, tx, alone, its).await).await {
                    Ok(outs) => self.outs.extend(outs.into_iter().map(Ok)),
                    Err(error) => match error.again() {
                        Some(error) => return Verdict::Again(error),
                        None => self.outs.push(Err(error)),
                    },
                }
            }
            Verdict::Keep
        })
    }

    fn finish(self: Box<Self>, failure: Option<&DbError>) {
        let mut outs = self.outs.into_iter();
        for (reply, call) in self.replies.into_iter().zip(self.calls) {
            let answer = match (failure, outs.next()) {
                (_, Some(Err(error))) => Err(error),
                (Some(failure), _) => Err(failure.retell().into()),
                (None, Some(out)) => out,
                (None, None) => Err(DbError::Stopped.into()),
            };
            if let (Ok(_), Some(call)) = (&answer, call) {
                call.committed();
            }
            let _ = reply.send(answer);
        }
    }

    fn key(&self) -> Option<TypeId> {
        Some(TypeId::of::<Self>())
    }

    fn absorb(&mut self, other: Box<dyn Any>) {
        if let Ok(other) = other.downcast::<Self>() {
            self.items.extend(other.items);
            self.calls.extend(other.calls);
            self.replies.extend(other.replies);
        }
    }
}

/// Starts a writer: a thread with a runtime of its own, so that jobs need not be `Send` while they run, and so that a
/// busy request runtime does not slow the one place where everything must pass.
fn spawn_lane(name: &str, dialect: Dialect, url: String, clock: Clock) -> Result<mpsc::Sender<Box<dyn Unit>>, DbError> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let start = |source| DbError::Start { source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(start)?;
    let lane = Lane { dialect, url, clock, receiver };
    thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(lane.serve())).map_err(start)?;
    Ok(sender)
}

struct Lane {
    dialect: Dialect,
    url: String,
    clock: Clock,
    receiver: mpsc::Receiver<Box<dyn Unit>>,
}

impl Lane {
    async fn serve(mut self) {
        let mut conn = None;
        while let Some(first) = self.receiver.recv().await {
            let mut batch = vec![first];
            let mut taken = 1;
            while taken < BATCH {
                let Ok(unit) = self.receiver.try_recv() else { break };
                taken += 1;
                gather(&mut batch, unit);
            }
            let failure = self.carry_out(&mut conn, &mut batch).await.err();
            for unit in batch {
                unit.finish(failure.as_ref());
            }
        }
    }

    async fn carry_out(&self, held: &mut Option<AnyConnection>, batch: &mut [Box<dyn Unit>]) -> Result<(), DbError> {
        let mut attempt = 0;
        loop {
            let error = match self.attempt(held, batch).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            attempt += 1;
            if attempt >= ATTEMPTS || !error.is_transient() {
                tracing::warn!(error = %error, attempt, jobs = batch.len(), "db.batch.failed");
                return Err(error);
            }
            // Spread brokers that collided, without a source of randomness: the clock's low bits differ between them.
            let jitter = self.clock.now().as_microsecond().unsigned_abs() % 17;
            tokio::time::sleep(Duration::from_millis(5 * (1 << attempt) + jitter)).await;
        }
    }

    /// One try at the batch. The connection is kept only when the transaction ended cleanly.
    async fn attempt(&self, held: &mut Option<AnyConnection>, batch: &mut [Box<dyn Unit>]) -> Result<(), DbError> {
        let conn = match held.take() {
            Some(conn) => conn,
            None => connect(self.dialect, &self.url).await?,
        };
        let mut tx = Tx { conn, dialect: self.dialect, now: self.clock.now(), audits: 0 };
        // A deferred transaction that must upgrade to a write fails at once on SQLite, whatever the busy timeout.
        tx.execute(match self.dialect {
            Dialect::Sqlite => "begin immediate",
            Dialect::Postgres => "begin",
        })
        .await?;
        let lonely = batch.len() == 1;
        for unit in batch.iter_mut() {
            let verdict = if lonely { run_caught(unit, &mut tx).await } else { in_savepoint(unit, &mut tx).await? };
            match verdict {
                Verdict::Undo if lonely => {
                    tx.execute("rollback").await?;
                    *held = Some(tx.conn);
                    return Ok(());
                }
                Verdict::Keep | Verdict::Undo => {}
                Verdict::Again(error) => {
                    if tx.execute("rollback").await.is_ok() {
                        *held = Some(tx.conn);
                    }
                    return Err(error);
                }
            }
        }
        tx.execute("commit").await.map_err(DbError::at_commit)?;
        *held = Some(tx.conn);
        Ok(())
    }
}

async fn in_savepoint(unit: &mut Box<dyn Unit>, tx: &mut Tx) -> Result<Verdict, DbError> {
    let audits = tx.audits;
    tx.execute("savepoint job").await?;
    let verdict = run_caught(unit, tx).await;
    match verdict {
        Verdict::Keep => tx.execute("release savepoint job").await?,
        Verdict::Undo => {
            tx.audits = audits;
            tx.execute("rollback to savepoint job").await?;
            tx.execute("release savepoint job").await?;
        }
        Verdict::Again(_) => {}
    }
    Ok(verdict)
}

/// A job that panics is undone and unanswered; the writer, on which everybody else depends, goes on.
async fn run_caught(unit: &mut Box<dyn Unit>, tx: &mut Tx) -> Verdict {
    AssertUnwindSafe(unit.run(tx)).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("db.job.panicked");
        Verdict::Undo
    })
}

fn gather(batch: &mut Vec<Box<dyn Unit>>, unit: Box<dyn Unit>) {
    let twin = unit.key().and_then(|key| batch.iter_mut().find(|held| held.key() == Some(key)));
    match twin {
        Some(held) => held.absorb(unit),
        None => batch.push(unit),
    }
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

fn read_only(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "pragma query_only = on; pragma busy_timeout = 10000",
        Dialect::Postgres => "set default_transaction_read_only = on",
    }
}
