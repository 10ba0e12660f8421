//! The columns of the capacity report.

use super::{Column, Show};
use crate::cli::{
    format::{self, NOTHING},
    language::{say, tr},
    words,
};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// One row for each resource of a zone ([`by_resource`]).
pub const CAPACITY_ZONE: [Column; 9] = [
    Column::new("网络区域", Show::Field("/zone")),
    Column::new("资源", Show::Word("/resource", words::resource)),
    Column::new("实有", Show::Of(|row, _| amount(row, "/physical"))).right(),
    Column::new("可用于落位", Show::Of(|row, _| amount(row, "/free"))).right(),
    Column::new("申请", Show::Of(|row, _| amount(row, "/requested"))).right(),
    Column::new("批准", Show::Of(|row, _| amount(row, "/approved"))).right(),
    Column::new("分配", Show::Of(|row, _| amount(row, "/allocated"))).right(),
    Column::new("实测", Show::Of(|row, _| amount(row, "/measured"))).right(),
    Column::new("还能用", Show::Of(lasts)).right(),
];

pub const CAPACITY_HOST: [Column; 8] = [
    Column::new("宿主机", Show::Text("/name")),
    Column::new("状态", Show::State("/state", words::host_state)),
    Column::new("运行", Show::Text("/machines")).right(),
    Column::new("CPU", Show::Of(|row, _| share(row, "vcpu"))).right(),
    Column::new("内存", Show::Of(|row, _| share(row, "memory_bytes"))).right(),
    Column::new("磁盘", Show::Of(|row, _| share(row, "disk_bytes"))).right(),
    Column::new("实测 CPU", Show::Text("/measured/vcpu")).right(),
    Column::new("最满", Show::Of(|row, _| percent(row, "/used_percent"))).right(),
];

pub const CAPACITY_BOOK: [Column; 4] = [
    Column::new("任务书", Show::Text("/task_book")),
    Column::new("建设单位", Show::Text("/department")),
    Column::new("指标", Show::Word("/indicator", indicator)),
    Column::new("已用", Show::Of(|row, _| percent(row, "/percent"))).right(),
];

pub const CAPACITY_WAITING: [Column; 3] = [
    Column::new("什么事", Show::Word("/what", waiting)),
    Column::new("多少", Show::Text("/number")).right(),
    Column::new("最早的从", Show::Time("/since")),
];

pub const CAPACITY_OPERATION: [Column; 6] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("操作", Show::Word("/kind", words::operation_kind)),
    Column::new("状态", Show::State("/state", words::operation_state)),
    Column::new("建设单位", Show::Text("/department")),
    Column::new("虚拟机", Show::Text("/machine")),
    Column::new("进度", Show::Of(|row, _| percent(row, "/percent"))).right(),
];

pub const CAPACITY_ALARM: [Column; 4] = [
    Column::new("种类", Show::Word("/kind", words::alarm_kind)),
    Column::new("宿主机", Show::Text("/host")),
    Column::new("虚拟机", Show::Text("/name")),
    Column::new("首次发现", Show::Time("/first_seen_at")),
];

pub const CAPACITY_MACHINE: [Column; 6] = [
    Column::new("虚拟机", Show::Text("/name")),
    Column::new("建设单位", Show::Text("/department")),
    Column::new("系统", Show::Text("/system")),
    Column::new("宿主机", Show::Text("/host")),
    Column::new("CPU", Show::Of(|row, _| percent(row, "/cpu_percent"))).right(),
    Column::new("内存", Show::Of(|row, _| percent(row, "/memory_percent"))).right(),
];

fn indicator(word: &str) -> &str {
    if word == "machines" { "虚拟机" } else { words::resource(word) }
}

/// What waits for a person.
pub fn waiting(word: &str) -> &str {
    match word {
        "requests" => "待审批的申请",
        "hosts_unknown" => "失去联系的宿主机",
        "alarms" => "还没有人看过的告警",
        "findings" => "待办的僵尸系统",
        "rooms_late" => "过了期限的机房",
        "rooms_near" => "期限临近的机房",
        other => other,
    }
}

/// Each zone once for each resource, with what it has of that.
pub fn by_resource(report: &Value) -> Vec<Value> {
    let zones = report.get("zones").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let rows = zones.iter().flat_map(|zone| {
        [("vcpu", "vcpu"), ("memory", "memory_bytes"), ("disk", "disk_bytes")].map(|(resource, field)| {
            let mut row = json!({"zone": zone.get("zone"), "resource": resource});
            for stage in ["physical", "free", "requested", "approved", "allocated", "measured"] {
                row[stage] = zone.pointer(&format!("/{stage}/{field}")).cloned().unwrap_or(Value::Null);
            }
            row["outlook"] = zone.pointer(&format!("/outlook/{resource}")).cloned().unwrap_or(Value::Null);
            row
        })
    });
    rows.collect()
}

fn amount(row: &Value, pointer: &str) -> String {
    let value = row.pointer(pointer).unwrap_or(&Value::Null);
    match (row.get("resource").and_then(Value::as_str), value.as_i64()) {
        (Some("memory" | "disk"), Some(bytes)) => format::size(bytes),
        _ => format::scalar(value),
    }
}

/// Days, or why there are none.
fn lasts(row: &Value, _: &TimeZone) -> String {
    let days = row.pointer("/outlook/days_left").and_then(Value::as_i64);
    match (row.pointer("/outlook/trend").and_then(Value::as_str), days) {
        (Some("growing"), Some(days)) => say!("{days} 天", days),
        (Some("growing"), None) => tr("十年以上").to_owned(),
        (Some("steady"), _) => tr("没有增长").to_owned(),
        _ => tr("不明").to_owned(),
    }
}

/// `12 / 32`
fn share(row: &Value, field: &str) -> String {
    let of = |part: &str| {
        row.pointer(&format!("/{part}/{field}")).map_or_else(|| NOTHING.to_owned(), |value| format::field(field, value))
    };
    format!("{} / {}", of("allocated"), of("physical"))
}

fn percent(row: &Value, pointer: &str) -> String {
    row.pointer(pointer).and_then(Value::as_f64).map_or_else(|| NOTHING.to_owned(), |percent| format!("{percent}%"))
}
