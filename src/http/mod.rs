//! The HTTP surface: one list of routes feeds the router and the OpenAPI document.
//!
//! A call passes: request id → metrics and log → (for everything that may change something) a task of its own, so that a
//! client that hangs up cannot cut the work in half → handler. Handlers name the caller by taking [`extract::Caller`];
//! they never see SQL.

pub mod acts;
pub mod alarms;
pub mod bulk;
pub mod departments;
mod document;
pub mod events;
pub mod extract;
pub mod hosts;
pub mod images;
pub mod machines;
pub mod observability;
pub mod once;
pub mod operations;
pub mod page;
pub mod placement;
pub mod readiness;
pub mod requests;
pub mod rules;
mod strict;
pub mod tag;
pub mod task_books;
pub mod upload;

use crate::{
    capacity::{inventory::Inventory, maintenance::Maintenance},
    db::Db,
    error::{Denied, Kind, Problem},
    identity::{Actor, door::Door, service},
    machine::{
        approval::Approver,
        distribution::service::Distribution,
        service::{Images, Machines},
    },
    metrics::Metrics,
    request::service::Rules,
    secret::Vault,
    watch::service::Watch,
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{Extensions, HeaderName, Method, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tracing::Instrument;
use utoipa_axum::{router::OpenApiRouter, routes};

/// No JSON or YAML document is larger.
const DOCUMENT_BYTES: usize = 1 << 20;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What handlers work with.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Parts>,
}

pub struct Parts {
    pub db: Db,
    pub inventory: Inventory,
    pub rules: Rules,
    pub approver: Approver,
    pub machines: Machines,
    pub maintenance: Maintenance,
    pub watch: Watch,
    pub images: Images,
    pub distribution: Distribution,
    pub metrics: Metrics,
    pub vault: Vault,
    pub door: Door,
    pub under_way: once::UnderWay,
    /// The service is about to end: streams that would go on for ever do not.
    pub stop: CancellationToken,
    pub readiness: readiness::Readiness,
    pub allowed_hosts: crate::capacity::service::Allowed,
}

impl Api {
    pub fn new(parts: Parts) -> Self {
        Self { inner: Arc::new(parts) }
    }
}

impl std::ops::Deref for Api {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.inner
    }
}

/// Every route, once.
fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(document::frame())
        .routes(routes!(departments::create, departments::list))
        .routes(routes!(departments::show, departments::change))
        .routes(routes!(task_books::import, task_books::list))
        .routes(routes!(task_books::show))
        .routes(routes!(task_books::revoke))
        .routes(routes!(hosts::add, hosts::list))
        .routes(routes!(hosts::show, hosts::change))
        .routes(routes!(placement::explain))
        .routes(routes!(hosts::cordon))
        .routes(routes!(hosts::uncordon))
        .routes(routes!(hosts::drain))
        .routes(routes!(hosts::cancel_drain))
        .routes(routes!(hosts::fence))
        .routes(routes!(hosts::confirm_fenced))
        .routes(routes!(hosts::readmit))
        .routes(routes!(alarms::list))
        .routes(routes!(alarms::show))
        .routes(routes!(alarms::acknowledge))
        .routes(routes!(images::list))
        .routes(routes!(images::show))
        .routes(routes!(images::hosts))
        .routes(routes!(images::distribute))
        .routes(routes!(requests::list))
        .routes(routes!(bulk::approve))
        .routes(routes!(bulk::send_back))
        .routes(routes!(requests::original))
        .routes(routes!(requests::show))
        .routes(routes!(requests::approve))
        .routes(routes!(requests::send_back))
        .routes(routes!(requests::cancel))
        .routes(routes!(machines::list))
        .routes(routes!(machines::show, machines::change))
        .routes(routes!(machines::start))
        .routes(routes!(machines::stop))
        .routes(routes!(machines::delete))
        .routes(routes!(machines::restore))
        .routes(routes!(machines::reboot))
        .routes(routes!(machines::resize))
        .routes(routes!(machines::migrate))
        .routes(routes!(machines::rebuild))
        .routes(routes!(machines::extend))
        .routes(routes!(machines::log))
        .routes(routes!(machines::register_name))
        .routes(routes!(machines::credentials))
        .routes(routes!(operations::list))
        .routes(routes!(operations::show))
        .routes(routes!(events::operation))
        .routes(routes!(events::list))
        .routes(routes!(rules::list))
        .routes(routes!(rules::show))
        .routes(routes!(observability::ledger))
        .routes(routes!(observability::audit_records))
        .routes(routes!(observability::healthz))
        .routes(routes!(readiness::readyz))
        .routes(routes!(observability::metrics))
        .routes(routes!(observability::openapi))
        .layer(DefaultBodyLimit::max(DOCUMENT_BYTES))
        .merge(
            OpenApiRouter::new()
                .routes(routes!(requests::check))
                .routes(routes!(requests::submit))
                .layer(DefaultBodyLimit::max(upload::UPLOAD_BYTES)),
        )
        // An image is streamed to disk and limited there.
        .merge(OpenApiRouter::new().routes(routes!(images::import)).layer(DefaultBodyLimit::disable()))
}

