//! What the cluster shows of requests, mirrors, machines and instances: by watches, so that looking costs the API server
//! the same for all who are measured.

use crate::player::resource;
use futures_util::StreamExt;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
    runtime::{
        WatchStreamExt as _,
        reflector::{Store, store::Writer},
        watcher,
    },
};
use serde_json::Value;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub fn ours(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "cloud.jiyue.io".into(),
        version: "v1alpha1".into(),
        api_version: "cloud.jiyue.io/v1alpha1".into(),
        kind: kind.into(),
        plural: plural.into(),
    }
}

pub struct View {
    requests: Store<DynamicObject>,
    mirrors: Store<DynamicObject>,
    machines: Store<DynamicObject>,
    instances: Store<DynamicObject>,
}

impl View {
    pub fn begin(client: &Client) -> Self {
        Self {
            requests: watched(client, ours("ResourceRequest", "resourcerequests")),
            mirrors: watched(client, ours("Machine", "machines")),
            machines: watched(client, resource("VirtualMachine", "virtualmachines")),
            instances: watched(client, resource("VirtualMachineInstance", "virtualmachineinstances")),
        }
    }

    /// Requests of a namespace that are in a phase; delivered ones only once they are ready.
    pub fn requests(&self, namespace: &str, phase: &str) -> Vec<Value> {
        let is = |object: &&Arc<DynamicObject>| {
            let status = &object.data["status"];
            let conditions = status["conditions"].as_array().into_iter().flatten();
            let ready = conditions.into_iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
            of(object, namespace) && status["phase"] == phase && (phase != "Delivered" || ready)
        };
        self.requests.state().iter().filter(is).map(|object| object.data.clone()).collect()
    }

    /// Mirrors of a namespace that say of their machine that it runs.
    pub fn mirrors(&self, namespace: &str) -> usize {
        count(&self.mirrors, namespace, |object| object["status"]["phase"] == "Running")
    }

    /// Machines of a namespace that are told to run.
    pub fn machines_on(&self, namespace: &str) -> usize {
        count(&self.machines, namespace, |object| object["spec"]["runStrategy"] != "Halted")
    }

    /// An instance's status, once it runs.
    pub fn runs(&self, namespace: &str, name: &str) -> bool {
        let key = kube::runtime::reflector::ObjectRef::new_with(
            name,
            resource("VirtualMachineInstance", "virtualmachineinstances"),
        );
        self.instances.get(&key.within(namespace)).is_some_and(|one| one.data["status"]["phase"] == "Running")
    }
}

fn of(object: &DynamicObject, namespace: &str) -> bool {
    object.metadata.namespace.as_deref() == Some(namespace)
}

fn count(store: &Store<DynamicObject>, namespace: &str, is: impl Fn(&Value) -> bool) -> usize {
    store.state().iter().filter(|object| of(object, namespace) && is(&object.data)).count()
}

fn watched(client: &Client, kind: ApiResource) -> Store<DynamicObject> {
    let api = Api::<DynamicObject>::all_with(client.clone(), &kind);
    let writer = Writer::new(kind);
    let store = writer.as_reader();
    tokio::spawn(async move {
        let events = watcher(api, watcher::Config::default()).default_backoff().reflect(writer);
        events.for_each(|_| std::future::ready(())).await;
    });
    store
}

pub async fn until(limit: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < limit, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
