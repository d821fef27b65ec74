//! The log's files on disk: tiles, bundles and the signed checkpoint, as anybody may fetch them, and the packs of
//! texts beside them, which this user alone may read.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use mesh_fabric::files::{sync_dir, write_durable, write_private};
use mesh_tlog::{CHECKPOINT_PATH, IndexPath, ReadTiles, TILE_WIDTH, Tile, TileFile};

use crate::pack::ReadFiles;

/// A log's directory.
#[derive(Debug, Clone)]
pub struct TileDir {
    root: PathBuf,
}

impl TileDir {
    /// The files of one version of the origin, below the data's directory.
    pub fn of_log(data: &Path, version: u32) -> Self {
        Self { root: data.join(format!("v{version}")) }
    }

    /// The files of another version of the origin, beside these.
    #[must_use]
    pub(crate) fn of_version(&self, version: u32) -> Self {
        Self { root: self.root.with_file_name(format!("v{version}")) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Makes durable what a former process has renamed into its place, and perhaps not synced: it is seen, and would
    /// be gone after a power cut. Those are files of at most `count` entries from `size` on: what comes before was
    /// synced before the checkpoint of that size got its row.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(crate) fn sync(&self, size: u64, count: u64) -> io::Result<()> {
        if !self.root.exists() {
            return Ok(());
        }
        for dir in self.dirs(size, count) {
            match sync_dir(&dir) {
                Err(error) if is_absent(&error) => {}
                done => done?,
            }
        }
        self.root.parent().map_or(Ok(()), sync_dir)
    }

    /// The directories in which files of these entries are or would be, and those above them.
    fn dirs(&self, size: u64, count: u64) -> BTreeSet<PathBuf> {
        let width = u64::from(TILE_WIDTH);
        let last = size + count;
        let places = |kind: String, from: u64, to: u64| {
            (from..=to).map(move |index| format!("{kind}/{}", IndexPath(index)))
        };
        let first = size - size % width;
        let mut files: Vec<String> = places("bodies".into(), first, last).collect();
        files.extend(places("tile/entries".into(), size / width, last / width));
        let (mut from, mut to, mut level) = (size / width, last / width, 0);
        loop {
            files.extend(places(format!("tile/{level}"), from, to));
            if to == 0 {
                break;
            }
            (from, to, level) = (from / width, to / width, level + 1);
        }
        let mut dirs = BTreeSet::new();
        for file in files {
            let partial = self.root.join(format!("{file}.p"));
            let above = partial.ancestors().skip(1).take_while(|dir| dir.starts_with(&self.root));
            dirs.extend(above.map(Path::to_owned));
            dirs.insert(partial);
        }
        dirs
    }

    /// Writes files in order, each durable before the next: whoever sees one sees those before it.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(crate) fn write(&self, files: &[TileFile]) -> io::Result<()> {
        files.iter().try_for_each(|file| write_durable(&self.tile(&file.tile), &file.bytes))
    }

    /// Writes a pack of texts; durable when this returns.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(crate) fn write_pack(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        write_private(&self.root.join(path), bytes)
    }

    /// All files of one pack, one after the other: the closed one, and then the partial ones, those with most entries
    /// first.
    ///
    /// # Errors
    /// Whatever the system says, but that there is none.
    pub(crate) fn packs_at(
        &self,
        closed: &str,
        partial: &str,
    ) -> io::Result<impl Iterator<Item = io::Result<Vec<u8>>> + use<>> {
        let mut widths = Vec::new();
        let dir = self.root.join(partial);
        for entry in found(std::fs::read_dir(&dir))?.into_iter().flatten() {
            widths.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
        }
        widths.sort_unstable_by(|one, other| other.cmp(one));
        let partial = widths.into_iter().map(move |width| dir.join(width.to_string()));
        let files = std::iter::once(self.root.join(closed)).chain(partial);
        Ok(files.filter_map(|path| found(std::fs::read(path)).transpose()))
    }

    /// Removes a directory of files that others took the place of.
    pub(crate) fn remove_below(&self, path: &str) {
        // What stays takes room and does no harm.
        let _stays = std::fs::remove_dir_all(self.root.join(path));
    }

    /// Publishes a signed checkpoint, whose tiles are durable.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(crate) fn write_checkpoint(&self, note: &str) -> io::Result<()> {
        write_durable(&self.root.join(CHECKPOINT_PATH), note.as_bytes())
    }

    /// The checkpoint that was published last.
    ///
    /// # Errors
    /// Whatever the system says, but that there is none.
    pub fn checkpoint(&self) -> io::Result<Option<Vec<u8>>> {
        self.file(CHECKPOINT_PATH)
    }

    /// Removes the partial tiles at the places of full ones that were published: readers of older checkpoints
    /// take the full ones.
    pub(crate) fn remove_partial(&self, files: &[TileFile]) {
        let full: BTreeSet<Tile> =
            files.iter().map(|file| file.tile).filter(Tile::is_full).collect();
        full.iter().for_each(|tile| self.remove_below(&format!("{tile}.p")));
    }

    fn tile(&self, tile: &Tile) -> PathBuf {
        self.root.join(tile.to_string())
    }
}

impl ReadTiles for TileDir {
    type Error = io::Error;

    fn read(&self, tile: &Tile) -> io::Result<Option<Vec<u8>>> {
        found(std::fs::read(self.tile(tile)))
    }
}

impl ReadFiles for TileDir {
    fn file(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        found(std::fs::read(self.root.join(path)))
    }
}

/// What is not there is no failure.
fn found<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: all files of the last step are made durable, and not the whole log. Method: their directories by hand.
    #[test]
    fn the_directories_of_the_last_step_are_few_and_none_is_left_out() {
        let tiles = TileDir::of_log(Path::new("/log"), 1);
        let dirs = tiles.dirs(1_000_000, 1_024);
        let plain: Vec<&str> = dirs
            .iter()
            .filter_map(|dir| dir.strip_prefix("/log/v1").ok()?.to_str())
            .filter(|dir| !dir.ends_with(".p"))
            .collect();
        let expected = [
            "",
            "bodies",
            "bodies/x001",
            "bodies/x001/x000",
            "bodies/x001/x001",
            "bodies/x999",
            "tile",
            "tile/0",
            "tile/0/x003",
            "tile/1",
            "tile/2",
            "tile/entries",
            "tile/entries/x003",
        ];
        assert_eq!(plain, expected);
        for partial in ["bodies/x999/936.p", "tile/0/x003/906.p", "tile/1/015.p", "tile/2/000.p"] {
            assert!(dirs.contains(&Path::new("/log/v1").join(partial)), "{partial}");
        }
    }
}
