//! The task book as a document: what an operator imports as YAML, and what it becomes once checked. A changed task book
//! (第十七条) is the same number with the next version.

use crate::{
    catalogue::Catalogue,
    field::{At, present},
    jurisdiction::Profile,
    labels::{FilingBasis, MlpsLevel, Zone, ZoneFault},
    rule::Code,
    text,
    units::Bytes,
    violation::{Findings, Violation},
    yaml,
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// Amounts in each of the four resource dimensions. Of a task book: its control indicators; of a request: what it asks
/// for in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Indicators {
    pub machines: i64,
    pub vcpu: i64,
    #[serde(rename = "memory_bytes")]
    pub memory: Bytes,
    #[serde(rename = "disk_bytes")]
    pub disk: Bytes,
}

impl Indicators {
    /// Both together; what cannot be counted stays at the most that can.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let bytes = |a: Bytes, b: Bytes| Bytes::new(a.get().saturating_add(b.get())).unwrap_or(Bytes::MAX);
        Self {
            machines: self.machines.saturating_add(other.machines),
            vcpu: self.vcpu.saturating_add(other.vcpu),
            memory: bytes(self.memory, other.memory),
            disk: bytes(self.disk, other.disk),
        }
    }
}

/// What a task book admits besides amounts. Keys of the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    pub os: BTreeSet<String>,
    pub databases: BTreeSet<String>,
    pub zones: BTreeSet<Zone>,
    pub mlps_levels: BTreeSet<MlpsLevel>,
}

/// 项目
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    pub code: String,
    pub name: String,
}

/// A checked task book, one version of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskBook {
    /// 任务书编号
    pub number: String,
    /// Whether the number is a task book's, an urgent project's approval, or an upper level's project on file.
    #[serde(default, skip_serializing_if = "FilingBasis::is_task_book")]
    pub basis: FilingBasis,
    /// From 1; a change makes the next.
    pub version: i64,
    /// The department's code.
    pub department: String,
    pub project: Project,
    /// The first day on which it is in force.
    pub valid_from: Date,
    /// The last day on which it is in force.
    pub valid_until: Date,
    /// The last day on which its machines may be used; that of its validity where it names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Date>,
    pub indicators: Indicators,
    pub allowed: Allowed,
    pub issued_by: Option<String>,
    /// Governance demands that the project must meet (相政办〔2018〕151号 三（三）).
    pub governance_clauses: Vec<String>,
}

/// The document as it is written. Every field is taken as it comes, so that [`Self::check`] can name all faults at once;
/// only a field that does not exist stops the reading.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskBookDocument {
    pub number: Option<Value>,
    pub basis: Option<Value>,
    pub version: Option<Value>,
    pub department: Option<Value>,
    pub project: Option<ProjectDocument>,
    pub valid_from: Option<Value>,
    pub valid_until: Option<Value>,
    pub lease_until: Option<Value>,
    pub indicators: Option<IndicatorsDocument>,
    pub allowed: Option<AllowedDocument>,
    pub issued_by: Option<Value>,
    pub governance_clauses: Option<Value>,
}

/// `project` of the document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectDocument {
    pub code: Option<Value>,
    pub name: Option<Value>,
}

/// `indicators` of the document; sizes carry their unit (`256 GiB`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IndicatorsDocument {
    pub machines: Option<Value>,
    pub vcpu: Option<Value>,
    pub memory: Option<Value>,
    pub disk: Option<Value>,
}

/// `allowed` of the document: lists of words of the catalogue and of labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AllowedDocument {
    pub os: Option<Value>,
    pub databases: Option<Value>,
    pub zones: Option<Value>,
    pub mlps_levels: Option<Value>,
}

/// Why a word is no basis.
pub const BASES: &str = "只能是 task_book（项目任务书）、urgent（紧急项目）或 upper_level（上级统筹项目）";

/// No list in a task book is longer.
const MAX_LIST: usize = 64;

const fn at<'a>(pointer: &'a str, label: &'a str, example: &'a str) -> At<'a> {
    At { pointer, label, example }
}

impl TaskBookDocument {
    /// Reads the document and checks it: YAML, or JSON, which is YAML too.
    pub fn read(text: &str, catalogue: &Catalogue, profile: &Profile) -> Result<TaskBook, Vec<Violation>> {
        match yaml::from_str::<Self>(text) {
            Ok(document) => document.check(catalogue, profile),
            Err(e) => Err(vec![Violation::from_yaml(profile, &e)]),
        }
    }

