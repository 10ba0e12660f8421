//! The objects of one machine and of a department's place, made of an intent alone: the same intent gives the same objects.

use super::{marks, seen, settings::ClusterSettings};
use crate::{
    labels::Zone,
    provider::{Estate, Intent, Link, Tenancy, seed},
};
use serde_json::{Map, Value, json};

/// What the virtual machine's pod needs beside the guest's memory: QEMU and libvirt themselves. KubeVirt adds some 250 MiB
/// and more for large guests; the quota leaves this much per machine.
const OVERHEAD_MIB: i64 = 512;
/// How long KubeVirt itself gives a guest that is told to shut down.
pub const GRACE_SECONDS: u32 = 120;
/// The name of the only card and of its network.
const CARD: &str = "primary";

/// The namespace of a department.
pub fn namespace_of(cluster: &ClusterSettings, tenancy: &Tenancy) -> String {
    format!("{}{}", cluster.namespace_prefix, tenancy.code)
}

/// The volume claim that holds a base image, in the namespace of images.
pub fn image_name(sha256: &str) -> String {
    format!("image-{sha256}")
}

pub fn seed_name(intent: &Intent) -> String {
    format!("{}-seed", intent.name)
}

pub fn disk_name(intent: &Intent) -> String {
    format!("{}-root", intent.name)
}

fn metadata(namespace: &str, name: &str, labels: &Map<String, Value>) -> Value {
    json!({"namespace": namespace, "name": name, "labels": labels})
}

/// The machine itself, told to run.
pub fn machine(cluster: &ClusterSettings, intent: &Intent, tenancy: &Tenancy) -> Value {
    let (namespace, name) = (namespace_of(cluster, tenancy), intent.name.as_str());
    let labels = marks::of(intent, name);
    let disk = disk_name(intent);
    let storage = {
        let mut storage = json!({"resources": {"requests": {"storage": intent.disk.get().to_string()}}});
        if let Some(class) = &cluster.storage_class {
            storage["storageClassName"] = class.as_str().into();
        }
        storage
    };
    json!({
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": metadata(&namespace, name, &labels),
        "spec": {
            "runStrategy": seen::ON,
            "dataVolumeTemplates": [{
                "metadata": {"name": disk, "labels": marks::of(intent, &disk)},
                "spec": {
                    "storage": storage,
                    "source": {"pvc": {"namespace": cluster.image_namespace, "name": image_name(&intent.image.sha256)}},
                },
            }],
            "template": {"metadata": {"labels": labels}, "spec": guest(intent, tenancy)},
        },
    })
}

fn guest(intent: &Intent, tenancy: &Tenancy) -> Value {
    let (interface, network) = card(intent);
    let mut spec = json!({
        "hostname": intent.name,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        // A node that is emptied sends it to another one, where that can be done.
        "evictionStrategy": "LiveMigrateIfPossible",
        "affinity": {"podAntiAffinity": apart(tenancy)},
        "domain": {
            "firmware": {"uuid": intent.machine.text()},
            "cpu": {"sockets": 1, "cores": intent.vcpu, "threads": 1},
            "memory": {"guest": intent.memory.get().to_string()},
            "devices": {
                "disks": [
                    {"name": "root", "bootOrder": 1, "disk": {"bus": "virtio"}},
                    {"name": "seed", "disk": {"bus": "virtio"}},
                ],
                "interfaces": [interface],
                "rng": {},
            },
        },
        "networks": [network],
        "volumes": [
            {"name": "root", "dataVolume": {"name": disk_name(intent)}},
            {"name": "seed", "cloudInitNoCloud": {
                "secretRef": {"name": seed_name(intent)}, "networkDataSecretRef": {"name": seed_name(intent)},
            }},
        ],
    });
    if intent.network.link == Link::Pod {
        // "Ready" then means that the guest answers by SSH: the node asks it, from within the cluster.
        spec["readinessProbe"] = json!({"tcpSocket": {"port": 22}, "periodSeconds": 5, "failureThreshold": 3});
    }
    spec
}

