//! Looking through the pages of an SQLite file before anything in it is believed.

use std::path::Path;

use sqlx::SqlitePool;

use super::{Database, Store, StoreError, sql::failed};

impl Store {
    /// Looks through the pages of an SQLite file; PostgreSQL has checksums for that.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], naming the file and what is damaged first.
    pub(crate) async fn check_pages(&self) -> Result<(), StoreError> {
        match &self.db {
            Database::Postgres { .. } => Ok(()),
            Database::Sqlite { readers, .. } => {
                let options = readers.connect_options();
                check(readers).await.map_err(|error| named(error, options.get_filename()))
            }
        }
    }
}

/// Goes through all pages: nothing of a file whose structure is damaged is served. What rows hold is for the hashes
/// and signatures in them, which `mesh-ideas verify` checks.
pub(super) async fn check(pool: &SqlitePool) -> Result<(), StoreError> {
    let check = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_all(pool);
    let found: Vec<String> = check.await.map_err(failed("looking through its pages"))?;
    match found.into_iter().find(|line| line != "ok") {
        // A heading and a line of its own for each thing that was found.
        Some(what) => Err(StoreError::Damaged { what: what.replace('\n', " ") }),
        None => Ok(()),
    }
}

/// The same error, saying of which file it speaks.
pub(super) fn named(error: StoreError, file: &Path) -> StoreError {
    match error {
        StoreError::Damaged { what } => {
            StoreError::Damaged { what: format!("{}: {what}", file.display()) }
        }
        StoreError::Unavailable { .. }
        | StoreError::Refused { .. }
        | StoreError::NotWriter
        | StoreError::Missing { .. }
        | StoreError::Unreadable { .. } => error,
    }
}
