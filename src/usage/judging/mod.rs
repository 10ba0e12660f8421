//! Every machine judged once its day is over, and the judgement kept with all that it rests on. Whoever asks for a past day
//! gets what was kept of it; a day of which nothing was kept is judged from the days' rows, and kept from then on. So a
//! report of a past day says the same whenever it is made, whatever was imported or changed meanwhile.

mod agreement;
mod evidence;
mod line;
pub mod service;
pub mod store;

pub use agreement::Agreement;
pub use evidence::{Evidence, Idle, Logins, Rules, judge};
pub use line::Line;

use super::verdict::{Facts, Verdict};
use crate::{
    identity::Department,
    ids::{HostId, SystemId, VerdictId},
    labels::Zone,
    provider::Intent,
    request::block::WorkloadClass,
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What is judged, as it was when it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Subject {
    pub id: String,
    pub department: Department,
    pub name: String,
    /// The system that it belongs to, or the project that it was asked for.
    #[schema(required)]
    pub system: Option<String>,
    #[schema(value_type = Option<String>, format = Uuid, required)]
    pub system_id: Option<SystemId>,
    /// As allocated; `null` where nobody knows, as with the two that follow.
    #[schema(required)]
    pub vcpu: Option<i64>,
    #[schema(required)]
    pub memory_bytes: Option<i64>,
    #[schema(required)]
    pub disk_bytes: Option<i64>,
    /// `user_facing`, `batch` or `test`.
    #[schema(value_type = String)]
    pub workload_class: WorkloadClass,
    /// As the machine's; of a legacy server `server`.
    pub state: String,
    #[schema(value_type = Option<String>, format = Date, required)]
    pub delivered_on: Option<Date>,
}

/// A subject with what is only needed to judge it.
#[derive(Clone, Debug)]
pub struct Case {
    pub subject: Subject,
    pub facts: Facts,
    pub host: Option<HostId>,
    pub intent: Option<Intent>,
    /// What its image and its database need, in bytes.
    pub least_memory: i64,
    pub least_disk: i64,
    /// What it is made of and where it stands, for what is assumed of such machines.
    pub made_of: Option<MadeOf>,
    /// Why its host could not be read, if it could not.
    pub unread: Option<String>,
}

/// A machine's system and image, by their keys, and its zone.
#[derive(Clone, Debug)]
pub struct MadeOf {
    pub os: String,
    pub image: String,
    pub zone: Zone,
}

/// A judgement that was kept.
#[derive(Clone, Debug)]
pub struct Kept {
    pub id: VerdictId,
    pub day: Date,
    pub evidence: Evidence,
}

impl Kept {
    pub const fn verdict(&self) -> Verdict {
        self.evidence.judgement.verdict
    }
}

/// No verdict has this name.
#[derive(Debug, thiserror::Error)]
#[error("unknown verdict {0:?}: expected busy, low, idle, unknown or exempt")]
pub struct UnknownVerdict(String);

impl FromStr for Verdict {
    type Err = UnknownVerdict;
    fn from_str(word: &str) -> Result<Self, UnknownVerdict> {
        Self::ALL.into_iter().find(|verdict| verdict.word() == word).ok_or_else(|| UnknownVerdict(word.to_owned()))
    }
}
