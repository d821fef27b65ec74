//! Takes a body in: the bytes go through a short queue to a thread that writes and hashes them.

use std::time::Duration;

use axum::http::StatusCode;
use futures::StreamExt as _;
use s3s::{
    S3Error, S3ErrorCode, S3Result,
    checksum::ChecksumHasher,
    crypto::{Checksum as _, Md5},
    dto::{Checksum, StreamingBlob},
    s3_error,
};
use tokio::{sync::mpsc, time::timeout};

use super::{Backend, errors::stopped};
use crate::disk::{DiskError, Incoming};

/// Pieces that wait for the disk; each is one read of the connection.
const PIECES_WAITING_MAX: usize = 8;

/// A body that is written, not yet published.
pub(super) struct Taken {
    pub(super) body: Incoming,
    pub(super) checksum: Checksum,
    pub(super) md5: Vec<u8>,
}

/// Which sums to compute while the body passes.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) hasher: ChecksumHasher,
    pub(super) md5: Option<Md5>,
}

impl Sums {
    fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
    }
}

impl Backend {
    /// Writes the body to a file that has no name yet.
    pub(super) async fn take(&self, blob: Option<StreamingBlob>, sums: Sums) -> S3Result<Taken> {
        let (pieces, queue) = mpsc::channel::<bytes::Bytes>(PIECES_WAITING_MAX);
        let disk = std::sync::Arc::clone(&self.disk);
        let writer = tokio::task::spawn_blocking(move || write(disk.begin()?, queue, sums));
        let fed = feed(blob, pieces, self.body_wait).await;
        let taken = writer.await.map_err(stopped)?.map_err(super::answer);
        // The writer's failure closes the queue, so it is the cause when both failed.
        let taken = taken?;
        fed.map(|()| taken)
    }
}

/// Passes the pieces on. A peer that is gone without a word would keep its place for ever, so the
/// wait for each piece has an end.
async fn feed(
    blob: Option<StreamingBlob>,
    pieces: mpsc::Sender<bytes::Bytes>,
    wait: Duration,
) -> S3Result<()> {
    let Some(mut blob) = blob else { return Ok(()) };
    while let Some(piece) = timeout(wait, blob.next()).await.map_err(|_| stalled())? {
        let piece = piece.map_err(|source| cut_short(&source))?;
        if pieces.send(piece).await.is_err() {
            return Err(s3_error!(InternalError));
        }
    }
    Ok(())
}

/// The body came in part. Not 400, so that the uploader tries again.
fn stalled() -> S3Error {
    let mut error = s3_error!(IncompleteBody, "the body stopped coming");
    error.set_status_code(StatusCode::REQUEST_TIMEOUT);
    error
}

/// The signature's or checksum's own error when there is one; otherwise the client went away.
fn cut_short(source: &s3s::StdError) -> S3Error {
    match source.downcast_ref::<S3Error>() {
        Some(error) => S3Error::new(error.code().clone()),
        None => S3Error::with_message(S3ErrorCode::IncompleteBody, source.to_string()),
    }
}

fn write(
    mut body: Incoming,
    mut queue: mpsc::Receiver<bytes::Bytes>,
    mut sums: Sums,
) -> Result<Taken, DiskError> {
    while let Some(piece) = queue.blocking_recv() {
        sums.update(&piece);
        body.write(&piece)?;
    }
    let md5 = sums.md5.map(|md5| md5.finalize().to_vec()).unwrap_or_default();
    Ok(Taken { body, checksum: sums.hasher.finalize(), md5 })
}
