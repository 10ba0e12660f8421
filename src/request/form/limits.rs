//! What a file may cost: every reader counts against one budget, and what is counted is what was really read, never what
//! the file says of itself.

use super::outcome::FormFault;
use crate::rule::Code;

/// Entries of a package.
pub(super) const MAX_ENTRIES: usize = 4_000;
/// One part of a package, inflated.
pub(super) const MAX_PART: usize = 48 << 20;
/// All parts that are read, inflated.
const MAX_INFLATED: usize = 96 << 20;
/// Elements inside elements.
pub(super) const MAX_DEPTH: usize = 256;
const MAX_TABLES: usize = 1_000;
const MAX_CELLS: usize = 200_000;
const MAX_PARAGRAPHS: usize = 50_000;
/// Line breaks and colons in the text: so many labels are looked for at most.
const MAX_MARKS: usize = 100_000;
const MAX_TEXT: usize = 16 << 20;

/// What has been spent so far.
#[derive(Debug, Default)]
pub(super) struct Budget {
    inflated: usize,
    tables: usize,
    cells: usize,
    paragraphs: usize,
    text: usize,
    marks: usize,
}

impl Budget {
    /// How much more may be inflated.
    pub fn inflatable(&self) -> usize {
        MAX_INFLATED.saturating_sub(self.inflated)
    }

    pub fn inflate(&mut self, bytes: usize) -> Result<(), FormFault> {
        spend(&mut self.inflated, bytes, MAX_INFLATED, || format!("解压后超过 {} MiB", MAX_INFLATED >> 20))
    }

    pub fn table(&mut self) -> Result<(), FormFault> {
        spend(&mut self.tables, 1, MAX_TABLES, || format!("超过 {MAX_TABLES} 个表格"))
    }

    pub fn cells(&mut self, count: usize) -> Result<(), FormFault> {
        spend(&mut self.cells, count, MAX_CELLS, || format!("超过 {MAX_CELLS} 个单元格"))
    }

    pub fn paragraph(&mut self) -> Result<(), FormFault> {
        spend(&mut self.paragraphs, 1, MAX_PARAGRAPHS, || format!("超过 {MAX_PARAGRAPHS} 段"))
    }

    pub fn text(&mut self, text: &str) -> Result<(), FormFault> {
        spend(&mut self.text, text.len(), MAX_TEXT, || format!("文字超过 {} MiB", MAX_TEXT >> 20))?;
        let marks = text.matches(['\n', ':', '：']).count();
        spend(&mut self.marks, marks, MAX_MARKS, || format!("换行和冒号超过 {MAX_MARKS} 个"))
    }
}

fn spend(spent: &mut usize, more: usize, most: usize, reason: impl Fn() -> String) -> Result<(), FormFault> {
    *spent = spent.saturating_add(more);
    if *spent > most { Err(too_large(reason())) } else { Ok(()) }
}

pub(super) fn too_large(reason: impl Into<String>) -> FormFault {
    FormFault { code: Code::FileTooLarge, reason: reason.into() }
}

pub(super) fn damaged(reason: impl Into<String>) -> FormFault {
    FormFault { code: Code::FileDamaged, reason: reason.into() }
}

pub(super) fn not_recognised(reason: impl Into<String>) -> FormFault {
    FormFault { code: Code::FileNotRecognised, reason: reason.into() }
}
