//! `mesh run -- cmd`: as if it ran here. Ships the working directory, streams the output, brings the
//! artifacts back, ends with the command's own exit code.

use std::{path::PathBuf, process::ExitCode};

use mesh_schemas::{
    JobId, Problem,
    api::{AttemptView, JobDetail, TaskView},
    attempt::JobState,
    manifest::StreamName,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    INTERRUPTED, artifacts,
    logs::{self, Source, Style},
    spec_flags::SpecFlags,
    submit,
};
use crate::{Outcome, args::Global, client::Client, context, objects, output};

/// What a shell says for a command that a signal ended: 128 and the signal's number.
const SIGNAL_BASE: i32 = 128;

/// Run a command on the mesh as if it ran here.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh run -- cargo test
  mesh run --keep 'target/release/app' --cpu 4 -- cargo build --release
  mesh run --no-dir -- uname -a

Ends with the command's own exit code; 128 + n when signal n ended it. Ctrl-C cancels the job.")]
pub(crate) struct Args {
    /// Job file to start from, YAML or JSON.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    flags: SpecFlags,
    /// Directory to ship and to bring artifacts back to.
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// Ship nothing.
    #[arg(long)]
    no_dir: bool,
    /// The command, after `--`.
    #[arg(last = true, required_unless_present = "file")]
    command: Vec<String>,
}

pub(crate) async fn run(global: &Global, args: Args, stop: &CancellationToken) -> Outcome {
    let mut spec = args.flags.spec(args.file.as_deref(), &args.command)?;
    let client = context::client(global)?;
    if !args.no_dir {
        spec.input = Some(objects::ship(&client, &args.dir).await?);
    }
    let submitted = submit::submit(&client, &spec, stop).await?;
    let job = submitted.job;
    output::note(format!("{job}, trace {}", submitted.trace_id));
    let first = spec.task_range().first;
    let detail = tokio::select! {
        detail = follow(&client, job, first) => detail?,
        () = stop.cancelled() => return cancel(&client, job).await,
    };
    bring_back(&client, job, &args.dir).await?;
    exit_code(&client, &detail, first).await
}

/// Streams the first task's output; waits for all.
async fn follow(client: &Client, job: JobId, task: u32) -> Result<JobDetail, Problem> {
    let source = Source { job, task, epoch: None, follow: true };
    logs::print_all(client, source, StreamName::ALL, Style::default()).await?;
    client.wait_finished(job).await
}

async fn cancel(client: &Client, job: JobId) -> Outcome {
    output::note("interrupted: cancelling the job …");
    let _: serde_json::Value = client.post(&format!("/jobs/{job}/cancel"), &json!({})).await?;
    client.wait_finished(job).await?;
    output::note("cancelled");
    Ok(ExitCode::from(INTERRUPTED))
}

async fn bring_back(client: &Client, job: JobId, dir: &std::path::Path) -> Result<(), Problem> {
    let tasks: Vec<TaskView> = client.pages(&format!("/jobs/{job}/tasks"), usize::MAX).await?;
    let many = tasks.len() > 1;
    for task in tasks.iter().filter(|task| task.last.is_some()) {
        let found = artifacts::last_manifest(client, job, task.task, "").await?;
        let Some((_, manifest)) = found else { continue };
        let dir = if many { dir.join(task.task.to_string()) } else { dir.to_owned() };
        let files = artifacts::fetch(client, job, &manifest, &dir, &[]).await?;
        for file in files {
            output::note(format!("brought back {}", file.display()));
        }
    }
    Ok(())
}

/// The command's own code; 1 when another task of an array failed or it ended without a code.
async fn exit_code(client: &Client, detail: &JobDetail, task: u32) -> Outcome {
    if detail.view.state == JobState::Succeeded {
        return Ok(ExitCode::SUCCESS);
    }
    let job = detail.view.id;
    let attempts: Vec<AttemptView> =
        client.get(&format!("/jobs/{job}/tasks/{task}/attempts")).await?;
    let last = attempts.last();
    if let Some(message) = last.and_then(|last| last.message.as_deref()) {
        output::note(output::inert(message));
    }
    let signal = |last: &AttemptView| last.signal.map(|signal| SIGNAL_BASE + signal);
    let code = last.and_then(|last| last.exit_code.or_else(|| signal(last))).unwrap_or(1);
    output::note(format!("{job} {}", detail.view.state));
    Ok(ExitCode::from(u8::try_from(code).ok().filter(|code| *code != 0).unwrap_or(1)))
}
