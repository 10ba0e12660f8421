//! `/v1/placement`

use super::{
    Api,
    extract::{Caller, Document, keys},
};
use crate::{
    capacity::{inventory::Explanation, placement::Score},
    error::{HostRefusal, Problem, ProblemDocument},
    labels::{ProviderWish, Spread},
    machine::explain::{self, Asked, Question},
};
use axum::{Json, extract::State};
use serde::Serialize;

/// Refusals told of; how many there are is told as well.
const LISTED: usize = 500;

/// A decision that nobody made: nothing is claimed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ExplanationView {
    /// Every machine asked for has a place.
    pub possible: bool,
    pub asked: AskedView,
    /// How many hosts there are.
    pub hosts: usize,
    /// One for each machine that has a place.
    pub machines: Vec<ChoiceView>,
    /// Hosts that could not take a machine, the first five hundred of them.
    pub refused: Vec<RefusedView>,
    pub refused_total: usize,
}

/// What was asked, as it was understood; sizes are per machine.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AskedView {
    pub machines: u32,
    pub vcpu: u32,
    pub memory_bytes: i64,
    pub disk_bytes: i64,
    pub zone: &'static str,
    pub mlps_level: u8,
    pub os: Option<String>,
    pub lease_end: Option<String>,
    pub spread: Spread,
    pub provider: ProviderWish,
}

/// Where one machine would go.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ChoiceView {
    /// From 1.
    pub number: usize,
    pub host: String,
    pub score: Score,
    /// Hosts that could take it, this one included.
    pub passed: usize,
    /// The next best, in order.
    pub next: Vec<RankedView>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RankedView {
    pub host: String,
    pub score: Score,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RefusedView {
    /// The first machine, from 1, that the host cannot take; nor can it take those after it.
    pub from_machine: u32,
    #[serde(flatten)]
    pub refusal: HostRefusal,
}

impl From<Asked> for AskedView {
    fn from(asked: Asked) -> Self {
        Self {
            machines: asked.machines,
            vcpu: asked.size.vcpu,
            memory_bytes: asked.size.memory.get(),
            disk_bytes: asked.size.disk.get(),
            zone: asked.zone.word(),
            mlps_level: asked.mlps_level.get(),
            os: asked.os,
            lease_end: asked.lease_end.map(|day| day.to_string()),
            spread: asked.spread,
            provider: asked.provider,
        }
    }
}

fn view(asked: Asked, explanation: Explanation) -> ExplanationView {
    let ranked = |next: Vec<(String, Score)>| next.into_iter().map(|(host, score)| RankedView { host, score });
    let choices = explanation.choices.into_iter().zip(1..).map(|(choice, number)| ChoiceView {
        number,
        host: choice.host,
        score: choice.score,
        passed: choice.passed,
        next: ranked(choice.next).collect(),
    });
    let machines: Vec<_> = choices.collect();
    let refused = explanation.refused.iter().take(LISTED);
    ExplanationView {
        possible: machines.len() == asked.machines as usize,
        hosts: explanation.hosts,
        refused: refused
            .map(|(machine, host, refusal)| RefusedView { from_machine: *machine, refusal: refusal.of(host) })
            .collect(),
        refused_total: explanation.refused.len(),
        asked: asked.into(),
        machines,
    }
}

/// 落位说明：如果现在批准，每台虚拟机会落在哪台宿主机，其余宿主机为什么不行；不占用任何资源
#[utoipa::path(post, path = "/v1/placement/explain", tag = "hosts", request_body = Question,
    responses((status = 200, body = ExplanationView), (status = "4XX", body = ProblemDocument)))]
pub async fn explain(
    State(api): State<Api>,
    Caller(actor): Caller,
    document: Document<Question>,
) -> Result<Json<ExplanationView>, Problem> {
    keys("/request", &document.value.request)?;
    let (asked, explanation) = explain::explain(&api.db, &api.rules.catalogue, &actor, &document.value).await?;
    Ok(Json(view(asked, explanation)))
}
