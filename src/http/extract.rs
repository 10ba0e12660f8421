//! What handlers take: the caller, a document, a query. Whatever is wrong with them is a [`Problem`].

use super::{
    Api, DOCUMENT_BYTES,
    carried::{Called, trace_id},
    strict,
};
use crate::{
    error::{Kind, Problem},
    identity::Actor,
    violation::pointer_token,
    yaml,
};
use axum::{
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, Path as AxumPath, Query as AxumQuery, Request,
        rejection::{BytesRejection, FailedToBufferBody},
    },
    http::{HeaderMap, header, request::Parts},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;
use std::{fmt::Display, str::FromStr};

/// Who calls, when that was asked before the handler.
#[derive(Clone)]
pub struct Authenticated(pub Actor);

/// The holder of the bearer token.
pub struct Caller(pub Actor);

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let actor = match parts.extensions.get::<Authenticated>() {
            Some(Authenticated(actor)) => actor.clone(),
            None => api.door.authenticate(bearer(&parts.headers), &trace_id(&parts.extensions)).await?,
        };
        if let Some(called) = parts.extensions.get::<Called>() {
            called.by(&actor);
        }
        Ok(Self(actor))
    }
}

/// The token that a call carries.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// A document's text and, from it, a value. JSON by default, YAML by its content type.
pub struct Document<T> {
    pub value: T,
    pub text: String,
    pub is_yaml: bool,
}

/// The media type of a body, without its parameters; JSON where none is given.
pub(super) fn content_type(headers: &HeaderMap) -> String {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("application/json");
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

impl<T: DeserializeOwned> FromRequest<Api> for Document<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let kind = content_type(request.headers());
        let is_yaml = matches!(kind.as_str(), "application/yaml" | "text/yaml" | "application/x-yaml");
        if !is_yaml && kind != "application/json" {
            return Err(Problem::new(
                Kind::UnsupportedMedia,
                "unsupported_media_type",
                format!("不支持的内容类型 {}；请使用 application/json 或 application/yaml", crate::text::shown(&kind)),
            ));
        }
        let too_large = || Problem::new(Kind::TooLarge, "document_too_large", "内容超过 1 MiB；请精简后重新提交");
        let bytes = Bytes::from_request(request, api).await.map_err(|rejection| {
            if matches!(rejection, BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_))) {
                too_large()
            } else {
                Problem::malformed("请求内容接收不完整；请重新提交")
            }
        })?;
        // A route that takes files lets more through than a document may have.
        if bytes.len() > DOCUMENT_BYTES {
            return Err(too_large());
        }
        // An act that takes no word needs no body.
        let bytes = if bytes.is_empty() { Bytes::from_static(b"{}") } else { bytes };
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Problem::malformed("内容不是 UTF-8 编码；请转换编码后重新提交"))?
            .to_owned();
        let value = if is_yaml {
            let value = yaml::from_str(&text).map_err(|e| {
                // Read once more, for the name of the field.
                let again = yaml::from_str::<Value>(&text).ok().map(serde_path_to_error::deserialize::<_, T>);
                let pointer = again.and_then(Result::err).map(|fault| pointer(fault.path())).unwrap_or_default();
                not_read("YAML", e.line, e.column, &pointer, &e.message)
            })?;
            yaml::from_str::<Value>(&text).ok().map(objects::<T>).transpose()?;
            value
        } else {
            read_json(&text)?
        };
        Ok(Self { value, text, is_yaml })
    }
}

pub(super) fn read_json<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let fault = |e: &serde_json::Error, pointer: &str| {
        not_read("JSON", e.line() as u64, e.column() as u64, pointer, &e.to_string())
    };
    let mut document = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut document).map_err(|e| fault(e.inner(), &pointer(e.path())))?;
    document.end().map_err(|e| fault(&e, ""))?;
    strict::value(text).map_err(|e| fault(&e, "")).and_then(objects::<T>)?;
    Ok(value)
}

