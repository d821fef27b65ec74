//! The logs: each origin with its keys, one after the other.

use mesh_schemas::{Timestamp, idea::AuthorId};
use sqlx::FromRow;

use super::{
    Store, StoreError, Tx,
    sql::{AnyText, Query, number, parse},
};

/// A log that this registry keeps or kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// The version in its origin.
    pub version: u32,
    /// Its origin.
    pub origin: String,
    /// Its verifier key.
    pub key: String,
    /// The registry as an author of entries.
    pub author: AuthorId,
}

/// The same as its row has it, whether or not that can be read.
#[derive(Debug, FromRow)]
pub(crate) struct LogRecord {
    version: i64,
    origin: AnyText,
    key: AnyText,
    author: AnyText,
}

impl Store {
    /// All logs, oldest first; the last one is current.
    pub async fn logs(&self) -> Result<Vec<LogRow>, StoreError> {
        self.log_records().await?.into_iter().map(LogRow::try_from).collect()
    }

    /// The same as rows.
    pub(crate) async fn log_records(&self) -> Result<Vec<LogRecord>, StoreError> {
        let text = "SELECT version, origin, key, author FROM log ORDER BY version";
        self.db.fetch(Query::new("reading its logs", text)).await
    }
}

impl Tx {
    /// Begins a log.
    pub(crate) async fn insert_log(
        &mut self,
        row: &LogRow,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let text = "INSERT INTO log (version, origin, key, author, made_at) \
            VALUES ($1, $2, $3, $4, $5)";
        let query = Query::new("beginning a log", text)
            .int(i64::from(row.version))
            .text(&row.origin)
            .text(&row.key)
            .text(&row.author)
            .int(at.as_millis());
        self.execute(query).await.map(drop)
    }
}

impl TryFrom<LogRecord> for LogRow {
    type Error = StoreError;

    fn try_from(row: LogRecord) -> Result<Self, StoreError> {
        let LogRecord { version, origin, key, author } = row;
        let version = number("log.version", version)?;
        let (origin, key) = (origin.whole("log.origin")?, key.whole("log.key")?);
        Ok(Self { version, origin, key, author: parse("log.author", &author.lossy())? })
    }
}
