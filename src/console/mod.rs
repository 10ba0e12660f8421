//! The pages for people who have no Grafana at hand: whole when they arrive, without a script. They are drawn from what the
//! capacity report says, and so from the database alone: no Prometheus has to be there.

pub mod page;
pub mod session;

use crate::{
    error::{Kind, Problem},
    http::{Api, Called, extract::bearer, trace_id},
    identity::{
        Actor,
        policy::{self, Act},
        token::Secret,
    },
};
use axum::{
    Form, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State, rejection::FormRejection},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;
use std::sync::{Arc, Mutex, PoisonError};

/// A form has one token in it.
const FORM_BYTES: usize = 4 << 10;
const STATUS: &str = "/status";
const SIGN_IN: &str = "/status/sign-in";
const STYLE: &str = include_str!("style.css");
const ICON: &str = include_str!("icon.svg");
/// Nothing is loaded from elsewhere, nothing is run, nobody frames us, and forms come back to us.
pub const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                          frame-ancestors 'none'";

#[derive(Clone)]
struct Console {
    api: Api,
    /// Whether we speak TLS ourselves.
    secure: bool,
    drawn: Arc<Mutex<Option<Drawn>>>,
}

/// The page as it was drawn of one report; whoever may see it sees the same.
struct Drawn {
    number: u64,
    html: Bytes,
}

/// The pages, for [`crate::http::router`].
pub fn pages(api: &Api, secure: bool) -> Router {
    let console = Console { api: api.clone(), secure, drawn: Arc::default() };
    Router::new()
        .route(STATUS, get(status))
        .route(SIGN_IN, get(async || form()).post(sign_in))
        .route(
            "/status/sign-out",
            post(async |State(console): State<Console>, headers: HeaderMap| sign_out(&console, &headers)),
        )
        .route("/status/style.css", get(async || file("text/css; charset=utf-8", STYLE)))
        .route("/status/icon.svg", get(async || file("image/svg+xml", ICON)))
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .with_state(console)
}

#[derive(Deserialize)]
struct SignIn {
    token: String,
}

impl Console {
    /// Who calls: by the token itself, as programs do, or by a session.
    async fn caller(&self, parts: &Parts) -> Result<Actor, Problem> {
        let (api, trace) = (&self.api, trace_id(&parts.extensions));
        let session = session::of(&api.vault, &parts.headers, api.db.clock().now());
        let actor = match (bearer(&parts.headers), session) {
            (None, Some(digest)) => api.door.holder(digest, &trace).await?,
            (shown, _) => api.door.authenticate(shown, &trace).await?,
        };
        if let Some(called) = parts.extensions.get::<Called>() {
            called.by(&actor);
        }
        Ok(actor)
    }

    /// Drawn once for each report.
    async fn page(&self) -> Result<Bytes, Problem> {
        let seen = self.api.capacities.now().await?;
        let drawn = || self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(drawn) = drawn().as_ref().filter(|drawn| drawn.number == seen.number) {
            return Ok(drawn.html.clone());
        }
        let html = Bytes::from(page::status(&seen.report).map_err(Problem::internal)?);
        *drawn() = Some(Drawn { number: seen.number, html: html.clone() });
        Ok(html)
    }

    /// Ours is, or a proxy before us says that it does.
    fn secure(&self, headers: &HeaderMap) -> bool {
        let proxied = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme.as_bytes() == b"https");
        self.secure || proxied
    }
}

async fn status(State(console): State<Console>, parts: Parts) -> Response {
    let shown = bearer(&parts.headers).is_some();
    let answer = async {
        let actor = console.caller(&parts).await?;
        policy::scope(&actor, Act::CapacityRead)?;
        console.page().await
    };
    match answer.await {
        Ok(html) => dressed(html.into_response()),
        // A person who is not signed in, or no longer, is asked to; a program is told.
        Err(problem) if problem.kind == Kind::Unauthenticated && !shown => {
            dressed(Redirect::to(SIGN_IN).into_response())
        }
        Err(problem) => failed(problem),
    }
}

fn form() -> Response {
    match page::sign_in("") {
        Ok(html) => dressed(html.into_response()),
        Err(error) => failed(Problem::internal(error)),
    }
}

/// A token for a cookie.
async fn sign_in(State(console): State<Console>, parts: Parts, form: Result<Form<SignIn>, FormRejection>) -> Response {
    let api = &console.api;
    let answer = async {
        at_home(&parts.headers)?;
        let Form(SignIn { token }) =
            form.map_err(|_| Problem::malformed("没有收到令牌；请把令牌粘贴到输入框里，再提交"))?;
        let token = token.trim();
        let actor = api.door.authenticate(Some(token), &trace_id(&parts.extensions)).await?;
        let digest = Secret::read(token).map(|secret| secret.digest()).unwrap_or_default();
        tracing::info!(person = %actor.person.login, "console.signed_in");
        Ok::<_, Problem>(session::begin(&api.vault, &digest, api.db.clock().now(), console.secure(&parts.headers)))
    };
    match answer.await {
        Ok(cookie) => with_cookie(Redirect::to(STATUS).into_response(), &cookie),
        Err(problem) => failed(problem),
    }
}

fn sign_out(console: &Console, headers: &HeaderMap) -> Response {
    match at_home(headers) {
        Ok(()) => with_cookie(Redirect::to(SIGN_IN).into_response(), &session::end(console.secure(headers))),
        Err(problem) => failed(problem),
    }
}

/// Forms are ours alone: no other site's page signs anybody in or out. The cookie stays at home by itself (`SameSite`); what
/// a browser says of where a form was is held against us as well.
fn at_home(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let site = text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    let origin = text("origin").is_none_or(|origin| {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.is_some() && host == text("host")
    });
    if site && origin {
        return Ok(());
    }
    Err(Problem::new(Kind::Forbidden, "other_site", "这个表单不是从本站的页面提交的；请打开 /status 再登录"))
}

/// The problem as a page, under its own status.
fn failed(problem: Problem) -> Response {
    let (kind, detail) = (problem.kind, problem.detail.as_str());
    let html = match kind {
        Kind::Unauthenticated | Kind::Malformed => page::sign_in(detail),
        _ => page::refusal(detail),
    };
    let (mut parts, _) = problem.into_response().into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    dressed(Response::from_parts(parts, Body::from(html.unwrap_or_default())))
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    dressed(response)
}

/// What every page says to the browser.
fn dressed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        // Without any, a browser would not say either where our own forms are sent from.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}
