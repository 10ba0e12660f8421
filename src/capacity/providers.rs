//! From a host's row to something that can be told to build.

use super::{Host, ProviderKind, store};
use crate::{
    db::{Db, DbError},
    ids::HostId,
    provider::{
        Provider,
        libvirt::{LibvirtHost, LibvirtSettings},
        simulated::SimulatedHost,
    },
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// One provider per host, opened at first use and kept.
#[derive(Clone)]
pub struct Providers {
    db: Db,
    open: Arc<Mutex<HashMap<HostId, Arc<dyn Provider>>>>,
}

/// No provider for a host.
#[derive(Debug, thiserror::Error)]
pub enum NoProvider {
    #[error("no host {0}")]
    Unknown(HostId),
    #[error("the host's row could not be read")]
    Db(#[from] DbError),
}

impl Providers {
    pub fn new(db: Db) -> Self {
        Self { db, open: Arc::default() }
    }

    pub async fn of(&self, id: HostId) -> Result<Arc<dyn Provider>, NoProvider> {
        if let Some(provider) = self.lock().get(&id) {
            return Ok(Arc::clone(provider));
        }
        let mut conn = self.db.read().await?;
        let host = store::find_host(&mut conn, &id.text()).await?.ok_or(NoProvider::Unknown(id))?;
        // Two tasks may both come here; the first one's provider is kept, so that there is one connection per host.
        let provider = open(&host);
        Ok(Arc::clone(self.lock().entry(id).or_insert(provider)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<HostId, Arc<dyn Provider>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(host: &Host) -> Arc<dyn Provider> {
    match host.provider {
        ProviderKind::Libvirt => Arc::new(LibvirtHost::new(settings(host))),
        ProviderKind::Simulated => Arc::new(SimulatedHost::default()),
    }
}

/// How a host's libvirt is reached.
pub fn settings(host: &Host) -> LibvirtSettings {
    LibvirtSettings {
        name: host.name.clone(),
        uri: host.uri.clone(),
        pool: host.pool.clone(),
        pool_path: host.pool_path.clone(),
        domain_type: host.domain_type,
    }
}
