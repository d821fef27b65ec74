//! Making one half of the log from the other, and its projections anew: rows from files, files from rows, and files
//! from the copy in the object store.

mod erased;
mod fetch;
mod loading;
mod tiles;

use mesh_fabric::time;
use mesh_schemas::{ErrorCode, Problem, idea::Sha256};
use mesh_tlog::{TrustedLog, VerifierKey};
use serde::Serialize;

pub use tiles::{from_objects, from_tiles};

use crate::{
    absent, integrate,
    registry::{self, Place},
    replay,
    store::{CheckpointRow, LogRow, Store, WriterLock},
    tiles::TileDir,
};

/// What was made.
#[derive(Debug, Default, Serialize)]
pub struct Rebuilt {
    /// The log.
    pub origin: String,
    /// Its leaves.
    pub entries: u64,
    /// Rows of leaves that were missing.
    pub leaves_added: u64,
    /// Texts that were missing in the rows, or were not the right ones.
    pub texts_added: u64,
    /// Texts that are nowhere, though the log does not say that they were erased.
    pub texts_missing: u64,
    /// Size of what was signed.
    pub signed: u64,
}

/// From the rows of leaves: all tiles and packs of texts up to the last checkpoint, and all projections. A text that is in
/// no row is kept where a pack has it.
///
/// # Errors
/// `E_LOCKED` while a registry runs, `E_NOT_FOUND` when there is no ledger, `E_INTEGRITY` when a leaf is missing or is not what its hash says, or the
/// tiles are not those of the checkpoint.
pub async fn from_leaves(place: &Place) -> Result<Rebuilt, Problem> {
    let (store, lock) = registry::open_existing(place).await?;
    let log = current(&store).await?;
    let tiles = TileDir::of_log(&place.data, log.version);
    let last = store.last_checkpoint(log.version).await?;
    let signed = last.map_or(0, |last| last.size);
    let made = integrate::rebuild(&store, log.version, &tiles, signed).await?;
    let head = made.head();
    if let Some(last) = last.filter(|last| last.root.0 != head.root.0 || last.size != head.size) {
        let detail = format!("the leaves do not give the checkpoint of {} entries", last.size);
        return Err(Problem::new(ErrorCode::Integrity, detail)
            .hint("`mesh-ideas verify` names the first bad leaf"));
    }
    keep_texts(&store, &lock, log.version, (signed, made.texts_missing), true).await?;
    let entries = projections(&store, &lock, log.version).await?;
    store.close().await;
    let (origin, texts_missing) = (log.origin, made.texts_missing);
    Ok(Rebuilt { origin, entries, leaves_added: 0, texts_added: 0, texts_missing, signed })
}

/// The log that is current.
pub(crate) async fn current(store: &Store) -> Result<LogRow, Problem> {
    store.logs().await?.pop().ok_or_else(|| {
        Problem::new(ErrorCode::NotFound, "the database has no log")
            .hint("`mesh-ideas serve` begins one")
    })
}

/// The log as a verifier sees it.
pub(crate) fn trusted(log: &LogRow) -> Result<TrustedLog, Problem> {
    let key = VerifierKey::parse(&log.key).and_then(TrustedLog::from_key);
    key.map_err(|error| {
        let detail = format!("the key of the log {} cannot be used: {error}", log.origin);
        Problem::new(ErrorCode::Integrity, detail)
    })
}

/// The checkpoint on disk, signed by the log.
pub(crate) fn signed(
    tiles: &TileDir,
    log: &TrustedLog,
) -> Result<mesh_tlog::SignedCheckpoint, Problem> {
    let read = tiles.checkpoint().map_err(|error| {
        Problem::new(ErrorCode::Io, format!("cannot read the checkpoint: {error}"))
    })?;
    let bytes = read.ok_or_else(|| {
        let at = tiles.path().display();
        Problem::new(ErrorCode::NotFound, format!("there is no checkpoint in {at}"))
    })?;
    log.open(&bytes)
        .map_err(|error| Problem::new(ErrorCode::Integrity, format!("the checkpoint: {error}")))
}

async fn keep_checkpoint(
    store: &Store,
    lock: &WriterLock,
    log: u32,
    head: mesh_tlog::TreeHead,
) -> Result<(), Problem> {
    let row = CheckpointRow { size: head.size, root: Sha256(head.root.0) };
    match store.last_checkpoint(log).await? {
        Some(last) if last.size >= row.size => return Ok(()),
        _ if row.size == 0 => return Ok(()),
        _ => {}
    }
    let doing = "keeping a checkpoint";
    let mut tx = store.begin(lock, doing).await?;
    tx.insert_checkpoint(log, row, time::now()).await?;
    Ok(tx.commit(doing).await?)
}

/// Keeps how many texts are nowhere, and, if `packed`, that the others lie beside the tiles.
async fn keep_texts(
    store: &Store,
    lock: &WriterLock,
    log: u32,
    (size, missing): (u64, u64),
    packed: bool,
) -> Result<(), Problem> {
    let doing = "keeping which texts are there";
    let mut tx = store.begin(lock, doing).await?;
    absent::keep(&mut tx, log, missing).await?;
    if packed {
        integrate::keep_packed(store, &mut tx, log, size).await?;
    }
    Ok(tx.commit(doing).await?)
}

/// Makes all projections anew.
pub(crate) async fn projections(
    store: &Store,
    lock: &WriterLock,
    log: u32,
) -> Result<u64, Problem> {
    let doing = "making the projections anew";
    let mut tx = store.begin(lock, doing).await?;
    let entries = replay::projections(store, &mut tx, log).await?;
    tx.commit(doing).await?;
    Ok(entries)
}
