//! What stands in a cell: its text, and what label that is. Every reader of tables asks for the label, so each cell
//! works it out once.

use super::label::{self, Label};
use std::{ops::Deref, sync::OnceLock};

#[derive(Debug, Default)]
pub(super) struct Words {
    text: String,
    whole: OnceLock<Option<Label>>,
    /// The label before a value in the same text, and where the value begins.
    leading: OnceLock<Option<(Label, usize)>>,
}

/// Where there is no cell.
pub(super) static NOTHING: Words = Words { text: String::new(), whole: OnceLock::new(), leading: OnceLock::new() };

impl Words {
    /// [`label::whole`]
    pub fn whole(&self) -> Option<Label> {
        *self.whole.get_or_init(|| label::whole(&self.text))
    }

    /// [`label::with_value`]
    pub fn with_value(&self) -> Option<(Label, &str)> {
        let (label, value) = (*self.leading.get_or_init(|| label::leading(&self.text, || self.whole())))?;
        Some((label, self.text.get(value..).unwrap_or_default().trim()))
    }
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl Deref for Words {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}
