//! Names of tiles and entry bundles, as C2SP `tlog-tiles` lays them out.

use std::{fmt, str::FromStr};

use crate::text::{self, SIZE_MAX};

/// How many hashes a full tile has, and how many entries a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// The path of a log's checkpoint, beside its tiles.
pub const CHECKPOINT_PATH: &str = "checkpoint";

/// What a file holds: entries, or hashes of one level. Level 0 are leaves' hashes; each hash of a higher
/// level is the root of a full tile below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// An entry bundle: each entry with its length in front.
    Entries,
    /// A tile of hashes.
    Hashes(u8),
}

impl Level {
    fn number(self) -> u8 {
        match self {
            Level::Entries => 0,
            Level::Hashes(level) => level,
        }
    }
}

/// The name of a tile or bundle. Its text form is the path below the log's prefix, such as
/// `tile/0/x001/234.p/5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    level: Level,
    index: u64,
    width: u16,
}

impl Tile {
    /// The tile at this place in a log of `size` leaves; none if nothing is there.
    pub fn in_log(level: Level, index: u64, size: u64) -> Option<Tile> {
        let hashes = size.checked_shr(8 * u32::from(level.number())).unwrap_or(0);
        let here = hashes.checked_sub(index.checked_mul(u64::from(TILE_WIDTH))?)?;
        let width = u16::try_from(here).unwrap_or(TILE_WIDTH).min(TILE_WIDTH);
        (width > 0).then_some(Tile { level, index, width })
    }

    /// The partial tiles of a log of `size` leaves, lowest first, in front of them the partial bundle: all
    /// that must be read to append to it.
    pub fn edge(size: u64) -> Vec<Tile> {
        let last = |level: Level| {
            let shift = 8 * (u32::from(level.number()) + 1);
            Tile::in_log(level, size.checked_shr(shift).unwrap_or(0), size)
        };
        let hashes = (0..8).map(Level::Hashes);
        std::iter::once(Level::Entries).chain(hashes).filter_map(last).collect()
    }

    /// Entries, or hashes of which level.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Which tile of its level this is, from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes or entries it has: 1 to [`TILE_WIDTH`].
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Whether nothing will ever be added to it.
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The full tile at the same place. A partial one may be deleted once that is there.
    #[must_use]
    pub fn full(&self) -> Tile {
        Tile { width: TILE_WIDTH, ..*self }
    }

    /// The index of the first leaf in it or below it.
    pub fn first_leaf(&self) -> u64 {
        self.leaf_of(0)
    }

    /// The index of the first leaf in or below its hash or entry at `position`.
    pub(crate) fn leaf_of(&self, position: u16) -> u64 {
        let hash = self.index * u64::from(TILE_WIDTH) + u64::from(position);
        hash << (8 * self.level.number())
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Level::Entries => write!(f, "tile/entries/")?,
            Level::Hashes(level) => write!(f, "tile/{level}/")?,
        }
        write!(f, "{}", IndexPath(self.index))?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

/// An index as tiles write it in their paths, such as `x001/234`: no directory has more than a thousand files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexPath(pub u64);

impl fmt::Display for IndexPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut thousands = Vec::new();
        let mut rest = self.0 / 1000;
        while rest > 0 {
            thousands.push(rest % 1000);
            rest /= 1000;
        }
        for part in thousands.iter().rev() {
            write!(f, "x{part:03}/")?;
        }
        write!(f, "{:03}", self.0 % 1000)
    }
}

/// Why a path is not that of a tile or bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TilePathError {
    /// It does not begin with `tile/` and a level or `entries`.
    #[error("a tile's path begins with tile/ and a level or entries")]
    Prefix,
    /// The index is not written in groups of three digits, all but the last behind an `x`.
    #[error("a tile's index is written like x001/x234/067")]
    Index,
    /// The width of a partial tile is not a number from 1 to 255.
    #[error("a partial tile is 1 to 255 wide")]
    Width,
    /// No log is large enough to have this tile.
    #[error("no log has a tile with this index on this level")]
    OutOfRange,
}

impl FromStr for Tile {
    type Err = TilePathError;

    fn from_str(path: &str) -> Result<Self, TilePathError> {
        let rest = path.strip_prefix("tile/").ok_or(TilePathError::Prefix)?;
        let (level, rest) = rest.split_once('/').ok_or(TilePathError::Prefix)?;
        let level = match level {
            "entries" => Level::Entries,
            digits => Level::Hashes(small(digits).ok_or(TilePathError::Prefix)?),
        };
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, partial_width(width).ok_or(TilePathError::Width)?),
            None => (rest, TILE_WIDTH),
        };
        let index = parse_index(index)?;
        let largest = Tile::in_log(level, index, SIZE_MAX).ok_or(TilePathError::OutOfRange)?;
        if width > largest.width {
            return Err(TilePathError::OutOfRange);
        }
        let tile = Tile { width, ..largest };
        // Leading zeros, and an `x` too many or too few.
        if tile.to_string() == path { Ok(tile) } else { Err(TilePathError::Index) }
    }
}

fn small(digits: &str) -> Option<u8> {
    text::decimal(digits).ok()?.try_into().ok()
}

fn partial_width(digits: &str) -> Option<u16> {
    small(digits).filter(|width| *width > 0).map(u16::from)
}

fn parse_index(path: &str) -> Result<u64, TilePathError> {
    let mut index: u64 = 0;
    for part in path.split('/') {
        let digits = part.strip_prefix('x').unwrap_or(part);
        let group = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let group: u64 = digits.parse().ok().filter(|_| group).ok_or(TilePathError::Index)?;
        let next = index.checked_mul(1000).and_then(|index| index.checked_add(group));
        index = next.ok_or(TilePathError::OutOfRange)?;
    }
    Ok(index)
}
