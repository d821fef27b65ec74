//! One state of a database that is there, for who goes through all of it. Nothing is made, migrated or written.
//!
//! All reads go through one connection, which is within one transaction from its first moment on: SQLite keeps the
//! state of its first read, PostgreSQL that of its first statement. A second connection would see another state,
//! so there never is one.

use std::{
    str::FromStr as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Executor as _, FromRow, pool::PoolOptions, postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};

use super::{
    Database, Login, Store, StoreError,
    db::{BUSY_TIMEOUT, POSTGRES_TABLES, SESSION, SQLITE_TABLES},
    pages,
    sql::{Dialects, Query, failed},
};

const DOING: &str = "beginning to read it";
/// How long the connection is waited for.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// One statement may read all of a large log.
const UNHURRIED: [(&str, &str); 2] =
    [("statement_timeout", "0"), ("idle_in_transaction_session_timeout", "0")];
const IS_THERE: Dialects = Dialects {
    sqlite: "SELECT COUNT(*) AS number FROM sqlite_master WHERE name = '_sqlx_migrations'",
    postgres: "SELECT COUNT(*) AS number FROM pg_tables \
        WHERE schemaname = 'mesh_ideas' AND tablename = '_sqlx_migrations'",
};

#[derive(FromRow)]
struct Number {
    number: i64,
}

impl Store {
    /// Opens a database that is there, and reads all that is read in one state of it.
    ///
    /// Its pages are looked through by who goes on with it, [`Store::check_pages`].
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none or it holds no ledger, [`StoreError::Unreadable`] when its tables are
    /// of another version, [`StoreError::Unavailable`] when it cannot be reached.
    pub(crate) async fn open_snapshot(url: &str, login: &Login) -> Result<Self, StoreError> {
        let db = match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => sqlite(url).await?,
            Some("postgres" | "postgresql") => postgres(url, login).await?,
            Some(_) | None => return Err(super::unknown_kind()),
        };
        check_tables(&db).await?;
        Ok(Self { db })
    }
}

async fn sqlite(url: &str) -> Result<Database, StoreError> {
    let options = SqliteConnectOptions::from_str(url).map_err(failed(DOING))?;
    let file = options.get_filename().to_owned();
    if !file.is_file() {
        return Err(StoreError::Missing { what: format!("no file {}", file.display()) });
    }
    sqlite_file(options).await.map_err(|error| pages::named(error, &file))
}

async fn sqlite_file(options: SqliteConnectOptions) -> Result<Database, StoreError> {
    let options = options.create_if_missing(false).read_only(true).busy_timeout(BUSY_TIMEOUT);
    let once = Once::default();
    let pool = single::<sqlx::Sqlite>().after_connect(move |connection, _| {
        let first = once.first();
        Box::pin(async move {
            first?;
            connection.execute("BEGIN").await?;
            connection.execute("SELECT COUNT(*) FROM sqlite_master").await.map(drop)
        })
    });
    let readers = pool.connect_with(options).await.map_err(failed(DOING))?;
    Ok(Database::Sqlite { writer: readers.clone(), readers })
}

async fn postgres(url: &str, login: &Login) -> Result<Database, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(failed(DOING))?;
    let mut options = options.application_name("mesh-ideas verify").options(SESSION);
    options = options.options(UNHURRIED);
    if let Some(password) = &login.password {
        options = options.password(password);
    }
    if let Some(role) = &login.role {
        options = options.options([("role", role)]);
    }
    // A password that is wrong is told at once, and not tried again and again by the pool.
    drop(options.connect().await.map_err(failed(DOING))?);
    let once = Once::default();
    let pool = single::<sqlx::Postgres>().after_connect(move |connection, _| {
        let first = once.first();
        Box::pin(async move {
            first?;
            let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
            connection.execute(begin).await.map(drop)
        })
    });
    let pool = pool.connect_with(options.clone()).await.map_err(failed(DOING))?;
    // One connection: nobody writes in a transaction that only reads.
    Ok(Database::Postgres { writers: pool.clone(), readers: pool, options: Box::new(options) })
}

fn single<DB: sqlx::Database>() -> PoolOptions<DB> {
    PoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
}

/// Lets one connection be made.
#[derive(Debug, Default)]
struct Once(Arc<AtomicBool>);

impl Once {
    fn first(&self) -> Result<(), sqlx::Error> {
        if self.0.swap(true, Ordering::SeqCst) {
            return Err(sqlx::Error::Protocol(
                "the connection broke, and its state is lost".into(),
            ));
        }
        Ok(())
    }
}

async fn check_tables(db: &Database) -> Result<(), StoreError> {
    let there: Vec<Number> = db.fetch(Query::either(DOING, IS_THERE)).await?;
    if there.iter().all(|row| row.number == 0) {
        return Err(StoreError::Missing { what: "no ledger in the database".into() });
    }
    let text = "SELECT version AS number FROM _sqlx_migrations ORDER BY version";
    let applied: Vec<Number> = db.fetch(Query::new(DOING, text)).await?;
    let ours = match db {
        Database::Sqlite { .. } => &SQLITE_TABLES,
        Database::Postgres { .. } => &POSTGRES_TABLES,
    };
    if applied.iter().map(|row| row.number).eq(ours.iter().map(|migration| migration.version)) {
        return Ok(());
    }
    let version = applied.last().map_or(0, |row| row.number);
    let what =
        format!("tables of version {version}, unless `mesh-ideas serve` brings them up to date,");
    Err(StoreError::Unreadable { what })
}
