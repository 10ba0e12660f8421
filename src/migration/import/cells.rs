//! One cell to its value. Every reading is exact or refused; what was set aside on the way is noted.

use crate::{
    quantity,
    text::{self, fold},
};
use jiff::civil::Date;

/// Why a cell is not taken: what is wrong, and the mend. Both stand in sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub code: &'static str,
    pub what: String,
    pub mend: String,
}

fn wrong(code: &'static str, what: impl Into<String>, mend: impl Into<String>) -> Wrong {
    Wrong { code, what: what.into(), mend: mend.into() }
}

/// Days outside of these are slips of the pen.
const YEARS: std::ops::RangeInclusive<i16> = 1970..=2099;

/// A file's formulas come with their sign: a result that it only remembers is no value.
pub fn no_formula(text: &str) -> Result<(), Wrong> {
    if text.starts_with(['=', '＝']) {
        let what = format!("是公式“{}”，不是值", text::shown(text));
        return Err(wrong("survey_formula", what, "把公式换成它的结果后重新提交"));
    }
    Ok(())
}

/// The text without a note behind it in brackets, and the note.
pub fn without_note(text: &str) -> (&str, Option<&str>) {
    let text = text.trim();
    let end = text.strip_suffix('）').or_else(|| text.strip_suffix(')'));
    let open = end.and_then(|inner| inner.rfind(['（', '(']));
    match (end, open) {
        (Some(inner), Some(at)) if at > 0 => {
            let note = inner.get(at..).unwrap_or_default();
            let note = note.strip_prefix(['（', '(']).unwrap_or(note);
            (text.get(..at).unwrap_or_default().trim(), Some(note))
        }
        _ => (text, None),
    }
}

/// A day: `2015-06-01`, `2015/6/1`, `2015.6.1`, `2015年6月1日`, `20150601`; a cell that is a date comes as the first. The first
/// day of the month, and `true`, where only the month is given.
pub fn day(text: &str) -> Result<(Date, bool), Wrong> {
    let bad = |what: &str| {
        let mend = "写成 2015-06-01、2015/6/1、2015.6.1、2015年6月1日 或 20150601；不知道就不填";
        wrong("survey_date", format!("“{}”{what}", text::shown(text)), mend)
    };
    let plain = fold(text);
    // A cell that is a date with a time of day.
    let plain = plain.split('t').next().unwrap_or_default();
    let digits = plain.chars().all(|c| c.is_ascii_digit());
    let parts: Vec<&str> = if digits && plain.len() == 8 {
        [plain.get(..4), plain.get(4..6), plain.get(6..)].into_iter().flatten().collect()
    } else {
        let trimmed = plain.trim_end_matches(['日', '号', '月', '.', '/', '-']);
        trimmed.split(['-', '/', '.', '年', '月', '．', '－']).collect()
    };
    let figure = |text: &&str| {
        let fits = (1..=4).contains(&text.len()) && text.chars().all(|c| c.is_ascii_digit());
        fits.then(|| text.parse::<i16>().ok()).flatten()
    };
    let figures: Option<Vec<i16>> = parts.iter().map(figure).collect();
    let (year, month, day) = match figures.as_deref() {
        Some([year, month, day]) if parts.first().is_some_and(|year| year.len() == 4) => (*year, *month, Some(*day)),
        Some([year, month]) if parts.first().is_some_and(|year| year.len() == 4) => (*year, *month, None),
        _ => return Err(bad("不是能看懂的日期")),
    };
    let small = |n: i16| i8::try_from(n).unwrap_or(0);
    let date = Date::new(year, small(month), small(day.unwrap_or(1))).map_err(|_| bad("不是日历上的日子"))?;
    if !YEARS.contains(&year) {
        return Err(bad("不在 1970 至 2099 年之间"));
    }
    Ok((date, day.is_none()))
}

