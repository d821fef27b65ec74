//! The two databases behind one face: reading, and transactions that write.

use std::{path::Path, str::FromStr as _, time::Duration};

use futures::{TryStreamExt as _, future::BoxFuture};
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool, SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    StoreError, pages,
    sql::{Dialects, Query, Record, bound, failed},
    tx::{Begun, Tx},
};

/// Most connections that read at a time.
const READERS_MAX: u32 = 4;
/// Most transactions that write at a time in PostgreSQL: appends, and beside them heads, copies and witnesses. They
/// have connections of their own: no reader holds them up.
const WRITERS_MAX: u32 = 4;
/// How long a statement waits for another process's lock, e.g. a backup's.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one try to forget may wait for somebody who reads: so long it keeps those who write waiting.
const FORGET_WAIT: Duration = Duration::from_millis(100);
/// How often a try looks whether older states of the database are still read.
const FORGET_LOOKS: u32 = 5;
/// A state of the database that is older than the transaction `$1` is read.
const OLDER_READERS: &str = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
    AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL AND age(backend_xmin) > age($1::text::xid)";
const OPENING: &str = "opening its file";
const FORGETTING: &str = "forgetting what was erased";
/// Where the tables lie in PostgreSQL.
pub(super) const SCHEMA: &str = "mesh_ideas";
/// Settings of each PostgreSQL session. A commit must be on disk whatever the server's default is, and a plan
/// that was made when the tables were empty must not be kept for ever.
pub(super) const SESSION: [(&str, &str); 5] = [
    // Beside the orchestrator's tables, when both use one database.
    ("search_path", SCHEMA),
    ("synchronous_commit", "on"),
    ("statement_timeout", "60s"),
    ("lock_timeout", "10s"),
    ("plan_cache_mode", "force_custom_plan"),
];

/// The tables of each database, version by version.
pub(super) static SQLITE_TABLES: Migrator = sqlx::migrate!("migrations/sqlite");
pub(super) static POSTGRES_TABLES: Migrator = sqlx::migrate!("migrations/postgres");

/// What the drivers do, behind one type: theirs cannot be shown to be `Send` for every lifetime.
pub(crate) type Pending<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// How to connect to PostgreSQL.
#[derive(Debug, Clone, Default)]
pub struct Login {
    /// Goes before one in the URL.
    pub password: Option<String>,
    /// A role that may not change the log; each session takes it on after the tables are up to date.
    pub role: Option<String>,
}

/// One database.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    Postgres { writers: PgPool, readers: PgPool, options: Box<PgConnectOptions> },
}

pub(super) const fn sqlite(texts: &Dialects) -> &'static str {
    texts.sqlite
}

pub(super) const fn postgres(texts: &Dialects) -> &'static str {
    texts.postgres
}

