//! `mesh cancel`: end jobs, whole process trees. What is cancelled stays cancelled.

use std::process::ExitCode;

use mesh_schemas::{JobId, api::Changed};
use serde_json::json;

use super::jobs::print_job;
use crate::{Outcome, args::Global, context, output};

/// Cancel jobs or some of their tasks.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh cancel job_…
  mesh cancel job_… --task 3 --task 7")]
pub(crate) struct Args {
    /// The jobs.
    #[arg(required = true)]
    jobs: Vec<JobId>,
    /// Only this task; may be repeated.
    #[arg(long)]
    task: Vec<u32>,
}

pub(crate) async fn run(global: &Global, args: &Args) -> Outcome {
    let client = context::client(global)?;
    let body = if args.task.is_empty() { json!({}) } else { json!({ "tasks": args.task }) };
    for job in &args.jobs {
        let changed: Changed = client.post(&format!("/jobs/{job}/cancel"), &body).await?;
        print_job(global.output, &changed.job);
        output::note(match changed.tasks {
            0 => format!("{job}: no task was left to cancel"),
            tasks => format!("{} asked to end", output::count(tasks, "task")),
        });
    }
    Ok(ExitCode::SUCCESS)
}
