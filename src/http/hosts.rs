//! `/v1/hosts`

use super::{
    Api,
    extract::{Caller, Document, Path, Query, one_of},
    location,
    page::{Cut, Page, PageQuery},
    tag::{IfMatch, Patch, present},
};
use crate::{
    capacity::{
        Amount, Host,
        maintenance::Limits,
        service::{self, NewHost},
        standing::{Contact, HostState},
        store,
    },
    db::Batch,
    error::{Problem, ProblemDocument},
    identity::policy::{self, Act},
    ids::HostId,
    labels::{MlpsLevel, Zone},
    machine::drain,
};
use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HostView {
    #[schema(value_type = String, format = Uuid)]
    pub id: HostId,
    pub name: String,
    /// `libvirt`; `kubevirt`, a cluster; or `simulated`, where nothing runs.
    pub provider: &'static str,
    pub uri: String,
    /// `kvm` or `qemu` (software emulation), found by booting a probe.
    pub domain_type: &'static str,
    /// `active`, `cordoned`, `draining`, `unknown` or `fenced`.
    pub state: &'static str,
    /// The highest MLPS level (等保级别) that the host may carry.
    pub mlps_level: u8,
    /// Since when it is unknown or fenced, and why.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub contact_since: Option<Timestamp>,
    pub contact_reason: Option<String>,
    /// When all its domains were last listed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub listed_at: Option<Timestamp>,
    /// While it is being drained.
    pub drain: Option<DrainView>,
    /// What may be given out.
    pub capacity: AmountView,
    pub used: AmountView,
    pub zones: Vec<HostZoneView>,
    /// What an operator should know of this host, in Chinese; a connection without encryption, for instance.
    pub warnings: Vec<String>,
}

/// How far the moving away has come.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DrainView {
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// Machines that were here when it began.
    pub total: i64,
    #[serde(flatten)]
    pub progress: drain::Progress,
}

