//! Acts on waves, blackouts, and on what systems ask of the cloud.

use super::Collection;
use crate::client::{
    Client, ClientError,
    types::{Blackout, System, SystemRequests, Wave, WaveCheck},
};
use serde::Serialize;
use serde_json::{Value, json};

impl Client {
    /// 迁移批次
    pub fn waves(&self) -> Collection<'_, Wave> {
        self.collection("waves")
    }

    /// 封网期
    pub fn blackouts(&self) -> Collection<'_, Blackout> {
        self.collection("blackouts")
    }
}

impl Collection<'_, Wave> {
    /// `name`, `window_from`, `window_to`, `note`, `systems`.
    pub async fn create(&self, wave: &Value) -> Result<Wave, ClientError> {
        self.parsed(&[self.path], self.client.post(&[self.path], wave).await?)
    }

    /// The same, of which `systems` are said all at once.
    pub async fn set<B: Serialize + ?Sized>(&self, id: &str, etag: &str, change: &B) -> Result<Wave, ClientError> {
        self.change(id, etag, change).await
    }

    /// Every conflict, and what it asks of each zone.
    pub async fn check(&self, id: &str) -> Result<WaveCheck, ClientError> {
        self.client.get(&[self.path, id, "check"], &[]).await
    }

    pub async fn delete(&self, id: &str) -> Result<Wave, ClientError> {
        self.act(id, "delete", &json!({})).await
    }
}

impl Collection<'_, Blackout> {
    /// `department`, `from`, `to`, `reason`.
    pub async fn create(&self, blackout: &Value) -> Result<Blackout, ClientError> {
        self.parsed(&[self.path], self.client.post(&[self.path], blackout).await?)
    }

    pub async fn delete(&self, id: &str) -> Result<Blackout, ClientError> {
        self.act(id, "delete", &json!({})).await
    }
}

impl Collection<'_, System> {
    /// `task_book`, `block`, `servers`, `dry_run`.
    pub async fn request(&self, id: &str, wish: &Value) -> Result<SystemRequests, ClientError> {
        self.act(id, "request", wish).await
    }
}
