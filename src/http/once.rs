//! `Idempotency-Key`: a call that changes something may be sent again by who did not hear its answer, and is done once.
//!
//! The row that says so is written by the act's own transaction ([`crate::db::call`]); here the answer is kept for the
//! copies, for a day, and copies that differ, or come while the first is under way, are told so. A call that was refused
//! has written nothing; its copy is judged anew. What must not be kept (`Cache-Control: no-store`) is not.

use super::{
    Api, acts,
    carried::trace_id,
    extract::{Authenticated, bearer},
    upload::UPLOAD_BYTES,
};
use crate::{
    db::call::{Answer, Call, Known},
    error::{Kind, Problem},
    ids::PersonId,
    text::hex,
};
use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use jiff::SignedDuration;
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// On an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const LONGEST_KEY: usize = 128;
/// A larger answer is not kept.
const LONGEST_ANSWER: usize = 1 << 20;
/// After so long without an answer, nobody is going to give it any more.
const GIVEN_UP: SignedDuration = SignedDuration::from_mins(2);
/// Streams of any length, which may be sent again as they are: what is known already is known by its content.
pub const WITHOUT: &[&str] = &["/v1/images", "/v1/usage/import"];

/// Calls with keys that this broker is carrying out, and their digests.
#[derive(Clone, Debug, Default)]
pub struct UnderWay {
    calls: Arc<Mutex<HashMap<(PersonId, String), String>>>,
}

/// Its place among them, until it is dropped.
struct Held {
    all: UnderWay,
    key: (PersonId, String),
}

