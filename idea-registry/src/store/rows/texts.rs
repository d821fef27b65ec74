//! What is made of texts: contents, signatures, words; and what goes when a text is hidden or erased.

use std::collections::BTreeSet;

use data_encoding::BASE64;
use mesh_ideas_core::{
    ledger::{ContentRow, IdeaRow, Ledger},
    near::{Near, SIGNATURE_BYTES, Signature},
    text::words,
};
use mesh_schemas::idea::{EntryId, IdeaId, Sha256};
use sqlx::FromRow;

use super::{Texts, Touched};
use crate::store::{
    Store, StoreError, Tx,
    sql::{Dialects, Query, among, from_rows, number, parse},
};

#[derive(FromRow)]
struct Content {
    hash: String,
    entry: String,
    idea: String,
    sealed: Option<String>,
}

/// Of an inner join SQLite may read the leaves first, and all of them.
const LOAD: Dialects = among!(
    "SELECT c.hash, l.id AS entry, c.idea, c.sealed FROM content c \
     LEFT JOIN leaf l ON l.log = $2 AND l.idx = c.idx WHERE c.hash",
    "r.value->>0",
    ""
);
const SAVE: Dialects = from_rows!(
    "INSERT INTO content (hash, idx, idea, sealed) \
     SELECT r.value->>0, CAST(r.value->>1 AS BIGINT), r.value->>2, r.value->>3",
    "WHERE true ON CONFLICT (hash) DO NOTHING"
);
const FORGET: Dialects = among!("DELETE FROM content WHERE idx", "CAST(r.value->>0 AS BIGINT)", "");
const HIDE: Dialects = from_rows!(
    "INSERT INTO hidden (entry, tombstone, body) SELECT r.value->>0, r.value->>1, r.value->>2",
    "WHERE true ON CONFLICT DO NOTHING"
);
const FORGET_NEAR: Dialects =
    among!("DELETE FROM near WHERE idx", "CAST(r.value->>0 AS BIGINT)", "");
const SAVE_NEAR: Dialects = from_rows!(
    "INSERT INTO near (idx, idea, data) SELECT CAST(r.value->>0 AS BIGINT), r.value->>1, r.value->>2",
    ""
);
const FORGET_WORDS: Dialects = Dialects {
    sqlite: "DELETE FROM words WHERE rowid IN (SELECT r.value->>0 FROM jsonb_each($1) AS r)",
    postgres: "DELETE FROM words WHERE idx IN (SELECT CAST(r.value->>0 AS BIGINT) \
        FROM jsonb_array_elements($1::jsonb) AS r(value))",
};
const SAVE_WORDS: Dialects = Dialects {
    sqlite: "INSERT INTO words (rowid, list) SELECT r.value->>0, r.value->>1 \
        FROM jsonb_each($1) AS r",
    postgres: "INSERT INTO words (idx, list) SELECT CAST(r.value->>0 AS BIGINT), \
        string_to_array(r.value->>1, ' ') FROM jsonb_array_elements($1::jsonb) AS r(value)",
};

/// Signature and bands as they are stored.
pub(crate) fn to_stored(near: &Near) -> String {
    let mut bytes = near.signature.as_bytes().to_vec();
    bytes.extend(near.bands.iter().flat_map(|band| band.to_le_bytes()));
    BASE64.encode(&bytes)
}

/// Reads what [`to_stored`] wrote; nothing when it is of another format.
fn from_stored(text: &str) -> Option<Near> {
    let bytes = BASE64.decode(text.as_bytes()).ok()?;
    let (signature, bands) = bytes.split_at_checked(SIGNATURE_BYTES)?;
    let signature = Signature::from_bytes(signature)?;
    let (bands, rest) = bands.as_chunks::<8>();
    let bands = bands.iter().map(|band| u64::from_le_bytes(*band)).collect();
    rest.is_empty().then_some(Near { signature, bands })
}

#[derive(FromRow)]
struct NearIndexRow {
    idx: i64,
}

#[derive(FromRow)]
struct NearRow {
    idx: i64,
    idea: String,
    data: String,
}

/// The index of an idea, the idea, and what it is found by, unless that is of another format.
pub(crate) type StoredNear = (u64, IdeaId, Option<Near>);

impl Store {
    /// The index from which on there are so many signatures; 0 when there are fewer.
    pub(crate) async fn near_begins(&self, count: usize) -> Result<u64, StoreError> {
        let text = "SELECT idx FROM near ORDER BY idx DESC LIMIT 1 OFFSET $1";
        let before = u64::try_from(count.saturating_sub(1)).unwrap_or(u64::MAX);
        let query = Query::new("finding the newest signatures", text).count(before);
        let rows: Vec<NearIndexRow> = self.db.fetch(query).await?;
        rows.first().map_or(Ok(0), |row| number("near.idx", row.idx))
    }

