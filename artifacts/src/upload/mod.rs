//! The incremental uploader of one attempt's output, checkpoint and logs.

use std::path::PathBuf;

use mesh_schemas::{
    error::{ErrorCode, Problem},
    manifest::{Manifest, ManifestOwner, ManifestSummary},
    time::Timestamp,
};

use crate::port::ObjectPort;

/// What to upload, and where from.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whose bytes these are; names of objects lie below its prefix.
    pub owner: ManifestOwner,
    /// The attempt's work directory.
    pub root: PathBuf,
    /// Patterns of files to keep, relative to `root`.
    pub outputs: Vec<String>,
    /// Directory below `root` whose contents the next attempt starts with.
    pub checkpoint: Option<String>,
    /// The file that standard output goes to.
    pub stdout: PathBuf,
    /// The file that standard error goes to.
    pub stderr: PathBuf,
    /// Where the uploader remembers what it has stored.
    pub state_file: PathBuf,
    /// The manifest of the task's attempt before this one: its chunks are not uploaded again.
    pub previous: Option<Box<Manifest>>,
    /// Bounds on what is taken.
    pub limits: Limits,
}

/// Bounds on what one attempt may store; what is beyond them is skipped with a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest file, in bytes.
    pub file_bytes_max: u64,
    /// All files together, in bytes.
    pub total_bytes_max: u64,
    /// Most files, output and checkpoint together; never over `manifest::FILES_MAX`.
    pub files_max: usize,
}

/// Whether more will follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The attempt still runs.
    Running,
    /// The attempt has ended; nothing follows.
    Final,
}

/// Why nothing could be stored. Nothing is lost: the next call goes on from what is stored.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// Not there yet.
    #[error("not implemented")]
    NotImplemented,
}

impl UploadError {
    /// For people.
    pub fn problem(&self) -> Problem {
        Problem::new(ErrorCode::Internal, self.to_string())
    }
}

/// Uploads what one attempt writes, and remembers what is stored.
#[derive(Debug)]
pub struct AttemptUploader {}

impl AttemptUploader {
    /// Begins, or resumes from the state file. Blocking, short.
    ///
    /// # Errors
    /// A pattern that cannot be used, or a state file that cannot be read.
    pub fn open(_options: Options) -> Result<Self, UploadError> {
        Err(UploadError::NotImplemented)
    }

    /// Notes when the logs grew. Call it every 200 ms or so; it costs two `stat` calls.
    pub fn observe(&mut self, _now: Timestamp) {}

    /// Log bytes written and not yet stored.
    pub fn new_log_bytes(&self) -> u64 {
        0
    }

    /// Stores what is new; `None` when nothing is.
    ///
    /// # Errors
    /// The store or whoever presigns is out of reach or refuses; what was stored is remembered.
    #[expect(clippy::unused_async, reason = "the skeleton of an async function")]
    pub async fn store(
        &mut self,
        _port: &dyn ObjectPort,
        _http: &reqwest::Client,
        _stage: Stage,
    ) -> Result<Option<ManifestSummary>, UploadError> {
        Err(UploadError::NotImplemented)
    }
}
