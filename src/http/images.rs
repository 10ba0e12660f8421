//! `/v1/images`

use super::{
    Api,
    extract::{Caller, Document, Path, Query, keys},
    location,
    page::{Cut, Page, PageQuery},
};
use crate::{
    db::{Batch, Sorts},
    error::{Problem, ProblemDocument},
    identity::policy::{self, Act},
    machine::{
        distribution::{Transfer, service::Shown},
        image::Image,
        service::NewImage,
    },
};
use axum::{Json, body::Body, extract::State, http::StatusCode, response::IntoResponse};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ImageView {
    /// Its identity: the same bytes are the same image.
    pub sha256: String,
    pub name: String,
    /// The catalogue's operating system that machines start from it for.
    pub os_type: String,
    /// The catalogue's database that is in it.
    pub database: Option<String>,
    /// True when it only stands in for that operating system.
    pub stand_in: bool,
    /// `raw` or `qcow2`
    pub format: &'static str,
    pub size_bytes: i64,
    pub virtual_size_bytes: i64,
    #[schema(value_type = String, format = DateTime)]
    pub imported_at: Timestamp,
    /// The last day on which the makers of the operating system mend it.
    #[schema(value_type = Option<String>, format = Date)]
    pub end_of_life: Option<Date>,
    /// True from the day after: no new machine starts from it.
    pub ended: bool,
    /// On so many hosts it lies,
    pub hosts_present: i64,
    /// of so many.
    pub hosts_total: i64,
}

impl ImageView {
    fn of(api: &Api, shown: Shown) -> Self {
        let Shown { image, present, hosts } = shown;
        let os = api.distribution.catalogue.os.iter().find(|os| os.key == image.os_type);
        Self {
            end_of_life: os.map(|os| os.end_of_life),
            ended: os.is_some_and(|os| os.is_ended(api.db.clock().today())),
            hosts_present: present,
            hosts_total: hosts,
            sha256: image.sha256,
            name: image.name,
            os_type: image.os_type,
            database: image.database,
            stand_in: image.stand_in,
            format: image.format.word(),
            size_bytes: image.size.get(),
            virtual_size_bytes: image.virtual_size.get(),
            imported_at: image.imported_at,
        }
    }
}

/// How far an image is on its way to one host.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TransferView {
    /// The host's name.
    pub host: String,
    /// `absent`, `waiting`, `sending`, `present`, or `failed`, which is tried again.
    pub state: &'static str,
    pub percent: i64,
    /// Why the last attempt failed.
    pub reason: Option<String>,
    /// In a row, those that failed and the one under way.
    pub attempts: i64,
    /// No other attempt before.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_try: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub updated_at: Option<Timestamp>,
}

impl From<Transfer> for TransferView {
    fn from(transfer: Transfer) -> Self {
        Self {
            host: transfer.host_name,
            state: transfer.state.word(),
            percent: transfer.percent,
            reason: transfer.reason,
            attempts: transfer.attempts,
            next_try: transfer.next_try,
            updated_at: transfer.updated_at,
        }
    }
}

/// Where an image is to go.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Destinations {
    /// Names or ids of hosts; all that answer when there is none.
    #[serde(default)]
    pub hosts: Vec<String>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NewImageQuery {
    /// What it is, truthfully.
    pub name: String,
    pub os_type: String,
    /// The database that is in it, as `postgresql-15`.
    pub database: Option<String>,
    #[serde(default)]
    pub stand_in: bool,
}

