//! The Chinese words for the API's English ones. A word not listed here is shown as the server sent it, so that a newer
//! server's states stay readable with an older command line.

use super::language::{self, Language};
use crate::{
    labels::Zone,
    request::fields::{CONTEXT, FIELDS},
};

/// How a state should look at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Busy,
    Bad,
    Plain,
}

/// The state of a request.
pub fn request_state(word: &str) -> (&str, Tone) {
    match word {
        "submitted" => ("待审批", Tone::Busy),
        "returned" => ("已退回", Tone::Bad),
        "approved" => ("建设中", Tone::Busy),
        "delivered" => ("已交付", Tone::Good),
        "failed" => ("建设失败", Tone::Bad),
        "cancelling" => ("取消中", Tone::Busy),
        "cancelled" => ("已取消", Tone::Plain),
        other => (other, Tone::Plain),
    }
}

/// The state of a machine.
pub fn machine_state(word: &str) -> (&str, Tone) {
    match word {
        "building" => ("建设中", Tone::Busy),
        "running" => ("运行中", Tone::Good),
        "stopped" => ("已停机", Tone::Plain),
        "in_bin" => ("回收站", Tone::Plain),
        "undone" => ("未建成", Tone::Bad),
        "unknown" => ("情况不明", Tone::Bad),
        other => (other, Tone::Plain),
    }
}

/// Where the password of a machine's database is.
pub fn credentials(word: &str) -> (&str, Tone) {
    match word {
        "building" => ("交付后领取", Tone::Plain),
        "waiting" => ("待领取（jiyue machine credentials）", Tone::Busy),
        "handed_over" => ("已领取", Tone::Good),
        other => (other, Tone::Plain),
    }
}

/// What is odd on a host.
pub fn alarm_kind(word: &str) -> &str {
    match word {
        "foreign" => "来历不明",
        "stray" => "不该在此",
        "missing" => "不见了",
        "altered" => "配置被改",
        "restarted" => "未经平台启动",
        "power_cut" => "被断电",
        "finalizer_stuck" => "集群里的申请删不掉",
        other => other,
    }
}

/// The state of a name in the district's DNS.
pub fn name_state(word: &str) -> (&str, Tone) {
    match word {
        "pending" => ("待登记", Tone::Busy),
        "registered" => ("已登记", Tone::Good),
        "refused_key" => ("密钥被拒", Tone::Bad),
        "refused" => ("被服务器拒绝", Tone::Bad),
        "taken" => ("域名被占用", Tone::Bad),
        "removing" => ("待注销", Tone::Busy),
        "removal_refused" => ("注销受阻", Tone::Bad),
        "removed" => ("已注销", Tone::Plain),
        other => (other, Tone::Plain),
    }
}

/// How far an image is on its way to a host.
pub fn transfer_state(word: &str) -> (&str, Tone) {
    match word {
        "absent" => ("没有", Tone::Plain),
        "waiting" => ("等待分发", Tone::Busy),
        "sending" => ("传输中", Tone::Busy),
        "present" => ("已在", Tone::Good),
        "failed" => ("失败，会再试", Tone::Bad),
        other => (other, Tone::Plain),
    }
}

/// The state of an operation.
pub fn operation_state(word: &str) -> (&str, Tone) {
    match word {
        "queued" => ("排队中", Tone::Busy),
        "running" => ("进行中", Tone::Busy),
        "unwinding" => ("撤销中", Tone::Bad),
        "succeeded" => ("已完成", Tone::Good),
        "failed" => ("失败", Tone::Bad),
        "cancelled" => ("已取消", Tone::Plain),
        other => (other, Tone::Plain),
    }
}

/// The state of a host.
pub fn host_state(word: &str) -> (&str, Tone) {
    match word {
        "active" => ("可用", Tone::Good),
        "cordoned" => ("暂停接收", Tone::Plain),
        "draining" => ("迁出中", Tone::Busy),
        "unknown" => ("失去联系", Tone::Bad),
        "fenced" => ("已隔离", Tone::Bad),
        other => (other, Tone::Plain),
    }
}

