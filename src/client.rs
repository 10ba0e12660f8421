//! The HTTP client that the command line uses, for others too: it sends, reads answers and problems, and repeats only
//! what is safe to repeat.

use crate::place::Place;
pub use crate::serve::tls::choose as choose_tls;
use bytes::Bytes;
use futures_util::TryStream;
use reqwest::{
    Method, RequestBuilder, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION},
    multipart,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{io, time::Duration};

const CONNECT: Duration = Duration::from_secs(5);
/// For everything but uploads, whose length decides.
const ANSWER: Duration = Duration::from_mins(1);
/// The pauses before the second and third attempt of a read.
const PAUSES: [Duration; 2] = [Duration::from_millis(150), Duration::from_millis(450)];
/// What is asked for at once when following a list's pages.
const PAGE: u32 = 200;

/// A refusal in the words of RFC 9457, with this product's own fields. Unknown fields stay in [`Problem::raw`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Problem {
    pub title: String,
    pub detail: Option<String>,
    /// The stable English word for scripts.
    pub code: Option<String>,
    pub errors: Option<Vec<Violation>>,
    pub shortage: Option<Vec<Value>>,
    pub request_id: Option<String>,
    /// The document as it came.
    #[serde(skip)]
    pub raw: Value,
}

/// One thing that is wrong with what was sent. The numbers are whatever JSON the server sent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Violation {
    /// JSON pointer into the document that was sent.
    pub pointer: Option<String>,
    pub code: Option<String>,
    pub message: Option<String>,
    /// The document and clause that the rule comes from.
    pub basis: Option<String>,
    /// What to change.
    pub mend: Option<String>,
    /// Where in the file it stands.
    pub place: Option<Place>,
    pub asked: Option<Value>,
    pub used: Option<Value>,
    pub limit: Option<Value>,
    pub left: Option<Value>,
    pub unit: Option<String>,
}

impl Problem {
    /// Reads a problem document; `None` when the JSON is not one.
    pub fn from_json(raw: Value) -> Option<Self> {
        let problem = Self::deserialize(&raw).ok().filter(|p| !p.title.is_empty())?;
        Some(Self { raw, ..problem })
    }
}

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("not a usable server address: {reason}")]
    BadServer { reason: String },
    #[error("the token holds characters that no header can carry")]
    BadToken,
    /// Nothing was received, and nothing that changes anything was delivered.
    #[error("cannot reach {url}")]
    Unreachable {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    /// The connection broke after the request was on its way: it may have been carried out.
    #[error("no answer from {url}; the act may have been carried out")]
    AnswerLost {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("refused with {status}: {}", problem.title)]
    Refused { status: u16, problem: Box<Problem> },
    /// An answer that this service would not give.
    #[error("unexpected answer {status} from {url}")]
    Strange { url: String, status: u16 },
}

/// A successful answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Where the operation or the new thing is.
    pub location: Option<String>,
    pub body: Value,
}

impl Answer {
    /// The act goes on; the body is its operation.
    pub fn goes_on(&self) -> bool {
        self.status == StatusCode::ACCEPTED.as_u16()
    }
}

/// Items of a list, and whether there are more.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Items {
    pub items: Vec<Value>,
    pub next_page_token: Option<String>,
}

/// A server and the token to use with it.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    authorization: Option<HeaderValue>,
}

