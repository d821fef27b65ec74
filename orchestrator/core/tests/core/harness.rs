//! A core with a recording shell around it: every step checks the invariants, what was sent is drained
//! by the test, and an in-memory table shows what the store would have.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mesh_core::{
    Change, Command, Config, Core, EventRecord, Existing, Input, JobProgress, JobRecord,
    NodeRecord, Output, Rejected, Reply, Snapshot, Submit, TaskRecord,
};
use mesh_schemas::{
    AttemptKey, EndClass, Epoch, JobId, JobSpec, JournalId, NodeId, TaskState, Timestamp,
    TraceParent,
    api::{EventKind, NodeAction},
    attempt::JobState,
    manifest::{ManifestPlace, ManifestRef, ManifestSummary},
    message::{
        AttemptEnded, Capacity, HeldAttempts, NodeBeat, NodeCommand, NodeEvent, NodeEvents,
        NodeReport, StopReason, TaskStart, Usage,
    },
    quantity::{ByteSize, Cpu},
    spec::ArraySpec,
    subject,
};
use uuid::Uuid;

pub(crate) struct Mesh {
    pub(crate) core: Core,
    pub(crate) config: Config,
    pub(crate) now: Timestamp,
    pub(crate) sent: Vec<Command>,
    pub(crate) changes: Vec<Change>,
    pub(crate) fenced: u32,
    pub(crate) jobs: BTreeMap<JobId, JobRecord>,
    pub(crate) tasks: BTreeMap<(JobId, u32), TaskRecord>,
    pub(crate) nodes: BTreeMap<NodeId, NodeRecord>,
    pub(crate) journals: BTreeMap<(NodeId, JournalId), u64>,
    pub(crate) seqs: BTreeMap<JournalId, u64>,
    ids: u128,
}

pub(crate) fn node_id(number: u128) -> NodeId {
    NodeId::from_uuid(Uuid::from_u128(number))
}

pub(crate) fn journal_id(number: u128) -> JournalId {
    JournalId::from_uuid(Uuid::from_u128(number))
}

pub(crate) fn job_id(number: u128) -> JobId {
    JobId::from_uuid(Uuid::from_u128(number))
}

/// A spec of one task that wants one processor.
pub(crate) fn spec() -> JobSpec {
    JobSpec::new(["/bin/true"])
}

/// A spec of so many tasks.
pub(crate) fn array(tasks: u32) -> JobSpec {
    let mut spec = spec();
    let range = mesh_schemas::spec::ArrayRange { first: 0, last: tasks - 1 };
    spec.array = Some(ArraySpec::Range(range));
    spec
}

pub(crate) fn key(job: JobId, task: u32, epoch: u32) -> AttemptKey {
    AttemptKey { job, task, epoch: Epoch(epoch) }
}

pub(crate) fn ended(attempt: AttemptKey, class: EndClass) -> AttemptEnded {
    AttemptEnded {
        attempt,
        started_at: Some(Timestamp::from_millis(1)),
        ended_at: Timestamp::from_millis(2),
        class,
        exit_code: (class == EndClass::Success).then_some(0),
        signal: None,
        message: None,
        manifest: ManifestSummary::empty(),
        usage: Usage { wall_ms: 10_000, ..Usage::default() },
    }
}

/// A manifest with a checkpoint, kept as an object of this attempt.
pub(crate) fn checkpoint(attempt: AttemptKey, name: &str) -> ManifestSummary {
    let key = format!("{}{name}", subject::attempt_prefix(attempt));
    let place = ManifestRef { key, size: 1, blake3: "0".repeat(64) };
    ManifestSummary {
        checkpoint_files: 1,
        place: ManifestPlace::Object(place),
        ..ManifestSummary::empty()
    }
}

