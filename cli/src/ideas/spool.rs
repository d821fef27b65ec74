//! Submissions that are not yet known to be in the log: one file each, durable before it is sent, removed
//! once an index is known. A mesh that is out of reach costs no idea.

use std::path::PathBuf;

use mesh_schemas::{
    Problem,
    idea::{EntryId, Submission},
};
use serde::{Deserialize, Serialize};

use super::{private_dir, state_dir};
use crate::context::io;

/// Most submissions that one command takes along beside its own.
const TAKEN_ALONG_MAX: usize = 100;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Waiting {
    /// The cluster it is for, as the user names it.
    server: String,
    submission: Submission,
}

/// The spool of one cluster.
#[derive(Debug)]
pub(crate) struct Spool {
    dir: PathBuf,
    server: String,
}

impl Spool {
    pub(crate) fn open(server: &str) -> Result<Self, Problem> {
        let dir = private_dir(state_dir()?.join("spool"))?;
        Ok(Self { dir, server: server.to_owned() })
    }

    /// Keeps a submission; durable when this returns.
    pub(crate) fn keep(&self, entry: EntryId, submission: &Submission) -> Result<(), Problem> {
        let waiting = Waiting { server: self.server.clone(), submission: submission.clone() };
        let text = serde_json::to_vec(&waiting)
            .map_err(|error| Problem::new(mesh_schemas::ErrorCode::Internal, error.to_string()))?;
        let file = self.file(entry);
        mesh_fabric::files::write_private(&file, &text).map_err(|error| io("write", &file, &error))
    }

    /// It is in the log, or never will be.
    pub(crate) fn forget(&self, entry: EntryId) -> Result<(), Problem> {
        let file = self.file(entry);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io("remove", &file, &error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// What waits for this cluster, by id; all of it, or as much as one command takes along.
    pub(crate) fn waiting(&self, all: bool) -> Result<Vec<(EntryId, Submission)>, Problem> {
        let read = |error| io("read", &self.dir, &error);
        let mut waiting = Vec::new();
        for item in std::fs::read_dir(&self.dir).map_err(read)? {
            let name = item.map_err(read)?.file_name();
            let Some(entry) = name.to_str().and_then(|name| name.strip_suffix(".json")) else {
                continue;
            };
            let Ok(entry) = entry.parse::<EntryId>() else { continue };
            if let Some(submission) = self.read(entry)? {
                waiting.push((entry, submission));
            }
            if !all && waiting.len() >= TAKEN_ALONG_MAX {
                break;
            }
        }
        // Parents before children: what came first goes first.
        waiting.sort_by_key(|(entry, submission)| (submission.entry.time, *entry));
        Ok(waiting)
    }

    fn read(&self, entry: EntryId) -> Result<Option<Submission>, Problem> {
        let file = self.file(entry);
        let bytes = match std::fs::read(&file) {
            Ok(bytes) => bytes,
            // Another command was quicker.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("read", &file, &error)),
        };
        let waiting: Result<Waiting, _> = serde_json::from_slice(&bytes);
        match waiting {
            Ok(waiting) if waiting.server == self.server => Ok(Some(waiting.submission)),
            Ok(_) => Ok(None),
            Err(error) => {
                crate::output::note(format!("{} cannot be read: {error}", file.display()));
                Ok(None)
            }
        }
    }

    fn file(&self, entry: EntryId) -> PathBuf {
        self.dir.join(format!("{entry}.json"))
    }
}
