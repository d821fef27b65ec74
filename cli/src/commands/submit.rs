//! `mesh submit`: hand a job over; it is durable when its id is printed.

use std::{path::PathBuf, process::ExitCode};

use mesh_schemas::{ErrorCode, JobSpec, Problem, api::Submitted};

use tokio_util::sync::CancellationToken;

use super::{INTERRUPTED, spec_flags::SpecFlags, wait};
use crate::{
    Outcome,
    args::{Format, Global},
    client::{Client, is_passing},
    context, objects, output,
};

/// Submit a job: a file, or a command with flags.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh submit -- echo hello
  mesh submit job.yaml --wait
  mesh submit --array 0-99999 --cpu 0.5 -- sh -c 'work $MESH_TASK_INDEX'
  mesh submit --array-file urls.txt -- sh -c 'fetch \"$MESH_ITEM\"'
  mesh submit --dir . --keep 'target/release/app' --retry lost=5 -- cargo build --release
  mesh submit --idea idea_3fa1c2 -- make warm-cache      work on an idea; its id may be cut

Fields of a job file: name project command env workdir labels resources priority timeouts retries
array outputs checkpoint upload after input idempotency_key idea autonomous (see
schemas/json/job-spec.schema.json; there an idea has its whole id, which `mesh ideas show` prints with -o quiet)")]
pub(crate) struct Args {
    /// Job file, YAML or JSON; `-` is standard input.
    file: Option<PathBuf>,
    #[command(flatten)]
    flags: SpecFlags,
    /// Ship this directory as the tasks' input, honouring .gitignore.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Wait for the end; exit with 1 unless it succeeded.
    #[arg(long)]
    wait: bool,
    /// The command, after `--`.
    #[arg(last = true)]
    command: Vec<String>,
}

impl Args {
    /// A directory goes along.
    pub(crate) const fn ships(&self) -> bool {
        self.dir.is_some()
    }
}

pub(crate) async fn run(global: &Global, args: Args, stop: &CancellationToken) -> Outcome {
    let read = args.flags.read(global, args.file.as_deref(), &args.command, stop).await?;
    let Some(mut spec) = read else { return Ok(ExitCode::from(INTERRUPTED)) };
    let client = context::client(global)?;
    if let Some(dir) = &args.dir {
        spec.input = Some(objects::ship(&client, dir).await?);
    }
    let submitted = submit(&client, &spec, stop).await?;
    if args.wait {
        return tokio::select! {
            outcome = wait::until_finished(&client, global, submitted.job) => outcome,
            () = stop.cancelled() => {
                output::note(format!("{} goes on; `mesh wait` waits for it", submitted.job));
                Ok(ExitCode::from(INTERRUPTED))
            }
        };
    }
    match global.output {
        Format::Json => output::json(&submitted),
        Format::Quiet => output::line(submitted.job),
        Format::Table => {
            output::line(submitted.job);
            let new = if submitted.created { "accepted" } else { "was there already" };
            let tasks = output::count(submitted.tasks, "task");
            output::note(format!("{new}: {tasks}, trace {}", submitted.trace_id));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Submits, again and again while the server is out of reach: the idempotency key makes that safe.
/// Ctrl-C meanwhile says what is known.
pub(crate) async fn submit(
    client: &Client,
    spec: &JobSpec,
    stop: &CancellationToken,
) -> Result<Submitted, Problem> {
    let key = spec.idempotency_key.clone().unwrap_or_default();
    tokio::select! {
        submitted = submit_patiently(client, spec) => submitted,
        () = stop.cancelled() => Err(Problem::new(
            ErrorCode::Timeout,
            "interrupted; whether the job was accepted is not known",
        )
        .hint(format!("submit it again with --key {key}: that never makes two"))),
    }
}

async fn submit_patiently(client: &Client, spec: &JobSpec) -> Result<Submitted, Problem> {
    const TRIES: u32 = 20;
    let mut tried = 0;
    loop {
        match client.post("/jobs", spec).await {
            Err(problem) if is_passing(&problem) && tried < TRIES => {
                tried += 1;
                client.pause(&problem).await;
            }
            result => return result,
        }
    }
}
