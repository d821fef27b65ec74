//! `./run bench`: how fast and how small a whole mesh is, beside what this machine can do at all.
//!
//! Figures are ratios of the same run where they can be: absolute ones do not carry over to other machines.
//! Nothing here fails for being slow; the targets stand beside the figures, and so does how busy the
//! machine was with other work. docs/performance.md says how to repeat it.

mod client;
mod cluster;
mod fleet;
mod floor;
mod h2;
mod kept;
mod machine;
mod proc;
mod report;
mod sections;
mod stats;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use tokio::runtime::Runtime;

use kept::Kept;
use machine::Machine;
use report::{Measured, progress};
use sections::Section;

const EXAMPLES: &str = "Examples:
  ./run bench                                     everything, on SQLite and PostgreSQL; an hour
  ./run bench --quick                             everything, small; some minutes; says little
  ./run bench --only tasks,latency                two sections
  ./run bench --only tasks --store postgres
  ./run bench --show                              the kept figures as a table; measures nothing";

/// Measure a mesh on this machine.
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES)]
struct Args {
    /// Only these sections, separated by commas; all when not said.
    #[arg(long, value_delimiter = ',', value_name = "SECTION,…")]
    only: Vec<Section>,
    /// Which database; sections that do not depend on it are measured on SQLite.
    #[arg(long, default_value = "both")]
    store: Stores,
    /// Fewer and smaller runs, to see that all works. The targets are not meant for these figures.
    #[arg(long)]
    quick: bool,
    /// Runs of each measurement; the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Tasks of the makespan.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2..))]
    tasks: u32,
    /// Keeps the figures; sections that are not measured stay as they are in it.
    #[arg(long, value_name = "FILE", default_value = ".deskmesh/bench.json")]
    json: PathBuf,
    /// Print the kept figures and measure nothing.
    #[arg(long)]
    show: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Stores {
    /// SQLite, synchronous=FULL.
    Sqlite,
    /// A PostgreSQL of its own, fsync on.
    Postgres,
    /// Each in turn.
    Both,
}

/// A database to measure on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    Sqlite,
    Postgres,
}

impl Store {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// One section being measured on one database.
struct Run<'a> {
    runtime: &'a Runtime,
    store: Store,
    quick: bool,
    runs: u16,
    tasks: u32,
    measured: Measured,
}

impl Run<'_> {
    /// The figure that the target is meant for, or a small one.
    const fn size<T: Copy>(&self, whole: T, quick: T) -> T {
        if self.quick { quick } else { whole }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    mesh_fabric::tls::install_provider();
    let machine = Machine::look()?;
    let mut kept = Kept::load(&args.json, &machine)?;
    if args.show {
        report::print(&kept.sections);
        return Ok(ExitCode::SUCCESS);
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut done = Vec::new();
    for section in Section::all().filter(|section| args.is_wanted(*section)) {
        for store in args.stores(section) {
            let measured = measure(&runtime, &args, section, store);
            kept.put(measured.clone());
            kept.save(&args.json)?;
            done.push(measured);
        }
    }
    report::print(&done);
    let failed = done.iter().any(|measured| measured.figures.is_empty());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Args {
    fn is_wanted(&self, section: Section) -> bool {
        self.only.is_empty() || self.only.contains(&section)
    }

    fn stores(&self, section: Section) -> Vec<Store> {
        match self.store {
            // Simulated nodes are written into an SQLite file.
            _ if !section.depends_on_the_store() => vec![Store::Sqlite],
            Stores::Sqlite => vec![Store::Sqlite],
            Stores::Postgres => vec![Store::Postgres],
            Stores::Both => vec![Store::Sqlite, Store::Postgres],
        }
    }
}

fn measure(runtime: &Runtime, args: &Args, section: Section, store: Store) -> Measured {
    progress(&format!("== {} on {}", section.as_str(), store.as_str()));
    let before = machine::busy();
    let begun = Instant::now();
    let measured = Measured::new(section.as_str().into(), store.as_str().into(), args.quick);
    let runs = if args.quick { args.runs.min(2) } else { args.runs };
    let tasks = if args.quick { args.tasks.min(1_000) } else { args.tasks };
    let mut run = Run { runtime, store, quick: args.quick, runs, tasks, measured };
    // The testkit panics when a part does not come up; other sections may still be measured.
    match catch_unwind(AssertUnwindSafe(|| section.run(&mut run))) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => run.measured.problem(format!("{error:#}")),
        Err(_) => run.measured.problem("a part of the mesh failed; its words are above"),
    }
    let mut measured = run.measured;
    measured.seconds = begun.elapsed().as_secs_f64();
    // What the section itself started ends a moment after it.
    std::thread::sleep(Duration::from_secs(1));
    measured.others_busy = before.max(machine::busy());
    measured.at = mesh_fabric::time::now().to_string();
    measured
}
