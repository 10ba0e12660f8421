//! The document as it grows: values under their pointers, with the place of each.

use super::outcome::{Form, FormFault};
use super::{
    contact::om_unit,
    dates, glyph, label,
    limits::too_large,
    scan::{self, line, lines},
};
use crate::place::Place;
use crate::text;
use serde_json::{Map, Value, json};

/// Fields whose line breaks mean something.
const PROSE: &[&str] = &[
    "remarks",
    "workload_description",
    "no_domain_reason",
    "performance",
    "user_scale",
    "off_cloud_procurement_reason",
];

/// Places of a report. No form has as many values; what has more is no form.
const MAX_PLACES: usize = 20_000;
/// Parts of one value that are kept.
const MAX_PARTS: usize = 200;

#[derive(Default)]
pub(super) struct Output {
    pub form: Form,
}

impl Output {
    /// Sets a field of the report, unless the report has said it already.
    pub fn set(&mut self, name: &str, value: Value, place: Place) {
        if !self.form.document.contains_key(name) {
            self.form.document.insert(name.to_owned(), value);
            self.form.places.insert(format!("/{name}"), place);
        }
    }

    /// There is room for a field of the report; nothing stands there so far.
    pub fn room(&mut self, name: &str, place: Place) {
        self.form.places.entry(format!("/{name}")).or_insert(place);
    }

    pub fn place(&mut self, pointer: String, place: Place) {
        self.form.places.insert(pointer, place);
    }

    /// Whether so much was found that the rest need not be read.
    pub fn is_full(&self) -> bool {
        self.form.places.len() > MAX_PLACES
    }

    pub fn finish(self) -> Result<Form, FormFault> {
        if self.is_full() { Err(too_large(format!("填写的内容超过 {MAX_PLACES} 项"))) } else { Ok(self.form) }
    }

    pub fn has(&self, name: &str) -> bool {
        self.form.document.contains_key(name)
    }

    /// Sets a field as written at a label, in a block (`/blocks/0`) or in the report (no parent).
    pub fn field(&mut self, into: &mut Map<String, Value>, parent: &str, name: &str, written: &str, place: &Place) {
        let pointer = format!("{parent}/{name}");
        let Some(value) = value(name, written) else {
            self.form.places.entry(pointer).or_insert_with(|| place.clone());
            return;
        };
        match into.get(name) {
            None => {
                self.form.places.insert(pointer.clone(), place.clone());
                let parts: Vec<String> = match &value {
                    Value::Object(map) => map.keys().cloned().collect(),
                    Value::Array(list) => (0..list.len()).map(|i| i.to_string()).collect(),
                    _ => Vec::new(),
                };
                for part in parts {
                    self.form.places.insert(format!("{pointer}/{part}"), place.clone());
                }
                into.insert(name.to_owned(), value);
            }
            // Those of one block stand together.
            Some(first) if *first != value && !self.form.repeated.iter().rev().take(64).any(|p| *p == pointer) => {
                self.form.repeated.push(pointer);
            }
            Some(_) => {}
        }
    }
}

/// What stands at a label, as the value of its field; none where nothing was filled in.
fn value(name: &str, written: &str) -> Option<Value> {
    let written = written.trim();
    let prose = PROSE.contains(&name);
    if !prose && let Some(words) = glyph::ticked(written) {
        return match words.as_slice() {
            [] => None,
            [one] => Some(json!(one)),
            more if name == "network_zone" => Some(json!(more)),
            more => Some(json!(more.join("、"))),
        };
    }
    match name {
        "ssh_keys" => {
            let keys: Vec<String> = written
                .lines()
                .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
                .filter(|l| !l.is_empty())
                .take(MAX_PARTS)
                .collect();
            (!keys.is_empty()).then(|| json!(keys))
        }
        "om_unit" => om_unit(written),
        "applicant" => Some(line(unit_only(written))).filter(|unit| !unit.is_empty()).map(|unit| json!(unit)),
        "deploy_milestone" | "exchange_milestone" if !written.is_empty() => {
            let plain = dates::arabic(written);
            // What stands behind the first stop is about something else.
            let mut clauses = scan::sentences(&plain).flat_map(scan::clauses);
            Some(clauses.find_map(dates::first_date).map_or_else(|| json!(line(written)), |date| json!(date)))
        }
        "om_period_months" if !written.is_empty() => {
            Some(scan::upkeep(written).map_or_else(|| json!(line(written)), |period| json!(period)))
        }
        "shared_resources" => {
            let names: Vec<&str> = written
                .split(['、', '，', ',', '；', ';', '\n'])
                .map(str::trim)
                .filter(|n| !n.is_empty())
                .take(MAX_PARTS)
                .collect();
            (!names.is_empty()).then(|| json!(names))
        }
        "storage_forecast" if !written.is_empty() => {
            Some(scan::stored_size(written, true).map_or_else(|| json!(line(written)), |(_, size)| json!(size)))
        }
        "cpu_count" | "memory" | "disk" if !written.is_empty() => Some(json!(amounts(written))),
        _ => {
            let text = if prose { lines(written) } else { line(written) };
            (!text.is_empty()).then(|| json!(text))
        }
    }
}

/// A unit without what else stands in its line: `区民政局；项目负责人：张三`.
pub(super) fn unit_only(written: &str) -> &str {
    const NEXT: &[&str] = &[
        "项目负责人",
        "负责人",
        "联系",
        "电话",
        "申报日期",
        "填报日期",
        "日期",
        "法定代表人",
        "法人代表",
        "项目联系人",
        "地址",
    ];
    let separates = |c: char| c.is_whitespace() || matches!(c, '；' | ';' | '，' | ',' | '、' | '。');
    let cut = written.char_indices().filter(|(_, c)| separates(*c)).find(|(at, _)| {
        let rest = written.get(*at..).unwrap_or_default();
        let behind = rest.trim_start_matches(separates);
        let label = behind.split_once(['：', ':']).is_some_and(|(head, _)| head.chars().take(12).count() < 12);
        let wide = rest.starts_with(['；', ';', '，', '\u{3000}', '\n']) || rest.starts_with("  ");
        NEXT.iter().any(|w| behind.starts_with(w)) || wide && label
    });
    cut.map_or(written, |(at, _)| written.get(..at).unwrap_or_default()).trim()
}

/// Amounts, one to a line; a line that has no figure of its own belongs to the one before.
fn amounts(written: &str) -> String {
    let mut out = String::with_capacity(written.len());
    for part in written.lines().map(str::trim).filter(|p| !p.is_empty()) {
        let figure = |text: &str| text.contains(|c: char| dates::digit(c).is_some());
        if figure(&out) && figure(part) {
            out.push('\n');
        }
        out.push_str(part);
    }
    out
}

/// Whether a text only says that there is nothing.
pub(super) fn says_nothing(written: &str) -> bool {
    let folded = text::fold(written);
    let bare = folded.trim_matches(|c: char| c.is_ascii_punctuation() || matches!(c, '。' | '—' | '，'));
    matches!(bare, "" | "无" | "没有" | "不涉及" | "无需" | "不需要" | "暂无" | "否") || label::whole(written).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_told_from_what_stands_behind_it() {
        for text in [
            "区民政局；项目负责人：张三",
            "区民政局　项目负责人：张三",
            "区民政局，负责人：张三",
            "区民政局　　申报日期：2026年11月",
            "区民政局 联系电话：0512-1",
            "区民政局",
        ] {
            assert_eq!(unit_only(text), "区民政局");
        }
        assert_eq!(unit_only("区民政局、区卫健委"), "区民政局、区卫健委");
    }
}
