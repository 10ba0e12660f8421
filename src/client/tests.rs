#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, Request},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

type Params = Query<HashMap<String, String>>;

async fn items(Query(query): Params) -> Json<Value> {
    let start: u32 = query.get("page_token").map_or(0, |t| t.parse().unwrap());
    let end = 450.min(start + query["page_size"].parse::<u32>().unwrap());
    let next = (end < 450).then(|| end.to_string());
    Json(json!({"items": (start..end).collect::<Vec<_>>(), "next_page_token": next}))
}

async fn refuse(Path(status): Path<u16>) -> impl IntoResponse {
    let problem = json!({"title": "不行", "code": "no", "status": status, "errors": [{"pointer": "/a", "asked": 3}]});
    (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, "application/problem+json")], problem.to_string())
}

async fn image(Query(query): Params, request: Request) -> impl IntoResponse {
    let length = request.headers()[header::CONTENT_LENGTH].to_str().unwrap().to_owned();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    (StatusCode::CREATED, Json(json!({"length": length, "received": body.len(), "name": query["name"]})))
}

/// A server with one of each answer, on a free port.
async fn server() -> String {
    let operation =
        || async { (StatusCode::ACCEPTED, [(header::LOCATION, "/v1/operations/op-1")], Json(json!({"id": "op-1"}))) };
    let routes = Router::new()
        .route("/items", get(items))
        .route("/loop", get(|| async { Json(json!({"items": [1], "next_page_token": "same"})) }))
        .route("/stuck", get(|| async { Json(json!({"items": [], "next_page_token": "again"})) }))
        .route("/refuse/{status}", get(refuse).post(refuse))
        .route("/names/{name}", get(|Path(name): Path<String>| async move { Json(json!({"name": name})) }))
        .route("/act", post(operation))
        .route("/html", get(|| async { (StatusCode::BAD_GATEWAY, "<html>proxy</html>") }))
        .route("/nonsense", get(|| async { "not json" }))
        .route("/moved", get(|| async { (StatusCode::FOUND, [(header::LOCATION, "http://192.0.2.1/")]) }))
        .route("/log", get(|| async { "boot\nlogin:\n" }))
        .route("/hang-up", post(hang_up))
        .route(
            "/token",
            get(|request: Request<Body>| async move {
                Json(json!(request.headers()[header::AUTHORIZATION].to_str().unwrap()))
            }),
        )
        .route("/images", post(image));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().nest("/v1", routes)).await });
    url
}

/// Begins an answer and breaks off.
async fn hang_up() -> Body {
    Body::from_stream(stream::iter([Ok(Bytes::from("{")), Err(io::Error::other("gone"))]))
}

async fn client() -> Client {
    Client::new(&server().await, Some("secret")).unwrap()
}

#[tokio::test]
async fn a_problem_keeps_its_status_and_its_violations() {
    let client = client().await;
    for status in [404_u16, 409, 422, 500] {
        let path = ["refuse", &status.to_string()];
        for error in
            [client.get::<Value>(&path, &[]).await.unwrap_err(), client.post(&path, &json!({})).await.unwrap_err()]
        {
            let ClientError::Refused { status: got, problem } = error else { panic!("{error}") };
            assert_eq!((got, problem.title.as_str(), problem.code.as_deref()), (status, "不行", Some("no")));
            assert_eq!(problem.errors.unwrap()[0].asked, Some(json!(3)));
            assert_eq!(problem.raw["status"], status);
        }
    }
}

#[tokio::test]
async fn lists_are_followed_to_their_end_or_to_the_limit() {
    let client = client().await;
    let all = client.list::<Value>(&["items"], &Filter::new()).await.unwrap();
    assert_eq!((all.items.len(), all.items[449].clone(), all.next_page_token), (450, json!(449), None));
    let some = client.list::<Value>(&["items"], &Filter::new().limit(250)).await.unwrap();
    assert_eq!((some.items.len(), some.next_page_token.as_deref()), (250, Some("250")));
    assert_eq!(client.list::<Value>(&["loop"], &Filter::new()).await.unwrap().items.len(), 2);
    assert_eq!(client.list::<Value>(&["stuck"], &Filter::new()).await.unwrap().items.len(), 0);
}

