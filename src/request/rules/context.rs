//! Rules on what a report says around its blocks, and on the blocks among themselves.

use super::{
    super::{
        fields::{RawContext, field},
        raw::RawReport,
        shape::Draft,
    },
    Code,
};
use crate::{
    catalogue::Catalogue,
    field::{At, present, quoted},
    quantity,
    text::{fold, shown},
    units::Bytes,
    violation::{Findings, pointer_token},
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt::Display};

/// Fields that do not exist, beyond this many, are not listed one by one.
const MAX_UNKNOWN: usize = 20;
/// No list of hardware is longer.
const MAX_HARDWARE: usize = 500;

/// Judges everything but the blocks by themselves.
pub(super) fn judge(raw: &RawReport, drafts: &[Draft], catalogue: &Catalogue, f: &mut Findings<'_>) {
    let context = &raw.context;
    strays(raw, f);
    apart(raw, drafts, f);
    databases(raw, drafts, catalogue, f);
    forecast(context, drafts, catalogue, f);
    machine_rooms(context, f);
    hardware(context, f);
    exchange(context, f);
}

fn at<'a>(name: &str, pointer: &'a str) -> At<'a> {
    let info = field(name);
    At { pointer, label: info.label, example: info.example }
}

/// What a person writes for nothing.
fn is_nothing(text: &str) -> bool {
    let text = fold(text);
    let text = text.trim_end_matches('。');
    matches!(text, "" | "无" | "没有" | "不涉及" | "不需要" | "无需" | "-" | "—" | "/" | "none")
}

/// Fields around the blocks that do not exist, or are given twice.
fn strays(raw: &RawReport, f: &mut Findings<'_>) {
    for key in raw.context.unknown.keys().take(MAX_UNKNOWN) {
        f.add(Code::UnknownField, &format!("/{}", pointer_token(key)), &[("value", &shown(key))]);
    }
    let more = raw.context.unknown.len().saturating_sub(MAX_UNKNOWN);
    if more > 0 {
        f.add(Code::UnknownField, "/", &[("value", &format!("……另有 {more} 个"))]);
    }
    for name in raw.shared.repeated.iter().chain(&raw.context.repeated) {
        f.add(Code::DuplicateField, &format!("/{name}"), &[("field", &field(name).label)]);
    }
}

/// No two blocks take the same names, and none says what another has said.
fn apart(raw: &RawReport, drafts: &[Draft], f: &mut Findings<'_>) {
    let pointer = |n: usize, name: &str| if raw.bare { format!("/{name}") } else { format!("/blocks/{n}/{name}") };
    let (mut names, mut needs) = (BTreeMap::new(), BTreeMap::new());
    for (n, draft) in drafts.iter().enumerate() {
        let clash = draft.names().into_iter().find_map(|name| names.get(&name).map(|other: &usize| (name, *other)));
        if let Some((name, other)) = clash {
            let values: &[(&str, &dyn Display)] =
                &[("value", &shown(&name)), ("number", &(n + 1)), ("other", &(other + 1))];
            f.add(Code::DomainRepeated, &pointer(n, "domain"), values);
        } else if let Some(need) = draft.need()
            && let Some(other) = needs.insert(need, n)
        {
            let values: &[(&str, &dyn Display)] = &[("number", &(n + 1)), ("other", &(other + 1))];
            f.add(Code::BlockRepeated, &pointer(n, "workload_description"), values);
        }
        names.extend(draft.names().into_iter().map(|name| (name, n)));
    }
}