/// 确认隔离：再写一遍名称，并写明怎样确认它已断电
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FencedWord {
    pub name: String,
    pub reason: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AmountView {
    pub vcpu: i64,
    pub memory_bytes: i64,
    pub disk_bytes: i64,
}

impl From<Amount> for AmountView {
    fn from(amount: Amount) -> Self {
        Self { vcpu: amount.vcpu, memory_bytes: amount.memory_bytes, disk_bytes: amount.disk_bytes }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HostZoneView {
    pub zone: &'static str,
    /// The libvirt network, or the bridge of a shared segment.
    pub network: String,
    pub cidr: String,
    pub gateway: String,
    /// Who answers the zone's names there.
    pub dns: String,
    /// The network that hosts share, if it is one.
    pub segment: Option<String>,
}

/// With what is still to be moved away.
async fn view(conn: &mut AnyConnection, host: Host) -> Result<HostView, Problem> {
    let id = host.id;
    let mut view = HostView::from(host);
    if let Some(drain) = &mut view.drain {
        drain.progress = drain::progress(conn, id).await?;
    }
    Ok(view)
}

async fn shown(api: &Api, host: Host) -> Result<Json<HostView>, Problem> {
    let mut conn = api.db.read().await?;
    Ok(Json(view(&mut conn, host).await?))
}

impl From<Host> for HostView {
    fn from(host: Host) -> Self {
        Self {
            warnings: host.warnings(),
            id: host.id,
            name: host.name,
            provider: host.provider.word(),
            uri: host.uri,
            domain_type: host.domain_type.word(),
            state: host.standing.state().word(),
            drain: host.standing.draining.then_some(DrainView {
                started_at: host.standing.drain_started_at,
                total: host.standing.drain_total,
                progress: drain::Progress::default(),
            }),
            contact_since: host.standing.contact_since.filter(|_| host.standing.contact != Contact::Reachable),
            contact_reason: host.standing.contact_reason,
            listed_at: host.standing.listed_at,
            mlps_level: host.mlps_level.get(),
            capacity: host.limit.into(),
            used: host.used.into(),
            zones: host
                .networks
                .into_iter()
                .map(|network| HostZoneView {
                    zone: network.zone.word(),
                    network: network.device().to_owned(),
                    cidr: network.cidr.to_string(),
                    gateway: network.gateway.to_string(),
                    dns: network.dns.to_string(),
                    segment: network.segment,
                })
                .collect(),
        }
    }
}

/// 登记宿主机：准备存储池与网络，启动探测客户机，测得容量
#[utoipa::path(post, path = "/v1/hosts", tag = "hosts", request_body = NewHost,
    responses((status = 201, body = HostView), (status = "4XX", body = ProblemDocument)))]
pub async fn add(
    State(api): State<Api>,
    Caller(actor): Caller,
    document: Document<NewHost>,
) -> Result<impl IntoResponse, Problem> {
    let host = service::add_host(&api.db, &api.inventory, &actor, document.value, &api.allowed_hosts).await?;
    Ok((StatusCode::CREATED, location(&format!("/v1/hosts/{}", host.id)), Json(HostView::from(host))))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HostsQuery {
    /// `active`, `cordoned`, `draining`, `unknown` or `fenced`.
    pub state: Option<String>,
    /// Only hosts with a network of this zone.
    pub zone: Option<String>,
    pub name: Option<String>,
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    pub page_token: Option<String>,
    pub sort: Option<String>,
}

/// 宿主机列表
#[utoipa::path(get, path = "/v1/hosts", tag = "hosts", params(HostsQuery),
    responses((status = 200, body = Page<HostView>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<HostsQuery>,
) -> Result<Json<Page<HostView>>, Problem> {
    policy::scope(&actor, Act::HostRead)?;
    let state = one_of("state", query.state.as_deref())?;
    let zone = one_of("zone", query.zone.as_deref())?;
    let filters = [query.state.as_deref(), query.zone.as_deref(), query.name.as_deref()];
    let page = PageQuery { page_size: query.page_size, page_token: query.page_token.clone(), sort: query.sort.clone() };
    let cut = Cut::new(&api, "hosts", &store::SORTS, page, &filters)?;
    let mut conn = api.db.read().await?;
    let mut rows = store::list_hosts(&mut conn).await?;
    rows.retain(|host| {
        state.is_none_or(|state: HostState| host.standing.state() == state)
            && zone.is_none_or(|zone: Zone| host.networks.iter().any(|network| network.zone == zone))
            && query.name.as_ref().is_none_or(|name| host.name == *name)
    });
    Ok(Json(cut.page(Batch::cut(rows, &cut.slice, store::sort_value), HostView::from)))
}

/// What of a host can be changed.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HostPatch {
    /// What may be given out.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = CapacityPatch, required = false)]
    pub capacity: Option<CapacityPatch>,
    /// Lower only while nothing is on it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = u8, required = false, minimum = 1, maximum = 4)]
    pub mlps_level: Option<MlpsLevel>,
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CapacityPatch {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = i64, required = false, minimum = 0)]
    pub vcpu: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = i64, required = false, minimum = 0)]
    pub memory_bytes: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = i64, required = false, minimum = 0)]
    pub disk_bytes: Option<i64>,
}

/// 修改宿主机：可以分给虚拟机的容量、能承载的等级
#[utoipa::path(patch, path = "/v1/hosts/{id}", tag = "hosts",
    params(("id" = String, Path, description = "标识或名称"), ("If-Match" = String, Header, description = "查询时的 ETag，或 *")),
    request_body(content = HostPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = HostView), (status = "4XX", body = ProblemDocument)))]
pub async fn change(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    seen: IfMatch,
    Patch(patch): Patch<HostPatch>,
) -> Result<Json<HostView>, Problem> {
    policy::scope(&actor, Act::HostChange)?;
    let capacity = patch.capacity.unwrap_or_default();
    let limits = Limits {
        vcpu: capacity.vcpu,
        memory_bytes: capacity.memory_bytes,
        disk_bytes: capacity.disk_bytes,
        mlps_level: patch.mlps_level,
    };
    let limits = limits.checked()?;
    let mut conn = api.db.read().await?;
    let known = store::find_host(&mut conn, &id).await?.ok_or_else(|| Problem::not_found("宿主机"))?;
    // The version first: what is looked at after it is not older.
    let revision = store::host_revision(&mut conn, known.id).await?.unwrap_or_default();
    let host = store::find_host(&mut conn, &id).await?.ok_or_else(|| Problem::not_found("宿主机"))?;
    seen.check(&view(&mut conn, host.clone()).await?)?;
    drop(conn);
    let host = api.maintenance.reconfigure(&actor, &host, limits, revision).await?;
    shown(&api, host).await
}

