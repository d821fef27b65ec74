//! One writer: a lock for as long as the process lives, and an epoch in each of its transactions.

use std::path::{Path, PathBuf};

use mesh_fabric::files::{DirLock, lock_dir};
use mesh_schemas::{ErrorCode, Problem};
use sqlx::{ConnectOptions as _, FromRow, PgConnection};

use super::{
    Database, Store, StoreError, Tx,
    sql::{Query, failed, number},
};

/// The advisory lock of a registry's database: `ideas` in ASCII.
const LOCK: i64 = 0x69_6465_6173;

#[derive(Debug)]
enum Held {
    /// SQLite needs a file that outlives the process's crash without being held.
    Directory(#[expect(dead_code, reason = "held, never read")] DirLock),
    /// The session holds it.
    Session(#[expect(dead_code, reason = "held, never read")] Box<PgConnection>),
}

/// The right to write, until this value is dropped or somebody else takes it.
#[derive(Debug)]
pub(crate) struct WriterLock {
    epoch: i64,
    _held: Held,
}

#[derive(FromRow)]
struct Epoch {
    writer: i64,
}

#[derive(FromRow)]
struct Locked {
    locked: bool,
}

impl Store {
    /// Takes the right to write.
    ///
    /// # Errors
    /// `E_LOCKED` when another process has it, `E_IO`, `E_STORE_DOWN`.
    pub(crate) async fn lock(&self, database: &str) -> Result<WriterLock, Problem> {
        let held = match &self.db {
            Database::Sqlite { .. } => Held::Directory(lock_dir(&sqlite_dir(database)?)?),
            Database::Postgres { options, .. } => {
                let connection = options.connect().await;
                let connection = connection.map_err(failed("taking its lock"))?;
                Held::Session(Box::new(session_lock(connection).await?))
            }
        };
        Ok(WriterLock { epoch: self.next_epoch().await?, _held: held })
    }

    async fn next_epoch(&self) -> Result<i64, StoreError> {
        let doing = "becoming its writer";
        let mut tx = self.db.write(doing).await?;
        let text = "UPDATE meta SET writer = writer + 1 RETURNING writer";
        let epochs: Vec<Epoch> = tx.fetch(Query::new(doing, text)).await?;
        tx.commit(doing).await?;
        match epochs.first() {
            Some(epoch) => number("meta.writer", epoch.writer),
            None => Err(StoreError::Unreadable { what: "no row in meta".into() }),
        }
    }

    /// A transaction of the writer.
    pub(crate) async fn begin(
        &self,
        lock: &WriterLock,
        doing: &'static str,
    ) -> Result<Tx, StoreError> {
        let mut tx = self.db.write(doing).await?;
        // Touching the row makes whoever takes over wait for the end of this transaction.
        let fence = "UPDATE meta SET writer = writer WHERE writer = $1";
        let mine = tx.execute(Query::new(doing, fence).int(lock.epoch)).await?;
        if mine == 1 { Ok(tx) } else { Err(StoreError::NotWriter) }
    }
}

async fn session_lock(mut connection: PgConnection) -> Result<PgConnection, StoreError> {
    let doing = "taking its lock";
    let ask = sqlx::query_as("SELECT pg_try_advisory_lock($1) AS locked").bind(LOCK);
    let answer: Locked = ask.fetch_one(&mut connection).await.map_err(failed(doing))?;
    if answer.locked { Ok(connection) } else { Err(StoreError::NotWriter) }
}

/// The directory of an SQLite database, which one process alone may use.
pub(crate) fn sqlite_dir(database: &str) -> Result<PathBuf, Problem> {
    let path = database.strip_prefix("sqlite:").unwrap_or(database);
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = Path::new(path.split('?').next().unwrap_or(path));
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    dir.map(Path::to_path_buf).ok_or_else(|| {
        Problem::new(ErrorCode::Config, "database names no file in a directory")
            .at("database")
            .hint("write sqlite:///var/lib/deskmesh/ideas/ideas.db")
    })
}
