//! The auditor of the log alone: each tile and each leaf, from the signed root down, on one thread.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use mesh_tlog::{Audit, CHECKPOINT_PATH, Checkpoint, ReadTiles, Tile};

/// The first origin's files, as anybody may fetch them.
struct Files(PathBuf);

impl ReadTiles for Files {
    type Error = io::Error;

    fn read(&self, tile: &Tile) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.0.join(tile.to_string())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }
}

/// Leaves a second. The registry is quiet meanwhile.
pub(super) fn rate(data: &Path) -> anyhow::Result<f64> {
    let files = Files(data.join("v1"));
    let note = fs::read_to_string(files.0.join(CHECKPOINT_PATH))?;
    let (text, _signatures) = note.split_once("\n\n").context("a checkpoint without signatures")?;
    let head = format!("{text}\n").parse::<Checkpoint>()?.head();
    let begun = Instant::now();
    let mut leaves = 0_u32;
    for bundle in Audit::begin(&files, head)? {
        leaves += u32::try_from(bundle?.entries().count())?;
    }
    ensure!(u64::from(leaves) == head.size, "{leaves} leaves of {}", head.size);
    Ok(f64::from(leaves) / begun.elapsed().as_secs_f64())
}
