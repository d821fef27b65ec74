//! What the client is told when the disk says no.

use axum::http::StatusCode;
use s3s::{S3Error, S3ErrorCode};
use tokio::task::JoinError;

use crate::disk::DiskError;

/// The answer to a failure of the disk. Logs what an operator must see.
pub(super) fn answer(error: DiskError) -> S3Error {
    match error {
        DiskError::NoBucket => S3ErrorCode::NoSuchBucket.into(),
        DiskError::Exists => S3ErrorCode::PreconditionFailed.into(),
        DiskError::Key(_) => S3ErrorCode::KeyTooLongError.into(),
        DiskError::Io(error) => {
            tracing::error!(%error, "The disk refused an operation");
            let full = error.kind() == std::io::ErrorKind::StorageFull;
            let mut answer = S3Error::with_source(S3ErrorCode::InternalError, Box::new(error));
            if full {
                answer.set_status_code(StatusCode::INSUFFICIENT_STORAGE);
            }
            answer
        }
    }
}

/// A blocking thread panicked, or the process is about to end.
pub(super) fn stopped(error: JoinError) -> S3Error {
    S3Error::with_source(S3ErrorCode::InternalError, Box::new(error))
}
