//! A document as it is laid out: paragraphs and tables in their order, with the place of each. Word files, workbooks and
//! CSV all become this before anything in them is understood.

use super::{
    section::Section,
    words::{NOTHING, Words},
};
use crate::place::Place;

#[derive(Debug, Default)]
pub(super) struct Layout {
    pub items: Vec<Item>,
}

#[derive(Debug)]
pub(super) enum Item {
    Paragraph(Paragraph),
    Table(Table),
}

#[derive(Debug, Default)]
pub(super) struct Paragraph {
    pub text: String,
    pub place: Place,
    /// Its style says that it is a heading.
    pub heading: bool,
    /// An entry of the table of contents.
    pub contents: bool,
    /// Where the outline has what it says; a title has none.
    pub section: Option<Section>,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    /// Only cells that are written are there (sheets); otherwise a label has its cell beside it even where it is blank.
    pub sparse: bool,
    /// Number and worksheet.
    pub place: Place,
    pub rows: Vec<Row>,
}

#[derive(Debug, Default)]
pub(super) struct Row {
    pub number: u32,
    pub cells: Vec<Cell>,
    pub section: Option<Section>,
}

#[derive(Debug, Default)]
pub(super) struct Cell {
    /// In the table's grid, from 1.
    pub column: u32,
    pub span: u32,
    pub text: Words,
    /// Continues a cell above: its row and cell in `rows`.
    pub origin: Option<(usize, usize)>,
}

impl Table {
    /// The text that is seen at a cell: that of the merged cell which it continues.
    pub fn text(&self, row: usize, cell: usize) -> &Words {
        let Some(here) = self.rows.get(row).and_then(|r| r.cells.get(cell)) else { return &NOTHING };
        match here.origin.and_then(|(r, c)| self.rows.get(r)?.cells.get(c)) {
            Some(origin) => &origin.text,
            None => &here.text,
        }
    }

    /// The place of a cell, or of the merged cell which it continues.
    pub fn place_of(&self, row: usize, cell: usize) -> Place {
        let here = self.rows.get(row).and_then(|r| r.cells.get(cell));
        let (row, column) = match here.and_then(|c| c.origin) {
            Some((r, c)) => (r, self.rows.get(r).and_then(|r| r.cells.get(c)).map_or(1, |c| c.column)),
            None => (row, here.map_or(1, |c| c.column)),
        };
        self.place_at(row, column)
    }

    /// The place of a column of a row, whether or not a cell is there.
    pub fn place_at(&self, row: usize, column: u32) -> Place {
        let row = self.rows.get(row);
        Place {
            section: row.and_then(|r| r.section).map(Section::label),
            row: row.map(|r| r.number),
            column: Some(column),
            ..self.place.clone()
        }
    }

    /// The cell that covers a column, by its index.
    pub fn covering(&self, row: usize, column: u32) -> Option<usize> {
        let cells = &self.rows.get(row)?.cells;
        let index = cells.partition_point(|c| c.column <= column).checked_sub(1)?;
        let cell = cells.get(index)?;
        (column < cell.column.saturating_add(cell.span.max(1))).then_some(index)
    }
}
