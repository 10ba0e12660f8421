//! The sheets of the survey: which columns each has, under which headings offices write them, and what of a thing stands in
//! each. What is read by these is written by these, so that an export is a survey again.

use super::{
    estate::{Estate, Home, Server, System},
    room::{Room, Term},
};
use crate::{
    ids::SystemId,
    system::record::{Frequency, Scope},
    units::GIB,
};
use jiff::civil::Date;

/// Which table a sheet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    Rooms,
    Servers,
    Systems,
    Needs,
}

/// A column: our word for it, what stands over it, and what else is taken for that.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub key: &'static str,
    pub label: &'static str,
    pub aliases: &'static [&'static str],
}

const fn column(key: &'static str, label: &'static str, aliases: &'static [&'static str]) -> Column {
    Column { key, label, aliases }
}

const DEPARTMENT: Column = column(
    "department",
    "建设单位",
    &["单位", "单位名称", "部门", "所属单位", "所属部门", "主管单位", "责任单位", "责任部门", "使用单位", "填报单位"],
);

pub const ROOMS: &[Column] = &[
    column("name", "机房名称", &["机房", "名称"]),
    DEPARTMENT,
    column("kind", "机房类型", &["类型", "机房类别", "类别", "机房性质"]),
    column("evidence", "类型证明", &["证明", "证明材料", "保留依据", "依据材料"]),
    column("document", "关停依据文件", &["依据文件", "文件", "文号", "文件号"]),
    column("document_on", "文件日期", &["发文日期", "发文时间", "文件时间"]),
    column("due_on", "关停期限", &["期限", "撤销期限", "完成时限", "关停时限", "撤销关停期限"]),
    column("address", "地址", &["机房地址", "位置", "机房位置"]),
    column("area", "面积（m²）", &["面积", "机房面积", "建筑面积", "使用面积"]),
    column("racks", "机柜数", &["机柜", "机柜数量", "机柜总数"]),
    column("power", "供电容量（kW）", &["供电容量", "供电", "电力容量", "功率", "用电功率"]),
];

pub const SERVERS: &[Column] = &[
    column("name", "服务器名称", &["服务器", "主机名", "主机名称", "设备名称", "名称", "服务器编号"]),
    DEPARTMENT,
    column("room", "所在机房", &["机房", "机房名称"]),
    column("rack", "机柜", &["机柜号", "机架", "机架号", "机柜位置"]),
    column("model", "型号", &["品牌型号", "设备型号", "品牌及型号", "服务器型号"]),
    column("bought_in", "购置年份", &["购置时间", "采购年份", "启用年份", "启用时间", "年份"]),
    column("cores", "CPU 核数", &["cpu", "核数", "cpu(核)", "cpu核心数", "cpu数量", "核心数"]),
    column("memory", "内存（GB）", &["内存", "内存容量", "内存大小"]),
    column("disk", "磁盘（GB）", &["磁盘", "硬盘", "磁盘容量", "硬盘容量", "存储"]),
    column("os", "操作系统", &["操作系统版本", "系统版本", "os"]),
    column("on_site", "现场生产作业", &["现场生产作业设备", "现场生产", "现场作业"]),
];

pub const SYSTEMS: &[Column] = &[
    column("name", "系统名称", &["信息系统名称", "政务信息系统名称", "系统", "信息系统", "名称"]),
    DEPARTMENT,
    column("purpose", "功能", &["系统功能", "主要功能", "功能描述", "用途", "主要用途"]),
    column("scope", "使用范围", &["范围"]),
    column("frequency", "使用频度", &["使用频率", "频度", "频率"]),
    column("approving_department", "审批部门", &["立项审批部门", "批准部门"]),
    column("approved_on", "审批时间", &["审批日期", "立项时间", "批准时间"]),
    column("funding", "经费来源", &["资金来源", "经费渠道"]),
    column("users", "用户规模", &["用户数", "用户数量", "用户人数"]),
    column("mlps_level", "等保级别", &["等保", "等级保护", "等保等级", "等级保护级别"]),
    column("secret", "是否涉密", &["涉密", "密级", "涉密情况"]),
    column("maintained_until", "运维合同到期", &["运维合同到期日", "运维到期", "运维合同到期时间", "运维截止"]),
    column("last_updated_on", "最近更新", &["最近更新时间", "最后更新", "最后更新时间"]),
    column("network", "接入网络", &["网络", "所在网络", "联网方式", "网络环境"]),
    column("backup", "备份方式", &["备份", "备份情况"]),
    column("supplier", "运维单位", &["开发商", "厂商", "原厂商", "承建单位", "开发单位", "运维厂商"]),
    column("supplier_gone", "厂商停止支持", &["原厂商停止支持", "停止支持"]),
    column("architecture", "系统架构", &["架构", "技术架构"]),
    column("database", "数据库", &["数据库类型", "数据库及版本"]),
    column("deferral", "申请暂缓整合及原因", &["申请暂缓整合", "暂缓整合", "暂缓原因", "暂缓整合原因"]),
    column("website", "网站域名", &["网站", "网址", "域名"]),
    column("website_filing", "网站备案号", &["备案号", "icp备案号"]),
    column(
        "exchange_required",
        "需接入共享交换平台",
        &["需接入交换平台", "需要接入共享交换平台", "应接入共享交换平台"],
    ),
    column("exchange_since", "接入共享交换平台时间", &["接入时间", "接入交换平台时间"]),
    column("on_site", "现场生产作业", &["现场生产作业应用", "现场生产", "现场作业"]),
    column("room", "所在机房", &["机房", "部署机房", "机房名称", "部署位置"]),
    column("servers", "所在服务器", &["服务器", "部署服务器", "服务器名称", "运行服务器"]),
    column("needs", "依赖系统", &["依赖的系统", "所依赖系统", "依赖"]),
];

