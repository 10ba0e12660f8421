//! A feasibility report as it was written: its request blocks (六.3 基础设施资源需求), what it says once for all of them,
//! and what it says around them. Every field is optional and of any JSON type, so that all that is wrong can be told at
//! once. Whatever a report comes in (a Word form, a workbook, JSON, YAML), it becomes one document of this shape first.

use super::form::{Form, label};
use crate::{jurisdiction::Profile, place::Place, text, violation::Violation, yaml};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt};

/// A field: its canonical name, the form's word for it, other words that are accepted, and a value that would do.
#[derive(Clone, Copy, Debug)]
pub struct FieldInfo {
    pub name: &'static str,
    pub label: &'static str,
    pub aliases: &'static [&'static str],
    pub example: &'static str,
}

macro_rules! raw_fields {
    ($(#[$outer:meta])* $owner:ident, $table:ident: $($(#[$doc:meta])* $name:ident, $label:literal, [$($alias:literal),*], $example:literal;)+) => {
        $(#[$outer])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize)]
        pub struct $owner {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<Value>,)+
            /// Fields that do not exist.
            #[serde(flatten)]
            pub unknown: Map<String, Value>,
            /// Canonical names of fields that were given more than once.
            #[serde(skip)]
            pub repeated: Vec<&'static str>,
        }

        /// The fields, in the order of the form.
        pub const $table: &[FieldInfo] = &[$(FieldInfo {
            name: stringify!($name), label: $label, aliases: &[$($alias),*], example: $example,
        }),+];

        impl $owner {
            /// Where the value of the field with this canonical name stands.
            pub fn slot(&mut self, name: &str) -> Option<&mut Option<Value>> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)+
                    _ => None,
                }
            }

            /// The value of the field with this canonical name.
            pub fn get(&self, name: &str) -> Option<&Value> {
                match name {
                    $(stringify!($name) => self.$name.as_ref(),)+
                    _ => None,
                }
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
    };
}

raw_fields! {
    /// One request block. Field names are the English ones or the form's own, without regard to case, width, spaces and a
    /// number in front (`4. CPU 数量`).
    RawBlock, FIELDS:
    /// 任务书编号
    task_book, "任务书编号", ["任务书", "项目任务书", "项目任务书编号"], "相信任〔2026〕17号";
    /// 申请依据: a task book (the default), an urgent project's approval, or an upper level's project on file.
    filing_basis, "申请依据", ["立项依据"], "task_book（项目任务书）";
    /// 区政府批准文号: of an urgent project (150号 第十三条).
    government_approval, "区政府批准文号", ["政府批准文号", "紧急项目批准文号"], "相政复〔2026〕8号";
    /// 上级统筹项目备案号 (150号 第十四条).
    upper_level_filing, "上级统筹项目备案号", ["备案号", "上级项目备案号", "备案编号"], "相信备〔2026〕3号";
    /// 申请虚拟机数量
    vm_count, "申请虚拟机数量", ["虚拟机数量", "申请虚拟机台数", "虚拟机台数"], "2";
    /// Whether CPU, memory and disk are meant per machine or for all together; the form does not say, so the applicant must.
    basis, "数量口径", ["口径", "计量口径"], "per_machine（每台）";
    /// 域名
    domain, "域名", [], "oa.example.gov.cn";
    /// 无域名理由: without a domain name, why.
    no_domain_reason, "无域名理由", ["不需要域名的理由", "无域名原因"], "仅供本项目内部调用";
    /// 操作系统类型
    os_type, "操作系统类型", ["操作系统"], "Debian 12";
    /// 数据库类型
    db_type, "数据库类型", ["数据库"], "无";
    /// cpu 数量
    cpu_count, "cpu 数量", ["vcpu数量", "cpu核数", "cpu", "vcpu", "cpu个数"], "4";
    /// 内存容量, with its unit.
    memory, "内存容量", ["内存", "内存大小"], "16 GiB";
    /// 磁盘空间, with its unit.
    disk, "磁盘空间", ["磁盘", "磁盘容量", "硬盘", "硬盘容量", "存储空间"], "200 GiB";
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
    mlps_level, "等保级别", ["等级保护级别", "等保等级", "安全保护等级", "等保定级"], "2";
    /// 系统部署日期 (附件2 十.2)
    deploy_milestone, "系统部署日期", ["部署日期", "系统部署计划", "部署里程碑", "系统部署"], "2027-03-31";
    /// 运维周期 in months: the lease.
    om_period_months, "运维周期", ["运行维护周期"], "36（个月）";
    /// 运维单位: `{name, contact}`, who answers for the machines.
    om_unit, "运维单位", ["后续运行维护单位", "运行维护单位"], "{name: 信息中心, contact: 0512-00000000}";
    /// SSH 公钥, one line each.
    ssh_keys, "SSH 公钥", ["ssh公钥", "公钥"], "[ssh-ed25519 AAAA…]";
}

