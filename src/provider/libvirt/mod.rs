//! Machines on one libvirt host. Everything, images and consoles too, goes through the libvirt API, so that a host across
//! the network needs nothing else.

mod agent;
mod answer;
mod connection;
mod database;
mod disks;
mod domain;
mod domain_xml;
mod events;
mod fault;
mod filter;
mod filter_xml;
mod link;
mod migration;
mod network;
mod network_xml;
mod old_guest;
mod probe;
mod progress;
mod qcow2;
mod readings;
mod storage;
mod told;
mod uri;
mod volume_xml;
mod xml;

pub use filter::explain as explain_filter;
pub use network_xml::NetworkSetup;
pub use old_guest::SourceHost;
pub use probe::PROBE_LIMIT;
pub use uri::{UriFault, Way, explain, vet};

use super::{
    Capacity, Destination, DomainType, ImageRef, Intent, Journey, Link, NetworkIntent, Observed, Part, Provider,
    ProviderError, Seen, Stop, disks::Disks, reading::Readings, seed,
};
use crate::{ids::MachineId, units::Bytes};
use agent::Agents;
use connection::{CALL_LIMIT, Call, Connection};
use domain::Setting;
use fault::Fault;
use ipnet::{IpNet, Ipv4Net};
use network_xml::{Lease, Record};
use progress::Progress;
use readings::Meter;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::{Instant, sleep, timeout},
};
use virt::storage_pool::StoragePool;

/// How long an image may take to travel to the host, and to be read back.
const IMAGE_LIMIT: Duration = Duration::from_hours(1);
/// Locks that machines share by their UUID: enough that two builds rarely meet in one.
const STRIPES: usize = 64;
/// A guest that is still booting does not hear the power button, so it is pressed again.
const BUTTON_EVERY: Duration = Duration::from_secs(3);

/// How a host is reached and where its volumes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibvirtSettings {
    /// The host's name, for messages.
    pub name: String,
    /// `qemu:///system`, or `qemu+unix`, `qemu+tls`, `qemu+tcp`; see [`Way`].
    pub uri: String,
    /// Networks in which bare TCP is allowed.
    pub insecure_networks: Vec<IpNet>,
    /// The libvirt storage pool that is ours alone.
    pub pool: String,
    /// The pool's folder on that host.
    pub pool_path: String,
    pub domain_type: DomainType,
    /// The networks of the host's own, by name, whatever zone they are of: what machines of another zone must not reach.
    pub networks: Vec<(String, Ipv4Net)>,
}

/// A host that runs machines by libvirt and QEMU. Clones are the same host, with the same connections and locks.
#[derive(Clone, Debug)]
pub struct LibvirtHost {
    settings: LibvirtSettings,
    connection: Connection,
    meter: Meter,
    agents: Agents,
    /// One call per machine at a time. A call that nobody waits for any more still holds its lock, so that a removal
    /// cannot overtake the building that it undoes.
    machines: Vec<Arc<Mutex<()>>>,
    /// One change of networks at a time: they are read, compared and then written.
    networks: Arc<Mutex<()>>,
    /// One call per image at a time, by its digest. An image that is on its way holds up nobody who needs another one.
    images: Arc<std::sync::Mutex<HashMap<String, Arc<Mutex<storage::Verified>>>>>,
    /// One machine leaves at a time.
    leaving: Arc<Mutex<()>>,
    /// Hosts that machines have left for.
    peers: Arc<std::sync::Mutex<Vec<LibvirtHost>>>,
}

impl LibvirtHost {
    /// Does not connect yet.
    pub fn new(settings: LibvirtSettings) -> Self {
        let connection = || Connection::new(settings.name.clone(), &settings.uri, settings.insecure_networks.clone());
        Self {
            connection: connection(),
            meter: Meter::new(connection()),
            agents: Agents::new(connection(), agent::PAUSE),
            settings,
            machines: (0..STRIPES).map(|_| Arc::default()).collect(),
            networks: Arc::default(),
            images: Arc::default(),
            leaving: Arc::default(),
            peers: Arc::default(),
        }
    }

    /// The host with another domain type, for what a probe has found.
    #[must_use]
    pub fn with_domain_type(mut self, kind: DomainType) -> Self {
        self.settings.domain_type = kind;
        self
    }

