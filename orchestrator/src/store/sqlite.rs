//! SQLite, the embedded default: one file, one writer, few readers, durable before a commit returns.

use std::{path::Path, str::FromStr as _, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection as _, Sqlite, SqlitePool,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    StoreError,
    script::Script,
    sql::{Dialects, Driver, Query, Record, Transaction, bound, failed, migration_failed},
    sql_store::SqlStore,
};

/// A store in one SQLite file.
pub type SqliteStore = SqlStore<SqliteFile>;

/// Most connections that read at a time.
const READERS_MAX: u32 = 4;
/// How long a reader may lie idle; each keeps up to a mebibyte of pages.
const READER_IDLE: Duration = Duration::from_secs(60);
/// How long a statement waits for another process's lock, e.g. a backup's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// The connections to one SQLite file.
#[derive(Debug)]
pub struct SqliteFile {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteFile {
    /// Opens or makes the file, and brings its tables up to date.
    pub(super) async fn open(url: &str) -> Result<Self, StoreError> {
        let doing = "opening its file";
        let options = SqliteConnectOptions::from_str(url).map_err(failed(doing))?;
        make_private(options.get_filename()).map_err(|e| failed(doing)(sqlx::Error::Io(e)))?;
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .statement_cache_capacity(64);
        let pool = SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT);
        // On a full or failing disk SQLite itself rolls back, and sqlx goes on counting the transaction: no
        // other could ever begin on that connection.
        let pool = pool.before_acquire(|connection, _| {
            Box::pin(std::future::ready(Ok(!connection.is_in_transaction())))
        });
        let writer = pool
            .clone()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(
                options
                    .clone()
                    .pragma("cache_size", "-8192")
                    .pragma("wal_autocheckpoint", "2000")
                    .pragma("journal_size_limit", "67108864"),
            )
            .await
            .map_err(failed(doing))?;
        sqlx::migrate!("migrations/sqlite").run(&writer).await.map_err(migration_failed)?;
        let readers = pool
            .max_connections(READERS_MAX)
            .idle_timeout(READER_IDLE)
            .connect_lazy_with(options.read_only(true).pragma("cache_size", "-1024"));
        Ok(Self { writer, readers })
    }
}

/// Makes the file if it is not there, readable by its owner alone: it holds environments of jobs. SQLite
/// gives its journals the same mode.
fn make_private(file: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map(drop)
}

fn dialect(texts: &Dialects) -> &'static str {
    texts.sqlite
}

/// A text that begins and commits by itself. When it broke off in the middle, or nobody waited for it, its
/// connection is closed, which rolls back.
struct Exchange {
    connection: PoolConnection<Sqlite>,
    ended: bool,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}

impl Driver for SqliteFile {
    const KIND: &'static str = "sqlite";
    type Transaction = sqlx::Transaction<'static, Sqlite>;

    async fn round(&self, script: Script) -> Result<Option<i64>, StoreError> {
        let doing = "writing a round";
        let connection = self.writer.acquire().await.map_err(failed(doing))?;
        let mut exchange = Exchange { connection, ended: false };
        let text = AssertSqlSafe(script.sqlite());
        let statement =
            sqlx::query_scalar(text).bind(script.leader).bind(script.events).bind(script.position);
        let statement = statement.bind(script.load);
        let statement = script.into_rows().fold(statement, |statement, rows| statement.bind(rows));
        let seq = statement.fetch_all(&mut *exchange.connection).await.map_err(failed(doing))?;
        exchange.ended = true;
        Ok(seq.first().copied())
    }

    async fn write(&self, doing: &'static str) -> Result<Self::Transaction, StoreError> {
        // Taking the lock at once never ends in SQLITE_BUSY half way.
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed(doing))
    }

    async fn read(&self, doing: &'static str) -> Result<Self::Transaction, StoreError> {
        self.readers.begin().await.map_err(failed(doing))
    }

    async fn fetch<T: Record>(&self, mut query: Query) -> Result<Vec<T>, StoreError> {
        let statement = sqlx::query_as(query.sql(dialect));
        let rows = bound!(statement, query.args).fetch_all(&self.readers).await;
        rows.map_err(failed(query.doing))
    }
}

impl Transaction for sqlx::Transaction<'static, Sqlite> {
    async fn execute(&mut self, mut query: Query) -> Result<u64, StoreError> {
        let statement = sqlx::query(query.sql(dialect));
        let done = bound!(statement, query.args).execute(&mut **self).await;
        done.map(|done| done.rows_affected()).map_err(failed(query.doing))
    }

    async fn fetch<T: Record>(&mut self, mut query: Query) -> Result<Vec<T>, StoreError> {
        let statement = sqlx::query_as(query.sql(dialect));
        bound!(statement, query.args).fetch_all(&mut **self).await.map_err(failed(query.doing))
    }

    async fn commit(self, doing: &'static str) -> Result<(), StoreError> {
        Self::commit(self).await.map_err(failed(doing))
    }

    async fn rollback(self, doing: &'static str) -> Result<(), StoreError> {
        Self::rollback(self).await.map_err(failed(doing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_disk_that_was_full_is_written_to_again() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", dir.path().join("mesh.db").display());
        let file = SqliteFile::open(&url).await.unwrap();
        let insert =
            "INSERT INTO join_code (code_hash, expires_at) VALUES (hex(randomblob(1e6)), 1)";
        // SQLite takes this for a full disk, on this connection alone.
        let pages: i64 =
            sqlx::query_scalar("PRAGMA page_count").fetch_one(&file.writer).await.unwrap();
        let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {}", pages + 1));
        sqlx::query(limit).execute(&file.writer).await.unwrap();
        let mut full = file.write("filling it").await.unwrap();
        let error = sqlx::query(insert).execute(&mut *full).await.unwrap_err();
        assert!(error.to_string().contains("full"), "{error}");
        drop(full);
        let mut again = file.write("writing again").await.unwrap();
        sqlx::query(insert).execute(&mut *again).await.unwrap();
        again.commit().await.unwrap();
        let query = "SELECT count(*) FROM join_code";
        let rows: i64 = sqlx::query_scalar(query).fetch_one(&file.readers).await.unwrap();
        assert_eq!(rows, 1, "nothing of what failed is there");
    }
}
