//! The fourth step: does what was planned, by the same acts as the API, as an applicant of the namespace's department. It
//! decides nothing, and approves nothing.

use super::{
    build::{self, Deed, Removal},
    cluster::{Cluster, StepError},
    crd::ResourceRequest,
    dereference::{Facts, Owner},
    mirror,
    status::Refused,
    store::{self, Bound},
};
use crate::{
    db::Db,
    error::{Kind as ProblemKind, Problem},
    identity::{Actor, Department, Person, Role, store as identities},
    ids::{DepartmentId, RequestId, TokenId},
    machine::service::Machines,
    operation::{
        Kind, crash,
        term::{self, Term},
    },
    request::service::{Original, Rules},
    watch::{AlarmKind, store as alarms},
};
use std::sync::Arc;
use uuid::Uuid;

/// What acts on objects need of the house, for one term.
#[derive(Clone)]
pub struct Hands {
    pub db: Db,
    pub rules: Rules,
    pub machines: Machines,
    pub cluster: Cluster,
    pub term: Term,
    /// In whose name requests are submitted: nobody who could decide on them.
    pub person: Person,
}

/// What came of a deed.
#[derive(Debug)]
pub enum Outcome {
    /// Read again: something has changed.
    Done(Option<Arc<ResourceRequest>>),
    /// Nothing to do, or not yet.
    Rested,
    /// It was not taken as a request.
    Refused(Refused),
    /// It is gone from our hands.
    Gone,
}

impl Hands {
    pub async fn perform(&self, facts: &Facts, deed: Deed) -> Result<Outcome, StepError> {
        match deed {
            Deed::Rest => Ok(Outcome::Rested),
            Deed::Submit { instead_of } => self.submit(facts, instead_of).await,
            Deed::Replace { waiting } => {
                let Owner::Of(department) = &facts.owner else { return Ok(Outcome::Rested) };
                let why = "集群里的申请已修改，按新内容重新提交";
                let actor = self.actor(department, facts);
                match self.rules.cancel_in(Some(self.term), &actor, &waiting.text(), Some(why)).await {
                    Ok(_) => {
                        crash::point("k8s.replaced");
                        self.submit(facts, Some(waiting)).await
                    }
                    // Decided on in the meantime: what it is now shows at the next reading.
                    Err(problem) => self.settled(problem).map(|()| Outcome::Done(None)),
                }
            }
            Deed::Guard => Ok(Outcome::Done(Some(Arc::new(self.cluster.add_finalizer(&facts.object).await?)))),
            Deed::Mend => {
                let Some(request) = &facts.request else { return Ok(Outcome::Rested) };
                let written = self.cluster.put_spec(&facts.object, &mirror::spec(&request.block)).await?;
                Ok(Outcome::Done(Some(Arc::new(written))))
            }
            Deed::LetGo => {
                self.cluster.drop_finalizer(&facts.object).await?;
                Ok(Outcome::Gone)
            }
            Deed::Remove => self.remove(facts).await,
        }
    }

    async fn submit(&self, facts: &Facts, instead_of: Option<RequestId>) -> Result<Outcome, StepError> {
        let Owner::Of(department) = &facts.owner else { return Ok(Outcome::Rested) };
        let actor = self.actor(department, facts);
        let report = build::report(&facts.object.spec)?;
        // What is refused anyway gets no finalizer: it can go when it likes.
        if let Err(problem) = self.rules.check(&actor, &report).await {
            return self.refused(problem);
        }
        let object = if facts.has_finalizer() {
            None
        } else {
            let object = self.cluster.add_finalizer(&facts.object).await?;
            crash::point("k8s.finalizer");
            Some(Arc::new(object))
        };
        let original = Original {
            name: format!("{}.{}.json", facts.name, facts.namespace),
            media_type: "application/json".to_owned(),
            content: serde_json::to_vec(&facts.object.spec)?,
        };
        let bound = Bound {
            uid: facts.uid.clone(),
            namespace: facts.namespace.clone(),
            name: facts.name.clone(),
            department: department.id,
            request: RequestId::default(),
            generation: facts.generation,
            spec_sha256: facts.spec_sha256.clone(),
            deleting_at: None,
            released_at: None,
        };
        let term = self.term;
        crash::point("k8s.submitting");
        let made = self
            .rules
            .submit_with(&actor, &report, original, async move |tx, ids| {
                term.hold(tx).await?;
                let [request] = ids else {
                    return Err(Problem::conflict("object_bound", "一个集群对象只能是一份申请"));
                };
                let bound = Bound { request: *request, ..bound.clone() };
                let is_new = match instead_of {
                    None => store::insert(tx, &bound).await?,
                    Some(from) => store::rebind(tx, &bound, from).await?,
                };
                if is_new {
                    Ok(())
                } else {
                    Err(Problem::conflict("object_bound", "这个集群对象已经提交过申请"))
                }
            })
            .await;
        crash::point("k8s.submitted");
        match made {
            Ok(_) => Ok(Outcome::Done(object)),
            // Somebody was quicker: what came of it shows at the next reading.
            Err(problem) if problem.code == "object_bound" => Ok(Outcome::Done(object)),
            Err(problem) => self.refused(problem),
        }
    }

