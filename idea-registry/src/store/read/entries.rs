//! Entries about an idea, and what else is known of entries.

use mesh_schemas::idea::{EntryId, IdeaId, Sha256};
use sqlx::FromRow;

use crate::store::{
    Store, StoreError,
    rows::seen_row,
    sql::{Query, number, parse},
};

/// An entry as it lies in the log.
#[derive(Debug, Clone)]
pub(crate) struct StoredEntry {
    pub(crate) index: u64,
    pub(crate) id: EntryId,
    pub(crate) data: String,
    /// A tombstone hides its text.
    pub(crate) hidden: bool,
}

#[derive(FromRow)]
struct Row {
    idx: i64,
    id: String,
    data: String,
    tombstone: Option<String>,
}

#[derive(FromRow)]
struct Index {
    idx: i64,
}

#[derive(FromRow)]
struct Seen {
    idx: i64,
    data: String,
}

impl Store {
    /// The first entries about an idea from an index on, in the order of the log.
    pub(crate) async fn entries_from(
        &self,
        log: u32,
        idea: IdeaId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let text = "SELECT l.idx, l.id, l.data, h.tombstone FROM (\
                SELECT idx FROM idea WHERE id = $1 AND idx >= $3 UNION ALL SELECT idx FROM (\
                    SELECT idx FROM about WHERE idea = $1 AND idx >= $3 ORDER BY idx LIMIT $4) AS o) AS a \
            LEFT JOIN leaf l ON l.log = $2 AND l.idx = a.idx LEFT JOIN hidden h ON h.entry = l.id \
            ORDER BY a.idx LIMIT $4";
        let query = Query::new("reading the entries of an idea", text);
        let query = query.text(&idea).int(i64::from(log)).count(from).int(i64::from(limit));
        self.stored(query).await
    }

    /// The newest entries about an idea, newest first.
    pub(crate) async fn newest_entries(
        &self,
        log: u32,
        idea: IdeaId,
        limit: u32,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let text = "SELECT l.idx, l.id, l.data, h.tombstone FROM (\
                SELECT idx FROM idea WHERE id = $1 UNION ALL SELECT idx FROM (\
                    SELECT idx FROM about WHERE idea = $1 ORDER BY idx DESC LIMIT $3) AS o) AS a \
            LEFT JOIN leaf l ON l.log = $2 AND l.idx = a.idx LEFT JOIN hidden h ON h.entry = l.id \
            ORDER BY a.idx DESC LIMIT $3";
        let query = Query::new("reading the entries of an idea", text);
        self.stored(query.text(&idea).int(i64::from(log)).int(i64::from(limit))).await
    }

    /// One entry.
    pub(crate) async fn entry(
        &self,
        log: u32,
        id: EntryId,
    ) -> Result<Option<StoredEntry>, StoreError> {
        let text = "SELECT l.idx, l.id, l.data, h.tombstone FROM leaf l \
            LEFT JOIN hidden h ON h.entry = l.id WHERE l.log = $1 AND l.id = $2";
        let query = Query::new("reading an entry", text).int(i64::from(log)).text(&id);
        Ok(self.stored(query).await?.pop())
    }

    /// The idea that has the text of an entry that was filed and not appended.
    pub(crate) async fn stands_for(
        &self,
        log: u32,
        entry: EntryId,
    ) -> Result<Option<IdeaId>, StoreError> {
        let text = "SELECT l.idx, l.data FROM seen s LEFT JOIN leaf l ON l.log = $2 AND l.idx = s.idx \
            WHERE s.entry = $1";
        let query = Query::new("finding what an entry was seen again as", text).text(&entry);
        let rows: Vec<Seen> = self.db.fetch(query.int(i64::from(log))).await?;
        let Some(Seen { idx, data }) = rows.first() else { return Ok(None) };
        Ok(Some(seen_row(number("leaf.idx", *idx)?, data)?.idea))
    }

    async fn stored(&self, query: Query) -> Result<Vec<StoredEntry>, StoreError> {
        let rows: Vec<Row> = self.db.fetch(query).await?;
        let entry = |Row { idx, id, data, tombstone }| {
            let (index, id) = (number("leaf.idx", idx)?, parse("leaf.id", &id)?);
            Ok(StoredEntry { index, id, data, hidden: tombstone.is_some() })
        };
        rows.into_iter().map(entry).collect()
    }

    /// The index of an entry, or of the one that stands for it.
    pub(crate) async fn index_for(&self, log: u32, id: EntryId) -> Result<Option<u64>, StoreError> {
        if let Some(index) = self.index_of(log, id).await? {
            return Ok(Some(index));
        }
        let query = Query::new("finding an entry", "SELECT idx FROM seen WHERE entry = $1");
        let rows: Vec<Index> = self.db.fetch(query.text(&id)).await?;
        rows.first().map(|row| number("seen.idx", row.idx)).transpose()
    }

    /// Some tombstone hides this text.
    pub(crate) async fn is_hidden(&self, body: Sha256) -> Result<bool, StoreError> {
        let text = "SELECT COUNT(*) AS idx FROM hidden WHERE body = $1";
        let rows: Vec<Index> =
            self.db.fetch(Query::new("looking for a tombstone", text).text(&body)).await?;
        Ok(rows.iter().any(|row| row.idx > 0))
    }
}
