//! A workbook to its layout, one table for each worksheet. The cells are read as they stream by and only those that are
//! written are kept, so that a cell at XFD1048576 costs no more than one at A1.

use super::{
    layout::{Cell, Item, Layout, Row, Table},
    limits::{Budget, damaged, too_large},
    outcome::FormFault,
    package::Package,
    words::Words,
    workbook::{Styles, date, shared_strings, styles},
    xml::{Tag, Token, Xml},
};
use crate::place::Place;

const MAX_SHEETS: usize = 200;

pub(super) fn read(package: &mut Package<'_>, main: &str, budget: &mut Budget) -> Result<Layout, FormFault> {
    let (folder, file) = main.rsplit_once('/').unwrap_or(("", main));
    let relations = package.relations(&format!("{folder}/_rels/{file}.rels"), folder, budget)?;
    let part = |kind: &str| relations.iter().find(|r| r.kind.ends_with(kind)).map(|r| r.target.clone());
    let (sheets, styles_1904) = sheets(&package.part(main, budget)?.unwrap_or_default())?;
    let strings = match part("/sharedStrings") {
        Some(name) => shared_strings(&package.part(&name, budget)?.unwrap_or_default(), budget)?,
        None => Vec::new(),
    };
    let mut formats = match part("/styles") {
        Some(name) => styles(&package.part(&name, budget)?.unwrap_or_default())?,
        None => Styles::default(),
    };
    formats.from_1904 = styles_1904;
    let mut items = Vec::new();
    let mut hidden = Vec::new();
    for (number, Sheet { name, id, is_hidden }) in (1_u32..).zip(sheets) {
        let Some(relation) = relations.iter().find(|r| r.id == id && r.kind.ends_with("/worksheet")) else { continue };
        let Some(content) = package.part(&relation.target, budget)? else {
            return Err(damaged(format!("缺少工作表“{name}”")));
        };
        budget.table()?;
        let mut reader = Reader { strings: &strings, styles: &formats, cells: Vec::new(), merges: Vec::new(), budget };
        reader.read(&content)?;
        let rows = reader.finish()?;
        if !rows.is_empty() {
            let place = Place { sheet: Some(name), table: Some(number), ..Place::default() };
            items.push(Item::Table(Table { sparse: true, place, rows }));
            hidden.push(is_hidden);
        }
    }
    // An old draft that was put away is not what is sent in, where there is another.
    if items.iter().zip(&hidden).any(|(item, is_hidden)| !is_hidden && asks(item)) {
        let mut hidden = hidden.into_iter();
        items.retain(|_| !hidden.next().unwrap_or_default());
    }
    Ok(Layout { items })
}

struct Sheet {
    name: String,
    id: String,
    is_hidden: bool,
}

/// Whether a sheet has 申请虚拟机数量.
fn asks(item: &Item) -> bool {
    let Item::Table(table) = item else { return false };
    let mut cells = table.rows.iter().flat_map(|r| &r.cells);
    cells.any(|c| c.text.with_value().is_some_and(|(l, _)| l.name == "vm_count"))
}

/// The sheets, and whether days count from 1904.
fn sheets(workbook: &str) -> Result<(Vec<Sheet>, bool), FormFault> {
    let mut xml = Xml::new(workbook);
    let (mut out, mut from_1904) = (Vec::new(), false);
    while let Some(token) = xml.next()? {
        let Token::Open(tag) = token else { continue };
        match tag.name() {
            "sheet" => out.push(Sheet {
                name: tag.attribute("name").unwrap_or_default().into_owned(),
                id: tag.attribute("id").unwrap_or_default().into_owned(),
                is_hidden: tag.attribute("state").is_some_and(|s| s == "hidden" || s == "veryHidden"),
            }),
            "workbookPr" => from_1904 = tag.attribute("date1904").is_some_and(|v| v == "1" || v == "true"),
            _ => {}
        }
        if out.len() > MAX_SHEETS {
            return Err(too_large(format!("超过 {MAX_SHEETS} 个工作表")));
        }
    }
    Ok((out, from_1904))
}

