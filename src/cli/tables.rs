//! Which columns each kind of thing has, as a list and as a sheet of its own. Pure: JSON in, text out.

use super::{
    format::{self, NOTHING},
    words::{self, Tone},
};
use crate::place::Place;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// How one value of a row becomes text; the text is a JSON pointer into the row.
#[derive(Clone, Copy)]
pub enum Show {
    Text(&'static str),
    /// By the unit that the last part of the pointer names.
    Field(&'static str),
    Time(&'static str),
    /// A state, in Chinese and coloured.
    State(&'static str, fn(&str) -> (&str, Tone)),
    /// An English word with a Chinese one for it.
    Word(&'static str, fn(&str) -> &str),
    /// The text for true; nothing for false.
    Flag(&'static str, &'static str),
    /// Put together from several values.
    Of(fn(&Value, &TimeZone) -> String),
}

/// One column.
#[derive(Clone, Copy)]
pub struct Column {
    pub title: &'static str,
    pub show: Show,
    pub right: bool,
    /// Left out where no row has it.
    pub optional: bool,
}

impl Column {
    pub(super) const fn new(title: &'static str, show: Show) -> Self {
        Self { title, show, right: false, optional: false }
    }

    pub(super) const fn right(self) -> Self {
        Self { right: true, ..self }
    }

    const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// The row's text in this column, and how it should look.
    pub fn cell(&self, row: &Value, zone: &TimeZone) -> (String, Tone) {
        let at = |pointer: &str| row.pointer(pointer).unwrap_or(&Value::Null);
        let plain = |text: String| (text, Tone::Plain);
        match self.show {
            Show::Text(pointer) => plain(format::scalar(at(pointer))),
            Show::Field(pointer) => plain(format::field(pointer, at(pointer))),
            Show::Time(pointer) => plain(at(pointer).as_str().map_or(NOTHING.into(), |t| format::time(t, zone))),
            Show::State(pointer, words) => match at(pointer).as_str() {
                Some(word) => {
                    let (text, tone) = words(word);
                    (format::clean(text), tone)
                }
                None => plain(NOTHING.into()),
            },
            Show::Word(pointer, words) => {
                plain(at(pointer).as_str().map_or(NOTHING.into(), |w| format::clean(words(w))))
            }
            Show::Flag(pointer, text) => plain(if at(pointer) == true { text.into() } else { NOTHING.into() }),
            Show::Of(make) => plain(make(row, zone)),
        }
    }
}

/// The kinds of things that answers hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Department,
    TaskBook,
    Host,
    Image,
    Request,
    Machine,
    Operation,
    Token,
    Rule,
    Alarm,
    Credentials,
}

impl Kind {
    pub const ALL: [Self; 11] = [
        Self::Department,
        Self::TaskBook,
        Self::Host,
        Self::Image,
        Self::Request,
        Self::Machine,
        Self::Operation,
        Self::Token,
        Self::Rule,
        Self::Alarm,
        Self::Credentials,
    ];

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Department => "建设单位",
            Self::TaskBook => "任务书",
            Self::Host => "宿主机",
            Self::Image => "镜像",
            Self::Request => "申请",
            Self::Machine => "虚拟机",
            Self::Operation => "操作",
            Self::Token => "令牌",
            Self::Rule => "规则",
            Self::Alarm => "告警",
            Self::Credentials => "数据库口令",
        }
    }

    /// The columns of a list.
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Department => &DEPARTMENT,
            Self::TaskBook => &TASK_BOOK,
            Self::Host => &HOST,
            Self::Image => &IMAGE,
            Self::Request => &REQUEST,
            Self::Machine => &MACHINE,
            Self::Operation => &OPERATION,
            Self::Token => &TOKEN,
            Self::Rule => &RULE,
            Self::Alarm => &ALARM,
            Self::Credentials => &CREDENTIALS,
        }
    }

    /// The lines of one thing's sheet, before its nested tables.
    pub const fn sheet(self) -> &'static [Column] {
        match self {
            Self::TaskBook => &TASK_BOOK_SHEET,
            Self::Host => &HOST_SHEET,
            Self::Request => &REQUEST_SHEET,
            Self::Machine => &MACHINE_SHEET,
            Self::Operation => &OPERATION_SHEET,
            Self::Rule => &RULE_SHEET,
            Self::Image => &IMAGE_SHEET,
            Self::Department | Self::Token | Self::Alarm | Self::Credentials => self.columns(),
        }
    }

    /// The tables under the sheet: title, where the rows stand, columns.
    pub const fn sections(self) -> &'static [(&'static str, &'static str, &'static [Column])] {
        match self {
            Self::TaskBook => &[("控制指标", "/indicators", &INDICATOR)],
            Self::Host => &[("网络区域", "/zones", &ZONE), ("迁不走的", "/drain/stuck", &STUCK)],
            Self::Request => &[("虚拟机", "/machines", &MACHINE)],
            Self::Image => &[("在各宿主机上", "/hosts", &TRANSFER)],
            _ => &[],
        }
    }
}

