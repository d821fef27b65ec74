//! `mesh jobs`: what is going on.

use std::process::ExitCode;

use mesh_schemas::{api::JobView, attempt::JobState};

use crate::{
    Outcome,
    args::{Format, Global},
    context,
    output::{self, Row},
};

/// List jobs, newest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh jobs
  mesh jobs --state failed --project tools --limit 100
  mesh jobs -o json | jq '.[].counts'")]
pub(crate) struct Args {
    /// Only jobs in this state: queued, running, succeeded, failed, cancelled, quarantined.
    #[arg(long)]
    state: Option<JobState>,
    /// Only jobs of this project.
    #[arg(long)]
    project: Option<String>,
    /// Most rows.
    #[arg(long, short = 'n', default_value_t = 50)]
    limit: usize,
}

pub(crate) async fn run(global: &Global, args: &Args) -> Outcome {
    if let Some(project) = &args.project {
        mesh_schemas::text::check_name("project", project)?;
    }
    let state = args.state.map(|state| format!("state={state}"));
    let project = args.project.as_ref().map(|project| format!("project={project}"));
    let filters: Vec<String> = state.into_iter().chain(project).collect();
    let joint = if filters.is_empty() { "" } else { "?" };
    let path = format!("/jobs{joint}{}", filters.join("&"));
    let rows: Vec<JobView> = context::client(global)?.pages(&path, args.limit).await?;
    output::list(global.output, &rows);
    Ok(ExitCode::SUCCESS)
}

/// Prints one job as a row of the list.
pub(crate) fn print_job(format: Format, job: &JobView) {
    match format {
        Format::Json => output::json(job),
        Format::Table | Format::Quiet => output::list(format, std::slice::from_ref(job)),
    }
}

impl Row for JobView {
    const COLUMNS: &'static [&'static str] =
        &["job", "name", "state", "tasks", "done", "failed", "running", "created", "took"];

    fn cells(&self) -> Vec<String> {
        let counts = self.counts;
        let took = self.finished_at.map(|end| output::duration(self.created_at, end));
        vec![
            self.id.to_string(),
            self.name.clone(),
            self.state.to_string(),
            counts.total.to_string(),
            counts.succeeded.to_string(),
            (counts.failed + counts.quarantined).to_string(),
            (counts.leased + counts.running).to_string(),
            self.created_at.to_string(),
            took.unwrap_or_default(),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}
