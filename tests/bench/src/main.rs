//! `./run bench`: speed and memory of a whole mesh, beside what this machine can do at all in the same run.
//!
//! Figures are ratios where they can be: absolute ones do not carry over to other machines. Nothing here
//! fails for being slow; the targets stand beside the figures.

mod floor;
mod memory;
mod report;
mod tasks;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use mesh_tests::{
    mesh::{Mesh, Options},
    postgres::Postgres,
};

use report::Report;

/// Measure a mesh on this machine.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  ./run bench\n  ./run bench --store postgres --runs 5 --json bench.json"
)]
struct Args {
    /// Which database.
    #[arg(long, default_value = "sqlite")]
    store: Store,
    /// How often the makespan is measured; the median counts.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Tasks of the makespan.
    #[arg(long, default_value_t = 10_000)]
    tasks: u32,
    /// Also write the figures to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Store {
    /// SQLite, synchronous=FULL.
    Sqlite,
    /// A PostgreSQL of its own, fsync on.
    Postgres,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    mesh_fabric::tls::install_provider();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(run(args))
}

async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut report = Report::new(format!("{:?}", args.store).to_lowercase());
    let dir = mesh_tests::tmp::dir("bench");
    let mut options = Options { nodes: 1, cpu: "2", args: Vec::new() };
    if args.store == Store::Postgres {
        let postgres = Postgres::shared().await?;
        let file = dir.path().join("password");
        mesh_fabric::files::write_private(&file, postgres.password().as_bytes())?;
        options.args.extend(["--database".into(), postgres.database().await?]);
        let file = file.to_string_lossy().into_owned();
        options.args.extend(["--database-password-file".into(), file]);
    }
    let mesh = Mesh::start(&options).await;
    memory::measure(&mesh, "idle", &mut report).await;
    tasks::one_at_a_time(&mesh, &mut report).await;
    tasks::makespan(&mesh, args.tasks, args.runs, &mut report).await?;
    tasks::submit_arrays(&mesh, &mut report).await;
    memory::measure(&mesh, "after", &mut report).await;
    drop(mesh);
    report.print();
    if let Some(path) = args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(ExitCode::SUCCESS)
}
