//! Rooms, what becomes of their systems, and the dated register, as the server tells them.

use super::Department;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;

views! {
    /// 机房
    Room {
        id: String,
        name: String,
        department: Department,
        kind: String,
        standing: String,
        due_on: Option<Date>,
        basis: String,
        late_days: Option<i64>,
        closed_on: Option<Date>,
        systems_left: i64,
        systems_all: i64,
        systems: Vec<Value>,
        servers: Vec<Value>,
        gates: Vec<Value>,
        blockers: Vec<Value>,
    }

    /// What a survey's file changes, or has changed.
    SurveyImport {
        applied: bool,
        digest: String,
        new: i64,
        changed: i64,
        same: i64,
        changes: Vec<Value>,
        notes: Vec<Value>,
        absent: Vec<String>,
    }

    /// Where a system stands on its way out of its room.
    SystemMove {
        id: String,
        name: String,
        department: Department,
        room: Option<String>,
        standing: String,
        stage: String,
        difficulty: Value,
        cutover_on: Option<Date>,
        needs: Vec<String>,
        waits_for: Vec<String>,
        goes_with: Vec<String>,
        steps: Vec<Value>,
    }

    /// A row of the dated register.
    Deadline {
        id: String,
        basis: String,
        task: String,
        owner: String,
        due: String,
        due_on: Date,
        overdue: bool,
    }
}
