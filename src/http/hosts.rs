//! `/v1/hosts`

use super::{
    Api,
    extract::{Caller, Document, Path, Query},
    location,
    page::{Page, PageQuery},
};
use crate::{
    capacity::{
        Amount, Host,
        service::{self, NewHost},
        store,
    },
    error::{Problem, ProblemDocument},
    identity::policy::{self, Act},
    ids::HostId,
};
use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use serde::Serialize;

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HostView {
    #[schema(value_type = String, format = Uuid)]
    pub id: HostId,
    pub name: String,
    /// `libvirt`, or `simulated`, where nothing runs.
    pub provider: &'static str,
    pub uri: String,
    /// `kvm` or `qemu` (software emulation), found by booting a probe.
    pub domain_type: &'static str,
    pub state: &'static str,
    /// The highest MLPS level (等保级别) that the host may carry.
    pub mlps_level: u8,
    /// What may be given out.
    pub capacity: AmountView,
    pub used: AmountView,
    pub zones: Vec<HostZoneView>,
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
    pub network: String,
    pub cidr: String,
    /// The host's own address on it; also answers DNS for the zone's names.
    pub gateway: String,
}

impl From<Host> for HostView {
    fn from(host: Host) -> Self {
        Self {
            id: host.id,
            name: host.name,
            provider: host.provider.word(),
            uri: host.uri,
            domain_type: host.domain_type.word(),
            state: host.state.word(),
            mlps_level: host.mlps_level.get(),
            capacity: host.limit.into(),
            used: host.used.into(),
            zones: host
                .networks
                .into_iter()
                .map(|network| HostZoneView {
                    zone: network.zone.word(),
                    network: network.network,
                    cidr: network.cidr.to_string(),
                    gateway: network.gateway.to_string(),
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
    let host = service::add_host(&api.db, &api.inventory, &actor, document.value, api.allow_simulated_hosts).await?;
    Ok((StatusCode::CREATED, location(&format!("/v1/hosts/{}", host.id)), Json(HostView::from(host))))
}

/// 宿主机列表
#[utoipa::path(get, path = "/v1/hosts", tag = "hosts", params(PageQuery),
    responses((status = 200, body = Page<HostView>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<HostView>>, Problem> {
    policy::scope(&actor, Act::HostRead)?;
    let cut = page.oldest_first()?;
    let mut conn = api.db.read().await?;
    let after = store::list_hosts(&mut conn).await?.into_iter().filter(|host| host.id.text() > cut.bound);
    let rows: Vec<_> = after.take(usize::try_from(cut.fetch()).unwrap_or(usize::MAX)).collect();
    Ok(Json(cut.page(rows, |row| row.id.0, HostView::from)))
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
    Ok(Json(host.into()))
}
