//! The columns of waves, blackouts, and of what systems ask of the cloud.

use super::{Column, Show};
use crate::cli::{
    format::{self, NOTHING},
    language::say,
    words,
};
use jiff::tz::TimeZone;
use serde_json::Value;

pub const WAVE: [Column; 5] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("批次", Show::Text("/name")),
    Column::new("窗口从", Show::Text("/window_from")),
    Column::new("窗口到", Show::Text("/window_to")),
    Column::new("已割接", Show::Of(moved)).right(),
];

/// A wave that a system stands in.
pub const WAVE_IN: [Column; 4] = [WAVE[0], WAVE[1], WAVE[2], WAVE[3]];

pub const WAVE_SHEET: [Column; 7] = [
    WAVE[1],
    WAVE[0],
    WAVE[2],
    WAVE[3],
    WAVE[4],
    Column::new("说明", Show::Text("/note")).optional(),
    Column::new("可以排期", Show::Flag("/check/passes", "可以")),
];

pub const CHECK: [Column; 1] = [Column::new("可以排期", Show::Flag("/passes", "可以"))];

pub const CONFLICT: [Column; 4] = [
    Column::new("程度", Show::State("/level", words::conflict_level)),
    Column::new("冲突", Show::Text("/message")),
    Column::new("依据", Show::Text("/basis")),
    Column::new("代码", Show::Text("/code")),
];

pub const ZONE_STAND: [Column; 5] = [
    Column::new("网络区域", Show::Field("/zone")),
    Column::new("要", Show::Of(|row, _| amount(row, "asked"))),
    Column::new("剩余", Show::Of(|row, _| amount(row, "free"))),
    Column::new("届时到期的租期", Show::Of(|row, _| amount(row, "ending"))),
    Column::new("够", Show::Flag("/enough", "够")),
];

pub const WAVE_SYSTEM: [Column; 8] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("系统", Show::Text("/name")),
    Column::new("建设单位", Show::Text("/department/name")),
    Column::new("进展", Show::Word("/stage", words::stage)),
    Column::new("去向", Show::Word("/disposition", words::disposition)),
    Column::new("节点", Show::Word("/trigger", words::trigger)),
    Column::new("节点日期", Show::Text("/node_on")).optional(),
    Column::new("割接日期", Show::Text("/cutover_on")).optional(),
];

pub const BLACKOUT: [Column; 6] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("建设单位", Show::Text("/department/name")),
    Column::new("封网从", Show::Text("/from")),
    Column::new("封网到", Show::Text("/to")),
    Column::new("原因", Show::Text("/reason")),
    Column::new("设置人", Show::Text("/created_by")),
];

pub const ASKED: [Column; 3] = [
    Column::new("系统编号", Show::Text("/system_id")),
    Column::new("只看", Show::Flag("/dry_run", "只看")).optional(),
    Column::new("新提交", Show::Flag("/made", "新提交")),
];

pub const SIZE: [Column; 7] = [
    Column::new("服务器", Show::Text("/server")),
    Column::new("CPU", Show::Text("/vcpu/value")).right(),
    Column::new("内存", Show::Of(|row, _| bytes(row, "/memory/value"))).right(),
    Column::new("磁盘", Show::Of(|row, _| bytes(row, "/disk/value"))).right(),
    Column::new("CPU 的来历", Show::Text("/vcpu/sentence")),
    Column::new("内存的来历", Show::Text("/memory/sentence")),
    Column::new("磁盘的来历", Show::Text("/disk/sentence")),
];

pub const MADE: [Column; 3] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("状态", Show::State("/state", words::request_state)),
    Column::new("虚拟机", Show::Of(machines)),
];

pub const LACKING: [Column; 4] = [
    Column::new("位置", Show::Text("/pointer")),
    Column::new("问题", Show::Text("/message")),
    Column::new("改法", Show::Text("/mend")),
    Column::new("依据", Show::Text("/basis")),
];

fn number(row: &Value, pointer: &str) -> Option<i64> {
    row.pointer(pointer).and_then(Value::as_i64)
}

fn moved(row: &Value, _: &TimeZone) -> String {
    match (number(row, "/systems_moved"), number(row, "/systems_all")) {
        (Some(moved), Some(all)) => format!("{moved} / {all}"),
        _ => NOTHING.to_owned(),
    }
}

fn bytes(row: &Value, pointer: &str) -> String {
    row.pointer(pointer).map_or_else(|| NOTHING.to_owned(), |value| format::field("/memory_bytes", value))
}

fn amount(row: &Value, part: &str) -> String {
    let Some(vcpu) = number(row, &format!("/{part}/vcpu")) else { return NOTHING.to_owned() };
    let memory = bytes(row, &format!("/{part}/memory_bytes"));
    let disk = bytes(row, &format!("/{part}/disk_bytes"));
    say!("{vcpu} 核，内存 {memory}，磁盘 {disk}", vcpu, memory, disk)
}

fn machines(row: &Value, _: &TimeZone) -> String {
    let all = row.get("machines").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let all: Vec<_> = all.iter().filter_map(|one| one.get("name")?.as_str()).map(format::clean).collect();
    if all.is_empty() { NOTHING.to_owned() } else { all.join(", ") }
}
