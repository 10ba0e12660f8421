//! Finds the table in a sheet: its head, in one row or two, under whatever title; then its rows. Blank rows and notes under
//! the table are no rows.

use super::{
    super::forms::{Column, Table},
    Fault, Note,
};
use crate::{
    place::Place,
    request::form::{Line, Sheet, Spot},
    text::fold,
};
use std::collections::BTreeMap;

/// A head stands in the first rows of a sheet.
const HEAD_WITHIN: usize = 12;
/// Beginnings of notes and sums.
const ASIDE: &[&str] = &[
    "注",
    "说明",
    "填表",
    "填报",
    "备注",
    "合计",
    "小计",
    "总计",
    "共计",
    "审核",
    "制表",
    "单位负责人",
    "联系人",
    "联系电话",
    "*",
];

/// A row of a table: its cells by their columns' words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub sheet: String,
    pub number: u32,
    /// The word of each column that the head has: where it stands, the unit that its heading names, and the cell's text.
    pub cells: BTreeMap<&'static str, Cell>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    pub column: u32,
    /// As the sheet writes it.
    pub heading: String,
    /// `GB` of 内存（GB）.
    pub unit: Option<String>,
    pub text: String,
}

impl Row {
    pub fn place(&self, key: &str) -> Place {
        Place {
            sheet: (!self.sheet.is_empty()).then(|| self.sheet.clone()),
            row: Some(self.number),
            column: Some(self.cells.get(key).map_or(1, |cell| cell.column)),
            ..Place::default()
        }
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.cells.get(key).map(|cell| cell.text.as_str())
    }
}

/// What a file has, table by table.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub rows: Vec<(Table, Row)>,
    pub notes: Vec<Note>,
}

struct Head {
    table: Table,
    /// Index of the first row under it.
    below: usize,
    /// Column of the sheet, column of ours, heading as written.
    columns: Vec<(u32, Column, String)>,
}

