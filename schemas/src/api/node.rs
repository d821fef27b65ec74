//! Nodes, and how they are let in.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    attempt::words,
    id::NodeId,
    message::{Capacity, Enforcement, Load},
    quantity::Span,
    time::Timestamp,
};

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
