//! What this user remembers of the log of one cluster: the key that was seen first, the registry's keys that it vouched
//! for, the last head that was accepted, and the evidence of what was refused or left behind.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use mesh_fabric::files::{sync_dir, write_durable};
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{AUTHORS_STATEMENT, AuthorId},
};
use mesh_tlog::{SignedCheckpoint, TrustedLog, VerifierKey};

use super::{private_dir, state_dir};
use crate::{client::Client, context};

/// How long a command waits for another one that is about the same log.
const HELD_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks whether that has ended.
const HELD_EVERY: Duration = Duration::from_millis(50);

/// What is remembered of a log; each is a file.
const FILES: [&str; 3] = ["checkpoint", "authors", "key"];
/// Names the directory of a log that is being left behind, until all is in its new place.
const MOVING: &str = "moving";

/// One directory for each cluster, as the user names it.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    dir: PathBuf,
}

/// What is remembered from now on, when a log goes on under a new origin.
#[derive(Debug)]
pub(super) struct Next<'a> {
    pub(super) key: &'a str,
    pub(super) authors: &'a str,
    pub(super) checkpoint: &'a str,
}

impl Memory {
    /// What is remembered of this cluster's log.
    pub(super) fn of(client: &Client) -> Result<Self, Problem> {
        let name = mesh_fabric::ids::sha256(client.servers().as_bytes());
        let name = data_encoding::HEXLOWER.encode(&name[..8]);
        Ok(Self { dir: private_dir(state_dir()?.join("ledger").join(name))? })
    }

    /// Keeps other commands from it until the file is dropped: from what is read to what is kept of it nothing changes.
    ///
    /// # Errors
    /// `E_LOCKED` when another command has it for long; `E_FILE`.
    pub(super) async fn hold(&self) -> Result<File, Problem> {
        let path = self.dir.join("lock");
        let failed = |error: &io::Error| context::io("lock", &path, error);
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| failed(&error))?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if begun.elapsed() > HELD_WITHIN => {
                    let detail = format!("another command has {} all the time", path.display());
                    return Err(Problem::new(ErrorCode::Locked, detail)
                        .hint("end that command, or wait for it"));
                }
                Err(TryLockError::WouldBlock) => tokio::time::sleep(HELD_EVERY).await,
                Err(TryLockError::Error(error)) => return Err(failed(&error)),
            }
        }
        self.finish_moving()?;
        Ok(file)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The key that was seen first.
    pub(super) fn key(&self) -> Result<Option<String>, Problem> {
        read(&self.dir.join("key"))
    }

    /// The last head that was accepted.
    pub(super) fn head(&self, log: &TrustedLog) -> Result<Option<SignedCheckpoint>, Problem> {
        let text = read(&self.dir.join("checkpoint"))?;
        text.map(|text| opened(log, &text)).transpose()
    }

    /// The registry's keys, as the log's key vouched for them; none of a log that was seen by a version of before.
    pub(super) fn authors(&self, log: &TrustedLog) -> Result<Vec<AuthorId>, Problem> {
        let note = read(&self.dir.join("authors"))?.unwrap_or_default();
        vouched(log, &note)
    }

    pub(super) fn keep_key(&self, key: &str) -> Result<(), Problem> {
        write(&self.dir.join("key"), key.as_bytes())
    }

    pub(super) fn keep_authors(&self, note: &str) -> Result<(), Problem> {
        write(&self.dir.join("authors"), note.as_bytes())
    }

    pub(super) fn keep_head(&self, head: &SignedCheckpoint) -> Result<(), Problem> {
        write(&self.dir.join("checkpoint"), head.to_string().as_bytes())
    }

    /// Keeps files for others to judge; where.
    pub(super) fn keep_evidence(&self, files: &[(&str, String)]) -> Result<PathBuf, Problem> {
        self.keep_in("evidence", files)
    }

    /// Remembers the next log instead, and keeps what was remembered beside it, with what led from the one to the
    /// other; where. Cut off at any point it is finished the next time.
    pub(super) fn move_on(
        &self,
        next: &Next<'_>,
        evidence: &[(&str, String)],
    ) -> Result<PathBuf, Problem> {
        let mut files: Vec<(&str, String)> = evidence.to_vec();
        for name in FILES {
            files.extend(read(&self.dir.join(name))?.map(|text| (name, text)));
        }
        let kept = self.keep_in("before", &files)?;
        for (name, text) in
            [("checkpoint", next.checkpoint), ("authors", next.authors), ("key", next.key)]
        {
            write(&kept.join(format!("next-{name}")), text.as_bytes())?;
        }
        let name = kept.file_name().unwrap_or_default().to_string_lossy().into_owned();
        write(&self.dir.join(MOVING), name.as_bytes())?;
        self.finish_moving()?;
        Ok(kept)
    }

    fn finish_moving(&self) -> Result<(), Problem> {
        let moving = self.dir.join(MOVING);
        let Some(name) = read(&moving)? else { return Ok(()) };
        let kept = self.dir.join(name);
        for name in FILES {
            if let Some(text) = read(&kept.join(format!("next-{name}")))? {
                write(&self.dir.join(name), text.as_bytes())?;
            }
        }
        // The old log's; there may be none.
        let _none = std::fs::rename(self.dir.join("files"), kept.join("files"));
        std::fs::remove_file(&moving).map_err(|error| context::io("remove", &moving, &error))?;
        sync_dir(&self.dir).map_err(|error| context::io("write", &self.dir, &error))
    }

    fn keep_in(&self, what: &str, files: &[(&str, String)]) -> Result<PathBuf, Problem> {
        let kept = self.dir.join(format!("{what}-{}", mesh_fabric::time::now().as_millis()));
        let kept = private_dir(kept)?;
        files.iter().try_for_each(|(name, text)| write(&kept.join(name), text.as_bytes()))?;
        Ok(kept)
    }
}

