//! Whose token a call carries. What was read of a token is believed for a moment, so that who asks a hundred times a second
//! is not looked up as often; a token that is revoked ends within that moment at every broker.

use super::{
    Actor,
    store::{self, TokenRow},
    token::Secret,
};
use crate::{
    db::Db,
    error::{Kind, Problem},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a reading is believed. Revocation must bite within five seconds.
const BELIEVED: Duration = Duration::from_secs(2);
/// Tokens that are remembered at once; beyond that all are forgotten and read anew.
const MANY: usize = 10_000;

/// Knows tokens; clones share what they know.
#[derive(Clone)]
pub struct Door {
    db: Db,
    /// By the token's digest.
    known: Arc<Mutex<HashMap<String, (TokenRow, Instant)>>>,
}

impl Door {
    pub fn new(db: Db) -> Self {
        Self { db, known: Arc::default() }
    }

    /// Whose token is kept by this digest: for what stands for a token, and ends with it.
    pub async fn holder(&self, digest: String, trace_id: &str) -> Result<Actor, Problem> {
        let row = self.row(digest).await?.ok_or_else(invalid)?;
        if row.revoked_at.is_some() || row.expires_at <= self.db.clock().now() {
            return Err(invalid());
        }
        Ok(Actor {
            token: row.id,
            person: row.person,
            unit: row.unit,
            role: row.role,
            department: row.department,
            trace_id: trace_id.to_owned(),
        })
    }

    pub async fn authenticate(&self, bearer: Option<&str>, trace_id: &str) -> Result<Actor, Problem> {
        let Some(bearer) = bearer else {
            return Err(refuse(
                "请求未带令牌；请在 Authorization 头中使用 Bearer 令牌，令牌由管理员用 jiyue token create 签发",
            ));
        };
        let secret = Secret::read(bearer).ok_or_else(invalid)?;
        self.holder(secret.digest(), trace_id).await
    }

    async fn row(&self, digest: String) -> Result<Option<TokenRow>, Problem> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned();
        if let Some((row, read_at)) = known
            && read_at.elapsed() < BELIEVED
        {
            return Ok(Some(row));
        }
        // Before the reading: what it says is as old as that.
        let now = Instant::now();
        let mut conn = self.db.read().await?;
        let row = store::find_token(&mut conn, &digest).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MANY {
            known.clear();
        }
        // What is no token is not remembered: anybody can make up as many as they like.
        match &row {
            Some(row) => drop(known.insert(digest, (row.clone(), now))),
            None => drop(known.remove(&digest)),
        }
        Ok(row)
    }
}

fn refuse(detail: &str) -> Problem {
    Problem::new(Kind::Unauthenticated, "unauthenticated", detail)
}

/// One answer for every way in which a token can be wrong.
fn invalid() -> Problem {
    refuse("令牌无效、已过期或已吊销；请向管理员申领新的令牌")
}
