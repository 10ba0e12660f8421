//! `/v1/machines`

use super::{
    Api,
    extract::{Caller, Document, Path, Query, identifier, keys, one_of},
    location, operations,
    page::{Cut, Page, PageQuery},
    tag::{IfMatch, Patch, present},
    task_books::{department_id, departments},
};
use crate::{
    capacity::{Host, standing::Contact, store as capacity_store},
    error::{Problem, ProblemDocument},
    identity::{
        Actor, Department,
        policy::{self, Act},
    },
    ids::{MachineId, OperationId, RequestId},
    labels::Zone,
    machine::{
        Machine,
        change::{NewLeaseEnd, NewSize},
        credentials::{self, Credentials},
        image::Image,
        journey::Target,
        lifecycle,
        name::{self, Registration},
        store::{self, Filter},
    },
    operation::{self, Kind},
};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use std::collections::{HashMap, HashSet};

/// What is said of a machine whose host does not answer.
const UNKNOWN: &str = "unknown";

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MachineView {
    /// Also the UUID of the libvirt domain.
    #[schema(value_type = String, format = Uuid)]
    pub id: MachineId,
    pub name: String,
    pub fqdn: Option<String>,
    /// `building`, `running`, `stopped`, `in_bin` or `undone`; `unknown` while its host does not answer: it may well run,
    /// and nothing is given up of it.
    pub state: &'static str,
    /// What it was when its host was last heard of; the same as `state` otherwise.
    pub last_known_state: &'static str,
    #[schema(value_type = Option<String>, format = Uuid)]
    pub operation_id: Option<OperationId>,
    /// Absent for project teams: which host carries a machine is the operators' business.
    pub host: Option<String>,
    pub zone: &'static str,
    /// On a cluster's pod network the cluster gives it, another one at each start; empty until it has.
    pub address: String,
    pub mac: String,
    pub vcpu: u32,
    pub memory_bytes: i64,
    pub disk_bytes: i64,
    /// The image's own name, which says what it is.
    pub image: String,
    pub os_type: String,
    /// True when the image only stands in for the operating system asked for.
    pub stand_in: bool,
    #[schema(value_type = String, format = Uuid)]
    pub request_id: RequestId,
    pub department: Option<Department>,
    #[schema(value_type = String, format = Date)]
    pub lease_end: Date,
    /// 运维单位 and how to reach it.
    pub om_unit: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ready_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub binned_at: Option<Timestamp>,
    /// The database that it was made to serve.
    pub database: Option<DatabaseView>,
    /// The name in the district's DNS; absent where the zone network's own DNS keeps it, or there is none.
    pub registration: Option<RegistrationView>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DatabaseView {
    /// The catalogue's key, as `postgresql-15`.
    pub db_type: String,
    pub database: String,
    /// Owns the database; nobody else may log in from outside.
    pub role: String,
    pub port: u16,
    /// `building`, `waiting` for whoever asked for the machine, or `handed_over`: the broker does not have it any more.
    pub credentials: &'static str,
}

impl DatabaseView {
    fn of(machine: &Machine, kept: &HashSet<MachineId>) -> Option<Self> {
        let database = machine.intent.database.as_ref()?;
        let credentials = match machine.state {
            lifecycle::State::Building => "building",
            _ if kept.contains(&machine.id) => "waiting",
            _ => "handed_over",
        };
        Some(Self {
            db_type: database.key.clone(),
            database: database.name.clone(),
            role: database.role.clone(),
            port: database.port,
            credentials,
        })
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RegistrationView {
    /// `pending`, `registered`, `refused_key`, `refused`, `taken`, `removing`, `removal_refused` or `removed`.
    pub state: &'static str,
    /// Why it is not as it should be, and what to do about it.
    pub reason: Option<String>,
    pub server: String,
    /// Attempts since it was last wished for.
    pub attempts: i64,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_try_at: Option<Timestamp>,
    /// Since when it is in this state.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl From<&Registration> for RegistrationView {
    fn from(name: &Registration) -> Self {
        Self {
            state: name.state.word(),
            reason: name.reason.clone(),
            server: name.server.clone(),
            attempts: name.attempts,
            next_try_at: name.next_try,
            updated_at: name.updated_at,
        }
    }
}

/// What views of machines name besides the machine's own row.
struct Names {
    /// Whether the caller is told which host carries a machine.
    sees_hosts: bool,
    /// By id: the name, and whether the host is heard of.
    hosts: HashMap<String, (String, bool)>,
    images: HashMap<String, Image>,
    departments: HashMap<String, Department>,
    registrations: HashMap<MachineId, Registration>,
    /// Machines whose password has not been handed over.
    kept: HashSet<MachineId>,
}

impl Names {
    async fn read(conn: &mut AnyConnection, actor: &Actor, machines: &[Machine]) -> Result<Self, Problem> {
        let sees_hosts = policy::scope(actor, Act::HostRead).is_ok();
        let hosts = capacity_store::list_hosts(conn).await?.into_iter();
        let heard = |host: &Host| host.standing.contact == Contact::Reachable;
        let images = store::list_images(conn).await?;
        Ok(Self {
            sees_hosts,
            hosts: hosts.map(|host| (host.id.text(), (host.name.clone(), heard(&host)))).collect(),
            images: images.into_iter().map(|image| (image.sha256.clone(), image)).collect(),
            departments: departments(conn).await?,
            kept: kept(conn, machines).await?,
            registrations: name::store::of(conn, &machines.iter().map(|m| m.id).collect::<Vec<_>>()).await?,
        })
    }

    fn view(&self, machine: Machine) -> MachineView {
        let image = self.images.get(&machine.intent.image.sha256);
        let host = self.hosts.get(&machine.host.text());
        let unheard = host.is_some_and(|(_, heard)| !heard) && machine.state.holds().1;
        let database = DatabaseView::of(&machine, &self.kept);
        MachineView {
            id: machine.id,
            state: if unheard { UNKNOWN } else { machine.state.word() },
            last_known_state: machine.state.word(),
            operation_id: machine.operation,
            host: host.filter(|_| self.sees_hosts).map(|(name, _)| name.clone()),
            zone: machine.zone.word(),
            address: machine.address().map(|address| address.to_string()).unwrap_or_default(),
            mac: machine.intent.network.mac,
            vcpu: machine.intent.vcpu,
            memory_bytes: machine.intent.memory.get(),
            disk_bytes: machine.intent.disk.get(),
            image: image.map(|image| image.name.clone()).unwrap_or_default(),
            os_type: image.map(|image| image.os_type.clone()).unwrap_or_default(),
            stand_in: image.is_some_and(|image| image.stand_in),
            request_id: machine.request,
            department: self.departments.get(&machine.department.text()).cloned(),
            lease_end: machine.lease_end,
            om_unit: machine.contact,
            created_at: machine.created_at,
            ready_at: machine.ready_at,
            binned_at: machine.binned_at,
            database,
            registration: self.registrations.get(&machine.id).map(RegistrationView::from),
            name: machine.intent.name,
            fqdn: machine.intent.fqdn,
        }
    }
}

async fn kept(conn: &mut AnyConnection, machines: &[Machine]) -> Result<HashSet<MachineId>, Problem> {
    let ids = || machines.iter().filter(|m| m.intent.database.is_some()).map(|m| m.id);
    let (Some(first), Some(last)) = (ids().min(), ids().max()) else { return Ok(HashSet::new()) };
    Ok(credentials::store::kept(conn, first, last).await?.into_iter().collect())
}

/// All machines of a request, for its own view.
pub async fn of_request(
    conn: &mut AnyConnection,
    actor: &Actor,
    request: RequestId,
) -> Result<Vec<MachineView>, Problem> {
    let machines = store::of_request(conn, &request.text()).await?;
    if machines.is_empty() {
        return Ok(Vec::new());
    }
    let names = Names::read(conn, actor, &machines).await?;
    Ok(machines.into_iter().map(|machine| names.view(machine)).collect())
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MachinesQuery {
    /// Only this request's.
    pub request_id: Option<String>,
    /// `building`, `running`, `stopped`, `in_bin` or `undone`.
    pub state: Option<String>,
    /// `government_extranet`, `internet` or `government_private`.
    pub zone: Option<String>,
    /// The department's code or id.
    pub department: Option<String>,
    /// The host's name or id; for who may see hosts.
    pub host: Option<String>,
    pub name: Option<String>,
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    pub page_token: Option<String>,
    pub sort: Option<String>,
}

/// 虚拟机列表
#[utoipa::path(get, path = "/v1/machines", tag = "machines", params(MachinesQuery),
    responses((status = 200, body = Page<MachineView>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<MachinesQuery>,
) -> Result<Json<Page<MachineView>>, Problem> {
    let scope = policy::scope(&actor, Act::MachineRead)?.filter();
    one_of::<lifecycle::State>("state", query.state.as_deref())?;
    one_of::<Zone>("zone", query.zone.as_deref())?;
    let request = identifier::<RequestId>("request_id", query.request_id)?;
    let mut conn = api.db.read().await?;
    let host = match query.host {
        Some(key) => {
            policy::scope(&actor, Act::HostRead)?;
            let found = capacity_store::find_host(&mut conn, &key).await?;
            Some(found.map_or(key, |host| host.id.text()))
        }
        None => None,
    };
    let department = match query.department {
        Some(key) => Some(department_id(&departments(&mut conn).await?, key)),
        None => None,
    };
    let filter = Filter {
        scope: scope.as_deref(),
        department: department.as_deref(),
        request: request.as_deref(),
        host: host.as_deref(),
        state: query.state.as_deref(),
        zone: query.zone.as_deref(),
        name: query.name.as_deref(),
    };
    let page = PageQuery { page_size: query.page_size, page_token: query.page_token, sort: query.sort };
    let cut = Cut::new(&api, "machines", &store::SORTS, page, &filter)?;
    let rows = store::list(&mut conn, &filter, &cut.slice).await?;
    let names = Names::read(&mut conn, &actor, &rows.items).await?;
    Ok(Json(cut.page(rows, |row| names.view(row))))
}

/// What of a machine can be changed by a word; its size, its place and its days have acts of their own.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MachinePatch {
    /// 运维单位 and how to reach it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false, example = "区民政局信息中心 0512-00000000")]
    pub om_unit: Option<String>,
}

/// 修改虚拟机：运维单位
#[utoipa::path(patch, path = "/v1/machines/{id}", tag = "machines",
    params(("id" = String, Path), ("If-Match" = String, Header, description = "查询时的 ETag，或 *")),
    request_body(content = MachinePatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = MachineView), (status = "4XX", body = ProblemDocument)))]
pub async fn change(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    seen: IfMatch,
    Patch(patch): Patch<MachinePatch>,
) -> Result<Json<MachineView>, Problem> {
    let scope = policy::scope(&actor, Act::MachineChange)?.filter();
    let known = api.machines.find(&id, scope.clone()).await?;
    // The version first: what is looked at after it is not older.
    let mut conn = api.db.read().await?;
    let revision = store::revision(&mut conn, known.id).await?.unwrap_or_default();
    drop(conn);
    let machine = api.machines.find(&id, scope).await?;
    seen.check(&one(&api, &actor, &id).await?.0)?;
    if let Some(contact) = &patch.om_unit {
        api.machines.set_contact(&actor, &machine, contact, revision).await?;
    }
    one(&api, &actor, &id).await
}

/// 查看虚拟机
#[utoipa::path(get, path = "/v1/machines/{id}", tag = "machines", params(("id" = String, Path)),
    responses((status = 200, body = MachineView), (status = "4XX", body = ProblemDocument)))]
