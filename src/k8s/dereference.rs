//! The first step: everything that is known of an object, read once. The cluster's part comes from what is watched, the
//! rest from the database, which is the truth.

use super::{crd::ResourceRequest, store, store::Bound};
use crate::{
    db::{Db, DbError},
    identity::{Department, store as identities},
    ids::RequestId,
    machine::{self, Machine},
    operation::{self, Operation},
    request::{self, store::Request},
    text::hex,
    usage::judging,
};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, sync::Arc};

/// Our mark on what must not go before its machines are in the bin.
pub const FINALIZER: &str = "cloud.jiyue.io/machines";

/// What the namespace says of whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    Unlabelled,
    /// No department has this code.
    Unknown(String),
    Of(Department),
}

/// Everything that is known of an object.
#[derive(Clone, Debug)]
pub struct Facts {
    pub object: Arc<ResourceRequest>,
    pub uid: String,
    pub namespace: String,
    pub name: String,
    pub generation: i64,
    pub spec_sha256: String,
    pub owner: Owner,
    pub bound: Option<Bound>,
    pub request: Option<Request>,
    pub machines: Vec<Machine>,
    /// The word of the last judgement of each machine's use, by the machine's id.
    pub verdicts: BTreeMap<String, String>,
    /// The build.
    pub operation: Option<Operation>,
    /// It asks for nothing: it shows a request of its department that came by another way.
    pub is_mirror: bool,
    /// It bears a request's id as its name and is no mirror: left over where a namespace has changed hands, say.
    pub is_namesake: bool,
}

impl Facts {
    /// `code` is the label of the object's namespace.
    pub async fn read(db: &Db, object: Arc<ResourceRequest>, code: Option<&str>) -> Result<Self, DbError> {
        let mut conn = db.read().await?;
        let uid = object.metadata.uid.clone().unwrap_or_default();
        let owner = match code {
            None | Some("") => Owner::Unlabelled,
            // By its code alone: an id is found by the same statement.
            Some(code) => match identities::find_department(&mut conn, code).await? {
                Some(department) if department.code == code => Owner::Of(department),
                _ => Owner::Unknown(code.to_owned()),
            },
        };
        let bound = store::find(&mut conn, &uid).await?;
        let mut facts = Self {
            namespace: object.metadata.namespace.clone().unwrap_or_default(),
            name: object.metadata.name.clone().unwrap_or_default(),
            generation: object.metadata.generation.unwrap_or_default(),
            spec_sha256: digest(&object),
            uid,
            object,
            owner,
            bound,
            request: None,
            machines: Vec::new(),
            verdicts: BTreeMap::new(),
            operation: None,
            is_mirror: false,
            is_namesake: false,
        };
        if let Some(bound) = &facts.bound {
            facts.request = request::store::find(&mut conn, &bound.request.text(), None).await?;
        } else if let Ok(id) = facts.name.parse::<RequestId>()
            && let Some(request) = request::store::find(&mut conn, &id.text(), None).await?
        {
            // A mirror by its name alone, whoever made it: it shows to a department what is the department's own.
            let is_own = matches!(&facts.owner, Owner::Of(department) if department.id == request.department);
            facts.is_mirror = is_own && store::of_request(&mut conn, &id.text()).await?.is_none();
            facts.is_namesake = !facts.is_mirror;
            facts.request = facts.is_mirror.then_some(request);
        }
        if let Some(request) = &facts.request {
            let id = request.id.text();
            facts.machines = machine::store::of_request(&mut conn, &id).await?;
            if !facts.machines.is_empty() {
                facts.verdicts = judging::store::of_request(&mut conn, &id).await?.into_iter().collect();
            }
            if let Some(operation) = request.operation {
                facts.operation = operation::store::find(&mut conn, &operation.text()).await?;
            }
        }
        Ok(facts)
    }

    pub fn has_finalizer(&self) -> bool {
        self.object.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
    }

    /// Other than what the request was made of. What a mirror should be, it is made again.
    pub fn is_edited(&self) -> bool {
        self.bound.as_ref().is_some_and(|bound| bound.spec_sha256 != self.spec_sha256)
    }
}

/// SHA-256 of the spec as we write it, lower-case hexadecimal.
fn digest(object: &ResourceRequest) -> String {
    // A spec is made of strings, integers and lists of them: it always becomes JSON.
    hex(&Sha256::digest(serde_json::to_vec(&object.spec).unwrap_or_default()))
}
