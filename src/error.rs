//! The closed list of problems that a user can meet, and the one place that knows HTTP status codes.
//! A problem becomes an RFC 9457 document; what it was caused by is logged once, where it leaves the house.

use crate::{
    db::{DbError, JobError},
    violation::Violation,
};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::error::Error;

/// What a user, an operator or a program is to do about a problem. Each kind is one HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The input cannot be read at all.
    Malformed,
    /// No token, or one that is not valid (any more).
    Unauthenticated,
    /// The token's role does not do this.
    Forbidden,
    /// Not there, or not visible to this token: the two are not told apart.
    NotFound,
    /// The object is in a state that does not allow the act.
    Conflict,
    /// Quota or capacity is short, with the numbers.
    Shortage,
    TooLarge,
    UnsupportedMedia,
    /// The input can be read, and rules refuse it.
    Refused,
    /// The route is there, the method is not.
    Method,
    /// The object is no longer as the caller saw it.
    Changed,
    /// The caller did not say what it has seen of the object.
    Unconditional,
    /// The very same call is being carried out; its answer comes later.
    InProgress,
    /// Come back later; nothing was written.
    Unavailable,
    /// A fault of ours.
    Internal,
}

impl Kind {
    const fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict | Self::Shortage | Self::InProgress => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Changed => StatusCode::PRECONDITION_FAILED,
            Self::Unconditional => StatusCode::PRECONDITION_REQUIRED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Malformed => "内容无法读取",
            Self::Unauthenticated => "需要有效的令牌",
            Self::Forbidden => "没有权限",
            Self::NotFound => "未找到",
            Self::Method => "不支持的操作方式",
            Self::Conflict => "当前状态不允许此操作",
            Self::Shortage => "额度或资源不足",
            Self::TooLarge => "内容过大",
            Self::UnsupportedMedia => "不支持的内容类型",
            Self::Refused => "未通过审核规则",
            Self::InProgress => "正在处理",
            Self::Changed => "内容已被更改",
            Self::Unconditional => "缺少前提条件",
            Self::Unavailable => "暂时无法服务",
            Self::Internal => "系统内部错误",
        }
    }
}

/// How much of one dimension was asked for, and how much there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Shortage {
    /// `machines`, `vcpu`, `memory_bytes`, `disk_bytes`, `addresses`, `mlps_level` or `hosts`.
    pub dimension: &'static str,
    pub asked: i64,
    /// What is left at most (on the task book, or on the roomiest host).
    pub free: i64,
    /// Whose it is: `task_book` or `host`.
    pub of: &'static str,
}

/// Why one host cannot take a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HostRefusal {
    pub host: String,
    /// `not_active`, `zone_missing`, `other_kind`, `no_databases`, `address_floats`, `mlps_level_low`, `image_unreachable`,
    /// `image_not_on_cluster`, `sibling_here`, `vcpu_short`, `memory_short`, `disk_short` or `addresses_short`.
    pub reason: &'static str,
    /// Chinese, with the numbers.
    pub message: String,
    /// In the unit of the reason: cores, bytes, addresses, a level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free: Option<i64>,
}

/// Hosts that cannot take a machine, each with its reason. Behind a pointer: every fallible function carries the room for a
/// [`Problem`].
#[derive(Debug)]
pub struct HostRefusals(pub Vec<HostRefusal>);

/// A problem on its way to whoever asked.
#[derive(Debug)]
pub struct Problem {
    pub kind: Kind,
    /// Stable English word for programs.
    pub code: &'static str,
    /// Chinese sentence for people.
    pub detail: String,
    pub errors: Vec<Violation>,
    pub shortage: Vec<Shortage>,
    pub hosts: Option<Box<HostRefusals>>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    pub fn new(kind: Kind, code: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, code, detail: detail.into(), errors: Vec::new(), shortage: Vec::new(), hosts: None, source: None }
    }

    pub fn not_found(what: &str) -> Self {
        Self::new(Kind::NotFound, "not_found", format!("未找到{what}，或当前令牌无权查看"))
    }

    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, code, detail)
    }

    /// Somebody else changed it since the caller looked.
    pub fn changed() -> Self {
        let detail = "内容在查询之后已被更改；请重新查询，核对之后用新的 ETag 再修改";
        Self::new(Kind::Changed, "precondition_failed", detail)
    }

    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(Kind::Malformed, "malformed", detail)
    }

    /// Every rule that refused, at once.
    pub fn refused(errors: Vec<Violation>) -> Self {
        let detail = format!("共有 {} 处不符合要求，请逐项修改后重新提交", errors.len());
        Self { errors, ..Self::new(Kind::Refused, "rules_violated", detail) }
    }

    /// A file that cannot be taken, and why.
    pub fn unreadable(too_large: bool, violation: Violation) -> Self {
        let kind = if too_large { Kind::TooLarge } else { Kind::Refused };
        let detail = format!("{}{}", violation.message, violation.mend);
        Self { errors: vec![violation], ..Self::new(kind, "file_refused", detail) }
    }

    pub fn short(code: &'static str, detail: impl Into<String>, shortage: Vec<Shortage>) -> Self {
        Self { shortage, ..Self::new(Kind::Shortage, code, detail) }
    }

    pub fn internal(source: impl Error + Send + Sync + 'static) -> Self {
        Self {
            source: Some(Box::new(source)),
            ..Self::new(Kind::Internal, "internal", "系统内部错误，已记录；请将请求编号告知运维人员")
        }
    }

    /// What lies under it, for the log.
    fn story(&self) -> String {
        self.source.as_deref().map(|source| story(source).join(": ")).unwrap_or_default()
    }
}

