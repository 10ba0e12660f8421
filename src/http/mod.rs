//! The HTTP surface: one list of routes feeds the router and the OpenAPI document.
//!
//! What each call passes before its handler stands in [`call`]. Handlers name the caller by taking [`extract::Caller`]; they
//! never see SQL.

pub mod acts;
pub mod alarms;
pub mod bulk;
mod call;
mod carried;
pub mod deadlines;
pub mod departments;
pub mod disk_imports;
mod document;
pub mod events;
pub mod extract;
pub mod hosts;
pub mod images;
pub mod machines;
pub mod moves;
pub mod observability;
pub mod once;
pub mod operations;
pub mod page;
pub mod placement;
pub mod readiness;
pub mod reports;
pub mod requests;
pub mod rooms;
pub mod rules;
pub mod servers;
mod strict;
pub mod systems;
pub mod tag;
pub mod task_books;
pub mod upload;
pub mod usage;
pub mod verdicts;
pub mod waves;
pub mod zombies;

pub use carried::{Called, trace_id};
pub use document::orders;

use crate::{
    capacity::{inventory::Inventory, maintenance::Maintenance},
    db::{Db, Gather},
    error::{Kind, Problem},
    identity::door::Door,
    machine::{
        approval::Approver,
        distribution::service::Distribution,
        service::{Images, Machines},
    },
    metrics::Metrics,
    migration::{moving::service::DiskImports, service::Estates},
    operation::Operation,
    report::{capacity::service::Capacities, service::Reports},
    request::service::Rules,
    secret::Vault,
    system::service::Systems,
    usage::{import::Importer, judging::service::Judges, source::Source, zombie::service::Zombies},
    watch::service::Watch,
};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, header},
    middleware::{self},
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use utoipa_axum::{router::OpenApiRouter, routes};

/// No JSON or YAML document is larger.
const DOCUMENT_BYTES: usize = 1 << 20;

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
    pub systems: Systems,
    pub zombies: Zombies,
    pub estates: Estates,
    pub disk_imports: DiskImports,
    pub judges: Judges,
    pub reports: Reports,
    pub capacities: Capacities,
    pub importer: Importer,
    pub metrics: Metrics,
    pub vault: Vault,
    pub door: Door,
    pub operations: Gather<Operation>,
    pub under_way: once::UnderWay,
    /// The service is about to end: streams that would go on for ever do not.
    pub stop: CancellationToken,
    pub readiness: readiness::Readiness,
    /// What measures legacy servers.
    pub sources: Arc<[Source]>,
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
#[allow(clippy::too_many_lines, reason = "the one list of all routes")]
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
        .routes(routes!(servers::create, servers::list))
        .routes(routes!(servers::show, servers::change))
        .routes(routes!(verdicts::agree))
        .routes(routes!(verdicts::withdraw))
        .routes(routes!(verdicts::of_machine))
        .routes(routes!(verdicts::list))
        .routes(routes!(verdicts::advice))
        .routes(routes!(reports::list))
        .routes(routes!(reports::idle))
        .routes(routes!(reports::rooms))
        .routes(routes!(reports::capacity))
        .routes(routes!(reports::show))
        .routes(routes!(servers::replay))
        .routes(routes!(usage::sources))
        .routes(routes!(usage::list))
        .routes(routes!(usage::of_machine))
        .routes(routes!(systems::create, systems::list))
        .routes(routes!(systems::show, systems::change))
        .routes(routes!(systems::attach))
        .routes(routes!(systems::detach))
        .routes(routes!(systems::judge))
        .routes(routes!(moves::show_move))
        .routes(routes!(moves::decide))
        .routes(routes!(moves::advance))
        .routes(routes!(moves::exempt))
        .routes(routes!(rooms::list))
        .routes(routes!(rooms::show))
        .routes(routes!(rooms::export))
        .routes(routes!(rooms::record))
        .routes(routes!(rooms::sign))
        .routes(routes!(rooms::reopen))
        .routes(routes!(waves::create, waves::list))
        .routes(routes!(waves::show, waves::change))
        .routes(routes!(waves::check))
        .routes(routes!(waves::delete))
        .routes(routes!(waves::create_blackout, waves::blackouts))
        .routes(routes!(waves::delete_blackout))
        .routes(routes!(waves::request))
        .routes(routes!(deadlines::list))
        .routes(routes!(deadlines::meet))
        .routes(routes!(disk_imports::create, disk_imports::list))
        .routes(routes!(disk_imports::show))
        .routes(routes!(disk_imports::rollback))
        .routes(routes!(disk_imports::finish))
        .routes(routes!(zombies::list))
        .routes(routes!(zombies::show))
        .routes(routes!(zombies::ask))
        .routes(routes!(zombies::reply))
        .routes(routes!(zombies::exempt))
        .routes(routes!(zombies::confirm))
        .routes(routes!(zombies::dismiss))
        .routes(routes!(zombies::file))
        .routes(routes!(zombies::sheet))
        .routes(routes!(usage::of_server))
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
                .routes(routes!(rooms::import))
                .layer(DefaultBodyLimit::max(upload::UPLOAD_BYTES)),
        )
        // An image is streamed to disk and limited there.
        // A trace is folded piece by piece, however long it is.
        .merge(
            OpenApiRouter::new()
                .routes(routes!(images::import))
                .routes(routes!(usage::import))
                .layer(DefaultBodyLimit::disable()),
        )
}

/// The OpenAPI document, without a server.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = routes().into_openapi();
    document::finish(&mut document);
    document
}

/// The router, ready to be served, with pages for people beside it.
pub fn router(api: Api, pages: Router) -> Router {
    let (router, document) = routes().split_for_parts();
    count_from_zero(&api.metrics, &document);
    router
        .merge(pages.with_state(()))
        .fallback(async || Problem::new(Kind::NotFound, "route_not_found", "没有这个接口；接口清单见 /v1/openapi.json"))
        .method_not_allowed_fallback(async || {
            Problem::new(Kind::Method, "method_not_allowed", "这个接口不支持该方法；接口清单见 /v1/openapi.json")
        })
        .layer(middleware::from_fn_with_state(api.clone(), call::pass))
        .with_state(api)
}

/// What a call is meant to come to; of failures there are too many to tell of those that never were.
fn count_from_zero(metrics: &Metrics, document: &utoipa::openapi::OpenApi) {
    for (route, item) in &document.paths.paths {
        let methods = [
            ("GET", &item.get),
            ("POST", &item.post),
            ("PUT", &item.put),
            ("PATCH", &item.patch),
            ("DELETE", &item.delete),
        ];
        for (method, operation) in methods.into_iter().filter_map(|(method, found)| Some((method, found.as_ref()?))) {
            let statuses = operation.responses.responses.keys().filter(|status| status.parse::<u16>().is_ok());
            metrics.answers(statuses.map(|status| (route.as_str(), method, status.as_str())));
        }
    }
}

/// `Location` of what a call made or began.
fn location(path: &str) -> [(HeaderName, String); 1] {
    [(header::LOCATION, path.to_owned())]
}
