//! `mesh wait`: until jobs have ended.

use std::{process::ExitCode, time::Duration};

use mesh_schemas::{ErrorCode, JobId, Problem, Span, api::JobDetail};

use super::jobs::print_job;
use crate::{Outcome, args::Global, client::Client, context, ending, output, progress};

/// Wait until jobs have ended; exits with 1 unless all succeeded.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh wait job_0190f3a1b2c37d4e8f5061728394a5b6
  mesh wait --timeout 10m $(mesh jobs --state running -o quiet)")]
pub(crate) struct Args {
    /// The jobs.
    #[arg(required = true)]
    jobs: Vec<JobId>,
    /// Longest wait; for ever when not given.
    #[arg(long, value_name = "TIME")]
    timeout: Option<Span>,
}

pub(crate) async fn run(global: &Global, args: &Args) -> Outcome {
    let client = context::client(global)?;
    let all = async {
        let mut code = ExitCode::SUCCESS;
        for job in &args.jobs {
            if until_finished(&client, global, *job).await? != ExitCode::SUCCESS {
                code = ExitCode::FAILURE;
            }
        }
        Ok(code)
    };
    match args.timeout {
        None => all.await,
        Some(limit) => tokio::time::timeout(limit.duration(), all).await.unwrap_or_else(|_| {
            Err(Problem::new(ErrorCode::Timeout, format!("not all jobs ended within {limit}")))
        }),
    }
}

/// Waits, prints the job, and says by the code whether it succeeded.
pub(crate) async fn until_finished(client: &Client, global: &Global, job: JobId) -> Outcome {
    let detail = with_progress(client, job).await?;
    print_job(global.output, &detail.view);
    match ending::of(client, &detail).await? {
        None => Ok(ExitCode::SUCCESS),
        Some(ending) => {
            output::note(ending.line);
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn with_progress(client: &Client, job: JobId) -> Result<JobDetail, Problem> {
    let finished = client.wait_finished(job);
    tokio::pin!(finished);
    let bar = progress::tasks("tasks".into(), 0);
    if bar.is_hidden() {
        return finished.await;
    }
    loop {
        tokio::select! {
            detail = &mut finished => {
                bar.finish_and_clear();
                return detail;
            }
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                // While the server is away the wait itself says so.
                if let Ok(detail) = client.get::<JobDetail>(&format!("/jobs/{job}")).await {
                    let counts = detail.view.counts;
                    let open = counts.queued + counts.leased + counts.running;
                    bar.set_length(counts.total.into());
                    bar.set_position(counts.total.saturating_sub(open).into());
                }
            }
        }
    }
}
