//! Chinese and English. The source says everything in Chinese; English comes from tables of pairs beside this file, looked
//! up by the Chinese. Tests walk the source, the help and the tables, so that no sentence lacks its English.
//!
//! What the service says stays as it said it (Chinese), with its code beside it.

mod capacity;
mod disks;
mod help;
mod messages;
mod reports;
mod rooms;
mod systems;
mod usage;
mod waves;
mod words;

use std::{borrow::Cow, collections::HashMap, fmt::Display, sync::LazyLock};

/// What a person reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    #[default]
    #[value(name = "zh")]
    Chinese,
    #[value(name = "en")]
    English,
}

impl Language {
    /// By what was asked for, or by the locale: English where it says so, Chinese otherwise. C and POSIX name no language,
    /// nor does a locale that was never set.
    pub fn choose(asked: Option<Self>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let locale =
            ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(|name| variable(name).filter(|v| !v.is_empty()));
        match (asked, locale.as_deref().map(|locale| locale.split(['_', '.', '@']).next().unwrap_or_default())) {
            (Some(asked), _) => asked,
            (None, Some("en")) => Self::English,
            (None, _) => Self::Chinese,
        }
    }
}

#[cfg(not(test))]
mod current {
    use super::Language;
    use std::sync::OnceLock;

    static CURRENT: OnceLock<Language> = OnceLock::new();

    pub fn get() -> Language {
        CURRENT.get().copied().unwrap_or_default()
    }

    pub fn set(language: Language) {
        // The first word holds: a process speaks one language.
        let _ = CURRENT.set(language);
    }
}

#[cfg(test)]
mod current {
    use super::Language;
    use std::cell::Cell;

    thread_local! {
        // Tests run beside each other.
        static CURRENT: Cell<Language> = const { Cell::new(Language::Chinese) };
    }

    pub fn get() -> Language {
        CURRENT.get()
    }

    pub fn set(language: Language) {
        CURRENT.set(language);
    }
}

pub use current::{get, set};

static PAIRS: LazyLock<HashMap<&'static str, &'static str>> =
    LazyLock::new(|| tables().flat_map(|table| table.iter().copied()).collect());

/// Every pair, for the tests that look for missing and for idle ones.
pub fn tables() -> impl Iterator<Item = &'static [(&'static str, &'static str)]> {
    [
        capacity::CAPACITY,
        disks::DISKS,
        help::HELP,
        systems::SYSTEMS,
        usage::USAGE,
        messages::MESSAGES,
        reports::REPORTS,
        rooms::ROOMS,
        waves::WAVES,
        words::WORDS,
    ]
    .into_iter()
}

/// The English of a Chinese text that is in the tables.
pub fn english(chinese: &str) -> Option<&'static str> {
    PAIRS.get(chinese).copied()
}

/// The text in the language of this process; as it stands where it has no other.
pub fn tr(text: &str) -> &str {
    match get() {
        Language::Chinese => text,
        Language::English => english(text).unwrap_or(text),
    }
}

/// Line by line, each without its indentation: examples share most of their lines.
pub fn tr_lines(text: &str) -> Cow<'_, str> {
    if get() == Language::Chinese {
        return Cow::Borrowed(text);
    }
    let lines = text.split('\n').map(|line| {
        let words = line.trim_start();
        let (indent, _) = line.split_at(line.len() - words.len());
        format!("{indent}{}", tr(words))
    });
    Cow::Owned(lines.collect::<Vec<_>>().join("\n"))
}

