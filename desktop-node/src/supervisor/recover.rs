//! What a new supervisor does about the dead one before it: end what is left, say what is lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use mesh_schemas::AttemptKey;

use super::{
    held::Held,
    log::{Last, Past, Spawned},
    strays::tree,
};
use crate::{
    linux::{
        Ask, Process, boot_id, clear_leftovers, has_terminal, marker, places, processes,
        signal_process,
    },
    protocol::ATTEMPT_VARIABLE,
};

/// How long the killed may take to be gone.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two looks at what is left.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Kills every leftover of the past and returns what is to be held of it.
pub(super) fn recover(past: Past) -> BTreeMap<AttemptKey, Held> {
    if past.unreadable > 0 {
        tracing::warn!(lines = past.unreadable, "Lines of the supervisor's log cannot be read");
    }
    end_leftovers(&past);
    past.attempts.into_iter().map(|(attempt, last)| (attempt, held(last))).collect()
}

fn held(last: Last) -> Held {
    match last {
        Last::Spawned(_) | Last::Lost => Held::Lost,
        Last::Exited(exited) => Held::Exited(Box::new(exited)),
        Last::Failed(failed) => Held::Failed(Box::new(failed)),
        Last::Dequeued => Held::Dequeued,
    }
}

fn end_leftovers(past: &Past) {
    let same_boot: Vec<_> = past.began.iter().filter(|began| began.boot == boot_id()).collect();
    let cleared =
        same_boot.iter().filter(|began| clear_leftovers(&began.cgroups) && began.holds_all);
    if cleared.count() == same_boot.len() {
        return;
    }
    let left: Vec<&Spawned> = past
        .attempts
        .values()
        .filter_map(|last| match last {
            Last::Spawned(spawned) => Some(spawned),
            Last::Exited(_) | Last::Failed(_) | Last::Dequeued | Last::Lost => None,
        })
        .collect();
    kill_by_marks(&left);
}

/// Without cgroups: what is the recorded process, carries an attempt's mark, or stands in its
/// directory, with all below it.
fn kill_by_marks(left: &[&Spawned]) {
    let deadline = Instant::now() + KILL_TIMEOUT;
    while Instant::now() < deadline {
        let all = processes();
        let own = std::process::id();
        let roots: BTreeSet<u32> = all
            .iter()
            .filter(|process| process.pid != own && left.iter().any(|one| belongs(process, one)))
            .map(|process| process.pid)
            .collect();
        if roots.is_empty() {
            return;
        }
        tree(None, &roots, &all).iter().for_each(|process| signal_process(process, Ask::Die));
        std::thread::sleep(LOOK_EVERY);
    }
    tracing::error!("Processes of the supervisor before this one cannot be killed");
}

fn belongs(process: &Process, spawned: &Spawned) -> bool {
    let is_main = process.pid == spawned.pid && Some(process.born) == spawned.born;
    let is_marked = || {
        let mark = marker(process.pid, ATTEMPT_VARIABLE).and_then(|text| text.parse().ok());
        mark == Some(spawned.attempt)
    };
    // Somebody who looks into the directory from a terminal is not part of the attempt.
    let stands_there = || {
        !has_terminal(process.pid)
            && places(process.pid).iter().any(|place| place.starts_with(&spawned.dir))
    };
    is_main || is_marked() || stands_there()
}
