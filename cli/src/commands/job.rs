//! `mesh job`: one job with its tasks, or all jobs.

use std::process::ExitCode;

use mesh_schemas::{
    JobId, TaskState,
    api::{AttemptView, JobDetail, NodeView, TaskView},
};
use serde::Serialize;

use super::jobs::{self, print_job};
use crate::{
    Outcome,
    args::{Format, Global},
    client::Client,
    context, output,
};

/// Look at one job, or list them.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Show(Args),
    /// The same as `mesh jobs`.
    #[command(visible_alias = "list")]
    Ls(jobs::Args),
}

/// Show a job, its tasks and their last attempts.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh job show job_…
  mesh job show job_… --state failed
  mesh job show job_… --task 7              every attempt of one task
  mesh job show job_… -o json | jq .spec")]
pub(crate) struct Args {
    /// The job.
    job: JobId,
    /// Only tasks in this state: queued, leased, running, succeeded, failed, cancelled, quarantined.
    #[arg(long)]
    state: Option<TaskState>,
    /// Every attempt of this task.
    #[arg(long)]
    task: Option<u32>,
    /// Most tasks.
    #[arg(long, short = 'n', default_value_t = 50)]
    limit: usize,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    detail: JobDetail,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<TaskView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<AttemptView>>,
}

pub(crate) async fn run(global: &Global, command: Command) -> Outcome {
    match command {
        Command::Show(args) => show(global, &args).await,
        Command::Ls(args) => jobs::run(global, &args).await,
    }
}

async fn show(global: &Global, args: &Args) -> Outcome {
    let client = context::client(global)?;
    let job = args.job;
    let mut shown =
        Shown { detail: client.get(&format!("/jobs/{job}")).await?, tasks: None, attempts: None };
    match args.task {
        Some(task) => {
            shown.attempts = Some(client.get(&format!("/jobs/{job}/tasks/{task}/attempts")).await?);
        }
        None => {
            let state = args.state.map(|state| format!("?state={state}")).unwrap_or_default();
            shown.tasks =
                Some(client.pages(&format!("/jobs/{job}/tasks{state}"), args.limit).await?);
        }
    }
    if global.output == Format::Json {
        output::json(&shown);
    } else {
        print(global.output, &client, &shown).await;
    }
    Ok(ExitCode::SUCCESS)
}

async fn print(format: Format, client: &Client, shown: &Shown) {
    print_job(format, &shown.detail.view);
    if format == Format::Quiet {
        return;
    }
    output::line(format_args!("trace {}", shown.detail.view.trace_id));
    output::line("");
    let names = NodeNames::load(client).await;
    if let Some(tasks) = &shown.tasks {
        let rows = tasks.iter().map(|task| task_cells(task, &names)).collect();
        output::table(
            &["task", "state", "attempts", "node", "end", "exit", "artifacts", "logs", "took"],
            rows,
        );
        let total = shown.detail.view.counts.total as usize;
        if tasks.len() < total {
            output::note(format!("{} of {total} tasks; --limit shows more", tasks.len()));
        }
    }
    if let Some(attempts) = &shown.attempts {
        let rows = attempts.iter().map(|attempt| attempt_cells(attempt, &names)).collect();
        output::table(
            &["epoch", "node", "end", "exit", "artifacts", "logs", "took", "message"],
            rows,
        );
    }
}

/// Names of nodes for people; an id stands for itself where the name is not known.
struct NodeNames(Vec<NodeView>);

impl NodeNames {
    async fn load(client: &Client) -> Self {
        Self(client.pages("/nodes", usize::MAX).await.unwrap_or_default())
    }

    fn of(&self, attempt: &AttemptView) -> String {
        let found = self.0.iter().find(|node| node.id == attempt.node);
        found.map_or_else(|| attempt.node.to_string(), |node| node.name.clone())
    }
}

fn task_cells(task: &TaskView, names: &NodeNames) -> Vec<String> {
    let mut cells = vec![task.task.to_string(), task.state.to_string(), task.attempts.to_string()];
    match &task.last {
        Some(last) => {
            cells.push(names.of(last));
            cells.extend(end_cells(last));
        }
        None => cells.extend(std::iter::repeat_n(String::new(), 6)),
    }
    cells
}

fn attempt_cells(attempt: &AttemptView, names: &NodeNames) -> Vec<String> {
    let mut cells = vec![attempt.attempt.epoch.to_string(), names.of(attempt)];
    cells.extend(end_cells(attempt));
    cells.push(attempt.message.clone().unwrap_or_default());
    cells
}

fn end_cells(attempt: &AttemptView) -> Vec<String> {
    let signal = attempt.signal.map(|signal| format!("signal {signal}"));
    let exit = attempt.exit_code.map(|code| code.to_string()).or(signal);
    let manifest = attempt.manifest.as_ref();
    let kept = manifest.map(|m| format!("{} ({})", m.files, output::size(m.bytes)));
    let logs = manifest.map(|m| output::size(m.log_bytes));
    let took = attempt.ended_at.map(|end| output::duration(attempt.leased_at, end));
    vec![
        attempt.class.map(|class| class.to_string()).unwrap_or_default(),
        exit.unwrap_or_default(),
        kept.unwrap_or_default(),
        logs.unwrap_or_default(),
        took.unwrap_or_default(),
    ]
}
