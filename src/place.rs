//! Where in a file a value stood, for people and for programs.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Numbers count from 1, as people count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Place {
    /// The heading under which it stands, as 六.3.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub section: Option<String>,
    /// Name of the worksheet.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sheet: Option<String>,
    /// The table in the order of the document, nested ones included.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub table: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub row: Option<u32>,
    /// The column of the table's grid: a merged cell counts as many columns as it spans.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub column: Option<u32>,
    /// Outside tables: the paragraph in the order of the document.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub paragraph: Option<u32>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(section) = &self.section {
            write!(f, "{section} ")?;
        }
        if let Some(sheet) = &self.sheet {
            write!(f, "工作表“{sheet}”")?;
        }
        if let Some(table) = self.table {
            write!(f, "表 {table} ")?;
        }
        if let (Some(row), Some(column)) = (self.row, self.column) {
            write!(f, "第 {row} 行第 {column} 列")?;
        }
        if let Some(paragraph) = self.paragraph {
            write!(f, "第 {paragraph} 段")?;
        }
        Ok(())
    }
}
