//! The auditor: goes through a log from its first entry to its last and finds the first fault.
//!
//! It works from the signed root down. The partial tiles of the right edge must give the root; each full
//! tile must give the hash that the tile above has for it; each entry must give its leaf hash. So every
//! byte of every tile is tied to the root, and a fault is found in the file that has it: where entries
//! and a tile disagree, the tile above says which of them is right. Memory: one tile a level, one bundle.

use std::{error::Error, fmt};

use crate::{
    bundle,
    edge::{load_levels, root, subtree_root},
    hash::{Hash, TreeHead, leaf_hash},
    read::{self, ReadTiles, TileError},
    tile::{Level, TILE_WIDTH, Tile},
};

/// An audit on its way through a log: gives each bundle once it is found to be sound, and ends at the
/// first fault. Go through all of it: what was not asked for was not audited.
#[derive(Debug)]
pub struct Audit<R> {
    reader: R,
    head: TreeHead,
    /// The index of the next bundle; none behind a fault.
    next: Option<u64>,
    /// By level: the partial tile's hashes.
    edge: Vec<Vec<Hash>>,
    /// By level: the full tile that was checked last, and its hashes.
    full: Vec<(Option<u64>, Vec<Hash>)>,
}

/// A bundle whose entries are those that the log has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedBundle {
    tile: Tile,
    bytes: Vec<u8>,
}

impl AuditedBundle {
    /// The entries, each with its index in the log.
    pub fn entries(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut rest = self.bytes.as_slice();
        let entries = std::iter::from_fn(move || {
            let (entry, behind) = bundle::split_entry(rest)?;
            rest = behind;
            Some(entry)
        });
        (self.tile.first_leaf()..).zip(entries)
    }
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not there.
    #[error("is missing")]
    Missing,
    /// It has the wrong length.
    #[error("has {actual} bytes instead of {expected}")]
    Length {
        /// How long it should be.
        expected: usize,
        /// How long it is.
        actual: usize,
    },
    /// A tile's hash is another than that of what lies below it.
    #[error("has a hash that is not that of what lies below it")]
    Hash,
    /// A bundle's entry is another than the one that was signed, or the bundle ends before it.
    #[error("has another entry than the tree")]
    Entry,
    /// A bundle goes on behind its last entry.
    #[error("goes on behind its last entry")]
    Trailing,
    /// The tiles do not give the root, and no single file explains it: several are wrong, or all belong
    /// to another log.
    #[error("the tiles do not give the signed root")]
    Root,
}

/// The first fault of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file that has it; none for [`Fault::Root`].
    pub tile: Option<Tile>,
    /// The first entry that is bad, or whose place in the tree is.
    pub index: u64,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}: ", self.index)?;
        self.tile.iter().try_for_each(|tile| write!(f, "{tile} "))?;
        write!(f, "{}", self.fault)
    }
}

/// Why an audit ended early.
#[derive(Debug, thiserror::Error)]
pub enum AuditError<E: Error + 'static> {
    /// A file could not be read, which says nothing about the log.
    #[error("failed to read {tile}")]
    Read {
        /// Which.
        tile: Tile,
        /// What the reader said.
        source: E,
    },
    /// The log is not what was signed.
    #[error("{0}")]
    Found(Finding),
}

impl<E: Error> From<TileError<E>> for AuditError<E> {
    fn from(error: TileError<E>) -> Self {
        let (tile, fault) = match error {
            TileError::Read { tile, source } => return AuditError::Read { tile, source },
            TileError::Missing { tile } => (tile, Fault::Missing),
            TileError::Length { tile, expected, actual } => {
                (tile, Fault::Length { expected, actual })
            }
        };
        found(tile, tile.first_leaf(), fault)
    }
}

fn found<E: Error>(tile: Tile, index: u64, fault: Fault) -> AuditError<E> {
    AuditError::Found(Finding { tile: Some(tile), index, fault })
}

impl<R: ReadTiles> Audit<R> {
    /// Begins the audit of the log that has this head; takes it from a checkpoint whose signatures were
    /// checked. Reads the partial tiles.
    pub fn begin(reader: R, head: TreeHead) -> Result<Self, AuditError<R::Error>> {
        let edge = load_levels(&reader, head.size)?;
        if root(&edge) != head.root {
            return Err(AuditError::Found(blame_edge(&reader, head, &edge)));
        }
        let full = vec![(None, Vec::new()); edge.len()];
        Ok(Audit { reader, head, next: Some(0), edge, full })
    }

    /// Leaves out all bundles in front of the one with this entry, and the tiles over them alone: for who
    /// has audited those before and has proof that the log continues what it was.
    #[must_use]
    pub fn starting_at(mut self, index: u64) -> Self {
        self.next = Some(index / u64::from(TILE_WIDTH));
        self
    }

