//! The cluster's API, as far as it is needed: objects as JSON by their path, written under strict field validation. What
//! goes wrong is told as whoever builds must know it: unreachable, not yet, never.

use super::settings::ClusterSettings;
use crate::provider::ProviderError;
use kube::{
    Client, Config, Error,
    api::{DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams, Preconditions},
    config::{KubeConfigOptions, Kubeconfig},
    core::Request,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{sync::OnceCell, time::timeout};

/// How long one call may take, besides watches.
const CALL_LIMIT: Duration = Duration::from_secs(20);
/// Objects of one answer to a listing.
const PAGE: u32 = 500;

/// Kinds of objects by the folder of their API and their plural.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    pub folder: &'static str,
    pub plural: &'static str,
}

const fn kind(folder: &'static str, plural: &'static str) -> Kind {
    Kind { folder, plural }
}

pub const MACHINES: Kind = kind("/apis/kubevirt.io/v1", "virtualmachines");
pub const INSTANCES: Kind = kind("/apis/kubevirt.io/v1", "virtualmachineinstances");
pub const SECRETS: Kind = kind("/api/v1", "secrets");
pub const CLAIMS: Kind = kind("/api/v1", "persistentvolumeclaims");
pub const NAMESPACES: Kind = kind("/api/v1", "namespaces");
pub const QUOTAS: Kind = kind("/api/v1", "resourcequotas");
pub const LIMITS: Kind = kind("/api/v1", "limitranges");
pub const POLICIES: Kind = kind("/apis/networking.k8s.io/v1", "networkpolicies");
pub const NODES: Kind = kind("/api/v1", "nodes");
pub const PODS: Kind = kind("/api/v1", "pods");
pub const CLASSES: Kind = kind("/apis/storage.k8s.io/v1", "storageclasses");

impl Kind {
    /// Where objects of the kind are, in a namespace or in none.
    fn path(self, namespace: Option<&str>) -> String {
        match namespace {
            Some(namespace) => format!("{}/namespaces/{namespace}/{}", self.folder, self.plural),
            None => format!("{}/{}", self.folder, self.plural),
        }
    }
}

/// What became of a creation.
#[derive(Debug)]
pub enum Created {
    New(Value),
    /// Something of this name is there already.
    Taken,
}

/// One cluster's API. Opened at the first call, so that a cluster that cannot be reached keeps nobody from starting.
#[derive(Clone)]
pub struct Cluster {
    settings: Arc<ClusterSettings>,
    client: Arc<OnceCell<Client>>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("name", &self.settings.name).finish_non_exhaustive()
    }
}

impl Cluster {
    pub fn new(settings: Arc<ClusterSettings>) -> Self {
        Self { settings, client: Arc::default() }
    }

    pub async fn client(&self) -> Result<&Client, ProviderError> {
        self.client.get_or_try_init(|| self.open()).await
    }

    async fn open(&self) -> Result<Client, ProviderError> {
        let act = || format!("opening cluster {}", self.settings.name);
        // Neither the file's content nor the parser's words, which quote it.
        let unusable = |what: &str| ProviderError::Permanent { act: act(), reason: what.to_owned() };
        let config = match &self.settings.kubeconfig {
            Some(file) => {
                let read = Kubeconfig::read_from(file).map_err(|_| unusable("its kubeconfig cannot be read"))?;
                let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
                config.map_err(|_| unusable("its kubeconfig cannot be used"))?
            }
            None => Config::incluster().map_err(|_| unusable("the broker does not run in a cluster"))?,
        };
        // The first choice stays, whoever made it.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        Client::try_from(config).map_err(|error| self.fault(&act(), error))
    }

    /// Waits for an answer, within bounds.
    async fn ask(&self, answer: impl Future<Output = Result<Value, Error>>) -> Result<Value, Fault> {
        match timeout(CALL_LIMIT, answer).await {
            Ok(answer) => answer.map_err(Fault::Told),
            Err(_) => Err(Fault::Silent),
        }
    }

    fn settle(&self, act: &str, fault: Fault) -> ProviderError {
        match fault {
            Fault::Told(error) => self.fault(act, error),
            Fault::Silent => ProviderError::Unreachable { host: self.settings.name.clone(), source: None },
        }
    }

    /// As it is now: never from a cache.
    pub async fn get(&self, kind: Kind, namespace: Option<&str>, name: &str) -> Result<Option<Value>, ProviderError> {
        let act = format!("reading {} {name}", kind.plural);
        let request = built(&act, Request::new(kind.path(namespace)).get(name, &GetParams::default()))?;
        match self.ask(self.client().await?.request(request)).await {
            Ok(object) => Ok(Some(object)),
            Err(Fault::Told(Error::Api(status))) if status.code == 404 && is_about_object(&status) => Ok(None),
            Err(error) => Err(self.settle(&act, error)),
        }
    }

