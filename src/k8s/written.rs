//! What our own last write has left of each object, for as long as the watch has not brought it. Versions are counted up by
//! the server, for all objects alike, so that of two the higher is the later one whoever made it.

use kube::{Resource, runtime::reflector::ObjectRef};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a watch may take to bring what we have made. After that it is taken for gone again.
const ECHO: Duration = Duration::from_secs(10);

/// Of all objects of one kind.
pub struct Written<K: Resource<DynamicType = ()>>(Mutex<HashMap<ObjectRef<K>, Last<K>>>);

struct Last<K> {
    object: Arc<K>,
    since: Instant,
}

impl<K: Resource<DynamicType = ()>> Default for Written<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Resource<DynamicType = ()>> Written<K> {
    fn held(&self) -> MutexGuard<'_, HashMap<ObjectRef<K>, Last<K>>> {
        // A map: a panic in between leaves nothing that the next watch event would not correct.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object as our write has left it.
    pub fn note(&self, object: Arc<K>) -> Arc<K> {
        let last = Last { object: Arc::clone(&object), since: Instant::now() };
        self.held().insert(ObjectRef::from_obj(&*object), last);
        object
    }

    pub fn forget(&self, here: &ObjectRef<K>) {
        self.held().remove(here);
    }

    /// The later of what the watch has brought of an object and what our own last write left of it. Where the watch has
    /// brought nothing, ours is believed for a moment: it may have missed that the object went again.
    pub fn newest(&self, here: &ObjectRef<K>, seen: Option<Arc<K>>) -> Option<Arc<K>> {
        let mut held = self.held();
        let Some(last) = held.get(here) else { return seen };
        let is_ours = match &seen {
            Some(seen) => version(&*last.object) > version(&**seen),
            None => last.since.elapsed() < ECHO,
        };
        if is_ours {
            return Some(Arc::clone(&last.object));
        }
        held.remove(here);
        seen
    }

    /// Whether the watch only brings what a write of ours has left: the last one, or one before it that is overtaken. `alike`
    /// tells an earlier state of ours (the first) from what somebody else wrote meanwhile.
    pub fn is_echo(&self, seen: &K, alike: impl Fn(&K, &K) -> bool) -> bool {
        let here = ObjectRef::from_obj(seen);
        let mut held = self.held();
        let Some(last) = held.get(&here).map(|last| &last.object) else { return false };
        let is_last = version(seen) == version(&**last);
        let is_echo = version(seen) <= version(&**last) && seen.meta().uid == last.meta().uid && alike(seen, last);
        if is_last || !is_echo {
            held.remove(&here);
        }
        is_echo
    }
}

/// 0 where the server does not count.
fn version(object: &impl Resource) -> u64 {
    object.meta().resource_version.as_ref().and_then(|version| version.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k8s::crd::{Machine, MachineSpec};

    fn object(uid: &str, version: u32) -> Arc<Machine> {
        let spec = MachineSpec {
            id: "i".to_owned(),
            request: "r".to_owned(),
            domain: None,
            vcpu: 1,
            memory: "1Gi".to_owned(),
            disk: "2Gi".to_owned(),
        };
        let mut object = Machine::new("m", spec);
        object.metadata.namespace = Some("mzj".to_owned());
        object.metadata.uid = Some(uid.to_owned());
        object.metadata.resource_version = Some(version.to_string());
        Arc::new(object)
    }

    fn found(newest: Option<Arc<Machine>>) -> Option<(String, String)> {
        newest.map(|one| {
            let meta = &one.metadata;
            (meta.uid.clone().unwrap_or_default(), meta.resource_version.clone().unwrap_or_default())
        })
    }

    fn is(uid: &str, version: u32) -> (String, String) {
        (uid.to_owned(), version.to_string())
    }

    #[test]
    fn the_later_of_our_last_write_and_what_the_watch_has_brought_counts() {
        let (written, here) = (Written::default(), ObjectRef::from_obj(&*object("a", 1)));
        assert_eq!(found(written.newest(&here, Some(object("a", 9)))), Some(is("a", 9)));
        written.note(object("a", 10));
        // By their number, not by their letters.
        assert_eq!(found(written.newest(&here, Some(object("a", 9)))), Some(is("a", 10)));
        assert_eq!(found(written.newest(&here, None)), Some(is("a", 10)));
        // Somebody else wrote after us; from then on ours is not remembered.
        assert_eq!(found(written.newest(&here, Some(object("a", 11)))), Some(is("a", 11)));
        assert_eq!(found(written.newest(&here, Some(object("a", 9)))), Some(is("a", 9)));
        // Made again under its name: what we wrote into the one before is the earlier.
        written.note(object("a", 12));
        assert_eq!(found(written.newest(&here, Some(object("b", 14)))), Some(is("b", 14)));
        written.note(object("b", 15));
        written.forget(&here);
        assert_eq!(found(written.newest(&here, None)), None);
    }

    #[test]
    fn an_echo_is_told_from_somebody_else_s_word() {
        let written = Written::default();
        let echo = |seen: &Machine| written.is_echo(seen, |seen, ours| seen.spec == ours.spec);
        assert!(!echo(&object("a", 7)), "nothing was written");
        written.note(object("a", 7));
        // The first of two writes, and the second; what comes then is news.
        assert!(echo(&object("a", 6)) && echo(&object("a", 7)) && !echo(&object("a", 7)));
        written.note(object("a", 7));
        assert!(!echo(&object("a", 8)));
        written.note(object("a", 9));
        assert!(!echo(&object("b", 8)), "another object of the name");
        written.note(object("a", 9));
        let mut other = Machine::clone(&object("a", 8));
        other.spec.vcpu = 5;
        assert!(!echo(&other), "what somebody else wrote between two writes of ours");
    }
}
