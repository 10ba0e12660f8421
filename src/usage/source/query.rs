//! What a source is asked: `PromQL` with three words in it, a profile per kind of exporter. Pure.

use super::Kind;
use crate::{usage::point::Interval, yaml};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A longer query is a slip.
const LONGEST: usize = 4000;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// Percent of all cores, a mean over the interval; as the four below.
    Cpu,
    /// Cores.
    Vcpus,
    /// Percent of the memory.
    Memory,
    /// Bytes per second, read and written together.
    Disk,
    /// Bytes per second.
    Received,
    Sent,
    /// Logins that are open.
    Logins,
    /// Connections a second that others open to it.
    Inbound,
}

impl Question {
    pub const ALL: [Self; 8] =
        [Self::Cpu, Self::Vcpus, Self::Memory, Self::Disk, Self::Received, Self::Sent, Self::Logins, Self::Inbound];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Vcpus => "vcpus",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Received => "received",
            Self::Sent => "sent",
            Self::Logins => "logins",
            Self::Inbound => "inbound",
        }
    }
}

/// Why a query cannot be used. For people, inside a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadQuery {
    #[error("没有 {0} 这一项")]
    Unknown(String),
    #[error("{0} 是空的，或超过 4000 个字符")]
    Length(&'static str),
    #[error("{0} 里有不认识的 ${1}")]
    Word(&'static str, String),
    #[error("{0} 里没有 $only")]
    Unlimited(&'static str),
    #[error("一条查询也没有")]
    None,
    #[error("标签名只能由字母、数字、下划线组成")]
    Label,
    #[error("profile unreadable: {0}")]
    Profile(String),
}

/// The queries of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queries {
    /// The label that names a server or a machine.
    pub label: String,
    texts: BTreeMap<Question, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    label: String,
    queries: BTreeMap<String, String>,
}

impl Queries {
    /// The kind's own, with what the settings put in their place; an empty text takes one away.
    pub fn new(kind: Kind, label: Option<&str>, instead: &BTreeMap<String, String>) -> Result<Self, Vec<BadQuery>> {
        let profile = kind.profile().map(yaml::from_str::<Profile>).transpose();
        let profile = profile.map_err(|error| vec![BadQuery::Profile(error.to_string())])?;
        let profile = profile.unwrap_or(Profile { label: "instance".to_owned(), queries: BTreeMap::new() });
        let label = label.map_or(profile.label, str::to_owned);
        let mut faults = Vec::new();
        if !is_label(&label) {
            faults.push(BadQuery::Label);
        }
        let mut texts = BTreeMap::new();
        let taken_away = |key: &str| instead.get(key).is_some_and(|text| text.trim().is_empty());
        let ours = profile.queries.iter().filter(|(key, _)| !instead.contains_key(*key));
        for (key, text) in ours.chain(instead.iter().filter(|(key, _)| !(kind != Kind::Custom && taken_away(key)))) {
            let Some(question) = Question::ALL.into_iter().find(|question| question.word() == key) else {
                faults.push(BadQuery::Unknown(crate::text::shown(key)));
                continue;
            };
            faults.extend(fault(question, text));
            texts.insert(question, text.clone());
        }
        if texts.is_empty() && faults.is_empty() {
            faults.push(BadQuery::None);
        }
        if faults.is_empty() { Ok(Self { label, texts }) } else { Err(faults) }
    }

    /// Of everything that the source knows.
    pub fn of_all(&self, range: Interval) -> Vec<(Question, String)> {
        self.filled(range, &format!("{}!=\"\"", self.label))
    }

    /// Of one server.
    pub fn of_one(&self, range: Interval, instance: &str) -> Vec<(Question, String)> {
        // A string of PromQL is written as one of JSON may be: Go's escapes hold all of JSON's.
        self.filled(range, &format!("{}={}", self.label, serde_json::Value::from(instance)))
    }

    fn filled(&self, range: Interval, only: &str) -> Vec<(Question, String)> {
        let range = format!("{}ms", range.as_millis());
        let fill = |word: &str| match word {
            "range" => Some(range.clone()),
            "label" => Some(self.label.clone()),
            "only" => Some(only.to_owned()),
            _ => None,
        };
        self.texts.iter().map(|(question, text)| (*question, fill_in(text, fill))).collect()
    }
}

fn fault(question: Question, text: &str) -> Option<BadQuery> {
    let of = question.word();
    if text.trim().is_empty() || text.len() > LONGEST {
        return Some(BadQuery::Length(of));
    }
    let (mut unknown, mut only) = (None, false);
    fill_in(text, |word| {
        only |= word == "only";
        if !["range", "label", "only"].contains(&word) {
            unknown.get_or_insert_with(|| word.to_owned());
        }
        None
    });
    match unknown {
        Some(word) => Some(BadQuery::Word(of, word)),
        None if !only => Some(BadQuery::Unlimited(of)),
        None => None,
    }
}

/// Puts something in the place of each `$word`; where there is nothing, it stays. What is put in is not looked at again. A
/// dollar before anything else (the end of a regular expression) is one.
fn fill_in(text: &str, mut with: impl FnMut(&str) -> Option<String>) -> String {
    let mut parts = text.split('$');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let length = part.bytes().take_while(|b| b.is_ascii_lowercase() || *b == b'_').count();
        let (word, rest) = part.split_at(length);
        match if word.is_empty() { None } else { with(word) } {
            Some(value) => out.push_str(&value),
            None => out.extend(["$", word]),
        }
        out.push_str(rest);
    }
    out
}

