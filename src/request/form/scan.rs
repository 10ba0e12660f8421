//! Finds dates, periods and sizes in sentences, as they are written there. What they mean is for the rules to say.
use super::dates::{Cursor, NUMERALS, arabic, dates, digit};

/// One line: what the page broke is joined.
pub(super) fn line(written: &str) -> String {
    let mut out = String::with_capacity(written.len());
    for part in written.lines().map(str::trim) {
        out.push_str(part);
    }
    out.replace('\t', " ").trim().to_owned()
}

/// Lines as they are, without the spaces around each.
pub(super) fn lines(written: &str) -> String {
    let lines: Vec<&str> = written.lines().map(str::trim).collect();
    lines.join("\n").replace('\t', " ").trim().to_owned()
}

/// The sentences of a text, by its stops and line breaks.
pub(super) fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split(['。', '！', '？', '!', '?', '；', ';', '\n']).map(str::trim).filter(|s| !s.is_empty())
}

/// The clauses of a sentence.
pub(super) fn clauses(sentence: &str) -> impl Iterator<Item = &str> {
    parts(sentence, |c| matches!(c, '，' | ',')).map(str::trim).filter(|s| !s.is_empty())
}

/// The parts of a text between separators; the comma in `2,000` is none. The separator stays at the end of its part.
fn parts_with<'a>(text: &'a str, separates: impl Fn(char) -> bool + 'a) -> impl Iterator<Item = &'a str> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|r| !r.is_empty())?;
        let mut before = ' ';
        let mut chars = rest.char_indices().peekable();
        let mut end = rest.len();
        while let Some((i, c)) = chars.next() {
            let thousands =
                c == ',' && before.is_ascii_digit() && chars.peek().is_some_and(|(_, n)| n.is_ascii_digit());
            if separates(c) && !thousands {
                end = i + c.len_utf8();
                break;
            }
            before = c;
        }
        at += end;
        rest.get(..end)
    })
}

fn parts<'a>(text: &'a str, separates: impl Fn(char) -> bool + Copy + 'a) -> impl Iterator<Item = &'a str> {
    parts_with(text, separates).map(move |p| p.trim_end_matches(separates))
}

/// The parts of a list, each with the separator behind it.
pub(super) fn listed(text: &str) -> impl Iterator<Item = &str> {
    parts_with(text, |c| matches!(c, '，' | ',' | '；' | ';' | '、' | '+' | '＋' | '\n'))
}

pub(super) fn has(text: &str, words: &[&str]) -> bool {
    words.iter().any(|w| text.contains(w))
}

/// Without the number in front of a sentence: `（2）`, `1、`, `③`.
pub(super) fn unnumbered(sentence: &str) -> &str {
    let number = |c: char| c.is_ascii_digit() || c == '十' || NUMERALS.contains(&c);
    let inner = sentence.strip_prefix(['（', '(']).unwrap_or(sentence);
    let rest = inner.trim_start_matches(number);
    let count = inner.get(..inner.len() - rest.len()).map_or(0, |n| n.chars().count());
    let rest = if inner.len() < sentence.len() {
        rest.strip_prefix(['）', ')'])
    } else {
        rest.strip_prefix(['、', '.', '．', '）', ')'])
    };
    match rest.filter(|_| (1..=2).contains(&count)) {
        Some(rest) => rest.trim_start_matches(['、', ' ', '　']),
        None => sentence.trim_start_matches(|c| ('①'..='⑳').contains(&c)).trim_start(),
    }
}

/// Periods of years or months: `3年`, `三年`, `36个月`.
pub(super) fn periods(text: &str) -> Vec<(usize, &str)> {
    let mut out = Vec::new();
    let numeral = |c: char| "一二两三四五六七八九十".contains(c);
    let mut at = 0;
    let mut before = ' ';
    while let Some(c) = text.get(at..).and_then(|t| t.chars().next()) {
        let start = at;
        if digit(c).is_some() || numeral(c) {
            let mut cursor = Cursor { text, at };
            let count = if digit(c).is_some() {
                cursor.digits(usize::MAX).0
            } else {
                let rest = cursor.rest();
                cursor.at += rest.len() - rest.trim_start_matches(numeral).len();
                1
            };
            at = cursor.at;
            cursor.spaces();
            let unit = cursor.one_of(&["周年", "年", "个月"]);
            let date = cursor.rest().trim_start().starts_with(|c| digit(c).is_some());
            if unit
                && count <= 3
                && !date
                && !matches!(before, '第' | '年' | '.' | '-' | '~' | '～' | '—' | '–' | '至' | '到')
            {
                out.push((start, text.get(start..cursor.at).unwrap_or_default()));
                at = cursor.at;
            }
        } else {
            at += c.len_utf8();
        }
        before = c;
    }
    out
}

