//! Small results: what fits into an event needs no object.

use std::{fs, path::Path};

use data_encoding::BASE64;
use mesh_fabric::time;
use mesh_schemas::manifest::{
    INLINE_BYTES_MAX, LogSegment, LogStream, ManifestPlace, ManifestSummary, SegmentData,
};

use super::{AttemptUploader, UploadError, cycle::look_around, notes::Notes};
use crate::core::{
    log::{Growth, plan},
    state::{Contents, summarize},
};

impl AttemptUploader {
    /// The summary of a result without files whose logs fit; none when it must be stored.
    pub(super) async fn small_result(&mut self) -> Result<Option<ManifestSummary>, UploadError> {
        let size = self.stdout.seen() + self.stderr.seen();
        if size > INLINE_BYTES_MAX as u64 || !self.sees_no_files().await? {
            return Ok(None);
        }
        let contents = Contents {
            stdout: inline(&self.options.stdout, &self.state.contents.stdout, &self.stdout)?,
            stderr: inline(&self.options.stderr, &self.state.contents.stderr, &self.stderr)?,
            ..Contents::default()
        };
        let manifest = self.state.next_manifest(&contents, true);
        if manifest.logs.is_empty() {
            let summary = ManifestSummary::empty();
            self.state.commit(contents, true, summary.clone());
            return Ok(Some(summary));
        }
        let json = serde_json::to_vec(&manifest).map_err(|_| UploadError::Stopped)?;
        if json.len() > INLINE_BYTES_MAX {
            return Ok(None);
        }
        let mut summary = summarize(&manifest, ManifestPlace::Empty);
        summary.place = ManifestPlace::Inline(Box::new(manifest));
        self.state.commit(contents, true, summary.clone());
        Ok(Some(summary))
    }

    async fn sees_no_files(&mut self) -> Result<bool, UploadError> {
        if self.outputs.roots().is_empty() && self.options.checkpoint.is_none() {
            return Ok(true);
        }
        let (options, outputs) = (self.options.clone(), self.outputs.clone());
        let look = move || {
            let mut notes = Notes::default();
            let sight = look_around(&options, &outputs, &mut notes)?;
            Ok::<_, UploadError>((sight.is_none_or(|sight| sight.is_empty()), notes))
        };
        let looked = tokio::task::spawn_blocking(look).await.map_err(|_| UploadError::Stopped)?;
        let (empty, notes) = looked?;
        self.outcome.skipped = notes;
        Ok(empty)
    }
}

/// The whole log in the manifest itself.
fn inline(path: &Path, before: &LogStream, growth: &Growth) -> Result<LogStream, UploadError> {
    let mut stream = before.clone();
    let failed = |source| UploadError::Log { path: path.to_owned(), source };
    let plan = plan(before, growth, growth.seen(), time::now());
    if plan.pieces.is_empty() {
        return Ok(stream);
    }
    let bytes = fs::read(path).map_err(failed)?;
    for piece in plan.pieces {
        let from = usize::try_from(piece.offset).unwrap_or(usize::MAX);
        let raw = bytes.get(from..from.saturating_add(piece.len as usize));
        // Somebody cut the log short meanwhile: what is gone cannot be kept.
        let Some(raw) = raw else { break };
        let data = SegmentData::Inline(BASE64.encode(raw));
        stream.size = piece.offset + u64::from(piece.len);
        let (seq, offset, len, marks) = (piece.seq, piece.offset, piece.len, piece.marks);
        stream.segments.push(LogSegment { seq, offset, len, marks, data });
    }
    Ok(stream)
}
