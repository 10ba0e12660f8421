//! What the mirrors say: machines in the namespace of their request, task books in the cluster. Pure; they follow from the
//! database alone, and what somebody else wrote into them is written over.

use super::{
    crd::{
        Amounts, Machine as MachineObject, MachineSpec, MachineStatus, TaskBook as BookObject, TaskBookSpec,
        TaskBookStatus, quantity,
    },
    dereference::Facts,
};
use crate::{
    machine::{Machine, lifecycle::State},
    task_book::{document::Indicators, store::Held},
    units::Bytes,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource as _;
use std::collections::BTreeMap;

/// The mirrors of a request's machines. They go with the request's object, by its cluster's garbage collector.
pub fn machines(facts: &Facts, hosts: &BTreeMap<String, String>) -> Vec<MachineObject> {
    let Some(bound) = &facts.bound else { return Vec::new() };
    let owner = OwnerReference {
        api_version: MachineObject::api_version(&()).into_owned(),
        kind: "ResourceRequest".to_owned(),
        name: bound.name.clone(),
        uid: bound.uid.clone(),
        controller: Some(true),
        block_owner_deletion: None,
    };
    facts.machines.iter().map(|machine| one(machine, facts, &owner, hosts)).collect()
}

fn one(machine: &Machine, facts: &Facts, owner: &OwnerReference, hosts: &BTreeMap<String, String>) -> MachineObject {
    let intent = &machine.intent;
    let spec = MachineSpec {
        id: machine.id.text(),
        request: owner.name.clone(),
        domain: intent.fqdn.clone(),
        vcpu: i64::from(intent.vcpu),
        memory: quantity(intent.memory),
        disk: quantity(intent.disk),
    };
    // The machine's own name ends in a part of its id: no two have the same.
    let mut object = MachineObject::new(&intent.name, spec);
    object.metadata.namespace = Some(facts.namespace.clone());
    object.metadata.owner_references = Some(vec![owner.clone()]);
    object.status = Some(MachineStatus {
        phase: match machine.state {
            State::Building => "Building",
            State::Running => "Running",
            State::Stopped => "Stopped",
            State::InBin => "InBin",
            State::Undone => "Undone",
        }
        .to_owned(),
        provider: hosts.get(&machine.host.text()).cloned(),
        address: (machine.state != State::Undone).then(|| intent.network.address.to_string()),
        deadline: Some(machine.lease_end.to_string()),
        usage_verdict: None,
    });
    object
}

/// The mirror of a task book.
pub fn book(held: &Held, department: &str) -> BookObject {
    let spec = TaskBookSpec {
        number: held.number.clone(),
        department: department.to_owned(),
        project: held.project.name.clone(),
        version: held.version,
        valid_from: held.valid_from.to_string(),
        valid_until: held.valid_until.to_string(),
    };
    // A number is Chinese as a rule, and no name of an object.
    let mut object = BookObject::new(&held.id.text(), spec);
    object.status = Some(TaskBookStatus {
        phase: if held.revoked.is_some() { "Revoked" } else { "InForce" }.to_owned(),
        limit: amounts(&held.limits),
        used: amounts(&held.used),
        free: amounts(&left(&held.limits, &held.used)),
    });
    object
}

fn left(limit: &Indicators, used: &Indicators) -> Indicators {
    let bytes = |a: Bytes, b: Bytes| Bytes::new(a.get().saturating_sub(b.get()).max(0)).unwrap_or_default();
    Indicators {
        machines: limit.machines.saturating_sub(used.machines).max(0),
        vcpu: limit.vcpu.saturating_sub(used.vcpu).max(0),
        memory: bytes(limit.memory, used.memory),
        disk: bytes(limit.disk, used.disk),
    }
}

fn amounts(of: &Indicators) -> Amounts {
    Amounts { machines: of.machines, vcpu: of.vcpu, memory: quantity(of.memory), disk: quantity(of.disk) }
}
