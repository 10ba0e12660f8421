//! What is written where: answers to standard output in the wanted format, progress and errors to standard error.

use super::{
    OutputFormat, format,
    language::{say, tr},
    layout::{Paint, block_lines, grid, lines, sheet},
    problem::{self, Failure},
    tables::{self, Column, Kind},
    words::Tone,
};
use crate::client::Items;
use comfy_table::Table;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Write};

/// To the upper left corner, and nothing left below it.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J\u{1b}[3J";

/// What is drawn again and again.
pub enum Shown<'a> {
    List(&'a [Value]),
    One(&'a Value),
}

/// Whether a stream gets colours: never with `NO_COLOR`, always with `CLICOLOR_FORCE`, otherwise on a terminal that can
/// show them and where `CLICOLOR` is not 0.
fn coloured(terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let is = |name: &str, word: &str| variable(name).is_some_and(|value| value == word);
    if set("NO_COLOR") {
        return false;
    }
    if set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0") {
        return true;
    }
    terminal && !is("TERM", "dumb") && !is("CLICOLOR", "0")
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
    out_is_terminal: bool,
    err_is_terminal: bool,
}

impl Screen {
    pub fn detect(format: OutputFormat) -> Self {
        let colour = |terminal| coloured(terminal, |name| std::env::var(name).ok());
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self {
            format,
            zone: TimeZone::system(),
            out: Paint(colour(out)),
            width: Table::new().width().filter(|_| out),
            err: Paint(colour(err)),
            out_is_terminal: out,
            err_is_terminal: err,
        }
    }

    /// The format that was asked for.
    pub fn format(&self) -> OutputFormat {
        self.format
    }

    /// Standard output can be drawn anew.
    pub fn can_redraw(&self) -> bool {
        self.out_is_terminal && self.for_people()
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
        match self.format {
            OutputFormat::Table => {}
            OutputFormat::Name => return Self::names(kind.key(), &all.items),
            _ => return self.document(&json!(all)),
        }
        if all.items.is_empty() {
            return self.note(&say!("没有{kind}。", kind = tr(kind.name())));
        }
        put(&self.table(kind, &all.items))?;
        if all.next_page_token.is_some() {
            self.note(&say!("只列出了前 {n} 条，还有更多：--all 列出全部。", n = all.items.len()))?;
        }
        Ok(())
    }

    fn table(&self, kind: Kind, items: &[Value]) -> String {
        grid(kind.columns(), items, &self.zone, self.out).trim_fmt()
    }

    /// Rows that are no list of the service's; `key` is where each has its name.
    pub fn items(&self, key: &str, items: &[Value]) -> io::Result<()> {
        match self.format {
            OutputFormat::Name => Self::names(key, items),
            _ => self.document(&json!({"items": items})),
        }
    }

    /// Rows of our own under headings; `key` is where each has its name.
    pub fn rows(&self, key: &str, columns: &[Column], rows: &[Value]) -> io::Result<()> {
        match self.format {
            OutputFormat::Table => put(&grid(columns, rows, &self.zone, self.out).trim_fmt()),
            _ => self.items(key, rows),
        }
    }

    /// A thing of our own from top to bottom.
    pub fn rows_of_one(&self, columns: &[Column], value: &Value) -> io::Result<()> {
        if !self.for_people() {
            return self.document(value);
        }
        let shown = columns.iter().map(|column| (column, column.cell(value, &self.zone)));
        let shown: Vec<_> = shown.map(|(column, (text, tone))| (tr(column.title).to_owned(), text, tone)).collect();
        put(&lines(&shown, self.out, self.width))
    }

    fn names(key: &str, items: &[Value]) -> io::Result<()> {
        let names: Vec<_> = items.iter().filter_map(|item| item.pointer(key)).map(format::scalar).collect();
        if names.is_empty() { Ok(()) } else { put(&names.join("\n")) }
    }