    /// The task book, or everything that is wrong with it.
    pub fn check(&self, catalogue: &Catalogue, profile: &Profile) -> Result<TaskBook, Vec<Violation>> {
        let mut findings = Findings::new(profile);
        let f = &mut findings;
        let project = self.project.clone().unwrap_or_default();
        let number = name(f, self.number.as_ref(), at("/number", "任务书编号", "相信任〔2027〕1号"));
        let version = required_count(f, self.version.as_ref(), at("/version", "版本", "1"), &[], 1_000_000);
        let department = department(f, self.department.as_ref());
        let code = name(f, project.code.as_ref(), at("/project/code", "项目编号", "XC-2027-001"));
        let title = name(f, project.name.as_ref(), at("/project/name", "项目名称", "智慧民政综合管理平台"));
        let valid_from = day(f, self.valid_from.as_ref(), at("/valid_from", "有效期起始日期", "2027-01-01"));
        let valid_until = day(f, self.valid_until.as_ref(), at("/valid_until", "有效期截止日期", "2027-12-31"));
        if let (Some(from), Some(until)) = (valid_from, valid_until)
            && until < from
        {
            f.add(Code::PeriodReversed, "/valid_until", &[("from", &from), ("until", &until)]);
        }
        let basis = basis(f, self.basis.as_ref());
        let lease_until = present(self.lease_until.as_ref())
            .and_then(|v| f.date(v, at("/lease_until", "资源使用期限", "2030-12-31")));
        if let (Some(from), Some(until)) = (valid_from, lease_until)
            && until < from
        {
            f.add(Code::PeriodReversed, "/lease_until", &[("from", &from), ("until", &until)]);
        }
        let indicators = self.indicators.clone().unwrap_or_default().check(f);
        let allowed = self.allowed.clone().unwrap_or_default().check(f, catalogue);
        let issued_by = present(self.issued_by.as_ref())
            .and_then(|v| f.text(v, at("/issued_by", "下达单位", "区信息办"), text::NAME));
        let governance_clauses =
            list(f, self.governance_clauses.as_ref(), "/governance_clauses", "治理要求", |f, v, p| {
                f.text(v, at(p, "治理要求", "数据经区数据交换共享平台汇聚"), text::PROSE)
            });
        match (number, version, department, code.zip(title), valid_from.zip(valid_until), indicators, allowed) {
            (
                Some(number),
                Some(version),
                Some(department),
                Some((code, name)),
                Some((valid_from, valid_until)),
                Some(indicators),
                Some(allowed),
            ) if findings.is_empty() => Ok(TaskBook {
                number,
                basis,
                version,
                department,
                project: Project { code, name },
                valid_from,
                valid_until,
                lease_until,
                indicators,
                allowed,
                issued_by,
                governance_clauses,
            }),
            _ => Err(findings.into_vec()),
        }
    }
}

impl IndicatorsDocument {
    fn check(&self, f: &mut Findings<'_>) -> Option<Indicators> {
        let machines = required_count(
            f,
            self.machines.as_ref(),
            at("/indicators/machines", "虚拟机数量指标", "10"),
            &["台"],
            100_000,
        );
        let vcpu = required_count(
            f,
            self.vcpu.as_ref(),
            at("/indicators/vcpu", "vCPU 指标", "40"),
            &["核", "vcpu"],
            1_000_000,
        );
        let memory = size(f, self.memory.as_ref(), at("/indicators/memory", "内存指标", "256 GiB"));
        let disk = size(f, self.disk.as_ref(), at("/indicators/disk", "磁盘指标", "4 TiB"));
        Some(Indicators { machines: machines?, vcpu: vcpu?, memory: memory?, disk: disk? })
    }
}

impl AllowedDocument {
    fn check(&self, f: &mut Findings<'_>, catalogue: &Catalogue) -> Option<Allowed> {
        let before = f.count_so_far();
        let os =
            required_list(f, self.os.as_ref(), at("/allowed/os", "核定的操作系统", "Debian 12"), |f, v, p| {
                let word = f.text(v, at(p, "核定的操作系统", "Debian 12"), text::NAME)?;
                let found = catalogue.find_os(&word).filter(|e| e.offered).map(|e| e.key.clone());
                if found.is_none() {
                    let values: &[(&str, &dyn std::fmt::Display)] =
                        &[("value", &text::shown(&word)), ("offered", &catalogue.os_names())];
                    f.add(Code::OsNotInCatalogue, p, values);
                }
                found
            });
        let databases = required_list(
            f,
            self.databases.as_ref(),
            at("/allowed/databases", "核定的数据库", "无"),
            |f, v, p| {
                let word = f.text(v, at(p, "核定的数据库", "无"), text::NAME)?;
                let found = catalogue.find_database(&word).filter(|e| e.offered).map(|e| e.key.clone());
                if found.is_none() {
                    let values: &[(&str, &dyn std::fmt::Display)] =
                        &[("value", &text::shown(&word)), ("offered", &catalogue.database_names())];
                    f.add(Code::DatabaseNotInCatalogue, p, values);
                }
                found
            },
        );
        let zones = required_list(
            f,
            self.zones.as_ref(),
            at("/allowed/zones", "核定的网络区域", "政务外网"),
            |f, v, p| {
                let at = at(p, "核定的网络区域", "政务外网");
                let word = f.text(v, at, text::NAME)?;
                read_zone(f, &word, at)
            },
        );
        let mlps_levels = required_list(
            f,
            self.mlps_levels.as_ref(),
            at("/allowed/mlps_levels", "核定的等保级别", "2"),
            |f, v, p| read_level(f, v, at(p, "核定的等保级别", "2")),
        );
        (f.count_so_far() == before).then_some(Allowed { os, databases, zones, mlps_levels })
    }
}

