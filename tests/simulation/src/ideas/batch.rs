//! Many seeds on several threads.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::{
    options::Options,
    planted::Bug,
    stats::Stats,
    world::{Outcome, run},
};

/// Threads to use.
const THREADS: usize = 2;

/// What many seeds led to.
#[derive(Debug, Default)]
pub struct Batch {
    /// Seeds that were run.
    pub seeds: u64,
    /// All counts together.
    pub stats: Stats,
    /// The smallest seed known to break a promise, and which.
    pub failed: Option<(u64, String)>,
}

/// Runs the seeds from `first` on, `count` of them; one that breaks a promise ends the batch early.
pub fn run_seeds(first: u64, count: u64, bug: Option<Bug>) -> Batch {
    let next = AtomicU64::new(first);
    let batch = Mutex::new(Batch::default());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| work(&next, first + count, bug, &batch));
        }
    });
    batch.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn work(next: &AtomicU64, end: u64, bug: Option<Bug>, batch: &Mutex<Batch>) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return;
        }
        let outcome = run_caught(Options::of(seed, bug));
        let mut batch = batch.lock().unwrap_or_else(PoisonError::into_inner);
        batch.seeds += 1;
        batch.stats.merge(&outcome.stats);
        let Some(broken) = outcome.broken else { continue };
        next.fetch_max(end, Ordering::Relaxed);
        if batch.failed.as_ref().is_none_or(|(other, _)| seed < *other) {
            batch.failed = Some((seed, broken));
        }
    }
}

/// A panic is a broken promise of its seed.
pub fn run_caught(options: Options) -> Outcome {
    std::panic::catch_unwind(|| run(options)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let broken = Some(format!("panic: {}", said.unwrap_or_default()));
        Outcome { broken, stats: Stats::default(), trace: 0 }
    })
}