/// The verifier of a key's text.
pub(crate) fn trusted(key: &str) -> Result<TrustedLog, Problem> {
    let parsed = VerifierKey::parse(key.trim());
    let bad = |error: &dyn std::fmt::Display| {
        Problem::new(ErrorCode::Integrity, format!("the log's key cannot be used: {error}"))
    };
    TrustedLog::from_key(parsed.map_err(|error| bad(&error))?).map_err(|error| bad(&error))
}

/// Reads a signed head of this log.
pub(super) fn opened(log: &TrustedLog, note: &str) -> Result<SignedCheckpoint, Problem> {
    log.open(note.as_bytes()).map_err(|error| {
        Problem::new(ErrorCode::Integrity, format!("the log's head is not to be believed: {error}"))
    })
}

/// The registry's keys in a note of the log; none in an empty one.
pub(super) fn vouched(log: &TrustedLog, note: &str) -> Result<Vec<AuthorId>, Problem> {
    if note.is_empty() {
        return Ok(Vec::new());
    }
    let wrong = |error: &dyn std::fmt::Display| {
        let detail = format!("the registry's keys are not to be believed: {error}");
        Problem::new(ErrorCode::Integrity, detail)
    };
    let lines = log.open_statement(AUTHORS_STATEMENT, note.as_bytes());
    let authors = lines.map_err(|error| wrong(&error))?;
    authors.iter().map(|line| line.parse().map_err(|error| wrong(&error))).collect()
}

fn read(file: &Path) -> Result<Option<String>, Problem> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(context::io("read", file, &error)),
    }
}

pub(super) fn write(file: &Path, bytes: &[u8]) -> Result<(), Problem> {
    write_durable(file, bytes).map_err(|error| context::io("write", file, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(memory: &Memory, name: &str) -> Option<String> {
        read(&memory.dir.join(name)).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn one_command_at_a_time_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory { dir: dir.path().to_owned() };
        let held = memory.hold().await.unwrap();
        let short = Duration::from_millis(500);
        assert!(tokio::time::timeout(short, memory.hold()).await.is_err());
        drop(held);
        memory.hold().await.unwrap();
    }

    #[tokio::test]
    async fn moving_on_is_whole_wherever_it_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory { dir: dir.path().to_owned() };
        for name in FILES {
            write(&dir.path().join(name), format!("old {name}").as_bytes()).unwrap();
        }
        let next = Next { key: "new key", authors: "new authors", checkpoint: "new checkpoint" };
        let kept = memory.move_on(&next, &[("proof", "why".into())]).unwrap();
        for name in FILES {
            assert_eq!(text(&memory, name), Some(format!("new {name}")));
            assert_eq!(read(&kept.join(name)).unwrap(), Some(format!("old {name}")));
        }
        assert_eq!(read(&kept.join("proof")).unwrap().as_deref(), Some("why"));

        // Cut off behind the first file of the new place.
        for name in ["authors", "key"] {
            write(&dir.path().join(name), format!("old {name}").as_bytes()).unwrap();
        }
        let name = kept.file_name().unwrap().to_str().unwrap();
        write(&dir.path().join(MOVING), name.as_bytes()).unwrap();
        let _held = memory.hold().await.unwrap();
        for name in FILES {
            assert_eq!(text(&memory, name), Some(format!("new {name}")));
        }
        assert_eq!(text(&memory, MOVING), None);
    }
}
