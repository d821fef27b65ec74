//! Directories of forgotten attempts in which nothing was left, kept for the next ones.
//!
//! A short task's directory, its two below and its two logs cost a file system more to make and to remove
//! than the task itself: ext4, for one, steps around inodes that were freed in the last seconds, one by
//! one. Most short tasks leave nothing, and to give such a directory another name costs next to nothing.
//!
//! What is kept is as new: empty, of the same modes and owner, and no other name leads to its logs. Looking
//! into the directories costs more than the rest, so it is done once: as long as no inode changed since,
//! there is nothing new in them.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::place::TMP_DIR;
use crate::protocol::{STDERR_FILE, STDOUT_FILE, WORK_DIR};

/// Most directories that are kept while tasks come and go; each is five inodes.
const SPARES_MAX: usize = 512;
/// Most that stay when it is quiet.
const SPARES_IDLE: usize = 32;
/// Type and mode of a directory as it is made here.
const DIR_MODE: u32 = 0o040_700;
/// Type and mode of a log as it is made here.
const LOG_MODE: u32 = 0o100_600;

/// File systems count time in steps as long as a timer's tick; two changes within one look like one.
const CLOCK_STEP_MAX: Duration = Duration::from_millis(50);

/// The directories that are kept, under the names of the attempts that are forgotten: the next life of the
/// agent, which knows no attempt of these names, removes them.
#[derive(Debug, Default)]
pub(super) struct Spares {
    held: Mutex<Held>,
    /// One was wanted since [`Self::shrink`] last looked.
    wanted: AtomicBool,
}

/// Directories by their whole paths, with when they last changed, where that tells anything.
#[derive(Debug, Default)]
struct Held {
    kept: BTreeMap<OsString, Option<Changed>>,
    /// Those that were given to an attempt.
    lent: HashMap<OsString, Changed>,
}

/// When each inode of a directory last changed, in seconds and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Changed([(i64, i64); 5]);

impl Spares {
    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `dir` of one that is kept; false when there is none.
    pub(super) fn take(&self, dir: &Path) -> bool {
        self.wanted.store(true, Ordering::Relaxed);
        let mut held = self.held();
        // What is kept under this very name is no longer to be given to others.
        let same = held.kept.remove_entry(dir.as_os_str());
        let Some((name, changed)) = same.or_else(|| held.kept.pop_last()) else { return false };
        let taken = name == dir.as_os_str() || fs::rename(&name, dir).is_ok();
        if let (true, Some(changed)) = (taken, changed) {
            held.lent.insert(dir.into(), changed);
        }
        taken
    }

    /// Keeps `dir`, which nobody uses any more, if it is as new; false when it is still to be removed.
    pub(super) fn keep(&self, dir: &Path) -> bool {
        let before = self.held().lent.remove(dir.as_os_str());
        let Some(changed) = look_at(dir) else { return false };
        if before != Some(changed) && !is_empty(dir) {
            return false;
        }
        let mut held = self.held();
        let room = held.kept.len() < SPARES_MAX;
        if room {
            held.kept.insert(dir.into(), Some(changed).filter(Changed::is_settled));
        }
        room
    }

    /// Directories that are too many for a quiet time, to be removed; none when one was wanted since the
    /// last look.
    pub(super) fn shrink(&self) -> Vec<PathBuf> {
        if self.wanted.swap(false, Ordering::Relaxed) {
            return Vec::new();
        }
        let kept = &mut self.held().kept;
        let over = kept.len().saturating_sub(SPARES_IDLE);
        let first = std::iter::from_fn(|| kept.pop_first()).take(over);
        first.map(|(dir, _)| PathBuf::from(dir)).collect()
    }
}

impl Changed {
    /// True when a later change is sure to show as another time.
    fn is_settled(&self) -> bool {
        let before = SystemTime::now().checked_sub(CLOCK_STEP_MAX);
        let before = before.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let newest = self.0.iter().max().copied();
        before.zip(newest).is_some_and(|(before, (seconds, nanos))| {
            let before = (i64::try_from(before.as_secs()), i64::from(before.subsec_nanos()));
            before.0.is_ok_and(|whole| (seconds, nanos) < (whole, before.1))
        })
    }
}

