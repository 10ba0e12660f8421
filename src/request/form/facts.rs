//! What the sections of a report say in sentences and tables of their own.

use super::{
    layout::{Item, Layout, Table},
    outline::Prose,
    output::{Output, unit_only},
    plan, protection, rooms,
    scan::{about_storage, clauses, has, line, lines, sentences, sizes, stored_size},
    section::Section,
    sections::{below, heading, rows},
};
use crate::place::Place;
use crate::text;
use serde_json::{Value, json};
pub(super) fn read(layout: &Layout, prose: &[Prose], out: &mut Output) {
    names(prose, out);
    whole_section(layout, prose, Section::Part(4, 4), "performance", out);
    whole_section(layout, prose, Section::Part(6, 1), "user_scale", out);
    storage(layout, prose, out);
    protection::protection(layout, prose, out);
    protection::network(prose, out);
    protection::secrecy(prose, out);
    shared(prose, out);
    off_cloud(prose, out);
    plan::plan(layout, prose, out);
    machine_rooms(layout, prose, out);
}

/// 一.1 and 一.2
fn names(prose: &[Prose], out: &mut Output) {
    for (section, name) in [(Section::Part(1, 1), "project_name"), (Section::Part(1, 2), "applicant")] {
        if let Some(text) = below(prose, section).next() {
            let written = if section == Section::Part(1, 2) { unit_only(&text.text) } else { &text.text };
            let mut words = line(written);
            // 项目建设单位及负责人: the unit comes first.
            if section == Section::Part(1, 2) {
                words = words.split(['，', ',', '、', '；', ';']).next().unwrap_or_default().trim().to_owned();
            }
            if !words.is_empty() {
                out.set(name, json!(words), text.place.clone());
            }
        }
        if let Some(heading) = heading(prose, section) {
            out.room(name, heading.place.clone());
        }
    }
}

/// All that a section says is one value.
fn whole_section(layout: &Layout, prose: &[Prose], section: Section, name: &str, out: &mut Output) {
    let texts: Vec<&Prose> = below(prose, section).collect();
    if let Some(first) = texts.first() {
        let all: Vec<String> = texts.iter().map(|t| lines(&t.text)).collect();
        out.set(name, json!(all.join("\n")), first.place.clone());
    } else {
        let rows = rows(layout, |s| s == Some(section));
        if let Some((_, place)) = rows.first() {
            let all: Vec<&str> = rows.iter().map(|(t, _)| t.as_str()).collect();
            out.set(name, json!(all.join("\n")), place.clone());
        }
    }
    if let Some(heading) = heading(prose, section) {
        out.room(name, heading.place.clone());
    }
}

/// 五.4: the size that is said of storage.
fn storage(layout: &Layout, prose: &[Prose], out: &mut Output) {
    let here = Section::Part(5, 4);
    let mut texts: Vec<(String, bool, Place)> = Vec::new();
    let mut stored = false;
    for text in below(prose, here) {
        // `1、数据存储量预测` over the text it is of.
        if sizes(&text.text).is_empty() && text.text.chars().count() <= 20 {
            stored = about_storage(&text.text).unwrap_or(stored);
        }
        texts.push((text.text.clone(), stored, text.place.clone()));
    }
    // The head of a table says what its figures are, where one of them is for all.
    let rows = rows(layout, |s| s == Some(here));
    let figures = |table| rows.iter().filter(move |(t, p)| p.table == table && !sizes(t).is_empty());
    for (at, (text, place)) in rows.iter().enumerate() {
        let head = rows.iter().take(at).rfind(|(t, p)| p.table == place.table && sizes(t).is_empty());
        let whole = has(text, &["合计", "总计", "总量", "共计"]) || figures(place.table).count() == 1;
        let headed = whole && head.is_some_and(|(t, _)| about_storage(t) == Some(true));
        texts.push((text.clone(), headed, place.clone()));
    }
    let found = texts.into_iter().filter_map(|(text, stored, place)| {
        stored_size(&text, stored).map(|(rank, size)| (rank, size.to_owned(), place))
    });
    let best = found.reduce(|best, next| if next.0 > best.0 { next } else { best });
    if let Some((_, size, place)) = best {
        out.set("storage_forecast", json!(size), place);
    }
    if let Some(heading) = heading(prose, here) {
        out.room("storage_forecast", heading.place.clone());
    }
}

/// 四.3 in a sentence: `需从区公安分局获取人口信息`.
fn shared(prose: &[Prose], out: &mut Output) {
    if out.has("shared_resources") {
        return;
    }
    let mut found: Vec<(String, Place)> = Vec::new();
    for text in below(prose, Section::Part(4, 3)) {
        for clause in sentences(&text.text).flat_map(clauses) {
            let names = resource(clause).into_iter().flat_map(|names| names.split(['、', '和', '及']));
            let names = names.map(|n| n.trim_end_matches('等').trim()).filter(|n| !n.is_empty());
            found.extend(names.map(|n| (n.to_owned(), text.place.clone())));
        }
    }
    found.truncate(MAX_WORKS);
    let Some((_, first)) = found.first() else { return };
    out.place("/shared_resources".to_owned(), first.clone());
    let mut list = Vec::new();
    for (name, place) in found {
        out.place(format!("/shared_resources/{}", list.len()), place);
        list.push(Value::String(name));
    }
    out.form.document.insert("shared_resources".to_owned(), Value::Array(list));
}

