//! The HTTP client that the command line uses, for other programs too. It is typed, speaks http and https, and repeats by
//! itself only what is safe to repeat ([`retry`]): reads, and acts that carry an `Idempotency-Key`, which is all of them but
//! uploads of any length (images, histories of usage).
//!
//! ```no_run
//! use jiyue::client::{Client, ClientError, Filter};
//!
//! # async fn example(token: &str) -> Result<(), ClientError> {
//! let client = Client::builder("https://cloud.example.gov.cn").token(token).build()?;
//!
//! // What waits for a decision, the oldest first.
//! let waiting = Filter::new().by("state", "submitted").sort("created_at").limit(20);
//! for request in client.requests().list(&waiting).await?.items {
//!     println!("{} {}", request.id, request.task_book);
//! }
//!
//! // Approves one and follows its building to the end.
//! let operation = client.requests().approve("019aa2c0-0000-7000-8000-000000000001", Some("同意")).await?;
//! let ended = client.operations().wait(&operation.id).await?;
//! if ended.succeeded() {
//!     for machine in client.requests().show(ended.request_id.as_deref().unwrap_or_default()).await?.machines {
//!         println!("{} {}", machine.name, machine.address);
//!     }
//! }
//!
//! // A change of what was read, and not of what somebody else has made of it since.
//! let machine = client.machines().read("019aa2c0-0000-7000-8000-000000000002").await?;
//! let change = serde_json::json!({"om_unit": "区民政局信息中心 0512-00000000"});
//! match client.machines().set(&machine.value.id, &machine.etag, &change).await {
//!     Err(error) if error.code() == Some("precondition_failed") => println!("somebody was faster: read it again"),
//!     other => drop(other?),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The types in [`types`] hold what the server's OpenAPI document names. Every typed call has its like for plain JSON
//! ([`Client::get`], [`Client::list`], [`Client::post`]) that also keeps what a newer server adds.

mod acts;
mod error;
mod exchange;
mod page;
pub mod retry;
mod sse;
mod stream;
pub mod types;

pub use acts::{Collection, NewImage};
pub use error::{BadAddress, ClientError, Problem, Violation};
pub use page::{Filter, Items};
pub use retry::Patience;
pub use sse::Message;
pub use stream::Stream;

// Before any client of reqwest is made, which panics without; done by [`Builder::build`] and by `main`. A program that has
// chosen its own ciphers keeps them.
pub use crate::serve::tls::choose as install_ciphers;
use bytes::Bytes;
use exchange::Reply;
use futures_util::{TryStream, TryStreamExt};
use reqwest::{
    Certificate, Method, RequestBuilder, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, IF_MATCH},
    multipart,
};
use retry::Safety;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{io, time::Duration};

const CONNECT: Duration = Duration::from_secs(5);
/// For everything but uploads, whose length decides, and streams, which have none.
const ANSWER: Duration = Duration::from_mins(1);
/// So long a stream may be silent: a living server sends a sign of life more often.
const IDLE: Duration = Duration::from_secs(45);
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const MERGE_PATCH: HeaderValue = HeaderValue::from_static("application/merge-patch+json");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A successful answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Where the operation or the new thing is.
    pub location: Option<String>,
    /// The service had done it before, under the same key, and says again what it said then.
    pub replayed: bool,
    pub body: Value,
}

impl Answer {
    /// The act goes on; the body is its operation.
    pub fn goes_on(&self) -> bool {
        self.status == StatusCode::ACCEPTED.as_u16()
    }
}

/// Something as it was read, with the mark that a change of it has to show.
#[derive(Clone, Debug)]
pub struct Tagged<T> {
    /// For `If-Match`; empty where the server gave none.
    pub etag: String,
    pub value: T,
}

/// A server and the token to use with it. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    authorization: Option<HeaderValue>,
    patience: Patience,
    idle: Duration,
}