/// A network zone that the district serves.
pub fn read_zone(f: &mut Findings<'_>, word: &str, at: At<'_>) -> Option<Zone> {
    let shown = text::shown(word);
    match word.parse::<Zone>() {
        Ok(zone) if f.profile().zones.contains(&zone) => return Some(zone),
        Ok(zone) => f.add(Code::ZoneNotOffered, at.pointer, &[("value", &zone.label())]),
        Err(ZoneFault::Intranet) => f.add(Code::IntranetRefused, at.pointer, &[("value", &shown)]),
        Err(ZoneFault::Unknown) => {
            f.bad_value(&Value::String(shown), at, &"不是申请表上的联网方式");
        }
    }
    None
}

/// An MLPS level, as a number or as a word.
pub fn read_level(f: &mut Findings<'_>, value: &Value, at: At<'_>) -> Option<MlpsLevel> {
    let level = match value {
        Value::String(s) => s.parse().ok(),
        other => other.as_i64().and_then(MlpsLevel::new),
    };
    if level.is_none() {
        f.out_of_range(value, at, &1, &4);
    }
    level
}

fn basis(f: &mut Findings<'_>, value: Option<&Value>) -> FilingBasis {
    let Some(value) = present(value) else { return FilingBasis::default() };
    value.as_str().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
        f.bad_value(value, at("/basis", "申请依据", "task_book（项目任务书）"), &BASES);
        FilingBasis::default()
    })
}

fn name(f: &mut Findings<'_>, value: Option<&Value>, at: At<'_>) -> Option<String> {
    let value = f.required(value, at)?;
    f.text(value, at, text::NAME)
}

fn required_count(f: &mut Findings<'_>, value: Option<&Value>, at: At<'_>, units: &[&str], max: i64) -> Option<i64> {
    let value = f.required(value, at)?;
    f.count(value, at, units, 1..=max)
}

fn day(f: &mut Findings<'_>, value: Option<&Value>, at: At<'_>) -> Option<Date> {
    let value = f.required(value, at)?;
    f.date(value, at)
}

fn size(f: &mut Findings<'_>, value: Option<&Value>, at: At<'_>) -> Option<Bytes> {
    let value = f.required(value, at)?;
    let min = Bytes::mib(1).unwrap_or_default();
    f.bytes(value, at, min..=Bytes::MAX)
}

fn department(f: &mut Findings<'_>, value: Option<&Value>) -> Option<String> {
    let at = at("/department", "建设单位代码", "mzj");
    let value = f.required(value, at)?;
    let code = f.text(value, at, text::NAME)?;
    let plain = code.len() <= 32 && code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if plain {
        return Some(code);
    }
    f.bad_value(value, at, &"应为 32 个以内的小写字母、数字和连字符");
    None
}

