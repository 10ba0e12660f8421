//! Who keeps a system running, and how to reach them: `区民政局信息中心（联系人：张三，电话 0512-…）`.

use super::scan::line;
use serde_json::{Map, Value, json};

/// A name and, where it is written too, a contact.
pub(super) fn om_unit(written: &str) -> Option<Value> {
    let text = line(written);
    let phone = ["联系人", "联系电话", "联系方式", "电话"].iter().filter_map(|w| text.find(w)).min();
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
        if worded.is_some() || rest.starts_with(|c: char| c.is_ascii_digit()) {
            // `张三 联系电话 0512-…`
            for part in ["联系电话", "电话", "手机"]
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
    fn a_contact_is_told_without_the_words_around_it() {
        assert_eq!(contact("联系人：张三，联系电话：0512-12345678").as_deref(), Some("张三 0512-12345678"));
        assert_eq!(contact("联系人张三 电话0512-12345678").as_deref(), Some("张三 0512-12345678"));
    }
}
