//! Taking over a disk from elsewhere: written piece by piece into the host's pool, read back, and put in the place of the
//! machine's own by its definition.

use super::{
    LibvirtHost,
    connection::Call,
    domain::{self, Found},
    fault::Fault,
    storage::{self, length},
    volume_xml::{NewVolume, disk_name},
    xml::Element,
};
use crate::{
    provider::{Intent, ProviderError, disks::Disks},
    text::hex,
};
use sha2::{Digest, Sha256};
use std::time::Duration;
use virt::{connect::Connect, domain::Domain, storage_pool::StoragePool, sys};

/// How long the reading back may take.
const DIGEST_LIMIT: Duration = Duration::from_hours(6);

/// Refuses while the machine runs, on whichever disk. A domain that is not ours may be ours without its mark.
fn must_rest(connect: &Connect, intent: &Intent) -> Result<(), Fault> {
    match domain::find(connect, intent)? {
        Found::Ours(domain) if domain.is_active()? => Err(Fault::Transient("the machine is running".to_owned())),
        Found::ForeignId => Err(Fault::NotOurs(format!("domain {} ({})", intent.name, intent.machine))),
        Found::Ours(_) | Found::Nothing | Found::ForeignName => Ok(()),
    }
}

/// The volume, made where there is none of this length. What a daemon that was killed has made it need not know of.
fn open(pool: &StoragePool, name: String, size: u64, anew: bool) -> Result<bool, Fault> {
    storage::refresh(pool)?;
    if let Some(found) = storage::volume(pool, &name)? {
        if !anew && length(&found)? == size {
            return Ok(true);
        }
        found.delete(0)?;
    }
    // So many raw bytes, to libvirt, until it next reads the folder.
    storage::create(pool, &NewVolume::raw(name, size))?;
    Ok(false)
}

fn names(domain: &Domain, flags: u32, disk: &str) -> Result<bool, Fault> {
    let xml = Element::parse(&domain.get_xml_desc(flags)?)?;
    Ok(super::domain_xml::shape(&xml).disks.iter().any(|name| name == disk))
}

/// The volume goes only where no definition of the machine, now or from its next start on, names it.
fn discard(call: &Call<'_>, pool: &StoragePool, current: &Intent, unused: &Intent) -> Result<(), Fault> {
    let name = disk_name(unused);
    if name == disk_name(current) {
        return Err(Fault::Permanent(format!("volume {name} is the machine's disk")));
    }
    match domain::find(call.connect, current)? {
        Found::Ours(domain) => {
            for flags in [0, sys::VIR_DOMAIN_XML_INACTIVE] {
                if names(&domain, flags, &name)? {
                    return Err(Fault::Transient(format!("volume {name} is still in use")));
                }
            }
        }
        Found::ForeignId => return Err(Fault::NotOurs(format!("domain {} ({})", current.name, current.machine))),
        Found::Nothing | Found::ForeignName => {}
    }
    storage::delete(pool, &name)
}

#[async_trait::async_trait]
impl Disks for LibvirtHost {
    async fn open_disk(&self, intent: &Intent, size: u64, anew: bool) -> Result<bool, ProviderError> {
        let act = format!("opening the disk of {}", intent.name);
        let call = move |call: &Call<'_>, pool: &StoragePool, intent: &Intent| {
            must_rest(call.connect, intent)?;
            open(pool, disk_name(intent), size, anew)
        };
        self.on(&act, intent, call).await
    }

    async fn write_disk(&self, intent: &Intent, offset: u64, piece: Vec<u8>) -> Result<(), ProviderError> {
        let act = format!("writing the disk of {}", intent.name);
        let call = move |call: &Call<'_>, pool: &StoragePool, intent: &Intent| {
            must_rest(call.connect, intent)?;
            let name = disk_name(intent);
            let Some(volume) = storage::volume(pool, &name)? else {
                return Err(Fault::Transient(format!("volume {name} is gone")));
            };
            storage::upload_at(call.connect, &volume, &piece[..], offset, piece.len() as u64)
        };
        self.on(&act, intent, call).await
    }

    async fn disk_digest(&self, intent: &Intent) -> Result<String, ProviderError> {
        let (act, name) = (format!("reading back the disk of {}", intent.name), disk_name(intent));
        let call = move |call: &Call<'_>, pool: &StoragePool| {
            storage::refresh(pool)?;
            let Some(volume) = storage::volume(pool, &name)? else {
                return Err(Fault::Transient(format!("volume {name} is gone")));
            };
            let mut hash = Sha256::new();
            storage::download(call.connect, &volume, 0, 0, |part| {
                hash.update(part);
                Ok(())
            })?;
            Ok(hex(&hash.finalize()))
        };
        self.within(&act, DIGEST_LIMIT, call).await
    }

    async fn change_disk(&self, intent: &Intent) -> Result<(), ProviderError> {
        let act = format!("changing the disk of {}", intent.name);
        let setting = self.setting(&intent.network).await?;
        let call = move |call: &Call<'_>, pool: &StoragePool, intent: &Intent| {
            must_rest(call.connect, intent)?;
            domain::redefine(call.connect, pool, intent, &setting)
        };
        self.on(&act, intent, call).await
    }

    async fn runs_on(&self, intent: &Intent) -> Result<bool, ProviderError> {
        let act = format!("looking at the disk of {}", intent.name);
        let call = move |call: &Call<'_>, _: &StoragePool, intent: &Intent| match domain::find(call.connect, intent)? {
            Found::Ours(domain) => names(&domain, 0, &disk_name(intent)),
            Found::ForeignId => Err(Fault::NotOurs(format!("domain {} ({})", intent.name, intent.machine))),
            Found::Nothing | Found::ForeignName => Ok(false),
        };
        self.on(&act, intent, call).await
    }

    async fn discard_disk(&self, current: &Intent, unused: &Intent) -> Result<(), ProviderError> {
        let act = format!("discarding a disk of {}", current.name);
        let unused = unused.clone();
        let call = move |call: &Call<'_>, pool: &StoragePool, current: &Intent| discard(call, pool, current, &unused);
        self.on(&act, current, call).await
    }
}