raw_fields! {
    /// What a report says around its blocks.
    RawContext, CONTEXT:
    /// 项目名称
    project_name, "项目名称", [], "民政综合业务管理平台";
    /// 申报部门
    applicant, "申报部门", ["项目建设单位", "建设单位", "申报单位"], "区民政局";
    /// 附件1 数据库类型
    application_db_type, "附件1 数据库类型", ["申报表数据库类型"], "无";
    /// 数据存储量预测 (附件2 五.4), with its unit.
    storage_forecast, "数据存储量预测", ["数据存储量", "存储量预测"], "500 GiB";
    /// 性能需求 (附件2 四.4)
    performance, "性能需求", ["性能需求分析"], "最大并发访问量 500，可用性 99.9%";
    /// 用户规模 (附件2 六.1)
    user_scale, "用户规模", ["建设规模", "用户数量"], "本级部门工作人员约 300 人";
    /// 共享交换实施日期 (附件2 十.2)
    exchange_milestone, "共享交换实施日期", ["共享交换实施计划", "共享交换计划"], "2027-06-30";
    /// 数据共享需求 (附件2 四.3): names of the information resources that others are to provide.
    shared_resources, "数据共享需求", [], "[人口基础信息]";
    /// 需额外采购的其他硬件设备 (附件2 六.3): a list of `{name, price, quantity, purpose, reason}`.
    extra_hardware, "需额外采购的其他硬件设备", ["其他硬件设备", "额外采购硬件"], "[{name: 高拍仪, price: 2000元, quantity: 3, purpose: 窗口采集}]";
    /// 另行采购理由 (附件2 六.3)
    off_cloud_procurement_reason, "另行采购理由", ["另行采购的理由", "采购理由"], "窗口外设，政务云不提供";
    /// What the report says of building, extending or renovating a machine room (151号 二（一）具体要求1): its sentences.
    machine_room_works, "机房建设内容", ["机房建设", "机房工程"], "无";
}

/// A whole report as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawReport {
    /// In the order of the document.
    pub blocks: Vec<RawBlock>,
    /// Fields of a block that the report gives once, for all of its blocks.
    pub shared: RawBlock,
    pub context: RawContext,
    /// The document is one block with nothing around it: its pointers begin at the block.
    pub bare: bool,
    /// JSON pointer to where the value was read. A place without a value: the document has room for it, left blank.
    pub places: BTreeMap<String, Place>,
}

/// Words for the list of blocks.
const BLOCKS: &[&str] = &["blocks", "申请虚拟机", "基础设施资源需求"];

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
                    match label::field(&key) {
                        Some(name) if block.slot(name).is_some() => block.put(name, value),
                        _ => _ = block.unknown.insert(key, value),
                    }
                }
                Ok(block)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

impl<'de> Deserialize<'de> for RawReport {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = RawReport;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a request block or a report with its `blocks` (an object of fields)")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<RawReport, A::Error> {
                let mut report = RawReport { bare: true, ..RawReport::default() };
                while let Some(key) = map.next_key::<String>()? {
                    if BLOCKS.contains(&text::fold(&key).as_str()) {
                        if !report.bare {
                            return Err(de::Error::duplicate_field("blocks"));
                        }
                        report.blocks = map.next_value()?;
                        report.bare = false;
                        continue;
                    }
                    let value = map.next_value()?;
                    match label::field(&key) {
                        Some(name) if report.shared.slot(name).is_some() => report.shared.put(name, value),
                        Some(name) => report.context.put(name, value),
                        None => _ = report.context.unknown.insert(key, value),
                    }
                }
                if report.bare {
                    report.blocks.push(std::mem::take(&mut report.shared));
                }
                Ok(report)
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
}

impl RawReport {
    /// Reads a report as written: YAML, or JSON, which is YAML too. Only what is no object of fields at all is refused
    /// here.
    pub fn read(text: &str, profile: &Profile) -> Result<Self, Vec<Violation>> {
        yaml::from_str(text).map_err(|e| vec![Violation::from_yaml(profile, &e)])
    }
}

