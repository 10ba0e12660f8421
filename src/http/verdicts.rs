//! What machines were judged to be, what is advised of them, and what their owners agree to.

use super::{
    Api,
    extract::{Caller, Document, Path, Query, one_of},
    page::{Cut, Page, PageQuery},
    task_books::{department_id, departments},
};
use crate::{
    db::{Batch, Sorts},
    error::{Problem, ProblemDocument},
    identity::{
        Actor,
        policy::{self, Act},
    },
    ids::VerdictId,
    machine,
    report::idle::{Advised, advised},
    usage::{
        judging::{
            Agreement, Evidence, Kept,
            service::{Keep, NewAgreement},
            store::{self, Filter},
        },
        verdict::Verdict,
    },
};
use axum::{Json, extract::State};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VerdictsQuery {
    /// A day that is over; all days that were judged when absent. One that was not judged yet is judged now, and kept.
    #[param(value_type = Option<String>, format = Date)]
    pub day: Option<Date>,
    /// `busy`, `low`, `idle`, `unknown` or `exempt`.
    pub verdict: Option<String>,
    /// Only machines that may be proposed for reclaim.
    #[serde(default)]
    pub eligible: bool,
    /// The department's code or id.
    pub department: Option<String>,
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    pub page_token: Option<String>,
    pub sort: Option<String>,
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AdviceQuery {
    /// A day that is over; yesterday when absent.
    #[param(value_type = Option<String>, format = Date)]
    pub day: Option<Date>,
    /// The department's code or id.
    pub department: Option<String>,
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    pub page_token: Option<String>,
    pub sort: Option<String>,
}

/// A verdict that is kept, with all that it rests on.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct VerdictView {
    #[schema(value_type = String, format = Uuid)]
    pub id: VerdictId,
    #[schema(value_type = String, format = Date)]
    pub day: Date,
    #[serde(flatten)]
    pub evidence: Evidence,
}

impl From<Kept> for VerdictView {
    fn from(kept: Kept) -> Self {
        Self { id: kept.id, day: kept.day, evidence: kept.evidence }
    }
}

/// 判定：每台虚拟机每天一条，留存后不再改变
#[utoipa::path(get, path = "/v1/verdicts", tag = "verdicts", params(VerdictsQuery),
    responses((status = 200, body = Page<VerdictView>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<VerdictsQuery>,
) -> Result<Json<Page<VerdictView>>, Problem> {
    let scope = policy::scope(&actor, Act::VerdictRead)?.filter();
    one_of::<Verdict>("verdict", query.verdict.as_deref())?;
    if let Some(day) = query.day {
        api.judges.judge(day, Keep::Yes).await?;
    }
    let mut conn = api.db.read().await?;
    let department = match query.department {
        Some(key) => Some(department_id(&departments(&mut conn).await?, key)),
        None => None,
    };
    let day = query.day.map(|day| day.to_string());
    let filter = Filter {
        scope: scope.as_deref(),
        department: department.as_deref(),
        day: day.as_deref(),
        verdict: query.verdict.as_deref(),
        subject: None,
        eligible: query.eligible,
    };
    let page = PageQuery { page_size: query.page_size, page_token: query.page_token, sort: query.sort };
    let cut = Cut::new(&api, "verdicts", &store::SORTS, page, &filter)?;
    let kept = store::list(&mut conn, &filter, &cut.slice).await?;
    Ok(Json(cut.page(kept, VerdictView::from)))
}

/// 一台虚拟机历次的判定，最近的在前
#[utoipa::path(get, path = "/v1/machines/{id}/verdicts", tag = "verdicts", params(("id" = String, Path), PageQuery),
    responses((status = 200, body = Page<VerdictView>), (status = "4XX", body = ProblemDocument)))]