impl Database {
    /// Opens or makes the file, looks through its pages, and brings its tables up to date.
    pub(super) async fn open_sqlite(url: &str) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(url).map_err(failed(OPENING))?;
        let file = options.get_filename().to_owned();
        Self::open_file(options).await.map_err(|error| pages::named(error, &file))
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
            .pragma("cache_size", "-2048")
            // What is deleted is overwritten: keys and texts of erased subjects leave no trace in free pages.
            .pragma("secure_delete", "ON");
        let pool = SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT);
        // On a full or failing disk SQLite itself rolls back, and sqlx goes on counting the transaction: no
        // other could ever begin on that connection.
        let pool = pool.before_acquire(|connection, _| {
            Box::pin(std::future::ready(Ok(!connection.is_in_transaction())))
        });
        let writer = pool.clone().max_connections(1).idle_timeout(None).max_lifetime(None);
        let settings = options
            .clone()
            .pragma("cache_size", "-8192")
            .pragma("wal_autocheckpoint", "2000")
            .pragma("journal_size_limit", "67108864");
        let writer = writer.connect_with(settings).await.map_err(failed(doing))?;
        pages::check(&writer, pages::AT_A_START).await?;
        SQLITE_TABLES.run(&writer).await.map_err(migration_failed)?;
        let readers = pool.max_connections(READERS_MAX).connect_lazy_with(options.read_only(true));
        Ok(Self::Sqlite { writer, readers })
    }

    /// Connects, and brings the tables up to date.
    pub(super) async fn open_postgres(url: &str, login: &Login) -> Result<Self, StoreError> {
        let doing = "connecting to it";
        let options = PgConnectOptions::from_str(url).map_err(failed(doing))?;
        let mut options = options.application_name("mesh-ideas").options(SESSION);
        if let Some(password) = &login.password {
            options = options.password(password);
        }
        let pool = PgPoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT);
        let owner = pool.clone().max_connections(1);
        let owner = owner.connect_with(options.clone()).await.map_err(failed(doing))?;
        let schema = "CREATE SCHEMA IF NOT EXISTS mesh_ideas";
        sqlx::query(schema).execute(&owner).await.map_err(failed(doing))?;
        POSTGRES_TABLES.run(&owner).await.map_err(migration_failed)?;
        if let Some(role) = &login.role {
            super::role::grant(&owner, role).await?;
            options = options.options([("role", role)]);
        }
        owner.close().await;
        let writers = pool.clone().max_connections(WRITERS_MAX);
        let writers = writers.connect_with(options.clone()).await.map_err(failed(doing))?;
        let readers = pool.max_connections(READERS_MAX).connect_lazy_with(options.clone());
        Ok(Self::Postgres { writers, readers, options: Box::new(options) })
    }

    /// `sqlite` or `postgres`.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "sqlite",
            Self::Postgres { .. } => "postgres",
        }
    }

    /// One statement that only reads.
    pub(crate) fn fetch<T: Record>(&self, mut query: Query) -> Pending<'_, Vec<T>> {
        Box::pin(async move {
            let rows = match self {
                Self::Sqlite { readers, .. } => {
                    bound!(sqlx::query_as(query.sql(sqlite)), query).fetch_all(readers).await
                }
                Self::Postgres { readers, .. } => {
                    bound!(sqlx::query_as(query.sql(postgres)), query).fetch_all(readers).await
                }
            };
            rows.map_err(failed(query.doing))
        })
    }

    /// One statement that only reads, row by row: for what may not fit into memory.
    pub(crate) fn each<'a, T: Record>(
        &'a self,
        mut query: Query,
        mut take: impl FnMut(T) + Send + 'a,
    ) -> Pending<'a, ()> {
        Box::pin(async move {
            let doing = query.doing;
            match self {
                Self::Sqlite { readers, .. } => {
                    let mut rows = bound!(sqlx::query_as(query.sql(sqlite)), query).fetch(readers);
                    while let Some(row) = rows.try_next().await.map_err(failed(doing))? {
                        take(row);
                    }
                }
                Self::Postgres { readers, .. } => {
                    let mut rows =
                        bound!(sqlx::query_as(query.sql(postgres)), query).fetch(readers);
                    while let Some(row) = rows.try_next().await.map_err(failed(doing))? {
                        take(row);
                    }
                }
            }
            Ok(())
        })
    }

    /// A transaction that writes. SQLite has one at a time: others wait.
    pub(crate) fn write(&self, doing: &'static str) -> Pending<'_, Tx> {
        Box::pin(async move {
            let begun = match self {
                // Taking the lock at once never ends in SQLITE_BUSY half way.
                Self::Sqlite { writer, .. } => {
                    writer.begin_with("BEGIN IMMEDIATE").await.map(Begun::Sqlite)
                }
                Self::Postgres { writers, .. } => writers.begin().await.map(Begun::Postgres),
            };
            begun.map(Tx::new).map_err(failed(doing))
        })
    }

    /// A destroyed key goes for good: out of SQLite's journal, out of PostgreSQL's dead rows (if the role owns the
    /// table). Without the key the texts that were sealed with it are noise, wherever a copy of them is left: their
    /// table, which is large, is never rewritten. The keys' is small, a row for each subject.
    ///
    /// One try, over a connection of its own: who reads an older state is in the way, and is an error at once.
    pub(crate) fn forget_deleted(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            match self {
                Self::Sqlite { writer, .. } => {
                    let options = writer.connect_options().as_ref().clone();
                    let options = options.busy_timeout(FORGET_WAIT).pragma("cache_size", "-512");
                    let mut connection = options.connect().await.map_err(failed(FORGETTING))?;
                    let done = truncate_journal(&mut connection).await;
                    connection.close().await.map_err(failed(FORGETTING))?;
                    done
                }
                Self::Postgres { options, .. } => {
                    let wait = format!("{}ms", FORGET_WAIT.as_millis());
                    let options = options.as_ref().clone().options([("lock_timeout", wait)]);
                    let mut connection = options.connect().await.map_err(failed(FORGETTING))?;
                    let done = rewrite_keys(&mut connection).await;
                    connection.close().await.map_err(failed(FORGETTING))?;
                    done
                }
            }
        })
    }

    /// Closes all connections; SQLite's journal goes into its file.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres { writers, readers, .. } => {
                readers.close().await;
                writers.close().await;
            }
        }
    }
}

