//! What is wrong with a document, told so that its writer can mend it: where, which rule, on what basis, with the
//! figures. [`Findings`] collects every violation of one document; nothing stops at the first.

use crate::{jurisdiction::Profile, place::Place, rule::Code, text, yaml::YamlError};
use serde::Serialize;
use std::fmt::Display;

/// One violation of one rule. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Violation {
    /// JSON pointer into the document, by the canonical English field names; never empty.
    pub pointer: String,
    /// The rule's stable word.
    pub code: &'static str,
    /// What is wrong, a Chinese sentence with the values.
    pub message: String,
    /// Document and clause, or 依据：平台规则.
    pub basis: String,
    /// What to do about it, a Chinese sentence.
    pub mend: String,
    /// Where in the file the value stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// `limit - used`, never below zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<i64>,
    /// Unit of the four figures: `machines`, `vcpu` or `bytes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
}

impl Violation {
    /// A violation of `code` at `pointer`; `values` fill the sentence's places.
    pub fn new(profile: &Profile, code: Code, pointer: &str, values: &[(&str, &dyn Display)]) -> Self {
        let rule = code.rule();
        Self {
            pointer: pointer.to_owned(),
            code: rule.code,
            message: fill(rule.sentence, profile, values),
            basis: profile.basis_at(code, pointer),
            mend: fill(rule.mend, profile, values),
            place: None,
            asked: None,
            used: None,
            limit: None,
            left: None,
            unit: None,
        }
    }

    /// A document that is not even YAML of the expected shape.
    pub fn from_yaml(profile: &Profile, error: &YamlError) -> Self {
        Self::new(
            profile,
            Code::DocumentMalformed,
            "/",
            &[("line", &error.line), ("column", &error.column), ("reason", &text::shown(&error.message))],
        )
    }

    /// With the figures of an indicator.
    #[must_use]
    pub fn with_figures(mut self, asked: i64, used: i64, limit: i64, unit: &'static str) -> Self {
        self.asked = Some(asked);
        self.used = Some(used);
        self.limit = Some(limit);
        self.left = Some(limit.saturating_sub(used).max(0));
        self.unit = Some(unit);
        self
    }
}

/// Fills the places of a sentence in one pass, so that a value that itself contains braces stays as it is.
fn fill(sentence: &str, profile: &Profile, values: &[(&str, &dyn Display)]) -> String {
    let mut out = String::with_capacity(sentence.len() * 2);
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((place, tail)) = after.split_once('}') else {
            rest = after;
            break;
        };
        match values.iter().find(|(name, _)| *name == place) {
            Some((_, value)) => out.push_str(&value.to_string()),
            None if place == "authority" => out.push_str(&profile.authority_name),
            None if place == "offered" => out.push_str(&profile.zone_labels()),
            None => {
                debug_assert!(false, "no value for {{{place}}} in {sentence}");
                out.push('—');
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// The violations of one document, as they are found.
#[derive(Debug)]
pub struct Findings<'p> {
    profile: &'p Profile,
    list: Vec<Violation>,
}

impl<'p> Findings<'p> {
    pub const fn new(profile: &'p Profile) -> Self {
        Self { profile, list: Vec::new() }
    }

    pub const fn profile(&self) -> &'p Profile {
        self.profile
    }

    /// Adds a violation.
    pub fn add(&mut self, code: Code, pointer: &str, values: &[(&str, &dyn Display)]) {
        self.list.push(Violation::new(self.profile, code, pointer, values));
    }

    /// Adds a violation that is already worded.
    pub fn push(&mut self, violation: Violation) {
        self.list.push(violation);
    }

    /// Keeps only those that say yes.
    pub fn retain(&mut self, keep: impl FnMut(&Violation) -> bool) {
        self.list.retain(keep);
    }

    /// How many there are so far.
    pub const fn count_so_far(&self) -> usize {
        self.list.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn into_vec(self) -> Vec<Violation> {
        self.list
    }
}

/// A key as one token of a JSON pointer (RFC 6901), with what hides or reorders made visible.
pub fn pointer_token(key: &str) -> String {
    text::shown(key).replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_braces_stays_as_it_is() {
        let profile = Profile::embedded("xiangcheng").unwrap();
        let v = Violation::new(&profile, Code::TaskBookNotFound, "/task_book", &[("value", &"{authority}{x")]);
        assert!(v.message.contains("“{authority}{x”"), "{}", v.message);
        assert!(v.mend.contains("区信息办"), "{}", v.mend);
        assert_eq!(v.basis, "相政办〔2018〕150号 第十五条");
    }

    #[test]
    fn figures_never_wrap() {
        let profile = Profile::embedded("xiangcheng").unwrap();
        let v = Violation::new(&profile, Code::TaskBookMissing, "/task_book", &[]);
        assert_eq!(v.clone().with_figures(5, 7, 6, "vcpu").left, Some(0));
        assert_eq!(v.with_figures(5, i64::MAX, i64::MIN, "vcpu").left, Some(0));
    }

    #[test]
    fn a_key_becomes_one_pointer_token() {
        assert_eq!(pointer_token("a/b~c"), "a~1b~0c");
        assert_eq!(pointer_token("a\u{202e}\n"), "a\u{fffd}\u{fffd}");
    }
}
