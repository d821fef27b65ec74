//! A small mesh on one page: the real core, nodes that do at random what nodes do, and what is not yet
//! committed. One seed gives one run.

use std::collections::BTreeSet;

use mesh_core::{Change, Config, Core, Input, JobRecord, Output, Snapshot, Submit, TaskRecord};
use mesh_schemas::{
    AttemptKey, EndClass, JobId, JobSpec, JournalId, NodeId, Timestamp, TraceParent,
    attempt::JobState,
    manifest::{ManifestPlace, ManifestRef, ManifestSummary},
    message::{
        AttemptEnded, Capacity, HeldAttempts, Load, MESSAGE_VERSION, NodeBeat, NodeCommand,
        NodeEvent, NodeEvents, Usage,
    },
    quantity::Cpu,
    spec::{ArrayRange, ArraySpec},
    subject,
};

use super::{
    build::{at, job_id, manifest, node_id},
    nodes::{journal_id, report},
};

/// A generator of random numbers that is the same everywhere (xorshift).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        (!of.is_empty()).then(|| of[self.below(of.len())])
    }
}

struct Node {
    id: NodeId,
    journal: JournalId,
    sent: u64,
    held: BTreeSet<AttemptKey>,
}

pub(crate) struct Mesh {
    pub(crate) random: Random,
    pub(crate) jobs: Vec<JobId>,
    core: Core,
    nodes: Vec<Node>,
    now: Timestamp,
    made: u128,
    out: Output,
}

impl Mesh {
    /// Three nodes have joined.
    pub(crate) fn new(seed: u64) -> Self {
        let core = Core::new(Config::default(), Snapshot::default(), at(0));
        let (random, out, jobs) = (Random::new(seed), Output::default(), Vec::new());
        let nodes = Vec::new();
        let mut mesh = Self { random, jobs, core, nodes, now: at(0), made: 0, out };
        for number in 1..=3 {
            let node = node_id(number);
            let (name, public_key) = (format!("node-{number}"), format!("U{number}"));
            mesh.input(Input::NodeJoined { node, name, public_key });
            mesh.nodes.push(Node {
                id: node,
                journal: journal_id(number),
                sent: 0,
                held: BTreeSet::new(),
            });
            mesh.hello(mesh.nodes.len() - 1);
        }
        mesh
    }

