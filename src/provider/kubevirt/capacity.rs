//! What a cluster has to give: what its nodes allow, less what runs there that is not ours. Pure.

use super::{marks, quantity};
use crate::{provider::Capacity, units::Bytes};
use serde_json::Value;

/// Sums over nodes that take pods, less what pods on them ask for that no machine of ours is behind: ours are counted by
/// the broker itself. `None` where the numbers cannot be read.
pub fn of(nodes: &[Value], pods: &[Value], disk: Bytes) -> Option<Capacity> {
    let usable: Vec<_> = nodes.iter().filter(|node| takes_pods(node)).collect();
    let (mut cpu, mut memory) = (0_i128, 0_i128);
    for node in &usable {
        let allocatable = |key: &str| node["status"]["allocatable"][key].as_str().and_then(quantity::milli);
        cpu = cpu.checked_add(allocatable("cpu")?)?;
        memory = memory.checked_add(allocatable("memory")?)?;
    }
    let on_usable = |pod: &&Value| usable.iter().any(|node| node["metadata"]["name"] == pod["spec"]["nodeName"]);
    for pod in pods.iter().filter(on_usable).filter(|pod| counts(pod)) {
        cpu = cpu.checked_sub(asked(pod, "cpu")?)?;
        memory = memory.checked_sub(asked(pod, "memory")?)?;
    }
    let whole = |milli: i128| i64::try_from(milli.max(0) / 1000).ok();
    Some(Capacity { vcpu: u32::try_from(whole(cpu)?).ok()?, memory: Bytes::new(whole(memory)?)?, disk })
}

/// Ready, not cordoned, and nothing keeps ordinary pods off it.
fn takes_pods(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
    let ready = conditions.into_iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
    let kept_off = |taint: &Value| matches!(taint["effect"].as_str(), Some("NoSchedule" | "NoExecute"));
    let tainted = node["spec"]["taints"].as_array().into_iter().flatten().any(kept_off);
    ready && !tainted && node["spec"]["unschedulable"] != true
}

fn counts(pod: &Value) -> bool {
    let over = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    !over && pod["metadata"]["labels"][marks::MACHINE].is_null()
}

/// What a pod asks for: its containers together, or one of those that come before them, whichever is more.
fn asked(pod: &Value, key: &str) -> Option<i128> {
    let each = |list: &str| -> Option<Vec<i128>> {
        let containers = pod["spec"][list].as_array().into_iter().flatten();
        let amount = |container: &Value| match &container["resources"]["requests"][key] {
            Value::Null => Some(0),
            amount => amount.as_str().and_then(quantity::milli),
        };
        containers.map(amount).collect()
    };
    let (together, before) = (each("containers")?.into_iter().sum::<i128>(), each("initContainers")?);
    let overhead = pod["spec"]["overhead"][key].as_str().map_or(Some(0), quantity::milli)?;
    Some(before.into_iter().fold(together, i128::max) + overhead)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nodes_less_what_others_ask() {
        let node = |name: &str, ready: &str| {
            json!({"metadata": {"name": name}, "spec": {}, "status": {"allocatable": {"cpu": "7900m", "memory": "16Gi"},
                "conditions": [{"type": "Ready", "status": ready}]}})
        };
        let mut cordoned = node("c", "True");
        cordoned["spec"]["unschedulable"] = true.into();
        let mut tainted = node("t", "True");
        tainted["spec"]["taints"] = json!([{"key": "k", "effect": "NoSchedule"}]);
        let nodes = [node("a", "True"), node("b", "True"), node("lost", "Unknown"), cordoned, tainted];
        let pod = |node: &str, labels: Value, phase: &str| {
            json!({"metadata": {"labels": labels}, "status": {"phase": phase}, "spec": {"nodeName": node,
                "containers": [{"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}, {"resources": {}}],
                "initContainers": [{"resources": {"requests": {"cpu": "900m"}}}]}})
        };
        let pods = [
            pod("a", json!({}), "Running"),
            pod("a", json!({marks::MACHINE: "x"}), "Running"),
            pod("b", json!({}), "Succeeded"),
            pod("lost", json!({}), "Running"),
        ];
        let disk = Bytes::gib(100).unwrap();
        let has = of(&nodes, &pods, disk).unwrap();
        // 15.8 processors less 0.9.
        assert_eq!((has.vcpu, has.memory, has.disk), (14, Bytes::gib(31).unwrap(), disk));
        assert_eq!(of(&[], &[], disk).unwrap().vcpu, 0);
        let odd = json!({"metadata": {"name": "a"}, "status": {"allocatable": {"cpu": "much"}, "conditions":
            [{"type": "Ready", "status": "True"}]}});
        assert_eq!(of(&[odd], &[], disk), None);
    }
}
