//! `/v1/systems`

use super::{
    Api,
    extract::{Caller, Document, Path, Query},
    location,
    page::{Cut, Page, PageQuery},
    tag::{IfMatch, Patch, present},
    task_books::{department_id, departments},
    zombies::FindingView,
};
use crate::{
    error::{Problem, ProblemDocument},
    identity::{
        Actor, Department,
        policy::{self, Act},
    },
    ids::{MachineId, SystemId},
    migration::estate::Estate,
    system::{
        Member, System,
        record::{Facts, Frequency, Scope},
        service::Named,
        store::{self, Filter},
        survey::Survey,
    },
    usage::zombie::finding::Judgement,
};
use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// 政务信息系统
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SystemView {
    #[schema(value_type = String, format = Uuid)]
    pub id: SystemId,
    pub name: String,
    pub department: Option<Department>,
    /// 功能
    pub purpose: String,
    /// 使用范围: `office`, `department`, `district` or `public`; null where nobody has said.
    pub scope: Option<Scope>,
    /// 使用频度: `daily`, `weekly`, `monthly`, `yearly` or `rarely`; null where nobody has said.
    pub frequency: Option<Frequency>,
    /// The day of the last update or patch.
    #[schema(value_type = Option<String>, format = Date)]
    pub last_updated_on: Option<Date>,
    /// The last day of the maintenance contract.
    #[schema(value_type = Option<String>, format = Date)]
    pub maintained_until: Option<Date>,
    /// The day of the last login that somebody knows of.
    #[schema(value_type = Option<String>, format = Date)]
    pub last_login_on: Option<Date>,
    /// The system that does its work now.
    pub replaced_by: Option<String>,
    /// Whose word all of this is.
    pub recorded_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub recorded_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The room that the survey found it in; null where it is in the cloud or not in the survey.
    #[schema(required)]
    pub room: Option<String>,
    /// What the self-survey says beside all this; null of one that is not in the survey.
    #[schema(required)]
    pub survey: Option<Survey>,
    /// In lists this is empty.
    pub machines: Vec<SystemMachine>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SystemMachine {
    #[schema(value_type = String, format = Uuid)]
    pub id: MachineId,
    pub name: String,
    /// `hand`: somebody has said so; `request`: it was asked for from the system's migration wave; `project`: the task book that it was asked on names a project of the system's name.
    pub by: &'static str,
}

impl From<Member> for SystemMachine {
    fn from(member: Member) -> Self {
        Self { id: member.machine, name: member.name, by: member.tie.word() }
    }
}

fn view(
    system: System,
    departments: &HashMap<String, Department>,
    members: Vec<Member>,
    estate: &Estate,
) -> SystemView {
    let facts = system.facts;
    let surveyed = estate.systems.get(&system.id);
    SystemView {
        room: surveyed.and_then(|one| estate.rooms.get(&one.room()?)).map(|room| room.name.clone()),
        survey: surveyed.map(|one| one.survey.clone()),
        id: system.id,
        name: facts.name,
        department: departments.get(&system.department.text()).cloned(),
        purpose: facts.purpose,
        scope: facts.scope,
        frequency: facts.frequency,
        last_updated_on: facts.last_updated_on,
        maintained_until: facts.maintained_until,
        last_login_on: facts.last_login_on,
        replaced_by: facts.replaced_by,
        recorded_by: system.recorded_by,
        recorded_at: system.recorded_at,
        created_at: system.created_at,
        machines: members.into_iter().map(SystemMachine::from).collect(),
    }
}

/// The system as it is now, with its machines.
async fn whole(api: &Api, actor: &Actor, id: &str) -> Result<SystemView, Problem> {
    let system = api.systems.find(actor, id).await?;
    let members = api.systems.members(&system).await?;
    let estate = api.estates.now().await?;
    let mut conn = api.db.read().await?;
    Ok(view(system, &departments(&mut conn).await?, members, &estate))
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSystem {
    #[schema(example = "低保审批系统")]
    pub name: String,
    /// 功能
    pub purpose: String,
    /// The department's code or id; a project team's own where absent.
    #[serde(default)]
    pub department: Option<String>,
    #[serde(default)]
    pub scope: Option<Scope>,
    #[serde(default)]
    pub frequency: Option<Frequency>,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Date)]
    pub last_updated_on: Option<Date>,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Date)]
    pub maintained_until: Option<Date>,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Date)]
    pub last_login_on: Option<Date>,
    #[serde(default)]
    pub replaced_by: Option<String>,
}

