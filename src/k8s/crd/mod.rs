//! The custom resources: their types, and the definitions that a cluster is given (`jiyue crd`, `crd/`).
//!
//! The version is `v1alpha1`: no cluster holds objects of ours yet, and a `v1` would promise that every later change is
//! converted. A field of a request has the name that it has in the API, in the camel case of Kubernetes.

mod bounds;

pub use bounds::{definitions, quantity, to_yaml};

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub const GROUP: &str = "cloud.jiyue.io";
pub const VERSION: &str = "v1alpha1";

/// 资源申请: one block, as `kubectl apply` brings it. Sizes are per machine.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "cloud.jiyue.io",
    version = "v1alpha1",
    kind = "ResourceRequest",
    plural = "resourcerequests",
    shortname = "rr",
    category = "jiyue",
    namespaced,
    status = "ResourceRequestStatus",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Machines","type":"string","jsonPath":".status.machines"}"#,
    printcolumn = r#"{"name":"TaskBook","type":"string","jsonPath":".status.taskBook"}"#,
    printcolumn = r#"{"name":"Deadline","type":"string","format":"date","jsonPath":".status.deadline"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","priority":1,"jsonPath":".status.reason"}"#
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(deny_unknown_fields)]
pub struct ResourceRequestSpec {
    /// 申请依据：`task_book` 项目任务书，不写即是；`urgent` 紧急项目；`upper_level` 上级统筹项目
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filing_basis: Option<String>,
    /// 任务书编号
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_book: Option<String>,
    /// 区政府批准文号：申请依据为 `urgent` 的填写
    #[serde(skip_serializing_if = "Option::is_none")]
    pub government_approval: Option<String>,
    /// 上级统筹项目备案号：申请依据为 `upper_level` 的填写
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper_level_filing: Option<String>,
    /// 申请虚拟机数量
    pub vm_count: i64,
    /// cpu 数量，每台
    pub cpu_count: i64,
    /// 内存容量，每台，如 16Gi
    pub memory: String,
    /// 磁盘空间，每台，如 200Gi
    pub disk: String,
    /// 操作系统类型：目录中的代码
    pub os_type: String,
    /// 数据库类型：目录中的代码，不需要的写 none
    pub db_type: String,
    /// 域名；没有的填写 noDomainReason
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// 无域名理由
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_domain_reason: Option<String>,
    /// 运行内容
    pub workload_description: String,
    /// 业务类别
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_class: Option<String>,
    /// 分散要求：require 为每台各在一台宿主机上
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<String>,
    /// 落位要求：libvirt 为建在宿主机上，kubevirt 为建在集群上
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// 备注
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remarks: Option<String>,
    /// 网络区域
    pub network_zone: String,
    /// 密级要求：政务云只承载非涉密系统，只能写 none
    pub secrecy_level: String,
    /// 等保级别
    pub mlps_level: i64,
    /// 系统部署日期
    pub deploy_milestone: String,
    /// 运维周期，按月
    pub om_period_months: i64,
    /// 运维单位
    pub om_unit: OmUnit,
    /// SSH 公钥，每个一行 OpenSSH 格式
    pub ssh_keys: Vec<String>,
}

/// 运维单位
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OmUnit {
    /// 单位名称
    pub name: String,
    /// 联系方式
    pub contact: String,
}

/// What the broker says of a request. It is written over with what the database says, whoever wrote it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceRequestStatus {
    /// The generation of the object that was last looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// 不在正轨上的原因代码
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The request's id in the broker's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What was decided on: the generation and the SHA-256 of the checked block. From then on the spec stays as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_generation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// 任务书编号，或批准文号、备案号
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_book: Option<String>,
    /// 已就绪台数/申请台数
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machines: Option<String>,
    /// 使用期限：最早到期的虚拟机的最后一天
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// The term of the replica that wrote this; it never goes down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term: Option<i64>,
    /// Accepted, Approved, Provisioned, Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// 不符合规则之处，一次全部列出
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
}

