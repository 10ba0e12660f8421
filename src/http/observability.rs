//! Health, metrics, the ledger, the audit trail, and the OpenAPI document itself.

use super::{
    Api,
    extract::{Caller, Query, one_of},
    page::{Cut, Page, PageQuery},
};
use crate::{
    audit::{self, Entry, Outcome},
    error::{Problem, ProblemDocument},
    identity::policy::{self, Act},
    machine::ledger,
    migration::progress,
    report::rooms::near,
};
use axum::{Json, extract::State, http::header, response::IntoResponse};
use serde::Deserialize;

/// 存活
#[utoipa::path(get, path = "/healthz", tag = "observability", security(()), responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Prometheus 指标
#[utoipa::path(get, path = "/metrics", tag = "observability", security(()), responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn metrics(State(api): State<Api>) -> Result<impl IntoResponse, Problem> {
    // A database that does not answer leaves the figures as they were last known.
    if let Ok(estate) = api.estates.now().await {
        let (term, today) = (api.estates.term(), api.estates.today());
        let (rooms, systems) = progress::totals(&estate, term, today, None);
        api.metrics.survey(
            [rooms.closed, rooms.exempt, rooms.pending, rooms.late, near(&estate, term, today)],
            [systems.in_cloud, systems.discarded, systems.exempt, systems.pending],
        );
    }
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
    /// Dotted, as `request.approve`.
    pub action: Option<String>,
    /// As `request`, `machine`, `host`.
    pub object_type: Option<String>,
    pub object_id: Option<String>,
    /// The login of who did it.
    pub person: Option<String>,
    /// `done` or `denied`.
    pub outcome: Option<String>,
    /// The id of the call.
    pub trace_id: Option<String>,
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    pub page_token: Option<String>,
    pub sort: Option<String>,
}

/// 审计记录，最近的在前
#[utoipa::path(get, path = "/v1/audit-records", tag = "observability", params(AuditQuery),
    responses((status = 200, body = Page<Entry>), (status = "4XX", body = ProblemDocument)))]
pub async fn audit_records(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Page<Entry>>, Problem> {
    let scope = policy::scope(&actor, Act::AuditRead)?.filter();
    one_of::<Outcome>("outcome", query.outcome.as_deref())?;
    let filter = audit::Filter {
        scope: scope.as_deref(),
        action: query.action.as_deref(),
        object_type: query.object_type.as_deref(),
        object_id: query.object_id.as_deref(),
        person: query.person.as_deref(),
        outcome: query.outcome.as_deref(),
        trace_id: query.trace_id.as_deref(),
    };
    let page = PageQuery { page_size: query.page_size, page_token: query.page_token, sort: query.sort };
    let cut = Cut::new(&api, "audit-records", &audit::SORTS, page, &filter)?;
    let mut conn = api.db.read().await?;
    let rows = audit::list(&mut conn, &filter, &cut.slice).await?;
    Ok(Json(cut.page(rows, |entry| entry)))
}