    /// The host with another pause between two questions to one guest's agent.
    #[must_use]
    pub fn asking_agents_every(mut self, pause: Duration) -> Self {
        self.agents = self.agents.every(pause);
        self
    }

    /// Makes sure of what machines stand on: the pool, the filter of what they may send, and the networks. Can be repeated.
    pub async fn prepare(&self, networks: &[NetworkSetup]) -> Result<(), ProviderError> {
        let act = format!("preparing host {}", self.settings.name);
        let guard = self.lock(&self.networks, &act).await?;
        let (pool, path, networks) = (self.settings.pool.clone(), self.settings.pool_path.clone(), networks.to_vec());
        let call = move |call: &Call<'_>| {
            let _guard = guard;
            storage::ensure_pool(call.connect, &pool, &path)?;
            filter::ensure_guest(call.connect)?;
            networks.iter().try_for_each(|setup| network::ensure(call.connect, setup))
        };
        self.connection.run(&act, CALL_LIMIT, call).await
    }

    /// Finds out which domain type really boots on this host, with a card on each of these networks behind its filter: a
    /// host without the bridge, or on which filters do not work, boots none. Needs the pool and the networks of
    /// [`Self::prepare`]; takes about two seconds, and [`PROBE_LIMIT`] more where `kvm` is offered and does not work.
    pub async fn probe_domain_type(&self, cards: &[NetworkIntent]) -> Result<DomainType, ProviderError> {
        self.probe_domain_type_within(cards, PROBE_LIMIT).await
    }

    /// The same with another patience.
    pub async fn probe_domain_type_within(
        &self,
        cards: &[NetworkIntent],
        limit: Duration,
    ) -> Result<DomainType, ProviderError> {
        let act = format!("probing host {}", self.settings.name);
        let mut filtered = Vec::new();
        for card in cards {
            filtered.push((card.clone(), self.away(card).await?));
        }
        let pool = self.settings.pool.clone();
        let call = move |call: &Call<'_>| {
            filtered.iter().try_for_each(|(card, away)| filter::ensure(call.connect, card, away))?;
            let cards: Vec<_> = filtered.iter().map(|(card, _)| domain_xml::card(card)).collect();
            probe::best(call, &storage::pool(call.connect, &pool)?, &cards, limit)
        };
        self.connection.run(&act, limit * 4 + CALL_LIMIT, call).await
    }

    /// Ranges of the host that a machine on this network must not speak to: the other zones' networks, and the host itself
    /// as far as its address is known.
    async fn away(&self, network: &NetworkIntent) -> Result<Vec<Ipv4Net>, ProviderError> {
        let own = |name: &str| network.link == Link::Network && name == network.network;
        let others = self.settings.networks.iter().filter(|(name, _)| !own(name)).map(|(_, range)| *range);
        let host = match self.connection.whereabouts().await? {
            Some(IpAddr::V4(address)) => Some(Ipv4Net::from(address)),
            Some(IpAddr::V6(_)) | None => None,
        };
        Ok(others.chain(host).collect())
    }

    async fn setting(&self, network: &NetworkIntent) -> Result<Setting, ProviderError> {
        Ok(Setting { kind: self.settings.domain_type, away: self.away(network).await? })
    }

    async fn lock<T>(&self, lock: &Arc<Mutex<T>>, act: &str) -> Result<OwnedMutexGuard<T>, ProviderError> {
        let late =
            |_| ProviderError::Transient { act: act.to_owned(), reason: "an earlier call is still running".to_owned() };
        timeout(CALL_LIMIT, Arc::clone(lock).lock_owned()).await.map_err(late)
    }

    fn machine_lock(&self, machine: MachineId) -> Arc<Mutex<()>> {
        let index = usize::try_from(machine.0.as_u128() % STRIPES as u128).unwrap_or_default();
        self.machines.get(index).cloned().unwrap_or_default()
    }

    /// Runs a call that is about one machine's volumes or domain.
    async fn on<T, F>(&self, act: &str, intent: &Intent, call: F) -> Result<T, ProviderError>
    where
        T: Send + 'static,
        F: FnOnce(&Call<'_>, &StoragePool, &Intent) -> Result<T, Fault> + Send + 'static,
    {
        let guard = self.lock(&self.machine_lock(intent.machine), act).await?;
        let (pool, intent) = (self.settings.pool.clone(), intent.clone());
        let call = move |it: &Call<'_>| {
            let _guard = guard;
            call(it, &storage::pool(it.connect, &pool)?, &intent)
        };
        self.connection.run(act, CALL_LIMIT, call).await
    }

    /// Runs a call that needs the pool and no lock: because it changes nothing, or because its caller holds one.
    async fn within<T, F>(&self, act: &str, limit: Duration, call: F) -> Result<T, ProviderError>
    where
        T: Send + 'static,
        F: FnOnce(&Call<'_>, &StoragePool) -> Result<T, Fault> + Send + 'static,
    {
        let pool = self.settings.pool.clone();
        let call = move |it: &Call<'_>| call(it, &storage::pool(it.connect, &pool)?);
        self.connection.run(act, limit, call).await
    }

    /// Runs a call that changes a network.
    async fn on_network<F>(&self, act: &str, intent: &Intent, call: F) -> Result<(), ProviderError>
    where
        F: FnOnce(&Call<'_>, &str) -> Result<(), Fault> + Send + 'static,
    {
        let guard = self.lock(&self.networks, act).await?;
        let network = intent.network.network.clone();
        let call = move |it: &Call<'_>| {
            let _guard = guard;
            call(it, &network)
        };
        self.connection.run(act, CALL_LIMIT, call).await
    }

    /// The turn of one call about this image. Waiting for another machine's upload of it is the normal case, not a fault.
    async fn turn(&self, image: &ImageRef) -> OwnedMutexGuard<storage::Verified> {
        let lock = {
            let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(images.entry(image.sha256.clone()).or_default())
        };
        lock.lock_owned().await
    }

    async fn ensure_image(&self, act: &str, image: &ImageRef, progress: &Progress) -> Result<(), ProviderError> {
        let mut verified = self.turn(image).await;
        let (image, progress) = (image.clone(), progress.clone());
        let call = move |call: &Call<'_>, pool: &StoragePool| {
            storage::ensure_image(call, pool, &image, &mut verified, &progress)
        };
        self.within(act, IMAGE_LIMIT, call).await
    }

    async fn ensure_seed(&self, act: &str, intent: &Intent) -> Result<(), ProviderError> {
        let permanent = |reason: String| ProviderError::Permanent { act: act.to_owned(), reason };
        if intent.lacks_password() {
            return Err(permanent("the seed lacks the database's password".to_owned()));
        }
        let bytes = seed::volume(intent).map_err(|e| permanent(e.to_string()))?;
        let call = move |call: &Call<'_>, pool: &StoragePool, intent: &Intent| {
            let in_use = domain::in_use(call.connect, intent)?;
            storage::ensure_bytes(call.connect, pool, &volume_xml::seed_name(intent), &bytes, in_use)
        };
        self.on(act, intent, call).await
    }

    async fn ensure_name(&self, act: &str, intent: &Intent) -> Result<(), ProviderError> {
        let Some(record) = Record::of(intent) else { return Ok(()) };
        let wanted = record.clone();
        let call = move |call: &Call<'_>, network: &str| network::ensure_record(call.connect, network, &wanted);
        self.on_network(act, intent, call).await?;
        for name in &record.names {
            let asked = answer::name_answers(intent.network.dns, name, record.address).await;
            asked.map_err(|reason| ProviderError::Transient { act: act.to_owned(), reason })?;
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Provider for LibvirtHost {
    /// The processors and memory of the host, and the whole file system under the pool.
    async fn capacity(&self) -> Result<Capacity, ProviderError> {
        let act = format!("measuring host {}", self.connection.host());
        let pool = self.settings.pool.clone();
        let call = move |call: &Call<'_>| {
            let node = call.connect.get_node_info()?;
            let disk = storage::pool(call.connect, &pool)?.get_info()?.capacity;
            let bytes = |n: Option<u64>| n.and_then(|n| i64::try_from(n).ok()).and_then(Bytes::new);
            match (bytes(node.memory.checked_mul(1024)), bytes(Some(disk))) {
                (Some(memory), Some(disk)) => Ok(Capacity { vcpu: node.cpus, memory, disk }),
                _ => Err(Fault::Permanent("the host reports a size beyond all bounds".to_owned())),
            }
        };
        self.connection.run(&act, CALL_LIMIT, call).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(host = self.settings.name, %part, machine = %intent.machine))]
    async fn ensure(&self, part: Part, intent: &Intent) -> Result<(), ProviderError> {
        let act = format!("{part} of {}", intent.name);
        check(intent).map_err(|reason| ProviderError::Permanent { act: act.clone(), reason: reason.to_owned() })?;
        match part {
            Part::Image => self.ensure_image(&act, &intent.image, &Progress::default()).await,
            Part::Disk => {
                let call = |call: &Call<'_>, pool: &StoragePool, intent: &Intent| {
                    let in_use = domain::in_use(call.connect, intent)?;
                    storage::ensure_disk(call.connect, pool, intent, in_use)
                };
                self.on(&act, intent, call).await
            }
            Part::Seed => self.ensure_seed(&act, intent).await,
            // On a bridge that hosts share nobody gives addresses or names: they stand in the seed.
            Part::Address | Part::Name if intent.network.link != Link::Network => Ok(()),
            Part::Address => {
                let lease = Lease::of(intent);
                let call = move |call: &Call<'_>, network: &str| network::ensure_lease(call.connect, network, &lease);
                self.on_network(&act, intent, call).await
            }
            Part::Name => self.ensure_name(&act, intent).await,
            Part::Domain => {
                let setting = self.setting(&intent.network).await?;
                self.on(&act, intent, move |call, pool, intent| {
                    domain::ensure_defined(call.connect, pool, intent, &setting)
                })
                .await
            }
            Part::Power => {
                let setting = self.setting(&intent.network).await?;
                self.on(&act, intent, move |call, pool, intent| {
                    domain::ensure_running(call.connect, pool, intent, &setting)
                })
                .await
            }
            Part::Answer => {
                let answer = answer::ssh_answers(intent.network.address).await;
                answer.map_err(|reason| ProviderError::Transient { act: act.clone(), reason })?;
                match &intent.database {
                    Some(database) => database::answers(&act, database, intent.network.address).await,
                    None => Ok(()),
                }
            }
        }
    }

    #[tracing::instrument(level = "debug", skip_all, fields(host = self.settings.name, %part, machine = %intent.machine))]
    async fn remove(&self, part: Part, intent: &Intent) -> Result<(), ProviderError> {
        let act = format!("removing {part} of {}", intent.name);
        match part {
            Part::Image | Part::Answer => Ok(()),
            Part::Address | Part::Name if intent.network.link != Link::Network => Ok(()),
            Part::Disk => self.remove_volume(&act, intent, volume_xml::disk_name(intent)).await,
            Part::Seed => self.remove_volume(&act, intent, volume_xml::seed_name(intent)).await,
            Part::Address => {
                let lease = Lease::of(intent);
                let call = move |call: &Call<'_>, network: &str| network::remove_lease(call.connect, network, &lease);
                self.on_network(&act, intent, call).await
            }
            Part::Name => {
                let Some(record) = Record::of(intent) else { return Ok(()) };
                let call = move |call: &Call<'_>, network: &str| network::remove_record(call.connect, network, &record);
                self.on_network(&act, intent, call).await
            }
            Part::Domain => {
                self.on(&act, intent, |call, pool, intent| domain::remove_definition(call.connect, pool, intent)).await
            }
            Part::Power => self.on(&act, intent, |call, _, intent| domain::ensure_off(call.connect, intent)).await,
        }
    }

    #[tracing::instrument(level = "debug", skip_all, fields(host = self.settings.name, machine = %intent.machine))]
    async fn clear_seed(&self, intent: &Intent) -> Result<(), ProviderError> {
        let act = format!("clearing the seed of {}", intent.name);
        let permanent = |e: seed::SeedError| ProviderError::Permanent { act: act.clone(), reason: e.to_string() };
        let bytes = seed::volume(&intent.with_password(None)).map_err(permanent)?;
        let call = move |call: &Call<'_>, pool: &StoragePool, intent: &Intent| {
            storage::overwrite(call.connect, pool, &volume_xml::seed_name(intent), &bytes)
        };
        self.on(&act, intent, call).await
    }

    async fn observe(&self, intent: &Intent) -> Result<Observed, ProviderError> {
        let act = format!("looking at {}", intent.name);
        let intent = intent.clone();
        self.connection.run(&act, CALL_LIMIT, move |call| domain::observe(call.connect, &intent)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(host = self.settings.name, machine = %intent.machine))]
    async fn stop(&self, intent: &Intent, how: Stop) -> Result<(), ProviderError> {
        let act = format!("stopping {}", intent.name);
        if let Stop::Graceful(patience) = how {
            let deadline = Instant::now() + patience;
            while Instant::now() < deadline {
                let press =
                    |call: &Call<'_>, _: &StoragePool, intent: &Intent| domain::press_button(call.connect, intent);
                if self.on(&act, intent, press).await? {
                    return Ok(());
                }
                let again = deadline.min(Instant::now() + BUTTON_EVERY);
                while Instant::now() < again {
                    sleep(Duration::from_millis(250)).await;
                    if self.observe(intent).await? != Observed::Running {
                        break;
                    }
                }
            }
        }
        self.on(&act, intent, |call, _, intent| domain::ensure_off(call.connect, intent)).await
    }

    async fn list(&self) -> Result<Vec<Seen>, ProviderError> {
        let act = format!("listing host {}", self.settings.name);
        self.connection.run(&act, CALL_LIMIT, |call: &Call<'_>| domain::list(call.connect)).await
    }

    async fn readings(&self) -> Result<Readings, ProviderError> {
        let mut looks = self.meter.look().await?;
        self.agents.tell(&mut looks);
        Ok(looks.into_iter().map(|look| (look.machine, look.reading)).collect())
    }

    async fn changed(&self) {
        self.connection.changed().await;
    }

    #[tracing::instrument(level = "debug", skip_all, fields(host = self.settings.name, machine = %intent.machine))]
    async fn reboot(&self, intent: &Intent) -> Result<(), ProviderError> {
        let act = format!("rebooting {}", intent.name);
        self.on(&act, intent, |call, _, intent| domain::reboot(call.connect, intent)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(host = self.settings.name, machine = %intent.machine))]
    async fn reshape(&self, intent: &Intent) -> Result<(), ProviderError> {
        let act = format!("resizing {}", intent.name);
        check(intent).map_err(|reason| ProviderError::Permanent { act: act.clone(), reason: reason.to_owned() })?;
        let setting = self.setting(&intent.network).await?;
        let call = move |call: &Call<'_>, pool: &StoragePool, intent: &Intent| {
            domain::grow_disk(call.connect, pool, intent)?;
            domain::redefine(call.connect, pool, intent, &setting)
        };
        self.on(&act, intent, call).await
    }

    fn destination(&self) -> Destination {
        Destination::Libvirt(self.settings.clone())
    }

    #[tracing::instrument(level = "debug", skip_all, fields(host = self.settings.name, machine = %journey.from.machine))]
    async fn migrate(&self, journey: &Journey, report: &(dyn Fn(u8) + Send + Sync)) -> Result<(), ProviderError> {
        let progress = Progress::default();
        progress.told(report, self.travel(journey, &progress)).await
    }

    async fn images(&self) -> Result<Vec<String>, ProviderError> {
        let act = format!("listing the images of host {}", self.settings.name);
        self.within(&act, CALL_LIMIT, |_, pool| storage::ready_images(pool)).await
    }

    async fn has_image(&self, image: &ImageRef) -> Result<bool, ProviderError> {
        let (act, progress) = (format!("looking for image {}", image.sha256), Progress::default());
        let _waiting = progress.waited_for();
        let (mut verified, image, progress) = (self.turn(image).await, image.clone(), progress.clone());
        let call =
            move |call: &Call<'_>, pool: &StoragePool| storage::has_image(call, pool, &image, &mut verified, &progress);
        self.within(&act, IMAGE_LIMIT, call).await
    }

    async fn bring_image(&self, image: &ImageRef, report: &(dyn Fn(u8) + Send + Sync)) -> Result<(), ProviderError> {
        let (act, progress) = (format!("image {}", image.sha256), Progress::default());
        let _waiting = progress.waited_for();
        progress.told(report, self.ensure_image(&act, image, &progress)).await?;
        report(100);
        Ok(())
    }

    fn disks(&self) -> Option<&dyn Disks> {
        Some(self)
    }

    async fn console(&self, intent: &Intent, limit: usize) -> Result<String, ProviderError> {
        let act = format!("reading the console of {}", intent.name);
        let name = volume_xml::console_name(intent);
        let call = move |call: &Call<'_>, pool: &StoragePool| storage::tail(call.connect, pool, &name, limit as u64);
        let bytes = self.within(&act, CALL_LIMIT, call).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl LibvirtHost {
    /// A volume goes only when no domain can be using it.
    async fn remove_volume(&self, act: &str, intent: &Intent, name: String) -> Result<(), ProviderError> {
        let call = move |call: &Call<'_>, pool: &StoragePool, intent: &Intent| {
            domain::must_be_gone(call.connect, intent)?;
            storage::delete(pool, &name)
        };
        self.on(act, intent, call).await
    }
}

