//! One upload in a task of its own.

use std::{sync::Arc, time::Duration};

use mesh_artifacts::upload::{AttemptUploader, Stage};
use mesh_schemas::{AttemptKey, ErrorCode, Problem, manifest::ManifestSummary};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{Subject, Uploads};
use crate::agent::{port::NatsPort, prepare::UNAVAILABLE_EXIT};

/// Bounds of the wait before the last upload is tried again.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// How often the last upload may fail in a way that waiting does not heal, before it is given up.
const FAILURES_MAX: u32 = 5;

pub(super) struct Transfer {
    pub(super) subject: Subject,
    pub(super) stage: Stage,
    pub(super) stop: CancellationToken,
    /// What is stored by now, for when nothing is new.
    pub(super) last: Option<ManifestSummary>,
    pub(super) shared: Arc<Uploads>,
    pub(super) slots: Arc<Semaphore>,
}

/// How it came out.
pub(super) struct Done {
    pub(super) attempt: AttemptKey,
    pub(super) stage: Stage,
    /// To go on with.
    pub(super) uploader: Option<Box<AttemptUploader>>,
    pub(super) result: Result<Option<ManifestSummary>, Failure>,
}

/// Why an upload ended without a manifest.
pub(super) enum Failure {
    /// Another attempt holds the task.
    Fenced,
    /// Nobody wants it any more.
    Dropped,
    /// It failed while the attempt runs: the next one goes on from there.
    Later,
    /// It was the last one, and no further try would help; why, for people.
    GivenUp(String),
}

impl Transfer {
    pub(super) async fn run(self, mut uploader: Option<Box<AttemptUploader>>) -> Done {
        let stop = self.stop.clone();
        let result = tokio::select! {
            () = stop.cancelled() => Err(Failure::Dropped),
            result = self.persist(&mut uploader) => result,
        };
        Done { attempt: self.subject.attempt, stage: self.stage, uploader, result }
    }

    /// Once while the attempt runs; at the end until it is stored or fenced, or never can be stored:
    /// an attempt that is over must not wait for ever for a file that is damaged or gone.
    async fn persist(
        &self,
        uploader: &mut Option<Box<AttemptUploader>>,
    ) -> Result<Option<ManifestSummary>, Failure> {
        let (mut wait, mut failures) = (RETRY_MIN, 0);
        loop {
            let problem = match self.store(uploader).await {
                Ok(manifest) => return Ok(manifest.or_else(|| self.last.clone())),
                Err(problem) => problem,
            };
            metrics::counter!("mesh_node_upload_failures_total").increment(1);
            let (code, detail) = (problem.code, problem.detail);
            tracing::warn!(attempt = %self.subject.attempt, %code, "Output not stored yet: {detail}");
            if code == ErrorCode::Fenced {
                return Err(Failure::Fenced);
            }
            if self.stage == Stage::Running {
                return Err(Failure::Later);
            }
            failures += u32::from(!may_heal(code));
            if failures >= FAILURES_MAX {
                return Err(Failure::GivenUp(format!("its output is not all stored: {detail}")));
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    async fn store(
        &self,
        uploader: &mut Option<Box<AttemptUploader>>,
    ) -> Result<Option<ManifestSummary>, Problem> {
        let uploader = match uploader {
            Some(uploader) => uploader,
            None => {
                let opened = self.subject.open().map_err(|error| error.problem())?;
                uploader.insert(Box::new(opened))
            }
        };
        let closed = |_| Problem::new(ErrorCode::Internal, "the uploads have ended");
        let _slot = self.slots.acquire().await.map_err(closed)?;
        let wire = self.shared.wire.clone();
        let port = NatsPort { wire, attempt: self.subject.attempt };
        let stored = uploader.store(&port, &self.shared.http, self.stage).await;
        stored.map_err(|error| error.problem())
    }
}

/// True while somebody is out of reach who may return. Our own files do not heal by waiting.
fn may_heal(code: ErrorCode) -> bool {
    code.exit_code() == UNAVAILABLE_EXIT && code != ErrorCode::Io
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_out_of_reach_is_waited_for() {
        for code in [ErrorCode::ObjectsDown, ErrorCode::Unreachable, ErrorCode::NotLeader] {
            assert!(may_heal(code), "{code}");
        }
        for code in [ErrorCode::Io, ErrorCode::TooLarge, ErrorCode::Integrity] {
            assert!(!may_heal(code), "{code}");
        }
    }
}
