//! One term at work: what the cluster's watches and the database's own record of acts say has changed is looked at by the
//! five steps. At rest it asks the API server nothing; its watches are open, that is all.

use super::{
    apply::{Hands, Outcome},
    build,
    cluster::{StepError, is_conflict},
    crd::{BUILDING, Machine, ResourceRequest, ResourceRequestSpec, TaskBook},
    dereference::Facts,
    mirror,
    mirrors::{Mirrored, Mirrors},
    settings::KubernetesSettings,
    status::{self, Refused},
    store, validate,
    view::{self, View},
    written::Written,
};
use crate::{
    audit::{self, Mark},
    capacity,
    db::DbError,
    error::{Problem, story},
    machine,
    metrics::Metrics,
    request,
    watch::{AlarmKind, drift::Finding, store as alarms},
};
use futures_util::{StreamExt as _, future::ready, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, ResourceExt as _,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt as _, applier,
        controller::{self, Action},
        reflector::ObjectRef,
        watcher,
    },
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::mpsc::UnboundedReceiver, time::sleep};

/// Between two looks at what the database says has happened.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two looks at what is to be deleted.
const LEAVERS: Duration = Duration::from_secs(5);
/// Everything is compared once in a while, with what is held in memory: it costs the API server nothing.
const RESYNC: Duration = Duration::from_secs(600);
/// A building that takes longer is told of in full.
const LONG: Duration = Duration::from_secs(15);
/// What was refused is judged again: a task book may have come.
const JUDGED_AGAIN: Duration = Duration::from_secs(300);
/// Longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Objects worked on at once.
const WIDTH: u16 = 16;
/// More objects than this, in one look at what has happened, are a crowd.
const CROWD: usize = 32;
/// Deeds that one look at an object may lead to.
const DEEDS: usize = 8;
const PAGE: i64 = 500;

/// One term at work.
pub struct Work {
    hands: Hands,
    settings: KubernetesSettings,
    metrics: Metrics,
    view: View,
    mirrors: Mirrors,
    requests: Written<ResourceRequest>,
    machines: Written<Machine>,
    /// Failures in a row, by the object's UID.
    failures: Mutex<HashMap<String, u32>>,
    /// When there last was a crowd.
    crowd: Mutex<Option<Instant>>,
}

/// What [`Work::run`] is fed by.
pub struct Ends {
    view: view::Ends,
    touched: UnboundedReceiver<Mirrored>,
}

impl Work {
    pub fn new(hands: Hands, settings: KubernetesSettings, metrics: Metrics) -> (Arc<Self>, Ends) {
        let (view, ends) = View::new();
        let (mirrors, touched) = Mirrors::new(hands.clone(), view.clone(), settings.department_label.clone());
        let (requests, machines) = (Written::default(), Written::default());
        let (failures, crowd) = (Mutex::default(), Mutex::default());
        let work = Self { hands, settings, metrics, view, mirrors, requests, machines, failures, crowd };
        (Arc::new(work), Ends { view: ends, touched })
    }
}

