//! `/v1/usage` and what one machine or server has used.

use super::{
    Api,
    extract::{Caller, Path, Query, content_type, one_of},
    page::{Cut, Page, PageQuery},
    task_books::{department_id, departments},
};
use crate::{
    db::{Batch, Sorts},
    error::{Kind, Problem, ProblemDocument},
    identity::policy::{self, Act},
    ids::DepartmentId,
    machine,
    provider::reading::{Filesystem, Guest},
    server,
    usage::{
        Interval, Window,
        import::{Count, Fault, Imported},
        source::{
            Source,
            service::origin,
            store::{assigned, health},
        },
        store::{self, Filter, Subject},
        summary::{DaySummary, Summary},
    },
};
use axum::{Json, body::Body, extract::State, http::HeaderMap};
use jiff::{Timestamp, ToSpan, civil::Date};
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
    /// What the agent in the guest has told last; `null` where there is none, or it was silent ever since.
    #[schema(required)]
    pub guest: Option<GuestTold>,
}

/// A guest's own word. It is the guest's, not ours.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct GuestTold {
    #[schema(value_type = String, format = DateTime)]
    pub told_at: Timestamp,
    /// User names that are logged in.
    pub logins: Vec<String>,
    pub filesystems: Vec<GuestFilesystem>,
    pub addresses: Vec<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct GuestFilesystem {
    pub mountpoint: String,
    pub total_bytes: i64,
    pub used_bytes: i64,
}

fn told((told_at, guest): (Timestamp, Guest)) -> GuestTold {
    let filesystem = |fs: Filesystem| GuestFilesystem {
        mountpoint: fs.mountpoint,
        total_bytes: fs.total.get(),
        used_bytes: fs.used.get(),
    };
    GuestTold {
        told_at,
        logins: guest.logins,
        filesystems: guest.filesystems.into_iter().map(filesystem).collect(),
        addresses: guest.addresses.iter().map(ToString::to_string).collect(),
    }
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
    let kind = one_of::<store::Kind>("kind", query.kind.as_deref())?;
    let empty = window(&api, query.from, query.to)?;
    let mut conn = api.db.read().await?;
    let department = match query.department {
        Some(key) => Some(department_id(&departments(&mut conn).await?, key)),
        None => None,
    };
    let filter =
        Filter { kind: kind.map(store::Kind::word), scope: scope.as_deref(), department: department.as_deref() };
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
    let guest = store::guest(conn, &subject.id).await?.map(told);
    Ok(SubjectUsageByDay { subject: view(subject, &window), days, guest })
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

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageImportQuery {
    /// Between two samples of one machine; learnt from the file when absent.
    #[param(minimum = 1, maximum = 86400)]
    pub interval_seconds: Option<u32>,
}

/// How often something was refused.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RefusedCount {
    /// `late`, `doubled`, `early`, `future`, `negative`, `not_a_number`, `impossible`, `number_unreadable`,
    /// `time_unreadable`, `name_unreadable`, `unknown_name`, `ambiguous_name`, `fields`, `clock_set`.
    pub cause: &'static str,
    /// As the header calls it; `null` for the whole line.
    #[schema(required)]
    pub column: Option<&'static str>,
    pub count: u64,
    pub first_line: u64,
}

/// One line, or one value of it, that was refused.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RefusedValue {
    /// From 1, which is the header's.
    pub line: u64,
    #[schema(required)]
    pub column: Option<&'static str>,
    pub cause: &'static str,
}

/// What came of a file. All of it is written.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct UsageImport {
    /// Lines that held anything, without the header.
    pub rows: u64,
    /// Machines and servers that the file names and we know.
    pub subjects: u64,
    /// Samples that entered a day.
    pub points: u64,
    /// Days that are over.
    pub days: u64,
    /// Given, or learnt from the file.
    #[schema(required)]
    pub interval_seconds: Option<u32>,
    /// By cause and column.
    pub refused: Vec<RefusedCount>,
    /// The first hundred of them, in the order of the file.
    pub first_refused: Vec<RefusedValue>,
    /// The first names that nobody has, or several.
    pub unknown_names: Vec<String>,
}

impl From<Imported> for UsageImport {
    fn from(imported: Imported) -> Self {
        let Imported { rows, subjects, points, days, interval, faults, strangers } = imported;
        let counts = faults.counts();
        let refused = counts
            .map(|(cause, column, Count { count, first_line })| RefusedCount { cause, column, count, first_line })
            .collect();
        let first = faults.first().into_iter();
        let first_refused = first.map(|Fault { line, column, cause }| RefusedValue { line, column, cause }).collect();
        Self {
            rows,
            subjects,
            points,
            days,
            interval_seconds: interval.map(|interval| interval.as_millis() / 1000),
            refused,
            first_refused,
            unknown_names: strangers,
        }
    }
}

