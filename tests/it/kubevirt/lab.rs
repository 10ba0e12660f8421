//! A control plane with KubeVirt's custom resources, and a role for the broker that grants what the provider says it needs
//! and nothing else. KubeVirt itself is not there: `virt-controller` is played by [`Player`], which writes what it would.

use crate::support::control_plane::ControlPlane;
use jiyue::{
    ids::{DepartmentId, MachineId, OperationId, RequestId},
    labels::Zone,
    provider::{
        ImageFormat, ImageRef, Intent, Link, NetworkIntent, Tenancy,
        kubevirt::{ClusterSettings, KubevirtCluster},
    },
    units::Bytes,
};
use serde_json::{Map, Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

pub const IMAGES: &str = "jiyue-images";

pub struct Lab {
    pub plane: ControlPlane,
    pub kubeconfig: PathBuf,
    /// Whether the CRDs are KubeVirt's own.
    pub genuine: bool,
}

impl Lab {
    pub async fn start() -> Self {
        let plane = ControlPlane::start().await;
        let genuine = install_crds(&plane);
        for crd in ["virtualmachines.kubevirt.io", "virtualmachineinstances.kubevirt.io"] {
            plane.done("admin", &["wait", "--for=condition=Established", &format!("crd/{crd}"), "--timeout=60s"], "");
        }
        // What the API server serves is known to it a moment later than it says so.
        until("the machines are served", || plane.kubectl("admin", &["get", "vm,vmi", "-A"]).status.success()).await;
        plane.done("admin", &["create", "namespace", IMAGES], "");
        plane.done("admin", &["apply", "-f", "-"], &role().to_string());
        let kubeconfig = plane.kubeconfig("broker", None);
        fs::set_permissions(&kubeconfig, fs::Permissions::from_mode(0o600)).expect("the file is ours");
        // Roles are known to the server a moment after they are written.
        let may = |verb: &str, what: &str, space: &str| {
            let out = plane.kubectl("broker", &["auth", "can-i", verb, what, "-n", space]);
            out.status.success()
        };
        until("the role counts", || may("patch", "pvc", "default") && may("watch", "pvc", IMAGES)).await;
        Self { plane, kubeconfig, genuine }
    }

    pub fn settings(&self) -> ClusterSettings {
        ClusterSettings {
            name: "c1".into(),
            kubeconfig: Some(self.kubeconfig.clone()),
            namespace_prefix: "jiyue-".into(),
            image_namespace: IMAGES.into(),
            storage_class: Some("fast".into()),
            disk_gib: 1000,
            vcpu: Some(64),
            memory_gib: Some(256),
            ..ClusterSettings::default()
        }
    }

    pub fn provider(&self) -> KubevirtCluster {
        KubevirtCluster::new(self.settings())
    }

    /// The storage class of machines' disks, which can grow.
    pub fn storage_class(&self) {
        let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"},
            "provisioner": "nobody.test/none", "allowVolumeExpansion": true});
        self.plane.done("admin", &["apply", "-f", "-"], &class.to_string());
    }

    /// A base image as an operator would have imported it: a claim that is really bound, to a volume that nobody reads.
    pub async fn image(&self, sha256: &str) {
        let name = format!("image-{sha256}");
        self.claim(IMAGES, &name, &json!({}), "1Gi", &Value::Null).await;
    }

    pub async fn claim(&self, namespace: &str, name: &str, labels: &Value, size: &str, owners: &Value) {
        let volume = format!("{namespace}-{name}");
        let volume = &volume[..volume.len().min(200)];
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"namespace": namespace, "name": name, "labels": labels, "ownerReferences": owners},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "volumeName": volume,
                "resources": {"requests": {"storage": size}}}});
        let pv = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "capacity": {"storage": size},
                "hostPath": {"path": "/nonexistent"}, "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": namespace, "name": name}}});
        let both = json!({"apiVersion": "v1", "kind": "List", "items": [pv, claim]});
        self.plane.done("admin", &["apply", "-f", "-"], &both.to_string());
        let args = ["get", "pvc", name, "-n", namespace, "-o", "jsonpath={.status.phase}"];
        until("the claim is bound", || self.plane.done("admin", &args, "") == "Bound").await;
    }

    pub fn get(&self, namespace: &str, kind: &str, name: &str) -> Option<Value> {
        self.plane.read(&format!("{}/{name}", folder(kind, Some(namespace))))
    }

    /// All of a kind in a namespace.
    pub fn all(&self, namespace: &str, kind: &str) -> Vec<Value> {
        self.items(&folder(kind, Some(namespace)))
    }

    fn items(&self, path: &str) -> Vec<Value> {
        let list = self.plane.read(path).unwrap_or_else(|| panic!("no list at {path}"));
        list["items"].as_array().expect("items").clone()
    }

    /// Namespaces and names of all of a kind.
    pub fn names(&self, kind: &str) -> Vec<String> {
        let text = |object: &Value, key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
        let all = self.items(&folder(kind, None));
        all.iter().map(|object| format!("{}/{}", text(object, "namespace"), text(object, "name"))).collect()
    }
}

