//! What an error of the store means.

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{DisplayErrorContext, SdkError},
};

use mesh_schemas::{ErrorCode, Problem};
use tracing::warn;

/// What stands behind an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// There is no such object or bucket.
    Missing,
    /// The store will not do it.
    Refused,
    /// The store is away or ill.
    Down,
}

/// Reads the status: HEAD has no body to say more.
pub(super) fn cause<E>(error: &SdkError<E, HttpResponse>) -> Cause {
    match status(error) {
        Some(404) => Cause::Missing,
        Some(400..=499) => Cause::Refused,
        Some(_) | None => Cause::Down,
    }
}

/// The status of the store's answer, when there was one.
pub(super) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    Some(error.raw_response()?.status().as_u16())
}

/// Logs what was amiss; the caller's client is told less, as it may name inner addresses.
pub(super) fn down(doing: &'static str, error: &(dyn std::error::Error + 'static)) -> Problem {
    warn!("The object store failed while {doing}: {}", DisplayErrorContext(error));
    Problem::new(ErrorCode::ObjectsDown, format!("the object store failed while {doing}"))
        .hint("try again in a few seconds")
}
