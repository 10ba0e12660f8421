//! The columns of rooms, of what becomes of systems, and of the dated register.

use super::{Column, Show};
use crate::cli::{
    format::{self, NOTHING},
    language::{comma, say, tr},
    words,
};
use jiff::tz::TimeZone;
use serde_json::Value;

pub const ROOM: [Column; 8] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("机房", Show::Text("/name")),
    Column::new("建设单位", Show::Text("/department/name")),
    Column::new("类型", Show::Word("/kind", words::room_kind)),
    Column::new("状态", Show::State("/standing", words::room_standing)),
    Column::new("期限", Show::Text("/due_on")),
    Column::new("逾期天数", Show::Text("/late_days")).right().optional(),
    Column::new("待迁出", Show::Of(left)).right(),
];

pub const ROOM_SHEET: [Column; 15] = [
    ROOM[1],
    ROOM[0],
    ROOM[2],
    ROOM[3],
    ROOM[4],
    Column::new("类型证明", Show::Text("/evidence")).optional(),
    ROOM[5],
    Column::new("期限依据", Show::Text("/basis")),
    ROOM[6],
    Column::new("地址", Show::Text("/address")).optional(),
    Column::new("面积（m²）", Show::Text("/area")).optional(),
    Column::new("机柜数", Show::Text("/racks")).optional(),
    Column::new("供电（kW）", Show::Text("/power")).optional(),
    Column::new("关停于", Show::Text("/closed_on")).optional(),
    ROOM[7],
];

pub const SYSTEM_IN: [Column; 6] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("系统", Show::Text("/name")),
    Column::new("状态", Show::State("/standing", words::system_standing)),
    Column::new("进展", Show::Word("/stage", words::stage)),
    Column::new("去向", Show::Word("/disposition", words::disposition)),
    Column::new("割接日期", Show::Text("/cutover_on")).optional(),
];

pub const SERVER_IN: [Column; 4] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("服务器", Show::Text("/name")),
    Column::new("下电于", Show::Text("/off/on")),
    Column::new("证明", Show::Text("/off/text")).optional(),
];

pub const GATE: [Column; 3] = [
    Column::new("关口", Show::Word("/gate", words::gate)),
    Column::new("通过", Show::Flag("/passed", "通过")),
    Column::new("还差什么", Show::Of(missing)),
];

pub const BLOCKER: [Column; 4] = [
    Column::new("系统", Show::Text("/system")),
    Column::new("建设单位", Show::Text("/department/name")),
    Column::new("机房", Show::Text("/room")),
    Column::new("怎样挡住", Show::Of(way)),
];

pub const SIGNATURE: [Column; 4] = [
    Column::new("签字人", Show::Text("/by")),
    Column::new("单位", Show::Text("/unit")),
    Column::new("日期", Show::Text("/on")),
    Column::new("意见", Show::Text("/text")),
];

pub const SURVEY: [Column; 5] = [
    Column::new("核对码", Show::Text("/digest")),
    Column::new("新增", Show::Text("/new")).right(),
    Column::new("变更", Show::Text("/changed")).right(),
    Column::new("不变", Show::Text("/same")).right(),
    Column::new("未提到", Show::Text("/absent_all")).right(),
];

pub const CHANGE: [Column; 5] = [
    Column::new("类别", Show::Word("/kind", words::surveyed)),
    Column::new("建设单位", Show::Text("/department")),
    Column::new("名称", Show::Text("/name")),
    Column::new("新增", Show::Flag("/new", "新增")),
    Column::new("变化", Show::Of(fields)),
];

pub const NOTE: [Column; 2] = [Column::new("位置", Show::Of(place)), Column::new("说明", Show::Text("/message"))];

pub const MOVE: [Column; 6] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("系统", Show::Text("/name")),
    Column::new("建设单位", Show::Text("/department/name")),
    Column::new("机房", Show::Text("/room")),
    Column::new("进展", Show::Word("/stage", words::stage)),
    Column::new("去向", Show::Word("/decision/disposition", words::disposition)),
];

