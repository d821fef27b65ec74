//! `mesh why`: what keeps a job from running, and the nearest thing that would change it.

use std::process::ExitCode;

use mesh_schemas::{JobId, api::Why};

use crate::{
    Outcome,
    args::{Format, Global},
    context, output,
};

/// Say why a job waits.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh why job_…
  mesh why job_… -o json")]
pub(crate) struct Args {
    /// The job.
    job: JobId,
}

pub(crate) async fn run(global: &Global, args: &Args) -> Outcome {
    let why: Why = context::client(global)?.get(&format!("/jobs/{}/why", args.job)).await?;
    match global.output {
        Format::Json => output::json(&why),
        Format::Quiet => why.reasons.iter().for_each(|reason| output::line(reason.reason)),
        Format::Table => print(&why),
    }
    Ok(ExitCode::SUCCESS)
}

fn print(why: &Why) {
    output::line(output::inert(&why.summary));
    if !why.reasons.is_empty() {
        output::line("");
        let row = |r: &mesh_schemas::api::WhyReason| {
            vec![r.nodes.to_string(), r.reason.to_string(), r.detail.clone()]
        };
        output::table(&["nodes", "reason", "detail"], why.reasons.iter().map(row).collect());
    }
    if let Some(fix) = &why.nearest_fix {
        output::line("");
        output::line(format_args!("nearest fix: {}", output::inert(fix)));
    }
}
