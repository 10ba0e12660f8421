//! 域名: one fully qualified name, kept in ASCII, from which every machine of the request takes its own.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt};

/// The highest ordinal that a machine's name can carry; requests are bounded to 64 machines.
pub const MAX_ORDINAL: u32 = 63;

/// A fully qualified domain name: lower-case ASCII, at least two labels, and room for `-63` behind the first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainName(String);

/// Why a text is no [`DomainName`]. The messages are for people and stand inside a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainFault {
    #[error("只能填写一个域名")]
    Several,
    #[error("须包含至少两级")]
    OneLabel,
    #[error("每级只能由字母、数字和连字符（不在首尾）组成，每级不超过 63 个字符，总长不超过 253 个字符")]
    NotHostNames,
    #[error("只能由英文字母、数字、连字符和汉字组成；其他文字中有与之形近的字母，容易混淆")]
    ForeignLetters,
    #[error("首级须为多台虚拟机的序号（如 -63）留出余地，转换为 ASCII 后不超过 60 个字符，总长不超过 250 个字符")]
    NoRoom,
}

/// One machine's place in the names of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineName {
    /// `oa-1.example.gov.cn`
    pub fqdn: String,
    /// The guest's host name: the first label, as `oa-1`; `[a-z0-9-]{1,63}`.
    pub host: String,
}

impl DomainName {
    /// Reads a name as people write it: any case, full-width, Chinese labels, a dot at the end.
    pub fn parse(text: &str) -> Result<Self, DomainFault> {
        let text = text.trim();
        if text.contains(|c: char| c.is_whitespace() || matches!(c, ',' | '，' | '、' | ';' | '；')) {
            return Err(DomainFault::Several);
        }
        // Longer than any name even before it is made ASCII.
        if text.len() > 1024 {
            return Err(DomainFault::NotHostNames);
        }
        let text = text.strip_suffix(['.', '。', '．', '｡']).unwrap_or(text);
        let ascii = to_ascii(text).ok_or(DomainFault::NotHostNames)?;
        if !ascii.contains('.') {
            return Err(DomainFault::OneLabel);
        }
        let name = Self(ascii);
        // A Cyrillic о looks like the Latin one; a Chinese character looks like neither.
        if !name.to_unicode().chars().all(|c| c.is_ascii() || is_han(c)) {
            return Err(DomainFault::ForeignLetters);
        }
        match name.with_ordinal(MAX_ORDINAL) {
            Some(longest) if longest.len() <= 253 => Ok(name),
            _ => Err(DomainFault::NoRoom),
        }
    }

    /// The name in ASCII.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as people read it, with Chinese labels in Chinese.
    pub fn to_unicode(&self) -> String {
        idna::domain_to_unicode(&self.0).0
    }

