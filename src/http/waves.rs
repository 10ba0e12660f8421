//! `/v1/waves`, `/v1/blackouts`, and what systems of a wave ask of the cloud.

use super::{
    Api,
    extract::{Caller, Document, Path, Query},
    location,
    page::{Cut, Page, PageQuery},
    tag::{IfMatch, Patch, clearable, present},
};
use crate::{
    db::{Batch, Sorts},
    error::{Problem, ProblemDocument},
    identity::{
        Actor, Department,
        policy::{self, Act},
    },
    ids::{BlackoutId, MachineId, RequestId, ServerId, SystemId, WaveId},
    migration::{
        asking::{
            Given, Size, Wish,
            service::{Answer, Made},
        },
        estate::Estate,
        fate::{Disposition, Stage, Trigger},
        wave::{
            Blackout, Conflict, Days, Wave, ZoneStand,
            service::{Checked, Draft, MOST_SYSTEMS, Named},
        },
    },
    violation::Violation,
};
use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A system of a wave.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WaveSystem {
    #[schema(value_type = String, format = Uuid)]
    pub id: SystemId,
    /// Null for one that the survey does not know (any more).
    #[schema(required)]
    pub name: Option<String>,
    #[schema(required)]
    pub department: Option<Department>,
    #[schema(required)]
    pub stage: Option<Stage>,
    #[schema(required)]
    pub disposition: Option<Disposition>,
    /// The node at which it moves, and its day.
    #[schema(required)]
    pub trigger: Option<Trigger>,
    #[schema(required, value_type = Option<String>, format = Date)]
    pub node_on: Option<Date>,
    #[schema(required, value_type = Option<String>, format = Date)]
    pub cutover_on: Option<Date>,
}

/// What was found of a wave.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WaveCheck {
    /// Nothing blocks it: its systems can be planned.
    pub passes: bool,
    /// Those that block it first.
    pub conflicts: Vec<Conflict>,
    /// What it asks of each zone, and what is free there. Where a system's network is not known it counts for 政务外网.
    pub zones: Vec<ZoneStand>,
}

impl From<Checked> for WaveCheck {
    fn from(checked: Checked) -> Self {
        Self { passes: checked.passes(), conflicts: checked.conflicts, zones: checked.zones }
    }
}

/// 迁移批次
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WaveView {
    #[schema(value_type = String, format = Uuid)]
    pub id: WaveId,
    pub name: String,
    /// The first and the last day of the cutover.
    #[schema(value_type = String, format = Date)]
    pub window_from: Date,
    #[schema(value_type = String, format = Date)]
    pub window_to: Date,
    #[schema(required)]
    pub note: Option<String>,
    pub systems_all: i64,
    /// Of those, cut over or farther.
    pub systems_moved: i64,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// In lists this is empty, and what follows null.
    pub systems: Vec<WaveSystem>,
    #[schema(required)]
    pub check: Option<WaveCheck>,
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn brief(estate: &Estate, wave: &Wave) -> WaveView {
    let moved = wave.systems.keys().filter_map(|id| estate.systems.get(id)).filter(|s| s.stage >= Stage::CutOver);
    WaveView {
        id: wave.id,
        name: wave.name.clone(),
        window_from: wave.window.from,
        window_to: wave.window.to,
        note: wave.note.clone(),
        systems_all: count(wave.systems.len()),
        systems_moved: count(moved.count()),
        created_at: wave.created_at,
        systems: Vec::new(),
        check: None,
    }
}

fn systems_of(estate: &Estate, wave: &Wave) -> Vec<WaveSystem> {
    let system = |(id, node): (&SystemId, &crate::migration::wave::Node)| {
        let known = estate.systems.get(id);
        WaveSystem {
            id: *id,
            name: known.map(|system| system.name.clone()),
            department: known.map(|system| system.unit.clone()),
            stage: known.map(|system| system.stage),
            disposition: known.and_then(crate::migration::estate::System::disposition),
            trigger: node.trigger,
            node_on: node.on,
            cutover_on: known.and_then(|system| system.planned).map(|(day, _)| day),
        }
    };
    wave.systems.iter().map(system).collect()
}

async fn whole(api: &Api, estate: &Estate, wave: &Wave) -> Result<WaveView, Problem> {
    let check = api.estates.checked(estate, wave).await?.into();
    Ok(WaveView { systems: systems_of(estate, wave), check: Some(check), ..brief(estate, wave) })
}

async fn told(api: &Api, actor: &Actor, id: &str) -> Result<WaveView, Problem> {
    let (estate, wave) = api.estates.wave(actor, Act::WaveRead, id).await?;
    whole(api, &estate, &wave).await
}

pub(super) const SORTS: Sorts = Sorts {
    id: "id",
    numbered: false,
    by: &[("created_at", "id"), ("name", "name"), ("window_from", "window_from")],
    default: "window_from",
};

/// 迁移批次列表
#[utoipa::path(get, path = "/v1/waves", tag = "waves", params(PageQuery),
    responses((status = 200, body = Page<WaveView>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<WaveView>>, Problem> {
    policy::scope(&actor, Act::WaveRead)?;
    let estate = api.estates.now().await?;
    let rows: Vec<WaveView> = estate.waves.values().map(|wave| brief(&estate, wave)).collect();
    let cut = Cut::new(&api, "waves", &SORTS, page, &())?;
    let value = |row: &WaveView, column: &str| match column {
        "name" => row.name.clone(),
        "window_from" => row.window_from.to_string(),
        _ => row.id.text(),
    };
    Ok(Json(cut.page(Batch::cut(rows, &cut.slice, value), |row| row)))
}

/// 查看迁移批次：系统、逐项冲突、各网络区域够不够
#[utoipa::path(get, path = "/v1/waves/{id}", tag = "waves", params(("id" = String, Path)),
    responses((status = 200, body = WaveView), (status = "4XX", body = ProblemDocument)))]
pub async fn show(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<WaveView>, Problem> {
    Ok(Json(told(&api, &actor, &id).await?))
}

/// 检查迁移批次，说出每一处冲突
#[utoipa::path(get, path = "/v1/waves/{id}/check", tag = "waves", params(("id" = String, Path)),
    responses((status = 200, body = WaveCheck), (status = "4XX", body = ProblemDocument)))]