/// 查看宿主机（标识或名称）
#[utoipa::path(get, path = "/v1/hosts/{id}", tag = "hosts", params(("id" = String, Path, description = "标识或名称")),
    responses((status = 200, body = HostView), (status = "4XX", body = ProblemDocument)))]
pub async fn show(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<HostView>, Problem> {
    policy::scope(&actor, Act::HostRead)?;
    let mut conn = api.db.read().await?;
    let host = store::find_host(&mut conn, &id).await?.ok_or_else(|| Problem::not_found("宿主机"))?;
    Ok(Json(view(&mut conn, host).await?))
}

/// 暂停接收新的虚拟机
#[utoipa::path(post, path = "/v1/hosts/{id}/cordon", tag = "hosts", params(("id" = String, Path, description = "标识或名称")),
    responses((status = 200, body = HostView), (status = "4XX", body = ProblemDocument)))]
pub async fn cordon(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<HostView>, Problem> {
    let host = api.maintenance.cordon(&actor, &id).await?;
    shown(&api, host).await
}

/// 恢复接收；迁出也就此停止
#[utoipa::path(post, path = "/v1/hosts/{id}/uncordon", tag = "hosts", params(("id" = String, Path, description = "标识或名称")),
    responses((status = 200, body = HostView), (status = "4XX", body = ProblemDocument)))]
pub async fn uncordon(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<HostView>, Problem> {
    let host = api.maintenance.uncordon(&actor, &id).await?;
    shown(&api, host).await
}

/// 迁出全部虚拟机，供维护
#[utoipa::path(post, path = "/v1/hosts/{id}/drain", tag = "hosts", params(("id" = String, Path, description = "标识或名称")),
    responses((status = 200, body = HostView), (status = "4XX", body = ProblemDocument)))]
pub async fn drain(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<HostView>, Problem> {
    let host = api.maintenance.drain(&actor, &id).await?;
    shown(&api, host).await
}

/// 停止迁出；已在途中的照常到达，宿主机仍暂停接收
#[utoipa::path(post, path = "/v1/hosts/{id}/cancel-drain", tag = "hosts", params(("id" = String, Path, description = "标识或名称")),
    responses((status = 200, body = HostView), (status = "4XX", body = ProblemDocument)))]
pub async fn cancel_drain(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<HostView>, Problem> {
    let host = api.maintenance.cancel_drain(&actor, &id).await?;
    shown(&api, host).await
}

/// 执行设置好的隔离命令；成功才算已断电
#[utoipa::path(post, path = "/v1/hosts/{id}/fence", tag = "hosts", params(("id" = String, Path, description = "标识或名称")),
    responses((status = 200, body = HostView), (status = "4XX", body = ProblemDocument)))]
pub async fn fence(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<HostView>, Problem> {
    let host = api.maintenance.fence(&actor, &id).await?;
    shown(&api, host).await
}

/// 重新接入已隔离的宿主机
#[utoipa::path(post, path = "/v1/hosts/{id}/readmit", tag = "hosts", params(("id" = String, Path, description = "标识或名称")),
    responses((status = 200, body = HostView), (status = "4XX", body = ProblemDocument)))]
pub async fn readmit(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<HostView>, Problem> {
    let host = api.watch.readmit(&actor, &id).await?;
    shown(&api, host).await
}

/// 由运维员确认宿主机已断电
#[utoipa::path(post, path = "/v1/hosts/{id}/confirm-fenced", tag = "hosts", request_body = FencedWord,
    params(("id" = String, Path, description = "标识或名称")),
    responses((status = 200, body = HostView), (status = "4XX", body = ProblemDocument)))]
pub async fn confirm_fenced(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<FencedWord>,
) -> Result<Json<HostView>, Problem> {
    let word = document.value;
    let host = api.maintenance.confirm_fenced(&actor, &id, &word.name, &word.reason).await?;
    shown(&api, host).await
}
