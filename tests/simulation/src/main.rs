//! `mesh-sim [--seed N] [--seeds COUNT] [--bug no-fence|ack-before-commit|rescue-without-cas]`: one seed with
//! its options, or many from that seed on.
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::process::ExitCode;

use mesh_sim::{Bug, Kind, Options, Stats, run_caught, run_seeds};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let seed = number(&args, "--seed").unwrap_or(0);
    let bug = value(&args, "--bug").and_then(bug);
    let broken = match number(&args, "--seeds") {
        None => one(seed, bug),
        Some(count) => {
            let batch = run_seeds(seed, count, bug);
            print_stats(&batch.stats);
            println!("{} seeds", batch.seeds);
            batch.failed.map(|(seed, broken)| format!("seed {seed}: {broken}"))
        }
    };
    match broken {
        None => ExitCode::SUCCESS,
        Some(broken) => {
            println!("BROKEN {broken}");
            ExitCode::FAILURE
        }
    }
}

fn one(seed: u64, bug: Option<Bug>) -> Option<String> {
    let options = Options::of(seed, bug);
    println!("{options:#?}");
    let outcome = run_caught(options);
    print_stats(&outcome.stats);
    println!("trace {:016x}", outcome.trace);
    outcome.broken
}

fn print_stats(stats: &Stats) {
    for kind in Kind::ALL {
        println!("{:>12} {kind:?}", stats.get(*kind));
    }
}

fn value<'a>(args: &'a [String], name: &str) -> Option<&'a str> {
    let at = args.iter().position(|arg| arg == name)?;
    args.get(at + 1).map(String::as_str)
}

fn number(args: &[String], name: &str) -> Option<u64> {
    value(args, name)?.parse().ok()
}

fn bug(name: &str) -> Option<Bug> {
    match name {
        "no-fence" => Some(Bug::NoFence),
        "ack-before-commit" => Some(Bug::AckBeforeCommit),
        "rescue-without-cas" => Some(Bug::RescueWithoutCas),
        "rescue-with-cas" => Some(Bug::RescueWithCas),
        _ => None,
    }
}