fn is_label(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    text.len() <= 100
        && text.bytes().next().is_some_and(letter)
        && text.bytes().all(|b| letter(b) || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instead(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn every_profile_can_be_asked_of_all_and_of_one() {
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Custom) {
            let queries = Queries::new(kind, None, &BTreeMap::new()).unwrap();
            let all = queries.of_all(Interval::MINUTE);
            assert!(Question::ALL[..6].iter().all(|asked| all.iter().any(|(one, _)| one == asked)), "{kind:?}");
            for (question, text) in all {
                assert!(!text.contains('$') && text.contains("[60000ms]"), "{kind:?} {question:?}: {text}");
                assert!(text.contains(&format!("{}!=\"\"", queries.label)), "{kind:?} {question:?}: {text}");
            }
        }
    }

    #[test]
    fn a_name_cannot_become_a_query() {
        let queries = instead(&[("cpu", "x{$only}[$range]")]);
        let queries = Queries::new(Kind::Custom, Some("host"), &queries).unwrap();
        for (name, written) in [
            ("a:9100", r#"x{host="a:9100"}[1000ms]"#),
            (r#"a"} or vector(1) #"#, r#"x{host="a\"} or vector(1) #"}[1000ms]"#),
            (r"a\", r#"x{host="a\\"}[1000ms]"#),
            ("$range", r#"x{host="$range"}[1000ms]"#),
            ("a\nb", r#"x{host="a\nb"}[1000ms]"#),
        ] {
            let one = queries.of_one(Interval::millis(1000).unwrap(), name);
            assert_eq!(one, [(Question::Cpu, written.to_owned())]);
        }
    }

    #[test]
    fn settings_replace_single_queries_and_every_fault_is_told() {
        let changed = instead(&[("cpu", "y{$only}"), ("disk", "")]);
        let queries = Queries::new(Kind::Snmp, None, &changed).unwrap().of_all(Interval::MINUTE);
        assert_eq!(queries.len(), 5, "all but one of six");
        assert_eq!(queries[0].1, "y{instance!=\"\"}");
        let wrong = instead(&[("cpu", "x{$only}[$rnage]"), ("gpu", "x{$only}"), ("sent", "up"), ("disk", " ")]);
        let faults = Queries::new(Kind::Custom, Some("a b"), &wrong).unwrap_err();
        let wanted = [
            BadQuery::Label,
            BadQuery::Word("cpu", "rnage".to_owned()),
            BadQuery::Length("disk"),
            BadQuery::Unknown("gpu".to_owned()),
            BadQuery::Unlimited("sent"),
        ];
        assert_eq!(faults, wanted);
        assert_eq!(Queries::new(Kind::Custom, None, &BTreeMap::new()), Err(vec![BadQuery::None]));
        let regex = instead(&[("cpu", "x{a=~\"b$\",$only}")]);
        assert!(Queries::new(Kind::Custom, None, &regex).is_ok(), "a dollar alone is one");
    }
}
