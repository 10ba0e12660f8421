//! What is written to a cluster: by server-side apply under one name, and never after the term is over. Each write of an
//! object names the version that it rests on, so that one which comes too late (its writer stood still while another took
//! over) meets a conflict instead of undoing what was written since.

use super::{
    crd::{GROUP, Machine, ResourceRequest, ResourceRequestSpec, ResourceRequestStatus, TaskBook, VERSION},
    dereference::FINALIZER,
};
use crate::{db::DbError, error::Problem, operation::crash};
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The name that all our writes bear.
pub const MANAGER: &str = "jiyue";

/// Why a step was not done. It is tried again, unless the term is over.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    #[error("the cluster")]
    Api(#[from] kube::Error),
    #[error("the database")]
    Db(#[from] DbError),
    #[error("an act")]
    Act(#[source] Problem),
    #[error("another broker has taken over")]
    TermOver,
    #[error("not yet seen: {0}")]
    Unseen(String),
    #[error("the spec is not JSON")]
    Json(#[from] serde_json::Error),
}

/// Until when this broker may believe that the term is its own. Measured from before the lease was asked for, on a clock
/// that goes on while the process stands still.
#[derive(Clone)]
pub struct Watchdog(Arc<Mutex<Instant>>);

impl Watchdog {
    pub fn new(until: Instant) -> Self {
        Self(Arc::new(Mutex::new(until)))
    }

    pub fn extend(&self, until: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    pub fn is_over(&self) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) <= Instant::now()
    }

    /// How long it still lasts.
    pub fn left(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).saturating_duration_since(Instant::now())
    }
}

/// The way into one cluster, for one term.
#[derive(Clone)]
pub struct Cluster {
    pub client: Client,
    pub watchdog: Watchdog,
}

impl Cluster {
    fn requests(&self, namespace: &str) -> Api<ResourceRequest> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn in_time(&self) -> Result<(), StepError> {
        if self.watchdog.is_over() { Err(StepError::TermOver) } else { Ok(()) }
    }

    /// As the API server has it now, past all caches.
    pub async fn live(&self, namespace: &str, name: &str) -> Result<Option<ResourceRequest>, StepError> {
        self.in_time()?;
        Ok(self.requests(namespace).get_opt(name).await?)
    }

    /// From here on it does not go before we let it.
    pub async fn add_finalizer(&self, object: &ResourceRequest) -> Result<ResourceRequest, StepError> {
        let mut applied = head(object);
        applied["metadata"]["finalizers"] = json!([FINALIZER]);
        self.in_time()?;
        let api = self.requests(&object.namespace().unwrap_or_default());
        Ok(api.patch(&object.name_any(), &ours(), &Patch::Apply(applied)).await?)
    }

    /// Lets it go. What others have put there stays.
    pub async fn drop_finalizer(&self, object: &ResourceRequest) -> Result<(), StepError> {
        let others: Vec<_> = object.finalizers().iter().filter(|finalizer| *finalizer != FINALIZER).collect();
        let metadata = json!({"resourceVersion": object.resource_version(), "finalizers": others});
        self.in_time()?;
        let api = self.requests(&object.namespace().unwrap_or_default());
        match api.patch(&object.name_any(), &by_us(), &Patch::Merge(json!({"metadata": metadata}))).await {
            Ok(_) => Ok(()),
            Err(error) if is_not_found(&error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub async fn put_status(
        &self,
        object: &ResourceRequest,
        status: &ResourceRequestStatus,
    ) -> Result<ResourceRequest, StepError> {
        let api = self.requests(&object.namespace().unwrap_or_default());
        self.put_part(&api, head(object), "status", &serde_json::to_value(status)?, "k8s.status").await
    }

    /// What a mirror of a request asks for, which is nobody's to say but the database's.
    pub async fn put_spec(
        &self,
        object: &ResourceRequest,
        spec: &ResourceRequestSpec,
    ) -> Result<ResourceRequest, StepError> {
        let api = self.requests(&object.namespace().unwrap_or_default());
        self.put_part(&api, head(object), "spec", &serde_json::to_value(spec)?, "k8s.spec").await
    }

    /// A mirror of a request, unless something of its name is there: that is looked at like every object.
    pub async fn make_request(&self, mirror: &ResourceRequest) -> Result<(), StepError> {
        self.in_time()?;
        let api = self.requests(&mirror.namespace().unwrap_or_default());
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        match api.create(&params, mirror).await.map_err(StepError::from) {
            Ok(_) => Ok(()),
            Err(error) if is_conflict(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A mirror: the object where it differs, and then its status if it has one. What was written, as it is then.
    pub async fn put_machine(&self, mirror: &Machine, before: Option<&Machine>) -> Result<Option<Machine>, StepError> {
        let api = Api::namespaced(self.client.clone(), &mirror.namespace().unwrap_or_default());
        let same = before.is_some_and(|b| b.spec == mirror.spec && b.owner_references() == mirror.owner_references());
        let same_status = mirror.status.is_none() || before.is_some_and(|b| b.status == mirror.status);
        self.put(&api, mirror, same, same_status).await
    }

    pub async fn put_book(&self, mirror: &TaskBook, before: Option<&TaskBook>) -> Result<(), StepError> {
        let api = Api::all(self.client.clone());
        let same = before.is_some_and(|b| b.spec == mirror.spec);
        self.put(&api, mirror, same, before.is_some_and(|b| b.status == mirror.status)).await.map(drop)
    }

    async fn put<K>(&self, api: &Api<K>, mirror: &K, same: bool, same_status: bool) -> Result<Option<K>, StepError>
    where
        K: kube::Resource + Clone + Debug + Serialize + DeserializeOwned,
    {
        let whole = serde_json::to_value(mirror)?;
        let head = |metadata| json!({"apiVersion": whole["apiVersion"], "kind": whole["kind"], "metadata": metadata});
        let mut written = None;
        if !same {
            let head = head(whole["metadata"].clone());
            written = Some(self.put_part(api, head, "spec", &whole["spec"], "k8s.mirror").await?);
        }
        if !same_status {
            let head = head(json!({"name": mirror.name_any()}));
            written = Some(self.put_part(api, head, "status", &whole["status"], "k8s.mirror_status").await?);
        }
        Ok(written)
    }

    /// Makes one part of an object what is wanted and nothing else, in one call or two: what others have put into fields that
    /// we leave out, an apply leaves standing. The second call rests on what the first has left.
    async fn put_part<K>(
        &self,
        api: &Api<K>,
        head: Value,
        key: &'static str,
        wanted: &Value,
        point: &str,
    ) -> Result<K, StepError>
    where
        K: kube::Resource + Clone + Debug + Serialize + DeserializeOwned,
    {
        let name = head["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let mut applied = head;
        applied[key] = wanted.clone();
        self.in_time()?;
        // Where it hurts most to stand still: the term has just been looked at.
        crash::point(point);
        let mut written: K = patch(api, &name, key, &ours(), &Patch::Apply(applied)).await?;
        // Of which nobody here asks, and which is more than the rest.
        written.meta_mut().managed_fields = None;
        let found = serde_json::to_value(&written)?;
        if found[key] == *wanted {
            return Ok(written);
        }
        let rests_on = json!({"uid": written.uid(), "resourceVersion": written.resource_version()});
        let bare = Patch::Merge(json!({"metadata": rests_on, key: stripped(wanted, &found[key])}));
        self.in_time()?;
        patch(api, &name, key, &by_us(), &bare).await
    }
}

async fn patch<K>(
    api: &Api<K>,
    name: &str,
    key: &str,
    params: &PatchParams,
    patch: &Patch<Value>,
) -> Result<K, StepError>
where
    K: Clone + Debug + DeserializeOwned,
{
    Ok(match key {
        "status" => api.patch_status(name, params, patch).await?,
        _ => api.patch(name, params, patch).await?,
    })
}

/// What is wanted, and that nothing else of what was found stays.
fn stripped(wanted: &Value, found: &Value) -> Value {
    let mut all = wanted.clone();
    if let (Some(all), Some(found)) = (all.as_object_mut(), found.as_object()) {
        for key in found.keys() {
            all.entry(key.as_str()).or_insert(Value::Null);
        }
    }
    all
}

fn by_us() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}

fn ours() -> PatchParams {
    PatchParams::apply(MANAGER).force()
}

/// What every write of a request says of which it means: this object and no other of its name, as it was when it was read.
fn head(object: &ResourceRequest) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "ResourceRequest",
        "metadata": {
            "name": object.name_any(),
            "uid": object.uid(),
            "resourceVersion": object.resource_version(),
        },
    })
}

pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Somebody else wrote in between: read again, and again decide.
pub fn is_conflict(error: &StepError) -> bool {
    matches!(error, StepError::Api(kube::Error::Api(status)) if status.code == 409)
}
