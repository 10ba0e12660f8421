//! Reads a file that an office wrote (Word, Excel, CSV, JSON, YAML) into one document: the report as JSON, with the place
//! where each value stood. Nothing is judged here but whether the file can be read at all.

mod around;
mod basis;
mod blocks;
mod contact;
mod dates;
mod docx;
mod entry;
mod facts;
mod glyph;
pub mod label;
mod layout;
mod limits;
mod list;
mod outcome;
mod outline;
mod output;
mod package;
mod plain;
mod plan;
mod protection;
mod purchase;
mod report;
mod rooms;
mod scan;
mod section;
mod sections;
mod sheets;
mod side_tables;
mod sniff;
#[cfg(test)]
mod tests;
mod titles;
mod upkeep;
mod words;
mod workbook;
mod xlsx;
mod xml;

pub use outcome::{Form, FormFault, MAX_FILE};
pub use sheets::{Line, Sheet, Spot, sheets};

use limits::Budget;
use package::{Main, Package};

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