const DEPARTMENT: [Column; 3] = [
    Column::new("代码", Show::Text("/code")),
    Column::new("名称", Show::Text("/name")),
    Column::new("登记时间", Show::Time("/created_at")).optional(),
];

const RULE: [Column; 4] = [
    Column::new("代码", Show::Text("/code")),
    Column::new("字段", Show::Text("/field")),
    Column::new("依据", Show::Text("/basis")),
    Column::new("生效日期", Show::Text("/in_force_from")),
];

const RULE_SHEET: [Column; 7] = [
    Column::new("代码", Show::Text("/code")),
    Column::new("字段", Show::Text("/field")),
    Column::new("说明", Show::Text("/sentence")),
    Column::new("怎么改", Show::Text("/mend")),
    Column::new("依据", Show::Text("/basis")),
    Column::new("适用地区", Show::Text("/jurisdiction")),
    Column::new("生效日期", Show::Text("/in_force_from")),
];

const TASK_BOOK: [Column; 10] = [
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

const TASK_BOOK_SHEET: [Column; 7] = [
    Column::new("文号", Show::Text("/number")),
    Column::new("编号", Show::Text("/id")),
    Column::new("版本", Show::Text("/version")),
    Column::new("建设单位", Show::Of(|row, _| coded(row, "/department"))),
    Column::new("项目", Show::Of(|row, _| coded(row, "/project"))),
    Column::new("有效期", Show::Of(validity)),
    Column::new("撤销时间", Show::Time("/revoked_at")).optional(),
];

const INDICATOR: [Column; 4] = [
    Column::new("指标", Show::Word("/dimension", words::dimension)),
    Column::new("已用", Show::Of(|row, _| measured(row, "/used"))).right(),
    Column::new("上限", Show::Of(|row, _| measured(row, "/limit"))).right(),
    Column::new("还剩", Show::Of(|row, _| measured(row, "/free"))).right(),
];

const HOST: [Column; 8] = [
    Column::new("名称", Show::Text("/name")),
    Column::new("状态", Show::State("/state", words::host_state)),
    Column::new("类型", Show::Text("/provider")),
    Column::new("虚拟化", Show::Text("/domain_type")),
    Column::new("CPU", Show::Of(|row, _| capacity(row, "vcpu"))).right(),
    Column::new("内存", Show::Of(|row, _| capacity(row, "memory_bytes"))).right(),
    Column::new("磁盘", Show::Of(|row, _| capacity(row, "disk_bytes"))).right(),
    Column::new("网络区域", Show::Of(zones)),
];

const HOST_SHEET: [Column; 15] = [
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

const ALARM: [Column; 8] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("种类", Show::Word("/kind", words::alarm_kind)),
    Column::new("宿主机", Show::Text("/host")),
    Column::new("虚拟机", Show::Text("/name")),
    Column::new("说明", Show::Text("/detail")),
    Column::new("首次发现", Show::Time("/first_seen_at")),
    Column::new("知悉人", Show::Text("/acknowledged_by")).optional(),
    Column::new("消失于", Show::Time("/cleared_at")).optional(),
];

const ZONE: [Column; 4] = [
    Column::new("区域", Show::Field("/zone")),
    Column::new("网络", Show::Text("/network")),
    Column::new("网段", Show::Text("/cidr")),
    Column::new("网关", Show::Text("/gateway")),
];

const STUCK: [Column; 2] = [Column::new("虚拟机", Show::Text("/name")), Column::new("原因", Show::Text("/reason"))];

const CREDENTIALS: [Column; 6] = [
    Column::new("虚拟机", Show::Text("/machine_id")),
    Column::new("地址", Show::Text("/address")),
    Column::new("端口", Show::Text("/port")),
    Column::new("数据库", Show::Text("/database")),
    Column::new("角色", Show::Text("/role")),
    Column::new("口令", Show::Text("/password")),
];

const IMAGE: [Column; 11] = [
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

const IMAGE_SHEET: [Column; 12] = [
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

const TRANSFER: [Column; 6] = [
    Column::new("宿主机", Show::Text("/host")),
    Column::new("状态", Show::State("/state", words::transfer_state)),
    Column::new("进度", Show::Of(progress)).right(),
    Column::new("原因", Show::Text("/reason")).optional(),
    Column::new("下次再试", Show::Time("/next_try")).optional(),
    Column::new("更新时间", Show::Time("/updated_at")).optional(),
];

const REQUEST: [Column; 8] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("状态", Show::State("/state", words::request_state)),
    Column::new("建设单位", Show::Text("/department")),
    Column::new("任务书", Show::Text("/task_book")),
    Column::new("域名", Show::Text("/block/domain")),
    Column::new("台数", Show::Text("/block/machines")).right(),
    Column::new("提交人", Show::Text("/submitted_by")),
    Column::new("提交时间", Show::Time("/submitted_at")),
];

const REQUEST_SHEET: [Column; 13] = [
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

const MACHINE: [Column; 10] = [
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

const MACHINE_SHEET: [Column; 23] = [
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

const OPERATION: [Column; 6] = [
    Column::new("编号", Show::Text("/id")),
    Column::new("内容", Show::Word("/kind", words::operation_kind)),
    Column::new("状态", Show::State("/state", words::operation_state)),
    Column::new("进度", Show::Of(progress)).right(),
    Column::new("开始时间", Show::Time("/created_at")),
    Column::new("结束时间", Show::Time("/finished_at")),
];

const OPERATION_SHEET: [Column; 10] = [
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

const TOKEN: [Column; 9] = [
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

/// The rows of [`READ`]: each value of a checked report that has a place, in the order of the file.
pub fn read_from(answer: &Value) -> Vec<Value> {
    const SHOWN: usize = 32;
    let Some(places) = answer.get("places").and_then(Value::as_object) else { return Vec::new() };
    let mut rows: Vec<(Place, Value)> = places
        .iter()
        .filter_map(|(pointer, place)| {
            let written = answer.get("document")?.pointer(pointer)?;
            let written = written.as_str().map(str::to_owned).or_else(|| written.as_i64().map(|n| n.to_string()))?;
            let place: Place = serde_json::from_value(place.clone()).ok()?;
            let mut short: String = written.replace('\n', " ").chars().take(SHOWN).collect();
            if written.chars().nth(SHOWN).is_some() {
                short.push('…');
            }
            let row = json!({"field": named(pointer), "written": short, "place": place.to_string()});
            Some((place, row))
        })
        .collect();
    rows.sort_by_key(|(place, _)| (place.sheet.clone(), place.table, place.paragraph, place.row, place.column));
    rows.into_iter().map(|(_, row)| row).collect()
}

/// `/blocks/1/memory` as 第 2 组 内存容量, `/extra_hardware/0/price` by its list's word.
fn named(pointer: &str) -> String {
    let mut parts = pointer.split('/').skip(1);
    let (first, number) = (parts.next().unwrap_or_default(), parts.next());
    match (first, number.and_then(|n| n.parse::<u32>().ok())) {
        ("blocks", Some(n)) => {
            let field = parts.next().unwrap_or_default();
            format!("第 {} 组 {}", n + 1, words::field(field).unwrap_or(field))
        }
        (field, Some(n)) => format!("{}（{}）", words::field(field).unwrap_or(field), n + 1),
        (field, None) => words::field(field).unwrap_or(field).to_owned(),
    }
}

/// The lines of a request block: known fields in the form's order, then whatever else the server sent.
pub fn block_lines(block: &Value) -> Vec<(String, String)> {
    let Some(block) = block.as_object() else { return Vec::new() };
    let known = words::BLOCK.iter().filter_map(|(key, label)| Some((*key, *label, block.get(*key)?)));
    let rest = block.iter().filter(|(key, _)| words::BLOCK.iter().all(|(known, _)| known != key));
    let rest = rest.map(|(key, value)| (key.as_str(), words::field(key).unwrap_or(key), value));
    let filled = known.chain(rest).filter(|(_, _, value)| !value.is_null());
    filled.map(|(key, label, value)| (format::clean(label), format::field(key, value))).collect()
}

fn at<'a>(row: &'a Value, pointer: &str) -> &'a Value {
    row.pointer(pointer).unwrap_or(&Value::Null)
}

/// `区教育局（education）`.
fn coded(row: &Value, pointer: &str) -> String {
    let object = at(row, pointer);
    match (object.get("name").and_then(Value::as_str), object.get("code").and_then(Value::as_str)) {
        (Some(name), Some(code)) => format!("{}（{}）", format::clean(name), format::clean(code)),
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
        (from, until) => format!("{from} 至 {until}"),
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
    if names.is_empty() { NOTHING.into() } else { names.join("、") }
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
        Some(vcpu) => format!(
            "{vcpu} 核 {} / {}",
            format::field("_bytes", at(row, "/memory_bytes")),
            format::field("_bytes", at(row, "/disk_bytes"))
        ),
    }
}

/// The operating system, saying so where another image stands in for it.
fn system(row: &Value, _: &TimeZone) -> String {
    let os = format::scalar(at(row, "/os_type"));
    if at(row, "/stand_in") == true { format!("{os}（替身）") } else { os }
}

fn progress(row: &Value, _: &TimeZone) -> String {
    match (at(row, "/percent").as_i64(), at(row, "/steps_done").as_i64(), at(row, "/steps_total").as_i64()) {
        (Some(percent), Some(done), Some(total)) => format!("{percent}%（{done}/{total}）"),
        (Some(percent), _, _) => format!("{percent}%"),
        _ => NOTHING.into(),
    }
}