impl Work {
    /// Works until it is dropped.
    pub async fn run(self: Arc<Self>, client: Client, ends: Ends) {
        let Ends { view: view::Ends { requests, namespaces, machines, books, rung }, touched } = ends;
        let config = watcher::Config::default;
        let seen = watcher(Api::<ResourceRequest>::all(client.clone()), config())
            .default_backoff()
            .modify(without_managers)
            .reflect(requests)
            .touched_objects()
            .filter_map(|event| ready(heard(event, "resourcerequests")))
            .filter_map(|object| {
                let here = ObjectRef::from_obj(&object);
                let is_gone = self.view.requests.get(&here).is_none();
                if is_gone {
                    self.requests.forget(&here);
                    self.calm(&object.uid().unwrap_or_default());
                    self.mirrors.again(&object.name_any());
                }
                // Each of our writes rests on the version before it: nobody else's can lie between two of them.
                ready((is_gone || !self.requests.is_echo(&object, |_, _| true)).then_some(here))
            });
        let queue = stream::select(seen, stream::unfold(rung, async |mut rung| Some((rung.recv().await?, rung))))
            .map(|object| Ok::<_, watcher::Error>(controller::ReconcileRequest::from(object)));
        let at_work = applier(
            |object, work: Arc<Self>| Box::pin(async move { work.reconcile(object).await }),
            |object, error, work: Arc<Self>| work.after(&object, error),
            Arc::clone(&self),
            self.view.requests.clone(),
            queue,
            controller::Config::default().concurrency(WIDTH),
        )
        .for_each(|_| ready(()));

        let of_namespaces = watcher(Api::<PartialObjectMeta<Namespace>>::all(client.clone()), config())
            .default_backoff()
            .reflect(namespaces)
            .applied_objects()
            .filter_map(|event| ready(heard(event, "namespaces")))
            .for_each(|namespace| {
                let name = namespace.name_any();
                self.view.ring_where(|object| object.metadata.namespace.as_deref() == Some(&name));
                self.mirrors.touch(Mirrored::Namespace(name));
                ready(())
            });
        let of_machines = watcher(Api::<Machine>::all(client.clone()), config())
            .default_backoff()
            .modify(without_managers)
            .reflect(machines)
            .touched_objects()
            .filter_map(|event| ready(heard(event, "machines")))
            .for_each(|mirror| {
                // Mirrors are applied whatever is there: of two writes of ours, somebody else's may lie between.
                let alike = |seen: &Machine, ours: &Machine| {
                    seen.spec == ours.spec && seen.owner_references() == ours.owner_references()
                };
                if !self.machines.is_echo(&mirror, alike) {
                    let namespace = mirror.namespace().unwrap_or_default();
                    self.view.ring(ObjectRef::new(&mirror.spec.request).within(&namespace));
                }
                ready(())
            });
        let of_books = watcher(Api::<TaskBook>::all(client), config())
            .default_backoff()
            .modify(without_managers)
            .reflect(books)
            .touched_objects()
            .filter_map(|event| ready(heard(event, "taskbooks")))
            .for_each(|mirror| {
                self.mirrors.touch(Mirrored::Book(mirror.name_any()));
                ready(())
            });
        // Whichever of them ends, all do; none does before the term is over.
        tokio::select! {
            () = at_work => {}
            () = of_namespaces => {}
            () = of_machines => {}
            () = of_books => {}
            () = self.mirrors.keep(touched) => {}
            () = self.mirrors.follow_verdicts() => {}
            () = self.follow() => {}
            () = self.leavers() => {}
            () = self.resync() => {}
        }
    }

    /// One object, by the five steps.
    async fn reconcile(&self, object: Arc<ResourceRequest>) -> Result<Action, StepError> {
        let uid = object.uid().unwrap_or_default();
        let here = ObjectRef::from_obj(&*object);
        let mut object = self.requests.newest(&here, Some(Arc::clone(&object))).unwrap_or(object);
        let namespace = object.namespace().unwrap_or_default();
        let (code, label) = (self.code(&namespace).await?, self.settings.department_label.as_str());
        let (mut refused, mut deeds): (Option<Refused>, usize) = (None, 0);
        let facts = loop {
            let facts = Facts::read(&self.hands.db, Arc::clone(&object), code.as_deref()).await?;
            if deeds == DEEDS {
                break facts;
            }
            deeds += 1;
            let judged = validate::judge(&facts, label);
            let deed = build::plan(&facts, &judged);
            refused = judged.err().as_ref().map(Refused::from);
            match self.hands.perform(&facts, deed).await? {
                Outcome::Done(written) => {
                    if let Some(written) = written {
                        object = self.requests.note(written);
                    }
                }
                Outcome::Rested => break facts,
                Outcome::Refused(why) => {
                    refused = Some(why);
                    break facts;
                }
                Outcome::Gone => {
                    self.requests.forget(&here);
                    self.calm(&uid);
                    self.metrics.kube_reconciled("done");
                    return Ok(Action::await_change());
                }
            }
        };
        let is_told = self.tell(&facts, refused.as_ref()).await?;
        self.calm(&uid);
        self.metrics.kube_reconciled("done");
        Ok(if !is_told {
            Action::requeue(LONG)
        } else if facts.request.is_none() || refused.is_some() {
            Action::requeue(JUDGED_AGAIN)
        } else {
            Action::await_change()
        })
    }

