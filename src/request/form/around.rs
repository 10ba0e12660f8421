//! What stands around a table says what it is: the machines that an office has already, a calculation, the rest of a
//! table that the page broke, the units of its figures.

use super::{
    entry::Entry,
    label,
    layout::{Item, Layout, Table},
    scan::{has, line},
};
use crate::text;

/// Longest caption, sentence before a table or note at it.
const MAX_BYTES: usize = 240;
/// Paragraphs looked back over: a note of the unit and a caption may stand between a sentence and its table.
const BACK: usize = 3;

fn paragraph(layout: &Layout, item: usize) -> Option<&str> {
    match layout.items.get(item)? {
        Item::Paragraph(paragraph) => Some(paragraph.text.trim()),
        Item::Table(_) => None,
    }
}

/// Whether a table shows what there is and not what is asked for: its caption, the sentence before it or its sheet says
/// so, and it does not say 申请虚拟机数量.
pub(super) fn shows_the_present(layout: &Layout, item: usize, table: &Table) -> bool {
    let words = |text: &str| {
        let said = text::fold(&line(text));
        has(&said, &["现有", "现状", "利旧", "已有", "原有", "现用", "在用"])
            && !has(&said, &["申请", "拟", "新增", "新建", "需求", "基础上", "扩容", "调整"])
    };
    let sheet = table.place.sheet.as_deref().is_some_and(words);
    let first = table.rows.first().filter(|_| !table.sparse).map(|r| r.cells.as_slice());
    let title = matches!(first, Some([only]) if only.text.len() <= MAX_BYTES && words(&only.text));
    (sheet || title || before(layout, item).any(words)) && !asks(table)
}

/// The texts that introduce a table, the nearest first: of a paragraph its last sentence.
fn before(layout: &Layout, item: usize) -> impl Iterator<Item = &str> {
    let mut more = true;
    (item.saturating_sub(BACK)..item).rev().map_while(move |at| {
        let text = paragraph(layout, at).filter(|_| more)?;
        more = is_caption(text);
        let last = text.trim_end_matches(['。', '：', ':']).rsplit(['。', '；']).next().unwrap_or_default();
        Some(if last.len() <= MAX_BYTES { last } else { "" })
    })
}

/// `表6-1 …`, `单位：台`: the sentence that introduces the table stands above.
fn is_caption(text: &str) -> bool {
    text.len() <= 90 && (text.starts_with('表') || text.starts_with("单位") || text.starts_with("（单位"))
}

/// 申请虚拟机数量 in the form's own words.
fn asks(table: &Table) -> bool {
    let mut cells = table.rows.iter().flat_map(|r| &r.cells);
    cells.any(|c| c.text.contains('申') && c.text.with_value().is_some_and(|(l, _)| l.name == "vm_count"))
}

/// Marks the rows of a calculation that stands in a table: a heading with 依据 or 结果, then one resource to a row.
pub(super) fn calculations(table: &Table, taken: &mut [bool]) {
    let resource = |name: &str| RESOURCES.contains(&name);
    let names: Vec<Vec<&'static str>> = table
        .rows
        .iter()
        .map(|row| row.cells.iter().filter_map(|c| c.text.with_value()).map(|(l, _)| l.name).collect())
        .collect();
    let count = |name: &str, rows: &[Vec<&str>]| rows.iter().flatten().filter(|n| **n == name).count();
    let others = ["vm_count", "domain", "os_type", "workload_description"].map(|n| count(n, &names));
    let alone = others.iter().all(|count| *count == 0);
    let all = RESOURCES.map(|n| count(n, &names));
    let mut row = 0;
    while let Some(here) = table.rows.get(row) {
        let heading = here.cells.iter().filter(|c| !c.text.trim().is_empty()).count() >= 2
            && names.get(row).is_some_and(Vec::is_empty)
            && here.cells.iter().any(|c| c.text.len() <= 60 && has(&text::fold(&c.text), CALCULATED));
        row += 1;
        if !heading {
            continue;
        }
        let first = |row: usize| {
            let cell = table.rows.get(row)?.cells.iter().find(|c| !c.text.trim().is_empty())?;
            cell.text.with_value().map(|(l, _)| l.name)
        };
        let from = row;
        while names.get(row).is_some_and(|n| n.len() <= 1) && first(row).is_none_or(resource) {
            row += 1;
        }
        // A form with a column for the reasons has everything else, too, and each resource once.
        let mine = RESOURCES.map(|n| count(n, names.get(from..row).unwrap_or_default()));
        if alone || mine.iter().zip(&all).all(|(mine, all)| *mine == 0 || mine < all) {
            taken.iter_mut().take(row).skip(from).for_each(|t| *t = true);
        }
    }
}

