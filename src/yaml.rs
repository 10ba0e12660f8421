//! YAML in: one document, small, and without the amplifying parts of the language. A file of a few hundred bytes can
//! name itself into gigabytes through aliases; nothing we read has a use for them, so none are allowed at all.

use serde::de::DeserializeOwned;
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy};

/// The largest text that is looked at.
pub const MAX_BYTES: usize = 1 << 20;

/// The text is not what was expected, and where. Line and column count from 1; 0 means the whole text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct YamlError {
    pub line: u64,
    pub column: u64,
    pub message: String,
}

/// Reads one YAML document (JSON is one too).
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    if text.len() > MAX_BYTES {
        let message = format!("{} bytes, at most {MAX_BYTES} are read", text.len());
        return Err(YamlError { line: 0, column: 0, message });
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1,
            max_anchors: 0,
            max_aliases: 0,
            max_merge_keys: 0,
            max_depth: 32,
            flow_nesting_limit: 32,
            max_nodes: 20_000,
            max_events: 60_000,
            max_total_scalar_bytes: MAX_BYTES,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|e| {
        let (line, column) = e.location().map_or((0, 0), |at| (at.line(), at.column()));
        YamlError { line, column, message: crate::text::shown(&e.to_string()) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn one_plain_document_is_read() {
        let value: Value = from_str("a: 1\nb: [2, '3']\nc: 2027-03-31\n").unwrap();
        assert_eq!(value, serde_json::json!({"a": 1, "b": [2, "3"], "c": "2027-03-31"}));
    }

    #[test]
    fn what_amplifies_is_refused() {
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b]\n";
        for text in [bomb, "a: &x 1\n", "a: 1\na: 2\n", "a: 1\n---\nb: 2\n", "a: !!python/object:os.system ls\n"] {
            assert!(from_str::<Value>(text).is_err(), "{text}");
        }
        let deep = "[".repeat(200);
        assert!(from_str::<Value>(&deep).is_err());
        let long = format!("a: {}", "x".repeat(MAX_BYTES));
        assert!(from_str::<Value>(&long).is_err());
        let wide = format!("a: [{}]", "1,".repeat(100_000));
        assert!(from_str::<Value>(&wide).is_err());
    }

    #[test]
    fn a_fault_says_where() {
        let fault = from_str::<Value>("a: 1\nb: [1,\n").unwrap_err();
        assert!(fault.line >= 2, "{fault}");
    }
}
