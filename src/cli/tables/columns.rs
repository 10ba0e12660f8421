//! The columns of each kind, and how a cell is put together from several values.

use super::{Column, Show};
use crate::cli::{
    format::{self, NOTHING},
    language::{colon, comma, say, tr},
    words,
};
use jiff::tz::TimeZone;
use serde_json::Value;

pub const DEPARTMENT: [Column; 3] = [
    Column::new("代码", Show::Text("/code")),
    Column::new("名称", Show::Text("/name")),
    Column::new("登记时间", Show::Time("/created_at")).optional(),
];

pub const RULE: [Column; 4] = [
    Column::new("代码", Show::Text("/code")),
    Column::new("字段", Show::Text("/field")),
    Column::new("依据", Show::Text("/basis")),
    Column::new("生效日期", Show::Text("/in_force_from")),
];

pub const RULE_SHEET: [Column; 7] = [
    Column::new("代码", Show::Text("/code")),
    Column::new("字段", Show::Text("/field")),
    Column::new("说明", Show::Text("/sentence")),
    Column::new("怎么改", Show::Text("/mend")),
    Column::new("依据", Show::Text("/basis")),
    Column::new("适用地区", Show::Text("/jurisdiction")),
    Column::new("生效日期", Show::Text("/in_force_from")),
];

pub const TASK_BOOK: [Column; 10] = [
    Column::new("文号", Show::Text("/number")),
    Column::new("版本", Show::Text("/version")).right(),
    Column::new("建设单位", Show::Text("/department")),
    Column::new("项目", Show::Text("/project")),
    Column::new("有效期", Show::Of(validity)),
    Column::new("撤销时间", Show::Time("/revoked_at")).optional(),
    Column::new("虚拟机", Show::Of(|row, _| indicator(row, "machines"))).right(),
    Column::new("CPU", Show::Of(|row, _| indicator(row, "vcpu"))).right(),
    Column::new("内存", Show::Of(|row, _| indicator(row, "memory_bytes"))).right(),
    Column::new("磁盘", Show::Of(|row, _| indicator(row, "disk_bytes"))).right(),
];

pub const TASK_BOOK_SHEET: [Column; 7] = [
    Column::new("文号", Show::Text("/number")),
    Column::new("编号", Show::Text("/id")),
    Column::new("版本", Show::Text("/version")),
    Column::new("建设单位", Show::Of(|row, _| coded(row, "/department"))),
    Column::new("项目", Show::Of(|row, _| coded(row, "/project"))),
    Column::new("有效期", Show::Of(validity)),
    Column::new("撤销时间", Show::Time("/revoked_at")).optional(),
];

pub const INDICATOR: [Column; 4] = [
    Column::new("指标", Show::Word("/dimension", words::dimension)),
    Column::new("已用", Show::Of(|row, _| measured(row, "/used"))).right(),
    Column::new("上限", Show::Of(|row, _| measured(row, "/limit"))).right(),
    Column::new("还剩", Show::Of(|row, _| measured(row, "/free"))).right(),
];

pub const HOST: [Column; 8] = [
    Column::new("名称", Show::Text("/name")),
    Column::new("状态", Show::State("/state", words::host_state)),
    Column::new("类型", Show::Text("/provider")),
    Column::new("虚拟化", Show::Text("/domain_type")),
    Column::new("CPU", Show::Of(|row, _| capacity(row, "vcpu"))).right(),
    Column::new("内存", Show::Of(|row, _| capacity(row, "memory_bytes"))).right(),
    Column::new("磁盘", Show::Of(|row, _| capacity(row, "disk_bytes"))).right(),
    Column::new("网络区域", Show::Of(zones)),
];

pub const HOST_SHEET: [Column; 15] = [
    HOST[0],
    Column::new("编号", Show::Text("/id")),
    HOST[1],
    HOST[2],
    Column::new("地址", Show::Text("/uri")),
    HOST[3],
    HOST[4],
    HOST[5],
    HOST[6],
    Column::new("最高等保级别", Show::Text("/mlps_level")).optional(),
    Column::new("注意", Show::Text("/warnings/0")).optional(),
    Column::new("最近一次清点", Show::Time("/listed_at")).optional(),
    Column::new("失去联系于", Show::Time("/contact_since")).optional(),
    Column::new("原因", Show::Text("/contact_reason")).optional(),
    Column::new("还没迁出", Show::Text("/drain/left")).optional(),
];