/// When the five inodes last changed; nothing when one of them is not as it is made here.
fn look_at(dir: &Path) -> Option<Changed> {
    let root = fs::symlink_metadata(dir).ok().filter(|meta| meta.mode() == DIR_MODE)?;
    let at = |name: &str, mode: u32| {
        let meta = fs::symlink_metadata(dir.join(name)).ok()?;
        let is_new = mode == DIR_MODE || (meta.nlink() == 1 && meta.len() == 0);
        let ours = meta.mode() == mode && meta.uid() == root.uid();
        (is_new && ours).then(|| (meta.ctime(), meta.ctime_nsec()))
    };
    Some(Changed([
        // A new name is a change of the inode, and none of what it holds.
        (root.mtime(), root.mtime_nsec()),
        at(WORK_DIR, DIR_MODE)?,
        at(TMP_DIR, DIR_MODE)?,
        at(STDOUT_FILE, LOG_MODE)?,
        at(STDERR_FILE, LOG_MODE)?,
    ]))
}

/// True when there is nothing in it but what is made here.
fn is_empty(dir: &Path) -> bool {
    let holds = |dir: &Path, count| entries(dir) == Some(count);
    holds(dir, 4) && holds(&dir.join(WORK_DIR), 0) && holds(&dir.join(TMP_DIR), 0)
}

/// How many names are in a directory.
fn entries(dir: &Path) -> Option<usize> {
    fs::read_dir(dir).ok().map(Iterator::count)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};

    use super::{super::place::ATTEMPTS_DIR, *};

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

    /// One that was given to an attempt and is known by its times.
    fn settled(spares: &Spares, data: &Path, name: &str) -> PathBuf {
        let dir = attempt(data, name);
        while !look_at(&dir).unwrap().is_settled() {
            std::thread::yield_now();
        }
        assert!(spares.keep(&dir) && spares.take(&dir));
        assert!(spares.held().lent.contains_key(dir.as_os_str()));
        dir
    }

    #[test]
    fn a_directory_that_is_as_new_becomes_the_next_one() {
        let data = tempfile::tempdir().unwrap();
        let spares = Spares::default();
        let (old, new) = (attempt(data.path(), "old"), data.path().join(ATTEMPTS_DIR).join("new"));
        assert!(!spares.take(&new), "there is none yet");
        assert!(spares.keep(&old) && spares.take(&new));
        assert!(look_at(&new).is_some() && is_empty(&new) && !old.exists());
        assert!(!spares.take(&old), "there was one");
    }

    #[test]
    fn an_attempt_of_a_kept_name_takes_that_directory_and_nobody_else_gets_it() {
        let data = tempfile::tempdir().unwrap();
        let spares = Spares::default();
        let (same, other) = (attempt(data.path(), "same"), attempt(data.path(), "other"));
        assert!(spares.keep(&same) && spares.keep(&other));
        assert!(spares.take(&same) && same.exists() && other.exists());
        let next = data.path().join(ATTEMPTS_DIR).join("next");
        assert!(spares.take(&next) && same.exists() && !other.exists());
        assert!(!spares.take(&other));
    }

    #[test]
    fn whatever_a_job_left_or_changed_is_not_passed_on() {
        let data = tempfile::tempdir().unwrap();
        let spares = Spares::default();
        type Spoil = (&'static str, fn(&Path));
        let spoil: [Spoil; 8] = [
            ("a file in work", |dir| fs::write(dir.join("work/x"), "").unwrap()),
            ("a file in tmp", |dir| fs::write(dir.join("tmp/.x"), "").unwrap()),
            ("a file beside", |dir| fs::write(dir.join("upload.json"), "").unwrap()),
            ("output", |dir| fs::write(dir.join(STDOUT_FILE), "x").unwrap()),
            ("a second name of a log", |dir| {
                fs::hard_link(dir.join(STDERR_FILE), dir.with_extension("elsewhere")).unwrap();
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
            // The same of one whose inside was looked at before and is known by its times alone.
            let dir = settled(&spares, data.path(), &format!("{what}, later"));
            spoil(&dir);
            assert!(!spares.keep(&dir) && dir.exists(), "{what}, later");
        }
    }

    #[test]
    fn few_stay_when_it_is_quiet() {
        let data = tempfile::tempdir().unwrap();
        let spares = Spares::default();
        for number in 0..SPARES_IDLE + 2 {
            assert!(spares.keep(&attempt(data.path(), &number.to_string())));
        }
        let dir = data.path().join(ATTEMPTS_DIR).join("taken");
        assert!(spares.take(&dir));
        assert_eq!(spares.shrink().len(), 0, "one was wanted a moment ago");
        assert_eq!((spares.shrink().len(), spares.shrink().len()), (1, 0));
    }
}
