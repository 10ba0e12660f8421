//! What the mirrors say: machines in the namespace of their request, requests that came by another way in a namespace of
//! their department, task books in the cluster. Pure; they follow from the
//! database alone, and what somebody else wrote into them is written over.

use super::{
    crd::{
        Amounts, BUILDING, Machine as MachineObject, MachineSpec, MachineStatus, OmUnit, ResourceRequest,
        ResourceRequestSpec, TaskBook as BookObject, TaskBookSpec, TaskBookStatus, quantity,
    },
    dereference::Facts,
};
use crate::{
    labels::FilingBasis,
    machine::{Machine, lifecycle::State},
    request::{block::Block, store::Request},
    task_book::{document::Indicators, store::Held},
    units::Bytes,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource as _;
use serde::Serialize;
use std::collections::BTreeMap;

/// The mirror of a request that has come by another way than an object. Its name is the request's id, and by that alone it is
/// known.
pub fn request(request: &Request, namespace: &str) -> ResourceRequest {
    let mut object = ResourceRequest::new(&request.id.text(), spec(&request.block));
    object.metadata.namespace = Some(namespace.to_owned());
    object
}

/// A block as an object would have asked for it.
pub fn spec(block: &Block) -> ResourceRequestSpec {
    let number = |basis| (block.filing_basis == basis).then(|| block.task_book.clone());
    ResourceRequestSpec {
        filing_basis: (!block.filing_basis.is_task_book()).then(|| block.filing_basis.word().to_owned()),
        task_book: number(FilingBasis::TaskBook),
        government_approval: number(FilingBasis::Urgent),
        upper_level_filing: number(FilingBasis::UpperLevel),
        vm_count: block.machines.into(),
        cpu_count: block.vcpu.into(),
        memory: quantity(block.memory),
        disk: quantity(block.disk),
        os_type: block.os.clone(),
        db_type: block.database.clone(),
        domain: block.domain.as_ref().map(ToString::to_string),
        no_domain_reason: block.no_domain_reason.clone(),
        workload_description: block.workload_description.clone(),
        workload_class: Some(word(&block.workload_class)),
        spread: (!block.spread.is_prefer()).then(|| word(&block.spread)),
        provider: (!block.provider.is_any()).then(|| word(&block.provider)),
        remarks: block.remarks.clone(),
        network_zone: block.zone.word().to_owned(),
        secrecy_level: word(&block.secrecy_level),
        mlps_level: block.mlps_level.get().into(),
        deploy_milestone: block.deploy_milestone.to_string(),
        om_period_months: block.om_period_months.into(),
        om_unit: OmUnit { name: block.om_unit.name.clone(), contact: block.om_unit.contact.clone() },
        ssh_keys: block.ssh_keys.clone(),
    }
}

/// A variant as JSON has it.
fn word(variant: &impl Serialize) -> String {
    serde_json::to_value(variant).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The mirrors of a request's machines. They go with the request's object, by its cluster's garbage collector.
pub fn machines(facts: &Facts, hosts: &BTreeMap<String, String>) -> Vec<MachineObject> {
    let owner = OwnerReference {
        api_version: MachineObject::api_version(&()).into_owned(),
        kind: "ResourceRequest".to_owned(),
        name: facts.name.clone(),
        uid: facts.uid.clone(),
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
            State::Building => BUILDING,
            State::Running => "Running",
            State::Stopped => "Stopped",
            State::InBin => "InBin",
            State::Undone => "Undone",
        }
        .to_owned(),
        provider: hosts.get(&machine.host.text()).cloned(),
        address: machine.address().filter(|_| machine.state != State::Undone).map(|address| address.to_string()),
        deadline: Some(machine.lease_end.to_string()),
        usage_verdict: facts.verdicts.get(&machine.id.text()).cloned(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalogue::Catalogue,
        jurisdiction::Profile,
        k8s::build,
        request::{
            fields::RawBlock,
            raw::RawReport,
            rules::{self, Ground},
        },
    };
    use jiff::civil::date;
    use serde_json::{Value, json};

    /// What a mirror says, asked for, would be the same request.
    #[test]
    fn a_mirror_says_the_whole_of_a_block() {
        let catalogue = Catalogue::embedded().unwrap();
        let profile = Profile::embedded("xiangcheng").unwrap();
        let ground = || Ground { catalogue: &catalogue, profile: &profile, today: date(2026, 11, 20) };
        let sample: Value = serde_saphyr::from_str(include_str!("../../samples/request.yaml")).unwrap();
        let plain: RawBlock = serde_json::from_value(sample).unwrap();
        let with = |changes: Value| {
            let mut all = serde_json::to_value(&plain).unwrap();
            all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            serde_json::from_value::<RawBlock>(all).unwrap()
        };
        let urgent = json!({"filing_basis": "urgent", "task_book": null, "government_approval": "相政复〔2026〕3号",
            "domain": null, "no_domain_reason": "仅供内部调用", "spread": "require", "remarks": "尽快",
            "workload_class": "batch", "memory": "1536 MiB"});
        let upper = json!({"filing_basis": "upper_level", "task_book": null, "upper_level_filing": "苏数〔2026〕9号"});
        for raw in [plain.clone(), with(urgent), with(upper)] {
            let blocks = rules::check(&RawReport::from(raw), ground(), None).unwrap();
            let report = build::report(&spec(&blocks[0])).unwrap();
            assert_eq!(rules::check(&report, ground(), None).unwrap(), blocks);
        }
    }
}
