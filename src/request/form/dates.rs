//! Finds dates in sentences, as they are written there: in digits, in numerals, under a year that was given before.

/// A digit of either width.
pub(super) fn digit(c: char) -> Option<u32> {
    match c {
        '0'..='9' => Some(u32::from(c) - u32::from('0')),
        '０'..='９' => Some(u32::from(c) - u32::from('０')),
        _ => None,
    }
}

/// A place in a text to read on from.
pub(super) struct Cursor<'a> {
    pub text: &'a str,
    pub at: usize,
}

impl<'a> Cursor<'a> {
    pub fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub fn spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Takes up to `most` digits: how many, and their value.
    pub fn digits(&mut self, most: usize) -> (usize, u32) {
        let (mut count, mut value) = (0, 0_u32);
        for c in self.rest().chars() {
            let Some(d) = digit(c).filter(|_| count < most) else { break };
            value = value.saturating_mul(10).saturating_add(d);
            count += 1;
            self.at += c.len_utf8();
        }
        (count, value)
    }

    pub fn one_of(&mut self, words: &[&str]) -> bool {
        let found = words.iter().find(|w| self.rest().starts_with(**w));
        self.at += found.map_or(0, |w| w.len());
        found.is_some()
    }
}

/// The dates in a text. A range whose end leaves out the year is one piece.
pub(super) fn dates(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut at = 0;
    let mut after_digit = false;
    while let Some(c) = text.get(at..).and_then(|t| t.chars().next()) {
        let end = if after_digit || digit(c).is_none() { None } else { date(text, at) };
        if let Some(end) = end {
            out.push(text.get(at..end).unwrap_or_default().trim());
            at = end;
            after_digit = false;
        } else {
            // `3.2026.1` is a version.
            after_digit = digit(c).is_some() || c == '.';
            at += c.len_utf8();
        }
    }
    out
}

const PART: &[&str] = &["底", "末", "初", "中旬", "上旬", "下旬"];

/// Where a date that begins here ends.
fn date(text: &str, at: usize) -> Option<usize> {
    let mut cursor = Cursor { text, at };
    let (count, year) = cursor.digits(5);
    if count != 4 || !(1990..2100).contains(&year) {
        return None;
    }
    let year_end = cursor.at;
    cursor.spaces();
    if cursor.one_of(&["年"]) {
        let after_year = cursor.at;
        cursor.spaces();
        let (count, month) = cursor.digits(2);
        cursor.spaces();
        if count == 0 || month == 0 || month > 12 || !cursor.one_of(&["月"]) {
            cursor.at = after_year;
            cursor.one_of(PART);
            return (!cursor.rest().starts_with('度')).then_some(cursor.at);
        }
        cursor.one_of(&["份"]);
        let after_month = cursor.at;
        if !cursor.one_of(PART) {
            cursor.spaces();
            let (count, _) = cursor.digits(2);
            cursor.spaces();
            if count == 0 || !cursor.one_of(&["日", "号"]) {
                cursor.at = after_month;
            }
        }
    } else {
        cursor.at = year_end;
        if !cursor.one_of(&["-", "/", ".", "．", "－"]) {
            return None;
        }
        let (count, month) = cursor.digits(3);
        if !(1..=2).contains(&count) || month == 0 || month > 12 {
            return None;
        }
        let after_month = cursor.at;
        if !cursor.one_of(&["-", "/", ".", "．", "－"]) || !(1..=2).contains(&cursor.digits(3).0) {
            cursor.at = after_month;
        }
    }
    // `2026年10月至12月`
    let end = cursor.at;
    cursor.spaces();
    if cursor.one_of(&["-", "—", "–", "~", "～", "至", "到"]) {
        cursor.one_of(&["—", "-"]);
        cursor.spaces();
        let (count, _) = cursor.digits(3);
        if (1..=2).contains(&count) && cursor.one_of(&["月", "日", "号"]) {
            return Some(cursor.at);
        }
    }
    Some(end)
}

pub(super) const NUMERALS: &[char] = &['〇', '一', '二', '三', '四', '五', '六', '七', '八', '九'];

