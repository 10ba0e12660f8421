//! What machines and servers have used, and which servers there are.

use super::{Column, Show};
use crate::cli::{format::NOTHING, words};
use jiff::tz::TimeZone;
use serde_json::Value;

pub const SERVER: [Column; 8] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("名称", Show::Text("/name")),
    Column::new("建设单位", Show::Text("/department/name")),
    Column::new("CPU", Show::Text("/cores")).right(),
    Column::new("内存", Show::Field("/memory_bytes")).right(),
    Column::new("来源", Show::Text("/source")),
    Column::new("实例", Show::Text("/instance")),
    Column::new("登记时间", Show::Time("/created_at")).optional(),
];

pub const USAGE: [Column; 11] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("名称", Show::Text("/name")),
    Column::new("类型", Show::Word("/kind", words::subject)),
    Column::new("样本数", Show::Text("/usage/samples")).right(),
    Column::new("覆盖率", Show::Of(coverage)).right(),
    Column::new("CPU 平均", Show::Of(cpu_mean)).right(),
    Column::new("CPU P95", Show::Of(cpu_p95)).right(),
    Column::new("CPU 最高", Show::Of(cpu_max)).right(),
    Column::new("内存 P95", Show::Of(memory_p95)).right(),
    Column::new("接收", Show::Field("/usage/received_bytes")).right(),
    Column::new("发送", Show::Field("/usage/sent_bytes")).right(),
];

pub const DAY: [Column; 8] = [
    Column::new("日期", Show::Text("/date")),
    Column::new("样本数", Show::Text("/samples")).right(),
    Column::new("覆盖率", Show::Of(|row, _| percent(row, "/coverage_percent"))).right(),
    Column::new("CPU 平均", Show::Of(|row, _| percent(row, "/cpu_mean_percent"))).right(),
    Column::new("CPU 最高", Show::Of(|row, _| percent(row, "/cpu_max_percent"))).right(),
    Column::new("内存平均", Show::Of(|row, _| percent(row, "/memory_mean_percent"))).right(),
    Column::new("接收", Show::Field("/received_bytes")).right(),
    Column::new("发送", Show::Field("/sent_bytes")).right(),
];

fn percent(row: &Value, pointer: &str) -> String {
    row.pointer(pointer).and_then(Value::as_f64).map_or(NOTHING.into(), |value| format!("{value:.1}%"))
}

fn coverage(row: &Value, _: &TimeZone) -> String {
    percent(row, "/usage/coverage_percent")
}

fn cpu_mean(row: &Value, _: &TimeZone) -> String {
    percent(row, "/usage/cpu_percent/mean")
}

fn cpu_p95(row: &Value, _: &TimeZone) -> String {
    percent(row, "/usage/cpu_percent/p95")
}

fn cpu_max(row: &Value, _: &TimeZone) -> String {
    percent(row, "/usage/cpu_percent/max")
}

fn memory_p95(row: &Value, _: &TimeZone) -> String {
    percent(row, "/usage/memory_percent/p95")
}
