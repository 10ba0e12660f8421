//! Quantities as offices write them: `16G`, `16 GB`, `１６ＧＢ`, `8核`, `两台`. Every reading is exact or refused; a range, a
//! guess or a bare number of memory is never turned into a figure.
//!
//! `G`, `GB`, `GiB` (in any case) all mean 2^30 bytes here, and likewise `K`, `M`, `T`: that is what the writers of the
//! form mean, and what a hypervisor can give. Nobody asks for 16 × 10^9 bytes of memory.

use crate::units::Bytes;
use unicode_normalization::UnicodeNormalization;

/// Why a quantity could not be read. The messages are for people and stand inside a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityFault {
    #[error("为空")]
    Empty,
    #[error("没有写单位")]
    UnitMissing,
    #[error("单位无法识别")]
    UnitUnknown,
    #[error("是一个范围，不是一个确定的数")]
    Range,
    #[error("不是整数")]
    NotWhole,
    #[error("是负数")]
    Negative,
    #[error("不是数字")]
    NotANumber,
    #[error("超出可表示的范围")]
    TooLarge,
}

/// A size with its unit. The number may have decimals where the size comes out in whole bytes (`1.5T`).
pub fn bytes(text: &str) -> Result<Bytes, QuantityFault> {
    let (number, unit) = split(text)?;
    let shift = match unit.as_str() {
        "" => return Err(QuantityFault::UnitMissing),
        "b" | "字节" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(QuantityFault::UnitUnknown),
    };
    let scaled = i128::from(number.digits) << shift;
    let divisor = 10_i128.pow(number.decimals);
    if scaled % divisor != 0 {
        return Err(QuantityFault::NotWhole);
    }
    i64::try_from(scaled / divisor).ok().and_then(Bytes::new).ok_or(QuantityFault::TooLarge)
}

/// Every size that a sentence names, in its order. What goes on with a letter or a stroke (`100Mbps`, `10M/s`) is a rate.
pub fn sizes(text: &str) -> Vec<Bytes> {
    const MOST: usize = 4096;
    let text: String = text.nfkc().flat_map(char::to_lowercase).filter(|c| !c.is_whitespace()).take(MOST).collect();
    let mut found = Vec::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        rest = &rest[start..];
        let number = leading(rest);
        let unit = rest[number..].find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len() - number);
        let end = number + unit;
        if unit > 0
            && !rest[end..].starts_with('/')
            && let Ok(size) = bytes(&rest[..end])
        {
            found.push(size);
        }
        rest = &rest[end..];
    }
    found
}

/// A whole number, alone or followed by one of `units` (given in lower case).
pub fn count(text: &str, units: &[&str]) -> Result<i64, QuantityFault> {
    let (number, unit) = split(text)?;
    if !unit.is_empty() && !units.contains(&unit.as_str()) {
        return Err(QuantityFault::UnitUnknown);
    }
    number.whole()
}

/// A number of months: `36`, `36个月`, `3年`.
pub fn months(text: &str) -> Result<i64, QuantityFault> {
    let (number, unit) = split(text)?;
    let each = match unit.as_str() {
        "" | "月" | "个月" | "month" | "months" => 1,
        "年" | "year" | "years" => 12,
        _ => return Err(QuantityFault::UnitUnknown),
    };
    number.whole()?.checked_mul(each).ok_or(QuantityFault::TooLarge)
}

/// The one period that a sentence names, in months: `3年（36个月）`, `自验收之日起三年`. A calendar year is none.
pub fn period(text: &str) -> Option<i64> {
    let text: String = text.nfkc().flat_map(char::to_lowercase).filter(|c| !c.is_whitespace()).take(256).collect();
    let mut found = None;
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        let number = leading(rest);
        let (head, tail) = rest.split_at(if number == 0 { c.len_utf8() } else { number });
        rest = tail;
        let unit = ["个月", "月", "年"].into_iter().find(|unit| number > 0 && tail.starts_with(unit));
        let Some(unit) = unit else { continue };
        // 2027年, 12月: dates.
        if unit == "月" || head.len() >= 4 && head.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let n = months(&format!("{head}{unit}")).ok()?;
        if found.replace(n).is_some_and(|other| other != n) {
            return None;
        }
    }
    found
}

/// `digits` / 10^`decimals`, with at most six decimals.
struct Number {
    digits: i64,
    decimals: u32,
}

impl Number {
    fn whole(&self) -> Result<i64, QuantityFault> {
        let divisor = 10_i64.pow(self.decimals);
        if self.digits % divisor == 0 { Ok(self.digits / divisor) } else { Err(QuantityFault::NotWhole) }
    }
}

