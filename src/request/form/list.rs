//! Blocks that are not filled in like a form: a list with one row for each block below a row of labels, and its
//! transposition with one column for each block.

use super::{
    entry::Entry,
    label::{self, Label},
    layout::Table,
};
use crate::{request::fields::FIELDS, text};

/// A row of labels with the rows below it.
struct Header {
    row: usize,
    columns: Vec<(u32, Label)>,
}

fn is_field(name: &str) -> bool {
    FIELDS.iter().any(|f| f.name == name)
}

/// At least four different fields side by side.
fn header(table: &Table, row: usize) -> Option<Header> {
    let cells = &table.rows.get(row)?.cells;
    if cells.len() < 4 {
        return None;
    }
    let (mut columns, mut pairs, mut last) = (Vec::<(u32, Label)>::new(), 0, None);
    for (at, cell) in cells.iter().enumerate() {
        let label = table.text(row, at).whole().filter(|l| is_field(l.name));
        if let Some(label) = label
            && columns.iter().all(|(_, l)| l.name != label.name)
        {
            pairs += usize::from(last == Some(cell.column));
            columns.push((cell.column, above(table, row, cell.column, label)));
            last = Some(cell.column.saturating_add(cell.span.max(1)));
        }
    }
    if columns.len() < 4 || pairs < 2 {
        return None;
    }
    // In a list of machines 数量 is that of the machines, and 用途 what runs on them.
    for (name, accepted) in IN_LISTS {
        if columns.iter().any(|(_, l)| l.name == *name) {
            continue;
        }
        let found = (0..cells.len())
            .filter(|cell| table.text(row, *cell).len() < 64)
            .find(|cell| accepted.contains(&&*label::without_brackets(&text::fold(table.text(row, *cell))).0));
        let column = found.and_then(|cell| cells.get(cell)).map(|c| c.column);
        columns.extend(column.map(|c| (c, Label { name, unit: None, basis: None, sure: false })));
    }
    Some(Header { row, columns })
}

const IN_LISTS: &[(&str, &[&str])] = &[
    ("vm_count", &["数量", "台数", "虚拟机", "云主机", "数量/台"]),
    ("workload_description", &["服务器用途", "虚拟机用途", "部署内容", "用途"]),
];

/// A label with what a merged cell above it says: 单台配置 over CPU, 内存 and 磁盘.
fn above(table: &Table, row: usize, column: u32, mut label: Label) -> Label {
    let over = row.checked_sub(1).and_then(|over| {
        let cell = table.covering(over, column)?;
        let wide = table.rows.get(over)?.cells.get(cell)?.span > 1;
        wide.then(|| table.text(over, cell))
    });
    if label.basis.is_none()
        && let Some(over) = over.filter(|o| o.len() <= 60 && label::whole(o).is_none())
    {
        label.basis = label::basis(&text::fold(over));
    }
    label
}

