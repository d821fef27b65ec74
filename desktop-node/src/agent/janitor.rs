//! Removes the directories of forgotten attempts, off the hot path, and watches the disk.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering, mpsc},
    time::Duration,
};

use mesh_schemas::{AttemptKey, ByteSize, ErrorCode, Problem};

use super::{
    board::Board,
    place::{ATTEMPTS_DIR, Place, name_of},
    report::disk_available,
    spares::Spares,
};
use crate::files::remove_tree;

/// With less free space than this the node takes nothing new.
const DISK_LOW: ByteSize = ByteSize::mib(256);
/// With this much it takes work again.
const DISK_ENOUGH: ByteSize = ByteSize::mib(512);
/// How often the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The way to the janitor's thread, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Janitor {
    data_dir: PathBuf,
    rooms: mpsc::Sender<PathBuf>,
}

impl Janitor {
    /// Starts the thread; it begins with the leftovers of attempts that are not in `held`.
    ///
    /// # Errors
    /// `E_IO` when the directory cannot be made.
    pub(super) fn start(
        data_dir: &Path,
        held: impl Iterator<Item = AttemptKey>,
        board: Arc<Board>,
        spares: Arc<Spares>,
    ) -> Result<Self, Problem> {
        let io = |error: std::io::Error| {
            let detail = format!("cannot keep attempts below {}: {error}", data_dir.display());
            Problem::new(ErrorCode::Io, detail)
        };
        let root = data_dir.join(ATTEMPTS_DIR);
        fs::create_dir_all(&root).map_err(io)?;
        // Named now: what is made from here on is no leftover.
        let leftovers = leftovers(&root, &held.map(|key| name_of(key).into()).collect());
        let (rooms, dirs) = mpsc::channel();
        let dir = data_dir.to_owned();
        std::thread::Builder::new()
            .name("mesh-janitor".into())
            .spawn(move || {
                leftovers.iter().for_each(|dir| remove(dir));
                work(&dir, &dirs, &board, &spares);
            })
            .map_err(io)?;
        Ok(Self { data_dir: data_dir.to_owned(), rooms })
    }

    /// Removes the directory of a forgotten attempt, soon, or keeps it for another one.
    pub(super) fn remove(&self, attempt: AttemptKey) {
        // The thread ends only after this.
        let _ended = self.rooms.send(Place::new(&self.data_dir, attempt).dir);
    }
}

fn leftovers(root: &Path, held: &BTreeSet<OsString>) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let unknown = entries.flatten().filter(|entry| !held.contains(&entry.file_name()));
    unknown.map(|entry| entry.path()).collect()
}

fn work(data_dir: &Path, dirs: &mpsc::Receiver<PathBuf>, board: &Board, spares: &Spares) {
    loop {
        look(disk_available(data_dir), board);
        spares.shrink().iter().for_each(|dir| remove(dir));
        let until = std::time::Instant::now() + LOOK_EVERY;
        loop {
            let left = until.saturating_duration_since(std::time::Instant::now());
            match dirs.recv_timeout(left) {
                Ok(dir) if spares.keep(&dir) => {}
                Ok(dir) => remove(&dir),
                Err(mpsc::RecvTimeoutError::Timeout) => break,
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

fn remove(dir: &Path) {
    match remove_tree(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        // The next life of the agent tries again.
        Err(error) => tracing::warn!(%error, dir = %dir.display(), "A directory stays behind"),
    }
}

fn look(available: ByteSize, board: &Board) {
    let low = board.disk_low.load(Ordering::Relaxed);
    if !low && available < DISK_LOW {
        tracing::warn!(%available, "Paused: the disk is nearly full");
        board.disk_low.store(true, Ordering::Relaxed);
    } else if low && available >= DISK_ENOUGH {
        tracing::info!(%available, "No longer paused: the disk has room again");
        board.disk_low.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use mesh_schemas::JournalId;

    use super::*;

    #[test]
    fn a_nearly_full_disk_pauses_the_node_until_there_is_room_to_spare() {
        let board = Board::new(JournalId::from_uuid(uuid::Uuid::from_u128(1)));
        for (mib, paused) in [(300, false), (255, true), (300, true), (512, false)] {
            look(ByteSize::mib(mib), &board);
            assert_eq!(board.is_paused(), paused, "{mib} MiB");
        }
    }

    #[test]
    fn leftovers_are_what_no_journal_knows() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let held = BTreeSet::from([OsString::from("a")]);
        assert_eq!(leftovers(dir.path(), &held), [dir.path().join("b")]);
    }
}
