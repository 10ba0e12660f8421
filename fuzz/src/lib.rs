//! Bytes from the fuzzer as files: raw, as one part of an otherwise good package, or as what its cells say. Without the
//! package around it, almost nothing that a fuzzer invents would get past the zip reader.

use quick_xml::escape::escape;
use std::io::{Cursor, Write};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// A package of these parts; stored, since what is compressed is no longer the fuzzer's to change.
fn package(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in parts {
        if zip.start_file(*name, stored).and_then(|()| Ok(zip.write_all(content)?)).is_err() {
            return Vec::new();
        }
    }
    zip.finish().map(Cursor::into_inner).unwrap_or_default()
}

/// What the first byte makes of the rest.
enum Shape<'a> {
    Raw(&'a [u8]),
    /// The whole part.
    Part(Vec<u8>),
}

fn shape<'a>(data: &'a [u8], before: &str, after: &str, cells: impl Fn(&str) -> String) -> Shape<'a> {
    let Some((kind, rest)) = data.split_first() else { return Shape::Raw(data) };
    match kind % 4 {
        0 => Shape::Raw(rest),
        1 => Shape::Part(rest.to_vec()),
        2 => Shape::Part([before.as_bytes(), rest, after.as_bytes()].concat()),
        _ => Shape::Part(format!("{before}{}{after}", cells(&String::from_utf8_lossy(rest))).into_bytes()),
    }
}

const RELATIONSHIPS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const TYPES: &str = "http://schemas.openxmlformats.org/package/2006/content-types";

fn types(part: &str, kind: &str) -> String {
    format!(
        "<Types xmlns=\"{TYPES}\"><Default Extension=\"rels\" \
         ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
         <Default Extension=\"xml\" ContentType=\"application/xml\"/>\
         <Override PartName=\"{part}\" ContentType=\"application/vnd.openxmlformats-officedocument.{kind}+xml\"/></Types>"
    )
}

fn relationship(kind: &str, target: &str) -> String {
    format!(
        "<Relationships xmlns=\"{RELATIONSHIPS}\"><Relationship Id=\"rId1\" Type=\"{OFFICE}/{kind}\" \
         Target=\"{target}\"/></Relationships>"
    )
}

/// Word: `word/document.xml` is the fuzzer's.
pub fn docx(data: &[u8]) -> Vec<u8> {
    const BEFORE: &str = "<w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\" \
         xmlns:mc=\"http://schemas.openxmlformats.org/markup-compatibility/2006\" \
         xmlns:w14=\"http://schemas.microsoft.com/office/word/2010/wordml\"><w:body>";
    // A line is a row, a tab the next cell.
    let cells = |text: &str| {
        let cell = |text: &str| format!("<w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>", escape(text));
        let row = |line: &str| format!("<w:tr>{}</w:tr>", line.split('\t').map(cell).collect::<String>());
        format!("<w:tbl>{}</w:tbl>", text.lines().map(row).collect::<String>())
    };
    match shape(data, BEFORE, "</w:body></w:document>", cells) {
        Shape::Raw(bytes) => bytes.to_vec(),
        Shape::Part(document) => package(&[
            ("[Content_Types].xml", types("/word/document.xml", "wordprocessingml.document.main").as_bytes()),
            ("_rels/.rels", relationship("officeDocument", "word/document.xml").as_bytes()),
            ("word/document.xml", &document),
        ]),
    }
}

/// Excel: `xl/worksheets/sheet1.xml` is the fuzzer's.
pub fn xlsx(data: &[u8]) -> Vec<u8> {
    const BEFORE: &str = "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>";
    let cells = |text: &str| {
        let cell = |text: &str| format!("<c t=\"inlineStr\"><is><t>{}</t></is></c>", escape(text));
        let row = |line: &str| format!("<row>{}</row>", line.split('\t').map(cell).collect::<String>());
        text.lines().map(row).collect::<String>()
    };
    let workbook = format!(
        "<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" xmlns:r=\"{OFFICE}\">\
         <sheets><sheet name=\"Sheet1\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>"
    );
    match shape(data, BEFORE, "</sheetData></worksheet>", cells) {
        Shape::Raw(bytes) => bytes.to_vec(),
        Shape::Part(sheet) => package(&[
            ("[Content_Types].xml", types("/xl/workbook.xml", "spreadsheetml.sheet.main").as_bytes()),
            ("_rels/.rels", relationship("officeDocument", "xl/workbook.xml").as_bytes()),
            ("xl/workbook.xml", workbook.as_bytes()),
            ("xl/_rels/workbook.xml.rels", relationship("worksheet", "worksheets/sheet1.xml").as_bytes()),
            ("xl/worksheets/sheet1.xml", &sheet),
        ]),
    }
}
