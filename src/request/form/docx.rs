//! A Word document's main part to its layout. One pass over the tags; what was deleted, struck through, moved away or
//! hidden is not read, and what a writer gives twice for old and new readers is read once.

use super::{
    glyph,
    layout::{Cell, Item, Layout, Paragraph, Row, Table},
    limits::Budget,
    outcome::FormFault,
    xml::{Tag, Token, Xml},
};
use crate::place::Place;
use std::collections::BTreeMap;

/// A grid is not wider; a larger number is a slip or an attack.
const MAX_SPAN: u32 = 1_000;

/// Elements that say where their children belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Run,
    RunProperties,
    Text,
    Row,
    RowProperties,
    Paragraph,
    Table,
    Cell,
    Control,
    ControlProperties,
    FormBox,
    Alternatives,
    Hint,
    Other,
}

struct Element {
    kind: Kind,
    /// Run: hidden or struck through. Control: shows only its hint. Alternatives: one was read. Form box: ticked.
    mark: bool,
    /// Form box: whether a person set it.
    set: bool,
}

#[derive(Default)]
struct OpenTable {
    table: Table,
    /// Where it goes in the order of the document.
    slot: usize,
    row: Row,
    row_deleted: bool,
    next_column: u32,
    cell: Option<OpenCell>,
    /// Column to the cell that a cell below may continue.
    above: BTreeMap<u32, (usize, usize)>,
}

struct OpenCell {
    cell: Cell,
    text: String,
    continues: bool,
    joins_left: bool,
}

struct Reader<'b> {
    budget: &'b mut Budget,
    items: Vec<Item>,
    path: Vec<Element>,
    tables: Vec<OpenTable>,
    paragraphs: Vec<Paragraph>,
    paragraph_count: u32,
    table_count: u32,
    /// Controls around here that show only their hint.
    hints: usize,
}

/// Reads the main part.
pub(super) fn read(text: &str, budget: &mut Budget) -> Result<Layout, FormFault> {
    let mut xml = Xml::new(text);
    let mut reader = Reader {
        budget,
        items: Vec::new(),
        path: Vec::new(),
        tables: Vec::new(),
        paragraphs: Vec::new(),
        paragraph_count: 0,
        table_count: 0,
        hints: 0,
    };
    let mut skipped = 0_usize;
    while let Some(token) = xml.next()? {
        match token {
            Token::Open(_) if skipped > 0 => skipped += 1,
            Token::Open(tag) => {
                if !reader.open(&tag)? {
                    skipped = 1;
                }
            }
            Token::Close if skipped > 0 => skipped -= 1,
            Token::Close => reader.close()?,
            Token::Text(text) if skipped == 0 => reader.text(&text)?,
            Token::Text(_) => {}
        }
    }
    let items = reader.items.into_iter().filter(|i| !matches!(i, Item::Table(t) if t.rows.is_empty())).collect();
    Ok(Layout { items })
}

fn number(tag: &Tag<'_>) -> u32 {
    tag.attribute("val").and_then(|v| v.trim().parse::<u32>().ok()).unwrap_or(1).clamp(0, MAX_SPAN)
}

