//! `/v1/images`

use super::{
    Api,
    extract::{Caller, Query},
    page::Page,
};
use crate::{
    error::{Problem, ProblemDocument},
    identity::policy::{self, Act},
    machine::{image::Image, service::NewImage, store},
};
use axum::{Json, body::Body, extract::State, http::StatusCode, response::IntoResponse};
use jiff::Timestamp;
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
}

impl From<Image> for ImageView {
    fn from(image: Image) -> Self {
        Self {
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
    Ok((StatusCode::CREATED, Json(ImageView::from(image))))
}

/// 镜像列表
#[utoipa::path(get, path = "/v1/images", tag = "images",
    responses((status = 200, body = Page<ImageView>), (status = "4XX", body = ProblemDocument)))]
pub async fn list(State(api): State<Api>, Caller(actor): Caller) -> Result<Json<Page<ImageView>>, Problem> {
    policy::scope(&actor, Act::ImageRead)?;
    let mut conn = api.db.read().await?;
    let items = store::list_images(&mut conn).await?.into_iter().map(ImageView::from).collect();
    Ok(Json(Page { items, next_page_token: None }))
}