/// The months from the first day to the last, where they are whole: `自2027年9月1日起至2030年8月31日止`.
pub(super) fn months_between(text: &str) -> Option<u32> {
    let [first, last] = *dates(text).as_slice() else { return None };
    if !text.contains(['至', '到', '-', '—', '～']) {
        return None;
    }
    let parts = |date: &str| -> Vec<u32> {
        let numbers = date.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty());
        numbers.filter_map(|n| n.parse().ok()).collect()
    };
    let (from, to) = (parts(first), parts(last));
    let bare = |date: &str| date.ends_with(['月', '日', '号']) || date.ends_with(|c: char| c.is_ascii_digit());
    if !bare(first) || !bare(last) {
        return None;
    }
    let (from, to) = match (from.as_slice(), to.as_slice()) {
        ([year, month], [last_year, last_month]) => (year * 12 + month, last_year * 12 + last_month + 1),
        ([year, month, begins], [last_year, last_month, ends]) => {
            let leap = last_year % 4 == 0 && (last_year % 100 != 0 || last_year % 400 == 0);
            let days = match last_month {
                2 => 28 + u32::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            let month_of_end = last_year * 12 + last_month;
            let (end, day) = if *ends == days { (month_of_end + 1, 1) } else { (month_of_end, ends + 1) };
            (year * 12 + month, if day == *begins { end } else { return None })
        }
        _ => return None,
    };
    to.checked_sub(from).filter(|n| (1..=240).contains(n))
}

/// Repairs that are free, or a contract on its own.
pub(super) const FREE: &[&str] = &[
    "免费运维服务期",
    "免费运行维护期",
    "免费运维期",
    "免费维护期",
    "免费维保期",
    "免费运维",
    "免费维护",
    "免费运行维护",
    "免费",
    "质保",
    "保修",
    "合同期",
];

/// The period of upkeep that stands at its label; free repairs are another.
pub(super) fn upkeep(written: &str) -> Option<String> {
    let plain = arabic(written);
    let all = || sentences(&plain).flat_map(clauses);
    let own = all().filter(|c| !has(c, FREE)).find_map(|c| periods(c).first().map(|(_, p)| (*p).to_owned()));
    own.or_else(|| months_between(&plain).map(|n| format!("{n}个月")))
        .or_else(|| all().find_map(|c| periods(c).first().map(|(_, p)| (*p).to_owned())))
}

/// A clause without its words for free repairs.
pub(super) fn without_free(clause: &str) -> String {
    FREE.iter().fold(clause.to_owned(), |text, word| text.replace(word, "〇"))
}

/// Sizes of data, with a rough figure to compare them by. Rates (`100Mbps`, `10MB/s`, `100M带宽`) are none.
pub(super) fn sizes(text: &str) -> Vec<(&str, f64)> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = text.get(at..).and_then(|t| t.chars().next()) {
        if digit(c).is_none() {
            at += c.len_utf8();
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        let number = rest.find(|c: char| digit(c).is_none() && !matches!(c, '.' | '．' | ',')).unwrap_or(rest.len());
        let (number, after) = rest.split_at(number);
        let letters = after.trim_start();
        let unit =
            letters.find(|c: char| !c.is_ascii_alphabetic() && !('Ａ'..='ｚ').contains(&c)).unwrap_or(letters.len());
        let (unit, behind) = letters.split_at(unit);
        let shift = match crate::text::fold(&unit.chars().take(8).collect::<String>()).as_str() {
            "m" | "mb" | "mib" => Some(1.0),
            "g" | "gb" | "gib" => Some(1024.0),
            "t" | "tb" | "tib" => Some(1024.0 * 1024.0),
            "p" | "pb" | "pib" => Some(1024.0 * 1024.0 * 1024.0),
            _ => None,
        };
        let rate = ["/s", "/S", "/秒", "ps", "带宽", "的带宽", "宽带", "光纤", "专线", "每秒"]
            .iter()
            .any(|w| behind.starts_with(w));
        let end = at + number.len() + (after.len() - letters.len()) + unit.len();
        if let Some(shift) = shift.filter(|_| !rate)
            && let Ok(figure) =
                crate::text::fold(number.get(..number.len().min(60)).unwrap_or("x")).replace(',', "").parse::<f64>()
        {
            out.push((text.get(at..end).unwrap_or_default(), figure * shift));
        }
        at += number.len();
    }
    out
}

