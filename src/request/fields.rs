//! The fields of a report by their names: what a block may say, and what a report says around its blocks. Every field is
//! optional and of any JSON type, so that all that is wrong can be told at once.

use serde::Serialize;
use serde_json::{Map, Value};

/// A field: its canonical name, the form's word for it, other words that are accepted, and a value that would do.
#[derive(Clone, Copy, Debug)]
pub struct FieldInfo {
    pub name: &'static str,
    pub label: &'static str,
    pub aliases: &'static [&'static str],
    pub example: &'static str,
}

macro_rules! raw_fields {
    ($(#[$outer:meta])* $owner:ident, $table:ident: $($(#[$doc:meta])* $name:ident, $label:literal, [$($alias:literal),*], $example:literal;)+) => {
        $(#[$outer])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize)]
        pub struct $owner {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<Value>,)+
            /// Fields that do not exist.
            #[serde(flatten)]
            pub unknown: Map<String, Value>,
            /// Canonical names of fields that were given more than once.
            #[serde(skip)]
            pub repeated: Vec<&'static str>,
        }

        /// The fields, in the order of the form.
        pub const $table: &[FieldInfo] = &[$(FieldInfo {
            name: stringify!($name), label: $label, aliases: &[$($alias),*], example: $example,
        }),+];

        impl $owner {
            /// Where the value of the field with this canonical name stands.
            pub fn slot(&mut self, name: &str) -> Option<&mut Option<Value>> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)+
                    _ => None,
                }
            }

            /// The value of the field with this canonical name.
            pub fn get(&self, name: &str) -> Option<&Value> {
                match name {
                    $(stringify!($name) => self.$name.as_ref(),)+
                    _ => None,
                }
            }

            pub(super) fn put(&mut self, name: &'static str, value: Value) {
                let Some(slot) = self.slot(name) else { return };
                if slot.is_none() {
                    *slot = Some(value);
                } else if !self.repeated.contains(&name) {
                    self.repeated.push(name);
                }
            }
        }
    };
}

raw_fields! {
    /// One request block. Field names are the English ones or the form's own, without regard to case, width, spaces and a
    /// number in front (`4. CPU 数量`).
    RawBlock, FIELDS:
    /// 任务书编号
    task_book, "任务书编号", ["任务书", "项目任务书", "项目任务书编号"], "相信任〔2026〕17号";
    /// 申请依据: a task book (the default), an urgent project's approval, or an upper level's project on file.
    filing_basis, "申请依据", ["立项依据"], "task_book（项目任务书）";
    /// 区政府批准文号: of an urgent project (150号 第十三条).
    government_approval, "区政府批准文号", ["政府批准文号", "紧急项目批准文号"], "相政复〔2026〕8号";
    /// 上级统筹项目备案号 (150号 第十四条).
    upper_level_filing, "上级统筹项目备案号", ["备案号", "上级项目备案号", "备案编号"], "相信备〔2026〕3号";
    /// 申请虚拟机数量
    vm_count, "申请虚拟机数量", ["虚拟机数量", "申请虚拟机台数", "虚拟机台数"], "2";
    /// Whether CPU, memory and disk are meant per machine or for all together; the form does not say, so the applicant must.
    basis, "数量口径", ["口径", "计量口径"], "per_machine（每台）";
    /// 域名
    domain, "域名", [], "oa.example.gov.cn";
    /// 无域名理由: without a domain name, why.
    no_domain_reason, "无域名理由", ["不需要域名的理由", "无域名原因"], "仅供本项目内部调用";
    /// 操作系统类型
    os_type, "操作系统类型", ["操作系统"], "Debian 12";
    /// 数据库类型
    db_type, "数据库类型", ["数据库"], "无";
    /// cpu 数量
    cpu_count, "cpu 数量", ["vcpu数量", "cpu核数", "cpu", "vcpu", "cpu个数"], "4";
    /// 内存容量, with its unit.
    memory, "内存容量", ["内存", "内存大小"], "16 GiB";
    /// 磁盘空间, with its unit.
    disk, "磁盘空间", ["磁盘", "磁盘容量", "硬盘", "硬盘容量", "存储空间"], "200 GiB";
    /// 运行内容
    workload_description, "运行内容", [], "综合业务管理平台的应用服务";
    /// 业务类别: `user_facing` (default), `batch` or `test`.
    workload_class, "业务类别", ["运行类别"], "user_facing（面向用户）";
    /// 分散要求: whether the machines must each have a host of their own; `prefer` (default) or `require`.
    spread, "分散要求", ["各台分散", "反亲和"], "prefer（尽量）";
    /// 落位要求: the kind of place to build on; `any` (default), `libvirt` (a host) or `kubevirt` (a cluster).
    provider, "落位要求", [], "any（不限）";
    /// 备注
    remarks, "备注", [], "试运行阶段";
    /// 网络区域 (联网方式)
    network_zone, "网络区域", ["联网方式", "部署区域", "网络环境"], "政务外网";
    /// 密级要求
    secrecy_level, "密级要求", ["密级"], "非涉密";
    /// 等保级别, 1 to 4.
    mlps_level, "等保级别", ["等级保护级别", "等保等级", "安全保护等级", "等保定级", "等级保护", "信息系统安全等级"], "2";
    /// 系统部署日期 (附件2 十.2)
    deploy_milestone, "系统部署日期", ["部署日期", "系统部署计划", "部署里程碑", "系统部署"], "2027-03-31";
    /// 运维周期 in months: the lease.
    om_period_months, "运维周期", ["运行维护周期"], "36（个月）";
    /// 运维单位: `{name, contact}`, who answers for the machines.
    om_unit, "运维单位", ["后续运行维护单位", "运行维护单位"], "{name: 信息中心, contact: 0512-00000000}";
    /// SSH 公钥, one line each.
    ssh_keys, "SSH 公钥", ["ssh公钥", "公钥"], "[ssh-ed25519 AAAA…]";
}