#[tokio::test]
async fn what_no_such_service_would_say_is_strange() {
    let client = client().await;
    for (path, wanted) in [("html", 502), ("nonsense", 200), ("moved", 302)] {
        let error = client.get::<Value>(&[path], &[]).await.unwrap_err();
        assert!(matches!(error, ClientError::Strange { status, .. } if status == wanted), "{path}: {error}");
    }
    assert!(matches!(client.list::<Value>(&["token"], &Filter::new()).await, Err(ClientError::Strange { .. })));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(&url, Some("secret")).unwrap();
    for error in
        [client.get::<Value>(&["x"], &[]).await.unwrap_err(), client.post(&["x"], &json!({})).await.unwrap_err()]
    {
        assert!(matches!(&error, ClientError::Unreachable { url: at, .. } if at.starts_with(&url)), "{error}");
    }
}

#[tokio::test]
async fn a_broken_answer_to_an_act_may_have_been_carried_out() {
    let error = client().await.post(&["hang-up"], &json!({})).await.unwrap_err();
    assert!(matches!(error, ClientError::AnswerLost { .. }), "{error}");
}

#[tokio::test]
async fn a_read_is_repeated_when_the_connection_breaks() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        // The first connection is dropped at once; the others are served.
        drop(listener.accept().await);
        axum::serve(listener, Router::new().route("/v1/x", get(|| async { Json(json!(1)) }))).await
    });
    assert_eq!(Client::new(&url, None).unwrap().get::<Value>(&["x"], &[]).await.unwrap(), json!(1));
}

#[tokio::test]
async fn long_acts_tell_where_their_operation_is() {
    let answer = client().await.post(&["act"], &json!({})).await.unwrap();
    assert!(answer.goes_on());
    assert_eq!(answer.location.as_deref(), Some("/v1/operations/op-1"));
}

#[tokio::test]
async fn uploads_stream_with_their_length() {
    let pieces = stream::iter((0..100).map(|_| Ok(Bytes::from(vec![7; 1000]))));
    let answer = client()
        .await
        .upload(&["images"], &[("name", "小 镜像&x")], "application/octet-stream", 100_000, pieces)
        .await
        .unwrap();
    assert_eq!(answer.body, json!({"length": "100000", "received": 100_000, "name": "小 镜像&x"}));
}

#[tokio::test]
async fn names_of_any_letters_are_one_path_segment() {
    let client = client().await;
    for name in ["相发改〔2026〕1号", "a b", "100%", "?x=1#y", "a\\b"] {
        assert_eq!(client.get::<Value>(&["names", name], &[]).await.unwrap(), json!({"name": name}));
    }
    assert_eq!(client.text(&["log"], &[]).await.unwrap(), "boot\nlogin:\n");
}

#[tokio::test]
async fn the_token_is_sent_and_never_shown() {
    let client = client().await;
    assert_eq!(client.get::<Value>(&["token"], &[]).await.unwrap(), json!("Bearer secret"));
    assert!(!format!("{client:?}").contains("secret"));
    assert!(matches!(Client::new("http://h", Some("a\nb")), Err(ClientError::BadToken)));
}

#[test]
fn addresses_that_cannot_work_are_refused_at_once() {
    for server in ["", "localhost:8460", "ftp://h", "http://", "http://user:pw@h"] {
        assert!(matches!(Client::new(server, None), Err(ClientError::BadServer { .. })), "{server}");
    }
    let under = Client::new("http://h/cloud/", None).unwrap();
    assert_eq!(under.url(&["requests", "1"], &[("a", "b")]).as_str(), "http://h/cloud/v1/requests/1?a=b");
}

/// A patience that does not make tests slow.
const QUICK: Patience = Patience {
    attempts: 4,
    first: Duration::from_millis(4),
    longest: Duration::from_secs(2),
    total: Duration::from_secs(20),
};

