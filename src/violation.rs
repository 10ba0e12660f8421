//! placeholder until merge
use serde::Serialize;
#[derive(Clone, Debug, Serialize, PartialEq, Eq, utoipa::ToSchema)]
pub struct Violation {
    pub pointer: String,
    pub code: &'static str,
    pub message: String,
    pub basis: String,
    pub mend: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
}
impl Violation {
    pub fn plain(pointer: &str, code: &'static str, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            code,
            message: message.into(),
            basis: "依据：平台规则".into(),
            mend: mend.into(),
            asked: None,
            used: None,
            limit: None,
            unit: None,
        }
    }
}
