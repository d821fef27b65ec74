//! Starts and ends of attempts in the [`Table`]: from a pid to a tree that is gone.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use mesh_schemas::AttemptKey;

use super::{
    held::{Held, Live, MainExit, Starting, Stop},
    log::{Record, Spawned},
    spawn::Failure,
    strays::tree,
    table::Table,
};
use crate::{
    linux::{
        Ask, AttemptCgroup, Process, Reaped, marker, places, process, signal_group, signal_process,
    },
    protocol::{ATTEMPT_VARIABLE, Event, Started},
};

/// What a command left behind when it ended by itself is asked to end, and killed after this.
const LEFTOVER_GRACE: Duration = Duration::from_secs(1);

impl Table {
    /// A start is over, with a pid or without.
    pub(super) fn start_done(
        &mut self,
        attempt: AttemptKey,
        outcome: Result<u32, Failure>,
        cgroup: Option<AttemptCgroup>,
    ) {
        let early = self.early_end(outcome.as_ref().ok().copied());
        let Some(Held::Starting(starting)) = self.held.remove(&attempt) else { return };
        match outcome {
            Ok(pid) => {
                self.go_live(attempt, pid, starting, cgroup);
                if let Some(reaped) = early {
                    self.main_ended(attempt, reaped);
                }
            }
            Err(failure) => {
                self.free(&starting.resources);
                self.retire(cgroup);
                self.fail(attempt, failure);
            }
        }
    }

    /// The agent's start is over, with a pid or without.
    pub(super) fn agent_started(&mut self, pid: Option<u32>) {
        let ended = self.early_end(pid).is_some();
        self.agent = pid.filter(|_| !ended);
        // Told to stop while it was being started: nobody has told it yet.
        if let Some(agent) = self.agent.filter(|_| self.draining) {
            signal_group(agent, Ask::End);
        }
    }

    /// A start is over. It may have ended before its pid was known here.
    fn early_end(&mut self, pid: Option<u32>) -> Option<Reaped> {
        self.starts -= 1;
        self.started_ever += 1;
        let early = pid.and_then(|pid| self.early.remove(&pid));
        if self.starts == 0 {
            self.early.clear();
        }
        early
    }

    fn go_live(
        &mut self,
        attempt: AttemptKey,
        pid: u32,
        starting: Starting,
        cgroup: Option<AttemptCgroup>,
    ) {
        let started = Started { attempt, pid, at: mesh_fabric::time::now(), elapsed_ms: Some(0) };
        // Where a cgroup ends what a dead supervisor left, the time of birth is not worth reading.
        let born = if self.has_cgroup() { None } else { process(pid).map(|process| process.born) };
        let spawned = Spawned { attempt, pid, born, dir: starting.dir };
        self.write_log(Record::Spawned(spawned.clone()));
        self.tell(&Event::Started(started));
        self.groups.insert(pid, attempt);
        self.stopping += usize::from(starting.stop.is_some());
        let live = Live {
            resources: starting.resources,
            began: starting.began,
            started,
            spawned,
            cgroup,
            group_gone: false,
            exit: None,
            stop: starting.stop,
        };
        self.held.insert(attempt, Held::Live(Box::new(live)));
    }

    fn live(&mut self, attempt: AttemptKey) -> Option<&mut Live> {
        match self.held.get_mut(&attempt)? {
            Held::Live(live) => Some(live),
            Held::Queued(_)
            | Held::Starting(_)
            | Held::Exited(_)
            | Held::Failed(_)
            | Held::Dequeued
            | Held::Lost => None,
        }
    }

    /// The attempt whose main process this is, if it is one and was not reaped before.
    pub(super) fn main_of(&mut self, pid: u32) -> Option<AttemptKey> {
        let attempt = *self.groups.get(&pid)?;
        self.live(attempt).is_some_and(|live| live.exit.is_none()).then_some(attempt)
    }

    /// The main process was reaped. Ends the attempt when nothing of its tree is left, which costs one
    /// signal number 0 and one read of an empty list; otherwise what is left is to end.
    pub(super) fn main_ended(&mut self, attempt: AttemptKey, reaped: Reaped) {
        let at = mesh_fabric::time::now();
        let Some(live) = self.live(attempt) else { return };
        live.exit = Some(MainExit { reaped, at, wall: live.began.elapsed() });
        self.find_strays();
        if self.is_gone(attempt) {
            self.finish(attempt);
        } else if let Some(live) = self.live(attempt)
            && live.stop.is_none()
        {
            live.stop = Some(Stop::at(Instant::now() + LEFTOVER_GRACE));
            self.stopping += 1;
        }
    }

    fn is_gone(&mut self, attempt: AttemptKey) -> bool {
        let Some(live) = self.live(attempt) else { return true };
        let in_cgroup = |cgroup: &AttemptCgroup| !cgroup.pids().is_empty();
        live.exit.is_some()
            && !live.group_lives()
            && !live.cgroup.as_ref().is_some_and(in_cgroup)
            && self.strays.owned(attempt).is_empty()
    }

    fn finish(&mut self, attempt: AttemptKey) {
        let Some(Held::Live(live)) = self.held.remove(&attempt) else { return };
        let Some(exit) = live.exit else { return };
        self.stopping -= usize::from(live.stop.is_some());
        if self.groups.get(&live.started.pid) == Some(&attempt) {
            self.groups.remove(&live.started.pid);
        }
        self.strays.release(attempt);
        self.free(&live.resources);
        self.end(attempt, Held::Exited(Box::new(live.exited(&exit))));
        self.retire(live.cgroup);
    }