    /// The fifth step, and the mirrors of its machines. False if more is to be told should their building take long.
    async fn tell(&self, facts: &Facts, refused: Option<&Refused>) -> Result<bool, StepError> {
        let hands = &self.hands;
        let now = hands.db.clock().now();
        let told = status::compose(facts, refused, hands.term.epoch, now);
        let (mut is_there, mut is_told) = (false, true);
        if !status::is_told(facts.object.status.as_ref(), &told) {
            // Hundreds were approved by one act: that a build has begun is told with what comes of it, where that comes soon.
            if self.is_crowded() && refused.is_none() && status::is_passing(facts, now, LONG) {
                return Ok(false);
            }
            let written = hands.cluster.put_status(&facts.object, &told).await?;
            self.requests.note(Arc::new(written));
            is_there = true;
        }
        if facts.machines.is_empty() || facts.object.metadata.deletion_timestamp.is_some() {
            return Ok(true);
        }
        let hosts = {
            let mut conn = hands.db.read().await?;
            let hosts = capacity::store::list_hosts(&mut conn).await?;
            hosts.into_iter().map(|host| (host.id.text(), host.name)).collect()
        };
        for mut mirror in mirror::machines(facts, &hosts) {
            let here = ObjectRef::from_obj(&mirror);
            let before = self.machines.newest(&here, self.view.machines.get(&here));
            if is_building(&mirror) && before.as_ref().is_none_or(|before| is_new(before, now)) {
                // Which the mirror says by itself; where, it says if somebody has the time to look.
                (mirror.status, is_told) = (None, false);
            }
            if before.is_none() && !is_there {
                // It may have gone with an object of whose end we have not heard: made again, it would go again at once.
                let live = hands.cluster.live(&facts.namespace, &facts.name).await?;
                if live.is_none_or(|live| live.metadata.uid.as_deref() != Some(&facts.uid)) {
                    return Ok(true);
                }
                is_there = true;
            }
            if let Some(written) = hands.cluster.put_machine(&mirror, before.as_deref()).await? {
                self.machines.note(Arc::new(written));
            }
        }
        Ok(is_told)
    }

    /// The label of a namespace. One that is not known yet is no answer: the object may be older than our view of it.
    async fn code(&self, namespace: &str) -> Result<Option<String>, StepError> {
        let _ = self.view.namespaces.wait_until_ready().await;
        if self.view.namespaces.get(&ObjectRef::new(namespace)).is_none() {
            return Err(StepError::Unseen(format!("namespace {namespace}")));
        }
        Ok(self.view.label(namespace, &self.settings.department_label))
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_crowded(&self) -> bool {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|since| since.elapsed() < LONG)
    }

    fn calm(&self, uid: &str) {
        self.failures().remove(uid);
    }

    /// When to try again what has failed.
    fn after(&self, object: &ResourceRequest, error: &StepError) -> Action {
        // What was written over in between is not what our last write left.
        self.requests.forget(&ObjectRef::from_obj(object));
        let failures = {
            let mut all = self.failures();
            let failures = all.entry(object.uid().unwrap_or_default()).or_default();
            *failures = failures.saturating_add(1);
            *failures
        };
        let pause = (Duration::from_millis(100) * (1 << failures.min(8))).min(LONGEST_PAUSE);
        if is_conflict(error) {
            self.metrics.kube_reconciled("conflict");
        } else {
            self.metrics.kube_reconciled("failed");
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            tracing::warn!(namespace, name, error = %story(error).join(": "), "kubernetes.object.postponed");
        }
        Action::requeue(pause)
    }

    /// Follows what happens in the database, from before the first listing on.
    async fn follow(&self) {
        let mut after = None;
        loop {
            match self.news(after).await {
                Ok((mark, is_full)) => {
                    if after.is_none() {
                        self.mirrors.all_books().await;
                    }
                    after = Some(mark);
                    if is_full {
                        continue;
                    }
                }
                Err(error) => tracing::warn!(%error, "kubernetes.follow.unread"),
            }
            sleep(PAUSE).await;
        }
    }

