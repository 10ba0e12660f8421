//! Acts on images that lie on hosts, or ought to; and what a listing of a host says of them.

use super::{
    Transfer,
    store::{self, Belief},
};
use crate::{
    audit::{self, Outcome, Record, Who},
    capacity::{self, Host, inventory::Inventory, providers::Providers, standing::Contact},
    catalogue::Catalogue,
    db::{Db, DbError},
    error::Problem,
    identity::{
        Actor,
        policy::{self, Act},
    },
    ids::HostId,
    machine::{
        image::{self, Image},
        store as machines,
    },
    operation::worker::Bell,
    provider::Provider,
};
use serde_json::json;
use std::sync::Arc;

/// What the distribution of images needs of the house.
#[derive(Clone)]
pub struct Distribution {
    pub db: Db,
    pub providers: Providers,
    pub inventory: Inventory,
    pub catalogue: Arc<Catalogue>,
    /// Wakes the courier.
    pub bell: Bell,
}

/// An image as people see it.
#[derive(Clone, Debug)]
pub struct Shown {
    pub image: Image,
    /// On so many hosts it lies,
    pub present: i64,
    /// of so many.
    pub hosts: i64,
}

impl Distribution {
    /// Every image, newest first.
    pub async fn images(&self) -> Result<Vec<Shown>, Problem> {
        let mut conn = self.db.read().await?;
        let (counts, hosts) = (store::counts(&mut conn).await?, store::count_hosts(&mut conn).await?);
        let images = machines::list_images(&mut conn).await?;
        let shown =
            |image: Image| Shown { present: counts.get(&image.sha256).copied().unwrap_or_default(), hosts, image };
        Ok(images.into_iter().map(shown).collect())
    }

    /// By its digest, the beginning of it, or its name.
    pub async fn find(&self, key: &str) -> Result<Image, Problem> {
        let mut conn = self.db.read().await?;
        let images = machines::list_images(&mut conn).await?;
        image::named(&images, key).cloned().ok_or_else(|| Problem::not_found("镜像"))
    }

    /// How far the image is on its way to each host.
    pub async fn hosts(&self, image: &Image) -> Result<Vec<Transfer>, Problem> {
        let mut conn = self.db.read().await?;
        Ok(store::of_image(&mut conn, &image.sha256).await?)
    }

    /// Has it brought to these hosts now, or to all that answer. Answers how far each is.
    pub async fn distribute(&self, actor: &Actor, key: &str, hosts: &[String]) -> Result<Vec<Transfer>, Problem> {
        policy::scope(actor, Act::ImageDistribute)?;
        let image = self.find(key).await?;
        let to = self.destinations(hosts).await?;
        let (who, sha256) = (Who::from(actor), image.sha256.clone());
        let names: Vec<_> = to.iter().map(|host| host.name.clone()).collect();
        let ids: Vec<_> = to.iter().map(|host| host.id).collect();
        self.db
            .write(async move |tx| -> Result<(), Problem> {
                for host in &ids {
                    store::want(tx, *host, &sha256).await?;
                }
                let record = Record {
                    who: who.clone(),
                    action: Act::ImageDistribute.word(),
                    object_type: "image",
                    object_id: sha256.clone(),
                    department_id: None,
                    outcome: Outcome::Done,
                    detail: json!({"hosts": names}),
                };
                Ok(audit::record(tx, record).await?)
            })
            .await?;
        self.bell.ring();
        let all = self.hosts(&image).await?;
        Ok(all.into_iter().filter(|transfer| to.iter().any(|host| host.id == transfer.host)).collect())
    }

    async fn destinations(&self, keys: &[String]) -> Result<Vec<Host>, Problem> {
        let mut conn = self.db.read().await?;
        if keys.is_empty() {
            let mut all = capacity::store::list_hosts(&mut conn).await?;
            all.retain(|host| host.standing.contact == Contact::Reachable);
            if all.is_empty() {
                return Err(Problem::conflict("host_not_reachable", "没有联系得上的宿主机；先用 jiyue host add 接入"));
            }
            return Ok(all);
        }
        let mut found: Vec<Host> = Vec::new();
        for key in keys {
            let host = capacity::store::find_host(&mut conn, key).await?;
            let host = host.ok_or_else(|| Problem::not_found("宿主机"))?;
            if host.standing.contact != Contact::Reachable {
                return Err(Problem::conflict(
                    "host_not_reachable",
                    format!("宿主机 {} 目前联系不上；恢复联系后会自动分发", host.name),
                ));
            }
            if !found.iter().any(|other| other.id == host.id) {
                found.push(host);
            }
        }
        Ok(found)
    }

    /// What is believed of a host's images, to be held against a listing that begins afterwards.
    pub async fn belief(&self, host: HostId) -> Result<Belief, DbError> {
        let mut conn = self.db.read().await?;
        store::belief(&mut conn, host).await
    }

    /// Lists the images on a host, and writes down what differs from what was believed. A listing is whole or an error, so
    /// what is not in it is not there; nothing is deleted for that, the image is brought again.
    pub async fn look(&self, host: HostId, provider: &dyn Provider, before: &Belief) -> Result<(), DbError> {
        let there = match provider.images().await {
            Ok(there) => there,
            Err(error) => {
                tracing::debug!(host.id = %host, %error, "image.listing.failed");
                return Ok(());
            }
        };
        let has = |sha256: &str| there.iter().any(|digest| digest == sha256);
        let differs = |sha256: &str, believed: &store::Believed| {
            if has(sha256) { !believed.known } else { believed.present }
        };
        let news: Vec<_> = before
            .iter()
            .filter(|(sha256, believed)| differs(sha256, believed))
            .map(|(sha256, believed)| (sha256.clone(), *believed, has(sha256)))
            .collect();
        if news.is_empty() {
            return Ok(());
        }
        self.db
            .housekeep(async move |tx| -> Result<(), DbError> {
                for (sha256, believed, there) in &news {
                    if *there {
                        // It says so itself; that it is whole is for the courier to see.
                        store::want(tx, host, sha256).await?;
                    } else {
                        tracing::warn!(host.id = %host, image = sha256, "image.gone");
                        store::gone(tx, host, sha256, *believed).await?;
                    }
                }
                Ok(())
            })
            .await?;
        self.inventory.stale();
        self.bell.ring();
        Ok(())
    }

    /// The keys of systems whose end has come, as the statements want them.
    pub(super) fn ended(&self) -> String {
        let today = self.db.clock().today();
        store::listed(self.catalogue.os.iter().filter(|os| os.is_ended(today)).map(|os| os.key.as_str()))
    }
}
