//! Texts beside the log, and the keys of those that are sealed.

use std::collections::{BTreeMap, BTreeSet};

use mesh_schemas::{Timestamp, idea::Sha256};
use serde::Serialize;
use sqlx::FromRow;

use super::{
    Store, StoreError, Tx,
    sql::{Dialects, Query, among, from_rows, parse},
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
    hash: String,
    text: Option<String>,
    sealed: Option<String>,
    subject: Option<String>,
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
const LOAD: Dialects = among!(
    "SELECT b.hash, b.text, b.sealed, b.subject FROM body b WHERE b.hash",
    "r.value->>0",
    ""
);
const LOAD_SUBJECTS: Dialects =
    among!("SELECT b.hash, b.subject FROM body b WHERE b.hash", "r.value->>0", "");
const LOAD_KEYS: Dialects =
    among!("SELECT k.subject, k.key FROM subject_key k WHERE k.subject", "r.value->>0", "");

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
    /// The texts with these hashes, as far as they are there.
    pub async fn bodies(
        &self,
        hashes: &BTreeSet<Sha256>,
    ) -> Result<BTreeMap<Sha256, Body>, StoreError> {
        if hashes.is_empty() {
            return Ok(BTreeMap::new());
        }
        let rows: Vec<[Sha256; 1]> = hashes.iter().map(|hash| [*hash]).collect();
        let found: Vec<Row> = self.db.fetch(Query::over("reading texts", LOAD, &rows)?).await?;
        let body = |Row { hash, text, sealed, subject }| {
            let hash = parse("body.hash", &hash)?;
            Ok((hash, Body { hash, text, sealed, subject }))
        };
        found.into_iter().map(body).collect()
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