pub async fn check(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<WaveCheck>, Problem> {
    let (estate, wave) = api.estates.wave(&actor, Act::WaveRead, &id).await?;
    Ok(Json(api.estates.checked(&estate, &wave).await?.into()))
}

/// A system that is put into a wave.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WaveMember {
    /// Its name or id.
    pub system: String,
    /// The node at which it moves: `upgrade`, `renovate`, `continue` or `maintain`.
    #[serde(default)]
    pub trigger: Option<Trigger>,
    /// The node's day; the system moves by then.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Date)]
    pub node_on: Option<Date>,
}

impl From<WaveMember> for Named {
    fn from(member: WaveMember) -> Self {
        Self { system: member.system, trigger: member.trigger, on: member.node_on }
    }
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWave {
    #[schema(min_length = 1, max_length = 100, example = "第一批")]
    pub name: String,
    /// The first day of the cutover.
    #[schema(value_type = String, format = Date)]
    pub window_from: Date,
    /// The last one.
    #[schema(value_type = String, format = Date)]
    pub window_to: Date,
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub note: Option<String>,
    #[serde(default)]
    #[schema(max_items = 200)]
    pub systems: Vec<WaveMember>,
}

/// 建迁移批次；有冲突也可以先建，消除之前不能排期
#[utoipa::path(post, path = "/v1/waves", tag = "waves", request_body = NewWave,
    responses((status = 201, body = WaveView), (status = "4XX", body = ProblemDocument)))]
pub async fn create(
    State(api): State<Api>,
    Caller(actor): Caller,
    document: Document<NewWave>,
) -> Result<impl IntoResponse, Problem> {
    let NewWave { name, window_from, window_to, note, systems } = document.value;
    let window = Days { from: window_from, to: window_to };
    let draft = Draft { name, window, note, systems: systems.into_iter().map(Named::from).collect() };
    let id = api.estates.create_wave(&actor, draft).await?.text();
    Ok((StatusCode::CREATED, location(&format!("/v1/waves/{id}")), Json(told(&api, &actor, &id).await?)))
}

/// What of a wave can be changed; its systems are said all at once.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(clippy::option_option, reason = "what is absent stays, what is null goes")]
pub struct WavePatch {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false)]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, format = Date, required = false)]
    pub window_from: Option<Date>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, format = Date, required = false)]
    pub window_to: Option<Date>,
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<String>, required = false)]
    pub note: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Vec<WaveMember>, required = false)]
    pub systems: Option<Vec<WaveMember>>,
}

/// 改迁移批次
#[utoipa::path(patch, path = "/v1/waves/{id}", tag = "waves",
    params(("id" = String, Path), ("If-Match" = String, Header, description = "查询时的 ETag，或 *")),
    request_body(content = WavePatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = WaveView), (status = "4XX", body = ProblemDocument)))]