/// The number and the unit behind it, in lower case and without spaces.
fn split(text: &str) -> Result<(Number, String), QuantityFault> {
    // Nothing longer is a quantity, and the loops below need not look at it.
    if text.len() > 256 {
        return Err(QuantityFault::NotANumber);
    }
    let text: String = text.nfkc().flat_map(char::to_lowercase).filter(|c| !c.is_whitespace()).collect();
    if text.is_empty() {
        return Err(QuantityFault::Empty);
    }
    if let Some(rest) = text.strip_prefix(['-', '−']) {
        return Err(if rest.starts_with(|c: char| c.is_ascii_digit()) {
            QuantityFault::Negative
        } else {
            QuantityFault::NotANumber
        });
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (head, unit) = text.split_at(end);
    if head.is_empty() {
        return chinese(&text).ok_or(QuantityFault::NotANumber);
    }
    if unit.contains(|c: char| c.is_ascii_digit()) {
        let range = unit.contains(['-', '–', '—', '~', '至', '到', '、', '或']);
        return Err(if range { QuantityFault::Range } else { QuantityFault::NotANumber });
    }
    let (whole, fraction) = head.split_once('.').unwrap_or((head, ""));
    if whole.is_empty() || fraction.contains('.') || head.ends_with('.') {
        return Err(QuantityFault::NotANumber);
    }
    let fraction = fraction.trim_end_matches('0');
    let decimals = u32::try_from(fraction.len()).ok().filter(|n| *n <= 6).ok_or(QuantityFault::NotWhole)?;
    let digits = format!("{whole}{fraction}").parse().map_err(|_| QuantityFault::TooLarge)?;
    Ok((Number { digits, decimals }, unit.to_owned()))
}

/// How many bytes of the text are its number, in digits or in Chinese numerals.
pub fn leading(text: &str) -> usize {
    let of = |wanted: &dyn Fn(char) -> bool| text.find(|c| !wanted(c)).unwrap_or(text.len());
    match of(&|c| c.is_ascii_digit() || c == '.') {
        0 => of(&|c| numeral(c).is_some()),
        n => n,
    }
}

/// A Chinese numeral before the unit, up to 9999: 两, 十二, 三十, 一百二十八; 贰 and the like as in cheques.
fn chinese(text: &str) -> Option<(Number, String)> {
    let end = text.find(|c| numeral(c).is_none()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (mut sum, mut digit) = (0_i64, None);
    // The next unit must be smaller than the one before.
    let mut below = 10_000;
    for c in number.chars() {
        match numeral(c)? {
            Numeral::Zero => digit = None,
            Numeral::Digit(n) if digit.is_none() => digit = Some(n),
            Numeral::Unit(scale) if scale < below => {
                // 十 alone is ten; 百 alone is not said.
                let n = digit.take().or((scale == 10 && sum == 0).then_some(1))?;
                (sum, below) = (sum + n * scale, scale);
            }
            _ => return None,
        }
    }
    // 一百二 means 120 in speech; on paper nobody can be sure.
    if digit.is_some() && below > 10 && below < 10_000 && !number.contains(['零', '〇']) {
        return None;
    }
    let digits = sum + digit.unwrap_or(0);
    (digits > 0).then(|| (Number { digits, decimals: 0 }, unit.to_owned()))
}

enum Numeral {
    Zero,
    Digit(i64),
    Unit(i64),
}

const fn numeral(c: char) -> Option<Numeral> {
    Some(match c {
        '零' | '〇' => Numeral::Zero,
        '一' | '壹' => Numeral::Digit(1),
        '二' | '两' | '贰' => Numeral::Digit(2),
        '三' | '叁' => Numeral::Digit(3),
        '四' | '肆' => Numeral::Digit(4),
        '五' | '伍' => Numeral::Digit(5),
        '六' | '陆' => Numeral::Digit(6),
        '七' | '柒' => Numeral::Digit(7),
        '八' | '捌' => Numeral::Digit(8),
        '九' | '玖' => Numeral::Digit(9),
        '十' | '拾' => Numeral::Unit(10),
        '百' | '佰' => Numeral::Unit(100),
        '千' | '仟' => Numeral::Unit(1000),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CORES: &[&str] = &["核", "台", "个"];

    #[test]
    fn sizes_as_offices_write_them() {
        for text in
            ["16G", "16 GB", "16gb", "16GiB", "16384M", "16384 MiB", "１６ＧＢ", " 16 g ", "0.015625T", "16㎇", "16.0G"]
        {
            assert_eq!(bytes(text), Bytes::gib(16).ok_or(QuantityFault::TooLarge), "{text}");
        }
        assert_eq!(bytes("2T").map(Bytes::get), Ok(2 << 40));
        assert_eq!(bytes("1.5T").map(Bytes::get), Ok(3 << 39));
        assert_eq!(bytes("512 B").map(Bytes::get), Ok(512));
    }

    #[test]
    fn what_is_not_one_exact_size_is_refused() {
        use QuantityFault as F;
        for (text, fault) in [
            ("", F::Empty),
            ("　", F::Empty),
            ("16", F::UnitMissing),
            ("16.5", F::UnitMissing),
            ("16X", F::UnitUnknown),
            ("16G左右", F::UnitUnknown),
            ("16核", F::UnitUnknown),
            ("8-16G", F::Range),
            ("8G-16G", F::Range),
            ("8至16G", F::Range),
            ("8～16G", F::Range),
            ("16,384M", F::NotANumber),
            ("-16G", F::Negative),
            ("−16G", F::Negative),
            ("0.1G", F::NotWhole),
            ("0.0000001T", F::NotWhole),
            ("约16G", F::NotANumber),
            ("NaN", F::NotANumber),
            ("inf", F::NotANumber),
            ("+16G", F::NotANumber),
            (".5G", F::NotANumber),
            ("1..5G", F::NotANumber),
            ("1.5.5G", F::NotANumber),
            ("16.G", F::NotANumber),
            ("9223372036854775807G", F::TooLarge),
            ("9223372036854775808G", F::TooLarge),
            ("8192T", F::TooLarge),
            ("9007199254740992B", F::TooLarge),
        ] {
            assert_eq!(bytes(text), Err(fault), "{text}");
        }
        assert_eq!(bytes("1e3G"), Err(F::NotANumber));
        assert_eq!(bytes(&"9".repeat(10_000)), Err(F::NotANumber));
    }

    #[test]
    fn sizes_in_a_sentence() {
        let gib = |n| Bytes::gib(n).unwrap();
        for (text, answer) in [
            ("首年约100GB，三年累计约 ５００ GB，带宽 100Mbps，峰值10M/s。", vec![gib(100), gib(500)]),
            ("2T", vec![gib(2048)]),
            ("约 300 人，2026年", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(sizes(text), answer, "{text}");
        }
    }

    #[test]
    fn counts_as_offices_write_them() {
        use QuantityFault as F;
        for (text, answer) in [
            ("8", Ok(8)),
            ("8核", Ok(8)),
            ("８ 核", Ok(8)),
            ("8.0", Ok(8)),
            ("两台", Ok(2)),
            ("十台", Ok(10)),
            ("二", Ok(2)),
            ("0", Ok(0)),
            ("9223372036854775807", Ok(i64::MAX)),
            ("9223372036854775808", Err(F::TooLarge)),
            ("十二台", Ok(12)),
            ("二十台", Ok(20)),
            ("贰拾台", Ok(20)),
            ("一百二十八核", Ok(128)),
            ("一百零二", Ok(102)),
            ("一千零二十四", Ok(1024)),
            ("一百二", Err(F::NotANumber)),
            ("百", Err(F::NotANumber)),
            ("二三台", Err(F::NotANumber)),
            ("十百", Err(F::NotANumber)),
            ("零", Err(F::NotANumber)),
            ("两万", Err(F::UnitUnknown)),
            ("2-4核", Err(F::Range)),
            ("2~4", Err(F::Range)),
            ("2.5", Err(F::NotWhole)),
            ("-1", Err(F::Negative)),
            ("8颗", Err(F::UnitUnknown)),
            ("若干", Err(F::NotANumber)),
        ] {
            assert_eq!(count(text, CORES), answer, "{text}");
        }
        assert_eq!(months("3年"), Ok(36));
        assert_eq!(months("三年"), Ok(36));
        assert_eq!(months("18 个月"), Ok(18));
        assert_eq!(months("9223372036854775807年"), Err(F::TooLarge));
        assert_eq!(months("长期"), Err(F::NotANumber));
        for (text, n) in [
            ("3年（36个月）", Some(36)),
            ("自验收之日起三年", Some(36)),
            ("免费运维 12 个月", Some(12)),
            ("3年，其中免费1年", None),
            ("2027年1月至2029年12月", None),
            ("长期", None),
            ("", None),
        ] {
            assert_eq!(period(text), n, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = bytes(&text);
            let _ = count(&text, CORES);
            let _ = (months(&text), period(&text), sizes(&text));
        }

        #[test]
        fn any_near_quantity_is_read_or_refused(text in "[-+]?[0-9０-９.,]{0,25}[ ~-]?[0-9]{0,3} ?[KMGTkmgt]?[iI]?[bB]?") {
            let _ = bytes(&text);
            let _ = count(&text, CORES);
        }

        #[test]
        fn a_printed_size_reads_back(n in 0..=Bytes::MAX.get()) {
            let size = Bytes::new(n).ok_or_else(|| TestCaseError::fail("in range"))?;
            prop_assert_eq!(bytes(&size.to_string()), Ok(size));
        }

        #[test]
        fn a_printed_count_reads_back(n in 0..=i64::MAX) {
            prop_assert_eq!(count(&n.to_string(), CORES), Ok(n));
        }
    }
}
