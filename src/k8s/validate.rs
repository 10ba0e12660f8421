//! The second step: whether an object may become a request at all, as far as that lies in the cluster. What it asks for is
//! left to the rules, which every request passes.

use super::dereference::{Facts, Owner};
use crate::{identity::Department, text::shown};

/// Why an object is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Stands as the condition's reason.
    pub code: &'static str,
    /// Chinese, with the mend.
    pub message: String,
}

/// The department that it is a request of.
pub fn judge<'a>(facts: &'a Facts, label: &str) -> Result<&'a Department, Fault> {
    let fault = |code, message| Err(Fault { code, message });
    // Nothing that it says of itself matters to a mirror: nobody submits it, and deleting it deletes nothing.
    if !facts.is_mirror && !facts.object.metadata.owner_references.as_deref().unwrap_or_default().is_empty() {
        let message = "申请带有 ownerReferences：别的对象一删，集群就会把申请连同虚拟机一起删掉；请去掉后重新提交";
        return fault("foreign_owner", message.to_owned());
    }
    let department = match &facts.owner {
        Owner::Unlabelled => {
            return fault(
                "namespace_unassigned",
                format!(
                    "命名空间 {} 没有归属单位；请平台管理员执行 kubectl label namespace {0} {label}=单位代码",
                    facts.namespace
                ),
            );
        }
        Owner::Unknown(code) => {
            return fault(
                "department_unknown",
                format!(
                    "命名空间 {} 的标签 {label} 写的是“{}”，平台上没有这个单位代码；请平台管理员核对",
                    facts.namespace,
                    shown(code)
                ),
            );
        }
        Owner::Of(department) => department,
    };
    if facts.is_namesake {
        let message =
            format!("对象的名字 {} 是另一份申请的编号，不会当作申请受理；要申请的换一个名字，不要的删掉", facts.name);
        return fault("name_is_a_request", message);
    }
    if facts.bound.as_ref().is_some_and(|bound| bound.department != department.id) {
        let message = format!(
            "命名空间 {} 已改归 {}；原来提交的申请仍属原单位，在这里改不了，请平台管理员核对标签 {label}",
            facts.namespace, department.name
        );
        return fault("namespace_reassigned", message);
    }
    Ok(department)
}