/// The second wall: what becomes a name on the host is of the shape that the domain rules have promised.
fn check(intent: &Intent) -> Result<(), &'static str> {
    let made_of = |text: &str, longest: usize, fits: fn(u8) -> bool| {
        !text.is_empty() && text.len() <= longest && text.bytes().all(fits)
    };
    let slug = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !made_of(&intent.name, 63, slug) || intent.name.starts_with('-') {
        return Err("the machine's name is not a slug");
    }
    let host_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    if intent.fqdn.as_ref().is_some_and(|name| !made_of(name, 253, host_name)) {
        return Err("the fully qualified name is not in ASCII form");
    }
    if intent.image.sha256.len() != 64 || !made_of(&intent.image.sha256, 64, |b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    {
        return Err("the image's digest is not a SHA-256");
    }
    let mac = intent.network.mac.split(':').collect::<Vec<_>>();
    if mac.len() != 6 || !mac.iter().all(|b| b.len() == 2 && made_of(b, 2, |b| b.is_ascii_hexdigit())) {
        return Err("the hardware address is malformed");
    }
    if !made_of(&intent.network.network, 64, |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        return Err("the network's name is malformed");
    }
    let identifier = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let named = |name: &str| made_of(name, 63, identifier) && name.starts_with(|c: char| c.is_ascii_lowercase());
    if intent.database.as_ref().is_some_and(|database| !named(&database.name) || !named(&database.role)) {
        return Err("the database's name or role is malformed");
    }
    if intent.vcpu == 0 || intent.memory.get() == 0 || intent.disk.get() == 0 {
        return Err("a machine needs processors, memory and a disk");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{
        DatabaseIntent, DatabaseStart,
        tests::{database, intent},
    };

    #[test]
    fn names_of_another_shape_never_reach_the_host() {
        assert_eq!(check(&intent()), Ok(()));
        let with = |change: fn(&mut Intent)| {
            let mut intent = intent();
            change(&mut intent);
            check(&intent)
        };
        assert!(with(|i| i.name = "../x".into()).is_err());
        assert!(with(|i| i.name = String::new()).is_err());
        assert!(with(|i| i.name = "a".repeat(64)).is_err());
        assert!(with(|i| i.name = "中".into()).is_err());
        assert!(with(|i| i.fqdn = Some("a b".into())).is_err());
        assert!(with(|i| i.image.sha256 = "../../etc/passwd".into()).is_err());
        assert!(with(|i| i.image.sha256.make_ascii_uppercase()).is_err());
        assert!(with(|i| i.network.mac = "52:54:00:00:00".into()).is_err());
        assert!(with(|i| i.network.network = "a'/>".into()).is_err());
        assert!(with(|i| i.vcpu = 0).is_err());
        for hostile in ["", "9a", "a b", "a\npassword=x", "A", "a-b", "a\"b"] {
            for change in [|d: &mut DatabaseIntent, name| d.name = name, |d: &mut DatabaseIntent, name| d.role = name] {
                let mut intent = database(DatabaseStart::Baked);
                assert_eq!(check(&intent), Ok(()));
                change(intent.database.as_mut().unwrap(), hostile.to_owned());
                assert!(check(&intent).is_err(), "{hostile:?}");
            }
        }
    }
}