/// What a client is made of; see [`Client::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    server: String,
    authorization: Option<Result<HeaderValue, ()>>,
    authorities: Option<Vec<u8>>,
    patience: Patience,
    idle: Duration,
}

impl Builder {
    /// The bearer token; never part of any message.
    pub fn token(mut self, token: &str) -> Self {
        let value = HeaderValue::from_str(&format!("Bearer {token}")).map(|mut value| {
            value.set_sensitive(true);
            value
        });
        self.authorization = Some(value.map_err(drop));
        self
    }

    /// Certificates of authorities in PEM form, trusted instead of the system's.
    pub fn authorities(mut self, pem: &[u8]) -> Self {
        self.authorities = Some(pem.to_vec());
        self
    }

    /// How long to go on trying where it is safe.
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// How long a stream may be silent before it is taken up anew.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// The client, or what is wrong with its settings. Nothing is sent.
    pub fn build(self) -> Result<Client, ClientError> {
        let base = Url::parse(self.server.trim()).map_err(|_| ClientError::BadServer(BadAddress::NotAUrl))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(ClientError::BadServer(BadAddress::Scheme));
        }
        if base.username() != "" || base.password().is_some() {
            return Err(ClientError::BadServer(BadAddress::Credentials));
        }
        let authorization = self.authorization.transpose().map_err(|()| ClientError::BadToken)?;
        install_ciphers();
        // A redirect would carry the token to wherever it points.
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            // What is repeated is decided here alone.
            .retry(reqwest::retry::never())
            .no_proxy()
            .user_agent(concat!("jiyue/", env!("CARGO_PKG_VERSION")));
        let http = match &self.authorities {
            None => http,
            Some(pem) => {
                let all = Certificate::from_pem_bundle(pem).ok().filter(|all| !all.is_empty());
                http.tls_certs_only(all.ok_or(ClientError::BadCertificates)?)
            }
        };
        let http = http.build().map_err(|source| match &self.authorities {
            Some(_) => ClientError::BadCertificates,
            None => ClientError::Unreachable { url: base.to_string(), source },
        })?;
        Ok(Client { http, base, authorization, patience: self.patience, idle: self.idle })
    }
}

impl Client {
    /// Begins a client of `server`: an `http://` or `https://` address, with or without a path before `/v1`.
    pub fn builder(server: &str) -> Builder {
        Builder {
            server: server.to_owned(),
            authorization: None,
            authorities: None,
            patience: Patience::default(),
            idle: IDLE,
        }
    }

    /// A client with nothing out of the ordinary.
    pub fn new(server: &str, token: Option<&str>) -> Result<Self, ClientError> {
        let builder = Self::builder(server);
        match token {
            Some(token) => builder.token(token),
            None => builder,
        }
        .build()
    }

