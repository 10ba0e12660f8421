//! Text that people wrote, before it may go anywhere: one normal form (NFC), no characters that hide or reorder what is
//! read, a length in characters and in bytes. Where it is only compared, [`fold`] takes away what does not matter.

use unicode_normalization::UnicodeNormalization;

/// How long a text may be and whether it may have lines. The bound in bytes is three times that in characters, which
/// is what Chinese needs in UTF-8, so that a text of rarer characters cannot take more room than one of common ones.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub max_chars: usize,
    pub multiline: bool,
}

/// A name, a number of a document, a contact: one line, 100 characters.
pub const NAME: Limits = Limits { max_chars: 100, multiline: false };
/// A description: lines allowed, 2,000 characters.
pub const PROSE: Limits = Limits { max_chars: 2000, multiline: true };

impl Limits {
    /// The bound in bytes of UTF-8.
    pub const fn max_bytes(self) -> usize {
        self.max_chars * 3
    }
}

/// Why a text is refused. The messages are for people and stand inside a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    #[error("没有内容")]
    Blank,
    #[error("含有控制字符 U+{0:04X}")]
    Control(u32),
    #[error("含有不可见或改变书写方向的字符 U+{0:04X}")]
    Hidden(u32),
    #[error("含有换行")]
    Line,
    #[error("有 {chars} 个字符，最多 {max} 个")]
    TooLong { chars: usize, max: usize },
    #[error("有 {bytes} 字节，最多 {max} 字节")]
    TooManyBytes { bytes: usize, max: usize },
}

/// Characters that are not seen, or that change the order in which others are seen: what a reviewer approves must be
/// what is stored.
pub const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{180E}' | '\u{200B}'..='\u{200F}'
        | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

/// The text in NFC, without the white space around it, or why it cannot be kept. `\r\n` and `\r` become `\n`; a tab
/// becomes a space.
pub fn check(text: &str, limits: Limits) -> Result<String, TextFault> {
    // Before normalising, which costs time in proportion: no text of more than four times the bound can pass.
    if text.len() > limits.max_bytes().saturating_mul(4) {
        return Err(TextFault::TooManyBytes { bytes: text.len(), max: limits.max_bytes() });
    }
    let unified = text.replace("\r\n", "\n").replace('\r', "\n").replace('\t', " ");
    let kept: String = unified.trim().nfc().collect();
    for c in kept.chars() {
        if c == '\n' {
            if !limits.multiline {
                return Err(TextFault::Line);
            }
        } else if c.is_control() {
            return Err(TextFault::Control(c.into()));
        } else if is_hidden(c) {
            return Err(TextFault::Hidden(c.into()));
        }
    }
    let chars = kept.chars().count();
    if chars > limits.max_chars {
        return Err(TextFault::TooLong { chars, max: limits.max_chars });
    }
    if kept.len() > limits.max_bytes() {
        return Err(TextFault::TooManyBytes { bytes: kept.len(), max: limits.max_bytes() });
    }
    Ok(kept)
}

/// The same for a text that must say something.
pub fn said(text: &str, limits: Limits) -> Result<String, TextFault> {
    check(text, limits).and_then(|kept| if kept.is_empty() { Err(TextFault::Blank) } else { Ok(kept) })
}

/// The form in which words are compared: compatibility forms made one (full-width digits and letters), lower case, no
/// white space.
pub fn fold(text: &str) -> String {
    // Most of a report is ASCII, in either width, and Chinese characters, which have no other form: the short way.
    let mut short = String::with_capacity(text.len());
    for c in text.chars() {
        match plain(c) {
            Some(c) if !c.is_ascii_whitespace() => short.push(c.to_ascii_lowercase()),
            Some(_) => {}
            None => return text.nfkc().flat_map(char::to_lowercase).filter(|c| !c.is_whitespace()).collect(),
        }
    }
    short
}

/// The compatibility form of a character that has one by itself, whatever stands beside it, and whose case only ASCII has.
const fn plain(c: char) -> Option<char> {
    Some(match c {
        // No white space to ASCII, and white space to Unicode.
        '\u{0b}' => return None,
        '\0'..='\x7f' | '\u{4e00}'..='\u{9fff}' | '、' | '。' | '“' | '”' | '〔' | '〕' => c,
        '\u{3000}' => ' ',
        // Full-width ASCII stands in ASCII's order.
        '\u{ff01}'..='\u{ff5e}' => match char::from_u32(c as u32 - 0xfee0) {
            Some(narrow) => narrow,
            None => return None,
        },
        _ => return None,
    })
}

/// Bytes in lower-case hexadecimal, as digests are written everywhere.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The text as an answer may quote it: at most 60 characters, with nothing in it that hides or reorders.
pub fn shown(text: &str) -> String {
    const MAX: usize = 60;
    let mut out: String =
        text.chars().take(MAX).map(|c| if c.is_control() || is_hidden(c) { '\u{FFFD}' } else { c }).collect();
    if text.chars().nth(MAX).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_hides_or_reorders_is_refused() {
        for (text, fault) in [
            ("办公\0系统", TextFault::Control(0)),
            ("办公\u{7f}", TextFault::Control(0x7f)),
            ("办公\u{85}系统", TextFault::Control(0x85)),
            ("a\u{202e}b", TextFault::Hidden(0x202e)),
            ("a\u{2066}b", TextFault::Hidden(0x2066)),
            ("a\u{200b}b", TextFault::Hidden(0x200b)),
            ("a\u{e0041}b", TextFault::Hidden(0xe0041)),
            ("一\n二", TextFault::Line),
        ] {
            assert_eq!(check(text, NAME), Err(fault), "{text:?}");
        }
        assert_eq!(check(" 一\r\n二\r三\t四 ", PROSE).as_deref(), Ok("一\n二\n三 四"));
    }

    #[test]
    fn length_counts_characters_and_bytes() {
        assert!(check(&"汉".repeat(100), NAME).is_ok());
        assert_eq!(check(&"汉".repeat(101), NAME), Err(TextFault::TooLong { chars: 101, max: 100 }));
        assert_eq!(check(&"𠀀".repeat(100), NAME), Err(TextFault::TooManyBytes { bytes: 400, max: 300 }));
        assert!(matches!(check(&"a".repeat(1 << 20), PROSE), Err(TextFault::TooManyBytes { .. })));
    }

    #[test]
    fn one_normal_form_is_kept() {
        assert_eq!(check("e\u{301}", NAME).as_deref(), Ok("é"));
        assert_eq!(fold(" Ｄebian　１２ "), "debian12");
    }

    #[test]
    fn the_short_way_folds_as_the_long_one() {
        let long = |text: &str| -> String {
            text.nfkc().flat_map(char::to_lowercase).filter(|c| !c.is_whitespace()).collect()
        };
        for c in ('\0'..=char::MAX).filter(|c| plain(*c).is_some()) {
            assert_eq!(fold(&c.to_string()), long(&c.to_string()), "{c:?}");
        }
        // A mark behind a plain letter makes the text take the long way.
        for text in ["e\u{301}", "ＣＰＵ 数量", "a\u{0b}b", "a\u{1c}b\u{a0}c"] {
            assert_eq!(fold(text), long(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_kept_for_good(text in any::<String>()) {
            for limits in [NAME, PROSE] {
                if let Ok(kept) = check(&text, limits) {
                    prop_assert_eq!(check(&kept, limits), Ok(kept.clone()));
                }
            }
            prop_assert!(shown(&text).chars().all(|c| !c.is_control() && !is_hidden(c)));
        }
    }
}
