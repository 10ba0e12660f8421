//! What a cluster is given: `manifests/`, built by kustomize as users build it, applied to a real API server, and held against
//! the real program in the real image. No pod runs here: what a kubelet would do with the container, the test does.

mod apply;
mod image;
mod process;
mod rights;

use crate::support::{control_plane, scratch};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What users can put together of `manifests/`: the resources, then the components.
const COMPOSITIONS: [(&[&str], &[&str]); 4] = [
    (&["base"], &[]),
    (&["overlays/postgres"], &[]),
    (&["base", "overlays/monitoring", "overlays/requests"], &["components/tls"]),
    (
        &["overlays/postgres", "overlays/kubevirt", "overlays/monitoring", "overlays/hosts", "overlays/requests"],
        &["components/tls"],
    ),
];

/// A kustomization's objects.
pub struct Built {
    pub text: String,
    pub objects: Vec<Value>,
}

fn kustomize(folder: &Path) -> Output {
    Command::new(control_plane::programs().join("kubectl")).arg("kustomize").arg(folder).output().expect("kubectl runs")
}

/// Folders of `manifests/` as a kustomization of one's own names them.
#[track_caller]
pub fn build(resources: &[&str], components: &[&str]) -> Built {
    let folder = scratch("kustomize");
    // Paths of other kustomizations have to be relative.
    let up = "../".repeat(folder.components().count() - 1);
    let list = |names: &[&str]| -> Vec<String> {
        names
            .iter()
            .map(|name| format!("{up}{}/manifests/{name}", repository().display().to_string().trim_start_matches('/')))
            .collect()
    };
    let mine = serde_json::json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": list(resources), "components": list(components),
    });
    fs::write(folder.join("kustomization.yaml"), mine.to_string()).expect("written");
    let out = kustomize(&folder);
    let told = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && told.is_empty(), "{resources:?} {components:?}: {told}");
    let text = String::from_utf8(out.stdout).expect("UTF-8");
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    assert!(!objects.is_empty(), "{resources:?}");
    Built { text, objects }
}

impl Built {
    pub fn of_kind<'a, 'k>(&'a self, kind: &'k str) -> impl Iterator<Item = &'a Value> + use<'a, 'k> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    #[track_caller]
    pub fn only(&self, kind: &str) -> &Value {
        let all: Vec<_> = self.of_kind(kind).collect();
        assert_eq!(all.len(), 1, "{kind}: {all:#?}");
        all[0]
    }

    /// Whatever makes the broker's pods.
    #[track_caller]
    pub fn workload(&self) -> &Value {
        let all: Vec<_> = self.objects.iter().filter(|object| object["spec"]["template"]["spec"].is_object()).collect();
        assert_eq!(all.len(), 1, "{all:#?}");
        all[0]
    }

    pub fn pod(&self) -> &Value {
        &self.workload()["spec"]["template"]["spec"]
    }

    pub fn container(&self) -> &Value {
        let containers = self.pod()["containers"].as_array().expect("containers");
        assert_eq!(containers.len(), 1);
        &containers[0]
    }

    /// The program and all its arguments.
    pub fn command_line(&self) -> Vec<String> {
        let words = |key: &str| self.container()[key].as_array().cloned().unwrap_or_default();
        let all = words("command").into_iter().chain(words("args"));
        all.map(|word| word.as_str().expect("a word").to_owned()).collect()
    }

    /// The container's variables; those from secrets have the values given here.
    pub fn variables(&self, secrets: &BTreeMap<&str, String>) -> Vec<(String, String)> {
        let all = self.container()["env"].as_array().cloned().unwrap_or_default();
        let each = all.iter().map(|variable| {
            let reference = &variable["valueFrom"]["secretKeyRef"];
            let value = variable["value"].as_str().map_or_else(
                || {
                    assert_ne!(reference["optional"], true, "without its secret no pod starts");
                    let name =
                        format!("{}/{}", reference["name"].as_str().unwrap(), reference["key"].as_str().unwrap());
                    secrets.get(name.as_str()).unwrap_or_else(|| panic!("nobody has made {name}")).clone()
                },
                str::to_owned,
            );
            (variable["name"].as_str().expect("a name").to_owned(), value)
        });
        each.collect()
    }

    /// What is mounted where: the path, the volume itself, and whether it is read-only.
    pub fn mounts(&self) -> Vec<(String, Value, bool)> {
        let volumes = self.pod()["volumes"].as_array().cloned().unwrap_or_default();
        let mounts = self.container()["volumeMounts"].as_array().cloned().unwrap_or_default();
        let each = mounts.iter().map(|mount| {
            let claims = self.workload()["spec"]["volumeClaimTemplates"].as_array().cloned().unwrap_or_default();
            let claim = claims.into_iter().find(|claim| claim["metadata"]["name"] == mount["name"]);
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).cloned();
            let volume = volume.or(claim).unwrap_or_else(|| panic!("no volume for {mount}"));
            (mount["mountPath"].as_str().expect("a path").to_owned(), volume, mount["readOnly"] == true)
        });
        each.collect()
    }

    /// The files of a config map, in a folder.
    #[track_caller]
    pub fn config_files(&self, map: &str, folder: &Path) {
        let map = self.of_kind("ConfigMap").find(|object| object["metadata"]["name"] == map);
        let data = map.expect("the config map that the pod names")["data"].as_object().expect("files");
        for (name, text) in data {
            fs::write(folder.join(name), text.as_str().expect("text")).expect("written");
        }
    }

    /// The number of a port that may be called by its name.
    pub fn port(&self, port: &Value) -> u64 {
        port.as_u64().unwrap_or_else(|| {
            let ports = self.container()["ports"].as_array().expect("ports");
            let named = ports.iter().find(|candidate| candidate["name"] == *port);
            named.unwrap_or_else(|| panic!("no port {port}"))["containerPort"].as_u64().expect("a number")
        })
    }
}