impl Client {
    /// `server` is an `http://` address, with or without a path before `/v1`.
    pub fn new(server: &str, token: Option<&str>) -> Result<Self, ClientError> {
        let bad = |reason: &str| ClientError::BadServer { reason: reason.into() };
        let base = Url::parse(server.trim()).map_err(|_| bad("不是网址；要写成 http://主机:端口"))?;
        match base.scheme() {
            "http" | "https" => {}
            _ => return Err(bad("要以 http:// 或 https:// 开头")),
        }
        if base.username() != "" || base.password().is_some() {
            return Err(bad("地址里不要放用户名和密码；用 JIYUE_TOKEN"));
        }
        let authorization = token.map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ClientError::BadToken)?;
            value.set_sensitive(true);
            Ok(value)
        });
        choose_tls();
        // A redirect would carry the token to wherever it points.
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("jiyue/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| ClientError::Unreachable { url: base.to_string(), source })?;
        Ok(Self { http, base, authorization: authorization.transpose()? })
    }

    /// The server's address, for messages.
    pub fn server(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Reads one thing. Repeated a few times when the connection fails.
    pub async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, ClientError> {
        let response = self.read(path, query).await?;
        Ok(answer(response).await?.body)
    }

    /// Reads plain text.
    pub async fn text(&self, path: &[&str], query: &[(&str, &str)]) -> Result<String, ClientError> {
        let response = self.read(path, query).await?;
        let url = response.url().to_string();
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        response.text().await.map_err(|source| lost(url, source))
    }

    /// Reads a list page by page, to its end or to `limit` items.
    pub async fn list(&self, path: &[&str], query: &[(&str, &str)], limit: Option<u32>) -> Result<Items, ClientError> {
        let limit = limit.map_or(usize::MAX, |n| n as usize);
        let mut all = Items::default();
        loop {
            let size = PAGE.min(u32::try_from(limit - all.items.len()).unwrap_or(PAGE)).to_string();
            let mut query = query.to_vec();
            query.push(("page_size", &size));
            let token = all.next_page_token.take();
            if let Some(token) = &token {
                query.push(("page_token", token));
            }
            let mut page = self.get(path, &query).await?;
            let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) else {
                return Err(ClientError::Strange { url: self.url(path, &[]).to_string(), status: 200 });
            };
            let empty = items.is_empty();
            all.items.extend(items);
            let next = page.get("next_page_token").and_then(Value::as_str).filter(|t| !t.is_empty());
            // A page that brings nothing, or leads to itself, would be asked for forever.
            let stuck = empty || next == token.as_deref();
            all.next_page_token = next.filter(|_| !stuck).map(Into::into);
            if all.next_page_token.is_none() || all.items.len() >= limit {
                return Ok(all);
            }
        }
    }

    /// Does something. Never repeated by itself.
    pub async fn post(&self, path: &[&str], body: &Value) -> Result<Answer, ClientError> {
        let url = self.url(path, &[]);
        let request = self.request(Method::POST, url.clone()).timeout(ANSWER).json(body);
        answer(self.send_once(request, &url).await?).await
    }

    /// Sends `length` bytes as they come, without holding them.
    pub async fn upload<S>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        length: u64,
        content: S,
    ) -> Result<Answer, ClientError>
    where
        S: TryStream<Ok = Bytes, Error = io::Error> + Send + 'static,
    {
        let url = self.url(path, query);
        let request = self
            .request(Method::POST, url.clone())
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, length)
            .body(reqwest::Body::wrap_stream(content));
        answer(self.send_once(request, &url).await?).await
    }

    /// Hands in a file, with the fields that it lacks.
    pub async fn hand_in(
        &self,
        path: &[&str],
        name: &str,
        content: Vec<u8>,
        fields: &Value,
    ) -> Result<Answer, ClientError> {
        let url = self.url(path, &[]);
        let file = multipart::Part::bytes(content).file_name(name.to_owned());
        let form = multipart::Form::new().part("file", file).text("fields", fields.to_string());
        let request = self.request(Method::POST, url.clone()).timeout(ANSWER).multipart(form);
        answer(self.send_once(request, &url).await?).await
    }

    /// Reads bytes.
    pub async fn bytes(&self, path: &[&str]) -> Result<Bytes, ClientError> {
        let response = self.read(path, &[]).await?;
        let url = response.url().to_string();
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        response.bytes().await.map_err(|source| lost(url, source))
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        // Only addresses that cannot be a base have no segments, and `new` took http alone.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url);
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        }
    }

    async fn read(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Response, ClientError> {
        let url = self.url(path, query);
        let mut pauses = PAUSES.iter();
        loop {
            let error = match self.request(Method::GET, url.clone()).timeout(ANSWER).send().await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            match pauses.next().filter(|_| !error.is_timeout()) {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Err(ClientError::Unreachable { url: url.to_string(), source: error.without_url() }),
            }
        }
    }

    async fn send_once(&self, request: RequestBuilder, url: &Url) -> Result<Response, ClientError> {
        request.send().await.map_err(|source| {
            let url = url.to_string();
            if source.is_connect() || source.is_builder() {
                ClientError::Unreachable { url, source: source.without_url() }
            } else {
                lost(url, source)
            }
        })
    }
}

fn lost(url: String, source: reqwest::Error) -> ClientError {
    ClientError::AnswerLost { url, source: source.without_url() }
}

async fn answer(response: Response) -> Result<Answer, ClientError> {
    let status = response.status();
    if !status.is_success() {
        return Err(refusal(response).await);
    }
    let url = response.url().to_string();
    let location = response.headers().get(LOCATION).and_then(|v| v.to_str().ok()).map(Into::into);
    let text = response.bytes().await.map_err(|source| lost(url.clone(), source))?;
    let body = if text.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&text) };
    let body = body.map_err(|_| ClientError::Strange { url, status: status.as_u16() })?;
    Ok(Answer { status: status.as_u16(), location, body })
}

