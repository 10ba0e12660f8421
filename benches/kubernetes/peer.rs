//! The plain client: the same objects and statuses as the broker left them, each written once.

use crate::{
    lab::Lab,
    player::resource,
    view::{self, View, ours},
};
use futures_util::{StreamExt, stream};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Of one request: all that the broker wrote of it.
pub struct Model {
    request: Value,
    mirror: Value,
    machine: Value,
    secret: Value,
    /// Quota, limits and the zone's policy: what stands in the namespace before anything is built there.
    place: Vec<Value>,
}

impl Model {
    pub fn read(lab: &Lab, namespace: &str) -> Self {
        let first = |kind: &str, namespace: &str| {
            let name = lab.names(kind).into_iter().find_map(|name| {
                name.strip_prefix(&format!("{namespace}/")).filter(|name| !name.is_empty()).map(str::to_owned)
            });
            lab.get(namespace, kind, &name.expect("one of it")).expect("it is there")
        };
        let space = format!("jiyue-{namespace}");
        let machine = first("vm", &space);
        let seed = format!("{}-seed", machine["metadata"]["name"].as_str().unwrap());
        Self {
            request: first("rr", namespace),
            mirror: first("jm", namespace),
            secret: lab.get(&space, "secret", &seed).expect("a seed"),
            place: ["quota", "limitrange", "networkpolicy"].map(|kind| first(kind, &space)).to_vec(),
            machine,
        }
    }
}

pub struct Took {
    pub accepted: Duration,
    pub mirrored: Duration,
}

fn secrets() -> ApiResource {
    ApiResource {
        group: String::new(),
        version: "v1".into(),
        api_version: "v1".into(),
        kind: "Secret".into(),
        plural: "secrets".into(),
    }
}

/// The object under another name in a namespace, with its labels and without what the server gave it.
fn renamed(object: &Value, namespace: &str, name: &str) -> Value {
    let mut object = object.clone();
    object["metadata"] = json!({"name": name, "namespace": namespace, "labels": object["metadata"]["labels"]});
    object.as_object_mut().unwrap().remove("status");
    object
}

/// With its own disk and seed.
fn machine_of(model: &Model, namespace: &str, name: &str, strategy: &str) -> Value {
    let mut machine = renamed(&model.machine, namespace, name);
    let spec = &mut machine["spec"];
    spec["runStrategy"] = strategy.into();
    spec["dataVolumeTemplates"][0]["metadata"]["name"] = format!("{name}-root").into();
    machine
}

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

/// Secret, machine, its instance awaited, mirror, and what the request's status says at the end.
pub async fn whole(client: &Client, lab: &Lab, view: &View, model: &Model, n: usize, width: usize) -> Took {
    const SPACE: &str = "peer";
    let api = |kind: &ApiResource| Api::<DynamicObject>::namespaced_with(client.clone(), SPACE, kind);
    let (machines, secrets) = (api(&resource("VirtualMachine", "virtualmachines")), api(&secrets()));
    let (requests, mirrors) = (api(&ours("ResourceRequest", "resourcerequests")), api(&ours("Machine", "machines")));
    let items: Vec<Value> = (0..n).map(|number| crate::request(SPACE, number)).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    lab.plane.done("admin", &["create", "-f", "-"], &list);
    for object in &model.place {
        let name = object["metadata"]["name"].as_str().unwrap();
        lab.plane.done("admin", &["create", "-f", "-"], &renamed(object, SPACE, name).to_string());
    }
    tokio::time::sleep(Duration::from_secs(2)).await;

    let ours = PatchParams::apply("peer").force();
    let began = Instant::now();
    let accepted = std::sync::Mutex::new(Duration::ZERO);
    let write = async |number: usize| {
        let (name, request) = (format!("p-{number}"), format!("r-{number}"));
        let seed = object(renamed(&model.secret, SPACE, &format!("{name}-seed")));
        secrets.create(&PostParams::default(), &seed).await.unwrap();
        let machine = machine_of(model, SPACE, &name, "RerunOnFailure");
        machines.create(&PostParams::default(), &object(machine)).await.unwrap();
        *accepted.lock().unwrap() = began.elapsed();
        while !view.runs(SPACE, &name) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut mirror = renamed(&model.mirror, SPACE, &name);
        mirror["spec"]["request"] = request.as_str().into();
        mirrors.patch(&name, &ours, &Patch::Apply(mirror)).await.unwrap();
        for (api, name, model) in [(&mirrors, &name, &model.mirror), (&requests, &request, &model.request)] {
            let status = json!({"apiVersion": model["apiVersion"], "kind": model["kind"],
                "metadata": {"name": name}, "status": model["status"]});
            api.patch_status(name, &ours, &Patch::Apply(status)).await.unwrap();
        }
    };
    stream::iter(0..n).for_each_concurrent(width, write).await;
    let accepted = *accepted.lock().unwrap();
    let seen = async || view.requests(SPACE, "Delivered").len() == n && view.mirrors(SPACE) == n;
    view::until(crate::LIMIT, "the peer's statuses", seen).await;
    Took { accepted, mirrored: began.elapsed() }
}

/// Machines alone, off.
pub async fn bare(admin: &Client, model: &Model, n: usize, width: usize) -> Duration {
    const SPACE: &str = "bare";
    let vms = resource("VirtualMachine", "virtualmachines");
    let machines = Api::<DynamicObject>::namespaced_with(admin.clone(), SPACE, &vms);
    let began = Instant::now();
    let write = async |number: usize| {
        let machine = object(machine_of(model, SPACE, &format!("b-{number}"), "Halted"));
        machines.create(&PostParams::default(), &machine).await.unwrap();
    };
    stream::iter(0..n).for_each_concurrent(width, write).await;
    began.elapsed()
}
