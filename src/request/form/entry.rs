//! Labels and their values in the rows of a table that is filled in like a form: the value to the right of its label, in
//! the label's own cell, or below a row of labels.

use super::{
    label::{self, Label},
    layout::{Cell, Table},
};
use crate::place::Place;

/// A label that was found, and what stands at it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub name: &'static str,
    /// As written; empty where it was left blank.
    pub value: String,
    /// Of the value; of the room for it where it was left blank.
    pub place: Place,
    /// 附件1's, by the label beside it.
    pub application: bool,
}

impl Entry {
    pub fn new(label: &Label, value: &str, place: Place) -> Self {
        Self { name: label.name, value: label::complete(value, label), place, application: false }
    }
}

/// What is taken of the rows of a table in order, without those that `taken` names.
pub(super) fn rows(table: &Table, taken: &[bool]) -> Vec<Entry> {
    let mut out = Vec::new();
    let mut row = 0;
    while row < table.rows.len() {
        if taken.get(row).copied().unwrap_or_default() {
            row += 1;
            continue;
        }
        if let Some(found) = below(table, row, taken) {
            out.extend(found);
            row += 2;
            continue;
        }
        let from = out.len();
        one_row(table, row, &mut out);
        if out.iter().skip(from).any(|e| e.name == label::PLATFORM) {
            out.iter_mut().skip(from).for_each(|e| e.application = true);
        }
        row += 1;
    }
    out
}

fn one_row(table: &Table, row: usize, out: &mut Vec<Entry>) {
    let Some(cells) = table.rows.get(row).map(|r| r.cells.as_slice()) else { return };
    let mut at = 0;
    while let Some(cell) = cells.get(at) {
        at += 1;
        if cell.origin.is_some() {
            continue;
        }
        if lines(table, row, at - 1, out) {
            continue;
        }
        let Some((label, inline)) = cell.text.with_value() else { continue };
        if !inline.is_empty() {
            out.push(Entry::new(&label, inline, table.place_of(row, at - 1)));
            continue;
        }
        let right = cell.column.saturating_add(cell.span.max(1));
        let Some(next) = cells.get(at).filter(|c| !table.sparse || c.column == right) else {
            // No cell for the value: a sheet has room beside the label, a document in the label's own cell.
            let column = if table.sparse { right } else { cell.column };
            out.push(Entry::new(&label, "", table.place_at(row, column)));
            continue;
        };
        let value = table.text(row, at);
        if is_label(cells, at) && next.origin.is_none() {
            out.push(Entry::new(&label, "", table.place_of(row, at - 1)));
            continue;
        }
        let place = table.place_of(row, at);
        let mut value = value.trim().to_owned();
        at += 1;
        // The unit before its figure.
        let figure = |c: &&Cell| c.origin.is_none() && c.text.trim().starts_with(|c: char| c.is_ascii_digit());
        if let Some(after) = cells.get(at).filter(figure).filter(|_| label::is_unit(&value)) {
            let number = after.text.trim();
            let bare = number.ends_with(|c: char| c.is_ascii_digit());
            value = if bare { format!("{number}{value}") } else { number.to_owned() };
            out.push(Entry::new(&label, &value, table.place_of(row, at)));
            at += 1;
            continue;
        }
        // The unit in a cell of its own, and boxes in a cell each.
        while let Some(more) = cells.get(at).filter(|c| c.origin.is_none()) {
            let bare = more.text.trim();
            let boxed = super::glyph::ticked(&value).is_some() && super::glyph::ticked(bare).is_some();
            let unit = label::is_unit(bare) && value.ends_with(|c: char| c.is_ascii_digit());
            if !boxed && !unit {
                break;
            }
            if boxed {
                value.push(' ');
            }
            value.push_str(bare);
            at += 1;
        }
        out.push(Entry::new(&label, &value, place));
    }
}

/// Whether the cell behind a label is a label too. A value may happen to be a field's word (`运行内容 | 数据库`): what is
/// not surely a label and has no value of its own is one.
fn is_label(cells: &[Cell], at: usize) -> bool {
    let Some((label, inline)) = cells.get(at).and_then(|c| c.text.with_value()) else { return false };
    if label.sure || !inline.is_empty() {
        return true;
    }
    cells.get(at + 1).is_some_and(|c| c.text.with_value().is_none())
}

/// A cell with several lines, each a label with its value.
fn lines(table: &Table, row: usize, at: usize, out: &mut Vec<Entry>) -> bool {
    let Some(text) = table.rows.get(row).and_then(|r| r.cells.get(at)).map(|c| &*c.text) else { return false };
    if !text.contains('\n') {
        return false;
    }
    let found: Vec<Entry> = text
        .lines()
        .take(200)
        .filter_map(|line| {
            let (label, value) = label::with_value(line)?;
            (line.contains(['：', ':'])).then(|| Entry::new(&label, value, table.place_of(row, at)))
        })
        .collect();
    if found.len() < 2 {
        return false;
    }
    out.extend(found);
    true
}

/// Values below a row that is nothing but labels.
fn below(table: &Table, row: usize, taken: &[bool]) -> Option<Vec<Entry>> {
    let (head, under) = (table.rows.get(row)?, table.rows.get(row + 1)?);
    if taken.get(row + 1).copied().unwrap_or_default() || head.cells.len() < 2 {
        return None;
    }
    let labels: Option<Vec<(u32, Label)>> =
        head.cells.iter().map(|c| c.text.whole().filter(|_| c.origin.is_none()).map(|l| (c.column, l))).collect();
    let labels = labels?;
    if under.cells.len() < 2 || under.cells.iter().any(|c| c.text.with_value().is_some_and(|(l, _)| l.sure)) {
        return None;
    }
    Some(
        labels
            .iter()
            .map(|(column, label)| match table.covering(row + 1, *column) {
                Some(cell) => Entry::new(label, table.text(row + 1, cell), table.place_of(row + 1, cell)),
                None => Entry::new(label, "", table.place_at(row + 1, *column)),
            })
            .collect(),
    )
}
