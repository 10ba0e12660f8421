//! Chinese and English of the command line: no sentence in its source lacks its English, and no English is idle.

use crate::support::source;
use jiyue::cli::language;
use std::collections::BTreeSet;

/// Sentences that are not the command line's to translate, and why.
const CHINESE_ONLY: &[(&str, &str)] = &[("有效的令牌", "a word inside a sentence of the service")];

fn has_chinese(text: &str) -> bool {
    text.chars().any(|c| matches!(c, '\u{3000}'..='\u{303f}' | '\u{3400}'..='\u{9fff}' | '\u{ff00}'..='\u{ffef}'))
}

/// The Chinese texts in the command line's source, outside its help (a test beside it walks that).
fn said() -> BTreeSet<&'static str> {
    let sources = source::all().iter().filter(|s| s.name.starts_with("cli/") && !s.name.starts_with("cli/language/"));
    let texts = sources.flat_map(|source| source.mentions.strings.iter().map(|(text, _)| text.as_str()));
    // Marks between words have a function each.
    texts.filter(|text| has_chinese(text) && text.chars().any(char::is_alphanumeric)).collect()
}

#[test]
fn no_sentence_lacks_its_english() {
    let said = said();
    assert!(said.len() > 150, "{}", said.len());
    let excused = |text: &str| CHINESE_ONLY.iter().any(|(known, _)| *known == text);
    // A text of several lines is looked up line by line.
    let has = |text: &str| {
        language::english(text).is_some()
            || text.lines().all(|line| !has_chinese(line) || language::english(line.trim_start()).is_some())
    };
    let missing: Vec<_> = said.iter().filter(|text| !excused(text) && !has(text)).collect();
    assert!(missing.is_empty(), "no English for:\n{missing:#?}");
    for (text, why) in CHINESE_ONLY {
        assert!(said.contains(text), "{text} ({why}) is no longer said");
    }
}
