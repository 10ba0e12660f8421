//! The help of every command.

pub const HELP: &[(&str, &str)] = &[];
