//! Finding a pack where a log's files lie.

use mesh_tlog::ReadTiles;

use super::Pack;

/// Where a log's files lie, packs among them.
pub(crate) trait ReadFiles: ReadTiles {
    /// A file by its path below the log's prefix; none if it is not there.
    fn file(&self, path: &str) -> Result<Option<Vec<u8>>, Self::Error>;
}

/// A pack's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PackFile {
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
    /// It has entries behind those that were asked for.
    pub(crate) wider: bool,
}

/// The file of a pack. If a partial one is gone it is had from the closed one at its place.
pub(crate) fn read<R: ReadFiles>(reader: &R, pack: &Pack) -> Result<Option<PackFile>, R::Error> {
    let found = |path: String, wider| {
        let bytes = reader.file(&path)?;
        Ok(bytes.map(|bytes| PackFile { path, bytes, wider }))
    };
    match found(pack.path(), false)? {
        None if !pack.closed => found(pack.closed_path(), true),
        found => Ok(found),
    }
}
