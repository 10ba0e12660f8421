//! How tables and sheets are laid out: pure, JSON in, text out. Column widths count Chinese characters as two.

use super::{
    format::NOTHING,
    language::tr,
    tables::{self, Column, Kind},
    words::Tone,
};
use clap::builder::styling::{AnsiColor, Effects, Style};
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use jiff::tz::TimeZone;
use serde_json::Value;

/// Colours text, or leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub struct Paint(pub bool);

impl Paint {
    pub fn bold(self, text: &str) -> String {
        self.with(Style::new().effects(Effects::BOLD), text)
    }

    pub fn dim(self, text: &str) -> String {
        self.with(Style::new().effects(Effects::DIMMED), text)
    }

    pub fn tone(self, tone: Tone, text: &str) -> String {
        match tone {
            Tone::Good => self.with(AnsiColor::Green.on_default(), text),
            Tone::Busy => self.with(AnsiColor::Yellow.on_default(), text),
            Tone::Bad => self.with(AnsiColor::Red.on_default(), text),
            Tone::Plain => text.to_owned(),
        }
    }

    fn with(self, style: Style, text: &str) -> String {
        if self.0 { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// Rows under a header. Without lines between the columns: terminals set to Chinese draw them two cells wide.
pub fn grid(columns: &[Column], rows: &[Value], zone: &TimeZone, paint: Paint) -> Table {
    let cells = |column: &Column| rows.iter().map(|row| column.cell(row, zone)).collect::<Vec<_>>();
    let filled: Vec<_> = columns
        .iter()
        .map(|column| (column, cells(column)))
        .filter(|(column, cells)| !column.optional || cells.iter().any(|(text, _)| text != NOTHING))
        .collect();
    let mut table = plain_table(paint);
    table.set_header(filled.iter().map(|(column, _)| heading(tr(column.title), paint)));
    for row in 0..rows.len() {
        table.add_row(
            filled.iter().filter_map(|(_, cells)| cells.get(row)).map(|(text, tone)| toned(text, *tone, paint)),
        );
    }
    for (column, (spec, _)) in table.column_iter_mut().zip(&filled) {
        column.set_padding((0, 2));
        if spec.right {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// One thing from top to bottom.
pub fn sheet(kind: Kind, value: &Value, zone: &TimeZone, paint: Paint, width: Option<u16>) -> String {
    let shown = kind.sheet().iter().map(|column| (column, column.cell(value, zone)));
    let shown = shown.filter(|(column, (text, _))| !column.optional || text != NOTHING);
    let shown: Vec<_> = shown.map(|(column, (text, tone))| (tr(column.title).to_owned(), text, tone)).collect();
    let mut parts = vec![lines(&shown, paint, width)];
    if let Some(block) = value.get("block").filter(|block| block.is_object()) {
        parts.push(format!("{}\n{}", paint.bold(tr("申请内容")), lines(&block_lines(block), paint, width)));
    }
    for (title, place, columns) in kind.sections() {
        let rows = value.pointer(place).and_then(Value::as_array).filter(|rows| !rows.is_empty());
        let table = rows.map(|rows| grid(columns, rows, zone, paint).trim_fmt());
        parts.extend(table.map(|table| format!("{}\n{table}", paint.bold(tr(title)))));
    }
    parts.join("\n\n")
}

pub fn block_lines(block: &Value) -> Vec<(String, String, Tone)> {
    tables::block_lines(block).into_iter().map(|(name, value)| (name, value, Tone::Plain)).collect()
}

/// `名称  值` lines; long values are folded beside their name on a terminal.
pub fn lines(lines: &[(String, String, Tone)], paint: Paint, width: Option<u16>) -> String {
    let mut table = plain_table(paint);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for (name, value, tone) in lines {
        table.add_row([Cell::new(name), toned(value, *tone, paint)]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

fn plain_table(paint: Paint) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
    if paint.0 {
        table.enforce_styling();
    }
    table
}

// Colours go in as attributes: escape sequences inside a cell would be counted as width.
fn heading(text: &str, paint: Paint) -> Cell {
    let cell = Cell::new(text);
    if paint.0 { cell.add_attribute(Attribute::Bold) } else { cell }
}

fn toned(text: &str, tone: Tone, paint: Paint) -> Cell {
    let cell = Cell::new(text);
    match tone {
        _ if !paint.0 => cell,
        Tone::Good => cell.fg(Color::DarkGreen),
        Tone::Busy => cell.fg(Color::DarkYellow),
        Tone::Bad => cell.fg(Color::DarkRed),
        Tone::Plain => cell,
    }
}
