//! A transaction that writes.
//!
//! Statements whose outcome nobody waits for are gathered and sent as one: a journey to the database for each of
//! eight tables took longer than writing them.

use sqlx::{Postgres, Sqlite};

use super::{
    StoreError,
    db::{Pending, postgres, sqlite},
    sql::{Query, Record, bound, failed},
};

/// A transaction of one of the databases; dropped, it is rolled back.
#[derive(Debug)]
pub(super) enum Begun {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

/// A transaction that writes; dropped, it is rolled back.
#[derive(Debug)]
pub(crate) struct Tx {
    begun: Begun,
    /// To be run before anything else is.
    gathered: Vec<Query>,
}

impl Tx {
    pub(super) const fn new(begun: Begun) -> Self {
        Self { begun, gathered: Vec::new() }
    }

    /// Runs a statement before the next one that is waited for. Gathered statements write different tables and do
    /// not see each other's rows.
    pub(crate) fn later(&mut self, query: Query) -> Pending<'_, ()> {
        Box::pin(async move {
            if self.gathered.iter().any(|gathered| gathered.doing == query.doing) {
                self.flush().await?;
            }
            self.gathered.push(query);
            Ok(())
        })
    }

    /// Runs a statement; the number of rows that it touched.
    pub(crate) fn execute(&mut self, query: Query) -> Pending<'_, u64> {
        Box::pin(async move {
            self.flush().await?;
            self.begun.execute(query).await
        })
    }

    /// Runs a statement for its rows.
    pub(crate) fn fetch<T: Record>(&mut self, mut query: Query) -> Pending<'_, Vec<T>> {
        Box::pin(async move {
            self.flush().await?;
            let rows = match &mut self.begun {
                Begun::Sqlite(tx) => {
                    bound!(sqlx::query_as(query.sql(sqlite)), query).fetch_all(&mut **tx).await
                }
                Begun::Postgres(tx) => {
                    bound!(sqlx::query_as(query.sql(postgres)), query).fetch_all(&mut **tx).await
                }
            };
            rows.map_err(failed(query.doing))
        })
    }

    /// Durable when this returns. After an error the outcome is unknown.
    pub(crate) fn commit(mut self, doing: &'static str) -> Pending<'static, ()> {
        Box::pin(async move {
            self.flush().await?;
            let done = match self.begun {
                Begun::Sqlite(tx) => tx.commit().await,
                Begun::Postgres(tx) => tx.commit().await,
            };
            done.map_err(failed(doing))
        })
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let mut gathered = std::mem::take(&mut self.gathered);
        let query = match (gathered.len(), &self.begun) {
            (0, _) => return Ok(()),
            (1, _) => gathered.pop(),
            (_, Begun::Sqlite(_)) => Query::in_turn(gathered),
            (_, Begun::Postgres(_)) => Query::as_parts(gathered),
        };
        match query {
            Some(query) => self.begun.execute(query).await.map(drop),
            None => Ok(()),
        }
    }
}

impl Begun {
    async fn execute(&mut self, mut query: Query) -> Result<u64, StoreError> {
        let done = match self {
            Self::Sqlite(tx) => {
                let statement = bound!(sqlx::query(query.sql(sqlite)), query);
                statement.execute(&mut **tx).await.map(|done| done.rows_affected())
            }
            Self::Postgres(tx) => {
                let statement = bound!(sqlx::query(query.sql(postgres)), query);
                statement.execute(&mut **tx).await.map(|done| done.rows_affected())
            }
        };
        done.map_err(failed(query.doing))
    }
}
