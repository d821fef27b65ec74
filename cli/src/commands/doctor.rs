//! `mesh doctor`: is everything there and well?

use std::process::ExitCode;

use mesh_schemas::api::{NodeState, ServerInfo};

use crate::{
    Outcome,
    args::{Format, Global},
    context, output,
};

/// Check the cluster; exits with 1 when something is amiss.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh doctor
  mesh doctor -o json")]
pub(crate) struct Args {}

pub(crate) async fn run(global: &Global, _: &Args) -> Outcome {
    let info: ServerInfo = context::client(global)?.get("/info").await?;
    let checks = checks(&info);
    match global.output {
        Format::Json => output::json(&info),
        Format::Table | Format::Quiet => {
            let row = |(what, good, detail): &(&str, bool, String)| {
                vec![
                    if *good { "ok" } else { "AMISS" }.to_owned(),
                    (*what).to_owned(),
                    detail.clone(),
                ]
            };
            output::table(&["", "what", "detail"], checks.iter().map(row).collect());
        }
    }
    let well = checks.iter().all(|(_, good, _)| *good);
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn checks(info: &ServerInfo) -> Vec<(&'static str, bool, String)> {
    let here = mesh_fabric::time::now();
    let skew = here.since(info.now).max(info.now.since(here));
    let count = |state| info.nodes.get(&state).copied().unwrap_or(0);
    let online = count(NodeState::Online);
    let total: u32 = info.nodes.values().sum();
    let mine = env!("CARGO_PKG_VERSION");
    vec![
        ("orchestrator", true, format!("version {}", info.version)),
        ("leader", true, format!("{}, epoch {}", info.leader_url, info.leader)),
        ("version", info.version == mine, format!("this command is {mine}")),
        ("clock", skew.as_secs() < 60, format!("{} ms apart", skew.as_millis())),
        ("database", info.store_ok, info.store.clone()),
        ("NATS", info.bus_ok, up(info.bus_ok).into()),
        ("object store", info.objects_ok, up(info.objects_ok).into()),
        ("nodes", online > 0, format!("{online} of {total} online")),
        ("tasks", true, format!("{} wait, {} held by nodes", info.tasks_queued, info.tasks_held)),
    ]
}

const fn up(up: bool) -> &'static str {
    if up { "answers" } else { "does not answer" }
}
