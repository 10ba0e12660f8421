//! What Prometheus works out by itself, and what it calls people for.
//!
//! Limits are the platform's own; no governing document names one. Whoever wants others changes them here and writes the
//! files anew.

pub mod capacity;
mod rooms;
mod running;
pub mod work;

use serde_json::{Value, json};

/// How soon somebody has to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Now.
    Critical,
    /// On this working day.
    Warning,
}

impl Severity {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
        }
    }
}

/// A series that is worked out ahead, because it is needed in several places.
#[derive(Clone, Debug)]
pub struct Record {
    pub name: &'static str,
    pub expression: String,
    pub labels: &'static [(&'static str, &'static str)],
}

#[derive(Clone, Debug)]
pub struct Alert {
    pub name: &'static str,
    pub severity: Severity,
    pub expression: String,
    /// For how long it has to be so, as Prometheus writes it.
    pub lasting: &'static str,
    /// What is the matter, in a line.
    pub summary: &'static str,
    /// What to do.
    pub runbook: &'static str,
}

#[derive(Clone, Debug)]
pub struct Group {
    pub name: &'static str,
    /// Records come before alerts, so that these see them fresh.
    pub records: Vec<Record>,
    pub alerts: Vec<Alert>,
}

/// All of them. A new subject is a new file, and a line here.
pub fn groups() -> Vec<Group> {
    vec![running::group(), running::hosts(), capacity::group(), work::group(), work::measuring(), rooms::group()]
}

/// As Prometheus and its operator read it.
pub fn document() -> Value {
    let groups: Vec<_> = groups().iter().map(Group::json).collect();
    json!({"groups": groups})
}

impl Group {
    fn json(&self) -> Value {
        let records = self.records.iter().map(|record| {
            let mut rule = json!({"record": record.name, "expr": record.expression});
            for (label, value) in record.labels {
                rule["labels"][*label] = json!(value);
            }
            rule
        });
        let alerts = self.alerts.iter().map(|alert| {
            json!({
                "alert": alert.name, "expr": alert.expression, "for": alert.lasting,
                "labels": {"severity": alert.severity.word()},
                "annotations": {"summary": alert.summary, "runbook": alert.runbook},
            })
        });
        json!({"name": self.name, "rules": records.chain(alerts).collect::<Vec<_>>()})
    }
}
