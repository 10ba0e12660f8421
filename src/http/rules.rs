//! `/v1/rules`

use super::{Api, extract::Path};
use crate::{
    error::{Problem, ProblemDocument},
    rulebook::{self, Entry},
};
use axum::{Json, extract::State};
use serde::Serialize;

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Rules {
    pub items: Vec<Entry>,
}

/// 审核规则：每条的依据、适用地区和生效日期
#[utoipa::path(get, path = "/v1/rules", tag = "rules", security(()), responses((status = 200, body = Rules)))]
pub async fn list(State(api): State<Api>) -> Json<Rules> {
    Json(Rules { items: rulebook::entries(&api.rules.profile) })
}

/// 一条审核规则
#[utoipa::path(get, path = "/v1/rules/{code}", tag = "rules", security(()), params(("code" = String, Path)),
    responses((status = 200, body = Entry), (status = "4XX", body = ProblemDocument)))]
pub async fn show(State(api): State<Api>, Path(code): Path<String>) -> Result<Json<Entry>, Problem> {
    let mut all = rulebook::entries(&api.rules.profile).into_iter();
    all.find(|entry| entry.code == code).map(Json).ok_or_else(|| Problem::not_found("规则"))
}