/// 登记信息系统
#[utoipa::path(post, path = "/v1/systems", tag = "systems", request_body = NewSystem,
    responses((status = 201, body = SystemView), (status = "4XX", body = ProblemDocument)))]
pub async fn create(
    State(api): State<Api>,
    Caller(actor): Caller,
    document: Document<NewSystem>,
) -> Result<impl IntoResponse, Problem> {
    let new = document.value;
    let facts = Facts {
        name: new.name,
        purpose: new.purpose,
        scope: new.scope,
        frequency: new.frequency,
        last_updated_on: new.last_updated_on,
        maintained_until: new.maintained_until,
        last_login_on: new.last_login_on,
        replaced_by: new.replaced_by,
    };
    let made = api.systems.create(&actor, new.department.as_deref(), facts).await?;
    let id = made.id.text();
    Ok((StatusCode::CREATED, location(&format!("/v1/systems/{id}")), Json(whole(&api, &actor, &id).await?)))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SystemsQuery {
    /// The department's code or id.
    pub department: Option<String>,
    /// The whole name.
    pub name: Option<String>,
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    pub page_token: Option<String>,
    pub sort: Option<String>,
}

/// 信息系统列表
#[utoipa::path(get, path = "/v1/systems", tag = "systems", params(SystemsQuery),
    responses((status = 200, body = Page<SystemView>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<SystemsQuery>,
) -> Result<Json<Page<SystemView>>, Problem> {
    let scope = policy::scope(&actor, Act::SystemRead)?.filter();
    let mut conn = api.db.read().await?;
    let departments = departments(&mut conn).await?;
    let department = query.department.map(|key| department_id(&departments, key));
    let filter = Filter { scope: scope.as_deref(), department: department.as_deref(), name: query.name.as_deref() };
    let page = PageQuery { page_size: query.page_size, page_token: query.page_token, sort: query.sort };
    let cut = Cut::new(&api, "systems", &store::SORTS, page, &filter)?;
    let rows = store::list(&mut conn, &filter, &cut.slice).await?;
    drop(conn);
    let estate = api.estates.now().await?;
    Ok(Json(cut.page(rows, |row| view(row, &departments, Vec::new(), &estate))))
}

/// 查看信息系统和它的虚拟机
#[utoipa::path(get, path = "/v1/systems/{id}", tag = "systems", params(("id" = String, Path)),
    responses((status = 200, body = SystemView), (status = "4XX", body = ProblemDocument)))]
pub async fn show(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<SystemView>, Problem> {
    Ok(Json(whole(&api, &actor, &id).await?))
}

/// What of a system can be changed; null takes away what was said.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(clippy::option_option, reason = "what is absent stays, what is null goes")]
pub struct SystemPatch {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false)]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false)]
    pub purpose: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Scope>, required = false)]
    pub scope: Option<Option<Scope>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Frequency>, required = false)]
    pub frequency: Option<Option<Frequency>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, format = Date, required = false)]
    pub last_updated_on: Option<Option<Date>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, format = Date, required = false)]
    pub maintained_until: Option<Option<Date>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, format = Date, required = false)]
    pub last_login_on: Option<Option<Date>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, required = false)]
    pub replaced_by: Option<Option<String>>,
}

impl SystemPatch {
    fn onto(self, facts: Facts) -> Facts {
        Facts {
            name: self.name.unwrap_or(facts.name),
            purpose: self.purpose.unwrap_or(facts.purpose),
            scope: self.scope.unwrap_or(facts.scope),
            frequency: self.frequency.unwrap_or(facts.frequency),
            last_updated_on: self.last_updated_on.unwrap_or(facts.last_updated_on),
            maintained_until: self.maintained_until.unwrap_or(facts.maintained_until),
            last_login_on: self.last_login_on.unwrap_or(facts.last_login_on),
            replaced_by: self.replaced_by.unwrap_or(facts.replaced_by),
        }
    }
}

