//! Directories of forgotten attempts in which nothing was left, kept for the next ones.
//!
//! A short task's directory, its two below and its two logs cost a file system more to make and to remove
//! than the task itself: ext4, for one, steps around inodes that were freed in the last seconds, one by
//! one. Most short tasks leave nothing, and to give such a directory another name costs next to nothing.
//!
//! What is kept is as new: empty, of the same modes and owner, and no other name leads to its logs.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::place::{ATTEMPTS_DIR, TMP_DIR};
use crate::protocol::{STDERR_FILE, STDOUT_FILE, WORK_DIR};

/// Most directories that are kept while tasks come and go; each is five inodes.
const SPARES_MAX: usize = 512;
/// Most that stay when it is quiet.
const SPARES_IDLE: usize = 32;
/// Type and mode of a directory as it is made here.
const DIR_MODE: u32 = 0o040_700;
/// Type and mode of a log as it is made here.
const LOG_MODE: u32 = 0o100_600;

/// The directories that are kept. They lie among those of the attempts, so that the next life of the agent,
/// which knows no attempt of their names, removes them.
#[derive(Debug)]
pub(super) struct Spares {
    root: PathBuf,
    kept: Mutex<Vec<PathBuf>>,
    made: AtomicU64,
    /// One was wanted since [`Self::shrink`] last looked.
    wanted: AtomicBool,
}

impl Spares {
    pub(super) fn new(data_dir: &Path) -> Self {
        let root = data_dir.join(ATTEMPTS_DIR);
        Self {
            root,
            kept: Mutex::default(),
            made: AtomicU64::new(0),
            wanted: AtomicBool::new(false),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `dir` of one that is kept; false when there is none.
    pub(super) fn take(&self, dir: &Path) -> bool {
        self.wanted.store(true, Ordering::Relaxed);
        let spare = self.kept().pop();
        spare.is_some_and(|spare| fs::rename(spare, dir).is_ok())
    }

    /// Keeps `dir`, which nobody uses any more, if it is as new; false when it is still to be removed.
    pub(super) fn keep(&self, dir: &Path) -> bool {
        if self.kept().len() >= SPARES_MAX || !is_as_new(dir) {
            return false;
        }
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let spare = self.root.join(format!("spare-{number}"));
        let renamed = fs::rename(dir, &spare).is_ok();
        if renamed {
            self.kept().push(spare);
        }
        renamed
    }

    /// Directories that are too many for a quiet time, to be removed; none when one was wanted since the
    /// last look.
    pub(super) fn shrink(&self) -> Vec<PathBuf> {
        if self.wanted.swap(false, Ordering::Relaxed) {
            return Vec::new();
        }
        let mut kept = self.kept();
        let from = kept.len().min(SPARES_IDLE);
        kept.split_off(from)
    }
}

fn is_as_new(dir: &Path) -> bool {
    let Ok(owner) = fs::symlink_metadata(dir).map(|meta| meta.uid()) else { return false };
    let is = |name: &str, mode: u32| {
        let meta = fs::symlink_metadata(dir.join(name));
        meta.is_ok_and(|meta| {
            let one_empty_file = meta.nlink() == 1 && meta.len() == 0;
            meta.mode() == mode && meta.uid() == owner && (mode == DIR_MODE || one_empty_file)
        })
    };
    is("", DIR_MODE)
        && is(WORK_DIR, DIR_MODE)
        && is(TMP_DIR, DIR_MODE)
        && is(STDOUT_FILE, LOG_MODE)
        && is(STDERR_FILE, LOG_MODE)
        && entries(dir) == Some(4)
        && entries(&dir.join(WORK_DIR)) == Some(0)
        && entries(&dir.join(TMP_DIR)) == Some(0)
}

/// How many names are in a directory.
fn entries(dir: &Path) -> Option<usize> {
    fs::read_dir(dir).ok().map(Iterator::count)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};

    use super::*;

    fn attempt(data: &Path, name: &str) -> PathBuf {
        let dir = data.join(ATTEMPTS_DIR).join(name);
        for made in [dir.clone(), dir.join(WORK_DIR), dir.join(TMP_DIR)] {
            fs::DirBuilder::new().mode(0o700).recursive(true).create(made).unwrap();
        }
        for log in [STDOUT_FILE, STDERR_FILE] {
            let mut options = fs::OpenOptions::new();
            options.write(true).create_new(true).mode(0o600).open(dir.join(log)).unwrap();
        }
        dir
    }

    #[test]
    fn a_directory_that_is_as_new_becomes_the_next_one() {
        let data = tempfile::tempdir().unwrap();
        let spares = Spares::new(data.path());
        let (old, new) = (attempt(data.path(), "old"), data.path().join(ATTEMPTS_DIR).join("new"));
        assert!(!spares.take(&new), "there is none yet");
        assert!(spares.keep(&old) && !old.exists());
        assert!(spares.take(&new) && is_as_new(&new));
        assert!(!spares.take(&old), "there was one");
    }

    #[test]
    fn whatever_a_job_left_or_changed_is_not_passed_on() {
        let data = tempfile::tempdir().unwrap();
        let spares = Spares::new(data.path());
        type Spoil = (&'static str, fn(&Path));
        let spoil: [Spoil; 8] = [
            ("a file in work", |dir| fs::write(dir.join("work/x"), "").unwrap()),
            ("a file in tmp", |dir| fs::write(dir.join("tmp/.x"), "").unwrap()),
            ("a file beside", |dir| fs::write(dir.join("upload.json"), "").unwrap()),
            ("output", |dir| fs::write(dir.join(STDOUT_FILE), "x").unwrap()),
            ("a second name of a log", |dir| {
                fs::hard_link(dir.join(STDERR_FILE), dir.join("../elsewhere")).unwrap();
            }),
            ("another mode", |dir| {
                fs::set_permissions(dir.join(WORK_DIR), fs::Permissions::from_mode(0o755)).unwrap();
            }),
            ("a link", |dir| {
                fs::remove_dir(dir.join(WORK_DIR)).unwrap();
                std::os::unix::fs::symlink(dir.join(TMP_DIR), dir.join(WORK_DIR)).unwrap();
            }),
            ("no log", |dir| fs::remove_file(dir.join(STDOUT_FILE)).unwrap()),
        ];
        for (what, spoil) in spoil {
            let dir = attempt(data.path(), what);
            spoil(&dir);
            assert!(!spares.keep(&dir) && dir.exists(), "{what}");
        }
    }

    #[test]
    fn few_stay_when_it_is_quiet() {
        let data = tempfile::tempdir().unwrap();
        let spares = Spares::new(data.path());
        for number in 0..SPARES_IDLE + 2 {
            assert!(spares.keep(&attempt(data.path(), &number.to_string())));
        }
        let dir = data.path().join(ATTEMPTS_DIR).join("taken");
        assert!(spares.take(&dir));
        assert_eq!(spares.shrink().len(), 0, "one was wanted a moment ago");
        assert_eq!((spares.shrink().len(), spares.shrink().len()), (1, 0));
    }
}