async fn refusal(response: Response) -> ClientError {
    let (status, url) = (response.status().as_u16(), response.url().to_string());
    let problem = match response.bytes().await {
        Ok(text) => serde_json::from_slice(&text).ok().and_then(Problem::from_json),
        Err(_) => None,
    };
    match problem {
        Some(problem) => ClientError::Refused { status, problem: Box::new(problem) },
        None => ClientError::Strange { url, status },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use axum::{
        Json, Router,
        body::Body,
        extract::{Path, Query, Request},
        http::{StatusCode, header},
        response::IntoResponse,
        routing::{get, post},
    };
    use futures_util::stream;
    use serde_json::json;
    use std::collections::HashMap;

    type Params = Query<HashMap<String, String>>;

    async fn items(Query(query): Params) -> Json<Value> {
        let start: u32 = query.get("page_token").map_or(0, |t| t.parse().unwrap());
        let end = 450.min(start + query["page_size"].parse::<u32>().unwrap());
        let next = (end < 450).then(|| end.to_string());
        Json(json!({"items": (start..end).collect::<Vec<_>>(), "next_page_token": next}))
    }

    async fn refuse(Path(status): Path<u16>) -> impl IntoResponse {
        let problem =
            json!({"title": "不行", "code": "no", "status": status, "errors": [{"pointer": "/a", "asked": 3}]});
        (
            StatusCode::from_u16(status).unwrap(),
            [(header::CONTENT_TYPE, "application/problem+json")],
            problem.to_string(),
        )
    }

    async fn image(Query(query): Params, request: Request) -> impl IntoResponse {
        let length = request.headers()[header::CONTENT_LENGTH].to_str().unwrap().to_owned();
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        (StatusCode::CREATED, Json(json!({"length": length, "received": body.len(), "name": query["name"]})))
    }

    /// A server with one of each answer, on a free port.
    async fn server() -> String {
        let operation = || async {
            (StatusCode::ACCEPTED, [(header::LOCATION, "/v1/operations/op-1")], Json(json!({"id": "op-1"})))
        };
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
            for error in [client.get(&path, &[]).await.unwrap_err(), client.post(&path, &json!({})).await.unwrap_err()]
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
        let all = client.list(&["items"], &[], None).await.unwrap();
        assert_eq!((all.items.len(), all.items[449].clone(), all.next_page_token), (450, json!(449), None));
        let some = client.list(&["items"], &[], Some(250)).await.unwrap();
        assert_eq!((some.items.len(), some.next_page_token.as_deref()), (250, Some("250")));
        assert_eq!(client.list(&["loop"], &[], None).await.unwrap().items.len(), 2);
        assert_eq!(client.list(&["stuck"], &[], None).await.unwrap().items.len(), 0);
    }

    #[tokio::test]
    async fn what_no_such_service_would_say_is_strange() {
        let client = client().await;
        for (path, wanted) in [("html", 502), ("nonsense", 200), ("moved", 302)] {
            let error = client.get(&[path], &[]).await.unwrap_err();
            assert!(matches!(error, ClientError::Strange { status, .. } if status == wanted), "{path}: {error}");
        }
        assert!(matches!(client.list(&["token"], &[], None).await, Err(ClientError::Strange { .. })));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_unreachable() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let client = Client::new(&url, Some("secret")).unwrap();
        for error in [client.get(&["x"], &[]).await.unwrap_err(), client.post(&["x"], &json!({})).await.unwrap_err()] {
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
        assert_eq!(Client::new(&url, None).unwrap().get(&["x"], &[]).await.unwrap(), json!(1));
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
        let answer = client().await.upload(&["images"], &[("name", "小 镜像&x")], 100_000, pieces).await.unwrap();
        assert_eq!(answer.body, json!({"length": "100000", "received": 100_000, "name": "小 镜像&x"}));
    }

    #[tokio::test]
    async fn names_of_any_letters_are_one_path_segment() {
        let client = client().await;
        for name in ["相发改〔2026〕1号", "a b", "100%", "?x=1#y", "a\\b"] {
            assert_eq!(client.get(&["names", name], &[]).await.unwrap(), json!({"name": name}));
        }
        assert_eq!(client.text(&["log"], &[]).await.unwrap(), "boot\nlogin:\n");
    }

    #[tokio::test]
    async fn the_token_is_sent_and_never_shown() {
        let client = client().await;
        assert_eq!(client.get(&["token"], &[]).await.unwrap(), json!("Bearer secret"));
        assert!(!format!("{client:?}").contains("secret"));
        assert!(matches!(Client::new("http://h", Some("a\nb")), Err(ClientError::BadToken)));
    }

    #[test]
    fn addresses_that_cannot_work_are_refused_at_once() {
        for server in ["", "localhost:8460", "ftp://h", "https://", "http://", "http://user:pw@h"] {
            assert!(matches!(Client::new(server, None), Err(ClientError::BadServer { .. })), "{server}");
        }
        let under = Client::new("http://h/cloud/", None).unwrap();
        assert_eq!(under.url(&["requests", "1"], &[("a", "b")]).as_str(), "http://h/cloud/v1/requests/1?a=b");
    }
}
