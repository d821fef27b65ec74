//! `mesh doctor`: is everything there and well?

use std::process::ExitCode;

use mesh_schemas::{
    ErrorCode, Problem,
    api::{NodeState, ServerInfo},
};

use crate::{
    Outcome,
    args::{Format, Global},
    client::Client,
    context, output,
};

/// Farther apart than this, times that people compare mislead them.
const CLOCK_SKEW_MAX_MS: u128 = 60_000;

/// Check the cluster; exits with 1 when something is amiss, with 7 when it cannot be reached.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh doctor
  mesh doctor -o json")]
pub(crate) struct Args {}

/// One line of the table.
struct Check {
    what: &'static str,
    good: bool,
    detail: String,
}

pub(crate) async fn run(global: &Global, _: &Args) -> Outcome {
    let client = context::client(global)?;
    let info: ServerInfo =
        client.get("/info").await.map_err(|problem| first_aid(&client, problem))?;
    let checks = checks(client.server(), &info);
    match global.output {
        Format::Json => output::json(&info),
        Format::Table | Format::Quiet => {
            let row = |check: &Check| {
                let verdict = if check.good { "ok" } else { "AMISS" };
                vec![verdict.to_owned(), check.what.to_owned(), check.detail.clone()]
            };
            output::table(&["", "what", "detail"], checks.iter().map(row).collect());
        }
    }
    let well = checks.iter().all(|check| check.good);
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Who runs this has been sent here by the hints of other commands: say what is left to do.
fn first_aid(client: &Client, problem: Problem) -> Problem {
    if problem.code != ErrorCode::Unreachable {
        return problem;
    }
    problem.hint(format!(
        "start it with `mesh up`, or name another address than {} with --server or MESH_SERVER; \
         a cluster that ended badly says why in the *.log files of its data directory",
        client.servers()
    ))
}

fn leader(info: &ServerInfo) -> String {
    if info.leader_url.is_empty() { "it leads itself".into() } else { info.leader_url.clone() }
}

fn checks(server: &str, info: &ServerInfo) -> Vec<Check> {
    let here = mesh_fabric::time::now();
    let skew = here.since(info.now).max(info.now.since(here)).as_millis();
    let count = |state| info.nodes.get(&state).copied().unwrap_or(0);
    let online = count(NodeState::Online);
    let total: u32 = info.nodes.values().sum();
    let mine = env!("CARGO_PKG_VERSION");
    let check = |what, good, well: String, amiss: &str| {
        let detail = if good { well } else { format!("{well}: {amiss}") };
        Check { what, good, detail }
    };
    let answers = |good| if good { "answers" } else { "does not answer" }.to_owned();
    vec![
        check("orchestrator", true, format!("answers at {server}"), ""),
        check("leader", true, leader(info), ""),
        check(
            "version",
            info.version == mine,
            format!("{} there, {mine} here", info.version),
            "install the same on both sides",
        ),
        check(
            "clock",
            skew < CLOCK_SKEW_MAX_MS,
            format!("{skew} ms apart"),
            "times are shown by the cluster's clock; set this machine's",
        ),
        check(
            "database",
            info.store_ok,
            format!("{} {}", info.store, answers(info.store_ok)),
            "nothing is accepted meanwhile; see orchestrator.log",
        ),
        check(
            "NATS",
            info.bus_ok,
            answers(info.bus_ok),
            "tasks run on, no new ones start; see nats.log",
        ),
        check(
            "object store",
            info.objects_ok,
            answers(info.objects_ok),
            "nodes keep the output until it does; see store.log",
        ),
        check(
            "ideas",
            info.ledger_ok,
            answers(info.ledger_ok),
            "ideas wait, autonomous jobs are refused; see ideas.log",
        ),
        check(
            "nodes",
            online > 0,
            format!("{online} of {total} online"),
            "`mesh nodes` shows each; `mesh node code` lets another machine join",
        ),
        check(
            "tasks",
            true,
            format!("{} queued, {} with nodes", info.tasks_queued, info.tasks_held),
            "",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_amiss_says_what_to_do_and_nothing_else_does() {
        let info: ServerInfo = serde_json::from_value(serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"), "leader": 1, "leader_url": "http://a", "now": mesh_fabric::time::now(),
            "store": "sqlite", "store_ok": true, "bus_ok": false, "objects_ok": true, "ledger_ok": true,
            "nodes": {"offline": 2}, "tasks_queued": 1, "tasks_held": 0,
        }))
        .unwrap();
        let checks = checks("http://a", &info);
        let amiss: Vec<_> = checks.iter().filter(|check| !check.good).collect();
        assert_eq!(amiss.iter().map(|check| check.what).collect::<Vec<_>>(), ["NATS", "nodes"]);
        assert_eq!(
            amiss[0].detail,
            "does not answer: tasks run on, no new ones start; see nats.log"
        );
        let well = checks.iter().find(|check| check.what == "database").unwrap();
        assert_eq!(well.detail, "sqlite answers");
    }
}
