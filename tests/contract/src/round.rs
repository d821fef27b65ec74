//! Rounds of a database.

use std::sync::Arc;

use mesh_core::{
    Change, EventRecord, JobProgress, JobRecord, NodeRecord, NodeSetting, Snapshot, TaskRecord,
    Tries,
};
use mesh_schemas::{
    AttemptKey, Epoch, JobId, JobSpec, NodeId, TaskState, Timestamp, TraceParent,
    api::{EventKind, TaskCounts},
    attempt::JobState,
    spec::{ArrayRange, ArraySpec},
};
use uuid::Uuid;

/// Tasks of each round's job.
const TASKS: u32 = 3;

/// How much of a round is in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// Nothing.
    None,
    /// Something, and something not: what must never be.
    Part,
    /// Everything.
    Whole,
}

fn id(number: u32) -> Uuid {
    Uuid::from_u128(u128::from(number) + 1)
}

/// The job of this round.
pub fn job(number: u32) -> JobId {
    JobId::from_uuid(id(number))
}

/// The node of this round.
pub fn node(number: u32) -> NodeId {
    NodeId::from_uuid(id(number))
}

/// The idempotency key of this round's job.
pub fn key(number: u32) -> String {
    format!("key-{number}")
}

/// The attempt at this round's first task.
pub fn attempt(number: u32) -> AttemptKey {
    AttemptKey { job: job(number), task: 0, epoch: Epoch(1) }
}

/// A round that touches several tables: a job, its tasks, an attempt, a node, an event.
pub fn round(number: u32) -> Vec<Change> {
    with_key(number, key(number))
}

/// The same, its job under another idempotency key.
pub fn with_key(number: u32, key: String) -> Vec<Change> {
    let at = Timestamp::from_millis(1_700_000_000_000 + i64::from(number));
    let mut spec = JobSpec::new(["/bin/true"]);
    spec.array = Some(ArraySpec::Range(ArrayRange { first: 0, last: TASKS - 1 }));
    spec.idempotency_key = Some(key);
    let counts = TaskCounts { total: TASKS, queued: TASKS - 1, leased: 1, ..TaskCounts::default() };
    let record = JobRecord {
        id: job(number),
        spec: Arc::new(spec),
        spec_hash: [7; 32],
        trace: TraceParent::new(u128::from(number) + 1, 7),
        created_at: at,
        progress: JobProgress {
            state: JobState::Running,
            counts,
            fresh: None,
            fresh_state: TaskState::Queued,
            cancel_requested: false,
            finished_at: None,
        },
    };
    let report = None;
    let setting = NodeSetting::Active;
    let machine = NodeRecord {
        id: node(number),
        name: "n".into(),
        public_key: "U".into(),
        joined_at: at,
        setting,
        report,
    };
    let event = EventRecord {
        at,
        kind: EventKind::JobAccepted,
        job: Some(job(number)),
        task: None,
        epoch: None,
        node: None,
        detail: None,
    };
    let mut changes = vec![Change::JobAccepted(Box::new(record)), Change::Node(Box::new(machine))];
    changes.extend((0..TASKS).map(|task| Change::Task(Box::new(row(number, task)))));
    changes.push(Change::AttemptLeased { attempt: attempt(number), node: node(number), at });
    changes.push(Change::Event(event));
    changes
}

fn row(number: u32, task: u32) -> TaskRecord {
    let leased = task == 0;
    TaskRecord {
        job: job(number),
        task,
        state: if leased { TaskState::Leased } else { TaskState::Queued },
        epoch: Epoch(u32::from(leased)),
        node: leased.then(|| node(number)),
        tries: Tries::default(),
        eligible_at: None,
        cancel_requested: false,
        checkpoint: None,
    }
}

/// How much of this round is there.
pub fn extent(snapshot: &Snapshot, number: u32) -> Extent {
    let jobs = snapshot.jobs.iter().filter(|job| job.id == self::job(number)).count();
    let tasks = snapshot.tasks.iter().filter(|task| task.job == self::job(number)).count();
    let nodes = snapshot.nodes.iter().filter(|node| node.id == self::node(number)).count();
    match (jobs, tasks, nodes) {
        (0, 0, 0) => Extent::None,
        (1, 3, 1) => Extent::Whole,
        _ => Extent::Part,
    }
}
