//! What commands say.

pub const MESSAGES: &[(&str, &str)] = &[];
