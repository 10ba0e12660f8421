//! Readings of one kind that many callers want at once: while one statement is under way those that come meanwhile wait
//! together, and the next statement is for all of them. What has been read is good until this broker commits anything, and
//! for [`FRESH`] at most, since other brokers commit too: nobody is told less than what this broker had answered before, and
//! nobody learns later than that what another one has done. What cannot change any more is remembered.

use super::{Db, DbError};
use sqlx::AnyConnection;
use std::{
    collections::{BTreeMap, HashMap},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
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

/// Rows that are remembered at once; beyond that all are forgotten and read anew.
const MANY: usize = 10_000;
/// How long a row that may change is good: less than anybody who polls would notice.
const FRESH: Duration = Duration::from_millis(20);

type Reply<V> = oneshot::Sender<Result<Option<Arc<V>>, DbError>>;

/// How rows of one kind are had.
pub struct Ways<V> {
    /// Those of the keys that there are.
    pub find: for<'a> fn(&'a mut AnyConnection, &'a [&'a str]) -> Finding<'a, V>,
    /// Whether a row will never change again, at no broker: it need not be read twice.
    pub settled: fn(&V) -> bool,
}

pub type Finding<'a, V> = Pin<Box<dyn Future<Output = Result<HashMap<String, V>, DbError>> + Send + 'a>>;

/// Rows of one kind by their keys. Clones share the work.
pub struct Gather<V> {
    db: Db,
    lane: mpsc::Sender<(String, Reply<V>)>,
    known: Known<V>,
}

type Known<V> = Arc<Mutex<HashMap<String, Kept<V>>>>;

struct Kept<V> {
    row: Arc<V>,
    /// As of when, in commits and on the clock; `None` for ever.
    read: Option<(u64, Instant)>,
}

impl<V: Send + Sync + 'static> Gather<V> {
    /// Must be called where tasks can be started; the task ends with what it was started for.
    pub fn new(db: Db, ways: Ways<V>) -> Self {
        let (lane, waiting) = mpsc::channel(QUEUE);
        let known = Arc::default();
        tokio::spawn(collect(db.clone(), ways, waiting, Arc::clone(&known)));
        Self { db, lane, known }
    }

    /// The row of this key, as it is now.
    pub async fn get(&self, key: &str) -> Result<Option<Arc<V>>, DbError> {
        if let Some(kept) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(key)
            && kept.read.is_none_or(|(commits, at)| commits == self.db.commits() && at.elapsed() < FRESH)
        {
            return Ok(Some(Arc::clone(&kept.row)));
        }
        let (reply, answer) = oneshot::channel();
        self.lane.send((key.to_owned(), reply)).await.map_err(|_| DbError::Stopped)?;
        answer.await.map_err(|_| DbError::Stopped)?
    }
}

async fn collect<V>(db: Db, ways: Ways<V>, mut waiting: mpsc::Receiver<(String, Reply<V>)>, known: Known<V>) {
    let mut taken = Vec::new();
    while waiting.recv_many(&mut taken, MOST).await > 0 {
        let mut by_key = BTreeMap::<String, Vec<Reply<V>>>::new();
        for (key, reply) in taken.drain(..) {
            by_key.entry(key).or_default().push(reply);
        }
        let keys: Vec<&str> = by_key.keys().map(String::as_str).collect();
        // Before anything is read: a commit meanwhile may or may not be in it.
        let read = (db.commits(), Instant::now());
        let found = timeout(LONGEST, async { (ways.find)(&mut *db.read().await?, &keys).await }).await;
        let mut found = found.unwrap_or_else(|_| Err(DbError::Unreachable(sqlx::Error::PoolTimedOut)));
        for (key, replies) in by_key {
            let row = found.as_mut().map(|rows| rows.remove(&key).map(Arc::new));
            if let Ok(Some(row)) = &row {
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                if known.len() >= MANY {
                    known.clear();
                }
                let read = (!(ways.settled)(row)).then_some(read);
                known.insert(key, Kept { row: Arc::clone(row), read });
            }
            for reply in replies {
                // Whoever has gone meanwhile need not be told.
                let _ = reply.send(match &row {
                    Ok(row) => Ok(row.clone()),
                    Err(error) => Err(error.retell()),
                });
            }
        }
    }
}
