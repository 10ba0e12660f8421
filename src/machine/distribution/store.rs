//! SQL of images on their way. Leases and times of the next try are the database's clock, as with operations.

use super::{State, Transfer};
use crate::{
    db::{DbError, Tx},
    identity::store::parsed,
    ids::HostId,
    time::{self, micros},
};
use sqlx::{AnyConnection, Row, any::AnyRow};
use std::{collections::BTreeMap, time::Duration};

/// A row in the hands of one courier.
#[derive(Clone, Debug)]
pub struct Held {
    pub host: HostId,
    pub sha256: String,
    pub attempts: i64,
    epoch: i64,
}

/// What an attempt came to.
#[derive(Clone, Debug)]
pub struct Settled {
    pub to: State,
    pub reason: Option<String>,
    pub pause: Duration,
}

/// Words as the statements here take a list of them: `|a|b|`, each found by `like '%|a|%'`.
pub fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.fold("|".to_owned(), |all, word| format!("{all}{word}|"))
}

/// Whether some host lacks an image that it is to have and nobody is to bring.
pub async fn lacking(conn: &mut AnyConnection, ended: &str) -> Result<bool, DbError> {
    let found: i64 = sqlx::query_scalar(
        "select count(*) from hosts cross join images where contact = 'reachable' and hosts.state = 'active' and draining = 0 \
         and $1 not like '%|' || os_type || '|%' and not exists (select 1 from image_transfers t \
         where t.host_id = hosts.id and t.sha256 = images.sha256)",
    )
    .bind(ended)
    .fetch_one(conn)
    .await?;
    Ok(found > 0)
}

/// Has every host that answers brought every image, except those of systems whose end has come (`|a|b|`).
pub async fn want_all(tx: &mut Tx, ended: &str) -> Result<u64, DbError> {
    let now = tx.now().as_microsecond();
    let done = sqlx::query(
        "insert into image_transfers (host_id, sha256, state, updated_at) select hosts.id, images.sha256, 'waiting', $2 \
         from hosts cross join images where contact = 'reachable' and hosts.state = 'active' and draining = 0 \
         and $1 not like '%|' || os_type || '|%' and not exists (select 1 from image_transfers t \
         where t.host_id = hosts.id and t.sha256 = images.sha256) on conflict do nothing",
    )
    .bind(ended)
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Has one host brought one image, at once. What is on its way or there already stays as it is.
pub async fn want(tx: &mut Tx, host: HostId, sha256: &str) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    sqlx::query(
        "insert into image_transfers (host_id, sha256, state, updated_at) values ($1, $2, 'waiting', $3) \
         on conflict (host_id, sha256) do update set state = 'waiting', percent = 0, reason = null, attempts = 0, \
         next_try = 0, updated_at = excluded.updated_at where image_transfers.state in ('waiting', 'failed')",
    )
    .bind(host.text())
    .bind(sha256)
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Every image that is still to go somewhere: its digest, and where brokers keep it.
pub async fn open(conn: &mut AnyConnection) -> Result<Vec<(String, String)>, DbError> {
    let rows = sqlx::query(
        "select sha256, path from images where exists (select 1 from image_transfers t \
         where t.sha256 = images.sha256 and t.state <> 'present')",
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("sha256")?, row.try_get("path")?))).collect()
}

/// Takes the row that has waited longest of those that nobody holds and whose time has come, on a host that answers and is
/// being sent nothing else; of images that this broker has (`|a|b|`), and of others only when no other broker has taken
/// them for as long as `others`. The lease stands in the condition twice: a second broker that waited for the row must see
/// that it is taken.
pub async fn take(tx: &mut Tx, lease: Duration, here: &str, others: Duration) -> Result<Option<Held>, DbError> {
    let (now, database_now) = (tx.now().as_microsecond(), tx.database_now().await?);
    let row = sqlx::query(
        "update image_transfers set state = 'sending', percent = 0, lease_until = $1, epoch = epoch + 1, \
         attempts = attempts + 1, updated_at = $3 where (host_id, sha256) = (select t.host_id, t.sha256 \
         from image_transfers t join hosts on hosts.id = t.host_id where t.state <> 'present' and t.next_try <= $2 \
         and t.lease_until <= $2 and contact = 'reachable' and ($4 like '%|' || t.sha256 || '|%' or t.updated_at <= $5) \
         and not exists (select 1 from image_transfers o where o.host_id = t.host_id and o.lease_until > $2) \
         order by t.next_try, t.host_id, t.sha256 limit 1) \
         and lease_until <= $2 and state <> 'present' returning host_id, sha256, attempts, epoch",
    )
    .bind(database_now + micros(lease))
    .bind(database_now)
    .bind(now)
    .bind(here)
    .bind(now - micros(others))
    .fetch_optional(tx.conn())
    .await?;
    row.as_ref().map(held).transpose()
}

