//! Texts beside the log, and the keys of those that are sealed.

use std::collections::{BTreeMap, BTreeSet};

use mesh_schemas::{Timestamp, idea::Sha256};
use serde::Serialize;
use sqlx::FromRow;

use super::{
    Store, StoreError, Tx,
    sql::{AnyText, Dialects, Query, among, from_rows, parse},
};
use crate::seal::SubjectKey;

/// A text as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Body {
    /// Of the text, or of a salt and the text when it is sealed.
    pub hash: Sha256,
    /// The text, when it is not sealed.
    pub text: Option<String>,
    /// Base64 of nonce and ciphertext, when it is.
    pub sealed: Option<String>,
    /// Whose key opens it.
    pub subject: Option<String>,
}

#[derive(FromRow)]
struct Row {
    hash: AnyText,
    text: Option<AnyText>,
    sealed: Option<AnyText>,
    subject: Option<AnyText>,
}

#[derive(FromRow)]
struct Hash {
    hash: AnyText,
}

#[derive(FromRow)]
struct Name {
    subject: String,
}

#[derive(FromRow)]
struct Key {
    subject: String,
    key: String,
}

const INSERT: Dialects = from_rows!(
    "INSERT INTO body (hash, text, sealed, subject) SELECT r.value->>'hash', r.value->>'text', \
        r.value->>'sealed', r.value->>'subject'",
    "WHERE true ON CONFLICT (hash) DO NOTHING"
);
/// For texts of which is known that they are the right ones.
const REPLACE: Dialects = from_rows!(
    "INSERT INTO body (hash, text, sealed, subject) SELECT r.value->>'hash', r.value->>'text', \
        r.value->>'sealed', r.value->>'subject'",
    "WHERE true ON CONFLICT (hash) DO UPDATE SET text = EXCLUDED.text, sealed = EXCLUDED.sealed, \
        subject = EXCLUDED.subject"
);
/// The texts of one subject (`$2`) but for those that are listed.
const ERASE_OTHERS: Dialects = Dialects {
    sqlite: "DELETE FROM body WHERE subject = $2 \
        AND hash NOT IN (SELECT r.value->>0 FROM jsonb_each($1) AS r)",
    postgres: "DELETE FROM body WHERE subject = $2 AND hash NOT IN \
        (SELECT r.value->>0 FROM jsonb_array_elements($1::jsonb) AS r(value))",
};
const LOAD: Dialects = among!(
    "SELECT b.hash, b.text, b.sealed, b.subject FROM body b WHERE b.hash",
    "r.value->>0",
    ""
);
const LOAD_SUBJECTS: Dialects =
    among!("SELECT b.hash, b.subject FROM body b WHERE b.hash", "r.value->>0", "");
const LOAD_KEYS: Dialects =
    among!("SELECT k.subject, k.key FROM subject_key k WHERE k.subject", "r.value->>0", "");
const LOAD_SEALED_FOR: Dialects =
    among!("SELECT DISTINCT b.subject FROM body b WHERE b.subject", "r.value->>0", "");

#[derive(FromRow)]
struct Subject {
    hash: String,
    subject: Option<String>,
}

/// For whom the texts with these hashes are sealed; nobody when they are not.
pub(crate) type Subjects = BTreeMap<Sha256, Option<String>>;
/// Keys by subject.
pub(crate) type Keys = BTreeMap<String, SubjectKey>;

impl Store {
    /// The texts with these hashes, as far as they are there and are texts.
    pub async fn bodies(
        &self,
        hashes: &BTreeSet<Sha256>,
    ) -> Result<BTreeMap<Sha256, Body>, StoreError> {
        if hashes.is_empty() {
            return Ok(BTreeMap::new());
        }
        let rows: Vec<[Sha256; 1]> = hashes.iter().map(|hash| [*hash]).collect();
        let found: Vec<Row> = self.db.fetch(Query::over("reading texts", LOAD, &rows)?).await?;
        // A row that a flipped bit made none is as good as gone: it is missed by name where the text is wanted.
        let bodies = found.into_iter().filter_map(|row| Body::try_from(row).ok());
        Ok(bodies.map(|body| (body.hash, body)).collect())
    }

