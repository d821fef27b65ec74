//! Directories by descriptor: whatever others rename or link meanwhile, no path leads out.
//!
//! Every name is opened relative to its directory's descriptor and symbolic links are never
//! followed, so a checked [`mesh_schemas::artifact_path::ArtifactPath`] stays below the root.

use std::{fs::File, io, os::fd::OwnedFd, path::Path};

use mesh_schemas::artifact_path::PATH_PARTS_MAX;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};

use crate::core::state::Stamp;

/// An open directory.
#[derive(Debug)]
pub(crate) struct Dir(OwnedFd);

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file that looks like this.
    File(Stamp),
    /// A directory.
    Dir,
    /// A symbolic link, FIFO, socket or device.
    Other,
}

impl Dir {
    /// Opens the root; it alone may be reached through links.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(fs::open(
            path,
            OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?))
    }

    /// Opens a directory in this one.
    pub(crate) fn dir(&self, name: &str) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Self(fs::openat(&self.0, name, flags, Mode::empty())?))
    }

    /// Opens a directory some levels down; the empty path is this one again.
    pub(crate) fn descend(&self, path: &str) -> io::Result<Self> {
        let parts = path.split('/').filter(|part| !part.is_empty());
        parts.take(PATH_PARTS_MAX).try_fold(self.again()?, |dir, part| dir.dir(part))
    }

    /// Like [`Dir::descend`], and makes what is missing.
    pub(crate) fn descend_making(&self, path: &str) -> io::Result<Self> {
        let parts = path.split('/').filter(|part| !part.is_empty());
        parts.take(PATH_PARTS_MAX).try_fold(self.again()?, |dir, part| {
            match fs::mkdirat(&dir.0, part, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => dir.dir(part),
                Err(error) => Err(error.into()),
            }
        })
    }

    fn again(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// Opens a regular file for reading. Never waits for a writer, as opening a FIFO would.
    pub(crate) fn file(&self, name: &str) -> io::Result<(File, Stamp)> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(fs::openat(&self.0, name, flags, Mode::empty())?);
        match stamp(&file)? {
            Some(stamp) => Ok((file, stamp)),
            None => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
        }
    }

    /// What a name stands for now; none when nothing has it.
    pub(crate) fn kind(&self, name: &str) -> io::Result<Option<Kind>> {
        match fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(kind_of(&stat))),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Hands each name in it to `visit`; names that are not UTF-8 come as `Err`.
    pub(crate) fn for_each_name(
        &self,
        mut visit: impl FnMut(Result<&str, String>),
    ) -> io::Result<()> {
        for entry in fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = entry.file_name();
            match name.to_str() {
                Ok("." | "..") => {}
                Ok(name) => visit(Ok(name)),
                Err(_) => visit(Err(name.to_string_lossy().into_owned())),
            }
        }
        Ok(())
    }

    /// Makes a file that was not there.
    pub(crate) fn create(&self, name: &str) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(fs::openat(&self.0, name, flags, Mode::from_raw_mode(0o600))?))
    }

    /// Removes a file; it is no error when there is none.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a file its final name in the same directory.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(fs::renameat(&self.0, from, &self.0, to)?)
    }

    /// Free bytes where it lies.
    pub(crate) fn free_bytes(&self) -> io::Result<u64> {
        let stat = fs::fstatvfs(&self.0)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// Sets who may do what with a file.
pub(crate) fn set_executable(file: &File, executable: bool) -> io::Result<()> {
    Ok(fs::fchmod(file, Mode::from_raw_mode(if executable { 0o755 } else { 0o644 }))?)
}

/// How an open file looks; none when it is not a regular one.
pub(crate) fn stamp(file: &File) -> io::Result<Option<Stamp>> {
    match kind_of(&fs::fstat(file)?) {
        Kind::File(stamp) => Ok(Some(stamp)),
        Kind::Dir | Kind::Other => Ok(None),
    }
}

fn kind_of(stat: &fs::Stat) -> Kind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File(Stamp {
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified_ns: nanos(stat.st_mtime, stat.st_mtime_nsec),
            changed_ns: nanos(stat.st_ctime, stat.st_ctime_nsec),
            inode: stat.st_ino,
            executable: stat.st_mode & 0o100 != 0,
        }),
        FileType::Directory => Kind::Dir,
        FileType::Symlink
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Kind::Other,
    }
}

fn nanos(secs: i64, nanos: u64) -> i64 {
    secs.saturating_mul(1_000_000_000).saturating_add(i64::try_from(nanos).unwrap_or(0))
}
