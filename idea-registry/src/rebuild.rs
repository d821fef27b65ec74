//! Making one half of the log from the other, and its projections anew.

use mesh_fabric::time;
use mesh_ideas_core::{entry_id, parse_leaf};
use mesh_schemas::{ErrorCode, Problem, idea::Sha256};
use mesh_tlog::{Audit, AuditedBundle, TrustedLog, VerifierKey, leaf_hash};
use serde::Serialize;

use crate::{
    identity::Identity,
    integrate::rebuild_tiles,
    registry::{self, Place},
    replay,
    store::{CheckpointRow, Cursor, Leaf, LogRow, Store, WriterLock},
    tiles::TileDir,
};

/// What was made.
#[derive(Debug, Serialize)]
pub struct Rebuilt {
    /// The log.
    pub origin: String,
    /// Its leaves.
    pub entries: u64,
    /// Rows of leaves that were missing.
    pub leaves_added: u64,
    /// Size of what was signed.
    pub signed: u64,
}

/// From the rows of leaves: all tiles up to the last checkpoint, and all projections.
///
/// # Errors
/// `E_LOCKED` while a registry runs, `E_INTEGRITY` when a leaf is missing or is not what its hash says, or the
/// tiles are not those of the checkpoint.
pub async fn from_leaves(place: &Place) -> Result<Rebuilt, Problem> {
    let (store, lock) = registry::open(place).await?;
    let log = current(&store).await?;
    let tiles = TileDir::of_log(&place.data, log.version);
    let last = store.last_checkpoint(log.version).await?;
    let signed = last.map_or(0, |last| last.size);
    let head = rebuild_tiles(&store, log.version, &tiles, signed).await?;
    if let Some(last) = last.filter(|last| last.root.0 != head.root.0 || last.size != head.size) {
        let detail = format!("the leaves do not give the checkpoint of {} entries", last.size);
        return Err(Problem::new(ErrorCode::Integrity, detail)
            .hint("`mesh-ideas verify` names the first bad leaf"));
    }
    let entries = projections(&store, &lock, log.version).await?;
    store.close().await;
    Ok(Rebuilt { origin: log.origin, entries, leaves_added: 0, signed })
}

/// From tiles and bundles, which the signed checkpoint on disk speaks for: rows of leaves that are missing, and
/// all projections. Rows that are there must be the same.
///
/// # Errors
/// As [`from_leaves`], and `E_INTEGRITY` naming the tile that is damaged.
pub async fn from_tiles(place: &Place) -> Result<Rebuilt, Problem> {
    let (store, lock) = registry::open(place).await?;
    // It begins the log when the database is empty.
    let identity = Identity::open(&place.data, place.origin.as_deref(), &store, &lock).await?;
    let log = identity.row();
    let tiles = TileDir::of_log(&place.data, log.version);
    let checkpoint = signed(&tiles, &trusted(&log)?)?;
    let head = checkpoint.head();
    let audit = Audit::begin(&tiles, head).map_err(|error| damaged(&error))?;
    let mut leaves_added = 0;
    for bundle in audit {
        let bundle = bundle.map_err(|error| damaged(&error))?;
        leaves_added += add(&store, &lock, log.version, &bundle).await?;
    }
    keep_checkpoint(&store, &lock, log.version, head).await?;
    let entries = projections(&store, &lock, log.version).await?;
    store.close().await;
    Ok(Rebuilt { origin: log.origin, entries, leaves_added, signed: head.size })
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

/// Adds the leaves of a bundle that are missing.
async fn add(
    store: &Store,
    lock: &WriterLock,
    log: u32,
    bundle: &AuditedBundle,
) -> Result<u64, Problem> {
    let leaves = bundle.entries().map(leaf).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = leaves.first() else { return Ok(0) };
    let there = store.leaves(log, first.index, u64::from(mesh_tlog::TILE_WIDTH)).await?;
    for (there, leaf) in there.iter().zip(&leaves) {
        if there != leaf {
            let detail = format!("the row of the leaf {} is not what was signed", leaf.index);
            return Err(Problem::new(ErrorCode::Integrity, detail)
                .hint("begin with an empty database, or put a good backup back"));
        }
    }
    let missing = leaves.get(there.len()..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(0);
    }
    let doing = "adding leaves from tiles";
    let mut tx = store.begin(lock, doing).await?;
    tx.insert_leaves(log, missing).await?;
    // Should this process die before it has made them, the next start does.
    let none = Cursor { value: 0, detail: String::new() };
    tx.set_cursor(replay::PROJECTIONS_CURSOR, &none).await?;
    tx.commit(doing).await?;
    Ok(u64::try_from(missing.len()).unwrap_or(u64::MAX))
}

fn leaf((index, bytes): (u64, &[u8])) -> Result<Leaf, Problem> {
    let bad = |what: &str| Problem::new(ErrorCode::Integrity, format!("the entry {index}: {what}"));
    let entry = parse_leaf(bytes).map_err(|problem| bad(&problem.detail))?;
    let data = String::from_utf8(bytes.to_vec()).map_err(|_| bad("it is not UTF-8"))?;
    Ok(Leaf { index, id: entry_id(&entry), hash: Sha256(leaf_hash(bytes).0), data })
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

async fn projections(store: &Store, lock: &WriterLock, log: u32) -> Result<u64, Problem> {
    let doing = "making the projections anew";
    let mut tx = store.begin(lock, doing).await?;
    let entries = replay::projections(store, &mut tx, log).await?;
    tx.commit(doing).await?;
    Ok(entries)
}

fn damaged(error: &mesh_tlog::AuditError<std::io::Error>) -> Problem {
    Problem::new(ErrorCode::Integrity, mesh_fabric::error::chain(error))
}