/// 附件1 数据库类型 names the databases of the whole project: each block's is one of them, and if it names one, some block
/// has it.
fn databases(raw: &RawReport, drafts: &[Draft], catalogue: &Catalogue, f: &mut Findings<'_>) {
    let Some(application) = present(raw.context.application_db_type.as_ref()).and_then(Value::as_str) else { return };
    // 不涉及 has a 及 of its own.
    let named: Vec<String> = Some(application)
        .filter(|application| !is_nothing(application))
        .unwrap_or_default()
        .split(['、', ',', '，', ';', '；', '/', '\n', '和', '及', '+'])
        .filter(|word| {
            !catalogue.find_database(word).is_some_and(crate::catalogue::DatabaseEntry::is_none) && !is_nothing(word)
        })
        .map(fold)
        .collect();
    let written = |n: usize| raw.blocks.get(n).and_then(|b| present(b.db_type.as_ref())).and_then(Value::as_str);
    let same = |word: &str| {
        let key = |word: &str| catalogue.find_database(word).map(|e| e.key.clone());
        let folded = fold(word);
        named.iter().any(|other| {
            // 附件1 may leave the version out.
            folded.starts_with(other.as_str())
                || other.starts_with(&folded)
                || (key(other).is_some() && key(other) == key(word))
        })
    };
    let mut any = false;
    for n in 0..drafts.len() {
        let Some(word) = written(n).filter(|w| {
            !is_nothing(w) && !catalogue.find_database(w).is_some_and(crate::catalogue::DatabaseEntry::is_none)
        }) else {
            continue;
        };
        any = true;
        if !same(word) {
            unlike(raw, n, word, application, f);
        }
    }
    if !any
        && !named.is_empty()
        && let Some(word) = written(0)
    {
        unlike(raw, 0, word, application, f);
    }
}

fn unlike(raw: &RawReport, n: usize, word: &str, application: &str, f: &mut Findings<'_>) {
    let pointer = if raw.bare { "/db_type".to_owned() } else { format!("/blocks/{n}/db_type") };
    let values: &[(&str, &dyn Display)] = &[("value", &shown(word)), ("application", &shown(application))];
    f.add(Code::DatabaseUnlikeApplication, &pointer, values);
}

/// 数据存储量预测 against the disks of all blocks, once both are known.
fn forecast(context: &RawContext, drafts: &[Draft], catalogue: &Catalogue, f: &mut Findings<'_>) {
    let Some(value) = present(context.storage_forecast.as_ref()) else { return };
    let at = at("storage_forecast", "/storage_forecast");
    // A forecast is an estimate: 约 and the like are its nature. Of several sizes the largest is what it comes to.
    let Some(forecast) = value.as_str().and_then(|text| quantity::sizes(text).into_iter().max()) else {
        if value.is_number() || value.as_str().is_some_and(|s| s.trim().bytes().all(|b| b.is_ascii_digit())) {
            let values: &[(&str, &dyn Display)] =
                &[("field", &at.label), ("value", &quoted(value)), ("example", &at.example)];
            f.add(Code::UnitMissing, at.pointer, values);
        }
        return;
    };
    let each = |draft: &Draft| Some((draft.disk?.times(draft.machines?.into())?.get(), i64::from(draft.machines?)));
    let Some(all) = drafts.iter().map(each).collect::<Option<Vec<_>>>().filter(|all| !all.is_empty()) else { return };
    let asked: i64 = all.iter().fold(0_i64, |sum, (disk, _)| sum.saturating_add(*disk));
    let machines: i64 = all.iter().map(|(_, machines)| machines).sum();
    let rule = catalogue.storage;
    let most = forecast
        .get()
        .saturating_mul(rule.times_forecast)
        .saturating_add(rule.allowance.get().saturating_mul(machines));
    let reason = if asked < forecast.get() {
        "放不下预测的数据".to_owned()
    } else if asked > most {
        format!("超过预测的 {} 倍加每台 {} 系统空间", rule.times_forecast, rule.allowance)
    } else {
        return;
    };
    let asked = Bytes::new(asked).unwrap_or(Bytes::MAX);
    f.add(Code::DiskUnlikeForecast, at.pointer, &[("asked", &asked), ("forecast", &forecast), ("reason", &reason)]);
}

