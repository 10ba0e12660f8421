//! The third step, pure: what is to be done about an object, and the request that it is.

use super::{crd::ResourceRequestSpec, dereference::Facts, mirror, validate::Fault};
use crate::{
    identity::Department,
    ids::{MachineId, RequestId},
    machine::lifecycle::State,
    request::{lifecycle::RequestState, raw::RawReport},
};
use serde_json::{Map, Value};

/// What is to be done. Each is done again after a crash, and comes to the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// All is as it should be, or nothing may be done.
    Rest,
    /// Submit it: for the first time, or instead of a request that has ended without an approval.
    Submit { instead_of: Option<RequestId> },
    /// Another spec than the request that still waits: withdraw that one first.
    Replace { waiting: RequestId },
    /// Somebody took our finalizer off: put it back.
    Guard,
    /// A mirror that says something else than the request: written over.
    Mend,
    /// It is to be deleted, and has never become anything.
    LetGo,
    /// It is to be deleted; its request and its machines come first.
    Remove,
}

/// What is to be done about an object.
pub fn plan(facts: &Facts, judged: &Result<&Department, Fault>) -> Deed {
    if let (true, Some(request)) = (facts.is_mirror, &facts.request) {
        return match (facts.object.metadata.deletion_timestamp.is_some(), facts.has_finalizer()) {
            (true, true) => Deed::LetGo,
            (false, _) if facts.object.spec != mirror::spec(&request.block) => Deed::Mend,
            _ => Deed::Rest,
        };
    }
    if facts.object.metadata.deletion_timestamp.is_some() {
        return match (&facts.bound, facts.has_finalizer()) {
            (Some(bound), true) if bound.released_at.is_none() => Deed::Remove,
            (_, true) => Deed::LetGo,
            // It goes as soon as the others have let go.
            (_, false) => Deed::Rest,
        };
    }
    if facts.bound.as_ref().is_some_and(|bound| bound.deleting_at.is_none()) && !facts.has_finalizer() {
        return Deed::Guard;
    }
    if judged.is_err() || facts.bound.as_ref().is_some_and(|bound| bound.deleting_at.is_some()) {
        return Deed::Rest;
    }
    match &facts.request {
        None => Deed::Submit { instead_of: None },
        Some(_) if !facts.is_edited() => Deed::Rest,
        Some(request) => match request.state {
            RequestState::Submitted => Deed::Replace { waiting: request.id },
            RequestState::Returned | RequestState::Cancelled if request.operation.is_none() => {
                Deed::Submit { instead_of: Some(request.id) }
            }
            // What was approved is what is built, whatever the object has become.
            _ => Deed::Rest,
        },
    }
}

/// What stands between a request and the release of its object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Withdraw it, or turn its build back.
    Cancel,
    /// Put these machines into the bin.
    Bin(Vec<MachineId>),
    /// Something is under way.
    Wait,
    Done,
}

/// The next part of a removal.
pub fn removal(facts: &Facts) -> Removal {
    let Some(request) = &facts.request else { return Removal::Done };
    match request.state {
        RequestState::Submitted => return Removal::Cancel,
        RequestState::Approved => {
            let turning = facts.operation.as_ref().is_some_and(|operation| operation.cancel_reason.is_some());
            return if turning { Removal::Wait } else { Removal::Cancel };
        }
        RequestState::Cancelling => return Removal::Wait,
        _ => {}
    }
    let mut idle = Vec::new();
    let mut waits = false;
    for machine in &facts.machines {
        match (machine.state, machine.operation) {
            (State::InBin | State::Undone, None) => {}
            (State::Running | State::Stopped, None) => idle.push(machine.id),
            _ => waits = true,
        }
    }
    match (idle.is_empty(), waits) {
        (false, _) => Removal::Bin(idle),
        (true, true) => Removal::Wait,
        (true, false) => Removal::Done,
    }
}

/// The request as anybody could have written it. The rules read it as they read every other.
pub fn report(spec: &ResourceRequestSpec) -> Result<RawReport, serde_json::Error> {
    let Value::Object(written) = serde_json::to_value(spec)? else { return Ok(RawReport::default()) };
    let mut fields: Map<String, Value> = written.into_iter().map(|(name, value)| (snake(&name), value)).collect();
    fields.insert("basis".to_owned(), "per_machine".into());
    for name in ["memory", "disk"] {
        // Kubernetes writes 16Gi for what people write as 16 GiB.
        if let Some(Value::String(text)) = fields.get_mut(name) {
            text.push('B');
        }
    }
    serde_json::from_value(Value::Object(fields))
}

/// `/ssh_keys/0` as `spec.sshKeys[0]`.
pub fn place(pointer: &str) -> String {
    let mut place = "spec".to_owned();
    for part in pointer.split('/').filter(|part| !part.is_empty()) {
        if part.bytes().all(|b| b.is_ascii_digit()) {
            place.extend(["[", part, "]"]);
        } else {
            place.push('.');
            place.push_str(&camel(part));
        }
    }
    place
}

fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut chars = part.chars();
        out.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        out.push_str(chars.as_str());
    }
    out
}