    /// What is to be committed; forgotten here.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.out.changes)
    }

    /// A new core, as after a crash of the orchestrator.
    pub(crate) fn restart(&mut self, snapshot: Snapshot) {
        assert!(self.out.changes.is_empty(), "uncommitted changes would be lost");
        self.core = Core::new(Config::default(), snapshot, self.now);
        self.core.check_invariants();
        for node in 0..self.nodes.len() {
            self.hello(node);
        }
    }

    /// Somebody wants an ended job tried again.
    pub(crate) fn retry(
        &mut self,
        job: JobRecord,
        tasks: Vec<TaskRecord>,
        after: Vec<(JobId, JobState)>,
    ) {
        self.input(Input::Retry { job: Box::new(job), tasks, after });
    }

    /// Something happens.
    pub(crate) fn step(&mut self) {
        let node = self.random.below(self.nodes.len());
        match self.random.below(20) {
            0 => self.submit(),
            1 => self.cancel(),
            2 => self.wipe(node),
            3 => self.pass(20_000),
            4..7 => self.pass(1_500),
            7..10 => self.beat(node),
            10..13 => self.say(node, Said::Started),
            13..15 => self.say(node, Said::Stored),
            _ => self.say(node, Said::Ended),
        }
    }

    fn input(&mut self, input: Input) {
        // A rejected input is as good as any other: it must leave no change behind.
        let _ = self.core.apply(self.now, input, &mut self.out);
        self.core.schedule(self.now, &mut self.out);
        self.core.check_invariants();
        for command in std::mem::take(&mut self.out.commands) {
            let node = self.nodes.iter_mut().find(|node| node.id == command.node);
            // A command of three is lost.
            if let Some(node) = node.filter(|_| self.random.below(3) > 0) {
                obey(node, command.command);
            }
        }
    }

    fn submit(&mut self) {
        self.made += 1;
        let mut spec = JobSpec::new(["/bin/true"]);
        let tasks = u32::try_from(self.random.below(12)).unwrap();
        spec.retries.user_error = 1;
        spec.array =
            (tasks > 2).then(|| ArraySpec::Range(ArrayRange { first: 3, last: 3 + tasks }));
        if tasks > 9 {
            spec.array = Some(ArraySpec::Items((0..tasks).map(|i| format!("item {i}")).collect()));
        }
        let job = job_id(self.made);
        let submit = Submit {
            job,
            spec: spec.into(),
            spec_hash: [1; 32],
            trace: TraceParent::new(self.made, 1),
            existing: None,
            after: Vec::new(),
        };
        self.jobs.push(job);
        self.input(Input::Submit(Box::new(submit)));
    }

    fn cancel(&mut self) {
        let Some(job) = self.random.pick(&self.jobs) else { return };
        let tasks = (self.random.below(2) > 0).then(|| vec![0, 4, 7]);
        self.input(Input::Cancel { job, tasks });
    }

    fn pass(&mut self, millis: usize) {
        let millis = i64::try_from(self.random.below(millis)).unwrap();
        self.now = Timestamp::from_millis(self.now.as_millis() + millis);
        self.input(Input::Tick);
    }

    fn hello(&mut self, node: usize) {
        let Node { id, journal, .. } = self.nodes[node];
        let mut report = report(id, journal);
        report.capacity = Capacity { cpu: Cpu(4_000), ..Capacity::default() };
        report.held = held(&self.nodes[node]);
        self.input(Input::NodeHello(Box::new(report)));
    }

    /// The node loses its disk, and with it its work and its journal.
    fn wipe(&mut self, node: usize) {
        self.made += 1;
        let journal = journal_id(self.made + 1_000);
        let id = self.nodes[node].id;
        self.nodes[node] = Node { id, journal, sent: 0, held: BTreeSet::new() };
        self.hello(node);
    }

    fn beat(&mut self, node: usize) {
        let Node { id, journal, .. } = self.nodes[node];
        let held = held(&self.nodes[node]);
        let load = Load::default();
        let beat = NodeBeat { v: MESSAGE_VERSION, node: id, journal, held, paused: false, load };
        self.input(Input::NodeBeat(Box::new(beat)));
    }

    fn say(&mut self, node: usize, said: Said) {
        let held: Vec<_> = self.nodes[node].held.iter().copied().collect();
        let Some(attempt) = self.random.pick(&held) else { return };
        let event = match said {
            Said::Started => NodeEvent::AttemptStarted { attempt, at: self.now },
            Said::Stored => {
                let manifest =
                    ManifestSummary { checkpoint_files: 1, ..stored_manifest(attempt, 1) };
                NodeEvent::ManifestCommitted { attempt, manifest: Box::new(manifest) }
            }
            Said::Ended => self.ended(attempt),
        };
        let node = &mut self.nodes[node];
        if matches!(said, Said::Ended) {
            node.held.remove(&attempt);
        }
        node.sent += 1;
        let (id, journal, first_seq) = (node.id, node.journal, node.sent);
        let events = vec![event];
        let events = NodeEvents { v: MESSAGE_VERSION, node: id, journal, first_seq, events };
        self.input(Input::NodeEvents(Box::new(events)));
    }

    fn ended(&mut self, attempt: AttemptKey) -> NodeEvent {
        let class = self.random.pick(EndClass::ALL).unwrap();
        NodeEvent::AttemptEnded(Box::new(AttemptEnded {
            attempt,
            started_at: Some(self.now),
            ended_at: self.now,
            class,
            exit_code: Some(0),
            signal: None,
            message: Some("said by the node".into()),
            manifest: stored_manifest(attempt, 2),
            usage: Usage::default(),
        }))
    }
}

/// What a node says of an attempt.
#[derive(Clone, Copy)]
enum Said {
    Started,
    Stored,
    Ended,
}

/// A manifest among the attempt's own objects, as the core takes no other.
fn stored_manifest(attempt: AttemptKey, version: u32) -> ManifestSummary {
    let key = format!("{}m{version}", subject::attempt_prefix(attempt));
    let place = ManifestPlace::Object(ManifestRef { key, size: 5, blake3: "0".repeat(64) });
    ManifestSummary { place, ..manifest(version) }
}

fn held(node: &Node) -> Vec<HeldAttempts> {
    let one = |attempt: &AttemptKey| HeldAttempts {
        job: attempt.job,
        tasks: vec![(attempt.task, attempt.epoch)],
    };
    node.held.iter().map(one).collect()
}

fn obey(node: &mut Node, command: NodeCommand) {
    match command {
        NodeCommand::StartTasks(start) => {
            let attempt = |task: &mesh_schemas::message::TaskStart| AttemptKey {
                job: start.job,
                task: task.task,
                epoch: task.epoch,
            };
            node.held.extend(start.tasks.iter().map(attempt));
        }
        NodeCommand::StopAttempts(stop) => {
            for attempt in stop.attempts {
                node.held.remove(&attempt);
            }
        }
        NodeCommand::Recorded { .. } | NodeCommand::Report => {}
    }
}