/// The blocks of all lists in a table; `taken` marks the rows that belong to them.
pub(super) fn lists(table: &Table, taken: &mut [bool]) -> Vec<Vec<Entry>> {
    let mut blocks: Vec<Vec<Entry>> = Vec::new();
    let mut before: Option<(usize, Vec<&'static str>)> = None;
    let mut row = 0;
    while row < table.rows.len() {
        let Some(head) = header(table, row) else {
            row += 1;
            continue;
        };
        // A heading of two rows: the second, in which merged labels show through, is the full one.
        if header(table, row + 1).is_some_and(|h| h.columns.len() >= head.columns.len()) {
            mark(taken, row);
            row += 1;
            continue;
        }
        let first = origin(table, head.row);
        (first..=head.row).for_each(|r| mark(taken, r));
        let from = blocks.len();
        row += 1;
        while row < table.rows.len() && header(table, row).is_none() {
            match read(table, row, &head) {
                Line::Block(entries) => blocks.push(entries),
                Line::Skipped => {}
                Line::End => break,
            }
            mark(taken, row);
            row += 1;
        }
        if blocks.len() == from {
            blocks.push(blank(table, &head));
        }
        // A list too wide for the page goes on below with the other columns.
        let names: Vec<&'static str> = head.columns.iter().map(|(_, l)| l.name).collect();
        if let Some((start, others)) = &before
            && others.iter().all(|n| !names.contains(n))
            && from - start == blocks.len() - from
        {
            let more: Vec<Vec<Entry>> = blocks.drain(from..).collect();
            for (block, entries) in blocks.iter_mut().skip(*start).zip(more) {
                block.extend(entries);
            }
        } else {
            before = Some((from, names));
        }
    }
    blocks
}

fn mark(taken: &mut [bool], row: usize) {
    if let Some(taken) = taken.get_mut(row) {
        *taken = true;
    }
}

/// The first row of a heading some of whose cells began higher up.
fn origin(table: &Table, row: usize) -> usize {
    let cells = table.rows.get(row).map_or(&[][..], |r| &r.cells);
    cells.iter().filter_map(|c| c.origin.map(|(r, _)| r)).min().unwrap_or(row)
}

enum Line {
    Block(Vec<Entry>),
    Skipped,
    End,
}

fn read(table: &Table, row: usize, head: &Header) -> Line {
    let cells = table.rows.get(row).map_or(&[][..], |r| &r.cells);
    let Some(first) = cells.iter().find(|c| !c.text.trim().is_empty()) else { return Line::Skipped };
    let start = text::fold(&first.text.chars().take(12).collect::<String>());
    if ["合计", "总计", "小计"].iter().any(|w| start.starts_with(w)) {
        return Line::Skipped;
    }
    // The head of another list on the same sheet.
    if cells
        .iter()
        .any(|c| matches!(text::fold(&c.text).as_str(), "硬件名称" | "设备名称" | "信息资源名称" | "系统名称"))
    {
        return Line::End;
    }
    let mut entries = Vec::with_capacity(head.columns.len());
    let (mut filled, mut last, mut shared) = (0, None, 0);
    for (column, label) in &head.columns {
        let cell = table.covering(row, *column);
        shared = if cell.is_some() && cell == last { shared + 1 } else { 0 };
        // One cell under three labels is a note, not a value.
        if shared >= 2 {
            return if first.text.with_value().is_some() { Line::End } else { Line::Skipped };
        }
        last = cell;
        let entry = match cell {
            Some(cell) => Entry::new(label, table.text(row, cell), table.place_of(row, cell)),
            None => Entry::new(label, "", table.place_at(row, *column)),
        };
        filled += usize::from(!entry.value.is_empty());
        entries.push(entry);
    }
    if filled < 3 && first.text.with_value().is_some_and(|(l, value)| l.sure || !value.is_empty()) {
        return Line::End;
    }
    // A note under the list that is in one cell only.
    let note = filled == 1 && cells.iter().filter(|c| !c.text.trim().is_empty()).count() == 1;
    if note && !first.text.contains(|c: char| c.is_ascii_digit()) && first.text.chars().count() > 4 {
        return Line::Skipped;
    }
    if filled == 0 { Line::Skipped } else { Line::Block(entries) }
}

/// A list without a row that is filled in: the room for one.
fn blank(table: &Table, head: &Header) -> Vec<Entry> {
    let row = if head.row + 1 < table.rows.len() { head.row + 1 } else { head.row };
    head.columns.iter().map(|(column, label)| Entry::new(label, "", table.place_at(row, *column))).collect()
}

/// One column for each block, where 申请虚拟机数量 has more than one figure. None if it has not.
pub(super) fn transposed(table: &Table, taken: &mut [bool]) -> Option<Vec<Vec<Entry>>> {
    let count = |text: &str| {
        text.trim().chars().next().is_some_and(|c| c.is_numeric() || "一二两三四五六七八九十".contains(c))
            && text.trim().len() < 32
    };
    let (label_column, columns) = table.rows.iter().enumerate().find_map(|(at, row)| {
        let label = row.cells.iter().find(|c| c.text.whole().is_some_and(|l| l.name == "vm_count"))?;
        let values = row.cells.iter().filter(|c| c.column > label.column);
        let columns: Vec<u32> = values.clone().filter(|c| count(&c.text)).map(|c| c.column).collect();
        let plain = row
            .cells
            .iter()
            .enumerate()
            .filter(|(_, c)| c.column > label.column)
            .all(|(i, c)| c.text.trim().is_empty() || table.text(at, i).with_value().is_none());
        (columns.len() > 1 && plain).then_some((label.column, columns))
    })?;
    let mut blocks: Vec<Vec<Entry>> = columns.iter().map(|_| Vec::new()).collect();
    for row in 0..table.rows.len() {
        let Some(at) = table.covering(row, label_column) else { continue };
        let Some(label) = table.text(row, at).whole().filter(|l| is_field(l.name)) else { continue };
        for (block, column) in blocks.iter_mut().zip(&columns) {
            block.push(match table.covering(row, *column) {
                Some(cell) if cell != at => Entry::new(&label, table.text(row, cell), table.place_of(row, cell)),
                _ => Entry::new(&label, "", table.place_at(row, *column)),
            });
        }
        mark(taken, row);
    }
    Some(blocks)
}
