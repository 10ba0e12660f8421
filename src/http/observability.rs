//! Health, metrics, the ledger, the audit trail, and the OpenAPI document itself.

use super::{
    Api,
    extract::{Caller, Query},
};
use crate::{
    audit::{self, Entry},
    error::{Kind, Problem, ProblemDocument},
    identity::policy::{self, Act},
    machine::ledger,
};
use axum::{Json, extract::State, http::header, response::IntoResponse};
use serde::{Deserialize, Serialize};

/// 存活
#[utoipa::path(get, path = "/healthz", tag = "observability", security(()), responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Prometheus 指标
#[utoipa::path(get, path = "/metrics", tag = "observability", security(()), responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn metrics(State(api): State<Api>) -> Result<impl IntoResponse, Problem> {
    let text = api.metrics.exposition().map_err(Problem::internal)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}

/// 接口文档
#[utoipa::path(get, path = "/v1/openapi.json", tag = "observability", security(()), responses((status = 200, body = Object)))]
pub async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(super::openapi())
}

/// 核对账目：逐行重算每个计数
#[utoipa::path(get, path = "/v1/ledger", tag = "observability",
    responses((status = 200, body = ledger::Verdict), (status = "4XX", body = ProblemDocument)))]
pub async fn ledger(State(api): State<Api>, Caller(actor): Caller) -> Result<Json<ledger::Verdict>, Problem> {
    policy::scope(&actor, Act::LedgerVerify)?;
    Ok(Json(ledger::verify(&api.db, &api.metrics).await?))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only records below this number.
    pub before: Option<i64>,
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AuditPage {
    pub items: Vec<Entry>,
    /// `before` of the next page.
    pub next_before: Option<i64>,
}

/// 审计记录，最近的在前
#[utoipa::path(get, path = "/v1/audit-records", tag = "observability", params(AuditQuery),
    responses((status = 200, body = AuditPage), (status = "4XX", body = ProblemDocument)))]
pub async fn audit_records(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditPage>, Problem> {
    let scope = policy::scope(&actor, Act::AuditRead)?;
    let size = query.page_size.unwrap_or(100);
    if !(1..=200).contains(&size) {
        return Err(Problem::new(Kind::Malformed, "malformed", "page_size 须在 1 至 200 之间"));
    }
    let mut conn = api.db.read().await?;
    let mut items =
        audit::list(&mut conn, scope.filter().as_deref(), query.before.unwrap_or(i64::MAX), size + 1).await?;
    let more = i64::try_from(items.len()).is_ok_and(|n| n > size);
    items.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    let next_before = items.last().filter(|_| more).map(|entry| entry.seq);
    Ok(Json(AuditPage { items, next_before }))
}
