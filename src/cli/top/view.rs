//! What is looked at, and what keys do. Pure: reports and keys in, rows out.

use crate::cli::format;
use jiff::tz::TimeZone;
use ratatui::crossterm::event::{KeyCode, KeyModifiers};
use serde_json::Value;
use std::{cmp::Ordering, collections::BTreeMap};

/// In which order machines are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    Busiest,
    Idlest,
    Memory,
    Name,
}

impl Order {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Busiest => "最忙的在前",
            Self::Idlest => "最闲的在前",
            Self::Memory => "内存用得最多的在前",
            Self::Name => "按名称",
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::Busiest => Self::Idlest,
            Self::Idlest => Self::Memory,
            Self::Memory => Self::Name,
            Self::Name => Self::Busiest,
        }
    }
}

/// What a key leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Go,
    Refresh,
    Quit,
}

#[derive(Clone, Debug)]
pub struct View {
    pub zone: TimeZone,
    /// The newest one that could be read.
    pub report: Option<Value>,
    /// Why the last look came to nothing.
    pub trouble: Option<String>,
    pub order: Order,
    pub filter: String,
    /// What is being typed, while it is.
    pub typing: Option<String>,
}

impl View {
    pub const fn new(zone: TimeZone) -> Self {
        Self { zone, report: None, trouble: None, order: Order::Busiest, filter: String::new(), typing: None }
    }

    pub fn look(&mut self, look: Result<Value, String>) {
        match look {
            Ok(report) => (self.report, self.trouble) = (Some(report), None),
            Err(why) => self.trouble = Some(why),
        }
    }

    pub fn key(&mut self, code: KeyCode, modifiers: KeyModifiers) -> After {
        if code == KeyCode::Char('c') && modifiers.contains(KeyModifiers::CONTROL) {
            return After::Quit;
        }
        if let Some(typed) = &mut self.typing {
            match code {
                KeyCode::Enter => self.filter = self.typing.take().unwrap_or_default(),
                KeyCode::Esc => self.typing = None,
                KeyCode::Backspace => _ = typed.pop(),
                KeyCode::Char(c) => typed.push(c),
                _ => {}
            }
            return After::Go;
        }
        match code {
            KeyCode::Char('q') => return After::Quit,
            KeyCode::Char('r') => return After::Refresh,
            KeyCode::Char('s') => self.order = self.order.next(),
            KeyCode::Char('/') => self.typing = Some(self.filter.clone()),
            KeyCode::Esc => self.filter.clear(),
            _ => {}
        }
        After::Go
    }

    /// Rows of a list of the report that have the filter's text in a name.
    pub fn rows(&self, list: &str) -> Vec<&Value> {
        let all = self.report.as_ref().and_then(|report| report.get(list)).and_then(Value::as_array);
        all.into_iter().flatten().filter(|row| self.passes(row)).collect()
    }

    fn passes(&self, row: &Value) -> bool {
        // As it is being typed, so that one sees what it does.
        let wanted = self.typing.as_ref().unwrap_or(&self.filter).to_lowercase();
        let names = ["name", "machine", "department", "system", "host", "kind", "task_book"];
        wanted.is_empty() || names.iter().any(|name| text(row, name).to_lowercase().contains(&wanted))
    }

    /// Machines in the wanted order.
    pub fn machines(&self) -> Vec<&Value> {
        match self.order {
            Order::Busiest => return self.rows("busiest"),
            Order::Idlest => return self.rows("idlest"),
            Order::Memory | Order::Name => {}
        }
        let both = self.rows("busiest").into_iter().chain(self.rows("idlest"));
        let mut all: Vec<_> =
            both.map(|row| (text(row, "id"), row)).collect::<BTreeMap<_, _>>().into_values().collect();
        let memory = |row: &Value| row.get("memory_percent").and_then(Value::as_f64).unwrap_or(-1.0);
        all.sort_by(|a, b| {
            let first = if self.order == Order::Memory { memory(b).total_cmp(&memory(a)) } else { Ordering::Equal };
            first.then_with(|| text(a, "name").cmp(&text(b, "name")))
        });
        all
    }

    pub fn number(&self, pointer: &str) -> i64 {
        self.report.as_ref().and_then(|report| report.pointer(pointer)).and_then(Value::as_i64).unwrap_or(0)
    }

    /// Machines in a state.
    pub fn in_state(&self, state: Option<&str>) -> i64 {
        let counts = self.report.as_ref().and_then(|report| report.get("machines")).and_then(Value::as_array);
        let wanted =
            counts.into_iter().flatten().filter(|count| state.is_none_or(|state| text(count, "state") == state));
        wanted.filter_map(|count| count.get("machines").and_then(Value::as_i64)).sum()
    }
}

/// Text that no terminal obeys; nothing where there is none.
pub fn text(row: &Value, field: &str) -> String {
    row.get(field).and_then(Value::as_str).map(format::clean).unwrap_or_default()
}
