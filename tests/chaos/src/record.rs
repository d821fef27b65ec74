//! The clients' own history: a line for each request before it is sent, and one for what came back. A
//! request whose second line is missing has an unknown outcome.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::history::{Action, Done, Op, Outcome};

/// The file's name in the run's directory.
pub const FILE: &str = "clients.jsonl";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Asked(Op),
    Done { id: u64, done: Done },
}

/// Writes the history of all clients of a run.
#[derive(Debug)]
pub struct Recorder {
    file: Mutex<File>,
    begun: Instant,
    next: AtomicU64,
}

impl Recorder {
    /// A new file in the directory.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(dir: &Path) -> anyhow::Result<Self> {
        let file = File::create(dir.join(FILE)).context(FILE)?;
        Ok(Self { file: Mutex::new(file), begun: Instant::now(), next: AtomicU64::new(0) })
    }

    fn ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Notes a request that is about to be sent; its number.
    ///
    /// # Errors
    /// When it cannot be written: then it must not be sent.
    pub fn asked(&self, client: u32, action: Action) -> anyhow::Result<u64> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (at, invoked_ms) = (mesh_fabric::time::now(), self.ms());
        self.write(&Line::Asked(Op { id, client, at, invoked_ms, action, done: None }))?;
        Ok(id)
    }

    /// Notes what came back.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn done(&self, id: u64, outcome: Outcome) -> anyhow::Result<()> {
        self.write(&Line::Done { id, done: Done { ms: self.ms(), outcome } })
    }

    fn write(&self, line: &Line) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        // One write for each line, so that lines are whole.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&text).context(FILE)
    }
}

/// The requests that a file tells of.
///
/// # Errors
/// When a line but the last is no line.
pub fn read(path: &Path) -> anyhow::Result<Vec<Op>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let mut ops: BTreeMap<u64, Op> = BTreeMap::new();
    let mut torn = None;
    for line in BufReader::new(file).lines() {
        if let Some(error) = torn {
            return Err(error);
        }
        match serde_json::from_str(&line?) {
            Ok(Line::Asked(op)) => drop(ops.insert(op.id, op)),
            Ok(Line::Done { id, done }) => {
                if let Some(op) = ops.get_mut(&id) {
                    op.done = Some(done);
                }
            }
            // The last line may be torn: its writer was killed.
            Err(error) => torn = Some(anyhow::Error::new(error).context(FILE)),
        }
    }
    Ok(ops.into_values().collect())
}

#[cfg(test)]
mod tests {
    use mesh_schemas::JobId;

    use super::*;
    use crate::history::Answer;

    #[test]
    fn what_was_asked_and_what_came_back_is_read_again_also_behind_a_torn_end() {
        let dir = tempfile::tempdir().unwrap();
        let job = JobId::from_uuid(uuid::Uuid::from_u128(1));
        let recorder = Recorder::create(dir.path()).unwrap();
        let first = recorder.asked(1, Action::Cancel(job)).unwrap();
        let second = recorder.asked(2, Action::Look(job)).unwrap();
        recorder.done(first, Outcome::Ok(Answer::Changed(3))).unwrap();
        let path = dir.path().join(FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}{{\"asked\": {{")).unwrap();
        let ops = read(&path).unwrap();
        assert_eq!(ops.len(), 2);
        assert_eq!(ops[0].answer(), Some(&Answer::Changed(3)));
        assert_eq!((ops[1].id, &ops[1].done), (second, &None));
        std::fs::write(&path, format!("{{]\n{text}")).unwrap();
        assert!(read(&path).is_err());
    }
}
