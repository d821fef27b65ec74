//! `mesh-sim`: one seed with its options, or many from that seed on. A failing seed of the tests replays here.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use mesh_sim::{Bug, Kind, Options, Stats, run_caught, run_seeds};

/// Simulate the orchestrator's core among nodes, broker, database and clients that fail.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  mesh-sim --seed 420                             one seed, with its options and what happened
  mesh-sim --seeds 20000                          many, from seed 0 on
  mesh-sim --seed 7 --bug ack-before-commit       with a planted bug

Exit codes: 0 all promises held · 1 one was broken")]
struct Args {
    /// The seed, or the first of many.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds; one when not given.
    #[arg(long)]
    seeds: Option<u64>,
    /// Plant a bug: no-fence, ack-before-commit, rescue-without-cas, or the control rescue-with-cas.
    #[arg(long, value_parser = bug)]
    bug: Option<Bug>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut out = io::stdout().lock();
    let told = match args.seeds {
        None => one(&mut out, args.seed, args.bug),
        Some(count) => many(&mut out, args.seed, count, args.bug),
    };
    match told {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(broken)) => {
            // A reader that has gone still gets the exit code.
            let _ = writeln!(out, "BROKEN {broken}");
            ExitCode::FAILURE
        }
        // `| head` is no failure.
        Err(_) => ExitCode::SUCCESS,
    }
}

fn one(out: &mut impl Write, seed: u64, bug: Option<Bug>) -> io::Result<Option<String>> {
    let options = Options::of(seed, bug);
    writeln!(out, "{options:#?}")?;
    let outcome = run_caught(options);
    write_stats(out, &outcome.stats)?;
    writeln!(out, "trace {:016x}", outcome.trace)?;
    Ok(outcome.broken)
}

fn many(
    out: &mut impl Write,
    seed: u64,
    count: u64,
    bug: Option<Bug>,
) -> io::Result<Option<String>> {
    let batch = run_seeds(seed, count, bug);
    write_stats(out, &batch.stats)?;
    writeln!(out, "{} seeds", batch.seeds)?;
    Ok(batch.failed.map(|(seed, broken)| format!("seed {seed}: {broken}")))
}

fn write_stats(out: &mut impl Write, stats: &Stats) -> io::Result<()> {
    Kind::ALL.iter().try_for_each(|kind| writeln!(out, "{:>12} {kind:?}", stats.get(*kind)))
}

fn bug(name: &str) -> Result<Bug, String> {
    match name {
        "no-fence" => Ok(Bug::NoFence),
        "ack-before-commit" => Ok(Bug::AckBeforeCommit),
        "rescue-without-cas" => Ok(Bug::RescueWithoutCas),
        "rescue-with-cas" => Ok(Bug::RescueWithCas),
        _ => {
            Err("no such bug: no-fence, ack-before-commit, rescue-without-cas, rescue-with-cas"
                .into())
        }
    }
}
