//! Appending: from the right edge of a log and new entries to the files to write and the new root.
//!
//! The edge is what is not yet full: at most 255 hashes a level and 255 entries, whatever the size of the
//! log. [`Edge::integrate`] changes nothing: it gives the next edge, and the same files for the same
//! entries as often as it is asked, so a shell that was killed asks again. Write the files in the given
//! order, make them durable, then sign [`Edge::head`], then publish that. A full tile never changes and
//! a partial one has its width in its name, so no file is ever written with other bytes than before.

use crate::{
    bundle::{self, BundleError},
    hash::{EMPTY_ROOT, Hash, TreeHead, leaf_hash, node_hash},
    read::{self, ReadTiles, TileError},
    text::SIZE_MAX,
    tile::{Level, TILE_WIDTH, Tile},
};

/// The right edge of a log: enough to append to it and to know its root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// The hashes of each level's partial tile, possibly none; lowest level first.
    levels: Vec<Vec<Hash>>,
    /// The partial bundle.
    bundle: Vec<u8>,
}

/// A file to write: where, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileFile {
    /// Where it belongs.
    pub tile: Tile,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// Why entries cannot be appended. None of them is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntegrateError {
    /// An entry is longer than [`ENTRY_BYTES_MAX`](crate::ENTRY_BYTES_MAX).
    #[error("entry {entry} of the batch has {bytes} bytes, more than 65535")]
    EntryTooLong {
        /// Its place in the batch, from 0.
        entry: usize,
        /// How long it is.
        bytes: usize,
    },
    /// The log would have more than [`SIZE_MAX`] leaves.
    #[error("the log would be larger than any log can be")]
    LogFull,
}

/// Why the edge of a log cannot be had from its files.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError<E: std::error::Error + 'static> {
    /// A file is missing, cannot be read or has the wrong length.
    #[error(transparent)]
    Tile(#[from] TileError<E>),
    /// The partial bundle is no bundle of its width.
    #[error("{tile} is damaged")]
    Bundle {
        /// The bundle.
        tile: Tile,
        /// What is wrong with it.
        source: BundleError,
    },
    /// An entry is not what its leaf hash says.
    #[error("entry {index} is not what the tree says it is")]
    Entry {
        /// The entry's index in the log.
        index: u64,
    },
    /// The partial tiles give another root than the log has at this size.
    #[error("the partial tiles give the root {actual} instead of {expected}")]
    Root {
        /// The root asked for.
        expected: Hash,
        /// The root they give.
        actual: Hash,
    },
}

impl Edge {
    /// The edge of a log in which nothing is yet.
    pub fn empty() -> Edge {
        Edge::default()
    }

    /// Reads the edge of a log of this head, at most nine files ([`Tile::edge`]), and checks that it has
    /// this root and that the entries in it are those of the tree.
    pub fn load<R: ReadTiles>(reader: &R, head: TreeHead) -> Result<Edge, EdgeError<R::Error>> {
        let levels = load_levels(reader, head.size)?;
        let actual = root(&levels);
        if actual != head.root {
            return Err(EdgeError::Root { expected: head.root, actual });
        }
        let bundle = load_bundle(reader, head.size, levels.first().map_or(&[], |level| level))?;
        Ok(Edge { size: head.size, levels, bundle })
    }

