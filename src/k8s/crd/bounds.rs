//! The definitions with every bound that the rules have, so that a slip of the pen fails at `kubectl apply`: those of the
//! catalogue are the catalogue's own.

use super::{BUILDING, Machine, ResourceRequest, TaskBook};
use crate::{catalogue::Catalogue, labels::Zone, text, units::Bytes};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use serde_json::{Value, json};

/// Characters that nobody sees, or that change the order in which others are seen; as `text::is_hidden`.
const UNSEEN: &str = r"\p{Cf}\x{115F}\x{1160}\x{2028}\x{2029}\x{3164}\x{FFA0}\x{FFF0}-\x{FFF8}";
const SIZE: &str = "^[1-9][0-9]{0,7}(Mi|Gi|Ti)$";
const STATUS: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/status";
const SSH_KEY: &str =
    r"^\s*(ssh-ed25519|ssh-rsa|sk-ssh-ed25519@openssh\.com) +[A-Za-z0-9+/]{16,}={0,3}( [^\n\r]*)?\s*$";

/// What a cluster is given, in the order of their names: each as it stands in `crd/`.
pub fn definitions(catalogue: &Catalogue) -> Vec<Value> {
    [Machine::crd(), ResourceRequest::crd(), TaskBook::crd()]
        .into_iter()
        .map(|definition| {
            let kind = definition.spec.names.kind.clone();
            let mut definition = plain(&definition);
            match kind.as_str() {
                "ResourceRequest" => bound(&mut definition, catalogue),
                // One of which nobody has told anything yet: it is being built, and one write less says so.
                "Machine" => {
                    if let Some(status) = definition.pointer_mut(STATUS) {
                        status["default"] = json!({"phase": BUILDING});
                    }
                }
                _ => {}
            }
            definition
        })
        .collect()
}

/// All of them as one text for `kubectl apply -f -`.
pub fn to_yaml(definitions: &[Value]) -> Result<String, serde_saphyr::ser::Error> {
    let each = definitions.iter().map(serde_saphyr::to_string).collect::<Result<Vec<_>, _>>()?;
    Ok(each.join("---\n"))
}

fn plain(definition: &CustomResourceDefinition) -> Value {
    // What the derive makes is made of strings, numbers and lists of them.
    let mut value = serde_json::to_value(definition).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        map.remove("status");
    }
    tidy(&mut value);
    value
}

/// Formats that an API server does not know, and what it would only warn of.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("format").is_some_and(|format| format == "int64") {
                map.remove("format");
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn one_line() -> Value {
    let pattern = format!(r"^[^\p{{Cc}}{UNSEEN}]*$");
    json!({"minLength": 1, "maxLength": text::NAME.max_chars, "pattern": pattern})
}

fn prose() -> Value {
    let pattern = format!(r"^([^\p{{Cc}}{UNSEEN}]|[\n\r\t])*$");
    json!({"minLength": 1, "maxLength": text::PROSE.max_chars, "pattern": pattern})
}

/// A size between two of the catalogue.
fn size(min: Bytes, max: Bytes, label: &str) -> Value {
    let (least, most) = (quantity(min), quantity(max));
    json!({
        "maxLength": 10,
        "pattern": SIZE,
        "x-kubernetes-validations": [{
            "rule": format!("quantity(self).compareTo(quantity('{least}')) >= 0 && quantity(self).compareTo(quantity('{most}')) <= 0"),
            "message": format!("{label}每台 {least} 至 {most}"),
            "reason": "FieldValueInvalid",
        }],
    })
}

