//! Processes that left their attempt's process group: whose are they?
//!
//! A daemon calls `setsid`, its parent ends, and it becomes our child. It is attributed by what it can
//! hardly avoid to carry: its process group, the marker in its environment, its working directory and
//! open output. One that carries nothing is attributed by elimination: any attempt that lived when it
//! was born may own it, and when the last of these ends, so does it.

use std::collections::{BTreeMap, BTreeSet};

use mesh_schemas::AttemptKey;

use crate::linux::{Process, process};

#[derive(Debug)]
struct Stray {
    process: Process,
    owners: BTreeSet<AttemptKey>,
}

/// The strays that are known to live.
#[derive(Debug, Default)]
pub(super) struct Strays {
    by_pid: BTreeMap<u32, Stray>,
}

impl Strays {
    pub(super) fn knows(&self, pid: u32) -> bool {
        self.by_pid.contains_key(&pid)
    }

    /// Remembers a process and all attempts that may own it.
    pub(super) fn add(&mut self, process: Process, owners: BTreeSet<AttemptKey>) {
        self.by_pid.insert(process.pid, Stray { process, owners });
    }

    /// It was reaped. True when it was a stray.
    pub(super) fn remove(&mut self, pid: u32) -> bool {
        self.by_pid.remove(&pid).is_some()
    }

    /// The strays that nobody but this attempt can own, and that still live.
    pub(super) fn owned(&mut self, attempt: AttemptKey) -> Vec<Process> {
        let only = BTreeSet::from([attempt]);
        self.living(|owners| *owners == only)
    }

    /// The strays whose last possible owner has ended, and that still live.
    pub(super) fn ownerless(&mut self) -> Vec<Process> {
        self.living(BTreeSet::is_empty)
    }

    fn living(&mut self, wanted: impl Fn(&BTreeSet<AttemptKey>) -> bool) -> Vec<Process> {
        if self.by_pid.is_empty() {
            return Vec::new();
        }
        let lives = |seen: &Process| process(seen.pid).is_some_and(|now| now.born == seen.born);
        // One that was seen below another process may have been reaped there.
        self.by_pid.retain(|_, stray| !wanted(&stray.owners) || lives(&stray.process));
        let wanted = self.by_pid.values().filter(|stray| wanted(&stray.owners));
        wanted.map(|stray| stray.process).collect()
    }

    /// The attempt has ended: it owns none of those that live on.
    pub(super) fn release(&mut self, attempt: AttemptKey) {
        for stray in self.by_pid.values_mut() {
            stray.owners.remove(&attempt);
        }
    }

    /// Whether some stray waits to be killed.
    pub(super) fn has_ownerless(&self) -> bool {
        self.by_pid.values().any(|stray| stray.owners.is_empty())
    }
}

/// The processes of one tree: those in its group, as long as it has one, those it is known to own, and
/// all below them.
pub(super) fn tree(group: Option<u32>, roots: &BTreeSet<u32>, all: &[Process]) -> Vec<Process> {
    let own = std::process::id();
    let mut inside: BTreeSet<u32> = roots.clone();
    let members = all.iter().filter(|process| Some(process.group) == group);
    inside.extend(members.map(|process| process.pid));
    inside.remove(&own);
    // A child may come before its parent in the list, so go over it until nothing is added.
    loop {
        let before = inside.len();
        let below = |process: &&Process| inside.contains(&process.parent) && process.pid != own;
        let found: Vec<u32> = all.iter().filter(below).map(|process| process.pid).collect();
        inside.extend(found);
        if inside.len() == before {
            break;
        }
    }
    all.iter().filter(|process| inside.contains(&process.pid)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn child(pid: u32, parent: u32, group: u32) -> Process {
        Process { pid, parent, group, born: 0 }
    }

    #[test]
    fn a_tree_is_its_group_its_roots_and_all_below_in_any_order() {
        let all = [
            child(14, 13, 14),
            child(10, 1, 10),
            child(13, 10, 13),
            child(20, 1, 20),
            child(21, 20, 21),
            child(30, 1, 30),
        ];
        let tree = tree(Some(10), &BTreeSet::from([20]), &all);
        let mut pids: Vec<u32> = tree.iter().map(|process| process.pid).collect();
        pids.sort_unstable();
        assert_eq!(pids, [10, 13, 14, 20, 21]);
    }
}
