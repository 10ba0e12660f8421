//! What becomes of systems on their way out of their rooms: `/v1/systems/{id}/move`, `decide`, `advance`, `exempt`.

use super::{
    Api,
    extract::{Caller, Document, Path},
    waves::SystemRequestMade,
};
use crate::{
    error::{Problem, ProblemDocument},
    identity::{
        Actor, Department,
        policy::{self, Act},
    },
    ids::{SystemId, WaveId},
    migration::{
        chain::Waits,
        difficulty::{Difficulty, difficulty},
        estate::{Estate, System},
        fate::{Decision, Disposition, Exemption, Stage, Step, Taken, Trigger},
        room::Standing,
        service::{Advance, Decide},
    },
    system::survey::Survey,
};
use axum::{Json, extract::State};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Where a system stands on its way out.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SystemMoveView {
    #[schema(value_type = String, format = Uuid)]
    pub id: SystemId,
    pub name: String,
    pub department: Department,
    /// Null: in the cloud from the first.
    #[schema(required)]
    pub room: Option<String>,
    pub servers: Vec<String>,
    pub standing: Standing,
    pub stage: Stage,
    pub difficulty: Difficulty,
    #[schema(required)]
    pub decision: Option<Decision>,
    #[schema(required, value_type = Option<String>, format = Date)]
    pub cutover_on: Option<Date>,
    #[schema(required)]
    pub trigger: Option<Trigger>,
    #[schema(required)]
    pub exemption: Option<Exemption>,
    /// What the self-survey says beside what every system's record has.
    pub survey: Survey,
    /// Systems without which it does not work; others' are told by their department alone to a project team.
    pub needs: Vec<String>,
    /// Those of them that it waits for before it can go.
    pub waits_for: Vec<String>,
    /// Systems that wait for each other, this one among them: they go together.
    pub goes_with: Vec<String>,
    pub steps: Vec<Taken>,
    /// The waves that it stands in; one, if all is well.
    pub waves: Vec<SystemWave>,
    /// Requests that stand for its servers, with their machines.
    pub requests: Vec<SystemRequestMade>,
}

/// A wave that a system stands in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SystemWave {
    #[schema(value_type = String, format = Uuid)]
    pub id: WaveId,
    pub name: String,
    #[schema(value_type = String, format = Date)]
    pub window_from: Date,
    #[schema(value_type = String, format = Date)]
    pub window_to: Date,
}

async fn told(api: &Api, actor: &Actor, id: &str) -> Result<Json<SystemMoveView>, Problem> {
    let scope = policy::scope(actor, Act::SystemRead)?;
    let (estate, system) = api.estates.system(actor, Act::SystemRead, id).await?;
    let name = |id: &SystemId| {
        let system = estate.systems.get(id)?;
        let own = scope.covers(system.unit.id);
        Some(if own { system.name.clone() } else { format!("（{}的系统）", system.unit.name) })
    };
    let requests = api.estates.requests_of(&estate, &system).await?;
    let requests = requests.into_iter().map(SystemRequestMade::from).collect();
    Ok(Json(SystemMoveView { requests, ..view(&estate, &system, api.estates.today(), &name) }))
}

fn view(estate: &Estate, system: &System, today: Date, name: &impl Fn(&SystemId) -> Option<String>) -> SystemMoveView {
    let waits = Waits::new(estate, today);
    let knot = waits.knots().into_iter().find(|knot| knot.contains(&system.id)).unwrap_or_default();
    SystemMoveView {
        id: system.id,
        name: system.name.clone(),
        department: system.unit.clone(),
        room: system.room().and_then(|id| estate.rooms.get(&id)).map(|room| room.name.clone()),
        servers: system.servers.iter().filter_map(|id| Some(estate.servers.get(id)?.name.clone())).collect(),
        standing: system.standing(today),
        stage: system.stage,
        difficulty: difficulty(estate, system, today),
        decision: system.decision.clone(),
        cutover_on: system.planned.map(|(day, _)| day),
        trigger: system.planned.map(|(_, trigger)| trigger),
        exemption: system.exemption.clone(),
        survey: system.survey.clone(),
        needs: system.needs.iter().filter_map(name).collect(),
        waits_for: waits.waits_for(system.id).filter_map(|id| name(&id)).collect(),
        goes_with: knot.iter().filter(|id| **id != system.id).filter_map(name).collect(),
        steps: system.steps.clone(),
        waves: estate
            .waves_of(system.id)
            .map(|wave| SystemWave {
                id: wave.id,
                name: wave.name.clone(),
                window_from: wave.window.from,
                window_to: wave.window.to,
            })
            .collect(),
        requests: Vec::new(),
    }
}

