//! Tables that are no request: 需额外采购的其他硬件设备 (六.3) and the information resources to be shared (四.3).

use super::{
    label,
    layout::{Item, Layout, Row, Table},
    output::{Output, says_nothing},
    purchase,
    scan::line,
    section::Section,
};
use crate::place::Place;
use crate::text;
use serde_json::{Map, Value, json};

/// Columns of the hardware list; of several words the first that is there counts.
const HARDWARE: &[(&str, &[&str])] = &[
    ("name", &["硬件名称", "设备名称", "名称", "硬件设备名称", "硬件", "设备"]),
    ("price", &["价格", "单价", "金额", "总价", "预算", "预算金额"]),
    ("quantity", &["数量", "采购数量"]),
    ("purpose", &["用途", "用途说明", "主要用途"]),
    (
        "reason",
        &[
            "采购理由",
            "理由",
            "采购原因",
            "说明理由",
            "另行采购理由",
            "原因",
            "采购必要性说明",
            "采购必要性",
            "必要性说明",
            "必要性",
            "采购说明",
            "情况说明",
            "说明",
            "备注",
        ],
    ),
];

pub(super) fn read(layout: &Layout, out: &mut Output) {
    let mut hardware = Vec::new();
    let mut resources: Vec<String> = Vec::new();
    // Where hardware is told of.
    let mut told = Vec::new();
    for (item, part) in layout.items.iter().enumerate() {
        let Item::Table(table) = part else { continue };
        let before = hardware.len();
        let mut row = 0;
        while row < table.rows.len() && !out.is_full() {
            match table.rows.get(row).and_then(header) {
                Some(Header::Hardware(columns)) => {
                    out.room("extra_hardware", table.place_at(row, 1));
                    row = list(table, row + 1, |at| one_device(table, at, &columns, &mut hardware, out));
                }
                Some(Header::Resources(column)) => {
                    out.room("shared_resources", table.place_at(row, column));
                    row = list(table, row + 1, |at| {
                        let Some(cell) = table.covering(at, column) else { return };
                        let name = line(table.text(at, cell));
                        if !name.is_empty() && !out.is_full() {
                            out.place(format!("/shared_resources/{}", resources.len()), table.place_of(at, cell));
                            resources.push(name);
                        }
                    });
                }
                None => row += 1,
            }
        }
        if hardware.len() > before {
            told.push(item);
        }
    }
    in_sentences(layout, &mut hardware, &mut told, out);
    let blank = |device: &Value| device.get("reason").and_then(Value::as_str).is_none_or(says_nothing);
    if hardware.iter().any(blank)
        && let Some((reason, place)) = told.iter().find_map(|item| purchase::reason(layout, *item))
    {
        out.set("off_cloud_procurement_reason", json!(reason), place);
    }
    if !hardware.is_empty() {
        out.form.document.insert("extra_hardware".to_owned(), Value::Array(hardware));
    }
    if !resources.is_empty() {
        out.form.document.insert("shared_resources".to_owned(), json!(resources));
    }
}

/// Devices that no list names.
fn in_sentences(layout: &Layout, hardware: &mut Vec<Value>, told: &mut Vec<usize>, out: &mut Output) {
    for (item, device, place) in purchase::told(layout) {
        let names = |d: &Value| d.get("name").and_then(Value::as_str).map(text::fold).unwrap_or_default();
        let name = text::fold(&device.name);
        let listed = hardware
            .iter()
            .take(MAX_LISTED)
            .map(names)
            .any(|n| n.contains(&name) || !n.is_empty() && name.contains(&n));
        if listed || out.is_full() {
            continue;
        }
        let pointer = format!("/extra_hardware/{}", hardware.len());
        out.room("extra_hardware", place.clone());
        let mut map = Map::new();
        let parts = [
            ("name", Some(device.name)),
            ("quantity", Some(device.quantity)),
            ("price", device.price),
            ("purpose", device.purpose),
        ];
        for (name, value) in parts {
            out.place(format!("{pointer}/{name}"), place.clone());
            if let Some(value) = value {
                map.insert(name.to_owned(), json!(value));
            }
        }
        out.place(pointer, place);
        hardware.push(Value::Object(map));
        told.push(item);
    }
}

/// Devices of a list that those of sentences are compared with.
const MAX_LISTED: usize = 500;

