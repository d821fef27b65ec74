//! Objects as files: one file per object, body first, then what is known of it.
//!
//! ```text
//! buckets/<bucket>/<part>/<part>/<part>@    an object; parts are percent-encoded
//! tmp/<random>                              a body that is being written; removed at the start
//! ```
//! All of it is blocking; the caller keeps it off the async threads.

mod incoming;
mod key;
mod list;
mod object;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use mesh_fabric::files::{DirLock, lock_dir, sync_dir};
use mesh_schemas::{ErrorCode, Problem};

pub use incoming::{Incoming, Written};
pub use key::KeyTooLong;
pub use list::{ListQuery, Listed};
pub use object::{Meta, OpenObject};

/// The directory, held for this process alone.
#[derive(Debug)]
pub struct Disk {
    buckets: PathBuf,
    temp: PathBuf,
    /// Held while a directory is made, so that nobody uses one whose name is not yet durable.
    making_dirs: Mutex<()>,
    _lock: DirLock,
}

/// Why an object could not be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// No such bucket.
    #[error("no such bucket")]
    NoBucket,
    /// An object of this name exists, and it was asked not to replace one.
    #[error("an object of this name exists")]
    Exists,
    /// The name cannot be a file's.
    #[error(transparent)]
    Key(#[from] KeyTooLong),
    /// The disk.
    #[error("the disk failed")]
    Io(#[from] io::Error),
}

/// What to do when the name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publish {
    /// The new object replaces it.
    Replace,
    /// The new object is refused.
    CreateNew,
}

fn taken_or_broken(error: io::Error) -> DiskError {
    let taken = error.kind() == io::ErrorKind::AlreadyExists;
    if taken { DiskError::Exists } else { DiskError::Io(error) }
}

impl Disk {
    /// Takes the directory, and removes what a killed process left half written.
    ///
    /// # Errors
    /// `E_LOCKED` when another process has it, `E_IO` when it cannot be used.
    pub fn open(root: &Path) -> Result<Self, Problem> {
        let lock = lock_dir(root)?;
        let (buckets, temp) = (root.join("buckets"), root.join("tmp"));
        let unusable = |error: io::Error| {
            let detail = format!("cannot use the directory {}: {error}", root.display());
            Problem::new(ErrorCode::Io, detail)
        };
        Self::prepare(root, &buckets, &temp).map_err(unusable)?;
        Ok(Self { buckets, temp, making_dirs: Mutex::new(()), _lock: lock })
    }

    fn prepare(root: &Path, buckets: &Path, temp: &Path) -> io::Result<()> {
        match fs::remove_dir_all(temp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        fs::create_dir_all(buckets)?;
        fs::create_dir_all(temp)?;
        // Directories of a process that was killed may not be durable yet; from here on they are.
        rustix::fs::syncfs(fs::File::open(root)?)?;
        Ok(())
    }

    /// Makes a bucket; false when it was there.
    pub fn create_bucket(&self, bucket: &str) -> Result<bool, DiskError> {
        let path = self.bucket_path(bucket)?;
        let fresh = !path.is_dir();
        self.make_dir(&path)?;
        Ok(fresh)
    }

    /// The bucket exists.
    pub fn has_bucket(&self, bucket: &str) -> bool {
        self.bucket_path(bucket).is_ok_and(|path| path.is_dir())
    }

    /// All buckets with the time they were made, by name.
    pub fn buckets(&self) -> Result<Vec<(String, SystemTime)>, DiskError> {
        let mut buckets = Vec::new();
        for entry in fs::read_dir(&self.buckets)? {
            let entry = entry?;
            let name = entry.file_name().to_str().and_then(key::decode);
            let meta = entry.metadata()?;
            let made = meta.created().or_else(|_| meta.modified())?;
            buckets.extend(name.map(|name| (name, made)));
        }
        buckets.sort();
        Ok(buckets)
    }

    /// Begins a body.
    pub fn begin(&self) -> Result<Incoming, DiskError> {
        Ok(Incoming::create(&self.temp)?)
    }

    /// Makes a written body an object. When this returns, it survives a power cut.
    pub fn publish(
        &self,
        bucket: &str,
        key: &str,
        body: Incoming,
        meta: Meta,
        how: Publish,
    ) -> Result<Meta, DiskError> {
        let path = self.object_path(bucket, key)?;
        let dir = path.parent().ok_or(DiskError::NoBucket)?;
        let file = body.seal(&meta)?;
        self.make_dir(dir)?;
        match how {
            Publish::Replace => file.rename(&path)?,
            Publish::CreateNew => file.link(&path).map_err(taken_or_broken)?,
        }
        sync_dir(dir)?;
        Ok(meta)
    }

    /// Opens an object; none when there is no such one.
    pub fn open_object(&self, bucket: &str, key: &str) -> Result<Option<OpenObject>, DiskError> {
        Ok(OpenObject::open(&self.object_path(bucket, key)?)?)
    }

    /// The object exists.
    pub fn has_object(&self, bucket: &str, key: &str) -> Result<bool, DiskError> {
        Ok(self.object_path(bucket, key)?.try_exists()?)
    }

    /// Removes an object; it is no error when there is none.
    pub fn delete(&self, bucket: &str, key: &str) -> Result<(), DiskError> {
        let path = self.object_path(bucket, key)?;
        match fs::remove_file(&path) {
            Ok(()) => Ok(sync_dir(path.parent().ok_or(DiskError::NoBucket)?)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Objects of a bucket in the order of their keys.
    pub fn list(&self, bucket: &str, query: &ListQuery) -> Result<Listed, DiskError> {
        if !self.has_bucket(bucket) {
            return Err(DiskError::NoBucket);
        }
        Ok(list::list(&self.bucket_path(bucket)?, query)?)
    }

    fn bucket_path(&self, bucket: &str) -> Result<PathBuf, KeyTooLong> {
        Ok(self.buckets.join(key::encode(bucket)?))
    }

    fn object_path(&self, bucket: &str, key: &str) -> Result<PathBuf, DiskError> {
        let bucket_path = self.bucket_path(bucket)?;
        if !bucket_path.is_dir() {
            return Err(DiskError::NoBucket);
        }
        Ok(key::object_path(&bucket_path, key)?)
    }

    /// Makes a directory and its parents, each durable before anything is put into it.
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        let _alone = self.making_dirs.lock().unwrap_or_else(PoisonError::into_inner);
        let missing: Vec<&Path> = dir.ancestors().take_while(|path| !path.is_dir()).collect();
        for path in missing.into_iter().rev() {
            fs::create_dir(path)?;
            path.parent().map_or(Ok(()), sync_dir)?;
        }
        Ok(())
    }
}
