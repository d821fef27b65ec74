//! The incremental uploader of one attempt's output, checkpoint and logs.
//!
//! Logs are append-only files that others write; each cycle stores the bytes since the last one.
//! Files are read again when they look changed, and only chunks that are not stored yet are
//! uploaded. A cycle ends with a manifest; the state file is durable before the manifest is
//! reported, so a killed agent goes on where it stands and uploads nothing twice.

mod cycle;
mod error;
mod notes;
mod pipeline;
mod producer;
mod scan;
mod small;

use std::{fs, io, path::PathBuf};

use mesh_fabric::time;
use mesh_schemas::{
    manifest::{
        FILES_MAX, LogStream, Manifest, ManifestOwner, ManifestSummary, StreamName, TimeMark,
    },
    time::Timestamp,
};

use crate::{
    core::{log::Growth, select::Selection, state::UploadState},
    port::ObjectPort,
    transfer::Wire,
};

pub use crate::transfer::TransferError;
pub use error::UploadError;
pub use notes::Notes;
pub(crate) use pipeline::Pipeline;
pub(crate) use producer::Producer;
pub(crate) use scan::Found;

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
    /// All output files together, and all checkpoint files together, in bytes.
    pub total_bytes_max: u64,
    /// Most files, output and checkpoint together; never over `manifest::FILES_MAX`.
    pub files_max: usize,
}

impl Default for Limits {
    /// 64 GiB a file, 256 GiB together, as many files as a manifest may name.
    fn default() -> Self {
        Self { file_bytes_max: 64 << 30, total_bytes_max: 256 << 30, files_max: FILES_MAX }
    }
}

/// Whether more will follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The attempt still runs.
    Running,
    /// The attempt has ended; nothing follows.
    Final,
}

/// What the last cycle did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadOutcome {
    /// What was left out, and why.
    pub skipped: Notes,
    /// Bytes of packs that were uploaded.
    pub uploaded_bytes: u64,
}

/// Uploads what one attempt writes, and remembers what is stored.
#[derive(Debug)]
pub struct AttemptUploader {
    options: Options,
    outputs: Selection,
    state: UploadState,
    stdout: Growth,
    stderr: Growth,
    outcome: UploadOutcome,
}

impl AttemptUploader {
    /// Begins, or resumes from the state file. Blocking, short.
    ///
    /// # Errors
    /// A pattern that cannot be used, or a state file that cannot be read.
    pub fn open(options: Options) -> Result<Self, UploadError> {
        let outputs = Selection::new(&options.outputs).map_err(UploadError::Pattern)?;
        let state = match read_state(&options)? {
            Some(state) => state,
            None => first_state(&options),
        };
        let growth = |log: &LogStream| Growth::after(log.size);
        let (stdout, stderr) = (growth(&state.contents.stdout), growth(&state.contents.stderr));
        Ok(Self { options, outputs, state, stdout, stderr, outcome: UploadOutcome::default() })
    }

    /// Notes when the logs grew. Call it every 200 ms or so; it costs two `stat` calls.
    pub fn observe(&mut self, now: Timestamp) {
        let Options { stdout, stderr, .. } = &self.options;
        for (path, growth) in [(stdout, &mut self.stdout), (stderr, &mut self.stderr)] {
            // A log that is not there yet has not grown; one that cannot be read shows in `store`.
            if let Ok(meta) = fs::metadata(path) {
                growth.observe(meta.len(), now);
            }
        }
    }

    /// Log bytes seen by [`AttemptUploader::observe`] and not yet stored.
    pub fn new_log_bytes(&self) -> u64 {
        let contents = &self.state.contents;
        let new = |growth: &Growth, stored: u64| growth.seen().saturating_sub(stored);
        new(&self.stdout, contents.stdout.size) + new(&self.stderr, contents.stderr.size)
    }

    /// When which byte of a log was seen, for bytes that are not stored yet; sorted by offset.
    pub fn waiting_marks(&self, stream: StreamName) -> &[TimeMark] {
        match stream {
            StreamName::Stdout => self.stdout.marks(),
            StreamName::Stderr => self.stderr.marks(),
        }
    }

    /// The newest manifest that was made, by an earlier uploader of the same attempt as well.
    pub const fn last(&self) -> Option<&ManifestSummary> {
        self.state.last.as_ref()
    }

    /// What the last call of [`AttemptUploader::store`] did.
    pub const fn outcome(&self) -> &UploadOutcome {
        &self.outcome
    }

    /// Stores what is new; `None` when nothing is. The final stage always gives a summary, the same
    /// one when asked again; a small result is in the summary itself and causes no request.
    ///
    /// # Errors
    /// The store or whoever presigns is out of reach or refuses; what was stored is remembered, and
    /// the next call goes on from there. Files that cannot be read are notes, not errors.
    pub async fn store(
        &mut self,
        port: &dyn ObjectPort,
        http: &reqwest::Client,
        stage: Stage,
    ) -> Result<Option<ManifestSummary>, UploadError> {
        self.observe(time::now());
        self.outcome = UploadOutcome::default();
        let complete = stage == Stage::Final;
        if self.state.complete {
            return Ok(self.state.last.clone().filter(|_| complete));
        }
        if complete
            && self.state.is_fresh()
            && let Some(summary) = self.small_result().await?
        {
            return Ok(Some(summary));
        }
        self.cycle(Wire { port, http }, complete).await
    }
}

fn read_state(options: &Options) -> Result<Option<UploadState>, UploadError> {
    let path = &options.state_file;
    let failed = |source| UploadError::State { path: path.clone(), source };
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let state: UploadState = serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
    if state.belongs_to(options.owner) {
        return Ok(Some(state));
    }
    let other = io::Error::new(io::ErrorKind::InvalidData, "it belongs to another upload");
    Err(failed(other))
}

fn first_state(options: &Options) -> UploadState {
    let mut state = UploadState::new(options.owner);
    if let Some(previous) = &options.previous {
        state.adopt(previous);
    }
    state
}
