//! The lease: a node's right to act for a task until a time, under one epoch.

use mesh_schemas::{NodeId, Timestamp};

use crate::Config;

/// Held in memory only; the row of the task says who has it, and a start gives it `startup_grace`.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    /// Who holds it.
    pub(crate) node: NodeId,
    /// When it was granted, or loaded.
    pub(crate) granted_at: Timestamp,
    /// Until when it holds if no beat names its attempt.
    pub(crate) expires_at: Timestamp,
    /// When its last command went out.
    pub(crate) sent_at: Timestamp,
    /// A beat or event showed that the node has it.
    pub(crate) named: bool,
    /// When it was asked back, if it was; a leader that loaded it cannot know, and takes it that it was.
    pub(crate) recalled_at: Option<Timestamp>,
    /// What it is to the node's capacity.
    pub(crate) share: Share,
}

/// How a lease counts against its node's capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// It runs at once, and nobody knows for how long.
    Slow,
    /// It runs at once, and its like have been short.
    Short,
    /// It waits on the node behind short ones.
    Prefetched,
}

impl Lease {
    pub(crate) fn granted(config: &Config, now: Timestamp, node: NodeId, share: Share) -> Self {
        Self {
            node,
            granted_at: now,
            expires_at: now + config.lease_ttl,
            sent_at: now,
            named: false,
            recalled_at: None,
            share,
        }
    }

    pub(crate) fn renew(&mut self, config: &Config, now: Timestamp) {
        self.named = true;
        self.expires_at = self.expires_at.max(now + config.lease_ttl);
    }
}