    /// The server's address, for messages.
    pub fn server(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Reads one thing.
    pub async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<T, ClientError> {
        self.read(path, query).await?.json()
    }

    /// Reads one thing with the mark of what was read.
    pub async fn get_tagged<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Tagged<T>, ClientError> {
        let reply = self.read(path, &[]).await?;
        Ok(Tagged { etag: reply.etag.clone().unwrap_or_default(), value: reply.json()? })
    }

    /// Reads plain text.
    pub async fn text(&self, path: &[&str], query: &[(&str, &str)]) -> Result<String, ClientError> {
        Ok(String::from_utf8_lossy(&self.read(path, query).await?.body).into_owned())
    }

    /// Reads bytes.
    pub async fn bytes(&self, path: &[&str]) -> Result<Bytes, ClientError> {
        self.bytes_by(path, &[]).await
    }

    /// The same, with a query.
    pub async fn bytes_by(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Bytes, ClientError> {
        Ok(self.read(path, query).await?.body)
    }

    /// Does something, under a key of its own, so that it is done once however often it has to be sent.
    pub async fn post<B: Serialize + ?Sized>(&self, path: &[&str], body: &B) -> Result<Answer, ClientError> {
        self.post_keyed(path, &fresh_key(), body).await
    }

    /// Does something under the caller's key: a program that was stopped in between sends the same again, and it is still
    /// done once. Kept by the service for 24 hours.
    pub async fn post_keyed<B: Serialize + ?Sized>(
        &self,
        path: &[&str],
        key: &str,
        body: &B,
    ) -> Result<Answer, ClientError> {
        self.act(Method::POST, path, key, JSON, None, Bytes::from(json_of(body))).await
    }

    /// Changes some fields (RFC 7396) of what was read under `etag`.
    pub async fn patch<B: Serialize + ?Sized>(
        &self,
        path: &[&str],
        etag: &str,
        change: &B,
    ) -> Result<Answer, ClientError> {
        self.act(Method::PATCH, path, &fresh_key(), MERGE_PATCH, Some(etag), Bytes::from(json_of(change))).await
    }

    /// Hands in a file, with the fields that it lacks.
    pub async fn hand_in(
        &self,
        path: &[&str],
        name: &str,
        content: Vec<u8>,
        fields: &Value,
    ) -> Result<Answer, ClientError> {
        let file = multipart::Part::bytes(content).file_name(name.to_owned());
        let form = multipart::Form::new().part("file", file).text("fields", fields.to_string());
        // Composed once: under one key the bytes must be the same each time, the boundary among them.
        let kind = HeaderValue::from_str(&format!("multipart/form-data; boundary={}", form.boundary()));
        let kind = kind.unwrap_or(HeaderValue::from_static("multipart/form-data"));
        let url = self.url(path, &[]);
        let body: Vec<Bytes> =
            form.into_stream().try_collect().await.map_err(|source| exchange::unreachable(&url, source))?;
        self.act(Method::POST, path, &fresh_key(), kind, None, Bytes::from(body.concat())).await
    }

    /// Sends `length` bytes of this media type as they come, without holding them. Never repeated.
    pub async fn upload<S>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        kind: &'static str,
        length: u64,
        content: S,
    ) -> Result<Answer, ClientError>
    where
        S: TryStream<Ok = Bytes, Error = io::Error> + Send + 'static,
    {
        let url = self.url(path, query);
        let request = self
            .request(Method::POST, &url)
            .header(CONTENT_TYPE, kind)
            .header(CONTENT_LENGTH, length)
            .body(reqwest::Body::wrap_stream(content));
        exchange::once(request, &url, Safety::Once).await?.successful()?.answer()
    }

    /// Follows a stream of server-sent events, and takes it up again where it broke off.
    pub fn stream(&self, path: &[&str], query: &[(&str, &str)]) -> Stream {
        Stream::new(self.clone(), self.url(path, query))
    }

    async fn read(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Reply, ClientError> {
        let url = self.url(path, query);
        self.exchange(Safety::Read, &url, || self.request(Method::GET, &url).timeout(ANSWER)).await
    }

    async fn act(
        &self,
        method: Method,
        path: &[&str],
        key: &str,
        kind: HeaderValue,
        etag: Option<&str>,
        body: Bytes,
    ) -> Result<Answer, ClientError> {
        let url = self.url(path, &[]);
        let build = || {
            let request = self.request(method.clone(), &url).timeout(ANSWER).header(CONTENT_TYPE, kind.clone());
            let request = request.header(IDEMPOTENCY_KEY, key).body(body.clone());
            match etag {
                Some(etag) => request.header(IF_MATCH, etag),
                None => request,
            }
        };
        self.exchange(Safety::Keyed, &url, build).await?.answer()
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        // Only addresses that cannot be a base have no segments, and `build` took http and https alone.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        let request = self.http.request(method, url.clone());
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        }
    }
}

/// A key that nobody has used before.
fn fresh_key() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// JSON of our own types and of JSON itself always writes; what would not is sent as null, for the service to refuse.
fn json_of<B: Serialize + ?Sized>(body: &B) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_else(|_| b"null".to_vec())
}

#[cfg(test)]
mod tests;
