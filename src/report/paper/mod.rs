//! A report as a file: bytes that depend on the report alone.

pub mod capacity;
mod csv;
mod rooms;
pub mod survey;
mod words;
mod workbook;

pub use capacity::{csv_of as capacity_csv, workbook as capacity_workbook};
pub use csv::{guarded, idle as idle_csv};
pub use rooms::{csv_of as rooms_csv, workbook as rooms_workbook};
pub use workbook::idle as idle_workbook;

/// The media type of a workbook.
pub const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
/// The media type of a text table.
pub const CSV: &str = "text/csv";

/// Why a report cannot be put on paper.
#[derive(Debug, thiserror::Error)]
pub enum PaperError {
    #[error("the table could not be written")]
    Csv(#[from] ::csv::Error),
    #[error("the workbook could not be written")]
    Xlsx(#[from] rust_xlsxwriter::XlsxError),
}