impl UnderWay {
    fn enter(&self, person: PersonId, key: &str, digest: &str) -> Result<Held, Problem> {
        let key = (person, key.to_owned());
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        match calls.entry(key.clone()) {
            Entry::Vacant(place) => {
                place.insert(digest.to_owned());
                Ok(Held { all: self.clone(), key })
            }
            Entry::Occupied(other) if other.get() == digest => Err(in_progress()),
            Entry::Occupied(_) => Err(reused()),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.calls.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Carries out a call with a key once.
pub async fn once(api: &Api, request: Request, next: Next) -> Response {
    // What is no route is told so, key or not.
    let path = request.extensions().get::<MatchedPath>();
    let served = path.is_some_and(|path| acts::is_served(request.method().as_str(), path.as_str()));
    match request.headers().get(KEY) {
        Some(key) if served => {
            let key = key.clone();
            carry_out(api, &key, request, next).await.unwrap_or_else(IntoResponse::into_response)
        }
        _ => next.run(request).await,
    }
}

async fn carry_out(api: &Api, key: &HeaderValue, mut request: Request, next: Next) -> Result<Response, Problem> {
    let key = key.to_str().ok().filter(|key| (1..=LONGEST_KEY).contains(&key.len()) && !key.contains(' '));
    let key = key.ok_or_else(|| {
        Problem::new(
            Kind::Malformed,
            "idempotency_key_invalid",
            format!("请求头 Idempotency-Key 须为 1 至 {LONGEST_KEY} 个可见的 ASCII 字符；每次操作用一个新的 UUID 即可"),
        )
    })?;
    if request.extensions().get::<MatchedPath>().is_some_and(|path| WITHOUT.contains(&path.as_str())) {
        return Err(Problem::new(
            Kind::Malformed,
            "idempotency_key_unsupported",
            "导入不用 Idempotency-Key：相同的内容本来就只计一份，直接重新导入即可",
        ));
    }
    let (bearer, trace_id) = (bearer(request.headers()), trace_id(request.extensions()));
    let actor = api.door.authenticate(bearer, &trace_id).await?;
    let person = actor.person.id;
    request.extensions_mut().insert(Authenticated(actor));
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, UPLOAD_BYTES)
        .await
        .map_err(|_| Problem::new(Kind::TooLarge, "document_too_large", "内容过大或接收不完整；请精简后重新提交"))?;
    let digest = digest(&parts.method, &parts.uri.to_string(), &parts.headers, &body);
    let _held = api.under_way.enter(person, key, &digest)?;
    let call = Call::new(person.text(), key.to_owned(), digest);
    if let Some(known) = call.known(&api.db).await? {
        return again(api, &call, known);
    }
    let response = call.scope(next.run(Request::from_parts(parts, Body::from(body)))).await;
    if call.is_done() {
        return Ok(keep(api, &call, response).await);
    }
    // Nothing was written here. If a copy at another broker was, its answer is the answer.
    match call.known(&api.db).await? {
        Some(known) => again(api, &call, known),
        None => Ok(response),
    }
}

/// What makes two calls the same: method, address, media type and content. The boundary of a multipart body says nothing,
/// and is another one each time.
fn digest(method: &Method, uri: &str, headers: &HeaderMap, body: &Bytes) -> String {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(kind).ok().filter(|boundary| !boundary.is_empty());
    let kind = kind.split(';').next().unwrap_or_default();
    let mut sha = Sha256::new();
    let mut add = |part: &[u8]| {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part);
    };
    for part in [method.as_str(), uri, kind] {
        add(part.as_bytes());
    }
    let mut from = 0;
    if let Some(boundary) = boundary {
        for to in memchr::memmem::find_iter(body, boundary.as_bytes()) {
            add(body.get(from..to).unwrap_or_default());
            from = to + boundary.len();
        }
    }
    add(body.get(from..).unwrap_or_default());
    hex(&sha.finalize())
}

/// The answer to a copy.
fn again(api: &Api, call: &Call, known: Known) -> Result<Response, Problem> {
    if known.digest != call.digest() {
        return Err(reused());
    }
    let Some(answer) = known.answer else {
        let age = api.db.clock().now().duration_since(known.made_at);
        return Err(if age < GIVEN_UP { in_progress() } else { gone() });
    };
    let body = Body::from(answer.body);
    let mut response = Response::builder().status(answer.status).body(body).map_err(Problem::internal)?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(&answer.content_type).map_err(Problem::internal)?);
    if let Some(location) = answer.location {
        headers.insert(header::LOCATION, HeaderValue::from_str(&location).map_err(Problem::internal)?);
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// Keeps the answer and gives it. That it could not be kept is no fault of the act, which is done.
async fn keep(api: &Api, call: &Call, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let secret = parts.headers.get(header::CACHE_CONTROL).is_some_and(|value| value.as_bytes() == b"no-store");
    let body = match to_bytes(body, usize::MAX).await {
        Ok(body) => body,
        Err(error) => return Problem::internal(error).into_response(),
    };
    let header = |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
    if let (false, true, Ok(text)) = (secret, body.len() <= LONGEST_ANSWER, std::str::from_utf8(&body)) {
        let answer = Answer {
            status: parts.status.as_u16(),
            content_type: header(header::CONTENT_TYPE).unwrap_or_default(),
            location: header(header::LOCATION),
            body: text.to_owned(),
        };
        if let Err(error) = call.keep(&api.db, answer).await {
            tracing::warn!(%error, "http.answer.not_kept");
        }
    }
    Response::from_parts(parts, Body::from(body))
}

fn in_progress() -> Problem {
    Problem::new(
        Kind::InProgress,
        "idempotency_key_in_progress",
        "同一个 Idempotency-Key 的请求正在处理；请稍候用同样的内容再发一次，会得到它的应答",
    )
}

fn reused() -> Problem {
    Problem::new(
        Kind::Refused,
        "idempotency_key_reused",
        "这个 Idempotency-Key 已用于内容不同的请求；新的操作请换一个新的 Idempotency-Key",
    )
}

fn gone() -> Problem {
    Problem::conflict(
        "idempotency_answer_gone",
        "这个 Idempotency-Key 的操作已经生效，但它的应答没有保存（含口令的应答不保存）；不要换一个键重做，请查询对象的当前状态",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &str, kind: &'static str, body: &'static str) -> String {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
        digest(&Method::POST, uri, &headers, &Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn calls_are_the_same_by_address_type_and_content() {
        let one = of("/v1/hosts", "application/json", "{}");
        assert_eq!(one, of("/v1/hosts", "application/json; charset=utf-8", "{}"));
        for other in [
            of("/v1/hosts?a", "application/json", "{}"),
            of("/v1/hosts", "application/yaml", "{}"),
            of("/v1/hosts", "application/json", "{ }"),
            of("/v1/hosts", "application/json", ""),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn the_boundary_of_a_form_makes_no_difference_and_its_content_does() {
        let first = of("/v1/requests", "multipart/form-data; boundary=aaa", "--aaa\r\n\r\nx\r\n--aaa--\r\n");
        assert_eq!(first, of("/v1/requests", "multipart/form-data; boundary=\"b\"", "--b\r\n\r\nx\r\n--b--\r\n"));
        assert_ne!(first, of("/v1/requests", "multipart/form-data; boundary=aaa", "--aaa\r\n\r\ny\r\n--aaa--\r\n"));
    }
}
