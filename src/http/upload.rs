//! A report as it is handed in: JSON or YAML as the body, or a file with what it lacks (`multipart/form-data`).

use super::{
    Api, DOCUMENT_BYTES,
    extract::{Document, content_type},
};
use crate::{
    error::{Kind, Problem},
    request::{form, raw::RawReport, service::Original},
};
use axum::extract::{FromRequest, Multipart, Request, multipart::MultipartError};
use bytes::Bytes;
use serde_json::{Map, Value};

/// The largest body: a file and what stands around it.
pub const UPLOAD_BYTES: usize = form::MAX_FILE + DOCUMENT_BYTES;

/// A report as read, and what it was read from.
pub struct Handed {
    pub report: RawReport,
    pub original: Original,
}

/// The parts of an upload, for the API description.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "describes the body; nothing is read through it")]
pub struct Upload {
    /// `.docx`, `.xlsx`, `.csv`, `.json` or `.yaml`, at most 16 MiB.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// JSON object of fields that the file lacks, as `{"task_book": "…", "ssh_keys": ["…"]}`; they hold for all its blocks.
    #[schema(value_type = Option<Object>)]
    fields: Option<Value>,
}

impl FromRequest<Api> for Handed {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        if content_type(request.headers()) != "multipart/form-data" {
            let document = Document::<RawReport>::from_request(request, api).await?;
            let name = if document.is_yaml { "request.yaml" } else { "request.json" }.to_owned();
            let media_type = form::media_type(&name).to_owned();
            let original = Original { name, media_type, content: document.text.into_bytes() };
            return Ok(Self { report: document.value, original });
        }
        let parts = Multipart::from_request(request, api).await.map_err(|_| not_read())?;
        let Parts { name, content, fields } = parts_of(parts).await?;
        let report = api.rules.read(&content, &name, &fields).await?;
        let media_type = form::media_type(&name).to_owned();
        Ok(Self { report, original: Original { name, media_type, content: content.to_vec() } })
    }
}

struct Parts {
    name: String,
    content: Bytes,
    fields: Map<String, Value>,
}

async fn parts_of(mut parts: Multipart) -> Result<Parts, Problem> {
    let (mut file, mut fields) = (None, None);
    while let Some(part) = parts.next_field().await.map_err(too_large)? {
        match part.name() {
            Some("file") if file.is_none() => {
                let name = crate::text::shown(part.file_name().unwrap_or("request"));
                file = Some((name, part.bytes().await.map_err(too_large)?));
            }
            Some("fields") if fields.is_none() => {
                let text = part.bytes().await.map_err(too_large)?;
                let map = (text.len() <= DOCUMENT_BYTES).then(|| serde_json::from_slice(&text).ok()).flatten();
                fields = Some(map.ok_or_else(|| {
                    Problem::malformed("fields 部分须为 JSON 对象，例如 {\"task_book\": \"相信任〔2026〕17号\"}")
                })?);
            }
            other => {
                let other = crate::text::shown(other.unwrap_or("（无名）"));
                return Err(Problem::malformed(format!(
                    "不认识或重复的部分“{other}”；上传内容由 file（文件）和可选的 fields（补充字段）组成，各一个"
                )));
            }
        }
    }
    let (name, content) = file.ok_or_else(|| Problem::malformed("没有 file 部分；请上传申请文件"))?;
    Ok(Parts { name, content, fields: fields.unwrap_or_default() })
}

fn not_read() -> Problem {
    Problem::malformed("multipart/form-data 内容无法读取；请重新上传")
}

#[allow(clippy::needless_pass_by_value, reason = "called by map_err")]
fn too_large(error: MultipartError) -> Problem {
    // Whatever the length limit cut off.
    let too_long = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
        .any(|error| error.to_string().contains("length limit"));
    if too_long {
        return Problem::new(Kind::TooLarge, "document_too_large", "文件超过 16 MiB；删去图片和无关附件后重新上传");
    }
    not_read()
}
