//! Jobs, tasks and attempts, as people see them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    attempt::{AttemptKey, EndClass, JobState, TaskState, words},
    id::{JobId, NodeId},
    manifest::ManifestSummary,
    message::Usage,
    spec::JobSpec,
    time::Timestamp,
};

/// The answer to a submit: durable from here on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Submitted {
    /// The job.
    pub job: JobId,
    /// Number of its tasks.
    pub tasks: u32,
    /// False when the idempotency key named a job that was already there.
    pub created: bool,
    /// The job's trace.
    pub trace_id: String,
}

/// Most jobs of one batch.
pub const BATCH_JOBS_MAX: usize = 1_000;

/// The answer to a batch of submits: durable from here on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubmittedBatch {
    /// What became of each job, in the order of the batch.
    pub jobs: Vec<BatchItem>,
}

/// What became of one job of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum BatchItem {
    /// It is there.
    Submitted(Submitted),
    /// It was not accepted, and why.
    Refused(crate::error::Problem),
}

/// A job as shown in lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobView {
    /// The job.
    pub id: JobId,
    /// Its name for people.
    pub name: String,
    /// Its project.
    pub project: String,
    /// Where it is.
    pub state: JobState,
    /// How many tasks are in which state.
    pub counts: TaskCounts,
    /// The job's trace.
    pub trace_id: String,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its last task ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Cancelling was asked for.
    pub cancel_requested: bool,
}

/// A job with its spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobDetail {
    /// What lists show.
    #[serde(flatten)]
    pub view: JobView,
    /// What was asked for. The items of an array are left out.
    pub spec: JobSpec,
}

/// How many tasks are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct TaskCounts {
    /// All of them.
    pub total: u32,
    /// See [`crate::TaskState::Queued`].
    pub queued: u32,
    /// See [`crate::TaskState::Leased`].
    pub leased: u32,
    /// See [`crate::TaskState::Running`].
    pub running: u32,
    /// See [`crate::TaskState::Succeeded`].
    pub succeeded: u32,
    /// See [`crate::TaskState::Failed`].
    pub failed: u32,
    /// See [`crate::TaskState::Cancelled`].
    pub cancelled: u32,
    /// See [`crate::TaskState::Quarantined`].
    pub quarantined: u32,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskView {
    /// Its index.
    pub task: u32,
    /// Where it is.
    pub state: TaskState,
    /// Attempts so far.
    pub attempts: u32,
    /// The latest attempt; absent before the first lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<AttemptView>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptView {
    /// Which.
    pub attempt: AttemptKey,
    /// The owner node.
    pub node: NodeId,
    /// The trace it belongs to.
    pub trace_id: String,
    /// When its lease was granted.
    pub leased_at: Timestamp,
    /// When the node said that it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When its end was recorded; absent while it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<EndClass>,
    /// The command's exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that killed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// More for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What it has stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ManifestSummary>,
    /// What it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// The answer to `cancel` and `retry`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// How many tasks it touched.
    pub tasks: u32,
    /// The job as it stands.
    pub job: JobView,
}

/// Why a job waits, over all nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Why {
    /// One sentence.
    pub summary: String,
    /// Tasks that wait.
    pub waiting: u32,
    /// How many nodes are ruled out by which reason; most first. A node counts once, by its first.
    pub reasons: Vec<WhyReason>,
    /// The nearest change that would let it run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest_fix: Option<String>,
}

/// One reason and its nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhyReason {
    /// What stands in the way.
    pub reason: WaitReason,
    /// How many nodes.
    pub nodes: u32,
    /// More, e.g. `wants gpu=1, most on any node is 0`.
    pub detail: String,
}

words! {
    /// What keeps a task off a node, or from every node.
    WaitReason {
        /// A job in `after` has not succeeded yet.
        Dependencies = "dependencies",
        /// No node has joined.
        NoNodes = "no_nodes",
        /// The node is gone or silent.
        Offline = "offline",
        /// The node is revoked.
        Revoked = "revoked",
        /// The node drains.
        Draining = "draining",
        /// The node is paused.
        Paused = "paused",
        /// The node is quarantined after failures of its own.
        NodeQuarantined = "node_quarantined",
        /// The node lacks a label.
        Labels = "labels",
        /// The node is too small for the task, even empty.
        TooSmall = "too_small",
        /// The node is busy now.
        Busy = "busy",
        /// The orchestrator has just started and waits for nodes to report.
        StartingUp = "starting_up",
        /// Nothing: it is about to start.
        Ready = "ready",
    }
}