impl RawReport {
    /// A report read from a file, with `fields` that whoever hands it in adds to it. They stand beside what the file says
    /// for all of its blocks; where the file leaves a choice open (a list), they make it.
    pub fn of_form(form: Form, fields: &Map<String, Value>) -> Result<Self, serde_json::Error> {
        let Form { mut document, places, repeated } = form;
        let mut twice = repeated;
        for (key, value) in fields {
            let name = label::field(key).unwrap_or(key.as_str());
            match document.get(name) {
                Some(Value::Array(_)) | None => _ = document.insert(name.to_owned(), value.clone()),
                Some(written) if written == value => {}
                Some(_) => twice.push(format!("/{name}")),
            }
        }
        let mut report: Self = serde_json::from_value(Value::Object(document))?;
        report.places = places;
        for pointer in &twice {
            report.mark_repeated(pointer);
        }
        Ok(report)
    }

    /// The report as JSON, in the shape that it may be handed in as.
    pub fn as_read(&self) -> Value {
        let object = |value: Result<Value, serde_json::Error>| match value {
            Ok(Value::Object(map)) => map,
            // Fields of JSON always become JSON.
            _ => Map::new(),
        };
        if let ([block], true) = (&self.blocks[..], self.bare) {
            let mut all = object(serde_json::to_value(&self.context));
            all.extend(object(serde_json::to_value(block)));
            return Value::Object(all);
        }
        let mut all = object(serde_json::to_value(&self.shared));
        all.extend(object(serde_json::to_value(&self.context)));
        all.insert("blocks".to_owned(), serde_json::to_value(&self.blocks).unwrap_or_default());
        Value::Object(all)
    }

    fn mark_repeated(&mut self, pointer: &str) {
        let mut parts = pointer.split('/').skip(1);
        let (first, number, name) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let (owner, name) = match number.and_then(|n| n.parse::<usize>().ok()) {
            Some(n) if first == "blocks" => (self.blocks.get_mut(n), name.unwrap_or_default()),
            _ if self.bare => (self.blocks.first_mut(), first),
            _ => (Some(&mut self.shared), first),
        };
        match FIELDS.iter().chain(CONTEXT).find(|field| field.name == name) {
            Some(field) if CONTEXT.iter().any(|f| f.name == name) => self.context.repeated.push(field.name),
            Some(field) => owner.into_iter().for_each(|owner| owner.repeated.push(field.name)),
            None => {}
        }
    }
}

impl From<RawBlock> for RawReport {
    fn from(block: RawBlock) -> Self {
        Self { blocks: vec![block], bare: true, ..Self::default() }
    }
}

impl RawReport {
    /// Where the value at this pointer was read, or what it is part of.
    pub fn place(&self, pointer: &str) -> Option<&Place> {
        let mut pointer = pointer;
        loop {
            if let Some(place) = self.places.get(pointer) {
                return Some(place);
            }
            pointer = pointer.rsplit_once('/').map(|(parent, _)| parent).filter(|parent| !parent.is_empty())?;
        }
    }
}

/// The field with this canonical name; the table's first for a name that is none (which a test rules out).
pub(super) fn field(name: &str) -> FieldInfo {
    FIELDS.iter().chain(CONTEXT).find(|f| f.name == name).copied().unwrap_or(FIELDS[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

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
            assert_eq!(label::field(key), Some(name), "{key}");
        }
        for key in ["", "memory_bytes", "内存 容量 大小 多少", "12", "4.", "approved"] {
            assert_eq!(label::field(key), None, "{key}");
        }
    }

    #[test]
    fn no_word_names_two_fields() {
        let mut seen = BTreeMap::new();
        for f in FIELDS.iter().chain(CONTEXT) {
            for word in [f.name, f.label].iter().chain(f.aliases) {
                if let Some(other) = seen.insert(text::fold(word), f.name) {
                    assert_eq!(other, f.name, "{word}");
                }
            }
            assert_eq!(label::field(f.name), Some(f.name));
            assert!(!f.example.is_empty());
        }
    }

    #[test]
    fn every_profile_cites_real_fields() {
        for id in Profile::embedded_ids() {
            for name in Profile::embedded(id).unwrap().form_fields.keys() {
                assert_eq!(label::field(name), Some(field(name).name), "{id} {name}");
            }
        }
    }
}