/// Whether a text speaks of storage, or of what else is measured in bytes.
pub(super) fn about_storage(text: &str) -> Option<bool> {
    const STORED: &[&str] =
        &["存储", "数据量", "容量", "磁盘", "信息量", "占用空间", "数据总量", "产生数据", "新增数据", "累计数据"];
    if has(text, STORED) {
        return Some(true);
    }
    has(text, &["带宽", "网速", "速率", "内存", "流量", "吞吐"]).then_some(false)
}

/// The size in a text that is said of storage, a total before a part, and how it ranks. `stored`: the text begins by
/// speaking of it.
pub(super) fn stored_size(text: &str, stored: bool) -> Option<((bool, f64), &str)> {
    let mut best: Option<((bool, f64), &str)> = None;
    for sentence in sentences(text) {
        let mut stored = stored;
        for clause in clauses(sentence) {
            stored = about_storage(clause).unwrap_or(stored);
            let total = has(clause, &["预测", "总量", "合计", "累计", "共", "总计"]);
            for (size, figure) in sizes(clause).into_iter().filter(|_| stored) {
                if best.is_none_or(|(rank, _)| (total, figure) > rank) {
                    best = Some(((total, figure), size));
                }
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::form::dates::{Years, first_date};
    use proptest::prelude::*;

    #[test]
    fn periods_and_sizes_are_found_as_written() {
        let texts = |t| periods(t).into_iter().map(|(_, p)| p).collect::<Vec<_>>();
        assert_eq!(texts("周期为3年，运维期三年，免费运维36个月，12 个月"), ["3年", "三年", "36个月", "12 个月"]);
        assert_eq!(texts("2026年，第一年，12月，每年"), Vec::<&str>::new());
        let texts = |t| sizes(t).into_iter().map(|(s, _)| s).collect::<Vec<_>>();
        assert_eq!(texts("共500GB，1.5 T，２００Ｇ，2,000GB"), ["500GB", "1.5 T", "２００Ｇ", "2,000GB"]);
        assert_eq!(texts("100Mbps、10MB/s、100M带宽、4G网络x、500人"), ["4G"]);
    }

    #[test]
    fn whole_months_are_counted() {
        for (text, months) in [
            ("自2027年9月1日起至2030年8月31日止", Some(36)),
            ("2027年9月16日至2030年9月15日", Some(36)),
            ("2027年9月至2030年8月", Some(36)),
            ("2027年9月1日至2030年9月1日", None),
            ("2027年9月1日至2030年8月", None),
        ] {
            assert_eq!(months_between(text), months, "{text}");
        }
        assert_eq!(upkeep("免费运维期1年，共3年").as_deref(), Some("3年"));
    }

    #[test]
    fn numbers_in_front_are_left_out() {
        for (text, rest) in [
            ("（2）2027年4月", "2027年4月"),
            ("2.2027年4月", "2027年4月"),
            ("③ 部署", "部署"),
            ("一、部署", "部署"),
            ("2027年4月", "2027年4月"),
        ] {
            assert_eq!(unnumbered(text), rest);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_scanned(text in "[0-9年月日.／/-至 ２０一三个GBTpsM（带]{0,40}") {
            let _ = (dates(&text), periods(&text), sizes(&text), first_date(&text), unnumbered(&text));
            let _ = (Years::default().fill(&text), arabic(&text));
        }
    }
}