pub async fn change(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    seen: IfMatch,
    Patch(patch): Patch<WavePatch>,
) -> Result<Json<WaveView>, Problem> {
    let (estate, wave) = api.estates.wave(&actor, Act::WaveChange, &id).await?;
    seen.check(&whole(&api, &estate, &wave).await?)?;
    let stays = || {
        let named = |(system, node): (&SystemId, &crate::migration::wave::Node)| Named {
            system: system.text(),
            trigger: node.trigger,
            on: node.on,
        };
        wave.systems.iter().map(named).collect()
    };
    let draft = Draft {
        name: patch.name.unwrap_or_else(|| wave.name.clone()),
        window: Days {
            from: patch.window_from.unwrap_or(wave.window.from),
            to: patch.window_to.unwrap_or(wave.window.to),
        },
        note: patch.note.unwrap_or_else(|| wave.note.clone()),
        systems: patch.systems.map_or_else(stays, |systems| systems.into_iter().map(Named::from).collect()),
    };
    api.estates.change_wave(&actor, &wave, draft).await?;
    Ok(Json(told(&api, &actor, &id).await?))
}

/// 删除迁移批次；已有系统按它排期的不能删
#[utoipa::path(post, path = "/v1/waves/{id}/delete", tag = "waves", params(("id" = String, Path)),
    responses((status = 200, body = WaveView), (status = "4XX", body = ProblemDocument)))]
pub async fn delete(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<WaveView>, Problem> {
    let wave = api.estates.remove_wave(&actor, &id).await?;
    let estate = api.estates.now().await?;
    Ok(Json(brief(&estate, &wave)))
}

/// 封网期
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BlackoutView {
    #[schema(value_type = String, format = Uuid)]
    pub id: BlackoutId,
    /// Null: the whole district's.
    #[schema(required)]
    pub department: Option<Department>,
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    #[schema(value_type = String, format = Date)]
    pub to: Date,
    pub reason: String,
    pub created_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl From<Blackout> for BlackoutView {
    fn from(blackout: Blackout) -> Self {
        Self {
            id: blackout.id,
            department: blackout.unit,
            from: blackout.days.from,
            to: blackout.days.to,
            reason: blackout.reason,
            created_by: blackout.by,
            created_at: blackout.created_at,
        }
    }
}

pub(super) const BLACKOUT_SORTS: Sorts =
    Sorts { id: "id", numbered: false, by: &[("created_at", "id"), ("from", "from")], default: "from" };

/// 封网期列表
#[utoipa::path(get, path = "/v1/blackouts", tag = "waves", params(PageQuery),
    responses((status = 200, body = Page<BlackoutView>), (status = "4XX", body = ProblemDocument)))]
pub async fn blackouts(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<BlackoutView>>, Problem> {
    let rows = api.estates.blackouts(&actor).await?.into_iter().map(BlackoutView::from).collect();
    let scope = policy::scope(&actor, Act::BlackoutRead)?.filter();
    let cut = Cut::new(&api, "blackouts", &BLACKOUT_SORTS, page, &scope)?;
    let value = |row: &BlackoutView, column: &str| match column {
        "from" => row.from.to_string(),
        _ => row.id.text(),
    };
    Ok(Json(cut.page(Batch::cut(rows, &cut.slice, value), |row| row)))
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBlackout {
    /// The department's code or id; the whole district's where absent.
    #[serde(default)]
    pub department: Option<String>,
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    #[schema(value_type = String, format = Date)]
    pub to: Date,
    #[schema(min_length = 1, max_length = 2000, example = "两会保障")]
    pub reason: String,
}

/// 设封网期：这些天不割接
#[utoipa::path(post, path = "/v1/blackouts", tag = "waves", request_body = NewBlackout,
    responses((status = 201, body = BlackoutView), (status = "4XX", body = ProblemDocument)))]
pub async fn create_blackout(
    State(api): State<Api>,
    Caller(actor): Caller,
    document: Document<NewBlackout>,
) -> Result<impl IntoResponse, Problem> {
    let NewBlackout { department, from, to, reason } = document.value;
    let blackout = api.estates.create_blackout(&actor, department.as_deref(), Days { from, to }, &reason).await?;
    let view = BlackoutView::from(blackout);
    Ok((StatusCode::CREATED, location("/v1/blackouts"), Json(view)))
}

/// 取消封网期
#[utoipa::path(post, path = "/v1/blackouts/{id}/delete", tag = "waves", params(("id" = String, Path)),
    responses((status = 200, body = BlackoutView), (status = "4XX", body = ProblemDocument)))]
