//! At the start: what was signed before, and whether the leaves still say so.

use mesh_fabric::error::chain;
use mesh_schemas::{ErrorCode, Problem, idea::Sha256};
use mesh_tlog::{Edge, Hash, TreeHead, leaf_hash};
use tracing::{info, warn};

use super::head::{Head, Judgement, Seen};
use crate::{
    halt::Halt,
    identity::Identity,
    pack::Packer,
    store::{CheckpointRow, Leaf, Store},
    tiles::TileDir,
};

/// Leaves that are made into tiles at once.
pub(super) const CHUNK: u64 = 1_024;

/// The edge at the last row of a checkpoint, with its tiles on disk. Halts when what was signed before and
/// the leaves do not fit together.
pub(super) async fn edge(
    store: &Store,
    identity: &Identity,
    head: &Head,
    halt: &Halt,
) -> Result<Edge, Problem> {
    let log = identity.version;
    let last = store.last_checkpoint(log).await?.map_or(TreeHead::EMPTY, tree_head);
    head.tiles().sync(last.size, CHUNK).map_err(|error| {
        Problem::new(ErrorCode::Io, format!("cannot make the log's files durable: {error}"))
            .hint("check that the disk is writable and not full")
    })?;
    let edge = match Edge::load(head.tiles(), last) {
        Ok(edge) => edge,
        Err(error) => {
            warn!("Making the tiles anew from the leaves: {}", chain(&error));
            rebuild(store, log, head.tiles(), last.size).await?.edge
        }
    };
    if edge.head() != last {
        let (row, found) = (last.size, edge.head().size);
        let detail =
            format!("the checkpoint of {row} entries does not fit the {found} leaves there are");
        let code = if found < row { ErrorCode::LedgerRollback } else { ErrorCode::LedgerFork };
        halt.halt(code, detail);
        return Ok(edge);
    }
    let seen = seen(store, identity, head).await?;
    if judge(head, &seen, last) == Judgement::Unread {
        warn!("Making the tiles anew from the leaves: they cannot be read");
        let edge = rebuild(store, log, head.tiles(), last.size).await?.edge;
        if judge(head, &seen, last) == Judgement::Unread {
            halt.halt(ErrorCode::Integrity, "the tiles cannot be read");
        }
        return Ok(edge);
    }
    Ok(edge)
}

/// Heads of this log that others may have seen, and where.
type SeenHeads = Vec<(TreeHead, &'static str)>;

/// The checkpoint on disk may be newer than a database that was put back from a backup; so may what a witness
/// cosigned.
async fn seen(store: &Store, identity: &Identity, head: &Head) -> Result<SeenHeads, Problem> {
    let read = head.tiles().checkpoint().map_err(|error| {
        Problem::new(ErrorCode::Io, format!("cannot read the published checkpoint: {error}"))
    })?;
    let mut seen = SeenHeads::new();
    let log = identity.trusted()?;
    match read.map(|bytes| log.open(&bytes)) {
        Some(Ok(published)) => seen.push((published.head(), "on disk")),
        Some(Err(error)) => warn!("The published checkpoint is written anew: {}", chain(&error)),
        None => {}
    }
    for cosigned in store.cosigned(identity.version).await? {
        seen.push((TreeHead { size: cosigned.size, root: Hash(cosigned.root.0) }, "at a witness"));
    }
    Ok(seen)
}

/// All of them; the worst that was found.
fn judge(head: &Head, seen: &SeenHeads, ours: TreeHead) -> Judgement {
    let judged = seen.iter().map(|(seen, place)| head.judge(&Seen { head: *seen, place }, ours));
    let judged: Vec<Judgement> = judged.collect();
    let found = |wanted| judged.contains(&wanted).then_some(wanted);
    found(Judgement::Halted).or_else(|| found(Judgement::Unread)).unwrap_or(Judgement::Ours)
}

/// Files that were made from rows.
#[derive(Debug)]
pub(crate) struct Made {
    edge: Edge,
    /// Texts that are nowhere.
    pub(crate) texts_missing: u64,
}

impl Made {
    /// The head that the tiles give.
    pub(crate) fn head(&self) -> TreeHead {
        self.edge.head()
    }
}

/// Makes all tiles and packs of a log anew; fewer when leaves are missing.
pub(crate) async fn rebuild(
    store: &Store,
    log: u32,
    tiles: &TileDir,
    size: u64,
) -> Result<Made, Problem> {
    let (mut edge, mut packer) = (Edge::empty(), Packer::new(store, log, tiles));
    let mut texts_missing = 0;
    while edge.head().size < size {
        let from = edge.head().size;
        let leaves = store.leaves(log, from, CHUNK.min(size - from)).await?;
        if leaves.is_empty() {
            break;
        }
        check(&edge, &leaves)?;
        let written = packer.write(&leaves).await?;
        edge = integrate(&edge, &leaves, tiles)?.0;
        packer.tidy(&written);
        texts_missing += written.missing;
    }
    info!(entries = edge.head().size, "Made the tiles anew");
    Ok(Made { edge, texts_missing })
}

/// The leaves follow the edge, and each is what its hash says.
pub(super) fn check(edge: &Edge, leaves: &[Leaf]) -> Result<(), Problem> {
    for (index, leaf) in (edge.head().size..).zip(leaves) {
        if leaf.index != index || Sha256(leaf_hash(leaf.data.as_bytes()).0) != leaf.hash {
            let detail = format!("the leaf {index} is missing or is not what its hash says");
            return Err(Problem::new(ErrorCode::Integrity, detail));
        }
    }
    Ok(())
}

/// Makes the tiles of the leaves that follow the edge durable; they were checked, and their texts are durable.
pub(super) fn integrate(
    edge: &Edge,
    leaves: &[Leaf],
    tiles: &TileDir,
) -> Result<(Edge, Vec<mesh_tlog::TileFile>), Problem> {
    let data: Vec<&[u8]> = leaves.iter().map(|leaf| leaf.data.as_bytes()).collect();
    let (edge, files) = edge.integrate(&data).map_err(|error| {
        Problem::new(ErrorCode::Internal, format!("the leaves give no tiles: {error}"))
    })?;
    tiles.write(&files).map_err(|error| {
        Problem::new(ErrorCode::Io, format!("cannot write tiles: {error}"))
            .hint("check that the disk is writable and not full")
    })?;
    Ok((edge, files))
}

/// A row as a head.
pub(super) const fn tree_head(row: CheckpointRow) -> TreeHead {
    TreeHead { size: row.size, root: Hash(row.root.0) }
}