pub async fn show(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<MachineView>, Problem> {
    one(&api, &actor, &id).await
}

async fn one(api: &Api, actor: &Actor, id: &str) -> Result<Json<MachineView>, Problem> {
    let scope = policy::scope(actor, Act::MachineRead)?;
    let machine = api.machines.find(id, scope.filter()).await?;
    let mut conn = api.db.read().await?;
    Ok(Json(Names::read(&mut conn, actor, std::slice::from_ref(&machine)).await?.view(machine)))
}

async fn act(api: &Api, actor: &Actor, id: &str, kind: Kind) -> Result<Response, Problem> {
    let operation = api.machines.act(actor, id, kind).await?;
    accepted(api, actor, operation).await
}

/// 202 with the operation and where to follow it.
pub async fn accepted(api: &Api, actor: &Actor, operation: OperationId) -> Result<Response, Problem> {
    let view = operations::one(api, actor, &operation.text()).await?;
    Ok((StatusCode::ACCEPTED, location(&format!("/v1/operations/{operation}")), Json(view)).into_response())
}

/// 启动
#[utoipa::path(post, path = "/v1/machines/{id}/start", tag = "machines", params(("id" = String, Path)),
    responses((status = 202, body = operation::View), (status = "4XX", body = ProblemDocument)))]
