//! Durable operations: long work as a row, driven to its end by whichever broker holds its lease.
//!
//! A runner is level-triggered. It re-reads the state, makes it true step by step, and takes no input but the row; so it
//! can be killed at any instant and started again by anybody. Every write a runner makes names the lease's epoch and
//! fails once another broker has taken over.

pub mod crash;
pub mod lifecycle;
pub mod store;
pub mod term;
pub mod worker;

use crate::ids::{DepartmentId, MachineId, OperationId, RequestId};
use jiff::Timestamp;
use lifecycle::State;
use serde::Serialize;
use std::{fmt, str::FromStr};

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Builds all machines of one request.
    Build,
    Start,
    Stop,
    /// Stops a machine and frees its compute: the way into the recycle bin.
    Bin,
    /// The way out of it.
    Restore,
    /// Has the guest restart.
    Reboot,
    /// Gives a machine another size.
    Resize,
    /// Moves a machine to another host, with its disk.
    Migrate,
    /// Builds a machine anew elsewhere, after its host has been proven to be off.
    Rebuild,
    /// Takes over an old guest's disk into a machine.
    ImportDisk,
    /// Gives a machine its own disk again, and starts the old guest.
    ReturnDisk,
}

impl Kind {
    pub const ALL: [Self; 11] = [
        Self::Build,
        Self::Start,
        Self::Stop,
        Self::Bin,
        Self::Restore,
        Self::Reboot,
        Self::Resize,
        Self::Migrate,
        Self::Rebuild,
        Self::ImportDisk,
        Self::ReturnDisk,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Bin => "bin",
            Self::Restore => "restore",
            Self::Reboot => "reboot",
            Self::Resize => "resize",
            Self::Migrate => "migrate",
            Self::Rebuild => "rebuild",
            Self::ImportDisk => "import_disk",
            Self::ReturnDisk => "return_disk",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Not a kind of operation.
#[derive(Debug, thiserror::Error)]
#[error("unknown kind of operation: {0:?}")]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;
    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.word() == word).ok_or_else(|| UnknownKind(word.to_owned()))
    }
}

/// An operation's row.
#[derive(Clone, Debug)]
pub struct Operation {
    pub id: OperationId,
    pub kind: Kind,
    pub department: DepartmentId,
    pub request: Option<RequestId>,
    pub machine: Option<MachineId>,
    pub state: State,
    /// Set when somebody wants it undone; the runner turns back at its next step.
    pub cancel_reason: Option<String>,
    /// Why it is unwinding, failed or was cancelled.
    pub reason: Option<String>,
    pub steps_done: i64,
    pub steps_total: i64,
    pub current_step: Option<String>,
    /// The call that started it.
    pub trace_id: String,
    pub started_by: String,
    pub attempts: i64,
    /// What it is to reach beyond its kind, as JSON of whoever runs it.
    pub plan: Option<String>,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

/// What an act puts down for the worker.
#[derive(Clone, Debug)]
pub struct NewOperation {
    pub id: OperationId,
    pub kind: Kind,
    pub department: DepartmentId,
    pub request: Option<RequestId>,
    pub machine: Option<MachineId>,
    pub steps_total: i64,
    pub trace_id: String,
    pub started_by: String,
    pub plan: Option<String>,
}

/// An operation as people and programs see it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Operation)]
pub struct View {
    #[schema(value_type = String, format = Uuid)]
    pub id: OperationId,
    pub kind: &'static str,
    pub state: &'static str,
    /// 0 to 100; counts steps, not seconds.
    pub percent: i64,
    pub steps_done: i64,
    pub steps_total: i64,
    pub current_step: Option<String>,
    pub reason: Option<String>,
    #[schema(value_type = Option<String>, format = Uuid)]
    pub request_id: Option<RequestId>,
    #[schema(value_type = Option<String>, format = Uuid)]
    pub machine_id: Option<MachineId>,
    /// The id of the call that started it, also in every log line of the work.
    pub trace_id: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
}

impl From<&Operation> for View {
    fn from(op: &Operation) -> Self {
        let percent = match op.state {
            State::Succeeded => 100,
            _ if op.steps_total > 0 => (op.steps_done * 100 / op.steps_total).clamp(0, 99),
            _ => 0,
        };
        Self {
            id: op.id,
            kind: op.kind.word(),
            state: op.state.word(),
            percent,
            steps_done: op.steps_done,
            steps_total: op.steps_total,
            current_step: op.current_step.clone(),
            reason: op.reason.clone(),
            request_id: op.request,
            machine_id: op.machine,
            trace_id: op.trace_id.clone(),
            created_at: op.created_at,
            finished_at: op.finished_at,
        }
    }
}
