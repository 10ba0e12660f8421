//! What people read for a label's values. The domains say the same; a test holds these against theirs.

pub type Words = &'static [(&'static str, &'static str)];

pub const ZONES: Words =
    &[("government_extranet", "政务外网"), ("internet", "互联网"), ("government_private", "政务专网")];

pub const HOST_STATES: Words = &[
    ("active", "可用"),
    ("cordoned", "暂停接收"),
    ("draining", "迁出中"),
    ("unknown", "失去联系"),
    ("fenced", "已隔离"),
];

pub const MACHINE_STATES: Words =
    &[("building", "建设中"), ("running", "运行中"), ("stopped", "已停机"), ("in_bin", "回收站"), ("undone", "已撤销")];

pub const ALARMS: Words = &[
    ("foreign", "来历不明的虚拟机"),
    ("stray", "不该在这台宿主机上"),
    ("missing", "虚拟机不见了"),
    ("altered", "配置被改动"),
    ("restarted", "未经平台启动"),
    ("power_cut", "被断电"),
    ("finalizer_stuck", "集群里的申请删不掉"),
];

pub const FINDINGS: Words = &[
    ("suspected", "疑似"),
    ("asked", "待单位答复"),
    ("answered", "单位已认可"),
    ("objected", "单位有异议"),
    ("confirmed", "已认定"),
    ("filed", "已备案"),
    ("dismissed", "不予认定"),
    ("exempt", "暂予豁免"),
];

pub const VERDICTS: Words =
    &[("busy", "在用"), ("low", "低使用"), ("idle", "闲置"), ("unknown", "无法判断"), ("exempt", "豁免")];

pub const STAGES: Words =
    &[("requested", "申请"), ("approved", "批准"), ("allocated", "分配"), ("measured", "实测"), ("physical", "实有")];

pub const REQUEST_STATES: Words = &[
    ("submitted", "已提交"),
    ("returned", "已退回"),
    ("approved", "已批准，建设中"),
    ("delivered", "已交付"),
    ("failed", "建设失败"),
    ("cancelling", "撤销中"),
    ("cancelled", "已撤销"),
];
