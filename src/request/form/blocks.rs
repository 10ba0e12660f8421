//! Which of the entries that were found make up request blocks, and which speak for all of them.

use super::{
    around,
    entry::Entry,
    label::{self, PHONE},
    layout::{Item, Layout, Table},
    list,
    outline::Prose,
    scan::has,
    section::Section,
};
use crate::place::Place;
use crate::request::fields::{CONTEXT, FIELDS};

/// What only a block says. Three of them are a block, even one that forgot to say how many machines.
const CORE: &[&str] = &["domain", "os_type", "cpu_count", "memory", "disk", "workload_description"];
/// Lines of one paragraph, and parts of one line, that are looked at.
const MAX_LINES: usize = 200;
/// What is never said for all blocks at once.
const ONLY_IN_BLOCK: &[&str] = &["vm_count", "db_type", "remarks"];

fn is_core(name: &str) -> bool {
    CORE.contains(&name) || name == "vm_count"
}

/// A block as found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub entries: Vec<Entry>,
    /// Where a block stands that does not say how many machines it asks for.
    pub place: Place,
}

#[derive(Debug, Default)]
pub(super) struct Reading {
    pub blocks: Vec<Found>,
    /// Of the report as a whole.
    pub loose: Vec<Entry>,
    pub tables: usize,
    pub paragraphs: usize,
}

pub(super) fn find(layout: &Layout, prose: &[Prose]) -> Reading {
    let mut reading = Reading::default();
    let mut texts = prose.iter().peekable();
    let mut at = 0;
    // How many blocks there were behind the last table, if it had any.
    let mut before = None;
    while let Some(item) = layout.items.get(at) {
        if let Item::Table(table) = item {
            reading.tables += 1;
            let known = reading.blocks.len();
            let mut joined = false;
            if !around::shows_the_present(layout, at, table) {
                let mut here = Reading::default();
                in_table(table, &mut here);
                let units = around::units(layout, at, table);
                here.blocks.iter_mut().for_each(|found| around::complete(&mut found.entries, &units));
                if around::continues(layout, at) && before == Some(known) {
                    joined = join(&mut reading.blocks, &mut here);
                }
                reading.blocks.append(&mut here.blocks);
                reading.loose.append(&mut here.loose);
            }
            before = Some(reading.blocks.len()).filter(|now| joined || *now > known);
            while texts.next_if(|p| p.item <= at).is_some() {}
            at += 1;
            continue;
        }
        // All paragraphs up to the next table.
        let rest = layout.items.get(at..).unwrap_or_default();
        let count = rest.iter().take_while(|i| matches!(i, Item::Paragraph(_))).count();
        reading.paragraphs += count;
        at += count;
        let mut run = Vec::new();
        while let Some(text) = texts.next_if(|p| p.item < at) {
            run.push(text);
        }
        in_prose(&run, &mut reading);
    }
    tidy(&mut reading.blocks);
    reading
}

/// A table that the page broke: what stands below belongs to the last block, if that lacks all of it.
fn join(blocks: &mut [Found], below: &mut Reading) -> bool {
    let Some(last) = blocks.last_mut() else { return false };
    let mine = |e: &Entry| is_core(e.name) || ONLY_IN_BLOCK.contains(&e.name) || e.name == "no_domain_reason";
    let found = below.blocks.iter().flat_map(|f| &f.entries).chain(below.loose.iter().filter(|e| mine(e)));
    let lacking = |name: &str| last.entries.iter().all(|e| e.name != name);
    let counted = |found: &[Entry]| found.iter().any(|e| e.name == "vm_count");
    let names: Vec<&str> = found.map(|e| e.name).collect();
    let whole = below.blocks.len() <= 1 && counted(&last.entries) && !names.contains(&"vm_count");
    if !whole || !names.iter().any(|n| is_core(n)) || !names.iter().all(|n| lacking(n)) {
        return false;
    }
    last.entries.extend(below.blocks.drain(..).flat_map(|f| f.entries));
    last.entries.extend(below.loose.extract_if(.., |e| mine(e)));
    true
}

