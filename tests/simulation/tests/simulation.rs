//! The simulation as a test: twenty thousand seeds hold, planted bugs do not, and a seed is a seed.
#![expect(clippy::print_stdout, reason = "the counts are for people to read")]

use std::time::Instant;

use mesh_sim::{Bug, Kind, Options, run_caught, run_seeds};

/// Seeds that each run goes through; `MESH_SIM_SEEDS` may raise it.
const SEEDS_MIN: u64 = 20_000;

fn seeds() -> u64 {
    let asked = std::env::var("MESH_SIM_SEEDS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(0).max(SEEDS_MIN)
}

#[test]
fn no_seed_breaks_a_promise_and_every_fault_comes_to_pass() {
    let begin = Instant::now();
    let batch = run_seeds(0, seeds(), None);
    let seconds = begin.elapsed().as_secs_f64();
    for kind in Kind::ALL {
        println!("{:>12} {kind:?}", batch.stats.get(*kind));
    }
    println!(
        "{} seeds in {seconds:.1} s: {:.0} seeds/s",
        batch.seeds,
        batch.seeds as f64 / seconds
    );
    if let Some((seed, broken)) = batch.failed {
        let options = Options::of(seed, None);
        panic!("{broken}\n{options:#?}\nreplay: cargo run -p mesh-sim -- --seed {seed}");
    }
    assert_eq!(batch.stats.never(), [], "what never comes to pass is not tested");
    assert!(batch.seeds >= SEEDS_MIN);
}

#[test]
fn each_planted_bug_is_caught() {
    for bug in Bug::ALL {
        let batch = run_seeds(0, SEEDS_MIN, Some(bug));
        let (seed, broken) = batch.failed.unwrap_or_else(|| panic!("{bug:?} was not caught"));
        println!("{bug:?}: seed {seed}, {} seeds run: {broken}", batch.seeds);
        assert!(broken.starts_with('I'), "{bug:?} is to break a promise: {broken}");
    }
}

#[test]
fn the_planted_rescue_is_caught_for_not_comparing_and_for_nothing_else() {
    let batch = run_seeds(0, 2_000, Some(Bug::RescueWithCas));
    assert_eq!(batch.failed, None);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..200 {
        let first = run_caught(Options::of(seed, None));
        let again = run_caught(Options::of(seed, None));
        assert_eq!(first.trace, again.trace, "seed {seed}");
        assert_eq!(first.stats, again.stats, "seed {seed}");
    }
}
