//! `mesh-orchestrator`: places work, holds the leases, minds what is recorded.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, error::ErrorKind};
use mesh_fabric::{shutdown, telemetry};
use mesh_orchestrator::{app::App, config::Config};
use mesh_schemas::{ErrorCode, Problem};

/// Threads that run tasks; what the orchestrator waits for is IO, not processors.
const WORKER_THREADS: usize = 2;
/// Threads for what blocks, such as name look-ups.
const BLOCKING_THREADS_MAX: usize = 8;

const EXAMPLES: &str = "\
Examples:
  mesh-orchestrator --config /etc/deskmesh/orchestrator.toml
  mesh-orchestrator --config orchestrator.toml --check-config
  MESH_ORCHESTRATOR__LISTEN=127.0.0.1:7800 mesh-orchestrator --config orchestrator.toml

Exit codes: 0 stopped as asked, 2 configuration, 6 another process holds the data,
7 something it needs is out of reach, 70 a fault of ours.";

/// Deskmesh's orchestrator: places work, holds the leases, minds what is recorded.
#[derive(Debug, Parser)]
#[command(name = "mesh-orchestrator", version, after_help = EXAMPLES)]
struct Arguments {
    /// The configuration, TOML; variables MESH_ORCHESTRATOR__SECTION__KEY go before it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only check the configuration.
    #[arg(long)]
    check_config: bool,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => fail(&problem),
    }
}

fn run(arguments: &Arguments) -> Result<(), Problem> {
    let config = Config::load(arguments.config.as_deref())?;
    if arguments.check_config {
        eprintln!("the configuration is good");
        return Ok(());
    }
    telemetry::init("mesh-orchestrator");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .enable_all()
        .build()
        .map_err(|error| Problem::new(ErrorCode::Io, format!("cannot start threads: {error}")))?;
    runtime.block_on(async {
        let shutdown = shutdown::token();
        App::start(config).await?.run(shutdown).await
    })
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
    fail(
        &Problem::new(ErrorCode::Usage, detail)
            .hint("`mesh-orchestrator --help` shows what there is"),
    )
}

fn fail(problem: &Problem) -> ExitCode {
    eprintln!("error[{}]: {}", problem.code, problem.detail);
    if let Some(hint) = &problem.hint {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(problem.code.exit_code())
}
