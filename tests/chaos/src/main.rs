//! `mesh-chaos`: breaks a mesh for some minutes and proves afterwards that nothing was lost; or only
//! proves it, for a mesh of yours.

#![expect(clippy::print_stdout, reason = "a program that reports")]

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use mesh_chaos::{
    check::check,
    cluster::StoreKind,
    history::History,
    read::{Source, read},
    record, report,
    run::{self, Plan},
};

/// Something is broken.
const BROKEN: u8 = 8;
/// It could not be run or read.
const FAILED: u8 = 7;

/// Chaos with real processes, and the proof afterwards.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Examples:
  mesh-chaos run --minutes 3 --seed 7           break a mesh of its own for three minutes, then judge
  mesh-chaos run --only C7 --only C3b           only these scenarios
  mesh-chaos check --data .deskmesh             judge what a mesh has on disk; it may be running

Exit codes: 0 nothing is broken, 8 something is, 7 it could not be run or read."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a mesh, break it, heal it, judge it.
    Run(RunArgs),
    /// Judge what a mesh has on disk.
    Check(CheckArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// How long faults come.
    #[arg(long, default_value_t = 3.0, value_name = "N")]
    minutes: f64,
    /// What schedule and requests come from; a random one when not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Nodes, at most three; the third may be revoked.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// Where the jobs are kept.
    #[arg(long, value_enum, default_value_t = StoreKind::Sqlite)]
    store: StoreKind,
    /// How long a lease lasts, in seconds.
    #[arg(long, default_value_t = 6)]
    lease: u64,
    /// Only this scenario; may be given again.
    #[arg(long, value_name = "ID")]
    only: Vec<String>,
    /// Keep everything here; without it, it is kept only when something is broken.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// The data directory of `mesh up`, or of a kept run.
    #[arg(long, value_name = "DIR", required_unless_present = "history")]
    data: Option<PathBuf>,
    /// The database, when it is not the directory's SQLite.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// File with the database's password.
    #[arg(long, value_name = "FILE", requires = "database")]
    database_password_file: Option<PathBuf>,
    /// A history that was read before, `history.json` of a kept run.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    history: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = match (runtime, cli.command) {
        (Err(error), _) => Err(error.into()),
        (Ok(runtime), Command::Run(args)) => runtime.block_on(run_chaos(args)),
        (Ok(runtime), Command::Check(args)) => runtime.block_on(run_check(args)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(BROKEN),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

async fn run_chaos(args: RunArgs) -> anyhow::Result<bool> {
    let seed =
        args.seed.unwrap_or_else(|| u64::from(u32::from_le_bytes(mesh_fabric::ids::random())));
    println!("seed {seed}");
    let kept = mesh_tests::tmp::dir("chaos");
    let root = args.keep.clone().unwrap_or_else(|| kept.path().to_owned());
    let plan = Plan {
        root: root.clone(),
        length: Duration::from_secs_f64(args.minutes.max(0.0) * 60.0),
        seed,
        nodes: args.nodes,
        store: args.store,
        lease_ttl: Duration::from_secs(args.lease),
        only: args.only,
    };
    let outcome = tokio::select! {
        outcome = run::run(&plan) => outcome,
        stopped = tokio::signal::ctrl_c() => {
            stopped?;
            anyhow::bail!("stopped")
        }
    };
    let good = outcome.as_ref().is_ok_and(run::Outcome::is_good);
    if !good && args.keep.is_none() {
        println!("everything is kept in {}", kept.keep().display());
    }
    print!("\n{}", report::of_run(&outcome?));
    println!("{}, seed {seed}", if good { "NOTHING IS BROKEN" } else { "SOMETHING IS BROKEN" });
    Ok(good)
}

async fn run_check(args: CheckArgs) -> anyhow::Result<bool> {
    let history = match (args.history, args.data) {
        (Some(file), _) => {
            let text = std::fs::read(&file).with_context(|| file.display().to_string())?;
            serde_json::from_slice(&text).context("the history")?
        }
        (None, Some(data)) => {
            of_directory(data, args.database, args.database_password_file).await?
        }
        (None, None) => History::default(),
    };
    let report = check(&history);
    print!("{}{}", report::figures(&history), report::verdicts(&report, &history));
    println!("{}", if report.is_good() { "NOTHING IS BROKEN" } else { "SOMETHING IS BROKEN" });
    Ok(report.is_good())
}

async fn of_directory(
    data: PathBuf,
    database: Option<String>,
    password_file: Option<PathBuf>,
) -> anyhow::Result<History> {
    let password = password_file.map(std::fs::read_to_string).transpose()?;
    let password = password.map(|text| text.lines().next().unwrap_or_default().to_owned());
    // A kept run has the clients' history beside its data.
    let (data, beside) = match data.join("data") {
        inner if inner.is_dir() => (inner, data.join(record::FILE)),
        _ => (data, PathBuf::new()),
    };
    let mut history = read(&Source { data, database, password, secrets: Vec::new() }).await?;
    if beside.is_file() {
        history.ops = record::read(&beside)?;
    }
    Ok(history)
}
