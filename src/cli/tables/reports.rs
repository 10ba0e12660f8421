//! The columns of verdicts, advice and reports.

use super::{Column, Show};
use crate::cli::{
    format::{self, NOTHING},
    words,
};
use jiff::tz::TimeZone;
use serde_json::Value;

pub const VERDICT: [Column; 8] = [
    Column::new("日期", Show::Text("/day")),
    Column::new("编号", Show::Text("/subject/id")),
    Column::new("名称", Show::Text("/subject/name")),
    Column::new("建设单位", Show::Text("/subject/department/name")),
    Column::new("判定", Show::State("/judgement/verdict", words::verdict)),
    Column::new("闲置天数", Show::Text("/idle/days")).right(),
    Column::new("可回收", Show::Flag("/judgement/eligibility/eligible", "可回收")),
    Column::new("原因", Show::Of(reasons)),
];

pub const ADVICE: [Column; 7] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("名称", Show::Text("/name")),
    Column::new("建设单位", Show::Text("/department/name")),
    Column::new("建议", Show::Word("/advice/change", words::change)),
    Column::new("资源", Show::Word("/advice/resource", words::resource)),
    Column::new("改为", Show::Of(change)).right(),
    Column::new("依据", Show::Text("/advice/sentence")),
];

pub const REPORT: [Column; 4] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("截至", Show::Text("/as_of")),
    Column::new("建设单位", Show::Text("/department/name")),
    Column::new("生成时间", Show::Time("/made_at")),
];

pub const AGREEMENT: [Column; 5] = [
    Column::new("虚拟机", Show::Text("/machine_id")),
    Column::new("同意于", Show::Text("/agreed_on")),
    Column::new("到期", Show::Text("/until")),
    Column::new("理由", Show::Text("/reason")).optional(),
    Column::new("撤回于", Show::Text("/withdrawn_on")).optional(),
];

pub const REPORT_AGE: [Column; 5] = [
    Column::new("闲置多久", Show::Word("/age", words::age)),
    Column::new("台数", Show::Text("/holding/machines")).right(),
    Column::new("CPU", Show::Field("/holding/vcpu")).right(),
    Column::new("内存", Show::Field("/holding/memory_bytes")).right(),
    Column::new("磁盘", Show::Field("/holding/disk_bytes")).right(),
];

pub const REPORT_GROUP: [Column; 9] = [
    Column::new("建设单位", Show::Text("/department/name")),
    Column::new("系统", Show::Text("/system")),
    Column::new("台数", Show::Text("/machines")).right(),
    Column::new("闲置", Show::Text("/idle/machines")).right(),
    Column::new("可回收", Show::Text("/eligible/machines")).right(),
    Column::new("无法判断", Show::Text("/unknown")).right(),
    Column::new("可释放 CPU", Show::Field("/idle/vcpu")).right(),
    Column::new("可释放内存", Show::Field("/idle/memory_bytes")).right(),
    Column::new("可释放磁盘", Show::Field("/idle/disk_bytes")).right(),
];

pub const REPORT_IDLE: [Column; 6] = [
    Column::new("编号", Show::Text("/subject/id")),
    Column::new("名称", Show::Text("/subject/name")),
    Column::new("系统", Show::Text("/subject/system")),
    Column::new("闲置起", Show::Text("/idle/since")),
    Column::new("闲置天数", Show::Text("/idle/days")).right(),
    Column::new("可回收", Show::Flag("/judgement/eligibility/eligible", "可回收")),
];

pub const REPORT_UNKNOWN: [Column; 4] = [
    Column::new("编号", Show::Text("/subject/id")),
    Column::new("名称", Show::Text("/subject/name")),
    Column::new("系统", Show::Text("/subject/system")),
    Column::new("原因", Show::Of(reasons)),
];

pub const REPORT_BORDER: [Column; 3] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("名称", Show::Text("/name")),
    Column::new("系统", Show::Text("/system")),
];

/// The cause where one is known, and what the rules say. As the service said it.
fn reasons(row: &Value, _: &TimeZone) -> String {
    let reasons = row.pointer("/judgement/reasons").and_then(Value::as_array).into_iter().flatten();
    let sentences = reasons.filter_map(|reason| reason.get("sentence").and_then(Value::as_str));
    let cause = row.get("cause").and_then(Value::as_str);
    let all: Vec<_> = cause.into_iter().chain(sentences).map(format::clean).collect();
    if all.is_empty() { NOTHING.to_owned() } else { all.join("；") }
}

fn change(row: &Value, _: &TimeZone) -> String {
    let name = match row.pointer("/advice/resource").and_then(Value::as_str) {
        Some("vcpu") => "vcpu",
        Some("memory" | "disk") => "memory_bytes",
        _ => return NOTHING.to_owned(),
    };
    let side = |pointer: &str| format::field(name, row.pointer(pointer).unwrap_or(&Value::Null));
    format!("{} → {}", side("/advice/from"), side("/advice/to"))
}
