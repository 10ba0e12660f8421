//! The idempotent steps of building and undoing: provider IO, no SQL.

use crate::{
    metrics::Metrics,
    provider::{Destination, Estate, Intent, Part, Provider, ProviderError},
};
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How long a step is repeated before its failure counts.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the guest to answer: booting takes a while, longer where the processor is emulated.
    pub answer: Duration,
    /// The same where the first start installs something.
    pub install: Duration,
    /// For everything else, an unreachable host included.
    pub other: Duration,
}

impl Patience {
    pub(super) fn of(self, part: Part, intent: &Intent) -> Duration {
        match part {
            // Later starts have nothing to install, and know no password.
            Part::Answer if intent.installs() && !intent.lacks_password() => self.install,
            Part::Answer => self.answer,
            _ => self.other,
        }
    }
}

/// Between a step's first failure and its repetition.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// How long a cluster that does not answer holds up a step before it is put off.
const AWAY: Duration = Duration::from_secs(3);

/// Whether it is only the way to the machine that is cut. An API server that is away says nothing of its machines, which
/// run on, and nothing else can be built in their place: so the step is put off for as long as it takes, and gives its
/// turn to others. A host is given up in the end: its machines can be built elsewhere.
pub(super) fn is_away(provider: &dyn Provider, error: &ProviderError) -> bool {
    matches!(error, ProviderError::Unreachable { .. }) && matches!(provider.destination(), Destination::Cluster)
}

/// Why a step is not done.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The process is stopping or the lease is lost; nothing is known to be wrong.
    #[error("stopped before the step was done")]
    Stopped,
    /// Nothing is known; to be taken up again later.
    #[error("it cannot be asked now: {0}")]
    Away(#[source] ProviderError),
    #[error("{part}: {source}")]
    Failed {
        part: Part,
        #[source]
        source: ProviderError,
    },
}

/// Makes one part true, repeating what may go away by itself until patience ends.
pub async fn ensure(
    provider: &dyn Provider,
    part: Part,
    intent: &Intent,
    patience: Patience,
    stop: &CancellationToken,
    metrics: &Metrics,
) -> Result<(), StepError> {
    let began = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if stop.is_cancelled() {
            return Err(StepError::Stopped);
        }
        let error = match provider.ensure(part, intent).await {
            Ok(()) => {
                metrics.step_took(part.word(), "done", began.elapsed());
                tracing::info!(machine.id = %intent.machine, step = %part, took_ms = millis(began), "machine.step.done");
                return Ok(());
            }
            Err(error) => error,
        };
        if is_away(provider, &error) && began.elapsed() >= AWAY {
            return Err(StepError::Away(error));
        }
        if !error.is_transient() || began.elapsed() >= patience.of(part, intent) {
            metrics.step_took(part.word(), "failed", began.elapsed());
            return Err(StepError::Failed { part, source: error });
        }
        tracing::debug!(machine.id = %intent.machine, step = %part, %error, "machine.step.again");
        wait(&mut pause, stop).await;
    }
}

/// Has the department's place made what its task books say; repeated as any part is.
pub async fn settle_in(
    provider: &dyn Provider,
    estate: &Estate,
    patience: Patience,
    stop: &CancellationToken,
) -> Result<(), StepError> {
    let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
    loop {
        if stop.is_cancelled() {
            return Err(StepError::Stopped);
        }
        match provider.settle_in(estate).await {
            Ok(()) => return Ok(()),
            Err(error) if is_away(provider, &error) && began.elapsed() >= AWAY => return Err(StepError::Away(error)),
            Err(error) if error.is_transient() && began.elapsed() < patience.other => {
                tracing::debug!(department = estate.tenancy.code, %error, "machine.place.again");
            }
            Err(source) => return Err(StepError::Failed { part: Part::Image, source }),
        }
        wait(&mut pause, stop).await;
    }
}

/// Takes the password out of the seed; repeated as any part is.
pub async fn clear_seed(
    provider: &dyn Provider,
    intent: &Intent,
    patience: Patience,
    stop: &CancellationToken,
) -> Result<(), StepError> {
    let (began, mut pause) = (Instant::now(), Duration::from_millis(200));
    loop {
        if stop.is_cancelled() {
            return Err(StepError::Stopped);
        }
        match provider.clear_seed(intent).await {
            Ok(()) => return Ok(()),
            Err(error) if is_away(provider, &error) && began.elapsed() >= AWAY => return Err(StepError::Away(error)),
            Err(error) if error.is_transient() && began.elapsed() < patience.other => {
                tracing::debug!(machine.id = %intent.machine, %error, "machine.seed.again");
            }
            Err(source) => return Err(StepError::Failed { part: Part::Seed, source }),
        }
        wait(&mut pause, stop).await;
    }
}

/// Removes one part; tries a few times, and leaves the rest to a later run.
pub async fn remove(
    provider: &dyn Provider,
    part: Part,
    intent: &Intent,
    stop: &CancellationToken,
) -> Result<(), StepError> {
    let mut pause = FIRST_PAUSE;
    let mut attempt = 0;
    loop {
        if stop.is_cancelled() {
            return Err(StepError::Stopped);
        }
        attempt += 1;
        match provider.remove(part, intent).await {
            Ok(()) => return Ok(()),
            Err(ProviderError::NotOurs { what }) => {
                // What is not ours was not made by this operation, so there is nothing of this operation to undo here.
                tracing::warn!(machine.id = %intent.machine, step = %part, what, "machine.undo.not_ours");
                return Ok(());
            }
            Err(error) if !error.is_transient() || attempt >= 4 => {
                return Err(StepError::Failed { part, source: error });
            }
            Err(error) => tracing::debug!(machine.id = %intent.machine, step = %part, %error, "machine.undo.again"),
        }
        wait(&mut pause, stop).await;
    }
}

pub(super) async fn wait(pause: &mut Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = sleep(*pause) => {}
    }
    *pause = (*pause * 2).min(Duration::from_secs(2));
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
