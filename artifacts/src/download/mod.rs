//! Fetches manifests, files and logs, and trusts none of them before their hashes agree.
use std::path::Path;

use mesh_schemas::{
    error::{ErrorCode, Problem},
    manifest::{FileEntry, Manifest, ManifestRef, StreamName, TimeMark},
};

use crate::port::ObjectPort;

/// Why it could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// Not there yet.
    #[error("not implemented")]
    NotImplemented,
}

impl DownloadError {
    /// For people.
    pub fn problem(&self) -> Problem {
        Problem::new(ErrorCode::Internal, self.to_string())
    }
}

/// How far a transfer is, in raw bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes that are in place.
    pub bytes_done: u64,
    /// Bytes altogether, as far as known.
    pub bytes_total: u64,
}

/// A piece of a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogPiece {
    /// The bytes from the wanted offset.
    pub data: Vec<u8>,
    /// When which of these bytes was seen.
    pub marks: Vec<TimeMark>,
    /// The attempt has ended and nothing follows these bytes.
    pub end: bool,
}

/// Fetches a manifest, verifies its size and hash, and checks every rule of its format.
#[expect(clippy::unused_async, reason = "the skeleton of an async function")]
pub async fn fetch_manifest(
    _port: &dyn ObjectPort,
    _http: &reqwest::Client,
    _manifest: &ManifestRef,
) -> Result<Manifest, DownloadError> {
    Err(DownloadError::NotImplemented)
}

/// Writes files of a manifest below `dest`, which must exist. `files` is `&manifest.files`,
/// `&manifest.checkpoint` or a selection of either.
#[expect(clippy::unused_async, reason = "the skeleton of an async function")]
pub async fn materialize(
    _port: &dyn ObjectPort,
    _http: &reqwest::Client,
    _manifest: &Manifest,
    _files: &[FileEntry],
    _dest: &Path,
    _on_progress: impl FnMut(Progress) + Send,
) -> Result<(), DownloadError> {
    Err(DownloadError::NotImplemented)
}

/// Log bytes from `from` on, at most `max`.
#[expect(clippy::unused_async, reason = "the skeleton of an async function")]
pub async fn read_log(
    _port: &dyn ObjectPort,
    _http: &reqwest::Client,
    _manifest: &Manifest,
    _stream: StreamName,
    _from: u64,
    _max: usize,
) -> Result<LogPiece, DownloadError> {
    Err(DownloadError::NotImplemented)
}