pub async fn of_machine(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<VerdictView>>, Problem> {
    let scope = policy::scope(&actor, Act::VerdictRead)?.filter();
    let mut conn = api.db.read().await?;
    let machine = machine::store::find(&mut conn, &id, scope.as_deref()).await?;
    let subject = machine.ok_or_else(|| Problem::not_found("虚拟机"))?.id.text();
    let filter = Filter { scope: scope.as_deref(), subject: Some(&subject), ..Filter::default() };
    let cut = Cut::new(&api, "machine-verdicts", &store::SORTS, page, &filter)?;
    let kept = store::list(&mut conn, &filter, &cut.slice).await?;
    Ok(Json(cut.page(kept, VerdictView::from)))
}

pub(super) const ADVICE_SORTS: Sorts =
    Sorts { id: "id", numbered: false, by: &[("name", "name"), ("department", "department")], default: "name" };

/// 规格建议：按实际用量，哪些该缩小、扩大，哪些从未使用
#[utoipa::path(get, path = "/v1/usage/advice", tag = "verdicts", params(AdviceQuery),
    responses((status = 200, body = Page<Advised>), (status = "4XX", body = ProblemDocument)))]
pub async fn advice(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<AdviceQuery>,
) -> Result<Json<Page<Advised>>, Problem> {
    let scope = policy::scope(&actor, Act::VerdictRead)?;
    let department = match query.department {
        Some(key) => Some(department_id(&departments(&mut *api.db.read().await?).await?, key)),
        None => None,
    };
    let day = query.day.unwrap_or_else(|| api.judges.yesterday());
    let page = PageQuery { page_size: query.page_size, page_token: query.page_token, sort: query.sort };
    let cut = Cut::new(&api, "usage-advice", &ADVICE_SORTS, page, &(scope.filter(), &department, day))?;
    let judged = api.judges.lines(day, scope.filter().as_deref(), Keep::Yes).await?;
    let all: Vec<Advised> = judged
        .iter()
        .filter(|line| department.as_ref().is_none_or(|id| line.subject().department.id.text() == *id))
        .flat_map(|line| advised(line.subject(), line.advice()))
        .collect();
    let batch = Batch::cut(all, &cut.slice, |advised, column| match column {
        "name" => advised.name.clone(),
        "department" => advised.department.code.clone(),
        _ => format!("{} {}", advised.id, advised.advice.resource.word()),
    });
    Ok(Json(cut.page(batch, |advised| advised)))
}

/// 建设单位同意收回：到期前，这台虚拟机判为闲置就可以收回
#[utoipa::path(post, path = "/v1/machines/{id}/agree-reclaim", tag = "verdicts", params(("id" = String, Path)),
    request_body = NewAgreement,
    responses((status = 200, body = Agreement), (status = "4XX", body = ProblemDocument)))]
pub async fn agree(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<NewAgreement>,
) -> Result<Json<Agreement>, Problem> {
    Ok(Json(api.judges.agree(&actor, &id, document.value).await?))
}

/// 撤回同意
#[utoipa::path(post, path = "/v1/machines/{id}/withdraw-reclaim", tag = "verdicts", params(("id" = String, Path)),
    responses((status = 200, body = Agreement), (status = "4XX", body = ProblemDocument)))]
pub async fn withdraw(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<Agreement>, Problem> {
    Ok(Json(api.judges.withdraw(&actor, &id).await?))
}

/// The department that a caller may ask for: its own, or whichever is named.
pub(super) async fn department(
    api: &Api,
    actor: &Actor,
    act: Act,
    named: Option<&str>,
) -> Result<Option<crate::identity::Department>, Problem> {
    let scope = policy::scope(actor, act)?;
    let all = departments(&mut *api.db.read().await?).await?;
    let id = match (scope.filter(), named) {
        (own, Some(key)) => {
            let id = department_id(&all, key.to_owned());
            if own.is_some_and(|own| own != id) {
                return Err(Problem::not_found("建设单位"));
            }
            id
        }
        (Some(own), None) => own,
        (None, None) => return Ok(None),
    };
    all.get(&id).cloned().map(Some).ok_or_else(|| Problem::not_found("建设单位"))
}
