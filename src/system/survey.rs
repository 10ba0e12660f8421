//! What the self-survey (自查) asks of a system beyond what is recorded of every system: 审批部门、审批时间、经费来源 and the
//! rest (苏高新办〔2019〕2号 三（一）1, the provincial plan 三（一）1; their list is open, "包括但不限于").

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Absent is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SystemSurvey)]
#[serde(default)]
pub struct Survey {
    /// 审批部门
    pub approving_department: Option<String>,
    /// 审批时间
    #[schema(value_type = Option<String>, format = Date)]
    pub approved_on: Option<Date>,
    /// 经费来源
    pub funding: Option<String>,
    /// 用户规模, people.
    pub users: Option<i64>,
    /// 等保级别
    pub mlps_level: Option<i64>,
    /// 接入网络, as written.
    pub network: Option<String>,
    /// 备份方式
    pub backup: Option<String>,
    /// 运维单位 or supplier.
    pub supplier: Option<String>,
    /// The supplier is gone or has stopped its support.
    pub supplier_gone: Option<bool>,
    /// 系统架构: B/S, C/S, 单机 …, as written.
    pub architecture: Option<String>,
    /// 数据库, as written.
    pub database: Option<String>,
    /// Why 暂缓整合 is asked for; absent where it is not.
    pub deferral: Option<String>,
    /// 网站: its domain name.
    pub website: Option<String>,
    /// The website's filing number.
    pub website_filing: Option<String>,
    /// 需接入共享交换平台
    pub exchange_required: Option<bool>,
    /// Connected since.
    #[schema(value_type = Option<String>, format = Date)]
    pub exchange_since: Option<Date>,
    /// 现场生产作业: why it has to stay where it is, as its department says. An exemption is another thing, and the
    /// authority's.
    pub on_site: Option<String>,
}
