//! Everything the supervisor holds, behind one lock.
//!
//! Invariants: an attempt is in one state; its resources are taken from admission until its tree is
//! gone; each change of state is in the log before the agent is told; a pid is reaped only while the
//! lock is held, so that a pid found here may be signalled.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use mesh_schemas::{AttemptKey, Cpu, message::Capacity};

use super::{
    held::{Held, Starting, Stop},
    log::{Began, Log, Record},
    outbox::Outbox,
    resources::Amounts,
    spawn::Failure,
    strays::Strays,
};
use crate::{
    linux::{Adopted, AttemptCgroup, Cgroups, Limits, Reaped, Ticks},
    protocol::{Event, PROTOCOL_VERSION, Snapshot, Spawn, SpawnFailed, SpawnFailure},
};

/// Longest grace; what asks for more waits this long.
const GRACE_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);

/// What the table is made of at the start.
pub(super) struct Parts {
    pub data_dir: PathBuf,
    pub capacity: Capacity,
    pub began: Began,
    pub past: BTreeMap<AttemptKey, Held>,
    pub log: Log,
    pub cgroups: Cgroups,
    pub adopted: Adopted,
    pub ticks: Ticks,
    pub outbox: Arc<Outbox>,
    pub agent_wanted: bool,
}

/// The supervisor's state.
pub(super) struct Table {
    data_dir: PathBuf,
    began: Began,
    capacity: Amounts,
    free: Amounts,
    pub(super) held: HashMap<AttemptKey, Held>,
    queue: VecDeque<AttemptKey>,
    /// Which attempt leads which process group.
    pub(super) groups: HashMap<u32, AttemptKey>,
    /// Attempts that [`Held::is_alive`].
    alive: usize,
    /// Attempts that are being ended.
    pub(super) stopping: usize,
    /// Starts under way, whose pids are not in the table yet.
    pub(super) starts: usize,
    /// Children reaped while some start was under way: one of them may be the one being started.
    pub(super) early: HashMap<u32, Reaped>,
    /// Starts there have been; tells the reapers that there may be children again.
    pub(super) started_ever: u64,
    /// The agent's pid, while it lives.
    pub(super) agent: Option<u32>,
    pub(super) strays: Strays,
    pub(super) adopted: Adopted,
    pub(super) ticks: Ticks,
    cgroups: Cgroups,
    old_cgroups: Vec<AttemptCgroup>,
    log: Log,
    outbox: Arc<Outbox>,
    /// The agent is to run, or to run again.
    pub(super) agent_wanted: bool,
    /// The supervisor was told to stop: an agent that ends is not started again.
    pub(super) draining: bool,
    /// The agent has drained: nothing keeps the supervisor.
    pub(super) shutdown: bool,
    /// Reapers that wait for a first child.
    pub(super) idle_reapers: usize,
    /// Nothing is started any more.
    pub(super) closed: bool,
}

/// What a thread needs to start an attempt.
pub(super) struct Admitted {
    pub spawn: Box<Spawn>,
    pub cgroup: Result<Option<AttemptCgroup>, Failure>,
}

impl Table {
    pub(super) fn new(parts: Parts) -> Self {
        let capacity = Amounts::from(&parts.capacity);
        Self {
            data_dir: parts.data_dir,
            began: parts.began,
            free: capacity.clone(),
            capacity,
            held: parts.past.into_iter().collect(),
            queue: VecDeque::new(),
            groups: HashMap::new(),
            alive: 0,
            stopping: 0,
            starts: 0,
            early: HashMap::new(),
            started_ever: 0,
            agent: None,
            strays: Strays::default(),
            adopted: parts.adopted,
            ticks: parts.ticks,
            cgroups: parts.cgroups,
            old_cgroups: Vec::new(),
            log: parts.log,
            outbox: parts.outbox,
            agent_wanted: parts.agent_wanted,
            draining: false,
            shutdown: false,
            idle_reapers: 0,
            closed: false,
        }
    }

    /// True while an attempt has processes.
    pub(super) const fn is_busy(&self) -> bool {
        self.alive > 0
    }

