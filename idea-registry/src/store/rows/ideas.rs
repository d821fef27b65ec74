//! Ideas and their tags.

use std::collections::BTreeSet;

use mesh_ideas_core::ledger::{Holder, IdeaRow, Ledger};
use mesh_schemas::{Timestamp, idea::IdeaId};
use sqlx::FromRow;

use super::Touched;
use crate::store::{
    StoreError, Tx,
    sql::{Dialects, Query, among, from_rows, number, parse},
};

#[derive(FromRow)]
pub(crate) struct Row {
    id: String,
    idx: i64,
    author: String,
    author_name: Option<String>,
    time: i64,
    tags: String,
    source: Option<String>,
    text_entry: String,
    sealed: Option<String>,
    title: String,
    holder: Option<String>,
    head: String,
    status: String,
    seen_again: i64,
}

const LOAD: Dialects = among!(
    "SELECT i.id, i.idx, i.author, i.author_name, i.time, i.tags, i.source, i.text_entry, i.sealed, \
        i.title, i.holder, i.head, i.status, i.seen_again \
     FROM idea i WHERE i.id",
    "r.value->>0",
    ""
);
const SAVE: Dialects = from_rows!(
    "INSERT INTO idea (id, idx, author, author_name, time, tags, source, text_entry, sealed, title, \
        holder, head, status, seen_again) \
     SELECT r.value->>0, CAST(r.value->>1 AS BIGINT), r.value->>2, r.value->>3, \
        CAST(r.value->>4 AS BIGINT), r.value->>5, r.value->>6, r.value->>7, r.value->>8, \
        r.value->>9, r.value->>10, r.value->>11, r.value->>12, CAST(r.value->>13 AS BIGINT)",
    "WHERE true ON CONFLICT (id) DO UPDATE SET text_entry = EXCLUDED.text_entry, \
        sealed = EXCLUDED.sealed, title = EXCLUDED.title, holder = EXCLUDED.holder, head = EXCLUDED.head, \
        status = EXCLUDED.status, seen_again = EXCLUDED.seen_again"
);
const SAVE_TAGS: Dialects = from_rows!(
    "INSERT INTO tag (tag, idx) SELECT r.value->>0, CAST(r.value->>1 AS BIGINT)",
    "WHERE true ON CONFLICT DO NOTHING"
);

impl Tx {
    pub(super) async fn load_ideas(
        &mut self,
        wanted: BTreeSet<IdeaId>,
        ledger: &mut Ledger,
    ) -> Result<(), StoreError> {
        if wanted.is_empty() {
            return Ok(());
        }
        let rows: Vec<[IdeaId; 1]> = wanted.into_iter().map(|id| [id]).collect();
        let found: Vec<Row> = self.fetch(Query::over("loading ideas", LOAD, &rows)?).await?;
        for row in found {
            let row = IdeaRow::try_from(row)?;
            ledger.ideas.insert(row.id, row);
        }
        Ok(())
    }

    pub(super) async fn save_ideas(
        &mut self,
        ledger: &Ledger,
        touched: &Touched<'_>,
    ) -> Result<(), StoreError> {
        let rows = touched.ideas.iter().filter_map(|idea| ledger.ideas.get(idea));
        let rows = rows.map(values).collect::<Result<Vec<_>, _>>()?;
        self.insert("keeping ideas", SAVE, rows.iter()).await?;
        let new = touched.new_ideas.iter().filter_map(|idea| ledger.ideas.get(idea));
        let tags = new.flat_map(|row| row.tags.iter().map(move |tag| (tag, row.index)));
        self.insert("keeping tags", SAVE_TAGS, tags).await
    }
}

/// A row's values in the order of the columns.
pub(crate) fn values(row: &IdeaRow) -> Result<serde_json::Value, StoreError> {
    let value = serde_json::to_value(&row.tags).map(|tags| {
        serde_json::json!([
            row.id,
            row.index,
            row.author,
            row.author_name,
            row.time.as_millis(),
            tags.to_string(),
            row.source,
            row.text_entry,
            row.sealed,
            row.title,
            row.holder.author,
            row.holder.head,
            row.status,
            row.seen_again,
        ])
    });
    value.map_err(|_| StoreError::Unreadable { what: "tags without a JSON form".into() })
}

impl TryFrom<Row> for IdeaRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let tags = serde_json::from_str(&row.tags)
            .map_err(|_| StoreError::Unreadable { what: "idea.tags of another form".into() })?;
        let author = row.holder.map(|holder| parse("idea.holder", &holder)).transpose()?;
        Ok(Self {
            id: parse("idea.id", &row.id)?,
            index: number("idea.idx", row.idx)?,
            author: parse("idea.author", &row.author)?,
            author_name: row.author_name,
            time: Timestamp::from_millis(row.time),
            tags,
            source: row.source,
            text_entry: parse("idea.text_entry", &row.text_entry)?,
            sealed: row.sealed,
            title: row.title,
            holder: Holder { author, head: parse("idea.head", &row.head)? },
            status: parse("idea.status", &row.status)?,
            seen_again: number("idea.seen_again", row.seen_again)?,
        })
    }
}
