//! What a failure becomes before it is shown: a title, what is known, what to do.

use super::language::{semicolon, tr};
use crate::client::Problem;
use serde_json::{Value, json};

/// A failure, ready to be shown.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub title: String,
    /// A stable English word for scripts.
    pub code: String,
    pub status: Option<u16>,
    pub details: Vec<String>,
    pub mends: Vec<String>,
    /// What the service said, if it was the service that refused.
    pub problem: Option<Box<Problem>>,
}

impl Report {
    pub(super) fn new(code: &str, title: impl Into<String>) -> Self {
        Self { title: tr(&title.into()).to_owned(), code: code.into(), ..Self::default() }
    }

    pub(super) fn detail(mut self, text: impl Into<String>) -> Self {
        self.details.push(tr(&text.into()).to_owned());
        self
    }

    pub(super) fn mend(mut self, text: impl Into<String>) -> Self {
        self.mends.push(tr(&text.into()).to_owned());
        self
    }

    /// For `-o json` and `-o yaml`: the service's own document, or one in its shape.
    pub fn to_json(&self) -> Value {
        match &self.problem {
            Some(problem) => problem.raw.clone(),
            None => json!({
                "title": self.title, "code": self.code, "detail": self.details.join(semicolon()), "mend": self.mends.join(semicolon()),
            }),
        }
    }
}
