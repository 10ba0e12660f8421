//! Values as people read them: sizes, instants, names. Pure; the time zone is passed in.

use super::{
    language::{clause, comma, say, tr},
    words,
};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;

/// What an absent value looks like in a table.
pub const NOTHING: &str = "-";

const UNITS: [(&str, i64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Bytes in the largest binary unit that is not below one, with at most one decimal: `16 GiB`, `1.5 GiB`.
pub fn size(bytes: i64) -> String {
    for (unit, one) in UNITS {
        if bytes >= one {
            // Tenths, rounded down: what is free is never shown as more than it is.
            let tenths = i128::from(bytes) * 10 / i128::from(one);
            let (whole, rest) = (tenths / 10, tenths % 10);
            return if rest == 0 { format!("{whole} {unit}") } else { format!("{whole}.{rest} {unit}") };
        }
    }
    format!("{bytes} B")
}

/// `2GiB`, `2G`, `512 MiB`, `1024` (bytes): binary units, whole numbers.
pub fn parse_size(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: i64 = text.get(..digits)?.parse().ok()?;
    let one = match text.get(digits..)?.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return None,
    };
    // Above 2^53 a JSON reader may round the number.
    number.checked_mul(one).filter(|bytes| *bytes < 1 << 53)
}

/// A number of the dimension's unit: bytes as a size, cores and machines with their counter.
pub fn quantity(value: &Value, unit: &str) -> String {
    match (value.as_i64(), unit) {
        (Some(n), "bytes" | "byte" | "memory_bytes" | "disk_bytes") => size(n),
        (_, "vcpu" | "cores") => say!("{n} 核", n = scalar(value)),
        (_, "mlps_level") => say!("{n} 级", n = scalar(value)),
        (_, "addresses") => say!("{n} 个", n = scalar(value)),
        (_, "machines" | "machine" | "hosts") => say!("{n} 台", n = scalar(value)),
        (_, "" | "bytes" | "byte" | "memory_bytes" | "disk_bytes") => scalar(value),
        (_, other) => format!("{} {}", scalar(value), clean(other)),
    }
}

/// An RFC 3339 instant as a short local time; a civil date or anything else as it stands.
pub fn time(text: &str, zone: &TimeZone) -> String {
    match text.parse::<Timestamp>() {
        Ok(instant) => instant.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => clean(text),
    }
}

/// Any value on one line.
pub fn scalar(value: &Value) -> String {
    match value {
        Value::Null => NOTHING.into(),
        Value::Bool(true) => "是".into(),
        Value::Bool(false) => "否".into(),
        Value::Number(n) => n.to_string(),
        Value::String(s) if s.is_empty() => NOTHING.into(),
        Value::String(s) => clean(s),
        Value::Array(items) if items.is_empty() => NOTHING.into(),
        Value::Array(items) => items.iter().map(scalar).collect::<Vec<_>>().join(comma()),
        Value::Object(_) => named(value),
    }
}

/// The value of a field, by what its name says of the unit.
pub fn field(key: &str, value: &Value) -> String {
    let key = key.rsplit('/').next().unwrap_or(key);
    match (value.as_i64(), value.as_str().and_then(|word| words::value(key, word))) {
        (Some(bytes), _) if key.ends_with("_bytes") => size(bytes),
        (_, Some(word)) => tr(word).to_owned(),
        _ => scalar(value),
    }
}

/// An object by the name people know it by, or else as `key=value` pairs.
pub fn named(value: &Value) -> String {
    let Some(object) = value.as_object() else { return scalar(value) };
    if let Some(name) = ["name", "number", "login", "code"].iter().find_map(|key| object.get(*key)?.as_str()) {
        return match object.get("contact").and_then(Value::as_str) {
            Some(contact) => say!("{name}（{contact}）", name = clean(name), contact = clean(contact)),
            None => clean(name),
        };
    }
    let pairs = object.iter().filter(|(_, v)| !v.is_null());
    let pairs = pairs.map(|(k, v)| format!("{}={}", words::field(k).unwrap_or(k), field(k, v)));
    pairs.collect::<Vec<_>>().join(clause())
}

/// Text that cannot move the cursor, recolour the terminal or turn the reading direction: what requesters and guests
/// wrote is shown, never obeyed.
pub fn clean(text: &str) -> String {
    if text.chars().all(|c| !unsafe_to_show(c)) {
        return text.to_owned();
    }
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            c if unsafe_to_show(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// As [`clean`], with line ends and tabs kept, for a log on a terminal.
pub fn clean_lines(text: &str) -> String {
    let keep = |c: char| matches!(c, '\n' | '\t') || !unsafe_to_show(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            skip_escape(&mut rest);
        } else if keep(c) {
            out.push(c);
        }
    }
    out
}

/// Past an escape sequence's parameters and its final letter, so that `\e[31m` leaves no `[31m` behind.
fn skip_escape(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    if rest.next_if_eq(&'[').is_none() {
        return;
    }
    while rest.next_if(|c| matches!(c, '\u{20}'..='\u{3f}')).is_some() {}
    rest.next_if(|c| matches!(c, '\u{40}'..='\u{7e}'));
}

fn unsafe_to_show(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sizes_are_readable_and_never_flatter() {
        let sizes = [0, 1023, 1 << 20, (3 << 30) / 2, 16 << 30, (2 << 40) - 1, 2 << 40, i64::MAX].map(size);
        assert_eq!(
            sizes,
            ["0 B", "1023 B", "1 MiB", "1.5 GiB", "16 GiB", "1.9 TiB", "2 TiB", "8388607.9 TiB"].map(String::from)
        );
    }

    #[test]
    fn sizes_are_read_with_their_unit() {
        assert_eq!(parse_size("2GiB"), Some(2 << 30));
        assert_eq!(parse_size("512 m"), Some(512 << 20));
        assert_eq!(parse_size("4096"), Some(4096));
        for bad in ["", "GiB", "-1G", "1.5G", "2 apples", "9999999999T", "99999999999999999999"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_are_local_and_short() {
        let zone = TimeZone::fixed(jiff::tz::offset(8));
        assert_eq!(time("2026-11-20T17:35:12.5Z", &zone), "2026-11-21 01:35");
        assert_eq!(time("2026-12-31", &zone), "2026-12-31");
    }

    #[test]
    fn nothing_a_guest_writes_reaches_the_terminal_as_a_command() {
        assert_eq!(clean("a\u{1b}]0;owned\u{7}b"), "a\u{fffd}]0;owned\u{fffd}b");
        assert_eq!(clean("正常\u{202e}文字"), "正常\u{fffd}文字");
        assert_eq!(clean_lines("\u{1b}[1;31mred\u{1b}[0m\r\nnext\u{1b}c\tx"), "red\nnextc\tx");
    }

    #[test]
    fn objects_show_the_name_people_know() {
        assert_eq!(scalar(&json!({"code": "edu", "name": "区教育局"})), "区教育局");
        assert_eq!(scalar(&json!(["a", "b"])), "a、b");
        assert_eq!(scalar(&json!({"deploy_milestone": "2026-12-01"})), "系统部署日期=2026-12-01");
    }
}