/// `二〇二七年五月三十日` in digits; all else stays.
pub(super) fn arabic(text: &str) -> String {
    let figure = |c: char| {
        let c = if matches!(c, '○' | '零' | 'Ｏ') { '〇' } else { c };
        NUMERALS.iter().position(|n| *n == c)
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let end = rest.find(|c: char| c != '十' && figure(c).is_none()).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        if run.is_empty() {
            out.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            continue;
        }
        let digits: Option<String> = run.chars().map(|c| figure(c).map(|n| n.to_string())).collect();
        let number = match (run.split_once('十'), digits) {
            (None, Some(digits)) if behind.starts_with('年') => Some(digits).filter(|d| d.len() == 4),
            (None, Some(digits)) => Some(digits).filter(|d| d.len() == 1),
            (Some((tens, ones)), _) if behind.starts_with(['月', '日', '号']) => {
                let one = |text: &str, none: usize| {
                    let mut chars = text.chars();
                    let first = chars.next().map_or(Some(none), figure);
                    first.filter(|_| chars.next().is_none())
                };
                one(tens, 1).zip(one(ones, 0)).map(|(tens, ones)| (tens * 10 + ones).to_string())
            }
            _ => None,
        };
        match number.filter(|_| behind.starts_with(['年', '月', '日', '号'])) {
            Some(number) => out.push_str(&number),
            None => out.push_str(run),
        }
        rest = behind;
    }
    out
}

/// The year that dates are in, for those that leave it out.
#[derive(Default)]
pub(super) struct Years {
    year: Option<u32>,
    /// More than one year was spoken of.
    several: bool,
    /// The month that was spoken of last.
    month: u32,
}

impl Years {
    fn note(&mut self, written: &str) {
        let mut cursor = Cursor { text: written, at: 0 };
        let (_, year) = cursor.digits(4);
        self.several |= self.year.is_some_and(|y| y != year);
        self.year = Some(year);
        let mut months = written.split('月').filter_map(|part| {
            let number = part.rsplit(|c: char| digit(c).is_none()).next()?;
            Some(number).filter(|n| (1..=2).contains(&n.len()))?.parse().ok()
        });
        self.month = if written.contains('月') { months.next_back().unwrap_or(0) } else { 0 };
    }

    /// The text with its dates in digits, and with the year where they leave out the only one that was spoken of.
    pub fn fill(&mut self, text: &str) -> String {
        let text = arabic(text);
        let mut out = String::with_capacity(text.len());
        let (mut at, mut before) = (0, ' ');
        while let Some(c) = text.get(at..).and_then(|t| t.chars().next()) {
            if digit(c).is_none() || digit(before).is_some() || before == '.' {
                out.push(c);
                (at, before) = (at + c.len_utf8(), c);
                continue;
            }
            let mut cursor = Cursor { text: &text, at };
            let (count, number) = cursor.digits(usize::MAX);
            let of_year = count == 4 && (1990..2100).contains(&number) && cursor.rest().starts_with('年');
            let end = date(&text, at).or_else(|| of_year.then_some(cursor.at));
            if let Some(end) = end {
                let written = text.get(at..end).unwrap_or_default();
                self.note(written);
                out.push_str(written);
                (at, before) = (end, ' ');
                continue;
            }
            let month = count <= 2 && (1..=12).contains(&number) && before != '第' && cursor.one_of(&["月"]);
            // `3月内` is a period.
            if month
                && !cursor.rest().starts_with('内')
                && let Some(year) = self.year.filter(|_| !self.several && number >= self.month)
            {
                out.push_str(&year.to_string());
                out.push('年');
                self.month = number;
            }
            out.push_str(text.get(at..cursor.at).unwrap_or_default());
            (at, before) = (cursor.at, '月');
        }
        out
    }
}

/// Whether a text gives a day or a month of no year.
pub(super) fn leaves_out_year(text: &str) -> bool {
    let mut years = Years { year: Some(2000), ..Years::default() };
    dates(&arabic(text)).is_empty() && !dates(&years.fill(text)).is_empty()
}