    /// Stands below one of these suffixes.
    pub fn is_below(&self, suffixes: &[String]) -> bool {
        suffixes
            .iter()
            .any(|s| self.0.strip_suffix(s.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')))
    }

    /// The names of `count` machines: the name itself, then `-1`, `-2`, … behind its first label.
    pub fn machine_names(&self, count: u32) -> Vec<MachineName> {
        (0..count.min(MAX_ORDINAL + 1))
            .map(|n| {
                let fqdn = match n {
                    0 => self.0.clone(),
                    // A name was only accepted with room for the longest ordinal.
                    _ => self.with_ordinal(n).unwrap_or_else(|| self.0.replacen('.', &format!("-{n}."), 1)),
                };
                let host = fqdn.split('.').next().unwrap_or_default().to_owned();
                MachineName { fqdn, host }
            })
            .collect()
    }

    /// The ordinal goes behind the label as people read it: behind a Chinese label's ASCII form it would change the label.
    fn with_ordinal(&self, n: u32) -> Option<String> {
        let (first, rest) = self.0.split_once('.')?;
        let readable: Cow<'_, str> =
            if first.starts_with("xn--") { idna::domain_to_unicode(first).0.into() } else { first.into() };
        to_ascii(&format!("{readable}-{n}.{rest}"))
    }
}

/// 汉字: the unified ideographs with their extensions, and 〇.
const fn is_han(c: char) -> bool {
    matches!(c, '\u{3007}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{20000}'..='\u{3FFFD}')
}

fn to_ascii(text: &str) -> Option<String> {
    Uts46::new()
        .to_ascii(text.as_bytes(), AsciiDenyList::STD3, Hyphens::Check, DnsLength::Verify)
        .ok()
        .map(Cow::into_owned)
}

impl TryFrom<String> for DomainName {
    type Error = DomainFault;
    fn try_from(text: String) -> Result<Self, DomainFault> {
        Self::parse(&text)
    }
}

impl From<DomainName> for String {
    fn from(name: DomainName) -> Self {
        name.0
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ascii(text: &str) -> String {
        DomainName::parse(text).unwrap().0
    }

    #[test]
    fn names_as_people_write_them() {
        assert_eq!(ascii("OA.Xiangcheng.Example."), "oa.xiangcheng.example");
        assert_eq!(ascii("ｏａ。xiangcheng.example"), "oa.xiangcheng.example");
        assert_eq!(ascii("办公.xiangcheng.example"), "xn--55qx2a.xiangcheng.example");
        assert_eq!(DomainName::parse("办公.xiangcheng.example").unwrap().to_unicode(), "办公.xiangcheng.example");
    }

    #[test]
    fn what_is_no_host_name_is_refused() {
        for (text, fault) in [
            ("oa", DomainFault::OneLabel),
            ("о\u{430}.example", DomainFault::ForeignLetters),
            ("οa.example", DomainFault::ForeignLetters),
            ("xn--80a1acny.example", DomainFault::ForeignLetters),
            ("oa.example bb.example", DomainFault::Several),
            ("oa.example，bb.example", DomainFault::Several),
            ("", DomainFault::NotHostNames),
            (".", DomainFault::NotHostNames),
            ("oa..example", DomainFault::NotHostNames),
            ("oa_1.example", DomainFault::NotHostNames),
            ("-oa.example", DomainFault::NotHostNames),
            ("oa-.example", DomainFault::NotHostNames),
            ("*.example", DomainFault::NotHostNames),
            ("http://oa.example", DomainFault::NotHostNames),
            ("oa.example/x", DomainFault::NotHostNames),
            ("oa.example:80", DomainFault::NotHostNames),
            ("<oa>.example", DomainFault::NotHostNames),
            ("oa'.example", DomainFault::NotHostNames),
            ("oa\u{202e}.example", DomainFault::NotHostNames),
            ("oa\0.example", DomainFault::NotHostNames),
        ] {
            assert_eq!(DomainName::parse(text), Err(fault), "{text:?}");
        }
        assert_eq!(DomainName::parse(&format!("{}.example", "a".repeat(60))).map(|_| ()), Ok(()));
        assert_eq!(DomainName::parse(&format!("{}.example", "a".repeat(61))), Err(DomainFault::NoRoom));
        assert_eq!(DomainName::parse(&format!("{}.example", "a".repeat(64))), Err(DomainFault::NotHostNames));
        let long = format!("a.{}", ["b".repeat(63), "c".repeat(63), "d".repeat(63), "e".repeat(59)].join("."));
        assert_eq!(long.len(), 253);
        assert_eq!(DomainName::parse(&long), Err(DomainFault::NoRoom));
        assert_eq!(DomainName::parse(&"a.".repeat(5000)), Err(DomainFault::NotHostNames));
    }

    #[test]
    fn machines_take_their_names_from_the_first_label() {
        let names = DomainName::parse("oa.xiangcheng.example").unwrap().machine_names(3);
        let text: Vec<_> = names.iter().map(|n| (n.fqdn.as_str(), n.host.as_str())).collect();
        assert_eq!(
            text,
            [("oa.xiangcheng.example", "oa"), ("oa-1.xiangcheng.example", "oa-1"), ("oa-2.xiangcheng.example", "oa-2"),]
        );
        let chinese = DomainName::parse("办公.xiangcheng.example").unwrap().machine_names(2);
        assert_eq!(idna::domain_to_unicode(&chinese[1].fqdn).0, "办公-1.xiangcheng.example");
        assert!(DomainName::parse("oa.example").unwrap().machine_names(u32::MAX).len() == 64);
    }

    #[test]
    fn a_suffix_counts_at_a_dot_only() {
        let suffixes = ["szxc.gov.cn".to_owned()];
        for (name, below) in [
            ("oa.szxc.gov.cn", true),
            ("a.b.szxc.gov.cn", true),
            ("szxc.gov.cn", false),
            ("evilszxc.gov.cn", false),
            ("oa.szxc.gov.cn.evil.example", false),
        ] {
            assert_eq!(DomainName::parse(name).unwrap().is_below(&suffixes), below, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_gives_64_distinct_host_names(text in "\\PC{0,40}(\\.[a-z]{1,8}){0,2}") {
            if let Ok(name) = DomainName::parse(&text) {
                let names = name.machine_names(64);
                let distinct: std::collections::BTreeSet<_> = names.iter().map(|n| &n.fqdn).collect();
                prop_assert_eq!(distinct.len(), 64);
                for n in &names {
                    prop_assert!(n.fqdn.len() <= 253 && (1..=63).contains(&n.host.len()));
                    prop_assert!(n.host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
                    prop_assert!(DomainName::parse(&n.fqdn).is_ok() || n.host.len() > 60 || n.fqdn.len() > 250);
                }
                prop_assert_eq!(DomainName::parse(name.as_str()), Ok(name.clone()));
            }
        }
    }
}
