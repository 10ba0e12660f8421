//! `[kubernetes]`: which cluster is listened to, and how a namespace says whose it is.

use crate::provider::kubevirt::way_in;
use serde::Deserialize;
use std::path::PathBuf;

/// The cluster whose requests are taken.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubernetesSettings {
    /// The way in: a kubeconfig, or none for the account of the pod that the broker runs in.
    #[serde(default)]
    pub kubeconfig: Option<PathBuf>,
    /// The label by which a namespace names its department, by its code. Only administrators may set it.
    #[serde(default = "department_label")]
    pub department_label: String,
    /// An object that is to be deleted and still waits after so long is an alarm.
    #[serde(default = "stuck_seconds")]
    pub stuck_seconds: u32,
}

fn department_label() -> String {
    "cloud.jiyue.io/department".to_owned()
}

const fn stuck_seconds() -> u32 {
    600
}

/// What is wrong with one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsFault {
    pub field: &'static str,
    pub fault: String,
    pub mend: String,
}

impl KubernetesSettings {
    /// Everything that is wrong; asks no cluster.
    pub fn faults(&self) -> Vec<SettingsFault> {
        let mut faults = Vec::new();
        if let Some((fault, mend)) = self.kubeconfig.as_deref().and_then(way_in::fault) {
            faults.push(SettingsFault { field: "kubeconfig", fault, mend });
        }
        if !is_label_key(&self.department_label) {
            faults.push(SettingsFault {
                field: "department_label",
                fault: format!("“{}”不是标签的键", crate::text::shown(&self.department_label)),
                mend: "写成 域名/名字，如 cloud.jiyue.io/department".to_owned(),
            });
        }
        if !(1..=86_400).contains(&self.stuck_seconds) {
            faults.push(SettingsFault {
                field: "stuck_seconds",
                fault: format!("{} 不在范围内", self.stuck_seconds),
                mend: "填写 1 至 86400".to_owned(),
            });
        }
        faults
    }
}

/// A prefix (a DNS name) and a name of at most 63 characters. The prefix is asked for: a bare name is anybody's.
fn is_label_key(key: &str) -> bool {
    let part = |text: &str, extra: &[u8]| {
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || extra.contains(b))
    };
    key.split_once('/').is_some_and(|(prefix, name)| {
        prefix.len() <= 253 && name.len() <= 63 && part(prefix, b".-") && part(name, b"._-")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    /// As the provider's: one judgement of both.
    #[test]
    fn a_way_in_that_others_can_read_is_refused_without_a_byte_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kubeconfig");
        let text =
            "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers:\n- {name: u, user: {token: s3cret}}\n";
        fs::write(&file, text).unwrap();
        let judge = |mode| {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let settings = KubernetesSettings {
                kubeconfig: Some(file.clone()),
                department_label: department_label(),
                stuck_seconds: stuck_seconds(),
            };
            settings.faults()
        };
        assert_eq!(judge(0o600), []);
        let [fault] = &judge(0o644)[..] else { panic!("one fault") };
        assert_eq!(fault.field, "kubeconfig");
        assert!(fault.fault.contains("644") && !format!("{fault:?}").contains("s3cret"), "{fault:?}");
    }

    #[test]
    fn label_keys_are_told_from_others() {
        for key in ["cloud.jiyue.io/department", "a.b/c_d.e-f"] {
            assert!(is_label_key(key), "{key}");
        }
        for key in ["", "department", "/x", "a/", "a/b/c", "a b/c", "a.b/单位", "-a/b", "a/b-"] {
            assert!(!is_label_key(key), "{key}");
        }
    }
}
