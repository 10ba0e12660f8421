//! What a careful reader finds in a report, held against what the broker found. Texts are compared without regard to
//! white space and width: how a line was broken or a figure typed is no part of what was said.

use super::{
    model::Report,
    paper,
    tree::{self, Spot},
};
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

/// One value that must be found, at one of these pointers.
struct Wanted {
    pointers: Vec<String>,
    /// Any of these texts.
    texts: Vec<String>,
    /// The text may stand in a sentence.
    within: bool,
}

/// How many values agree, and which do not.
#[derive(Clone, Debug, Default)]
pub struct Score {
    pub asked: usize,
    pub missed: Vec<String>,
}

impl Score {
    pub fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.missed.extend(other.missed);
    }

    fn note(&mut self, good: bool, what: impl FnOnce() -> String) {
        self.asked += 1;
        if !good {
            self.missed.push(what());
        }
    }
}

fn folded(text: &str) -> String {
    text.nfkc().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase()
}

/// Said once for all blocks: name, and whether it may stand in a sentence.
const SHARED: &[(&str, bool)] = &[
    ("task_book", false),
    ("filing_basis", false),
    ("government_approval", false),
    ("upper_level_filing", false),
    ("secrecy_level", false),
    ("mlps_level", false),
    ("deploy_milestone", true),
    ("om_period_months", false),
    ("ssh_keys", true),
];
/// Said around the blocks.
const AROUND: &[(&str, bool)] = &[
    ("project_name", false),
    ("applicant", true),
    ("storage_forecast", false),
    ("exchange_milestone", true),
    ("off_cloud_procurement_reason", false),
];

fn wanted(report: &Report, application: bool) -> Vec<Wanted> {
    let mut all = Vec::new();
    for (n, block) in report.blocks.iter().enumerate() {
        for (name, text) in block.fields.iter().filter(|(_, text)| !text.is_empty()) {
            let mut texts = vec![text.clone()];
            if report.style.label_units && matches!(*name, "memory" | "disk") {
                texts.extend(["GB", "G", "（GB）"].map(|unit| format!("{text}{unit}")));
            }
            if report.style.label_units && matches!(*name, "cpu_count" | "vm_count") {
                texts.extend(["核", "台", "（核）", "（台）"].map(|unit| format!("{text}{unit}")));
            }
            all.push(Wanted { pointers: vec![format!("/blocks/{n}/{name}")], texts, within: false });
        }
    }
    let mut say = |name: &str, within: bool, text: &str, shared: bool| {
        let mut pointers = vec![format!("/{name}")];
        if shared {
            pointers.push(format!("/blocks/0/{name}"));
        }
        all.push(Wanted { pointers, texts: vec![text.to_owned()], within });
    };
    for (list, shared) in [(SHARED, true), (AROUND, false)] {
        for (name, within) in list {
            if let Some(text) = report.said(name).filter(|text| !text.is_empty()) {
                say(name, *within, text, shared);
            }
        }
    }
    if application && let Some(text) = report.said("application_db_type") {
        say("application_db_type", false, text, false);
    }
    if let [zone] = report.ticked[..] {
        say("network_zone", false, zone, true);
    }
    for (n, item) in report.hardware.iter().enumerate() {
        let fields =
            [("name", item.name), ("price", &item.price), ("quantity", &item.quantity), ("purpose", &item.purpose)];
        for (field, text) in fields {
            say(&format!("extra_hardware/{n}/{field}"), false, text, false);
        }
    }
    all
}

/// The report as read against the report as meant.
/// What only paper has room for is asked of paper only.
pub fn document(report: &Report, answer: &Value, application: bool, paper: bool) -> Score {
    let mut score = Score::default();
    let document = &answer["document"];
    for wanted in wanted(report, application) {
        let found: Vec<String> = wanted.pointers.iter().filter_map(|p| document.pointer(p)).map(flat).collect();
        let good = found.iter().any(|found| {
            let found = folded(found);
            let same =
                |text: &String| if wanted.within { found.contains(&folded(text)) } else { found == folded(text) };
            wanted.texts.iter().any(same)
        });
        score.note(good, || format!("{} {}: {:?}, read {found:?}", report.name, wanted.pointers[0], wanted.texts[0]));
    }
    if paper {
        for (n, resource) in report.resources.iter().enumerate() {
            let found = document.pointer(&format!("/shared_resources/{n}")).map(flat);
            let good = found.as_deref().is_some_and(|found| found.contains(resource));
            score.note(good, || format!("{} /shared_resources/{n}: {resource:?}, read {found:?}", report.name));
        }
    }
    let count = document["blocks"].as_array().map_or(0, Vec::len);
    score.note(count == report.blocks.len(), || {
        format!("{}: {} blocks, read {count}", report.name, report.blocks.len())
    });
    score
}

fn flat(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(flat).collect(),
        other => other.to_string(),
    }
}

/// The checked blocks against what was meant.
pub fn typed(report: &Report, answer: &Value) -> Score {
    let mut score = Score::default();
    for (n, block) in report.blocks.iter().enumerate() {
        let found = &answer["blocks"][n]["block"];
        let mut same = |field: &str, want: Value| {
            let read = found.pointer(&format!("/{field}")).unwrap_or(&Value::Null);
            score.note(!found.is_null() && *read == want, || {
                format!("{} block {n} {field}: {want}, read {read}", report.name)
            });
        };
        let t = block.typed;
        for (field, want) in
            [("machines", t.machines), ("vcpu", t.vcpu), ("memory_bytes", t.memory), ("disk_bytes", t.disk)]
        {
            same(field, want.into());
        }
        let domain = block.text("domain").filter(|text| *text != "无").map(str::to_lowercase);
        same("domain", domain.map_or(Value::Null, Value::from));
        for (field, want) in [
            ("os", t.os),
            ("database", "none"),
            ("zone", t.zone),
            ("secrecy_level", "none"),
            ("om_unit/name", &report.truth.om_unit),
        ] {
            same(field, want.into());
        }
        same("mlps_level", report.truth.mlps.into());
        same("om_period_months", report.truth.om_months.into());
        // How a contact is put together is the reader's affair; the number is not.
        let contact = found.pointer("/om_unit/contact").and_then(Value::as_str).unwrap_or_default();
        let said = report.said("om_unit_contact").unwrap_or_default();
        let number = &said[said.find("0512").unwrap_or_default()..];
        score.note(contact.contains(number), || {
            format!("{} block {n} om_unit/contact: {said}, read {contact:?}", report.name)
        });
        let day = found["deploy_milestone"].as_str().unwrap_or_default();
        score.note(day.starts_with(&report.truth.deploy_month), || {
            format!("{} block {n} deploy_milestone: {}, read {day:?}", report.name, report.truth.deploy_month)
        });
    }
    score
}

/// The places of the values that stand in tables of a Word form.
pub fn places(report: &Report, answer: &Value) -> Score {
    let mut score = Score::default();
    for (pointer, spot) in tree::spots(&paper::nodes(report)) {
        let blank = match pointer.strip_prefix("/blocks/").and_then(|rest| rest.split_once('/')) {
            Some((n, field)) => {
                let block = n.parse().ok().and_then(|n: usize| report.blocks.get(n));
                block.and_then(|block| block.text(field)).is_none_or(str::is_empty)
            }
            None => false,
        };
        if blank {
            continue;
        }
        let found = &answer["places"][&pointer];
        let number = |key: &str| found[key].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
        let read = Spot { table: number("table"), row: number("row"), column: number("column") };
        score.note(read == spot, || format!("{} {pointer}: {spot:?}, read {found}", report.name));
    }
    score
}
