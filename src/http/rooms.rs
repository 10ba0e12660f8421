//! `/v1/rooms`

use super::{
    Api,
    extract::{Caller, Document, Path, Query, content_type, one_of},
    page::{Cut, Page, PageQuery},
    verdicts::department,
};
use crate::{
    db::{Batch, Sorts},
    error::{Kind as ProblemKind, Problem, ProblemDocument},
    identity::{
        Actor, Department,
        policy::{self, Act, Scope},
    },
    ids::{RoomId, ServerId, SystemId},
    migration::{
        chain::Waits,
        estate::Estate,
        fate::{Disposition, Stage},
        gates::{self, Stand},
        import::{Note, plan::Change, service::Imported},
        room::{Gate, Kind, Reclassified, Room, Standing},
        said::Said,
        service::Proof,
    },
    report::paper::{self, survey},
    server::survey::Hardware,
};
use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use jiff::civil::Date;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

/// A system of a room.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RoomSystem {
    #[schema(value_type = String, format = Uuid)]
    pub id: SystemId,
    pub name: String,
    pub standing: Standing,
    pub stage: Stage,
    #[schema(required)]
    pub disposition: Option<Disposition>,
    #[schema(required, value_type = Option<String>, format = Date)]
    pub cutover_on: Option<Date>,
}

/// A server of a room.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RoomServer {
    #[schema(value_type = String, format = Uuid)]
    pub id: ServerId,
    pub name: String,
    pub hardware: Hardware,
    /// What proves that it is off; null while it is on.
    #[schema(required)]
    pub off: Option<Said>,
}

/// A system that blocks a room, its own or one that its own wait for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RoomBlocker {
    /// Null where it is another department's, to a project team.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    pub system_id: Option<SystemId>,
    #[schema(required)]
    pub system: Option<String>,
    pub department: Department,
    /// The room that it is in; null where it is in the cloud already and only still needs what is to be given up.
    #[schema(required)]
    pub room: Option<String>,
    pub own: bool,
    /// The names on the way from a system of the room to this one.
    pub way: Vec<String>,
}

