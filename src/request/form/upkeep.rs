//! 九.2 运行维护机制: for how long and by whom the system is kept running.

use super::{
    outline::{Prose, Section},
    output::{Output, om_unit},
    scan::{clauses, has, periods, sentences},
};
use crate::place::Place;
use serde_json::{Value, json};

const HERE: Section = Section::Part(9, 2);
const PERIOD: &[&str] = &[
    "运行维护周期",
    "运维周期",
    "运行维护期",
    "运维期",
    "维护期",
    "免费运维",
    "免费维护",
    "免费运行维护",
    "运维服务期",
    "运维年限",
    "质保期",
];
const UNIT: &[&str] =
    &["运行维护单位", "运维单位", "运维责任单位", "运行维护责任单位", "运维承担单位", "运行维护承担单位"];

pub(super) fn read(prose: &[Prose], phones: &[(String, Place)], out: &mut Output) {
    // A row for it that was left blank is an answer: what the prose says of free repairs is not the period.
    let blank = !out.has("om_period_months") && out.form.places.contains_key("/om_period_months");
    let mine = |p: &&Prose| !blank && !p.heading && p.section == Some(HERE);
    for text in prose.iter().filter(mine) {
        for sentence in sentences(&text.text) {
            if !out.has("om_period_months")
                && let Some(period) = period(sentence, true)
            {
                out.set("om_period_months", json!(period), text.place.clone());
            }
        }
    }
    // Said elsewhere, only where it is called so.
    let anywhere = |p: &&Prose| !blank && !p.heading && !matches!(p.section.map(Section::chapter), Some(2 | 3));
    for text in prose.iter().filter(anywhere) {
        if !out.has("om_period_months")
            && let Some(period) = sentences(&text.text).find_map(|s| period(s, false))
        {
            out.set("om_period_months", json!(period), text.place.clone());
        }
    }
    unit(prose, phones, out);
    if let Some(heading) = prose.iter().find(|p| p.heading && p.section == Some(HERE)) {
        out.room("om_period_months", heading.place.clone());
        out.room("om_unit", heading.place.clone());
    }
}

/// The period next behind its word; in its own section any period of upkeep will do.
fn period(sentence: &str, here: bool) -> Option<&str> {
    let all = periods(sentence);
    let word = PERIOD.iter().filter_map(|w| sentence.find(w)).min();
    match word {
        Some(at) => all.iter().find(|(p, _)| *p > at).or(all.last()).map(|(_, p)| *p),
        None if here && has(sentence, &["运维", "维护", "维保"]) => all.first().map(|(_, p)| *p),
        None => None,
    }
}

fn unit(prose: &[Prose], phones: &[(String, Place)], out: &mut Output) {
    let mut found = out.form.document.get("om_unit").cloned();
    let mut contact = None;
    for text in prose.iter().filter(|p| !p.heading && p.section == Some(HERE)) {
        for sentence in sentences(&text.text) {
            if found.is_none()
                && let Some(value) = name(sentence).and_then(om_unit)
            {
                place_parts(&value, &text.place, out);
                found = Some(value);
            }
            if contact.is_none()
                && let Some(at) = ["联系人", "联系电话", "联系方式"].iter().filter_map(|w| sentence.find(w)).min()
            {
                contact = self::contact(sentence.get(at..).unwrap_or_default()).map(|c| (c, text.place.clone()));
            }
        }
    }
    let contact = contact.or_else(|| phones.first().cloned());
    if let Some(unit) = found {
        out.form.document.insert("om_unit".to_owned(), unit);
    }
    // A block may name its own unit.
    let blocks = out.form.document.get("blocks").and_then(Value::as_array).map_or(0, Vec::len);
    for parent in std::iter::once(String::new()).chain((0..blocks).map(|n| format!("/blocks/{n}"))) {
        let Some((number, place)) = &contact else { return };
        let unit = match parent.strip_prefix("/blocks/").and_then(|n| n.parse::<usize>().ok()) {
            Some(n) => out.form.document.get_mut("blocks").and_then(|b| b.get_mut(n)?.get_mut("om_unit")),
            None => out.form.document.get_mut("om_unit"),
        };
        if let Some(Value::Object(map)) = unit
            && !map.contains_key("contact")
        {
            map.insert("contact".to_owned(), json!(number));
            out.place(format!("{parent}/om_unit/contact"), place.clone());
        }
    }
}