    fn bundle(&mut self, index: u64) -> Result<Option<AuditedBundle>, AuditError<R::Error>> {
        let Some(tile) = Tile::in_log(Level::Entries, index, self.head.size) else {
            return Ok(None);
        };
        let (file, mut bytes) = read::bytes(&self.reader, tile)?;
        let mut rest = bytes.as_slice();
        for (index, leaf) in (tile.first_leaf()..).zip(self.checked(0, index)?) {
            match bundle::split_entry(rest) {
                Some((entry, behind)) if leaf_hash(entry) == *leaf => rest = behind,
                Some(_) | None => return Err(found(file, index, Fault::Entry)),
            }
        }
        let behind = rest.len();
        if behind > 0 && file == tile {
            let last = tile.first_leaf() + u64::from(tile.width()) - 1;
            return Err(found(file, last, Fault::Trailing));
        }
        bytes.truncate(bytes.len() - behind);
        Ok(Some(AuditedBundle { tile, bytes }))
    }

    /// The hashes of a tile, which are those under the root.
    fn checked(&mut self, level: u8, index: u64) -> Result<&[Hash], AuditError<R::Error>> {
        let at = usize::from(level);
        if index == self.head.size.unbounded_shr(8 * (u32::from(level) + 1)) {
            return Ok(&self.edge[at]);
        }
        if self.full[at].0 != Some(index) {
            let expected = self.checked(level + 1, index >> 8)?[(index & 255) as usize];
            let tile = Tile::in_log(Level::Hashes(level), index, self.head.size)
                .expect("all tiles left of the edge are full");
            let hashes = read::hashes(&self.reader, tile)?;
            if subtree_root(&hashes) != expected {
                let differences = differences(&self.reader, self.head.size, tile, &hashes);
                let position = differences.first().map_or(0, |(position, _)| *position);
                return Err(found(tile, tile.leaf_of(position), Fault::Hash));
            }
            self.full[at] = (Some(index), hashes);
        }
        Ok(&self.full[at].1)
    }
}

impl<R: ReadTiles> Iterator for Audit<R> {
    type Item = Result<AuditedBundle, AuditError<R::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.next.take()?;
        let bundle = self.bundle(index).transpose()?;
        if bundle.is_ok() {
            self.next = Some(index + 1);
        }
        Some(bundle)
    }
}

/// Finds the partial tile that is wrong: the one which, made anew from what lies below, gives the root.
fn blame_edge<R: ReadTiles>(reader: &R, head: TreeHead, edge: &[Vec<Hash>]) -> Finding {
    let mut repaired = edge.to_vec();
    let mut first: Option<(u64, Tile)> = None;
    for tile in Tile::edge(head.size) {
        let Level::Hashes(level) = tile.level() else { continue };
        let hashes = &mut repaired[usize::from(level)];
        for (position, right) in differences(reader, head.size, tile, hashes) {
            hashes[usize::from(position)] = right;
            let here = (tile.leaf_of(position), tile);
            first = Some(first.map_or(here, |first| first.min(here)));
        }
    }
    let explained = root(&repaired) == head.root;
    let index = first.map_or(0, |(index, _)| index);
    match first.filter(|_| explained) {
        Some((index, tile)) => Finding { tile: Some(tile), index, fault: Fault::Hash },
        None => Finding { tile: None, index, fault: Fault::Root },
    }
}

/// Which of a tile's hashes are not those of what lies below it, and what they would be. What cannot be
/// read does not count.
fn differences<R: ReadTiles>(
    reader: &R,
    size: u64,
    tile: Tile,
    hashes: &[Hash],
) -> Vec<(u16, Hash)> {
    let below = (0..).zip(below(reader, size, tile)).zip(hashes);
    let differing = below.filter_map(|((position, below), hash)| {
        below.filter(|below| below != hash).map(|below| (position, below))
    });
    differing.collect()
}

/// The hashes that a tile should have, from the entries or the tiles right below it.
fn below<R: ReadTiles>(reader: &R, size: u64, tile: Tile) -> Vec<Option<Hash>> {
    let child = |level, index| Tile::in_log(level, index, size);
    match tile.level() {
        Level::Entries => Vec::new(),
        Level::Hashes(0) => {
            let bundle = child(Level::Entries, tile.index());
            let bytes = bundle.and_then(|bundle| read::bytes(reader, bundle).ok());
            let mut rest = bytes.as_ref().map_or(&[][..], |(_, bytes)| bytes);
            let mut next = || {
                let (entry, behind) = bundle::split_entry(rest)?;
                rest = behind;
                Some(leaf_hash(entry))
            };
            (0..tile.width()).map(|_| next()).collect()
        }
        Level::Hashes(level) => {
            let first = tile.index() * u64::from(TILE_WIDTH);
            let root = |index| {
                let tile = child(Level::Hashes(level - 1), index)?;
                read::hashes(reader, tile).ok().map(|hashes| subtree_root(&hashes))
            };
            (first..first + u64::from(tile.width())).map(root).collect()
        }
    }
}
