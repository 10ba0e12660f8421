//! What the broker needs of a place that runs machines. A provider is told an [`Intent`], in which everything that
//! identifies a machine is already fixed, and makes one [`Part`] of it true, or removes it again. Every call can be
//! repeated and can be cut at any instant: "exists, with my UUID and my mark" is success.
//!
//! Providers know the ground floor only: no SQL, no rules, no HTTP.

pub mod disk_image;
pub mod disks;
pub mod kubevirt;
pub mod libvirt;
pub mod old_guest;
pub mod reading;
pub mod seed;
pub mod simulated;

use crate::{
    catalogue::database::Engine,
    ids::{DepartmentId, DiskImportId, MachineId, OperationId, RequestId},
    labels::Zone,
    secret::Password,
    units::Bytes,
};
use disks::Disks;
use ipnet::Ipv4Net;
use reading::Readings;
use serde::{Deserialize, Serialize};
use std::{fmt, net::Ipv4Addr, path::PathBuf, time::Duration};
use uuid::Uuid;

/// Everything a provider must know to build one machine, fixed by the approval before anything is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Also the libvirt domain's UUID.
    pub machine: MachineId,
    /// The operation that builds it; part of every mark, so that unwinding can tell its own from another's.
    pub operation: OperationId,
    /// The guest's host name and the domain's name: a slug of ours (`[a-z0-9-]{1,63}`), never free text.
    pub name: String,
    /// Fully qualified names; `None` when the request gave a reason for having none.
    pub fqdn: Option<String>,
    pub vcpu: u32,
    pub memory: Bytes,
    pub disk: Bytes,
    pub image: ImageRef,
    pub network: NetworkIntent,
    /// `OpenSSH` public keys, already parsed and normalised.
    pub ssh_keys: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseIntent>,
    /// Whose it is, where the place keeps departments apart: on a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenancy: Option<Tenancy>,
    /// The disk that it runs on in place of the one that it was built with, which still lies beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
}

/// A disk that an old guest had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Part of the volume's name: each import has a volume to itself.
    pub import: DiskImportId,
    pub format: ImageFormat,
    /// There is no way back any more: the old guest stays off for good.
    #[serde(default)]
    pub settled: bool,
}

/// Whose a machine is, and what it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenancy {
    pub department: DepartmentId,
    /// The department's code, a slug that never changes.
    pub code: String,
    pub request: RequestId,
    pub zone: Zone,
    /// The request's machines must not share a node.
    pub apart: bool,
}

/// What a department may have on a place in all, by its task books, and the zone that the next machine goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estate {
    pub tenancy: Tenancy,
    /// Machines that may run at once.
    pub machines: i64,
    pub vcpu: i64,
    pub memory: Bytes,
    pub disk: Bytes,
    /// The zone's addresses on this place.
    pub range: Ipv4Net,
}

/// The database that a machine is made to serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseIntent {
    /// The catalogue's key.
    pub key: String,
    pub engine: Engine,
    /// The release that must answer.
    pub major: u32,
    pub port: u16,
    /// The role that owns the database and alone may log in from outside: `[a-z][a-z0-9_]{0,62}`.
    pub role: String,
    /// The database's name, of the same letters.
    pub name: String,
    pub start: DatabaseStart,
    /// Only while it is built, and never written down with the rest.
    #[serde(skip)]
    pub password: Option<Password>,
}

/// Where a database comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DatabaseStart {
    /// It is in the image and takes its names and password from the seed.
    Baked,
    /// It is installed on the first start by a part of cloud-config.
    CloudInit { part: String },
}

impl Intent {
    /// The intent with its database's password; the same where it has no database.
    #[must_use]
    pub fn with_password(&self, password: Option<Password>) -> Self {
        let database = self.database.clone().map(|database| DatabaseIntent { password, ..database });
        Self { database, ..self.clone() }
    }

    /// Whether it is to have a database and does not say by which password.
    pub fn lacks_password(&self) -> bool {
        self.database.as_ref().is_some_and(|database| database.password.is_none())
    }

    /// Whether the machine runs on a disk that may still go back to the old guest that it came from.
    pub fn is_on_loan(&self) -> bool {
        self.imported.is_some_and(|imported| !imported.settled)
    }

