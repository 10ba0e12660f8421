//! The request block (可研大纲 六.3 基础设施资源需求), as it was written and as it is once every field has been read.

use super::domain_name::{DomainName, MachineName};
use crate::{
    labels::{FilingBasis, MlpsLevel, ProviderWish, SecrecyLevel, Spread, Zone},
    task_book::document::Indicators,
    text::{self, hex},
    units::Bytes,
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::str::FromStr;

/// What a request asks for in all four dimensions.
pub type Demand = Indicators;

/// What the figures of CPU, memory and disk are meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    PerMachine,
    Total,
}

impl FromStr for Basis {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        match text::fold(s).as_str() {
            "per_machine" | "per_vm" | "每台" | "单台" | "每台虚拟机" | "per_machine(每台)" => {
                Ok(Self::PerMachine)
            }
            "total" | "合计" | "总计" | "总量" | "全部" | "total(合计)" => Ok(Self::Total),
            _ => Err(()),
        }
    }
}

/// What kind of work the machines do; placement and the rules of idleness ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkloadClass {
    /// 面向用户
    #[default]
    UserFacing,
    /// 批处理
    Batch,
    /// 测试
    Test,
}

impl FromStr for WorkloadClass {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        match text::fold(s).as_str() {
            "user_facing" | "面向用户" | "user_facing(面向用户)" => Ok(Self::UserFacing),
            "batch" | "批处理" => Ok(Self::Batch),
            "test" | "测试" => Ok(Self::Test),
            _ => Err(()),
        }
    }
}

/// 运维单位
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OmUnit {
    pub name: String,
    pub contact: String,
}

/// The checked block: what is stored, signed, claimed and built. All sizes are per machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// 任务书编号; of an urgent project the number of its approval, of an upper level's that of its filing.
    pub task_book: String,
    #[serde(default, skip_serializing_if = "FilingBasis::is_task_book")]
    pub filing_basis: FilingBasis,
    /// 申请虚拟机数量, 1 to 64.
    pub machines: u32,
    /// vCPU of each machine.
    pub vcpu: u32,
    /// Memory of each machine.
    #[serde(rename = "memory_bytes")]
    pub memory: Bytes,
    /// Disk of each machine.
    #[serde(rename = "disk_bytes")]
    pub disk: Bytes,
    /// Key of the catalogue.
    pub os: String,
    /// Key of the catalogue; `none` for no database.
    pub database: String,
    /// 域名; without one there is a reason.
    pub domain: Option<DomainName>,
    pub no_domain_reason: Option<String>,
    /// 运行内容
    pub workload_description: String,
    pub workload_class: WorkloadClass,
    /// 分散要求
    #[serde(default, skip_serializing_if = "Spread::is_prefer")]
    pub spread: Spread,
    /// 落位要求
    #[serde(default, skip_serializing_if = "ProviderWish::is_any")]
    pub provider: ProviderWish,
    /// 备注
    pub remarks: Option<String>,
    pub zone: Zone,
    pub secrecy_level: SecrecyLevel,
    pub mlps_level: MlpsLevel,
    /// 系统部署日期
    pub deploy_milestone: Date,
    /// 运维周期, in months.
    pub om_period_months: u32,
    /// 运维单位
    pub om_unit: OmUnit,
    /// Normalised `OpenSSH` public keys, without comments.
    pub ssh_keys: Vec<String>,
}

impl Block {
    /// What the request takes in all; `None` when it cannot be counted, which the catalogue's bounds rule out.
    pub fn totals(&self) -> Option<Demand> {
        let machines = i64::from(self.machines);
        Some(Demand {
            machines,
            vcpu: i64::from(self.vcpu).checked_mul(machines)?,
            memory: self.memory.times(machines)?,
            disk: self.disk.times(machines)?,
        })
    }

    /// What makes two requests the same need: everything but remarks, keys and dates. Lower-case hexadecimal.
    pub fn likeness(&self) -> String {
        let alike = (
            (&self.task_book, self.machines, self.vcpu, self.memory.get(), self.disk.get()),
            (&self.os, &self.database, &self.domain, self.zone.word()),
            text::fold(&self.workload_description),
        );
        // A tuple of strings and integers always becomes JSON.
        hex(&Sha256::digest(serde_json::to_vec(&alike).unwrap_or_default()))
    }

    /// The machines' names; `None` without a domain name.
    pub fn machine_names(&self) -> Option<Vec<MachineName>> {
        self.domain.as_ref().map(|d| d.machine_names(self.machines))
    }

    /// The block as canonical JSON: keys sorted, no white space.
    pub fn canonical_json(&self) -> String {
        let mut out = String::new();
        // A block is made of strings, integers and lists of them: it always becomes a JSON value.
        write_canonical(&serde_json::to_value(self).unwrap_or_default(), &mut out);
        out
    }

