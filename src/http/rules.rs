//! `/v1/rules`

use super::{
    Api,
    extract::{Path, Query},
    page::{Cut, Page, PageQuery},
};
use crate::{
    db::{Batch, Sorts},
    error::{Problem, ProblemDocument},
    rulebook::{self, Entry},
};
use axum::{Json, extract::State};

pub(super) const SORTS: Sorts = Sorts { id: "code", numbered: false, by: &[("code", "code")], default: "code" };

/// 审核规则：每条的依据、适用地区和生效日期
#[utoipa::path(get, path = "/v1/rules", tag = "rules", security(()), params(PageQuery),
    responses((status = 200, body = Page<Entry>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(State(api): State<Api>, Query(page): Query<PageQuery>) -> Result<Json<Page<Entry>>, Problem> {
    let cut = Cut::new(&api, "rules", &SORTS, page, &())?;
    let rows = Batch::cut(rulebook::entries(&api.rules.profile), &cut.slice, |rule, _| rule.code.to_owned());
    Ok(Json(cut.page(rows, |rule| rule)))
}

/// 一条审核规则
#[utoipa::path(get, path = "/v1/rules/{code}", tag = "rules", security(()), params(("code" = String, Path)),
    responses((status = 200, body = Entry), (status = "4XX", body = ProblemDocument)))]
pub async fn show(State(api): State<Api>, Path(code): Path<String>) -> Result<Json<Entry>, Problem> {
    let mut all = rulebook::entries(&api.rules.profile).into_iter();
    all.find(|entry| entry.code == code).map(Json).ok_or_else(|| Problem::not_found("规则"))
}