    /// Whether its first start includes an installation, which takes its time.
    pub fn installs(&self) -> bool {
        self.database.as_ref().is_some_and(|database| database.start != DatabaseStart::Baked)
    }
}

/// A read-only, content-addressed base image and where the broker keeps its copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRef {
    /// Lower-case hexadecimal SHA-256 of the file.
    pub sha256: String,
    pub format: ImageFormat,
    pub size: Bytes,
    /// The broker's own copy, uploaded to a host that lacks it.
    pub path: PathBuf,
}

/// Formats that a base image may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageFormat {
    Raw,
    Qcow2,
}

impl ImageFormat {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// The reserved place of a machine on its zone's network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkIntent {
    /// The name of the libvirt network, or of the bridge.
    pub network: String,
    #[serde(default)]
    pub link: Link,
    /// `52:54:xx:xx:xx:xx`, and a function of the address alone: for an hour after a machine has gone, dnsmasq gives its
    /// address to no other hardware address, whatever is reserved ("not using configured address … because it is leased").
    pub mac: String,
    pub address: Ipv4Addr,
    pub gateway: Ipv4Addr,
    /// The DNS server that serves the zone (the libvirt network's own, on a single host).
    pub dns: Ipv4Addr,
}

/// How a machine is attached to its zone on a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Link {
    /// A libvirt network of the host's own: its dnsmasq gives addresses and answers names.
    #[default]
    Network,
    /// A bridge that the host has and shares with other hosts: the address stands in the seed.
    Bridge { prefix: u8 },
    /// A cluster's pod network: the cluster gives an address at each start, and nobody can reserve one.
    Pod,
    /// A network beside the pod network that the cluster's nodes attach to (Multus): the address stands in the seed.
    Attached { prefix: u8 },
}

impl Link {
    /// libvirt's word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Network | Self::Pod | Self::Attached { .. } => "network",
            Self::Bridge { .. } => "bridge",
        }
    }

    /// Whether a machine keeps the address that was reserved for it.
    pub const fn is_fixed(self) -> bool {
        !matches!(self, Self::Pod)
    }
}

/// The parts of a machine in the order in which they are built; removal goes the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The base image is in the host's pool, read-only, under its digest. Removing it is a no-op: others stand on it.
    Image,
    /// The machine's own disk: an overlay on the image.
    Disk,
    /// The cloud-init volume.
    Seed,
    /// The reserved DHCP lease.
    Address,
    /// The A record in the zone's DNS.
    Name,
    /// The domain's definition, with our mark.
    Domain,
    /// The domain runs.
    Power,
    /// The guest answers on its address: by SSH, and a database to SQL. Without the password, as on later starts, the
    /// database must be there and ask for it.
    Answer,
}

impl Part {
    /// Build order.
    pub const ALL: [Self; 8] =
        [Self::Image, Self::Disk, Self::Seed, Self::Address, Self::Name, Self::Domain, Self::Power, Self::Answer];

    /// The stable English word used in the database, in logs and in the API.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Disk => "disk",
            Self::Seed => "seed",
            Self::Address => "address",
            Self::Name => "name",
            Self::Domain => "domain",
            Self::Power => "power",
            Self::Answer => "answer",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a provider has in all, before anything of ours is on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    pub vcpu: u32,
    pub memory: Bytes,
    pub disk: Bytes,
}

/// What is seen of one machine right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observed {
    /// No domain with its UUID.
    Absent,
    /// Defined, not running.
    Off,
    Running,
    /// There is a domain with its UUID or name, but not our mark on it.
    Foreign,
}

/// Who made a domain, according to the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub machine: MachineId,
    pub operation: OperationId,
}

impl Mark {
    pub const fn of(intent: &Intent) -> Self {
        Self { machine: intent.machine, operation: intent.operation }
    }
}

/// A domain as a full listing shows it, ours or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The domain's own identity: a machine's id, if it is a machine of ours.
    pub id: Uuid,
    pub name: String,
    /// `None` when it does not carry exactly one mark of ours.
    pub mark: Option<Mark>,
    pub power: Power,
    pub shape: Shape,
    /// The address that it has been given, where that is not the intent's to say.
    pub address: Option<Ipv4Addr>,
}