    /// What near duplicates are found by, from an index on, as many as are good to read at once.
    pub(crate) async fn near(&self, from: u64) -> Result<Vec<StoredNear>, StoreError> {
        let text = "SELECT idx, idea, data FROM near WHERE idx >= $1 ORDER BY idx LIMIT 4096";
        let rows: Vec<NearRow> =
            self.db.fetch(Query::new("reading signatures", text).count(from)).await?;
        let near = |NearRow { idx, idea, data }| {
            Ok((number("near.idx", idx)?, parse("near.idea", &idea)?, from_stored(&data)))
        };
        rows.into_iter().map(near).collect()
    }
}

impl Tx {
    pub(super) async fn load_contents(
        &mut self,
        log: u32,
        wanted: BTreeSet<Sha256>,
        ledger: &mut Ledger,
    ) -> Result<(), StoreError> {
        if wanted.is_empty() {
            return Ok(());
        }
        let rows: Vec<[Sha256; 1]> = wanted.into_iter().map(|hash| [hash]).collect();
        let query = Query::over("loading contents", LOAD, &rows)?.int(i64::from(log));
        let found: Vec<Content> = self.fetch(query).await?;
        for Content { hash, entry, idea, sealed } in found {
            let (entry, idea) = (parse("content.entry", &entry)?, parse("content.idea", &idea)?);
            let row = ContentRow { entry, idea, sealed };
            ledger.contents.insert(parse("content.hash", &hash)?, row);
        }
        Ok(())
    }

    /// A hidden text's content goes first: the same batch may file it anew.
    pub(super) async fn save_contents(
        &mut self,
        ledger: &Ledger,
        touched: &Touched<'_>,
    ) -> Result<(), StoreError> {
        let index = |entry: &EntryId| Some(ledger.entries.get(entry)?.index);
        let hidden = touched.hidden.keys().filter_map(index).map(|index| [index]);
        self.delete("forgetting contents", FORGET, hidden).await?;
        let rows = touched.contents.iter().filter_map(|hash| {
            // An entry that is not at hand is an older one, whose text has a row.
            let row = ledger.contents.get(hash)?;
            Some((*hash, index(&row.entry)?, row.idea, &row.sealed))
        });
        self.insert("keeping contents", SAVE, rows).await?;
        let rows = touched.hidden.iter();
        let rows = rows.filter_map(|(entry, (by, body))| Some((*entry, *by, (*body)?)));
        self.insert("hiding texts", HIDE, rows).await
    }

    /// Signatures and words of ideas whose text changed or was hidden.
    pub(super) async fn save_finding(
        &mut self,
        ledger: &Ledger,
        touched: &Touched<'_>,
        texts: &Texts,
    ) -> Result<(), StoreError> {
        let of = |idea: &IdeaId| ledger.ideas.get(idea);
        let hides = |row: &&IdeaRow| touched.hidden.contains_key(&row.text_entry);
        let hidden = touched.ideas.iter().filter_map(of).filter(hides);
        let changed = touched.texts.keys().filter_map(of);
        // What is new in this batch has no rows yet.
        let old = changed.chain(hidden).filter(|row| !touched.new_ideas.contains(&row.id));
        let old: BTreeSet<[u64; 1]> = old.map(|row| [row.index]).collect();
        self.delete("forgetting signatures", FORGET_NEAR, old.iter()).await?;
        self.delete("forgetting words", FORGET_WORDS, old.iter()).await?;

        let shown = |entry: &EntryId| !touched.hidden.contains_key(entry);
        let latest = touched.texts.iter().filter(|(_, (entry, _))| shown(entry));
        let near = latest.clone().filter_map(|(idea, (_, text))| {
            Some((of(idea)?.index, *idea, to_stored(text.as_ref()?.near.as_ref()?)))
        });
        self.insert("keeping signatures", SAVE_NEAR, near).await?;
        let words = latest.filter_map(|(idea, (entry, text))| {
            // Of a sealed text no word may stay when its key is gone.
            text.as_ref()?.near.as_ref()?;
            Some((of(idea)?.index, joined(texts.get(entry)?)))
        });
        self.insert("keeping words", SAVE_WORDS, words).await
    }

    /// What was made of the texts of erased subjects goes, of the entries in front of the erasure.
    pub(super) async fn save_erased(&mut self, touched: &Touched<'_>) -> Result<(), StoreError> {
        for subject in &touched.erased {
            for text in [
                "DELETE FROM content WHERE sealed = $1",
                "UPDATE idea SET title = '' WHERE sealed = $1",
                "INSERT INTO erased (subject) VALUES ($1) ON CONFLICT DO NOTHING",
            ] {
                let query = Query::new("forgetting a subject's texts", text);
                self.execute(query.text(*subject)).await?;
            }
        }
        Ok(())
    }

    /// The texts that were sealed for a subject go, and the key that opens copies of them.
    pub(crate) async fn erase_texts(&mut self, subject: &str) -> Result<(), StoreError> {
        for text in
            ["DELETE FROM body WHERE subject = $1", "DELETE FROM subject_key WHERE subject = $1"]
        {
            self.execute(Query::new("erasing a subject's texts", text).text(subject)).await?;
        }
        Ok(())
    }
}

fn joined(text: &str) -> String {
    words(text).into_iter().collect::<Vec<_>>().join(" ")
}