struct Reader<'a, 'b> {
    strings: &'a [String],
    styles: &'a Styles,
    /// Row, column and text, in the order of the file.
    cells: Vec<(u32, u32, String)>,
    /// First row and column, last row and column.
    merges: Vec<[u32; 4]>,
    budget: &'b mut Budget,
}

/// A cell while it is read.
#[derive(Default)]
struct Open {
    row: u32,
    column: u32,
    kind: String,
    style: usize,
    value: String,
    formula: Option<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum In {
    Nothing,
    Value,
    Formula,
}

impl Reader<'_, '_> {
    fn read(&mut self, content: &str) -> Result<(), FormFault> {
        let mut xml = Xml::new(content);
        let (mut row, mut column) = (0, 0);
        let mut cell: Option<Open> = None;
        let (mut inside, mut phonetic) = (In::Nothing, 0_usize);
        let mut path: Vec<bool> = Vec::new();
        while let Some(token) = xml.next()? {
            match token {
                Token::Open(tag) => {
                    path.push(tag.name() == "c");
                    phonetic += usize::from(phonetic > 0 || tag.name() == "rPh");
                    match tag.name() {
                        "row" => {
                            row = tag.attribute("r").and_then(|r| r.parse().ok()).unwrap_or(row + 1);
                            column = 0;
                        }
                        "c" => {
                            let open = open(&tag, row, column);
                            (row, column) = (open.row, open.column);
                            cell = Some(open);
                        }
                        "v" | "t" if phonetic == 0 => inside = In::Value,
                        "f" => {
                            inside = In::Formula;
                            if let Some(cell) = &mut cell {
                                cell.formula = Some(String::new());
                            }
                        }
                        "mergeCell" => self.merge(&tag)?,
                        _ => {}
                    }
                }
                Token::Close => {
                    phonetic = phonetic.saturating_sub(1);
                    inside = In::Nothing;
                    if path.pop() == Some(true)
                        && let Some(cell) = cell.take()
                    {
                        self.keep(cell)?;
                    }
                }
                Token::Text(text) => {
                    let Some(cell) = &mut cell else { continue };
                    match inside {
                        In::Value => cell.value.push_str(&text),
                        In::Formula => cell.formula.get_or_insert_default().push_str(&text),
                        In::Nothing => {}
                    }
                }
            }
        }
        Ok(())
    }

    fn keep(&mut self, cell: Open) -> Result<(), FormFault> {
        let text = if let Some(formula) = &cell.formula {
            // A result that the file only remembers: the rules are to see that it was computed.
            format!("={formula}")
        } else {
            match cell.kind.as_str() {
                "s" => {
                    cell.value.trim().parse().ok().and_then(|i: usize| self.strings.get(i)).cloned().unwrap_or_default()
                }
                "b" => if cell.value.trim() == "1" { "TRUE" } else { "FALSE" }.to_owned(),
                "inlineStr" | "str" | "e" => cell.value,
                "d" => cell.value.split('T').next().unwrap_or_default().to_owned(),
                _ => self.number(cell.value.trim(), cell.style),
            }
        };
        let text = text.trim();
        if !text.is_empty() {
            self.budget.cells(1)?;
            self.budget.text(text)?;
            self.cells.push((cell.row, cell.column, text.to_owned()));
        }
        Ok(())
    }

    /// A number as one would write it, or the day that it stands for.
    fn number(&self, value: &str, style: usize) -> String {
        let Ok(number) = value.parse::<f64>() else { return value.to_owned() };
        if self.styles.is_date(style)
            && let Some(day) = date(number, self.styles.from_1904)
        {
            return day;
        }
        // Sheets keep 0.1 + 0.2 to 17 places and show 15.
        let shown: f64 = format!("{number:.14e}").parse().unwrap_or(number);
        if shown.abs() < 1e21 { shown.to_string() } else { value.to_owned() }
    }

