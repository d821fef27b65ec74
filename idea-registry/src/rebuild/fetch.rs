//! The copy as files on disk. Every bundle is checked against the signed root before it is written; the tiles over
//! them are made anew.

use mesh_fabric::error::chain;
use mesh_schemas::{ErrorCode, Problem};
use mesh_tlog::{Audit, AuditError, Edge, TreeHead};

use crate::{
    pack::{self, Erasures, cut},
    publish::Copy,
    tiles::TileDir,
};

/// Writes all files of the copy, the checkpoint last.
pub(super) fn all(
    copy: &Copy,
    note: &[u8],
    head: TreeHead,
    tiles: &TileDir,
) -> Result<(), Problem> {
    let failed = |error: std::io::Error| {
        Problem::new(ErrorCode::Io, format!("cannot write the log's files: {error}"))
            .hint("check that the disk is writable and not full")
    };
    let mut edge = Edge::empty();
    for bundle in Audit::begin(copy, head).map_err(unsound)? {
        let bundle = bundle.map_err(unsound)?;
        let entries: Vec<&[u8]> = bundle.entries().map(|(_, entry)| entry).collect();
        packs(copy, edge.head().size, &entries, tiles)?;
        let (next, files) = edge.integrate(&entries).map_err(|error| {
            Problem::new(ErrorCode::Internal, format!("the entries give no tiles: {error}"))
        })?;
        tiles.write(&files).map_err(failed)?;
        tiles.remove_partial(&files);
        edge = next;
    }
    let note = String::from_utf8_lossy(note);
    tiles.write_checkpoint(&note).map_err(failed)
}

/// Packs that hold what their entries name. Whether a sealed text may be missing is found when they are made rows.
fn packs(copy: &Copy, first: u64, entries: &[&[u8]], tiles: &TileDir) -> Result<(), Problem> {
    for pack in cut(first, entries.iter().copied()) {
        let Some(file) = pack::read(copy, &pack)? else { continue };
        let possible = Erasures::possible(&pack);
        // What lies here and cannot be read is not better.
        let here = pack::read(tiles, &pack).ok().flatten();
        let here = here.and_then(|file| pack::check(&pack, &file, &possible).ok());
        match (pack::check(&pack, &file, &possible), here) {
            (Ok(there), Some(here)) if here.len() >= there.len() => continue,
            (Ok(_), _) => {}
            (Err(_), Some(_)) => continue,
            (Err(fault), None) => {
                let detail = format!("in the object store: {fault}");
                return Err(Problem::new(ErrorCode::Integrity, detail).hint(
                    "put a good copy of the object back, or remove it to go on without its texts",
                ));
            }
        }
        tiles.write_pack(&file.path, &file.bytes).map_err(|error| {
            Problem::new(ErrorCode::Io, format!("cannot write {}: {error}", file.path))
        })?;
    }
    Ok(())
}

fn unsound(error: AuditError<Problem>) -> Problem {
    match error {
        AuditError::Read { source, .. } => source,
        AuditError::Found(_) => {
            let detail = format!("in the object store: {}", chain(&error));
            Problem::new(ErrorCode::Integrity, detail)
        }
    }
}
