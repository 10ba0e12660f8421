//! Acts on rooms, on what becomes of their systems, and on the dated register.

use super::{Collection, given};
use crate::client::{
    Client, ClientError,
    types::{Deadline, Report, Room, SurveyImport, System, SystemMove},
};
use bytes::Bytes;
use futures_util::TryStream;
use serde_json::{Value, json};
use std::io;

impl Client {
    /// 机房
    pub fn rooms(&self) -> Collection<'_, Room> {
        self.collection("rooms")
    }

    /// 台账
    pub fn deadlines(&self) -> Collection<'_, Deadline> {
        self.collection("deadlines")
    }
}

impl Collection<'_, Room> {
    /// What a survey's file would change; with the digest of exactly that, changes it. Never repeated by itself.
    pub async fn import<S>(
        &self,
        name: &str,
        apply: Option<&str>,
        length: u64,
        content: S,
    ) -> Result<SurveyImport, ClientError>
    where
        S: TryStream<Ok = Bytes, Error = io::Error> + Send + 'static,
    {
        let mut query = vec![("name", name)];
        query.extend(apply.map(|digest| ("apply", digest)));
        let path = [self.path, "import"];
        let answer = self.client.upload(&path, &query, "application/octet-stream", length, content).await?;
        self.parsed(&path, answer)
    }

    /// 自查报告, 清理整合清单 or 接入清单: `form` is `survey`, `merge` or `access`, `format` is `xlsx` or `csv`.
    pub async fn export(&self, query: &[(&str, &str)]) -> Result<Bytes, ClientError> {
        self.client.bytes_by(&[self.path, "export"], query).await
    }

    /// `gate` (`servers_off`, `equipment_disposed`, `network_cut`), `evidence`, `on`, `servers`.
    pub async fn record(&self, id: &str, proof: &Value) -> Result<Room, ClientError> {
        self.act(id, "record", proof).await
    }

    pub async fn sign(&self, id: &str, comment: &str) -> Result<Room, ClientError> {
        self.act(id, "sign", &given(&[("comment", Some(comment))])).await
    }

    pub async fn reopen(&self, id: &str, reason: &str) -> Result<Room, ClientError> {
        self.act(id, "reopen", &given(&[("reason", Some(reason))])).await
    }
}

impl Collection<'_, System> {
    /// Where it stands on its way out of its room.
    pub async fn fate(&self, id: &str) -> Result<SystemMove, ClientError> {
        self.client.get(&[self.path, id, "move"], &[]).await
    }

    /// `disposition`, `reason`, `replaced_by`, `finding_id`.
    pub async fn decide(&self, id: &str, fate: &Value) -> Result<SystemMove, ClientError> {
        self.act(id, "decide", fate).await
    }

    /// `step`, `evidence`, `difficulty`, `cutover_on`, `trigger`.
    pub async fn advance(&self, id: &str, step: &Value) -> Result<SystemMove, ClientError> {
        self.act(id, "advance", step).await
    }

    pub async fn exempt(&self, id: &str, until: jiff::civil::Date, evidence: &str) -> Result<SystemMove, ClientError> {
        self.act(id, "exempt", &json!({"until": until, "evidence": evidence})).await
    }
}

impl Collection<'_, Deadline> {
    pub async fn meet(&self, id: &str, evidence: &str) -> Result<Deadline, ClientError> {
        self.act(id, "meet", &given(&[("evidence", Some(evidence))])).await
    }
}

impl Collection<'_, Report> {
    /// The room board as of a day, today where none is named; `format` is `json`, `csv` or `xlsx`.
    pub async fn rooms(&self, query: &[(&str, &str)]) -> Result<Bytes, ClientError> {
        self.client.bytes_by(&[self.path, "rooms"], query).await
    }

    /// What there is and what is left of it; `format` is `json`, `csv` or `xlsx`.
    pub async fn capacity(&self, query: &[(&str, &str)]) -> Result<Bytes, ClientError> {
        self.client.bytes_by(&[self.path, "capacity"], query).await
    }
}
