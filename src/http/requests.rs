//! `/v1/requests`

use super::{
    Api,
    extract::{Caller, Document, Path, Query, one_of},
    location,
    machines::{self, MachineView},
    page::{Cut, Page, PageQuery},
    task_books::{department_id, departments},
    upload::{Handed, Upload},
};
use crate::{
    error::{Problem, ProblemDocument},
    identity::{
        Actor, Department,
        policy::{self, Act},
        store as identity_store,
    },
    ids::{OperationId, RequestId},
    operation,
    place::Place,
    request::{
        block::Block,
        lifecycle::RequestState,
        service::Cancelled,
        store::{self, Filter, Request},
    },
};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What was handed in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FileView {
    pub name: String,
    pub media_type: String,
    pub size_bytes: i64,
    pub sha256: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RequestView {
    #[schema(value_type = String, format = Uuid)]
    pub id: RequestId,
    /// `submitted`, `returned`, `approved`, `delivered`, `failed`, `cancelling` or `cancelled`.
    pub state: &'static str,
    pub department: Option<Department>,
    /// 任务书编号
    pub task_book: String,
    /// The checked block.
    #[schema(value_type = Object)]
    pub block: Value,
    /// SHA-256 of the checked block: what the decision binds to.
    pub digest: String,
    /// What was handed in; `GET /v1/requests/{id}/original` gives it back.
    pub file: Option<FileView>,
    /// Which block of the file this is, from 1.
    pub block_number: i64,
    pub submitted_by: String,
    pub submitted_unit: String,
    #[schema(value_type = String, format = DateTime)]
    pub submitted_at: Timestamp,
    pub decided_by: Option<String>,
    pub decided_unit: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub decided_at: Option<Timestamp>,
    pub decision_reason: Option<String>,
    #[schema(value_type = Option<String>, format = Uuid)]
    pub operation_id: Option<OperationId>,
    /// In lists this is empty.
    pub machines: Vec<MachineView>,
}

fn view(request: Request, department: Option<Department>, machines: Vec<MachineView>) -> Result<RequestView, Problem> {
    let decision = request.decision;
    Ok(RequestView {
        id: request.id,
        state: request.state.word(),
        department,
        task_book: request.task_book_number,
        block: serde_json::to_value(&request.block).map_err(Problem::internal)?,
        digest: request.digest,
        file: request.submission.map(|file| FileView {
            name: file.name,
            media_type: file.media_type,
            size_bytes: file.size_bytes,
            sha256: file.sha256,
        }),
        block_number: request.block_number,
        submitted_by: request.submitted_by_name,
        submitted_unit: request.submitted_unit,
        submitted_at: request.submitted_at,
        decided_by: decision.as_ref().map(|d| d.by_name.clone()),
        decided_unit: decision.as_ref().map(|d| d.unit.clone()),
        decided_at: decision.as_ref().map(|d| d.at),
        decision_reason: decision.and_then(|d| d.reason),
        operation_id: request.operation,
        machines,
    })
}

async fn one(api: &Api, actor: &Actor, id: &str) -> Result<RequestView, Problem> {
    let scope = policy::scope(actor, Act::RequestRead)?;
    let request = api.rules.find(id, scope.filter()).await?;
    let mut conn = api.db.read().await?;
    let department = identity_store::find_department(&mut conn, &request.department.text()).await?;
    let machines = machines::of_request(&mut conn, actor, request.id).await?;
    view(request, department, machines)
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CheckedBlock {
    /// SHA-256 of the checked block.
    pub digest: String,
    /// The checked block: sizes per machine, in bytes.
    #[schema(value_type = Object)]
    pub block: Block,
}

/// A report without a fault.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CheckView {
    /// Always true; what is not admissible is answered as a problem with every fault.
    pub admissible: bool,
    pub blocks: Vec<CheckedBlock>,
    /// The report as it was read, in the shape that it may be handed in as.
    #[schema(value_type = Object)]
    pub document: Value,
    /// JSON pointer into `document` to where in the file the value stands.
    pub places: BTreeMap<String, Place>,
}

/// 检查申请：只检查，不保存。接受文件（Word、Excel、CSV）或 JSON、YAML
#[utoipa::path(post, path = "/v1/requests/check", tag = "requests",
    request_body(description = "资源申请，见 samples/", content((Upload = "multipart/form-data"), (Object = "application/json"), (Object = "application/yaml"))),
    responses((status = 200, body = CheckView), (status = "4XX", body = ProblemDocument)))]
pub async fn check(State(api): State<Api>, Caller(actor): Caller, handed: Handed) -> Result<Json<CheckView>, Problem> {
    let blocks = api.rules.check(&actor, &handed.report).await?;
    Ok(Json(CheckView {
        admissible: true,
        blocks: blocks.into_iter().map(|block| CheckedBlock { digest: block.digest(), block }).collect(),
        document: handed.report.as_read(),
        places: handed.report.places,
    }))
}

/// The requests that a report became, in the order of its blocks.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Submitted {
    pub items: Vec<RequestView>,
}

/// 提交申请：每组虚拟机一份申请，要么全部收下，要么一份也不收；原件一并保存
#[utoipa::path(post, path = "/v1/requests", tag = "requests",
    request_body(description = "资源申请，见 samples/", content((Upload = "multipart/form-data"), (Object = "application/json"), (Object = "application/yaml"))),
    responses((status = 201, body = Submitted, description = "只有一份时，Location 指向它"), (status = "4XX", body = ProblemDocument)))]
