//! The thread that ends trees: asks, waits the grace, kills, and looks until nothing is left.
//!
//! It reads all of `/proc` in each round, so it does so only while something is being ended.

use std::time::{Duration, Instant};

use super::{
    shared::{Shared, wait},
    table::Table,
};
use crate::linux::processes;

/// Time between the first two rounds; each further one waits twice as long.
const ROUND_FIRST: Duration = Duration::from_millis(1);
/// Longest time between two rounds.
const ROUND_MAX: Duration = Duration::from_millis(50);

/// Ends trees for ever.
pub(super) fn run(shared: &Shared) {
    let mut pause = ROUND_FIRST;
    loop {
        // Looked at and waited for under one lock: what changes between the two would wake nobody.
        let table = shared.lock();
        match next_work(&table) {
            Work::None => {
                pause = ROUND_FIRST;
                drop(wait(&shared.ending, table, None));
            }
            Work::At(time) => {
                pause = ROUND_FIRST;
                let left = time.saturating_duration_since(Instant::now());
                drop(wait(&shared.ending, table, Some(left)));
            }
            Work::Now => {
                drop(table);
                if round(shared) {
                    shared.ended.notify_all();
                    shared.start_what_fits();
                }
                drop(wait(&shared.ending, shared.lock(), Some(pause)));
                pause = (pause * 2).min(ROUND_MAX);
            }
        }
    }
}

enum Work {
    None,
    /// All were asked and still run; there is nothing to do before this time.
    At(Instant),
    Now,
}

fn next_work(table: &Table) -> Work {
    let endings = table.endings();
    if table.strays.has_ownerless() {
        return Work::Now;
    }
    let now = Instant::now();
    let waits =
        |stop: &super::held::Stop, exited: bool| stop.asked && !exited && stop.kill_at > now;
    if endings.iter().any(|(_, stop, exited)| !waits(stop, *exited)) {
        return Work::Now;
    }
    endings.iter().map(|(_, stop, _)| stop.kill_at).min().map_or(Work::None, Work::At)
}

/// One look at all processes; true when a tree was found gone.
fn round(shared: &Shared) -> bool {
    // Not under the lock: it takes milliseconds where there are many.
    let all = processes();
    let mut table = shared.lock();
    table.find_strays();
    let before = table.stopping;
    for (attempt, ..) in table.endings() {
        table.end_round(attempt, &all);
    }
    table.kill_ownerless();
    table.stopping < before
}