    /// How large the log is, and its root.
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: root(&self.levels) }
    }

    /// Appends entries: the edge behind them, and each tile and bundle that is new or wider than before.
    /// Memory is that of the files: cut very large batches.
    pub fn integrate<B: AsRef<[u8]>>(
        &self,
        entries: &[B],
    ) -> Result<(Edge, Vec<TileFile>), IntegrateError> {
        let mut edge = self.clone();
        let mut files = Vec::new();
        for (entry, bytes) in entries.iter().map(AsRef::as_ref).enumerate() {
            if edge.size >= SIZE_MAX {
                return Err(IntegrateError::LogFull);
            }
            if !bundle::push_entry(&mut edge.bundle, bytes) {
                return Err(IntegrateError::EntryTooLong { entry, bytes: bytes.len() });
            }
            edge.size += 1;
            edge.push(leaf_hash(bytes), &mut files);
        }
        edge.push_partial(self.size, &mut files);
        Ok((edge, files))
    }

    /// Adds the leaf, and closes each tile that it fills.
    fn push(&mut self, leaf: Hash, files: &mut Vec<TileFile>) {
        let mut hash = leaf;
        for level in 0_u8.. {
            let at = usize::from(level);
            if self.levels.len() == at {
                self.levels.push(Vec::new());
            }
            let tile = &mut self.levels[at];
            tile.push(hash);
            if tile.len() < usize::from(TILE_WIDTH) {
                return;
            }
            hash = subtree_root(tile);
            let tile = std::mem::take(tile);
            if level == 0 {
                let bundle = std::mem::take(&mut self.bundle);
                files.extend(self.file(Level::Entries, bundle));
            }
            files.extend(self.file(Level::Hashes(level), to_bytes(&tile)));
        }
    }

    fn push_partial(&self, old_size: u64, files: &mut Vec<TileFile>) {
        for (level, hashes) in (0_u8..).zip(&self.levels) {
            let grew = self.size >> (8 * level) != old_size >> (8 * level);
            if hashes.is_empty() || !grew {
                continue;
            }
            if level == 0 {
                files.extend(self.file(Level::Entries, self.bundle.clone()));
            }
            files.extend(self.file(Level::Hashes(level), to_bytes(hashes)));
        }
    }

    /// The last tile of a level, which has these bytes.
    fn file(&self, level: Level, bytes: Vec<u8>) -> Option<TileFile> {
        let shift = match level {
            Level::Entries => 0,
            Level::Hashes(level) => 8 * level,
        };
        let last = (self.size >> shift).checked_sub(1)?;
        let tile = Tile::in_log(level, last / u64::from(TILE_WIDTH), self.size)?;
        Some(TileFile { tile, bytes })
    }
}

/// The hashes of the partial tiles of a log of this size, by level.
pub(crate) fn load_levels<R: ReadTiles>(
    reader: &R,
    size: u64,
) -> Result<Vec<Vec<Hash>>, TileError<R::Error>> {
    let mut levels: Vec<Vec<Hash>> = Vec::new();
    for tile in Tile::edge(size) {
        if let Level::Hashes(level) = tile.level() {
            levels.resize(usize::from(level), Vec::new());
            levels.push(read::hashes(reader, tile)?);
        }
    }
    Ok(levels)
}

fn load_bundle<R: ReadTiles>(
    reader: &R,
    size: u64,
    leaves: &[Hash],
) -> Result<Vec<u8>, EdgeError<R::Error>> {
    let Some(tile) = Tile::in_log(Level::Entries, size / u64::from(TILE_WIDTH), size) else {
        return Ok(Vec::new());
    };
    let (found, bytes) = read::bytes(reader, tile)?;
    let entries = bundle::decode_bundle(&bytes, found.width())
        .map_err(|source| EdgeError::Bundle { tile: found, source })?;
    let mut kept = Vec::new();
    for ((index, entry), leaf) in (tile.first_leaf()..).zip(entries).zip(leaves) {
        if leaf_hash(entry) != *leaf {
            return Err(EdgeError::Entry { index });
        }
        bundle::push_entry(&mut kept, entry);
    }
    Ok(kept)
}

fn to_bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// All perfect subtrees over these hashes: `[k]` are those of `2^k` hashes, left to right.
pub(crate) fn pyramid(hashes: Vec<Hash>) -> Vec<Vec<Hash>> {
    let mut rows = vec![hashes];
    while let Some(row) = rows.last().filter(|row| row.len() > 1) {
        let (pairs, _) = row.as_chunks::<2>();
        let above = pairs.iter().map(|[left, right]| node_hash(*left, *right)).collect();
        rows.push(above);
    }
    rows
}

/// The root over a full tile.
pub(crate) fn subtree_root(tile: &[Hash]) -> Hash {
    pyramid(tile.to_vec()).pop().and_then(|top| top.first().copied()).unwrap_or(EMPTY_ROOT)
}

/// The root of a log from the hashes of its partial tiles, lowest level first.
pub(crate) fn root(levels: &[Vec<Hash>]) -> Hash {
    let mut root = None;
    for level in levels {
        for row in pyramid(level.clone()) {
            // A row of odd length ends with a subtree that has no sibling within its tile.
            if let Some(last) = row.last().filter(|_| row.len() % 2 == 1) {
                root = Some(root.map_or(*last, |right| node_hash(*last, right)));
            }
        }
    }
    root.unwrap_or(EMPTY_ROOT)
}
