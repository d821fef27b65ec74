//! Many seeds on several threads.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    options::Options,
    planted::Bug,
    stats::Stats,
    world::{Outcome, run},
};

/// Threads to use; the machine that this is measured on has two cores.
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

/// Runs the seeds from `first` on, `count` of them. With `until_broken`, no further than to a seed that
/// breaks a promise; otherwise that, too, ends the batch early, as it is a failure.
pub fn run_seeds(first: u64, count: u64, bug: Option<Bug>) -> Batch {
    let next = AtomicU64::new(first);
    let batch = Mutex::new(Batch::default());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| work(&next, first + count, bug, &batch));
        }
    });
    batch.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn work(next: &AtomicU64, end: u64, bug: Option<Bug>, batch: &Mutex<Batch>) {
    let mut mine = Batch::default();
    while mine.failed.is_none() {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            break;
        }
        let outcome = run_caught(Options::of(seed, bug));
        mine.seeds += 1;
        mine.stats.merge(&outcome.stats);
        if let Some(broken) = outcome.broken {
            mine.failed = Some((seed, broken));
            next.fetch_max(end, Ordering::Relaxed);
        }
    }
    let mut batch = batch.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    batch.seeds += mine.seeds;
    batch.stats.merge(&mine.stats);
    let earlier = match (&batch.failed, &mine.failed) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some((theirs, _)), Some((ours, _))) => ours < theirs,
    };
    if earlier {
        batch.failed = mine.failed;
    }
}

/// A panic, such as that of a broken invariant of the core, is a broken promise of its seed.
pub fn run_caught(options: Options) -> Outcome {
    std::panic::catch_unwind(|| run(options)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Outcome {
            broken: Some(format!("panic: {}", said.unwrap_or_default())),
            stats: Stats::default(),
            trace: 0,
        }
    })
}
