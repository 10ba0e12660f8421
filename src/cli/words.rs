//! The Chinese words for the API's English ones. A word not listed here is shown as the server sent it, so that a newer
//! server's states stay readable with an older command line.

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
        "draft" => ("草稿", Tone::Plain),
        "submitted" => ("待审批", Tone::Busy),
        "returned" => ("已退回", Tone::Bad),
        "approved" => ("已批准", Tone::Busy),
        "building" => ("建设中", Tone::Busy),
        "ready" | "delivered" | "fulfilled" | "built" | "completed" => ("已交付", Tone::Good),
        "cancelling" => ("取消中", Tone::Busy),
        "cancelled" => ("已取消", Tone::Plain),
        "failed" => ("建设失败", Tone::Bad),
        "closed" => ("已结束", Tone::Plain),
        other => (other, Tone::Plain),
    }
}

/// The state of a machine.
pub fn machine_state(word: &str) -> (&str, Tone) {
    match word {
        "planned" | "queued" | "intended" => ("待建", Tone::Plain),
        "building" => ("建设中", Tone::Busy),
        "ready" => ("就绪", Tone::Good),
        "running" => ("运行中", Tone::Good),
        "starting" => ("开机中", Tone::Busy),
        "stopping" => ("停机中", Tone::Busy),
        "stopped" => ("已停机", Tone::Plain),
        "deleting" => ("删除中", Tone::Busy),
        "binned" | "deleted" | "recycled" | "in_bin" => ("回收站", Tone::Plain),
        "restoring" => ("恢复中", Tone::Busy),
        "unwinding" | "removing" => ("撤除中", Tone::Busy),
        "removed" | "destroyed" | "gone" => ("已清除", Tone::Plain),
        "failed" => ("失败", Tone::Bad),
        "lost" | "missing" => ("找不到", Tone::Bad),
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
        "probing" | "preparing" | "adding" | "joining" => ("接入中", Tone::Busy),
        "ready" | "active" | "online" | "up" => ("可用", Tone::Good),
        "draining" => ("腾空中", Tone::Busy),
        "drained" | "disabled" | "cordoned" => ("停用", Tone::Plain),
        "unreachable" | "down" | "offline" | "lost" => ("连不上", Tone::Bad),
        "failed" => ("接入失败", Tone::Bad),
        other => (other, Tone::Plain),
    }
}

/// What an operation does.
pub fn operation_kind(word: &str) -> &str {
    match word {
        "build" | "build_request" | "request_build" | "build_machines" => "建设虚拟机",
        "machine_build" | "build_machine" => "建设一台虚拟机",
        "start" | "start_machine" | "machine_start" => "开机",
        "stop" | "stop_machine" | "machine_stop" => "停机",
        "delete" | "delete_machine" | "machine_delete" => "删除虚拟机",
        "restore" | "restore_machine" | "machine_restore" => "恢复虚拟机",
        "remove" | "removal" | "remove_machine" | "machine_remove" => "清除虚拟机",
        "cancel" | "cancel_request" | "request_cancel" => "取消申请",
        "add_host" | "host_add" | "prepare_host" | "host_prepare" | "host_probe" | "probe_host" => "接入宿主机",
        other => other,
    }
}

/// A quota or capacity dimension.
pub fn dimension(word: &str) -> &str {
    match word {
        "machines" => "虚拟机",
        "vcpu" => "CPU",
        "memory_bytes" | "memory" => "内存",
        "disk_bytes" | "disk" => "磁盘",
        "address" | "addresses" => "地址",
        other => other,
    }
}

/// Whose counter the ledger compares.
pub fn ledger_side(word: &str) -> &str {
    match word {
        "task_book" => "任务书",
        "host" => "宿主机",
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

/// The form's own name of a field of a request block or task book, by its identifier.
pub fn field(key: &str) -> Option<&'static str> {
    Some(match key {
        "task_book" | "task_book_number" => "任务书",
        "department" => "建设单位",
        "project" => "项目",
        "vm_count" => "申请虚拟机数量",
        "domain" | "domains" => "域名",
        "domain_absent_reason" | "no_domain_reason" => "不用域名的理由",
        "os_type" => "操作系统类型",
        "db_type" => "数据库类型",
        "cpu_count" | "vcpu" => "cpu 数量",
        "memory" | "memory_bytes" => "内存容量",
        "disk" | "disk_bytes" => "磁盘空间",
        "system_disk" => "系统盘",
        "data_disk" | "data_disks" => "数据盘",
        "workload_description" => "运行内容",
        "workload_class" => "运行类别",
        "remarks" => "备注",
        "zone" | "zones" | "network_zone" => "网络区域",
        "secrecy" => "涉密情况",
        "mlps_level" => "等保级别",
        "basis" => "口径（每台或合计）",
        "schedule" => "进度安排",
        "deploy_milestone" => "部署里程碑",
        "exchange_milestone" => "共享交换里程碑",
        "om_period" => "运维周期",
        "om_unit" => "运维单位",
        "ssh_keys" | "ssh_key" => "SSH 公钥",
        "off_cloud_procurement_reason" => "另行采购理由",
        "number" => "文号",
        "name" => "名称",
        "code" => "代码",
        "version" => "版本",
        "valid_from" => "生效日",
        "valid_until" => "失效日",
        "indicators" => "控制指标",
        "machines" => "虚拟机台数",
        "limit" => "上限",
        "reason" => "理由",
        "comment" => "意见",
        "uri" => "libvirt 地址",
        "pool" => "存储池",
        "pool_path" => "存储池目录",
        "network" => "网络名",
        "bridge" => "网桥",
        "cidr" => "网段",
        "reserve" => "预留",
        "state" => "状态",
        _ => return None,
    })
}

/// The order in which the paper form asks; keys not named here follow, in the server's order.
pub const BLOCK_ORDER: [&str; 22] = [
    "task_book",
    "department",
    "project",
    "vm_count",
    "domain",
    "os_type",
    "db_type",
    "basis",
    "cpu_count",
    "vcpu",
    "memory",
    "memory_bytes",
    "disk",
    "disk_bytes",
    "workload_description",
    "remarks",
    "zone",
    "secrecy",
    "mlps_level",
    "schedule",
    "om_period",
    "om_unit",
];
