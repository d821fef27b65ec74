//! How far things have come: what was published, what was read of the stream, what was witnessed.

use sqlx::FromRow;

use super::{
    Store, StoreError, Tx,
    sql::{Query, number},
};

/// A place where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// How far: a size, or a number in a stream.
    pub value: u64,
    /// What was seen there; the meaning is the cursor's own.
    pub detail: String,
}

#[derive(FromRow)]
struct Row {
    value: i64,
    detail: String,
}

impl Store {
    /// Where a thing stands; nothing when it has not begun.
    pub async fn cursor(&self, name: &str) -> Result<Option<Cursor>, StoreError> {
        let text = "SELECT value, detail FROM cursor WHERE name = $1";
        let rows: Vec<Row> = self.db.fetch(Query::new("reading a cursor", text).text(name)).await?;
        let cursor =
            |row: Row| Ok(Cursor { value: number("cursor.value", row.value)?, detail: row.detail });
        rows.into_iter().next().map(cursor).transpose()
    }
}

impl Tx {
    /// Moves a cursor.
    pub(crate) async fn set_cursor(
        &mut self,
        name: &str,
        cursor: &Cursor,
    ) -> Result<(), StoreError> {
        let text = "INSERT INTO cursor (name, value, detail) VALUES ($1, $2, $3) \
            ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value, detail = EXCLUDED.detail";
        let query = Query::new("moving a cursor", text);
        let query = query.text(name).count(cursor.value).text(&cursor.detail);
        self.execute(query).await.map(drop)
    }
}
