//! The writer: takes what has queued up, runs each job in a savepoint of one transaction, commits once, and only then
//! answers each.

use super::{DbError, Dialect, Group, JobError, Tx, call::Call, connect};
use crate::{metrics::Metrics, time::Clock};
use futures_util::{FutureExt, future::LocalBoxFuture};
use sqlx::AnyConnection;
use std::{
    any::{Any, TypeId},
    panic::AssertUnwindSafe,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// Jobs that one commit may carry.
const BATCH: usize = 256;
/// Jobs that may wait before a caller is made to wait too.
const QUEUE: usize = 4096;
/// How often a batch is run again after a deadlock, a busy file or a connection lost before its commit.
const ATTEMPTS: u32 = 6;

/// What became of a unit within its batch.
pub enum Verdict {
    Keep,
    Undo,
    /// The whole batch must be run again.
    Again(DbError),
}

/// Something the writer runs in one savepoint and answers after the commit.
pub trait Unit: Any + Send {
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> LocalBoxFuture<'a, Verdict>;
    /// After the commit (`None`), or with what prevented it.
    fn finish(self: Box<Self>, failure: Option<&DbError>);
    /// Units with the same key can be merged.
    fn key(&self) -> Option<TypeId>;
    fn absorb(&mut self, other: Box<dyn Any>);
}

pub struct Act<F, T, E> {
    pub job: F,
    pub audited: bool,
    pub call: Option<Call>,
    pub out: Option<Result<T, E>>,
    pub reply: oneshot::Sender<Result<T, E>>,
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

pub struct Gathered<G: Group> {
    pub group: Arc<G>,
    pub items: Vec<G::Item>,
    /// Whose each item is.
    pub calls: Vec<Option<Call>>,
    pub replies: Vec<oneshot::Sender<Result<G::Out, G::Error>>>,
    pub outs: Vec<Result<G::Out, G::Error>>,
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
pub fn spawn_lane(
    name: &str,
    dialect: Dialect,
    url: String,
    clock: Clock,
    told: Arc<Told>,
) -> Result<mpsc::Sender<Box<dyn Unit>>, DbError> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let start = |source| DbError::Start { source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(start)?;
    let lane = Lane { dialect, url, clock, told, receiver };
    thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(lane.serve())).map_err(start)?;
    Ok(sender)
}

/// What the writers tell of their work.
#[derive(Default)]
pub struct Told {
    /// Counted up for whoever remembers what he has read.
    pub commits: AtomicU64,
    /// As SQLite's one writer last told of its connection.
    changes: AtomicI64,
    pub metrics: OnceLock<Metrics>,
}

struct Lane {
    dialect: Dialect,
    url: String,
    clock: Clock,
    told: Arc<Told>,
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
            let began = Instant::now();
            let failure = self.carry_out(&mut conn, &mut batch).await.err();
            if let Some(metrics) = self.told.metrics.get() {
                metrics.batch_written(failure.is_none(), began.elapsed());
            }
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
        let conn = if let Some(conn) = held.take() {
            conn
        } else {
            self.told.changes.store(0, Ordering::SeqCst);
            connect(self.dialect, &self.url).await?
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
        let changed = changes(&mut tx).await?;
        let committed = tx.execute("commit").await;
        // Also where the answer was lost: it may have been written. Whoever looked for work and found none changed nothing,
        // and nobody need read anything again.
        if changed.is_none_or(|all| self.told.changes.swap(all, Ordering::SeqCst) != all) {
            self.told.commits.fetch_add(1, Ordering::SeqCst);
        }
        committed.map_err(DbError::at_commit)?;
        *held = Some(tx.conn);
        Ok(())
    }
}

/// Rows that this connection has ever changed; PostgreSQL has marks of its own, which nothing but a change moves.
async fn changes(tx: &mut Tx) -> Result<Option<i64>, DbError> {
    let sql = "select total_changes()";
    match tx.dialect {
        Dialect::Sqlite => Ok(Some(sqlx::query_scalar(sql).fetch_one(tx.conn()).await?)),
        Dialect::Postgres => Ok(None),
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
