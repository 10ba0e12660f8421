//! What can go wrong with the database, told by what the caller can do about it.

use std::io;

/// A database failure.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A row with this key is there already. `what` holds the columns (SQLite) or the constraint's name (PostgreSQL).
    #[error("a row with this key exists already ({what})")]
    Unique { what: String },
    /// A CHECK or foreign key refused the row: a bug above, or a guard doing its work.
    #[error("a constraint refused the row: {what}")]
    Constraint { what: String },
    /// Deadlock, busy file, or a connection lost before its commit: nothing was written, the writer runs the job again.
    #[error("the transaction collided with another one")]
    Collision(#[source] sqlx::Error),
    #[error("the database cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    /// The disk under the database is full.
    #[error("the database has no room left")]
    Full(#[source] sqlx::Error),
    /// The connection broke inside COMMIT: written or not, nobody knows. Read back before trying again.
    #[error("the connection broke inside commit, so the outcome is unknown")]
    OutcomeUnknown(#[source] sqlx::Error),
    /// An act that wrote no audit record; it was rolled back.
    #[error("the act wrote no audit record and was rolled back")]
    Unaudited,
    /// A copy of this call was carried out already ([`super::call`]); this one was rolled back.
    #[error("a copy of this call was carried out already")]
    Repeated,
    /// The writer has stopped, or the job panicked.
    #[error("the write queue did not answer")]
    Stopped,
    #[error("not a database address: expected sqlite:/path/to/file or postgres://user@host/database")]
    BadUrl,
    /// A stored value that the code cannot read.
    #[error("stored value cannot be read: {what}")]
    Corrupt { what: String },
    #[error("the tables could not be brought up to date")]
    Migration {
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    #[error("the writer could not be started")]
    Start {
        #[source]
        source: io::Error,
    },
    #[error("statement failed")]
    Statement(#[source] sqlx::Error),
    /// A failure that several jobs of one batch share, told once more.
    #[error("{0}")]
    Shared(String),
}

impl DbError {
    /// Whether the row collided on the given column.
    pub fn is_duplicate_of(&self, column: &str) -> bool {
        matches!(self, Self::Unique { what } if what.contains(column))
    }

    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Collision(_) | Self::Unreachable(_))
    }

    /// A failure of COMMIT itself: without a word from the server, the outcome is unknown.
    pub(super) fn at_commit(self) -> Self {
        match self {
            Self::Unreachable(source) => Self::OutcomeUnknown(source),
            other => other,
        }
    }

    /// The same failure for another job of the batch (sqlx's errors cannot be cloned).
    pub(super) fn retell(&self) -> Self {
        let io = || sqlx::Error::Io(io::Error::other(self.to_string()));
        match self {
            Self::Collision(_) => Self::Collision(io()),
            Self::Unreachable(_) => Self::Unreachable(io()),
            Self::Full(_) => Self::Full(io()),
            Self::OutcomeUnknown(_) => Self::OutcomeUnknown(io()),
            other => Self::Shared(other.to_string()),
        }
    }
}

/// Errors that a job may end with.
pub trait JobError: From<DbError> + Send + 'static {
    /// The database failure that makes it worth running the whole batch again, if there is one.
    fn again(&self) -> Option<DbError>;
}

impl JobError for DbError {
    fn again(&self) -> Option<DbError> {
        self.is_transient().then(|| self.retell())
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::error::ErrorKind;
        let sqlx::Error::Database(inner) = &error else {
            return match error {
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::Protocol(_)
                | sqlx::Error::BeginFailed => Self::Unreachable(error),
                other => Self::Statement(other),
            };
        };
        let what = || inner.constraint().map_or_else(|| inner.message().to_owned(), str::to_owned);
        match inner.kind() {
            ErrorKind::UniqueViolation => return Self::Unique { what: what() },
            ErrorKind::ForeignKeyViolation | ErrorKind::CheckViolation | ErrorKind::NotNullViolation => {
                return Self::Constraint { what: what() };
            }
            _ => {}
        }
        match inner.code().as_deref() {
            // PostgreSQL: serialization failure, deadlock, silent for too long. SQLite: busy, busy snapshot, locked.
            Some("40001" | "40P01" | "25P03" | "5" | "517" | "6") => Self::Collision(error),
            // PostgreSQL: disk full. SQLite: full.
            Some("53100" | "13") => Self::Full(error),
            // PostgreSQL: connection exceptions, too many connections, shutting down or starting up.
            Some(code) if code.starts_with("08") || code == "53300" || code.starts_with("57P") => {
                Self::Unreachable(error)
            }
            _ => Self::Statement(error),
        }
    }
}
