//! Every subject, stream and bucket prefix in one place, with who writes and who reads.
//! Nothing else formats a subject.

use std::time::Duration;

use crate::{
    attempt::AttemptKey,
    id::{JobId, NodeId, UploadId},
};

/// Orchestrator to one node: [`crate::message::NodeCommands`]. Core NATS, sent again until it shows.
pub fn node_commands(node: NodeId) -> String {
    format!("mesh.v1.cmd.{node}")
}

/// Orchestrator asks one node: [`crate::message::AgentAsk`].
pub fn agent_ask(node: NodeId) -> String {
    format!("mesh.v1.cmd.{node}.ask")
}

/// Prefix of the inboxes in which a node awaits answers; the orchestrator writes there.
pub fn node_inbox(node: NodeId) -> String {
    format!("mesh.v1.cmd.{node}.inbox")
}

/// A node's answers to what the orchestrator asked it; `call` is one subject token.
pub fn agent_reply(node: NodeId, call: &str) -> String {
    format!("mesh.v1.up.{node}.reply.{call}")
}

/// Where the orchestrator listens for all nodes' answers.
pub const AGENT_REPLIES: &str = "mesh.v1.up.*.reply.*";

/// A node's events: [`crate::message::NodeEvents`]. Kept by [`NODE_EVENT`].
pub fn node_event(node: NodeId) -> String {
    format!("mesh.v1.up.{node}.event")
}

/// A node's beats: [`crate::message::NodeBeat`]. Core NATS, not kept.
pub fn node_beat(node: NodeId) -> String {
    format!("mesh.v1.up.{node}.beat")
}

/// Where the orchestrator listens for all beats.
pub const NODE_BEATS: &str = "mesh.v1.up.*.beat";

/// A node asks the orchestrator: [`crate::message::NodeAsk`].
pub fn node_ask(node: NodeId) -> String {
    format!("mesh.v1.up.{node}.ask")
}

/// Where the orchestrator listens for all asks.
pub const NODE_ASKS: &str = "mesh.v1.up.*.ask";

/// The node that a subject `mesh.v1.up.<node>.…` belongs to.
pub fn node_of(subject: &str) -> Option<NodeId> {
    subject.strip_prefix("mesh.v1.up.")?.split('.').next()?.parse().ok()
}

/// What a node may publish: its own subjects alone. `{{name()}}` is the name in its NATS user JWT,
/// which is the text form of its id.
pub const NODE_PUBLISH_TEMPLATE: &str = "mesh.v1.up.{{name()}}.>";

/// What a node may subscribe to: its own subjects alone.
pub const NODE_SUBSCRIBE_TEMPLATES: [&str; 2] =
    ["mesh.v1.cmd.{{name()}}", "mesh.v1.cmd.{{name()}}.>"];

/// A JetStream stream, every setting written out.
#[derive(Debug, Clone, Copy)]
pub struct StreamSpec {
    /// Its name.
    pub name: &'static str,
    /// What it keeps.
    pub subjects: &'static [&'static str],
    /// For how long.
    pub max_age: Duration,
    /// Most bytes; the oldest go first, unless it is append-only.
    pub max_bytes: i64,
    /// Window of deduplication by `Nats-Msg-Id`; the journals' numbers decide, this only saves work.
    pub duplicate_window: Duration,
    /// Longest message, in bytes.
    pub message_bytes_max: i32,
    /// Nobody may delete or purge what it holds; with this, full means refused instead of forgotten.
    pub append_only: bool,
}

/// Nodes' events. Written by nodes, read by the leading orchestrator alone, which keeps its position
/// in the same transaction as the effects. It is a carrier: wiped, the nodes' journals send again.
pub const NODE_EVENT: StreamSpec = StreamSpec {
    name: "NODE_EVENT",
    subjects: &["mesh.v1.up.*.event"],
    max_age: Duration::from_secs(24 * 3600),
    max_bytes: 1 << 30,
    duplicate_window: Duration::from_secs(120),
    message_bytes_max: 1 << 20,
    append_only: false,
};

