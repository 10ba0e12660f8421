//! 九.2 运行维护机制: for how long and by whom the system is kept running.

use super::{
    contact::{self, om_unit},
    dates::arabic,
    outline::Prose,
    output::Output,
    scan::{FREE, clauses, has, months_between, periods, sentences, without_free},
    section::Section,
};
use crate::place::Place;
use serde_json::{Value, json};

const HERE: Section = Section::Part(9, 2);
/// The period of upkeep itself; free repairs and warranties are not called so.
const PERIOD: &[&str] = &[
    "运行维护周期",
    "运维周期",
    "维护周期",
    "运行维护期",
    "运维期",
    "维护期",
    "运维服务期",
    "运行维护服务期",
    "运维年限",
    "运行维护年限",
];
/// What goes before the system's own upkeep, or is of another system.
const BEFORE: &[&str] = &["现有系统", "原系统", "原有系统", "旧系统", "目前"];
const UNIT: &[&str] =
    &["运行维护单位", "运维单位", "运维责任单位", "运行维护责任单位", "运维承担单位", "运行维护承担单位"];

pub(super) fn read(prose: &[Prose], phones: &[(String, Place)], out: &mut Output) {
    // A row for it that was left blank is an answer: what the prose says of free repairs is not the period.
    let blank = !out.has("om_period_months") && out.form.places.contains_key("/om_period_months");
    let mine = |p: &&Prose| !blank && !p.heading && p.section == Some(HERE);
    // Said elsewhere, only where it is called so.
    let anywhere = |p: &&Prose| !blank && !p.heading && !matches!(p.section.map(Section::chapter), Some(2 | 3));
    let called = |p: &Prose| period(&p.text, true).map(|period| (period, p.place.clone()));
    let mut found = prose.iter().filter(mine).find_map(called);
    if found.is_none() && !prose.iter().filter(mine).any(|p| named(&p.text)) {
        let about = |p: &Prose| period(&p.text, false).map(|period| (period, p.place.clone()));
        found = prose.iter().filter(mine).find_map(about).or_else(|| prose.iter().filter(anywhere).find_map(called));
    }
    if let Some((period, place)) = found {
        out.set("om_period_months", json!(period), place);
    }
    unit(prose, phones, out);
    if let Some(heading) = prose.iter().find(|p| p.heading && p.section == Some(HERE)) {
        out.room("om_period_months", heading.place.clone());
        out.room("om_unit", heading.place.clone());
    }
}

fn named(text: &str) -> bool {
    sentences(text).flat_map(clauses).any(|c| has(&without_free(c), PERIOD))
}

/// The period next behind its word, or any period of upkeep that is not free.
fn period(text: &str, called: bool) -> Option<String> {
    sentences(text).find_map(|sentence| {
        let plain = arabic(sentence);
        let clauses: Vec<&str> = clauses(&plain).collect();
        clauses.iter().enumerate().find_map(|(i, clause)| {
            let bare = without_free(clause);
            let all = periods(&bare);
            if has(clause, BEFORE) {
                return None;
            }
            if !called {
                let upkeep = has(&bare, &["运维", "维护", "维保"]) && !bare.contains('〇');
                return all.first().filter(|_| upkeep).map(|(_, p)| (*p).to_owned());
            }
            let at = PERIOD.iter().filter_map(|w| bare.find(w)).min()?;
            let own = all.iter().find(|(p, _)| *p > at).or(all.last()).map(|(_, p)| (*p).to_owned());
            // `运维周期自验收合格之日起，共3年`
            let next = || {
                let next = clauses.get(i + 1).map(|c| without_free(c)).filter(|c| !c.contains('〇'))?;
                let apart = has(&next, &["由", "单位", "培训", "巡检", "响应"]);
                periods(&next).first().filter(|_| !apart).map(|(_, p)| (*p).to_owned())
            };
            own.or_else(|| months_between(clause).map(|n| format!("{n}个月"))).or_else(next)
        })
    })
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
                && let Some(at) = contact::begins(sentence)
            {
                contact = contact::contact(sentence.get(at..).unwrap_or_default()).map(|c| (c, text.place.clone()));
            }
        }
    }
    let contact = phones.first().cloned().or(contact);
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
        let name = ["联系人", "联系电话", "联系方式", "电话"].iter().fold(name, |n, w| n.split(w).next().unwrap_or(n));
        let name = ["负责", "承担"].iter().find_map(|w| name.split_once(w)).map_or(name, |(name, _)| name).trim();
        if !name.is_empty() && name.chars().count() <= 40 {
            return Some(name);
        }
    }
    for clause in clauses(sentence) {
        let Some((_, rest)) = clause.split_once('由') else { continue };
        // While it is free, whoever built it repairs it.
        if has(clause, FREE) && !has(clause, &["期满", "届满", "后"]) || has(clause, BEFORE) {
            continue;
        }
        let end = ["负责", "承担", "提供", "进行", "实施"].iter().filter_map(|w| rest.find(w)).min();
        // `由区信息中心运行维护`
        let words = || {
            let rest = rest.split(['（', '(']).next().unwrap_or_default();
            ["运行维护", "运维", "维护"].iter().find_map(|w| Some(rest.strip_suffix(w)?.len()))
        };
        let Some(end) = end.or_else(words) else { continue };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_units_and_contacts_are_found() {
        for (text, found) in [
            ("运行维护周期为3年", Some("3年")),
            ("系统运维期三年", Some("三年")),
            ("验收后免费运维36个月", None),
            ("免费运维期1年，运行维护周期共3年（含免费运维期）", Some("3年")),
            ("质保期1年，质保期满后由区信息中心负责后续运行维护，运维周期3年", Some("3年")),
            ("系统验收后由承建单位提供1年免费维护。运维周期：3年", Some("3年")),
            ("运行维护周期3年，其中前1年为质保期", Some("3年")),
            ("现有系统由承建单位运维，合同期1年，2026年12月到期。运行维护周期：3年", Some("3年")),
            ("运维周期自2027年9月1日起至2030年8月31日止", Some("36个月")),
            ("运维周期另行约定，质保期2年", None),
            ("质保期1年，免费维护2年", None),
            ("提供三年运维服务", Some("三年")),
            ("2026年起", None),
            ("培训3个月", None),
        ] {
            let period = period(text, true).or_else(|| period(text, false).filter(|_| !named(text)));
            assert_eq!(period.as_deref(), found, "{text}");
        }
        for (text, found) in [
            ("后续运行维护单位为区民政局信息中心", Some("区民政局信息中心")),
            ("系统由区大数据中心负责运行维护，联系人李四", Some("区大数据中心")),
            ("运维单位：区信息中心（联系电话0512-1）", Some("区信息中心")),
            ("运维工作由区信息中心承担", Some("区信息中心")),
            ("由专人负责培训", None),
            ("运行维护周期为3年，由区统计局计算中心运行维护（联系电话 85181200）", Some("区统计局计算中心")),
            ("运维周期3年，由区公共资源交易中心信息科运维，联系人张伟", Some("区公共资源交易中心信息科")),
            ("由区审计局计算机审计科负责运维", Some("区审计局计算机审计科")),
            ("质保期内由承建单位负责维护，质保期满后由区信息中心负责运维", Some("区信息中心")),
            ("运维单位：区信息中心 电话0512-85187777", Some("区信息中心")),
        ] {
            assert_eq!(name(text), found, "{text}");
        }
    }
}