fn place_parts(value: &Value, place: &Place, out: &mut Output) {
    out.place("/om_unit".to_owned(), place.clone());
    for part in value.as_object().into_iter().flat_map(|m| m.keys()) {
        out.place(format!("/om_unit/{part}"), place.clone());
    }
}

/// `后续运行维护单位为区民政局信息中心`, `由区民政局信息中心负责运行维护`
fn name(sentence: &str) -> Option<&str> {
    let bare = |text: &'static str, rest: &str| -> usize { if rest.starts_with(text) { text.len() } else { 0 } };
    for word in UNIT {
        let Some(at) = sentence.find(word) else { continue };
        let mut rest = sentence.get(at + word.len()..)?.trim_start();
        for joint in ["：", ":", "暂定为", "定为", "为", "是", "由"] {
            rest = rest.get(bare(joint, rest)..)?.trim_start();
        }
        let name = rest.split(['，', ',', '（', '(', '、']).next().unwrap_or_default();
        let name = ["负责", "承担"].iter().find_map(|w| name.split_once(w)).map_or(name, |(name, _)| name).trim();
        if !name.is_empty() && name.chars().count() <= 40 {
            return Some(name);
        }
    }
    for clause in clauses(sentence) {
        let Some((_, rest)) = clause.split_once('由') else { continue };
        let Some(end) = ["负责", "承担", "提供", "进行", "实施"].iter().filter_map(|w| rest.find(w)).min()
        else {
            continue;
        };
        let (name, work) = rest.split_at(end);
        let name = name.trim();
        if has(work, &["运维", "维护"]) || has(clause.split('由').next().unwrap_or_default(), &["运维", "维护"])
        {
            let name = name.strip_suffix("统一").unwrap_or(name);
            if !name.is_empty() && name.chars().count() <= 40 {
                return Some(name);
            }
        }
    }
    None
}

/// Who is to be called: `联系人：张三，联系电话：0512-…` without the words around it.
pub(super) fn contact(text: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for clause in text.split(['，', ',', '；', ';', '、', '。', '\n', '）', ')']) {
        let mut rest = clause.trim().trim_start_matches(['（', '(']);
        let worded =
            ["联系人及电话", "联系人", "联系电话", "联系方式", "电话", "手机"].iter().find(|w| rest.starts_with(**w));
        if let Some(word) = worded {
            rest = rest.get(word.len()..).unwrap_or_default();
        }
        let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '：' | ':' | '为' | '是'));
        if worded.is_some() || rest.starts_with(|c: char| c.is_ascii_digit()) {
            // `张三 联系电话 0512-…`
            for part in ["联系电话", "电话", "手机"]
                .iter()
                .fold(vec![rest], |parts, w| parts.iter().flat_map(|p| p.split(w)).collect())
            {
                let part = part.trim_matches(|c: char| c.is_whitespace() || matches!(c, '：' | ':' | '为'));
                if !part.is_empty() {
                    parts.push(part);
                }
            }
        }
    }
    (!parts.is_empty()).then(|| parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_units_and_contacts_are_found() {
        for (text, found) in [
            ("运行维护周期为3年", Some("3年")),
            ("系统运维期三年", Some("三年")),
            ("验收后免费运维36个月", Some("36个月")),
            ("2026年起", None),
            ("培训3个月", None),
        ] {
            assert_eq!(period(text, true), found, "{text}");
        }
        for (text, found) in [
            ("后续运行维护单位为区民政局信息中心", Some("区民政局信息中心")),
            ("系统由区大数据中心负责运行维护，联系人李四", Some("区大数据中心")),
            ("运维单位：区信息中心（联系电话0512-1）", Some("区信息中心")),
            ("运维工作由区信息中心承担", Some("区信息中心")),
            ("由专人负责培训", None),
        ] {
            assert_eq!(name(text), found, "{text}");
        }
        assert_eq!(contact("联系人：张三，联系电话：0512-12345678").as_deref(), Some("张三 0512-12345678"));
        assert_eq!(contact("联系人张三 电话0512-12345678").as_deref(), Some("张三 0512-12345678"));
    }
}
