//! `/v1/alarms`

use super::{
    Api,
    extract::{Caller, Path, Query, identifier, one_of},
    page::{Cut, Page, PageQuery},
};
use crate::{
    capacity::store as capacity_store,
    error::{Problem, ProblemDocument},
    identity::policy::{self, Act},
    ids::{AlarmId, MachineId},
    watch::{
        Alarm, AlarmKind,
        store::{self, Filter},
    },
};
use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Where what a host runs differs from what the broker knows.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AlarmView {
    #[schema(value_type = String, format = Uuid)]
    pub id: AlarmId,
    /// `foreign`, `stray`, `missing`, `altered`, `restarted`, `power_cut` or `finalizer_stuck`.
    pub kind: &'static str,
    /// The host's name; none for an object of a Kubernetes cluster.
    pub host: Option<String>,
    /// The domain's name and UUID on the host; of an object its namespace with its name, and its UID.
    pub name: String,
    pub domain_id: String,
    #[schema(value_type = Option<String>, format = Uuid)]
    pub machine_id: Option<MachineId>,
    pub detail: String,
    #[schema(value_type = String, format = DateTime)]
    pub first_seen_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub last_seen_at: Timestamp,
    pub acknowledged_by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub acknowledged_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub cleared_at: Option<Timestamp>,
}

fn view(alarm: Alarm, hosts: &HashMap<String, String>) -> AlarmView {
    AlarmView {
        id: alarm.id,
        kind: alarm.kind.word(),
        host: alarm.host.and_then(|host| hosts.get(&host.text()).cloned()),
        name: alarm.name,
        domain_id: alarm.domain_id,
        machine_id: alarm.machine,
        detail: alarm.detail,
        first_seen_at: alarm.first_seen_at,
        last_seen_at: alarm.last_seen_at,
        acknowledged_by: alarm.acknowledged_by,
        acknowledged_at: alarm.acknowledged_at,
        cleared_at: alarm.cleared_at,
    }
}

async fn host_names(conn: &mut sqlx::AnyConnection) -> Result<HashMap<String, String>, Problem> {
    let hosts = capacity_store::list_hosts(conn).await?;
    Ok(hosts.into_iter().map(|host| (host.id.text(), host.name)).collect())
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AlarmsQuery {
    /// Those that are over too.
    #[serde(default)]
    pub all: bool,
    /// `foreign`, `stray`, `missing`, `altered`, `restarted`, `power_cut` or `finalizer_stuck`.
    pub kind: Option<String>,
    /// The host's name or id.
    pub host: Option<String>,
    pub machine_id: Option<String>,
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    pub page_token: Option<String>,
    pub sort: Option<String>,
}

/// 告警列表
#[utoipa::path(get, path = "/v1/alarms", tag = "alarms", params(AlarmsQuery),
    responses((status = 200, body = Page<AlarmView>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<AlarmsQuery>,
) -> Result<Json<Page<AlarmView>>, Problem> {
    policy::scope(&actor, Act::AlarmRead)?;
    one_of::<AlarmKind>("kind", query.kind.as_deref())?;
    let machine = identifier::<MachineId>("machine_id", query.machine_id)?;
    let mut conn = api.db.read().await?;
    let hosts = host_names(&mut conn).await?;
    // A host that is not there has no alarms.
    let host = query.host.map(|key| hosts.iter().find(|(_, name)| **name == key).map_or(key, |(id, _)| id.clone()));
    let filter =
        Filter { all: query.all, kind: query.kind.as_deref(), host: host.as_deref(), machine: machine.as_deref() };
    let page = PageQuery { page_size: query.page_size, page_token: query.page_token, sort: query.sort };
    let cut = Cut::new(&api, "alarms", &store::SORTS, page, &filter)?;
    let rows = store::list(&mut conn, &filter, &cut.slice).await?;
    Ok(Json(cut.page(rows, |row| view(row, &hosts))))
}

/// 查看告警
#[utoipa::path(get, path = "/v1/alarms/{id}", tag = "alarms", params(("id" = String, Path)),
    responses((status = 200, body = AlarmView), (status = "4XX", body = ProblemDocument)))]
pub async fn show(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<AlarmView>, Problem> {
    policy::scope(&actor, Act::AlarmRead)?;
    let mut conn = api.db.read().await?;
    let alarm = store::find(&mut conn, &id).await?.ok_or_else(|| Problem::not_found("告警"))?;
    Ok(Json(view(alarm, &host_names(&mut conn).await?)))
}

/// 知悉告警；只发生一次的事就此了结，仍然存在的要等它消失
#[utoipa::path(post, path = "/v1/alarms/{id}/acknowledge", tag = "alarms", params(("id" = String, Path)),
    responses((status = 200, body = AlarmView), (status = "4XX", body = ProblemDocument)))]
pub async fn acknowledge(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<AlarmView>, Problem> {
    let alarm = api.watch.acknowledge(&actor, &id).await?;
    let mut conn = api.db.read().await?;
    Ok(Json(view(alarm, &host_names(&mut conn).await?)))
}
