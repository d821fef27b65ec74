//! The orchestrator's core: which task runs where, who holds its lease, and how it ends.
//!
//! A pure state machine. [`Core::apply`] takes one input and [`Core::schedule`] places what waits; both
//! push *changes*, which the shell commits in one transaction, and *commands*, which it sends only after
//! that commit. There is no clock, no randomness and no IO in here: time and ids come in as input, and
//! the same core runs under the real shell, the simulation and the benchmarks.
//!
//! The shell's rhythm: collect inputs, `apply` each, `schedule` once, commit the changes, answer the
//! callers, send the commands. When a commit fails or its outcome is unknown the shell throws the core
//! away and builds a new one from the store's [`Snapshot`].

mod change;
mod config;
mod input;

pub use change::{
    AttemptEnd, Change, Command, EventRecord, JobProgress, JobRecord, NodeRecord, NodeSetting,
    NodeStatus, Output, Snapshot, TaskRecord, Tries,
};
pub use config::Config;
pub use input::{Existing, Input, Rejected, Reply, RetryTask, Submit};

use mesh_schemas::{JobId, NodeId, Timestamp, api::Why};

/// The state machine. See the crate's documentation.
#[derive(Debug)]
pub struct Core {
    config: Config,
}

impl Core {
    /// Builds the core from what the store has. Loaded leases last `config.startup_grace`.
    pub fn new(config: Config, snapshot: Snapshot, now: Timestamp) -> Self {
        let _ = (snapshot, now);
        Self { config }
    }

    /// Takes one input.
    ///
    /// # Errors
    /// [`Rejected`] when it is late, doubled or not allowed; the state is then as it was.
    pub fn apply(
        &mut self,
        now: Timestamp,
        input: Input,
        out: &mut Output,
    ) -> Result<Reply, Rejected> {
        let _ = (now, input, out, &self.config);
        Ok(Reply::Done)
    }

    /// Places what waits on nodes that have room. Call once after a round of inputs.
    pub fn schedule(&mut self, now: Timestamp, out: &mut Output) {
        let _ = (now, out);
    }

    /// Why a live job waits; `None` when it is not live.
    pub fn why(&self, now: Timestamp, job: JobId) -> Option<Why> {
        let _ = (now, job);
        None
    }

    /// How a node does; `None` when it has not joined.
    pub fn node_status(&self, now: Timestamp, node: NodeId) -> Option<NodeStatus> {
        let _ = (now, node);
        None
    }

    /// Tasks that wait and tasks that nodes hold.
    pub fn totals(&self) -> (u64, u64) {
        (0, 0)
    }

    /// True when the node holds this attempt's lease: the fence for uploads.
    pub fn holds(&self, node: NodeId, attempt: mesh_schemas::AttemptKey) -> bool {
        let _ = (node, attempt);
        false
    }

    /// What must hold across maps and counters.
    ///
    /// # Panics
    /// When it does not: a fault of ours, never of a peer.
    pub fn check_invariants(&self) {}
}
