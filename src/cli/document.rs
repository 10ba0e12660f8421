//! A file that a person wrote, YAML or JSON by its content, as the JSON that the API takes. Mistakes are told with line
//! and column; a key given twice is one, since the later would silently replace the earlier.

use crate::yaml::{self, YamlError};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// No request or task book comes near this; a disk image given by mistake is far above.
const LARGEST: u64 = yaml::MAX_BYTES as u64;

/// Why a file cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is larger than {LARGEST} bytes", path.display())]
    TooLarge { path: PathBuf },
    #[error("{} is not UTF-8 at line {line}", path.display())]
    NotUtf8 { path: PathBuf, line: usize },
    #[error("{} holds nothing", path.display())]
    Empty { path: PathBuf },
    #[error("{} does not hold a mapping at its top", path.display())]
    NotAnObject { path: PathBuf },
    #[error("{}:{line}:{column}: {message}", path.display())]
    Syntax { path: PathBuf, line: u64, column: u64, message: String, source_line: String, json: bool },
}

/// Reads `path`, or standard input for `-`.
pub fn read(path: &Path) -> Result<Value, DocumentError> {
    parse(path, &content(path)?)
}

/// The same of a file that holds a list; a single mapping is a list of one.
pub fn read_list(path: &Path) -> Result<Value, DocumentError> {
    match value(path, &content(path)?)? {
        value @ Value::Array(_) => Ok(value),
        value @ Value::Object(_) => Ok(Value::Array(vec![value])),
        _ => Err(DocumentError::NotAnObject { path: path.into() }),
    }
}

fn content(path: &Path) -> Result<Vec<u8>, DocumentError> {
    let failed = |source| DocumentError::Read { path: path.into(), source };
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        File::open(path).and_then(|f| f.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(failed)?;
    }
    Ok(bytes)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Value, DocumentError> {
    match value(path, bytes)? {
        value @ Value::Object(_) => Ok(value),
        _ => Err(DocumentError::NotAnObject { path: path.into() }),
    }
}

fn value(path: &Path, bytes: &[u8]) -> Result<Value, DocumentError> {
    let path = path.to_path_buf();
    if bytes.len() as u64 > LARGEST {
        return Err(DocumentError::TooLarge { path });
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_start_matches('\u{feff}'),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.split(|b| *b == b'\n').count();
            return Err(DocumentError::NotUtf8 { path, line });
        }
    };
    if text.trim().is_empty() {
        return Err(DocumentError::Empty { path });
    }
    let value = if text.trim_start().starts_with(['{', '[']) {
        // A YAML flow mapping begins like JSON, so a document that only YAML can read is YAML.
        serde_json::from_str::<Strict>(text)
            .or_else(|error| yaml::from_str::<Strict>(text).map_err(|_| json_mistake(&path, text, &error)))
    } else {
        yaml::from_str::<Strict>(text).map_err(|error| yaml_mistake(&path, text, &error))
    }?;
    // A YAML document of nothing but comments is null.
    if value.0.is_null() { Err(DocumentError::Empty { path }) } else { Ok(value.0) }
}

fn json_mistake(path: &Path, text: &str, error: &serde_json::Error) -> DocumentError {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default().to_owned();
    syntax(path, text, error.line() as u64, error.column() as u64, message, true)
}

fn yaml_mistake(path: &Path, text: &str, error: &YamlError) -> DocumentError {
    let message = error.message.as_str();
    // The scanner names where the value before the tab began.
    let tab = || text.lines().position(|line| line.trim_start_matches(' ').starts_with('\t'));
    let (line, column) = match tab().filter(|_| message.contains(" tab")) {
        Some(index) => (index as u64 + 1, 1),
        None => (error.line, error.column),
    };
    // Line and column are told by us.
    let message = message.split(" at line ").next().unwrap_or_default();
    let message = message.split_once(": ").filter(|(place, _)| place.starts_with("line ")).map_or(message, |(_, m)| m);
    syntax(path, text, line, column, message.to_owned(), false)
}

fn syntax(path: &Path, text: &str, line: u64, column: u64, message: String, json: bool) -> DocumentError {
    let index = usize::try_from(line).unwrap_or(0).checked_sub(1);
    let source_line = index.and_then(|i| text.lines().nth(i)).unwrap_or_default().to_owned();
    DocumentError::Syntax { path: path.into(), line, column, message, source_line, json }
}

