//! What a file is, by its content. A name is only what somebody called it.

use super::{limits::not_recognised, outcome::FormFault};
use crate::rule::Code;

pub(super) enum Kind {
    Package,
    /// CSV, JSON or YAML.
    Text,
}

/// Signatures of what is often sent by mistake.
const OTHERS: &[(&[u8], &str)] = &[
    (b"%PDF", "是 PDF 文件"),
    (b"{\\rtf", "是 RTF 文件"),
    (b"\x89PNG", "是图片"),
    (b"\xFF\xD8\xFF", "是图片"),
    (b"GIF8", "是图片"),
    (b"BM", "是图片"),
    (b"II*\0", "是图片"),
    (b"MM\0*", "是图片"),
    (b"RIFF", "是图片或音视频文件"),
    (b"7z\xBC\xAF\x27\x1C", "是压缩文件"),
    (b"Rar!", "是压缩文件"),
    (b"\x1F\x8B", "是压缩文件"),
];

const OLE: &[u8] = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";

pub(super) fn kind(bytes: &[u8]) -> Result<Kind, FormFault> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(not_recognised("文件是空的"));
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return Ok(Kind::Package);
    }
    if bytes.starts_with(OLE) {
        return Err(ole(bytes));
    }
    // `BM` alone may begin a text.
    let other = OTHERS
        .iter()
        .find(|(sign, _)| bytes.starts_with(sign) && (sign.len() > 2 || bytes.iter().take(64).any(|b| *b == 0)));
    if let Some((_, what)) = other {
        return Err(not_recognised(*what));
    }
    if bytes.get(..bytes.len().min(1024)).is_some_and(|head| holds(head, b"%PDF-")) {
        return Err(not_recognised("是 PDF 文件"));
    }
    let start: String = String::from_utf8_lossy(bytes.get(..bytes.len().min(512)).unwrap_or_default())
        .trim_start_matches('\u{feff}')
        .trim_start()
        .to_ascii_lowercase();
    if start.starts_with("<!doctype html")
        || start.starts_with("<html")
        || start.contains("<html") && start.starts_with('<')
    {
        return Err(not_recognised("是网页（HTML）"));
    }
    if start.starts_with("<?xml") || start.starts_with("<!doctype") {
        return Err(not_recognised("是 XML 文件"));
    }
    Ok(Kind::Text)
}

/// The old formats' container, which also holds encrypted files of the new ones.
fn ole(bytes: &[u8]) -> FormFault {
    let holds = |name: &str| {
        let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        self::holds(bytes, &wide)
    };
    if holds("EncryptedPackage") {
        return FormFault { code: Code::FileEncrypted, reason: "设有打开密码".to_owned() };
    }
    not_recognised(if holds("WordDocument") {
        "是旧格式 .doc"
    } else if holds("Workbook") || holds("Book") {
        "是旧格式 .xls"
    } else {
        "是旧格式 .doc/.xls"
    })
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    let Some(first) = part.first() else { return true };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|b| b == first) {
        let here = rest.get(at..).unwrap_or_default();
        if here.starts_with(part) {
            return true;
        }
        rest = here.get(1..).unwrap_or_default();
    }
    false
}

/// What a package without a Word document or workbook in it looks like.
pub(super) fn package(names: &[String], mimetype: &str) -> &'static str {
    let has = |name: &str| names.iter().any(|n| n == name);
    if mimetype.contains("opendocument") {
        "是 .odt/.ods 文件"
    } else if has("OFD.xml") {
        "是 OFD 版式文件"
    } else if has("ppt/presentation.xml") {
        "是演示文稿"
    } else if has("xl/workbook.bin") {
        "是 .xlsb 文件"
    } else {
        "是压缩文件，其中没有 Word 文档或 Excel 工作簿"
    }
}