pub async fn submit(State(api): State<Api>, Caller(actor): Caller, handed: Handed) -> Result<Response, Problem> {
    let ids = api.rules.submit(&actor, &handed.report, handed.original).await?;
    let mut items = Vec::with_capacity(ids.len());
    for id in &ids {
        items.push(one(&api, &actor, &id.text()).await?);
    }
    let answer = (StatusCode::CREATED, Json(Submitted { items }));
    Ok(match &ids[..] {
        [id] => (location(&format!("/v1/requests/{id}")), answer).into_response(),
        _ => answer.into_response(),
    })
}

/// 申请的原件：提交时的文件，一字节不差
#[utoipa::path(get, path = "/v1/requests/{id}/original", tag = "requests", params(("id" = String, Path)),
    responses((status = 200, body = Value, content_type = "*/*", description = "按提交时的类型"), (status = "4XX", body = ProblemDocument)))]
pub async fn original(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let original = api.rules.original(&actor, &id).await?;
    let name = utf8_percent_encode(&original.name, NON_ALPHANUMERIC);
    let headers = [
        (header::CONTENT_TYPE, original.media_type),
        // Never shown by a browser as if it were ours.
        (header::CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{name}")),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, original.content).into_response())
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RequestsQuery {
    /// `submitted`, `returned`, `approved`, `delivered`, `failed`, `cancelling` or `cancelled`.
    pub state: Option<String>,
    /// The department's code or id.
    pub department: Option<String>,
    /// 任务书编号
    pub task_book: Option<String>,
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    pub page_token: Option<String>,
    pub sort: Option<String>,
}

/// 申请列表
#[utoipa::path(get, path = "/v1/requests", tag = "requests", params(RequestsQuery),
    responses((status = 200, body = Page<RequestView>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<RequestsQuery>,
) -> Result<Json<Page<RequestView>>, Problem> {
    let scope = policy::scope(&actor, Act::RequestRead)?.filter();
    one_of::<RequestState>("state", query.state.as_deref())?;
    let mut conn = api.db.read().await?;
    let departments = departments(&mut conn).await?;
    let department = query.department.map(|key| department_id(&departments, key));
    let filter = Filter {
        scope: scope.as_deref(),
        department: department.as_deref(),
        state: query.state.as_deref(),
        task_book: query.task_book.as_deref(),
    };
    let page = PageQuery { page_size: query.page_size, page_token: query.page_token, sort: query.sort };
    let cut = Cut::new(&api, "requests", &store::SORTS, page, &filter)?;
    let rows = store::list(&mut conn, &filter, &cut.slice).await?;
    let page = cut.page(rows, |row| {
        let department = departments.get(&row.department.text()).cloned();
        view(row, department, Vec::new())
    });
    let items = page.items.into_iter().collect::<Result<_, _>>()?;
    Ok(Json(Page { items, next_page_token: page.next_page_token }))
}

/// 查看申请
#[utoipa::path(get, path = "/v1/requests/{id}", tag = "requests", params(("id" = String, Path)),
    responses((status = 200, body = RequestView), (status = "4XX", body = ProblemDocument)))]
pub async fn show(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<RequestView>, Problem> {
    Ok(Json(one(&api, &actor, &id).await?))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// 审批意见
    pub comment: Option<String>,
}

/// 批准：落位、占用额度与资源、开始建设
#[utoipa::path(post, path = "/v1/requests/{id}/approve", tag = "requests", params(("id" = String, Path)), request_body = Approval,
    responses((status = 202, body = operation::View), (status = "4XX", body = ProblemDocument)))]
pub async fn approve(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<Approval>,
) -> Result<Response, Problem> {
    let operation = api.approver.approve(&actor, &id, document.value.comment).await?;
    machines::accepted(&api, &actor, operation).await
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Return {
    /// 退回原因
    pub reason: String,
}

/// 退回
#[utoipa::path(post, path = "/v1/requests/{id}/return", operation_id = "return", tag = "requests", params(("id" = String, Path)), request_body = Return,
    responses((status = 200, body = RequestView), (status = "4XX", body = ProblemDocument)))]
pub async fn send_back(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<Return>,
) -> Result<Json<RequestView>, Problem> {
    api.rules.send_back(&actor, &id, &document.value.reason).await?;
    Ok(Json(one(&api, &actor, &id).await?))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancellation {
    pub reason: Option<String>,
}

/// 撤回：待审批的立即撤回，建设中的逐步撤销
#[utoipa::path(post, path = "/v1/requests/{id}/cancel", tag = "requests", params(("id" = String, Path)), request_body = Cancellation,
    responses((status = 200, body = RequestView), (status = 202, body = operation::View), (status = "4XX", body = ProblemDocument)))]
pub async fn cancel(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<Cancellation>,
) -> Result<Response, Problem> {
    match api.rules.cancel(&actor, &id, document.value.reason.as_deref()).await? {
        Cancelled::AtOnce => Ok(Json(one(&api, &actor, &id).await?).into_response()),
        Cancelled::TurningBack(operation) => machines::accepted(&api, &actor, operation).await,
    }
}