/// Moves SQLite's journal into its file, and empties it. A reader that is in the way is no error to SQLite: it says so
/// in a row.
async fn truncate_journal(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let text = "PRAGMA wal_checkpoint(TRUNCATE)";
    let row: (i64, i64, i64) =
        sqlx::query_as(text).fetch_one(connection).await.map_err(failed(FORGETTING))?;
    if row.0 == 0 { Ok(()) } else { Err(in_the_way("somebody reads its journal")) }
}

/// Writes PostgreSQL's table of keys anew, without the rows that are dead. Those that an older state still shows
/// would come along, so there must be none.
async fn rewrite_keys(connection: &mut PgConnection) -> Result<(), StoreError> {
    let text = "SELECT pg_current_xact_id()::xid::text";
    let now: String =
        sqlx::query_scalar(text).fetch_one(&mut *connection).await.map_err(failed(FORGETTING))?;
    for _ in 0..FORGET_LOOKS {
        let older = sqlx::query_scalar(OLDER_READERS).bind(&now).fetch_one(&mut *connection);
        let older: i64 = older.await.map_err(failed(FORGETTING))?;
        if older == 0 {
            let done = sqlx::query("VACUUM FULL subject_key").execute(connection).await;
            return done.map(drop).map_err(failed(FORGETTING));
        }
        tokio::time::sleep(FORGET_WAIT).await;
    }
    Err(in_the_way("somebody reads an older state of it"))
}

fn in_the_way(what: &'static str) -> StoreError {
    let busy = std::io::Error::new(std::io::ErrorKind::ResourceBusy, what);
    failed(FORGETTING)(sqlx::Error::Io(busy))
}

/// Makes the file if it is not there, readable by its owner alone: it holds the keys of sealed texts. SQLite
/// gives its journals the same mode.
fn make_private(file: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map(drop)
}

/// A database that newer software has migrated is left alone.
fn migration_failed(error: MigrateError) -> StoreError {
    if let MigrateError::VersionMissing(version) | MigrateError::VersionMismatch(version) = &error {
        return StoreError::Unreadable { what: format!("tables of version {version}") };
    }
    failed("bringing its tables up to date")(sqlx::Error::from(error))
}

#[cfg(test)]
mod tests {
    use sqlx::Executor as _;

    use super::*;

    #[tokio::test]
    async fn a_reader_in_the_way_of_forgetting_is_told_of() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.db");
        let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePoolOptions::new().max_connections(2);
        let pool = pool.connect_with(options.busy_timeout(Duration::from_millis(5))).await.unwrap();
        pool.execute("CREATE TABLE t (x TEXT)").await.unwrap();
        let mut reader = pool.begin().await.unwrap();
        reader.execute("SELECT * FROM t").await.unwrap();
        pool.execute("INSERT INTO t VALUES ('secret')").await.unwrap();
        let failed = truncate_journal(&mut pool.acquire().await.unwrap()).await.unwrap_err();
        assert!(mesh_fabric::error::chain(&failed).contains("somebody reads"), "{failed:?}");
        reader.rollback().await.unwrap();
        truncate_journal(&mut pool.acquire().await.unwrap()).await.unwrap();
        assert_eq!(std::fs::metadata(dir.path().join("x.db-wal")).unwrap().len(), 0);
        pool.close().await;
    }
}