pub const NEEDS: &[Column] = &[
    column("name", "系统名称", &["系统", "信息系统", "信息系统名称"]),
    DEPARTMENT,
    column("needs", "依赖的系统", &["依赖系统", "所依赖系统", "被依赖系统"]),
];

impl Table {
    /// The more telling first: where two fit a sheet as well, the first is taken.
    pub const ALL: [Self; 4] = [Self::Systems, Self::Servers, Self::Rooms, Self::Needs];

    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Rooms => ROOMS,
            Self::Servers => SERVERS,
            Self::Systems => SYSTEMS,
            Self::Needs => NEEDS,
        }
    }

    /// What people call it; also the sheet's name in an export.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Rooms => "机房",
            Self::Servers => "服务器",
            Self::Systems => "信息系统",
            Self::Needs => "依赖关系",
        }
    }

    /// Columns without which a sheet is none of this kind.
    pub const fn needed(self) -> &'static [&'static str] {
        match self {
            Self::Rooms => &["name", "kind"],
            Self::Servers | Self::Systems => &["name", "room", "department"],
            Self::Needs => &["name", "needs"],
        }
    }
}

/// In the cloud from the first.
pub const IN_CLOUD: &str = "政务云";

fn said(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}

fn number<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn flag(value: Option<bool>) -> String {
    value.map_or("", |yes| if yes { "是" } else { "否" }).to_owned()
}

#[allow(clippy::cast_precision_loss, reason = "sizes are below 2^53")]
fn gib(bytes: Option<i64>) -> String {
    bytes.map_or_else(String::new, |bytes| (bytes as f64 / GIB as f64).to_string())
}

/// What stands in the columns of [`ROOMS`].
pub fn room(room: &Room) -> Vec<String> {
    let facts = &room.facts;
    vec![
        room.name.clone(),
        room.unit.name.clone(),
        facts.kind.label().to_owned(),
        said(facts.evidence.as_deref()),
        said(facts.document.as_deref()),
        number(facts.document_on),
        number(facts.due_on),
        said(facts.address.as_deref()),
        number(facts.area),
        number(facts.racks),
        number(facts.power),
    ]
}

/// The last day, whoever has set it; an export says it beside.
pub fn due(room: &Room, term: Term) -> Option<Date> {
    room.due_on(term)
}

/// What stands in the columns of [`SERVERS`].
pub fn server(estate: &Estate, server: &Server) -> Vec<String> {
    let hardware = &server.hardware;
    vec![
        server.name.clone(),
        server.unit.name.clone(),
        estate.rooms.get(&server.room).map_or_else(String::new, |room| room.name.clone()),
        said(hardware.rack.as_deref()),
        said(hardware.model.as_deref()),
        number(hardware.bought_in),
        number(hardware.cores),
        gib(hardware.memory_bytes),
        gib(hardware.disk_bytes),
        said(hardware.os.as_deref()),
        said(hardware.on_site.as_deref()),
    ]
}

/// What stands in the columns of [`SYSTEMS`].
pub fn system(estate: &Estate, system: &System) -> Vec<String> {
    let survey = &system.survey;
    let room = match system.home {
        Home::Cloud => IN_CLOUD.to_owned(),
        Home::Room(id) => estate.rooms.get(&id).map_or_else(String::new, |room| room.name.clone()),
    };
    let servers = system.servers.iter().filter_map(|id| Some(estate.servers.get(id)?.name.as_str()));
    vec![
        system.name.clone(),
        system.unit.name.clone(),
        system.purpose.clone(),
        system.scope.map_or("", Scope::label).to_owned(),
        system.frequency.map_or("", Frequency::label).to_owned(),
        said(survey.approving_department.as_deref()),
        number(survey.approved_on),
        said(survey.funding.as_deref()),
        number(survey.users),
        number(survey.mlps_level),
        // Others never come so far.
        "否".to_owned(),
        number(system.maintained_until),
        number(system.last_updated_on),
        said(survey.network.as_deref()),
        said(survey.backup.as_deref()),
        said(survey.supplier.as_deref()),
        flag(survey.supplier_gone),
        said(survey.architecture.as_deref()),
        said(survey.database.as_deref()),
        said(survey.deferral.as_deref()),
        said(survey.website.as_deref()),
        said(survey.website_filing.as_deref()),
        flag(survey.exchange_required),
        number(survey.exchange_since),
        said(survey.on_site.as_deref()),
        room,
        servers.collect::<Vec<_>>().join("、"),
        needs(estate, system),
    ]
}

/// The systems that one needs, by their names; another department's with that before it.
fn needs(estate: &Estate, system: &System) -> String {
    let name = |id: &SystemId| {
        let other = estate.systems.get(id)?;
        let own = other.unit.id == system.unit.id;
        Some(if own { other.name.clone() } else { format!("{}/{}", other.unit.name, other.name) })
    };
    system.needs.iter().filter_map(name).collect::<Vec<_>>().join("、")
}
