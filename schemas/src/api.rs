//! Bodies of the HTTP API, `/api/v1`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    attempt::{AttemptKey, EndClass, Epoch, JobState, TaskState, words},
    id::{JobId, NodeId, TokenId, UploadId},
    manifest::{Manifest, ManifestRef, ManifestSummary, PackRef, StreamName, TimeMark},
    message::{Capacity, Enforcement, Load, ObjectPut, ObjectUrl, Usage},
    quantity::Span,
    spec::JobSpec,
    time::Timestamp,
};

/// Most rows of one page.
pub const PAGE_ROWS_MAX: u32 = 1_000;

/// A page of rows; pass `next` as `cursor` for the following one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

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
    /// See [`TaskState::Queued`].
    pub queued: u32,
    /// See [`TaskState::Leased`].
    pub leased: u32,
    /// See [`TaskState::Running`].
    pub running: u32,
    /// See [`TaskState::Succeeded`].
    pub succeeded: u32,
    /// See [`TaskState::Failed`].
    pub failed: u32,
    /// See [`TaskState::Cancelled`].
    pub cancelled: u32,
    /// See [`TaskState::Quarantined`].
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

words! {
    /// Where a node is.
    NodeState {
        /// Beats and takes work.
        Online = "online",
        /// Silent for a while; keeps its work until its leases end.
        Suspect = "suspect",
        /// Silent for longer than the lease.
        Offline = "offline",
        /// Finishes what it has and takes nothing new.
        Draining = "draining",
        /// Takes nothing new until resumed.
        Paused = "paused",
        /// Lost or failed too much work of its own fault; takes nothing until resumed.
        Quarantined = "quarantined",
        /// Cut off for ever.
        Revoked = "revoked",
    }
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeView {
    /// Which.
    pub id: NodeId,
    /// Its name for people.
    pub name: String,
    /// Where it is.
    pub state: NodeState,
    /// Version of its agent.
    pub version: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it offers.
    pub capacity: Capacity,
    /// What it can enforce.
    pub enforces: Enforcement,
    /// How busy it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// Attempts that it holds.
    pub held: u32,
    /// When it joined.
    pub joined_at: Timestamp,
    /// Its last beat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
}

words! {
    /// What an administrator can do to a node.
    NodeAction {
        /// Give it nothing new; it finishes what it has.
        Drain = "drain",
        /// Give it nothing new for now.
        Pause = "pause",
        /// Undo drain, pause and quarantine.
        Resume = "resume",
        /// Cut it off for ever, within 5 s; its work is queued again.
        Revoke = "revoke",
    }
}

/// Asks for a join code.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinCodeRequest {
    /// How long it holds; 15 min when not said, at most 24 h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Span>,
}

/// A join code; shown once, works once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JoinCode {
    /// The secret.
    pub code: String,
    /// Until when it works.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for JoinCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinCode").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// A machine asks to join.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// The join code.
    pub code: String,
    /// The public half of the node's own NATS key, `U…`; the seed never leaves the node.
    pub public_key: String,
    /// A name for people.
    pub name: String,
}

impl std::fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinRequest").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a node needs to take part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Joined {
    /// Its id.
    pub node: NodeId,
    /// A NATS user JWT for its key.
    pub jwt: String,
    /// Where NATS listens.
    pub nats_urls: Vec<String>,
    /// PEM of the cluster's own certificate authority, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
}

words! {
    /// What a token may do; each includes those before it.
    Scope {
        /// Look at everything but secrets.
        Read = "read",
        /// Submit, cancel and retry jobs, ship inputs.
        Submit = "submit",
        /// Nodes, tokens, join codes.
        Admin = "admin",
    }
}

/// Asks for a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// What it is for, for people.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// How long it holds; 90 days when not said and at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Span>,
}

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenView {
    /// Which.
    pub id: TokenId,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it holds.
    pub expires_at: Timestamp,
}

