//! How this crate is given the bytes of tiles: through a trait, so that it needs no files and no network.

use std::{collections::BTreeMap, convert::Infallible, error::Error};

use crate::{
    hash::{HASH_BYTES, Hash},
    tile::{Level, Tile},
};

/// Where tiles and bundles lie. A reader need not check what it reads.
pub trait ReadTiles {
    /// Why reading failed. That a tile is not there is no failure.
    type Error: Error + Send + Sync + 'static;

    /// The bytes of this tile or bundle; none if it is not there.
    fn read(&self, tile: &Tile) -> Result<Option<Vec<u8>>, Self::Error>;
}

impl<R: ReadTiles + ?Sized> ReadTiles for &R {
    type Error = R::Error;

    fn read(&self, tile: &Tile) -> Result<Option<Vec<u8>>, Self::Error> {
        (**self).read(tile)
    }
}

/// For whoever fetched beforehand, and for tests.
impl ReadTiles for BTreeMap<Tile, Vec<u8>> {
    type Error = Infallible;

    fn read(&self, tile: &Tile) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.get(tile).cloned())
    }
}

/// Why a tile or bundle could not be had.
#[derive(Debug, thiserror::Error)]
pub enum TileError<E: Error + 'static> {
    /// The reader failed.
    #[error("failed to read {tile}")]
    Read {
        /// What was to be read.
        tile: Tile,
        /// What the reader said.
        source: E,
    },
    /// It is not there, and neither is the full one at the same place.
    #[error("{tile} is missing")]
    Missing {
        /// What is missing.
        tile: Tile,
    },
    /// It has another length than its width demands.
    #[error("{tile} has {actual} bytes instead of {expected}")]
    Length {
        /// What is too short or too long.
        tile: Tile,
        /// How long it should be.
        expected: usize,
        /// How long it is.
        actual: usize,
    },
}

/// A tile's hashes. If a partial tile is gone they are had from the full one, as its width is fixed.
pub(crate) fn hashes<R: ReadTiles>(
    reader: &R,
    tile: Tile,
) -> Result<Vec<Hash>, TileError<R::Error>> {
    debug_assert!(tile.level() != Level::Entries, "entries are no hashes");
    let (found, mut bytes) = bytes(reader, tile)?;
    let expected = usize::from(found.width()) * HASH_BYTES;
    if bytes.len() != expected {
        return Err(TileError::Length { tile: found, expected, actual: bytes.len() });
    }
    bytes.truncate(usize::from(tile.width()) * HASH_BYTES);
    let (hashes, _) = bytes.as_chunks::<HASH_BYTES>();
    Ok(hashes.iter().copied().map(Hash).collect())
}

/// The bytes of a tile, or of the full one at its place, and which of them it was.
pub(crate) fn bytes<R: ReadTiles>(
    reader: &R,
    tile: Tile,
) -> Result<(Tile, Vec<u8>), TileError<R::Error>> {
    let read = |tile| reader.read(&tile).map_err(|source| TileError::Read { tile, source });
    if let Some(bytes) = read(tile)? {
        return Ok((tile, bytes));
    }
    if !tile.is_full()
        && let Some(bytes) = read(tile.full())?
    {
        return Ok((tile.full(), bytes));
    }
    Err(TileError::Missing { tile })
}
