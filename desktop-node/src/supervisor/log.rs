//! `supervisor.log`: what was started and how it ended, one JSON object a line.
//!
//! It outlives agent and supervisor: what it says of ends is told again until it is forgotten, and
//! what it says was started and not ended is what a dead supervisor left behind. It is not synced: a
//! machine that lost its power has no leftover processes, and the agent's journal knows what was told.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use mesh_schemas::AttemptKey;
use serde::{Deserialize, Serialize};

use crate::protocol::{Exited, SpawnFailed};

/// The log's name below the data directory.
const NAME: &str = "supervisor.log";
/// The log is written anew when so much was added since the last time.
const COMPACT_BYTES: usize = 16 << 20;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Record {
    /// A supervisor began.
    Began(Began),
    /// A command was started.
    Spawned(Spawned),
    /// It ended, with its tree.
    Exited(Exited),
    /// It could not be started.
    Failed(SpawnFailed),
    /// It was killed in the queue.
    Dequeued { attempt: AttemptKey },
    /// It ran under a supervisor that died.
    Lost { attempt: AttemptKey },
    /// Its end is known for good.
    Forgotten { attempts: Vec<AttemptKey> },
}

/// What the next supervisor needs in order to end what this one left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Began {
    /// The boot that pids belong to.
    pub boot: String,
    /// Its cgroups.
    pub cgroups: Vec<PathBuf>,
    /// One of these cgroups holds each process that it started.
    pub holds_all: bool,
}

/// A command that was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spawned {
    pub attempt: AttemptKey,
    pub pid: u32,
    /// Ticks since boot; read only where a cgroup does not say whose process it is.
    pub born: Option<u64>,
    pub dir: PathBuf,
}

/// What an attempt's last line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Last {
    Spawned(Spawned),
    Exited(Exited),
    Failed(SpawnFailed),
    Dequeued,
    Lost,
}

/// What the log of earlier supervisors says.
#[derive(Debug, Default)]
pub(super) struct Past {
    pub began: Vec<Began>,
    pub attempts: BTreeMap<AttemptKey, Last>,
    /// Lines that could not be read: a torn last one, or worse.
    pub unreadable: usize,
}

impl Past {
    /// Reads the log; a missing one is an empty past.
    pub(super) fn read(data_dir: &Path) -> io::Result<Self> {
        let file = match File::open(data_dir.join(NAME)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let mut past = Self::default();
        for line in BufReader::new(file).split(b'\n') {
            match serde_json::from_slice(&line?) {
                Ok(record) => past.apply(record),
                Err(_) => past.unreadable += 1,
            }
        }
        Ok(past)
    }

    fn apply(&mut self, record: Record) {
        let (attempt, last) = match record {
            Record::Began(began) => return self.began.push(began),
            Record::Forgotten { attempts } => {
                return attempts.iter().for_each(|attempt| {
                    self.attempts.remove(attempt);
                });
            }
            Record::Spawned(spawned) => (spawned.attempt, Last::Spawned(spawned)),
            Record::Exited(exited) => (exited.attempt, Last::Exited(exited)),
            Record::Failed(failed) => (failed.attempt, Last::Failed(failed)),
            Record::Dequeued { attempt } => (attempt, Last::Dequeued),
            Record::Lost { attempt } => (attempt, Last::Lost),
        };
        self.attempts.insert(attempt, last);
    }
}

/// The log, open for appending.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    added_bytes: usize,
}

impl Log {
    /// Begins the log anew with these records; until it is whole the old one stays.
    pub(super) fn begin(data_dir: &Path, records: &[Record]) -> io::Result<Self> {
        let path = data_dir.join(NAME);
        let fresh = data_dir.join(format!("{NAME}.new"));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&lines(records))?;
        file.sync_all()?;
        std::fs::rename(&fresh, &path)?;
        Ok(Self { path, file, added_bytes: 0 })
    }

    /// Adds records with one write. A full disk must not stop what runs: it is logged, and the worst
    /// that a missing line does is that an end is reported as lost.
    pub(super) fn add(&mut self, records: &[Record]) {
        let bytes = lines(records);
        self.added_bytes += bytes.len();
        if let Err(error) = self.file.write_all(&bytes) {
            tracing::warn!(path = %self.path.display(), %error, "The supervisor's log cannot be written");
        }
    }

    /// True when it is time to begin it anew.
    pub(super) fn is_long(&self) -> bool {
        self.added_bytes > COMPACT_BYTES
    }
}

fn lines(records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(records.len() * 256);
    for record in records {
        crate::protocol::encode(record, &mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use mesh_schemas::{Epoch, JobId};

    use super::*;

    fn key(task: u32) -> AttemptKey {
        AttemptKey { job: JobId::from_uuid(uuid::Uuid::from_u128(1)), task, epoch: Epoch(1) }
    }

    fn spawned(task: u32) -> Record {
        Record::Spawned(Spawned { attempt: key(task), pid: 7, born: None, dir: "/x".into() })
    }

    #[test]
    fn a_torn_last_line_costs_that_line_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::begin(dir.path(), &[spawned(1)]).unwrap();
        log.add(&[spawned(2), Record::Forgotten { attempts: vec![key(1)] }]);
        log.file.write_all(b"{\"kind\":\"exi").unwrap();
        let past = Past::read(dir.path()).unwrap();
        assert_eq!(past.attempts.keys().copied().collect::<Vec<_>>(), [key(2)]);
        assert_eq!(past.unreadable, 1);
    }

    #[test]
    fn a_missing_log_is_an_empty_past() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Past::read(dir.path()).unwrap().attempts.is_empty());
    }
}