/// The elements of a list that could be read; `read` gets each element's pointer. Absent is empty.
fn list<T>(
    f: &mut Findings<'_>,
    value: Option<&Value>,
    pointer: &str,
    label: &str,
    read: impl Fn(&mut Findings<'_>, &Value, &str) -> Option<T>,
) -> Vec<T> {
    let Some(value) = present(value) else { return Vec::new() };
    match value {
        Value::Array(items) if items.len() <= MAX_LIST => {
            items.iter().enumerate().filter_map(|(n, v)| read(f, v, &format!("{pointer}/{n}"))).collect()
        }
        Value::Array(items) => {
            let max = MAX_LIST;
            f.out_of_range(&Value::from(items.len()), at(pointer, label, ""), &0, &max);
            Vec::new()
        }
        // One word where a list of one is meant.
        Value::String(_) => read(f, value, pointer).into_iter().collect(),
        other => {
            f.bad_value(other, at(pointer, label, "[…]"), &"应为列表");
            Vec::new()
        }
    }
}

fn required_list<T: Ord>(
    f: &mut Findings<'_>,
    value: Option<&Value>,
    at: At<'_>,
    read: impl Fn(&mut Findings<'_>, &Value, &str) -> Option<T>,
) -> BTreeSet<T> {
    let value = present(value).filter(|v| v.as_array().is_none_or(|items| !items.is_empty()));
    if f.required(value, at).is_none() {
        return BTreeSet::new();
    }
    list(f, value, at.pointer, at.label, read).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const SAMPLE: &str = include_str!("../../samples/task-book.yaml");

    fn ground() -> (Catalogue, Profile) {
        (Catalogue::embedded().unwrap(), Profile::embedded("xiangcheng").unwrap())
    }

    fn faults(text: &str) -> Vec<(String, &'static str)> {
        let (catalogue, profile) = ground();
        let list = TaskBookDocument::read(text, &catalogue, &profile).err().unwrap_or_default();
        list.into_iter().map(|v| (v.pointer, v.code)).collect()
    }

    #[test]
    fn the_sample_is_a_task_book_and_keeps_through_json() {
        let (catalogue, profile) = ground();
        let book = TaskBookDocument::read(SAMPLE, &catalogue, &profile).unwrap();
        assert_eq!(book.department, "mzj");
        assert!(book.allowed.os.contains("debian-12") && book.allowed.databases.contains("none"));
        let text = serde_json::to_string(&book).unwrap();
        assert_eq!(serde_json::from_str::<TaskBook>(&text).unwrap(), book);
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let text = "
number: ''
version: 0
department: 民政局
project: {code: XC-1}
valid_from: 2027-12-31
valid_until: 2027-01-01
indicators: {machines: -1, vcpu: 2.5, memory: 256, disk: 很大}
allowed: {os: [Windows XP], databases: [], zones: [政务内网, 校园网], mlps_levels: [5]}
";
        assert_eq!(
            faults(text),
            [
                ("/number", "required"),
                ("/version", "out_of_range"),
                ("/department", "bad_value"),
                ("/project/name", "required"),
                ("/valid_until", "period_reversed"),
                ("/indicators/machines", "out_of_range"),
                ("/indicators/vcpu", "bad_value"),
                ("/indicators/memory", "unit_missing"),
                ("/indicators/disk", "bad_value"),
                ("/allowed/os/0", "os_not_in_catalogue"),
                ("/allowed/databases", "required"),
                ("/allowed/zones/0", "intranet_refused"),
                ("/allowed/zones/1", "bad_value"),
                ("/allowed/mlps_levels/0", "out_of_range"),
            ]
            .map(|(p, c)| (p.to_owned(), c))
        );
        assert_eq!(faults("{}").len(), 15, "{:?}", faults("{}"));
    }

    #[test]
    fn what_is_not_the_document_is_refused_with_its_place() {
        for text in ["", "[]", "1", "number: x\nused: 3\n", "indicators: {machines: 1, cpu: 2}\n", "a: [", "number: *x"]
        {
            let faults = faults(text);
            assert!(!faults.is_empty(), "{text}");
        }
        assert_eq!(faults("number: x\nused: 3\n"), [("/".to_owned(), "document_malformed")]);
    }

    #[test]
    fn boundary_integers_never_wrap() {
        let (catalogue, profile) = ground();
        for odd in [
            json!(0),
            json!(-1),
            json!(i64::MIN),
            json!(1_i64 << 53),
            json!(i64::MAX),
            json!(u64::MAX),
            json!(1.5),
            json!("NaN"),
            json!("9223372036854775808"),
        ] {
            for field in ["machines", "vcpu", "memory", "disk"] {
                let document: TaskBookDocument = serde_json::from_value(json!({"indicators": {field: odd}})).unwrap();
                let list = document.check(&catalogue, &profile).unwrap_err();
                let pointer = format!("/indicators/{field}");
                assert!(list.iter().any(|v| v.pointer == pointer && v.code != "required"), "{field} {odd} {list:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_with_a_pointer_and_a_mend(text in any::<String>()) {
            static GROUND: std::sync::LazyLock<(Catalogue, Profile)> = std::sync::LazyLock::new(ground);
            let (catalogue, profile) = &*GROUND;
            for v in TaskBookDocument::read(&text, catalogue, profile).err().unwrap_or_default() {
                prop_assert!(!v.pointer.is_empty() && !v.mend.is_empty() && !v.message.is_empty());
            }
        }
    }
}