/// Every table of every sheet. A file without any is a fault, an unknown sheet beside others is only noted.
pub fn find(sheets: &[Sheet]) -> Result<Found, Vec<Fault>> {
    let mut found = Found::default();
    let mut faults = Vec::new();
    for sheet in sheets {
        let place = Place { sheet: (!sheet.name.is_empty()).then(|| sheet.name.clone()), ..Place::default() };
        if let Some(head) = head(sheet) {
            faults.extend(doubled(&head, &place, sheet));
            let before = found.rows.len();
            rows(sheet, &head, &mut found);
            if found.rows.len() == before {
                let message = format!("{}表里没有内容", head.table.label());
                found.notes.push(Note { place, column: String::new(), message });
            }
        } else {
            let message = "看不出是哪一张表，没有读取".to_owned();
            found.notes.push(Note { place, column: String::new(), message });
        }
    }
    if found.rows.is_empty() && faults.is_empty() {
        let all = Table::ALL.map(|table| {
            let labels = table.columns().iter().filter(|c| table.needed().contains(&c.key)).map(|c| c.label);
            format!("{}（{}）", table.label(), labels.collect::<Vec<_>>().join("、"))
        });
        let message =
            if sheets.is_empty() { "文件里没有内容" } else { "没有找到普查表，或表里没有内容" };
        faults.push(Fault {
            note: Note { place: Place::default(), column: String::new(), message: message.to_owned() },
            code: "survey_empty",
            mend: format!("表头要有各表必需的栏目：{}；可先导出一份作为样表", all.join("，")),
        });
    }
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

/// A heading without its unit, its star and its number: `*内存（GB）` is 内存, in GB.
fn heading(text: &str) -> (String, Option<String>) {
    let plain = fold(text);
    let plain = plain.trim_matches(['*', ':', '：', '★']);
    match plain.split_once('(') {
        Some((name, rest)) => (name.to_owned(), Some(rest.trim_end_matches(')').to_owned())),
        None => (plain.to_owned(), None),
    }
}

fn column_of(table: Table, text: &str) -> Option<Column> {
    let (plain, _) = heading(text);
    let is = |name: &str| heading(name).0 == plain;
    let columns = table.columns();
    let exact = columns.iter().find(|column| is(column.label));
    exact.or_else(|| columns.iter().find(|column| column.aliases.iter().any(|alias| is(alias)))).copied()
}

fn covering(row: &Line, column: u32) -> Option<&Spot> {
    row.cells.iter().find(|spot| (spot.column..spot.column.saturating_add(spot.span)).contains(&column))
}

/// The best head of a sheet: the one in which most headings are known.
fn head(sheet: &Sheet) -> Option<Head> {
    let mut best: Option<(usize, Head)> = None;
    for at in 0..sheet.rows.len().min(HEAD_WITHIN) {
        for rows in [1, 2] {
            let Some(titles) = titles(sheet, at, rows) else { continue };
            for table in Table::ALL {
                let mut columns: Vec<(u32, Column, String)> = Vec::new();
                for (column, title) in &titles {
                    if let Some(known) = column_of(table, title) {
                        columns.push((*column, known, title.clone()));
                    }
                }
                let has = |key: &&str| columns.iter().any(|(_, known, _)| known.key == *key);
                let score = columns.len();
                if table.needed().iter().all(has) && best.as_ref().is_none_or(|(most, _)| score > *most) {
                    best = Some((score, Head { table, below: at + rows, columns }));
                }
            }
        }
    }
    best.map(|(_, head)| head)
}

/// The headings of one row, or of two of which the upper names groups.
fn titles(sheet: &Sheet, at: usize, rows: usize) -> Option<Vec<(u32, String)>> {
    let upper = sheet.rows.get(at)?;
    if rows == 1 {
        return Some(upper.cells.iter().map(|spot| (spot.column, spot.text.clone())).collect());
    }
    let lower = sheet.rows.get(at + 1)?;
    // Two rows are one head only where something is merged.
    let merged = upper.cells.iter().any(|spot| spot.span > 1) || lower.cells.iter().any(|spot| spot.continued);
    if !merged {
        return None;
    }
    let last = upper.cells.iter().chain(&lower.cells).map(|s| s.column.saturating_add(s.span)).max()?;
    let title = |column: u32| {
        let below = covering(lower, column).filter(|spot| !spot.text.is_empty());
        below.or_else(|| covering(upper, column)).map(|spot| (column, spot.text.clone()))
    };
    // No sheet of ours is wider; one that claims to be is read that far.
    Some((1..last.min(400)).filter_map(title).collect())
}

/// Columns that the head has twice.
fn doubled(head: &Head, place: &Place, sheet: &Sheet) -> Vec<Fault> {
    let row = sheet.rows.get(head.below.saturating_sub(1)).map(|row| row.number);
    let twice = head
        .columns
        .iter()
        .enumerate()
        .filter(|(n, (_, column, _))| head.columns.iter().take(*n).any(|(_, other, _)| other.key == column.key));
    twice
        .map(|(_, (at, column, heading))| Fault {
            note: Note {
                place: Place { row, column: Some(*at), ..place.clone() },
                column: heading.clone(),
                message: format!("表头里“{}”有两栏", column.label),
            },
            code: "survey_column_twice",
            mend: "删去其中一栏，或改用另一个栏目名称".to_owned(),
        })
        .collect()
}

fn rows(sheet: &Sheet, head: &Head, found: &mut Found) {
    let place = |row: &Line| Place {
        sheet: (!sheet.name.is_empty()).then(|| sheet.name.clone()),
        row: Some(row.number),
        ..Place::default()
    };
    for line in sheet.rows.iter().skip(head.below) {
        let mut cells = BTreeMap::new();
        for (column, known, title) in &head.columns {
            let spot = covering(line, *column);
            let text = spot.map(|spot| spot.text.trim().to_owned()).unwrap_or_default();
            cells.insert(known.key, Cell { column: *column, heading: title.clone(), unit: heading(title).1, text });
        }
        // What continues from above is not written in this row.
        let own =
            |column: u32| covering(line, column).is_some_and(|spot| !spot.continued && !spot.text.trim().is_empty());
        if !head.columns.iter().any(|(column, _, _)| own(*column)) {
            continue;
        }
        let first = line.cells.first();
        // A note runs over the table's width, or is all that its row has.
        let wide = first.is_some_and(|spot| spot.span > 2) || line.cells.len() == 1;
        let opens = first.map(|spot| fold(&spot.text)).unwrap_or_default();
        let nameless = cells.get("name").is_none_or(|cell| cell.text.is_empty());
        let name_is_aside = cells.get("name").is_some_and(|cell| starts_aside(&fold(&cell.text)) && wide);
        if wide && starts_aside(&opens) || nameless && starts_aside(&opens) || name_is_aside {
            let message = "是说明或合计，没有作为内容读取".to_owned();
            found.notes.push(Note { place: place(line), column: String::new(), message });
            continue;
        }
        found.rows.push((head.table, Row { sheet: sheet.name.clone(), number: line.number, cells }));
    }
}

fn starts_aside(text: &str) -> bool {
    ASIDE.iter().any(|word| text.starts_with(word))
}