pub const MOVE_SHEET: [Column; 15] = [
    MOVE[1],
    MOVE[0],
    MOVE[2],
    MOVE[3],
    Column::new("状态", Show::State("/standing", words::system_standing)),
    MOVE[4],
    Column::new("迁移难度", Show::Of(difficulty)),
    MOVE[5],
    Column::new("必要性分析", Show::Text("/decision/text")).optional(),
    Column::new("替代系统", Show::Text("/decision/replaced_by")).optional(),
    Column::new("割接日期", Show::Text("/cutover_on")).optional(),
    Column::new("豁免到", Show::Text("/exemption/until")).optional(),
    Column::new("依赖系统", Show::Of(|row, _| names(row, "needs"))),
    Column::new("在等", Show::Of(|row, _| names(row, "waits_for"))),
    Column::new("须同批", Show::Of(|row, _| names(row, "goes_with"))),
];

pub const PART: [Column; 3] = [
    Column::new("评分项", Show::Word("/part", words::difficulty_part)),
    Column::new("分", Show::Of(points)).right(),
    Column::new("依据", Show::Text("/reason")),
];

pub const STEP: [Column; 5] = [
    Column::new("步骤", Show::Word("/step", words::step)),
    Column::new("日期", Show::Text("/on")),
    Column::new("办理人", Show::Text("/by")),
    Column::new("单位", Show::Text("/unit")),
    Column::new("证明", Show::Text("/text")),
];

pub const DEADLINE: [Column; 7] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("期限", Show::Text("/due_on")),
    Column::new("逾期", Show::Flag("/overdue", "逾期")),
    Column::new("工作任务", Show::Text("/task")),
    Column::new("责任部门", Show::Text("/owner")),
    Column::new("另一日期", Show::Of(also)),
    Column::new("完成于", Show::Text("/met/on")),
];

pub const DEADLINE_SHEET: [Column; 9] = [
    DEADLINE[0],
    DEADLINE[3],
    DEADLINE[4],
    Column::new("时序进度", Show::Text("/due")),
    DEADLINE[1],
    DEADLINE[5],
    DEADLINE[2],
    Column::new("依据", Show::Text("/basis")),
    DEADLINE[6],
];

pub const REPORT_TARGET: [Column; 5] = [
    Column::new("目标", Show::Text("/text")),
    Column::new("应达到（%）", Show::Text("/percent")).right(),
    Column::new("期限", Show::Text("/by")),
    Column::new("已达到（%）", Show::Text("/reached_percent")).right(),
    Column::new("依据", Show::Text("/basis")),
];

pub const REPORT_PROGRESS: [Column; 9] = [
    Column::new("建设单位", Show::Text("/department/name")),
    Column::new("机房", Show::Text("/rooms/surveyed")).right(),
    Column::new("已关停", Show::Text("/rooms/closed")).right(),
    Column::new("待关停", Show::Text("/rooms/pending")).right(),
    Column::new("逾期", Show::Text("/rooms/late")).right(),
    Column::new("应上云", Show::Text("/systems/denominator")).right(),
    Column::new("已上云", Show::Text("/systems/in_cloud")).right(),
    Column::new("待迁移", Show::Text("/systems/pending")).right(),
    Column::new("上云率（%）", Show::Text("/systems/percent")).right(),
];

pub const REPORT_ROOM: [Column; 8] = [
    Column::new("机房", Show::Text("/name")),
    Column::new("建设单位", Show::Text("/department/name")),
    Column::new("状态", Show::State("/standing", words::room_standing)),
    Column::new("期限", Show::Text("/due_on")),
    Column::new("预计", Show::Of(forecast)),
    Column::new("会逾期", Show::Flag("/will_be_late", "会逾期")),
    Column::new("挡住的系统", Show::Text("/blockers")).right(),
    Column::new("还差什么", Show::Of(missing)),
];

