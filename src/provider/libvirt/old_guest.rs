//! A host that is not ours, on which an old guest still runs. It is looked at, its disk is read, and it is stopped and started
//! again; nothing here writes, deletes or defines anything on it but whether a guest starts with its host.

use super::{
    connection::{CALL_LIMIT, Call, Connection},
    domain,
    fault::Fault,
    storage,
    xml::Element,
};
use crate::provider::{
    ProviderError,
    disk_image::HEADER_BYTES,
    old_guest::{OldDisk, OldFile, OldGuest, OldPower},
};
use ipnet::IpNet;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use uuid::Uuid;
use virt::{
    connect::Connect, domain::Domain, error::ErrorNumber, storage_pool::StoragePool, storage_vol::StorageVol, sys,
};

/// A guest that is still booting does not hear the power button, so it is pressed again.
const BUTTON_EVERY: Duration = Duration::from_secs(3);
/// Between two looks at a guest that is shutting down.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A source host, by its settings.
#[derive(Clone, Debug)]
pub struct SourceHost {
    name: String,
    connection: Connection,
}

impl SourceHost {
    /// Does not connect yet.
    pub fn new(name: &str, uri: &str, insecure_networks: &[IpNet]) -> Self {
        let connection = Connection::new(name.to_owned(), uri, insecure_networks.to_vec());
        Self { name: name.to_owned(), connection }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// A guest by its UUID or its name, if there is one.
    pub async fn look(&self, key: &str) -> Result<Option<OldGuest>, ProviderError> {
        let key = key.to_owned();
        self.run("looking at an old guest", move |call| find(call.connect, &key)?.map(|d| describe(&d)).transpose())
            .await
    }

    /// Whether it runs, asked now. A host that does not answer is an error and no answer.
    pub async fn power(&self, id: Uuid) -> Result<OldPower, ProviderError> {
        let key = id.to_string();
        self.run("looking whether an old guest runs", move |call| match find(call.connect, &key)? {
            None => Ok(OldPower::Gone),
            Some(domain) => power(&domain),
        })
        .await
    }

    /// The file under its disk, which must lie in a storage pool of the host: only so can it be read across the network.
    pub async fn file(&self, path: &str) -> Result<OldFile, ProviderError> {
        let path = path.to_owned();
        self.run("looking at an old guest's disk", move |call| {
            let volume = volume(call.connect, &path)?;
            let xml = Element::parse(&volume.get_xml_desc(0)?)?;
            let written = xml.text_at(&["target", "timestamps", "mtime"]).unwrap_or_default().to_owned();
            let length = storage::length(&volume)?;
            let head = read(call.connect, &volume, 0, length.min(HEADER_BYTES as u64))?;
            Ok(OldFile { length, written, head })
        })
        .await
    }

    /// A piece of the file; less of it where the file ends.
    pub async fn read(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>, ProviderError> {
        let path = path.to_owned();
        self.run("reading an old guest's disk", move |call| {
            read(call.connect, &volume(call.connect, &path)?, offset, length)
        })
        .await
    }

    /// Asks the guest to shut down, and cuts its power when the time is over; "off already" is success.
    pub async fn stop(&self, id: Uuid, patience: Duration) -> Result<(), ProviderError> {
        let (key, deadline) = (id.to_string(), Instant::now() + patience);
        while Instant::now() < deadline {
            let pressed = key.clone();
            self.run("shutting an old guest down", move |call| {
                let Some(domain) = find(call.connect, &pressed)? else { return Ok(()) };
                match domain.shutdown_flags(sys::VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN) {
                    Err(e) if e.code() != ErrorNumber::OperationInvalid => Err(e.into()),
                    _ => Ok(()),
                }
            })
            .await?;
            let again = deadline.min(Instant::now() + BUTTON_EVERY);
            while Instant::now() < again {
                if self.power(id).await? != OldPower::On {
                    return Ok(());
                }
                sleep(LOOK_EVERY).await;
            }
        }
        self.run("switching an old guest off", move |call| match find(call.connect, &key)? {
            Some(found) => domain::power_off(&found),
            None => Ok(()),
        })
        .await
    }

    /// Starts it; "runs already" is success.
    pub async fn start(&self, id: Uuid) -> Result<(), ProviderError> {
        let key = id.to_string();
        self.run("starting an old guest", move |call| {
            let Some(domain) = find(call.connect, &key)? else {
                return Err(Fault::Permanent("the source host no longer has it".to_owned()));
            };
            if power(&domain)? == OldPower::Off {
                domain.create()?;
            }
            Ok(())
        })
        .await
    }

    /// Whether it is to start with its host.
    pub async fn set_autostart(&self, id: Uuid, on: bool) -> Result<(), ProviderError> {
        let key = id.to_string();
        self.run("changing whether an old guest starts with its host", move |call| {
            let Some(domain) = find(call.connect, &key)? else { return Ok(()) };
            if domain.get_autostart()? != on {
                domain.set_autostart(on)?;
            }
            Ok(())
        })
        .await
    }

    async fn run<T, F>(&self, act: &str, call: F) -> Result<T, ProviderError>
    where
        T: Send + 'static,
        F: FnOnce(&Call<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.connection.run(&format!("{act} on {}", self.name), CALL_LIMIT, call).await
    }
}

fn find(connect: &Connect, key: &str) -> Result<Option<Domain>, Fault> {
    let found = match Uuid::parse_str(key) {
        Ok(id) => Domain::lookup_by_uuid_string(connect, &id.to_string()),
        Err(_) => Domain::lookup_by_name(connect, key),
    };
    match found {
        Ok(domain) => Ok(Some(domain)),
        Err(e) if e.code() == ErrorNumber::NoDomain => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// A guest that is paused, or just shutting down, has its disk open and may go on writing: it is on.
fn power(domain: &Domain) -> Result<OldPower, Fault> {
    Ok(if domain.is_active()? { OldPower::On } else { OldPower::Off })
}

fn describe(domain: &Domain) -> Result<OldGuest, Fault> {
    let xml = Element::parse(&domain.get_xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?)?;
    let os = xml.find(&["os"]);
    Ok(OldGuest {
        id: domain.get_uuid()?,
        name: domain.get_name()?,
        power: power(domain)?,
        autostart: domain.get_autostart()?,
        persistent: domain.is_persistent()?,
        suspended: domain.has_managed_save(0)?,
        uefi: os.is_some_and(|os| os.get("firmware") == Some("efi") || os.find(&["loader"]).is_some()),
        disks: disks(&xml),
    })
}

fn disks(domain: &Element) -> Vec<OldDisk> {
    let disks = domain.find(&["devices"]).into_iter().flat_map(|devices| devices.all("disk"));
    let own =
        disks.filter(|disk| disk.get("device").is_none_or(|kind| kind == "disk") && disk.find(&["readonly"]).is_none());
    let one = |disk: &Element| OldDisk {
        file: disk.find(&["source"]).and_then(|source| source.get("file")).map(str::to_owned),
        format: disk.find(&["driver"]).and_then(|driver| driver.get("type")).map(str::to_owned),
    };
    own.map(one).collect()
}

/// The volume that is this file. A pool's list may be older than its folder, so absence is believed after a second look.
fn volume(connect: &Connect, path: &str) -> Result<StorageVol, Fault> {
    let first = StorageVol::lookup_by_path(connect, path);
    if let Ok(volume) = first {
        return Ok(volume);
    }
    for pool in connect.list_all_storage_pools(sys::VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)? {
        // One that is busy or broken is not the one, or will be asked again.
        if let Err(error) = refresh(&pool) {
            tracing::debug!(?error, "a pool of a source host cannot be read again");
        }
    }
    match StorageVol::lookup_by_path(connect, path) {
        Ok(volume) => Ok(volume),
        Err(e) if e.code() == ErrorNumber::NoStorageVolume => Err(Fault::Permanent(format!(
            "磁盘 {path} 不在任何存储池里，跨网络读不到；请在源宿主机上把它所在的目录定义成存储池（virsh pool-create-as 名字 dir --target 目录）"
        ))),
        Err(e) => Err(e.into()),
    }
}

fn refresh(pool: &StoragePool) -> Result<(), Fault> {
    pool.refresh(0)?;
    Ok(())
}

fn read(connect: &Connect, volume: &StorageVol, offset: u64, length: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    if length > 0 {
        storage::download(connect, volume, offset, length, |part| {
            bytes.extend_from_slice(part);
            Ok(())
        })?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_guest_may_write_is_a_disk_of_its_own() {
        let xml = "<domain><devices>\
            <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/p/a'/></disk>\
            <disk type='file' device='cdrom'><source file='/p/iso'/></disk>\
            <disk type='file'><source file='/p/seed'/><readonly/></disk>\
            <disk type='network' device='disk'><driver type='raw'/><source protocol='rbd' name='x'/></disk>\
            </devices></domain>";
        let found = disks(&Element::parse(xml).unwrap());
        let disk = |file: Option<&str>, format: &str| OldDisk {
            file: file.map(str::to_owned),
            format: Some(format.to_owned()),
        };
        assert_eq!(found, [disk(Some("/p/a"), "qcow2"), disk(None, "raw")]);
    }
}
