//! `ETag`: what an answer says, in a word. Whoever asks again with it (`If-None-Match`) is told that nothing has changed;
//! whoever changes something names what it has seen (`If-Match`), so that nobody undoes what another did meanwhile.

use super::extract::content_type;
use crate::{
    error::{Kind, Problem},
    text::hex,
};
use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// Of 64 hexadecimal digits; enough that no two versions of one thing share them.
const DIGITS: usize = 32;

fn tag(body: &[u8]) -> String {
    let digest = hex(&Sha256::digest(body));
    format!("\"{}\"", digest.get(..DIGITS).unwrap_or_default())
}

/// Tags the JSON document that is read.
pub async fn tagged(request: Request, next: Next) -> Response {
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    let json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == b"application/json");
    if response.status() != StatusCode::OK || !json {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = match to_bytes(body, usize::MAX).await {
        Ok(body) => body,
        Err(error) => return Problem::internal(error).into_response(),
    };
    let tag = tag(&body);
    let unchanged = known.as_ref().is_some_and(|known| names(known, &tag));
    if let Ok(value) = HeaderValue::from_str(&tag) {
        parts.headers.insert(header::ETAG, value);
    }
    if unchanged {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_TYPE);
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(body))
}

/// Whether a list of tags has this one. A proxy may have weakened it on its way.
fn names(list: &HeaderValue, tag: &str) -> bool {
    let list = list.to_str().unwrap_or_default();
    list.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// What the caller has seen of the thing that it changes.
pub struct IfMatch(Option<HeaderValue>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(parts.headers.get(header::IF_MATCH).cloned()))
    }
}

impl IfMatch {
    /// It has seen the thing as it is, or says that it does not mind.
    pub fn check(&self, view: &impl Serialize) -> Result<(), Problem> {
        let Some(seen) = &self.0 else {
            return Err(Problem::new(
                Kind::Unconditional,
                "precondition_required",
                "修改须带请求头 If-Match：先查询，把应答的 ETag 原样填入；不论现状都要修改的，填 *",
            ));
        };
        let body = serde_json::to_vec(view).map_err(Problem::internal)?;
        if names(seen, &tag(&body)) { Ok(()) } else { Err(Problem::changed()) }
    }
}

/// For fields of patches that cannot be taken away: null is no value of theirs.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// For fields of patches that can be: null takes the value away, and what is not named stays.
#[allow(clippy::option_option, reason = "absent, null and a value are three things in a merge patch")]
pub fn clearable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// A JSON merge patch (RFC 7396), read strictly: what cannot be changed, or is not there, is refused by its name.
pub struct Patch<T>(pub T);

const MERGE_PATCH: &str = "application/merge-patch+json";

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Patch<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let headers: &HeaderMap = request.headers();
        if content_type(headers) != MERGE_PATCH {
            return Err(Problem::new(
                Kind::UnsupportedMedia,
                "unsupported_media_type",
                format!("修改用 {MERGE_PATCH}：只写要改的字段"),
            ));
        }
        let body = Bytes::from_request(request, state).await.map_err(|_| {
            Problem::new(Kind::TooLarge, "document_too_large", "内容超过 1 MiB 或接收不完整；请精简后重新提交")
        })?;
        let text =
            std::str::from_utf8(&body).map_err(|_| Problem::malformed("内容不是 UTF-8 编码；请转换编码后重新提交"))?;
        super::extract::read_json(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_in_a_list_weakened_or_not() {
        let tag = tag(b"{}");
        for list in [tag.clone(), format!("\"x\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
            assert!(names(&HeaderValue::from_str(&list).unwrap(), &tag), "{list}");
        }
        for list in ["", "\"x\"", "**", tag.trim_matches('"'), "W/\"x\""] {
            assert!(!names(&HeaderValue::from_str(list).unwrap(), &tag), "{list}");
        }
        assert_ne!(tag, super::tag(b"{ }"));
    }

    #[test]
    fn who_has_not_looked_or_has_seen_something_else_changes_nothing() {
        let code = |header: Option<String>| {
            let header = header.map(|text| HeaderValue::from_str(&text).unwrap());
            IfMatch(header).check(&serde_json::json!({"name": "a"})).err().map(|problem| problem.code)
        };
        assert_eq!(code(None), Some("precondition_required"));
        assert_eq!(code(Some(tag(br#"{"name":"b"}"#))), Some("precondition_failed"));
        assert_eq!(code(Some(tag(br#"{"name":"a"}"#))), None);
        assert_eq!(code(Some("*".to_owned())), None);
    }
}