impl Mesh {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let now = Timestamp::from_millis(1_000_000);
        let mut mesh = Self {
            core: Core::new(config.clone(), Snapshot::default(), now),
            config,
            now,
            sent: Vec::new(),
            changes: Vec::new(),
            fenced: 0,
            jobs: BTreeMap::new(),
            tasks: BTreeMap::new(),
            nodes: BTreeMap::new(),
            journals: BTreeMap::new(),
            seqs: BTreeMap::new(),
            ids: 0,
        };
        // Most tests are not about the time after a start.
        mesh.pass(mesh.config.startup_grace);
        mesh
    }

    /// A node with so many processors that has said hello.
    pub(crate) fn node(&mut self, number: u128, cpus: u32) -> NodeId {
        let node = node_id(number);
        let name = format!("n{number}");
        self.apply(Input::NodeJoined { node, name, public_key: "U".into() }).unwrap();
        self.hello(number, cpus);
        node
    }

    pub(crate) fn report(&self, number: u128, cpus: u32) -> NodeReport {
        NodeReport {
            v: 1,
            node: node_id(number),
            journal: journal_id(number),
            name: format!("n{number}"),
            version: "0".into(),
            labels: BTreeMap::new(),
            capacity: Capacity {
                cpu: Cpu(cpus * 1_000),
                memory: ByteSize(1 << 34),
                disk: ByteSize(1 << 40),
                ..Capacity::default()
            },
            enforces: Default::default(),
            held: Vec::new(),
            paused: false,
        }
    }

    pub(crate) fn hello(&mut self, number: u128, cpus: u32) -> u64 {
        let report = self.report(number, cpus);
        match self.apply(Input::NodeHello(Box::new(report))).unwrap() {
            Reply::Welcome { recorded_seq } => recorded_seq,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn submit_raw(&mut self, spec: JobSpec) -> Submit {
        self.ids += 1;
        let mut hash = [0_u8; 32];
        let text = format!("{spec:?}");
        for (i, byte) in text.bytes().enumerate() {
            hash[i % 32] = hash[i % 32].wrapping_mul(31).wrapping_add(byte);
        }
        Submit {
            job: job_id(1_000 + self.ids),
            spec: Arc::new(spec),
            spec_hash: hash,
            trace: TraceParent::new(self.ids, 1),
            existing: None,
            after: Vec::new(),
        }
    }

    pub(crate) fn submit(&mut self, spec: JobSpec) -> JobId {
        let submit = self.submit_raw(spec);
        let job = submit.job;
        self.apply(Input::Submit(Box::new(submit))).unwrap();
        job
    }

    /// Applies one input and goes through the round's end.
    pub(crate) fn apply(&mut self, input: Input) -> Result<Reply, Rejected> {
        self.batch([input]).remove(0)
    }

    /// Applies inputs in one round.
    pub(crate) fn batch<const N: usize>(
        &mut self,
        inputs: [Input; N],
    ) -> Vec<Result<Reply, Rejected>> {
        let mut out = Output::default();
        let mut replies = Vec::new();
        for input in inputs {
            replies.push(self.core.apply(self.now, input, &mut out));
            self.core.check_invariants();
        }
        self.core.schedule(self.now, &mut out);
        self.core.check_invariants();
        self.commit(out);
        replies
    }

    fn commit(&mut self, out: Output) {
        for change in &out.changes {
            match change {
                Change::JobAccepted(job) => {
                    self.jobs.insert(job.id, (**job).clone());
                }
                Change::JobProgress { job, progress } => {
                    self.jobs.get_mut(job).unwrap().progress = progress.clone();
                }
                Change::Task(task) => {
                    self.tasks.insert((task.job, task.task), (**task).clone());
                }
                Change::Node(node) => {
                    self.nodes.insert(node.id, (**node).clone());
                }
                Change::NodeJournal { node, journal, seq } => {
                    self.journals.insert((*node, *journal), *seq);
                }
                Change::AttemptLeased { .. }
                | Change::AttemptStarted { .. }
                | Change::AttemptManifest { .. }
                | Change::AttemptEnded(_)
                | Change::AttemptReopened { .. }
                | Change::Event(_) => {}
            }
        }
        self.fenced += out.fenced;
        self.changes.extend(out.changes);
        self.sent.extend(out.commands);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let live = |job: &&JobRecord| !job.progress.state.is_terminal();
        Snapshot {
            jobs: self.jobs.values().filter(live).cloned().collect(),
            tasks: self.tasks.values().filter(|t| !t.state.is_terminal()).cloned().collect(),
            nodes: self.nodes.values().cloned().collect(),
            journals: self.journals.iter().map(|((n, j), seq)| (*n, *j, *seq)).collect(),
        }
    }

    /// Throws the core away and starts from what the store has.
    pub(crate) fn restart(&mut self) {
        self.core = Core::new(self.config.clone(), self.snapshot(), self.now);
        self.core.check_invariants();
        self.sent.clear();
    }

    /// Time passes at once; then a tick.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = (self.now + Duration::from_secs(1)).min(end);
            self.apply(Input::Tick).unwrap();
        }
    }

    /// Time passes while these nodes beat and hold what they should.
    pub(crate) fn pass_beating(&mut self, time: Duration, nodes: &[u128]) {
        let end = self.now + time;
        while self.now < end {
            self.now = (self.now + Duration::from_secs(1)).min(end);
            for node in nodes {
                let held = self.held_by(*node);
                self.beat(*node, &held).unwrap();
            }
            self.apply(Input::Tick).unwrap();
        }
    }

    pub(crate) fn held_by(&self, number: u128) -> Vec<AttemptKey> {
        let node = Some(node_id(number));
        let held = self.tasks.values().filter(|task| {
            task.node == node && matches!(task.state, TaskState::Leased | TaskState::Running)
        });
        held.map(|task| AttemptKey { job: task.job, task: task.task, epoch: task.epoch }).collect()
    }

    pub(crate) fn beat(&mut self, number: u128, held: &[AttemptKey]) -> Result<Reply, Rejected> {
        let mut jobs: BTreeMap<JobId, Vec<(u32, Epoch)>> = BTreeMap::new();
        for key in held {
            jobs.entry(key.job).or_default().push((key.task, key.epoch));
        }
        self.apply(Input::NodeBeat(Box::new(NodeBeat {
            v: 1,
            node: node_id(number),
            journal: journal_id(number),
            held: jobs.into_iter().map(|(job, tasks)| HeldAttempts { job, tasks }).collect(),
            paused: false,
            load: Default::default(),
        })))
    }

    pub(crate) fn events_input(&mut self, number: u128, events: Vec<NodeEvent>) -> Input {
        let journal = journal_id(number);
        let seq = self.seqs.entry(journal).or_default();
        let first_seq = *seq + 1;
        *seq += u64::try_from(events.len()).unwrap();
        Input::NodeEvents(Box::new(NodeEvents {
            v: 1,
            node: node_id(number),
            journal,
            first_seq,
            events,
        }))
    }

    pub(crate) fn events(&mut self, number: u128, events: Vec<NodeEvent>) {
        let input = self.events_input(number, events);
        self.apply(input).unwrap();
    }

    pub(crate) fn started(&mut self, number: u128, attempt: AttemptKey) {
        let at = self.now;
        self.events(number, vec![NodeEvent::AttemptStarted { attempt, at }]);
    }

    pub(crate) fn manifest(&mut self, number: u128, attempt: AttemptKey, what: ManifestSummary) {
        let manifest = Box::new(what);
        self.events(number, vec![NodeEvent::ManifestCommitted { attempt, manifest }]);
    }

    pub(crate) fn end(&mut self, number: u128, attempt: AttemptKey, class: EndClass) {
        self.events(number, vec![NodeEvent::AttemptEnded(Box::new(ended(attempt, class)))]);
    }

    pub(crate) fn cancel(&mut self, job: JobId, tasks: Option<Vec<u32>>) -> u32 {
        match self.apply(Input::Cancel { job, tasks }).unwrap() {
            Reply::Changed { tasks } => tasks,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn action(&mut self, number: u128, action: NodeAction) {
        self.apply(Input::NodeAction { node: node_id(number), action }).unwrap();
    }

    pub(crate) fn task_state(&self, job: JobId, task: u32) -> TaskState {
        self.tasks[&(job, task)].state
    }

    pub(crate) fn job_state(&self, job: JobId) -> JobState {
        self.jobs[&job].progress.state
    }

    pub(crate) fn progress(&self, job: JobId) -> &JobProgress {
        &self.jobs[&job].progress
    }

    /// Tasks that nodes were told to start since the last drain, and forgets all commands.
    pub(crate) fn starts(&mut self) -> Vec<(NodeId, JobId, TaskStart)> {
        let sent = std::mem::take(&mut self.sent);
        let mut starts = Vec::new();
        for command in sent {
            if let NodeCommand::StartTasks(start) = command.command {
                starts.extend(start.tasks.into_iter().map(|task| (command.node, start.job, task)));
            }
        }
        starts
    }

    /// Attempts that nodes were told to stop since the last drain, and forgets all commands.
    pub(crate) fn stops(&mut self) -> Vec<(NodeId, AttemptKey, StopReason)> {
        let sent = std::mem::take(&mut self.sent);
        let mut stops = Vec::new();
        for command in sent {
            if let NodeCommand::StopAttempts(stop) = command.command {
                stops.extend(stop.attempts.iter().map(|key| (command.node, *key, stop.reason)));
            }
        }
        stops
    }

    pub(crate) fn log(&self, kind: EventKind) -> Vec<&EventRecord> {
        let events = self.changes.iter().filter_map(|change| match change {
            Change::Event(event) => Some(event),
            _ => None,
        });
        events.filter(|event| event.kind == kind).collect()
    }

    pub(crate) fn existing(&self, job: JobId) -> Existing {
        let record = &self.jobs[&job];
        Existing {
            job,
            spec_hash: record.spec_hash,
            tasks: record.progress.counts.total,
            trace: record.trace,
        }
    }
}
