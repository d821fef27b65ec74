//! What the database can do at all: rows as long as an entry and its text, in batches, each batch a transaction
//! with fsync.

use std::time::Instant;

use anyhow::Context as _;
use sqlx::{
    ConnectOptions as _, Connection as _,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::{Store, cluster::Cluster};

/// As long as an entry with its text.
const ROW_BYTES: usize = 700;

/// Rows a second.
pub(super) async fn rate(
    store: Store,
    cluster: &Cluster,
    count: usize,
    batch: usize,
) -> anyhow::Result<f64> {
    match store {
        Store::Sqlite => sqlite(count, batch).await,
        Store::Postgres => postgres(cluster, count, batch).await,
    }
}

macro_rules! insert_all {
    ($database:expr, $count:expr, $batch:expr) => {{
        let row = vec![b'x'; ROW_BYTES];
        let begun = Instant::now();
        for _ in 0..$count / $batch {
            let mut transaction = $database.begin().await?;
            for _ in 0..$batch {
                sqlx::query("INSERT INTO bench_row (data) VALUES ($1)")
                    .bind(&row)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
        }
        f64::from(u32::try_from($count / $batch * $batch)?) / begun.elapsed().as_secs_f64()
    }};
}

async fn sqlite(count: usize, batch: usize) -> anyhow::Result<f64> {
    let dir = mesh_tests::tmp::dir("insert");
    let mut database = SqliteConnectOptions::new()
        .filename(dir.path().join("plain.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await?;
    sqlx::query("CREATE TABLE bench_row (id INTEGER PRIMARY KEY, data BLOB NOT NULL)")
        .execute(&mut database)
        .await?;
    Ok(insert_all!(database, count, batch))
}

async fn postgres(cluster: &Cluster, count: usize, batch: usize) -> anyhow::Result<f64> {
    let (url, password) = cluster.database().context("the mesh has no PostgreSQL")?;
    let options: PgConnectOptions = url.parse()?;
    let mut database = options.password(password).connect().await?;
    sqlx::query(
        "CREATE TABLE IF NOT EXISTS bench_row (id BIGSERIAL PRIMARY KEY, data BYTEA NOT NULL)",
    )
    .execute(&mut database)
    .await?;
    Ok(insert_all!(database, count, batch))
}