pub const ALARM: [Column; 8] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("种类", Show::Word("/kind", words::alarm_kind)),
    Column::new("宿主机", Show::Text("/host")),
    Column::new("虚拟机", Show::Text("/name")),
    Column::new("说明", Show::Text("/detail")),
    Column::new("首次发现", Show::Time("/first_seen_at")),
    Column::new("知悉人", Show::Text("/acknowledged_by")).optional(),
    Column::new("消失于", Show::Time("/cleared_at")).optional(),
];

pub const ZONE: [Column; 4] = [
    Column::new("区域", Show::Field("/zone")),
    Column::new("网络", Show::Text("/network")),
    Column::new("网段", Show::Text("/cidr")),
    Column::new("网关", Show::Text("/gateway")),
];

pub const STUCK: [Column; 2] = [Column::new("虚拟机", Show::Text("/name")), Column::new("原因", Show::Text("/reason"))];

pub const CREDENTIALS: [Column; 6] = [
    Column::new("虚拟机", Show::Text("/machine_id")),
    Column::new("地址", Show::Text("/address")),
    Column::new("端口", Show::Text("/port")),
    Column::new("数据库", Show::Text("/database")),
    Column::new("角色", Show::Text("/role")),
    Column::new("口令", Show::Text("/password")),
];

pub const IMAGE: [Column; 11] = [
    Column::new("名称", Show::Text("/name")),
    Column::new("操作系统", Show::Text("/os_type")),
    Column::new("数据库", Show::Text("/database")).optional(),
    Column::new("替身", Show::Flag("/stand_in", "是")),
    Column::new("格式", Show::Text("/format")),
    Column::new("文件大小", Show::Field("/size_bytes")).right(),
    Column::new("磁盘大小", Show::Field("/virtual_size_bytes")).right(),
    Column::new("SHA-256", Show::Of(digest)),
    Column::new("宿主机", Show::Of(spread)).right(),
    Column::new("停止维护", Show::Flag("/ended", "已停止维护")).optional(),
    Column::new("导入时间", Show::Time("/imported_at")),
];

pub const IMAGE_SHEET: [Column; 12] = [
    IMAGE[0],
    IMAGE[1],
    IMAGE[2],
    IMAGE[3],
    IMAGE[4],
    IMAGE[5],
    IMAGE[6],
    Column::new("SHA-256", Show::Text("/sha256")),
    IMAGE[8],
    Column::new("维护到", Show::Text("/end_of_life")).optional(),
    IMAGE[9],
    IMAGE[10],
];

pub const TRANSFER: [Column; 6] = [
    Column::new("宿主机", Show::Text("/host")),
    Column::new("状态", Show::State("/state", words::transfer_state)),
    Column::new("进度", Show::Of(progress)).right(),
    Column::new("原因", Show::Text("/reason")).optional(),
    Column::new("下次再试", Show::Time("/next_try")).optional(),
    Column::new("更新时间", Show::Time("/updated_at")).optional(),
];

pub const REQUEST: [Column; 8] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("状态", Show::State("/state", words::request_state)),
    Column::new("建设单位", Show::Text("/department")),
    Column::new("任务书", Show::Text("/task_book")),
    Column::new("域名", Show::Text("/block/domain")),
    Column::new("台数", Show::Text("/block/machines")).right(),
    Column::new("提交人", Show::Text("/submitted_by")),
    Column::new("提交时间", Show::Time("/submitted_at")),
];

pub const REQUEST_SHEET: [Column; 13] = [
    Column::new("编号", Show::Text("/id")),
    REQUEST[1],
    Column::new("建设单位", Show::Of(|row, _| coded(row, "/department"))),
    REQUEST[3],
    Column::new("提交人", Show::Text("/submitted_by")),
    Column::new("提交时间", Show::Time("/submitted_at")),
    Column::new("决定人", Show::Text("/decided_by")).optional(),
    Column::new("决定时间", Show::Time("/decided_at")).optional(),
    Column::new("意见", Show::Text("/decision_reason")).optional(),
    Column::new("操作", Show::Text("/operation_id")).optional(),
    Column::new("内容摘要", Show::Text("/digest")).optional(),
    Column::new("原件", Show::Text("/file/name")).optional(),
    Column::new("原件摘要", Show::Text("/file/sha256")).optional(),
];

