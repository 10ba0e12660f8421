//! Calls that their senders may repeat. A call comes with a key of its sender's. Whatever it writes carries a row with that
//! key in the same transaction, so that of any number of copies, at whichever broker, one is done, and none is half done.

use super::{Db, DbError, Tx};
use sqlx::{Row, any::AnyRow};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// How long a key is remembered.
const KEPT_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

tokio::task_local! {
    static CURRENT: Call;
}

/// A call with a key, while it is carried out.
#[derive(Clone, Debug)]
pub struct Call {
    inner: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    id: String,
    person: String,
    key: String,
    digest: String,
    done: AtomicBool,
    repeated: AtomicBool,
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub digest: String,
    pub made_at: jiff::Timestamp,
    pub answer: Option<Answer>,
}

/// The answer that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub location: Option<String>,
    pub body: String,
}

impl Call {
    pub fn new(person: String, key: String, digest: String) -> Self {
        let id = uuid::Uuid::now_v7().to_string();
        let (done, repeated) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { inner: Arc::new(Parts { id, person, key, digest, done, repeated }) }
    }

    /// Runs `work` as this call: every act in it, in this task, is done once under its key.
    pub async fn scope<T>(&self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self.clone(), work).await
    }

    /// The call whose task this is.
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Something of it has been committed.
    pub fn is_done(&self) -> bool {
        self.inner.done.load(Ordering::Acquire)
    }

    /// A copy of it came first.
    pub fn is_repeated(&self) -> bool {
        self.inner.repeated.load(Ordering::Acquire)
    }

    pub(super) fn committed(&self) {
        self.inner.done.store(true, Ordering::Release);
    }

    /// Puts the key into the act's transaction, or refuses the act because somebody else's row is there.
    pub(super) async fn mark(&self, tx: &mut Tx) -> Result<(), DbError> {
        let now = tx.now().as_microsecond();
        sqlx::query("delete from calls where person_id = $1 and key = $2 and made_at < $3")
            .bind(self.inner.person.as_str())
            .bind(self.inner.key.as_str())
            .bind(now - KEPT_MICROS)
            .execute(tx.conn())
            .await?;
        let made = sqlx::query(
            "insert into calls (person_id, key, call_id, digest, made_at) values ($1, $2, $3, $4, $5) \
             on conflict (person_id, key) do nothing",
        )
        .bind(self.inner.person.as_str())
        .bind(self.inner.key.as_str())
        .bind(self.inner.id.as_str())
        .bind(self.inner.digest.as_str())
        .bind(now)
        .execute(tx.conn())
        .await?;
        if made.rows_affected() == 1 {
            return Ok(());
        }
        let row = sqlx::query("select call_id from calls where person_id = $1 and key = $2")
            .bind(self.inner.person.as_str())
            .bind(self.inner.key.as_str())
            .fetch_optional(tx.conn())
            .await?;
        // A call may write more than once.
        if row.is_some_and(|row| row.try_get::<String, _>("call_id").is_ok_and(|id| id == self.inner.id)) {
            return Ok(());
        }
        self.inner.repeated.store(true, Ordering::Release);
        Err(DbError::Repeated)
    }

    /// What is known of its key.
    pub async fn known(&self, db: &Db) -> Result<Option<Known>, DbError> {
        let mut conn = db.read().await?;
        let row = sqlx::query(
            "select digest, made_at, status, content_type, location, body from calls \
             where person_id = $1 and key = $2 and made_at >= $3",
        )
        .bind(self.inner.person.as_str())
        .bind(self.inner.key.as_str())
        .bind(db.clock().now().as_microsecond() - KEPT_MICROS)
        .fetch_optional(&mut *conn)
        .await?;
        row.as_ref().map(known).transpose()
    }

    /// Keeps the answer for the copies, and forgets what is old.
    pub async fn keep(&self, db: &Db, answer: Answer) -> Result<(), DbError> {
        let call = self.clone();
        db.housekeep(async move |tx| -> Result<(), DbError> {
            sqlx::query(
                "update calls set status = $3, content_type = $4, location = $5, body = $6 \
                 where person_id = $1 and key = $2 and call_id = $7",
            )
            .bind(call.inner.person.as_str())
            .bind(call.inner.key.as_str())
            .bind(i64::from(answer.status))
            .bind(answer.content_type.as_str())
            .bind(answer.location.as_deref())
            .bind(answer.body.as_str())
            .bind(call.inner.id.as_str())
            .execute(tx.conn())
            .await?;
            let before = tx.now().as_microsecond() - KEPT_MICROS;
            sqlx::query("delete from calls where made_at < $1").bind(before).execute(tx.conn()).await?;
            Ok(())
        })
        .await
    }

    pub fn digest(&self) -> &str {
        &self.inner.digest
    }
}

fn known(row: &AnyRow) -> Result<Known, DbError> {
    let status: Option<i64> = row.try_get("status")?;
    let text = |column: &str| -> Result<Option<String>, DbError> { Ok(row.try_get(column)?) };
    let answer = match (status.and_then(|status| u16::try_from(status).ok()), text("body")?) {
        (Some(status), Some(body)) => Some(Answer {
            status,
            content_type: text("content_type")?.unwrap_or_default(),
            location: text("location")?,
            body,
        }),
        _ => None,
    };
    Ok(Known { digest: row.try_get("digest")?, made_at: crate::time::from_micros(row.try_get("made_at")?), answer })
}