/// Where the file of settings is, in a folder that stands for the pod's own.
fn settings(built: &Built) -> PathBuf {
    let folder = scratch("settings");
    let (_, volume, _) = built.mounts().into_iter().find(|(path, ..)| path == "/etc/jiyue").expect("settings");
    built.config_files(volume["configMap"]["name"].as_str().expect("a name"), &folder);
    folder.join("jiyue.toml")
}

/// The broker itself judges what every composition gives it.
#[test]
fn every_composition_has_settings_that_can_be_used() {
    let secrets = BTreeMap::from([("jiyue-database/url", "postgres://jiyue:secret@db.example:5432/jiyue".to_owned())]);
    for (resources, components) in COMPOSITIONS {
        let built = build(resources, components);
        let file = settings(&built);
        let words = built.command_line();
        assert_eq!(words, ["/usr/bin/jiyue", "serve", "--config", "/etc/jiyue/jiyue.toml"]);
        let variables = built.variables(&secrets);
        let check = |file: &Path, more: &[(&str, &str)]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_jiyue"));
            command.args(["serve", "--check", "--config"]).arg(file).env_clear().env("LC_ALL", "C.UTF-8");
            command.envs(variables.iter().filter(|(name, _)| !name.starts_with("JIYUE_TLS_")).cloned());
            let out = command.envs(more.iter().copied()).output().expect("jiyue runs");
            let told = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
            (out.status.code(), told)
        };
        let (code, told) = check(&file, &[]);
        assert!(code == Some(0) && told.contains("配置可用"), "{resources:?}: {told}");
        let on_postgres = variables.iter().any(|(name, _)| name == "JIYUE_DATABASE_URL");
        assert_eq!(on_postgres, resources.contains(&"overlays/postgres"));
        // It listens where the probes and the service ask.
        let text = fs::read_to_string(&file).expect("settings");
        let listen = text.parse::<toml::Table>().expect("TOML")["listen"].as_str().expect("an address").to_owned();
        assert_eq!(listen, format!("0.0.0.0:{}", built.port(&"http".into())));
        // The check notices a slip of the pen; and variables of the service, which is called as the settings are.
        let wrong = text.replace("log_format", "log_fromat");
        fs::write(&file, wrong).expect("written");
        let (code, told) = check(&file, &[]);
        assert!(code == Some(2) && told.contains("log_fromat"), "{told}");
        fs::write(&file, &text).expect("written");
        let (code, told) = check(&file, &[("JIYUE_SERVICE_HOST", "10.0.0.1"), ("JIYUE_PORT", "tcp://10.0.0.1:8460")]);
        assert!(code == Some(2) && told.contains("JIYUE_SERVICE_HOST"), "{told}");
        assert_eq!(built.pod()["enableServiceLinks"], false, "so there are none");
    }
}

/// What cannot be seen from outside: replicas, their spreading, and that no secret stands in the repository.
#[test]
fn compositions_are_what_they_say() {
    for (resources, components) in COMPOSITIONS {
        let built = build(resources, components);
        let (workload, pod) = (built.workload(), built.pod());
        assert_eq!(built.of_kind("Secret").count(), 0);
        if resources.contains(&"overlays/postgres") {
            assert_eq!((&workload["kind"], &workload["spec"]["replicas"]), (&"Deployment".into(), &3.into()));
            let budget = built.only("PodDisruptionBudget");
            assert_eq!(budget["spec"]["maxUnavailable"], 1);
            assert_eq!(budget["spec"]["selector"], workload["spec"]["selector"], "it speaks of these pods");
            let spread = pod["topologySpreadConstraints"].as_array().expect("spread");
            for one in spread {
                assert_eq!(one["labelSelector"], workload["spec"]["selector"]);
            }
            let over: Vec<_> = spread.iter().map(|one| one["topologyKey"].as_str().unwrap()).collect();
            assert_eq!(over, ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]);
            assert_eq!(
                built.only("PersistentVolumeClaim")["spec"]["accessModes"],
                serde_json::json!(["ReadWriteMany"])
            );
        } else {
            assert_eq!((&workload["kind"], &workload["spec"]["replicas"]), (&"StatefulSet".into(), &1.into()));
            assert_eq!(built.of_kind("PodDisruptionBudget").count(), 0);
        }
        let labels = &workload["spec"]["template"]["metadata"]["labels"];
        let selected =
            |selector: &Value| selector.as_object().expect("labels").iter().all(|(key, value)| labels[key] == *value);
        assert!(selected(&built.only("Service")["spec"]["selector"]));
        for policy in built.of_kind("NetworkPolicy").filter(|policy| policy["metadata"]["name"] != "default-deny") {
            assert!(selected(&policy["spec"]["podSelector"]["matchLabels"]), "{policy:#}");
        }
        for monitor in built.of_kind("ServiceMonitor") {
            let of_service = &built.only("Service")["metadata"]["labels"];
            let wanted = monitor["spec"]["selector"]["matchLabels"].as_object().expect("labels");
            assert!(wanted.iter().all(|(key, value)| of_service[key] == *value), "{monitor:#}");
        }
        // Whoever writes is nobody's root, and writes to volumes only.
        for (path, volume, read_only) in built.mounts() {
            let of_ours = volume["configMap"].is_object() || volume["secret"].is_object();
            assert_eq!(of_ours, read_only, "{path}");
            assert!(volume["hostPath"].is_null(), "{path}");
        }
        for forbidden in ["hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers"] {
            assert!(pod[forbidden].is_null(), "{forbidden}");
        }
    }
}