    /// True when something waits for room.
    pub(super) fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// A process start time that no process of an attempt begun at `began` can be before.
    pub(super) fn not_born_before(&self, began: Instant) -> u64 {
        self.ticks.not_after(began)
    }

    /// Queues an attempt, or says what became of it.
    pub(super) fn queue(&mut self, spawn: Box<Spawn>) {
        let attempt = spawn.attempt;
        if let Some(held) = self.held.get(&attempt) {
            if let Some(event) = held.event(attempt) {
                self.outbox.push(&event);
            }
        } else if self.capacity.holds(&spawn.resources) {
            self.held.insert(attempt, Held::Queued(spawn));
            self.queue.push_back(attempt);
        } else {
            let message = "it asks for more than this node has";
            self.fail(attempt, Failure::new(SpawnFailure::Limits, message));
        }
    }

    /// Takes the head of the queue when its resources are free. What is behind a head that does not
    /// fit waits with it, fits or not: a large attempt would starve otherwise.
    pub(super) fn admit(&mut self) -> Option<Admitted> {
        let waits = |attempt: &AttemptKey| matches!(self.held.get(attempt), Some(Held::Queued(_)));
        // Those that were killed in the queue are still in it by name.
        while self.queue.front().is_some_and(|attempt| !waits(attempt)) {
            self.queue.pop_front();
        }
        let attempt = *self.queue.front().filter(|_| !self.closed)?;
        let Some(Held::Queued(spawn)) = self.held.get(&attempt) else { return None };
        if !self.free.holds(&spawn.resources) {
            return None;
        }
        self.queue.pop_front();
        self.free.take(&spawn.resources);
        let starting = Starting {
            resources: spawn.resources.clone(),
            dir: spawn.dir.clone(),
            began: Instant::now(),
            stop: None,
        };
        let Some(Held::Queued(spawn)) = self.held.insert(attempt, Held::Starting(starting)) else {
            return None;
        };
        self.alive += 1;
        self.starts += 1;
        let cgroup = self.make_cgroup(&spawn);
        Some(Admitted { spawn, cgroup })
    }

    fn make_cgroup(&mut self, spawn: &Spawn) -> Result<Option<AttemptCgroup>, Failure> {
        let limits = self.limits(spawn);
        if limits == Limits::default() {
            return Ok(None);
        }
        self.cgroups.attempt(limits).map(Some).map_err(|error| {
            Failure::new(SpawnFailure::Limits, format!("its limits cannot be set: {error}"))
        })
    }

    fn limits(&self, spawn: &Spawn) -> Limits {
        let can = self.cgroups.enforces();
        let asked = &spawn.resources;
        let memory = (spawn.enforce && can.memory && asked.memory.0 > 0).then_some(asked.memory);
        // One processor is what a job gets that says nothing; it is not worth a slower start.
        let said = asked.cpu != Cpu::ONE || memory.is_some();
        Limits { memory, cpu: (spawn.enforce && can.cpu && said).then_some(asked.cpu) }
    }

    /// Begins to end an attempt, or says why there is nothing to end.
    pub(super) fn stop(&mut self, attempt: AttemptKey, grace: Duration) {
        let now = Instant::now();
        let kill_at = now.checked_add(grace.min(GRACE_MAX)).unwrap_or(now);
        match self.held.get_mut(&attempt) {
            None => self.outbox.push(&Event::Unknown { attempt }),
            Some(Held::Queued(_)) => self.end(attempt, Held::Dequeued),
            Some(Held::Starting(starting)) => sooner(&mut starting.stop, kill_at),
            Some(Held::Live(live)) => {
                self.stopping += usize::from(live.stop.is_none());
                sooner(&mut live.stop, kill_at);
            }
            Some(held @ (Held::Exited(_) | Held::Failed(_) | Held::Dequeued | Held::Lost)) => {
                held.event(attempt).iter().for_each(|event| self.outbox.push(event));
            }
        }
    }

