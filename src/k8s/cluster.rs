//! What is written to a cluster: by server-side apply under one name, and never after the term is over. Each write of an
//! object names the version that it rests on, so that one which comes too late (its writer stood still while another took
//! over) meets a conflict instead of undoing what was written since.

use super::{
    crd::{GROUP, Machine, ResourceRequest, ResourceRequestStatus, TaskBook, VERSION},
    dereference::FINALIZER,
};
use crate::{db::DbError, error::Problem, operation::crash};
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
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
        let mut applied = head(object);
        applied["status"] = serde_json::to_value(status)?;
        self.in_time()?;
        crash::point("k8s.status");
        let (api, name) = (self.requests(&object.namespace().unwrap_or_default()), object.name_any());
        let written = api.patch_status(&name, &ours(), &Patch::Apply(applied)).await?;
        if written.status.as_ref() == Some(status) {
            return Ok(written);
        }
        // What others forged into fields that we leave out, an apply leaves standing.
        let mut bare = head(&written);
        bare["status"] = stripped(&serde_json::to_value(status)?, &serde_json::to_value(&written.status)?);
        self.in_time()?;
        Ok(api.patch_status(&name, &by_us(), &Patch::Merge(bare)).await?)
    }

    /// A mirror: the object where it differs, and then its status.
    pub async fn put_machine(&self, mirror: &Machine, before: Option<&Machine>) -> Result<(), StepError> {
        let api = Api::namespaced(self.client.clone(), &mirror.namespace().unwrap_or_default());
        let same = before.is_some_and(|b| b.spec == mirror.spec && b.owner_references() == mirror.owner_references());
        self.put(&api, mirror, same, before.is_some_and(|b| b.status == mirror.status)).await
    }

    pub async fn put_book(&self, mirror: &TaskBook, before: Option<&TaskBook>) -> Result<(), StepError> {
        let api = Api::all(self.client.clone());
        let same = before.is_some_and(|b| b.spec == mirror.spec);
        self.put(&api, mirror, same, before.is_some_and(|b| b.status == mirror.status)).await
    }

    async fn put<K>(&self, api: &Api<K>, mirror: &K, same: bool, same_status: bool) -> Result<(), StepError>
    where
        K: kube::Resource + Clone + Debug + Serialize + DeserializeOwned,
    {
        let name = mirror.name_any();
        let whole = serde_json::to_value(mirror)?;
        let part = |key: &str| {
            let mut metadata = json!({"name": name});
            if key == "spec" {
                metadata = whole["metadata"].clone();
            }
            json!({"apiVersion": whole["apiVersion"], "kind": whole["kind"], "metadata": metadata, key: whole[key]})
        };
        for (key, is_same) in [("spec", same), ("status", same_status)] {
            if is_same {
                continue;
            }
            self.in_time()?;
            let patch = Patch::Apply(part(key));
            let written = match key {
                "spec" => api.patch(&name, &ours(), &patch).await?,
                _ => api.patch_status(&name, &ours(), &patch).await?,
            };
            let (wanted, found) = (&whole[key], &serde_json::to_value(&written)?[key]);
            if wanted != found {
                self.in_time()?;
                let patch = Patch::Merge(json!({key: stripped(wanted, found)}));
                match key {
                    "spec" => api.patch(&name, &by_us(), &patch).await?,
                    _ => api.patch_status(&name, &by_us(), &patch).await?,
                };
            }
        }
        Ok(())
    }
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
