//! What shows in the cluster without having been asked for there: task books, and requests that came by the API, the command
//! line or on paper. A mirror is written where it is not true, and put back where somebody took it away; it is never a
//! reason for an act, and when it goes nothing else does.

use super::{apply::Hands, cluster::StepError, mirror, store, view::View};
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
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::sleep,
};

const MOST_BOOKS: usize = 200;
const MOST_REQUESTS: i64 = 500;
/// Mirrors worked on at once.
const WIDTH: usize = 16;
/// Before a mirror that could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(15);
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

/// The mirrors of one term.
pub struct Mirrors {
    hands: Hands,
    view: View,
    department_label: String,
    touch: UnboundedSender<Mirrored>,
}

impl Mirrors {
    /// And what it is told, for [`Mirrors::keep`].
    pub fn new(hands: Hands, view: View, department_label: String) -> (Self, UnboundedReceiver<Mirrored>) {
        let (touch, touched) = unbounded_channel();
        (Self { hands, view, department_label, touch }, touched)
    }

    /// That a mirror may not be true any more.
    pub fn touch(&self, one: Mirrored) {
        // Nobody listens once the term is over.
        let _ = self.touch.send(one);
    }

    /// An object is gone. If it was a mirror of what lives, it comes again.
    pub fn again(&self, name: &str) {
        if let Ok(id) = name.parse::<RequestId>() {
            self.touch(Mirrored::Request(id.text()));
        }
    }

    pub fn all_namespaces(&self) {
        for namespace in self.view.namespaces.state() {
            self.touch(Mirrored::Namespace(namespace.name_any()));
        }
    }

    /// Takes in hand whatever it is told of, for as long as somebody tells.
    pub async fn keep(&self, mut touched: UnboundedReceiver<Mirrored>) {
        // Before everything has been listed, what is there cannot be told from what is missing.
        let _ = self.view.books.wait_until_ready().await;
        let _ = self.view.namespaces.wait_until_ready().await;
        let _ = self.view.requests.wait_until_ready().await;
        while let Some(first) = touched.recv().await {
            let mut all = BTreeSet::from([first]);
            while let Ok(more) = touched.try_recv() {
                all.insert(more);
            }
            stream::iter(all).for_each_concurrent(WIDTH, |one| self.keep_one(one)).await;
        }
    }

    async fn keep_one(&self, one: Mirrored) {
        let kept = match &one {
            Mirrored::Book(id) => self.book(id).await,
            Mirrored::Request(id) => self.request(id).await,
            Mirrored::Namespace(name) => self.all_of(name).await,
        };
        if let Err(error) = kept {
            tracing::warn!(mirror = ?one, error = %story(&error).join(": "), "kubernetes.mirror.postponed");
            let touch = self.touch.clone();
            tokio::spawn(async move {
                sleep(AGAIN).await;
                let _ = touch.send(one);
            });
        }
    }

    /// Writes the mirror of a task book, where it is not true.
    async fn book(&self, id: &str) -> Result<(), StepError> {
        let (held, department) = {
            let mut conn = self.hands.db.read().await?;
            let Some(held) = task_book::store::find(&mut conn, id, None).await? else { return Ok(()) };
            let department = identities::find_department(&mut conn, &held.department.text()).await?;
            (held, department.map(|department| department.code).unwrap_or_default())
        };
        let mirror = mirror::book(&held, &department);
        let before = self.view.books.get(&ObjectRef::from_obj(&mirror));
        self.hands.cluster.put_book(&mirror, before.as_deref()).await
    }

    pub async fn all_books(&self) {
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
                        self.touch(Mirrored::Book(book.id.text()));
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
    async fn request(&self, id: &str) -> Result<(), StepError> {
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
        if self.view.requests.get(&here).is_some() {
            self.view.ring(here);
        } else if lives {
            // Its object comes by the watch, and is told of then.
            self.hands.cluster.make_request(&mirror::request(&request, &namespace)).await?;
            crash::point("k8s.mirrored");
        }
        Ok(())
    }

    /// The namespace of a department in which the request shows: where it does already, else the first by name.
    fn home(&self, department: &str, id: &str) -> Option<String> {
        let label = &self.department_label;
        let all = self.view.namespaces.state();
        let own = all.iter().filter(|namespace| namespace.metadata.deletion_timestamp.is_none());
        let own: BTreeSet<String> = own
            .filter(|namespace| namespace.labels().get(label).is_some_and(|code| code == department))
            .map(|namespace| namespace.name_any())
            .collect();
        let shows = |space: &&String| self.view.requests.get(&ObjectRef::new(id).within(space)).is_some();
        own.iter().find(shows).or_else(|| own.first()).cloned()
    }

    async fn all_of(&self, namespace: &str) -> Result<(), StepError> {
        let Some(code) = self.view.label(namespace, &self.department_label) else { return Ok(()) };
        let department = identities::find_department(&mut *self.hands.db.read().await?, &code).await?;
        let Some(department) = department.filter(|department| department.code == code) else { return Ok(()) };
        let mut after = String::new();
        loop {
            let page = store::unbound(&mut *self.hands.db.read().await?, department.id, &after, MOST_REQUESTS).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(last);
            for id in page {
                self.touch(Mirrored::Request(id));
            }
        }
    }

    /// What was judged of machines shows in their mirrors once a day's judgements are whole.
    pub async fn follow_verdicts(&self) {
        let mut known = None;
        loop {
            let newest = async { judging::store::last_day(&mut *self.hands.db.read().await?).await };
            match newest.await {
                Ok(day) => {
                    // What is there when a term begins is looked at anyway.
                    if known.as_ref().is_some_and(|known| *known != day) {
                        self.view.ring_all();
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
