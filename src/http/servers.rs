//! `/v1/servers`

use super::{
    Api,
    extract::{Caller, Document, Path, Query},
    location,
    page::{Cut, Page, PageQuery},
    tag::{IfMatch, Patch, clearable, present},
    task_books::{department_id, departments},
};
use crate::{
    error::{Problem, ProblemDocument},
    identity::{
        Department,
        policy::{self, Act},
        service::find_department,
    },
    ids::ServerId,
    migration::{estate::Estate, said::Said},
    server::{
        Facts, Place, Server, service,
        store::{self, Filter, SORTS},
        survey::Hardware,
    },
    usage::source::service::{MOST_DAYS, replay as replay_of},
};
use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ServerView {
    #[schema(value_type = String, format = Uuid)]
    pub id: ServerId,
    /// Unique within the department.
    pub name: String,
    pub department: Option<Department>,
    pub cores: Option<u32>,
    pub memory_bytes: Option<i64>,
    /// The source that measures it, as named in the settings.
    pub source: Option<String>,
    /// What the source calls it.
    pub instance: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The room that the survey found it in; null, as what follows, of one that is not in the survey.
    #[schema(required)]
    pub room: Option<String>,
    #[schema(required)]
    pub hardware: Option<Hardware>,
    /// What proves that it is off.
    #[schema(required)]
    pub off: Option<Said>,
}

impl ServerView {
    fn of(server: Server, departments: &HashMap<String, Department>, estate: &Estate) -> Self {
        let place = server.facts.measured;
        let surveyed = estate.servers.get(&server.id);
        Self {
            room: surveyed.and_then(|surveyed| estate.rooms.get(&surveyed.room)).map(|room| room.name.clone()),
            hardware: surveyed.map(|surveyed| surveyed.hardware.clone()),
            off: surveyed.and_then(|surveyed| surveyed.off.clone()),
            id: server.id,
            name: server.facts.name,
            department: departments.get(&server.department.text()).cloned(),
            cores: server.facts.cores,
            memory_bytes: server.facts.memory_bytes,
            source: place.as_ref().map(|place| place.source.clone()),
            instance: place.map(|place| place.instance),
            created_at: server.created_at,
        }
    }
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewServer {
    #[schema(example = "档案库旧服务器")]
    pub name: String,
    /// The department's code or id.
    #[schema(example = "mzj")]
    pub department: String,
    #[schema(minimum = 1, maximum = 65536)]
    pub cores: Option<u32>,
    #[schema(minimum = 1)]
    pub memory_bytes: Option<i64>,
    /// The source that measures it, as named in the settings; with `instance` or not at all.
    pub source: Option<String>,
    /// What the source calls it.
    pub instance: Option<String>,
}

fn sources(api: &Api) -> Vec<&str> {
    api.sources.iter().map(|source| source.name.as_str()).collect()
}

/// Both or neither.
fn place(source: Option<String>, instance: Option<String>) -> Result<Option<Place>, Problem> {
    match (source, instance) {
        (Some(source), Some(instance)) => Ok(Some(Place { source, instance })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(Problem::malformed("/instance: source 与 instance 要写就都写")),
        (None, Some(_)) => Err(Problem::malformed("/source: source 与 instance 要写就都写")),
    }
}

/// 登记一台原有的服务器
#[utoipa::path(post, path = "/v1/servers", tag = "servers", request_body = NewServer,
    responses((status = 201, body = ServerView), (status = "4XX", body = ProblemDocument)))]
pub async fn create(
    State(api): State<Api>,
    Caller(actor): Caller,
    document: Document<NewServer>,
) -> Result<impl IntoResponse, Problem> {
    policy::scope(&actor, Act::ServerCreate)?;
    let new = document.value;
    let measured = place(new.source, new.instance)?;
    let facts = Facts { name: new.name, cores: new.cores, memory_bytes: new.memory_bytes, measured };
    let facts = facts.checked(&sources(&api), None)?;
    let department = find_department(&api.db, &actor, &new.department).await?;
    let server = service::create(&api.db, &actor, &department, facts).await?;
    let known = HashMap::from([(department.id.text(), department)]);
    let path = format!("/v1/servers/{}", server.id);
    Ok((StatusCode::CREATED, location(&path), Json(ServerView::of(server, &known, &*api.estates.now().await?))))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ServersQuery {
    /// The code of one, or its id.
    pub department: Option<String>,
    /// The whole name.
    pub name: Option<String>,
    /// Only those that this source measures.
    pub source: Option<String>,
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    pub page_token: Option<String>,
    pub sort: Option<String>,
}

/// 原有的服务器列表
#[utoipa::path(get, path = "/v1/servers", tag = "servers", params(ServersQuery),
    responses((status = 200, body = Page<ServerView>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<ServersQuery>,
) -> Result<Json<Page<ServerView>>, Problem> {
    let scope = policy::scope(&actor, Act::ServerRead)?.filter();
    let mut conn = api.db.read().await?;
    let departments = departments(&mut conn).await?;
    let department = query.department.map(|key| department_id(&departments, key));
    let filter = Filter {
        scope: scope.as_deref(),
        department: department.as_deref(),
        name: query.name.as_deref(),
        source: query.source.as_deref(),
    };
    let page = PageQuery { page_size: query.page_size, page_token: query.page_token, sort: query.sort };
    let cut = Cut::new(&api, "servers", &SORTS, page, &filter)?;
    let servers = store::list(&mut conn, &filter, &cut.slice).await?;
    drop(conn);
    let estate = api.estates.now().await?;
    Ok(Json(cut.page(servers, |server| ServerView::of(server, &departments, &estate))))
}

/// 查看一台原有的服务器
#[utoipa::path(get, path = "/v1/servers/{id}", tag = "servers", params(("id" = String, Path)),
    responses((status = 200, body = ServerView), (status = "4XX", body = ProblemDocument)))]