/// An error and its causes, outermost first; a wrapper's cause that it already tells is not told twice.
pub fn story(error: &dyn Error) -> Vec<String> {
    let mut story: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !story.iter().any(|told| told.contains(&text)) {
            story.push(text);
        }
        next = error.source();
    }
    story
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn Error + 'static))
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        let (kind, code, detail) = match &error {
            DbError::Collision(_) | DbError::Unreachable(_) | DbError::Stopped => {
                (Kind::Unavailable, "database_unavailable", "数据库暂时无法访问，本次操作未生效，请稍后重试")
            }
            DbError::Repeated => {
                (Kind::InProgress, "idempotency_key_in_progress", "同样的请求刚刚处理过；请再发一次，会得到它的应答")
            }
            DbError::Full(_) => {
                (Kind::Unavailable, "database_full", "数据库磁盘空间已满，本次操作未生效，请联系运维人员清理空间")
            }
            DbError::OutcomeUnknown(_) => (
                Kind::Unavailable,
                "outcome_unknown",
                "提交时与数据库的连接中断，结果未知；请先查询是否已生效，再决定是否重试",
            ),
            _ => return Self::internal(error),
        };
        Self { source: Some(Box::new(error)), ..Self::new(kind, code, detail) }
    }
}

impl JobError for Problem {
    fn again(&self) -> Option<DbError> {
        self.source.as_ref().and_then(|source| source.downcast_ref::<DbError>()).and_then(JobError::again)
    }
}

/// RFC 9457, with our extension members.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProblemDocument {
    /// Always `about:blank`; `code` tells problems apart.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Chinese, one for each status.
    pub title: &'static str,
    pub status: u16,
    /// Chinese, about this very case.
    pub detail: String,
    /// Stable, `snake_case`.
    pub code: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Violation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shortage: Vec<Shortage>,
    /// Of a `capacity_exceeded`: why each host cannot take the machine, the first hundred of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostRefusal>,
}

/// Goes with the answer of a [`Kind::Forbidden`], for the audit trail.
#[derive(Clone, Copy, Debug)]
pub struct Denied {
    pub code: &'static str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.answer(|document| document)
    }
}

/// A problem's document with members of its own.
#[derive(Serialize)]
struct Extended<T> {
    #[serde(flatten)]
    document: ProblemDocument,
    #[serde(flatten)]
    members: T,
}

impl Problem {
    /// As it is told to whoever asked; what lies under it goes to the log.
    pub fn into_document(self) -> ProblemDocument {
        let status = self.kind.status();
        if status.is_server_error() {
            tracing::error!(code = self.code, cause = %self.story(), "http.request.failed");
        }
        ProblemDocument {
            kind: "about:blank",
            title: self.kind.title(),
            status: status.as_u16(),
            detail: self.detail,
            code: self.code,
            errors: self.errors,
            shortage: self.shortage,
            hosts: self.hosts.map_or_else(Vec::new, |hosts| hosts.0),
        }
    }

    /// The answer, with members that only this problem has.
    pub fn with_members(self, members: impl Serialize) -> Response {
        self.answer(|document| Extended { document, members })
    }

    fn answer<T: Serialize>(self, body: impl FnOnce(ProblemDocument) -> T) -> Response {
        let status = self.kind.status();
        let denied = (self.kind == Kind::Forbidden).then_some(Denied { code: self.code });
        let unauthenticated = self.kind == Kind::Unauthenticated;
        let later = matches!(self.kind, Kind::Unavailable | Kind::InProgress);
        let mut response = (status, Json(body(self.into_document()))).into_response();
        if let Some(denied) = denied {
            response.extensions_mut().insert(denied);
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if later {
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from_static(if status.is_server_error() { "2" } else { "1" }),
            );
        }
        response
    }
}
