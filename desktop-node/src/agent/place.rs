//! Where an attempt's files are: `attempts/<job>-<task>-<epoch>/{work/,tmp/,stdout,stderr,…}`.

use std::path::{Path, PathBuf};

use mesh_schemas::{AttemptKey, manifest::StreamName};

use crate::protocol::{STDERR_FILE, STDOUT_FILE, WORK_DIR};

/// The directory of all attempts below the data directory.
pub(super) const ATTEMPTS_DIR: &str = "attempts";
/// Name of the directory for temporary files, below the attempt's directory.
pub(super) const TMP_DIR: &str = "tmp";

/// The directory of one attempt.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) dir: PathBuf,
}

impl Place {
    pub(super) fn new(data_dir: &Path, attempt: AttemptKey) -> Self {
        Self { dir: data_dir.join(ATTEMPTS_DIR).join(name_of(attempt)) }
    }

    /// Where the command starts, unless it names a directory below.
    pub(super) fn work(&self) -> PathBuf {
        self.dir.join(WORK_DIR)
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.dir.join(TMP_DIR)
    }

    pub(super) fn log(&self, stream: StreamName) -> PathBuf {
        self.dir.join(match stream {
            StreamName::Stdout => STDOUT_FILE,
            StreamName::Stderr => STDERR_FILE,
        })
    }

    /// What the uploader remembers.
    pub(super) fn upload_state(&self) -> PathBuf {
        self.dir.join("upload.json")
    }

    /// The manifest whose checkpoint this attempt started with.
    pub(super) fn previous(&self) -> PathBuf {
        self.dir.join("previous.json")
    }
}

/// The name of an attempt's directory.
pub(super) fn name_of(attempt: AttemptKey) -> String {
    format!("{}-{}-{}", attempt.job, attempt.task, attempt.epoch)
}