/// What a clause says is to come from another office.
fn resource(clause: &str) -> Option<&str> {
    let denied = has(clause, &["无需", "不", "无", "未", "本单位", "本局", "我局", "内部", "可从", "已"]);
    let (at, from) = ["从", "由", "与"].iter().filter_map(|w| clause.find(w).map(|at| (at, *w))).min()?;
    let rest = clause.get(at + from.len()..).filter(|_| !denied && clause.len() < 300)?;
    let verbs: &[&str] = match from {
        "从" => &["获取", "共享", "接入", "调取", "读取", "查询"],
        "由" => &["提供", "共享"],
        _ => &["共享"],
    };
    let (at, verb) = verbs.iter().filter_map(|v| rest.find(v).map(|at| (at, *v))).min()?;
    let office = rest.get(..at)?;
    let names = rest.get(at + verb.len()..)?.trim_start_matches(['：', ':', '的']);
    let offices = ["局", "委", "办", "中心", "法院", "部门", "公安", "街道", "税务", "银行", "院"];
    let named = names.ends_with(['息', '据', '库', '录', '照', '等', '料']) && names.chars().count() <= 40;
    (has(office, &offices) && named).then_some(names)
}

/// A sentence that gives the reason for buying outside the cloud.
fn off_cloud(prose: &[Prose], out: &mut Output) {
    for text in below(prose, Section::Part(6, 3)) {
        for sentence in sentences(&text.text) {
            let said = has(sentence, &["理由", "原因"]) && has(sentence, &["采购", "另购", "外购", "购置"]);
            if said && !has(sentence, &["须说明理由", "需说明理由"]) {
                out.set("off_cloud_procurement_reason", json!(sentence), text.place.clone());
            }
        }
    }
}

/// Sentences about machine rooms that are kept.
const MAX_WORKS: usize = 200;

/// Sentences about works on machine rooms, where the report says what it will build.
fn machine_rooms(layout: &Layout, prose: &[Prose], out: &mut Output) {
    let headed = prose.iter().any(|p| p.section.is_some());
    let mine = |section: Option<Section>| match section {
        Some(Section::Application) => true,
        Some(Section::Part(1, item)) => matches!(item, 5 | 6),
        Some(Section::Part(chapter, _)) => matches!(chapter, 5..=7 | 10 | 11),
        None => !headed,
    };
    let mut found: Vec<(String, Place)> = Vec::new();
    for text in prose.iter().filter(|p| !p.heading && p.place.row.is_none() && mine(p.section)) {
        found.extend(rooms::works(&text.text).into_iter().map(|s| (s.to_owned(), text.place.clone())));
    }
    for item in &layout.items {
        let Item::Table(table) = item else { continue };
        for (at, row) in table.rows.iter().enumerate().filter(|(_, r)| mine(r.section)) {
            in_row(table, at, row.cells.len(), &mut found);
        }
    }
    found.dedup_by(|a, b| a.0 == b.0);
    found.truncate(MAX_WORKS);
    if found.is_empty() || out.has("machine_room_works") {
        return;
    }
    let mut list = Vec::new();
    for (i, (sentence, place)) in found.into_iter().enumerate() {
        if i == 0 {
            out.place("/machine_room_works".to_owned(), place.clone());
        }
        out.place(format!("/machine_room_works/{i}"), place);
        list.push(Value::String(sentence));
    }
    out.form.document.insert("machine_room_works".to_owned(), Value::Array(list));
}

fn in_row(table: &Table, row: usize, cells: usize, found: &mut Vec<(String, Place)>) {
    let before = found.len();
    let mut words: Vec<String> = Vec::new();
    for cell in 0..cells {
        let Some(here) = table.rows.get(row).and_then(|r| r.cells.get(cell)).filter(|c| c.origin.is_none()) else {
            continue;
        };
        found.extend(rooms::works(&here.text).into_iter().map(|s| (s.to_owned(), table.place_of(row, cell))));
        if here.text.len() < 4096 {
            words.push(line(&here.text));
        }
    }
    let whole = words.iter().filter(|w| !w.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ");
    if found.len() == before && text::fold(&whole).contains("机房") && rooms::equipment(&whole) {
        found.push((whole, table.place_of(row, 0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_of_other_offices_are_named() {
        for (text, found) in [
            ("本项目需通过区数据交换共享平台从区公安分局获取人口信息", Some("人口信息")),
            ("由区公安分局提供人口信息、户籍信息", Some("人口信息、户籍信息")),
            ("本项目不需要从外部获取数据", None),
            ("无需从区公安分局获取人口信息", None),
            ("数据从业务系统获取", None),
        ] {
            assert_eq!(resource(text), found, "{text}");
        }
    }
}