/// The OpenAPI document, without a server.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = routes().into_openapi();
    document::finish(&mut document);
    document
}

/// The router, ready to be served.
pub fn router(api: Api) -> Router {
    let (router, _) = routes().split_for_parts();
    router
        .fallback(async || Problem::new(Kind::NotFound, "route_not_found", "没有这个接口；接口清单见 /v1/openapi.json"))
        .method_not_allowed_fallback(async || {
            Problem::new(Kind::Method, "method_not_allowed", "这个接口不支持该方法；接口清单见 /v1/openapi.json")
        })
        .layer(middleware::from_fn(tag::tagged))
        .layer(middleware::from_fn_with_state(api.clone(), once::once))
        .layer(middleware::from_fn_with_state(api.clone(), denials))
        .layer(middleware::from_fn(detached))
        .layer(middleware::from_fn_with_state(api.clone(), observed))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(middleware::from_fn(printable_ids))
        .with_state(api)
}

/// Runs whatever may change something in a task of its own: a client that goes away drops this future, not the work.
async fn detached(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request).in_current_span()).await {
        Ok(response) => response,
        Err(error) => Problem::internal(error).into_response(),
    }
}

/// Where [`extract::Caller`] leaves word of who called, for what is done after the handler.
#[derive(Clone, Default)]
pub struct Called(Arc<OnceLock<Actor>>);

impl Called {
    fn by(&self, actor: &Actor) {
        // The first to come is the only one.
        let _ = self.0.set(actor.clone());
    }
}

/// Writes down who was refused what by the policy, before the refusal is given.
async fn denials(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let called = Called::default();
    request.extensions_mut().insert(called.clone());
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let route = format!("{} {route}", request.method());
    let path: String = request.uri().path().chars().take(200).collect();
    let response = next.run(request).await;
    if let (Some(denied), Some(actor)) = (response.extensions().get::<Denied>(), called.0.get())
        && let Err(problem) = service::record_denial(&api.db, actor, route, denied.code, path).await
    {
        return problem.into_response();
    }
    response
}

/// The caller's own request id is kept when it is one that we can print; otherwise it gets one of ours.
async fn printable_ids(mut request: Request, next: Next) -> Response {
    let printable = |id: &[u8]| {
        !id.is_empty() && id.len() <= 64 && id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if request.headers().get(REQUEST_ID).is_some_and(|id| !printable(id.as_bytes())) {
        request.headers_mut().remove(REQUEST_ID);
    }
    next.run(request).await
}

/// One span, one metric and one line of log per call.
async fn observed(State(api): State<Api>, request: Request, next: Next) -> Response {
    let trace_id = trace_id(request.extensions());
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let span = tracing::info_span!("http", trace_id = %trace_id, http.route = %route, http.method = %method);
    let began = Instant::now();
    let response = next.run(request).instrument(span.clone()).await;
    let (status, took) = (response.status(), began.elapsed());
    api.metrics.http_answered(&route, method.as_str(), status.as_u16(), took);
    span.in_scope(|| {
        tracing::info!(
            http.status = status.as_u16(),
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "http.answered"
        );
    });
    response
}

/// The id that logs, audit records, operations and libvirt calls of this call carry.
fn trace_id(extensions: &Extensions) -> String {
    let id = extensions.get::<RequestId>().and_then(|id| id.header_value().to_str().ok());
    id.unwrap_or_default().to_owned()
}

/// `Location` of what a call made or began.
fn location(path: &str) -> [(HeaderName, String); 1] {
    [(header::LOCATION, path.to_owned())]
}