const RESOURCES: [&str; 3] = ["cpu_count", "memory", "disk"];
/// What heads a calculation.
const CALCULATED: &[&str] = &["测算", "依据", "计算", "估算", "推算", "公式", "结果"];

/// Whether the table goes on with the one before it: a paragraph says so, or nothing stands between the two.
pub(super) fn continues(layout: &Layout, item: usize) -> bool {
    let Some(before) = item.checked_sub(1) else { return false };
    // Sheets stand apart.
    if matches!(layout.items.get(item), Some(Item::Table(table)) if table.sparse) {
        return false;
    }
    let Some(text) = paragraph(layout, before) else { return true };
    let folded = text::fold(text);
    let bare = folded.trim_end_matches([')', ':', '。']);
    text.len() <= 90
        && (bare.ends_with('续') || has(&folded, &["续表", "续上表", "接上表", "上接"]) || folded.starts_with("(续"))
        && layout.items.get(..before).is_some_and(|i| matches!(i.last(), Some(Item::Table(_))))
}

/// Units that a note at a table gives the fields: `单位：CPU为核/台，内存为GB/台`.
pub(super) fn units(layout: &Layout, item: usize, table: &Table) -> Vec<(&'static str, String)> {
    let above = (item.saturating_sub(2)..item).rev().map_while(|at| paragraph(layout, at)).find_map(noted);
    let within = || {
        let mut rows = table.rows.iter().enumerate().filter(|(_, r)| r.cells.len() < 12);
        rows.find_map(|(row, r)| (0..r.cells.len()).find_map(|cell| noted(table.text(row, cell))))
    };
    // Below stands the note of the next table, if there is one.
    let below = || {
        let next = matches!(layout.items.get(item + 2), Some(Item::Table(_)));
        paragraph(layout, item + 1).filter(|_| !next).and_then(noted)
    };
    above.or_else(within).or_else(below).unwrap_or_default()
}

fn noted(written: &str) -> Option<Vec<(&'static str, String)>> {
    if written.len() > MAX_BYTES {
        return None;
    }
    let bare = written.trim().trim_start_matches(['（', '(', '注', '：', ':', '说', '明']);
    let body = bare.strip_prefix("单位")?.trim_start_matches(['：', ':', '为']);
    let mut out = Vec::new();
    for part in body.split(['，', ',', '；', ';', '、', '。']) {
        let (name, unit) = part.split_once(['为', '：', ':'])?;
        let unit = unit.trim().trim_end_matches(['）', ')']);
        let name = label::whole(name).filter(|l| matches!(l.name, "cpu_count" | "memory" | "disk"));
        if let Some(label) = name
            && label::is_unit(unit)
        {
            out.push((label.name, unit.to_owned()));
        }
    }
    (!out.is_empty()).then_some(out)
}

/// Puts the unit that a note gives behind figures that have none.
pub(super) fn complete(entries: &mut [Entry], units: &[(&'static str, String)]) {
    for entry in entries {
        let bare = !entry.value.is_empty() && entry.value.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ','));
        if let Some((_, unit)) = units.iter().find(|(name, _)| *name == entry.name).filter(|_| bare) {
            entry.value.push_str(unit);
        }
    }
}