pub async fn start(State(api): State<Api>, Caller(actor): Caller, Path(id): Path<String>) -> Result<Response, Problem> {
    act(&api, &actor, &id, Kind::Start).await
}

/// 停机
#[utoipa::path(post, path = "/v1/machines/{id}/stop", tag = "machines", params(("id" = String, Path)),
    responses((status = 202, body = operation::View), (status = "4XX", body = ProblemDocument)))]
pub async fn stop(State(api): State<Api>, Caller(actor): Caller, Path(id): Path<String>) -> Result<Response, Problem> {
    act(&api, &actor, &id, Kind::Stop).await
}

/// 删除：停机并放入回收站，磁盘、域名与地址保留
#[utoipa::path(post, path = "/v1/machines/{id}/delete", tag = "machines", params(("id" = String, Path)),
    responses((status = 202, body = operation::View), (status = "4XX", body = ProblemDocument)))]
pub async fn delete(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    act(&api, &actor, &id, Kind::Bin).await
}

/// 重新启动
#[utoipa::path(post, path = "/v1/machines/{id}/reboot", tag = "machines", params(("id" = String, Path)),
    responses((status = 202, body = operation::View), (status = "4XX", body = ProblemDocument)))]
pub async fn reboot(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    act(&api, &actor, &id, Kind::Reboot).await
}