/// 导入历史用量：CSV，可用 gzip 压缩；重复导入不会重复计入
///
/// 首行是表头：`vm`（虚拟机编号或名称）、`ts`（秒），以及 `cores`、`cpu_percent`、`mem_percent`（或 `mem_capacity_kb` 与
/// `mem_used_kb`）、`disk_read_kbps` 与 `disk_write_kbps`、`net_rx_kbps`、`net_tx_kbps` 中的若干列，次序不限。
/// 读不出或不可信的值逐个拒绝并指出行和列，其余照常折算。文件每满 16 MiB 提交一次；中途出错时，应答说明已写到第几行。
#[utoipa::path(post, path = "/v1/usage/import", tag = "usage", params(UsageImportQuery),
    request_body(content = Vec<u8>, content_type = "text/csv"),
    responses((status = 200, body = UsageImport), (status = "4XX", body = ProblemDocument)))]
pub async fn import(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<UsageImportQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<UsageImport>, Problem> {
    policy::scope(&actor, Act::UsageImport)?;
    let kind = content_type(&headers);
    if !matches!(&kind[..], "text/csv" | "application/gzip") {
        return Err(Problem::new(
            Kind::UnsupportedMedia,
            "unsupported_media_type",
            format!("不支持的内容类型 {}；请使用 text/csv，内容可用 gzip 压缩", crate::text::shown(&kind)),
        ));
    }
    let interval = match query.interval_seconds {
        None => None,
        Some(seconds) => Some(
            Interval::seconds(seconds)
                .ok_or_else(|| Problem::malformed("查询参数 interval_seconds 须为 1 至 86400 的整数"))?,
        ),
    };
    let imported = api.importer.import(&actor, interval, body.into_data_stream()).await?;
    Ok(Json(imported.into()))
}

/// How a source of the settings stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct UsageSourceView {
    pub name: String,
    /// `node_exporter`, `windows_exporter`, `snmp`, `kubevirt` or `custom`.
    pub kind: &'static str,
    pub url: String,
    pub interval_seconds: u32,
    /// `ok`; `partial`, where some questions had no answer that can be believed; `failing`; or `waiting` for its first round.
    pub state: &'static str,
    /// The last round of which something came.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub collected_at: Option<Timestamp>,
    /// Of the last round, as a word: `unreachable`, `timed_out`, `untrusted`, `token_unreadable`, `redirected`,
    /// `http_status`, `too_large`, `cut_short`, `garbage`, `refused`, `wrong_type`, `too_many_series`, `future` or `stale`.
    pub failure_code: Option<String>,
    /// The same in Chinese, by what was asked.
    pub failure: Option<String>,
    /// Servers assigned to it.
    pub servers: i64,
    /// Servers and machines that the last round measured.
    pub measured: i64,
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SourcesQuery {
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    pub page_token: Option<String>,
    pub sort: Option<String>,
}

pub(super) const SOURCE_SORTS: Sorts = Sorts { id: "name", numbered: false, by: &[("name", "name")], default: "name" };

/// 用量来源：哪些服务器由它测量，最近一次问得怎样
#[utoipa::path(get, path = "/v1/usage-sources", tag = "usage", params(SourcesQuery),
    responses((status = 200, body = Page<UsageSourceView>), (status = "4XX", body = ProblemDocument)))]
pub async fn sources(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<SourcesQuery>,
) -> Result<Json<Page<UsageSourceView>>, Problem> {
    policy::scope(&actor, Act::UsageSourceRead)?;
    let page = PageQuery { page_size: query.page_size, page_token: query.page_token, sort: query.sort };
    let cut = Cut::new(&api, "usage-sources", &SOURCE_SORTS, page, &())?;
    let mut conn = api.db.read().await?;
    let (health, assigned) = (health(&mut conn).await?, assigned(&mut conn).await?);
    let of = |source: &Source| {
        let health = health.get(&origin(&source.name)).cloned().unwrap_or_default();
        let (failure_code, failure) = health.failure.unzip();
        UsageSourceView {
            name: source.name.clone(),
            kind: source.kind.word(),
            url: source.url.clone(),
            interval_seconds: source.interval.as_millis() / 1000,
            state: match (&failure_code, health.measured) {
                (None, _) if health.collected_at.is_none() => "waiting",
                (None, _) => "ok",
                (Some(_), Some(_)) => "partial",
                (Some(_), None) => "failing",
            },
            collected_at: health.collected_at,
            failure_code,
            failure,
            servers: assigned.get(&source.name).copied().unwrap_or_default(),
            measured: health.measured.unwrap_or_default(),
        }
    };
    let rows: Vec<_> = api.sources.iter().map(of).collect();
    Ok(Json(cut.page(Batch::cut(rows, &cut.slice, |row, _| row.name.clone()), |row| row)))
}