    fn merge(&mut self, tag: &Tag<'_>) -> Result<(), FormFault> {
        self.budget.cells(1)?;
        let reference = tag.attribute("ref").unwrap_or_default();
        if let Some((from, to)) = reference.split_once(':')
            && let (Some((r0, c0)), Some((r1, c1))) = (address(from), address(to))
        {
            self.merges.push([r0.min(r1), c0.min(c1), r0.max(r1), c0.max(c1)]);
        }
        Ok(())
    }

    /// The rows, with merged regions as spans and continued cells.
    fn finish(self) -> Result<Vec<Row>, FormFault> {
        let mut cells = self.cells;
        // Sheets are written in order; one that is not, or names a cell twice, is still read.
        cells.sort_by_key(|(row, column, _)| (*row, *column));
        cells.dedup_by(|later, first| (later.0, later.1) == (first.0, first.1));
        let mut rows: Vec<Row> = Vec::new();
        for (number, column, text) in cells {
            let cell = Cell { column, span: 1, text: text.into(), origin: None };
            match rows.last_mut() {
                Some(row) if row.number == number => row.cells.push(cell),
                _ => rows.push(Row { number, cells: vec![cell], section: None }),
            }
        }
        for [top, left, bottom, right] in self.merges {
            let from = rows.partition_point(|r| r.number < top);
            let to = rows.partition_point(|r| r.number <= bottom);
            // A region may cross any number of rows, and there may be any number of regions.
            self.budget.cells(to.saturating_sub(from))?;
            let mut origin = None;
            for at in from..to {
                let Some(row) = rows.get_mut(at) else { break };
                let first = row.cells.partition_point(|c| c.column < left);
                let behind = row.cells.partition_point(|c| c.column <= right);
                let is_top = row.number == top;
                let text = if is_top {
                    row.cells
                        .get_mut(first)
                        .filter(|c| c.column == left)
                        .map(|c| std::mem::take(&mut c.text))
                        .unwrap_or_default()
                } else {
                    Words::default()
                };
                let span = right - left + 1;
                row.cells.splice(
                    first..behind,
                    [Cell { column: left, span, text, origin: if is_top { None } else { origin } }],
                );
                if is_top {
                    origin = Some((at, left as usize));
                }
            }
        }
        // Regions were given by column; cells are told by their index, which is settled only now.
        let indexes: Vec<Vec<u32>> = rows.iter().map(|r| r.cells.iter().map(|c| c.column).collect()).collect();
        for row in &mut rows {
            for cell in &mut row.cells {
                cell.origin = cell.origin.and_then(|(row, column)| {
                    let columns: &Vec<u32> = indexes.get(row)?;
                    columns.binary_search(&u32::try_from(column).ok()?).ok().map(|at| (row, at))
                });
            }
        }
        Ok(rows)
    }
}

fn open(tag: &Tag<'_>, row: u32, column: u32) -> Open {
    let at = tag.attribute("r").and_then(|r| address(&r)).unwrap_or((row.max(1), column.saturating_add(1)));
    Open {
        row: at.0,
        column: at.1,
        kind: tag.attribute("t").unwrap_or_default().into_owned(),
        style: tag.attribute("s").and_then(|s| s.parse().ok()).unwrap_or_default(),
        ..Open::default()
    }
}

/// `B3` is row 3, column 2.
fn address(reference: &str) -> Option<(u32, u32)> {
    let reference = reference.trim_start_matches('$');
    let letters = reference.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(reference.len());
    let (letters, digits) = reference.split_at(letters);
    if !(1..=3).contains(&letters.len()) {
        return None;
    }
    let column = letters.bytes().fold(0, |n, b| n * 26 + u32::from(b.to_ascii_uppercase() - b'A') + 1);
    let row = digits.trim_start_matches('$').parse().ok()?;
    (row > 0 && row <= 1 << 20 && column <= 1 << 14).then_some((row, column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        assert_eq!(address("A1"), Some((1, 1)));
        assert_eq!(address("$AB$12"), Some((12, 28)));
        assert_eq!(address("XFD1048576"), Some((1_048_576, 16_384)));
        for wrong in ["", "A", "1", "A0", "XFE1", "A1048577", "AAAA1", "A-1"] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }
}