/// The interface and what it is attached to.
fn card(intent: &Intent) -> (Value, Value) {
    let network = &intent.network;
    if network.link == Link::Pod {
        let interface = json!({"name": CARD, "macAddress": network.mac, "masquerade": {}});
        (interface, json!({"name": CARD, "pod": {}}))
    } else {
        let interface = json!({"name": CARD, "macAddress": network.mac, "bridge": {}});
        (interface, json!({"name": CARD, "multus": {"networkName": network.network}}))
    }
}

/// Machines of one request keep off each other's nodes: where they can, or always.
fn apart(tenancy: &Tenancy) -> Value {
    let term = json!({
        "labelSelector": {"matchLabels": {marks::REQUEST: tenancy.request.text()}},
        "topologyKey": "kubernetes.io/hostname",
    });
    if tenancy.apart {
        json!({"requiredDuringSchedulingIgnoredDuringExecution": [term]})
    } else {
        json!({"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]})
    }
}

/// The cloud-init documents, as KubeVirt makes the guest's `NoCloud` disk of them; it writes the meta-data itself.
pub fn seed(cluster: &ClusterSettings, intent: &Intent, tenancy: &Tenancy) -> Result<Value, seed::SeedError> {
    let documents = seed::documents(intent)?;
    let name = seed_name(intent);
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(&namespace_of(cluster, tenancy), &name, &marks::of(intent, &name)),
        "type": "Opaque",
        "stringData": {"userdata": documents.user_data, "networkdata": documents.network_config},
    }))
}

/// The department's namespace.
pub fn namespace(cluster: &ClusterSettings, estate: &Estate) -> Value {
    let labels = marks::of_department(&estate.tenancy.department.text());
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace_of(cluster, &estate.tenancy), "labels": labels},
    })
}

/// What stands in the namespace for all machines: quota, limits, and the zone's policy.
pub fn place(cluster: &ClusterSettings, estate: &Estate) -> [Value; 3] {
    let namespace = namespace_of(cluster, &estate.tenancy);
    let labels = || marks::of_department(&estate.tenancy.department.text());
    let memory = estate.memory.get().saturating_add(estate.machines.saturating_mul(OVERHEAD_MIB << 20));
    let quota = json!({
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": metadata(&namespace, "jiyue", &labels()),
        // A machine in the bin is an object that does not run: what is counted is what runs.
        "spec": {"hard": {
            "count/virtualmachineinstances.kubevirt.io": estate.machines.to_string(),
            "requests.cpu": estate.vcpu.to_string(),
            "requests.memory": memory.to_string(),
            "requests.storage": estate.disk.get().to_string(),
        }},
    });
    let limits = json!({
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": metadata(&namespace, "jiyue", &labels()),
        // Under a quota every container must say what it asks for; helpers of KubeVirt's that do not get this.
        "spec": {"limits": [{"type": "Container", "defaultRequest": {"cpu": "100m", "memory": "128Mi"}}]},
    });
    [quota, limits, policy(&namespace, estate, &labels())]
}

fn policy(namespace: &str, estate: &Estate, labels: &Map<String, Value>) -> Value {
    let zone = estate.tenancy.zone;
    let within = json!({
        "namespaceSelector": {"matchLabels": {"app.kubernetes.io/managed-by": marks::MANAGER}},
        "podSelector": {"matchLabels": {marks::ZONE: zone.word()}},
    });
    let broker = json!({"namespaceSelector": {"matchLabels": {marks::BROKER: "true"}}});
    let names = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}});
    // Outside the cluster's pods: people who use the machines, and what those use.
    let outside = json!({"ipBlock": {"cidr": "0.0.0.0/0", "except": [estate.range.to_string()]}});
    let dns = json!([{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]);
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(namespace, &policy_name(zone), labels),
        "spec": {
            "podSelector": {"matchLabels": {marks::ZONE: zone.word()}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [within.clone(), broker, outside.clone()]}],
            "egress": [{"to": [within, outside]}, {"to": [names], "ports": dns}],
        },
    })
}

