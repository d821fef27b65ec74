//! `mesh logs`: what a task wrote, as it writes it. Picks up by offset where a stream broke off.

use std::process::ExitCode;

use mesh_schemas::{JobId, Problem, api::JobDetail, manifest::StreamName};

use crate::{
    Outcome,
    args::{Format, Global},
    client::Client,
    context,
    log_printer::{Printer, Style},
    log_reader::{self, Source},
};

/// Print the log of a task; stdout to stdout, stderr to stderr.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh logs job_…                           the first task, both streams
  mesh logs -f job_… --task 7               follow, on through new attempts, to the end
  mesh logs job_… --stream stderr --timestamps
  mesh logs job_… --epoch 1                 what a superseded attempt wrote
  mesh logs job_… -o json | jq -j '.data | @base64d'

With -o json each line is one piece: attempt, stream, seq, offset, marks (when which byte was written)
and data, the bytes in base64, as a log need not be text.")]
pub(crate) struct Args {
    /// The job.
    job: JobId,
    /// The task; the first one when not given.
    #[arg(long)]
    task: Option<u32>,
    /// Follow until the task has ended.
    #[arg(long, short)]
    follow: bool,
    /// Only this stream: stdout or stderr.
    #[arg(long)]
    stream: Option<StreamName>,
    /// Of this attempt instead of the last.
    #[arg(long)]
    epoch: Option<u32>,
    /// Begin each line with the time it was written.
    #[arg(long)]
    timestamps: bool,
}

pub(crate) async fn run(global: &Global, args: &Args) -> Outcome {
    let client = context::client(global)?;
    let task = match args.task {
        Some(task) => task,
        None => first_task(&client, args.job).await?,
    };
    let source = Source { job: args.job, task, epoch: args.epoch, follow: args.follow };
    let json = global.output == Format::Json;
    let style = Style { json, timestamps: args.timestamps, ..Style::default() };
    let streams = args.stream.map_or_else(|| StreamName::ALL.to_vec(), |stream| vec![stream]);
    log_reader::print(&client, source, &streams, Printer::new(style, task)).await?;
    Ok(ExitCode::SUCCESS)
}

/// An array may begin anywhere.
async fn first_task(client: &Client, job: JobId) -> Result<u32, Problem> {
    let detail: JobDetail = client.get(&format!("/jobs/{job}")).await?;
    Ok(detail.spec.task_range().first)
}
