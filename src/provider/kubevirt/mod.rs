//! Machines on a Kubernetes cluster that runs KubeVirt.
//!
//! One machine is one `VirtualMachine` in its department's namespace, told to run from the first, with a data volume template
//! cloned from the base image's claim, and a secret with its cloud-init documents. KubeVirt's own controllers do the rest; what they say in
//! `status` is all that is known of a guest here.
//!
//! What the broker's role has to grant, and nothing else:
//!
//! | API group | resources | verbs | where |
//! |---|---|---|---|
//! | `kubevirt.io` | `virtualmachines` | get, list, watch, create, patch, delete | all namespaces |
//! | `kubevirt.io` | `virtualmachineinstances` | get, list, watch, delete | all namespaces |
//! | (core) | `namespaces` | get, create, patch | cluster |
//! | (core) | `secrets` | get, create, patch, delete | departments' namespaces |
//! | (core) | `resourcequotas`, `limitranges` | patch, create | departments' namespaces |
//! | `networking.k8s.io` | `networkpolicies` | patch, create | departments' namespaces |
//! | (core) | `persistentvolumeclaims` | get, patch | departments' namespaces |
//! | (core) | `persistentvolumeclaims` | get, list, watch | the namespace of images |
//! | (core) | `nodes`, `pods` | list | cluster; not with a fixed grant |
//! | `storage.k8s.io` | `storageclasses` | get | cluster; only where one is named |
//!
//! Asking for one's own rights (`selfsubjectaccessreviews`) is everybody's. Server-side apply of what is not there yet asks
//! for `create` too. Departments' namespaces come as departments do, so there the rights are the cluster's. Not in it: host disks and host networks (a machine's
//! object asks for none), `virtualmachineexports`, everything of `subresources.kubevirt.io` (consoles, port forwarding,
//! start, stop, migrate), data volumes, pods beside listing them, `escalate`, `bind` and `impersonate`.

mod api;
mod building;
mod capacity;
mod marks;
mod objects;
mod quantity;
mod recent;
mod seen;
pub mod settings;
mod watch;
pub mod way_in;

pub use settings::{ClusterSettings, SCHEME, SettingsFault};

use super::{
    Capacity, Destination, Estate, ImageRef, Intent, Journey, Link, Observed, Part, Provider, ProviderError, Seen,
    Stop, Tenancy, reading::Readings,
};
use crate::ids::DepartmentId;
use api::{CLAIMS, CLASSES, Cluster, Created, INSTANCES, Kind, LIMITS, MACHINES, NAMESPACES, NODES, PODS, POLICIES};
use recent::Recent;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep};
use watch::Watches;

/// A department's place is looked after again when it was last made so long ago.
const PLACE_KEEPS: Duration = Duration::from_mins(5);
/// Between two looks at a machine that is on its way up or down.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// KubeVirt ends a guest that does not shut down; its own controllers take a moment besides.
const BEYOND_GRACE: Duration = Duration::from_secs(20);

/// What must be allowed for a cluster to be of use, by verb.
const RIGHTS: [(&str, Kind); 17] = [
    ("get", MACHINES),
    ("list", MACHINES),
    ("watch", MACHINES),
    ("create", MACHINES),
    ("patch", MACHINES),
    ("delete", MACHINES),
    ("list", INSTANCES),
    ("watch", INSTANCES),
    ("delete", INSTANCES),
    ("create", NAMESPACES),
    ("create", api::SECRETS),
    ("patch", api::SECRETS),
    ("delete", api::SECRETS),
    ("patch", api::QUOTAS),
    ("patch", LIMITS),
    ("patch", POLICIES),
    ("patch", CLAIMS),
];