/// Takes this row, whatever is believed of it: the host has just said that the image is not there. None while somebody
/// else holds it.
pub async fn take_this(tx: &mut Tx, host: HostId, sha256: &str, lease: Duration) -> Result<Option<Held>, DbError> {
    want(tx, host, sha256).await?;
    let (now, database_now) = (tx.now().as_microsecond(), tx.database_now().await?);
    let row = sqlx::query(
        "update image_transfers set state = 'sending', percent = 0, lease_until = $3, epoch = epoch + 1, \
         attempts = attempts + 1, updated_at = $4 where host_id = $1 and sha256 = $2 and lease_until <= $5 \
         returning host_id, sha256, attempts, epoch",
    )
    .bind(host.text())
    .bind(sha256)
    .bind(database_now + micros(lease))
    .bind(now)
    .bind(database_now)
    .fetch_optional(tx.conn())
    .await?;
    if row.is_some() {
        lies_not_there(tx, host, sha256).await?;
    }
    row.as_ref().map(held).transpose()
}

fn held(row: &AnyRow) -> Result<Held, DbError> {
    Ok(Held {
        host: parsed(row, "host_id")?,
        sha256: row.try_get("sha256")?,
        attempts: row.try_get("attempts")?,
        epoch: row.try_get("epoch")?,
    })
}

