//! The worker: takes operations that nobody holds, hands each to the runner of its kind, keeps the lease alive
//! meanwhile, and lets go with a delay when the runner could not finish.

use super::{
    Kind, Operation,
    store::{self, Lease, LeaseError},
};
use crate::{db::Db, metrics::Metrics, time::micros};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::Notify, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// Why a runner stopped before the end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Not now: take it up again later.
    #[error("{0}")]
    Later(String),
    #[error(transparent)]
    Lease(#[from] LeaseError),
}

impl From<crate::db::DbError> for RunError {
    fn from(error: crate::db::DbError) -> Self {
        Self::Lease(LeaseError::Db(error))
    }
}

/// Drives one kind of operation to its end.
#[async_trait::async_trait]
pub trait Runner: Send + Sync {
    /// Returns once the operation is finished (the runner has written so), or with why it could not be.
    async fn run(&self, held: &Held, operation: Operation) -> Result<(), RunError>;
}

/// A lease in use.
#[derive(Clone)]
pub struct Held {
    pub lease: Lease,
    /// Cancelled when the lease is lost or the process is shutting down: stop between steps.
    pub stop: CancellationToken,
    /// Cancelled when somebody wants the operation undone, and with `stop`.
    pub back: CancellationToken,
}

/// How the worker goes about it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Unique to this process.
    pub owner: String,
    pub lease: Duration,
    /// Longest wait between two looks for work.
    pub poll: Duration,
    /// Operations under way at once.
    pub width: usize,
}

/// Wakes the worker when an act has put down an operation, so that nobody waits for the next poll.
#[derive(Clone, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits until somebody rings; a ring that came before counts.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}

/// When the worker last came round; told to whoever asks whether it is alive.
#[derive(Clone)]
pub struct Pulse(Arc<Mutex<Instant>>);

impl Default for Pulse {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Pulse {
    fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long ago that was.
    pub fn age(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

pub struct Worker {
    pub db: Db,
    pub runners: HashMap<Kind, Arc<dyn Runner>>,
    pub settings: Settings,
    pub bell: Bell,
    pub pulse: Pulse,
    pub metrics: Metrics,
}

impl Worker {
    /// Works until `stop`; then lets the operations under way come to their next step, and returns. What is not
    /// finished is taken up by whoever starts next.
    pub async fn run(self, stop: CancellationToken) {
        let worker = Arc::new(self);
        let mut running = JoinSet::new();
        while !stop.is_cancelled() {
            worker.pulse.beat();
            while running.try_join_next().is_some() {}
            let taken = if running.len() < worker.settings.width { worker.take().await } else { None };
            if let Some((lease, operation)) = taken {
                let stop = stop.child_token();
                let held = Held { lease, back: stop.child_token(), stop };
                let span = tracing::info_span!("operation", operation.id = %operation.id, operation.kind = %operation.kind, trace_id = %operation.trace_id);
                running.spawn(Arc::clone(&worker).drive(held, operation).instrument(span));
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = worker.bell.rung() => {}
                Some(_) = running.join_next() => {}
                () = sleep(worker.settings.poll) => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    async fn take(&self) -> Option<(Lease, Operation)> {
        let (owner, micros) = (self.settings.owner.clone(), micros(self.settings.lease));
        match self.db.housekeep(async move |tx| store::take(tx, &owner, micros).await).await {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!(%error, "operation.take.failed");
                None
            }
        }
    }

    async fn drive(self: Arc<Self>, held: Held, operation: Operation) {
        let (kind, attempts) = (operation.kind, operation.attempts);
        let Some(runner) = self.runners.get(&kind).cloned() else {
            tracing::error!(%kind, "operation.runner.missing");
            return;
        };
        tracing::info!(attempts, state = %operation.state, "operation.taken");
        let keeper = tokio::spawn(self.clone().keep(held.clone()));
        let result = runner.run(&held, operation).await;
        keeper.abort();
        self.metrics.operation_ran(kind.word(), if result.is_ok() { "finished" } else { "interrupted" });
        match result {
            Ok(()) => tracing::info!("operation.finished"),
            Err(RunError::Lease(LeaseError::Lost(_))) => tracing::warn!("operation.lease.lost"),
            Err(error) => self.let_go(&held.lease, attempts, &error).await,
        }
    }

    /// Renews the lease every third of its term; the first renewal that finds it lost stops the runner.
    async fn keep(self: Arc<Self>, held: Held) {
        loop {
            sleep(self.settings.lease / 3).await;
            let (lease, micros) = (held.lease.clone(), micros(self.settings.lease));
            match self.db.housekeep(async move |tx| store::renew(tx, &lease, micros).await).await {
                Ok(Some(_)) => held.back.cancel(),
                Ok(None) => {}
                Err(LeaseError::Lost(_)) => {
                    held.stop.cancel();
                    return;
                }
                Err(LeaseError::Db(error)) => tracing::warn!(%error, "operation.lease.renewal_failed"),
            }
        }
    }

    async fn let_go(&self, lease: &Lease, attempts: i64, error: &RunError) {
        let reason = error.to_string();
        // 1, 2, 4 … 30 seconds; at once when the process is only being stopped.
        let delay = Duration::from_secs(1 << attempts.clamp(0, 5)).min(Duration::from_secs(30));
        tracing::warn!(%reason, delay_seconds = delay.as_secs(), "operation.postponed");
        let (lease, micros) = (lease.clone(), micros(delay));
        if let Err(error) = self.db.housekeep(async move |tx| store::release(tx, &lease, micros, &reason).await).await {
            tracing::warn!(%error, "operation.release.failed");
        }
    }
}
