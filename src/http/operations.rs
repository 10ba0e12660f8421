//! `/v1/operations`

use super::{
    Api,
    extract::{Caller, Path, Query},
    page::{Page, PageQuery},
};
use crate::{
    error::{Problem, ProblemDocument},
    identity::{
        Actor,
        policy::{self, Act},
    },
    operation::{View, store},
};
use axum::{Json, extract::State};

/// An operation that the actor may see.
pub async fn one(api: &Api, actor: &Actor, id: &str) -> Result<View, Problem> {
    let scope = policy::scope(actor, Act::OperationRead)?;
    let mut conn = api.db.read().await?;
    let operation = store::find(&mut conn, id, scope.filter().as_deref()).await?;
    operation.map(View::from).ok_or_else(|| Problem::not_found("操作"))
}

/// 操作列表
#[utoipa::path(get, path = "/v1/operations", tag = "operations", params(PageQuery),
    responses((status = 200, body = Page<View>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<View>>, Problem> {
    let scope = policy::scope(&actor, Act::OperationRead)?;
    let cut = page.newest_first()?;
    let mut conn = api.db.read().await?;
    let rows = store::list(&mut conn, scope.filter().as_deref(), &cut.bound, cut.fetch()).await?;
    Ok(Json(cut.page(rows, |row| row.id.0, View::from)))
}

/// 查看操作
#[utoipa::path(get, path = "/v1/operations/{id}", tag = "operations", params(("id" = String, Path)),
    responses((status = 200, body = View), (status = "4XX", body = ProblemDocument)))]
pub async fn show(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<View>, Problem> {
    Ok(Json(one(&api, &actor, &id).await?))
}
