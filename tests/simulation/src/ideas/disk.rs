//! The disk of a registry: what processes see, and what is left of it when the power fails.

use std::{collections::BTreeMap, fmt, sync::Arc};

use mesh_tlog::{ReadTiles, Tile, TreeHead};

use super::{env::Env, planted::Bug, stats::Kind};

/// A file of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// A tile or a bundle.
    Tile(Tile),
    /// The texts of entries from one on: of so many, or, once no other may follow, of none.
    Pack {
        first: u64,
        width: u64,
    },
    Checkpoint,
}

impl Name {
    /// It is as it will be for ever.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Tile(tile) => tile.is_full(),
            Self::Pack { width, .. } => *width == 0,
            Self::Checkpoint => false,
        }
    }

    /// What takes its place one day.
    pub(super) fn full(&self) -> Self {
        match *self {
            Self::Tile(tile) => Self::Tile(tile.full()),
            Self::Pack { first, .. } => Self::Pack { first, width: 0 },
            Self::Checkpoint => Self::Checkpoint,
        }
    }

    /// One of these has taken its place.
    pub(super) fn is_part_of(&self, full: &[Self]) -> bool {
        !matches!(self, Self::Checkpoint) && !self.is_full() && full.contains(&self.full())
    }
}

/// A file with what it holds.
pub(super) type File = (Name, Vec<u8>);

type Bytes = Arc<[u8]>;

/// One place: what is there now, and what may be there when the power has failed.
#[derive(Debug, Clone, Default)]
struct Place {
    now: Option<Bytes>,
    durable: Option<Bytes>,
    /// What else may be there, as it was not synced.
    perhaps: Vec<Option<Bytes>>,
}

/// Reading failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct IoError;

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the disk failed")
    }
}

impl std::error::Error for IoError {}

/// One data directory.
#[derive(Debug, Default)]
pub(super) struct Disk {
    places: BTreeMap<(u32, Name), Place>,
}

impl Disk {
    /// A temporary file, fsync, rename, fsync of the directory. May die behind each of these.
    pub(super) fn write_durable(
        &mut self,
        env: &mut Env,
        at: (u32, Name),
        bytes: &[u8],
    ) -> Result<(), Stopped> {
        if env.strikes_as(env.options.disk_fails, Kind::DiskFailed) {
            return Err(Stopped::Failed);
        }
        if env.strikes(env.options.crash) {
            // Nobody reads temporary files.
            return Err(Stopped::Died);
        }
        let place = self.places.entry(at).or_default();
        let bytes: Bytes = bytes.into();
        place.now = Some(bytes.clone());
        if env.has(Bug::RenameWithoutSync) && matches!(at.1, Name::Tile(_)) {
            let torn = bytes[..bytes.len() / 2].into();
            place.perhaps = vec![Some(torn), Some(bytes)];
            return Ok(());
        }
        place.perhaps = vec![Some(bytes.clone())];
        if env.strikes(env.options.crash) {
            return Err(Stopped::Died);
        }
        place.perhaps.clear();
        place.durable = Some(bytes);
        Ok(())
    }

    /// What a former process has renamed and not synced is synced.
    pub(super) fn sync(&mut self) {
        for place in self.places.values_mut() {
            place.durable.clone_from(&place.now);
            place.perhaps.clear();
        }
    }

    /// Removed, and not synced: it may come back.
    pub(super) fn remove(&mut self, at: (u32, Name)) {
        if let Some(place) = self.places.get_mut(&at) {
            place.now = None;
            place.perhaps = vec![None];
        }
    }

    /// Partial files at the places of these full ones.
    pub(super) fn remove_partial(&mut self, version: u32, full: &[Name]) {
        for name in self.names(version).filter(|name| name.is_part_of(full)).collect::<Vec<_>>() {
            self.remove((version, name));
        }
    }

    /// The files of a log, those that were removed among them.
    pub(super) fn names(&self, version: u32) -> impl Iterator<Item = Name> {
        self.places.keys().filter(move |(of, _)| *of == version).map(|(_, name)| *name)
    }

    /// The power fails.
    pub(super) fn power_cut(&mut self, env: &mut Env) {
        for place in self.places.values_mut() {
            if !place.perhaps.is_empty() {
                let choice = env.rng.index(place.perhaps.len() + 1);
                if let Some(chosen) = place.perhaps.get(choice) {
                    place.durable.clone_from(chosen);
                }
                place.perhaps.clear();
            }
            if place.now != place.durable {
                env.stats.count(Kind::NotSynced);
            }
            place.now.clone_from(&place.durable);
        }
    }

    pub(super) fn lose_all(&mut self) {
        self.places.clear();
    }

    pub(super) fn read(&self, at: (u32, Name)) -> Option<&[u8]> {
        self.places.get(&at)?.now.as_deref()
    }

    /// As it would be read after a power cut at its worst.
    pub(super) fn surely(&self, at: (u32, Name)) -> Option<&[u8]> {
        let place = self.places.get(&at)?;
        let sure = place.perhaps.iter().all(|other| *other == place.durable);
        place.durable.as_deref().filter(|_| sure)
    }

    pub(super) const fn log(&self, version: u32) -> DiskLog<'_> {
        DiskLog { disk: self, version, surely: false }
    }

    /// The log as it surely is, whatever happens to the power.
    pub(super) const fn sure_log(&self, version: u32) -> DiskLog<'_> {
        DiskLog { disk: self, version, surely: true }
    }
}

/// Why a write did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The disk was full or failed; the process goes on.
    Failed,
    /// The process died.
    Died,
}

/// The files of one log.
#[derive(Debug, Clone, Copy)]
pub(super) struct DiskLog<'a> {
    disk: &'a Disk,
    version: u32,
    surely: bool,
}

impl ReadTiles for DiskLog<'_> {
    type Error = IoError;

    fn read(&self, tile: &Tile) -> Result<Option<Vec<u8>>, IoError> {
        let at = (self.version, Name::Tile(*tile));
        let found = if self.surely { self.disk.surely(at) } else { self.disk.read(at) };
        Ok(found.map(Vec::from))
    }
}

/// Every tile and bundle of a log of this head, the full ones included.
pub(super) fn all_tiles(head: TreeHead) -> Vec<Tile> {
    grown(0, head.size)
}

/// Tiles and bundles that are new or wider at the new size.
pub(super) fn grown(old: u64, new: u64) -> Vec<Tile> {
    use mesh_tlog::{Level, TILE_WIDTH};
    let width = u64::from(TILE_WIDTH);
    let levels = [(Level::Entries, 0_u32), (Level::Hashes(0), 0), (Level::Hashes(1), 8)];
    let of = |(level, shift): (Level, u32)| {
        let (first, last) = ((old >> shift) / width, (new >> shift) / width);
        (first..=last).filter_map(move |index| Tile::in_log(level, index, new))
    };
    levels.into_iter().flat_map(of).collect()
}
