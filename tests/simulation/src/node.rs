//! A modelled node: a supervisor whose work and journal outlive the agent, an agent that talks, and a
//! machine that may die with everything but its disk, or with that too.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mesh_schemas::{
    AttemptKey, EndClass, Epoch, JobId, JournalId, NodeId, Timestamp,
    manifest::{ManifestPlace, ManifestRef, ManifestSummary},
    message::{
        AttemptEnded, Capacity, EVENTS_MAX, Enforcement, HeldAttempts, Load, NodeBeat, NodeCommand,
        NodeEvent, NodeEvents, NodeReport, StartTasks, StopAttempts, StopReason, Usage,
    },
    quantity::{ByteSize, Cpu},
};
use uuid::Uuid;

use crate::{
    env::{Due, Env, Event, Payload, What},
    stats::Kind,
};

/// How long a node waits for a confirmation before it sends again, in milliseconds.
const RESEND_MS: u64 = 3_000;

/// One machine.
#[derive(Debug)]
pub(crate) struct Node {
    index: usize,
    pub(crate) id: NodeId,
    cpus: usize,
    /// The agent runs and talks.
    pub(crate) up: bool,
    /// Everything on the machine stands still.
    frozen: bool,
    /// Grows when the machine dies: what it did before is no more.
    life: u32,
    /// What its clock shows at the world's beginning, in milliseconds.
    clock: i64,
    journal: JournalId,
    /// Unrecorded entries, the first of which has the number `recorded + 1`.
    entries: VecDeque<NodeEvent>,
    recorded: u64,
    /// Sent, confirmed or not.
    sent: u64,
    sent_at: u64,
    welcomed: bool,
    ask: u64,
    waiting: VecDeque<AttemptKey>,
    running: BTreeMap<AttemptKey, Run>,
    late: Vec<Late>,
}

/// What came while the machine stood still.
#[derive(Debug)]
enum Late {
    Message(Payload),
    Due(Due),
}

/// A running attempt.
#[derive(Debug, Clone, Copy)]
struct Run {
    started_at: u64,
    stopping: bool,
}

impl Node {
    pub(crate) fn new(env: &mut Env, index: usize) -> Self {
        let number = u128::try_from(index).unwrap_or(0) + 1;
        let skew = i64::try_from(env.rng.between(0, 20 * 365 * 86_400_000)).unwrap_or(0);
        Self {
            index,
            id: NodeId::from_uuid(Uuid::from_u128(number)),
            cpus: usize::try_from(env.rng.between(1, 3)).unwrap_or(1),
            up: true,
            frozen: false,
            life: 0,
            clock: skew,
            journal: JournalId::from_uuid(Uuid::from_u128(env.rng.bits())),
            entries: VecDeque::new(),
            recorded: 0,
            sent: 0,
            sent_at: 0,
            welcomed: false,
            ask: 0,
            waiting: VecDeque::new(),
            running: BTreeMap::new(),
            late: Vec::new(),
        }
    }

    fn clock(&self, env: &Env) -> Timestamp {
        Timestamp::from_millis(self.clock + i64::try_from(env.now).unwrap_or(i64::MAX))
    }

    fn talks(&self) -> bool {
        self.up && !self.frozen
    }

    // ---- what it says ----

    pub(crate) fn beat(&mut self, env: &mut Env) {
        let wait = env.rng.between(4_500, 5_500);
        env.after(wait, Event::Beat { node: self.index });
        if !self.talks() {
            return;
        }
        // The heart beats on its own, whether the hello was answered or not.
        if !self.welcomed {
            self.hello(env);
        }
        let beat = NodeBeat {
            v: 1,
            node: self.id,
            journal: self.journal,
            held: self.held(),
            paused: false,
            load: Load::default(),
        };
        env.send(Some(self.index), Payload::Beat(Box::new(beat)));
    }

    fn hello(&mut self, env: &mut Env) {
        self.ask += 1;
        let report = NodeReport {
            v: 1,
            node: self.id,
            journal: self.journal,
            name: format!("n{}", self.index),
            version: "0".into(),
            labels: BTreeMap::new(),
            capacity: Capacity {
                cpu: Cpu(u32::try_from(self.cpus).unwrap_or(1) * 1_000),
                memory: ByteSize(1 << 30),
                ..Capacity::default()
            },
            enforces: Enforcement::default(),
            held: self.held(),
            paused: false,
        };
        env.send(Some(self.index), Payload::Hello { ask: self.ask, report: Box::new(report) });
    }

    /// All it holds, ended but unrecorded ones included.
    fn held(&self) -> Vec<HeldAttempts> {
        let ended = self.entries.iter().filter_map(|event| match event {
            NodeEvent::AttemptEnded(ended) => Some(ended.attempt),
            NodeEvent::AttemptStarted { .. } | NodeEvent::ManifestCommitted { .. } => None,
        });
        let held: BTreeSet<AttemptKey> =
            ended.chain(self.waiting.iter().copied()).chain(self.running.keys().copied()).collect();
        let mut jobs: BTreeMap<JobId, Vec<(u32, Epoch)>> = BTreeMap::new();
        for attempt in held {
            jobs.entry(attempt.job).or_default().push((attempt.task, attempt.epoch));
        }
        jobs.into_iter().map(|(job, tasks)| HeldAttempts { job, tasks }).collect()
    }

