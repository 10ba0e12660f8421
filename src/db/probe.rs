//! Is the database there, and can it be written to? Asked by whoever distributes calls (`/readyz`) and by whoever looks for
//! a fault (`jiyue doctor`). Changes nothing.

use super::{Db, DbError, Dialect, Tx, connect, migrator, normalise, quiet};
use crate::time::Clock;
use sqlx::{AnyConnection, Connection};
use std::path::Path;

/// What was seen of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub dialect: Dialect,
    /// Of the server or the library.
    pub release: String,
    /// The newest step of the tables that stands there; `None` where there are no tables of ours.
    pub tables: Option<i64>,
    /// The newest that this program knows.
    pub known: i64,
    /// The database's clock, minus ours, in microseconds.
    pub ahead_micros: i64,
}

/// The newest step that this program knows.
fn known(dialect: Dialect) -> i64 {
    migrator(dialect).iter().map(|step| step.version).max().unwrap_or_default()
}

/// The newest step that stands there.
async fn newest(conn: &mut AnyConnection) -> Result<Option<i64>, DbError> {
    Ok(sqlx::query_scalar("select max(version) from _sqlx_migrations").fetch_one(conn).await?)
}

/// Asks for the right to write and for a place where that is possible, and touches no row.
async fn touch(conn: &mut AnyConnection) -> Result<(), DbError> {
    sqlx::query("update hosts set name = name where 1 = 0").execute(conn).await?;
    Ok(())
}

impl Db {
    /// Whether a reader sees the tables that this program was made for (or newer ones: another broker may be ahead of us).
    pub async fn probe_reading(&self) -> Result<bool, DbError> {
        let mut conn = self.read().await?;
        Ok(newest(&mut conn).await? >= Some(known(self.inner.dialect)))
    }

    /// Passes through every lane of the write queue, and takes the right to write on the way.
    pub async fn probe_writing(&self) -> Result<(), DbError> {
        for lane in [&self.inner.grouped, &self.inner.single] {
            self.submit(lane, false, async |tx: &mut Tx| touch(tx.conn()).await).await?;
        }
        Ok(())
    }
}

/// Looks at a database without bringing its tables up to date; a file that is not there is not made.
/// The connection goes with it, for those who want to see more.
pub async fn look(url: &str, clock: &Clock) -> Result<(Seen, AnyConnection), DbError> {
    sqlx::any::install_default_drivers();
    let (dialect, url) = normalise(url)?;
    let mut conn = match dialect {
        // Whatever mode a writer would choose, it is not for us to choose it.
        Dialect::Sqlite => AnyConnection::connect_with(&quiet(&url.replace("?mode=rwc", "?mode=rw"))?).await?,
        Dialect::Postgres => connect(dialect, &url).await?,
    };
    let release = match dialect {
        Dialect::Sqlite => "select sqlite_version()",
        Dialect::Postgres => "show server_version",
    };
    let release: String = sqlx::query_scalar(release).fetch_one(&mut conn).await?;
    let theirs: i64 = sqlx::query_scalar(dialect.clock()).fetch_one(&mut conn).await?;
    let ahead_micros = theirs - clock.now().as_microsecond();
    let there = match dialect {
        Dialect::Sqlite => "select count(*) from sqlite_master where name = '_sqlx_migrations'",
        Dialect::Postgres => "select count(*) from pg_tables where tablename = '_sqlx_migrations'",
    };
    let there: i64 = sqlx::query_scalar(there).fetch_one(&mut conn).await?;
    let tables = match there {
        0 => None,
        _ => newest(&mut conn).await?,
    };
    if tables.is_some() {
        touch(&mut conn).await?;
    }
    Ok((Seen { dialect, release, tables, known: known(dialect), ahead_micros }, conn))
}

/// The file of an embedded database.
pub fn file(url: &str) -> Option<&Path> {
    url.strip_prefix("sqlite:").map(Path::new)
}
