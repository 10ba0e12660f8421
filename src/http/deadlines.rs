//! `/v1/deadlines`: the dated register (台账).

use super::{
    Api,
    extract::{Caller, Document, Path, Query},
    page::{Cut, Page, PageQuery},
};
use crate::{
    db::{Batch, Sorts},
    error::{Problem, ProblemDocument},
    identity::policy::{self, Act},
    migration::register::Deadline,
};
use axum::{Json, extract::State};
use serde::Deserialize;

pub(super) const SORTS: Sorts = Sorts { id: "id", numbered: false, by: &[("due_on", "due_on")], default: "due_on" };

/// 台账：各文件要求谁在什么时候做完什么
#[utoipa::path(get, path = "/v1/deadlines", tag = "deadlines", params(PageQuery),
    responses((status = 200, body = Page<Deadline>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Deadline>>, Problem> {
    policy::scope(&actor, Act::DeadlineRead)?;
    let cut = Cut::new(&api, "deadlines", &SORTS, page, &())?;
    let value = |row: &Deadline, column: &str| match column {
        "due_on" => row.due_on.to_string(),
        _ => row.id.clone(),
    };
    Ok(Json(cut.page(Batch::cut(api.estates.deadlines().await?, &cut.slice, value), |row| row)))
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadlineProof {
    /// What proves that it was done.
    #[schema(min_length = 1, max_length = 2000)]
    pub evidence: String,
}

/// 记台账的一项已经完成
#[utoipa::path(post, path = "/v1/deadlines/{id}/meet", tag = "deadlines", params(("id" = String, Path)),
    request_body = DeadlineProof, responses((status = 200, body = Deadline), (status = "4XX", body = ProblemDocument)))]
pub async fn meet(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<DeadlineProof>,
) -> Result<Json<Deadline>, Problem> {
    Ok(Json(api.estates.meet(&actor, &id, &document.value.evidence).await?))
}
