//! Files that survive a power cut, and the lock on a data directory.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use mesh_schemas::{ErrorCode, Problem};
use rustix::fs::{FlockOperation, flock};

/// The lock's file inside the directory.
const LOCK_FILE: &str = "lock";

/// Replaces the file in one step: afterwards it has all the old bytes or all the new ones, and the
/// new ones are on the disk. Missing directories are made.
///
/// # Errors
/// Whatever the system says; the old file is then as it was.
pub fn write_durable(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, 0o644)
}

/// Like [`write_durable`], and only this user may read it (0600) from the first moment on.
///
/// # Errors
/// As [`write_durable`].
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, 0o600)
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let dir = match path.parent() {
        Some(dir) if dir != Path::new("") => dir,
        Some(_) | None => Path::new("."),
    };
    make_dirs(dir)?;
    let mut file = temp_file(dir, mode)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_dir(dir)
}

/// Makes the directories that are missing, each of them durable in its parent.
fn make_dirs(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    if parent != dir {
        make_dirs(parent)?;
    }
    match fs::create_dir(dir) {
        Ok(()) => {}
        // Somebody else made it meanwhile.
        Err(_) if dir.is_dir() => {}
        Err(error) => return Err(error),
    }
    sync_dir(parent)
}

#[cfg(unix)]
fn temp_file(dir: &Path, mode: u32) -> io::Result<tempfile::NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;
    tempfile::Builder::new()
        .prefix(".new-")
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(dir)
}

#[cfg(not(unix))]
fn temp_file(dir: &Path, _mode: u32) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix(".new-").tempfile_in(dir)
}

/// Makes the names inside a directory durable.
///
/// # Errors
/// Whatever the system says.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Held while this value lives; the system lets go of it when the process dies, however it dies.
#[derive(Debug)]
pub struct DirLock {
    path: PathBuf,
    _file: File,
}

impl DirLock {
    /// The file that carries the lock and the holder's pid.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Takes the directory for this process; the directory is made when missing.
///
/// # Errors
/// `E_LOCKED` naming the holder's pid when another process has it, `E_IO` when it cannot be used.
pub fn lock_dir(dir: &Path) -> Result<DirLock, Problem> {
    let path = dir.join(LOCK_FILE);
    let unusable = |error: &io::Error| {
        Problem::new(ErrorCode::Io, format!("cannot use the directory {}: {error}", dir.display()))
            .hint("check that it is writable and the disk is not full")
    };
    fs::create_dir_all(dir).map_err(|error| unusable(&error))?;
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| unusable(&error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(locked(dir, &mut file)),
        Err(error) => return Err(unusable(&error.into())),
    }
    write_pid(&mut file).map_err(|error| unusable(&error))?;
    Ok(DirLock { path, _file: file })
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn locked(dir: &Path, file: &mut File) -> Problem {
    let mut pid = String::new();
    // The holder may be between taking the lock and writing its pid; then it stays unnamed.
    let read = file.take(32).read_to_string(&mut pid);
    let holder = match (read, pid.trim()) {
        (Ok(_), pid) if !pid.is_empty() => format!("process {pid}"),
        (Ok(_) | Err(_), _) => "another process".to_owned(),
    };
    let dir = dir.display();
    Problem::new(ErrorCode::Locked, format!("{holder} holds the directory {dir}"))
        .hint("stop that process, or choose another directory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_is_replaced_whole_and_readable_by_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/secret");
        write_private(&path, b"one, and longer").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(names.len(), 1, "no temporary file stays behind");
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("child"), b"old").unwrap();
        assert!(write_durable(&path, b"new").is_err());
        assert_eq!(fs::read(path.join("child")).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_second_holder_is_told_the_pid_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let lock = lock_dir(&data).unwrap();
        let problem = lock_dir(&data).unwrap_err();
        assert_eq!(problem.code, ErrorCode::Locked);
        assert!(problem.detail.contains(&format!("process {} ", std::process::id())), "{problem}");
        drop(lock);
        assert!(lock_dir(&data).is_ok());
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_io_problem() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, b"").unwrap();
        assert_eq!(lock_dir(&file.join("data")).unwrap_err().code, ErrorCode::Io);
    }
}
