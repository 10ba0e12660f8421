//! `/v1/zombie-findings`

use super::{
    Api,
    extract::{Caller, Document, Path, Query, identifier, one_of},
    page::{Cut, Page, PageQuery},
    task_books::{department_id, departments},
};
use crate::{
    error::{Problem, ProblemDocument},
    identity::{
        Department,
        policy::{self, Act},
    },
    ids::{FindingId, SystemId},
    jurisdiction::Criterion,
    usage::zombie::{
        finding::{Answer, Answered, Decision, Exemption, Filing, Finding, Judgement, Question},
        lifecycle,
        service::Reply,
        sheet,
        store::{self, Filter},
    },
};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use jiff::{Timestamp, civil::Date};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// 僵尸系统判定
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FindingView {
    #[schema(value_type = String, format = Uuid)]
    pub id: FindingId,
    #[schema(value_type = String, format = Uuid)]
    pub system_id: SystemId,
    pub system_name: String,
    pub department: Option<Department>,
    /// `suspected`, `asked`, `answered`, `objected`, `confirmed`, `filed`, `dismissed` or `exempt`.
    pub state: &'static str,
    /// The criteria, each with its evidence; what was decided stays as it was decided on.
    pub judgement: Judgement,
    pub question: Option<Question>,
    pub answer: Option<Answer>,
    pub exemption: Option<Exemption>,
    /// The exemption's last day is over: the system is a suspect again.
    pub exemption_over: bool,
    pub decision: Option<Decision>,
    pub filing: Option<Filing>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl FindingView {
    pub(super) fn of(finding: Finding, departments: &HashMap<String, Department>, today: Date) -> Self {
        Self {
            id: finding.id,
            system_id: finding.system,
            exemption_over: finding.has_lapsed(today),
            department: departments.get(&finding.department.text()).cloned(),
            state: finding.state.word(),
            system_name: finding.system_name,
            judgement: finding.judgement,
            question: finding.question,
            answer: finding.answer,
            exemption: finding.exemption,
            decision: finding.decision,
            filing: finding.filing,
            created_at: finding.created_at,
            updated_at: finding.updated_at,
        }
    }
}

async fn told(api: &Api, finding: Finding) -> Result<Json<FindingView>, Problem> {
    let mut conn = api.db.read().await?;
    Ok(Json(FindingView::of(finding, &departments(&mut conn).await?, api.db.clock().today())))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FindingsQuery {
    /// `suspected`, `asked`, `answered`, `objected`, `confirmed`, `filed`, `dismissed` or `exempt`.
    pub state: Option<String>,
    /// The department's code or id.
    pub department: Option<String>,
    pub system_id: Option<String>,
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    pub page_token: Option<String>,
    pub sort: Option<String>,
}

/// 僵尸系统判定列表
#[utoipa::path(get, path = "/v1/zombie-findings", tag = "zombie-findings", params(FindingsQuery),
    responses((status = 200, body = Page<FindingView>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<FindingsQuery>,
) -> Result<Json<Page<FindingView>>, Problem> {
    let scope = policy::scope(&actor, Act::ZombieRead)?.filter();
    one_of::<lifecycle::State>("state", query.state.as_deref())?;
    let system = identifier::<SystemId>("system_id", query.system_id)?;
    let mut conn = api.db.read().await?;
    let departments = departments(&mut conn).await?;
    let department = query.department.map(|key| department_id(&departments, key));
    let filter = Filter {
        scope: scope.as_deref(),
        department: department.as_deref(),
        state: query.state.as_deref(),
        system: system.as_deref(),
    };
    let page = PageQuery { page_size: query.page_size, page_token: query.page_token, sort: query.sort };
    let cut = Cut::new(&api, "zombie-findings", &store::SORTS, page, &filter)?;
    let rows = store::list(&mut conn, &filter, &cut.slice).await?;
    let today = api.db.clock().today();
    Ok(Json(cut.page(rows, |row| FindingView::of(row, &departments, today))))
}

/// 查看僵尸系统判定
#[utoipa::path(get, path = "/v1/zombie-findings/{id}", tag = "zombie-findings", params(("id" = String, Path)),
    responses((status = 200, body = FindingView), (status = "4XX", body = ProblemDocument)))]
pub async fn show(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<FindingView>, Problem> {
    told(&api, api.zombies.find(&actor, &id).await?).await
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FindingQuestion {
    /// The last day for the answer; the operators' setting where absent.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Date)]
    pub due_on: Option<Date>,
}

/// 征求建设单位的意见
#[utoipa::path(post, path = "/v1/zombie-findings/{id}/ask", tag = "zombie-findings", params(("id" = String, Path)),
    request_body = FindingQuestion, responses((status = 200, body = FindingView), (status = "4XX", body = ProblemDocument)))]
pub async fn ask(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<FindingQuestion>,
) -> Result<Json<FindingView>, Problem> {
    let finding = api.zombies.ask(&actor, &id, document.value.due_on).await?;
    told(&api, finding).await
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FindingReply {
    pub answer: Answered,
    pub reason: String,
    /// Needed where the answer is `replaced`.
    #[serde(default)]
    pub replaced_by: Option<String>,
    /// Criteria that the owner says are met.
    #[serde(default)]
    pub holds: Vec<Criterion>,
    /// Criteria that the owner says are not met.
    #[serde(default)]
    pub denies: Vec<Criterion>,
}

/// 建设单位答复：认可、已替代或有异议
#[utoipa::path(post, path = "/v1/zombie-findings/{id}/reply", tag = "zombie-findings", params(("id" = String, Path)),
    request_body = FindingReply, responses((status = 200, body = FindingView), (status = "4XX", body = ProblemDocument)))]