/// A whole number, with one of the units behind it or none.
pub fn count(text: &str, units: &[&str], least: i64, most: i64) -> Result<i64, Wrong> {
    let mend = format!("填写 {least} 至 {most} 之间的整数；不知道就不填");
    let whole = ungrouped(text);
    match quantity::count(&whole, units) {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        Ok(number) => Err(wrong("survey_number", format!("{number} 不在 {least} 至 {most} 之间"), mend)),
        Err(fault) => Err(wrong("survey_number", format!("“{}”{fault}", text::shown(text)), mend)),
    }
}

/// Thousands without the commas between them: `4,000人`. Any other comma stays, and is refused as it stands.
fn ungrouped(text: &str) -> String {
    let plain = text.replace('，', ",");
    let end = plain.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(plain.len());
    let (figures, rest) = plain.split_at(end);
    let mut groups = figures.split(',');
    let first = groups.next().is_some_and(|first| (1..=3).contains(&first.len()));
    if first && figures.contains(',') && groups.all(|group| group.len() == 3) {
        format!("{}{rest}", figures.replace(',', ""))
    } else {
        text.to_owned()
    }
}

/// A number with decimals.
pub fn decimal(text: &str, units: &[&str], most: f64) -> Result<f64, Wrong> {
    let plain = fold(text);
    let plain = plain.replace(',', "");
    let bare = units.iter().find_map(|unit| plain.strip_suffix(unit)).unwrap_or(&plain);
    let figures = !bare.is_empty() && bare.chars().all(|c| c.is_ascii_digit() || c == '.');
    match bare.parse::<f64>() {
        Ok(number) if figures && number <= most => Ok(number),
        _ => {
            let what = format!("“{}”不是 0 至 {most} 之间的数", text::shown(text));
            Err(wrong("survey_number", what, "只写一个数；不知道就不填"))
        }
    }
}

/// Memory or disk. A bare number is in the unit of its heading.
pub fn bytes(text: &str, heading: Option<&str>) -> Result<i64, Wrong> {
    const MOST: i64 = 1 << 55;
    let bare = fold(text).chars().all(|c| c.is_ascii_digit() || c == '.');
    let whole = match heading.filter(|_| bare) {
        Some(unit) => format!("{text}{unit}"),
        None => text.to_owned(),
    };
    match quantity::bytes(&whole) {
        Ok(bytes) if bytes.get() <= MOST => Ok(bytes.get()),
        Ok(_) => Err(wrong("survey_number", format!("“{}”太大", text::shown(text)), "核对单位")),
        Err(fault) => {
            let what = format!("“{}”{fault}", text::shown(text));
            Err(wrong("survey_number", what, "写明数和单位，例如 64GB、2TB；不知道就不填"))
        }
    }
}

/// 是 or 否, as people write it.
pub fn flag(text: &str) -> Result<bool, Wrong> {
    match fold(text).as_str() {
        "是" | "有" | "需要" | "需" | "应接入" | "√" | "✓" | "y" | "yes" | "1" | "true" => Ok(true),
        "否" | "无" | "不" | "不需要" | "不需" | "没有" | "×" | "x" | "n" | "no" | "0" | "false" => {
            Ok(false)
        }
        _ => Err(wrong("survey_word", format!("“{}”不是“是”或“否”", text::shown(text)), "填写 是 或 否；不知道就不填")),
    }
}

/// 等保 level, 1 to 5; none where there is none.
pub fn mlps(text: &str) -> Result<Option<i64>, Wrong> {
    let plain = fold(text);
    let plain = plain.strip_prefix("等保").unwrap_or(&plain);
    let plain = plain.strip_prefix('第').unwrap_or(plain);
    let plain = plain.strip_suffix('级').unwrap_or(plain);
    match plain {
        "无" | "未定" | "未定级" | "没有" | "未备案" => Ok(None),
        "一" | "1" => Ok(Some(1)),
        "二" | "2" => Ok(Some(2)),
        "三" | "3" => Ok(Some(3)),
        "四" | "4" => Ok(Some(4)),
        "五" | "5" => Ok(Some(5)),
        _ => Err(wrong(
            "survey_word",
            format!("“{}”不是等保级别", text::shown(text)),
            "填写 一级 至 五级，或 无；不知道就不填",
        )),
    }
}

