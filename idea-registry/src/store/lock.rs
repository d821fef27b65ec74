//! One writer: a lock for as long as the process lives, and an epoch in each of its transactions.

use std::path::{Path, PathBuf};

use mesh_fabric::files::{DirLock, lock_dir};
use mesh_schemas::{ErrorCode, Problem};
use sqlx::{ConnectOptions as _, FromRow, PgConnection};

use super::{
    Database, Store, StoreError, Tx,
    sql::{Dialects, Query, failed, number},
};

/// The advisory lock of a registry's database: `ideas` in ASCII.
const LOCK: i64 = 0x69_6465_6173;

/// Whoever takes over waits for the end of the transaction that holds the row.
const FENCE: Dialects = Dialects {
    sqlite: "SELECT writer FROM meta WHERE writer = $1",
    postgres: "SELECT writer FROM meta WHERE writer = $1 FOR SHARE",
};

/// The same, and waits for each transaction that holds the row.
const SETTLE: Dialects = Dialects {
    sqlite: "SELECT writer FROM meta WHERE writer = $1",
    postgres: "SELECT writer FROM meta WHERE writer = $1 FOR UPDATE",
};

/// The right to write, until this value is dropped or somebody else takes it.
#[derive(Debug)]
pub(crate) struct WriterLock {
    epoch: i64,
    /// Of the data, and of an SQLite database elsewhere.
    _directories: Vec<DirLock>,
    /// PostgreSQL lets go of the lock when the session ends, however it ends.
    _session: Option<PgConnection>,
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
    /// Takes the right to write, to the database and to the data's directory, which is locked already.
    ///
    /// # Errors
    /// `E_LOCKED` when another process has it, `E_STORE_DOWN`.
    pub(crate) async fn lock(&self, directories: Vec<DirLock>) -> Result<WriterLock, Problem> {
        let session = match &self.db {
            Database::Sqlite { .. } => None,
            Database::Postgres { options, .. } => {
                let connection = options.connect().await;
                let connection = connection.map_err(failed("taking its lock"))?;
                Some(session_lock(connection).await?)
            }
        };
        let epoch = self.next_epoch().await?;
        Ok(WriterLock { epoch, _directories: directories, _session: session })
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
        fence(&mut tx, lock, Query::either(doing, FENCE)).await?;
        Ok(tx)
    }

    /// Returns when no transaction of the writer is on its way any more, also none that was given up.
    pub(crate) async fn settle(&self, lock: &WriterLock) -> Result<(), StoreError> {
        let doing = "waiting for what was given up";
        let mut tx = self.db.write(doing).await?;
        fence(&mut tx, lock, Query::either(doing, SETTLE)).await?;
        tx.commit(doing).await
    }
}

async fn fence(tx: &mut Tx, lock: &WriterLock, query: Query) -> Result<(), StoreError> {
    let mine: Vec<Epoch> = tx.fetch(query.int(lock.epoch)).await?;
    if mine.is_empty() { Err(StoreError::NotWriter) } else { Ok(()) }
}

async fn session_lock(mut connection: PgConnection) -> Result<PgConnection, StoreError> {
    let doing = "taking its lock";
    let ask = sqlx::query_as("SELECT pg_try_advisory_lock($1) AS locked").bind(LOCK);
    let answer: Locked = ask.fetch_one(&mut connection).await.map_err(failed(doing))?;
    if answer.locked { Ok(connection) } else { Err(StoreError::NotWriter) }
}

/// Locks the data's directory, and that of an SQLite database when it is another: before the database is
/// opened, as opening may already write.
///
/// # Errors
/// `E_LOCKED` when another process has one, `E_IO`, `E_CONFIG`.
pub(crate) fn lock_directories(data: &Path, database: &str) -> Result<Vec<DirLock>, Problem> {
    let mut locks = vec![lock_dir(data)?];
    if let Some(path) = database.strip_prefix("sqlite:") {
        let dir = sqlite_dir(path)?;
        let same = |a: &Path, b: &Path| {
            a.canonicalize().ok().is_some_and(|a| Some(a) == b.canonicalize().ok())
        };
        if !same(&dir, data) {
            locks.push(lock_dir(&dir)?);
        }
    }
    Ok(locks)
}

fn sqlite_dir(path: &str) -> Result<PathBuf, Problem> {
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = Path::new(path.split('?').next().unwrap_or(path));
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    dir.map(Path::to_path_buf).ok_or_else(|| {
        Problem::new(ErrorCode::Config, "database names no file in a directory")
            .at("database")
            .hint("write sqlite:///var/lib/deskmesh/ideas/ideas.db")
    })
}

#[cfg(test)]
mod tests {
    use mesh_tests::postgres::Postgres;

    use super::*;
    use crate::store::{Cursor, Login};

    /// Goal: a size that is read after a commit of unknown outcome is not read too early. Method: a transaction
    /// that goes on while another one settles.
    async fn settling_waits(store: Store, directory: DirLock) {
        let lock = store.lock(vec![directory]).await.unwrap();
        let mut on_its_way = store.begin(&lock, "writing").await.unwrap();
        let cursor = Cursor { value: 7, detail: String::new() };
        on_its_way.set_cursor("here", &cursor).await.unwrap();
        let settled = async {
            store.settle(&lock).await.unwrap();
            store.cursor("here").await.unwrap()
        };
        let commits = async {
            for _ in 0..20 {
                assert_eq!(store.cursor("here").await.unwrap(), None);
            }
            on_its_way.commit("writing").await.unwrap();
        };
        let (seen, ()) = futures::join!(settled, commits);
        assert_eq!(seen, Some(cursor));
    }

    #[tokio::test]
    async fn settling_waits_for_what_is_on_its_way() {
        let dir = mesh_tests::tmp::dir("settle");
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        let locks = [lock_dir(&one).unwrap(), lock_dir(&two).unwrap()];
        let [first, second] = locks;
        let url = format!("sqlite://{}", one.join("ideas.db").display());
        settling_waits(Store::open(&url, &Login::default()).await.unwrap(), first).await;
        let cluster = Postgres::shared().await.unwrap();
        let url = cluster.database().await.unwrap();
        let login = Login { password: Some(cluster.password().into()), role: None };
        settling_waits(Store::open(&url, &login).await.unwrap(), second).await;
    }
}
