//! What a cluster has told us of its machines and images so far: three watches, kept up with backoff for as long as anybody asks.
//!
//! What they have may be old. It is good for looking, and for noticing that something is missing; whoever deletes or makes
//! anything reads it anew from the server first. And it is only believed while the watches stand: after a fault of one of
//! them, listings are made from the server until the watch has shown that it is back.

use super::{
    api::{CLAIMS, Cluster, INSTANCES, Kind, MACHINES},
    seen,
};
use crate::provider::{ProviderError, Seen};
use futures_util::StreamExt;
use kube::{
    Api,
    api::{ApiResource, DynamicObject},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::Instant,
};

/// The server ends a watch after so long and it begins anew where it was: a connection that died without a word is known
/// within this and a few seconds.
const WATCH_SECONDS: u32 = 60;
/// A watch that has not failed for so long stands: longer than it takes to notice that it does not.
const STANDS_AFTER: Duration = Duration::from_secs(75);

/// Objects by namespace and name.
type Objects = BTreeMap<(String, String), Value>;

/// What one watch has told.
#[derive(Debug, Default)]
struct Told {
    objects: Objects,
    /// What a listing under way has shown.
    coming: Objects,
    whole: bool,
    failed_at: Option<Instant>,
}

impl Told {
    fn take(&mut self, event: watcher::Event<DynamicObject>) {
        match event {
            watcher::Event::Apply(object) => self.objects.extend(entry(object)),
            watcher::Event::Delete(object) => {
                self.objects.remove(&key(&object));
            }
            watcher::Event::Init => self.coming.clear(),
            watcher::Event::InitApply(object) => self.coming.extend(entry(object)),
            watcher::Event::InitDone => {
                self.objects = std::mem::take(&mut self.coming);
                self.whole = true;
            }
        }
        self.failed_at = None;
    }

    fn stands(&self, now: Instant) -> bool {
        self.whole && self.failed_at.is_none_or(|at| now.duration_since(at) > STANDS_AFTER)
    }
}

