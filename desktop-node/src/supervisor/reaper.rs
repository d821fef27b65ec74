//! Threads that take what has ended, and start what then fits.
//!
//! There are as many as there are processors, up to four: starting a process keeps a thread waiting
//! until the new program is loaded, and the next start need not wait for that.

use super::{
    shared::{Shared, wait},
    table::Table,
};
use crate::linux::{reap_one, wait_for_an_end};

/// Most threads that reap and start.
const REAPERS_MAX: usize = 4;

/// How many reapers suit this machine.
pub(super) fn count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(REAPERS_MAX)
}

/// Reaps for ever.
pub(super) fn run(shared: &Shared) {
    loop {
        let seen = shared.lock().started_ever;
        match wait_for_an_end() {
            Ok(true) => {
                reap(shared);
                shared.start_what_fits();
            }
            Ok(false) => wait_for_a_start(shared, seen),
            Err(error) => {
                tracing::error!(%error, "Waiting for processes failed");
                wait_for_a_start(shared, seen);
            }
        }
    }
}

/// No child can come to be without a start: an orphan was some child's child.
fn wait_for_a_start(shared: &Shared, seen: u64) {
    let mut table = shared.lock();
    table.idle_reapers += 1;
    while table.started_ever == seen {
        table = wait(&shared.started, table, None);
    }
    table.idle_reapers -= 1;
}

fn reap(shared: &Shared) {
    let mut table = shared.lock();
    let agent = table.agent;
    take_all(&mut table);
    let ending = table.stopping > 0 || table.strays.has_ownerless();
    let watched = table.closed || table.agent != agent;
    drop(table);
    if ending {
        shared.ending.notify_one();
    }
    if watched {
        shared.ended.notify_all();
    }
}

/// Takes all that has ended, and only then judges the attempts: a dead child that is not yet taken
/// still counts as there.
fn take_all(table: &mut Table) {
    let mut mains = Vec::new();
    while let Some(reaped) = reap_one() {
        if let Some(attempt) = table.main_of(reaped.pid) {
            mains.push((attempt, reaped));
        } else if table.agent == Some(reaped.pid) {
            table.agent = None;
        } else if !table.strays.remove(reaped.pid) && table.starts > 0 {
            table.early.insert(reaped.pid, reaped);
        }
    }
    for (attempt, reaped) in mains {
        table.main_ended(attempt, reaped);
    }
}