/// Departments' places by namespace and zone, and when they were last made.
type Places = HashMap<(String, &'static str), (Estate, Instant)>;

/// A cluster that runs machines by `KubeVirt`. Clones are the same one, with the same watches.
#[derive(Clone, Debug)]
pub struct KubevirtCluster {
    settings: Arc<ClusterSettings>,
    cluster: Cluster,
    watches: Watches,
    /// Departments' places by namespace and zone, as they were last made.
    places: Arc<Mutex<Places>>,
    recent: Arc<Recent>,
}

impl KubevirtCluster {
    /// Does not connect yet.
    pub fn new(settings: ClusterSettings) -> Self {
        let settings = Arc::new(settings);
        let cluster = Cluster::new(Arc::clone(&settings));
        let watches = Watches::new(cluster.clone(), &settings.image_namespace);
        Self { watches, cluster, settings, places: Arc::default(), recent: Arc::default() }
    }

    /// Whether machines can be built here as far as can be told without building one: what is missing, in Chinese.
    pub async fn examine(&self) -> Result<Vec<String>, ProviderError> {
        let mut missing = Vec::new();
        for (verb, kind) in RIGHTS {
            if !self.cluster.may(verb, kind).await? {
                missing.push(format!("没有权限 {verb} {}", kind.plural));
            }
        }
        if missing.is_empty() {
            // A kind that is not served is an error of its own.
            self.cluster.list(INSTANCES, None).await?;
            self.cluster.list(CLAIMS, Some(&self.settings.image_namespace)).await?;
            let images = &self.settings.image_namespace;
            if self.cluster.get(NAMESPACES, None, images).await?.is_none() {
                missing.push(format!("没有存放镜像的命名空间 {images}"));
            }
            if let Some(class) = &self.settings.storage_class
                && self.cluster.get(CLASSES, None, class).await?.is_none()
            {
                missing.push(format!("没有存储类 {class}"));
            }
        }
        Ok(missing)
    }

    /// Where an intent's objects are. One that was made for a host is none of a cluster's.
    fn place_of<'a>(&self, act: &str, intent: &'a Intent) -> Result<(&'a Tenancy, String), ProviderError> {
        let on_cluster = matches!(intent.network.link, Link::Pod | Link::Attached { .. });
        match intent.tenancy.as_ref().filter(|_| on_cluster) {
            Some(tenancy) => Ok((tenancy, objects::namespace_of(&self.settings, tenancy))),
            None => Err(api::permanent(act, "the intent is of a host, not of a cluster".to_owned())),
        }
    }

    /// An object of the machine's own as it is now, if it is there. What is not ours is told, and left alone.
    async fn own(&self, kind: Kind, act: &str, intent: &Intent, name: &str) -> Result<Option<Value>, ProviderError> {
        let (_, namespace) = self.place_of(act, intent)?;
        match self.cluster.get(kind, Some(&namespace), name).await? {
            Some(object) if !marks::is_of(&object, intent) => Err(not_ours(kind, &namespace, name)),
            found => Ok(found),
        }
    }

    async fn machine(&self, act: &str, intent: &Intent) -> Result<Option<Value>, ProviderError> {
        self.own(MACHINES, act, intent, &intent.name).await
    }

    async fn required(&self, act: &str, intent: &Intent) -> Result<Value, ProviderError> {
        let missing = || api::permanent(act, "the virtual machine is not there".to_owned());
        self.machine(act, intent).await?.ok_or_else(missing)
    }

    /// The instance of a machine that is ours: one of the same name that another machine owns is none.
    async fn instance(&self, machine: &Value) -> Result<Option<Value>, ProviderError> {
        let meta = &machine["metadata"];
        let found = self.cluster.get(INSTANCES, meta["namespace"].as_str(), meta["name"].as_str().unwrap_or_default());
        Ok(found.await?.filter(|instance| is_owned(instance, machine)))
    }

    /// Makes an object, or finds that it is there and ours. The answer says whether it was made now.
    async fn made(
        &self,
        kind: Kind,
        act: &str,
        intent: &Intent,
        object: &Value,
    ) -> Result<(Value, bool), ProviderError> {
        let (_, namespace) = self.place_of(act, intent)?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if let Created::New(made) = self.cluster.create(kind, Some(&namespace), object).await? {
            return Ok((made, true));
        }
        match self.own(kind, act, intent, name).await? {
            Some(there) => Ok((there, false)),
            None => Err(ProviderError::Transient { act: act.to_owned(), reason: "it has just gone".to_owned() }),
        }
    }

    async fn strategy(&self, machine: &Value, word: &str) -> Result<(), ProviderError> {
        self.cluster.change(MACHINES, machine, &json!({"spec": {"runStrategy": word}})).await.map(drop)
    }

    /// Waits until this instance has gone; another one in its place is gone too.
    async fn gone(&self, act: &str, machine: &Value, instance: &Value, limit: Duration) -> Result<(), ProviderError> {
        let deadline = Instant::now() + limit;
        loop {
            match self.instance(machine).await? {
                Some(now) if now["metadata"]["uid"] == instance["metadata"]["uid"] && seen::is_alive(&now) => {}
                // On its way, with its guest still in it.
                Some(now) if now["metadata"]["uid"] == instance["metadata"]["uid"] && is_leaving(&now) => {}
                _ => return Ok(()),
            }
            if Instant::now() >= deadline {
                let reason = "it is still running".to_owned();
                return Err(ProviderError::Transient { act: act.to_owned(), reason });
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn halt(&self, act: &str, intent: &Intent, how: Stop) -> Result<(), ProviderError> {
        let Some(machine) = self.machine(act, intent).await? else { return Ok(()) };
        if seen::wants_to_run(&machine) {
            self.strategy(&machine, seen::OFF).await?;
        }
        let Some(instance) = self.instance(&machine).await? else { return Ok(()) };
        let patience = match how {
            Stop::Graceful(patience) => patience,
            Stop::Now => Duration::ZERO,
        };
        if !patience.is_zero() && self.gone(act, &machine, &instance, patience).await.is_ok() {
            return Ok(());
        }
        if seen::is_alive(&instance) || is_leaving(&instance) {
            self.cluster.delete(INSTANCES, &instance, Some(0)).await?;
        }
        self.gone(act, &machine, &instance, BEYOND_GRACE).await
    }

    /// A claim goes with its machine, by the cluster's own collector: what is still there is waited for.
    async fn disk_gone(&self, act: &str, intent: &Intent) -> Result<(), ProviderError> {
        let name = objects::disk_name(intent);
        match self.own(CLAIMS, act, intent, &name).await? {
            None => Ok(()),
            Some(_) => Err(ProviderError::Transient {
                act: act.to_owned(),
                reason: format!("the cluster has not removed the volume claim {name} yet"),
            }),
        }
    }

    async fn remove_own(&self, kind: Kind, act: &str, intent: &Intent, name: &str) -> Result<(), ProviderError> {
        let Some(object) = self.own(kind, act, intent, name).await? else { return Ok(()) };
        self.cluster.delete(kind, &object, None).await?;
        match self.cluster.get(kind, object["metadata"]["namespace"].as_str(), name).await? {
            Some(now) if now["metadata"]["uid"] == object["metadata"]["uid"] => {
                Err(ProviderError::Transient { act: act.to_owned(), reason: "it is still being removed".to_owned() })
            }
            _ => Ok(()),
        }
    }

    async fn grow(&self, act: &str, intent: &Intent) -> Result<(), ProviderError> {
        let Some(claim) = self.own(CLAIMS, act, intent, &objects::disk_name(intent)).await? else {
            return Err(api::permanent(act, "the volume claim is missing".to_owned()));
        };
        let asked = claim["spec"]["resources"]["requests"]["storage"].as_str().and_then(quantity::whole);
        if asked.is_some_and(|asked| asked >= intent.disk.get()) {
            return Ok(());
        }
        let storage = intent.disk.get().to_string();
        let change = json!({"spec": {"resources": {"requests": {"storage": storage}}}});
        self.cluster.change(CLAIMS, &claim, &change).await.map(drop)
    }

    /// A department's namespace, ours by its label: one that somebody else made under the name is left as it is.
    async fn ensure_namespace(&self, estate: &Estate) -> Result<(), ProviderError> {
        let (wanted, department) = (objects::namespace(&self.settings, estate), estate.tenancy.department);
        let name = objects::namespace_of(&self.settings, &estate.tenancy);
        if self.belongs(&name, department).await? {
            return Ok(());
        }
        if let Created::New(_) = self.cluster.create(NAMESPACES, None, &wanted).await? {
            tracing::info!(cluster = self.settings.name, namespace = name, "cluster.namespace.made");
            return Ok(());
        }
        let there = self.belongs(&name, department).await?;
        let gone =
            || ProviderError::Transient { act: format!("namespace {name}"), reason: "it has just gone".to_owned() };
        if there { Ok(()) } else { Err(gone()) }
    }

    async fn belongs(&self, namespace: &str, department: DepartmentId) -> Result<bool, ProviderError> {
        match self.cluster.get(NAMESPACES, None, namespace).await? {
            None => Ok(false),
            Some(there) if marks::is_of_department(&there, &department.text()) => Ok(true),
            Some(_) => Err(ProviderError::NotOurs { what: format!("namespace {namespace}") }),
        }
    }
}

fn not_ours(kind: Kind, namespace: &str, name: &str) -> ProviderError {
    ProviderError::NotOurs { what: format!("{} {namespace}/{name}", kind.plural) }
}

fn is_owned(instance: &Value, machine: &Value) -> bool {
    let owners = instance["metadata"]["ownerReferences"].as_array();
    owners.into_iter().flatten().any(|owner| owner["uid"] == machine["metadata"]["uid"])
}

/// Told to go, and not gone.
fn is_leaving(instance: &Value) -> bool {
    !instance["metadata"]["deletionTimestamp"].is_null()
        && !matches!(instance["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

#[async_trait::async_trait]
impl Provider for KubevirtCluster {
    fn keeps_departments_apart(&self) -> bool {
        true
    }

    /// What the cluster's own controllers make of the machine's object, or what its network gives.
    fn makes_by_itself(&self, part: Part) -> bool {
        matches!(part, Part::Disk | Part::Address | Part::Name)
    }

    fn starts_with(&self) -> Part {
        Part::Seed
    }

    #[tracing::instrument(level = "debug", skip_all, fields(cluster = self.settings.name, department = estate.tenancy.code))]
    async fn settle_in(&self, estate: &Estate) -> Result<(), ProviderError> {
        let key = (objects::namespace_of(&self.settings, &estate.tenancy), estate.tenancy.zone.word());
        let places = || self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |(kept, at): &(Estate, Instant)| {
            let same = Estate { tenancy: kept.tenancy.clone(), ..estate.clone() } == *kept;
            same && at.elapsed() < PLACE_KEEPS
        };
        if places().get(&key).is_some_and(fresh) {
            return Ok(());
        }
        self.ensure_namespace(estate).await?;
        for (kind, object) in [api::QUOTAS, LIMITS, POLICIES].into_iter().zip(objects::place(&self.settings, estate)) {
            self.cluster.apply(kind, &object).await?;
        }
        places().insert(key, (estate.clone(), Instant::now()));
        Ok(())
    }

    async fn capacity(&self) -> Result<Capacity, ProviderError> {
        let disk = self.settings.disk();
        if let Some((vcpu, memory)) = self.settings.grant() {
            return Ok(Capacity { vcpu, memory, disk });
        }
        let (nodes, pods) = (self.cluster.list(NODES, None).await?, self.cluster.list(PODS, None).await?);
        let act = format!("measuring cluster {}", self.settings.name);
        let unread = || api::permanent(&act, "what its nodes or pods say of their size cannot be read".to_owned());
        capacity::of(&nodes, &pods, disk).ok_or_else(unread)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(cluster = self.settings.name, %part, machine = %intent.machine))]
    async fn ensure(&self, part: Part, intent: &Intent) -> Result<(), ProviderError> {
        let act = format!("{part} of {}", intent.name);
        if intent.database.is_some() {
            return Err(api::permanent(&act, "a cluster delivers no databases: nobody could ask them".to_owned()));
        }
        match part {
            Part::Image if self.has_image(&intent.image).await? => Ok(()),
            Part::Image => Err(self.no_image(&intent.image)),
            Part::Seed => self.ensure_made(&act, intent).await,
            // The disk is made with the machine, by the cluster's own controllers: where somebody else's claim has its
            // name they make none, and say so. The cluster gives addresses on its pod network; on another one they stand
            // in the seed. Names are a DNS server's, where the settings name one.
            Part::Disk | Part::Address | Part::Name => Ok(()),
            Part::Domain => {
                match self.just_made(&act, intent)? {
                    Some(machine) => self.recent.note(MACHINES, machine),
                    None => drop(self.required_as_made(&act, intent).await?),
                }
                Ok(())
            }
            Part::Power => self.ensure_power(&act, intent).await,
            Part::Answer => self.answers(&act, intent).await,
        }
    }

    #[tracing::instrument(level = "debug", skip_all, fields(cluster = self.settings.name, %part, machine = %intent.machine))]
    async fn remove(&self, part: Part, intent: &Intent) -> Result<(), ProviderError> {
        let act = format!("removing {part} of {}", intent.name);
        match part {
            Part::Image | Part::Answer | Part::Address | Part::Name => Ok(()),
            Part::Power => self.halt(&act, intent, Stop::Now).await,
            Part::Domain => self.remove_own(MACHINES, &act, intent, &intent.name).await,
            Part::Seed | Part::Disk if self.machine(&act, intent).await?.is_some() => {
                Err(ProviderError::Transient { act, reason: "its virtual machine is still there".to_owned() })
            }
            Part::Seed => self.remove_own(api::SECRETS, &act, intent, &objects::seed_name(intent)).await,
            Part::Disk => self.disk_gone(&act, intent).await,
        }
    }

    async fn clear_seed(&self, intent: &Intent) -> Result<(), ProviderError> {
        self.clear_documents(&format!("clearing the seed of {}", intent.name), &intent.with_password(None)).await
    }

    async fn observe(&self, intent: &Intent) -> Result<Observed, ProviderError> {
        let (_, namespace) = self.place_of(&format!("looking at {}", intent.name), intent)?;
        let machine = self.cluster.get(MACHINES, Some(&namespace), &intent.name).await?;
        let instance = match &machine {
            Some(machine) => self.instance(machine).await?,
            None => None,
        };
        Ok(seen::observed(intent, machine.as_ref(), instance.as_ref()))
    }

    #[tracing::instrument(level = "debug", skip_all, fields(cluster = self.settings.name, machine = %intent.machine))]
    async fn stop(&self, intent: &Intent, how: Stop) -> Result<(), ProviderError> {
        self.halt(&format!("stopping {}", intent.name), intent, how).await
    }

    /// Machines in departments' namespaces, ours or not. A cluster's other namespaces are none of our business.
    async fn list(&self) -> Result<Vec<Seen>, ProviderError> {
        self.watches.list(|namespace| namespace.starts_with(&self.settings.namespace_prefix)).await
    }

    /// Nothing: machines on a cluster are measured by a usage source that reads KubeVirt's own figures.
    async fn readings(&self) -> Result<Readings, ProviderError> {
        Ok(Readings::default())
    }

    async fn changed(&self) {
        self.watches.changed().await;
    }

    /// The instance ends as at a shutdown, and KubeVirt makes the next one.
    #[tracing::instrument(level = "debug", skip_all, fields(cluster = self.settings.name, machine = %intent.machine))]
    async fn reboot(&self, intent: &Intent) -> Result<(), ProviderError> {
        let act = format!("rebooting {}", intent.name);
        let machine = self.required(&act, intent).await?;
        let Some(instance) = self.instance(&machine).await?.filter(seen::is_alive) else {
            return Err(api::permanent(&act, "it is not running".to_owned()));
        };
        self.cluster.delete(INSTANCES, &instance, None).await?;
        let limit = Duration::from_secs(objects::GRACE_SECONDS.into()) + BEYOND_GRACE;
        self.gone(&act, &machine, &instance, limit).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(cluster = self.settings.name, machine = %intent.machine))]
    async fn reshape(&self, intent: &Intent) -> Result<(), ProviderError> {
        let act = format!("resizing {}", intent.name);
        let machine = self.required(&act, intent).await?;
        self.grow(&act, intent).await?;
        self.cluster.change(MACHINES, &machine, &objects::resized(intent)).await.map(drop)
    }

    fn destination(&self) -> Destination {
        Destination::Cluster
    }

    async fn migrate(&self, journey: &Journey, _: &(dyn Fn(u8) + Send + Sync)) -> Result<(), ProviderError> {
        let act = format!("moving {}", journey.from.name);
        Err(api::permanent(&act, "a cluster moves its machines from node to node itself".to_owned()))
    }

    async fn images(&self) -> Result<Vec<String>, ProviderError> {
        let claims = self.watches.claims().await?;
        let name = |claim: &Value| claim["metadata"]["name"].as_str()?.strip_prefix("image-").map(str::to_owned);
        Ok(claims.iter().filter(|claim| is_filled(claim)).filter_map(name).collect())
    }

    async fn has_image(&self, image: &ImageRef) -> Result<bool, ProviderError> {
        let name = objects::image_name(&image.sha256);
        // Only a yes is believed of the watch. One that has just become untrue leaves a machine waiting for its disk, and
        // its build is undone.
        if self.watches.claim(&name).await?.as_ref().is_some_and(is_filled) {
            return Ok(true);
        }
        let claim = self.cluster.get(CLAIMS, Some(&self.settings.image_namespace), &name).await?;
        Ok(claim.as_ref().is_some_and(is_filled))
    }

    /// Looks whether it is there. A cluster's images are brought there by its operators.
    async fn bring_image(&self, image: &ImageRef, report: &(dyn Fn(u8) + Send + Sync)) -> Result<(), ProviderError> {
        if !self.has_image(image).await? {
            return Err(self.no_image(image));
        }
        report(100);
        Ok(())
    }

    async fn console(&self, intent: &Intent, _: usize) -> Result<String, ProviderError> {
        let act = format!("reading the console of {}", intent.name);
        Err(api::permanent(&act, "consoles of a cluster's machines are not in the broker's role".to_owned()))
    }
}

impl KubevirtCluster {
    fn no_image(&self, image: &ImageRef) -> ProviderError {
        let place = format!("{}/{}", self.settings.image_namespace, objects::image_name(&image.sha256));
        api::permanent("image", format!("the cluster has no bound volume claim {place}; its operators import it there"))
    }
}

/// Bound, and not still being written by an import.
fn is_filled(claim: &Value) -> bool {
    let import = claim["metadata"]["annotations"]["cdi.kubevirt.io/storage.pod.phase"].as_str();
    claim["status"]["phase"] == "Bound" && import.is_none_or(|phase| phase == "Succeeded")
}
