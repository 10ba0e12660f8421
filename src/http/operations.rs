//! `/v1/operations`

use super::{
    Api,
    extract::{Caller, Path, Query, identifier, one_of},
    page::{Cut, Page, PageQuery},
};
use crate::{
    error::{Problem, ProblemDocument},
    identity::{
        Actor,
        policy::{self, Act},
    },
    ids::{MachineId, RequestId},
    operation::{
        Kind, View,
        lifecycle::State as OperationState,
        store::{self, Filter},
    },
};
use axum::{Json, extract::State};
use serde::Deserialize;

/// An operation that the actor may see.
pub async fn one(api: &Api, actor: &Actor, id: &str) -> Result<View, Problem> {
    let scope = policy::scope(actor, Act::OperationRead)?;
    let operation = api.operations.get(id).await?.filter(|operation| scope.covers(operation.department));
    operation.as_deref().map(View::from).ok_or_else(|| Problem::not_found("操作"))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OperationsQuery {
    /// `queued`, `running`, `unwinding`, `succeeded`, `failed` or `cancelled`.
    pub state: Option<String>,
    /// `build`, `start`, `stop`, `bin`, `restore`, `reboot`, `resize`, `migrate`, `rebuild`,
    /// `import_disk` or `return_disk`.
    pub kind: Option<String>,
    pub request_id: Option<String>,
    pub machine_id: Option<String>,
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    pub page_token: Option<String>,
    pub sort: Option<String>,
}

/// 操作列表
#[utoipa::path(get, path = "/v1/operations", tag = "operations", params(OperationsQuery),
    responses((status = 200, body = Page<View>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<OperationsQuery>,
) -> Result<Json<Page<View>>, Problem> {
    let scope = policy::scope(&actor, Act::OperationRead)?;
    one_of::<OperationState>("state", query.state.as_deref())?;
    one_of::<Kind>("kind", query.kind.as_deref())?;
    let (request, machine) = (
        identifier::<RequestId>("request_id", query.request_id)?,
        identifier::<MachineId>("machine_id", query.machine_id)?,
    );
    let scope = scope.filter();
    let filter = Filter {
        scope: scope.as_deref(),
        state: query.state.as_deref(),
        kind: query.kind.as_deref(),
        request: request.as_deref(),
        machine: machine.as_deref(),
    };
    let page = PageQuery { page_size: query.page_size, page_token: query.page_token, sort: query.sort };
    let cut = Cut::new(&api, "operations", &store::SORTS, page, &filter)?;
    let mut conn = api.db.read().await?;
    let rows = store::list(&mut conn, &filter, &cut.slice).await?;
    Ok(Json(cut.page(rows, |operation| View::from(&operation))))
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
