//! The request block (可研大纲 六.3 基础设施资源需求), as it was written and as it is once every field has been read.

use super::domain_name::{DomainName, MachineName};
use crate::{
    jurisdiction::Profile,
    labels::{MlpsLevel, SecrecyLevel, Zone},
    task_book::document::Indicators,
    text,
    units::Bytes,
    violation::Violation,
    yaml,
};
use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt, fmt::Write as _, str::FromStr, sync::LazyLock};

/// What a request asks for in all four dimensions.
pub type Demand = Indicators;

/// A field of the block: its canonical name, the form's word for it, other words that are accepted, and a value that
/// would do.
#[derive(Clone, Copy, Debug)]
pub struct FieldInfo {
    pub name: &'static str,
    pub label: &'static str,
    pub aliases: &'static [&'static str],
    pub example: &'static str,
}

macro_rules! raw_block {
    ($($(#[$doc:meta])* $name:ident, $label:literal, [$($alias:literal),*], $example:literal;)+) => {
        /// The block as it was written: every field optional and of any JSON type, so that all that is wrong can be told
        /// at once. Field names are the English ones or the form's own, without regard to case, width, spaces and a
        /// number in front (`4. CPU 数量`).
        #[derive(Clone, Debug, Default, PartialEq, Serialize)]
        pub struct RawBlock {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<Value>,)+
            /// Fields that do not exist.
            #[serde(flatten)]
            pub unknown: Map<String, Value>,
            /// Canonical names of fields that were given more than once.
            #[serde(skip)]
            pub repeated: Vec<&'static str>,
        }

        /// All fields of the block, in the order of the form.
        pub const FIELDS: &[FieldInfo] = &[$(FieldInfo {
            name: stringify!($name), label: $label, aliases: &[$($alias),*], example: $example,
        }),+];

        impl RawBlock {
            fn slot(&mut self, name: &str) -> Option<&mut Option<Value>> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)+
                    _ => None,
                }
            }
        }
    };
}

raw_block! {
    /// 任务书编号
    task_book, "任务书编号", ["任务书", "项目任务书", "项目任务书编号"], "相信任〔2026〕17号";
    /// 申请虚拟机数量
    vm_count, "申请虚拟机数量", ["虚拟机数量"], "2";
    /// Whether CPU, memory and disk are meant per machine or for all together; the form does not say, so the applicant must.
    basis, "数量口径", ["口径", "计量口径"], "per_machine（每台）";
    /// 域名
    domain, "域名", [], "oa.example.gov.cn";
    /// 无域名理由: without a domain name, why.
    no_domain_reason, "无域名理由", ["不需要域名的理由"], "仅供本项目内部调用";
    /// 操作系统类型
    os_type, "操作系统类型", ["操作系统"], "Debian 12";
    /// 数据库类型
    db_type, "数据库类型", ["数据库"], "无";
    /// cpu 数量
    cpu_count, "cpu 数量", ["vcpu数量", "cpu核数", "cpu"], "4";
    /// 内存容量, with its unit.
    memory, "内存容量", ["内存"], "16 GiB";
    /// 磁盘空间, with its unit.
    disk, "磁盘空间", ["磁盘", "磁盘容量"], "200 GiB";
    /// 运行内容
    workload_description, "运行内容", [], "综合业务管理平台的应用服务";
    /// 业务类别: `user_facing` (default), `batch` or `test`.
    workload_class, "业务类别", ["运行类别"], "user_facing（面向用户）";
    /// 备注
    remarks, "备注", [], "试运行阶段";
    /// 网络区域 (联网方式)
    network_zone, "网络区域", ["联网方式"], "政务外网";
    /// 密级要求
    secrecy_level, "密级要求", ["密级"], "非涉密";
    /// 等保级别, 1 to 4.
    mlps_level, "等保级别", ["等级保护级别", "等保等级"], "2";
    /// 系统部署日期 (附件2 十.2)
    deploy_milestone, "系统部署日期", ["部署日期", "系统部署计划", "部署里程碑"], "2027-03-31";
    /// 运维周期 in months: the lease.
    om_period_months, "运维周期", ["运行维护周期"], "36（个月）";
    /// 运维单位: `{name, contact}`, who answers for the machines.
    om_unit, "运维单位", ["后续运行维护单位", "运行维护单位"], "{name: 信息中心, contact: 0512-00000000}";
    /// SSH 公钥, one line each.
    ssh_keys, "SSH 公钥", ["ssh公钥"], "[ssh-ed25519 AAAA…]";
}

