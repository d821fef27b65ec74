//! The system of record: SQLite or PostgreSQL behind one face.
//!
//! The leaves are the truth and are only ever added to; bodies and keys of subjects lie beside them, and
//! everything else can be made from the leaves anew. One process writes: it holds a lock, and each of its
//! transactions is fenced by its epoch. Should both fail, two leaves of one index are refused by the primary
//! key, so the log cannot fork.

mod body;
mod cosignature;
mod cursor;
pub(crate) mod db;
mod leaf;
mod lock;
mod log;
mod pages;
pub(crate) mod read;
mod role;
pub(crate) mod rows;
mod snapshot;
pub(crate) mod sql;
mod tx;

pub use body::Body;
pub use cosignature::Cosigned;
pub use cursor::Cursor;
pub use db::Login;
pub use leaf::{CheckpointRow, Leaf};
pub use log::LogRow;

pub(crate) use body::{Keys, Subjects};
pub(crate) use cosignature::CosignedRecord;
pub(crate) use db::Database;
pub(crate) use leaf::{CheckpointRecord, LeafRow};
pub(crate) use lock::{WriterLock, lock_directories};
use sql::failed;
pub(crate) use tx::Tx;

use mesh_fabric::error::chain;
use mesh_schemas::{ErrorCode, Problem};

/// What can go wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or broke off: whether a commit took effect is unknown.
    #[error("the database is out of reach while {doing}")]
    Unavailable {
        /// What was being done.
        doing: &'static str,
        /// The driver's error.
        source: sqlx::Error,
    },
    /// It answers, and a rule of its tables or of its rights forbids this: nothing was written.
    #[error("the database refuses {doing}")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// What it says.
        source: sqlx::Error,
    },
    /// Another registry writes: nothing was written.
    #[error("another registry writes to this database")]
    NotWriter,
    /// There is no such database, and none was made.
    #[error("there is {what}")]
    Missing {
        /// What there is not.
        what: String,
    },
    /// What is stored cannot be understood: newer software wrote it, or it is damaged.
    #[error("the database holds {what} that this version cannot read")]
    Unreadable {
        /// Which row.
        what: String,
    },
    /// The database finds its own files damaged.
    #[error("the database is damaged: {what}")]
    Damaged {
        /// Where, as far as that is known, and in its own words.
        what: String,
    },
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable { .. } => Self::new(ErrorCode::StoreDown, chain(&error)),
            StoreError::Refused { .. } => Self::new(ErrorCode::Internal, chain(&error)).hint(
                "nothing was written; `mesh-ideas verify` says whether the log is sound, and the database's own log \
                 which rule it was",
            ),
            StoreError::NotWriter => Self::new(ErrorCode::Locked, error.to_string())
                .hint("stop the other one; a log has one writer"),
            StoreError::Missing { .. } => Self::new(ErrorCode::NotFound, error.to_string())
                .at("database")
                .hint("check where `data` and `database` point; nothing was made"),
            StoreError::Unreadable { .. } => Self::new(ErrorCode::Integrity, error.to_string())
                .hint("`mesh-ideas verify` says what is damaged"),
            StoreError::Damaged { .. } => Self::new(ErrorCode::Integrity, error.to_string()).hint(
                "nothing of it is served; move the file aside, then put a backup in its place, or make it anew with \
                 `mesh-ideas rebuild --from tiles` or `--from objects` (docs/ideas.md)",
            ),
        }
    }
}

/// The database, for reading, and for who has taken the lock also for writing. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) db: Database,
}

impl Store {
    /// Opens `sqlite:///path/to/ideas.db` (made when it is missing) or `postgres://user@host/database`, and
    /// brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be reached or the URL is of another kind, and
    /// [`StoreError::Unreadable`] when newer software has migrated it.
    pub async fn open(url: &str, login: &Login) -> Result<Self, StoreError> {
        let db = match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Database::open_sqlite(url).await?,
            Some("postgres" | "postgresql") => Database::open_postgres(url, login).await?,
            Some(_) | None => return Err(unknown_kind()),
        };
        Ok(Self { db })
    }

    /// `sqlite` or `postgres`.
    pub const fn kind(&self) -> &'static str {
        self.db.kind()
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

/// The URL is not repeated: it may hold a password.
fn unknown_kind() -> StoreError {
    let what = "a database URL begins with sqlite: or postgres:";
    failed("choosing its kind")(sqlx::Error::Configuration(what.into()))
}
