//! `/v1/task-books`

use super::{
    Api,
    extract::{Caller, Document, Path, Query},
    location,
    page::{Cut, Page, PageQuery},
};
use crate::{
    error::{Problem, ProblemDocument},
    identity::{
        Actor, Department,
        policy::{self, Act},
        store as identity_store,
    },
    ids::TaskBookId,
    task_book::{
        document::Indicators,
        service::{self, Imported},
        store::{self, Filter, Held},
    },
};
use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::AnyConnection;
use std::collections::HashMap;

/// A task book in force, and what is used of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TaskBookView {
    #[schema(value_type = String, format = Uuid)]
    pub id: TaskBookId,
    /// 任务书编号
    pub number: String,
    /// `task_book`, `urgent` or `upper_level`.
    pub basis: &'static str,
    pub version: i64,
    pub department: Department,
    pub project: ProjectView,
    #[schema(value_type = String, format = Date)]
    pub valid_from: Date,
    #[schema(value_type = String, format = Date)]
    pub valid_until: Date,
    /// The last day on which its machines may be used.
    #[schema(value_type = String, format = Date)]
    pub lease_until: Date,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
    pub revoked_reason: Option<String>,
    pub indicators: Vec<IndicatorView>,
    #[schema(value_type = Object)]
    pub allowed: Value,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProjectView {
    pub code: String,
    pub name: String,
}

/// 控制指标
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct IndicatorView {
    /// `machines`, `vcpu`, `memory_bytes` or `disk_bytes`.
    pub dimension: &'static str,
    pub limit: i64,
    pub used: i64,
    pub free: i64,
}

fn indicators(limits: Indicators, used: Indicators) -> Vec<IndicatorView> {
    [
        ("machines", limits.machines, used.machines),
        ("vcpu", limits.vcpu, used.vcpu),
        ("memory_bytes", limits.memory.get(), used.memory.get()),
        ("disk_bytes", limits.disk.get(), used.disk.get()),
    ]
    .into_iter()
    .map(|(dimension, limit, used)| IndicatorView { dimension, limit, used, free: limit - used })
    .collect()
}

fn view(held: Held, departments: &HashMap<String, Department>) -> Result<TaskBookView, Problem> {
    let department = departments.get(&held.department.text()).cloned().ok_or_else(|| Problem::not_found("建设单位"))?;
    let (revoked_at, revoked_reason) = held.revoked.unzip();
    Ok(TaskBookView {
        id: held.id,
        number: held.number,
        basis: held.basis.word(),
        version: held.version,
        department,
        project: ProjectView { code: held.project.code, name: held.project.name },
        valid_from: held.valid_from,
        valid_until: held.valid_until,
        lease_until: held.lease_until,
        revoked_at,
        revoked_reason,
        indicators: indicators(held.limits, held.used),
        allowed: serde_json::to_value(held.allowed).map_err(Problem::internal)?,
    })
}

/// Departments by id, for views that name them.
pub async fn departments(conn: &mut AnyConnection) -> Result<HashMap<String, Department>, Problem> {
    let all = identity_store::all_departments(conn).await?;
    Ok(all.into_iter().map(|department| (department.id.text(), department)).collect())
}

/// The id behind a code or an id; what is neither stays as it is, and nothing is found of it.
pub(super) fn department_id(departments: &HashMap<String, Department>, key: String) -> String {
    departments.values().find(|department| department.code == key).map_or(key, |department| department.id.text())
}

async fn one(api: &Api, actor: &Actor, key: &str) -> Result<TaskBookView, Problem> {
    let scope = policy::scope(actor, Act::TaskBookRead)?;
    let mut conn = api.db.read().await?;
    let held =
        store::find(&mut conn, key, scope.filter().as_deref()).await?.ok_or_else(|| Problem::not_found("任务书"))?;
    view(held, &departments(&mut conn).await?)
}

/// 导入任务书（YAML 或 JSON）；编号已有时须为下一版本
#[utoipa::path(post, path = "/v1/task-books", tag = "task-books", request_body(content = Object, description = "任务书，见 samples/task-book.yaml"),
    responses((status = 201, body = TaskBookView), (status = 200, body = TaskBookView, description = "内容相同，未变化"),
        (status = "4XX", body = ProblemDocument)))]
pub async fn import(
    State(api): State<Api>,
    Caller(actor): Caller,
    document: Document<Value>,
) -> Result<impl IntoResponse, Problem> {
    let rules = &api.rules;
    let (id, imported) = service::import(&api.db, &actor, &rules.catalogue, &rules.profile, document.text).await?;
    let status = if imported == Imported::Unchanged { StatusCode::OK } else { StatusCode::CREATED };
    let view = one(&api, &actor, &id.text()).await?;
    Ok((status, location(&format!("/v1/task-books/{id}")), Json(view)))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TaskBooksQuery {
    /// The department's code or id.
    pub department: Option<String>,
    pub number: Option<String>,
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    pub page_token: Option<String>,
    pub sort: Option<String>,
}

/// 任务书列表
#[utoipa::path(get, path = "/v1/task-books", tag = "task-books", params(TaskBooksQuery),
    responses((status = 200, body = Page<TaskBookView>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<TaskBooksQuery>,
) -> Result<Json<Page<TaskBookView>>, Problem> {
    let scope = policy::scope(&actor, Act::TaskBookRead)?;
    let scope = scope.filter();
    let mut conn = api.db.read().await?;
    let departments = departments(&mut conn).await?;
    let department = query.department.map(|key| department_id(&departments, key));
    let filter = Filter { scope: scope.as_deref(), department: department.as_deref(), number: query.number.as_deref() };
    let page = PageQuery { page_size: query.page_size, page_token: query.page_token, sort: query.sort };
    let cut = Cut::new(&api, "task-books", &store::SORTS, page, &filter)?;
    let rows = store::list(&mut conn, &filter, &cut.slice).await?;
    let page = cut.page(rows, |row| view(row, &departments));
    let items = page.items.into_iter().collect::<Result<_, _>>()?;
    Ok(Json(Page { items, next_page_token: page.next_page_token }))
}

/// 查看任务书（标识或编号）
#[utoipa::path(get, path = "/v1/task-books/{id}", tag = "task-books", params(("id" = String, Path, description = "标识或任务书编号")),
    responses((status = 200, body = TaskBookView), (status = "4XX", body = ProblemDocument)))]
pub async fn show(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<TaskBookView>, Problem> {
    Ok(Json(one(&api, &actor, &id).await?))
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Why; kept with the task book.
    pub reason: String,
}

/// 撤销任务书
#[utoipa::path(post, path = "/v1/task-books/{id}/revoke", tag = "task-books", params(("id" = String, Path, description = "标识或任务书编号")),
    request_body = Revocation, responses((status = 200, body = TaskBookView), (status = "4XX", body = ProblemDocument)))]
pub async fn revoke(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<Revocation>,
) -> Result<Json<TaskBookView>, Problem> {
    service::revoke(&api.db, &actor, &id, document.value.reason).await?;
    Ok(Json(one(&api, &actor, &id).await?))
}