/// The field with this canonical name; the table's first for a name that is none (which a test rules out).
pub(super) fn field(name: &str) -> FieldInfo {
    FIELDS.iter().find(|f| f.name == name).copied().unwrap_or(FIELDS[0])
}

/// Every word of every field, folded, to the field's canonical name.
static WORDS: LazyLock<BTreeMap<String, &'static str>> = LazyLock::new(|| {
    let words = |f: &FieldInfo| [f.name, f.label].into_iter().chain(f.aliases.iter().copied());
    FIELDS.iter().flat_map(|f| words(f).map(|word| (text::fold(word), f.name))).collect()
});

/// The canonical name of a field as written.
fn canonical(key: &str) -> Option<&'static str> {
    // Beyond any field's name, however it is spaced.
    if key.len() > 128 {
        return None;
    }
    let folded = text::fold(key);
    // `1. 域名`, `4、cpu 数量`
    let bare = folded.trim_start_matches(|c: char| c.is_ascii_digit());
    let bare = if bare.len() < folded.len() { bare.strip_prefix(['.', '、']).unwrap_or(&folded) } else { &folded };
    WORDS.get(bare).copied()
}

impl<'de> Deserialize<'de> for RawBlock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = RawBlock;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a request block (an object of fields)")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<RawBlock, A::Error> {
                let mut block = RawBlock::default();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    match canonical(&key) {
                        Some(name) => block.put(name, value),
                        None => _ = block.unknown.insert(key, value),
                    }
                }
                Ok(block)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

impl RawBlock {
    /// Reads a block as written: YAML, or JSON, which is YAML too. Only what is no object of fields at all is refused here.
    pub fn read(text: &str, profile: &Profile) -> Result<Self, Vec<Violation>> {
        yaml::from_str(text).map_err(|e| vec![Violation::from_yaml(profile, &e)])
    }

    fn put(&mut self, name: &'static str, value: Value) {
        let Some(slot) = self.slot(name) else { return };
        if slot.is_none() {
            *slot = Some(value);
        } else if !self.repeated.contains(&name) {
            self.repeated.push(name);
        }
    }
}

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
    /// 任务书编号
    pub task_book: String,
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
        let mut out = String::with_capacity(64);
        for byte in Sha256::digest(self.canonical_json().as_bytes()) {
            // Writing to a string cannot fail.
            _ = write!(out, "{byte:02x}");
        }
        out
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
    use crate::catalogue::Catalogue;
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

    #[test]
    fn fields_are_found_by_the_forms_own_words() {
        for (key, name) in [
            ("申请虚拟机数量", "vm_count"),
            ("域名", "domain"),
            ("1. 域 名", "domain"),
            ("操作系统类型", "os_type"),
            ("数据库类型", "db_type"),
            ("cpu数量", "cpu_count"),
            ("cpu 数量", "cpu_count"),
            ("CPU数量", "cpu_count"),
            ("4、ＣＰＵ 数量", "cpu_count"),
            ("内存容量", "memory"),
            ("磁盘空间", "disk"),
            ("运行内容", "workload_description"),
            ("备注", "remarks"),
            ("Memory", "memory"),
        ] {
            assert_eq!(canonical(key), Some(name), "{key}");
        }
        for key in ["", "memory_bytes", "内存 容量 大小", "12", "4.", "approved"] {
            assert_eq!(canonical(key), None, "{key}");
        }
    }

    #[test]
    fn no_word_names_two_fields() {
        let mut seen = std::collections::BTreeMap::new();
        for f in FIELDS {
            for word in [f.name, f.label].iter().chain(f.aliases) {
                if let Some(other) = seen.insert(text::fold(word), f.name) {
                    assert_eq!(other, f.name, "{word}");
                }
            }
            assert_eq!(canonical(f.name), Some(f.name));
            assert!(!f.example.is_empty());
        }
    }

    #[test]
    fn every_profile_cites_real_fields() {
        for id in Profile::embedded_ids() {
            for name in Profile::embedded(id).unwrap().form_fields.keys() {
                assert_eq!(canonical(name), Some(field(name).name), "{id} {name}");
            }
        }
    }
}
