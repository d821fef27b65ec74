//! Writes one file after the other, each under a name of its own until it is whole and right.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
};

use mesh_schemas::manifest::FileEntry;
use rustix::io::Errno;

use super::DownloadError;
use crate::{
    beneath::{self, Dir, Kind},
    core::{hash_hex, state::Stamp},
};

/// Read at once when a file that is there is compared.
const READ_BYTES: usize = 256 << 10;

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Partial {
    entry: FileEntry,
    dir: Dir,
    name: String,
    temp: String,
    file: File,
    hasher: blake3::Hasher,
}

/// The file is there and right; its executable bit is set right too.
///
/// # Errors
/// `InTheWay` for anything but a regular file, and for a link among its directories.
pub(super) fn is_in_place(root: &Dir, entry: &FileEntry) -> Result<bool, DownloadError> {
    let path = entry.path.as_str();
    let failed = |source| write_error(path, source);
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let dir = match root.descend(parent) {
        Ok(dir) => dir,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    match kind_below(&dir, name, path)? {
        Some(stamp) if stamp.size == entry.size => is_right(&dir, name, entry).map_err(failed),
        Some(_) | None => Ok(false),
    }
}

fn kind_below(dir: &Dir, name: &str, path: &str) -> Result<Option<Stamp>, DownloadError> {
    match dir.kind(name).map_err(|source| write_error(path, source))? {
        Some(Kind::File(stamp)) => Ok(Some(stamp)),
        None => Ok(None),
        Some(Kind::Dir | Kind::Other) => Err(DownloadError::InTheWay { path: path.to_owned() }),
    }
}

impl Partial {
    /// Begins a file, which will replace one that is there; its directories are made.
    ///
    /// # Errors
    /// As [`is_in_place`].
    pub(super) fn begin(root: &Dir, entry: &FileEntry) -> Result<Self, DownloadError> {
        let path = entry.path.as_str();
        let failed = |source| write_error(path, source);
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let dir = root.descend_making(parent).map_err(failed)?;
        kind_below(&dir, name, path)?;
        // One name per path, so that what a killed process left is found and replaced.
        let hash = hash_hex(path.as_bytes());
        let temp = format!(".mesh-part-{}", hash.get(..16).unwrap_or(&hash));
        dir.remove(&temp).map_err(failed)?;
        let file = dir.create(&temp).map_err(failed)?;
        let (name, hasher) = (name.to_owned(), blake3::Hasher::new());
        Ok(Self { entry: entry.clone(), dir, name, temp, file, hasher })
    }

    /// Takes the next bytes, which were verified.
    pub(super) fn write(&mut self, raw: &[u8]) -> Result<(), DownloadError> {
        self.hasher.update(raw);
        let written = self.file.write_all(raw);
        written.map_err(|source| write_error(self.entry.path.as_str(), source))
    }

    /// Gives the file its name when it is what the manifest says.
    pub(super) fn finish(self) -> Result<(), DownloadError> {
        let path = self.entry.path.as_str();
        let found = self.hasher.finalize().to_hex().to_string();
        if found != self.entry.blake3 {
            let expected = self.entry.blake3.clone();
            return Err(DownloadError::Hash { what: path.to_owned(), expected, found });
        }
        let named = beneath::set_executable(&self.file, self.entry.executable)
            .and_then(|()| self.dir.rename(&self.temp, &self.name));
        named.map_err(|source| write_error(path, source))
    }
}

impl Drop for Partial {
    /// Removes what was not finished; after a rename the name is gone already.
    fn drop(&mut self) {
        if let Err(error) = self.dir.remove(&self.temp) {
            tracing::debug!(%error, "A partial file could not be removed");
        }
    }
}

fn write_error(path: &str, source: io::Error) -> DownloadError {
    let path = path.to_owned();
    // What opening a link without following it says, as a file or as a directory.
    let link = [Errno::LOOP, Errno::NOTDIR].map(|errno| Some(errno.raw_os_error()));
    if link.contains(&source.raw_os_error()) {
        return DownloadError::InTheWay { path };
    }
    DownloadError::Write { path, source }
}

fn is_right(dir: &Dir, name: &str, entry: &FileEntry) -> io::Result<bool> {
    let (mut file, _) = dir.file(name)?;
    let (mut hasher, mut buffer) = (blake3::Hasher::new(), vec![0; READ_BYTES]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hasher.update(buffer.get(..count).unwrap_or(&[])),
        };
    }
    let right = hasher.finalize().to_hex().as_str() == entry.blake3;
    if right {
        beneath::set_executable(&file, entry.executable)?;
    }
    Ok(right)
}
