//! Acts on disk imports.

use super::{Collection, given};
use crate::client::{
    Client, ClientError,
    types::{DiskImport, Operation},
};
use serde_json::Value;

impl Client {
    /// 旧机磁盘迁入
    pub fn disk_imports(&self) -> Collection<'_, DiskImport> {
        self.collection("disk-imports")
    }
}

impl Collection<'_, DiskImport> {
    /// `server_id`, `source_host`, `domain`, `machine_id`, `address` (`keep` or `new`), and with `keep` `old_address`.
    pub async fn create(&self, order: &Value) -> Result<DiskImport, ClientError> {
        self.parsed(&[self.path], self.client.post(&[self.path], order).await?)
    }

    pub async fn roll_back(&self, id: &str, reason: &str) -> Result<Operation, ClientError> {
        self.act(id, "rollback", &given(&[("reason", Some(reason))])).await
    }

    /// With what shows that the old guest stays off, where its host can no longer be asked.
    pub async fn finish(&self, id: &str, evidence: Option<&str>) -> Result<DiskImport, ClientError> {
        self.act(id, "finish", &given(&[("evidence", evidence)])).await
    }
}
