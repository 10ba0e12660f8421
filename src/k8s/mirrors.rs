//! What shows in the cluster without having been asked for there: task books, and requests that came by the API, the command
//! line or on paper. A mirror is written where it is not true, and put back where somebody took it away; it is never a
//! reason for an act, and when it goes nothing else does.

use super::{
    cluster::StepError,
    mirror, store,
    work::{LONGEST_PAUSE, PAGE, WIDTH, Work},
};
use crate::{
    db::Slice,
    error::story,
    identity::store as identities,
    ids::RequestId,
    machine::{self, lifecycle::State},
    operation::crash,
    request::{self, lifecycle::RequestState, store::Request},
    task_book,
    usage::judging,
};
use futures_util::{StreamExt as _, stream};
use kube::{ResourceExt as _, runtime::reflector::ObjectRef};
use std::{collections::BTreeSet, time::Duration};
use tokio::{sync::mpsc::UnboundedReceiver, time::sleep};

const MOST_BOOKS: usize = 200;
/// Between two looks whether another day has been judged.
const VERDICTS: Duration = Duration::from_secs(5);

/// Of what a mirror may not be true any more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mirrored {
    /// A task book, by its id.
    Book(String),
    /// A request that came by no object, by its id.
    Request(String),
    /// All such requests of the department that a namespace belongs to.
    Namespace(String),
}

impl Work {
    /// Takes in hand whatever it is told of, for as long as somebody tells.
    pub(super) async fn keep_mirrors(&self, mut touched: UnboundedReceiver<Mirrored>) {
        // Before everything has been listed, what is there cannot be told from what is missing.
        let _ = self.stores.books.wait_until_ready().await;
        let _ = self.stores.namespaces.wait_until_ready().await;
        let _ = self.stores.requests.wait_until_ready().await;
        while let Some(first) = touched.recv().await {
            let mut all = BTreeSet::from([first]);
            while let Ok(more) = touched.try_recv() {
                all.insert(more);
            }
            stream::iter(all).for_each_concurrent(usize::from(WIDTH), |one| self.keep_mirror(one)).await;
        }
    }

    async fn keep_mirror(&self, one: Mirrored) {
        let kept = match &one {
            Mirrored::Book(id) => self.mirror_book(id).await,
            Mirrored::Request(id) => self.mirror_request(id).await,
            Mirrored::Namespace(name) => self.mirror_all_of(name).await,
        };
        if let Err(error) = kept {
            tracing::warn!(mirror = ?one, error = %story(&error).join(": "), "kubernetes.mirror.postponed");
            let mirrors = self.mirrors.clone();
            tokio::spawn(async move {
                sleep(LONGEST_PAUSE).await;
                let _ = mirrors.send(one);
            });
        }
    }

    /// Writes the mirror of a task book, where it is not true.
    async fn mirror_book(&self, id: &str) -> Result<(), StepError> {
        let (held, department) = {
            let mut conn = self.hands.db.read().await?;
            let Some(held) = task_book::store::find(&mut conn, id, None).await? else { return Ok(()) };
            let department = identities::find_department(&mut conn, &held.department.text()).await?;
            (held, department.map(|department| department.code).unwrap_or_default())
        };
        let mirror = mirror::book(&held, &department);
        let before = self.stores.books.get(&ObjectRef::from_obj(&mirror));
        self.hands.cluster.put_book(&mirror, before.as_deref()).await
    }

    pub(super) async fn all_books(&self) {
        let Some(order) = task_book::store::SORTS.order(None) else { return };
        let mut slice = Slice { order, after: None, size: MOST_BOOKS };
        loop {
            let batch = async {
                let mut conn = self.hands.db.read().await?;
                task_book::store::list(&mut conn, &task_book::store::Filter::default(), &slice).await
            };
            match batch.await {
                Ok(batch) => {
                    for book in &batch.items {
                        let _ = self.mirrors.send(Mirrored::Book(book.id.text()));
                    }
                    match batch.next {
                        Some(next) => slice.after = Some(next),
                        None => return,
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "kubernetes.books.unread");
                    return;
                }
            }
        }
    }

