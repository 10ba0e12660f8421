//! From what was found to the document that a person could have sent by hand.

use super::{
    basis,
    blocks::{self, Found, Reading},
    contact::contact,
    dates,
    entry::Entry,
    facts,
    label::{OTHER, PHONE},
    layout::Layout,
    outcome::{Form, FormFault},
    outline,
    output::{Output, says_nothing},
    rooms,
    scan::line,
    side_tables, upkeep,
};
use crate::{place::Place, request::fields::CONTEXT, rule::Code};
use serde_json::{Map, Value, json};

pub(super) fn assemble(mut layout: Layout) -> Result<Form, FormFault> {
    let prose = outline::outline(&mut layout);
    let reading = blocks::find(&layout, &prose);
    if reading.blocks.is_empty() {
        let reason = format!(
            "查看了 {} 个表格和 {} 段文字，没有“申请虚拟机数量”，也没有写明域名、操作系统类型、cpu 数量、内存容量、磁盘空间、运行内容中三项以上的表格",
            reading.tables, reading.paragraphs
        );
        return Err(FormFault { code: Code::NoBlockFound, reason });
    }
    let mut out = Output::default();
    let mut blocks = Vec::new();
    for (at, found) in reading.blocks.iter().enumerate() {
        blocks.push(block(at, found, &mut out));
        if out.is_full() {
            return out.finish();
        }
    }
    out.form.document.insert("blocks".to_owned(), Value::Array(blocks));
    labelled(&reading, &mut out);
    side_tables::read(&layout, &mut out);
    facts::read(&layout, &prose, &mut out);
    upkeep::read(&prose, &phones(&reading), &mut out);
    basis::read(&layout, &prose, &reading, &mut out);
    out.finish()
}

fn block(at: usize, found: &Found, out: &mut Output) -> Value {
    let parent = format!("/blocks/{at}");
    let mut map = Map::new();
    for Entry { name, value, place, .. } in &found.entries {
        out.field(&mut map, &parent, name, value, place);
    }
    out.form.places.entry(format!("{parent}/vm_count")).or_insert_with(|| found.place.clone());
    out.form
        .places
        .entry(parent)
        .or_insert_with(|| found.entries.first().map_or_else(|| found.place.clone(), |e| e.place.clone()));
    Value::Object(map)
}

/// What stands at labels outside the blocks.
fn labelled(reading: &Reading, out: &mut Output) {
    let mut map = std::mem::take(&mut out.form.document);
    for Entry { name, value, place, .. } in &reading.loose {
        // A row of the schedule, which may have a date to begin and one to end.
        let planned =
            place.row.is_some() && place.section.as_deref().is_some_and(|s| s.starts_with("十.") || s == "十");
        let milestone = matches!(*name, "deploy_milestone" | "exchange_milestone");
        if planned && milestone && !dates::dates(&dates::arabic(value)).is_empty() {
            continue;
        }
        // `系统部署：5月10日前`, under a year that was given before.
        if milestone && place.row.is_none() && dates::leaves_out_year(value) {
            out.room(name, place.clone());
            continue;
        }
        if *name == "machine_room_works" {
            built(value, place, &mut map, out);
        } else if CONTEXT.iter().any(|f| f.name == *name) && !matches!(*name, "extra_hardware") {
            // The first that says something counts: a title page and a form both name the project.
            if !map.contains_key(*name) {
                out.form.places.remove(&format!("/{name}"));
                out.field(&mut map, "", name, value, place);
            }
        } else if blocks::is_shared(name) {
            out.field(&mut map, "", name, value, place);
        }
    }
    out.form.document = map;
}

/// `机房建设内容：…`
fn built(value: &str, place: &Place, map: &mut Map<String, Value>, out: &mut Output) {
    if says_nothing(value) || map.contains_key("machine_room_works") {
        return;
    }
    let mut sentences: Vec<&str> = rooms::works(value);
    // Under this label nothing else is told, even where the word itself is left out.
    let whole = line(value);
    let denied = whole.contains(['不', '无', '未']);
    if sentences.is_empty() && !denied {
        sentences.push(&whole);
    }
    if sentences.is_empty() {
        return;
    }
    out.place("/machine_room_works".to_owned(), place.clone());
    (0..sentences.len()).for_each(|i| out.place(format!("/machine_room_works/{i}"), place.clone()));
    map.insert("machine_room_works".to_owned(), json!(sentences));
}

/// Contacts of 九.2; else those that stand by the unit. That of the application form is another's.
fn phones(reading: &Reading) -> Vec<(String, Place)> {
    let all = || reading.loose.iter().filter(|e| e.name == PHONE && !e.value.trim().is_empty());
    let upkeep = |e: &&Entry| e.place.section.as_deref() == Some("九.2");
    let units: Vec<&Place> = reading
        .blocks
        .iter()
        .flat_map(|b| &b.entries)
        .chain(&reading.loose)
        .filter(|e| e.name == "om_unit")
        .map(|e| &e.place)
        .collect();
    let other = |place: &Place| {
        reading.loose.iter().any(|e| e.name == OTHER && e.place.row.is_some() && same_row(&e.place, place))
    };
    let beside = |e: &&Entry| {
        e.place.section.as_deref() != Some("附件1") && !other(&e.place) && units.iter().any(|u| follows(u, &e.place))
    };
    let own: Vec<&Entry> =
        if all().any(|e| upkeep(&e)) { all().filter(upkeep).collect() } else { all().filter(beside).collect() };
    let Some(first) = own.first() else { return Vec::new() };
    let words: Vec<String> = own
        .iter()
        .take(8)
        .map(|e| line(&e.value))
        .map(|words| contact(&format!("联系人：{words}")).unwrap_or(words))
        .collect();
    vec![(words.join(" "), first.place.clone())]
}

fn same_table(a: &Place, b: &Place) -> bool {
    (&a.sheet, a.table) == (&b.sheet, b.table)
}

fn same_row(a: &Place, b: &Place) -> bool {
    same_table(a, b) && a.row == b.row
}

/// Whether one place comes right behind another.
fn follows(first: &Place, next: &Place) -> bool {
    let near = |first: Option<u32>, next: Option<u32>| {
        first.zip(next).is_some_and(|(first, next)| (first..=first.saturating_add(2)).contains(&next))
    };
    same_table(first, next) && (near(first.row, next.row) || near(first.paragraph, next.paragraph))
}