/// What one sending was, as the server saw it.
#[derive(Clone, Debug, PartialEq)]
struct Sent {
    method: String,
    key: Option<String>,
    if_match: Option<String>,
    body: Vec<u8>,
}

/// How a server treats one sending.
#[derive(Clone, Copy)]
enum Treat {
    /// The connection breaks before anything is answered.
    Drop,
    /// Half an answer, and no more.
    Half,
    /// A status, `Retry-After`, a code.
    Say(u16, Option<&'static str>, &'static str),
    Well,
}

/// Answers each sending by the next treatment, the last one for ever, and writes down what came.
async fn strict(treatments: &'static [Treat]) -> (String, Arc<Mutex<Vec<Sent>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<Sent>>> = Arc::default();
    let told = seen.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            // One sending per connection, read by hand: a server library would hide what comes of a broken connection.
            let Some(sent) = receive(&mut stream).await else { continue };
            let count = {
                let mut seen = told.lock().unwrap();
                seen.push(sent);
                seen.len()
            };
            let answer = match treatments[(count - 1).min(treatments.len() - 1)] {
                Treat::Drop => continue,
                Treat::Half => "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"ha".to_owned(),
                Treat::Say(status, after, code) => {
                    let body = json!({"title": "不行", "code": code}).to_string();
                    let after = after.map(|after| format!("retry-after: {after}\r\n")).unwrap_or_default();
                    let length = body.len();
                    format!("HTTP/1.1 {status} No\r\n{after}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
                }
                Treat::Well => "HTTP/1.1 202 Accepted\r\nidempotency-replayed: true\r\ncontent-length: 13\r\nconnection: close\r\n\r\n{\"id\":\"op-1\"}".to_owned(),
            };
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    (url, seen)
}

/// One request off the wire; `None` when nothing came.
async fn receive(stream: &mut tokio::net::TcpStream) -> Option<Sent> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let n = stream.read(&mut piece).await.ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&piece[..n]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let field = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let length = field("content-length").map_or(0, |n| n.parse().unwrap());
        if bytes.len() < end + 4 + length {
            continue;
        }
        let method = head.split(' ').next().unwrap().to_owned();
        let body = bytes[end + 4..].to_vec();
        return Some(Sent { method, key: field("idempotency-key"), if_match: field("if-match"), body });
    }
}

fn quick(url: &str) -> Client {
    Client::builder(url).token("secret").patience(QUICK).build().unwrap()
}

#[tokio::test]
async fn an_act_whose_answer_is_lost_is_sent_again_under_its_key_and_byte_for_byte() {
    for treatments in [&[Treat::Drop, Treat::Well][..], &[Treat::Half, Treat::Half, Treat::Well]] {
        let (url, seen) = strict(treatments).await;
        let client = quick(&url);
        let answers = [
            client.post(&["x"], &json!({"a": 1})).await,
            client.patch(&["x"], "\"7\"", &json!({"a": 2})).await,
            client.hand_in(&["x"], "表.docx", vec![0, 1, 255], &json!({"b": 3})).await,
        ];
        for answer in answers {
            let answer = answer.unwrap();
            assert!(answer.goes_on() && answer.replayed && answer.body["id"] == "op-1");
        }
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), treatments.len() + 2, "the first act alone met the breaks");
        let first = &seen[0];
        assert!(seen[..treatments.len()].iter().all(|sent| sent == first), "{seen:?}");
        assert!(first.key.as_deref().is_some_and(|key| key.len() == 36));
        let keys: std::collections::HashSet<_> = seen.iter().map(|sent| sent.key.clone()).collect();
        assert_eq!(keys.len(), 3, "each act has a key of its own");
        let patch = &seen[treatments.len()];
        assert_eq!((patch.method.as_str(), patch.if_match.as_deref()), ("PATCH", Some("\"7\"")));
    }
}

