//! SQLite, the embedded default: one file, one writer, few readers, durable before a commit returns.

use std::{
    path::Path,
    str::FromStr as _,
    time::{Duration, Instant},
};

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
const OPENING: &str = "opening its file";
/// How long a start may look through the pages.
const CHECK_MAX: Duration = Duration::from_secs(2);
/// Steps of the look between two glances at the clock.
const CHECK_STEPS: i32 = 1_000;
/// What SQLite says of a statement that was told to end.
const SQLITE_INTERRUPT: &str = "9";

/// The connections to one SQLite file.
#[derive(Debug)]
pub struct SqliteFile {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteFile {
    /// Opens or makes the file, looks through its pages, and brings its tables up to date.
    pub(super) async fn open(url: &str) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(url).map_err(failed(OPENING))?;
        let file = options.get_filename().to_owned();
        Self::open_file(options).await.map_err(|error| named(error, &file))
    }

    async fn open_file(options: SqliteConnectOptions) -> Result<Self, StoreError> {
        let doing = OPENING;
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
        check_pages(&writer, CHECK_MAX).await?;
        sqlx::migrate!("migrations/sqlite").run(&writer).await.map_err(migration_failed)?;
        let readers = pool
            .max_connections(READERS_MAX)
            .idle_timeout(READER_IDLE)
            .connect_lazy_with(options.read_only(true).pragma("cache_size", "-1024"));
        Ok(Self { writer, readers })
    }
}

/// Goes through the pages: nothing of a file whose structure is found damaged is served. It takes about a second for
/// a hundred MiB, and a start must not wait for a large file: what is not looked through in `CHECK_MAX` is for the
/// statement that reads it. What rows hold has no checksum, and indices are not compared with their tables, which would
/// take several times as long.
async fn check_pages(writer: &SqlitePool, longest: Duration) -> Result<(), StoreError> {
    let doing = "looking through its pages";
    let begun = Instant::now();
    let mut connection = writer.acquire().await.map_err(failed(doing))?;
    let mut handle = connection.lock_handle().await.map_err(failed(doing))?;
    handle.set_progress_handler(CHECK_STEPS, move || begun.elapsed() < longest);
    drop(handle);
    let check = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_all(&mut *connection).await;
    connection.lock_handle().await.map_err(failed(doing))?.remove_progress_handler();
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let found: Vec<String> = match check {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(SQLITE_INTERRUPT) => {
            tracing::info!(duration_ms, "Not all pages of the database were looked through");
            return Ok(());
        }
        check => check.map_err(failed(doing))?,
    };
    tracing::debug!(duration_ms, "Looked through the pages of the database");
    match found.into_iter().find(|line| line != "ok") {
        // A heading and a line of its own for each thing that was found.
        Some(what) => Err(StoreError::Damaged { what: what.replace('\n', " ") }),
        None => Ok(()),
    }
}

/// The same error, saying of which file it speaks.
fn named(error: StoreError, file: &Path) -> StoreError {
    match error {
        StoreError::Damaged { what } => {
            StoreError::Damaged { what: format!("{}: {what}", file.display()) }
        }
        StoreError::Unavailable { .. }
        | StoreError::NotLeader { .. }
        | StoreError::Unreadable { .. } => error,
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
    /// The page that each table and index begins with: in use for as long as the file lives.
    async fn roots(file: &SqliteFile) -> Vec<(String, u64, u64)> {
        let text = "SELECT name, rootpage, (SELECT page_size FROM pragma_page_size) \
             FROM sqlite_master WHERE rootpage > 0 ORDER BY rootpage";
        let rows: Vec<(String, i64, i64)> =
            sqlx::query_as(text).fetch_all(&file.writer).await.unwrap();
        let unsigned = |(name, page, size): (String, i64, i64)| {
            (name, u64::try_from(page).unwrap(), u64::try_from(size).unwrap())
        };
        rows.into_iter().map(unsigned).collect()
    }

    #[tokio::test]
    async fn a_file_with_a_damaged_page_is_refused_by_name_and_opens_again_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.db");
        let url = format!("sqlite://{}", path.display());
        let file = SqliteFile::open(&url).await.unwrap();
        let roots = roots(&file).await;
        // The last one to go writes the journal into the file.
        file.writer.close().await;
        let whole = std::fs::read(&path).unwrap();
        assert!(roots.len() > 10, "{roots:?}");
        // The byte that says what kind of page it is; no bit of it makes another kind but the fourth.
        let kinds = roots.iter().map(|(name, page, size)| (name.as_str(), (page - 1) * size));
        // And the file's own first bytes, and the first page of the schema.
        for (what, at) in kinds.chain([("magic", 0), ("schema", 100)]) {
            let mut bytes = whole.clone();
            bytes[usize::try_from(at).unwrap()] ^= 0x40;
            std::fs::write(&path, &bytes).unwrap();
            let error = SqliteFile::open(&url).await.unwrap_err();
            let StoreError::Damaged { what: told } = &error else { panic!("{what}: {error:?}") };
            assert!(told.starts_with(&*path.to_string_lossy()), "{what}: {told}");
            assert_eq!(error.damaged().code, mesh_schemas::ErrorCode::Integrity);
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "{what}: nothing is written to it");
        }
        std::fs::write(&path, whole).unwrap();
        SqliteFile::open(&url).await.unwrap();
    }

    /// Goal: a large file holds up no start. Method: a look that may take no time, at a file of many pages.
    #[tokio::test]
    async fn a_look_through_a_large_file_ends_in_time_and_leaves_the_connection_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", dir.path().join("mesh.db").display());
        let file = SqliteFile::open(&url).await.unwrap();
        let fill = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
             INSERT INTO join_code (code_hash, expires_at) SELECT hex(randomblob(32)), i FROM n";
        sqlx::query(fill).execute(&file.writer).await.unwrap();
        let doing = "looking through its pages";
        let interrupted = sqlx::query("PRAGMA quick_check(1)");
        let mut connection = file.writer.acquire().await.unwrap();
        connection.lock_handle().await.unwrap().set_progress_handler(CHECK_STEPS, || false);
        let error = interrupted.fetch_all(&mut *connection).await.map_err(failed(doing));
        assert!(matches!(error, Err(StoreError::Unavailable { .. })), "it can be interrupted");
        drop(connection);
        check_pages(&file.writer, Duration::ZERO).await.unwrap();
        let query = "SELECT count(*) FROM join_code WHERE expires_at > 0";
        let rows: i64 = sqlx::query_scalar(query).fetch_one(&file.writer).await.unwrap();
        assert_eq!(rows, 100_000, "later statements take the time that they need");
        check_pages(&file.writer, CHECK_MAX * 30).await.unwrap();
    }
}