impl Reader<'_> {
    fn above(&self, back: usize) -> Kind {
        self.path.len().checked_sub(back).and_then(|i| self.path.get(i)).map_or(Kind::Other, |e| e.kind)
    }

    fn mark(&mut self, back: usize) {
        if let Some(element) = self.path.len().checked_sub(back).and_then(|i| self.path.get_mut(i)) {
            element.mark = true;
        }
    }

    /// False: the element and all in it are not read.
    fn open(&mut self, tag: &Tag<'_>) -> Result<bool, FormFault> {
        let parent = self.above(1);
        let mut kind = Kind::Other;
        match tag.name() {
            "p" => {
                kind = Kind::Paragraph;
                self.open_paragraph();
            }
            "r" => kind = Kind::Run,
            "rPr" => kind = Kind::RunProperties,
            "t" => kind = Kind::Text,
            // Hidden, or struck through by one who gave it up.
            "vanish" | "strike" | "dstrike"
                if parent == Kind::RunProperties && self.above(2) == Kind::Run && tag.is_on() =>
            {
                self.mark(2);
            }
            "tab" | "ptab" if parent == Kind::Run => self.push("\t")?,
            "br" | "cr" if parent == Kind::Run => self.push("\n")?,
            "noBreakHyphen" if parent == Kind::Run => self.push("-")?,
            "sym" if parent == Kind::Run => {
                let code = tag.attribute("char").and_then(|c| u32::from_str_radix(&c, 16).ok());
                if let Some(sign) = code.and_then(glyph::symbol) {
                    self.push(sign.encode_utf8(&mut [0; 4]))?;
                }
            }
            "del" if parent == Kind::RowProperties => {
                if let Some(table) = self.tables.last_mut() {
                    table.row_deleted = true;
                }
            }
            "del" | "moveFrom" | "rt" | "instrText" | "delInstrText" | "sectPr" | "tblPr" | "tblGrid" | "pPrChange"
            | "rPrChange" | "tblPrChange" | "trPrChange" | "tcPrChange" | "tblPrExChange" | "sdtEndPr" => {
                return Ok(false);
            }
            "pStyle" => self.style(tag),
            "outlineLvl" => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.heading |= number(tag) < 9;
                }
            }
            "sdt" => kind = Kind::Control,
            "sdtPr" => kind = Kind::ControlProperties,
            "showingPlcHdr" if parent == Kind::ControlProperties && tag.is_on() => self.mark(2),
            // The hint that a control shows is nobody's answer; a cell in the control is still a cell.
            "sdtContent" if parent == Kind::Control && self.path.last().is_some_and(|e| e.mark) => {
                kind = Kind::Hint;
                self.hints += 1;
            }
            "checkBox" => kind = Kind::FormBox,
            "checked" | "default" if parent == Kind::FormBox => self.form_box(tag),
            "AlternateContent" => kind = Kind::Alternatives,
            "Choice" | "Fallback" if parent == Kind::Alternatives => {
                if self.path.last().is_some_and(|e| e.mark) {
                    return Ok(false);
                }
                self.mark(1);
            }
            "tbl" => {
                kind = Kind::Table;
                self.open_table()?;
            }
            "tr" if parent == Kind::Table || !self.tables.is_empty() => {
                kind = Kind::Row;
                self.open_row();
            }
            "trPr" => kind = Kind::RowProperties,
            "tc" if !self.tables.is_empty() => {
                kind = Kind::Cell;
                self.open_cell()?;
            }
            name => self.property(name, tag),
        }
        self.path.push(Element { kind, mark: false, set: false });
        Ok(true)
    }

    fn close(&mut self) -> Result<(), FormFault> {
        let Some(element) = self.path.pop() else { return Ok(()) };
        match element.kind {
            Kind::Paragraph => self.close_paragraph(),
            Kind::Hint => {
                self.hints -= 1;
                Ok(())
            }
            Kind::FormBox => self.push(if element.mark { "☑" } else { "□" }),
            Kind::Table => {
                self.close_table();
                Ok(())
            }
            Kind::Row => {
                self.close_row();
                Ok(())
            }
            Kind::Cell => {
                self.close_cell();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), FormFault> {
        let [.., run, here] = self.path.as_slice() else { return Ok(()) };
        if here.kind != Kind::Text || (run.kind == Kind::Run && run.mark) {
            return Ok(());
        }
        self.push(text)
    }

    fn push(&mut self, text: &str) -> Result<(), FormFault> {
        if self.hints == 0
            && let Some(paragraph) = self.paragraphs.last_mut()
        {
            self.budget.text(text)?;
            paragraph.text.push_str(&glyph::shown(text));
        }
        Ok(())
    }

    fn style(&mut self, tag: &Tag<'_>) {
        let style = tag.attribute("val").unwrap_or_default().to_ascii_lowercase();
        if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.heading |= style.starts_with("heading") || style.starts_with("标题");
            paragraph.contents |=
                style.starts_with("toc") || style.starts_with("contents") || style.starts_with("目录");
        }
    }

    /// A box of the old kind: what a person set, else what the form began with.
    fn form_box(&mut self, tag: &Tag<'_>) {
        let (on, by_person) = (tag.is_on(), tag.name() == "checked");
        if let Some(element) = self.path.last_mut()
            && (by_person || !element.set)
        {
            element.mark = on;
            element.set |= by_person;
        }
    }

    /// What a row or a cell says of its shape.
    fn property(&mut self, name: &str, tag: &Tag<'_>) {
        let Some(table) = self.tables.last_mut() else { return };
        match name {
            "gridBefore" if table.cell.is_none() => table.next_column = table.next_column.saturating_add(number(tag)),
            "gridSpan" => {
                if let Some(open) = &mut table.cell {
                    open.cell.span = number(tag).max(1);
                }
            }
            "vMerge" => {
                if let Some(open) = &mut table.cell {
                    open.continues = tag.attribute("val").is_none_or(|v| v != "restart");
                }
            }
            "hMerge" => {
                if let Some(open) = &mut table.cell {
                    open.joins_left = tag.attribute("val").is_none_or(|v| v != "restart");
                }
            }
            _ => {}
        }
    }

    fn open_paragraph(&mut self) {
        let mut place = Place::default();
        if self.tables.last().is_none_or(|t| t.cell.is_none()) {
            self.paragraph_count = self.paragraph_count.saturating_add(1);
            place.paragraph = Some(self.paragraph_count);
        }
        self.paragraphs.push(Paragraph { place, ..Paragraph::default() });
    }

    fn close_paragraph(&mut self) -> Result<(), FormFault> {
        let Some(paragraph) = self.paragraphs.pop() else { return Ok(()) };
        if let Some(open) = self.tables.last_mut().and_then(|t| t.cell.as_mut()) {
            let text = paragraph.text.trim();
            if !text.is_empty() {
                if !open.text.is_empty() {
                    open.text.push('\n');
                }
                open.text.push_str(text);
            }
        } else if !paragraph.text.trim().is_empty() {
            self.budget.paragraph()?;
            self.items.push(Item::Paragraph(paragraph));
        }
        Ok(())
    }

    fn open_table(&mut self) -> Result<(), FormFault> {
        self.budget.table()?;
        self.table_count += 1;
        let place = Place { table: Some(self.table_count), ..Place::default() };
        let slot = self.items.len();
        self.items.push(Item::Table(Table::default()));
        let table = Table { place, ..Table::default() };
        self.tables.push(OpenTable { table, slot, next_column: 1, ..OpenTable::default() });
        Ok(())
    }

    fn close_table(&mut self) {
        let Some(open) = self.tables.pop() else { return };
        if let Some(slot) = self.items.get_mut(open.slot) {
            *slot = Item::Table(open.table);
        }
    }

    fn open_row(&mut self) {
        if let Some(table) = self.tables.last_mut() {
            let number = table.row.number.saturating_add(1);
            table.row = Row { number, ..Row::default() };
            table.row_deleted = false;
            table.next_column = 1;
        }
    }

    fn close_row(&mut self) {
        if let Some(table) = self.tables.last_mut()
            && !table.row.cells.is_empty()
        {
            let number = table.row.number;
            let row = std::mem::replace(&mut table.row, Row { number, ..Row::default() });
            // A deleted row leaves an empty one, so that cells below keep their origins.
            let deleted = std::mem::take(&mut table.row_deleted);
            table.table.rows.push(if deleted { Row { number, ..Row::default() } } else { row });
        }
    }

    fn open_cell(&mut self) -> Result<(), FormFault> {
        self.budget.cells(1)?;
        if let Some(table) = self.tables.last_mut() {
            let cell = Cell { column: table.next_column, span: 1, ..Cell::default() };
            table.cell = Some(OpenCell { cell, text: String::new(), continues: false, joins_left: false });
        }
        Ok(())
    }

    fn close_cell(&mut self) {
        let Some(table) = self.tables.last_mut() else { return };
        let Some(OpenCell { mut cell, text, continues, joins_left }) = table.cell.take() else { return };
        table.next_column = cell.column.saturating_add(cell.span);
        if joins_left && let Some(left) = table.row.cells.last_mut() {
            left.span = left.span.saturating_add(cell.span);
            return;
        }
        cell.text = text.into();
        let here = (table.table.rows.len(), table.row.cells.len());
        match table.above.get(&cell.column) {
            Some(origin) if continues => cell.origin = Some(*origin),
            _ => _ = table.above.insert(cell.column, here),
        }
        table.row.cells.push(cell);
    }
}