pub async fn delete_blackout(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<BlackoutView>, Problem> {
    Ok(Json(api.estates.remove_blackout(&actor, &id).await?.into()))
}

/// One server's machine, where it is not sized by what was measured.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemServerSize {
    /// The server's name or id.
    pub server: String,
    #[serde(default)]
    #[schema(minimum = 1)]
    pub vcpu: Option<i64>,
    #[serde(default)]
    #[schema(minimum = 1)]
    pub memory_bytes: Option<i64>,
    #[serde(default)]
    #[schema(minimum = 1)]
    pub disk_bytes: Option<i64>,
    /// Why this size; needed with any of them.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub reason: Option<String>,
    /// Fields of this server's block alone, as its domain name.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub fields: Map<String, Value>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemRequest {
    /// 任务书编号
    pub task_book: String,
    /// Fields of every block, as of any request: 操作系统、数据库、运维单位、公钥 and so on. Sizes and numbers of machines are
    /// worked out; network zone, MLPS level and deployment date are the survey's and the wave's where they are not said.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub block: Map<String, Value>,
    #[serde(default)]
    #[schema(max_items = 200)]
    pub servers: Vec<SystemServerSize>,
    /// Only tell what would be asked for, with where each figure comes from.
    #[serde(default)]
    pub dry_run: bool,
}

/// A request that stands for a server of the system.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SystemRequestMade {
    #[schema(value_type = String, format = Uuid)]
    pub id: RequestId,
    #[schema(value_type = String, format = Uuid)]
    pub server_id: ServerId,
    /// As the request's.
    pub state: &'static str,
    pub machines: Vec<SystemRequestMachine>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SystemRequestMachine {
    #[schema(value_type = String, format = Uuid)]
    pub id: MachineId,
    pub name: String,
    pub state: String,
}

impl From<Made> for SystemRequestMade {
    fn from(made: Made) -> Self {
        let machine = |(id, name, state)| SystemRequestMachine { id, name, state };
        Self {
            id: made.request,
            server_id: made.server,
            state: made.state.word(),
            machines: made.machines.into_iter().map(machine).collect(),
        }
    }
}

/// What a system asks of the cloud.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SystemRequests {
    #[schema(value_type = String, format = Uuid)]
    pub system_id: SystemId,
    pub dry_run: bool,
    /// Whether this call made requests; false as well where all had been asked for before.
    pub made: bool,
    /// Those that stand: waiting, being built, delivered.
    pub requests: Vec<SystemRequestMade>,
    /// Each server's, and what each figure rests on.
    pub sizes: Vec<Size>,
    /// The report that was handed in, or would be; null where all had been asked for before.
    #[schema(required, value_type = Option<Object>)]
    pub document: Option<Value>,
    /// Of a preview: what keeps it from being asked for; a call that is none is refused with these.
    pub lacking: Vec<Violation>,
}

impl SystemRequests {
    fn of(answer: Answer, dry_run: bool) -> Self {
        Self {
            system_id: answer.system,
            dry_run,
            made: answer.made,
            requests: answer.requests.into_iter().map(SystemRequestMade::from).collect(),
            sizes: answer.sizes,
            document: answer.document,
            lacking: answer.lacking,
        }
    }
}

/// 为批次里的系统申请虚拟机：规格取自旧服务器的实际用量；`dry_run` 只看
///
/// 每台旧服务器一份申请，与其他申请同样审核、审批。再办一次不会重复申请；被退回或撤回的，再办时重新申请。没有足够用量记录的
/// 服务器要写明规格和理由。
#[utoipa::path(post, path = "/v1/systems/{id}/request", tag = "waves", params(("id" = String, Path)),
    request_body = SystemRequest,
    responses((status = 200, body = SystemRequests), (status = "4XX", body = ProblemDocument)))]
pub async fn request(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<SystemRequest>,
) -> Result<Json<SystemRequests>, Problem> {
    let SystemRequest { task_book, block, servers, dry_run } = document.value;
    if servers.len() > MOST_SYSTEMS {
        return Err(Problem::malformed("/servers: 一次最多写 200 台"));
    }
    let mut given = Vec::new();
    for (n, server) in servers.into_iter().enumerate() {
        let sizes = [server.vcpu, server.memory_bytes, server.disk_bytes];
        if sizes.into_iter().flatten().any(|size| size < 1) {
            return Err(Problem::malformed(format!("/servers/{n}: 规格须是正数")));
        }
        given.push(Given {
            server: server.server,
            vcpu: server.vcpu,
            memory_bytes: server.memory_bytes,
            disk_bytes: server.disk_bytes,
            reason: server.reason,
            fields: server.fields,
        });
    }
    let wish = Wish { task_book, block, servers: given };
    let answer = api.estates.ask(&api.rules, &actor, &id, &wish, dry_run).await?;
    let view = SystemRequests::of(answer, dry_run);
    Ok(Json(view))
}
