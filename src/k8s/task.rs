//! Who works, and for how long: one broker at a time, for as long as its term lasts.

use super::{
    apply::Hands,
    cluster::{Cluster, Watchdog},
    settings::KubernetesSettings,
    work::Work,
};
use crate::{
    db::Db,
    error::story,
    identity::store as identities,
    machine::service::Machines,
    metrics::Metrics,
    operation::term::{self, Term},
    request::service::Rules,
    time::micros,
};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The work of which each term is.
pub const WORK: &str = "kubernetes";
/// Before the cluster or the database is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// The controller of one broker. Of many, one at a time is at work.
pub struct Controller {
    pub db: Db,
    pub rules: Rules,
    pub machines: Machines,
    pub metrics: Metrics,
    pub settings: KubernetesSettings,
    /// Unique to this process.
    pub owner: String,
    pub lease: Duration,
}

impl Controller {
    /// Tries to win a term, and works while it lasts, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let asked = Instant::now();
            let (owner, micros) = (self.owner.clone(), micros(self.lease));
            match self.db.housekeep(async move |tx| term::win(tx, WORK, &owner, micros).await).await {
                Ok(Some(term)) => {
                    let watchdog = Watchdog::new(asked + self.lease);
                    self.metrics.kube_leads(true);
                    tracing::info!(term = term.epoch, "kubernetes.term.began");
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = self.keep(term, watchdog.clone()) => {}
                        () = self.work(term, watchdog) => {}
                    }
                    self.metrics.kube_leads(false);
                    tracing::info!(term = term.epoch, "kubernetes.term.ended");
                    let ended = self.db.housekeep(async move |tx| term::store::release(tx, term).await).await;
                    if let Err(error) = ended {
                        tracing::warn!(%error, "kubernetes.term.not_released");
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "kubernetes.term.unread"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(self.lease / 3) => {}
            }
        }
    }

    /// Keeps the term; returns once it is lost.
    async fn keep(&self, term: Term, watchdog: Watchdog) {
        loop {
            sleep((self.lease / 3).min(watchdog.left())).await;
            let (asked, micros) = (Instant::now(), micros(self.lease));
            match self.db.housekeep(async move |tx| term::store::renew(tx, term, micros).await).await {
                Ok(true) => watchdog.extend(asked + self.lease),
                Ok(false) => return,
                Err(error) => tracing::warn!(%error, "kubernetes.term.renewal_failed"),
            }
            if watchdog.is_over() {
                return;
            }
        }
    }

    async fn work(&self, term: Term, watchdog: Watchdog) {
        let client = loop {
            match self.connect().await {
                Ok(client) => break client,
                Err(error) => tracing::warn!(error = %story(&error).join(": "), "kubernetes.client"),
            }
            sleep(AGAIN).await;
        };
        let person = loop {
            let made =
                self.db.housekeep(async |tx| identities::upsert_person(tx, "kubernetes", "Kubernetes").await).await;
            match made {
                Ok(person) => break person,
                Err(error) => tracing::warn!(%error, "kubernetes.person"),
            }
            sleep(AGAIN).await;
        };
        let cluster = Cluster { client: client.clone(), watchdog };
        let hands = Hands {
            db: self.db.clone(),
            rules: self.rules.clone(),
            machines: self.machines.clone(),
            cluster,
            term,
            person,
        };
        let (work, ends) = Work::new(hands, self.settings.clone(), self.metrics.clone());
        Box::pin(work.run(client, ends)).await;
    }

    async fn connect(&self) -> Result<Client, ConnectError> {
        let config = match &self.settings.kubeconfig {
            Some(file) => {
                let file = Kubeconfig::read_from(file)?;
                Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?
            }
            None => Config::incluster()?,
        };
        Ok(Client::try_from(config)?)
    }
}

/// Why there is no way into the cluster.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("the kubeconfig cannot be used")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    #[error("the pod has no account")]
    InCluster(#[from] kube::config::InClusterError),
    #[error("no client")]
    Client(#[from] kube::Error),
}
