//! What the sheets of a workbook share: its strings, and which number formats are dates.

use super::{
    limits::{Budget, too_large},
    outcome::FormFault,
    xml::{Token, Xml},
};
use jiff::{ToSpan, civil};
use std::collections::BTreeSet;

const MAX_STRINGS: usize = 200_000;
/// What a workbook may have at most, by its own format.
const MAX_FORMATS: usize = 65_536;

/// The table of strings. Each is bounded by the text that was really read; what the table claims of its length is not
/// looked at.
pub(super) fn shared_strings(content: &str, budget: &mut Budget) -> Result<Vec<String>, FormFault> {
    let mut xml = Xml::new(content);
    let mut out: Vec<String> = Vec::new();
    let (mut text, mut skipped) = (false, 0_usize);
    while let Some(token) = xml.next()? {
        match token {
            Token::Open(_) if skipped > 0 => skipped += 1,
            Token::Open(tag) => match tag.name() {
                "si" => {
                    if out.len() >= MAX_STRINGS {
                        return Err(too_large(format!("超过 {MAX_STRINGS} 个不同的单元格文字")));
                    }
                    out.push(String::new());
                }
                "t" => text = true,
                // How a word is pronounced.
                "rPh" => skipped = 1,
                _ => {}
            },
            Token::Close if skipped > 0 => skipped -= 1,
            Token::Close => text = false,
            Token::Text(part) => {
                if text
                    && skipped == 0
                    && let Some(last) = out.last_mut()
                {
                    budget.text(&part)?;
                    last.push_str(&part);
                }
            }
        }
    }
    Ok(out)
}

#[derive(Debug, Default)]
pub(super) struct Styles {
    /// Format by style.
    formats: Vec<u32>,
    /// Formats of the workbook's own that show a date.
    dates: BTreeSet<u32>,
    pub from_1904: bool,
}

impl Styles {
    pub fn is_date(&self, style: usize) -> bool {
        self.formats
            .get(style)
            .is_some_and(|f| matches!(f, 14..=17 | 22 | 27..=31 | 36 | 50..=54 | 57 | 58) || self.dates.contains(f))
    }
}

pub(super) fn styles(content: &str) -> Result<Styles, FormFault> {
    let mut xml = Xml::new(content);
    let mut out = Styles::default();
    let mut path: Vec<bool> = Vec::new();
    while let Some(token) = xml.next()? {
        match token {
            Token::Open(tag) => {
                let id = || tag.attribute("numFmtId").and_then(|n| n.parse::<u32>().ok());
                if tag.name() == "numFmt" && tag.attribute("formatCode").is_some_and(|c| shows_date(&c)) {
                    out.dates.extend(id());
                } else if tag.name() == "xf" && path.last() == Some(&true) {
                    out.formats.push(id().unwrap_or_default());
                }
                if out.formats.len() > MAX_FORMATS || out.dates.len() > MAX_FORMATS {
                    return Err(too_large(format!("超过 {MAX_FORMATS} 种单元格格式")));
                }
                path.push(tag.name() == "cellXfs");
            }
            Token::Close => _ = path.pop(),
            Token::Text(_) => {}
        }
    }
    Ok(out)
}

/// A format with a year or a day in it, outside of quotes and brackets.
fn shows_date(code: &str) -> bool {
    let (mut quoted, mut bracket, mut escaped) = (false, false, false);
    for c in code.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '[' if !quoted => bracket = true,
            ']' if !quoted => bracket = false,
            'y' | 'Y' | 'd' | 'D' if !quoted && !bracket => return true,
            _ => {}
        }
    }
    false
}

/// The day that a number stands for.
pub(super) fn date(serial: f64, from_1904: bool) -> Option<String> {
    if !(1.0..2_958_466.0).contains(&serial) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "in range, by the check above")]
    let days = serial.floor() as i64;
    let epoch = if from_1904 { civil::date(1904, 1, 1) } else { civil::date(1899, 12, 30) };
    epoch.checked_add(days.days()).ok().map(|d| d.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_for_days() {
        assert_eq!(date(46_387.0, false).as_deref(), Some("2026-12-31"));
        assert_eq!(date(44_925.5, true).as_deref(), Some("2026-12-31"));
        assert_eq!(date(f64::NAN, false), None);
        assert_eq!(date(1e300, false), None);
    }

    #[test]
    fn formats_of_days_are_told_apart() {
        for code in ["yyyy-mm-dd", "yyyy\"年\"m\"月\"d\"日\"", "[$-804]d/m/yy"] {
            assert!(shows_date(code), "{code}");
        }
        for code in ["0\"day\"", "General", "[Red]0.00", "0.00E+00", "#,##0\\d"] {
            assert!(!shows_date(code), "{code}");
        }
    }
}
