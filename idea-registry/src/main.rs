//! `mesh-ideas`: keeps the log of ideas, verifies it, repairs it, and witnesses other logs.

mod commands;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, error::ErrorKind};
use mesh_fabric::telemetry;
use mesh_schemas::{ErrorCode, Problem};

/// Threads that run tasks; what the registry waits for is the disk, not processors.
const WORKER_THREADS: usize = 2;

const EXAMPLES: &str = "\
Examples:
  mesh-ideas serve --config /etc/deskmesh/ideas.toml
  mesh-ideas verify --data /var/lib/deskmesh/ideas
  mesh-ideas verify --url https://log.example.org --key log.example.org/ideas/v1+…
  mesh-ideas rebuild --from tiles --data /var/lib/deskmesh/ideas
  mesh-ideas rebuild --from objects --config /etc/deskmesh/ideas.toml
  mesh-ideas restart-origin --config /etc/deskmesh/ideas.toml
  mesh-ideas witness --config /etc/deskmesh/witness.toml

Exit codes: 0 done, 2 configuration, 4 there is no log, 6 another process holds the data,
7 something it needs is out of reach, 8 the log is not what was signed, 70 a fault of ours.";

/// Deskmesh's registry of ideas.
#[derive(Debug, Parser)]
#[command(name = "mesh-ideas", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Keeps the log: appends, signs, publishes, answers
    Serve(commands::serve::Args),
    /// Goes through the whole log and names the first bad entry, as JSON
    Verify(commands::verify::Args),
    /// Makes one half of the log from the other, and the projections anew
    Rebuild(commands::rebuild::Args),
    /// Keeps the keys of sealed texts apart, which are in no file of the log
    Keys(commands::keys::Args),
    /// Goes on with the next version of the origin, where the log cannot
    RestartOrigin(commands::restart::Args),
    /// Cosigns checkpoints of other logs
    Witness(commands::witness::Args),
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    telemetry::init("mesh-ideas");
    match run(arguments.command) {
        Ok(code) => code,
        Err(problem) => fail(&problem),
    }
}

fn run(command: Command) -> Result<ExitCode, Problem> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
        .map_err(|error| Problem::new(ErrorCode::Io, format!("cannot start threads: {error}")))?;
    runtime.block_on(async {
        match command {
            Command::Serve(args) => commands::serve::run(args).await,
            Command::Verify(args) => commands::verify::run(args).await,
            Command::Rebuild(args) => commands::rebuild::run(args).await,
            Command::Keys(args) => commands::keys::run(args).await,
            Command::RestartOrigin(args) => commands::restart::run(args).await,
            Command::Witness(args) => commands::witness::run(args).await,
        }
    })
}

/// Where a log lies, for commands that work on it while no registry runs.
#[derive(Debug, clap::Args)]
struct PlaceArgs {
    /// The registry's configuration, TOML
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    config: Option<PathBuf>,
    /// The registry's data directory, with an SQLite database in it
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

fn usage(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // A reader that closed the pipe has seen enough.
        drop(error.print());
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let detail = line.strip_prefix("error: ").unwrap_or(line);
    fail(&Problem::new(ErrorCode::Usage, detail).hint("`mesh-ideas --help` shows what there is"))
}

fn fail(problem: &Problem) -> ExitCode {
    eprintln!("error[{}]: {}", problem.code, problem.detail);
    if let Some(hint) = &problem.hint {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(problem.code.exit_code())
}
