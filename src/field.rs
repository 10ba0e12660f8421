//! Reading one field of a document that people wrote. The document is taken as it comes (a number may be written as a
//! number or as text); each reading gives the typed value, or records what is wrong and gives none, so that one bad field
//! never hides the next.

use crate::{
    quantity::{self, QuantityFault},
    rule::Code,
    text::{self, Limits},
    units::Bytes,
    violation::Findings,
};
use jiff::civil::Date;
use serde_json::Value;
use std::{fmt::Display, ops::RangeInclusive};
use unicode_normalization::UnicodeNormalization;

/// Where a field stands, what people call it, and a value that would do.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// JSON pointer.
    pub pointer: &'a str,
    /// The form's word.
    pub label: &'a str,
    pub example: &'a str,
}

/// How a value is quoted in an answer.
pub fn quoted(value: &Value) -> String {
    match value {
        Value::String(s) => text::shown(s),
        Value::Array(_) => "（列表）".to_owned(),
        Value::Object(_) => "（对象）".to_owned(),
        other => text::shown(&other.to_string()),
    }
}

/// The value, unless it is absent: missing, null or blank text.
pub fn present(value: Option<&Value>) -> Option<&Value> {
    value.filter(|v| match v {
        Value::Null => false,
        Value::String(s) => !s.trim().is_empty(),
        _ => true,
    })
}

impl Findings<'_> {
    /// The value; its absence is a violation. So is a formula: what it comes to is not what somebody wrote.
    pub fn required<'v>(&mut self, value: Option<&'v Value>, at: At<'_>) -> Option<&'v Value> {
        let Some(value) = present(value) else {
            self.add(Code::Required, at.pointer, &[("field", &at.label), ("example", &at.example)]);
            return None;
        };
        if value.as_str().is_some_and(|s| s.trim_start().starts_with(['=', '＝'])) {
            self.add(Code::FormulaRefused, at.pointer, &[("field", &at.label), ("value", &quoted(value))]);
            return None;
        }
        Some(value)
    }

    /// A value that cannot be used, with the reason and what would do.
    pub fn bad_value(&mut self, value: &Value, at: At<'_>, reason: &dyn Display) {
        let hint = format!("按示例填写，例如 {}", at.example);
        self.add(
            Code::BadValue,
            at.pointer,
            &[("field", &at.label), ("value", &quoted(value)), ("reason", reason), ("hint", &hint)],
        );
    }

    /// Text in NFC within its limits. A whole number is taken as its digits.
    pub fn text(&mut self, value: &Value, at: At<'_>, limits: Limits) -> Option<String> {
        let read = match value {
            Value::String(s) => text::check(s, limits),
            Value::Number(n) if n.is_i64() => Ok(n.to_string()),
            _ => {
                self.bad_value(value, at, &"应为文字");
                return None;
            }
        };
        match read {
            // Blank after trimming: whatever was there was white space only.
            Ok(kept) if kept.is_empty() => {
                self.required(None, at);
                None
            }
            Ok(kept) => Some(kept),
            Err(fault) => {
                self.add(Code::TextRefused, at.pointer, &[("field", &at.label), ("reason", &fault)]);
                None
            }
        }
    }

    /// A whole number within `range`; as text it may carry one of `units` (lower case).
    pub fn count(&mut self, value: &Value, at: At<'_>, units: &[&str], range: RangeInclusive<i64>) -> Option<i64> {
        let read = match value {
            Value::String(s) => quantity::count(s, units),
            other => whole_number(other),
        };
        self.in_range(value, at, read, &range)
    }

    /// A number of months within `range`; in a sentence, the one period that it names.
    pub fn months(&mut self, value: &Value, at: At<'_>, range: RangeInclusive<i64>) -> Option<i64> {
        let read = match value {
            Value::String(s) => quantity::months(s).or_else(|fault| quantity::period(s).ok_or(fault)),
            other => whole_number(other),
        };
        self.in_range(value, at, read, &range)
    }

    /// A size with its unit, within `range`. A bare number is refused: nobody knows whether 16 is GiB or MiB.
    pub fn bytes(&mut self, value: &Value, at: At<'_>, range: RangeInclusive<Bytes>) -> Option<Bytes> {
        let read = match value {
            Value::String(s) => quantity::bytes(s),
            Value::Number(_) => Err(QuantityFault::UnitMissing),
            _ => Err(QuantityFault::NotANumber),
        };
        match read {
            Ok(size) if range.contains(&size) => Some(size),
            Ok(_) | Err(QuantityFault::TooLarge | QuantityFault::Negative) => {
                self.out_of_range(value, at, range.start(), range.end());
                None
            }
            Err(QuantityFault::UnitMissing) => {
                let values: &[(&str, &dyn Display)] =
                    &[("field", &at.label), ("value", &quoted(value)), ("example", &at.example)];
                self.add(Code::UnitMissing, at.pointer, values);
                None
            }
            Err(fault) => {
                self.bad_value(value, at, &fault);
                None
            }
        }
    }

    /// A day of the calendar: `2027-03-31`, `2027年3月31日`, `2027/3/31`, `2027.3.31`.
    pub fn date(&mut self, value: &Value, at: At<'_>) -> Option<Date> {
        let date = value.as_str().and_then(parse_date);
        if date.is_none() {
            self.bad_value(value, at, &"不是一个日期");
        }
        date
    }

    /// The day by which something is to be done, as plans name it: a day, or the last day of a month, quarter or year.
    pub fn deadline(&mut self, value: &Value, at: At<'_>) -> Option<Date> {
        let date = value.as_str().and_then(parse_deadline);
        if date.is_none() {
            self.bad_value(value, at, &"不是一个日期");
        }
        date
    }

    /// A value beyond its bounds.
    pub fn out_of_range(&mut self, value: &Value, at: At<'_>, min: &dyn Display, max: &dyn Display) {
        let values: &[(&str, &dyn Display)] =
            &[("field", &at.label), ("value", &quoted(value)), ("min", min), ("max", max)];
        self.add(Code::OutOfRange, at.pointer, values);
    }

    fn in_range(
        &mut self,
        value: &Value,
        at: At<'_>,
        read: Result<i64, QuantityFault>,
        range: &RangeInclusive<i64>,
    ) -> Option<i64> {
        match read {
            Ok(n) if range.contains(&n) => return Some(n),
            Ok(_) | Err(QuantityFault::TooLarge | QuantityFault::Negative) => {
                self.out_of_range(value, at, range.start(), range.end());
            }
            Err(fault) => self.bad_value(value, at, &fault),
        }
        None
    }
}