/// The date that a text gives first; of a range, its end.
pub(super) fn first_date(text: &str) -> Option<&str> {
    let all = dates(text);
    range_end(text, &all)
}

/// Of the first date and those that it is one range with, the last.
fn range_end<'a>(text: &'a str, dates: &[&'a str]) -> Option<&'a str> {
    let mut end = *dates.first()?;
    for next in dates.iter().skip(1) {
        let from = offset(text, end) + end.len();
        let between = text.get(from..offset(text, next)).unwrap_or("x");
        let joint = |c: char| c.is_whitespace() || "-—–~～－至到起日始前".contains(c);
        if !between.chars().all(joint) {
            break;
        }
        end = next;
    }
    Some(end)
}

/// Where a part of a text stands in it.
pub(super) fn offset(text: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize)
}

/// Of several dates in a clause, the one that belongs to what is said from `from` to `to`.
pub(super) fn date_beside(clause: &str, from: usize, to: usize) -> Option<&str> {
    let all = dates(clause);
    let (before, after): (Vec<&str>, Vec<&str>) = all.iter().partition(|d| offset(clause, d) < from);
    let end = |d: &&str| offset(clause, d) + d.len();
    match (before.last(), after.first()) {
        (Some(last), Some(first)) => {
            let listed = |from: usize, to: usize| clause.get(from..to).is_some_and(|t| t.contains('、'));
            // Dates lead a clause, or follow what they are of.
            let lead = all.first().and_then(|d| clause.get(..offset(clause, d))).unwrap_or_default();
            let led = lead.chars().all(|c| c.is_whitespace() || "计划拟将于在".contains(c));
            let mine = listed(to, offset(clause, first)) && !listed(end(last), from);
            if led || mine { Some(last) } else { range_end(clause, &after) }
        }
        (Some(last), None) => Some(last),
        (None, _) => range_end(clause, &after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_found_as_written() {
        for (text, found) in [
            ("2026年12月完成系统部署，2027年1月完成共享交换", vec!["2026年12月", "2027年1月"]),
            ("于2026年12月31日前", vec!["2026年12月31日"]),
            ("2026-12-31、2026/12 或 2026.9.1。", vec!["2026-12-31", "2026/12", "2026.9.1"]),
            ("2026 年 12 月底", vec!["2026 年 12 月底"]),
            ("2026年底前", vec!["2026年底"]),
            ("２０２６年１２月", vec!["２０２６年１２月"]),
            ("2026年10月至12月", vec!["2026年10月至12月"]),
            ("2026年10月-2026年12月", vec!["2026年10月", "2026年12月"]),
            ("2026年度计划，20261231，版本3.2026.1，500人", vec![]),
        ] {
            assert_eq!(dates(text), found, "{text}");
        }
    }

    #[test]
    fn dates_are_written_in_digits_and_with_their_year() {
        for (text, plain) in [
            ("二〇二七年五月三十日前", "2027年5月30日前"),
            ("二○二七年十二月二十一日", "2027年12月21日"),
            ("2027年5月三十日", "2027年5月30日"),
            ("三年内，第十一章，十日", "三年内，第十一章，10日"),
        ] {
            assert_eq!(arabic(text), plain);
        }
        let fill = |texts: &[&str]| {
            texts.iter().fold((Years::default(), String::new()), |(mut y, _), t| {
                let filled = y.fill(t);
                (y, filled)
            })
        };
        for (texts, filled) in [
            (&["2027年", "于5月31日前完成"] as &[&str], "于2027年5月31日前完成"),
            (&["2027年1月至4月开发，5月10日前完成"], "2027年1月至4月开发，2027年5月10日前完成"),
            (&["2026年9月招标，2027年1月开发", "5月部署"], "5月部署"),
            (&["2026年9月招标", "1月部署"], "1月部署"),
            (&["2027年3月，3月内完成，3个月"], "2027年3月，3月内完成，3个月"),
            (&["5月部署"], "5月部署"),
        ] {
            assert_eq!(fill(texts).1, filled);
        }
    }
}