/// Whether a system is secret; whatever is neither yes nor no is refused.
pub fn secret(text: &str) -> Result<bool, Wrong> {
    match fold(text).as_str() {
        "非涉密" | "不涉密" | "公开" | "内部" => Ok(false),
        "涉密" | "秘密" | "机密" | "绝密" => Ok(true),
        _ => flag(text),
    }
}

/// The names in a list; none where there are none.
pub fn names(text: &str) -> Vec<String> {
    let parts = text.split(['、', ',', '，', ';', '；', '\n']).map(str::trim);
    let said = parts.filter(|name| !name.is_empty() && !matches!(fold(name).as_str(), "无" | "没有" | "-" | "/"));
    said.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn days_are_read_in_each_spelling_and_nothing_is_guessed() {
        for text in [
            "2015-06-01",
            "2015/6/1",
            "2015.6.1",
            "2015年6月1日",
            "20150601",
            "２０１５年６月１日",
            " 2015 年 6 月 1 日 ",
        ] {
            assert_eq!(day(text), Ok((date(2015, 6, 1), false)), "{text}");
        }
        for text in ["2015年6月", "2015-06", "2015.6"] {
            assert_eq!(day(text), Ok((date(2015, 6, 1), true)), "{text}");
        }
        for text in [
            "1/6/2015",
            "15.6.1",
            "2015年2月30日",
            "2015",
            "去年",
            "",
            "1/1/1/1",
            "0000-01-01",
            "20151301",
            "2015-6-1-1",
        ] {
            assert!(day(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_flags_and_levels_are_exact_or_refused() {
        assert_eq!(count("8 核", &["核"], 1, 64), Ok(8));
        assert!(count("约8核", &["核"], 1, 64).is_err() && count("8-16", &["核"], 1, 64).is_err());
        assert!(count("0", &[], 1, 64).is_err() && count("65", &[], 1, 64).is_err());
        assert_eq!(
            (count("4,000人", &["人"], 0, 9_000), count("1,234,567", &[], 0, 2_000_000)),
            (Ok(4000), Ok(1_234_567))
        );
        for text in ["4,00", "4,0000", ",400", "4000,000", "4,", "1,2"] {
            assert!(count(text, &[], 0, 9_000_000).is_err(), "{text}");
        }
        assert_eq!(decimal("120.5㎡", &["m2", "㎡", "平方米"], 1e6), Ok(120.5));
        for text in ["-1", "1e3", "NaN", "inf", "", "二十", "."] {
            assert!(decimal(text, &[], 1e6).is_err(), "{text}");
        }
        assert_eq!(bytes("64", Some("gb")), Ok(64 << 30));
        assert_eq!(bytes("2TB", Some("gb")), Ok(2 << 40));
        assert!(bytes("64", None).is_err());
        assert_eq!((flag("是"), flag("×")), (Ok(true), Ok(false)));
        assert!(flag("也许").is_err());
        assert_eq!((mlps("第三级"), mlps("等保二级"), mlps("无")), (Ok(Some(3)), Ok(Some(2)), Ok(None)));
        assert!(mlps("六级").is_err());
        assert_eq!((secret("非涉密"), secret("否"), secret("机密")), (Ok(false), Ok(false), Ok(true)));
        assert!(secret("？").is_err());
    }

    #[test]
    fn notes_behind_a_value_are_set_aside() {
        assert_eq!(without_note("8核（待核实）"), ("8核", Some("待核实")));
        assert_eq!(without_note("（无）"), ("（无）", None));
        assert_eq!(without_note("2015-06-01(批复)"), ("2015-06-01", Some("批复")));
        assert_eq!(names("甲、乙，丙; 无"), ["甲", "乙", "丙"]);
        assert!(no_formula("=1+1").is_err() && no_formula("＝A1").is_err() && no_formula("1=1").is_ok());
    }
}