/// A sign of life, and how far it is. False when another broker has the row by now.
pub async fn progress(tx: &mut Tx, held: &Held, percent: u8, lease: Duration) -> Result<bool, DbError> {
    let (now, database_now) = (tx.now().as_microsecond(), tx.database_now().await?);
    let done = sqlx::query(
        "update image_transfers set percent = $4, lease_until = $5, updated_at = $6 \
         where host_id = $1 and sha256 = $2 and epoch = $3 and state = 'sending'",
    )
    .bind(held.host.text())
    .bind(held.sha256.as_str())
    .bind(held.epoch)
    .bind(i64::from(percent))
    .bind(database_now + micros(lease))
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes what an attempt came to. False when another broker has the row by now.
pub async fn settle(tx: &mut Tx, held: &Held, settled: &Settled) -> Result<bool, DbError> {
    let (now, database_now) = (tx.now().as_microsecond(), tx.database_now().await?);
    let done = sqlx::query(
        "update image_transfers set state = $4, percent = case when $4 = 'present' then 100 else 0 end, reason = $5, \
         attempts = case when $4 = 'failed' then attempts else 0 end, next_try = $6, lease_until = 0, updated_at = $7 \
         where host_id = $1 and sha256 = $2 and epoch = $3 and state = 'sending'",
    )
    .bind(held.host.text())
    .bind(held.sha256.as_str())
    .bind(held.epoch)
    .bind(settled.to.word())
    .bind(settled.reason.as_deref())
    .bind(database_now + micros(settled.pause))
    .bind(now)
    .execute(tx.conn())
    .await?;
    let ours = done.rows_affected() == 1;
    match settled.to {
        State::Present if ours => lies_there(tx, held.host, &held.sha256).await?,
        // Whatever lies there, it is not known to be whole.
        State::Failed if ours => lies_not_there(tx, held.host, &held.sha256).await?,
        _ => {}
    }
    Ok(ours)
}

async fn lies_there(tx: &mut Tx, host: HostId, sha256: &str) -> Result<(), DbError> {
    sqlx::query("insert into host_images (host_id, sha256) values ($1, $2) on conflict do nothing")
        .bind(host.text())
        .bind(sha256)
        .execute(tx.conn())
        .await?;
    Ok(())
}

async fn lies_not_there(tx: &mut Tx, host: HostId, sha256: &str) -> Result<(), DbError> {
    sqlx::query("delete from host_images where host_id = $1 and sha256 = $2")
        .bind(host.text())
        .bind(sha256)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// What lies there under the image's name has been found to be something else.
pub async fn spoiled(tx: &mut Tx, host: HostId, sha256: &str, reason: &str, pause: Duration) -> Result<(), DbError> {
    want(tx, host, sha256).await?;
    let (now, database_now) = (tx.now().as_microsecond(), tx.database_now().await?);
    sqlx::query(
        "update image_transfers set state = 'failed', percent = 0, reason = $3, attempts = attempts + 1, \
         next_try = $4, updated_at = $5 where host_id = $1 and sha256 = $2 and lease_until <= $6",
    )
    .bind(host.text())
    .bind(sha256)
    .bind(reason)
    .bind(database_now + micros(pause))
    .bind(now)
    .bind(database_now)
    .execute(tx.conn())
    .await?;
    lies_not_there(tx, host, sha256).await
}

/// What is believed of a host's images: the digest of each that is known, and which word of it this is.
pub type Belief = BTreeMap<String, Believed>;

/// What is believed of one image on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Believed {
    /// A machine can be built on it there.
    pub present: bool,
    /// It is known to lie there, or somebody is to bring it or has tried.
    pub known: bool,
    /// Changes with each attempt at bringing it.
    epoch: i64,
}

/// Of every image that there is.
pub async fn belief(conn: &mut AnyConnection, host: HostId) -> Result<Belief, DbError> {
    let rows = sqlx::query(
        "select images.sha256 as sha256, case when h.sha256 is null then 0 else 1 end as present, \
         case when t.state is null then 0 else 1 end as known, \
         coalesce(t.epoch, -1) as epoch from images \
         left join host_images h on h.sha256 = images.sha256 and h.host_id = $1 \
         left join image_transfers t on t.sha256 = images.sha256 and t.host_id = $1",
    )
    .bind(host.text())
    .fetch_all(conn)
    .await?;
    let flag = |row: &AnyRow, column: &str| -> Result<bool, DbError> { Ok(row.try_get::<i64, _>(column)? == 1) };
    let believed = |row: &AnyRow| -> Result<_, DbError> {
        let believed =
            Believed { present: flag(row, "present")?, known: flag(row, "known")?, epoch: row.try_get("epoch")? };
        Ok((row.try_get("sha256")?, believed))
    };
    rows.iter().map(believed).collect()
}

/// A listing has shown that it is not there any more: it is to be brought again. Nothing happens when it has been brought
/// since that was believed.
pub async fn gone(tx: &mut Tx, host: HostId, sha256: &str, believed: Believed) -> Result<(), DbError> {
    let now = tx.now().as_microsecond();
    sqlx::query(
        "update image_transfers set state = 'waiting', percent = 0, reason = null, attempts = 0, next_try = 0, \
         updated_at = $4 where host_id = $1 and sha256 = $2 and epoch = $3 and state = 'present'",
    )
    .bind(host.text())
    .bind(sha256)
    .bind(believed.epoch)
    .bind(now)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "delete from host_images where host_id = $1 and sha256 = $2 and not exists (select 1 from image_transfers t \
         where t.host_id = $1 and t.sha256 = $2 and t.state = 'present')",
    )
    .bind(host.text())
    .bind(sha256)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Every host and how far the image is on its way there, by the hosts' names.
pub async fn of_image(conn: &mut AnyConnection, sha256: &str) -> Result<Vec<Transfer>, DbError> {
    let rows = sqlx::query(
        "select hosts.id as host_id, hosts.name as name, coalesce(t.state, 'absent') as state, \
         coalesce(t.percent, 0) as percent, t.reason as reason, coalesce(t.attempts, 0) as attempts, \
         coalesce(t.next_try, 0) as next_try, t.updated_at as updated_at from hosts \
         left join image_transfers t on t.host_id = hosts.id and t.sha256 = $1 order by hosts.name",
    )
    .bind(sha256)
    .fetch_all(conn)
    .await?;
    let transfer = |row: &AnyRow| -> Result<_, DbError> {
        let state: State = parsed(row, "state")?;
        let next_try: i64 = row.try_get("next_try")?;
        Ok(Transfer {
            host: parsed(row, "host_id")?,
            host_name: row.try_get("name")?,
            state,
            percent: row.try_get("percent")?,
            reason: row.try_get("reason")?,
            attempts: row.try_get("attempts")?,
            next_try: (state == State::Failed).then(|| time::from_micros(next_try)),
            updated_at: row.try_get::<Option<i64>, _>("updated_at")?.map(time::from_micros),
        })
    };
    rows.iter().map(transfer).collect()
}

/// On how many hosts each image lies.
pub async fn counts(conn: &mut AnyConnection) -> Result<BTreeMap<String, i64>, DbError> {
    let rows = sqlx::query("select sha256, count(*) as hosts from host_images group by sha256").fetch_all(conn).await?;
    rows.iter().map(|row| Ok((row.try_get("sha256")?, row.try_get("hosts")?))).collect()
}

pub async fn count_hosts(conn: &mut AnyConnection) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar("select count(*) from hosts").fetch_one(conn).await?)
}