fn policy_name(zone: Zone) -> String {
    format!("zone-{}", zone.word().replace('_', "-"))
}

/// What makes a machine that is there one of another size. The disk grows by its claim.
pub fn resized(intent: &Intent) -> Value {
    json!({"spec": {"template": {"spec": {"domain": {
        "cpu": {"sockets": 1, "cores": intent.vcpu, "threads": 1},
        "memory": {"guest": intent.memory.get().to_string()},
    }}}}})
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        ids::{DepartmentId, RequestId},
        provider::tests::intent,
        units::Bytes,
    };

    pub fn cluster() -> ClusterSettings {
        ClusterSettings {
            name: "c1".into(),
            storage_class: Some("fast".into()),
            disk_gib: 1000,
            ..ClusterSettings::default()
        }
    }

    pub fn tenancy() -> Tenancy {
        let id = |last: u8| format!("01890000-0000-7000-8000-0000000000{last:02x}").parse().unwrap();
        Tenancy {
            department: DepartmentId(id(3)),
            code: "mzj".into(),
            request: RequestId(id(4)),
            zone: Zone::GovernmentExtranet,
            apart: false,
        }
    }

    pub fn on_cluster() -> Intent {
        let mut intent = Intent { tenancy: Some(tenancy()), ..intent() };
        intent.network.link = Link::Pod;
        intent.network.network = "pod".into();
        intent
    }

    fn estate() -> Estate {
        Estate {
            tenancy: tenancy(),
            machines: 20,
            vcpu: 64,
            memory: Bytes::gib(128).unwrap(),
            disk: Bytes::gib(2000).unwrap(),
            range: "10.244.0.0/16".parse().unwrap(),
        }
    }

    #[test]
    fn a_machine_s_objects_are_as_agreed() {
        let intent = on_cluster();
        insta::assert_json_snapshot!("machine", machine(&cluster(), &intent, &tenancy()));
        insta::assert_json_snapshot!("seed", seed(&cluster(), &intent, &tenancy()).unwrap());
        assert_eq!(machine(&cluster(), &intent, &tenancy()), machine(&cluster(), &intent, &tenancy()));
    }

    #[test]
    fn a_department_s_place_is_as_agreed() {
        insta::assert_json_snapshot!("namespace", namespace(&cluster(), &estate()));
        insta::assert_json_snapshot!("place", place(&cluster(), &estate()));
    }

    #[test]
    fn beside_the_pod_network_the_address_stands_in_the_seed() {
        let mut intent = on_cluster();
        intent.network.link = Link::Attached { prefix: 24 };
        intent.network.network = "networks/extranet".into();
        let made = machine(&cluster(), &intent, &Tenancy { apart: true, ..tenancy() });
        let spec = &made["spec"]["template"]["spec"];
        assert_eq!(spec["networks"], json!([{"name": "primary", "multus": {"networkName": "networks/extranet"}}]));
        assert_eq!(spec["domain"]["devices"]["interfaces"][0]["bridge"], json!({}));
        assert_eq!(spec["readinessProbe"], Value::Null);
        let required = &spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        assert_eq!(required[0]["topologyKey"], "kubernetes.io/hostname");
        let seed = seed(&cluster(), &intent, &tenancy()).unwrap();
        assert!(seed["stringData"]["networkdata"].as_str().unwrap().contains("10.8.0.5/24"), "{seed}");
    }

    #[test]
    fn nothing_of_a_node_s_own_is_ever_asked_for() {
        let text = machine(&cluster(), &on_cluster(), &tenancy()).to_string();
        for word in ["hostDisk", "hostDevices", "hostNetwork", "instancetype", "serviceAccount", "kernelBoot"] {
            assert!(!text.contains(word), "{word}");
        }
    }
}
