//! Writes files of a manifest below a directory.

use std::path::Path;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use mesh_schemas::manifest::{FileEntry, Manifest};

use super::{
    DownloadError, Progress, fetch_run, raw_chunk,
    write::{Partial, is_in_place},
};
use crate::{
    beneath::Dir,
    core::{
        check,
        fetch::{self, Run},
    },
    port::ObjectPort,
    transfer::{Getter, Wire},
};

/// Range requests under way or waiting to be written.
const RUNS_AHEAD_MAX: usize = 4;

/// Writes files of a manifest below `dest`, which must exist. `files` is `&manifest.files`,
/// `&manifest.checkpoint` or a selection of either.
///
/// Every chunk and every file is verified before the file gets its name; a file that is there and
/// right is kept, so a download that was cut off goes on. Links are never followed and never
/// replaced, and nothing is written outside `dest`.
///
/// # Errors
/// Out of reach; `E_INTEGRITY` naming file and chunk; `E_PATH_ESCAPE` when a link, a directory or a
/// device has a file's name; `E_TOO_LARGE` when the files do not fit on the disk.
pub async fn materialize(
    port: &dyn ObjectPort,
    http: &reqwest::Client,
    manifest: &Manifest,
    files: &[FileEntry],
    dest: &Path,
    mut on_progress: impl FnMut(Progress) + Send,
) -> Result<(), DownloadError> {
    // The entries must obey the manifest's rules even when the caller made them.
    check::check_files(&manifest.packs, files).map_err(DownloadError::Manifest)?;
    let bytes_total = files.iter().map(|file| file.size).sum();
    let (to_write, mut writer) = Writer::begin(dest, files, bytes_total).await?;
    let mut report = |bytes_done| on_progress(Progress { bytes_done, bytes_total });
    report(writer.bytes_done);
    let runs = fetch::runs(to_write.iter().flat_map(|file| &file.chunks));
    let getter = Getter::new(Wire { port, http });
    let fetched = stream::iter(runs).map(|run| {
        let getter = &getter;
        async move {
            let bytes = fetch_run(getter, manifest, &run).await?;
            Ok::<_, DownloadError>((run, bytes))
        }
    });
    let mut fetched = std::pin::pin!(fetched.buffered(RUNS_AHEAD_MAX));
    while let Some((run, bytes)) = fetched.try_next().await? {
        writer = writer.take(run, bytes).await?;
        report(writer.bytes_done);
    }
    writer.finish().await?;
    report(bytes_total);
    Ok(())
}

/// Puts chunks, which come in order, into the files, which are written in order. Goes back and forth
/// between the async task and the blocking threads.
struct Writer {
    root: Dir,
    waiting: std::vec::IntoIter<FileEntry>,
    current: Option<(Partial, String, usize)>,
    bytes_done: u64,
}

impl Writer {
    /// The files that must be written, and their writer.
    async fn begin(
        dest: &Path,
        files: &[FileEntry],
        wanted: u64,
    ) -> Result<(Vec<FileEntry>, Self), DownloadError> {
        let (dest, files) = (dest.to_owned(), files.to_vec());
        blocking(move || {
            let shown = dest.display().to_string();
            let failed = |source| DownloadError::Write { path: shown.clone(), source };
            let root = Dir::open(&dest).map_err(failed)?;
            let mut missing = Vec::new();
            let mut kept_bytes = 0;
            for file in files {
                if is_in_place(&root, &file)? {
                    kept_bytes += file.size;
                } else {
                    missing.push(file);
                }
            }
            let (free, wanted) = (root.free_bytes().map_err(failed)?, wanted - kept_bytes);
            if wanted > free {
                return Err(DownloadError::NoSpace { path: dest, wanted, free });
            }
            let waiting = missing.clone().into_iter();
            Ok((missing, Self { root, waiting, current: None, bytes_done: kept_bytes }))
        })
        .await
    }

    async fn take(mut self, run: Run, bytes: Bytes) -> Result<Self, DownloadError> {
        blocking(move || {
            for chunk in &run.chunks {
                self.advance()?;
                let Some((partial, path, left)) = &mut self.current else {
                    return Err(DownloadError::Stopped);
                };
                let raw = raw_chunk(&run, &bytes, chunk, path)?;
                partial.write(&raw)?;
                *left -= 1;
                self.bytes_done += raw.len() as u64;
            }
            Ok(self)
        })
        .await
    }

    /// Finishes files that have all their chunks, and begins the one that has not.
    fn advance(&mut self) -> Result<(), DownloadError> {
        while self.current.as_ref().is_none_or(|(_, _, left)| *left == 0) {
            if let Some((partial, _, _)) = self.current.take() {
                partial.finish()?;
            }
            let Some(entry) = self.waiting.next() else { return Ok(()) };
            let chunks = entry.chunks.len();
            let partial = Partial::begin(&self.root, &entry)?;
            self.current = Some((partial, entry.path.to_string(), chunks));
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<(), DownloadError> {
        blocking(move || self.advance()).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DownloadError> + Send + 'static,
) -> Result<T, DownloadError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| DownloadError::Stopped)?
}
