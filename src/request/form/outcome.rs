//! What comes of reading a file.

use crate::{place::Place, rule::Code};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The largest file that is looked at.
pub const MAX_FILE: usize = 16 << 20;

/// A file as read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Form {
    /// A report in the shape that `POST /v1/requests` takes as JSON. What comes from a form is text, as written.
    pub document: Map<String, Value>,
    /// JSON pointer into the document to where the value stood. A place without a value: the form has room for it and
    /// it was left blank.
    pub places: BTreeMap<String, Place>,
    /// Pointers of fields that the file gives more than once, with different values.
    pub repeated: Vec<String>,
}

/// Why a file cannot be read as a report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", code.as_str())]
pub struct FormFault {
    pub code: Code,
    /// Chinese, stands inside the rule's sentence.
    pub reason: String,
}