/// What an operation does.
pub fn operation_kind(word: &str) -> &str {
    match word {
        "build" => "建设虚拟机",
        "start" => "开机",
        "stop" => "停机",
        "bin" => "移入回收站",
        "restore" => "从回收站恢复",
        "reboot" => "重新启动",
        "resize" => "变更规格",
        "migrate" => "迁移",
        "rebuild" => "重建",
        "import_disk" => "迁入磁盘",
        "return_disk" => "退回磁盘",
        other => other,
    }
}

/// A quota or capacity dimension.
pub fn dimension(word: &str) -> &str {
    match word {
        "machines" => "虚拟机",
        "vcpu" => "CPU",
        "memory_bytes" => "内存",
        "disk_bytes" => "磁盘",
        "addresses" => "地址",
        "hosts" => "宿主机",
        "mlps_level" => "等保级别",
        other => other,
    }
}

/// Whose quota or capacity it is.
pub fn holder(word: &str) -> &str {
    match word {
        "task_book" => "任务书",
        "host" => "宿主机",
        other => other,
    }
}

/// How a source of usage stands.
pub fn source_state(word: &str) -> (&str, Tone) {
    match word {
        "ok" => ("正常", Tone::Good),
        "partial" => ("缺一部分", Tone::Bad),
        "failing" => ("失败", Tone::Bad),
        "waiting" => ("还没有问", Tone::Busy),
        other => (other, Tone::Plain),
    }
}

/// What usage is told of.
pub fn subject(word: &str) -> &str {
    match word {
        "machine" => "虚拟机",
        "server" => "服务器",
        other => other,
    }
}

/// A role.
pub fn role(word: &str) -> &str {
    match word {
        "requester" => "申请人",
        "authority" => "审批人",
        "operator" => "运维员",
        "auditor" => "审计员",
        other => other,
    }
}

/// The state of what was found of a system.
pub fn finding_state(word: &str) -> (&str, Tone) {
    match word {
        "suspected" => ("疑似", Tone::Busy),
        "asked" => ("待单位答复", Tone::Busy),
        "answered" => ("单位已认可", Tone::Busy),
        "objected" => ("单位有异议", Tone::Busy),
        "confirmed" => ("已认定", Tone::Bad),
        "filed" => ("已备案", Tone::Good),
        "dismissed" => ("不予认定", Tone::Plain),
        "exempt" => ("暂予豁免", Tone::Plain),
        other => (other, Tone::Plain),
    }
}

/// What a disk import has come to.
pub fn import_state(word: &str) -> (&str, Tone) {
    match word {
        "importing" => ("迁入中", Tone::Busy),
        "moved" => ("已迁入，可退回", Tone::Good),
        "returning" => ("退回中", Tone::Busy),
        "returned" => ("已退回旧机", Tone::Plain),
        "failed" => ("未成，已复原", Tone::Bad),
        "finished" => ("已了结", Tone::Good),
        other => (other, Tone::Plain),
    }
}

/// Whether a criterion is met.
pub fn criterion_outcome(word: &str) -> (&str, Tone) {
    match word {
        "met" => ("符合", Tone::Bad),
        "not_met" => ("不符合", Tone::Good),
        "unknown" => ("不明", Tone::Plain),
        other => (other, Tone::Plain),
    }
}

/// How much that can carry.
pub fn confidence(word: &str) -> &str {
    match word {
        "low" => "低",
        "medium" => "中",
        "high" => "高",
        other => other,
    }
}

/// Where a piece of evidence comes from.
pub fn source(word: &str) -> &str {
    match word {
        "measured" => "实测",
        "record" => "登记",
        "owner" => "单位答复",
        other => other,
    }
}

/// What an owner says.
pub fn answer(word: &str) -> &str {
    match word {
        "agree" => "认可",
        "replaced" => "已由其他系统替代",
        "object" => "有异议",
        other => other,
    }
}