    /// The list anew, over what was drawn before.
    pub fn redraw(&self, kind: Kind, shown: &Shown<'_>) -> io::Result<()> {
        let (text, n) = match shown {
            Shown::List(items) => (self.table(kind, items), items.len()),
            Shown::One(value) => (sheet(kind, value, &self.zone, self.out, self.width), 1),
        };
        let text = if n == 0 { say!("没有{kind}。", kind = tr(kind.name())) } else { text };
        let now = crate::time::Clock::System.now().to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string();
        let foot = self.out.dim(&say!("{now}，Ctrl-C 结束", now));
        put(&format!("{CLEAR}{text}\n\n{foot}"))
    }

    /// One of many that come one by one: a row of a table, or a document on a line of its own.
    pub fn line(&self, kind: Kind, value: &Value, first: bool) -> io::Result<()> {
        match self.format {
            OutputFormat::Table => {
                let table = self.table(kind, std::slice::from_ref(value));
                // The headings once; widths may differ from row to row, for nobody knows what comes.
                let rows = if first { table.as_str() } else { table.split_once('\n').map_or("", |(_, rows)| rows) };
                put(rows)
            }
            OutputFormat::Json | OutputFormat::Csv | OutputFormat::Xlsx => put(&value.to_string()),
            OutputFormat::Yaml => put(&format!("---\n{}", document(self.format, value)?)),
            OutputFormat::Name => Self::names(kind.key(), std::slice::from_ref(value)),
        }
    }

    /// That something is no longer in a list that is watched.
    pub fn gone(&self, name: &str) -> io::Result<()> {
        match self.format {
            OutputFormat::Table => self.note(&say!("{name} 已不在列表中", name)),
            OutputFormat::Name => Ok(()),
            _ => put(&json!({"gone": name}).to_string()),
        }
    }

    /// One thing, as a sheet with its nested tables.
    pub fn one(&self, kind: Kind, value: &Value) -> io::Result<()> {
        match self.format {
            OutputFormat::Table => put(&sheet(kind, value, &self.zone, self.out, self.width)),
            OutputFormat::Name => Self::names(kind.key(), std::slice::from_ref(value)),
            _ => self.document(value),
        }
    }

    /// The blocks of a checked report, one after the other.
    pub fn report(&self, answer: &Value) -> io::Result<()> {
        let blocks = answer.get("blocks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (n, block) in blocks.iter().enumerate() {
            let Some(block) = block.get("block") else { continue };
            if blocks.len() > 1 {
                put(&self.out.bold(&say!("第 {n} 组", n = n + 1)))?;
            }
            put(&lines(&block_lines(block), self.out, self.width))?;
        }
        let read = tables::read_from(answer);
        if read.is_empty() {
            Ok(())
        } else {
            self.section(&format!("\n{}", tr("从文件中读到的")), &tables::READ, &read)
        }
    }

    /// Rows of one kind under a title.
    pub fn section(&self, title: &str, columns: &[Column], rows: &[Value]) -> io::Result<()> {
        put(&format!("{}\n{}", self.out.bold(title), grid(columns, rows, &self.zone, self.out).trim_fmt()))
    }

    /// JSON or YAML, whole; or only the names in it.
    pub fn document(&self, value: &Value) -> io::Result<()> {
        if self.format != OutputFormat::Name {
            return put(&document(self.format, value)?);
        }
        match value.get("items").and_then(Value::as_array) {
            Some(items) => Self::names("/id", items),
            None => Self::names("/id", std::slice::from_ref(value)),
        }
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
        _ => serde_json::to_string_pretty(value).map_err(io::Error::other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_unless_somebody_says_otherwise() {
        let of = |terminal, set: &[(&str, &str)]| {
            coloured(terminal, |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(of(true, &[]) && !of(false, &[]));
        assert!(!of(true, &[("NO_COLOR", "1")]) && of(true, &[("NO_COLOR", "")]));
        assert!(of(false, &[("CLICOLOR_FORCE", "1")]) && !of(false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!of(true, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), "no colour is the stronger wish");
        assert!(!of(true, &[("TERM", "dumb")]) && of(true, &[("TERM", "xterm")]));
        assert!(!of(true, &[("CLICOLOR", "0")]) && of(true, &[("CLICOLOR", "1")]) && !of(false, &[("CLICOLOR", "1")]));
    }
}
