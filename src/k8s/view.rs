//! What the watches have brought so far, and the bell by which an object is looked at again.

use super::crd::{Machine, ResourceRequest, TaskBook};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    ResourceExt as _,
    core::PartialObjectMeta,
    runtime::reflector::{self, ObjectRef, Store, store::Writer},
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// One term's view of the cluster. Clones see the same.
#[derive(Clone)]
pub struct View {
    pub requests: Store<ResourceRequest>,
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
    pub machines: Store<Machine>,
    pub books: Store<TaskBook>,
    rings: UnboundedSender<ObjectRef<ResourceRequest>>,
}

/// What keeps a view up to date, and whom the bell calls.
pub struct Ends {
    pub requests: Writer<ResourceRequest>,
    pub namespaces: Writer<PartialObjectMeta<Namespace>>,
    pub machines: Writer<Machine>,
    pub books: Writer<TaskBook>,
    pub rung: UnboundedReceiver<ObjectRef<ResourceRequest>>,
}

impl View {
    pub fn new() -> (Self, Ends) {
        let ((requests, of_requests), (namespaces, of_namespaces)) = (reflector::store(), reflector::store());
        let ((machines, of_machines), (books, of_books)) = (reflector::store(), reflector::store());
        let (rings, rung) = unbounded_channel();
        let ends =
            Ends { requests: of_requests, namespaces: of_namespaces, machines: of_machines, books: of_books, rung };
        (Self { requests, namespaces, machines, books, rings }, ends)
    }

    pub fn ring(&self, object: ObjectRef<ResourceRequest>) {
        // Nobody listens once the term is over.
        let _ = self.rings.send(object);
    }

    /// Rings for all of which this holds.
    pub fn ring_where(&self, holds: impl Fn(&ResourceRequest) -> bool) {
        for object in self.requests.state() {
            if holds(&object) {
                self.ring(ObjectRef::from_obj(&*object));
            }
        }
    }

    pub fn ring_all(&self) {
        self.ring_where(|_| true);
    }

    /// The value of a namespace's label, if the namespace is known and bears it.
    pub fn label(&self, namespace: &str, key: &str) -> Option<String> {
        self.namespaces.get(&ObjectRef::new(namespace))?.labels().get(key).cloned()
    }
}