    /// Starts nothing more and kills all that runs.
    pub(super) fn close(&mut self) {
        self.closed = true;
        let going: Vec<AttemptKey> =
            self.held.iter().filter(|(_, held)| !held.is_over()).map(|(key, _)| *key).collect();
        for attempt in going {
            self.stop(attempt, Duration::ZERO);
        }
    }

    /// Drops attempts whose end the agent has put on record.
    pub(super) fn forget(&mut self, attempts: &[AttemptKey]) {
        let over = |attempt: &&AttemptKey| self.held.get(attempt).is_some_and(Held::is_over);
        let over: Vec<AttemptKey> = attempts.iter().filter(over).copied().collect();
        for attempt in &over {
            self.held.remove(attempt);
        }
        if !over.is_empty() {
            self.write_log(Record::Forgotten { attempts: over });
        }
    }

    /// Puts an attempt into its last state; the log first, then the agent.
    pub(super) fn end(&mut self, attempt: AttemptKey, end: Held) {
        if let Some(record) = end.record(attempt) {
            self.write_log(record);
        }
        if let Some(event) = end.event(attempt) {
            self.outbox.push(&event);
        }
        self.held.insert(attempt, end);
    }

    /// It could not be started.
    pub(super) fn fail(&mut self, attempt: AttemptKey, failure: Failure) {
        let Failure { reason, message } = failure;
        self.end(attempt, Held::Failed(Box::new(SpawnFailed { attempt, reason, message })));
    }

    /// Gives back what a live attempt held.
    pub(super) fn free(&mut self, resources: &mesh_schemas::spec::Resources) {
        self.free.give_back(resources);
        self.alive -= 1;
    }

    /// Removes the cgroup of an attempt that ended; the kernel may need a moment with it.
    pub(super) fn retire(&mut self, cgroup: Option<AttemptCgroup>) {
        self.old_cgroups.extend(cgroup);
        self.old_cgroups.retain(|cgroup| !cgroup.remove());
    }

    /// Leaves the supervisor's cgroups.
    pub(super) fn tear_down_cgroups(&mut self) {
        self.retire(None);
        self.cgroups.tear_down();
    }

    /// Whether a dead supervisor's leftovers are found by its cgroup.
    pub(super) fn has_cgroup(&self) -> bool {
        self.cgroups.enforces().tree_kill
    }

    pub(super) fn tell(&self, event: &Event) {
        self.outbox.push(event);
    }

    pub(super) fn write_log(&mut self, record: Record) {
        self.log.add(&[record]);
        if self.log.is_long() {
            self.compact_log();
        }
    }

    fn compact_log(&mut self) {
        let began = Record::Began(self.began.clone());
        let held = self.held.iter().filter_map(|(attempt, held)| held.record(*attempt));
        let records: Vec<Record> = std::iter::once(began).chain(held).collect();
        match Log::begin(&self.data_dir, &records) {
            Ok(log) => self.log = log,
            Err(error) => tracing::warn!(%error, "The supervisor's log cannot be compacted"),
        }
    }

    /// All that is held.
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut all = Snapshot {
            v: PROTOCOL_VERSION,
            enforces: self.cgroups.enforces(),
            ..Snapshot::default()
        };
        let waiting =
            |attempt: &&AttemptKey| matches!(self.held.get(attempt), Some(Held::Queued(_)));
        all.queued = self.queue.iter().filter(waiting).copied().collect();
        for (attempt, held) in &self.held {
            match held {
                Held::Queued(_) => {}
                // Its resources are taken; its `Started` follows in a moment.
                Held::Starting(_) => all.queued.insert(0, *attempt),
                Held::Live(live) => all.running.push(live.started_now()),
                Held::Exited(exited) => all.exited.push(**exited),
                Held::Failed(failed) => all.failed.push((**failed).clone()),
                Held::Dequeued => all.dequeued.push(*attempt),
                Held::Lost => all.lost.push(*attempt),
            }
        }
        all
    }
}

/// A later wish may shorten the grace and never lengthens it.
fn sooner(stop: &mut Option<Stop>, kill_at: Instant) {
    let stop = stop.get_or_insert(Stop::at(kill_at));
    stop.kill_at = stop.kill_at.min(kill_at);
}
