//! Ships a directory as a job's input.
use std::path::Path;

use mesh_schemas::{id::UploadId, manifest::ManifestRef};

use crate::{download::Progress, port::ObjectPort, upload::UploadError};

/// How to ship.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The upload that the URLs were asked for.
    pub upload: UploadId,
    /// Leave out what `.gitignore`, `.ignore` and the like name; `.git` is always left out.
    pub gitignore: bool,
}

/// What was shipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipped {
    /// The manifest, to put into the job's spec as its input.
    pub manifest: ManifestRef,
    /// Number of files.
    pub files: u32,
    /// Their bytes.
    pub bytes: u64,
    /// What was left out beside what is ignored, and why; at most 100 lines.
    pub skipped: Vec<String>,
}

/// Stores the files below `dir` and a manifest of them.
#[expect(clippy::unused_async, reason = "the skeleton of an async function")]
pub async fn ship_directory(
    _dir: &Path,
    _port: &dyn ObjectPort,
    _http: &reqwest::Client,
    _options: Options,
    _on_progress: impl FnMut(Progress) + Send,
) -> Result<Shipped, UploadError> {
    Err(UploadError::NotImplemented)
}
