//! `mesh-sim`: one seed with its options, or many from that seed on. A failing seed of the tests replays here.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Instant,
};

use clap::{Parser, ValueEnum};
use mesh_sim::{Bug, Options, Stats, ideas, run_caught, run_seeds};

/// Simulate the real cores among everything that fails around them.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  mesh-sim --seed 420                             one seed, with its options and what happened
  mesh-sim --seeds 20000                          many, from seed 0 on
  mesh-sim --seed 7 --bug ack-before-commit       with a planted bug
  mesh-sim --seed 7 --set drop=0 --set nodes=1    with other figures
  mesh-sim --world ideas --seeds 5000             the ledger instead of jobs
  mesh-sim --file tests/simulation/regressions/FILE

Exit codes: 0 all promises held · 1 one was broken, or something that many seeds must meet never came")]
struct Args {
    /// Which world: orchestrator, node and uploader, or the ledger of ideas.
    #[arg(long, value_enum, default_value_t = World::Jobs)]
    world: World,
    /// The seed, or the first of many.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds; one when not given.
    #[arg(long)]
    seeds: Option<u64>,
    /// Plant a bug; a wrong name is answered with all of them.
    #[arg(long, value_parser = bug_name)]
    bug: Option<String>,
    /// Set a figure of the seed's options: NAME=VALUE.
    #[arg(long, value_parser = figure)]
    set: Vec<(String, u64)>,
    /// Take seed and options from a file, as the regressions are.
    #[arg(long, conflicts_with_all = ["seed", "seeds", "bug", "set"])]
    file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum World {
    Jobs,
    Ideas,
}

/// Seeds below which it is no wonder that something never came.
const ENOUGH: u64 = 20_000;
/// The same in the world of the ledger.
const ENOUGH_IDEAS: u64 = 5_000;

fn main() -> ExitCode {
    let args = Args::parse();
    let mut out = io::stdout().lock();
    let told = match (args.world, args.seeds, options(&args)) {
        (World::Ideas, ..) => run_ideas(&mut out, &args),
        (World::Jobs, _, Err(why)) => Ok(Some(why)),
        (World::Jobs, None, Ok(options)) => one(&mut out, options),
        (World::Jobs, Some(count), Ok(Options { seed, bug, .. })) => {
            many(&mut out, seed, count, bug)
        }
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

fn options(args: &Args) -> Result<Options, String> {
    if let Some(file) = &args.file {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        return Options::read(&text);
    }
    let bug = args.bug.as_deref().map(Bug::named).transpose()?;
    let mut options = Options::of(args.seed, bug);
    for (name, value) in &args.set {
        if !options.set(name, *value) {
            return Err(format!("there is no figure {name}"));
        }
    }
    Ok(options)
}

fn one(out: &mut impl Write, options: Options) -> io::Result<Option<String>> {
    write!(out, "{}", options.text())?;
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
    let begin = Instant::now();
    let batch = run_seeds(seed, count, bug);
    let seconds = begin.elapsed().as_secs_f64();
    write_stats(out, &batch.stats)?;
    writeln!(out, "{} seeds in {seconds:.1} s", batch.seeds)?;
    let never = batch.stats.never();
    Ok(match batch.failed {
        Some((seed, broken)) => {
            let options = Options::of(seed, bug);
            Some(format!("{broken}\n{}replay: {}", options.text(), options.replay()))
        }
        None if never.is_empty() || batch.seeds < ENOUGH => None,
        None => Some(format!("never came to pass: {}", never.join(", "))),
    })
}

fn run_ideas(out: &mut impl Write, args: &Args) -> io::Result<Option<String>> {
    let options = match ideas_options(args) {
        Ok(options) => options,
        Err(why) => return Ok(Some(why)),
    };
    let Some(count) = args.seeds else {
        write!(out, "{}", options.text())?;
        let outcome = ideas::run_caught(options);
        write_counts(out, &outcome.stats.report())?;
        writeln!(out, "trace {:016x}", outcome.trace)?;
        return Ok(outcome.broken);
    };
    let begin = Instant::now();
    let batch = ideas::run_seeds(options.seed, count, options.bug);
    write_counts(out, &batch.stats.report())?;
    writeln!(out, "{} seeds in {:.1} s", batch.seeds, begin.elapsed().as_secs_f64())?;
    let never = batch.stats.never();
    Ok(match batch.failed {
        Some((seed, broken)) => {
            let options = ideas::Options::of(seed, options.bug);
            Some(format!("{broken}\n{}replay: {}", options.text(), options.replay()))
        }
        None if never.is_empty() || batch.seeds < ENOUGH_IDEAS => None,
        None => Some(format!("never came to pass: {}", never.join(", "))),
    })
}

fn ideas_options(args: &Args) -> Result<ideas::Options, String> {
    let bug = args.bug.as_deref().map(ideas::Bug::named).transpose()?;
    let mut options = ideas::Options::of(args.seed, bug);
    for (name, value) in &args.set {
        if !options.set(name, *value) {
            return Err(format!("there is no figure {name}"));
        }
    }
    Ok(options)
}

fn write_stats(out: &mut impl Write, stats: &Stats) -> io::Result<()> {
    write_counts(out, &stats.report())
}

fn write_counts(out: &mut impl Write, counts: &[(String, u64)]) -> io::Result<()> {
    counts.iter().try_for_each(|(name, count)| writeln!(out, "{count:>12} {name}"))
}

fn bug_name(text: &str) -> Result<String, String> {
    let known = ideas::Bug::named(text).map(drop).or_else(|_| Bug::named(text).map(drop));
    known.map(|()| text.to_owned())
}

fn figure(text: &str) -> Result<(String, u64), String> {
    let (name, value) = text.split_once('=').ok_or("a figure is NAME=VALUE")?;
    let value = value.parse().map_err(|_| format!("{value} is not a number"))?;
    Ok((name.to_owned(), value))
}