/// JSON without a key given twice in one object.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<Value, E> {
        Number::from_f64(v).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Strict(item)) = seq.next_element()? {
            all.push(item);
        }
        Ok(all.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("duplicate key `{key}`")));
            }
            let Strict(value) = map.next_value()?;
            object.insert(key, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(text: &str) -> Result<Value, String> {
        parse(Path::new("block.yaml"), text.as_bytes()).map_err(|e| e.to_string())
    }

    #[test]
    fn yaml_and_json_are_told_apart_by_content() {
        let wanted = json!({"vm_count": 2, "domain": "sys.gov.cn", "ssh_keys": ["a", "b"], "dr": false});
        assert_eq!(parsed("vm_count: 2\ndomain: sys.gov.cn\nssh_keys: [a, b]\ndr: false\n").as_ref(), Ok(&wanted));
        assert_eq!(parsed(&wanted.to_string()).as_ref(), Ok(&wanted));
        assert_eq!(parsed("\u{feff}{vm_count: 2, domain: sys.gov.cn, ssh_keys: [a, b,], dr: false}"), Ok(wanted));
    }

    #[test]
    fn words_that_look_like_something_else_stay_words() {
        assert_eq!(
            parsed("a: no\nb: 2026-12-01\nc: 16G\nd: '001'\ne: ~\n"),
            Ok(json!({"a": "no", "b": "2026-12-01", "c": "16G", "d": "001", "e": null}))
        );
    }

    #[test]
    fn odd_numbers_and_keys_are_not_bent() {
        insta::assert_snapshot!(parsed("a: 001\nb: 18446744073709551616\nc: -9223372036854775808\nd: 0x10\ne: 1_000\nf: 1e3\n1: x\n").unwrap(), @r#"{"1":"x","a":1.0,"b":1.8446744073709552e+19,"c":-9223372036854775808,"d":16,"e":1000,"f":1000.0}"#);
        insta::assert_snapshot!(parsed("a: \tb\n\tc: d\n").unwrap_err(), @"block.yaml:2:1: while scanning a plain scalar, found a tab");
        insta::assert_snapshot!(parsed("{\"a\": [1, 2").unwrap_err(), @"block.yaml:1:11: EOF while parsing a list");
        insta::assert_snapshot!(parsed("a: &x [1]\nb: *x\n").unwrap_err(), @"block.yaml:1:7: budget breached: Anchors { anchors: 1 }");
        insta::assert_snapshot!(parsed("a: 1\n<<: {c: 1}\n").unwrap_err(), @"block.yaml:2:1: YAML merge keys are not allowed by configured policy at line…");
    }

    #[test]
    fn mistakes_are_told_with_line_and_column() {
        insta::assert_snapshot!(parsed("a: 1\n  b: 2\n").unwrap_err(), @"block.yaml:2:4: mapping values are not allowed in this context");
        insta::assert_snapshot!(parsed("a: 1\nb: [1, 2\nc: 3\n").unwrap_err(), @"block.yaml:3:2: illegal placement of ':' indicator");
        insta::assert_snapshot!(parsed("a: 1\nb: 2\na: 3\n").unwrap_err(), @"block.yaml:3:1: duplicate mapping key: a, set DuplicateKeyPolicy in Options …");
        insta::assert_snapshot!(parsed("{\"a\": 1,\n \"a\": 2}").unwrap_err(), @"block.yaml:2:4: duplicate key `a`");
        insta::assert_snapshot!(parsed("{\"a\": 1\n \"b\": 2}").unwrap_err(), @"block.yaml:2:2: expected `,` or `}`");
        insta::assert_snapshot!(parsed("a: 1\n---\nb: 2\n").unwrap_err(), @"block.yaml:2:1: budget breached: Documents { documents: 2 }");
        insta::assert_snapshot!(parsed("a: .nan\n").unwrap_err(), @"block.yaml:1:4: non-finite float `.nan` rejected by the configured policy at…");
        insta::assert_snapshot!(parsed("- a\n- b\n").unwrap_err(), @"block.yaml does not hold a mapping at its top");
        assert_eq!(value(Path::new("x"), b"- a\n- b: 1\n").unwrap(), json!(["a", {"b": 1}]));
        insta::assert_snapshot!(parsed("# nothing\n").unwrap_err(), @"block.yaml holds nothing");
        insta::assert_snapshot!(parsed(" \n").unwrap_err(), @"block.yaml holds nothing");
    }

    #[test]
    fn other_encodings_depths_and_sizes_are_refused_without_a_panic() {
        let gbk = [b"a: 1\nb: ".as_slice(), &[0xb3, 0xa4, 0xb6, 0xc8]].concat();
        assert!(matches!(parse(Path::new("x"), &gbk), Err(DocumentError::NotUtf8 { line: 2, .. })));
        let large = vec![b' '; 1 + usize::try_from(LARGEST).unwrap()];
        assert!(matches!(parse(Path::new("x"), &large), Err(DocumentError::TooLarge { .. })));
        assert!(parsed(&"[".repeat(100_000)).is_err());
        assert!(parsed(&format!("a: {}", "[".repeat(100_000))).is_err());
        assert!(parsed(&"{\"a\":".repeat(100_000)).is_err());
    }
}
