//! Looking through the pages of an SQLite file before anything in it is believed.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use sqlx::SqlitePool;
use tracing::info;

use super::{Database, Store, StoreError, sql::failed};

/// How long a start may look through the pages: about a second for a hundred MiB. What is not looked through is for the
/// statement that reads it.
pub(super) const AT_A_START: Duration = Duration::from_millis(500);
/// Steps of the look between two glances at the clock.
const CHECK_STEPS: i32 = 1_000;
/// What SQLite says of a statement that was told to end.
const SQLITE_INTERRUPT: &str = "9";
const LOOKING: &str = "looking through its pages";

impl Store {
    /// Looks through all pages of an SQLite file; PostgreSQL has checksums for that.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], naming the file and what is damaged first.
    pub(crate) async fn check_pages(&self) -> Result<(), StoreError> {
        match &self.db {
            Database::Postgres { .. } => Ok(()),
            Database::Sqlite { readers, .. } => {
                let options = readers.connect_options();
                check(readers, Duration::MAX)
                    .await
                    .map_err(|error| named(error, options.get_filename()))
            }
        }
    }
}

/// Goes through the pages, for no longer than is given: nothing of a file whose structure is found damaged is served.
/// What rows hold is for the hashes and signatures in them, which `mesh-ideas verify` checks.
pub(super) async fn check(pool: &SqlitePool, longest: Duration) -> Result<(), StoreError> {
    let begun = Instant::now();
    let mut connection = pool.acquire().await.map_err(failed(LOOKING))?;
    let mut handle = connection.lock_handle().await.map_err(failed(LOOKING))?;
    handle.set_progress_handler(CHECK_STEPS, move || begun.elapsed() < longest);
    drop(handle);
    // With time enough the indices are compared with their tables as well.
    let text = match longest {
        Duration::MAX => "PRAGMA integrity_check(1)",
        _ => "PRAGMA quick_check(1)",
    };
    let check = sqlx::query_scalar(text).fetch_all(&mut *connection).await;
    connection.lock_handle().await.map_err(failed(LOOKING))?.remove_progress_handler();
    let found: Vec<String> = match check {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(SQLITE_INTERRUPT) => {
            info!("Not all pages of the database were looked through; `mesh-ideas verify` does");
            return Ok(());
        }
        check => check.map_err(failed(LOOKING))?,
    };
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
