//! The log's files as they are fetched, and the proofs that are made of them here: whoever answers need not be asked for a
//! proof to exactly the head that was accepted.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io,
    path::{Path, PathBuf},
};

use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use mesh_ideas_core::parse_leaf;
use mesh_schemas::{ErrorCode, Problem, idea::Entry};
use mesh_tlog::{
    HASH_BYTES, Hash, Level, ProveError, Prover, ReadTiles, TILE_WIDTH, Tile, TreeHead,
    consistency_tiles, decode_bundle, inclusion_tiles, leaf_hash, verify_consistency,
};

use crate::client::Client;

/// Files of a log that are asked for at a time.
const TILES_IN_FLIGHT_MAX: usize = 16;

/// Tiles in memory.
type Tiles = BTreeMap<Tile, Vec<u8>>;

/// Where the files of one log are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) client: &'a Client,
    /// The version of the origin, when it is not the latest log that is meant.
    pub(super) version: Option<u32>,
}

impl Source<'_> {
    /// A tile, or the full one at its place: a log that has grown meanwhile may have that alone.
    pub(super) async fn tile(&self, tile: &Tile) -> Result<(Tile, Vec<u8>), Problem> {
        match self.bytes(tile).await {
            Err(problem) if problem.code == ErrorCode::NotFound && !tile.is_full() => {
                Ok((tile.full(), self.bytes(&tile.full()).await?))
            }
            bytes => Ok((*tile, bytes?)),
        }
    }

    async fn bytes(&self, tile: &Tile) -> Result<Vec<u8>, Problem> {
        let version = self.version.map(|version| format!("v{version}/")).unwrap_or_default();
        self.client.bytes(&format!("/ledger/log/{version}{tile}")).await.map(Into::into)
    }

    async fn tiles(&self, wanted: Vec<Tile>) -> Result<Tiles, Problem> {
        let mut tiles = Tiles::new();
        for tile in wanted {
            tiles.extend([self.tile(&tile).await?]);
        }
        Ok(tiles)
    }

    /// The proof that the log of this head begins with what it was when it had `old_size` entries.
    ///
    /// # Errors
    /// `E_INTEGRITY` when the tiles are not those of the head, `E_NOT_FOUND` when they are not there.
    pub(super) async fn consistency(
        &self,
        old_size: u64,
        head: TreeHead,
    ) -> Result<Vec<Hash>, Problem> {
        let tiles = self.tiles(consistency_tiles(old_size, head.size)).await?;
        Prover::new(tiles, head).consistency(old_size).map_err(|error| unproved(&error))
    }

    /// The first leaves of the log of this head, in their order. What they are worth [`Self::prove_first`] says.
    pub(super) fn leaves(
        self,
        count: u64,
        head: TreeHead,
    ) -> impl Stream<Item = Result<Hash, Problem>> {
        let width = u64::from(TILE_WIDTH);
        let tiles = (0..count.div_ceil(width))
            .map_while(move |index| Tile::in_log(Level::Hashes(0), index, head.size));
        let fetch = move |tile: Tile| async move {
            let (_, bytes) = self.tile(&tile).await?;
            let left = count.saturating_sub(tile.first_leaf()).min(u64::from(tile.width()));
            let hashes = bytes.chunks_exact(HASH_BYTES).take(usize::try_from(left).unwrap_or(0));
            let hashes: Vec<_> = hashes.filter_map(|hash| hash.try_into().ok().map(Hash)).collect();
            Ok::<_, Problem>(stream::iter(hashes.into_iter().map(Ok)))
        };
        stream::iter(tiles).map(fetch).buffered(TILES_IN_FLIGHT_MAX).try_flatten()
    }

    /// Proves that the log of this head begins with the first one.
    ///
    /// # Errors
    /// As [`Self::consistency`].
    pub(super) async fn prove_first(&self, first: TreeHead, head: TreeHead) -> Result<(), Problem> {
        let proof = match first.size {
            0 => return Ok(()),
            size if size == head.size => Vec::new(),
            size => self.consistency(size, head).await?,
        };
        verify_consistency(first, head, &proof).map_err(|error| {
            let detail = format!("the log's leaves are not those of its head: {error}");
            Problem::new(ErrorCode::Integrity, detail)
        })
    }

    /// The proof that the entry with this index is in the log of this head.
    ///
    /// # Errors
    /// As [`Self::consistency`].
    pub(super) async fn inclusion(&self, index: u64, head: TreeHead) -> Result<Vec<Hash>, Problem> {
        let tiles = self.tiles(inclusion_tiles(index, head.size)).await?;
        Prover::new(tiles, head).inclusion(index).map_err(|error| unproved(&error))
    }

    /// The first entry of the log of this head, proved to be that.
    ///
    /// # Errors
    /// As [`Self::consistency`].
    pub(super) async fn first_entry(&self, head: TreeHead) -> Result<Entry, Problem> {
        let wrong = |what: &str| Problem::new(ErrorCode::Integrity, what.to_owned());
        let none = || wrong("the log has no first entry");
        let tiles = self.tiles(inclusion_tiles(0, head.size)).await?;
        let mut prover = Prover::new(tiles, head);
        // Proved against the root before it is compared.
        prover.inclusion(0).map_err(|error| unproved(&error))?;
        let leaf = prover.leaf(0).map_err(|error| unproved(&error))?;
        let bundle = Tile::in_log(Level::Entries, 0, head.size).ok_or_else(none)?;
        let (bundle, bytes) = self.tile(&bundle).await?;
        let entries = decode_bundle(&bytes, bundle.width());
        let entries = entries.map_err(|error| wrong(&error.to_string()))?;
        let first = entries.first().filter(|data| leaf_hash(data) == leaf);
        parse_leaf(first.ok_or_else(|| wrong("the first entry is not the one that was signed"))?)
    }
}

fn unproved(error: &ProveError<Infallible>) -> Problem {
    let detail = format!("the log's files are not those of its head: {error}");
    Problem::new(ErrorCode::Integrity, detail)
}

/// The files fetched so far; full ones never change.
#[derive(Debug)]
pub(crate) struct Files {
    dir: PathBuf,
}

impl Files {
    pub(super) fn below(dir: &Path) -> Self {
        Self { dir: dir.join("files") }
    }

    /// Fetches a file, unless it is here.
    pub(super) async fn fetch(&self, source: Source<'_>, tile: &Tile) -> Result<(), Problem> {
        if self.path(tile).exists() || self.path(&tile.full()).exists() {
            return Ok(());
        }
        let (tile, bytes) = source.tile(tile).await?;
        let file = self.path(&tile);
        if let Some(dir) = file.parent() {
            super::private_dir(dir.to_owned())?;
        }
        super::memory::write(&file, &bytes)
    }

    /// Forgets them, so that they are fetched anew.
    pub(super) fn forget(&self) {
        // What is not there need not be forgotten.
        let _ = std::fs::remove_dir_all(&self.dir);
    }

    fn path(&self, tile: &Tile) -> PathBuf {
        self.dir.join(tile.to_string())
    }
}

impl ReadTiles for Files {
    type Error = io::Error;

    fn read(&self, tile: &Tile) -> Result<Option<Vec<u8>>, io::Error> {
        match std::fs::read(self.path(tile)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
