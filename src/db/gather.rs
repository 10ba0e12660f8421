//! Readings of one kind that many callers want at once: while one statement is under way those that come meanwhile wait
//! together, and the next statement is for all of them. Whoever polls costs little, and nobody is told what was true before
//! he asked.

use super::{Db, DbError};
use sqlx::AnyConnection;
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// Keys that one statement may carry.
const MOST: usize = 64;
/// Callers that may wait before the next one is made to wait outside.
const QUEUE: usize = 4096;
/// A statement that takes longer has lost its connection.
const LONGEST: Duration = Duration::from_secs(10);

type Reply<V> = oneshot::Sender<Result<Option<V>, DbError>>;

/// Rows of one kind by their keys. Clones share the work.
pub struct Gather<V> {
    lane: mpsc::Sender<(String, Reply<V>)>,
}

impl<V> Clone for Gather<V> {
    fn clone(&self) -> Self {
        Self { lane: self.lane.clone() }
    }
}

/// How the rows are had: those of the keys that there are.
pub type Find<V> =
    for<'a> fn(
        &'a mut AnyConnection,
        &'a [&'a str],
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<HashMap<String, V>, DbError>> + Send + 'a>>;

impl<V: Clone + Send + 'static> Gather<V> {
    /// Must be called where tasks can be started; the task ends with the last clone.
    pub fn new(db: Db, find: Find<V>) -> Self {
        let (lane, mut waiting) = mpsc::channel::<(String, Reply<V>)>(QUEUE);
        tokio::spawn(async move {
            let mut taken = Vec::new();
            while waiting.recv_many(&mut taken, MOST).await > 0 {
                let mut by_key = BTreeMap::<String, Vec<Reply<V>>>::new();
                for (key, reply) in taken.drain(..) {
                    by_key.entry(key).or_default().push(reply);
                }
                let keys: Vec<&str> = by_key.keys().map(String::as_str).collect();
                let found = timeout(LONGEST, async { find(&mut *db.read().await?, &keys).await }).await;
                let found = found.unwrap_or_else(|_| Err(DbError::Unreachable(sqlx::Error::PoolTimedOut)));
                for (key, replies) in by_key {
                    for reply in replies {
                        // Whoever has gone meanwhile need not be told.
                        let _ = reply.send(match &found {
                            Ok(rows) => Ok(rows.get(&key).cloned()),
                            Err(error) => Err(error.retell()),
                        });
                    }
                }
            }
        });
        Self { lane }
    }

    /// The row of this key, as it is now.
    pub async fn get(&self, key: String) -> Result<Option<V>, DbError> {
        let (reply, answer) = oneshot::channel();
        self.lane.send((key, reply)).await.map_err(|_| DbError::Stopped)?;
        answer.await.map_err(|_| DbError::Stopped)?
    }
}
