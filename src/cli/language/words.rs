//! Table headings, states and the names of things.

pub const WORDS: &[(&str, &str)] = &[];
