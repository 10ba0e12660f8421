//! Who is asking: departments, people, their tokens, and the one function that says what a role may do.

pub mod door;
pub mod policy;
pub mod service;
pub mod store;
pub mod token;

use crate::{
    audit::Who,
    ids::{DepartmentId, PersonId, TokenId},
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// 建设单位
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Department {
    #[schema(value_type = String, format = Uuid)]
    pub id: DepartmentId,
    /// Short and stable, as in `mzj`.
    pub code: String,
    /// As in 相城区民政局.
    pub name: String,
}

/// A natural person: the one who decides is judged by the person, whichever of their tokens they use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub id: PersonId,
    pub login: String,
    pub name: String,
}

/// What a token's holder is in the procedure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A project team of one department.
    Requester,
    /// 区信息办 (or what the jurisdiction profile names instead): decides.
    Authority,
    /// 云平台运维: hosts and images.
    Operator,
    /// Reads everything, changes nothing.
    Auditor,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Requester, Self::Authority, Self::Operator, Self::Auditor];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Requester => "requester",
            Self::Authority => "authority",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Not one of the roles.
#[derive(Debug, thiserror::Error)]
#[error("unknown role {0:?}: expected requester, authority, operator or auditor")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(word: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.word() == word).ok_or_else(|| UnknownRole(word.to_owned()))
    }
}

/// The holder of the token that came with a call.
#[derive(Clone, Debug)]
pub struct Actor {
    pub token: TokenId,
    pub person: Person,
    /// 单位, as on the token: the department's name for project teams, the office's for the others.
    pub unit: String,
    pub role: Role,
    /// The one department that a requester acts for.
    pub department: Option<DepartmentId>,
    /// The id of the call, from the HTTP edge through to libvirt.
    pub trace_id: String,
}

impl From<&Actor> for Who {
    fn from(actor: &Actor) -> Self {
        Self {
            person: actor.person.login.clone(),
            unit: actor.unit.clone(),
            role: actor.role.word().to_owned(),
            token_id: Some(actor.token.text()),
            trace_id: actor.trace_id.clone(),
        }
    }
}
