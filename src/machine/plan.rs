//! What an operation on a machine is to reach beyond its kind; kept with the operation, so that whoever takes it up knows.

use crate::{capacity::Size, error::Problem, ids::HostId, provider::Intent, units::Bytes};
use serde::{Deserialize, Serialize};

/// A machine's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    pub vcpu: u32,
    pub memory: Bytes,
    pub disk: Bytes,
}

impl Spec {
    pub const fn of(intent: &Intent) -> Self {
        Self { vcpu: intent.vcpu, memory: intent.memory, disk: intent.disk }
    }

    pub const fn size(self) -> Size {
        Size { vcpu: self.vcpu, memory: self.memory, disk: self.disk }
    }

    /// The intent with this size.
    #[must_use]
    pub fn applied(self, intent: &Intent) -> Intent {
        Intent { vcpu: self.vcpu, memory: self.memory, disk: self.disk, ..intent.clone() }
    }

    /// Whether the guest must be off in between: processors and memory are a matter of its start.
    pub fn needs_restart(self, to: Self) -> bool {
        self.vcpu != to.vcpu || self.memory != to.memory
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Plan {
    Resize {
        from: Spec,
        to: Spec,
    },
    /// The machine as it will be on the other host: the same in all but its network.
    Migrate {
        to: HostId,
        intent: Box<Intent>,
    },
}

impl Plan {
    pub fn to_json(&self) -> Result<String, Problem> {
        serde_json::to_string(self).map_err(Problem::internal)
    }

    pub fn from_json(text: Option<&str>) -> Option<Self> {
        serde_json::from_str(text?).ok()
    }

    pub fn steps_total(&self) -> i64 {
        match self {
            Self::Resize { from, to } if from.needs_restart(*to) => 4,
            Self::Resize { .. } => 1,
            // Percent of the way.
            Self::Migrate { .. } => 100,
        }
    }
}