    /// The texts that are sealed for a subject.
    pub(crate) async fn bodies_of(&self, subject: &str) -> Result<Vec<Body>, StoreError> {
        let text = "SELECT hash, text, sealed, subject FROM body WHERE subject = $1 ORDER BY hash";
        let query = Query::new("reading a subject's texts", text).text(subject);
        let found: Vec<Row> = self.db.fetch(query).await?;
        found.into_iter().map(Body::try_from).collect()
    }

    /// Goes through the hashes of all texts, as their rows have them.
    pub(crate) async fn each_body_hash(
        &self,
        mut take: impl FnMut(String) + Send,
    ) -> Result<(), StoreError> {
        let query = Query::new("reading hashes of texts", "SELECT hash FROM body");
        self.db.each(query, |Hash { hash }| take(hash.lossy().into_owned())).await
    }

    /// Somebody's texts were erased, as the projections say.
    pub(crate) async fn has_erased(&self) -> Result<bool, StoreError> {
        let text = "SELECT subject FROM erased LIMIT 1";
        let rows: Vec<Name> = self.db.fetch(Query::new("looking for erasures", text)).await?;
        Ok(!rows.is_empty())
    }

    /// The texts of this subject were erased, as the projections say.
    pub(crate) async fn is_erased(&self, subject: &str) -> Result<bool, StoreError> {
        let text = "SELECT subject FROM erased WHERE subject = $1";
        let query = Query::new("looking for a subject's erasure", text).text(subject);
        let rows: Vec<Name> = self.db.fetch(query).await?;
        Ok(!rows.is_empty())
    }

    /// There is something of this subject to erase: a key, a text, or an idea whose text is nowhere though
    /// it was not erased.
    pub(crate) async fn is_sealed_for(&self, subject: &str) -> Result<bool, StoreError> {
        let text = "SELECT subject FROM subject_key WHERE subject = $1 \
            UNION SELECT subject FROM body WHERE subject = $2 \
            UNION SELECT sealed FROM idea WHERE sealed = $3 \
                AND NOT EXISTS (SELECT 1 FROM erased WHERE subject = $4)";
        let query = Query::new("looking for what is sealed for a subject", text);
        let query = query.text(subject).text(subject).text(subject).text(subject);
        let rows: Vec<Name> = self.db.fetch(query).await?;
        Ok(!rows.is_empty())
    }

    /// Whose texts can be read.
    pub(crate) async fn subjects_with_keys(&self) -> Result<Vec<String>, StoreError> {
        let text = "SELECT subject FROM subject_key ORDER BY subject";
        let rows: Vec<Name> = self.db.fetch(Query::new("reading who has a key", text)).await?;
        Ok(rows.into_iter().map(|row| row.subject).collect())
    }

    /// The keys of these subjects, as far as they are there.
    pub(crate) async fn subject_keys(&self, of: BTreeSet<String>) -> Result<Keys, StoreError> {
        match keys_query(of)? {
            Some(query) => keys(self.db.fetch(query).await?),
            None => Ok(Keys::new()),
        }
    }
}

impl Tx {
    /// Keeps texts; those that are there already stay.
    pub(crate) async fn insert_bodies(&mut self, bodies: &[Body]) -> Result<(), StoreError> {
        if bodies.is_empty() {
            return Ok(());
        }
        self.later(Query::over("keeping texts", INSERT, bodies)?).await
    }

    /// Keeps texts that were checked, in place of those that are there.
    pub(crate) async fn replace_bodies(&mut self, bodies: &[Body]) -> Result<(), StoreError> {
        if bodies.is_empty() {
            return Ok(());
        }
        self.later(Query::over("putting texts back", REPLACE, bodies)?).await
    }

