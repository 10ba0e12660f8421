//! A check without a server: what the file itself shows. Rules about task books, taken names and running requests are
//! left to the server, and what a form has no place for is not a fault of the form: it is asked for at submission.

use super::{
    fields::{FIELDS, field},
    raw::RawReport,
    rules::{self, Code, Ground, Violation},
};
use crate::request::block::Block;
use serde::Serialize;
use serde_json::Value;

/// Rules that need the world, for the note that they were not applied.
pub const NOT_CHECKED: &[&str] = &["任务书与控制指标", "域名占用", "重复申请"];

/// Something to be given at submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Needed {
    pub pointer: String,
    /// The form's word.
    pub field: &'static str,
    pub mend: String,
}

/// What the file shows by itself.
#[derive(Debug)]
pub struct Shown {
    /// The checked blocks; none while something is needed or wrong.
    pub blocks: Vec<Block>,
    /// What could be read of each block, all the same.
    pub known: Vec<Value>,
    pub violations: Vec<Violation>,
    pub needed: Vec<Needed>,
}

/// Judges a report by itself.
pub fn check(raw: &RawReport, ground: Ground<'_>) -> Shown {
    let known = rules::known(raw, ground);
    match rules::check(raw, ground, None) {
        Ok(blocks) => Shown { blocks, known, violations: Vec::new(), needed: Vec::new() },
        Err(found) => {
            let (needed, violations): (Vec<_>, Vec<_>) = found.into_iter().partition(|v| is_needed(raw, v));
            let is_field = |part: &&str| FIELDS.iter().any(|f| f.name == *part);
            let needed = needed.into_iter().map(|v| Needed {
                field: field(v.pointer.split('/').find(is_field).unwrap_or_default()).label,
                pointer: v.pointer,
                mend: v.mend,
            });
            Shown { blocks: Vec::new(), known, violations, needed: needed.collect() }
        }
    }
}

/// Fields that the paper forms have no place for, or that stand in a part of the report that a file may leave out.
const LATER: &[&str] = &["network_zone", "secrecy_level", "mlps_level", "om_period_months", "om_unit", "ssh_keys"];

fn is_needed(raw: &RawReport, violation: &Violation) -> bool {
    // A document of JSON or YAML has room for every field.
    let form = !raw.places.is_empty();
    let name = violation.pointer.split('/').rfind(|part| LATER.contains(part));
    let is = |code: Code| violation.code == code.as_str();
    is(Code::TaskBookMissing)
        || form && is(Code::ZoneUnclear)
        || form && is(Code::Required) && name.is_some() && !raw.places.contains_key(&violation.pointer)
}
