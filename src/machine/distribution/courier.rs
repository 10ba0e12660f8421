//! The courier: takes images that are to go to a host, sends them, and writes how far they are and what came of it.

use super::{
    State, pause, reference,
    service::Distribution,
    store::{self, Held, Settled},
};
use crate::{
    db::{DbError, Tx},
    error::story,
    ids::HostId,
    machine::{
        steps::{self, StepError},
        store as machines,
    },
    operation::crash,
    provider::{ImageRef, Part, Provider, ProviderError},
};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// How the courier goes about it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Images on their way at once; 0 pauses it.
    pub width: usize,
    /// Longest wait between two looks for work.
    pub poll: Duration,
    /// How long a broker holds a row without a sign of life.
    pub lease: Duration,
    /// Longest pause before a host that did not take an image is tried again.
    pub longest_pause: Duration,
}

/// How often it looks whether a new host or image has come.
const PLAN_EVERY: Duration = Duration::from_secs(3);
/// How long an image that this broker does not have is left to brokers that do.
const LEFT_TO_OTHERS: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub struct Courier {
    pub distribution: Distribution,
    pub settings: Settings,
}

/// Why an attempt came to nothing.
enum Broken {
    Provider(ProviderError),
    /// Another broker has it.
    Lost,
    /// This one is going down.
    Stopped,
}

fn permanent(reason: String) -> Broken {
    Broken::Provider(ProviderError::Permanent { act: "image".to_owned(), reason })
}