/// What a machine was judged to be.
pub fn verdict(word: &str) -> (&str, Tone) {
    match word {
        "busy" => ("在用", Tone::Good),
        "low" => ("低使用", Tone::Plain),
        "idle" => ("闲置", Tone::Bad),
        "unknown" => ("无法判断", Tone::Busy),
        "exempt" => ("豁免", Tone::Plain),
        other => (other, Tone::Plain),
    }
}

/// For how long a machine has been idle.
pub fn age(word: &str) -> &str {
    match word {
        "under_30" => "不满 30 天",
        "30_to_59" => "30–59 天",
        "60_to_89" => "60–89 天",
        "over_90" => "90 天以上",
        other => other,
    }
}

/// What is advised of a size.
pub fn change(word: &str) -> &str {
    match word {
        "smaller" => "缩小",
        "larger" => "扩大",
        "never_used" => "从未使用",
        other => other,
    }
}

pub fn resource(word: &str) -> &str {
    match word {
        "vcpu" => "CPU",
        "memory" => "内存",
        "disk" => "磁盘",
        "machine" => "整台",
        other => other,
    }
}

/// Why a machine counts as a system's.
pub fn tie(word: &str) -> &str {
    match word {
        "hand" => "指定",
        "project" => "与项目同名",
        other => other,
    }
}

/// What kind of room.
pub fn room_kind(word: &str) -> &str {
    match word {
        "ordinary" => "普通机房",
        "access" => "接入机房",
        "upper_mandated" => "上级指定机房",
        other => other,
    }
}

/// Where a room stands.
pub fn room_standing(word: &str) -> (&str, Tone) {
    match word {
        "pending" => ("待关停", Tone::Busy),
        "exempt" => ("保留", Tone::Plain),
        "gone" => ("已关停", Tone::Good),
        other => (other, Tone::Plain),
    }
}

/// Where a system of the survey stands.
pub fn system_standing(word: &str) -> (&str, Tone) {
    match word {
        "pending" => ("待迁移", Tone::Busy),
        "exempt" => ("暂予豁免", Tone::Plain),
        "gone" => ("已迁出", Tone::Good),
        other => (other, Tone::Plain),
    }
}

/// How far a system has come.
pub fn stage(word: &str) -> &str {
    match word {
        "surveyed" => "已普查",
        "assessed" => "已评估",
        "decided" => "已定去向",
        "planned" => "已排期",
        "rehearsed" => "已演练",
        "cut_over" => "已割接",
        "tested" => "测试通过",
        "source_off" => "原址已停",
        "archived" => "已归档",
        other => other,
    }
}

/// A step of a system.
pub fn step(word: &str) -> &str {
    match word {
        "assess" => "评估",
        "decide" => "定去向",
        "plan" => "排期",
        "rehearse" => "演练",
        "cut_over" => "割接",
        "test" => "测试",
        "switch_off" => "停原址",
        "archive" => "归档",
        "roll_back" => "退回",
        other => other,
    }
}

/// What becomes of a system.
pub fn disposition(word: &str) -> &str {
    match word {
        "inherit" => "继承",
        "rebuild" => "重构",
        "discard" => "摒弃",
        other => other,
    }
}

/// The node at which a system moves.
pub fn trigger(word: &str) -> &str {
    match word {
        "upgrade" => "升级",
        "renovate" => "改造",
        "continue" => "续建",
        "maintain" => "运维",
        other => other,
    }
}

/// How much a conflict of a wave counts.
pub fn conflict_level(word: &str) -> (&str, Tone) {
    match word {
        "blocks" => ("挡住", Tone::Bad),
        "warns" => ("提醒", Tone::Busy),
        other => (other, Tone::Plain),
    }
}

/// A gate of a room's closing.
pub fn gate(word: &str) -> &str {
    match word {
        "systems_gone" => "系统迁出",
        "servers_off" => "服务器下电",
        "equipment_disposed" => "设备处置",
        "network_cut" => "网络断开",
        "signed" => "两个单位签字",
        other => other,
    }
}

/// What a survey's file is about.
pub fn surveyed(word: &str) -> &str {
    match word {
        "room" => "机房",
        "server" => "服务器",
        "system" => "信息系统",
        other => other,
    }
}