    async fn news(&self, after: Option<Mark>) -> Result<(Mark, bool), DbError> {
        let db = &self.hands.db;
        let mut conn = db.read().await?;
        let horizon = db.horizon(&mut conn).await?;
        let Some(after) = after else { return Ok((audit::last(&mut conn, horizon).await?, false)) };
        let all = audit::happenings(&mut conn, None, after, horizon, PAGE).await?;
        let mark = all.last().map_or(after, |last| last.mark);
        let things: BTreeSet<_> = all.iter().map(|it| (it.object_type.as_str(), it.object_id.as_str())).collect();
        if things.len() > CROWD {
            *self.crowd.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        for (kind, id) in things {
            let bound = match kind {
                "request" => store::of_request(&mut conn, id).await?,
                "machine" => store::of_machine(&mut conn, id).await?,
                "task_book" => {
                    self.mirrors.touch(Mirrored::Book(id.to_owned()));
                    // It may be the one that some were refused for.
                    self.view
                        .ring_where(|object| object.status.as_ref().is_none_or(|status| !status.violations.is_empty()));
                    None
                }
                _ => None,
            };
            let request = match (kind, &bound) {
                ("request", _) => Some(id.to_owned()),
                (_, Some(bound)) => Some(bound.request.text()),
                ("machine", None) => machine::store::find(&mut conn, id, None).await?.map(|it| it.request.text()),
                _ => None,
            };
            let Some(request) = request else { continue };
            if let Some(request) = request::store::find(&mut conn, &request, None).await? {
                self.mirrors.touch(Mirrored::Book(request.task_book.text()));
            }
            match bound {
                Some(bound) => self.view.ring(ObjectRef::new(&bound.name).within(&bound.namespace)),
                None => self.mirrors.touch(Mirrored::Request(request)),
            }
        }
        Ok((mark, i64::try_from(all.len()).is_ok_and(|many| many == PAGE)))
    }

    /// What is to be deleted: an alarm where it takes too long, and an end also where the object is gone by somebody's
    /// hand.
    async fn leavers(&self) {
        let _ = self.view.requests.wait_until_ready().await;
        loop {
            if let Err(error) = self.look_at_leavers().await {
                tracing::warn!(error = %story(&error).join(": "), "kubernetes.leavers.postponed");
            }
            sleep(LEAVERS).await;
        }
    }

    async fn look_at_leavers(&self) -> Result<(), StepError> {
        let now = self.hands.db.clock().now();
        let leaving = store::leaving(&mut *self.hands.db.read().await?).await?;
        let age = |since: jiff::Timestamp| now.duration_since(since).as_secs();
        let oldest = leaving.iter().filter_map(|bound| bound.deleting_at).map(age).max();
        self.metrics.kube_leaving(leaving.len(), oldest.unwrap_or_default());
        for bound in leaving {
            let since = bound.deleting_at.map_or(0, age);
            if since >= i64::from(self.settings.stuck_seconds) {
                self.alarm(&bound, since).await?;
            }
            let here = ObjectRef::<ResourceRequest>::new(&bound.name).within(&bound.namespace);
            match self.view.requests.get(&here).filter(|seen| seen.uid().as_deref() == Some(&bound.uid)) {
                Some(_) => self.view.ring(here),
                None => self.take_away_without(&bound).await?,
            }
        }
        Ok(())
    }

    /// The object is gone, by somebody who took our finalizer off. That it was to be deleted was read while it was there, so
    /// what was begun is finished.
    async fn take_away_without(&self, bound: &store::Bound) -> Result<(), StepError> {
        let mut object = ResourceRequest::new(&bound.name, ResourceRequestSpec::default());
        object.metadata.uid = Some(bound.uid.clone());
        object.metadata.namespace = Some(bound.namespace.clone());
        let facts = Facts::read(&self.hands.db, Arc::new(object), None).await?;
        self.hands.take_away(&facts, bound).await.map(drop)
    }

    async fn alarm(&self, bound: &store::Bound, since: i64) -> Result<(), StepError> {
        let finding = Finding {
            kind: AlarmKind::FinalizerStuck,
            domain_id: bound.uid.clone(),
            name: format!("{}/{}", bound.namespace, bound.name),
            machine: None,
            detail: format!("已等待 {since} 秒，虚拟机还没有全部进入回收站；请看该申请的虚拟机有什么操作没有完成"),
        };
        let (term, request) = (self.hands.term, bound.request);
        let raised = self
            .hands
            .db
            .housekeep(async move |tx| -> Result<bool, Problem> {
                term.hold(tx).await?;
                if !alarms::raise(tx, None, &finding).await? {
                    return Ok(false);
                }
                let record = audit::Record {
                    who: audit::Who::broker("kubernetes"),
                    action: "alarm.raised",
                    object_type: "request",
                    object_id: request.text(),
                    department_id: None,
                    outcome: audit::Outcome::Done,
                    detail: serde_json::json!({"kind": finding.kind.word(), "name": finding.name}),
                };
                audit::record(tx, record).await?;
                Ok(true)
            })
            .await
            .map_err(StepError::Act)?;
        if raised {
            tracing::warn!(namespace = bound.namespace, name = bound.name, since, "kubernetes.finalizer.stuck");
        }
        Ok(())
    }

    async fn resync(&self) {
        loop {
            sleep(RESYNC).await;
            self.view.ring_all();
            self.mirrors.all_namespaces();
            self.mirrors.all_books().await;
        }
    }
}

/// What a watch has brought. What it could not bring, its own backoff tries again.
fn heard<T>(event: Result<T, watcher::Error>, what: &str) -> Option<T> {
    event.inspect_err(|error| tracing::warn!(what, error = %story(error).join(": "), "kubernetes.watch")).ok()
}

/// Who wrote which field is more text than the rest, and nobody here asks.
fn without_managers(object: &mut impl kube::Resource) {
    object.meta_mut().managed_fields = None;
}

fn is_building(mirror: &Machine) -> bool {
    mirror.status.as_ref().is_some_and(|status| status.phase == BUILDING)
}

fn is_new(mirror: &Machine, now: jiff::Timestamp) -> bool {
    let made = mirror.metadata.creation_timestamp.as_ref();
    made.is_some_and(|made| now.duration_since(made.0).unsigned_abs() < LONG)
}