/// 机房
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RoomView {
    #[schema(value_type = String, format = Uuid)]
    pub id: RoomId,
    pub name: String,
    pub department: Department,
    pub kind: Kind,
    /// `pending`, `exempt`, or `gone`: closed.
    pub standing: Standing,
    /// What proves that it is of another kind than an ordinary one.
    #[schema(required)]
    pub evidence: Option<String>,
    #[schema(required)]
    pub document: Option<String>,
    #[schema(required, value_type = Option<String>, format = Date)]
    pub document_on: Option<Date>,
    /// The last day for its closing; null for one that may stay.
    #[schema(required, value_type = Option<String>, format = Date)]
    pub due_on: Option<Date>,
    /// What that day rests on.
    pub basis: String,
    #[schema(required)]
    pub late_days: Option<i64>,
    #[schema(required)]
    pub address: Option<String>,
    /// m²
    #[schema(required)]
    pub area: Option<f64>,
    #[schema(required)]
    pub racks: Option<i64>,
    /// kW
    #[schema(required)]
    pub power: Option<f64>,
    #[schema(value_type = String, format = Date)]
    pub surveyed_on: Date,
    #[schema(required, value_type = Option<String>, format = Date)]
    pub closed_on: Option<Date>,
    /// Systems that have still to leave, and all.
    pub systems_left: i64,
    pub systems_all: i64,
    /// In lists what follows is empty.
    pub systems: Vec<RoomSystem>,
    pub servers: Vec<RoomServer>,
    pub gates: Vec<Stand>,
    pub blockers: Vec<RoomBlocker>,
    /// Signatures that hold.
    pub signatures: Vec<Said>,
    pub reopened: Vec<Said>,
    pub reclassified: Vec<Reclassified>,
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn brief(api: &Api, estate: &Estate, room: &Room) -> RoomView {
    let (term, today, facts) = (api.estates.term(), api.estates.today(), &room.facts);
    let by = match (&facts.document, facts.due_on) {
        (Some(document), _) => document.clone(),
        (None, Some(_)) => crate::jurisdiction::OWN_RULE.to_owned(),
        (None, None) => api.estates.profile.closing_basis(),
    };
    RoomView {
        id: room.id,
        name: room.name.clone(),
        department: room.unit.clone(),
        kind: facts.kind,
        standing: room.standing(),
        evidence: facts.evidence.clone(),
        document: facts.document.clone(),
        document_on: facts.document_on,
        due_on: room.due_on(term),
        basis: by,
        late_days: room.late_days(term, today),
        address: facts.address.clone(),
        area: facts.area,
        racks: facts.racks,
        power: facts.power,
        surveyed_on: room.surveyed_on,
        closed_on: room.closed_on,
        systems_left: count(estate.systems_of(room.id).filter(|system| system.open(today)).count()),
        systems_all: count(estate.systems_of(room.id).count()),
        systems: Vec::new(),
        servers: Vec::new(),
        gates: Vec::new(),
        blockers: Vec::new(),
        signatures: Vec::new(),
        reopened: Vec::new(),
        reclassified: Vec::new(),
    }
}

/// The room with all that is in it. `scope` is what the caller may see of others.
fn whole(api: &Api, estate: &Estate, room: &Room, scope: Scope) -> RoomView {
    let today = api.estates.today();
    let waits = Waits::new(estate, today);
    let name = |id: &SystemId| {
        let system = estate.systems.get(id);
        system.filter(|system| scope.covers(system.unit.id)).map(|system| system.name.clone())
    };
    let blocker = |blocker: crate::migration::chain::Blocker| {
        let system = estate.systems.get(&blocker.system)?;
        let seen = scope.covers(system.unit.id);
        let hidden = || "（其他单位的系统）".to_owned();
        let room_name = system.room().and_then(|id| estate.rooms.get(&id)).map(|room| room.name.clone());
        Some(RoomBlocker {
            system_id: Some(system.id).filter(|_| seen),
            system: Some(system.name.clone()).filter(|_| seen),
            department: system.unit.clone(),
            room: room_name.filter(|_| seen || system.room() == Some(room.id)),
            own: system.room() == Some(room.id),
            way: blocker.way.iter().map(|id| name(id).unwrap_or_else(hidden)).collect(),
        })
    };
    let seal = gates::seal(estate, room, today);
    let system = |system: &crate::migration::estate::System| RoomSystem {
        id: system.id,
        name: system.name.clone(),
        standing: system.standing(today),
        stage: system.stage,
        disposition: system.disposition(),
        cutover_on: system.planned.map(|(day, _)| day),
    };
    let server = |server: &crate::migration::estate::Server| RoomServer {
        id: server.id,
        name: server.name.clone(),
        hardware: server.hardware.clone(),
        off: server.off.clone(),
    };
    RoomView {
        systems: estate.systems_of(room.id).filter(|one| scope.covers(one.unit.id)).map(system).collect(),
        servers: estate.servers_of(room.id).filter(|one| scope.covers(one.unit.id)).map(server).collect(),
        gates: gates::stands(estate, room, today),
        blockers: waits.blockers(room.id).into_iter().filter_map(blocker).collect(),
        signatures: gates::valid(room, &seal).into_iter().map(|signature| signature.said.clone()).collect(),
        reopened: room.reopened.clone(),
        reclassified: room.reclassified.clone(),
        ..brief(api, estate, room)
    }
}

async fn told(api: &Api, actor: &Actor, id: &str) -> Result<Json<RoomView>, Problem> {
    let scope = policy::scope(actor, Act::RoomRead)?;
    let (estate, room) = api.estates.room(actor, Act::RoomRead, id).await?;
    Ok(Json(whole(api, &estate, &room, scope)))
}

pub(super) const SORTS: Sorts = Sorts {
    id: "id",
    numbered: false,
    by: &[("created_at", "id"), ("name", "name"), ("due_on", "due_on")],
    default: "due_on",
};

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RoomsQuery {
    /// The department's code or id.
    pub department: Option<String>,
    /// `ordinary`, `access` or `upper_mandated`.
    pub kind: Option<String>,
    /// `pending`, `exempt` or `gone`.
    pub standing: Option<String>,
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    pub page_token: Option<String>,
    pub sort: Option<String>,
}

/// 机房列表
#[utoipa::path(get, path = "/v1/rooms", tag = "rooms", params(RoomsQuery),
    responses((status = 200, body = Page<RoomView>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<RoomsQuery>,
) -> Result<Json<Page<RoomView>>, Problem> {
    let estate = api.estates.seen_by(&actor, Act::RoomRead).await?;
    let scope = policy::scope(&actor, Act::RoomRead)?.filter();
    let kind = one_of::<Kind>("kind", query.kind.as_deref())?;
    let standing = one_of::<Standing>("standing", query.standing.as_deref())?;
    let of = |room: &&Room| {
        let unit = &room.unit;
        query.department.as_deref().is_none_or(|key| unit.code == key || unit.id.text() == key)
            && kind.is_none_or(|kind| kind == room.facts.kind)
            && standing.is_none_or(|standing| standing == room.standing())
    };
    let rows: Vec<RoomView> = estate.rooms.values().filter(of).map(|room| brief(&api, &estate, room)).collect();
    let page = PageQuery { page_size: query.page_size, page_token: query.page_token, sort: query.sort };
    let filter = (&scope, &query.department, &query.kind, &query.standing);
    let cut = Cut::new(&api, "rooms", &SORTS, page, &filter)?;
    let value = |row: &RoomView, column: &str| match column {
        "name" => row.name.clone(),
        // Those without a last day come after all others.
        "due_on" => row.due_on.map_or_else(|| "9999-12-31".to_owned(), |day| day.to_string()),
        _ => row.id.text(),
    };
    Ok(Json(cut.page(Batch::cut(rows, &cut.slice, value), |row| row)))
}

/// 查看机房：里面的系统和服务器、关停的各道关口、被什么挡住
#[utoipa::path(get, path = "/v1/rooms/{id}", tag = "rooms", params(("id" = String, Path)),
    responses((status = 200, body = RoomView), (status = "4XX", body = ProblemDocument)))]