/// Leaves out what only looks like a block.
fn tidy(blocks: &mut Vec<Found>) {
    // `申请虚拟机数量：共 5 台` in a sentence before the tables.
    let real = |f: &Found| f.entries.iter().any(|e| CORE.contains(&e.name));
    if blocks.iter().any(real) {
        blocks.retain(|f| f.entries.iter().any(|e| e.name != "vm_count"));
    }
    // The form's own table, left blank beside others that are filled in, asks for nothing.
    let filled = |f: &Found| f.entries.iter().any(|e| !e.value.is_empty());
    if blocks.iter().any(filled) {
        blocks.retain(filled);
    } else {
        blocks.truncate(1);
    }
}

/// Nothing is asked for where the present state is told.
fn tells_the_present(section: Option<Section>) -> bool {
    section.is_some_and(|s| matches!(s.chapter(), 2 | 3))
}

fn in_table(table: &Table, reading: &mut Reading) {
    let mut taken = vec![false; table.rows.len()];
    around::calculations(table, &mut taken);
    let section = table.rows.iter().find_map(|r| r.section);
    let place = Place { section: section.map(Section::label), ..table.place.clone() };
    if let Some(blocks) = list::transposed(table, &mut taken) {
        add(blocks, section, &place, reading);
    } else {
        add(list::lists(table, &mut taken), section, &place, reading);
    }
    let entries = super::entry::rows(table, &taken);
    let (blocks, loose) = split(entries);
    add(blocks, section, &place, reading);
    reading.loose.extend(loose);
}

fn add(blocks: Vec<Vec<Entry>>, section: Option<Section>, place: &Place, reading: &mut Reading) {
    for entries in blocks {
        let counted = entries.iter().any(|e| e.name == "vm_count");
        if !counted && tells_the_present(section) {
            continue;
        }
        reading.blocks.push(Found { entries, place: place.clone() });
    }
}

/// The entries of one form or one run of lines, as blocks and the rest.
fn split(entries: Vec<Entry>) -> (Vec<Vec<Entry>>, Vec<Entry>) {
    let mut loose = Vec::new();
    let mut mine = Vec::new();
    let mut begun = false;
    let form = entries.iter().filter(|e| e.name == label::OTHER).take(3).count() == 3;
    let told = entries.iter().any(|e| e.name == "workload_description");
    for mut entry in entries {
        if entry.name == label::USE && !told {
            entry.name = "workload_description";
        }
        begun |= is_core(entry.name);
        let of_application = entry.application || (form && !begun);
        if entry.name == "db_type" && of_application {
            entry.name = "application_db_type";
        }
        let context = CONTEXT.iter().any(|f| f.name == entry.name) || !FIELDS.iter().any(|f| f.name == entry.name);
        if context || of_application { loose.push(entry) } else { mine.push(entry) }
    }
    let counts = mine.iter().filter(|e| e.name == "vm_count").count();
    let core = CORE.iter().filter(|n| mine.iter().any(|e| e.name == **n)).count();
    if counts == 0 && core < 3 {
        loose.extend(mine);
        return (Vec::new(), loose);
    }
    if counts < 2 {
        return (vec![mine], loose);
    }
    // What stands before the first block stands for all of them.
    let begin = mine.iter().position(|e| is_core(e.name) || e.name == "db_type").unwrap_or(0);
    let rest = mine.split_off(begin);
    loose.extend(mine);
    let opener = rest.first().map_or("vm_count", |e| e.name);
    let opener = if rest.iter().filter(|e| e.name == opener).count() == counts { opener } else { "vm_count" };
    let mut blocks: Vec<Vec<Entry>> = Vec::new();
    let (mut opened, mut others) = (false, false);
    for entry in rest {
        let opens = entry.name == opener;
        // A number given twice on end is one block's.
        if opens && opened && others {
            (opened, others) = (false, false);
            blocks.push(Vec::new());
        }
        opened |= opens;
        others |= !opens;
        match blocks.last_mut() {
            Some(block) => block.push(entry),
            None => blocks.push(vec![entry]),
        }
    }
    if blocks.len() > 1 && blocks.last().is_some_and(|b| b.len() == 1) {
        let last = blocks.pop().unwrap_or_default();
        if let Some(block) = blocks.last_mut() {
            block.extend(last);
        }
    }
    (blocks, loose)
}

