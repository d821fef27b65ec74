//! The event log, and how the server is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    api::NodeState,
    attempt::{Epoch, words},
    id::{JobId, NodeId},
    time::Timestamp,
};

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
    /// Where the leader's API is found; empty from servers that do not say.
    #[serde(default)]
    pub leader_url: String,
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
    /// The registry of ideas answers.
    #[serde(default)]
    pub ledger_ok: bool,
    /// Nodes by state.
    pub nodes: BTreeMap<NodeState, u32>,
    /// Tasks that wait.
    pub tasks_queued: u64,
    /// Tasks that nodes hold.
    pub tasks_held: u64,
}
