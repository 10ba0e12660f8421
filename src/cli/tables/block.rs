//! A checked block, and what was read from a file.

use crate::{
    cli::{
        format,
        language::{say, tr},
        words,
    },
    place::Place,
};
use serde_json::{Value, json};

/// The rows of [`READ`]: each value of a checked report that has a place, in the order of the file.
pub fn read_from(answer: &Value) -> Vec<Value> {
    const SHOWN: usize = 32;
    let Some(places) = answer.get("places").and_then(Value::as_object) else { return Vec::new() };
    let mut rows: Vec<(Place, Value)> = places
        .iter()
        .filter_map(|(pointer, place)| {
            let written = answer.get("document")?.pointer(pointer)?;
            let written = written.as_str().map(str::to_owned).or_else(|| written.as_i64().map(|n| n.to_string()))?;
            let place: Place = serde_json::from_value(place.clone()).ok()?;
            let mut short: String = written.replace('\n', " ").chars().take(SHOWN).collect();
            if written.chars().nth(SHOWN).is_some() {
                short.push('…');
            }
            let row = json!({"field": named(pointer), "written": short, "place": place.to_string()});
            Some((place, row))
        })
        .collect();
    rows.sort_by_key(|(place, _)| (place.sheet.clone(), place.table, place.paragraph, place.row, place.column));
    rows.into_iter().map(|(_, row)| row).collect()
}

/// `/blocks/1/memory` as 第 2 组 内存容量, `/extra_hardware/0/price` by its list's word.
fn named(pointer: &str) -> String {
    let mut parts = pointer.split('/').skip(1);
    let (first, number) = (parts.next().unwrap_or_default(), parts.next());
    match (first, number.and_then(|n| n.parse::<u32>().ok())) {
        ("blocks", Some(n)) => {
            let field = parts.next().unwrap_or_default();
            say!("第 {n} 组 {field}", n = n + 1, field = words::field(field).unwrap_or(field))
        }
        (field, Some(n)) => say!("{name}（{n}）", name = words::field(field).unwrap_or(field), n = n + 1),
        (field, None) => words::field(field).unwrap_or(field).to_owned(),
    }
}

/// The lines of a request block: known fields in the form's order, then whatever else the server sent.
pub fn block_lines(block: &Value) -> Vec<(String, String)> {
    let Some(block) = block.as_object() else { return Vec::new() };
    let known = words::BLOCK.iter().filter_map(|(key, label)| Some((*key, *label, block.get(*key)?)));
    let rest = block.iter().filter(|(key, _)| words::BLOCK.iter().all(|(known, _)| known != key));
    let rest = rest.map(|(key, value)| (key.as_str(), words::field(key).unwrap_or(key), value));
    let filled = known.chain(rest).filter(|(_, _, value)| !value.is_null());
    filled.map(|(key, label, value)| (format::clean(tr(label)), format::field(key, value))).collect()
}
