//! What machines and servers have used, which servers there are, and what came of histories.

use super::{Column, Show};
use crate::cli::{
    format::{self, NOTHING},
    language::comma,
    words,
};
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

pub const SOURCE: [Column; 7] = [
    Column::new("名称", Show::Text("/name")),
    Column::new("类型", Show::Text("/kind")),
    Column::new("状态", Show::State("/state", words::source_state)),
    Column::new("服务器", Show::Text("/servers")).right(),
    Column::new("已测", Show::Text("/measured")).right(),
    Column::new("最近一次", Show::Time("/collected_at")),
    Column::new("原因", Show::Text("/failure")),
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

pub const FILESYSTEM: [Column; 3] = [
    Column::new("挂载点", Show::Text("/mountpoint")),
    Column::new("已用", Show::Field("/used_bytes")).right(),
    Column::new("容量", Show::Field("/total_bytes")).right(),
];

/// As in the list, and what the guest itself has told.
pub const USAGE_SHEET: [Column; 13] = {
    let mut all = [USAGE[0]; 13];
    let mut n = 0;
    while n < USAGE.len() {
        all[n] = USAGE[n];
        n += 1;
    }
    all[11] = Column::new("登录着的", Show::Of(|row, _| joined(row, "/guest/logins"))).optional();
    all[12] = Column::new("系统里的地址", Show::Of(|row, _| joined(row, "/guest/addresses"))).optional();
    all
};

fn joined(row: &Value, pointer: &str) -> String {
    let all = row.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    all.filter_map(Value::as_str).collect::<Vec<_>>().join(comma())
}

pub const IMPORT: [Column; 6] = [
    Column::new("行数", Show::Text("/rows")),
    Column::new("机器数", Show::Text("/subjects")),
    Column::new("计入样本", Show::Text("/points")),
    Column::new("满日", Show::Text("/days")),
    Column::new("采样间隔", Show::Of(interval)),
    Column::new("不认识的名称", Show::Of(unknown)),
];

pub const REFUSED: [Column; 4] = [
    Column::new("原因", Show::Word("/cause", cause)),
    Column::new("列", Show::Text("/column")),
    Column::new("处数", Show::Text("/count")).right(),
    Column::new("最早在第几行", Show::Text("/first_line")).right(),
];

pub const FIRST_REFUSED: [Column; 3] = [
    Column::new("行", Show::Text("/line")).right(),
    Column::new("列", Show::Text("/column")),
    Column::new("原因", Show::Word("/cause", cause)),
];

/// Why something of a file was not taken.
fn cause(word: &str) -> &str {
    match word {
        "late" => "不晚于已有的",
        "doubled" => "时刻重复",
        "early" => "离上一个太近",
        "future" => "时刻在将来",
        "clock_set" => "本机时钟曾被拨回",
        "negative" => "负数",
        "not_a_number" => "不是数（NaN、无穷）",
        "impossible" => "大得不可能",
        "number_unreadable" => "读不出数",
        "time_unreadable" => "读不出时刻（须为秒）",
        "name_unreadable" => "读不出名称",
        "unknown_name" => "没有这台机器",
        "ambiguous_name" => "不止一台叫这个名字，请用编号",
        "fields" => "列数与表头不符",
        other => other,
    }
}

fn interval(row: &Value, _: &TimeZone) -> String {
    row.get("interval_seconds").and_then(Value::as_u64).map_or(NOTHING.into(), |seconds| format!("{seconds} s"))
}

fn unknown(row: &Value, _: &TimeZone) -> String {
    let names = row.get("unknown_names").and_then(Value::as_array).into_iter().flatten();
    let names: Vec<String> = names.filter_map(Value::as_str).map(format::clean).collect();
    if names.is_empty() { NOTHING.into() } else { names.join(comma()) }
}

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