pub const MACHINE: [Column; 10] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("名称", Show::Text("/name")),
    Column::new("状态", Show::State("/state", words::machine_state)),
    Column::new("地址", Show::Text("/address")),
    Column::new("域名", Show::Text("/fqdn")),
    Column::new("域名登记", Show::State("/registration/state", words::name_state)).optional(),
    Column::new("规格", Show::Of(shape)).optional(),
    Column::new("系统", Show::Of(system)).optional(),
    Column::new("数据库", Show::Text("/database/db_type")).optional(),
    Column::new("宿主机", Show::Text("/host")).optional(),
];

pub const MACHINE_SHEET: [Column; 23] = [
    MACHINE[1],
    MACHINE[0],
    MACHINE[2],
    MACHINE[4],
    MACHINE[5],
    Column::new("登记说明", Show::Text("/registration/reason")).optional(),
    Column::new("DNS 服务器", Show::Text("/registration/server")).optional(),
    MACHINE[3],
    Column::new("MAC", Show::Text("/mac")),
    Column::new("网络区域", Show::Field("/zone")),
    MACHINE[6],
    MACHINE[7],
    Column::new("镜像", Show::Text("/image")),
    MACHINE[8],
    Column::new("数据库端口", Show::Text("/database/port")).optional(),
    Column::new("数据库名", Show::Text("/database/database")).optional(),
    Column::new("数据库角色", Show::Text("/database/role")).optional(),
    Column::new("数据库口令", Show::State("/database/credentials", words::credentials)).optional(),
    MACHINE[9],
    Column::new("建设单位", Show::Text("/department")),
    Column::new("申请", Show::Text("/request_id")),
    Column::new("租期至", Show::Time("/lease_end")).optional(),
    Column::new("运维单位", Show::Text("/om_unit")).optional(),
];

pub const OPERATION: [Column; 6] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("内容", Show::Word("/kind", words::operation_kind)),
    Column::new("状态", Show::State("/state", words::operation_state)),
    Column::new("进度", Show::Of(progress)).right(),
    Column::new("开始时间", Show::Time("/created_at")),
    Column::new("结束时间", Show::Time("/finished_at")),
];

pub const OPERATION_SHEET: [Column; 10] = [
    OPERATION[0],
    OPERATION[1],
    OPERATION[2],
    OPERATION[3],
    Column::new("当前步骤", Show::Text("/current_step")).optional(),
    Column::new("原因", Show::Text("/reason")).optional(),
    Column::new("申请", Show::Text("/request_id")).optional(),
    Column::new("虚拟机", Show::Text("/machine_id")).optional(),
    OPERATION[4],
    OPERATION[5],
];

pub const TOKEN: [Column; 9] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("登录名", Show::Text("/person")),
    Column::new("姓名", Show::Text("/name")),
    Column::new("单位", Show::Text("/unit")),
    Column::new("角色", Show::Word("/role", words::role)),
    Column::new("建设单位", Show::Text("/department")),
    Column::new("发放时间", Show::Time("/created_at")),
    Column::new("到期时间", Show::Time("/expires_at")),
    Column::new("吊销时间", Show::Time("/revoked_at")).optional(),
];

/// Counters that `ledger verify` found to differ from their rows.
pub const DIFFERENCE: [Column; 5] = [
    Column::new("账", Show::Word("/of", words::holder)),
    Column::new("哪一个", Show::Text("/subject")),
    Column::new("维度", Show::Word("/dimension", words::dimension)),
    Column::new("账上", Show::Of(|row, _| measured(row, "/recorded"))).right(),
    Column::new("重算", Show::Of(|row, _| measured(row, "/recomputed"))).right(),
];

/// Machines whose state and claim contradict each other.
pub const CONTRADICTION: [Column; 4] = [
    Column::new("虚拟机", Show::Text("/machine_id")),
    Column::new("状态", Show::State("/state", words::machine_state)),
    Column::new("占着 CPU 与内存", Show::Text("/compute_held")),
    Column::new("占着磁盘", Show::Text("/storage_held")),
];