/// 修改信息系统的登记
#[utoipa::path(patch, path = "/v1/systems/{id}", tag = "systems",
    params(("id" = String, Path), ("If-Match" = String, Header, description = "查询时的 ETag，或 *")),
    request_body(content = SystemPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = SystemView), (status = "4XX", body = ProblemDocument)))]
pub async fn change(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    seen: IfMatch,
    Patch(patch): Patch<SystemPatch>,
) -> Result<Json<SystemView>, Problem> {
    policy::scope(&actor, Act::SystemChange)?;
    let known = api.systems.find(&actor, &id).await?;
    // The version first: what is looked at after it is not older.
    let mut conn = api.db.read().await?;
    let revision = store::revision(&mut conn, known.id).await?.unwrap_or_default();
    drop(conn);
    let system = api.systems.find(&actor, &id).await?;
    seen.check(&whole(&api, &actor, &id).await?)?;
    let facts = patch.onto(system.facts.clone());
    api.systems.change(&actor, &system, facts, revision).await?;
    Ok(Json(whole(&api, &actor, &id).await?))
}

/// Machines, by themselves or by the request that they were built for; 200 of both at most.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemMachines {
    #[serde(default)]
    pub machines: Vec<String>,
    #[serde(default)]
    pub requests: Vec<String>,
}

impl From<SystemMachines> for Named {
    fn from(said: SystemMachines) -> Self {
        Self { machines: said.machines, requests: said.requests }
    }
}

/// 把虚拟机列入信息系统
#[utoipa::path(post, path = "/v1/systems/{id}/attach", tag = "systems", params(("id" = String, Path)),
    request_body = SystemMachines, responses((status = 200, body = SystemView), (status = "4XX", body = ProblemDocument)))]
pub async fn attach(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<SystemMachines>,
) -> Result<Json<SystemView>, Problem> {
    api.systems.attach(&actor, &id, document.value.into()).await?;
    Ok(Json(whole(&api, &actor, &id).await?))
}

/// 把虚拟机从信息系统移出
#[utoipa::path(post, path = "/v1/systems/{id}/detach", tag = "systems", params(("id" = String, Path)),
    request_body = SystemMachines, responses((status = 200, body = SystemView), (status = "4XX", body = ProblemDocument)))]
pub async fn detach(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<SystemMachines>,
) -> Result<Json<SystemView>, Problem> {
    api.systems.detach(&actor, &id, document.value.into()).await?;
    Ok(Json(whole(&api, &actor, &id).await?))
}

/// What a system was found to be.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct JudgementView {
    #[schema(value_type = String, format = Uuid)]
    pub system_id: SystemId,
    pub system_name: String,
    /// Whether some criterion is met, on whatever evidence.
    pub suspected: bool,
    pub judgement: Judgement,
    /// The open finding, or the last one; null where there has never been one.
    pub finding: Option<FindingView>,
}

/// 判定信息系统是否疑似僵尸系统
#[utoipa::path(post, path = "/v1/systems/{id}/judge", tag = "systems", params(("id" = String, Path)),
    responses((status = 200, body = JudgementView), (status = "4XX", body = ProblemDocument)))]
pub async fn judge(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<JudgementView>, Problem> {
    let found = api.zombies.judge(&actor, &id).await?;
    let system = api.systems.find(&actor, &id).await?;
    let mut conn = api.db.read().await?;
    let departments = departments(&mut conn).await?;
    let today = api.db.clock().today();
    Ok(Json(JudgementView {
        system_id: system.id,
        system_name: system.facts.name,
        suspected: found.judgement.is_suspicious(),
        judgement: found.judgement,
        finding: found.finding.map(|finding| FindingView::of(finding, &departments, today)),
    }))
}