    /// SHA-256 of the canonical JSON, lower-case hexadecimal: what an approval signs.
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(self.canonical_json().as_bytes()))
    }
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            // Sorted here, whatever order the map keeps.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (n, (key, value)) in entries.into_iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalogue::Catalogue, jurisdiction::Profile, request::fields::RawBlock};
    use serde_json::json;

    const SAMPLE: &str = include_str!("../../samples/request.yaml");

    fn sample() -> Block {
        let profile = Profile::embedded("xiangcheng").unwrap();
        let raw = RawBlock::read(SAMPLE, &profile).unwrap();
        raw.check_shape(&Catalogue::embedded().unwrap(), &profile).unwrap()
    }

    #[test]
    fn the_sample_is_a_block() {
        let block = sample();
        assert_eq!((block.machines, block.vcpu), (2, 1));
        assert_eq!((Some(block.memory), Some(block.disk)), (Bytes::mib(128), Bytes::gib(2)));
        assert_eq!((block.os.as_str(), block.database.as_str()), ("debian-12", "none"));
        assert_eq!(block.om_period_months, 36);
        let totals = block.totals().unwrap();
        assert_eq!((totals.machines, totals.vcpu, Some(totals.memory)), (2, 2, Bytes::mib(256)));
        let names = block.machine_names().unwrap();
        assert_eq!(names[1].fqdn, "oa-1.xiangcheng.example");
    }

    #[test]
    fn a_block_keeps_through_json_and_its_digest_follows_every_field() {
        let block = sample();
        let text = block.canonical_json();
        let again: Block = serde_json::from_str(&text).unwrap();
        assert_eq!(again, block);
        assert_eq!(again.digest(), block.digest());
        assert_eq!(block.digest().len(), 64);
        // Whatever order the keys come in, the canonical form is one.
        let value: Value = serde_json::from_str(&text).unwrap();
        let Value::Object(map) = &value else { panic!("not an object") };
        let mut keys: Vec<_> = map.keys().collect();
        keys.sort();
        let places: Vec<_> = keys.iter().map(|k| text.find(&format!("\"{k}\":")).unwrap()).collect();
        assert!(places.is_sorted(), "{text}");

        let mut other = block.clone();
        other.memory = Bytes::mib(129).unwrap();
        assert_ne!(other.digest(), block.digest());
        let mut other = block.clone();
        other.remarks = None;
        assert_ne!(other.digest(), block.digest());
    }

    #[test]
    fn the_canonical_form_is_a_golden() {
        // A change here voids every approval that was signed before it.
        insta::with_settings!({snapshot_path => "../../tests/golden", prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!("block_canonical", sample().canonical_json());
        });
    }

    #[test]
    fn spreading_stands_in_the_canonical_form_only_where_it_is_required() {
        let mut block = sample();
        assert!(!block.canonical_json().contains("spread"));
        block.spread = Spread::Require;
        assert!(block.canonical_json().contains(r#""spread":"require""#));
        assert_ne!(block.digest(), sample().digest());
        assert_eq!(serde_json::from_str::<Block>(&block.canonical_json()).unwrap(), block);
    }

    #[test]
    fn a_wish_for_a_place_stands_in_the_canonical_form_only_where_there_is_one() {
        let mut block = sample();
        assert!(!block.canonical_json().contains("provider"));
        block.provider = ProviderWish::Kubevirt;
        assert!(block.canonical_json().contains(r#""provider":"kubevirt""#));
        assert_ne!(block.digest(), sample().digest());
        assert_eq!(serde_json::from_str::<Block>(&block.canonical_json()).unwrap(), block);
    }

    #[test]
    fn numbers_that_yaml_cannot_hold_are_refused() {
        let profile = Profile::embedded("xiangcheng").unwrap();
        let catalogue = Catalogue::embedded().unwrap();
        for number in ["18446744073709551616", "-9223372036854775809", ".nan", ".inf", "1e999", "0x7fffffffffffffff"] {
            let text = SAMPLE.replace("申请虚拟机数量: 2", &format!("申请虚拟机数量: {number}"));
            let refused = match RawBlock::read(&text, &profile) {
                Ok(raw) => raw.check_shape(&catalogue, &profile).is_err(),
                Err(_) => true,
            };
            assert!(refused, "{number}");
        }
    }

    #[test]
    fn a_stored_block_takes_no_stray_field() {
        let mut value = serde_json::to_value(sample()).unwrap();
        value["approved"] = json!(true);
        assert!(serde_json::from_value::<Block>(value).is_err());
    }
}
