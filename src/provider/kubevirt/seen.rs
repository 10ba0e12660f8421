//! What the cluster's objects say of a machine. Pure.

use super::marks;
use crate::provider::{Intent, Mark, Observed, Power, Seen, Shape};
use serde_json::Value;
use std::net::Ipv4Addr;
use uuid::Uuid;

/// A machine that ought to run; KubeVirt starts it again when it fails, and leaves it off when its guest shuts down.
pub const ON: &str = "RerunOnFailure";
pub const OFF: &str = "Halted";

/// Whether this instance runs or is on its way to.
pub fn is_alive(instance: &Value) -> bool {
    !matches!(instance["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
        && instance["metadata"]["deletionTimestamp"].is_null()
}

pub fn wants_to_run(machine: &Value) -> bool {
    machine["spec"]["runStrategy"].as_str() != Some(OFF)
}

/// Whether the guest runs and, where it is asked, answers.
pub fn is_ready(instance: &Value) -> bool {
    let conditions = instance["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True");
    is_alive(instance) && instance["status"]["phase"] == "Running" && ready
}

/// What stands in the way, in the cluster's own words.
pub fn obstacle(machine: &Value, instance: Option<&Value>) -> String {
    let Some(instance) = instance else {
        // As for a disk that cannot be made.
        let said = machine["status"]["printableStatus"].as_str().map(|said| format!(" ({said})"));
        return format!("the cluster has not begun to run it{}", said.unwrap_or_default());
    };
    let phase = instance["status"]["phase"].as_str().unwrap_or("Pending");
    let conditions = instance["status"]["conditions"].as_array().into_iter().flatten();
    let unmet = conditions.filter(|c| c["status"] == "False").filter_map(|c| {
        let (reason, message) = (c["reason"].as_str()?, c["message"].as_str().unwrap_or_default());
        Some(format!("{reason}: {message}").chars().take(300).collect::<String>())
    });
    let told: Vec<_> = std::iter::once(format!("its phase is {phase}")).chain(unmet).collect();
    told.join("; ")
}

/// The address that the cluster has given it.
pub fn address(instance: &Value) -> Option<Ipv4Addr> {
    let first = instance["status"]["interfaces"].as_array()?.first()?;
    let told = first["ipAddresses"].as_array().into_iter().flatten().chain([&first["ipAddress"]]);
    told.filter_map(Value::as_str).find_map(|text| text.split('/').next()?.parse().ok())
}

pub fn observed(intent: &Intent, machine: Option<&Value>, instance: Option<&Value>) -> Observed {
    match machine {
        None => Observed::Absent,
        Some(machine) if !marks::is_of(machine, intent) => Observed::Foreign,
        Some(_) if instance.is_some_and(is_alive) => Observed::Running,
        Some(_) => Observed::Off,
    }
}

/// A machine as a listing shows it.
pub fn seen(machine: &Value, instance: Option<&Value>) -> Seen {
    let (namespace, name) =
        (machine["metadata"]["namespace"].as_str().unwrap_or_default(), machine["metadata"]["name"].as_str());
    let name = name.unwrap_or_default();
    let spec = &machine["spec"]["template"]["spec"];
    let said = spec["domain"]["firmware"]["uuid"].as_str().and_then(|text| Uuid::parse_str(text).ok());
    let mark = marks::read(machine);
    // The firmware's UUID is the machine's; a stranger's is nobody's word, so it is known by its place.
    let place = || Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{namespace}/{name}").as_bytes());
    let id = match (mark, said) {
        (Some(_), Some(said)) => said,
        _ => place(),
    };
    let alive = instance.filter(|instance| is_alive(instance));
    Seen {
        id,
        name: name.to_owned(),
        mark,
        power: power(machine, instance),
        shape: shape(machine, mark),
        address: alive.and_then(address),
    }
}

fn power(machine: &Value, instance: Option<&Value>) -> Power {
    match instance {
        Some(instance) if is_alive(instance) => Power::On(run(instance)),
        Some(instance) if wants_to_run(machine) && instance["status"]["phase"] == "Succeeded" => Power::ShutDown,
        // It ought to run and does not.
        _ if wants_to_run(machine) => Power::Lost,
        _ => Power::Cut,
    }
}

/// The number of this run: of the instance's own identity, which is another one after each start.
fn run(instance: &Value) -> i64 {
    let uid = instance["metadata"]["uid"].as_str().and_then(|uid| Uuid::parse_str(uid).ok()).unwrap_or_default();
    let (high, low) = uid.as_u64_pair();
    i64::from_ne_bytes((high ^ low).to_ne_bytes()) & i64::MAX
}

fn shape(machine: &Value, mark: Option<Mark>) -> Shape {
    let spec = &machine["spec"]["template"]["spec"];
    let cpu = &spec["domain"]["cpu"];
    let count = |key: &str| cpu[key].as_u64().filter(|n| *n > 0).unwrap_or(1);
    let name = machine["metadata"]["name"].as_str().unwrap_or_default();
    let volume = |volume: &Value| {
        let own = volume["dataVolume"]["name"].as_str() == Some(&format!("{name}-root"))
            || volume["cloudInitNoCloud"]["secretRef"]["name"].as_str() == Some(&format!("{name}-seed"));
        let called = volume["name"].as_str().unwrap_or_default();
        match mark {
            // As a volume on a host is called, so that one judge does for both.
            Some(mark) if own => format!("{}.{}.{called}", mark.machine, mark.operation),
            _ => called.to_owned(),
        }
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let memory = spec["domain"]["memory"]["guest"].as_str().and_then(super::quantity::whole);
    let cards = list(&spec["domain"]["devices"]["interfaces"]);
    Shape {
        vcpu: u32::try_from(count("cores").saturating_mul(count("sockets")).saturating_mul(count("threads")))
            .unwrap_or(u32::MAX),
        memory_bytes: memory.unwrap_or_default(),
        disks: list(&spec["volumes"]).iter().map(volume).collect(),
        macs: cards.iter().filter_map(|c| c["macAddress"].as_str()).map(str::to_ascii_lowercase).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::kubevirt::objects::{
        self,
        tests::{cluster, on_cluster, tenancy},
    };
    use serde_json::json;

    fn machine() -> Value {
        objects::machine(&cluster(), &on_cluster(), &tenancy())
    }

    fn instance(phase: &str) -> Value {
        json!({"metadata": {"uid": "6c0e9d1a-3f0b-4a55-9f0e-0a4c3ad0b001"}, "status": {"phase": phase, "interfaces":
            [{"name": "primary", "ipAddress": "fd00::5", "ipAddresses": ["fd00::5", "10.244.1.7"]}],
            "conditions": [{"type": "Ready", "status": "True"}]}})
    }

    #[test]
    fn power_is_what_strategy_and_instance_say_together() {
        let (mut off, on) = (machine(), machine());
        off["spec"]["runStrategy"] = OFF.into();
        assert_eq!(power(&off, None), Power::Cut);
        assert_eq!(power(&on, None), Power::Lost);
        assert_eq!(power(&on, Some(&instance("Failed"))), Power::Lost);
        assert_eq!(power(&on, Some(&instance("Succeeded"))), Power::ShutDown);
        assert_eq!(power(&off, Some(&instance("Succeeded"))), Power::Cut);
        assert!(matches!(power(&on, Some(&instance("Running"))), Power::On(run) if run > 0));
        assert!(matches!(power(&on, Some(&instance("Scheduling"))), Power::On(_)));
        let mut leaving = instance("Running");
        leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        assert_eq!(power(&on, Some(&leaving)), Power::Lost);
        assert!(is_ready(&instance("Running")) && !is_ready(&leaving) && !is_ready(&instance("Scheduled")));
        assert_eq!(address(&instance("Running")), Some(Ipv4Addr::new(10, 244, 1, 7)));
    }

    #[test]
    fn what_we_made_is_what_is_expected() {
        let seen = seen(&machine(), Some(&instance("Running")));
        let intent = on_cluster();
        assert_eq!((seen.id, seen.mark), (intent.machine.0, Some(Mark::of(&intent))));
        assert_eq!((seen.shape.vcpu, seen.shape.memory_bytes), (intent.vcpu, intent.memory.get()));
        let own = format!("{}.{}.", intent.machine, intent.operation);
        assert!(seen.shape.disks.len() == 2 && seen.shape.disks.iter().all(|disk| disk.starts_with(&own)));
        assert_eq!(seen.shape.macs, [intent.network.mac]);
    }

    #[test]
    fn a_stranger_is_known_by_its_place() {
        let mut stranger = machine();
        stranger["metadata"]["labels"] = json!({});
        let told = seen(&stranger, None);
        assert_eq!(told.mark, None);
        assert_ne!(told.id, on_cluster().machine.0);
        assert_eq!(told.id, seen(&stranger, None).id);
        assert_eq!(observed(&on_cluster(), Some(&stranger), None), Observed::Foreign);
        assert_eq!(observed(&on_cluster(), Some(&machine()), None), Observed::Off);
        assert_eq!(observed(&on_cluster(), None, None), Observed::Absent);
    }
}
