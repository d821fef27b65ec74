//! The leaves of the log, and the checkpoints over them. Only ever added to.

use std::collections::BTreeSet;

use mesh_schemas::{
    Timestamp,
    idea::{EntryId, Sha256},
};
use serde::Serialize;
use sqlx::FromRow;

use super::{
    Store, StoreError, Tx,
    sql::{AnyText, Dialects, Query, among, from_rows, number, parse},
};
use crate::pack::Erasures;

/// One leaf as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Its index, from 0.
    pub index: u64,
    /// The entry's id.
    pub id: EntryId,
    /// Its hash in the tree.
    pub hash: Sha256,
    /// The entry's canonical JSON.
    pub data: String,
}

/// A size and root that may have been signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointRow {
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: Sha256,
}

/// A leaf as its row has it, whether or not that can be read.
#[derive(Debug, FromRow)]
pub(crate) struct LeafRow {
    pub(crate) idx: i64,
    id: AnyText,
    hash: AnyText,
    pub(crate) data: AnyText,
}

#[derive(FromRow)]
struct Data {
    idx: i64,
    data: String,
}

/// A checkpoint as its row has it, whether or not that can be read.
#[derive(Debug, FromRow)]
pub(crate) struct CheckpointRecord {
    pub(crate) size: i64,
    root: AnyText,
}

#[derive(FromRow)]
struct Count {
    count: i64,
}

/// As it goes into a statement.
#[derive(Serialize)]
struct New<'a> {
    i: u64,
    d: EntryId,
    h: Sha256,
    t: &'a str,
}

const INSERT: Dialects = from_rows!(
    "INSERT INTO leaf (log, idx, id, hash, data) \
     SELECT CAST($2 AS BIGINT), CAST(r.value->>'i' AS BIGINT), r.value->>'d', r.value->>'h', \
        r.value->>'t'",
    ""
);

const NAMED: Dialects = among!(
    "SELECT l.idx, l.id, l.hash, l.data FROM leaf l WHERE l.log = $2 AND l.id",
    "r.value->>0",
    ""
);

impl Store {
    /// How many leaves the log has.
    pub async fn size(&self, log: u32) -> Result<u64, StoreError> {
        let text = "SELECT COALESCE(MAX(idx) + 1, 0) AS count FROM leaf WHERE log = $1";
        let query = Query::new("counting its leaves", text).int(i64::from(log));
        let counts: Vec<Count> = self.db.fetch(query).await?;
        number("leaf.idx", counts.first().map_or(0, |count| count.count))
    }

    /// Leaves from an index on, in order. Whoever needs them without a gap must look.
    pub async fn leaves(&self, log: u32, from: u64, count: u64) -> Result<Vec<Leaf>, StoreError> {
        self.leaf_rows(log, from, count).await?.into_iter().map(Leaf::try_from).collect()
    }

    /// The same as rows.
    pub(crate) async fn leaf_rows(
        &self,
        log: u32,
        from: u64,
        count: u64,
    ) -> Result<Vec<LeafRow>, StoreError> {
        let text = "SELECT idx, id, hash, data FROM leaf \
            WHERE log = $1 AND idx >= $2 ORDER BY idx LIMIT $3";
        let query = Query::new("reading leaves", text);
        self.db.fetch(query.int(i64::from(log)).count(from).count(count)).await
    }

