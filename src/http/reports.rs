//! `/v1/reports`

use super::{
    Api,
    extract::{Caller, Path, Query},
    page::{Cut, Page, PageQuery},
    task_books::{department_id, departments},
    verdicts::department,
};
use crate::{
    error::{Problem, ProblemDocument},
    identity::{
        Department,
        policy::{self, Act, Scope},
    },
    ids::ReportId,
    report::{
        capacity::CapacityReport,
        idle::IdleReport,
        paper,
        rooms::{self, RoomsReport},
        service::{ReportError, put},
        store::{self, Filter, Made, Paper},
    },
    time,
    usage::judging::service::Keep,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use jiff::{Timestamp, civil::Date};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use tokio::task::spawn_blocking;

/// What a file of it is called.
const IDLE: &str = "闲置资源报告";
const ROOMS: &str = "机房关停进展";
const CAPACITY: &str = "容量报告";

/// How a report is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Json,
    Csv,
    Xlsx,
}

impl Format {
    /// What the query says, else what the header does; JSON where neither does.
    fn of(asked: Option<Self>, headers: &HeaderMap) -> Self {
        let accepts = |kind: &str| {
            headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|value| {
                value.split(',').any(|one| one.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(kind))
            })
        };
        asked.unwrap_or_else(|| match () {
            () if accepts("application/json") => Self::Json,
            () if accepts(paper::XLSX) => Self::Xlsx,
            () if accepts(paper::CSV) => Self::Csv,
            () => Self::Json,
        })
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
        }
    }

    fn answer(self, title: &str, as_of: Date, paper: Paper) -> Response {
        let (kind, bytes) = match self {
            Self::Json => return ([(header::CONTENT_TYPE, "application/json")], paper.document).into_response(),
            Self::Csv => ("text/csv; charset=utf-8", paper.csv),
            Self::Xlsx => (paper::XLSX, paper.xlsx),
        };
        let name = format!("{title} {as_of}.{}", self.suffix());
        let name = utf8_percent_encode(&name, NON_ALPHANUMERIC);
        let headers = [
            (header::CONTENT_TYPE, kind.to_owned()),
            (header::CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{name}")),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        ];
        (headers, bytes).into_response()
    }
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct IdleQuery {
    /// The day at whose end it was so; yesterday when absent. It has to be over.
    #[param(value_type = Option<String>, format = Date)]
    pub as_of: Option<Date>,
    /// The department's code or id; all when absent, and a project team's own in any case.
    pub department: Option<String>,
    /// `json`, `csv` or `xlsx`; what `Accept` names when absent.
    #[param(inline)]
    pub format: Option<Format>,
}

/// 闲置资源报告，任何一天都可以再要，内容不变
#[utoipa::path(get, path = "/v1/reports/idle", tag = "reports", params(IdleQuery),
    responses((status = 200, content((IdleReport = "application/json"), (String = "text/csv"),
        (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"))),
        (status = "4XX", body = ProblemDocument)))]
pub async fn idle(
    State(api): State<Api>,
    Caller(actor): Caller,
    headers: HeaderMap,
    Query(query): Query<IdleQuery>,
) -> Result<Response, Problem> {
    let department = department(&api, &actor, Act::ReportRead, query.department.as_deref()).await?;
    let as_of = query.as_of.unwrap_or_else(|| api.judges.yesterday());
    let report = api.reports.idle(as_of, department.as_ref(), Keep::Yes).await?;
    let format = Format::of(query.format, &headers);
    if format == Format::Json {
        return Ok(Json(report).into_response());
    }
    let paper = spawn_blocking(move || put(&report)).await.map_err(ReportError::from)??;
    Ok(format.answer(IDLE, as_of, paper))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RoomsReportQuery {
    /// The day at whose end it was so; today, as it is so far, when absent.
    #[param(value_type = Option<String>, format = Date)]
    pub as_of: Option<Date>,
    /// The department's code or id; all when absent, and a project team's own in any case.
    pub department: Option<String>,
    /// `json`, `csv` or `xlsx`; what `Accept` names when absent.
    #[param(inline)]
    pub format: Option<Format>,
}

/// 机房关停进展：多少已上云，哪些机房会逾期、为什么；过去任何一天什么时候要都一样
#[utoipa::path(get, path = "/v1/reports/rooms", tag = "reports", params(RoomsReportQuery),
    responses((status = 200, content((RoomsReport = "application/json"), (String = "text/csv"),
        (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"))),
        (status = "4XX", body = ProblemDocument)))]
pub async fn rooms(
    State(api): State<Api>,
    Caller(actor): Caller,
    headers: HeaderMap,
    Query(query): Query<RoomsReportQuery>,
) -> Result<Response, Problem> {
    let department = department(&api, &actor, Act::ReportRead, query.department.as_deref()).await?;
    let today = api.estates.today();
    let as_of = query.as_of.unwrap_or(today);
    let scope = department.as_ref().map_or(Scope::All, |department| Scope::Department(department.id));
    let (progress, mut deadlines) = api.estates.progress(as_of, scope).await?;
    if department.is_some() {
        // The register is the district's, whoever has to do what in it.
        deadlines.clear();
    }
    let format = Format::of(query.format, &headers);
    let profile = std::sync::Arc::clone(&api.estates.profile);
    let made = spawn_blocking(move || {
        let head = rooms::Head { as_of, is_final: as_of < today, profile: &profile, department: department.as_ref() };
        let report = rooms::report(&head, progress, deadlines);
        let paper = match format {
            Format::Json => return Ok((Some(report), Paper::default())),
            Format::Csv => Paper { csv: paper::rooms_csv(&report)?, ..Paper::default() },
            Format::Xlsx => Paper { xlsx: paper::rooms_workbook(&report)?, ..Paper::default() },
        };
        Ok::<_, paper::PaperError>((None, paper))
    });
    match made.await.map_err(Problem::internal)?.map_err(Problem::internal)? {
        (Some(report), _) => Ok(Json(report).into_response()),
        (None, paper) => Ok(format.answer(ROOMS, as_of, paper)),
    }
}

/// 容量：各网络区域、各宿主机实有、可用、申请、批准、分配、实测各多少，照现在的增速还能用几天，有什么要人办
#[utoipa::path(get, path = "/v1/reports/capacity", tag = "reports", params(FormatQuery),
    responses((status = 200, content((CapacityReport = "application/json"), (String = "text/csv"),
        (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"))),
        (status = "4XX", body = ProblemDocument)))]
pub async fn capacity(
    State(api): State<Api>,
    Caller(actor): Caller,
    headers: HeaderMap,
    Query(query): Query<FormatQuery>,
) -> Result<Response, Problem> {
    policy::scope(&actor, Act::CapacityRead)?;
    let seen = api.capacities.now().await?;
    let format = Format::of(query.format, &headers);
    if format == Format::Json {
        return Ok(Json(&seen.report).into_response());
    }
    let as_of = time::civil(seen.report.changed_at);
    let paper = spawn_blocking(move || match format {
        Format::Xlsx => paper::capacity_workbook(&seen.report).map(|xlsx| Paper { xlsx, ..Paper::default() }),
        _ => paper::capacity_csv(&seen.report).map(|csv| Paper { csv, ..Paper::default() }),
    });
    let paper = paper.await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    Ok(format.answer(CAPACITY, as_of, paper))
}

/// A report that was made and is kept.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ReportView {
    #[schema(value_type = String, format = Uuid)]
    pub id: ReportId,
    /// `idle`
    pub kind: String,
    #[schema(value_type = String, format = Date)]
    pub as_of: Date,
    /// `null`: of all departments.
    #[schema(required)]
    pub department: Option<Department>,
    #[schema(value_type = String, format = DateTime)]
    pub made_at: Timestamp,
}

impl ReportView {
    fn of(made: Made, departments: &HashMap<String, Department>) -> Self {
        Self {
            id: made.id,
            kind: made.kind,
            as_of: made.as_of,
            department: made.department.and_then(|id| departments.get(&id.text()).cloned()),
            made_at: made.made_at,
        }
    }
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReportsQuery {
    /// The department's code or id.
    pub department: Option<String>,
    #[param(value_type = Option<String>, format = Date)]
    pub as_of: Option<Date>,
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    pub page_token: Option<String>,
    pub sort: Option<String>,
}

/// 每月自动生成、留存的报告
#[utoipa::path(get, path = "/v1/reports", tag = "reports", params(ReportsQuery),
    responses((status = 200, body = Page<ReportView>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<ReportsQuery>,
) -> Result<Json<Page<ReportView>>, Problem> {
    let scope = policy::scope(&actor, Act::ReportRead)?.filter();
    let mut conn = api.db.read().await?;
    let departments = departments(&mut conn).await?;
    let (department, as_of) =
        (query.department.map(|key| department_id(&departments, key)), query.as_of.map(|day| day.to_string()));
    let filter = Filter { scope: scope.as_deref(), department: department.as_deref(), as_of: as_of.as_deref() };
    let page = PageQuery { page_size: query.page_size, page_token: query.page_token, sort: query.sort };
    let cut = Cut::new(&api, "reports", &store::SORTS, page, &filter)?;
    let made = store::list(&mut conn, &filter, &cut.slice).await?;
    Ok(Json(cut.page(made, |made| ReportView::of(made, &departments))))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FormatQuery {
    /// `json`, `csv` or `xlsx`; what `Accept` names when absent.
    #[param(inline)]
    pub format: Option<Format>,
}

/// 一份留存的报告，一字节不差
#[utoipa::path(get, path = "/v1/reports/{id}", tag = "reports", params(("id" = String, Path), FormatQuery),
    responses((status = 200, content((IdleReport = "application/json"), (String = "text/csv"),
        (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"))),
        (status = "4XX", body = ProblemDocument)))]
pub async fn show(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    Query(query): Query<FormatQuery>,
) -> Result<Response, Problem> {
    let scope = policy::scope(&actor, Act::ReportRead)?.filter();
    let mut conn = api.db.read().await?;
    let (made, paper) =
        store::find(&mut conn, &id, scope.as_deref()).await?.ok_or_else(|| Problem::not_found("报告"))?;
    Ok(Format::of(query.format, &headers).answer(IDLE, made.as_of, paper))
}
