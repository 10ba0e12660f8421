//! A feasibility report as it was written: its request blocks (六.3 基础设施资源需求), what it says once for all of them,
//! and what it says around them. Whatever a report comes in (a Word form, a workbook, JSON, YAML), it becomes one document of this shape first.

use super::{
    fields::{CONTEXT, FIELDS, RawBlock, RawContext},
    form::{Form, label},
};
use crate::{jurisdiction::Profile, place::Place, text, violation::Violation, yaml};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::fields::field;
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