/// A part of the score of difficulty.
pub fn difficulty_part(word: &str) -> &str {
    match word {
        "os" => "操作系统",
        "database" => "数据库",
        "architecture" => "系统架构",
        "dependencies" => "依赖关系",
        "size" => "数据量",
        "supplier" => "原厂商",
        other => other,
    }
}

/// Who uses a system.
pub fn scope(word: &str) -> &str {
    match word {
        "office" => "个别处室",
        "department" => "本单位",
        "district" => "跨部门",
        "public" => "面向公众",
        other => other,
    }
}

/// How often it is used.
pub fn frequency(word: &str) -> &str {
    match word {
        "daily" => "每天",
        "weekly" => "每周",
        "monthly" => "每月",
        "yearly" => "每年",
        "rarely" => "几乎不用",
        other => other,
    }
}

/// The Chinese of a field's English value, where the value is one of a few words.
pub fn value(key: &str, word: &str) -> Option<&'static str> {
    Some(match (key, word) {
        ("zone" | "network_zone", zone) => Zone::ALL.into_iter().find(|z| z.word() == zone)?.label(),
        ("secrecy_level", "none") => "非涉密",
        ("workload_class", "user_facing") => "面向用户",
        ("workload_class", "batch") => "批处理",
        ("workload_class", "test") => "测试",
        ("spread", "prefer") => "尽量",
        ("spread", "require") => "必须",
        ("provider", "any") => "不限",
        ("provider", "libvirt") => "宿主机",
        ("provider", "kubevirt") => "集群",
        ("database", "none") => "无",
        _ => return None,
    })
}

/// What people call a document's field, by its identifier: the form's own where it is a field of the block.
pub fn field(key: &str) -> Option<&'static str> {
    let field = FIELDS.iter().chain(CONTEXT).find(|field| field.name == key);
    if language::get() == Language::English {
        // The form's own words are Chinese; its English is the names that the API uses.
        return field.map(|field| field.name);
    }
    if let Some(field) = field {
        return Some(field.label);
    }
    Some(language::tr(match key {
        "department" => "建设单位",
        "project" => "项目",
        "number" => "文号",
        "name" => "名称",
        "code" => "代码",
        "contact" => "联系方式",
        "version" => "版本",
        "valid_from" => "生效日",
        "valid_until" => "失效日",
        "indicators" => "控制指标",
        "machines" => "虚拟机台数",
        "vcpu" => "cpu 数量",
        "allowed" => "允许范围",
        "os" => "操作系统",
        "databases" => "数据库",
        "mlps_levels" => "等保级别",
        "issued_by" => "签发单位",
        "reason" => "理由",
        "comment" => "意见",
        "uri" => "libvirt 地址",
        "pool" => "存储池",
        "pool_path" => "存储池目录",
        "zone" | "zones" => "网络区域",
        "network" => "网络名",
        "bridge" => "网桥",
        "cidr" => "网段",
        "vcpu_overcommit" => "虚拟核倍数",
        "memory_reserve_bytes" => "预留内存",
        "state" => "状态",
        _ => return None,
    }))
}

/// The fields of a checked block and what to call them, in the form's order. Sizes are per machine there.
pub const BLOCK: [(&str, &str); 21] = [
    ("task_book", "任务书编号"),
    ("machines", "申请虚拟机数量"),
    ("domain", "域名"),
    ("no_domain_reason", "无域名理由"),
    ("os", "操作系统类型"),
    ("database", "数据库类型"),
    ("vcpu", "每台 cpu 数量"),
    ("memory_bytes", "每台内存容量"),
    ("disk_bytes", "每台磁盘空间"),
    ("workload_description", "运行内容"),
    ("workload_class", "业务类别"),
    ("spread", "分散要求"),
    ("provider", "落位要求"),
    ("remarks", "备注"),
    ("zone", "网络区域"),
    ("secrecy_level", "密级要求"),
    ("mlps_level", "等保级别"),
    ("deploy_milestone", "系统部署日期"),
    ("om_period_months", "运维周期（月）"),
    ("om_unit", "运维单位"),
    ("ssh_keys", "SSH 公钥"),
];
