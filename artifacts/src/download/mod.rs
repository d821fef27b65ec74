//! Fetches manifests, files and logs, and trusts none of them before their hashes agree.

mod error;
mod log;
mod materialize;
mod write;

use bytes::Bytes;
use mesh_schemas::{
    error::{ErrorCode, Problem},
    manifest::{ChunkRef, Manifest, ManifestRef},
};

use crate::{
    core::{check, codec, fetch::Run, hash_hex},
    port::ObjectPort,
    transfer::{Getter, Wire},
};

pub use error::DownloadError;
pub use log::{LogPiece, read_log};
pub use materialize::materialize;

/// How far a transfer is, in raw bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes that are in place.
    pub bytes_done: u64,
    /// Bytes altogether, as far as known.
    pub bytes_total: u64,
}

/// Fetches a manifest, verifies its size and hash, and checks every rule of its format.
///
/// # Errors
/// Out of reach, or `E_INTEGRITY`, `E_PATH_ESCAPE` or `E_TOO_LARGE` for what cannot be trusted.
pub async fn fetch_manifest(
    port: &dyn ObjectPort,
    http: &reqwest::Client,
    manifest: &ManifestRef,
) -> Result<Manifest, DownloadError> {
    let ManifestRef { key, size, blake3 } = manifest;
    if *size == 0 || *size > check::MANIFEST_BYTES_MAX {
        let detail = format!("the manifest {key} has {size} bytes");
        return Err(DownloadError::Manifest(Problem::new(ErrorCode::TooLarge, detail)));
    }
    let json = Getter::new(Wire { port, http }).range(key, 0, *size).await?;
    let found = hash_hex(&json);
    if found != *blake3 {
        return Err(DownloadError::Hash { what: key.clone(), expected: blake3.clone(), found });
    }
    check::read_manifest(&json).map_err(DownloadError::Manifest)
}

/// The bytes of a run, as they lie in its pack.
async fn fetch_run(
    getter: &Getter<'_>,
    manifest: &Manifest,
    run: &Run,
) -> Result<Bytes, DownloadError> {
    let pack = manifest.packs.get(run.pack as usize).ok_or_else(|| {
        let detail = format!("the manifest has no pack {}", run.pack);
        DownloadError::Manifest(Problem::new(ErrorCode::Integrity, detail))
    })?;
    Ok(getter.range(&pack.key, run.start, run.end).await?)
}

/// The raw bytes of a chunk, verified.
fn raw_chunk<'a>(
    run: &Run,
    bytes: &'a [u8],
    chunk: &ChunkRef,
    of: &str,
) -> Result<std::borrow::Cow<'a, [u8]>, DownloadError> {
    let damaged =
        |source| DownloadError::Chunk { of: of.to_owned(), chunk: chunk.blake3.clone(), source };
    let kept = run.slice(bytes, chunk);
    let kept = kept.ok_or(codec::Damage::Length { expected: chunk.raw_len }).map_err(damaged)?;
    codec::decode(chunk, kept).map_err(damaged)
}