/// Bytes as Kubernetes writes them, exactly.
pub fn quantity(bytes: Bytes) -> String {
    let n = bytes.get();
    [(40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")]
        .into_iter()
        .find(|(shift, _)| n != 0 && n % (1 << shift) == 0)
        .map_or_else(|| n.to_string(), |(shift, unit)| format!("{}{unit}", n >> shift))
}

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Value {
    json!({"enum": words.into_iter().collect::<Vec<_>>()})
}

/// Puts the bounds of the rules to the fields of a request.
fn bound(definition: &mut Value, catalogue: &Catalogue) {
    let bounds = &catalogue.bounds;
    let os = catalogue.os.iter().filter(|os| os.offered).map(|os| os.key.as_str());
    let databases = catalogue.databases.iter().filter(|db| db.offered).map(|db| db.key.as_str());
    let fields = [
        ("filingBasis", words(["task_book", "urgent", "upper_level"])),
        ("taskBook", one_line()),
        ("governmentApproval", one_line()),
        ("upperLevelFiling", one_line()),
        ("vmCount", json!({"minimum": 1, "maximum": bounds.max_machines})),
        ("cpuCount", json!({"minimum": bounds.vcpu.start(), "maximum": bounds.vcpu.end()})),
        ("memory", size(*bounds.memory.start(), *bounds.memory.end(), "内存")),
        ("disk", size(*bounds.disk.start(), *bounds.disk.end(), "磁盘")),
        ("osType", words(os)),
        ("dbType", words(databases)),
        (
            "domain",
            json!({"minLength": 3, "maxLength": 253, "pattern": r"^[^\s/:@\p{Cc}\p{Cf}]+\.[^\s/:@\p{Cc}\p{Cf}]+$"}),
        ),
        ("noDomainReason", prose()),
        ("workloadDescription", prose()),
        ("workloadClass", words(["user_facing", "batch", "test"])),
        ("spread", words(["prefer", "require"])),
        ("provider", words(["any", "libvirt", "kubevirt"])),
        ("remarks", prose()),
        ("networkZone", words(Zone::ALL.map(Zone::word))),
        ("secrecyLevel", words(["none"])),
        ("mlpsLevel", json!({"minimum": 1, "maximum": 4})),
        ("deployMilestone", json!({"maxLength": 10, "format": "date", "pattern": "^20[0-9]{2}-[0-9]{2}-[0-9]{2}$"})),
        ("omPeriodMonths", json!({"minimum": 1, "maximum": 120})),
        ("sshKeys", json!({"minItems": 1, "maxItems": 16, "x-kubernetes-list-type": "atomic"})),
    ];
    let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["description"] = "资源申请：一组同样的虚拟机。审批在集约平台上进行。".into();
    schema["required"] = json!(["spec"]);
    schema["x-kubernetes-validations"] = json!([
        {
            "rule": "!has(oldSelf.status) || !has(oldSelf.status.approvedGeneration) || self.spec == oldSelf.spec",
            "message": "申请已经批准，不能再改；需要不同的虚拟机的，另交一份申请",
            "reason": "FieldValueForbidden",
            "fieldPath": ".spec",
        },
    ]);
    let spec = &mut schema["properties"]["spec"];
    for (name, more) in fields {
        merge(&mut spec["properties"][name], more);
    }
    merge(&mut spec["properties"]["sshKeys"]["items"], json!({"minLength": 32, "maxLength": 8192, "pattern": SSH_KEY}));
    for part in ["name", "contact"] {
        merge(&mut spec["properties"]["omUnit"]["properties"][part], one_line());
    }
    spec["x-kubernetes-validations"] = json!([
        {
            "rule": "has(self.domain) != has(self.noDomainReason)",
            "message": "domain（域名）与 noDomainReason（无域名理由）填一项，且只填一项",
            "reason": "FieldValueInvalid",
        },
        {
            "rule": "has(self.filingBasis) && self.filingBasis == 'urgent' \
                ? has(self.governmentApproval) && !has(self.taskBook) && !has(self.upperLevelFiling) \
                : has(self.filingBasis) && self.filingBasis == 'upper_level' \
                ? has(self.upperLevelFiling) && !has(self.taskBook) && !has(self.governmentApproval) \
                : has(self.taskBook) && !has(self.governmentApproval) && !has(self.upperLevelFiling)",
            "message": "按申请依据填写一个编号：taskBook（任务书编号），urgent 填 governmentApproval，upper_level 填 upperLevelFiling",
            "reason": "FieldValueInvalid",
        },
    ]);
    let status = &mut schema["properties"]["status"]["properties"];
    merge(
        &mut status["conditions"],
        json!({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"], "maxItems": 16}),
    );
    merge(&mut status["violations"], json!({"maxItems": 256, "x-kubernetes-list-type": "atomic"}));
}

fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_exact() {
        for (bytes, text) in [(128 << 20, "128Mi"), (512 << 30, "512Gi"), (16 << 40, "16Ti"), (0, "0"), (1025, "1025")]
        {
            assert_eq!(quantity(Bytes::new(bytes).unwrap()), text);
        }
    }

    /// A bound that is put to a field which is not there would be a field of its own.
    #[test]
    fn every_bound_is_put_to_a_field_that_there_is() {
        let all = definitions(&Catalogue::embedded().unwrap());
        let spec = &all[1]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        for (name, field) in spec["properties"].as_object().unwrap() {
            assert!(field.get("type").is_some(), "{name}: {field}");
            let bounded = ["enum", "maxLength", "maximum", "maxItems", "properties"];
            assert!(bounded.iter().any(|key| field.get(key).is_some()), "{name} has no bound: {field}");
        }
        assert_eq!(spec["properties"].as_object().unwrap().len(), 24);
    }
}