    fn journal(&mut self, env: &mut Env, event: NodeEvent) {
        self.entries.push_back(event);
        let wait = env.rng.between(1, 5);
        env.after(wait, Event::Send { node: self.index });
    }

    /// Sends what was not sent; all that is unconfirmed when no confirmation has come for long.
    pub(crate) fn send(&mut self, env: &mut Env) {
        if !self.talks() || !self.welcomed || self.entries.is_empty() {
            return;
        }
        if self.sent > self.recorded && env.now >= self.sent_at + RESEND_MS {
            self.sent = self.recorded;
        }
        let known = usize::try_from(self.sent - self.recorded).unwrap_or(usize::MAX);
        let events: Vec<NodeEvent> =
            self.entries.iter().skip(known).take(EVENTS_MAX).cloned().collect();
        env.after(RESEND_MS, Event::Send { node: self.index });
        if events.is_empty() {
            return;
        }
        let first_seq = self.sent + 1;
        self.sent += u64::try_from(events.len()).unwrap_or(0);
        self.sent_at = env.now;
        let (node, journal) = (self.id, self.journal);
        let events = NodeEvents { v: 1, node, journal, first_seq, events };
        env.send(Some(self.index), Payload::Events(Box::new(events)));
    }

    // ---- what it is told ----

    pub(crate) fn arrive(&mut self, env: &mut Env, payload: Payload) {
        if !self.up {
            return;
        }
        if self.frozen {
            return self.late.push(Late::Message(payload));
        }
        match payload {
            Payload::Welcome { ask, recorded_seq } if ask == self.ask => {
                self.welcomed = true;
                self.confirmed(recorded_seq);
                self.sent = self.recorded;
                self.send(env);
            }
            Payload::Command(command) => self.command(env, *command),
            // An answer to a question that is no longer asked.
            Payload::Welcome { .. } => {}
            Payload::Hello { .. }
            | Payload::Beat(_)
            | Payload::Events(_)
            | Payload::Request { .. }
            | Payload::Answer { .. } => {}
        }
    }

    fn confirmed(&mut self, seq: u64) {
        while self.recorded < seq && self.entries.pop_front().is_some() {
            self.recorded += 1;
        }
        self.sent = self.sent.max(self.recorded);
    }

    fn command(&mut self, env: &mut Env, command: NodeCommand) {
        match command {
            NodeCommand::StartTasks(start) => self.start_tasks(env, &start),
            NodeCommand::StopAttempts(stop) => self.stop(env, &stop),
            NodeCommand::Recorded { journal, seq } if journal == self.journal => {
                self.confirmed(seq);
            }
            NodeCommand::Recorded { .. } => {}
            NodeCommand::Report => {
                self.welcomed = false;
                self.hello(env);
            }
        }
    }

    fn start_tasks(&mut self, env: &mut Env, start: &StartTasks) {
        let held: BTreeSet<(JobId, u32, Epoch)> = self
            .held()
            .iter()
            .flat_map(|of| of.tasks.iter().map(|(task, epoch)| (of.job, *task, *epoch)))
            .collect();
        for task in &start.tasks {
            if task.checkpoint.is_some() {
                env.stats.count(Kind::Checkpoint);
            }
            if held.contains(&(start.job, task.task, task.epoch)) {
                env.stats.count(Kind::StartedTwice);
                continue;
            }
            let attempt = AttemptKey { job: start.job, task: task.task, epoch: task.epoch };
            self.waiting.push_back(attempt);
        }
        self.admit(env);
    }

    fn stop(&mut self, env: &mut Env, stop: &StopAttempts) {
        for attempt in &stop.attempts {
            match stop.reason {
                StopReason::Fenced => {
                    env.stats.count(Kind::StopFenced);
                    self.waiting.retain(|waiting| waiting != attempt);
                    self.running.remove(attempt);
                }
                StopReason::Cancelled | StopReason::Preempted => self.ask_to_end(env, *attempt),
            }
        }
        self.admit(env);
    }

    fn ask_to_end(&mut self, env: &mut Env, attempt: AttemptKey) {
        if self.waiting.contains(&attempt) {
            self.waiting.retain(|waiting| *waiting != attempt);
            return self.ended(env, attempt, None, EndClass::Cancelled);
        }
        let running = self.running.get_mut(&attempt);
        if let Some(run) = running.filter(|run| !run.stopping) {
            run.stopping = true;
            // Some end when asked, some ignore it and have to be killed.
            let wait = if env.rng.chance(300) { 10_000 } else { env.rng.between(1, 200) };
            self.expect(env, wait, attempt, What::Stops);
        }
    }

    // ---- the work ----