/// What a host or task book lacks.
pub const SHORTAGE: [Column; 4] = [
    Column::new("哪里", Show::Word("/of", words::holder)).optional(),
    Column::new("维度", Show::Word("/dimension", words::dimension)),
    Column::new("申请", Show::Of(|row, _| in_unit(row, "/asked"))).right(),
    Column::new("空闲", Show::Of(|row, _| in_unit(row, "/free"))).right(),
];

/// Hosts that cannot take a machine.
pub const REFUSED_HOST: [Column; 3] = [
    Column::new("宿主机", Show::Text("/host")),
    Column::new("自第几台起", Show::Text("/from_machine")).right().optional(),
    Column::new("原因", Show::Text("/message")),
];

/// What was read from a file, where it stood.
pub const READ: [Column; 3] = [
    Column::new("栏目", Show::Text("/field")),
    Column::new("文件中写的", Show::Text("/written")),
    Column::new("位置", Show::Text("/place")),
];

/// What became of requests that were decided together.
pub const OUTCOME: [Column; 5] = [
    Column::new("申请", Show::Text("/request_id")),
    Column::new("结果", Show::Of(|row, _| outcome(row))),
    Column::new("操作", Show::Text("/operation/id")).optional(),
    Column::new("原因", Show::Of(|row, _| refusal(row))).optional(),
    Column::new("代码", Show::Text("/problem/code")).optional(),
];

/// Servers that the command line knows.
pub const CONTEXT: [Column; 5] = [
    Column::new("名称", Show::Text("/name")),
    Column::new("在用", Show::Flag("/current", "是")),
    Column::new("服务", Show::Text("/server")),
    Column::new("CA 证书", Show::Text("/ca_file")).optional(),
    Column::new("令牌来自", Show::Of(|row, _| token_source(row))),
];

pub const CONTEXT_SHEET: [Column; 4] = [Column::new("上下文", Show::Text("/name")), CONTEXT[2], CONTEXT[3], CONTEXT[4]];

pub const EVENT: [Column; 5] = [
    Column::new("时间", Show::Time("/time")),
    Column::new("事件", Show::Text("/type")),
    Column::new("对象", Show::Text("/subject")),
    Column::new("编号", Show::Text("/id")),
    Column::new("来自", Show::Text("/source")).optional(),
];

pub const AUDIT: [Column; 9] = [
    Column::new("序号", Show::Text("/seq")).right(),
    Column::new("时间", Show::Time("/at")),
    Column::new("登录名", Show::Text("/person")),
    Column::new("单位", Show::Text("/unit")),
    Column::new("角色", Show::Word("/role", words::role)),
    Column::new("动作", Show::Text("/action")),
    Column::new("对象", Show::Text("/object_type")),
    Column::new("编号", Show::Text("/object_id")),
    Column::new("结果", Show::Text("/outcome")),
];

fn at<'a>(row: &'a Value, pointer: &str) -> &'a Value {
    row.pointer(pointer).unwrap_or(&Value::Null)
}

/// `区教育局（education）`.
fn coded(row: &Value, pointer: &str) -> String {
    let object = at(row, pointer);
    match (object.get("name").and_then(Value::as_str), object.get("code").and_then(Value::as_str)) {
        (Some(name), Some(code)) => say!("{name}（{code}）", name = format::clean(name), code = format::clean(code)),
        _ => format::scalar(object),
    }
}

fn validity(row: &Value, zone: &TimeZone) -> String {
    let day = |pointer| {
        let text = at(row, pointer).as_str().map_or(NOTHING.into(), |t| format::time(t, zone));
        text.split(' ').next().unwrap_or(NOTHING).to_owned()
    };
    match (day("/valid_from"), day("/valid_until")) {
        (from, until) if from == NOTHING && until == NOTHING => NOTHING.into(),
        (from, until) => say!("{from} 至 {until}", from, until),
    }
}

/// `已用/上限` of one dimension of a task book.
fn indicator(row: &Value, dimension: &str) -> String {
    let all = at(row, "/indicators").as_array();
    let one = all.and_then(|all| all.iter().find(|i| i.get("dimension").is_some_and(|d| d == dimension)));
    one.map_or(NOTHING.into(), |i| share(at(i, "/used"), at(i, "/limit"), dimension))
}

