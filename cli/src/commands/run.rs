//! `mesh run -- cmd`: as if it ran here. Ships the working directory, streams the output, brings the
//! artifacts back, ends with the command's own exit code.

use std::{path::PathBuf, pin::pin, process::ExitCode, time::Duration};

use mesh_schemas::{
    JobId, Problem,
    api::{JobDetail, TaskView},
    manifest::StreamName,
    spec::ArrayRange,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{INTERRUPTED, artifacts, spec_flags::SpecFlags, submit};
use crate::{
    Outcome,
    args::Global,
    array_log,
    client::Client,
    context, ending,
    log_printer::{Printer, Style},
    log_reader::{self, Source},
    objects, output,
};

/// How long the last output of a cancelled job may take to come.
const LAST_OUTPUT_WAIT: Duration = Duration::from_secs(5);

/// Run a command on the mesh as if it ran here.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh run -- cargo test
  mesh run --keep 'target/release/app' --cpu 4 -- cargo build --release
  mesh run --no-dir -- uname -a
  mesh run --no-dir --array 1-9 -- sh -c 'echo $MESH_TASK_INDEX'

Ends with the command's own exit code; 128 + n when signal n ended it. Of many tasks each line is printed
behind its task's index, and the code is that of the first that failed. Ctrl-C cancels the job.")]
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
    let read = args.flags.read(global, args.file.as_deref(), &args.command, stop).await?;
    let Some(mut spec) = read else { return Ok(ExitCode::from(INTERRUPTED)) };
    let client = context::client(global)?;
    if !args.no_dir {
        spec.input = Some(objects::ship(&client, &args.dir).await?);
    }
    let submitted = submit::submit(&client, &spec, stop).await?;
    let job = submitted.job;
    output::note(format!("{job}, trace {}", submitted.trace_id));
    let mut following = pin!(follow(&client, job, spec.task_range()));
    let detail = tokio::select! {
        detail = &mut following => detail?,
        () = stop.cancelled() => {
            cancel(&client, job, following).await?;
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    bring_back(&client, job, &args.dir).await?;
    exit_code(&client, &detail).await
}

/// Streams the output of all tasks to its end.
async fn follow(client: &Client, job: JobId, tasks: ArrayRange) -> Result<JobDetail, Problem> {
    if tasks.count() == 1 {
        let source = Source { job, task: tasks.first, epoch: None, follow: true };
        let printer = Printer::new(Style::default(), tasks.first);
        log_reader::print(client, source, StreamName::ALL, printer).await?;
    } else {
        array_log::print(client, job).await?;
    }
    client.wait_finished(job).await
}

/// Cancels the job and goes on printing until its output has come to an end, which it may not.
async fn cancel(
    client: &Client,
    job: JobId,
    following: impl Future<Output = Result<JobDetail, Problem>> + Unpin,
) -> Result<(), Problem> {
    output::note("interrupted: cancelling the job …");
    let _: serde_json::Value = client.post(&format!("/jobs/{job}/cancel"), &json!({})).await?;
    let bounded = async {
        client.wait_finished(job).await?;
        tokio::time::sleep(LAST_OUTPUT_WAIT).await;
        Ok::<(), Problem>(())
    };
    tokio::select! {
        followed = following => followed.map(drop)?,
        waited = bounded => waited?,
    }
    output::note("cancelled");
    Ok(())
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

/// The command's own code, or that of the first task that failed; 1 when it ended without a code.
async fn exit_code(client: &Client, detail: &JobDetail) -> Outcome {
    let Some(ending) = ending::of(client, detail).await? else { return Ok(ExitCode::SUCCESS) };
    output::note(ending.line);
    let code = ending.code.and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0);
    Ok(ExitCode::from(code.unwrap_or(1)))
}