    fn admit(&mut self, env: &mut Env) {
        while self.running.len() < self.cpus {
            let Some(attempt) = self.waiting.pop_front() else { return };
            self.running.insert(attempt, Run { started_at: env.now, stopping: false });
            let millis = match env.rng.between(0, 9) {
                0..=5 => env.rng.between(1, 150),
                6..=8 => env.rng.between(200, 5_000),
                _ => env.rng.between(5_000, 45_000),
            };
            if millis > 50 || env.rng.chance(500) {
                let at = self.clock(env);
                self.journal(env, NodeEvent::AttemptStarted { attempt, at });
            }
            if millis > 1_000 {
                self.expect(env, millis / 2, attempt, What::Stores);
            }
            self.expect(env, millis, attempt, What::Done);
        }
    }

    /// Something on the machine is due. While it stands still, it is late.
    pub(crate) fn due(&mut self, env: &mut Env, due: Due) {
        if self.frozen {
            return self.late.push(Late::Due(due));
        }
        if due.life != self.life {
            return;
        }
        match due.what {
            What::Done => self.done(env, due.attempt),
            What::Stores => self.store(env, due.attempt),
            What::Stops => {
                if let Some(run) = self.running.remove(&due.attempt) {
                    self.ended(env, due.attempt, Some(run), EndClass::Cancelled);
                }
            }
        }
    }

    fn expect(&self, env: &mut Env, millis: u64, attempt: AttemptKey, what: What) {
        let due = Due { life: self.life, attempt, what };
        env.after(millis, Event::Due { node: self.index, due });
    }

    fn done(&mut self, env: &mut Env, attempt: AttemptKey) {
        let Some(run) = self.running.remove(&attempt) else { return };
        let class = match env.rng.between(0, 19) {
            0 | 1 => EndClass::UserError,
            2 => EndClass::OutOfMemory,
            3 => EndClass::Preempted,
            _ => EndClass::Success,
        };
        if class == EndClass::Success {
            env.observer.ran(attempt);
        }
        self.ended(env, attempt, Some(run), class);
    }

    fn store(&mut self, env: &mut Env, attempt: AttemptKey) {
        if !self.running.contains_key(&attempt) {
            return;
        }
        let key = format!("{}m", mesh_schemas::subject::attempt_prefix(attempt));
        let place = ManifestRef { key, size: 1, blake3: String::new() };
        let manifest = Box::new(ManifestSummary {
            checkpoint_files: 1,
            place: ManifestPlace::Object(place),
            ..ManifestSummary::empty()
        });
        self.journal(env, NodeEvent::ManifestCommitted { attempt, manifest });
    }

    fn ended(&mut self, env: &mut Env, attempt: AttemptKey, run: Option<Run>, class: EndClass) {
        let ended = AttemptEnded {
            attempt,
            started_at: run.map(|_| self.clock(env)),
            ended_at: self.clock(env),
            class,
            exit_code: None,
            signal: None,
            message: None,
            manifest: ManifestSummary::empty(),
            usage: Usage {
                wall_ms: run.map_or(0, |run| env.now - run.started_at),
                ..Usage::default()
            },
        };
        self.journal(env, NodeEvent::AttemptEnded(Box::new(ended)));
        self.admit(env);
    }

    // ---- what may befall it ----

    pub(crate) fn crash_agent(&mut self, env: &mut Env) {
        env.stats.count(Kind::AgentCrash);
        self.up = false;
        self.welcomed = false;
        let wait = env.rng.between(50, 20_000);
        env.after(wait, Event::NodeUp { node: self.index });
    }

    /// The machine dies; `wiped` says that it comes back without its disk.
    pub(crate) fn crash_machine(&mut self, env: &mut Env, wiped: bool) {
        env.stats.count(if wiped { Kind::DiskWiped } else { Kind::MachineCrash });
        self.up = false;
        self.frozen = false;
        self.late.clear();
        self.welcomed = false;
        self.life += 1;
        let lost: Vec<AttemptKey> =
            self.waiting.drain(..).chain(std::mem::take(&mut self.running).into_keys()).collect();
        if wiped {
            self.journal = JournalId::from_uuid(Uuid::from_u128(env.rng.bits()));
            self.entries.clear();
            self.recorded = 0;
            self.sent = 0;
        } else {
            // The next supervisor says so when it is there.
            for attempt in lost {
                self.ended(env, attempt, None, EndClass::NodeLost);
            }
        }
        let wait = env.rng.between(1_000, 60_000);
        env.after(wait, Event::NodeUp { node: self.index });
    }

    pub(crate) fn freeze(&mut self, env: &mut Env) {
        env.stats.count(Kind::Zombie);
        self.frozen = true;
        let wait = env.rng.between(1_000, 60_000);
        env.after(wait, Event::NodeUp { node: self.index });
    }

    /// Whatever held it up is over.
    pub(crate) fn go_on(&mut self, env: &mut Env) {
        if self.frozen {
            self.frozen = false;
            for late in std::mem::take(&mut self.late) {
                match late {
                    Late::Message(payload) => self.arrive(env, payload),
                    Late::Due(due) => self.due(env, due),
                }
            }
        }
        if !self.up {
            self.up = true;
            self.hello(env);
        }
        self.send(env);
    }
}
