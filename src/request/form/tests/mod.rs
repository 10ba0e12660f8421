//! Files made in memory, read as a whole.

mod application;
mod around;
mod bombs;
mod formats;
mod hardware;
mod prose;
mod sample;
mod tables;
mod word;

use super::{Form, FormFault, read};
use crate::rule::Code;
use serde_json::Value;
use std::io::{Cursor, Write};
use zip::{ZipWriter, write::SimpleFileOptions};

/// A package of these parts.
pub(super) fn package(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub(super) fn document_xml(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:document \
         xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body>{body}</w:body></w:document>"
    )
}

/// A Word document around a body.
pub(super) fn docx(body: &str) -> Vec<u8> {
    package(&[("[Content_Types].xml", b"<Types/>"), ("word/document.xml", document_xml(body).as_bytes())])
}

/// A paragraph.
pub(super) fn p(text: &str) -> String {
    format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>")
}

/// A cell with more properties.
pub(super) fn cell(properties: &str, text: &str) -> String {
    let paragraphs: String = text.split('\n').map(p).collect();
    format!("<w:tc><w:tcPr>{properties}</w:tcPr>{paragraphs}</w:tc>")
}

/// A row of plain cells.
pub(super) fn row(cells: &[&str]) -> String {
    format!("<w:tr>{}</w:tr>", cells.iter().map(|c| cell("", c)).collect::<String>())
}

pub(super) fn table(rows: &[&[&str]]) -> String {
    format!("<w:tbl>{}</w:tbl>", rows.iter().map(|r| row(r)).collect::<String>())
}

/// The form's own table, filled in.
pub(super) fn block(count: &str, domain: &str, memory: &str) -> String {
    let wide = format!("<w:tr>{}{}</w:tr>", cell("", "申请虚拟机数量"), cell("<w:gridSpan w:val=\"3\"/>", count));
    let rows = [
        row(&["1. 域 名", domain, "2. 操作系统类型", "Debian 12"]),
        row(&["3. 数据库类型", "无", "4. cpu 数量", "4核"]),
        row(&["5. 内存容量", memory, "6. 磁盘空间", "100G"]),
    ];
    let work = format!("<w:tr>{}{}</w:tr>", cell("", "7. 运行内容"), cell("<w:gridSpan w:val=\"3\"/>", "应用服务"));
    let remarks = format!("<w:tr>{}</w:tr>", cell("<w:gridSpan w:val=\"4\"/>", "备注:"));
    format!("<w:tbl>{wide}{}{work}{remarks}</w:tbl>", rows.concat())
}

pub(super) fn form(body: &str) -> Form {
    read(&docx(body), "x.docx").unwrap()
}

pub(super) fn fault(bytes: &[u8], name: &str) -> FormFault {
    read(bytes, name).unwrap_err()
}

pub(super) fn refused(bytes: &[u8], code: Code) {
    let fault = fault(bytes, "x.docx");
    assert_eq!(fault.code, code, "{fault}");
    assert!(!fault.reason.is_empty() && fault.reason.len() < 400, "{fault}");
}

/// The value at a pointer of the document.
#[track_caller]
pub(super) fn at<'a>(form: &'a Form, pointer: &str) -> &'a Value {
    let mut parts = pointer.splitn(3, '/').skip(1);
    let first = form.document.get(parts.next().unwrap());
    let found = match parts.next() {
        Some(rest) => first.and_then(|v| v.pointer(&format!("/{rest}"))),
        None => first,
    };
    found.unwrap_or_else(|| panic!("no {pointer} in {:#?} {:#?}", form.document, form.places.keys()))
}

#[track_caller]
pub(super) fn says(form: &Form, pointer: &str, text: &str) {
    assert_eq!(at(form, pointer).as_str(), Some(text), "{pointer}");
    assert!(form.places.contains_key(pointer), "{pointer} has no place");
}

pub(super) fn blank(form: &Form, pointer: &str) {
    let value = Value::Object(form.document.clone());
    assert_eq!(value.pointer(pointer), None, "{pointer}");
    assert!(form.places.contains_key(pointer), "{pointer} has no place: {:?}", form.places.keys());
}

pub(super) fn blocks(form: &Form) -> usize {
    form.document["blocks"].as_array().unwrap().len()
}