fn text<'v>(row: &'v Value, pointer: &str) -> &'v str {
    row.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn left(row: &Value, _: &TimeZone) -> String {
    let number = |pointer| row.pointer(pointer).and_then(Value::as_i64);
    match (number("/systems_left"), number("/systems_all")) {
        (Some(left), Some(all)) => format!("{left} / {all}"),
        _ => NOTHING.to_owned(),
    }
}

fn listed(row: &Value, field: &str, between: &str) -> String {
    let all = row.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let all: Vec<_> = all.iter().filter_map(Value::as_str).map(format::clean).collect();
    if all.is_empty() { NOTHING.to_owned() } else { all.join(between) }
}

fn names(row: &Value, field: &str) -> String {
    listed(row, field, comma())
}

fn missing(row: &Value, _: &TimeZone) -> String {
    listed(row, "missing", "；")
}

fn way(row: &Value, _: &TimeZone) -> String {
    listed(row, "way", " → ")
}

/// `功能: 甲 → 乙`, a few.
fn fields(row: &Value, _: &TimeZone) -> String {
    const FEW: usize = 4;
    let all = row.get("fields").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let one = |field: &Value| {
        let part = |name: &str| format::clean(text(field, name));
        let (name, from, to) = (part("/field"), part("/from"), part("/to"));
        if from.is_empty() { format!("{name}={to}") } else { format!("{name}: {from} → {to}") }
    };
    let mut some: Vec<_> = all.iter().take(FEW).map(one).collect();
    if all.len() > FEW {
        some.push(say!("等 {n} 项", n = all.len()));
    }
    if some.is_empty() { NOTHING.to_owned() } else { some.join("; ") }
}

fn place(row: &Value, _: &TimeZone) -> String {
    let sheet = format::clean(text(row, "/place/sheet"));
    let number = |pointer: &str| row.pointer(pointer).and_then(Value::as_u64);
    match (number("/place/row"), number("/place/column")) {
        (Some(line), Some(column)) => format!("{sheet} R{line}C{column}"),
        (Some(line), None) => format!("{sheet} R{line}"),
        _ if sheet.is_empty() => NOTHING.to_owned(),
        _ => sheet,
    }
}

fn difficulty(row: &Value, _: &TimeZone) -> String {
    let number = |pointer: &str| row.pointer(pointer).and_then(Value::as_u64);
    let Some(level) = number("/difficulty/level") else { return NOTHING.to_owned() };
    let points = number("/difficulty/points").unwrap_or_default();
    match number("/difficulty/overruled/level") {
        Some(other) => say!("{other} 级（评分为 {level} 级，{points} 分）", other, level, points),
        None => say!("{level} 级（{points} 分）", level, points),
    }
}

fn points(row: &Value, _: &TimeZone) -> String {
    let number = |pointer: &str| row.pointer(pointer).and_then(Value::as_u64);
    match (number("/points"), number("/most")) {
        (Some(points), Some(most)) => format!("{points} / {most}"),
        _ => NOTHING.to_owned(),
    }
}

fn also(row: &Value, _: &TimeZone) -> String {
    let all = row.get("also").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let all: Vec<_> =
        all.iter().map(|one| format!("{} ({})", text(one, "/on"), format::clean(text(one, "/clause")))).collect();
    if all.is_empty() { NOTHING.to_owned() } else { all.join(comma()) }
}

/// `2027-03-01 (2027-01-10 – 2027-06-02)`
fn forecast(row: &Value, _: &TimeZone) -> String {
    let day = |pointer: &str| text(row, pointer);
    if day("/forecast/likely").is_empty() {
        return NOTHING.to_owned();
    }
    let late = if day("/forecast/late").is_empty() { tr("十年以后") } else { day("/forecast/late") };
    format!("{} ({} – {late})", day("/forecast/likely"), day("/forecast/early"))
}
