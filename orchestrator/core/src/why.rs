//! Why a job waits.

use mesh_schemas::{JobId, Timestamp, api::Why};

use crate::Core;

impl Core {
    /// Why a live job waits; `None` when it is not live.
    pub fn why(&self, now: Timestamp, job: JobId) -> Option<Why> {
        let job = self.jobs.get(&job)?;
        let _ = now;
        Some(Why {
            summary: String::new(),
            waiting: job.counts.queued,
            reasons: Vec::new(),
            nearest_fix: None,
        })
    }
}
