//! What our objects carry, and what is known by it. An object without exactly our marks is somebody else's, whatever it is
//! called.

use crate::{
    ids::{MachineId, OperationId},
    provider::{Intent, Mark},
};
use serde_json::{Map, Value};

/// The field manager of everything that is applied.
pub const MANAGER: &str = "jiyue";
pub const MACHINE: &str = "cloud.jiyue.io/machine";
pub const OPERATION: &str = "cloud.jiyue.io/operation";
pub const REQUEST: &str = "cloud.jiyue.io/request";
pub const ZONE: &str = "cloud.jiyue.io/zone";
pub const DEPARTMENT: &str = "cloud.jiyue.io/department-id";
/// The object's own name: a copy under another name is none of ours.
pub const NAME: &str = "cloud.jiyue.io/name";
/// On a namespace whose pods the broker is among: they may speak to every machine.
pub const BROKER: &str = "cloud.jiyue.io/broker";
/// On a seed, from its first write: the UID of the machine that was made with it. What is gone after that is not made again,
/// for its disk went with it.
pub const MADE: &str = "cloud.jiyue.io/made";

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The labels of everything that belongs to one machine.
pub fn of(intent: &Intent, name: &str) -> Map<String, Value> {
    let mut labels = Map::new();
    let mut put = |key: &str, value: String| labels.insert(key.to_owned(), Value::String(value));
    put(MANAGED_BY, MANAGER.to_owned());
    put(MACHINE, intent.machine.text());
    put(OPERATION, intent.operation.text());
    put(NAME, name.to_owned());
    if let Some(tenancy) = &intent.tenancy {
        put(REQUEST, tenancy.request.text());
        put(ZONE, tenancy.zone.word().to_owned());
    }
    labels
}

/// The labels of a department's namespace and of what stands in it for all machines.
pub fn of_department(department: &str) -> Map<String, Value> {
    let label = |key: &str, value: &str| (key.to_owned(), Value::String(value.to_owned()));
    Map::from_iter([label(MANAGED_BY, MANAGER), label(DEPARTMENT, department)])
}

fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["labels"][key].as_str()
}

/// Whose it is, if it carries our marks whole and under the name that they were given with.
pub fn read(object: &Value) -> Option<Mark> {
    let named = object["metadata"]["name"].as_str().is_some_and(|name| label(object, NAME) == Some(name));
    let ours = named && label(object, MANAGED_BY) == Some(MANAGER);
    let machine: MachineId = label(object, MACHINE)?.parse().ok()?;
    let operation: OperationId = label(object, OPERATION)?.parse().ok()?;
    ours.then_some(Mark { machine, operation })
}

pub fn is_of(object: &Value, intent: &Intent) -> bool {
    read(object) == Some(Mark::of(intent))
}

/// Whether a namespace, or what stands in it for all, is that of this department.
pub fn is_of_department(object: &Value, department: &str) -> bool {
    label(object, MANAGED_BY) == Some(MANAGER) && label(object, DEPARTMENT) == Some(department)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::tests::intent;
    use serde_json::json;

    #[test]
    fn marks_are_whole_or_none() {
        let intent = intent();
        let ours = json!({"metadata": {"name": "gw-web-1", "labels": of(&intent, "gw-web-1")}});
        assert!(is_of(&ours, &intent));
        assert!(!is_of(&ours, &Intent { operation: OperationId::new(), ..intent }));
        // A copy keeps the labels and has another name.
        let mut copy = ours.clone();
        copy["metadata"]["name"] = "copy".into();
        assert_eq!(read(&copy), None);
        for key in [MANAGED_BY, MACHINE, OPERATION, NAME] {
            let mut less = ours.clone();
            less["metadata"]["labels"].as_object_mut().unwrap().remove(key);
            assert_eq!(read(&less), None, "{key}");
        }
        assert_eq!(read(&json!({})), None);
        assert!(!is_of_department(&ours, "d") && !is_of_department(&json!({"metadata": {}}), "d"));
        assert!(is_of_department(&json!({"metadata": {"labels": of_department("d")}}), "d"));
    }
}
