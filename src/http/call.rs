//! What every call passes before its handler: it gets its id, is measured and logged; what may change something runs in a
//! task of its own, and once for all its copies; what only reads is tagged; and who was refused what is written down. One
//! layer, because each costs as much as a small handler.

use super::{
    Api,
    carried::{Called, Id},
    once::once,
    tag::tagged,
};
use crate::{
    error::{Denied, Problem},
    identity::service,
};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// One span, one metric and one line of log per call.
pub async fn pass(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let id = id(request.headers());
    request.extensions_mut().insert(Id(id.clone()));
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = || route.as_ref().map_or("none", MatchedPath::as_str);
    let method = request.method().clone();
    let span = tracing::info_span!("http", trace_id = %id, http.route = %route(), http.method = %method);
    let began = Instant::now();
    let mut response = recorded(&api, route(), request, next).instrument(span.clone()).await;
    let (status, took) = (response.status(), began.elapsed());
    api.metrics.http_answered(route(), method.as_str(), status.as_u16(), took);
    span.in_scope(|| {
        tracing::info!(
            http.status = status.as_u16(),
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "http.answered"
        );
    });
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The caller's own id when it is one that we can print, otherwise one of ours.
fn id(headers: &HeaderMap) -> String {
    let printable = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let theirs = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(printable);
    theirs.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// Writes down who was refused what by the policy, before the refusal is given.
async fn recorded(api: &Api, route: &str, mut request: Request, next: Next) -> Response {
    let called = Called::default();
    request.extensions_mut().insert(called.clone());
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = match method {
        Method::GET | Method::HEAD => tagged(request, next).await,
        _ => detached(api.clone(), request, next).await,
    };
    if let (Some(denied), Some(actor)) = (response.extensions().get::<Denied>(), called.actor()) {
        let path = uri.path().chars().take(200).collect();
        if let Err(problem) =
            service::record_denial(&api.db, actor, format!("{method} {route}"), denied.code, path).await
        {
            return problem.into_response();
        }
    }
    response
}

/// A task of its own: a client that goes away drops this future, not the work.
async fn detached(api: Api, request: Request, next: Next) -> Response {
    match tokio::spawn(async move { once(&api, request, next).await }.in_current_span()).await {
        Ok(response) => response,
        Err(error) => Problem::internal(error).into_response(),
    }
}