pub async fn show(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<ServerView>, Problem> {
    let scope = policy::scope(&actor, Act::ServerRead)?.filter();
    let mut conn = api.db.read().await?;
    let server = store::find(&mut conn, &id, scope.as_deref()).await?.ok_or_else(|| Problem::not_found("服务器"))?;
    let departments = departments(&mut conn).await?;
    drop(conn);
    Ok(Json(ServerView::of(server, &departments, &*api.estates.now().await?)))
}

/// What of a server can be changed; null takes away what is optional.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(clippy::option_option, reason = "absent, null and a value are three things in a merge patch")]
pub struct ServerPatch {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false, example = "档案库旧服务器")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<u32>, required = false, minimum = 1, maximum = 65536)]
    pub cores: Option<Option<u32>>,
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<i64>, required = false, minimum = 1)]
    pub memory_bytes: Option<Option<i64>>,
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<String>, required = false)]
    pub source: Option<Option<String>>,
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<String>, required = false)]
    pub instance: Option<Option<String>>,
}

impl ServerPatch {
    fn on(self, facts: Facts) -> Result<Facts, Problem> {
        let (source, instance) = facts.measured.map(|place| (place.source, place.instance)).unzip();
        Ok(Facts {
            name: self.name.unwrap_or(facts.name),
            cores: self.cores.unwrap_or(facts.cores),
            memory_bytes: self.memory_bytes.unwrap_or(facts.memory_bytes),
            measured: place(self.source.unwrap_or(source), self.instance.unwrap_or(instance))?,
        })
    }
}

/// 修改一台原有的服务器：名称、规格、在哪里测量
#[utoipa::path(patch, path = "/v1/servers/{id}", tag = "servers",
    params(("id" = String, Path), ("If-Match" = String, Header, description = "查询时的 ETag，或 *")),
    request_body(content = ServerPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = ServerView), (status = "4XX", body = ProblemDocument)))]
pub async fn change(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    seen: IfMatch,
    Patch(patch): Patch<ServerPatch>,
) -> Result<Json<ServerView>, Problem> {
    let scope = policy::scope(&actor, Act::ServerChange)?.filter();
    let mut conn = api.db.read().await?;
    let absent = || Problem::not_found("服务器");
    let known = store::find(&mut conn, &id, scope.as_deref()).await?.ok_or_else(absent)?;
    // The version first: what is looked at after it is not older.
    let revision = store::revision(&mut conn, known.id).await?.unwrap_or_default();
    let server = store::find(&mut conn, &id, scope.as_deref()).await?.ok_or_else(absent)?;
    let departments = departments(&mut conn).await?;
    drop(conn);
    seen.check(&ServerView::of(server.clone(), &departments, &*api.estates.now().await?))?;
    let facts = patch.on(server.facts.clone())?.checked(&sources(&api), server.facts.measured.as_ref())?;
    let changed = service::change(&api.db, &actor, &server, facts, revision).await?;
    Ok(Json(ServerView::of(changed, &departments, &*api.estates.now().await?)))
}

/// 从来源补读过去的用量：起止日期，含两端
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    /// The day under way and what comes after it are left out.
    #[schema(value_type = String, format = Date)]
    pub to: Date,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ReplayView {
    /// Days of which the source had samples.
    pub days_found: usize,
    /// Days of which nothing was known before; repeated, none.
    pub days_written: usize,
}

/// 从来源补读一台服务器过去的用量；重复补读不改变什么
#[utoipa::path(post, path = "/v1/servers/{id}/replay-usage", tag = "servers", params(("id" = String, Path)),
    request_body = Replay,
    responses((status = 200, body = ReplayView), (status = "4XX", body = ProblemDocument)))]
pub async fn replay(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<Replay>,
) -> Result<Json<ReplayView>, Problem> {
    let scope = policy::scope(&actor, Act::ServerReplay)?.filter();
    let mut conn = api.db.read().await?;
    let server = store::find(&mut conn, &id, scope.as_deref()).await?.ok_or_else(|| Problem::not_found("服务器"))?;
    drop(conn);
    let Replay { from, to } = document.value;
    let days = i64::from(from.until(to).map_err(|_| Problem::malformed("/to: 日期相隔太远"))?.get_days());
    if !(0..MOST_DAYS).contains(&days) {
        return Err(Problem::malformed(format!("/to: 不能早于 from，一次最多 {MOST_DAYS} 天")));
    }
    let place = server.facts.measured.as_ref();
    let source = api.sources.iter().find(|source| place.is_some_and(|place| place.source == source.name));
    let Some(source) = source else {
        let detail = "这台服务器没有用量来源，或来源已不在配置文件里；先用 jiyue server set 指明";
        return Err(Problem::conflict("server_unmeasured", detail));
    };
    let done = replay_of(&api.db, &actor, source, &server, (from, to)).await?;
    Ok(Json(ReplayView { days_found: done.found, days_written: done.written }))
}