/// Where a request has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Not taken as a request; the violations say why.
    Refused,
    /// Waits for its decision.
    Submitted,
    /// Sent back with a reason.
    Returned,
    Cancelled,
    /// Approved; its machines are being built.
    Approved,
    /// Its machines were handed over.
    Delivered,
    /// Its build was undone after a failure.
    Failed,
    /// On its way into the bin, or withdrawn.
    Deleting,
}

/// As Kubernetes has them everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    /// True, False or Unknown.
    pub status: String,
    /// The code of the rule that it rests on, or what it has come to.
    pub reason: String,
    /// For people, in Chinese.
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    pub last_transition_time: String,
}

/// One rule that the request does not keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Violation {
    /// 字段，如 spec.memory
    pub field: String,
    pub code: String,
    /// 错在哪里
    pub message: String,
    /// 依据的文件与条款
    pub basis: String,
    /// 怎样改
    pub mend: String,
}

/// 任务书 as a mirror: what it allows and what is left. Written by the broker alone.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "cloud.jiyue.io",
    version = "v1alpha1",
    kind = "TaskBook",
    plural = "taskbooks",
    shortname = "tb",
    category = "jiyue",
    status = "TaskBookStatus",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Number","type":"string","jsonPath":".spec.number"}"#,
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Machines","type":"integer","jsonPath":".status.free.machines"}"#,
    printcolumn = r#"{"name":"vCPU","type":"integer","jsonPath":".status.free.vcpu"}"#,
    printcolumn = r#"{"name":"Memory","type":"string","jsonPath":".status.free.memory"}"#,
    printcolumn = r#"{"name":"Disk","type":"string","jsonPath":".status.free.disk"}"#,
    printcolumn = r#"{"name":"Until","type":"string","format":"date","jsonPath":".spec.validUntil"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct TaskBookSpec {
    /// 任务书编号
    pub number: String,
    /// 建设单位的代码
    pub department: String,
    /// 项目名称
    pub project: String,
    pub version: i64,
    pub valid_from: String,
    pub valid_until: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskBookStatus {
    /// `InForce` or `Revoked`.
    pub phase: String,
    /// 核定
    pub limit: Amounts,
    /// 已用
    pub used: Amounts,
    /// 剩余
    pub free: Amounts,
}

/// The four control indicators.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Amounts {
    pub machines: i64,
    pub vcpu: i64,
    pub memory: String,
    pub disk: String,
}

/// 虚拟机 as a mirror, in the namespace of its request. Written by the broker alone.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "cloud.jiyue.io",
    version = "v1alpha1",
    kind = "Machine",
    plural = "machines",
    shortname = "jm",
    category = "jiyue",
    namespaced,
    status = "MachineStatus",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Provider","type":"string","jsonPath":".status.provider"}"#,
    printcolumn = r#"{"name":"Address","type":"string","jsonPath":".status.address"}"#,
    printcolumn = r#"{"name":"Domain","type":"string","jsonPath":".spec.domain"}"#,
    printcolumn = r#"{"name":"Usage","type":"string","jsonPath":".status.usageVerdict"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct MachineSpec {
    /// The machine's id in the broker's API.
    pub id: String,
    /// The request that it belongs to, in the same namespace.
    pub request: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    pub vcpu: i64,
    pub memory: String,
    pub disk: String,
}

/// The phase of a machine that is being built, and of a mirror without a status.
pub const BUILDING: &str = "Building";

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineStatus {
    /// `Building`, `Running`, `Stopped`, `InBin` or `Undone`.
    pub phase: String,
    /// 宿主机或集群的名称
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// 使用期限的最后一天
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// 用量判定，最近判定过的一天的：busy 在用、low 低使用、idle 闲置、unknown 无法判断、exempt 豁免；还没有判定过的没有
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_verdict: Option<String>,
}
