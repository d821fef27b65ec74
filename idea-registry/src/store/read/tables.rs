//! Whole tables, row by row, as they are: for who compares them with the log.

use serde_json::Value;
use sqlx::FromRow;

use crate::store::{
    Database, Store, StoreError,
    sql::{AnyText, Dialects, Query},
};

/// A table and the columns of it that say something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static str,
    /// Which of them is the index of an entry.
    pub(crate) index: Option<usize>,
}

#[derive(FromRow)]
struct Row {
    r: AnyText,
}

#[derive(FromRow)]
struct Word {
    idx: i64,
    word: String,
}

const WORDS: Dialects = Dialects {
    sqlite: "SELECT doc AS idx, term AS word FROM temp.words_seen",
    postgres: "SELECT w.idx, unnest(w.list) AS word FROM words w",
};

impl Store {
    /// Goes through a table; each row is a JSON array of the columns.
    pub(crate) async fn each_row(
        &self,
        table: Table,
        mut take: impl FnMut(Value) + Send,
    ) -> Result<(), StoreError> {
        let Table { name, columns, .. } = table;
        let text = match &self.db {
            Database::Sqlite { .. } => format!("SELECT json_array({columns}) AS r FROM {name}"),
            Database::Postgres { .. } => {
                format!("SELECT CAST(json_build_array({columns}) AS TEXT) AS r FROM {name}")
            }
        };
        // What is no JSON is a row like no other.
        let value = |Row { r }: Row| {
            let text = r.lossy();
            serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.into_owned()))
        };
        self.db.each(Query::new("reading a projection", text), |row| take(value(row))).await
    }

    /// Goes through the words that ideas are found by, each with the index of the idea. In SQLite for who has a
    /// connection of its own: the index of words shows them through a table of this connection alone.
    pub(crate) async fn each_word(
        &self,
        mut take: impl FnMut(i64, &str) + Send,
    ) -> Result<(), StoreError> {
        let doing = "reading words";
        if let Database::Sqlite { .. } = &self.db {
            let text = "CREATE VIRTUAL TABLE IF NOT EXISTS temp.words_seen \
                USING fts5vocab('main', 'words', 'instance')";
            let _none: Vec<Row> = self.db.fetch(Query::new(doing, text)).await?;
        }
        let query = Query::either(doing, WORDS);
        self.db.each(query, |row: Word| take(row.idx, &row.word)).await
    }
}
