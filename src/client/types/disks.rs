//! Disk imports, as the server tells them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

views! {
    /// 旧机磁盘迁入
    DiskImport {
        id: String,
        state: String,
        server_id: String,
        source_host: String,
        domain: String,
        domain_id: String,
        machine_id: String,
        address_mode: String,
        address: String,
        format: String,
        file_bytes: i64,
        copied_bytes: i64,
        sent_bytes: i64,
        sha256: Option<String>,
        checked_at: Option<Timestamp>,
        answered: Option<bool>,
        note: Option<String>,
        evidence: Option<Value>,
        operation_id: String,
        moved_at: Option<Timestamp>,
        ended_at: Option<Timestamp>,
    }
}
