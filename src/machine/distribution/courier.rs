//! The courier: takes images that are to go to a host, sends them, and writes how far they are and what came of it.

use super::{
    State, pause, reference,
    service::Distribution,
    store::{self, Held, Settled},
};
use crate::{db::DbError, error::story, machine::store as machines, operation::crash, provider::ProviderError};
use std::{
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
    /// The image or the host is not there any more.
    Pointless(String),
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
                running.spawn(Arc::clone(&courier).attempt(held, stop.child_token()));
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
        let taken = self.distribution.db.housekeep(async move |tx| store::take(tx, lease).await).await;
        taken.unwrap_or_else(|error| {
            tracing::warn!(%error, "image.take.failed");
            None
        })
    }

    async fn attempt(self: Arc<Self>, held: Held, stop: CancellationToken) {
        crash::point("image.taken");
        let began = Instant::now();
        let settled = match self.send(&held, &stop).await {
            Ok(()) => {
                crash::point("image.sent");
                tracing::info!(host.id = %held.host, image = held.sha256, seconds = began.elapsed().as_secs(), "image.sent");
                Settled { to: State::Present, reason: None, pause: Duration::ZERO }
            }
            Err(Broken::Provider(error)) => {
                let (reason, pause) =
                    (story(&error).join("："), pause(held.attempts, &error, self.settings.longest_pause));
                tracing::warn!(host.id = %held.host, image = held.sha256, reason, ?pause, "image.not_sent");
                Settled { to: State::Failed, reason: Some(reason), pause }
            }
            Err(Broken::Pointless(reason)) => {
                Settled { to: State::Failed, reason: Some(reason), pause: self.settings.longest_pause }
            }
            Err(Broken::Stopped) => Settled { to: State::Waiting, reason: None, pause: Duration::ZERO },
            Err(Broken::Lost) => return tracing::warn!(host.id = %held.host, image = held.sha256, "image.lease.lost"),
        };
        let present = settled.to == State::Present;
        match self.distribution.db.housekeep(async move |tx| store::settle(tx, &held, &settled).await).await {
            Ok(_) if present => self.distribution.inventory.stale(),
            Ok(_) => {}
            // The lease runs out, and somebody finds it there.
            Err(error) => tracing::warn!(%error, "image.settle.failed"),
        }
    }

    async fn send(&self, held: &Held, stop: &CancellationToken) -> Result<(), Broken> {
        let image = {
            let read = async {
                let mut conn = self.distribution.db.read().await?;
                machines::find_image(&mut conn, &held.sha256).await
            };
            let found: Result<_, DbError> = read.await;
            found.ok().flatten().ok_or_else(|| Broken::Pointless("镜像的登记读不到".to_owned()))?
        };
        let provider = self.distribution.providers.of(held.host).await;
        let provider = provider.map_err(|error| Broken::Pointless(error.to_string()))?;
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