    /// A removal by its object, which may be a cached one: it counts only once the API server itself has said that the
    /// object is to be deleted.
    async fn remove(&self, facts: &Facts) -> Result<Outcome, StepError> {
        let Some(bound) = &facts.bound else { return Ok(Outcome::Rested) };
        if bound.deleting_at.is_none() {
            let live = self.cluster.live(&facts.namespace, &facts.name).await?;
            let leaves = live.is_some_and(|live| {
                live.metadata.uid.as_deref() == Some(&facts.uid) && live.metadata.deletion_timestamp.is_some()
            });
            if !leaves {
                return Ok(Outcome::Rested);
            }
            let (term, uid) = (self.term, bound.uid.clone());
            self.db
                .housekeep(async move |tx| -> Result<(), Problem> {
                    term.hold(tx).await?;
                    store::set_leaving(tx, &uid).await?;
                    Ok(())
                })
                .await
                .map_err(|problem| self.failed(problem))?;
            crash::point("k8s.leaving");
        }
        self.take_away(facts, bound).await
    }

    /// The next part of a removal that is known to be wanted.
    pub async fn take_away(&self, facts: &Facts, bound: &Bound) -> Result<Outcome, StepError> {
        let actor = self.actor(&self.department(bound.department).await?, facts);
        match build::removal(facts) {
            Removal::Cancel => {
                let why = "申请在集群里被删除";
                let done = self.rules.cancel_in(Some(self.term), &actor, &bound.request.text(), Some(why)).await;
                crash::point("k8s.withdrawn");
                done.map(drop).or_else(|problem| self.settled(problem))?;
                Ok(Outcome::Done(None))
            }
            Removal::Bin(machines) => {
                for machine in machines {
                    let done = self.machines.act_in(Some(self.term), &actor, &machine.text(), Kind::Bin).await;
                    crash::point("k8s.binned");
                    done.map(drop).or_else(|problem| self.settled(problem))?;
                }
                Ok(Outcome::Done(None))
            }
            Removal::Wait => Ok(Outcome::Rested),
            Removal::Done => {
                let live = self.cluster.live(&bound.namespace, &bound.name).await?;
                if let Some(live) = live.filter(|live| live.metadata.uid.as_deref() == Some(&bound.uid)) {
                    self.cluster.drop_finalizer(&live).await?;
                }
                crash::point("k8s.released");
                self.released(bound).await?;
                Ok(Outcome::Gone)
            }
        }
    }

    async fn released(&self, bound: &Bound) -> Result<(), StepError> {
        let (term, uid) = (self.term, bound.uid.clone());
        self.db
            .housekeep(async move |tx| -> Result<(), Problem> {
                term.hold(tx).await?;
                store::set_released(tx, &uid).await?;
                if let Some(alarm) = alarms::open_off_hosts(tx.conn(), AlarmKind::FinalizerStuck, &uid).await? {
                    alarms::clear(tx, alarm.id).await?;
                }
                Ok(())
            })
            .await
            .map_err(|problem| self.failed(problem))
    }

    /// An applicant of the department. Nothing that is asked in its name is a decision.
    fn actor(&self, department: &Department, facts: &Facts) -> Actor {
        Actor {
            token: TokenId(Uuid::nil()),
            person: self.person.clone(),
            unit: department.name.clone(),
            role: Role::Requester,
            department: Some(department.id),
            trace_id: facts.uid.clone(),
        }
    }

    async fn department(&self, id: DepartmentId) -> Result<Department, StepError> {
        let mut conn = self.db.read().await?;
        let found = identities::find_department(&mut conn, &id.text()).await?;
        found.ok_or_else(|| StepError::Unseen(format!("department {id}")))
    }

    /// What the rules refuse is the applicant's to mend; everything else is tried again.
    fn refused(&self, problem: Problem) -> Result<Outcome, StepError> {
        match problem.kind {
            ProblemKind::Refused | ProblemKind::Conflict if problem.code != term::OVER => {
                Ok(Outcome::Refused(Refused::from(&problem)))
            }
            _ => Err(self.failed(problem)),
        }
    }

    /// A conflict says that things have moved on; what they are now shows at the next reading.
    fn settled(&self, problem: Problem) -> Result<(), StepError> {
        match problem.kind {
            ProblemKind::Conflict if problem.code != term::OVER => Ok(()),
            _ => Err(self.failed(problem)),
        }
    }

    #[allow(clippy::unused_self, reason = "one way for all")]
    fn failed(&self, problem: Problem) -> StepError {
        if problem.code == term::OVER { StepError::TermOver } else { StepError::Act(problem) }
    }
}