#[tokio::test]
async fn a_file_that_is_handed_in_again_is_the_same_to_the_last_byte() {
    let (url, seen) = strict(&[Treat::Drop, Treat::Drop, Treat::Well]).await;
    quick(&url).hand_in(&["x"], "表.docx", vec![0, 1, 255], &json!({"b": 3})).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|sent| *sent == seen[0] && sent.body.windows(3).any(|three| three == [0, 1, 255])));
}

#[tokio::test]
async fn an_act_is_repeated_while_it_is_at_work_and_where_the_service_asks_for_it() {
    const AT_WORK: Treat = Treat::Say(409, Some("0"), "idempotency_key_in_progress");
    let cases: &[&'static [Treat]] = &[
        &[AT_WORK, AT_WORK, AT_WORK, AT_WORK, AT_WORK, AT_WORK, Treat::Well],
        &[Treat::Say(503, Some("0"), "busy"), Treat::Well],
        &[Treat::Say(429, Some("0"), "slow_down"), Treat::Well],
    ];
    for treatments in cases {
        let (url, seen) = strict(treatments).await;
        assert!(quick(&url).post(&["x"], &json!({})).await.is_ok());
        assert_eq!(seen.lock().unwrap().len(), treatments.len());
    }
}

#[tokio::test]
async fn what_was_refused_is_not_asked_again() {
    for treat in [
        &[Treat::Say(503, None, "busy"), Treat::Well][..],
        &[Treat::Say(503, Some("3600"), "busy"), Treat::Well],
        &[Treat::Say(409, Some("0"), "quota_shortage"), Treat::Well],
        &[Treat::Say(409, Some("0"), "idempotency_answer_gone"), Treat::Well],
        &[Treat::Say(422, Some("0"), "idempotency_key_reused"), Treat::Well],
        &[Treat::Say(412, Some("0"), "precondition_failed"), Treat::Well],
        &[Treat::Say(500, Some("0"), "internal"), Treat::Well],
    ] {
        let (url, seen) = strict(treat).await;
        let error = quick(&url).post(&["x"], &json!({})).await.unwrap_err();
        assert!(matches!(error, ClientError::Refused { .. }), "{error}");
        assert_eq!(seen.lock().unwrap().len(), 1, "{error}");
    }
}

#[tokio::test]
async fn an_upload_is_sent_once_whatever_becomes_of_it() {
    for treatments in [&[Treat::Drop, Treat::Well][..], &[Treat::Say(503, Some("0"), "busy"), Treat::Well]] {
        let (url, seen) = strict(treatments).await;
        let pieces = stream::iter([Ok(Bytes::from_static(b"image"))]);
        quick(&url).upload(&["images"], &[], "application/octet-stream", 5, pieces).await.unwrap_err();
        let seen = seen.lock().unwrap();
        assert_eq!((seen.len(), seen[0].key.clone()), (1, None));
    }
}

#[tokio::test]
async fn a_read_is_repeated_after_every_setback_but_no_more_often_than_patience_allows() {
    for treat in [Treat::Drop, Treat::Half, Treat::Say(503, None, "busy"), Treat::Say(429, Some("0"), "slow_down")] {
        let treatments: &'static [Treat] = Box::leak(Box::new([treat, treat, Treat::Well]));
        let (url, seen) = strict(treatments).await;
        quick(&url).get::<Value>(&["x"], &[]).await.unwrap();
        let seen = seen.lock().unwrap();
        assert_eq!((seen.len(), seen[0].key.clone()), (3, None), "a read needs no key");
    }
    let (url, seen) = strict(&[Treat::Drop]).await;
    assert!(matches!(quick(&url).get::<Value>(&["x"], &[]).await, Err(ClientError::Unreachable { .. })));
    assert_eq!(seen.lock().unwrap().len(), 4);
    let (url, seen) = strict(&[Treat::Drop]).await;
    assert!(matches!(quick(&url).post(&["x"], &json!({})).await, Err(ClientError::AnswerLost { .. })));
    assert_eq!(seen.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn an_act_that_may_have_got_through_is_never_called_undelivered() {
    // The first sending breaks; then nobody listens any more.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        drop(listener);
        receive(&mut stream).await;
    });
    let error = quick(&url).post(&["x"], &json!({})).await.unwrap_err();
    assert!(matches!(error, ClientError::AnswerLost { .. }), "{error}");
}