    /// The leaves of these entries, as far as they are there, as rows.
    pub(crate) async fn leaves_of(
        &self,
        log: u32,
        ids: &BTreeSet<EntryId>,
    ) -> Result<Vec<LeafRow>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<[EntryId; 1]> = ids.iter().map(|id| [*id]).collect();
        let query = Query::over("reading the leaves of entries", NAMED, &rows)?;
        self.db.fetch(query.int(i64::from(log))).await
    }

    /// The first leaf whose entry a leaf before it has as well.
    pub(crate) async fn repeated_leaf(&self, log: u32) -> Result<Option<u64>, StoreError> {
        let text = "SELECT MAX(idx) AS count FROM leaf WHERE log = $1 \
            GROUP BY id HAVING COUNT(*) > 1 ORDER BY 1 LIMIT 1";
        let query = Query::new("looking for repeated leaves", text).int(i64::from(log));
        let found: Vec<Count> = self.db.fetch(query).await?;
        found.first().map(|row| number("leaf.idx", row.count)).transpose()
    }

    /// Which texts were erased, as the leaves say. Reads all of them.
    pub(crate) async fn erasures(&self, log: u32) -> Result<Erasures, StoreError> {
        let text = "SELECT idx, data FROM leaf \
            WHERE log = $1 AND data LIKE '%\"kind\":\"erased\"%' ORDER BY idx";
        let query = Query::new("looking for erasures", text).int(i64::from(log));
        let mut erasures = Erasures::default();
        for Data { idx, data } in self.db.fetch(query).await? {
            erasures.look_at(number("leaf.idx", idx)?, data.as_bytes());
        }
        Ok(erasures)
    }

    /// The index of an entry.
    pub async fn index_of(&self, log: u32, id: EntryId) -> Result<Option<u64>, StoreError> {
        let text = "SELECT idx AS count FROM leaf WHERE log = $1 AND id = $2";
        let query = Query::new("finding an entry", text).int(i64::from(log)).text(&id);
        let found: Vec<Count> = self.db.fetch(query).await?;
        found.first().map(|row| number("leaf.idx", row.count)).transpose()
    }

    /// Rows of checkpoints behind one of this size, smallest first.
    pub(crate) async fn checkpoint_records(
        &self,
        log: u32,
        behind: i64,
        count: u64,
    ) -> Result<Vec<CheckpointRecord>, StoreError> {
        let text = "SELECT size, root FROM checkpoint \
            WHERE log = $1 AND size > $2 ORDER BY size LIMIT $3";
        let query = Query::new("reading checkpoints", text);
        self.db.fetch(query.int(i64::from(log)).int(behind).count(count)).await
    }

    /// The largest checkpoint that has a row.
    pub async fn last_checkpoint(&self, log: u32) -> Result<Option<CheckpointRow>, StoreError> {
        let text = "SELECT size, root FROM checkpoint WHERE log = $1 ORDER BY size DESC LIMIT 1";
        let query = Query::new("reading the last checkpoint", text).int(i64::from(log));
        let rows: Vec<CheckpointRecord> = self.db.fetch(query).await?;
        rows.into_iter().next().map(CheckpointRow::try_from).transpose()
    }
}

impl Tx {
    /// Appends leaves; their indices follow what is there, or nothing is written.
    pub(crate) async fn insert_leaves(
        &mut self,
        log: u32,
        leaves: &[Leaf],
    ) -> Result<(), StoreError> {
        let rows: Vec<New<'_>> = leaves.iter().map(New::from).collect();
        let query = Query::over("appending leaves", INSERT, &rows)?.int(i64::from(log));
        self.later(query).await
    }

    /// Keeps a checkpoint before it is signed.
    pub(crate) async fn insert_checkpoint(
        &mut self,
        log: u32,
        row: CheckpointRow,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let text = "INSERT INTO checkpoint (log, size, root, made_at) VALUES ($1, $2, $3, $4)";
        let query = Query::new("keeping a checkpoint", text)
            .int(i64::from(log))
            .count(row.size)
            .text(&row.root)
            .int(at.as_millis());
        self.execute(query).await.map(drop)
    }
}

impl<'a> From<&'a Leaf> for New<'a> {
    fn from(leaf: &'a Leaf) -> Self {
        let Leaf { index, id, hash, data } = leaf;
        Self { i: *index, d: *id, h: *hash, t: data }
    }
}

impl TryFrom<LeafRow> for Leaf {
    type Error = StoreError;

    fn try_from(row: LeafRow) -> Result<Self, StoreError> {
        let LeafRow { idx, id, hash, data } = row;
        Ok(Self {
            index: number("leaf.idx", idx)?,
            id: parse("leaf.id", &id.lossy())?,
            hash: parse("leaf.hash", &hash.lossy())?,
            data: data.whole("leaf.data")?,
        })
    }
}

impl TryFrom<CheckpointRecord> for CheckpointRow {
    type Error = StoreError;

    fn try_from(row: CheckpointRecord) -> Result<Self, StoreError> {
        Ok(Self {
            size: number("checkpoint.size", row.size)?,
            root: parse("checkpoint.root", &row.root.lossy())?,
        })
    }
}