/// Whether a domain runs, and if not, how that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// With the number of this run: another one after each start.
    On(i64),
    /// The guest shut itself down.
    ShutDown,
    /// It ended without anybody's wish: the host lost power, QEMU crashed.
    Lost,
    /// Somebody ended it, by us or behind our back.
    Cut,
}

/// What a domain is made of, as far as the intent says so: what a swap behind our back would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    pub vcpu: u32,
    pub memory_bytes: i64,
    /// File names of its disks, without folders.
    pub disks: Vec<String>,
    pub macs: Vec<String>,
}

/// Where a machine goes that leaves its host.
#[derive(Clone, Debug)]
pub enum Destination {
    Libvirt(libvirt::LibvirtSettings),
    Simulated(simulated::SimulatedHost),
    /// A cluster, which takes in nobody from elsewhere.
    Cluster,
}

/// A machine's way from one host to another. The intents differ in their network only: both carry the same machine and
/// the same operation.
#[derive(Clone, Debug)]
pub struct Journey {
    pub from: Intent,
    pub to: Intent,
    pub destination: Destination,
}

/// How hard to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Ask the guest, and cut the power when the time is over.
    Graceful(Duration),
    Now,
}

/// How a domain is run, found by booting a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DomainType {
    Kvm,
    /// Software emulation (TCG).
    Qemu,
}

impl DomainType {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Qemu => "qemu",
        }
    }
}

/// Why a provider did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The host cannot be reached. Says nothing about its machines.
    #[error("host {host} is unreachable")]
    Unreachable {
        host: String,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// May go away by itself: repeat.
    #[error("{act} did not succeed yet: {reason}")]
    Transient { act: String, reason: String },
    /// Will not go away by itself: unwind.
    #[error("{act} failed: {reason}")]
    Permanent { act: String, reason: String },
    /// Something stands where ours should stand, and it is not ours. It is never touched.
    #[error("{what} exists and does not carry our mark")]
    NotOurs { what: String },
}

impl ProviderError {
    /// Whether repeating may help.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Transient { .. })
    }
}

