//! A document before it has a format: headings, paragraphs and tables, which every writer here takes.

use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub enum Node {
    /// Level 1 is a chapter (六、), level 2 a section (3、).
    Heading(u8, String),
    Para(Vec<Span>),
    Table(Table),
}

/// Text in one formatting.
#[derive(Clone, Debug)]
pub struct Span {
    pub text: String,
    pub bold: bool,
}

/// Rows of cells; a cell that is covered by another's span is not written.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub rows: Vec<Vec<Cell>>,
}

#[derive(Clone, Debug)]
pub struct Cell {
    pub content: Vec<Node>,
    pub columns: usize,
    pub rows: usize,
    /// The JSON pointer of the value that stands here.
    pub mark: Option<String>,
}

/// Where a marked value stands, counted from 1 as people count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    pub table: usize,
    pub row: usize,
    pub column: usize,
}

impl Node {
    pub fn para(text: impl Into<String>) -> Self {
        Self::Para(vec![Span::plain(text)])
    }

    pub fn section(text: impl Into<String>) -> Self {
        Self::Heading(2, text.into())
    }

    pub fn chapter(text: impl Into<String>) -> Self {
        Self::Heading(1, text.into())
    }
}

impl Span {
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), bold: false }
    }
}

impl Cell {
    pub fn new(content: Vec<Node>) -> Self {
        Self { content, columns: 1, rows: 1, mark: None }
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self::new(vec![Node::para(text)])
    }

    #[must_use]
    pub const fn wide(mut self, columns: usize) -> Self {
        self.columns = columns;
        self
    }

    #[must_use]
    pub const fn tall(mut self, rows: usize) -> Self {
        self.rows = rows;
        self
    }

    #[must_use]
    pub fn marked(mut self, pointer: impl Into<String>) -> Self {
        self.mark = Some(pointer.into());
        self
    }
}

/// A place of the grid: a cell begins here, is covered, or nothing was given.
#[derive(Clone, Copy, Debug)]
pub enum Slot<'a> {
    Begins(&'a Cell),
    Covered,
}

impl Table {
    /// A table of plain text.
    pub fn of(rows: &[&[&str]]) -> Self {
        Self { rows: rows.iter().map(|row| row.iter().map(|text| Cell::text(*text)).collect()).collect() }
    }

    /// The grid with its spans laid out; short rows are left short.
    pub fn grid(&self) -> Vec<Vec<Slot<'_>>> {
        // How many more rows each column is covered from above.
        let mut hanging: Vec<usize> = Vec::new();
        let mut grid = Vec::new();
        for row in &self.rows {
            let mut slots = Vec::new();
            let mut cells = row.iter();
            loop {
                let column = slots.len();
                if hanging.get(column).is_some_and(|rows| *rows > 0) {
                    hanging[column] -= 1;
                    slots.push(Slot::Covered);
                    continue;
                }
                let Some(cell) = cells.next() else { break };
                hanging.resize(hanging.len().max(column + cell.columns), 0);
                for covered in &mut hanging[column..column + cell.columns] {
                    *covered = cell.rows - 1;
                }
                slots.push(Slot::Begins(cell));
                slots.extend(std::iter::repeat_n(Slot::Covered, cell.columns - 1));
            }
            grid.push(slots);
        }
        grid
    }

    pub fn width(&self) -> usize {
        self.grid().iter().map(Vec::len).max().unwrap_or_default()
    }
}

/// Where the marked values stand; tables count in the order of the document, nested ones included.
pub fn spots(nodes: &[Node]) -> BTreeMap<String, Spot> {
    let mut found = BTreeMap::new();
    visit(nodes, &mut 0, &mut found);
    found
}

fn visit(nodes: &[Node], tables: &mut usize, found: &mut BTreeMap<String, Spot>) {
    for node in nodes {
        let Node::Table(table) = node else { continue };
        *tables += 1;
        let number = *tables;
        for (row, slots) in table.grid().iter().enumerate() {
            for (column, slot) in slots.iter().enumerate() {
                let Slot::Begins(cell) = slot else { continue };
                if let Some(mark) = &cell.mark {
                    found.insert(mark.clone(), Spot { table: number, row: row + 1, column: column + 1 });
                }
                visit(&cell.content, tables, found);
            }
        }
    }
}
