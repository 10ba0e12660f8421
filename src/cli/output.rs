//! What is written where: answers to standard output in the wanted format, progress and errors to standard error.

use super::{
    OutputFormat, format,
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

    /// The blocks of a checked report, one after the other.
    pub fn report(&self, answer: &Value) -> io::Result<()> {
        let blocks = answer.get("blocks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (n, block) in blocks.iter().enumerate() {
            let Some(block) = block.get("block") else { continue };
            if blocks.len() > 1 {
                put(&self.out.bold(&format!("第 {} 组", n + 1)))?;
            }
            put(&lines(&block_lines(block), self.out, self.width))?;
        }
        let read = tables::read_from(answer);
        if read.is_empty() { Ok(()) } else { self.section("\n从文件中读到的", &tables::READ, &read) }
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
