//! Any workbook or CSV as its sheets: rows of cells as they are written, with their places. What they mean is for whoever
//! asked; here the file is only opened, within the same bounds as a report.

use super::{
    MAX_FILE,
    layout::{Item, Layout, Table},
    limits::{Budget, not_recognised, too_large},
    outcome::FormFault,
    package::{Main, Package},
    plain, sniff, xlsx,
};
use serde::{Deserialize, Serialize};

/// One worksheet, or the one table of a CSV file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    /// Empty in a CSV file.
    pub name: String,
    /// Only rows in which something is written.
    pub rows: Vec<Line>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// From 1, as people count.
    pub number: u32,
    pub cells: Vec<Spot>,
}

/// A cell in which something is written, or that continues a merged one: then it says what that says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    /// From 1.
    pub column: u32,
    pub span: u32,
    pub text: String,
    /// It continues the cell above it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continued: bool,
}

/// Reads a file's sheets, told by its content alone. A formula comes as its text, with the `=` before it.
pub fn sheets(bytes: &[u8]) -> Result<Vec<Sheet>, FormFault> {
    if bytes.len() > MAX_FILE {
        return Err(too_large(format!("超过 {} MiB", MAX_FILE >> 20)));
    }
    let mut budget = Budget::default();
    let layout = match sniff::kind(bytes)? {
        sniff::Kind::Text => plain::table(bytes, &mut budget)?,
        sniff::Kind::Package => {
            let mut package = Package::open(bytes)?;
            match package.main(&mut budget)? {
                Main::Workbook(part) => xlsx::read(&mut package, &part, &mut budget)?,
                Main::Word(_) => return Err(not_recognised("是 Word 文件，不是表格")),
                Main::Other => return Err(package.other(&mut budget)),
            }
        }
    };
    Ok(laid_out(layout))
}

fn laid_out(layout: Layout) -> Vec<Sheet> {
    let tables = layout.items.into_iter().filter_map(|item| match item {
        Item::Table(table) => Some(table),
        Item::Paragraph(_) => None,
    });
    tables.map(|table| sheet(&table)).collect()
}

fn sheet(table: &Table) -> Sheet {
    let line = |(row, written): (usize, &super::layout::Row)| Line {
        number: written.number,
        cells: written
            .cells
            .iter()
            .enumerate()
            .map(|(cell, here)| Spot {
                column: here.column,
                span: here.span.max(1),
                text: table.text(row, cell).to_string(),
                continued: here.origin.is_some(),
            })
            .collect(),
    };
    Sheet {
        name: table.place.sheet.clone().unwrap_or_default(),
        rows: table.rows.iter().enumerate().map(line).collect(),
    }
}
