//! What comes out of the core: changes for the store, commands for the nodes. And what goes back in at
//! a start: the store's snapshot.

use std::sync::Arc;

use mesh_schemas::{
    AttemptKey, EndClass, Epoch, JobId, JobSpec, JournalId, NodeId, TaskState, Timestamp,
    TraceParent,
    api::{EventKind, TaskCounts},
    attempt::JobState,
    manifest::{ManifestRef, ManifestSummary},
    message::{Load, NodeCommand, NodeReport, Usage},
    spec::ArrayRange,
};

/// What one round of inputs leads to. The shell drains it.
#[derive(Debug, Default)]
pub struct Output {
    /// To be committed in one transaction, in this order.
    pub changes: Vec<Change>,
    /// To be sent after that commit.
    pub commands: Vec<Command>,
    /// Events of nodes that came to nothing, as their attempts did not hold their tasks.
    pub fenced: u32,
}

/// Something to send. Lost ones are sent again by a later tick, until beats or events show them done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// To whom.
    pub node: NodeId,
    /// What.
    pub command: NodeCommand,
}

/// One row to write. A later change of the same row within a batch overrides an earlier one.
#[derive(Debug, Clone)]
pub enum Change {
    /// Insert a job.
    JobAccepted(Box<JobRecord>),
    /// Update a job's progress.
    JobProgress {
        /// Which.
        job: JobId,
        /// As it now stands.
        progress: JobProgress,
    },
    /// Insert or update a task that has been leased at least once (or was ended singly).
    Task(Box<TaskRecord>),
    /// Insert an attempt.
    AttemptLeased {
        /// Which.
        attempt: AttemptKey,
        /// To whom.
        node: NodeId,
        /// When.
        at: Timestamp,
    },
    /// Update: the node said that it started.
    AttemptStarted {
        /// Which.
        attempt: AttemptKey,
        /// By the node's clock.
        at: Timestamp,
    },
    /// Update: output was stored.
    AttemptManifest {
        /// Which.
        attempt: AttemptKey,
        /// What is stored by now.
        manifest: Box<ManifestSummary>,
    },
    /// Update: its end.
    AttemptEnded(Box<AttemptEnd>),
    /// Update: the recorded loss is undone, as its node came back before anybody else got the task.
    AttemptReopened {
        /// Which.
        attempt: AttemptKey,
    },
    /// Insert or update a node.
    Node(Box<NodeRecord>),
    /// Update: what of a node's journal is recorded.
    NodeJournal {
        /// Whose.
        node: NodeId,
        /// Which journal.
        journal: JournalId,
        /// The last recorded number.
        seq: u64,
    },
    /// Append to the event log; the store numbers it.
    Event(EventRecord),
}

/// A job as stored.
#[derive(Debug, Clone)]
pub struct JobRecord {
    /// Its id.
    pub id: JobId,
    /// What was asked for.
    pub spec: Arc<JobSpec>,
    /// BLAKE3 of the spec's canonical JSON.
    pub spec_hash: [u8; 32],
    /// Its trace.
    pub trace: TraceParent,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Where it stands.
    pub progress: JobProgress,
}

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobProgress {
    /// Derived from its tasks.
    pub state: JobState,
    /// How many tasks are in which state; fresh ones count as queued, or as cancelled when the job is.
    pub counts: TaskCounts,
    /// Tasks that were never leased and have no row: always the tail of the job's range.
    pub fresh: Option<ArrayRange>,
    /// What the fresh tasks are: `queued`, or `cancelled` (or `failed`, by a queue time-out).
    pub fresh_state: TaskState,
    /// Cancelling the whole job was asked for.
    pub cancel_requested: bool,
    /// When its last task ended.
    pub finished_at: Option<Timestamp>,
}

/// A task as stored: only tasks that have been leased, or ended singly, have a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRecord {
    /// Its job.
    pub job: JobId,
    /// Its index.
    pub task: u32,
    /// Where it is.
    pub state: TaskState,
    /// Its last epoch; 0 when never leased.
    pub epoch: Epoch,
    /// The node of that epoch.
    pub node: Option<NodeId>,
    /// What it has been through.
    pub tries: Tries,
    /// Not before this; only while queued. Absent, too, while it is queued because its lease ran out:
    /// that attempt may be adopted again.
    pub eligible_at: Option<Timestamp>,
    /// Cancelling it was asked for.
    pub cancel_requested: bool,
    /// Last stored manifest with a checkpoint, of any attempt.
    pub checkpoint: Option<ManifestRef>,
}

/// Counters of failed attempts, by class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tries {
    /// `user_error`.
    pub user_error: u16,
    /// `out_of_memory`.
    pub out_of_memory: u16,
    /// `timeout`.
    pub timeout: u16,
    /// `stalled`.
    pub stalled: u16,
    /// Losses that are not the task's fault.
    pub lost: u16,
}

/// An attempt's recorded end.
#[derive(Debug, Clone)]
pub struct AttemptEnd {
    /// Which.
    pub attempt: AttemptKey,
    /// By the node's clock; absent when unknown.
    pub started_at: Option<Timestamp>,
    /// By the orchestrator's clock.
    pub recorded_at: Timestamp,
    /// How it ended.
    pub class: EndClass,
    /// The command's exit code.
    pub exit_code: Option<i32>,
    /// The signal that killed it.
    pub signal: Option<i32>,
    /// More for people.
    pub message: Option<String>,
    /// What it left; `None` keeps what was stored before (a lost attempt's last upload), or `Empty`.
    pub manifest: Option<ManifestSummary>,
    /// What it used.
    pub usage: Option<Usage>,
}

/// A node as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRecord {
    /// Its id.
    pub id: NodeId,
    /// Its name for people.
    pub name: String,
    /// Public half of its NATS key.
    pub public_key: String,
    /// When it joined.
    pub joined_at: Timestamp,
    /// What administrators or faults have set.
    pub setting: NodeSetting,
    /// Its last report; absent until it first said hello.
    pub report: Option<Box<NodeReport>>,
}

/// What administrators or faults have set on a node; being online or not is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NodeSetting {
    /// Takes work when it is online.
    #[default]
    Active,
    /// See [`mesh_schemas::api::NodeState::Draining`].
    Draining,
    /// See [`mesh_schemas::api::NodeState::Paused`].
    Paused,
    /// See [`mesh_schemas::api::NodeState::Quarantined`].
    Quarantined,
    /// See [`mesh_schemas::api::NodeState::Revoked`].
    Revoked,
}

/// One line of the event log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// When, by the orchestrator's clock.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// Whose job.
    pub job: Option<JobId>,
    /// Which task.
    pub task: Option<u32>,
    /// Which epoch.
    pub epoch: Option<Epoch>,
    /// Which node.
    pub node: Option<NodeId>,
    /// More.
    pub detail: Option<String>,
}

/// All that is live, as the store has it.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Jobs that have not ended.
    pub jobs: Vec<JobRecord>,
    /// Their tasks with rows that have not ended.
    pub tasks: Vec<TaskRecord>,
    /// All nodes, revoked ones included.
    pub nodes: Vec<NodeRecord>,
    /// What of each node's journal is recorded.
    pub journals: Vec<(NodeId, JournalId, u64)>,
}

/// What the core knows of a node beyond its record; for listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeStatus {
    /// As shown to people.
    pub state: mesh_schemas::api::NodeState,
    /// How busy the machine is.
    pub load: Option<Load>,
    /// Attempts leased to it.
    pub held: u32,
    /// Its last beat.
    pub last_seen: Option<Timestamp>,
}
