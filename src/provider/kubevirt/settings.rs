//! `[[cluster]]` in the settings: checked once, at the start. The way into a cluster stands in a file of its own, and never
//! in the database or in a log.

use super::way_in;
use crate::units::Bytes;
use serde::Deserialize;
use std::path::PathBuf;

/// The scheme of a cluster's address among hosts, as `kubernetes:c1`.
pub const SCHEME: &str = "kubernetes:";
const MOST_GIB: i64 = 1 << 22;

/// One cluster, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterSettings {
    /// What a host's address names it by.
    pub name: String,
    /// The way in; without it, the one of the pod that the broker runs in.
    #[serde(default)]
    pub kubeconfig: Option<PathBuf>,
    /// Before a department's code, the name of its namespace.
    #[serde(default = "default_prefix")]
    pub namespace_prefix: String,
    /// The namespace whose volume claims are the base images, each called `image-` and its SHA-256.
    #[serde(default = "default_images")]
    pub image_namespace: String,
    /// The class of machines' disks, if it is not the cluster's default.
    #[serde(default)]
    pub storage_class: Option<String>,
    /// What may be given out of the cluster's storage: no API tells how much there is.
    #[serde(default)]
    pub disk_gib: i64,
    /// What may be given out of processors and memory, both or neither; else what the nodes allow.
    #[serde(default)]
    pub vcpu: Option<u32>,
    #[serde(default)]
    pub memory_gib: Option<i64>,
    /// The `[[usage_source]]` of the kind `kubevirt` that measures its machines.
    #[serde(default)]
    pub usage_source: Option<String>,
}

fn default_prefix() -> String {
    "jiyue-".to_owned()
}

fn default_images() -> String {
    "jiyue-images".to_owned()
}

impl ClusterSettings {
    pub fn disk(&self) -> Bytes {
        Bytes::gib(self.disk_gib).unwrap_or(Bytes::MAX)
    }

    /// What the settings give instead of asking the nodes.
    pub fn grant(&self) -> Option<(u32, Bytes)> {
        Some((self.vcpu?, Bytes::gib(self.memory_gib?)?))
    }
}

/// A setting that cannot be used: which one, why, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cluster[{index}].{field}：{fault}；{mend}")]
pub struct SettingsFault {
    /// Which `[[cluster]]`, counted from 0.
    pub index: usize,
    pub field: &'static str,
    pub fault: String,
    pub mend: String,
}

/// Every fault of every cluster. `sources` are the usage sources of the kind `kubevirt`.
pub fn check(clusters: &[ClusterSettings], sources: &[&str]) -> Vec<SettingsFault> {
    let mut faults = Vec::new();
    for (index, one) in clusters.iter().enumerate() {
        let mut note = |field, fault: String, mend: &str| {
            faults.push(SettingsFault { index, field, fault, mend: mend.to_owned() });
        };
        if !is_slug(&one.name, 32) {
            note("name", "不是名字".to_owned(), "1 至 32 个小写字母、数字和连字符，如 c1");
        } else if clusters.iter().take(index).any(|other| other.name == one.name) {
            note("name", "和前面的重名".to_owned(), "每个集群一个名字");
        }
        // A department's code of 32 characters comes behind it, and 63 is the longest name.
        if !is_slug(&one.namespace_prefix, 31) {
            let mend = "1 至 31 个小写字母、数字和连字符，以字母或数字开头，如 jiyue-";
            note("namespace_prefix", "不能用作命名空间名的开头".to_owned(), mend);
        }
        if !is_slug(&one.image_namespace, 63) {
            note("image_namespace", "不是命名空间名".to_owned(), "写存放镜像卷的命名空间，如 jiyue-images");
        }
        if one.storage_class.as_ref().is_some_and(|class| !is_slug_with_dots(class)) {
            note("storage_class", "不是存储类名".to_owned(), "写集群里的存储类名；不写则用集群默认的");
        }
        if !(1..=MOST_GIB).contains(&one.disk_gib) {
            note("disk_gib", format!("{} 不在范围内", one.disk_gib), "填写 1 至 4194304");
        }
        match (one.vcpu, one.memory_gib) {
            (None, None) => {}
            (Some(_), None) => note("memory_gib", "没有写".to_owned(), "与 vcpu 要写就都写；都不写则按节点计算"),
            (None, Some(_)) => note("vcpu", "没有写".to_owned(), "与 memory_gib 要写就都写；都不写则按节点计算"),
            (Some(vcpu), Some(memory)) => {
                if !(1..=1_000_000).contains(&vcpu) {
                    note("vcpu", format!("{vcpu} 不在范围内"), "填写 1 至 1000000");
                }
                if !(1..=MOST_GIB).contains(&memory) {
                    note("memory_gib", format!("{memory} 不在范围内"), "填写 1 至 4194304");
                }
            }
        }
        if one.usage_source.as_ref().is_some_and(|source| !sources.contains(&source.as_str())) {
            let mend = "写一个 kind = \"kubevirt\" 的 [[usage_source]] 的 name";
            note("usage_source", "没有这个来源".to_owned(), mend);
        }
        if let Some((fault, mend)) = one.kubeconfig.as_deref().and_then(way_in::fault) {
            note("kubeconfig", fault, &mend);
        }
    }
    faults
}

fn is_slug(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
}

fn is_slug_with_dots(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|part| is_slug(part, 63) && !part.ends_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> ClusterSettings {
        ClusterSettings {
            name: "c1".into(),
            namespace_prefix: default_prefix(),
            image_namespace: default_images(),
            disk_gib: 100,
            ..ClusterSettings::default()
        }
    }

    #[test]
    fn what_is_wrong_is_told_at_once_and_by_field() {
        assert_eq!(check(&[good()], &[]), []);
        let granted = ClusterSettings { vcpu: Some(8), memory_gib: Some(32), ..good() };
        assert_eq!((check(std::slice::from_ref(&granted), &[]), granted.grant().is_some()), (vec![], true));
        let worst = ClusterSettings {
            name: "C 1".into(),
            kubeconfig: Some("/nonexistent/kubeconfig".into()),
            namespace_prefix: "-x".into(),
            image_namespace: "a/b".into(),
            storage_class: Some("Fast".into()),
            disk_gib: 0,
            vcpu: Some(4),
            memory_gib: None,
            usage_source: Some("none".into()),
        };
        let fields: Vec<_> = check(&[worst], &[]).into_iter().map(|fault| fault.field).collect();
        let all = [
            "name",
            "namespace_prefix",
            "image_namespace",
            "storage_class",
            "disk_gib",
            "memory_gib",
            "usage_source",
            "kubeconfig",
        ];
        assert_eq!(fields, all);
        assert_eq!(check(&[good(), good()], &[])[0].field, "name");
        let measured = ClusterSettings { usage_source: Some("kv".into()), ..good() };
        assert_eq!(check(&[measured], &["kv"]), []);
    }
}
