//! Entries: what is known of one follows from its leaf, but for whether its text is hidden.

use std::collections::{BTreeMap, BTreeSet};

use mesh_ideas_core::{
    ledger::{Change, EntryRow, Leaf, Ledger, SeenRow, project},
    parse_leaf,
};
use mesh_schemas::idea::{EntryId, IdeaId, Say};
use sqlx::FromRow;

use super::Touched;
use crate::store::{
    StoreError, Tx,
    db::Pending,
    sql::{Dialects, Query, among, from_rows, number, parse},
};

#[derive(FromRow)]
struct Row {
    id: String,
    idx: i64,
    data: String,
    tombstone: Option<String>,
}

#[derive(FromRow)]
struct Seen {
    entry: String,
    idx: i64,
    data: String,
}

const LOAD: Dialects = among!(
    "SELECT l.id, l.idx, l.data, h.tombstone \
     FROM leaf l LEFT JOIN hidden h ON h.entry = l.id \
     WHERE l.log = $2 AND l.id",
    "r.value->>0",
    ""
);
const LOAD_AT: Dialects = among!(
    "SELECT l.id, l.idx, l.data, NULL AS tombstone FROM leaf l \
     WHERE l.log = $2 AND l.idx",
    "CAST(r.value->>0 AS BIGINT)",
    ""
);
const LOAD_SEEN: Dialects = among!(
    "SELECT s.entry, s.idx, l.data FROM seen s LEFT JOIN leaf l ON l.log = $2 AND l.idx = s.idx \
     WHERE s.entry",
    "r.value->>0",
    ""
);
const SAVE_SEEN: Dialects = from_rows!(
    "INSERT INTO seen (entry, idx) SELECT r.value->>0, CAST(r.value->>1 AS BIGINT)",
    "WHERE true ON CONFLICT DO NOTHING"
);
const SAVE_ABOUT: Dialects = from_rows!(
    "INSERT INTO about (idea, idx) SELECT r.value->>0, CAST(r.value->>1 AS BIGINT)",
    "WHERE true ON CONFLICT DO NOTHING"
);

/// What stands for an entry, from the leaf that says so.
pub(crate) fn seen_row(index: u64, data: &str) -> Result<SeenRow, StoreError> {
    match parse_leaf(data.as_bytes()).map(|entry| entry.say) {
        Ok(Say::SeenAgain { idea, .. }) => Ok(SeenRow { index, idea }),
        Ok(_) | Err(_) => Err(StoreError::Unreadable { what: format!("a leaf {index}") }),
    }
}

/// What is known of an entry from its leaf.
pub(super) fn entry_row(index: u64, id: EntryId, data: &str) -> Result<EntryRow, StoreError> {
    let unreadable = || StoreError::Unreadable { what: format!("a leaf {index}") };
    let entry = parse_leaf(data.as_bytes()).map_err(|_| unreadable())?;
    let changes = project(&Leaf { index, id, entry: &entry }, None);
    match changes.into_iter().next() {
        Some(Change::Entry { row, .. }) => Ok(row),
        Some(_) | None => Err(unreadable()),
    }
}

impl Tx {
    pub(super) async fn load_entries(
        &mut self,
        log: u32,
        wanted: BTreeSet<EntryId>,
        ledger: &mut Ledger,
    ) -> Result<(), StoreError> {
        if wanted.is_empty() {
            return Ok(());
        }
        let rows: Vec<[EntryId; 1]> = wanted.into_iter().map(|id| [id]).collect();
        let query = Query::over("loading entries", LOAD, &rows)?.int(i64::from(log));
        for Row { id, idx, data, tombstone } in self.fetch(query).await? {
            let id = parse("leaf.id", &id)?;
            let mut row = entry_row(number("leaf.idx", idx)?, id, &data)?;
            row.hidden = tombstone.map(|entry| parse("hidden.tombstone", &entry)).transpose()?;
            ledger.entries.insert(id, row);
        }
        let query = Query::over("loading seen", LOAD_SEEN, &rows)?.int(i64::from(log));
        for Seen { entry, idx, data } in self.fetch(query).await? {
            let row = seen_row(number("seen.idx", idx)?, &data)?;
            ledger.seen.insert(parse("seen.entry", &entry)?, row);
        }
        Ok(())
    }

    /// The entries at these indices, each with the ideas that it is about.
    pub(crate) async fn entries_at(
        &mut self,
        log: u32,
        indices: &BTreeSet<u64>,
    ) -> Result<BTreeMap<u64, (EntryId, Vec<IdeaId>)>, StoreError> {
        let rows: Vec<[u64; 1]> = indices.iter().map(|index| [*index]).collect();
        let query = Query::over("naming entries", LOAD_AT, &rows)?.int(i64::from(log));
        let rows: Vec<Row> = self.fetch(query).await?;
        let entry = |Row { id, idx, data, .. }| {
            let (index, id) = (number("leaf.idx", idx)?, parse("leaf.id", &id)?);
            Ok((index, (id, entry_row(index, id, &data)?.about)))
        };
        rows.into_iter().map(entry).collect()
    }

    pub(super) async fn save_seen(&mut self, touched: &Touched<'_>) -> Result<(), StoreError> {
        self.insert("keeping what was seen", SAVE_SEEN, touched.seen.iter()).await
    }

    pub(super) async fn save_about(&mut self, touched: &Touched<'_>) -> Result<(), StoreError> {
        self.insert("keeping what entries are about", SAVE_ABOUT, touched.about.iter()).await
    }

    /// Runs a statement over rows before any that is gathered later, unless there are none.
    pub(super) fn delete<R: serde::Serialize>(
        &mut self,
        doing: &'static str,
        text: Dialects,
        rows: impl Iterator<Item = R>,
    ) -> Pending<'_, ()> {
        let query = over_any(doing, text, rows);
        Box::pin(async move {
            match query? {
                Some(query) => self.execute(query).await.map(drop),
                None => Ok(()),
            }
        })
    }

    /// Has a statement run over rows, unless there are none.
    pub(super) fn insert<R: serde::Serialize>(
        &mut self,
        doing: &'static str,
        text: Dialects,
        rows: impl Iterator<Item = R>,
    ) -> Pending<'_, ()> {
        let query = over_any(doing, text, rows);
        Box::pin(async move {
            match query? {
                Some(query) => self.later(query).await,
                None => Ok(()),
            }
        })
    }
}

/// A statement over rows; none when there are no rows.
fn over_any<R: serde::Serialize>(
    doing: &'static str,
    text: Dialects,
    rows: impl Iterator<Item = R>,
) -> Result<Option<Query>, StoreError> {
    let rows: Vec<R> = rows.collect();
    if rows.is_empty() { Ok(None) } else { Query::over(doing, text, &rows).map(Some) }
}