/// Lines of labels and values outside tables.
fn in_prose(run: &[&Prose], reading: &mut Reading) {
    let mut lines: Vec<Entry> = Vec::new();
    let mut others = 0;
    let mut section = None;
    let close = |lines: &mut Vec<Entry>, section: Option<Section>, reading: &mut Reading| {
        let entries = std::mem::take(lines);
        let Some(place) = entries.first().map(|e| e.place.clone()) else { return };
        let (blocks, loose) = split(entries);
        add(blocks, section, &place, reading);
        if !tells_the_present(section) {
            reading.loose.extend(loose);
        }
    };
    for text in run {
        if text.heading || text.section != section {
            close(&mut lines, section, reading);
            section = text.section;
            others = 0;
        }
        if text.heading {
            continue;
        }
        let found = pairs(text);
        if found.is_empty() {
            others += 1;
            if others > 2 {
                close(&mut lines, section, reading);
            }
        } else {
            others = 0;
            lines.extend(found);
        }
    }
    close(&mut lines, section, reading);
}

/// The labels with values in a line: `CPU：4核，内存：16G`.
fn pairs(text: &Prose) -> Vec<Entry> {
    let mut out: Vec<Entry> = Vec::new();
    for line in text.text.lines().take(MAX_LINES) {
        let labelled = |text: &str| text.contains(['：', ':']);
        let Some((label, value)) = Some(line).filter(|l| labelled(l)).and_then(label::with_value) else { continue };
        let prose = matches!(label.name, "remarks" | "workload_description" | "no_domain_reason" | "om_unit" | PHONE)
            || CONTEXT.iter().any(|f| f.name == label.name);
        if prose || label.name == label::OTHER {
            out.push(Entry::new(&label, value, text.place.clone()));
            continue;
        }
        let (mut label, mut kept) = (label, String::new());
        for part in value.split_inclusive(['，', ',', '；', ';', '、', '。', '\t']) {
            let labelled = out.len() < MAX_LINES && labelled(part);
            if let Some((next, value)) = Some(part).filter(|_| labelled).and_then(label::with_value) {
                out.push(entry(&label, &kept, text));
                (label, kept) = (next, value.to_owned());
            } else {
                kept.push_str(part);
            }
        }
        out.push(entry(&label, &kept, text));
    }
    out
}

fn entry(label: &label::Label, value: &str, text: &Prose) -> Entry {
    let value = first_sentence(label, value).trim().trim_end_matches(['，', ',', '；', ';', '、', '。']);
    Entry::new(label, value, text.place.clone())
}

/// These fields are said in a word or two; sentences behind that speak of other things are not theirs.
fn first_sentence<'a>(label: &label::Label, value: &'a str) -> &'a str {
    let own: &[&str] = match label.name {
        "network_zone" => &["网", "区域"],
        "mlps_level" => &["等级保护", "等保", "定级"],
        "secrecy_level" => &["密", "公开"],
        _ => return value,
    };
    match value.split_once('。') {
        Some((first, rest)) if !has(rest, own) => first,
        _ => value,
    }
}

/// Whether a field that was found outside all blocks is one that may be said once for all.
pub(super) fn is_shared(name: &str) -> bool {
    FIELDS.iter().any(|f| f.name == name) && !CORE.contains(&name) && !ONLY_IN_BLOCK.contains(&name)
}