/// A text with its `{name}` places filled. A name that is not given stays as it is.
pub fn fill(text: &str, values: &[(&str, &dyn Display)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let found = after.split_once('}').and_then(|(name, after)| {
            let (_, value) = values.iter().find(|(key, _)| *key == name)?;
            Some((value, after))
        });
        if let Some((value, after)) = found {
            out.push_str(&value.to_string());
            rest = after;
        } else {
            out.push('{');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// Between the parts of an enumeration: `、` or a comma.
pub fn comma() -> &'static str {
    if get() == Language::Chinese { "、" } else { ", " }
}

/// Between clauses: `，` or a comma.
pub fn clause() -> &'static str {
    if get() == Language::Chinese { "，" } else { ", " }
}

/// Between a name and what is said of it.
pub fn colon() -> &'static str {
    if get() == Language::Chinese { "：" } else { ": " }
}

/// Between sentences.
pub fn semicolon() -> &'static str {
    if get() == Language::Chinese { "；" } else { "; " }
}

/// A text in the language of this process, with values in it: `say!("操作 {id}", id)` or `say!("{n} 条", n = rows.len())`.
macro_rules! say {
    ($text:literal $(, $name:ident $(= $value:expr)?)* $(,)?) => {
        $crate::cli::language::fill(
            $crate::cli::language::tr($text),
            &[$((stringify!($name), &$crate::cli::language::say!(@value $name $(= $value)?) as &dyn ::std::fmt::Display)),*],
        )
    };
    (@value $name:ident) => { $name };
    (@value $name:ident = $value:expr) => { $value };
}
pub(crate) use say;

#[cfg(test)]
pub mod tests {
    use super::*;

    fn chosen(asked: Option<Language>, set: &[(&str, &str)]) -> Language {
        Language::choose(asked, |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_locale_chooses_and_the_flag_chooses_first() {
        use Language::{Chinese, English};
        for (set, wanted) in [
            (&[][..], Chinese),
            (&[("LANG", "C")], Chinese),
            (&[("LANG", "POSIX")], Chinese),
            (&[("LANG", "C.UTF-8")], Chinese),
            (&[("LANG", "zh_CN.UTF-8")], Chinese),
            (&[("LANG", "en_US.UTF-8")], English),
            (&[("LANG", "en")], English),
            (&[("LANG", "eng_X")], Chinese),
            (&[("LANG", "en_US.UTF-8"), ("LC_MESSAGES", "zh_CN")], Chinese),
            (&[("LANG", "zh_CN"), ("LC_ALL", "en_GB.UTF-8")], English),
            (&[("LANG", "en_US"), ("LC_ALL", "")], English),
            (&[("LC_ALL", "C"), ("LANG", "en_US")], Chinese),
        ] {
            assert_eq!(chosen(None, set), wanted, "{set:?}");
            assert_eq!(chosen(Some(English), set), English);
            assert_eq!(chosen(Some(Chinese), set), Chinese);
        }
    }

    #[test]
    fn values_are_put_in_once_and_never_read_as_places() {
        let (a, n) = ("{n}", 3);
        assert_eq!(say!("甲 {a} 乙 {n}", a, n), "甲 {n} 乙 3");
        assert_eq!(say!("{x} {", x = 1 + 1), "2 {");
        assert_eq!(fill("{missing} {a}", &[("a", &1)]), "{missing} 1");
    }

    #[test]
    fn both_languages_have_the_same_places_and_no_sentence_two_translations() {
        let places = |text: &str| {
            let mut all: Vec<_> =
                text.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(n, _)| n.to_owned()).collect();
            all.sort();
            all
        };
        let mut seen: HashMap<&str, &str> = HashMap::new();
        for (chinese, english) in tables().flatten() {
            assert_eq!(places(chinese), places(english), "{chinese}");
            assert!(!english.is_empty() && !has_chinese(english), "{english}");
            assert!(has_chinese(chinese), "{chinese}");
            assert!(seen.insert(chinese, english).is_none(), "{chinese} stands there twice");
        }
    }

    pub fn has_chinese(text: &str) -> bool {
        text.chars().any(|c| matches!(c, '\u{3000}'..='\u{303f}' | '\u{3400}'..='\u{9fff}' | '\u{ff00}'..='\u{ffef}'))
    }
}
