//! `/v1/departments`

use super::{
    Api,
    extract::{Caller, Document, Query},
    location,
    page::{Page, PageQuery},
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

/// 建设单位列表
#[utoipa::path(get, path = "/v1/departments", tag = "departments", params(PageQuery),
    responses((status = 200, body = Page<Department>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Department>>, Problem> {
    let scope = policy::scope(&actor, Act::DepartmentRead)?;
    let cut = page.oldest_first()?;
    let mut conn = api.db.read().await?;
    let rows = store::list_departments(&mut conn, scope.filter().as_deref(), &cut.bound, cut.fetch()).await?;
    Ok(Json(cut.page(rows, |row| row.id.0, |row| row)))
}
