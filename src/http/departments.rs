//! `/v1/departments`

use super::{
    Api,
    extract::{Caller, Document, Path, Query},
    location,
    page::{Cut, Page, PageQuery},
    tag::{IfMatch, Patch, present},
};
use crate::{
    error::{Problem, ProblemDocument},
    identity::{
        Department,
        policy::{self, Act},
        service, store,
    },
};
use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use serde::Deserialize;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDepartment {
    /// 1 to 32 lower-case letters, digits and hyphens.
    #[schema(example = "mzj")]
    pub code: String,
    #[schema(example = "相城区民政局")]
    pub name: String,
}

/// 登记建设单位
#[utoipa::path(post, path = "/v1/departments", tag = "departments", request_body = NewDepartment,
    responses((status = 201, body = Department), (status = "4XX", body = ProblemDocument)))]
pub async fn create(
    State(api): State<Api>,
    Caller(actor): Caller,
    document: Document<NewDepartment>,
) -> Result<impl IntoResponse, Problem> {
    let NewDepartment { code, name } = document.value;
    let made = service::create_department(&api.db, &actor, code, name).await?;
    Ok((StatusCode::CREATED, location(&format!("/v1/departments/{}", made.id)), Json(made)))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DepartmentsQuery {
    /// The whole name.
    pub name: Option<String>,
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    pub page_token: Option<String>,
    pub sort: Option<String>,
}

/// 建设单位列表
#[utoipa::path(get, path = "/v1/departments", tag = "departments", params(DepartmentsQuery),
    responses((status = 200, body = Page<Department>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<DepartmentsQuery>,
) -> Result<Json<Page<Department>>, Problem> {
    let scope = policy::scope(&actor, Act::DepartmentRead)?;
    let (scope, name) = (scope.filter(), query.name);
    let page = PageQuery { page_size: query.page_size, page_token: query.page_token, sort: query.sort };
    let cut = Cut::new(&api, "departments", &store::DEPARTMENT_SORTS, page, &[scope.as_deref(), name.as_deref()])?;
    let mut conn = api.db.read().await?;
    let rows = store::list_departments(&mut conn, scope.as_deref(), name.as_deref(), &cut.slice).await?;
    Ok(Json(cut.page(rows, |row| row)))
}

/// What of a department can be changed.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DepartmentPatch {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false, example = "相城区民政局")]
    pub name: Option<String>,
}

/// 修改建设单位：更名；令牌上的单位随之更名
#[utoipa::path(patch, path = "/v1/departments/{id}", tag = "departments",
    params(("id" = String, Path, description = "标识或代码"), ("If-Match" = String, Header, description = "查询时的 ETag，或 *")),
    request_body(content = DepartmentPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Department), (status = "4XX", body = ProblemDocument)))]
pub async fn change(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    seen: IfMatch,
    Patch(patch): Patch<DepartmentPatch>,
) -> Result<Json<Department>, Problem> {
    policy::scope(&actor, Act::DepartmentChange)?;
    let known = service::find_department(&api.db, &actor, &id).await?;
    // The version first: what is looked at after it is not older.
    let mut conn = api.db.read().await?;
    let revision = store::department_revision(&mut conn, known.id).await?.unwrap_or_default();
    drop(conn);
    let department = service::find_department(&api.db, &actor, &id).await?;
    seen.check(&department)?;
    let name = patch.name.as_deref().unwrap_or(&department.name);
    Ok(Json(service::rename_department(&api.db, &actor, &department, name, revision).await?))
}

/// 查看建设单位（标识或代码）
#[utoipa::path(get, path = "/v1/departments/{id}", tag = "departments", params(("id" = String, Path, description = "标识或代码")),
    responses((status = 200, body = Department), (status = "4XX", body = ProblemDocument)))]
pub async fn show(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<Department>, Problem> {
    Ok(Json(service::find_department(&api.db, &actor, &id).await?))
}
