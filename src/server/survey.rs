//! What the survey asks of a server beyond its name and size.

use serde::{Deserialize, Serialize};

/// Absent is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ServerHardware)]
#[serde(default)]
pub struct Hardware {
    /// 机柜
    pub rack: Option<String>,
    /// 型号
    pub model: Option<String>,
    /// 购置年份
    pub bought_in: Option<i64>,
    pub cores: Option<i64>,
    pub memory_bytes: Option<i64>,
    pub disk_bytes: Option<i64>,
    /// 操作系统, as written.
    pub os: Option<String>,
    /// 现场生产作业设备: why it has to stay.
    pub on_site: Option<String>,
}
