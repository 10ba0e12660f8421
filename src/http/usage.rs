//! `/v1/usage` and what one machine or server has used.

use super::{
    Api,
    extract::{Caller, Path, Query, one_of},
    page::{Cut, Page, PageQuery},
    task_books::{department_id, departments},
};
use crate::{
    error::{Problem, ProblemDocument},
    identity::policy::{self, Act},
    ids::DepartmentId,
    machine, server,
    usage::{
        Window,
        store::{self, Filter, Kind, Subject},
        summary::{DaySummary, Summary},
    },
};
use axum::{Json, extract::State};
use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

/// Days of a window that nobody has named.
const DAYS: i64 = 30;
/// The longest window: a year and a month, so that a month can be held against the same one a year before.
const MOST_DAYS: i64 = 400;

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// `machine` or `server`; both when absent.
    pub kind: Option<String>,
    /// The code of one.
    pub department: Option<String>,
    /// The first day; 29 days before `to` when absent.
    #[param(value_type = Option<String>, format = Date)]
    pub from: Option<Date>,
    /// The last day; today when absent.
    #[param(value_type = Option<String>, format = Date)]
    pub to: Option<Date>,
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    pub page_token: Option<String>,
    pub sort: Option<String>,
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DaysQuery {
    /// The first day; 29 days before `to` when absent.
    #[param(value_type = Option<String>, format = Date)]
    pub from: Option<Date>,
    /// The last day; today when absent.
    #[param(value_type = Option<String>, format = Date)]
    pub to: Option<Date>,
}

/// A machine or a server, and what it has used.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SubjectUsage {
    /// `machine` or `server` (legacy).
    pub kind: &'static str,
    #[schema(value_type = String, format = Uuid)]
    pub id: String,
    pub name: String,
    #[schema(value_type = String, format = Uuid)]
    pub department_id: DepartmentId,
    /// Of a server, where it is registered.
    pub vcpu: Option<u32>,
    pub memory_bytes: Option<i64>,
    pub usage: Summary,
}

/// As in the list, and day by day.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SubjectUsageByDay {
    #[serde(flatten)]
    pub subject: SubjectUsage,
    /// Days with samples.
    pub days: Vec<DaySummary>,
}

fn window(api: &Api, from: Option<Date>, to: Option<Date>) -> Result<Window, Problem> {
    let to = to.unwrap_or_else(|| api.db.clock().today());
    let earliest = |days: i64| to.checked_sub((days - 1).days()).unwrap_or(Date::MIN);
    let from = from.unwrap_or_else(|| earliest(DAYS));
    if from < earliest(MOST_DAYS) {
        return Err(Problem::malformed(format!("查询参数 from 与 to 相隔须在 {MOST_DAYS} 天以内")));
    }
    Window::new(from, to).ok_or_else(|| Problem::malformed("查询参数 from 不能晚于 to"))
}

fn view(subject: Subject, window: &Window) -> SubjectUsage {
    let Subject { kind, id, name, department, vcpu, memory_bytes } = subject;
    SubjectUsage { kind: kind.word(), id, name, department_id: department, vcpu, memory_bytes, usage: window.into() }
}

/// 各虚拟机、服务器实际用了多少
#[utoipa::path(get, path = "/v1/usage", tag = "usage", params(UsageQuery),
    responses((status = 200, body = Page<SubjectUsage>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<UsageQuery>,
) -> Result<Json<Page<SubjectUsage>>, Problem> {
    let scope = policy::scope(&actor, Act::UsageRead)?.filter();
    let kind = one_of::<Kind>("kind", query.kind.as_deref())?;
    let empty = window(&api, query.from, query.to)?;
    let mut conn = api.db.read().await?;
    let department = match query.department {
        Some(key) => Some(department_id(&departments(&mut conn).await?, key)),
        None => None,
    };
    let filter = Filter { kind: kind.map(Kind::word), scope: scope.as_deref(), department: department.as_deref() };
    let page = PageQuery { page_size: query.page_size, page_token: query.page_token, sort: query.sort };
    let cut = Cut::new(&api, "usage", &store::SORTS, page, &(&filter, empty.from(), empty.to()))?;
    let subjects = store::subjects(&mut conn, &filter, &cut.slice).await?;
    let ids: Vec<String> = subjects.items.iter().map(|subject| subject.id.clone()).collect();
    let mut days = store::days(&mut conn, &ids, empty.from(), empty.to()).await?;
    Ok(Json(cut.page(subjects, |subject| {
        let mut window = empty.clone();
        for day in days.remove(&subject.id).unwrap_or_default() {
            window.add(&day);
        }
        view(subject, &window)
    })))
}

async fn by_day(conn: &mut AnyConnection, subject: Subject, mut window: Window) -> Result<SubjectUsageByDay, Problem> {
    let days = store::days(conn, std::slice::from_ref(&subject.id), window.from(), window.to()).await?;
    for day in days.into_values().flatten() {
        window.add(&day);
    }
    let days = window.days().iter().map(DaySummary::from).collect();
    Ok(SubjectUsageByDay { subject: view(subject, &window), days })
}

/// 一台虚拟机逐日用了多少
#[utoipa::path(get, path = "/v1/machines/{id}/usage", tag = "usage", params(("id" = String, Path), DaysQuery),
    responses((status = 200, body = SubjectUsageByDay), (status = "4XX", body = ProblemDocument)))]
pub async fn of_machine(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    Query(query): Query<DaysQuery>,
) -> Result<Json<SubjectUsageByDay>, Problem> {
    let scope = policy::scope(&actor, Act::UsageRead)?.filter();
    let window = window(&api, query.from, query.to)?;
    let mut conn = api.db.read().await?;
    let machine = machine::store::find(&mut conn, &id, scope.as_deref()).await?;
    let machine = machine.ok_or_else(|| Problem::not_found("虚拟机"))?;
    Ok(Json(by_day(&mut conn, (&machine).into(), window).await?))
}

/// 一台原有的服务器逐日用了多少
#[utoipa::path(get, path = "/v1/servers/{id}/usage", tag = "usage", params(("id" = String, Path), DaysQuery),
    responses((status = 200, body = SubjectUsageByDay), (status = "4XX", body = ProblemDocument)))]
pub async fn of_server(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    Query(query): Query<DaysQuery>,
) -> Result<Json<SubjectUsageByDay>, Problem> {
    let scope = policy::scope(&actor, Act::UsageRead)?.filter();
    let window = window(&api, query.from, query.to)?;
    let mut conn = api.db.read().await?;
    let server = server::store::find(&mut conn, &id, scope.as_deref()).await?;
    let server = server.ok_or_else(|| Problem::not_found("服务器"))?;
    Ok(Json(by_day(&mut conn, (&server).into(), window).await?))
}