    pub async fn create(&self, kind: Kind, namespace: Option<&str>, object: &Value) -> Result<Created, ProviderError> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let act = format!("creating {} {name}", kind.plural);
        let params = PostParams { field_manager: Some(super::marks::MANAGER.to_owned()), ..PostParams::default() };
        let bytes = serde_json::to_vec(object).map_err(|error| permanent(&act, error.to_string()))?;
        let request = built(
            &act,
            Request::new(kind.path(namespace)).create(&params, bytes).map(|mut request| {
                // Without it the server drops what it does not know, and says so in a header that nobody reads.
                if let Ok(uri) = format!("{}&fieldValidation=Strict", request.uri()).parse() {
                    *request.uri_mut() = uri;
                }
                request
            }),
        )?;
        match self.ask(self.client().await?.request(request)).await {
            Ok(object) => Ok(Created::New(object)),
            Err(Fault::Told(Error::Api(status))) if status.reason == "AlreadyExists" => Ok(Created::Taken),
            Err(error) => Err(self.settle(&act, error)),
        }
    }

    /// Changes the object that was read, and no other: it must still be the same one in the same version.
    pub async fn change(&self, kind: Kind, read: &Value, change: &Value) -> Result<Value, ProviderError> {
        let meta = &read["metadata"];
        let (name, namespace) = (meta["name"].as_str().unwrap_or_default(), meta["namespace"].as_str());
        let act = format!("changing {} {name}", kind.plural);
        let mut change = change.clone();
        change["metadata"]["resourceVersion"] = meta["resourceVersion"].clone();
        change["metadata"]["uid"] = meta["uid"].clone();
        let mut params = PatchParams::default().validation_strict();
        params.field_manager = Some(super::marks::MANAGER.to_owned());
        let request = built(&act, Request::new(kind.path(namespace)).patch(name, &params, &Patch::Merge(&change)))?;
        self.ask(self.client().await?.request(request)).await.map_err(|error| self.settle(&act, error))
    }

    /// Server-side apply, as the only manager of these fields.
    pub async fn apply(&self, kind: Kind, object: &Value) -> Result<Value, ProviderError> {
        let meta = &object["metadata"];
        let (name, namespace) = (meta["name"].as_str().unwrap_or_default(), meta["namespace"].as_str());
        let act = format!("applying {} {name}", kind.plural);
        let params = PatchParams::apply(super::marks::MANAGER).force().validation_strict();
        let request = built(&act, Request::new(kind.path(namespace)).patch(name, &params, &Patch::Apply(object)))?;
        self.ask(self.client().await?.request(request)).await.map_err(|error| self.settle(&act, error))
    }

    /// Deletes the object that was read, and none that has come in its place. "Already gone" is success.
    pub async fn delete(&self, kind: Kind, read: &Value, grace: Option<u32>) -> Result<(), ProviderError> {
        let meta = &read["metadata"];
        let (name, namespace) = (meta["name"].as_str().unwrap_or_default(), meta["namespace"].as_str());
        let act = format!("deleting {} {name}", kind.plural);
        let Some(uid) = meta["uid"].as_str().map(str::to_owned) else {
            return Err(permanent(&act, "what was read has no identity".to_owned()));
        };
        let params = DeleteParams {
            grace_period_seconds: grace,
            preconditions: Some(Preconditions { uid: Some(uid), resource_version: None }),
            ..DeleteParams::default()
        };
        let request = built(&act, Request::new(kind.path(namespace)).delete(name, &params))?;
        match self.ask(self.client().await?.request(request)).await {
            Ok(_) => Ok(()),
            Err(Fault::Told(Error::Api(status))) if status.code == 404 && is_about_object(&status) => Ok(()),
            Err(error) => Err(self.settle(&act, error)),
        }
    }

    /// All of a kind, in a namespace or in all; whole or an error.
    pub async fn list(&self, kind: Kind, namespace: Option<&str>) -> Result<Vec<Value>, ProviderError> {
        let act = format!("listing {}", kind.plural);
        let (mut all, mut next) = (Vec::new(), None::<String>);
        loop {
            let params = ListParams { limit: Some(PAGE), continue_token: next.take(), ..ListParams::default() };
            let request = built(&act, Request::new(kind.path(namespace)).list(&params))?;
            let mut answer =
                self.ask(self.client().await?.request(request)).await.map_err(|error| self.settle(&act, error))?;
            let Value::Array(items) = answer["items"].take() else {
                return Err(permanent(&act, "the answer is no list".to_owned()));
            };
            all.extend(items);
            next = answer["metadata"]["continue"].as_str().filter(|token| !token.is_empty()).map(str::to_owned);
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// Whether we may do this, in the cluster's own judgement.
    pub async fn may(&self, verb: &str, kind: Kind) -> Result<bool, ProviderError> {
        let group = kind.folder.strip_prefix("/apis/").and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let (resource, act) = (kind.plural, format!("asking whether {verb} {} is allowed", kind.plural));
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": verb, "group": group, "resource": resource}},
        });
        let bytes = serde_json::to_vec(&review).map_err(|error| permanent(&act, error.to_string()))?;
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let request = built(&act, Request::new(path).create(&PostParams::default(), bytes))?;
        let answer = self.ask(self.client().await?.request(request)).await.map_err(|error| self.settle(&act, error))?;
        Ok(answer["status"]["allowed"] == true)
    }

    fn fault(&self, act: &str, error: Error) -> ProviderError {
        let Error::Api(status) = error else {
            let host = self.settings.name.clone();
            return ProviderError::Unreachable { host, source: Some(Box::new(error)) };
        };
        let reason = format!("{} ({}, {})", status.message, status.code, status.reason);
        match status.code {
            // Refused for what it is: by the schema, by a quota, by our role.
            400 | 403 | 413 | 415 | 422 => permanent(act, reason),
            // Somebody was quicker, the cluster is busy or coming up, our token is being renewed.
            _ => ProviderError::Transient { act: act.to_owned(), reason },
        }
    }
}

/// Why there is no answer.
enum Fault {
    Told(Error),
    Silent,
}

fn built<T>(act: &str, request: Result<T, kube::core::request::Error>) -> Result<T, ProviderError> {
    request.map_err(|error| permanent(act, error.to_string()))
}

pub fn permanent(act: &str, reason: String) -> ProviderError {
    ProviderError::Permanent { act: act.to_owned(), reason }
}

/// A kind that is not served is a 404 too, and says nothing about an object.
fn is_about_object(status: &kube::core::Status) -> bool {
    status.details.as_ref().is_some_and(|details| !details.name.is_empty())
}