/// A JSON number that is whole and fits. A float is refused even where it is whole: above 2^53 it is no longer the number
/// that was written.
fn whole_number(value: &Value) -> Result<i64, QuantityFault> {
    match value {
        Value::Number(n) => match n.as_i64() {
            Some(n) => Ok(n),
            None if n.is_u64() => Err(QuantityFault::TooLarge),
            None => Err(QuantityFault::NotWhole),
        },
        _ => Err(QuantityFault::NotANumber),
    }
}

/// A civil date as offices write it.
pub fn parse_date(text: &str) -> Option<Date> {
    if text.len() > 64 {
        return None;
    }
    let text: String = text.nfkc().filter(|c| !c.is_whitespace()).collect();
    let text = text.strip_suffix('日').or_else(|| text.strip_suffix('号')).unwrap_or(&text);
    let mut parts = text.split(['-', '/', '.', '年', '月']);
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 || [year, month, day].iter().any(|p| !digits(p)) {
        return None;
    }
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

/// A civil date, or the last day of the period that a plan names: `2026年12月`, `2026-12`, `2026年12月上旬`,
/// `2027年第一季度`, `2027年上半年`, `2026年底`.
pub fn parse_deadline(text: &str) -> Option<Date> {
    if let Some(date) = parse_date(text) {
        return Some(date);
    }
    if text.len() > 64 {
        return None;
    }
    let text: String = text.nfkc().filter(|c| !c.is_whitespace()).collect();
    let text = text.trim_end_matches(['前', '内']);
    if let Some(date) = parse_date(text) {
        return Some(date);
    }
    let (year, rest) = text.split_at_checked(4)?;
    let year: i16 = year.parse().ok().filter(|_| digits(year))?;
    let rest = rest.strip_prefix(['年', '-', '/', '.'])?;
    let last = |month: i8| Date::new(year, month, 1).ok().map(Date::last_of_month);
    match rest.strip_prefix('第').unwrap_or(rest) {
        "" | "底" | "末" | "年底" | "年末" | "四季度" | "4季度" | "下半年" => return last(12),
        "一季度" | "1季度" => return last(3),
        "二季度" | "2季度" | "上半年" => return last(6),
        "三季度" | "3季度" => return last(9),
        _ => {}
    }
    let (month, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    let month: i8 = month.parse().ok().filter(|_| digits(month))?;
    match rest.strip_prefix('月').unwrap_or(rest) {
        "" | "底" | "末" | "下旬" | "份" => last(month),
        "初" | "上旬" => Date::new(year, month, 10).ok(),
        "中旬" | "中" => Date::new(year, month, 20).ok(),
        _ => None,
    }
}

fn digits(part: &str) -> bool {
    (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jurisdiction::Profile;
    use proptest::prelude::*;
    use serde_json::json;

    const AT: At<'static> = At { pointer: "/x", label: "甲", example: "16 GiB" };

    fn codes<T: std::fmt::Debug>(read: impl FnOnce(&mut Findings<'_>) -> Option<T>) -> (Option<T>, Vec<&'static str>) {
        let profile = Profile::embedded("xiangcheng").unwrap();
        let mut findings = Findings::new(&profile);
        let value = read(&mut findings);
        let list = findings.into_vec();
        assert_eq!(value.is_some(), list.is_empty(), "{value:?} {list:?}");
        assert!(list.iter().all(|v| !v.message.contains('{') && !v.mend.contains('{')), "{list:?}");
        (value, list.into_iter().map(|v| v.code).collect())
    }

    #[test]
    fn boundary_numbers_are_violations_and_never_wrap() {
        let odd = [
            json!(-1),
            json!(i64::MIN),
            json!(1_i64 << 31),
            json!(1_u64 << 32),
            json!(1_i64 << 53),
            json!(i64::MAX),
            json!(u64::MAX),
            json!(2.5),
            json!(2.0),
            json!(1e300),
            json!("NaN"),
            json!("Infinity"),
            json!("-0"),
            json!("1e9"),
            json!("0x10"),
            json!("18446744073709551618"),
            json!(true),
            json!([2]),
            json!({"n": 2}),
        ];
        for value in odd {
            for code in [
                codes(|f| f.count(&value, AT, &["核"], 1..=64)).1,
                codes(|f| f.months(&value, AT, 1..=120)).1,
                codes(|f| f.bytes(&value, AT, Bytes::default()..=Bytes::MAX)).1,
            ] {
                assert_eq!(code.len(), 1, "{value}");
            }
        }
        assert_eq!(codes(|f| f.count(&json!(0), AT, &[], 1..=64)).1, ["out_of_range"]);
        assert_eq!(codes(|f| f.count(&json!(64), AT, &[], 1..=64)).0, Some(64));
        assert_eq!(codes(|f| f.bytes(&json!(16), AT, Bytes::default()..=Bytes::MAX)).1, ["unit_missing"]);
        assert_eq!(codes(|f| f.bytes(&json!("16"), AT, Bytes::default()..=Bytes::MAX)).1, ["unit_missing"]);
    }

    #[test]
    fn dates_as_offices_write_them() {
        for text in ["2027-03-31", "2027年3月31日", "2027/3/31", "２０２７．３．３１", "2027 年 3 月 31 号"]
        {
            assert_eq!(parse_date(text), Some(jiff::civil::date(2027, 3, 31)), "{text}");
        }
        for text in ["", "2027-02-29", "2027-03", "27-3-31", "2027-3-31-1", "明年三月", "2027-+3-31", "9999999-1-1"]
        {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }

    #[test]
    fn deadlines_as_plans_name_them() {
        use jiff::civil::date;
        for (text, day) in [
            ("2026年12月", date(2026, 12, 31)),
            ("２０２７年２月底", date(2027, 2, 28)),
            ("2026-12", date(2026, 12, 31)),
            ("2026年12月31日前", date(2026, 12, 31)),
            ("2026年12月中旬", date(2026, 12, 20)),
            ("2027年第一季度", date(2027, 3, 31)),
            ("2027年上半年", date(2027, 6, 30)),
            ("2026年底", date(2026, 12, 31)),
            ("2026年12月31日", date(2026, 12, 31)),
        ] {
            assert_eq!(parse_deadline(text), Some(day), "{text}");
        }
        for text in ["", "明年", "12月", "2026年13月", "2026年十二月", "26年12月", "20270331", "2027年3月31日至6月"]
        {
            assert_eq!(parse_deadline(text), None, "{text}");
        }
    }

    #[test]
    fn blank_is_absent() {
        assert_eq!(codes(|f| f.required(Some(&json!(" \u{3000}")), AT).map(|_| ())).1, ["required"]);
        assert_eq!(codes(|f| f.required(Some(&Value::Null), AT).map(|_| ())).1, ["required"]);
        assert_eq!(codes(|f| f.text(&json!("a\u{0}"), AT, text::NAME)).1, ["text_refused"]);
        assert_eq!(codes(|f| f.text(&json!(["a"]), AT, text::NAME)).1, ["bad_value"]);
    }

    proptest! {
        #[test]
        fn any_text_is_a_date_or_not(text in any::<String>()) {
            let _ = (parse_date(&text), parse_deadline(&text));
        }
    }
}