/// A new token; the secret is shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewToken {
    /// What lists show.
    #[serde(flatten)]
    pub view: TokenView,
    /// `dmk_…`
    pub secret: String,
}

impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewToken").field("view", &self.view).finish_non_exhaustive()
    }
}

/// Asks for URLs to ship an input directory; without `upload` a new upload begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadRequest {
    /// Goes on with this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<UploadId>,
    /// What to upload; may be empty.
    pub objects: Vec<ObjectPut>,
}

/// URLs to ship an input directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadUrls {
    /// The upload.
    pub upload: UploadId,
    /// In the order asked.
    pub urls: Vec<ObjectUrl>,
}

/// Asks whether shipped objects are in the store, with these lengths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadCheck {
    /// The upload they belong to.
    pub upload: UploadId,
    /// What to look for.
    pub objects: Vec<PackRef>,
}

/// What a task has stored, and where to fetch it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactsView {
    /// Which attempt.
    pub attempt: AttemptKey,
    /// Its state: artifacts of an attempt that runs are as of its last upload.
    pub complete: bool,
    /// The manifest, when it is small enough to lie in the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Manifest>,
    /// Otherwise the object that holds it; its URL is in `urls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_ref: Option<ManifestRef>,
    /// For the manifest object.
    pub urls: Vec<ObjectUrl>,
}

/// Asks for URLs to fetch packs of an attempt's or input's manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DownloadRequest {
    /// Full keys; all must lie below the prefix of a task of the job in the path.
    pub keys: Vec<String>,
}

/// A piece of a log, as sent by `GET …/logs` in server-sent events named `log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogPiece {
    /// Which attempt wrote it.
    pub attempt: AttemptKey,
    /// Which stream.
    pub stream: StreamName,
    /// Grows by one with each piece of this answer.
    pub seq: u64,
    /// First byte in the stream.
    pub offset: u64,
    /// When which byte was written.
    pub marks: Vec<TimeMark>,
    /// Base64 (standard alphabet, padded) of the bytes.
    pub data: String,
}

/// Something that happened, in the order of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    /// Grows; the `id` of the server-sent event, good for `Last-Event-ID`.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// Whose job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// Which task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<u32>,
    /// Which epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// Which node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// More, e.g. the class of an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

words! {
    /// What happened.
    EventKind {
        /// A job was accepted.
        JobAccepted = "job_accepted",
        /// Cancelling was asked for.
        JobCancelRequested = "job_cancel_requested",
        /// Its ended tasks were queued again.
        JobRetried = "job_retried",
        /// Its last task ended; `detail` is its state.
        JobFinished = "job_finished",
        /// An attempt was granted.
        AttemptLeased = "attempt_leased",
        /// A node said that it started.
        AttemptStarted = "attempt_started",
        /// Output was stored.
        ManifestCommitted = "manifest_committed",
        /// It ended; `detail` is its class.
        AttemptEnded = "attempt_ended",
        /// Its node came back before anybody else got the task.
        AttemptAdopted = "attempt_adopted",
        /// The task waits again.
        TaskQueued = "task_queued",
        /// The task ended; `detail` is its state.
        TaskFinished = "task_finished",
        /// A machine joined.
        NodeJoined = "node_joined",
        /// A node's state changed; `detail` is the new one.
        NodeChanged = "node_changed",
    }
}

/// Who am I talking to, and how is it?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerInfo {
    /// Version of the orchestrator.
    pub version: String,
    /// The leader's own epoch.
    pub leader: u64,
    /// By its clock.
    pub now: Timestamp,
    /// Which database.
    pub store: String,
    /// The database answers.
    pub store_ok: bool,
    /// NATS answers.
    pub bus_ok: bool,
    /// The object store answers.
    pub objects_ok: bool,
    /// Nodes by state.
    pub nodes: BTreeMap<NodeState, u32>,
    /// Tasks that wait.
    pub tasks_queued: u64,
    /// Tasks that nodes hold.
    pub tasks_held: u64,
}