    /// Erases the texts of a subject but for these; how many.
    pub(crate) async fn erase_other_texts(
        &mut self,
        subject: &str,
        kept: &BTreeSet<Sha256>,
    ) -> Result<u64, StoreError> {
        let rows: Vec<[Sha256; 1]> = kept.iter().map(|hash| [*hash]).collect();
        let query = Query::over("erasing a subject's texts", ERASE_OTHERS, &rows)?;
        self.execute(query.text(subject)).await
    }

    /// Destroys the key of a subject.
    pub(crate) async fn erase_key(&mut self, subject: &str) -> Result<u64, StoreError> {
        let text = "DELETE FROM subject_key WHERE subject = $1";
        self.execute(Query::new("destroying the key of a subject", text).text(subject)).await
    }

    /// For whom the texts with these hashes are sealed, as far as they are there.
    pub(crate) async fn body_subjects(
        &mut self,
        hashes: BTreeSet<Sha256>,
    ) -> Result<Subjects, StoreError> {
        if hashes.is_empty() {
            return Ok(Subjects::new());
        }
        let rows: Vec<[Sha256; 1]> = hashes.into_iter().map(|hash| [hash]).collect();
        let query = Query::over("looking for texts", LOAD_SUBJECTS, &rows)?;
        let found: Vec<Subject> = self.fetch(query).await?;
        let pair = |row: Subject| Ok((parse("body.hash", &row.hash)?, row.subject));
        found.into_iter().map(pair).collect()
    }

    /// Those among these subjects for whom a text is sealed that is there.
    pub(crate) async fn subjects_with_texts(
        &mut self,
        among: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, StoreError> {
        if among.is_empty() {
            return Ok(BTreeSet::new());
        }
        let rows: Vec<[&String; 1]> = among.iter().map(|subject| [subject]).collect();
        let query = Query::over("looking for subjects' texts", LOAD_SEALED_FOR, &rows)?;
        let found: Vec<Name> = self.fetch(query).await?;
        Ok(found.into_iter().map(|row| row.subject).collect())
    }

    /// As [`Store::subject_keys`].
    pub(crate) async fn subject_keys(&mut self, of: BTreeSet<String>) -> Result<Keys, StoreError> {
        match keys_query(of)? {
            Some(query) => keys(self.fetch(query).await?),
            None => Ok(Keys::new()),
        }
    }

    /// Keeps the key of a subject that had none.
    pub(crate) async fn insert_subject_key(
        &mut self,
        subject: &str,
        key: &SubjectKey,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let text = "INSERT INTO subject_key (subject, key, made_at) VALUES ($1, $2, $3)";
        let query = Query::new("keeping the key of a subject", text);
        let query = query.text(subject).text(&key.stored()).int(at.as_millis());
        self.execute(query).await.map(drop)
    }
}

impl TryFrom<Row> for Body {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let whole = |column, text: Option<AnyText>| text.map(|text| text.whole(column)).transpose();
        Ok(Self {
            hash: parse("body.hash", &row.hash.lossy())?,
            text: whole("body.text", row.text)?,
            sealed: whole("body.sealed", row.sealed)?,
            subject: whole("body.subject", row.subject)?,
        })
    }
}

fn keys_query(of: BTreeSet<String>) -> Result<Option<Query>, StoreError> {
    if of.is_empty() {
        return Ok(None);
    }
    let rows: Vec<[String; 1]> = of.into_iter().map(|subject| [subject]).collect();
    Query::over("reading the keys of subjects", LOAD_KEYS, &rows).map(Some)
}

fn keys(rows: Vec<Key>) -> Result<Keys, StoreError> {
    let key = |Key { subject, key }| match SubjectKey::parse(&key) {
        Some(key) => Ok((subject, key)),
        None => Err(StoreError::Unreadable { what: format!("a key of the subject {subject}") }),
    };
    rows.into_iter().map(key).collect()
}