/// The registry is asked here: [`crate::idea::LedgerAsk`]; `ask` is the kind of the question. Core NATS
/// request and reply, answered by any one instance; asked by the orchestrator alone.
pub fn ledger_ask(ask: &str) -> String {
    format!("mesh.v1.ideas.ask.{ask}")
}

/// The registry's name in NATS's discovery of services (`$SRV`).
pub const LEDGER_SERVICE: &str = "mesh-ideas";

/// Prefix of the inboxes in which the registry awaits JetStream's answers.
pub const LEDGER_INBOX: &str = "_INBOX_ideas";

/// What the registry may publish, besides one answer to each question that it was asked: what JetStream needs to
/// make the stream [`IDEA`], not to change it, and to read it.
pub const LEDGER_PUBLISH: [&str; 7] = [
    "$JS.API.STREAM.INFO.IDEA",
    "$JS.API.STREAM.CREATE.IDEA",
    "$JS.API.CONSUMER.CREATE.IDEA",
    "$JS.API.CONSUMER.CREATE.IDEA.>",
    "$JS.API.CONSUMER.INFO.IDEA.*",
    "$JS.API.CONSUMER.DELETE.IDEA.*",
    "$JS.API.CONSUMER.MSG.NEXT.IDEA.*",
];

/// What the registry may subscribe to: questions, discovery, and its own inboxes.
pub const LEDGER_SUBSCRIBE: [&str; 11] = [
    "mesh.v1.ideas.ask.*",
    "$SRV.PING",
    "$SRV.PING.mesh-ideas",
    "$SRV.PING.mesh-ideas.*",
    "$SRV.INFO",
    "$SRV.INFO.mesh-ideas",
    "$SRV.INFO.mesh-ideas.*",
    "$SRV.STATS",
    "$SRV.STATS.mesh-ideas",
    "$SRV.STATS.mesh-ideas.*",
    "_INBOX_ideas.>",
];

/// Where submissions wait while the registry is away: [`crate::idea::Submission`]. Kept by [`IDEA`].
pub const IDEA_SUBMIT: &str = "mesh.v1.ideas.submit";

/// Submissions. Written by the orchestrator when the registry does not answer, read by the registry.
/// Nothing in it can be deleted or purged; what was appended is known by its entry's id, so that
/// reading it again appends nothing twice.
pub const IDEA: StreamSpec = StreamSpec {
    name: "IDEA",
    subjects: &[IDEA_SUBMIT],
    max_age: Duration::from_secs(90 * 24 * 3600),
    max_bytes: 4 << 30,
    duplicate_window: Duration::from_secs(120),
    message_bytes_max: 4 << 20,
    append_only: true,
};

/// Key prefix of the log's files in the object store: `ideas/<version of the origin>/`.
pub fn ledger_prefix(version: u32) -> String {
    format!("ideas/v{version}/")
}

/// Key prefix of an attempt's objects: `a/<job>/<task>/<epoch>/`.
pub fn attempt_prefix(attempt: AttemptKey) -> String {
    format!("a/{}/{}/{}/", attempt.job, attempt.task, attempt.epoch)
}

/// Key prefix of all attempts of a job.
pub fn job_prefix(job: JobId) -> String {
    format!("a/{job}/")
}

/// The upload that a key `u/<upload>/…` belongs to.
pub fn upload_of(key: &str) -> Option<UploadId> {
    key.strip_prefix("u/")?.split('/').next()?.parse().ok()
}

/// Key prefix of a shipped input's objects: `u/<upload>/`.
pub fn upload_prefix(upload: UploadId) -> String {
    format!("u/{upload}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_names_its_node() {
        let node = NodeId::from_uuid(uuid::Uuid::from_u128(3));
        assert_eq!(node_of(&node_event(node)), Some(node));
        assert_eq!(node_of("mesh.v1.up.*.event"), None);
        assert_eq!(node_of("mesh.v1.cmd.x"), None);
    }
}