/// 变更规格：额度与宿主机的占用在同一个事务里重新扣；CPU、内存要重启才生效，磁盘只能扩大
#[utoipa::path(post, path = "/v1/machines/{id}/resize", tag = "machines", params(("id" = String, Path)),
    request_body = NewSize,
    responses((status = 202, body = operation::View), (status = "4XX", body = ProblemDocument)))]
pub async fn resize(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<NewSize>,
) -> Result<Response, Problem> {
    let operation = api.machines.resize(&actor, &id, document.value).await?;
    accepted(&api, &actor, operation).await
}

/// 迁移到另一台宿主机；运行中的不停机
#[utoipa::path(post, path = "/v1/machines/{id}/migrate", tag = "machines", params(("id" = String, Path)),
    request_body = Target,
    responses((status = 202, body = operation::View), (status = "4XX", body = ProblemDocument)))]
pub async fn migrate(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<Target>,
) -> Result<Response, Problem> {
    keys("/to", &document.value.to)?;
    let operation = api.machines.migrate(&actor, &id, document.value).await?;
    accepted(&api, &actor, operation).await
}

/// 在别处重建：宿主机已证明断电之后；磁盘是新的，旧磁盘上的数据不在
#[utoipa::path(post, path = "/v1/machines/{id}/rebuild", tag = "machines", params(("id" = String, Path)),
    responses((status = 202, body = operation::View), (status = "4XX", body = ProblemDocument)))]
pub async fn rebuild(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let operation = api.machines.rebuild(&actor, &id).await?;
    accepted(&api, &actor, operation).await
}

/// 延长使用期限，不超过任务书的资源使用期限
#[utoipa::path(post, path = "/v1/machines/{id}/extend", tag = "machines", params(("id" = String, Path)),
    request_body = NewLeaseEnd,
    responses((status = 200, body = MachineView), (status = "4XX", body = ProblemDocument)))]
pub async fn extend(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<NewLeaseEnd>,
) -> Result<Json<MachineView>, Problem> {
    let machine = api.machines.extend(&actor, &id, document.value).await?;
    let mut conn = api.db.read().await?;
    let names = Names::read(&mut conn, &actor, std::slice::from_ref(&machine)).await?;
    Ok(Json(names.view(machine)))
}

/// 从回收站恢复
#[utoipa::path(post, path = "/v1/machines/{id}/restore", tag = "machines", params(("id" = String, Path)),
    responses((status = 202, body = operation::View), (status = "4XX", body = ProblemDocument)))]
pub async fn restore(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    act(&api, &actor, &id, Kind::Restore).await
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogQuery {
    /// Last lines to give; 200 when absent, 2000 at most.
    pub lines: Option<usize>,
}

/// 串口日志
#[utoipa::path(get, path = "/v1/machines/{id}/log", tag = "machines", params(("id" = String, Path), LogQuery),
    responses((status = 200, body = String, content_type = "text/plain"), (status = "4XX", body = ProblemDocument)))]
pub async fn log(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    Query(query): Query<LogQuery>,
) -> Result<String, Problem> {
    api.machines.console(&actor, &id, query.lines.unwrap_or(200).min(2000)).await
}

/// 重新登记域名：马上再试一次
#[utoipa::path(post, path = "/v1/machines/{id}/register-name", tag = "machines", params(("id" = String, Path)),
    responses((status = 200, body = MachineView), (status = "4XX", body = ProblemDocument)))]
pub async fn register_name(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<MachineView>, Problem> {
    api.machines.register_name(&actor, &id).await?;
    one(&api, &actor, &id).await
}

/// 领取数据库口令：只给一次，平台不再保存
#[utoipa::path(post, path = "/v1/machines/{id}/credentials", tag = "machines", params(("id" = String, Path)),
    responses((status = 200, body = Credentials), (status = "4XX", body = ProblemDocument)))]
pub async fn credentials(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let credentials = api.machines.hand_over(&actor, &id).await?;
    // Nobody on the way is to keep it either.
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(credentials)).into_response())
}
