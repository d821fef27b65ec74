//! What was cosigned last of each log, in one SQLite file.

use std::{path::Path, str::FromStr as _, time::Duration};

use mesh_schemas::{ErrorCode, Problem};
use mesh_tlog::{Hash, TreeHead};
use sqlx::{
    FromRow, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS head (\
    origin TEXT PRIMARY KEY NOT NULL, size INTEGER NOT NULL, root TEXT NOT NULL, \
    checkpoint TEXT NOT NULL) STRICT";

/// The heads.
#[derive(Debug)]
pub(super) struct State {
    pool: SqlitePool,
}

#[derive(FromRow)]
struct Row {
    size: i64,
    root: String,
}

#[derive(FromRow)]
struct Text {
    checkpoint: String,
}

impl State {
    /// Opens or makes the file.
    pub(super) async fn open(data: &Path) -> Result<Self, Problem> {
        let url = format!("sqlite://{}", data.join("witness.db").display());
        let options = SqliteConnectOptions::from_str(&url).map_err(failed)?;
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new().max_connections(1).idle_timeout(None);
        let pool = pool.max_lifetime(None).connect_with(options).await.map_err(failed)?;
        sqlx::query(TABLE).execute(&pool).await.map_err(failed)?;
        Ok(Self { pool })
    }

    /// Nothing was cosigned yet.
    pub(super) async fn is_empty(&self) -> Result<bool, Problem> {
        let rows: Vec<Text> = sqlx::query_as("SELECT checkpoint FROM head LIMIT 1")
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        Ok(rows.is_empty())
    }

    /// What was cosigned last of a log.
    pub(super) async fn head(&self, origin: &str) -> Result<Option<TreeHead>, Problem> {
        let query = sqlx::query_as("SELECT size, root FROM head WHERE origin = $1").bind(origin);
        let row: Option<Row> = query.fetch_optional(&self.pool).await.map_err(failed)?;
        let head = |row: Row| {
            let (size, root) = (u64::try_from(row.size).ok()?, row.root.parse::<Hash>().ok()?);
            Some(TreeHead { size, root })
        };
        row.map(|row| head(row).ok_or_else(unreadable)).transpose()
    }

    /// The checkpoint with the cosignature.
    pub(super) async fn checkpoint(&self, origin: &str) -> Result<Option<String>, Problem> {
        let query = sqlx::query_as("SELECT checkpoint FROM head WHERE origin = $1").bind(origin);
        let row: Option<Text> = query.fetch_optional(&self.pool).await.map_err(failed)?;
        Ok(row.map(|row| row.checkpoint))
    }

    /// Sets it, durable when this returns, if what was cosigned last is still `last`.
    pub(super) async fn set(
        &self,
        origin: &str,
        last: Option<TreeHead>,
        head: TreeHead,
        checkpoint: &str,
    ) -> Result<bool, Problem> {
        let size = |size: u64| i64::try_from(size).map_err(|_| unreadable());
        let query = match last {
            None => sqlx::query(
                "INSERT INTO head (origin, size, root, checkpoint) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT DO NOTHING",
            ),
            Some(_) => sqlx::query(
                "UPDATE head SET size = $2, root = $3, checkpoint = $4 \
                 WHERE origin = $1 AND size = $5 AND root = $6",
            ),
        };
        let query =
            query.bind(origin).bind(size(head.size)?).bind(head.root.to_string()).bind(checkpoint);
        let query = match last {
            None => query,
            Some(last) => query.bind(size(last.size)?).bind(last.root.to_string()),
        };
        Ok(query.execute(&self.pool).await.map_err(failed)?.rows_affected() == 1)
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn failed(error: sqlx::Error) -> Problem {
    Problem::new(ErrorCode::StoreDown, format!("the witness's state: {error}"))
}

fn unreadable() -> Problem {
    Problem::new(ErrorCode::Integrity, "the witness's state cannot be understood")
}
