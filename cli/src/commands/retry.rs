//! `mesh retry`: queue the tasks of an ended job again that did not succeed.

use std::process::ExitCode;

use mesh_schemas::{
    ErrorCode, JobId, Problem,
    api::{Changed, JobDetail},
};
use serde_json::json;

use super::{jobs::print_job, wait};
use crate::{Outcome, args::Global, client::Client, context, output};

/// Try the failed, cancelled and quarantined tasks of jobs again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh retry job_…
  mesh retry --wait job_…")]
pub(crate) struct Args {
    /// The jobs.
    #[arg(required = true)]
    jobs: Vec<JobId>,
    /// Wait for the end; exit with 1 unless all succeeded.
    #[arg(long)]
    wait: bool,
}

pub(crate) async fn run(global: &Global, args: &Args) -> Outcome {
    let client = context::client(global)?;
    let mut code = ExitCode::SUCCESS;
    for job in &args.jobs {
        let changed = retry(&client, *job).await?;
        output::note(format!("{} queued again", output::count(changed.tasks, "task")));
        if !args.wait {
            print_job(global.output, &changed.job);
        } else if wait::until_finished(&client, global, *job).await? != ExitCode::SUCCESS {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

async fn retry(client: &Client, job: JobId) -> Result<Changed, Problem> {
    match client.post(&format!("/jobs/{job}/retry"), &json!({})).await {
        Err(problem) if problem.code == ErrorCode::WrongState => {
            let detail: JobDetail = client.get(&format!("/jobs/{job}")).await?;
            Err(nothing_to_retry(&detail).unwrap_or(problem))
        }
        answer => answer,
    }
}

/// Says so when no task of the job may be tried again.
fn nothing_to_retry(job: &JobDetail) -> Option<Problem> {
    let (id, counts) = (job.view.id, job.view.counts);
    if counts.failed + counts.cancelled + counts.quarantined > 0 {
        return None;
    }
    let how = if job.view.state.is_terminal() { "has succeeded" } else { "has not failed so far" };
    let text = format!("there is nothing to retry: {id} {how}");
    Some(Problem::new(ErrorCode::WrongState, text).hint(
        "retry queues failed, cancelled and quarantined tasks again; to run it once more, submit it anew",
    ))
}
