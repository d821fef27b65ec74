//! How much may be under way at once. Beyond it callers are told to come back, so that memory stays
//! bounded and those who got in are served.

use std::{sync::Arc, time::Duration};

use mesh_schemas::ErrorCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::ApiError;

/// Most requests at once, those that wait included.
const REQUESTS_MAX: usize = 1_024;
/// Most long-polls and streams at once; the rest stays free for quick requests.
const WAITS_MAX: usize = 768;
/// Most bodies over [`BODY_BYTES_MAX`] in memory at once.
const LARGE_BODIES_MAX: usize = 4;

/// Longest body of a request that carries no job spec, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 64 << 10;
/// How long a body may take to arrive.
pub(super) const BODY_WAIT_MAX: Duration = Duration::from_secs(10);
/// Longest `wait` of a long-poll.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(60);
/// Longest time to an answer's head, long-polls included.
pub(super) const ANSWER_WAIT_MAX: Duration = Duration::from_secs(90);

/// Cheap to clone; one for the whole server.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    requests: Arc<Semaphore>,
    waits: Arc<Semaphore>,
    large_bodies: Arc<Semaphore>,
}

/// The right to be under way; ends when dropped.
pub(super) type Permit = OwnedSemaphorePermit;

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: Arc::new(Semaphore::new(REQUESTS_MAX)),
            waits: Arc::new(Semaphore::new(WAITS_MAX)),
            large_bodies: Arc::new(Semaphore::new(LARGE_BODIES_MAX)),
        }
    }
}

impl Limits {
    /// For one request.
    pub(super) fn request(&self) -> Result<Permit, ApiError> {
        Arc::clone(&self.requests).try_acquire_owned().map_err(|_| busy("requests"))
    }

    /// For one long-poll or stream.
    pub(super) fn wait(&self) -> Result<Permit, ApiError> {
        Arc::clone(&self.waits).try_acquire_owned().map_err(|_| busy("long-polls and streams"))
    }

    /// For one large body; waits for its turn, which the caller bounds.
    pub(super) async fn large_body(&self) -> Result<Permit, ApiError> {
        Arc::clone(&self.large_bodies).acquire_owned().await.map_err(|_| busy("large bodies"))
    }
}

fn busy(what: &str) -> ApiError {
    ApiError::new(ErrorCode::Busy, format!("too many {what} at once; try again soon"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_requests_leave_room_for_quick_ones() {
        let limits = Limits::default();
        let waits: Vec<_> = std::iter::from_fn(|| limits.wait().ok()).collect();
        assert_eq!(waits.len(), WAITS_MAX);
        let requests: Vec<_> = std::iter::from_fn(|| limits.request().ok()).collect();
        assert_eq!(requests.len(), REQUESTS_MAX);
        assert_eq!(limits.request().unwrap_err().problem().code, ErrorCode::Busy);
        drop(requests);
        assert!(limits.request().is_ok());
    }
}