/// Refuses lists in place of objects, which have been read all the same.
fn objects<T: DeserializeOwned>(value: Value) -> Result<(), Problem> {
    strict::read::<T>(value).map(drop).map_err(|error| {
        let reason = crate::text::shown(&error.inner().to_string());
        let pointer = pointer(error.path());
        let field = if pointer.is_empty() { "内容".to_owned() } else { format!("字段 {pointer}") };
        Problem::malformed(format!("{field}：写法不对（{reason}）；字段要写在花括号里，写明名称"))
    })
}

/// The field as a JSON pointer; empty for the whole document.
fn pointer(path: &serde_path_to_error::Path) -> String {
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", pointer_token(key)),
            Segment::Enum { .. } | Segment::Unknown => String::new(),
        })
        .collect()
}

fn not_read(format: &str, line: u64, column: u64, pointer: &str, reason: &str) -> Problem {
    let field = if pointer.is_empty() { String::new() } else { format!("，字段 {pointer}") };
    Problem::malformed(format!(
        "第 {line} 行第 {column} 列{field}：不是可读取的 {format} 内容（{}）；请检查该处的写法",
        crate::text::shown(reason)
    ))
}

/// Whether anything of ours may have this identifier, number or name.
fn may_be_key(key: &str) -> bool {
    key.len() <= 400 && !key.chars().any(char::is_control)
}

/// The keys that a document names other things by. Whatever cannot be one does not reach a query: PostgreSQL has no text
/// with a NUL.
pub fn keys<'a>(pointer: &str, keys: impl IntoIterator<Item = &'a String>) -> Result<(), Problem> {
    if keys.into_iter().all(|key| may_be_key(key)) {
        return Ok(());
    }
    Err(Problem::malformed(format!("字段 {pointer}：无法读取；请使用列表中给出的标识、编号或名称")))
}

/// The one identifier (or number, or name) in the path. Whatever cannot be one does not reach a query.
pub struct Path<T>(pub T);

impl FromRequestParts<Api> for Path<String> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let key = AxumPath::<String>::from_request_parts(parts, api).await.ok().map(|AxumPath(key)| key);
        key.filter(|key| may_be_key(key))
            .map(Self)
            .ok_or_else(|| Problem::malformed("路径中的标识无法读取；请使用列表中给出的标识、编号或名称"))
    }
}

/// The query's parameters; an unknown or unreadable one is named. Nothing of ours has control characters in it, and
/// PostgreSQL has no text with a NUL.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Api> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let controlled =
            |text: &&str| percent_encoding::percent_decode(text.as_bytes()).any(|byte| byte.is_ascii_control());
        if let Some(parameter) = parts.uri.query().unwrap_or_default().split('&').find(controlled) {
            let name = crate::text::shown(parameter.split('=').next().unwrap_or_default());
            return Err(Problem::malformed(format!("查询参数 {name} 里有控制字符；请去掉后重试")));
        }
        AxumQuery::try_from_uri(&parts.uri).map(|AxumQuery(value)| Self(value)).map_err(|rejection| {
            Problem::malformed(format!("查询参数无法读取：{}", crate::text::shown(&rejection.body_text())))
        })
    }
}

/// A filter that takes certain words only; anything else is answered, and not taken for a list without rows.
pub fn one_of<T: FromStr>(parameter: &str, value: Option<&str>) -> Result<Option<T>, Problem> {
    let Some(value) = value else { return Ok(None) };
    value.parse().map(Some).map_err(|_| {
        Problem::malformed(format!(
            "查询参数 {parameter} 没有 {} 这个值；可用的值见 /v1/openapi.json",
            crate::text::shown(value)
        ))
    })
}

/// A filter that takes an identifier, as the database writes it.
pub fn identifier<T: FromStr + Display>(parameter: &str, value: Option<String>) -> Result<Option<String>, Problem> {
    value.map(|value| written::<T>(&format!("查询参数 {parameter}"), &value)).transpose()
}

/// A document's field that takes an identifier, as the database writes it.
pub fn identified<T: FromStr + Display>(pointer: &str, value: &str) -> Result<String, Problem> {
    written::<T>(&format!("字段 {pointer}"), value)
}

fn written<T: FromStr + Display>(what: &str, value: &str) -> Result<String, Problem> {
    value.parse::<T>().map(|id| id.to_string()).map_err(|_| Problem::malformed(format!("{what} 须为标识（UUID）")))
}
