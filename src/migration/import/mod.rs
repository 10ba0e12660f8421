//! The survey as offices fill it in: sheets to rows ([`table`]), rows to things of the survey ([`plan`]), each cell to its
//! value ([`cells`]). Whatever is wrong is told at once, by sheet, row and column; nothing is guessed, and nothing is taken
//! of a file in which something is wrong.

pub mod cells;
pub mod plan;
mod rows;
pub mod service;
pub mod table;
#[cfg(test)]
mod tests;

use crate::place::Place;
use serde::{Deserialize, Serialize};

/// Something wrong in a file, or something that was done to a cell on its way in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SurveyNote)]
pub struct Note {
    pub place: Place,
    /// The column's heading; empty where it is about a whole row or sheet.
    pub column: String,
    /// Chinese.
    pub message: String,
}

/// A fault: with its word and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub note: Note,
    pub code: &'static str,
    pub mend: String,
}
