//! What the server has just answered to a write of ours: the next parts of the same build need not ask whether it is there.
//! Nothing is written on its strength, and should it have gone meanwhile, the last part (that the guest answers) misses it.

use super::api::Kind;
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// From one part of a machine to the next. A broker that stood still for longer asks.
const BELIEVED: Duration = Duration::from_secs(5);
/// Beyond this, what is too old is thrown away.
const MANY: usize = 1024;

type Key = (Kind, String, String);

#[derive(Debug, Default)]
pub struct Recent(Mutex<HashMap<Key, (Value, Instant)>>);

impl Recent {
    pub fn note(&self, kind: Kind, object: Value) {
        let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
        let key = (kind, text("namespace"), text("name"));
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MANY {
            held.retain(|_, (_, at)| at.elapsed() < BELIEVED);
        }
        held.insert(key, (object, Instant::now()));
    }

    /// Once: whoever goes on with it notes it again.
    pub fn take(&self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (object, at) = held.remove(&(kind, namespace.to_owned(), name.to_owned()))?;
        (at.elapsed() < BELIEVED).then_some(object)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::api::MACHINES, *};
    use serde_json::json;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_believed_once_and_for_a_moment() {
        let recent = Recent::default();
        let object = json!({"metadata": {"namespace": "jiyue-mzj", "name": "a", "resourceVersion": "7"}});
        recent.note(MACHINES, object.clone());
        assert_eq!(recent.take(MACHINES, "jiyue-jyj", "a"), None);
        assert_eq!(recent.take(MACHINES, "jiyue-mzj", "a"), Some(object.clone()));
        assert_eq!(recent.take(MACHINES, "jiyue-mzj", "a"), None);
        recent.note(MACHINES, object);
        tokio::time::advance(BELIEVED).await;
        assert_eq!(recent.take(MACHINES, "jiyue-mzj", "a"), None);
    }
}
