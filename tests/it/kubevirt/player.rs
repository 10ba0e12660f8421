//! `virt-controller`, played: an instance for each machine that is to run, with a status as KubeVirt writes it, and none for
//! the others. It knows nothing of the broker but the objects, and like the real one it watches them.

use futures_util::{StreamExt, stream};
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{
        WatchStreamExt as _,
        reflector::{ObjectRef, Store, store::Writer},
        watcher,
    },
};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinHandle};

/// Objects acted on at once.
const WIDTH: usize = 16;
/// Before a failed act is tried again: the API server may be away.
const AGAIN: Duration = Duration::from_millis(200);
/// Between two looks at everything, which cost the API server nothing.
const LOOK_OVER: Duration = Duration::from_secs(2);

type Key = (String, String);

pub async fn client(kubeconfig: &Path) -> Client {
    jiyue::client::install_ciphers();
    let read = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.expect("a way in");
    Client::try_from(config).expect("a client")
}

pub fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "kubevirt.io".into(),
        version: "v1".into(),
        api_version: "kubevirt.io/v1".into(),
        kind: kind.into(),
        plural: plural.into(),
    }
}

fn machines() -> ApiResource {
    resource("VirtualMachine", "virtualmachines")
}

fn instances() -> ApiResource {
    resource("VirtualMachineInstance", "virtualmachineinstances")
}

/// Plays until it is dropped.
pub struct Player {
    task: JoinHandle<()>,
}

impl Drop for Player {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Player {
    pub async fn begin(kubeconfig: &Path) -> Self {
        Self { task: tokio::spawn(play(client(kubeconfig).await)) }
    }
}

async fn play(client: Client) {
    let (rings, rung) = mpsc::unbounded_channel::<Key>();
    let (vms, vmis) = (Writer::new(machines()), Writer::new(instances()));
    let stage = Arc::new(Stage {
        client: client.clone(),
        vms: vms.as_reader(),
        vmis: vmis.as_reader(),
        addresses: 0.into(),
        rings,
    });
    let acts = stream::unfold(rung, async |mut rung| Some((rung.recv().await?, rung)));
    let acting = acts.for_each_concurrent(WIDTH, |key| Arc::clone(&stage).act(key));
    tokio::join!(stage.hear(machines(), vms), stage.hear(instances(), vmis), stage.look_over(), acting);
}

struct Stage {
    client: Client,
    vms: Store<DynamicObject>,
    vmis: Store<DynamicObject>,
    addresses: AtomicU32,
    rings: mpsc::UnboundedSender<Key>,
}

impl Stage {
    fn ring(&self, object: &DynamicObject) {
        let _ = self.rings.send((object.namespace().unwrap_or_default(), object.name_any()));
    }

    async fn hear(&self, kind: ApiResource, writer: Writer<DynamicObject>) {
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &kind);
        let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).reflect(writer).touched_objects());
        while let Some(event) = events.next().await {
            match event {
                Ok(object) => self.ring(&object),
                // Without backoff it would ask a server that is away without end.
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// What was gone before a listing anew is in no event of it.
    async fn look_over(&self) {
        loop {
            tokio::time::sleep(LOOK_OVER).await;
            for machine in self.vms.state() {
                self.ring(&machine);
            }
        }
    }

    async fn act(self: Arc<Self>, key: Key) {
        if self.turn(&key).await.is_err() {
            tokio::time::sleep(AGAIN).await;
            let _ = self.rings.send(key);
        }
    }

    async fn turn(&self, (namespace, name): &Key) -> Result<(), kube::Error> {
        let find = |store: &Store<DynamicObject>, kind| store.get(&ObjectRef::new_with(name, kind).within(namespace));
        let Some(machine) = find(&self.vms, machines()) else { return Ok(()) };
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), namespace, &instances());
        let wanted = machine.data["spec"]["runStrategy"] != "Halted";
        let owned = |instance: &Arc<DynamicObject>| {
            instance.owner_references().iter().any(|owner| Some(&owner.uid) == machine.metadata.uid.as_ref())
        };
        match find(&self.vmis, instances()).filter(owned) {
            None if wanted => {
                let template = &machine.data["spec"]["template"];
                let owner = json!([{"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "name": name,
                    "uid": machine.metadata.uid, "controller": true}]);
                let made: DynamicObject = serde_json::from_value(json!({"apiVersion": "kubevirt.io/v1",
                    "kind": "VirtualMachineInstance", "metadata": {"name": name, "namespace": namespace,
                        "labels": template["metadata"]["labels"], "ownerReferences": owner},
                    "spec": template["spec"]}))
                .expect("an instance");
                settled(api.create(&PostParams::default(), &made).await.map(drop))
            }
            Some(_) if !wanted => settled(api.delete(name, &DeleteParams::default()).await.map(drop)),
            Some(instance) if instance.data["status"]["phase"].is_null() => {
                let number = self.addresses.fetch_add(1, Ordering::Relaxed);
                let address = format!("10.244.{}.{}", 1 + number / 240, 7 + number % 240);
                let status = json!({"status": {"phase": "Running", "nodeName": "n1",
                    "interfaces": [{"name": "primary", "ipAddress": address, "ipAddresses": [address]}],
                    "conditions": [{"type": "Ready", "status": "True"}]}});
                settled(api.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await.map(drop))
            }
            _ => Ok(()),
        }
    }
}

/// What our view was too old for is done already, and the watch tells of it.
fn settled(done: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match done {
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        done => done,
    }
}

/// What an instance's status becomes, by somebody who is not the player.
pub async fn say(client: &Client, namespace: &str, name: &str, status: &Value) {
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &instances());
    let patch = json!({"status": status});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await.expect("a status");
}
