//! The listener: connections in, calls to the router, and an orderly end.
//!
//! Below axum's own loop, which knows no TLS and no time limits. A client may be slow, but not stand still: a head has to
//! arrive within [`Limits::header`], a body has to keep coming ([`paced`]), and an answer has to be taken ([`guarded`]).
//! What lasts because there is much of it, or because nothing happens (a stream of events), is not cut.

mod guarded;
mod paced;
pub mod tls;

use axum::{Router, body::Body, extract::Request, http::header, middleware, response::Response};
use futures_util::StreamExt;
use guarded::Guarded;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use paced::Paced;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// All headers of a call together; beyond it the answer is 431.
const HEADER_BYTES: usize = 64 << 10;
/// Connections at once; others wait in the kernel's queue.
const CONNECTIONS: usize = 10_000;
/// How long, when the end has been announced, new connections are still taken: whoever distributes calls sees at
/// `/readyz` that no more should come here.
const NOTICE: Duration = Duration::from_secs(1);
/// How long after that calls may take to finish.
const CALLS: Duration = Duration::from_millis(4500);
/// Pause when the kernel has no more files for us.
const BREATH: Duration = Duration::from_millis(100);
/// What a client is told that speaks plain HTTP where TLS is spoken.
const SPEAK_TLS: &str = "这个端口只收 https，请把地址改成 https:// 开头\n";

/// How slow a client may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a whole head, and for a TLS handshake; a connection without a call is closed after it, too.
    pub header: Duration,
    /// For the next piece of a body, and for the client to take the next piece of an answer.
    pub stall: Duration,
}

pub struct Server {
    pub listener: TcpListener,
    pub router: Router,
    pub tls: Option<TlsAcceptor>,
    pub limits: Limits,
}

/// What every connection has in common.
#[derive(Clone)]
struct Shared {
    router: Router,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    /// Finish the call under way and close.
    finish: CancellationToken,
}

impl Server {
    /// Serves until `stop`, and then to the end of what is under way, but no longer than [`NOTICE`] and [`CALLS`].
    pub async fn run(self, stop: CancellationToken) {
        let Self { listener, router, tls, limits } = self;
        let ended = stop.clone();
        let router = router
            .layer(middleware::map_request(move |call: Request| async move {
                call.map(|body| Body::new(Paced::new(body, limits.stall)))
            }))
            .layer(middleware::map_response(move |answer: Response| {
                let ended = ended.clone();
                async move { until_the_end(answer, ended) }
            }));
        let shared = Shared { router, tls, limits, finish: CancellationToken::new() };
        let (cut, tracker) = (CancellationToken::new(), TaskTracker::new());
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let closing = async {
            stop.cancelled().await;
            sleep(NOTICE).await;
        };
        tokio::pin!(closing);
        loop {
            let next = async {
                // The semaphore is never closed.
                let place = Arc::clone(&places).acquire_owned().await.ok();
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                biased;
                () = &mut closing => break,
                next = next => next,
            };
            match accepted {
                Ok((stream, _)) => {
                    let (shared, cut) = (shared.clone(), cut.clone());
                    tracker.spawn(async move {
                        // What goes wrong on one connection is its client's affair, and mostly that it has gone.
                        let told = tokio::select! {
                            told = connection(stream, shared) => told,
                            () = cut.cancelled() => Err("cut at the end".to_owned()),
                        };
                        if let Err(reason) = told {
                            tracing::debug!(%reason, "http.connection.ended");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    if !gone(&error) {
                        tracing::warn!(%error, "http.accept.failed");
                        sleep(BREATH).await;
                    }
                }
            }
        }
        drop(listener);
        shared.finish.cancel();
        tracker.close();
        if timeout(CALLS, tracker.wait()).await.is_err() {
            tracing::warn!(connections = tracker.len(), "http.calls.cut");
            cut.cancel();
        }
    }
}

/// The client had gone before it was its turn.
fn gone(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}

/// An answer that has no end of its own gets ours.
fn until_the_end(answer: Response, end: CancellationToken) -> Response {
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
        return answer;
    }
    answer.map(|body| Body::from_stream(body.into_data_stream().take_until(end.cancelled_owned())))
}

async fn connection(stream: TcpStream, shared: Shared) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let Some(tls) = shared.tls.clone() else { return calls(stream, shared).await };
    let late = |_| "no TLS handshake in time".to_owned();
    let handshake = async {
        let mut first = [0; 1];
        let seen = stream.peek(&mut first).await.map_err(|error| error.to_string())?;
        // A TLS record begins with 22, every HTTP call with a letter.
        if seen == 1 && first[0].is_ascii_alphabetic() {
            return refuse_plain(stream).await.map(|()| None);
        }
        tls.accept(stream).await.map(Some).map_err(|error| error.to_string())
    };
    match timeout(shared.limits.header, handshake).await.map_err(late)?? {
        Some(stream) => calls(stream, shared).await,
        None => Err("spoke plain HTTP to TLS".to_owned()),
    }
}

async fn refuse_plain(mut stream: TcpStream) -> Result<(), String> {
    let length = SPEAK_TLS.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{SPEAK_TLS}"
    );
    let told = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    told.await.map_err(|error: io::Error| error.to_string())
}

/// The calls of one connection, one after the other.
async fn calls<S>(stream: S, shared: Shared) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Shared { router, limits, finish, .. } = shared;
    let stream = TokioIo::new(Guarded::new(stream, limits.stall));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(stream, TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = finish.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(|error| crate::error::story(&error).join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::time::Instant;
    use tokio::io::AsyncReadExt;

    /// An answer of this kind that never ends by itself; how long its connection lived after `stop`.
    async fn endless(kind: &'static str) -> Duration {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = move || async move {
            let events = futures_util::stream::once(async { Ok::<_, io::Error>("data: 1\n\n") });
            let body = Body::from_stream(events.chain(futures_util::stream::pending()));
            ([(header::CONTENT_TYPE, kind)], body)
        };
        let limit = Duration::from_secs(1);
        let limits = Limits { header: limit, stall: limit };
        let server = Server { listener, router: Router::new().route("/", get(answer)), tls: None, limits };
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.run(stop.clone()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut text = Vec::new();
        // Longer than any limit on clients: it is not cut for being silent.
        assert!(timeout(3 * limit, client.read_to_end(&mut text)).await.is_err());
        stop.cancel();
        let began = Instant::now();
        let _ = client.read_to_end(&mut text).await;
        let lived = began.elapsed();
        assert!(String::from_utf8_lossy(&text).contains("data: 1"));
        serving.await.unwrap();
        lived
    }

    #[tokio::test]
    async fn a_stream_of_events_lasts_until_the_end_and_holds_nobody_up() {
        let (events, other) = tokio::join!(endless("text/event-stream; charset=utf-8"), endless("text/plain"));
        assert!(events < NOTICE + Duration::from_millis(500), "{events:?}");
        assert!(other > CALLS && other < NOTICE + CALLS + Duration::from_secs(2), "{other:?}");
    }
}
