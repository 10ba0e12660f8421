//! From a host's row to something that can be told to build.

use super::{Host, ProviderKind, store};
use crate::{
    db::{Db, DbError},
    ids::HostId,
    provider::{
        Provider,
        kubevirt::{ClusterSettings, KubevirtCluster, SCHEME},
        libvirt::{LibvirtHost, LibvirtSettings},
        simulated::SimulatedHost,
    },
};
use ipnet::IpNet;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// One provider per host, opened at first use and kept.
#[derive(Clone)]
pub struct Providers {
    db: Db,
    insecure_networks: Arc<[IpNet]>,
    clusters: Arc<[ClusterSettings]>,
    open: Arc<Mutex<HashMap<HostId, Arc<dyn Provider>>>>,
}

/// No provider for a host.
#[derive(Debug, thiserror::Error)]
pub enum NoProvider {
    #[error("no host {0}")]
    Unknown(HostId),
    #[error("the settings have no [[cluster]] for {0}")]
    NoCluster(String),
    #[error("the host's row could not be read")]
    Db(#[from] DbError),
}

impl Providers {
    /// `insecure_networks` are those in which hosts may be spoken to by bare TCP; `clusters` are the settings'.
    pub fn new(db: Db, insecure_networks: &[IpNet], clusters: &[ClusterSettings]) -> Self {
        Self { db, insecure_networks: insecure_networks.into(), clusters: clusters.into(), open: Arc::default() }
    }

    pub async fn of(&self, id: HostId) -> Result<Arc<dyn Provider>, NoProvider> {
        if let Some(provider) = self.lock().get(&id) {
            return Ok(Arc::clone(provider));
        }
        let mut conn = self.db.read().await?;
        let host = store::find_host(&mut conn, &id.text()).await?.ok_or(NoProvider::Unknown(id))?;
        // Two tasks may both come here; the first one's provider is kept, so that there is one connection per host.
        let provider = self.open(&host)?;
        Ok(Arc::clone(self.lock().entry(id).or_insert(provider)))
    }

    /// How a host's libvirt is reached.
    pub fn settings(&self, host: &Host) -> LibvirtSettings {
        settings(host, &self.insecure_networks)
    }

    fn open(&self, host: &Host) -> Result<Arc<dyn Provider>, NoProvider> {
        Ok(match host.provider {
            ProviderKind::Libvirt => Arc::new(LibvirtHost::new(self.settings(host))),
            ProviderKind::Simulated => Arc::new(SimulatedHost::default()),
            ProviderKind::Kubevirt => {
                let settings = cluster_of(&self.clusters, &host.uri);
                let settings = settings.ok_or_else(|| NoProvider::NoCluster(host.uri.clone()))?;
                Arc::new(KubevirtCluster::new(settings.clone()))
            }
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<HostId, Arc<dyn Provider>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The settings of the cluster that an address names.
pub fn cluster_of<'a>(clusters: &'a [ClusterSettings], uri: &str) -> Option<&'a ClusterSettings> {
    let name = uri.strip_prefix(SCHEME)?;
    clusters.iter().find(|cluster| cluster.name == name)
}

/// How a host's libvirt is reached.
pub fn settings(host: &Host, insecure_networks: &[IpNet]) -> LibvirtSettings {
    LibvirtSettings {
        name: host.name.clone(),
        uri: host.uri.clone(),
        insecure_networks: insecure_networks.to_vec(),
        pool: host.pool.clone(),
        pool_path: host.pool_path.clone(),
        domain_type: host.domain_type,
        networks: (host.networks.iter())
            .filter(|network| network.segment.is_none())
            .map(|network| (network.network.clone(), network.cidr))
            .collect(),
    }
}
