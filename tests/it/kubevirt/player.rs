//! `virt-controller`, played: an instance for each machine that is to run, with a status as KubeVirt writes it, and none for
//! the others. It knows nothing of the broker but the objects.

use kube::{
    Api, Client, Config,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio::task::JoinHandle;

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
    let addresses = AtomicU32::new(7);
    loop {
        // The API server may be down: then the next turn does it.
        let _ = turn(&client, &addresses).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn turn(client: &Client, addresses: &AtomicU32) -> Result<(), kube::Error> {
    let (vm, vmi) =
        (resource("VirtualMachine", "virtualmachines"), resource("VirtualMachineInstance", "virtualmachineinstances"));
    let all = ListParams::default();
    let machines = Api::<DynamicObject>::all_with(client.clone(), &vm).list(&all).await?;
    let instances = Api::<DynamicObject>::all_with(client.clone(), &vmi).list(&all).await?.items;
    for machine in machines {
        let (namespace, name) = (machine.metadata.namespace.clone().unwrap(), machine.metadata.name.clone().unwrap());
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), &namespace, &vmi);
        let there = instances
            .iter()
            .find(|i| i.metadata.namespace.as_ref() == Some(&namespace) && i.metadata.name.as_ref() == Some(&name));
        let wanted = machine.data["spec"]["runStrategy"] != "Halted";
        match there {
            None if wanted => {
                let template = &machine.data["spec"]["template"];
                let owner = json!([{"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "name": name,
                    "uid": machine.metadata.uid, "controller": true}]);
                let made: DynamicObject = serde_json::from_value(json!({"apiVersion": "kubevirt.io/v1",
                    "kind": "VirtualMachineInstance", "metadata": {"name": name, "namespace": namespace,
                        "labels": template["metadata"]["labels"], "ownerReferences": owner},
                    "spec": template["spec"]}))
                .expect("an instance");
                api.create(&PostParams::default(), &made).await?;
            }
            Some(_) if !wanted => {
                api.delete(&name, &DeleteParams::default()).await?;
            }
            Some(instance) if instance.data["status"]["phase"].is_null() => {
                let address = format!("10.244.1.{}", addresses.fetch_add(1, Ordering::Relaxed));
                let status = json!({"status": {"phase": "Running", "nodeName": "n1",
                    "interfaces": [{"name": "primary", "ipAddress": address, "ipAddresses": [address]}],
                    "conditions": [{"type": "Ready", "status": "True"}]}});
                api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status)).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// What an instance's status becomes, by somebody who is not the player.
pub async fn say(client: &Client, namespace: &str, name: &str, status: &Value) {
    let vmi = resource("VirtualMachineInstance", "virtualmachineinstances");
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &vmi);
    let patch = json!({"status": status});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await.expect("a status");
}
