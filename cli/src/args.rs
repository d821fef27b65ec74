//! The command line as a whole; each command's own arguments lie with the command.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::commands::{
    artifacts, cancel, completions, doctor, ideas, job, jobs, logs, node, nodes, retry, run,
    submit, token, up, wait, why,
};

/// A job mesh over your own machines: builds, tests, training runs and scripts, never lost.
#[derive(Debug, Parser)]
#[command(name = "mesh", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  mesh up                                   a whole cluster on this machine, in ./.deskmesh
  mesh run -- cargo test                    ship this directory, run there, bring results back
  mesh submit --array 0-999 -- sh -c 'echo $MESH_TASK_INDEX'
  mesh jobs                                 what is going on
  mesh why job_…                            why it waits
  mesh ideas add 'Warm the caches at night' file an idea; it is never lost

Several orchestrators of one cluster: MESH_SERVER=https://a:7700,https://b:7700

Exit codes: 0 done · 1 no (failed, not found to hold) · 2 usage · 3 invalid, also a file of yours
4 not found · 5 not allowed · 6 conflict · 7 unavailable, safe to try again · 8 integrity
70 a fault of ours";

/// Where the cluster is and how to print.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Global {
    /// The orchestrator's address, such as `http://127.0.0.1:7700`; of several, with commas between
    /// them, the one that leads is found.
    #[arg(
        long,
        global = true,
        env = "MESH_SERVER",
        value_name = "URL[,URL…]",
        help_heading = "Cluster"
    )]
    pub(crate) server: Option<String>,
    /// File with the API token (never the token itself on a command line).
    #[arg(
        long,
        global = true,
        env = "MESH_TOKEN_FILE",
        value_name = "FILE",
        help_heading = "Cluster"
    )]
    pub(crate) token_file: Option<PathBuf>,
    /// PEM of the cluster's certificate authority.
    #[arg(
        long,
        global = true,
        env = "MESH_CA_FILE",
        value_name = "FILE",
        help_heading = "Cluster"
    )]
    pub(crate) ca_file: Option<PathBuf>,
    /// How to print.
    #[arg(
        long,
        short,
        global = true,
        value_enum,
        default_value = "table",
        help_heading = "Output"
    )]
    pub(crate) output: Format,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs: one JSON document (one a line for streams).
    Json,
    /// Only ids, one a line.
    Quiet,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(up::Args),
    Submit(Box<submit::Args>),
    Run(Box<run::Args>),
    Jobs(jobs::Args),
    #[command(subcommand)]
    Job(job::Command),
    #[command(subcommand)]
    Ideas(ideas::Command),
    Logs(logs::Args),
    #[command(subcommand)]
    Artifacts(artifacts::Command),
    Why(why::Args),
    Cancel(cancel::Args),
    Retry(retry::Args),
    Wait(wait::Args),
    Nodes(nodes::Args),
    #[command(subcommand)]
    Node(node::Command),
    #[command(subcommand)]
    Token(token::Command),
    Doctor(doctor::Args),
    Completions(completions::Args),
}

impl Command {
    /// Hashes, compresses and copies bytes beside its requests, or minds processes.
    pub(crate) fn is_heavy(&self) -> bool {
        match self {
            Self::Up(_) | Self::Run(_) | Self::Artifacts(_) => true,
            Self::Submit(args) => args.ships(),
            Self::Jobs(_)
            | Self::Job(_)
            | Self::Ideas(_)
            | Self::Logs(_)
            | Self::Why(_)
            | Self::Cancel(_)
            | Self::Retry(_)
            | Self::Wait(_)
            | Self::Nodes(_)
            | Self::Node(_)
            | Self::Token(_)
            | Self::Doctor(_)
            | Self::Completions(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound_and_every_command_has_an_example() {
        let command = super::Args::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            let has = |c: &clap::Command| c.get_after_help().is_some();
            let nested = sub.get_subcommands().next().is_some() && sub.get_subcommands().all(has);
            assert!(has(sub) || nested, "`mesh {}` has no example", sub.get_name());
        }
    }
}