    /// Looks at orphans that became our children and were not seen before.
    pub(super) fn find_strays(&mut self) {
        for pid in self.adopted.read() {
            let known =
                self.groups.contains_key(&pid) || self.agent == Some(pid) || self.strays.knows(pid);
            if known {
                continue;
            }
            // What the agent started is the agent's.
            if let Some(stray) = process(pid).filter(|stray| self.agent != Some(stray.group)) {
                let owners = self.owners(&stray);
                self.strays.add(stray, owners);
            }
        }
    }

    /// The attempts that may own a stray: one when it carries anything that tells.
    fn owners(&self, stray: &Process) -> BTreeSet<AttemptKey> {
        let marked = || marker(stray.pid, ATTEMPT_VARIABLE).and_then(|text| text.parse().ok());
        let alive = |attempt: &AttemptKey| self.held.get(attempt).is_some_and(Held::is_alive);
        let group = self.groups.get(&stray.group).copied();
        if let Some(owner) = group.or_else(|| marked().filter(alive)) {
            return BTreeSet::from([owner]);
        }
        let places = places(stray.pid);
        let candidates: Vec<_> = self.alive().collect();
        let stands = |dir: &std::path::Path| places.iter().any(|place| place.starts_with(dir));
        if let Some((owner, ..)) = candidates.iter().find(|(_, dir, _)| stands(dir)) {
            return BTreeSet::from([*owner]);
        }
        let before = |began: Instant| self.not_born_before(began) <= stray.born;
        let could = candidates.iter().filter(|(_, _, began)| before(*began));
        could.map(|(attempt, ..)| *attempt).collect()
    }

    fn alive(&self) -> impl Iterator<Item = (AttemptKey, &std::path::Path, Instant)> {
        self.held.iter().filter_map(|(attempt, held)| match held {
            Held::Starting(starting) => Some((*attempt, starting.dir.as_path(), starting.began)),
            Held::Live(live) => Some((*attempt, live.spawned.dir.as_path(), live.began)),
            Held::Queued(_) | Held::Exited(_) | Held::Failed(_) | Held::Dequeued | Held::Lost => {
                None
            }
        })
    }

    /// Stops or continues all processes of an attempt; an unknown or ended one is passed over.
    pub(super) fn freeze(&mut self, attempt: AttemptKey, ask: Ask) {
        let Some(live) = self.live(attempt) else { return };
        let by_cgroup = live.cgroup.as_ref().is_some_and(|cgroup| cgroup.freeze(ask == Ask::Stop));
        if by_cgroup {
            return;
        }
        // A process may fork while it is being stopped: go over the tree until it holds still.
        let mut before = Vec::new();
        loop {
            let tree = self.tree(attempt, &crate::linux::processes());
            if tree == before {
                return;
            }
            self.signal_tree(attempt, &tree, ask);
            before = tree;
        }
    }

    /// The attempts that are being ended, and the next time at which asking turns into killing.
    pub(super) fn endings(&self) -> Vec<(AttemptKey, Stop, bool)> {
        let stopping = self.held.iter().filter_map(|(attempt, held)| match held {
            Held::Live(live) => Some((*attempt, live.stop?, live.exit.is_some())),
            Held::Queued(_)
            | Held::Starting(_)
            | Held::Exited(_)
            | Held::Failed(_)
            | Held::Dequeued
            | Held::Lost => None,
        });
        stopping.collect()
    }

    /// One round of ending an attempt's tree, given all processes as they were a moment ago.
    pub(super) fn end_round(&mut self, attempt: AttemptKey, all: &[Process]) {
        if self.is_gone(attempt) {
            return self.finish(attempt);
        }
        let tree = self.tree(attempt, all);
        let Some(live) = self.live(attempt) else { return };
        let Some(stop) = live.stop.as_mut() else { return };
        let ask = if Instant::now() >= stop.kill_at { Ask::Die } else { Ask::End };
        if ask == Ask::End && std::mem::replace(&mut stop.asked, true) {
            return;
        }
        if let Some(cgroup) = live.cgroup.as_ref() {
            cgroup.freeze(false);
            if ask == Ask::Die {
                cgroup.kill();
            }
        }
        self.signal_tree(attempt, &tree, ask);
    }

    fn tree(&mut self, attempt: AttemptKey, all: &[Process]) -> Vec<Process> {
        let mut roots: BTreeSet<u32> =
            self.strays.owned(attempt).iter().map(|process| process.pid).collect();
        let Some(live) = self.live(attempt) else { return Vec::new() };
        live.group_lives();
        roots.extend(live.cgroup.iter().flat_map(AttemptCgroup::pids));
        tree(live.group(), &roots, all)
    }

    /// Signals the group as one, and what is outside of it one by one. What is outside is remembered:
    /// once its parents are dead, nothing else would tell whose it is.
    fn signal_tree(&mut self, attempt: AttemptKey, tree: &[Process], ask: Ask) {
        let Some(live) = self.live(attempt) else { return };
        let group = if live.group_lives() { live.group() } else { None };
        if let Some(group) = group {
            signal_group(group, ask);
        }
        for outside in tree.iter().filter(|process| Some(process.group) != group) {
            self.strays.add(*outside, BTreeSet::from([attempt]));
            signal_process(outside, ask);
        }
    }

    /// Kills strays whose last possible owner has ended.
    pub(super) fn kill_ownerless(&mut self) {
        for stray in self.strays.ownerless() {
            signal_process(&stray, Ask::Die);
        }
    }
}