/// The sentences of a text or of a list of texts.
fn sentences(value: &Value) -> Vec<&str> {
    match value {
        Value::String(s) => vec![s.as_str()],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn machine_rooms(context: &RawContext, f: &mut Findings<'_>) {
    let Some(value) = present(context.machine_room_works.as_ref()) else { return };
    let said = sentences(value);
    if let Some(first) = said.into_iter().find(|sentence| !is_nothing(sentence)) {
        f.add(Code::MachineRoomRefused, "/machine_room_works", &[("value", &shown(first))]);
    } else if !matches!(value, Value::String(_) | Value::Array(_)) {
        f.bad_value(value, at("machine_room_works", "/machine_room_works"), &"应为文字");
    }
}

/// The parts of a row of hardware, by the words of the form.
const PARTS: &[(&str, &str, &[&str])] = &[
    ("name", "硬件名称", &["硬件名称", "名称", "设备名称"]),
    ("price", "价格", &["价格", "单价", "金额"]),
    ("quantity", "数量", &["数量"]),
    ("purpose", "用途", &["用途"]),
    ("reason", "理由", &["理由", "采购理由", "原因", "备注"]),
];

fn part<'v>(row: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    let words = PARTS.iter().find(|part| part.0 == name).map_or(&[][..], |part| part.2);
    row.iter().find(|(key, _)| key.as_str() == name || words.contains(&fold(key).as_str())).map(|(_, value)| value)
}

/// What is to be bought beside the cloud: every row complete, and every row with its reason.
fn hardware(context: &RawContext, f: &mut Findings<'_>) {
    let Some(value) = present(context.extra_hardware.as_ref()) else { return };
    if value.as_str().is_some_and(is_nothing) {
        return;
    }
    let Some(rows) = value.as_array().filter(|rows| rows.len() <= MAX_HARDWARE) else {
        let reason = "应为列表，每项写明 name、price、quantity、purpose";
        f.bad_value(value, at("extra_hardware", "/extra_hardware"), &reason);
        return;
    };
    let mut without_reason = Vec::new();
    for (n, row) in rows.iter().enumerate() {
        let pointer = format!("/extra_hardware/{n}");
        let Some(row) = row.as_object() else {
            f.bad_value(row, at("extra_hardware", &pointer), &"应写明 name、price、quantity、purpose");
            continue;
        };
        let blank = |part_name: &str| present(part(row, part_name)).is_none();
        let name = present(part(row, "name")).map_or_else(|| "（未写名称）".to_owned(), quoted);
        let missing: Vec<&str> = PARTS.iter().filter(|p| p.0 != "reason" && blank(p.0)).map(|p| p.1).collect();
        if !missing.is_empty() {
            let values: &[(&str, &dyn Display)] =
                &[("number", &(n + 1)), ("value", &name), ("missing", &missing.join("、"))];
            f.add(Code::HardwareIncomplete, &pointer, values);
        }
        if blank("reason") {
            without_reason.push(name);
        }
    }
    let for_all = present(context.off_cloud_procurement_reason.as_ref());
    if !without_reason.is_empty() && for_all.and_then(Value::as_str).is_none_or(is_nothing) {
        const SHOWN: usize = 5;
        let mut list = without_reason.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("、");
        if without_reason.len() > SHOWN {
            list.push_str(" 等");
        }
        f.add(Code::OffCloudReasonMissing, "/off_cloud_procurement_reason", &[("value", &list)]);
    }
}

/// Who takes data from others plans when the exchange begins.
fn exchange(context: &RawContext, f: &mut Findings<'_>) {
    let at = at("exchange_milestone", "/exchange_milestone");
    if let Some(value) = present(context.exchange_milestone.as_ref()) {
        f.deadline(value, at);
        return;
    }
    let resources = present(context.shared_resources.as_ref()).map(sentences).unwrap_or_default();
    let names: Vec<String> = resources.into_iter().filter(|r| !is_nothing(r)).take(3).map(shown).collect();
    if !names.is_empty() {
        f.add(Code::ExchangeMilestoneMissing, at.pointer, &[("value", &names.join("、"))]);
    }
}
