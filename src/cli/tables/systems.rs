//! The columns of information systems and of what was found of them.

use super::{Column, Show};
use crate::cli::{
    format::{self, NOTHING},
    language::{say, tr},
    words,
};
use serde_json::Value;

pub const SYSTEM: [Column; 6] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("名称", Show::Text("/name")),
    Column::new("建设单位", Show::Text("/department/name")),
    Column::new("使用范围", Show::Word("/scope", words::scope)),
    Column::new("使用频度", Show::Word("/frequency", words::frequency)),
    Column::new("替代系统", Show::Text("/replaced_by")).optional(),
];

pub const SYSTEM_SHEET: [Column; 12] = [
    SYSTEM[1],
    SYSTEM[0],
    SYSTEM[2],
    Column::new("功能", Show::Text("/purpose")),
    SYSTEM[3],
    SYSTEM[4],
    Column::new("最近更新", Show::Text("/last_updated_on")),
    Column::new("运维合同到期", Show::Text("/maintained_until")),
    Column::new("最近登录", Show::Text("/last_login_on")),
    Column::new("替代系统", Show::Text("/replaced_by")),
    Column::new("登记人", Show::Text("/recorded_by")),
    Column::new("登记时间", Show::Time("/recorded_at")),
];

/// A machine of a system.
pub const MEMBER: [Column; 3] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("名称", Show::Text("/name")),
    Column::new("列入方式", Show::Word("/by", words::tie)),
];

pub const ZOMBIE: [Column; 7] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("信息系统", Show::Text("/system_name")),
    Column::new("建设单位", Show::Text("/department/name")),
    Column::new("状态", Show::State("/state", words::finding_state)),
    Column::new("符合", Show::Of(|row, _| met(row))).right(),
    Column::new("答复期限", Show::Text("/question/due_on")).optional(),
    Column::new("判定日期", Show::Text("/judgement/on")),
];

pub const ZOMBIE_SHEET: [Column; 17] = [
    ZOMBIE[1],
    Column::new("编号", Show::Text("/id")).optional(),
    Column::new("系统编号", Show::Text("/system_id")),
    Column::new("建设单位", Show::Text("/department/name")).optional(),
    Column::new("状态", Show::State("/state", words::finding_state)).optional(),
    ZOMBIE[6],
    ZOMBIE[5],
    Column::new("建设单位答复", Show::Word("/answer/answer", words::answer)).optional(),
    Column::new("答复理由", Show::Text("/answer/reason")).optional(),
    Column::new("答复人", Show::Text("/answer/by")).optional(),
    Column::new("豁免到", Show::Text("/exemption/until")).optional(),
    Column::new("豁免证据", Show::Text("/exemption/evidence")).optional(),
    Column::new("豁免已到期", Show::Flag("/exemption_over", "是")).optional(),
    Column::new("决定意见", Show::Text("/decision/reason")).optional(),
    Column::new("决定人", Show::Text("/decision/by")).optional(),
    Column::new("备案号", Show::Text("/filing/number")).optional(),
    Column::new("备案时间", Show::Time("/filing/at")).optional(),
];

/// A system held against one criterion.
pub const CRITERION: [Column; 5] = [
    Column::new("条件", Show::Text("/text")),
    Column::new("结论", Show::State("/outcome", words::criterion_outcome)),
    Column::new("把握", Show::Word("/confidence", words::confidence)),
    Column::new("依据", Show::Text("/basis")),
    Column::new("证据", Show::Of(|row, _| evidence(row))),
];

/// `1/3`: how many criteria are met.
fn met(row: &Value) -> String {
    let Some(all) = row.pointer("/judgement/criteria").and_then(Value::as_array) else { return NOTHING.into() };
    let met = all.iter().filter(|one| one.get("outcome").is_some_and(|outcome| outcome == "met")).count();
    format!("{met}/{n}", n = all.len())
}

/// Where each piece comes from, and what it says.
fn evidence(row: &Value) -> String {
    let all = row.get("evidence").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let said = all.iter().map(|one| {
        let text = |field: &str| one.get(field).and_then(Value::as_str).map(format::clean).unwrap_or_default();
        say!("{text}（{source}）", text = text("text"), source = tr(words::source(&text("source"))))
    });
    let said: Vec<_> = said.collect();
    if said.is_empty() { NOTHING.into() } else { said.join(crate::cli::language::semicolon()) }
}
