//! Reads a file that an office wrote (Word, Excel, CSV, JSON, YAML) into one document: the report as JSON, with the place
//! where each value stood. Nothing is judged here but whether the file can be read at all.

mod basis;
mod blocks;
mod docx;
mod entry;
mod facts;
mod glyph;
pub mod label;
mod layout;
mod limits;
mod list;
mod outline;
mod output;
mod package;
mod plain;
mod report;
mod rooms;
mod scan;
mod side_tables;
mod sniff;
#[cfg(test)]
mod tests;
mod titles;
mod upkeep;
mod workbook;
mod xlsx;
mod xml;

use crate::{place::Place, rule::Code};
use limits::Budget;
use package::{Main, Package};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The largest file that is looked at.
pub const MAX_FILE: usize = 16 << 20;

/// A file as read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Form {
    /// A report in the shape that `POST /v1/requests` takes as JSON. What comes from a form is text, as written.
    pub document: Map<String, Value>,
    /// JSON pointer into the document to where the value stood. A place without a value: the form has room for it and
    /// it was left blank.
    pub places: BTreeMap<String, Place>,
    /// Pointers of fields that the file gives more than once, with different values.
    pub repeated: Vec<String>,
}

/// Why a file cannot be read as a report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", code.as_str())]
pub struct FormFault {
    pub code: Code,
    /// Chinese, stands inside the rule's sentence.
    pub reason: String,
}

/// The media type of a file, by its name. What it really is, [`read`] has seen.
pub fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "csv" => "text/csv",
        "json" => "application/json",
        "yaml" | "yml" => "application/yaml",
        _ => "application/octet-stream",
    }
}

/// Reads a file; `name` is only a hint at its format.
pub fn read(bytes: &[u8], name: &str) -> Result<Form, FormFault> {
    if bytes.len() > MAX_FILE {
        return Err(limits::too_large(format!("超过 {} MiB", MAX_FILE >> 20)));
    }
    let mut budget = Budget::default();
    match sniff::kind(bytes)? {
        sniff::Kind::Text => plain::read(bytes, name, &mut budget),
        sniff::Kind::Package => {
            let mut package = Package::open(bytes)?;
            let layout = match package.main(&mut budget)? {
                Main::Word(part) => {
                    let text = package.part(&part, &mut budget)?.unwrap_or_default();
                    docx::read(&text, &mut budget)?
                }
                Main::Workbook(part) => xlsx::read(&mut package, &part, &mut budget)?,
                Main::Other => return Err(package.other(&mut budget)),
            };
            report::assemble(layout)
        }
    }
}
