//! Making proofs from tiles. Each proof is checked before it is given out, so a damaged tile leads to an
//! error and never to a wrong proof.

use std::collections::BTreeMap;

use crate::{
    edge,
    hash::{EMPTY_ROOT, Hash, TreeHead, node_hash},
    proof::{self, ProofError},
    read::{self, ReadTiles, TileError},
    shape::{self, Node, Range},
    tile::{Level, Tile},
};

/// How many tiles a prover remembers, each with all the subtrees over it: about 16 KiB a tile.
const TILES_REMEMBERED_MAX: usize = 256;

/// Makes proofs for a log of one head, reading at most a few tiles for each. It remembers tiles: keep it
/// for as many proofs as there are to make, and make a new one for a new head.
#[derive(Debug)]
pub struct Prover<R> {
    reader: R,
    head: TreeHead,
    /// For each tile the rows of subtrees over it.
    tiles: BTreeMap<Tile, Vec<Vec<Hash>>>,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError<E: std::error::Error + 'static> {
    /// A tile is missing, cannot be read or has the wrong length.
    #[error(transparent)]
    Tile(#[from] TileError<E>),
    /// There is no such leaf, the old log is larger than the new one, or the tiles do not give the root
    /// of the head ([`ProofError::Root`]): then some are damaged or of another log, and an audit names them.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl<R: ReadTiles> Prover<R> {
    /// Makes proofs for the log of this head, whose tiles the reader reads.
    pub fn new(reader: R, head: TreeHead) -> Self {
        Prover { reader, head, tiles: BTreeMap::new() }
    }

    /// The hash of the leaf at `index`, as the tiles say.
    pub fn leaf(&mut self, index: u64) -> Result<Hash, ProveError<R::Error>> {
        if index >= self.head.size {
            return Err(ProofError::NoSuchLeaf { index, size: self.head.size }.into());
        }
        Ok(self.node(Node { height: 0, index })?)
    }

    /// Proves that the leaf at `index` is in the log.
    pub fn inclusion(&mut self, index: u64) -> Result<Vec<Hash>, ProveError<R::Error>> {
        let leaf = self.leaf(index)?;
        let proof = self.ranges(shape::inclusion(index, self.head.size))?;
        proof::verify_inclusion(self.head, index, leaf, &proof)?;
        Ok(proof)
    }

    /// Proves that the log begins with all that it was when it had `old_size` leaves.
    pub fn consistency(&mut self, old_size: u64) -> Result<Vec<Hash>, ProveError<R::Error>> {
        let old = TreeHead { size: old_size, root: self.root_at(old_size)? };
        if old_size == 0 {
            return Ok(Vec::new());
        }
        let proof = self.ranges(shape::consistency(old_size, self.head.size))?;
        proof::verify_consistency(old, self.head, &proof)?;
        Ok(proof)
    }

    /// The root that the log had when it had `old_size` leaves, as the tiles say.
    pub fn root_at(&mut self, old_size: u64) -> Result<Hash, ProveError<R::Error>> {
        if old_size > self.head.size {
            return Err(ProofError::Shrunk { old: old_size, new: self.head.size }.into());
        }
        Ok(self.range(Range { lo: 0, hi: old_size })?)
    }

    fn ranges(&mut self, ranges: Vec<Range>) -> Result<Vec<Hash>, TileError<R::Error>> {
        ranges.into_iter().map(|range| self.range(range)).collect()
    }

    fn range(&mut self, range: Range) -> Result<Hash, TileError<R::Error>> {
        let mut root = None;
        for node in range.nodes().into_iter().rev() {
            let left = self.node(node)?;
            root = Some(root.map_or(left, |right| node_hash(left, right)));
        }
        Ok(root.unwrap_or(EMPTY_ROOT))
    }

    fn node(&mut self, node: Node) -> Result<Hash, TileError<R::Error>> {
        let (tile, row, position) = place(node, self.head.size);
        if !self.tiles.contains_key(&tile) {
            if self.tiles.len() == TILES_REMEMBERED_MAX {
                self.tiles.clear();
            }
            let rows = edge::pyramid(read::hashes(&self.reader, tile)?);
            self.tiles.insert(tile, rows);
        }
        Ok(self.tiles[&tile][row][position])
    }
}

/// The tiles that a proof of this leaf is made from: fetch them, then prove from the map.
pub fn inclusion_tiles(index: u64, size: u64) -> Vec<Tile> {
    if index >= size {
        return Vec::new();
    }
    let leaf = Range { lo: index, hi: index + 1 };
    tiles(shape::inclusion(index, size).into_iter().chain([leaf]), size)
}

/// The tiles that a proof from the old to the new size is made from: fetch them, then prove from the map.
pub fn consistency_tiles(old_size: u64, new_size: u64) -> Vec<Tile> {
    if old_size == 0 || old_size > new_size {
        return Vec::new();
    }
    let old = Range { lo: 0, hi: old_size };
    tiles(shape::consistency(old_size, new_size).into_iter().chain([old]), new_size)
}

fn tiles(ranges: impl Iterator<Item = Range>, size: u64) -> Vec<Tile> {
    let nodes = ranges.flat_map(Range::nodes);
    let mut tiles: Vec<Tile> = nodes.map(|node| place(node, size).0).collect();
    tiles.sort_unstable();
    tiles.dedup();
    tiles
}

/// The tile over which the node stands, in which row above it, and where in that.
fn place(node: Node, size: u64) -> (Tile, usize, usize) {
    let row = node.height % 8;
    let first = node.index << row;
    let level = Level::Hashes(((node.height / 8) & 7) as u8);
    let tile = Tile::in_log(level, first >> 8, size).expect("a proof's nodes are within the log");
    (tile, row as usize, ((first & 255) >> row) as usize)
}