/// Where objects of a kind are, by the short names of `kubectl`.
fn folder(kind: &str, namespace: Option<&str>) -> String {
    let (group, plural) = match kind {
        "vm" => ("apis/kubevirt.io/v1", "virtualmachines"),
        "vmi" => ("apis/kubevirt.io/v1", "virtualmachineinstances"),
        "secret" => ("api/v1", "secrets"),
        "pvc" => ("api/v1", "persistentvolumeclaims"),
        "quota" => ("api/v1", "resourcequotas"),
        "limitrange" => ("api/v1", "limitranges"),
        "networkpolicy" => ("apis/networking.k8s.io/v1", "networkpolicies"),
        "rr" => ("apis/cloud.jiyue.io/v1alpha1", "resourcerequests"),
        "jm" => ("apis/cloud.jiyue.io/v1alpha1", "machines"),
        _ => panic!("nobody asked for {kind} yet"),
    };
    let place = namespace.map(|namespace| format!("namespaces/{namespace}/")).unwrap_or_default();
    format!("/{group}/{place}{plural}")
}

pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// KubeVirt's own definitions where they are, else ones of just the fields that we send.
fn install_crds(plane: &ControlPlane) -> bool {
    let folder = std::env::var_os("KUBEVIRT_CRDS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/kubevirt"), PathBuf::from);
    let files = ["virtualmachine-crd.json", "virtualmachineinstance-crd.json"].map(|name| folder.join(name));
    if files.iter().all(|file| file.exists()) {
        for file in files {
            let file = file.to_str().expect("a path in UTF-8");
            plane.done("admin", &["apply", "--server-side", "-f", file], "");
        }
        return true;
    }
    assert!(std::env::var_os("KUBEVIRT_CRDS").is_none(), "KUBEVIRT_CRDS names no folder with {files:?}");
    eprintln!("KubeVirt's own CRDs are not here (KUBEVIRT_CRDS): only the fields that we send are checked, by ours");
    let pod = include_str!(
        "../../../src/provider/kubevirt/snapshots/jiyue__provider__kubevirt__objects__tests__machine.snap"
    );
    let sent: Value = serde_json::from_str(pod.splitn(3, "---\n").nth(2).expect("a snapshot")).expect("JSON");
    let mut spec = shape(&sent["spec"]);
    // A free form in the original too.
    for path in
        ["/properties/template/properties/metadata", "/properties/dataVolumeTemplates/items/properties/metadata"]
    {
        *spec.pointer_mut(path).expect("in what we send") =
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    }
    let free = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    for (plural, kind, short, spec) in [
        ("virtualmachines", "VirtualMachine", "vm", spec),
        ("virtualmachineinstances", "VirtualMachineInstance", "vmi", free.clone()),
    ] {
        let schema = json!({"type": "object", "properties": {"spec": spec, "status": free}});
        let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.kubevirt.io")},
            "spec": {"group": "kubevirt.io", "scope": "Namespaced",
                "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "shortNames": [short]},
                "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema}}]}});
        plane.done("admin", &["apply", "--server-side", "-f", "-"], &crd.to_string());
    }
    false
}

