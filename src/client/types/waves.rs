//! Waves, blackouts, and what systems ask of the cloud, as the server tells them.

use super::Department;
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use serde_json::Value;

views! {
    /// What was found of a wave.
    WaveCheck { passes: bool, conflicts: Vec<Value>, zones: Vec<Value> }

    /// 迁移批次
    Wave {
        id: String,
        name: String,
        window_from: Date,
        window_to: Date,
        note: Option<String>,
        systems_all: i64,
        systems_moved: i64,
        created_at: Timestamp,
        systems: Vec<Value>,
        check: Option<WaveCheck>,
    }

    /// 封网期
    Blackout {
        id: String,
        department: Option<Department>,
        from: Date,
        to: Date,
        reason: String,
        created_by: String,
        created_at: Timestamp,
    }

    /// What a system asks of the cloud.
    SystemRequests {
        system_id: String,
        dry_run: bool,
        made: bool,
        requests: Vec<Value>,
        sizes: Vec<Value>,
        document: Option<Value>,
        lacking: Vec<Value>,
    }
}