/// A place that runs machines.
#[async_trait::async_trait]
pub trait Provider: Send + Sync + fmt::Debug {
    /// Whether departments have places of their own here, which [`Self::settle_in`] makes.
    fn keeps_departments_apart(&self) -> bool {
        false
    }
    /// Whether a part is none of ours to make here: [`Self::ensure`] of it asks nobody anything.
    fn makes_by_itself(&self, _: Part) -> bool {
        false
    }
    /// The part with which a machine that is built starts to run.
    fn starts_with(&self) -> Part {
        Part::Power
    }
    /// Makes a department's place what its task books say, before anything of it is built or grows.
    async fn settle_in(&self, _: &Estate) -> Result<(), ProviderError> {
        Ok(())
    }
    /// What the place has in all.
    async fn capacity(&self) -> Result<Capacity, ProviderError>;
    /// Makes one part of the machine true; "already so, and ours" is success.
    async fn ensure(&self, part: Part, intent: &Intent) -> Result<(), ProviderError>;
    /// Removes one part; "already gone" is success. Only what carries the intent's machine *and* operation is removed;
    /// anything else is [`ProviderError::NotOurs`].
    async fn remove(&self, part: Part, intent: &Intent) -> Result<(), ProviderError>;
    /// Takes the password out of the seed of a machine that has read it; "not in it" is success. From then on no file of the
    /// host's holds it in the clear.
    async fn clear_seed(&self, intent: &Intent) -> Result<(), ProviderError>;
    /// What is there now.
    async fn observe(&self, intent: &Intent) -> Result<Observed, ProviderError>;
    /// Stops the machine; "already off" is success.
    async fn stop(&self, intent: &Intent, how: Stop) -> Result<(), ProviderError>;
    /// Every domain on the host. A listing is whole or an error; what is not in it is not there.
    async fn list(&self) -> Result<Vec<Seen>, ProviderError>;
    /// One look at all machines of ours that run. It is whole or an error; a machine that is not in it gives no evidence of
    /// anything.
    async fn readings(&self) -> Result<Readings, ProviderError>;
    /// Returns when something may have happened on the host. It may return for nothing and may miss anything: it only
    /// hastens the next [`Self::list`].
    async fn changed(&self) {
        std::future::pending::<()>().await;
    }
    /// Has the guest restart; the domain stays what it is.
    async fn reboot(&self, intent: &Intent) -> Result<(), ProviderError>;
    /// Gives the machine the processors, memory and disk of the intent. Processors and memory hold from its next start
    /// on; the disk grows at once and is never made smaller.
    async fn reshape(&self, intent: &Intent) -> Result<(), ProviderError>;
    /// This place, as another one is told of it.
    fn destination(&self) -> Destination;
    /// Moves the machine, running or off, with its disks. At every instant of it exactly one of the two hosts has it;
    /// "already there" is success. `report` is told how far it has come, in percent.
    async fn migrate(&self, journey: &Journey, report: &(dyn Fn(u8) + Send + Sync)) -> Result<(), ProviderError>;
    /// Digests of the base images that lie on the host whole.
    async fn images(&self) -> Result<Vec<String>, ProviderError>;
    /// Whether this base image lies there whole. One that is marked as whole and has other bytes is an error for good.
    async fn has_image(&self, image: &ImageRef) -> Result<bool, ProviderError>;
    /// Brings a base image there, whole or not at all; "already there" is success. Of several that bring the same image,
    /// none waits for the others: whoever calls this has to be the only one.
    async fn bring_image(&self, image: &ImageRef, report: &(dyn Fn(u8) + Send + Sync)) -> Result<(), ProviderError>;
    /// Where disks can be taken over from elsewhere, what does it.
    fn disks(&self) -> Option<&dyn Disks> {
        None
    }
    /// The tail of the serial console, at most `limit` bytes, as text (bad UTF-8 replaced).
    async fn console(&self, intent: &Intent, limit: usize) -> Result<String, ProviderError>;
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An intent that is always the same, for goldens.
    pub fn intent() -> Intent {
        let id = |last: u8| format!("01890000-0000-7000-8000-0000000000{last:02x}").parse().unwrap();
        Intent {
            machine: MachineId(id(1)),
            operation: OperationId(id(2)),
            name: "gw-web-1".into(),
            fqdn: Some("gw-web-1.a.gov.test".into()),
            vcpu: 2,
            memory: Bytes::mib(512).unwrap(),
            disk: Bytes::gib(10).unwrap(),
            image: ImageRef {
                sha256: "ab".repeat(32),
                format: ImageFormat::Qcow2,
                size: Bytes::mib(17).unwrap(),
                path: "/var/lib/jiyue/images/ab".into(),
            },
            network: NetworkIntent {
                network: "zone-a".into(),
                link: Link::Network,
                mac: "52:54:00:00:00:05".into(),
                address: Ipv4Addr::new(10, 8, 0, 5),
                gateway: Ipv4Addr::new(10, 8, 0, 1),
                dns: Ipv4Addr::new(10, 8, 0, 1),
            },
            ssh_keys: vec![
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExampleExam a".into(),
            ],
            database: None,
            tenancy: None,
            imported: None,
        }
    }

    /// The same with a database.
    pub fn database(start: DatabaseStart) -> Intent {
        let database = DatabaseIntent {
            key: "postgresql-15".into(),
            engine: Engine::Postgresql,
            major: 15,
            port: 5432,
            role: "gw_web_1".into(),
            name: "gw_web_1".into(),
            start,
            password: Some("Example2Example3Example4".into()),
        };
        Intent { database: Some(database), ..intent() }
    }

    #[test]
    fn an_intent_written_down_has_no_password() {
        let intent = database(DatabaseStart::CloudInit { part: "postgresql".into() });
        let text = serde_json::to_string(&intent).unwrap();
        assert!(!text.contains("Example2") && !text.contains("password"), "{text}");
        let read: Intent = serde_json::from_str(&text).unwrap();
        assert_eq!(read, intent.with_password(None));
        assert!(!format!("{intent:?}").contains("Example2"));
        // One from before there were databases.
        let plain = serde_json::to_string(&super::tests::intent()).unwrap();
        assert!(!plain.contains("database"));
        assert_eq!(serde_json::from_str::<Intent>(&plain).unwrap().database, None);
    }
}
