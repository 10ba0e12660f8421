//! What a call carries along from its beginning: its id, and who made it.

use crate::identity::Actor;
use axum::http::Extensions;
use std::sync::{Arc, OnceLock};

/// The id of a call, which logs, audit records, operations and libvirt calls carry.
#[derive(Clone)]
pub struct Id(pub String);

/// The id of the call that is under way.
pub fn trace_id(extensions: &Extensions) -> String {
    extensions.get::<Id>().map_or_else(String::new, |id| id.0.clone())
}

/// Where [`super::extract::Caller`] leaves word of who called, for what is done after the handler.
#[derive(Clone, Default)]
pub struct Called(Arc<OnceLock<Actor>>);

impl Called {
    pub fn by(&self, actor: &Actor) {
        // The first to come is the only one.
        let _ = self.0.set(actor.clone());
    }

    pub fn actor(&self) -> Option<&Actor> {
        self.0.get()
    }
}
