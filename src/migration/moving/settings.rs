//! `[[source_host]]` in the settings: hosts of departmental rooms that old guests are taken over from. Nothing of ours is ever
//! placed on one.

use crate::provider::libvirt::Way;
use serde::Deserialize;

/// One host, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceHostSettings {
    /// What a disk import names it by.
    pub name: String,
    /// As a host's: `qemu+tls://…`, or `qemu+tcp://…` in the networks that allow it.
    pub uri: String,
}

/// A setting that cannot be used: which one, why, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("source_host[{index}].{field}：{fault}；{mend}")]
pub struct SettingsFault {
    /// Which `[[source_host]]`, counted from 0.
    pub index: usize,
    pub field: &'static str,
    pub fault: String,
    pub mend: String,
}

/// Every fault of every source host. Nothing is asked of any network.
pub fn check(hosts: &[SourceHostSettings]) -> Vec<SettingsFault> {
    let mut faults = Vec::new();
    for (index, one) in hosts.iter().enumerate() {
        let mut note = |field, fault: String, mend: &str| {
            faults.push(SettingsFault { index, field, fault, mend: mend.to_owned() });
        };
        let slug = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !(1..=32).contains(&one.name.len()) || !one.name.bytes().all(slug) {
            note("name", "不是名字".to_owned(), "1 至 32 个小写字母、数字和连字符，如 mzj-room-1");
        } else if hosts.iter().take(index).any(|other| other.name == one.name) {
            note("name", "和前面的重名".to_owned(), "每台源宿主机一个名字");
        }
        if let Err(fault) = Way::read(&one.uri) {
            note("uri", fault.to_string(), "写法与登记宿主机时的地址相同");
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_by_field() {
        let good = SourceHostSettings { name: "room-1".into(), uri: "qemu+tls://10.1.1.1/system".into() };
        assert_eq!(check(std::slice::from_ref(&good)), []);
        let bad = SourceHostSettings { name: "Room 1".into(), uri: "qemu+ssh://x/system".into() };
        let fields = |hosts: &[SourceHostSettings]| check(hosts).into_iter().map(|f| f.field).collect::<Vec<_>>();
        assert_eq!(fields(&[bad]), ["name", "uri"]);
        assert_eq!(fields(&[good.clone(), good]), ["name"]);
    }
}
