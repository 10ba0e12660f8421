//! What is written where: answers to standard output in the wanted format, progress and errors to standard error.

use super::{
    OutputFormat,
    format::{self, NOTHING},
    problem::{self, Failure},
    tables::{self, Column, Kind},
    words::Tone,
};
use crate::client::Items;
use clap::builder::styling::{AnsiColor, Effects, Style};
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Write};

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

/// The two streams as they are in this process, and the format that was asked for.
#[derive(Clone, Debug)]
pub struct Screen {
    format: OutputFormat,
    zone: TimeZone,
    out: Paint,
    /// The terminal's columns; `None` where the output is not a terminal and lines may be of any length.
    width: Option<u16>,
    err: Paint,
    err_is_terminal: bool,
}

impl Screen {
    pub fn detect(format: OutputFormat) -> Self {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            && std::env::var_os("TERM").is_none_or(|v| v != "dumb");
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self {
            format,
            zone: TimeZone::system(),
            out: Paint(out && colour),
            width: Table::new().width().filter(|_| out),
            err: Paint(err && colour),
            err_is_terminal: err,
        }
    }

    /// Answers are for people, not for scripts.
    pub fn for_people(&self) -> bool {
        self.format == OutputFormat::Table
    }

    /// Progress bars can move.
    pub fn can_draw(&self) -> bool {
        self.err_is_terminal
    }

    /// A list.
    pub fn list(&self, kind: Kind, all: &Items) -> io::Result<()> {
        if !self.for_people() {
            return self.document(&json!(all));
        }
        if all.items.is_empty() {
            return self.note(&format!("没有{}。", kind.name()));
        }
        put(&grid(kind.columns(), &all.items, &self.zone, self.out).trim_fmt())?;
        if all.next_page_token.is_some() {
            self.note(&format!("只列出了前 {} 条，还有更多。", all.items.len()))?;
        }
        Ok(())
    }

    /// One thing, as a sheet with its nested tables.
    pub fn one(&self, kind: Kind, value: &Value) -> io::Result<()> {
        if self.for_people() {
            put(&sheet(kind, value, &self.zone, self.out, self.width))
        } else {
            self.document(value)
        }
    }

    /// A request block by itself.
    pub fn block(&self, block: &Value) -> io::Result<()> {
        put(&lines(&block_lines(block), self.out, self.width))
    }

    /// Rows of one kind under a title.
    pub fn section(&self, title: &str, columns: &[Column], rows: &[Value]) -> io::Result<()> {
        put(&format!("{}\n{}", self.out.bold(title), grid(columns, rows, &self.zone, self.out).trim_fmt()))
    }

    /// JSON or YAML, whole.
    pub fn document(&self, value: &Value) -> io::Result<()> {
        put(&document(self.format, value)?)
    }

    /// What an act has done, for people; scripts get the answer itself.
    pub fn done(&self, text: &str, answer: &Value) -> io::Result<()> {
        if self.for_people() {
            put(&format!("{} {text}", self.out.tone(Tone::Good, "✓")))
        } else {
            self.document(answer)
        }
    }

    /// Text as it is; made harmless where a terminal would obey it.
    pub fn raw(&self, text: &str) -> io::Result<()> {
        let shown = if io::stdout().is_terminal() { format::clean_lines(text) } else { text.to_owned() };
        let mut out = io::stdout().lock();
        out.write_all(shown.as_bytes()).and_then(|()| out.flush())
    }

    /// A remark beside the answer, for people only.
    pub fn note(&self, text: &str) -> io::Result<()> {
        if self.for_people() { writeln!(io::stderr(), "{}", self.err.dim(text)) } else { Ok(()) }
    }

    /// A line of progress where bars cannot move.
    pub fn progress(&self, text: &str) -> io::Result<()> {
        writeln!(io::stderr(), "{text}")
    }

    /// Why it did not work. There is nowhere to tell of a standard error that cannot be written.
    pub fn fail(&self, failure: &Failure) {
        let Some(report) = problem::report(failure) else { return };
        let text = if self.for_people() {
            problem::text(&report, self.err)
        } else {
            document(self.format, &report.to_json()).unwrap_or_else(|_| problem::text(&report, self.err))
        };
        drop(writeln!(io::stderr(), "{}", text.trim_end()));
    }
}

fn put(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush())
}

fn document(format: OutputFormat, value: &Value) -> io::Result<String> {
    match format {
        OutputFormat::Yaml => serde_saphyr::to_string(value).map_err(io::Error::other),
        OutputFormat::Table | OutputFormat::Json => serde_json::to_string_pretty(value).map_err(io::Error::other),
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
    table.set_header(filled.iter().map(|(column, _)| heading(column.title, paint)));
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
    let shown: Vec<_> = shown.map(|(column, (text, tone))| (column.title.to_owned(), text, tone)).collect();
    let mut parts = vec![lines(&shown, paint, width)];
    if let Some(block) = value.get("block").filter(|block| block.is_object()) {
        parts.push(format!("{}\n{}", paint.bold("申请内容"), lines(&block_lines(block), paint, width)));
    }
    for (title, place, columns) in kind.sections() {
        let rows = value.pointer(place).and_then(Value::as_array).filter(|rows| !rows.is_empty());
        let table = rows.map(|rows| grid(columns, rows, zone, paint).trim_fmt());
        parts.extend(table.map(|table| format!("{}\n{table}", paint.bold(title))));
    }
    parts.join("\n\n")
}

fn block_lines(block: &Value) -> Vec<(String, String, Tone)> {
    tables::block_lines(block).into_iter().map(|(name, value)| (name, value, Tone::Plain)).collect()
}

/// `名称  值` lines; long values are folded beside their name on a terminal.
fn lines(lines: &[(String, String, Tone)], paint: Paint, width: Option<u16>) -> String {
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