/// 查看系统的去向：迁移难度、去向、走到哪一步、在等什么
#[utoipa::path(get, path = "/v1/systems/{id}/move", tag = "systems", params(("id" = String, Path)),
    responses((status = 200, body = SystemMoveView), (status = "4XX", body = ProblemDocument)))]
pub async fn show_move(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<SystemMoveView>, Problem> {
    told(&api, &actor, &id).await
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemFate {
    /// `inherit` (继承), `rebuild` (重构) or `discard` (摒弃).
    pub disposition: Disposition,
    /// 必要性分析
    #[schema(min_length = 1, max_length = 2000)]
    pub reason: String,
    /// The system that does its work from now on, by name or id. What is given up needs this or a finding.
    #[serde(default)]
    pub replaced_by: Option<String>,
    /// The finding that it is a zombie, decided.
    #[serde(default)]
    pub finding_id: Option<String>,
}

/// 定系统的去向：继承、重构、摒弃
#[utoipa::path(post, path = "/v1/systems/{id}/decide", tag = "systems", params(("id" = String, Path)),
    request_body = SystemFate, responses((status = 200, body = SystemMoveView), (status = "4XX", body = ProblemDocument)))]
pub async fn decide(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<SystemFate>,
) -> Result<Json<SystemMoveView>, Problem> {
    let SystemFate { disposition, reason, replaced_by, finding_id } = document.value;
    api.estates.decide(&actor, &id, Decide { disposition, reason, replaced_by, finding_id }).await?;
    told(&api, &actor, &id).await
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemAdvance {
    /// `assess`, `plan`, `rehearse`, `cut_over`, `test`, `switch_off`, `archive` or `roll_back`.
    pub step: Step,
    /// What proves it; of a step back, why.
    #[schema(min_length = 1, max_length = 2000)]
    pub evidence: String,
    /// Of `assess`: the level that overrules the score, 1 to 5; the score's own where absent.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 5)]
    pub difficulty: Option<u8>,
    /// Of `plan`: the day of the cutover.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Date)]
    pub cutover_on: Option<Date>,
    /// Of `plan`: the node at which it moves; its wave's where absent.
    #[serde(default)]
    pub trigger: Option<Trigger>,
}

/// 办理系统迁移的下一步，或退回；每一步都要有证明
#[utoipa::path(post, path = "/v1/systems/{id}/advance", tag = "systems", params(("id" = String, Path)),
    request_body = SystemAdvance,
    responses((status = 200, body = SystemMoveView), (status = "4XX", body = ProblemDocument)))]
pub async fn advance(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<SystemAdvance>,
) -> Result<Json<SystemMoveView>, Problem> {
    let SystemAdvance { step, evidence, difficulty, cutover_on, trigger } = document.value;
    if difficulty.is_some_and(|level| !(1..=5).contains(&level)) {
        return Err(Problem::malformed("/difficulty: 难度须在 1 至 5 之间"));
    }
    api.estates.advance(&actor, &id, Advance { step, evidence, difficulty, cutover_on, trigger }).await?;
    told(&api, &actor, &id).await
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemStay {
    /// The last day, three years at most.
    #[schema(value_type = String, format = Date)]
    pub until: Date,
    /// 现场生产作业 and what proves it.
    #[schema(min_length = 1, max_length = 2000)]
    pub evidence: String,
}

/// 准许系统暂不迁出，到某一天为止
#[utoipa::path(post, path = "/v1/systems/{id}/exempt", tag = "systems", params(("id" = String, Path)),
    request_body = SystemStay, responses((status = 200, body = SystemMoveView), (status = "4XX", body = ProblemDocument)))]
pub async fn exempt(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<SystemStay>,
) -> Result<Json<SystemMoveView>, Problem> {
    let SystemStay { until, evidence } = document.value;
    api.estates.exempt(&actor, &id, until, &evidence).await?;
    told(&api, &actor, &id).await
}