/// A schema that takes this value and no field beside it.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let properties: Map<_, _> = fields.iter().map(|(key, value)| (key.clone(), shape(value))).collect();
            json!({"type": "object", "properties": properties})
        }
        Value::Array(items) => {
            let mut properties = Map::new();
            for item in items.iter().map(shape) {
                properties.extend(item["properties"].as_object().cloned().unwrap_or_default());
            }
            json!({"type": "array", "items": {"type": "object", "properties": properties}})
        }
        Value::Number(_) => json!({"type": "integer"}),
        Value::Bool(_) => json!({"type": "boolean"}),
        _ => json!({"type": "string"}),
    }
}

/// What stands at the head of the provider, as a role; bound to the user `broker`.
pub fn role() -> Value {
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    let wide = [
        rule("kubevirt.io", &["virtualmachines"], &["get", "list", "watch", "create", "patch", "delete"]),
        rule("kubevirt.io", &["virtualmachineinstances"], &["get", "list", "watch", "delete"]),
        rule("", &["namespaces"], &["get", "create", "patch"]),
        rule("", &["secrets"], &["get", "create", "patch", "delete"]),
        rule("", &["resourcequotas", "limitranges"], &["patch", "create"]),
        rule("networking.k8s.io", &["networkpolicies"], &["patch", "create"]),
        rule("", &["persistentvolumeclaims"], &["get", "patch"]),
        rule("", &["nodes", "pods"], &["list"]),
        rule("storage.k8s.io", &["storageclasses"], &["get"]),
    ];
    let subjects = json!([{"kind": "User", "name": "broker", "apiGroup": "rbac.authorization.k8s.io"}]);
    let reference = |kind: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "jiyue"});
    let version = "rbac.authorization.k8s.io/v1";
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": version, "kind": "ClusterRole", "metadata": {"name": "jiyue"}, "rules": wide},
        {"apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": "jiyue"},
            "roleRef": reference("ClusterRole"), "subjects": subjects},
        {"apiVersion": version, "kind": "Role", "metadata": {"name": "jiyue", "namespace": IMAGES},
            "rules": [rule("", &["persistentvolumeclaims"], &["get", "list", "watch"])]},
        {"apiVersion": version, "kind": "RoleBinding", "metadata": {"name": "jiyue", "namespace": IMAGES},
            "roleRef": reference("Role"), "subjects": subjects},
    ]})
}

/// A machine of a department, by its code, on the pod network at 10.244 and these.
pub fn intent(code: &str, name: &str, [high, low]: [u8; 2]) -> Intent {
    Intent {
        machine: MachineId::new(),
        operation: OperationId::new(),
        name: name.into(),
        fqdn: None,
        vcpu: 2,
        memory: Bytes::gib(4).unwrap(),
        disk: Bytes::gib(10).unwrap(),
        image: ImageRef {
            sha256: "ab".repeat(32),
            format: ImageFormat::Qcow2,
            size: Bytes::mib(17).unwrap(),
            path: "/nonexistent".into(),
        },
        network: NetworkIntent {
            network: "pod".into(),
            link: Link::Pod,
            mac: format!("52:54:0a:f4:{high:02x}:{low:02x}"),
            address: [10, 244, high, low].into(),
            gateway: [10, 244, 0, 1].into(),
            dns: [10, 244, 0, 1].into(),
        },
        ssh_keys: vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExampleExam a".into()],
        database: None,
        tenancy: Some(Tenancy {
            department: DepartmentId("01890000-0000-7000-8000-000000000003".parse().unwrap()),
            code: code.into(),
            request: RequestId::new(),
            zone: Zone::GovernmentExtranet,
            apart: false,
        }),
        imported: None,
    }
}