/// A server of one certificate, for `localhost`; the certificate too.
async fn secure() -> (String, String) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = tokio_rustls::rustls::pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(Arc::new(
        tokio_rustls::rustls::crypto::ring::default_provider(),
    ));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = config.with_single_cert(vec![certified.cert.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut piece = [0; 4096];
            if stream.read(&mut piece).await.is_ok_and(|n| n > 0) {
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\n1").await);
                drop(stream.shutdown().await);
            }
        }
    });
    (url, certified.cert.pem())
}

#[tokio::test]
async fn https_trusts_the_authorities_it_was_given_and_nobody_else() {
    let (url, pem) = secure().await;
    let client = |builder: Builder| builder.patience(QUICK).build();
    let trusting = client(Client::builder(&url).authorities(pem.as_bytes())).unwrap();
    assert_eq!(trusting.get::<Value>(&["x"], &[]).await.unwrap(), json!(1));
    // The system knows nothing of it; nor does somebody who trusts another.
    let (_, other) = secure().await;
    for stranger in [client(Client::builder(&url)), client(Client::builder(&url).authorities(other.as_bytes()))] {
        let error = stranger.unwrap().get::<Value>(&["x"], &[]).await.unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    }
    for none in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let refused = client(Client::builder(&url).authorities(none.as_bytes()));
        assert!(matches!(refused, Err(ClientError::BadCertificates)), "{none}");
    }
}

/// A server of streams: each connection gets the next text, and then breaks off (`true`) or ends.
async fn streaming(texts: &'static [(&'static str, bool)]) -> (String, Arc<Mutex<Vec<Option<String>>>>) {
    let asked: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let told = asked.clone();
    let handler = async move |request: Request<Body>| {
        let last = request.headers().get("last-event-id").map(|id| id.to_str().unwrap().to_owned());
        let count = {
            let mut asked = told.lock().unwrap();
            asked.push(last);
            asked.len()
        };
        let Some((text, broken)) = texts.get(count - 1) else {
            return (StatusCode::NOT_FOUND, Json(json!({"title": "没有", "code": "gone"}))).into_response();
        };
        // What is not flushed yet would be lost with the connection.
        let end = stream::once(async { tokio::time::sleep(Duration::from_millis(50)).await });
        let end = end.filter_map(async move |()| broken.then(|| Err(io::Error::other("gone"))));
        let body = Body::from_stream(stream::once(async { Ok(Bytes::from(*text)) }).chain(end));
        ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/v1/s", get(handler))).await });
    (url, asked)
}

#[tokio::test]
async fn a_stream_that_breaks_goes_on_after_the_last_event_that_arrived() {
    let (url, asked) = streaming(&[
        ("id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: half", true),
        (": nothing yet\n\n", true),
        ("id: 3\ndata: c\n\n", false),
    ])
    .await;
    let mut stream = quick(&url).stream(&["s"], &[]);
    let mut data = Vec::new();
    while let Some(message) = stream.next().await.unwrap() {
        data.push(message.data);
    }
    assert_eq!(data, ["a", "b", "c"]);
    assert_eq!(stream.last_id(), Some("3"));
    let two = Some("2".to_owned());
    assert_eq!(*asked.lock().unwrap(), [None, two.clone(), two]);
}

#[tokio::test]
async fn a_stream_without_end_is_taken_up_again_until_it_is_refused() {
    let (url, asked) = streaming(&[("id: 1\ndata: a\n\n", false), ("id: 2\ndata: b\n\n", false)]).await;
    let mut stream = quick(&url).stream(&["s"], &[]).after("0").endless();
    let mut next = async || stream.next().await.map(|message| message.unwrap().data);
    assert_eq!((next().await.unwrap(), next().await.unwrap()), ("a".to_owned(), "b".to_owned()));
    assert_eq!(next().await.unwrap_err().code(), Some("gone"));
    assert_eq!(*asked.lock().unwrap(), ["0", "1", "2"].map(|id| Some(id.to_owned())));
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_taken_up_again_and_given_up_in_the_end() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let silent = async || {
        let first = stream::iter([Ok::<_, io::Error>(Bytes::from(": hello\n\n"))]);
        let never = first.chain(stream::pending());
        ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(never))
    };
    let server = tokio::spawn(async move { axum::serve(listener, Router::new().route("/v1/s", get(silent))).await });
    let client = Client::builder(&url).patience(QUICK).idle(Duration::from_millis(60)).build().unwrap();
    let mut stream = client.stream(&["s"], &[]);
    // It lives, again and again: nobody gives up.
    assert!(tokio::time::timeout(Duration::from_millis(500), stream.next()).await.is_err());
    server.abort();
    let ended = tokio::time::timeout(Duration::from_secs(10), stream.next()).await.unwrap();
    assert!(matches!(ended, Err(ClientError::Unreachable { .. } | ClientError::Silent { .. })), "{ended:?}");
}

