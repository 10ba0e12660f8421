//! Forms that are text: JSON and YAML as a program would send them, and CSV as a spreadsheet saves it.

use super::{
    layout::{Cell, Item, Layout, Row, Table},
    limits::{Budget, damaged, not_recognised, too_large},
    outcome::{Form, FormFault},
    report,
};
use crate::{place::Place, text, yaml};
use serde_json::{Map, Value};

pub(super) fn read(bytes: &[u8], name: &str, budget: &mut Budget) -> Result<Form, FormFault> {
    let content = decode(bytes).ok_or_else(|| not_recognised("不是文字"))?;
    let name = name.to_ascii_lowercase();
    let start = content.trim_start();
    let data = [".json", ".yaml", ".yml"].iter().any(|e| name.ends_with(e));
    let sheet = [".csv", ".tsv", ".txt"].iter().any(|e| name.ends_with(e));
    if start.starts_with(['{', '[']) || data {
        return document(&content);
    }
    if sheet {
        return csv(&content, budget).and_then(report::assemble);
    }
    // Without a name to go by: fields of a report, or rows.
    match document(&content) {
        Ok(form) => Ok(form),
        Err(fault) => match csv(&content, budget).and_then(report::assemble) {
            Ok(form) => Ok(form),
            Err(_) if start.contains(':') && !start.contains([',', '\t']) => Err(fault),
            Err(_) => Err(not_recognised("是没有申请内容的文字")),
        },
    }
}

/// The rows of a CSV file, whatever they are about.
pub(super) fn table(bytes: &[u8], budget: &mut Budget) -> Result<Layout, FormFault> {
    csv(&decode(bytes).ok_or_else(|| not_recognised("不是文字"))?, budget)
}

fn document(content: &str) -> Result<Form, FormFault> {
    if content.len() > yaml::MAX_BYTES {
        return Err(too_large(format!("JSON 和 YAML 最大 {} MiB", yaml::MAX_BYTES >> 20)));
    }
    let document: Map<String, Value> = yaml::from_str(content)
        .map_err(|e| damaged(format!("第 {} 行第 {} 列：{}", e.line, e.column, text::shown(&e.message))))?;
    Ok(Form { document, ..Form::default() })
}

/// UTF-8, UTF-16 with its mark, or GB 18030, in which Chinese Excel saves.
fn decode(bytes: &[u8]) -> Option<String> {
    let content = match bytes {
        [0xFF, 0xFE, ..] => encoding_rs::UTF_16LE.decode_with_bom_removal(bytes).0.into_owned(),
        [0xFE, 0xFF, ..] => encoding_rs::UTF_16BE.decode_with_bom_removal(bytes).0.into_owned(),
        [0xEF, 0xBB, 0xBF, rest @ ..] => std::str::from_utf8(rest).ok()?.to_owned(),
        _ => match std::str::from_utf8(bytes) {
            Ok(content) => content.to_owned(),
            Err(_) => encoding_rs::GB18030.decode_without_bom_handling_and_without_replacement(bytes)?.into_owned(),
        },
    };
    (!content.contains('\0')).then_some(content)
}

/// Separators beyond this many are not looked at: a record's fields are kept in memory until it ends.
const MAX_SEPARATORS: usize = 1_000_000;

fn csv(content: &str, budget: &mut Budget) -> Result<Layout, FormFault> {
    let first: String = content.lines().take(20).collect();
    // The one that is used most in the first lines, quotes aside.
    let count = |c: char| first.matches(c).count();
    let delimiter = [',', ';', '\t'].into_iter().max_by_key(|c| (count(*c), *c == ',')).unwrap_or(',');
    if content.matches(delimiter).count() > MAX_SEPARATORS {
        return Err(too_large(format!("超过 {MAX_SEPARATORS} 个分隔符")));
    }
    budget.table()?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(u8::try_from(delimiter).unwrap_or(b','))
        .from_reader(content.as_bytes());
    // What is not written is not there, as in a workbook.
    let mut table = Table { sparse: true, place: Place { table: Some(1), ..Place::default() }, rows: Vec::new() };
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|_| damaged("CSV 不合规范"))? {
        let line = record.position().map_or(1, csv::Position::line);
        let mut cells: Vec<Cell> = Vec::new();
        for (column, field) in (1_u32..).zip(&record) {
            let words = field.trim();
            if !words.is_empty() {
                budget.cells(1)?;
                budget.text(words)?;
                cells.push(Cell { column, span: 1, text: words.to_owned().into(), origin: None });
            }
        }
        if !cells.is_empty() {
            table.rows.push(Row { number: u32::try_from(line).unwrap_or(u32::MAX), cells, section: None });
        }
    }
    Ok(Layout { items: vec![Item::Table(table)] })
}
