//! A way to the API server that can be narrowed: what a watch of requests brings is held back, let through piece by piece, or
//! cut off, while everything else passes. It counts what the server answers of its own accord: conflicts, and versions that
//! are gone.

use super::lab::Lab;
use crate::support::{self, broker::On, control_plane::ControlPlane};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use reqwest::Client;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Open,
    /// Events wait, but for so many in all.
    Held {
        passing: usize,
    },
    /// Watches end, and none begins.
    Shut,
}

struct Inner {
    http: Client,
    server: String,
    flow: watch::Sender<Flow>,
    passed: AtomicUsize,
    conflicts: AtomicUsize,
    machines: AtomicUsize,
    gone: AtomicUsize,
    interlude: Mutex<Option<Interlude>>,
}

/// What comes between a call and its being handed on.
struct Interlude {
    before: Box<dyn Fn(&Parts) -> bool + Send>,
    what: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Open, until it is dropped.
pub struct Gate {
    /// For the broker: the gate is who the API server sees.
    pub kubeconfig: PathBuf,
    inner: Arc<Inner>,
    task: JoinHandle<()>,
}

impl Gate {
    /// For a user whose kubeconfig was made.
    pub async fn open(plane: &ControlPlane, user: &str) -> Self {
        let (http, server) = plane.client(user);
        let counter = AtomicUsize::default;
        let (flow, _) = watch::channel(Flow::Open);
        let (passed, conflicts, machines, gone) = (counter(), counter(), counter(), counter());
        let interlude = Mutex::default();
        let inner = Arc::new(Inner { http, server, flow, passed, conflicts, machines, gone, interlude });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(hand_on).with_state(Arc::clone(&inner));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        let kubeconfig = plane.folder.join("gate.kubeconfig");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        });
        support::private_file(&kubeconfig, &config.to_string());
        Self { kubeconfig, inner, task }
    }

    pub fn hold(&self) {
        self.inner.flow.send_replace(Flow::Held { passing: 0 });
    }

    /// Lets through as many of the events that wait.
    pub fn let_through(&self, events: usize) {
        self.inner.flow.send_replace(Flow::Held { passing: events });
    }

    pub fn shut(&self) {
        self.inner.flow.send_replace(Flow::Shut);
    }

    pub fn reopen(&self) {
        self.inner.flow.send_replace(Flow::Open);
    }

    /// What happens before the next call of this kind is handed on, once.
    pub fn interpose(
        &self,
        before: impl Fn(&Parts) -> bool + Send + 'static,
        what: impl Future<Output = ()> + Send + 'static,
    ) {
        let interlude = Interlude { before: Box::new(before), what: Box::pin(what) };
        *self.inner.interlude.lock().expect("nobody panics with it") = Some(interlude);
    }

    /// Whether it has happened.
    pub fn has_interposed(&self) -> bool {
        self.inner.interlude.lock().expect("nobody panics with it").is_none()
    }

    /// Events of requests that have gone through.
    pub fn passed(&self) -> usize {
        self.inner.passed.load(Ordering::SeqCst)
    }

    /// How often the server has answered a write with 409.
    pub fn conflicts(&self) -> usize {
        self.inner.conflicts.load(Ordering::SeqCst)
    }

    /// How many mirrors of machines the broker has made.
    pub fn machines(&self) -> usize {
        self.inner.machines.load(Ordering::SeqCst)
    }

    /// How often the server has said that the version which a watch of requests would begin from is gone (410).
    pub fn gone(&self) -> usize {
        self.inner.gone.load(Ordering::SeqCst)
    }
}

/// A lab whose first broker has no other way to the API server.
pub async fn behind_a_gate(on: On) -> (Lab, Gate) {
    Lab::start_by(
        on,
        |setup| setup,
        async |plane| {
            plane.kubeconfig("jiyue", None);
            let gate = Gate::open(plane, "jiyue").await;
            (gate.kubeconfig.clone(), gate)
        },
    )
    .await
}

/// Calls that merge into what is found, and are no apply.
pub fn merges(part: &'static str) -> impl Fn(&Parts) -> bool {
    move |call| {
        let kind = call.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        call.method == "PATCH" && call.uri.path().ends_with(part) && kind.contains("merge-patch")
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn hand_on(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let is_watch = parts.uri.query().unwrap_or_default().contains("watch=true");
    let is_narrowed = is_watch && parts.uri.path().ends_with("/resourcerequests");
    if is_narrowed && *inner.flow.borrow() == Flow::Shut {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let body = axum::body::to_bytes(body, 1 << 24).await.unwrap_or_default();
    let interlude =
        inner.interlude.lock().expect("nobody panics with it").take_if(|interlude| (interlude.before)(&parts));
    if let Some(interlude) = interlude {
        interlude.what.await;
    }
    let mut onward = inner.http.request(parts.method, format!("{}{target}", inner.server)).body(body);
    for name in [header::CONTENT_TYPE, header::ACCEPT] {
        if let Some(value) = parts.headers.get(&name) {
            onward = onward.header(name, value);
        }
    }
    let Ok(answer) = onward.send().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let status = answer.status();
    match status {
        StatusCode::CONFLICT => _ = inner.conflicts.fetch_add(1, Ordering::SeqCst),
        StatusCode::CREATED if parts.uri.path().contains("/machines/") => {
            _ = inner.machines.fetch_add(1, Ordering::SeqCst);
        }
        StatusCode::GONE if is_narrowed => _ = inner.gone.fetch_add(1, Ordering::SeqCst),
        _ => {}
    }
    let mut headers = HeaderMap::new();
    if let Some(kind) = answer.headers().get(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, kind.clone());
    }
    let body = if is_narrowed && status.is_success() {
        let events = Events { flow: inner.flow.subscribe(), inner, answer, rest: Vec::new() };
        Body::from_stream(stream::unfold(events, Events::next))
    } else {
        Body::from_stream(stream::unfold(answer, async |mut answer| {
            let piece = answer.chunk().await.ok()??;
            Some((Ok::<_, Infallible>(piece), answer))
        }))
    };
    (status, headers, body).into_response()
}

/// The events of one watch, a line each.
struct Events {
    inner: Arc<Inner>,
    flow: watch::Receiver<Flow>,
    answer: reqwest::Response,
    rest: Vec<u8>,
}

impl Events {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let line = loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                break self.rest.drain(..=end).collect::<Vec<_>>();
            }
            tokio::select! {
                piece = self.answer.chunk() => self.rest.extend_from_slice(&piece.ok()??),
                _ = self.flow.wait_for(|flow| *flow == Flow::Shut) => return None,
            }
        };
        let event: Value = serde_json::from_slice(&line).unwrap_or_default();
        let is_of_an_object = matches!(event["type"].as_str(), Some("ADDED" | "MODIFIED" | "DELETED"));
        if event["type"] == "ERROR" && event["object"]["code"] == 410 {
            self.inner.gone.fetch_add(1, Ordering::SeqCst);
        }
        let may_pass = |flow: &Flow| !matches!(flow, Flow::Held { passing: 0 });
        if *self.flow.wait_for(may_pass).await.ok()? == Flow::Shut {
            return None;
        }
        if is_of_an_object {
            self.inner.passed.fetch_add(1, Ordering::SeqCst);
            self.inner.flow.send_if_modified(|flow| match flow {
                Flow::Held { passing } => {
                    *passing = passing.saturating_sub(1);
                    true
                }
                _ => false,
            });
        }
        Some((Ok(Bytes::from(line)), self))
    }
}
