//! PostgreSQL 15 or newer, for several users and standbys.

use std::{str::FromStr as _, time::Duration};

use sqlx::{
    AssertSqlSafe, PgPool, Postgres,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{
    StoreError,
    script::Script,
    sql::{Dialects, Driver, Query, Record, Transaction, bound, failed, migration_failed},
    sql_store::SqlStore,
};

/// A store in one PostgreSQL database.
pub type PgStore = SqlStore<PgDatabase>;

/// Most connections: the engine's one and a few that read.
const CONNECTIONS_MAX: u32 = 6;
/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Settings of each session. A commit must be on disk whatever the server's default is; neither a lost
/// orchestrator nor a lock may hold up the leader for long, and one that is frozen within a transaction not
/// for longer than its lease; and a plan that was made when the tables were empty must not be kept for ever.
const SESSION: [(&str, &str); 5] = [
    ("synchronous_commit", "on"),
    ("statement_timeout", "30s"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "5s"),
    ("plan_cache_mode", "force_custom_plan"),
];

/// The connections to one PostgreSQL database.
#[derive(Debug)]
pub struct PgDatabase {
    pool: PgPool,
}

impl PgDatabase {
    /// Connects, and brings the tables up to date.
    pub(super) async fn open(url: &str, password: Option<String>) -> Result<Self, StoreError> {
        let doing = "connecting to it";
        let options = PgConnectOptions::from_str(url).map_err(failed(doing))?;
        let options = options.application_name("mesh-orchestrator").options(SESSION);
        let options = match password {
            Some(password) => options.password(&password),
            None => options,
        };
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options)
            .await
            .map_err(failed(doing))?;
        sqlx::migrate!("migrations/postgres").run(&pool).await.map_err(migration_failed)?;
        Ok(Self { pool })
    }
}

fn dialect(texts: &Dialects) -> &'static str {
    texts.postgres
}

impl Driver for PgDatabase {
    const KIND: &'static str = "postgres";
    type Transaction = sqlx::Transaction<'static, Postgres>;

    async fn round(&self, script: Script) -> Result<Option<i64>, StoreError> {
        let text = AssertSqlSafe(script.postgres());
        let statement =
            sqlx::query_scalar(text).bind(script.leader).bind(script.events).bind(script.position);
        let statement = statement.bind(script.load);
        let statement = script.into_rows().fold(statement, |statement, rows| statement.bind(rows));
        statement.fetch_optional(&self.pool).await.map_err(failed("writing a round"))
    }

    async fn write(&self, doing: &'static str) -> Result<Self::Transaction, StoreError> {
        self.pool.begin().await.map_err(failed(doing))
    }

    async fn read(&self, doing: &'static str) -> Result<Self::Transaction, StoreError> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
        let mut tx = self.pool.begin_with(begin).await.map_err(failed(doing))?;
        // It holds nobody up, and what is loaded may take a while to be understood.
        let patient = "SET LOCAL idle_in_transaction_session_timeout = '5min'";
        sqlx::query(patient).execute(&mut *tx).await.map_err(failed(doing))?;
        Ok(tx)
    }

    async fn fetch<T: Record>(&self, mut query: Query) -> Result<Vec<T>, StoreError> {
        let statement = sqlx::query_as(query.sql(dialect));
        let rows = bound!(statement, query.args).fetch_all(&self.pool).await;
        rows.map_err(failed(query.doing))
    }
}

impl Transaction for sqlx::Transaction<'static, Postgres> {
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
