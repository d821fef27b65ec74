//! Reads logs by offset.

use data_encoding::BASE64;
use mesh_schemas::{
    error::{ErrorCode, Problem},
    manifest::{LogSegment, LogStream, Manifest, SegmentData, StreamName, TimeMark},
};

use super::{DownloadError, fetch_run, raw_chunk};
use crate::{
    core::{check, fetch},
    port::ObjectPort,
    transfer::{Getter, Wire},
};

/// A piece of a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogPiece {
    /// The bytes from the wanted offset.
    pub data: Vec<u8>,
    /// When which of these bytes was seen; the first mark is at the wanted offset.
    pub marks: Vec<TimeMark>,
    /// The attempt has ended and nothing follows these bytes.
    pub end: bool,
}

/// Log bytes from `from` on, at most `max`; none when the manifest knows of no more.
///
/// # Errors
/// Out of reach, or `E_INTEGRITY` for bytes that are not what their hash says.
pub async fn read_log(
    port: &dyn ObjectPort,
    http: &reqwest::Client,
    manifest: &Manifest,
    stream: StreamName,
    from: u64,
    max: usize,
) -> Result<LogPiece, DownloadError> {
    check::check_manifest(manifest).map_err(DownloadError::Manifest)?;
    let log = manifest.logs.iter().find(|log| log.stream == stream);
    let size = log.map_or(0, |log| log.size);
    let until = size.min(from.saturating_add(max as u64));
    let mut piece = LogPiece { end: manifest.complete && until >= size, ..LogPiece::default() };
    let Some(log) = log.filter(|_| from < until) else { return Ok(piece) };
    let getter = Getter::new(Wire { port, http });
    let name = stream.as_str();
    for segment in within(log, from, until) {
        let raw = raw_segment(&getter, manifest, segment, name).await?;
        let start = position(from.saturating_sub(segment.offset));
        let end = position(until - segment.offset).min(raw.len());
        piece.data.extend_from_slice(raw.get(start..end).unwrap_or(&[]));
    }
    piece.marks = marks(log, from, until);
    Ok(piece)
}

fn within(log: &LogStream, from: u64, until: u64) -> &[LogSegment] {
    let end_of = |segment: &LogSegment| segment.offset + u64::from(segment.len);
    let first = log.segments.partition_point(|segment| end_of(segment) <= from);
    let last = log.segments.partition_point(|segment| segment.offset < until);
    log.segments.get(first..last).unwrap_or(&[])
}

async fn raw_segment(
    getter: &Getter<'_>,
    manifest: &Manifest,
    segment: &LogSegment,
    of: &str,
) -> Result<Vec<u8>, DownloadError> {
    match &segment.data {
        SegmentData::Chunk(chunk) => {
            let runs = fetch::runs(std::iter::once(chunk));
            let run = runs.first().ok_or(DownloadError::Stopped)?;
            let bytes = fetch_run(getter, manifest, run).await?;
            Ok(raw_chunk(run, &bytes, chunk, of)?.into_owned())
        }
        SegmentData::Inline(text) => {
            let raw = BASE64.decode(text.as_bytes()).ok();
            raw.filter(|raw| raw.len() == segment.len as usize).ok_or_else(|| {
                let detail = format!("segment {} of {of} is not what it says", segment.seq);
                DownloadError::Manifest(Problem::new(ErrorCode::Integrity, detail))
            })
        }
    }
}

/// Marks of `from..until`; what was seen before `from` gives the first.
fn marks(log: &LogStream, from: u64, until: u64) -> Vec<TimeMark> {
    let all = || within(log, from, until).iter().flat_map(|segment| &segment.marks);
    let first = all().take_while(|mark| mark.offset <= from).last();
    let first = first.map(|mark| TimeMark { offset: from, at: mark.at });
    let rest = all().filter(|mark| mark.offset > from && mark.offset < until).copied();
    first.into_iter().chain(rest).collect()
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