impl Courier {
    /// Works until `stop`. What is on its way then is let go of, and taken up by whoever starts next.
    pub async fn run(self, stop: CancellationToken) {
        let courier = Arc::new(self);
        let mut running = JoinSet::new();
        let mut planned: Option<Instant> = None;
        while !stop.is_cancelled() && courier.settings.width > 0 {
            while running.try_join_next().is_some() {}
            if planned.is_none_or(|at| at.elapsed() >= PLAN_EVERY) {
                planned = Some(Instant::now());
                if let Err(error) = courier.plan().await {
                    tracing::warn!(%error, "image.plan.failed");
                }
            }
            let taken = if running.len() < courier.settings.width { courier.take().await } else { None };
            if let Some(held) = taken {
                let (courier, stop) = (Arc::clone(&courier), stop.child_token());
                running.spawn(async move { drop(courier.attempt(held, &stop).await) });
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = courier.distribution.bell.rung() => {}
                Some(_) = running.join_next() => {}
                () = sleep(courier.settings.poll) => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    /// Every image is to lie on every host.
    async fn plan(&self) -> Result<(), DbError> {
        let ended = self.distribution.ended();
        let mut conn = self.distribution.db.read().await?;
        if store::lacking(&mut conn, &ended).await? {
            drop(conn);
            let wanted = self.distribution.db.housekeep(async move |tx| store::want_all(tx, &ended).await).await?;
            tracing::info!(wanted, "image.wanted");
        }
        Ok(())
    }

    async fn take(&self) -> Option<Held> {
        let lease = self.settings.lease;
        let taken = async {
            let mut conn = self.distribution.db.read().await?;
            let open = store::open(&mut conn).await?;
            drop(conn);
            if open.is_empty() {
                return Ok(None);
            }
            let here = open.iter().filter(|(_, path)| Path::new(path).is_file());
            let here = store::listed(here.map(|(sha256, _)| sha256.as_str()));
            self.distribution.db.housekeep(async move |tx| store::take(tx, lease, &here, LEFT_TO_OTHERS).await).await
        };
        let taken: Result<_, DbError> = taken.await;
        taken.unwrap_or_else(|error| {
            tracing::warn!(%error, "image.take.failed");
            None
        })
    }

    /// Has the image on the host before a machine is built on it. Sends it where nobody does, and waits for whoever does:
    /// also what is needed at once is only sent under the row's lease.
    ///
    /// # Errors
    /// As of [`steps::ensure`].
    pub async fn arrive(
        &self,
        host: HostId,
        provider: &dyn Provider,
        image: &ImageRef,
        patience: Duration,
        stop: &CancellationToken,
    ) -> Result<(), StepError> {
        let (mut since, mut pause) = (Instant::now(), steps::FIRST_PAUSE);
        loop {
            if stop.is_cancelled() {
                return Err(StepError::Stopped);
            }
            let error = match provider.has_image(image).await {
                Ok(true) => return Ok(()),
                Ok(false) => match self.fetch(host, image, stop).await {
                    Ok(true) => return Ok(()),
                    // Somebody is at it, and no time is lost.
                    Ok(false) => {
                        since = Instant::now();
                        None
                    }
                    Err(Broken::Stopped) => return Err(StepError::Stopped),
                    Err(Broken::Lost) => None,
                    Err(Broken::Provider(error)) => Some(error),
                },
                Err(error) => {
                    if !error.is_transient() {
                        self.disbelieve(host, image, &error).await;
                    }
                    Some(error)
                }
            };
            match error {
                Some(error) if steps::is_away(provider, &error) => return Err(StepError::Away(error)),
                Some(error) if !error.is_transient() || since.elapsed() >= patience => {
                    return Err(StepError::Failed { part: Part::Image, source: error });
                }
                _ => {}
            }
            steps::wait(&mut pause, stop).await;
        }
    }

    /// Sends an image that is needed now. False when another one is sending it.
    async fn fetch(&self, host: HostId, image: &ImageRef, stop: &CancellationToken) -> Result<bool, Broken> {
        let (sha256, lease, here) = (image.sha256.clone(), self.settings.lease, image.path.is_file());
        let taken = self
            .distribution
            .db
            .housekeep(async move |tx| -> Result<Option<Held>, DbError> {
                if here {
                    return store::take_this(tx, host, &sha256, lease).await;
                }
                store::want(tx, host, &sha256).await?;
                Ok(None)
            })
            .await;
        match taken {
            Ok(Some(held)) => self.attempt(held, stop).await.map(|()| true),
            Ok(None) if here => Ok(false),
            Ok(None) => {
                let reason = "the broker's own copy is not here, and no other broker has brought it".to_owned();
                Err(Broken::Provider(ProviderError::Transient { act: format!("image {}", image.sha256), reason }))
            }
            Err(error) => {
                Err(Broken::Provider(ProviderError::Transient { act: "image".to_owned(), reason: error.to_string() }))
            }
        }
    }

    /// What lies on the host under the image's name is something else: no machine is to be placed on it.
    async fn disbelieve(&self, host: HostId, image: &ImageRef, error: &ProviderError) {
        let reason = story(error).join("：");
        tracing::error!(host.id = %host, image = image.sha256, reason, "image.spoiled");
        let (sha256, pause) = (image.sha256.clone(), self.settings.longest_pause);
        let noted = async move |tx: &mut Tx| store::spoiled(tx, host, &sha256, &reason, pause).await;
        if let Err(error) = self.distribution.db.housekeep(noted).await {
            tracing::warn!(%error, "image.settle.failed");
        }
        self.distribution.inventory.stale();
    }

    async fn attempt(&self, held: Held, stop: &CancellationToken) -> Result<(), Broken> {
        crash::point("image.taken");
        let began = Instant::now();
        let outcome = self.send(&held, stop).await;
        let settled = match &outcome {
            Ok(()) => {
                crash::point("image.sent");
                tracing::info!(host.id = %held.host, image = held.sha256, seconds = began.elapsed().as_secs(), "image.sent");
                Settled { to: State::Present, reason: None, pause: Duration::ZERO }
            }
            Err(Broken::Provider(error)) => {
                let (reason, pause) =
                    (story(error).join("："), pause(held.attempts, error, self.settings.longest_pause));
                tracing::warn!(host.id = %held.host, image = held.sha256, reason, ?pause, "image.not_sent");
                Settled { to: State::Failed, reason: Some(reason), pause }
            }
            Err(Broken::Stopped) => Settled { to: State::Waiting, reason: None, pause: Duration::ZERO },
            Err(Broken::Lost) => {
                tracing::warn!(host.id = %held.host, image = held.sha256, "image.lease.lost");
                return outcome;
            }
        };
        match self.distribution.db.housekeep(async move |tx| store::settle(tx, &held, &settled).await).await {
            Ok(_) => self.distribution.inventory.stale(),
            // The lease runs out, and somebody finds it there.
            Err(error) => tracing::warn!(%error, "image.settle.failed"),
        }
        outcome
    }

    async fn send(&self, held: &Held, stop: &CancellationToken) -> Result<(), Broken> {
        let image = {
            let read = async {
                let mut conn = self.distribution.db.read().await?;
                machines::find_image(&mut conn, &held.sha256).await
            };
            let found: Result<_, DbError> = read.await;
            found.ok().flatten().ok_or_else(|| permanent("镜像的登记读不到".to_owned()))?
        };
        if !image.is_here() {
            // Another broker may have it, or somebody brings it back.
            let (act, reason) =
                (format!("image {}", held.sha256), format!("the broker's own copy {} is gone", image.path));
            return Err(Broken::Provider(ProviderError::Transient { act, reason }));
        }
        let provider = self.distribution.providers.of(held.host).await;
        let provider = provider.map_err(|error| permanent(error.to_string()))?;
        let percent = AtomicU8::new(0);
        let report = |now: u8| percent.store(now, Ordering::Relaxed);
        let image = reference(&image);
        tokio::select! {
            sent = provider.bring_image(&image, &report) => sent.map_err(Broken::Provider),
            () = self.keep(held, &percent) => Err(Broken::Lost),
            () = stop.cancelled() => Err(Broken::Stopped),
        }
    }

    /// Signs of life, until the row is somebody else's.
    async fn keep(&self, held: &Held, percent: &AtomicU8) {
        let every = (self.settings.lease / 3).min(Duration::from_secs(1));
        loop {
            sleep(every).await;
            let (held, lease, now) = (held.clone(), self.settings.lease, percent.load(Ordering::Relaxed));
            match self.distribution.db.housekeep(async move |tx| store::progress(tx, &held, now, lease).await).await {
                Ok(true) => {}
                Ok(false) => return,
                // As long as the database is away nobody else can take it either.
                Err(error) => tracing::warn!(%error, "image.progress.failed"),
            }
        }
    }
}