/// `已用/容量` of one dimension of a host.
fn capacity(row: &Value, dimension: &str) -> String {
    let part = |of: &str| row.get(of).and_then(|v| v.get(dimension)).unwrap_or(&Value::Null);
    share(part("used"), part("capacity"), dimension)
}

fn share(used: &Value, of: &Value, dimension: &str) -> String {
    if used.is_null() && of.is_null() {
        return NOTHING.into();
    }
    format!("{} / {}", format::field(dimension, used), format::field(dimension, of))
}

fn measured(row: &Value, pointer: &str) -> String {
    format::quantity(at(row, pointer), at(row, "/dimension").as_str().unwrap_or_default())
}

fn in_unit(row: &Value, pointer: &str) -> String {
    let unit = at(row, "/unit").as_str().or_else(|| at(row, "/dimension").as_str());
    format::quantity(at(row, pointer), unit.unwrap_or_default())
}

fn zones(row: &Value, _: &TimeZone) -> String {
    let Some(all) = at(row, "/zones").as_array() else { return NOTHING.into() };
    let names: Vec<_> = all.iter().map(|zone| format::field("zone", at(zone, "/zone"))).collect();
    if names.is_empty() { NOTHING.into() } else { names.join(comma()) }
}

fn digest(row: &Value, _: &TimeZone) -> String {
    at(row, "/sha256").as_str().map_or(NOTHING.into(), |hex| format::clean(hex).chars().take(12).collect())
}

/// `2/3`: on how many of how many hosts.
fn spread(row: &Value, _: &TimeZone) -> String {
    match (at(row, "/hosts_present").as_i64(), at(row, "/hosts_total").as_i64()) {
        (Some(present), Some(total)) => format!("{present}/{total}"),
        _ => NOTHING.into(),
    }
}

fn shape(row: &Value, _: &TimeZone) -> String {
    match at(row, "/vcpu").as_i64() {
        None => NOTHING.into(),
        Some(vcpu) => say!(
            "{vcpu} 核 {memory} / {disk}",
            vcpu,
            memory = format::field("_bytes", at(row, "/memory_bytes")),
            disk = format::field("_bytes", at(row, "/disk_bytes"))
        ),
    }
}

/// The operating system, saying so where another image stands in for it.
fn system(row: &Value, _: &TimeZone) -> String {
    let os = format::scalar(at(row, "/os_type"));
    if at(row, "/stand_in") == true { say!("{os}（替身）", os) } else { os }
}

fn progress(row: &Value, _: &TimeZone) -> String {
    match (at(row, "/percent").as_i64(), at(row, "/steps_done").as_i64(), at(row, "/steps_total").as_i64()) {
        (Some(percent), Some(done), Some(total)) => say!("{percent}%（{done}/{total}）", percent, done, total),
        (Some(percent), _, _) => format!("{percent}%"),
        _ => NOTHING.into(),
    }
}

/// Whether it was done, and how its operation stands.
fn outcome(row: &Value) -> String {
    let good = at(row, "/status").as_u64().is_some_and(|status| (200..300).contains(&status));
    match (good, at(row, "/operation/state").as_str()) {
        (false, _) => tr("没有办成").to_owned(),
        (true, Some(state)) => format::clean(tr(words::operation_state(state).0)),
        (true, None) => tr("已办").to_owned(),
    }
}

/// What the service says against it.
fn refusal(row: &Value) -> String {
    let said = ["/problem/title", "/problem/detail", "/operation/reason"].map(|pointer| at(row, pointer).as_str());
    let said: Vec<_> = said.into_iter().flatten().map(format::clean).collect();
    if said.is_empty() { NOTHING.into() } else { said.join(colon()) }
}

/// A file, a program, or a flag or variable.
fn token_source(row: &Value) -> String {
    let command = at(row, "/token_command").as_array().filter(|words| !words.is_empty());
    match (at(row, "/token_file").as_str(), command) {
        (_, Some(words)) => words.iter().map(format::scalar).collect::<Vec<_>>().join(" "),
        (Some(file), None) => format::clean(file),
        (None, None) if at(row, "/token_given") == true => tr("命令行或环境变量").to_owned(),
        (None, None) => NOTHING.into(),
    }
}