fn key(object: &DynamicObject) -> (String, String) {
    let meta = &object.metadata;
    (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

fn entry(mut object: DynamicObject) -> Option<((String, String), Value)> {
    let key = key(&object);
    // Who wrote which field is more text than all the rest, and nobody here asks.
    object.metadata.managed_fields = None;
    let data = std::mem::take(&mut object.data);
    let mut read = serde_json::to_value(&object).ok()?;
    read.as_object_mut()?.extend(match data {
        Value::Object(fields) => fields,
        _ => serde_json::Map::new(),
    });
    Some((key, read))
}

#[derive(Debug, Default)]
struct State {
    machines: Mutex<Told>,
    instances: Mutex<Told>,
    /// Volume claims of the namespace of images.
    images: Mutex<Told>,
    news: Notify,
    /// How often one of them has told something.
    told: watch::Sender<u64>,
}

/// The watches of one cluster; they end with the last clone.
#[derive(Clone, Debug)]
pub struct Watches {
    cluster: Cluster,
    /// The namespace of images.
    images: Arc<str>,
    state: Arc<State>,
    tasks: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Drop for Watches {
    fn drop(&mut self) {
        if Arc::strong_count(&self.tasks) == 1 {
            for task in lock(&self.tasks).drain(..) {
                task.abort();
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Maps and flags: a panic in between leaves nothing that the next listing would not correct.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watches {
    pub fn new(cluster: Cluster, images: &str) -> Self {
        Self { cluster, images: images.into(), state: Arc::default(), tasks: Arc::default() }
    }

    /// Starts watching, once.
    async fn begin(&self) -> Result<(), ProviderError> {
        let client = self.cluster.client().await?.clone();
        let mut tasks = lock(&self.tasks);
        if !tasks.is_empty() {
            return Ok(());
        }
        for (kind, name) in [(MACHINES, "VirtualMachine"), (INSTANCES, "VirtualMachineInstance")] {
            let api = Api::<DynamicObject>::all_with(client.clone(), &resource(kind, name));
            tasks.push(tokio::spawn(follow(api, Arc::clone(&self.state), kind)));
        }
        let claims = ApiResource {
            group: String::new(),
            version: "v1".to_owned(),
            api_version: "v1".to_owned(),
            kind: "PersistentVolumeClaim".to_owned(),
            plural: CLAIMS.plural.to_owned(),
        };
        let api = Api::<DynamicObject>::namespaced_with(client, &self.images, &claims);
        tasks.push(tokio::spawn(follow(api, Arc::clone(&self.state), CLAIMS)));
        Ok(())
    }

    /// Whether what they have of machines can be believed.
    pub fn stand(&self) -> bool {
        let now = Instant::now();
        lock(&self.state.machines).stands(now) && lock(&self.state.instances).stands(now)
    }

    /// Changes with everything that they tell from now on.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.state.told.subscribe()
    }

    /// Every machine and its instance, of which `wanted` says whether its namespace is looked at. From what the watches
    /// have told while they stand, else from the server.
    pub async fn list(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<Seen>, ProviderError> {
        self.begin().await?;
        if self.stand() {
            let (machines, instances) = (lock(&self.state.machines), lock(&self.state.instances));
            return Ok(together(machines.objects.values(), &instances.objects, wanted));
        }
        // The instances first: one that has come in between is missed, and its machine looks as it was before.
        let instances = self.cluster.list(INSTANCES, None).await?;
        let machines = self.cluster.list(MACHINES, None).await?;
        let by_name = |object: Value| {
            let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
            ((text("namespace"), text("name")), object)
        };
        let instances: Objects = instances.into_iter().map(by_name).collect();
        Ok(together(machines.iter(), &instances, wanted))
    }

    /// The claims of the namespace of images.
    pub async fn claims(&self) -> Result<Vec<Value>, ProviderError> {
        self.begin().await?;
        let told = {
            let told = lock(&self.state.images);
            told.stands(Instant::now()).then(|| told.objects.values().cloned().collect())
        };
        match told {
            Some(claims) => Ok(claims),
            None => self.cluster.list(CLAIMS, Some(&self.images)).await,
        }
    }

    /// A claim of the namespace of images, while its watch stands and knows it.
    pub async fn claim(&self, name: &str) -> Result<Option<Value>, ProviderError> {
        self.begin().await?;
        let told = lock(&self.state.images);
        let key = (self.images.to_string(), name.to_owned());
        Ok(if told.stands(Instant::now()) { told.objects.get(&key).cloned() } else { None })
    }

    /// What `judge` makes of a machine and its instance as the watches have them, while they stand and know it.
    pub async fn peek<T>(
        &self,
        namespace: &str,
        name: &str,
        judge: impl FnOnce(&Value, Option<&Value>) -> T,
    ) -> Result<Option<T>, ProviderError> {
        self.begin().await?;
        let (machines, instances) = (lock(&self.state.machines), lock(&self.state.instances));
        let now = Instant::now();
        if !machines.stands(now) || !instances.stands(now) {
            return Ok(None);
        }
        let key = (namespace.to_owned(), name.to_owned());
        Ok(machines.objects.get(&key).map(|machine| judge(machine, instances.objects.get(&key))))
    }

    /// Returns when a watch has told something new.
    pub async fn changed(&self) {
        if self.begin().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.state.news.notified().await;
    }
}

fn resource(kind: Kind, name: &str) -> ApiResource {
    ApiResource {
        group: "kubevirt.io".to_owned(),
        version: "v1".to_owned(),
        api_version: "kubevirt.io/v1".to_owned(),
        kind: name.to_owned(),
        plural: kind.plural.to_owned(),
    }
}

async fn follow(api: Api<DynamicObject>, state: Arc<State>, kind: Kind) {
    let told = match kind {
        MACHINES => &state.machines,
        INSTANCES => &state.instances,
        _ => &state.images,
    };
    let config = watcher::Config::default().timeout(WATCH_SECONDS);
    let mut events = std::pin::pin!(watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                lock(told).take(event);
                state.news.notify_one();
                state.told.send_modify(|times| *times += 1);
            }
            Err(error) => {
                tracing::warn!(%error, kind = kind.plural, "cluster.watch.failed");
                lock(told).failed_at = Some(Instant::now());
            }
        }
    }
}

fn together<'a>(
    machines: impl Iterator<Item = &'a Value>,
    instances: &Objects,
    wanted: impl Fn(&str) -> bool,
) -> Vec<Seen> {
    let pair = |machine: &Value| {
        let text = |key: &str| machine["metadata"][key].as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text("namespace"), text("name"));
        wanted(&namespace).then(|| seen::seen(machine, instances.get(&(namespace, name))))
    };
    machines.filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str) -> DynamicObject {
        DynamicObject::new(name, &resource(MACHINES, "VirtualMachine")).within("jiyue-mzj")
    }

    #[test]
    fn a_listing_under_way_is_not_believed_and_a_fault_ends_belief() {
        let mut told = Told::default();
        let now = Instant::now();
        assert!(!told.stands(now));
        told.take(watcher::Event::Init);
        told.take(watcher::Event::InitApply(object("a")));
        assert!(!told.stands(now) && told.objects.is_empty());
        told.take(watcher::Event::InitDone);
        assert!(told.stands(now) && told.objects.len() == 1);
        told.take(watcher::Event::Apply(object("b")));
        told.take(watcher::Event::Delete(object("a")));
        assert_eq!(told.objects.keys().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), ["b"]);
        told.failed_at = Some(now);
        assert!(!told.stands(now + Duration::from_secs(5)));
        // A second listing, after a gap: what is not in it has gone, and only when it is whole.
        told.take(watcher::Event::Init);
        assert_eq!(told.objects.len(), 1);
        told.take(watcher::Event::InitDone);
        assert!(told.stands(now) && told.objects.is_empty());
    }

    #[test]
    fn a_watch_that_does_not_fail_any_more_stands_again() {
        let now = Instant::now();
        let told = Told { whole: true, failed_at: Some(now), ..Told::default() };
        assert!(!told.stands(now + STANDS_AFTER));
        assert!(told.stands(now + STANDS_AFTER + Duration::from_secs(1)));
    }
}