pub async fn show(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<RoomView>, Problem> {
    told(&api, &actor, &id).await
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RoomImportQuery {
    /// The file's name; a hint for people only.
    #[param(max_length = 255)]
    pub name: Option<String>,
    /// The `digest` of the difference that was looked at: then exactly that is written. Nothing is written without it.
    #[param(max_length = 64)]
    pub apply: Option<String>,
}

/// What a survey's file changes, or has changed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SurveyImport {
    /// Whether it was written.
    pub applied: bool,
    /// Say this to have exactly these changes written.
    pub digest: String,
    pub new: i64,
    pub changed: i64,
    /// In the file, and so already.
    pub same: i64,
    /// The first 200 of them.
    pub changes: Vec<Change>,
    /// What was set aside, skipped or taken in another form; the first 200.
    pub notes: Vec<Note>,
    pub notes_all: i64,
    /// In the survey and not in the file: they stay as they are. The first 200.
    pub absent: Vec<String>,
    pub absent_all: i64,
}

impl From<Imported> for SurveyImport {
    fn from(imported: Imported) -> Self {
        let Imported { plan, digest, applied, shown } = imported;
        let new = plan.changes.iter().filter(|change| change.new).count();
        let (changed, notes_all, absent_all) = (plan.changes.len() - new, plan.notes.len(), plan.absent.len());
        Self {
            applied,
            digest,
            new: count(new),
            changed: count(changed),
            same: count(plan.same),
            changes: plan.changes.into_iter().take(shown).collect(),
            notes: plan.notes.into_iter().take(shown).collect(),
            notes_all: count(notes_all),
            absent: plan.absent.into_iter().take(shown).collect(),
            absent_all: count(absent_all),
        }
    }
}

/// 导入普查表：先看差异，再按核对码写入；全部写入或全不写入
///
/// 一个 .xlsx 或 .csv 文件，含机房、服务器、信息系统、依赖关系中的一张或几张表。不给 `apply` 时什么都不写，只说明会有什么变化；
/// 给出上一次应答的 `digest` 时写入。有任何一处不对，整个文件不收，逐处指出工作表、行和列。
#[utoipa::path(post, path = "/v1/rooms/import", tag = "rooms", params(RoomImportQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = SurveyImport), (status = "4XX", body = ProblemDocument)))]
pub async fn import(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<RoomImportQuery>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<SurveyImport>, Problem> {
    policy::scope(&actor, Act::RoomImport)?;
    let kind = content_type(&headers);
    if !matches!(kind.as_str(), "application/octet-stream" | "text/csv" | paper::XLSX) {
        return Err(Problem::new(
            ProblemKind::UnsupportedMedia,
            "unsupported_media_type",
            format!("不支持的内容类型 {}；请使用 application/octet-stream", crate::text::shown(&kind)),
        ));
    }
    let name = query.name.unwrap_or_default();
    Ok(Json(api.estates.import(&actor, &body, &name, query.apply.as_deref()).await?.into()))
}

/// Which sheet is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SurveyForm {
    /// 自查报告
    Survey,
    /// 清理整合清单
    Merge,
    /// 接入清单
    Access,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SheetFormat {
    Csv,
    Xlsx,
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RoomExportQuery {
    /// `survey` (自查报告), `merge` (清理整合清单) or `access` (接入清单); the first when absent.
    #[param(inline)]
    pub form: Option<SurveyForm>,
    /// `xlsx` when absent.
    #[param(inline)]
    pub format: Option<SheetFormat>,
    /// The department's code or id; all when absent, and a project team's own in any case.
    pub department: Option<String>,
}

/// 导出自查报告、清理整合清单、接入清单，改好可以再导入
#[utoipa::path(get, path = "/v1/rooms/export", tag = "rooms", params(RoomExportQuery),
    responses((status = 200, content((Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (String = "text/csv"))), (status = "4XX", body = ProblemDocument)))]
pub async fn export(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<RoomExportQuery>,
) -> Result<Response, Problem> {
    let own = department(&api, &actor, Act::RoomRead, query.department.as_deref()).await?;
    let estate = api.estates.now().await?;
    let form = match query.form.unwrap_or(SurveyForm::Survey) {
        SurveyForm::Survey => survey::Form::Survey,
        SurveyForm::Merge => survey::Form::Merge,
        SurveyForm::Access => survey::Form::Access,
    };
    let format = query.format.unwrap_or(SheetFormat::Xlsx);
    let (today, district) = (api.estates.today(), api.estates.profile.name.clone());
    let made = spawn_blocking(move || {
        let estate = match &own {
            Some(own) => estate.only(own.id),
            None => (*estate).clone(),
        };
        let paper = survey::Paper { district: &district, today, form };
        match format {
            SheetFormat::Xlsx => paper.workbook(&estate),
            SheetFormat::Csv => paper.csv(&estate),
        }
    });
    let bytes = made.await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    let (kind, suffix) = match format {
        SheetFormat::Xlsx => (paper::XLSX, "xlsx"),
        SheetFormat::Csv => ("text/csv; charset=utf-8", "csv"),
    };
    let name = format!("{} {today}.{suffix}", form.label());
    let name = utf8_percent_encode(&name, NON_ALPHANUMERIC);
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{name}")),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, bytes).into_response())
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoomProof {
    /// `servers_off`, `equipment_disposed` or `network_cut`.
    pub gate: Gate,
    /// What proves it: a document, a number, who was there.
    #[schema(min_length = 1, max_length = 2000, example = "下电记录 2026-11-20，现场照片 12 张")]
    pub evidence: String,
    /// The day on which it was done; today where absent.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Date)]
    pub on: Option<Date>,
    /// Of `servers_off`: which, by name or id; all that are still on where none is named.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub servers: Vec<String>,
}

/// 记录关停的证明：服务器下电、设备处置、网络断开
#[utoipa::path(post, path = "/v1/rooms/{id}/record", tag = "rooms", params(("id" = String, Path)),
    request_body = RoomProof, responses((status = 200, body = RoomView), (status = "4XX", body = ProblemDocument)))]
pub async fn record(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<RoomProof>,
) -> Result<Json<RoomView>, Problem> {
    let RoomProof { gate, evidence, on, servers } = document.value;
    if servers.len() > 1000 {
        return Err(Problem::malformed("/servers: 一次最多写 1000 台"));
    }
    api.estates.record(&actor, &id, Proof { gate, evidence, on, servers }).await?;
    told(&api, &actor, &id).await
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoomSign {
    #[schema(min_length = 1, max_length = 2000, example = "现场核验，同意关停")]
    pub comment: String,
}

/// 在机房关停上签字；两个单位的两个人都签了，机房即关停
#[utoipa::path(post, path = "/v1/rooms/{id}/sign", tag = "rooms", params(("id" = String, Path)),
    request_body = RoomSign, responses((status = 200, body = RoomView), (status = "4XX", body = ProblemDocument)))]
pub async fn sign(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<RoomSign>,
) -> Result<Json<RoomView>, Problem> {
    api.estates.sign(&actor, &id, &document.value.comment).await?;
    told(&api, &actor, &id).await
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoomReopen {
    #[schema(min_length = 1, max_length = 2000)]
    pub reason: String,
}

/// 写明理由，重新启用已关停的机房
#[utoipa::path(post, path = "/v1/rooms/{id}/reopen", tag = "rooms", params(("id" = String, Path)),
    request_body = RoomReopen, responses((status = 200, body = RoomView), (status = "4XX", body = ProblemDocument)))]
pub async fn reopen(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<RoomReopen>,
) -> Result<Json<RoomView>, Problem> {
    api.estates.reopen(&actor, &id, &document.value.reason).await?;
    told(&api, &actor, &id).await
}