#[tokio::test]
async fn what_is_no_stream_is_not_read_as_one() {
    let client = client().await;
    assert!(matches!(client.stream(&["log"], &[]).next().await, Err(ClientError::Strange { .. })));
    assert!(matches!(client.stream(&["refuse", "404"], &[]).next().await, Err(ClientError::Refused { .. })));
}

#[tokio::test]
async fn typed_acts_say_the_same_as_plain_ones() {
    let operation = json!({"id": "op-1", "kind": "build", "state": "succeeded", "percent": 100, "steps_done": 9, "steps_total": 9,
        "trace_id": "t", "created_at": "2026-11-21T01:00:00Z", "newer": true});
    let events = format!("event: operation\nid: 1\ndata: {operation}\n\n");
    let approve = {
        let operation = operation.clone();
        async move |body: Json<Value>| {
            assert_eq!(body.0, json!({"comment": "同意"}));
            (StatusCode::ACCEPTED, Json(operation))
        }
    };
    let many = {
        let operation = operation.clone();
        async move |body: Json<Value>| {
            assert_eq!(body.0, json!({"ids": ["a", "b"]}));
            Json(json!({"items": [{"request_id": "a", "status": 202, "operation": operation},
                {"request_id": "b", "status": 409, "problem": {"title": "不行"}}]}))
        }
    };
    let rename = async |headers: axum::http::HeaderMap, body: Json<Value>| {
        assert_eq!((headers["if-match"].to_str().unwrap(), &body.0), ("\"3\"", &json!({"name": "新名"})));
        Json(json!({"id": "d", "code": "edu", "name": "新名"}))
    };
    let read = async || ([(header::ETAG, "\"3\"")], Json(json!({"id": "d", "code": "edu", "name": "旧名"})));
    let follow = async move || ([(header::CONTENT_TYPE, "text/event-stream")], events.clone());
    let routes = Router::new()
        .route("/requests/{id}/approve", post(approve))
        .route("/requests/approve", post(many))
        .route("/departments/{id}", get(read).patch(rename))
        .route("/operations/{id}/events", get(follow));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().nest("/v1", routes)).await });
    let client = quick(&url);
    let begun = client.requests().approve("r", Some("同意")).await.unwrap();
    assert!(client.operations().wait(&begun.id).await.unwrap().succeeded());
    let outcomes = client.requests().approve_many(&["a", "b"], None).await.unwrap();
    assert_eq!(
        outcomes.iter().map(|o| (o.status, o.operation.is_some())).collect::<Vec<_>>(),
        [(202, true), (409, false)]
    );
    let department = client.departments().read("d").await.unwrap();
    assert_eq!((department.value.name.as_str(), department.etag.as_str()), ("旧名", "\"3\""));
    assert_eq!(client.departments().rename("d", &department.etag, "新名").await.unwrap().name, "新名");
}
