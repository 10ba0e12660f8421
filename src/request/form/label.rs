//! The labels of the form as offices write them.

use crate::{
    request::raw::{CONTEXT, FIELDS},
    text,
};
use std::{collections::BTreeMap, sync::LazyLock};

/// Every word of every field, folded, to the field's canonical name.
static WORDS: LazyLock<BTreeMap<String, &'static str>> = LazyLock::new(|| {
    FIELDS
        .iter()
        .chain(CONTEXT)
        .flat_map(|f| [f.name, f.label].into_iter().chain(f.aliases.iter().copied()).map(|w| (text::fold(w), f.name)))
        .collect()
});

/// The canonical name of a field as written, without regard to case, width, spaces and a number in front.
pub fn field(label: &str) -> Option<&'static str> {
    // Beyond any field's name, however it is spaced.
    if label.len() > 128 {
        return None;
    }
    let folded = text::fold(label);
    // `1. 域名`, `4、cpu 数量`
    let bare = folded.trim_start_matches(|c: char| c.is_ascii_digit());
    let bare = if bare.len() < folded.len() { bare.strip_prefix(['.', '、']).unwrap_or(&folded) } else { &folded };
    WORDS.get(bare).copied()
}
