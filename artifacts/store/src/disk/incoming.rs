//! A body while it comes in: a file of its own until it is whole.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use tempfile::NamedTempFile;

use super::object::Meta;

/// A body that is being written; dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Incoming {
    file: NamedTempFile,
    hasher: blake3::Hasher,
    size: u64,
}

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Length in bytes.
    pub size: u64,
    /// BLAKE3, 64 hexadecimal digits.
    pub blake3: String,
}

impl Incoming {
    pub(super) fn create(temp: &Path) -> io::Result<Self> {
        let file = tempfile::Builder::new().prefix("body-").tempfile_in(temp)?;
        Ok(Self { file, hasher: blake3::Hasher::new(), size: 0 })
    }

    /// Takes the next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    /// What came in so far.
    pub fn written(&self) -> Written {
        Written { size: self.size, blake3: self.hasher.finalize().to_hex().to_string() }
    }

    /// Finishes the file; its bytes are on the disk when this returns.
    pub(super) fn seal(mut self, meta: &Meta) -> io::Result<Sealed> {
        self.file.write_all(&meta.tail()?)?;
        self.file.as_file().sync_all()?;
        Ok(Sealed { file: self.file })
    }
}

/// A whole object's file that has no name yet.
#[derive(Debug)]
pub(super) struct Sealed {
    file: NamedTempFile,
}

impl Sealed {
    pub(super) fn rename(self, path: &Path) -> io::Result<()> {
        self.file.persist(path).map(|_| ()).map_err(|error| error.error)
    }

    /// Fails with `AlreadyExists` when the name is taken; the file system decides, once.
    pub(super) fn link(self, path: &Path) -> io::Result<()> {
        fs::hard_link(self.file.path(), path)
    }
}
