//! Who keeps a system running, and how to reach them: `区民政局信息中心（联系人：张三，电话 0512-…）`.

use super::{dates::digit, scan::line};
use serde_json::{Map, Value, json};

/// A name and, where it is written too, a contact.
pub(super) fn om_unit(written: &str) -> Option<Value> {
    let text = line(written);
    let worded = ["联系人", "联系电话", "联系方式", "电话"].iter().filter_map(|w| text.find(w)).min();
    // `区信息中心（0512-…）`
    let phone = worded.or_else(|| phone(&text).filter(|at| *at > 0));
    let (name, contact) = match phone {
        Some(at) => (text.get(..at).unwrap_or_default(), contact(text.get(at..).unwrap_or_default())),
        None => (text.as_str(), None),
    };
    let name = name
        .trim_matches(|c: char| c.is_whitespace() || matches!(c, '，' | ',' | '；' | ';' | '（' | '(' | '、' | '。'));
    let mut map = Map::new();
    if !name.is_empty() {
        map.insert("name".to_owned(), json!(name));
    }
    if let Some(contact) = contact {
        map.insert("contact".to_owned(), json!(contact));
    }
    (!map.is_empty()).then_some(Value::Object(map))
}

/// Where a telephone number stands in a text.
pub(super) fn phone(text: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(start) = text.get(at..).and_then(|t| t.find(|c| digit(c).is_some())).map(|i| at + i) {
        let part = |c: char| digit(c).is_some() || matches!(c, '-' | '－' | '—');
        let rest = text.get(start..).unwrap_or_default();
        let run = rest.find(|c| !part(c)).unwrap_or(rest.len());
        let run = rest.get(..run).unwrap_or_default();
        let digits = run.chars().filter(|c| digit(*c).is_some()).count();
        let dashes = run.chars().count() - digits;
        let dated = rest.get(run.len()..).is_some_and(|t| t.starts_with(['年', '月', '日', '元']));
        if (7..=13).contains(&digits) && dashes <= 1 && !dated {
            return Some(start);
        }
        at = start + run.len();
    }
    None
}

/// Where a sentence begins to say who is to be called.
pub(super) fn begins(sentence: &str) -> Option<usize> {
    let sure = ["联系人", "联系电话", "联系方式"].iter().filter_map(|w| sentence.find(w)).min();
    let number = phone(sentence)?;
    let loose = ["电话", "手机"].iter().filter_map(|w| sentence.find(w)).min();
    Some(sure.or(loose.filter(|at| *at < number)).unwrap_or(number))
}

/// Who is to be called: `联系人：张三，联系电话：0512-…` without the words around it.
pub(super) fn contact(text: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for clause in text.split(['，', ',', '；', ';', '、', '。', '\n', '）', ')']) {
        let mut rest = clause.trim().trim_start_matches(['（', '(']);
        let worded =
            ["联系人及电话", "联系人", "联系电话", "联系方式", "电话", "手机"].iter().find(|w| rest.starts_with(**w));
        if let Some(word) = worded {
            rest = rest.get(word.len()..).unwrap_or_default();
        }
        let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '：' | ':' | '为' | '是'));
        if worded.is_some() || phone(rest) == Some(0) {
            // `张三 联系电话 0512-…`
            for part in ["联系电话", "电话", "手机", "（", "("]
                .iter()
                .fold(vec![rest], |parts, w| parts.iter().flat_map(|p| p.split(w)).collect())
            {
                let part = part.trim_matches(|c: char| c.is_whitespace() || matches!(c, '：' | ':' | '为'));
                if !part.is_empty() {
                    parts.push(part);
                }
            }
        }
    }
    (!parts.is_empty()).then(|| parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beside_a_unit_are_its_contact() {
        for text in ["区信息中心（0512-85187777）", "区信息中心，电话：0512-85187777", "区信息中心 电话0512-85187777"]
        {
            assert_eq!(om_unit(text), Some(json!({ "name": "区信息中心", "contact": "0512-85187777" })), "{text}");
        }
        assert_eq!(om_unit("区信息中心"), Some(json!({ "name": "区信息中心" })));
        assert_eq!(phone("2027-05-20，7×24小时，20270520年"), None);
    }

    #[test]
    fn a_contact_is_told_without_the_words_around_it() {
        assert_eq!(contact("联系人：张三，联系电话：0512-12345678").as_deref(), Some("张三 0512-12345678"));
        assert_eq!(contact("联系人张三 电话0512-12345678").as_deref(), Some("张三 0512-12345678"));
        assert_eq!(contact("联系人为王五（13900001234）").as_deref(), Some("王五 13900001234"));
        assert_eq!(contact("电话：0512-12345678，7×24小时响应，2小时到场").as_deref(), Some("0512-12345678"));
    }
}