pub async fn reply(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<FindingReply>,
) -> Result<Json<FindingView>, Problem> {
    let FindingReply { answer, reason, replaced_by, holds, denies } = document.value;
    let finding = api.zombies.reply(&actor, &id, Reply { answer, reason, replaced_by, holds, denies }).await?;
    told(&api, finding).await
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FindingExemption {
    /// The last day; a year from now at most.
    #[schema(value_type = String, format = Date)]
    pub until: Date,
    pub evidence: String,
}

/// 豁免到某一天，写明证据
#[utoipa::path(post, path = "/v1/zombie-findings/{id}/exempt", tag = "zombie-findings", params(("id" = String, Path)),
    request_body = FindingExemption, responses((status = 200, body = FindingView), (status = "4XX", body = ProblemDocument)))]
pub async fn exempt(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<FindingExemption>,
) -> Result<Json<FindingView>, Problem> {
    let FindingExemption { until, evidence } = document.value;
    let finding = api.zombies.exempt(&actor, &id, until, &evidence).await?;
    told(&api, finding).await
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FindingDecision {
    pub reason: String,
}

/// 认定为僵尸系统
#[utoipa::path(post, path = "/v1/zombie-findings/{id}/confirm", tag = "zombie-findings", params(("id" = String, Path)),
    request_body = FindingDecision, responses((status = 200, body = FindingView), (status = "4XX", body = ProblemDocument)))]
pub async fn confirm(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<FindingDecision>,
) -> Result<Json<FindingView>, Problem> {
    let finding = api.zombies.confirm(&actor, &id, &document.value.reason).await?;
    told(&api, finding).await
}

/// 不予认定
#[utoipa::path(post, path = "/v1/zombie-findings/{id}/dismiss", tag = "zombie-findings", params(("id" = String, Path)),
    request_body = FindingDecision, responses((status = 200, body = FindingView), (status = "4XX", body = ProblemDocument)))]
pub async fn dismiss(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<FindingDecision>,
) -> Result<Json<FindingView>, Problem> {
    let finding = api.zombies.dismiss(&actor, &id, &document.value.reason).await?;
    told(&api, finding).await
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FindingFiling {
    /// 备案号
    #[serde(default)]
    pub number: Option<String>,
}

/// 备案
#[utoipa::path(post, path = "/v1/zombie-findings/{id}/file", tag = "zombie-findings", params(("id" = String, Path)),
    request_body = FindingFiling, responses((status = 200, body = FindingView), (status = "4XX", body = ProblemDocument)))]
pub async fn file(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<FindingFiling>,
) -> Result<Json<FindingView>, Problem> {
    let finding = api.zombies.file(&actor, &id, document.value.number.as_deref()).await?;
    told(&api, finding).await
}

/// 备案表（.xlsx）；认定之后才有
#[utoipa::path(get, path = "/v1/zombie-findings/{id}/sheet", tag = "zombie-findings", params(("id" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (status = "4XX", body = ProblemDocument)))]
pub async fn sheet(State(api): State<Api>, Caller(actor): Caller, Path(id): Path<String>) -> Result<Response, Problem> {
    let content = api.zombies.sheet(&actor, &id).await?;
    let name = utf8_percent_encode("备案表", NON_ALPHANUMERIC);
    let headers = [
        (header::CONTENT_TYPE, sheet::MEDIA_TYPE.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{name}.xlsx")),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, content).into_response())
}