type Column = (&'static str, u32, Option<label::Label>);

fn bare(cell: &str) -> String {
    if cell.len() > 120 {
        return String::new();
    }
    let folded = text::fold(cell);
    let (words, _) = label::without_brackets(label::unnumbered(&folded));
    words.split('/').next().unwrap_or_default().to_owned()
}

/// A row that heads a list.
enum Header {
    Hardware(Vec<Column>),
    /// The column of their names.
    Resources(u32),
}

fn header(row: &Row) -> Option<Header> {
    let words: Vec<String> = row.cells.iter().map(|c| bare(&c.text)).collect();
    let resources = || resources(row, &words).map(Header::Resources);
    hardware(row, &words).map(Header::Hardware).or_else(resources)
}

fn hardware(here: &Row, words: &[String]) -> Option<Vec<Column>> {
    if here.cells.len() < 3 {
        return None;
    }
    let mut columns: Vec<Column> = Vec::new();
    for (name, accepted) in HARDWARE {
        let found = accepted.iter().find_map(|w| here.cells.iter().zip(words).find(|(_, word)| word == w));
        if let Some((cell, _)) = found {
            columns.push((name, cell.column, priced(&cell.text)));
        }
    }
    // A list of machines has such columns too.
    let machines = here.cells.iter().any(|c| {
        c.text.whole().is_some_and(|l| matches!(l.name, "vm_count" | "os_type" | "cpu_count" | "memory" | "disk"))
    });
    let has = |name| columns.iter().any(|(n, _, _)| *n == name);
    let remarks = !words.iter().any(|w| has_reason(w));
    let exact = words.iter().any(|w| w == "硬件名称");
    let place = match here.section {
        None | Some(Section::Application | Section::Part(6, _)) => true,
        Some(_) => exact && has("purpose"),
    };
    // Any list may have remarks.
    let enough = columns.iter().filter(|(n, _, _)| *n != "reason" || !remarks).count() >= 3;
    (place && !machines && has("name") && has("quantity") && enough).then_some(columns)
}

/// A column of reasons by its own words.
fn has_reason(word: &str) -> bool {
    ["理由", "原因", "必要性"].iter().any(|w| word.contains(w))
}

/// The unit in a column's heading, 价格（万元）.
fn priced(heading: &str) -> Option<label::Label> {
    let unit = ["万元", "元"].into_iter().find(|u| {
        let (_, hints) = label::without_brackets(&text::fold(heading));
        hints.contains(u)
    })?;
    Some(label::Label { name: label::OTHER, unit: Some(unit), basis: None, sure: true })
}

fn resources(here: &Row, words: &[String]) -> Option<u32> {
    let (name, _) = here.cells.iter().zip(words).find(|(_, word)| *word == "信息资源名称")?;
    let theirs = ["信息资源提供方", "资源获取方式", "资源粒度", "获取频率", "提供方"];
    words.iter().any(|word| theirs.contains(&word.as_str())).then_some(name.column)
}

/// Goes down the rows of a list to its end; gives the row behind it.
fn list(table: &Table, from: usize, mut each: impl FnMut(usize)) -> usize {
    let mut row = from;
    while let Some(here) = table.rows.get(row) {
        if header(here).is_some() {
            break;
        }
        if let Some(first) = here.cells.iter().find(|c| !c.text.trim().is_empty()) {
            let alone = here.cells.iter().filter(|c| !c.text.trim().is_empty()).count() == 1;
            // In a sheet other things follow below.
            if first.text.with_value().is_some() || alone && table.sparse {
                break;
            }
            let start = text::fold(&first.text.chars().take(8).collect::<String>());
            if !["合计", "总计", "小计"].iter().any(|w| start.starts_with(w)) {
                each(row);
            }
        }
        row += 1;
    }
    row
}

fn one_device(table: &Table, row: usize, columns: &[Column], hardware: &mut Vec<Value>, out: &mut Output) {
    if out.is_full() {
        return;
    }
    let pointer = format!("/extra_hardware/{}", hardware.len());
    let mut device = Map::new();
    let mut places: Vec<(String, Place)> = Vec::new();
    for (name, column, unit) in columns {
        let cell = table.covering(row, *column);
        let written = cell.map_or_else(String::new, |c| line(table.text(row, c)));
        let place = cell.map_or_else(|| table.place_at(row, *column), |c| table.place_of(row, c));
        let nothing = *name == "reason" && says_nothing(&written);
        if !written.is_empty() && !nothing {
            let full = unit.as_ref().map_or_else(|| written.clone(), |unit| label::complete(&written, unit));
            device.insert((*name).to_owned(), json!(full));
        }
        places.push((format!("{pointer}/{name}"), place));
    }
    if device.is_empty() || device.get("name").and_then(Value::as_str).is_some_and(says_nothing) {
        return;
    }
    out.place(pointer, table.place_at(row, 1));
    for (pointer, place) in places {
        out.place(pointer, place);
    }
    hardware.push(Value::Object(device));
}