    /// Makes the mirror of a request that came by no object, in a namespace of its department, if there is one. What it then
    /// says is told as of every object.
    async fn mirror_request(&self, id: &str) -> Result<(), StepError> {
        let (request, department, lives) = {
            let mut conn = self.hands.db.read().await?;
            let Some(request) = request::store::find(&mut conn, id, None).await? else { return Ok(()) };
            if store::of_request(&mut conn, id).await?.is_some() {
                return Ok(());
            }
            let department = identities::find_department(&mut conn, &request.department.text()).await?;
            let machines = machine::store::of_request(&mut conn, id).await?;
            let lives = lives(&request, machines.iter().map(|machine| machine.state));
            (request, department.map(|department| department.code).unwrap_or_default(), lives)
        };
        let Some(namespace) = self.home(&department, id) else { return Ok(()) };
        let here = ObjectRef::new(id).within(&namespace);
        if self.stores.requests.get(&here).is_some() {
            self.ring(here);
        } else if lives {
            // Its object comes by the watch, and is told of then.
            self.hands.cluster.make_request(&mirror::request(&request, &namespace)).await?;
            crash::point("k8s.mirrored");
        }
        Ok(())
    }

    /// The namespace of a department in which the request shows: where it does already, else the first by name.
    fn home(&self, department: &str, id: &str) -> Option<String> {
        let label = &self.settings.department_label;
        let all = self.stores.namespaces.state();
        let own = all.iter().filter(|namespace| namespace.metadata.deletion_timestamp.is_none());
        let own: BTreeSet<String> = own
            .filter(|namespace| namespace.labels().get(label).is_some_and(|code| code == department))
            .map(|namespace| namespace.name_any())
            .collect();
        let shows = |space: &&String| self.stores.requests.get(&ObjectRef::new(id).within(space)).is_some();
        own.iter().find(shows).or_else(|| own.first()).cloned()
    }

    async fn mirror_all_of(&self, namespace: &str) -> Result<(), StepError> {
        let Some(seen) = self.stores.namespaces.get(&ObjectRef::new(namespace)) else { return Ok(()) };
        let Some(code) = seen.labels().get(&self.settings.department_label) else { return Ok(()) };
        let department = identities::find_department(&mut *self.hands.db.read().await?, code).await?;
        let Some(department) = department.filter(|department| department.code == *code) else { return Ok(()) };
        let mut after = String::new();
        loop {
            let page = store::unbound(&mut *self.hands.db.read().await?, department.id, &after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(last);
            for id in page {
                let _ = self.mirrors.send(Mirrored::Request(id));
            }
        }
    }

    /// An object is gone. If it was a mirror of what lives, it comes again.
    pub(super) fn mirror_again(&self, name: &str) {
        if let Ok(id) = name.parse::<RequestId>() {
            let _ = self.mirrors.send(Mirrored::Request(id.text()));
        }
    }

    /// What was judged of machines shows in their mirrors once a day's judgements are whole.
    pub(super) async fn follow_verdicts(&self) {
        let mut known = None;
        loop {
            let newest = async { judging::store::last_day(&mut *self.hands.db.read().await?).await };
            match newest.await {
                Ok(day) => {
                    // What is there when a term begins is looked at anyway.
                    if known.as_ref().is_some_and(|known| *known != day) {
                        self.ring_all();
                    }
                    known = Some(day);
                }
                Err(error) => tracing::warn!(%error, "kubernetes.verdicts.unread"),
            }
            sleep(VERDICTS).await;
        }
    }
}

/// Whether a request is worth showing: one that has ended without a machine is not made an object of, though one that shows
/// is told that it has.
fn lives(request: &Request, mut machines: impl Iterator<Item = State>) -> bool {
    match request.state {
        RequestState::Submitted | RequestState::Approved | RequestState::Cancelling => true,
        RequestState::Delivered => machines.any(|state| state != State::Undone),
        RequestState::Returned | RequestState::Cancelled | RequestState::Failed => false,
    }
}
