//! The keys of sealed texts in a file of their own.
//!
//! They are in no file of the log and in no copy of it, as an erasure would destroy nothing then. So a database that is
//! made anew from files has sealed texts that nobody can read, until the keys come back from a backup of the database or
//! from such a file. Nothing that the log has erased comes back with them: a key is taken when it opens a text that
//! is there, and texts that were erased are not.

use std::path::Path;

use mesh_fabric::{files::write_private, time};
use mesh_schemas::{ErrorCode, Problem};
use serde::{Deserialize, Serialize};

use crate::{
    rebuild::{current, projections},
    registry::{self, Place},
    seal::SubjectKey,
    store::Store,
};

/// The file's form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Of which log, for people.
    origin: String,
    keys: Vec<Kept>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    subject: String,
    key: String,
}

/// What became of the keys in a file.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Taken.
    pub taken: u64,
    /// There already.
    pub known: u64,
    /// Left out: they open no text that is there, as those of erased subjects.
    pub left_out: u64,
    /// Left out: the subject has another key here, which stays.
    pub conflicting: u64,
}

/// Writes all keys to a file that only this user may read; how many. A registry may run meanwhile.
///
/// # Errors
/// `E_NOT_FOUND` when there is no ledger, `E_STORE_DOWN`, `E_FILE` when the file cannot be written.
pub async fn export(place: &Place, file: &Path) -> Result<u64, Problem> {
    let store = registry::snapshot(place).await?;
    let origin = current(&store).await?.origin;
    let subjects = store.subjects_with_keys().await?;
    let keys = store.subject_keys(subjects.into_iter().collect()).await?;
    store.close().await;
    let keys = keys.into_iter().map(|(subject, key)| Kept { subject, key: key.stored() });
    let out = File { origin, keys: keys.collect() };
    let bytes = serde_json::to_vec_pretty(&out).unwrap_or_default();
    write_private(file, &bytes).map_err(|error| unusable(file, "written", &error.to_string()))?;
    Ok(count(out.keys.len()))
}

/// Takes the keys that are missing, and makes the projections of the texts that they open.
///
/// # Errors
/// `E_LOCKED` while a registry runs, `E_NOT_FOUND` when there is no ledger, `E_FILE` when the file cannot be read.
pub async fn import(place: &Place, file: &Path) -> Result<Imported, Problem> {
    let bytes = std::fs::read(file).map_err(|error| unusable(file, "read", &error.to_string()))?;
    // The error text of serde_json could repeat a key; its place cannot.
    let read: File = serde_json::from_slice(&bytes)
        .map_err(|error| unusable(file, "read", &format!("line {}", error.line())))?;
    let (store, lock) = registry::open_existing(place).await?;
    let log = current(&store).await?;
    let (mut imported, mut taken) = (Imported::default(), Vec::new());
    for Kept { subject, key } in read.keys {
        let key = SubjectKey::parse(&key)
            .ok_or_else(|| unusable(file, "read", &format!("the key of {subject} is none")))?;
        let known = store.subject_keys([subject.clone()].into()).await?;
        match known.get(&subject) {
            Some(known) if known.bytes() == key.bytes() => imported.known += 1,
            Some(_) => imported.conflicting += 1,
            None if opens(&store, &subject, &key).await? => taken.push((subject, key)),
            None => imported.left_out += 1,
        }
    }
    let doing = "taking keys in";
    let mut tx = store.begin(&lock, doing).await?;
    for (subject, key) in &taken {
        tx.insert_subject_key(subject, key, time::now()).await?;
    }
    tx.commit(doing).await?;
    imported.taken = count(taken.len());
    projections(&store, &lock, log.version).await?;
    store.close().await;
    Ok(imported)
}

async fn opens(store: &Store, subject: &str, key: &SubjectKey) -> Result<bool, Problem> {
    let bodies = store.bodies_of(subject).await?;
    let opens = |sealed: &str, hash| key.open(hash, sealed).is_some();
    Ok(bodies
        .iter()
        .any(|body| body.sealed.as_ref().is_some_and(|sealed| opens(sealed, &body.hash))))
}

fn unusable(file: &Path, what: &str, why: &str) -> Problem {
    let detail = format!("{} cannot be {what}: {why}", file.display());
    Problem::new(ErrorCode::File, detail)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
