//! Waiting for a job: looks at the store, sleeps until a commit touches the job, and takes from it where the
//! job now stands, or looks again.

use std::time::Duration;

use mesh_core::{JobProgress, JobRecord};
use mesh_schemas::{JobId, Problem, Span, attempt::JobState};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Api, jobs, limits::WAIT_MAX, problem::ApiResult, serve::Shutdown};
use crate::engine::News;

/// Looks that are not slowed down: a short job is answered at its commit.
const QUICK_LOOKS: u32 = 8;
/// Between later looks: a long job's many commits must not become as many queries.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a long-poll waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Until {
    /// A task has been granted, or the job has ended.
    Started,
    /// The job has ended.
    #[default]
    Finished,
}

impl Until {
    const fn is_met(self, state: JobState) -> bool {
        match self {
            Self::Started => !matches!(state, JobState::Queued),
            Self::Finished => state.is_terminal(),
        }
    }
}

/// How long a caller may be kept waiting.
///
/// # Errors
/// `E_INVALID` above [`WAIT_MAX`].
pub(super) fn checked(wait: Span) -> Result<Duration, Problem> {
    let wait = wait.duration();
    if wait <= WAIT_MAX {
        return Ok(wait);
    }
    Err(Problem::invalid("wait", format!("wait is {wait:?}; at most {WAIT_MAX:?} is allowed")))
}

/// The job once it is where it should be, or as it stands when the time is up.
pub(super) async fn for_job(
    api: &Api,
    job: JobId,
    until: Until,
    wait: Duration,
    shutdown: &Shutdown,
) -> ApiResult<JobRecord> {
    let _permit = api.limits.wait()?;
    let deadline = tokio::time::sleep(wait);
    tokio::pin!(deadline);
    let mut watch = api.app.engine.watch_job(job);
    let mut looks = 0_u32;
    let mut record = jobs::find(api, job).await?;
    while !until.is_met(record.progress.state) {
        let news = tokio::select! {
            news = watch.news() => Some(news),
            () = &mut deadline => None,
            () = shutdown.wait() => None,
        };
        // What was asked for does not change, and may be megabytes: only the progress is looked up.
        match news {
            Some(News::Progress(progress)) => record.progress = progress,
            Some(News::Nothing) => {}
            Some(News::Unknown | News::Ended) => {
                looks = looks.saturating_add(1);
                if looks > QUICK_LOOKS {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                record.progress = progress(api, job).await?;
            }
            None => {
                record.progress = progress(api, job).await?;
                break;
            }
        }
    }
    Ok(record)
}

async fn progress(api: &Api, job: JobId) -> ApiResult<JobProgress> {
    let progress = api.app.store.job_progress(job).await?;
    progress.ok_or_else(|| jobs::no_such_job(job))
}