/// 导入镜像：内容即 raw 或不带后备文件的 qcow2
#[utoipa::path(post, path = "/v1/images", tag = "images", params(NewImageQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = ImageView), (status = "4XX", body = ProblemDocument)))]
pub async fn import(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<NewImageQuery>,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    let new = NewImage { name: query.name, os_type: query.os_type, database: query.database, stand_in: query.stand_in };
    let image = api.images.import(&actor, new, Box::pin(body.into_data_stream())).await?;
    let place = location(&format!("/v1/images/{}", image.sha256));
    Ok((StatusCode::CREATED, place, Json(shown(&api, image).await?)))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImagesQuery {
    /// The catalogue's operating system.
    pub os_type: Option<String>,
    pub name: Option<String>,
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<i64>,
    pub page_token: Option<String>,
    pub sort: Option<String>,
}

pub(super) const SORTS: Sorts = Sorts {
    id: "sha256",
    numbered: false,
    by: &[("created_at", "imported_at"), ("name", "name")],
    default: "-created_at",
};

/// 镜像列表
#[utoipa::path(get, path = "/v1/images", tag = "images", params(ImagesQuery),
    responses((status = 200, body = Page<ImageView>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(
    State(api): State<Api>,
    Caller(actor): Caller,
    Query(query): Query<ImagesQuery>,
) -> Result<Json<Page<ImageView>>, Problem> {
    policy::scope(&actor, Act::ImageRead)?;
    let page = PageQuery { page_size: query.page_size, page_token: query.page_token, sort: query.sort };
    let cut = Cut::new(&api, "images", &SORTS, page, &[query.os_type.as_deref(), query.name.as_deref()])?;
    let mut all = api.distribution.images().await?;
    all.retain(|shown| {
        query.os_type.as_ref().is_none_or(|os| shown.image.os_type == *os)
            && query.name.as_ref().is_none_or(|name| shown.image.name == *name)
    });
    let rows = Batch::cut(all, &cut.slice, |shown, column| match column {
        "imported_at" => format!("{:020}", shown.image.imported_at.as_microsecond()),
        "name" => shown.image.name.clone(),
        _ => shown.image.sha256.clone(),
    });
    Ok(Json(cut.page(rows, |shown| ImageView::of(&api, shown))))
}

/// 查看镜像（摘要、摘要的开头或名称）
#[utoipa::path(get, path = "/v1/images/{id}", tag = "images",
    params(("id" = String, Path, description = "摘要、摘要的开头或名称")),
    responses((status = 200, body = ImageView), (status = "4XX", body = ProblemDocument)))]
pub async fn show(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<Json<ImageView>, Problem> {
    policy::scope(&actor, Act::ImageRead)?;
    let image = api.distribution.find(&id).await?;
    Ok(Json(shown(&api, image).await?))
}

pub(super) const BY_HOST: Sorts = Sorts { id: "name", numbered: false, by: &[("name", "name")], default: "name" };

/// 镜像在各宿主机上的分发进度
#[utoipa::path(get, path = "/v1/images/{id}/hosts", tag = "images",
    params(("id" = String, Path, description = "摘要、摘要的开头或名称"), PageQuery),
    responses((status = 200, body = Page<TransferView>), (status = "4XX", body = ProblemDocument)))]
pub async fn hosts(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<TransferView>>, Problem> {
    policy::scope(&actor, Act::HostRead)?;
    let image = api.distribution.find(&id).await?;
    let cut = Cut::new(&api, "image hosts", &BY_HOST, page, &[Some(&image.sha256)])?;
    let all = api.distribution.hosts(&image).await?;
    let rows = Batch::cut(all, &cut.slice, |transfer, _| transfer.host_name.clone());
    Ok(Json(cut.page(rows, TransferView::from)))
}

/// 把镜像分发到宿主机；不写宿主机则为所有联系得上的
#[utoipa::path(post, path = "/v1/images/{id}/distribute", tag = "images", request_body = Destinations,
    params(("id" = String, Path, description = "摘要、摘要的开头或名称")),
    responses((status = 202, body = Page<TransferView>), (status = "4XX", body = ProblemDocument)))]
pub async fn distribute(
    State(api): State<Api>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    document: Document<Destinations>,
) -> Result<impl IntoResponse, Problem> {
    keys("/hosts", &document.value.hosts)?;
    let under_way = api.distribution.distribute(&actor, &id, &document.value.hosts).await?;
    let image = api.distribution.find(&id).await?;
    let items = under_way.into_iter().map(TransferView::from).collect();
    let place = location(&format!("/v1/images/{}/hosts", image.sha256));
    Ok((StatusCode::ACCEPTED, place, Json(Page { items, next_page_token: None })))
}

async fn shown(api: &Api, image: Image) -> Result<ImageView, Problem> {
    let all = api.distribution.images().await?;
    let known = all.into_iter().find(|shown| shown.image.sha256 == image.sha256);
    Ok(ImageView::of(api, known.unwrap_or(Shown { image, present: 0, hosts: 0 })))
}