raw_fields! {
    /// What a report says around its blocks.
    RawContext, CONTEXT:
    /// 项目名称
    project_name, "项目名称", [], "民政综合业务管理平台";
    /// 申报部门
    applicant, "申报部门", ["项目建设单位", "建设单位", "申报单位"], "区民政局";
    /// 附件1 数据库类型
    application_db_type, "附件1 数据库类型", ["申报表数据库类型"], "无";
    /// 数据存储量预测 (附件2 五.4), with its unit.
    storage_forecast, "数据存储量预测", ["数据存储量", "存储量预测"], "500 GiB";
    /// 性能需求 (附件2 四.4)
    performance, "性能需求", ["性能需求分析"], "最大并发访问量 500，可用性 99.9%";
    /// 用户规模 (附件2 六.1)
    user_scale, "用户规模", ["建设规模", "用户数量"], "本级部门工作人员约 300 人";
    /// 共享交换实施日期 (附件2 十.2)
    exchange_milestone, "共享交换实施日期", ["共享交换实施计划", "共享交换计划"], "2027-06-30";
    /// 数据共享需求 (附件2 四.3): names of the information resources that others are to provide.
    shared_resources, "数据共享需求", [], "[人口基础信息]";
    /// 需额外采购的其他硬件设备 (附件2 六.3): a list of `{name, price, quantity, purpose, reason}`.
    extra_hardware, "需额外采购的其他硬件设备", ["其他硬件设备", "额外采购硬件"], "[{name: 高拍仪, price: 2000元, quantity: 3, purpose: 窗口采集}]";
    /// 另行采购理由 (附件2 六.3)
    off_cloud_procurement_reason, "另行采购理由", ["另行采购的理由", "采购理由"], "窗口外设，政务云不提供";
    /// What the report says of building, extending or renovating a machine room (151号 二（一）具体要求1): its sentences.
    machine_room_works, "机房建设内容", ["机房建设", "机房工程"], "无";
}

/// The field with this canonical name; the table's first for a name that is none (which a test rules out).
pub(super) fn field(name: &str) -> FieldInfo {
    FIELDS.iter().chain(CONTEXT).find(|f| f.name == name).copied().unwrap_or(FIELDS[0])
}
