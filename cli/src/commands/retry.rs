//! `mesh retry`: queue the tasks of an ended job again that did not succeed.

use std::process::ExitCode;

use mesh_schemas::{JobId, api::Changed};
use serde_json::json;

use super::{jobs::print_job, wait};
use crate::{Outcome, args::Global, context, output};

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
        let changed: Changed = client.post(&format!("/jobs/{job}/retry"), &json!({})).await?;
        output::note(format!("{} task(s) queued again", changed.tasks));
        if !args.wait {
            print_job(global.output, &changed.job);
        } else if wait::until_finished(&client, global, *job).await? != ExitCode::SUCCESS {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}
