//! What the engine has in memory between two rounds.

use std::{collections::BTreeMap, sync::Arc};

use mesh_core::{Change, Core, NodeRecord, Snapshot};
use mesh_schemas::{NodeId, Timestamp, api::NodeState};

use super::{
    handle::NodeEntry,
    metrics,
    request::{Ask, answer},
};

/// What is loaded and lives in memory.
pub(super) struct Live {
    pub(super) core: Core,
    nodes: BTreeMap<NodeId, Arc<NodeRecord>>,
    /// The number of this load, which each round of it carries.
    pub(super) load: u64,
    /// The stream's position that no commit has kept yet.
    pub(super) position: Option<u64>,
}

impl Live {
    /// Everything that the store has, and no position that waits to be kept.
    pub(super) fn new(
        config: mesh_core::Config,
        load: u64,
        snapshot: Snapshot,
        now: Timestamp,
    ) -> Self {
        let keyed = |node: &NodeRecord| (node.id, Arc::new(node.clone()));
        let nodes = snapshot.nodes.iter().map(keyed).collect();
        Self { core: Core::new(config, snapshot, now), nodes, load, position: None }
    }

    /// Answers a question.
    pub(super) fn answer(&self, now: Timestamp, ask: Ask) {
        match ask {
            Ask::Why { job, reply } => answer(reply, Ok(self.core.why(now, job))),
            Ask::Node { node, reply } => {
                let entry = self.nodes.get(&node).and_then(|record| self.entry(now, record));
                answer(reply, Ok(entry));
            }
            Ask::Nodes { reply } => {
                let entries = self.nodes.values().filter_map(|record| self.entry(now, record));
                answer(reply, Ok(entries.collect()));
            }
            Ask::Totals { reply } => answer(reply, Ok(self.core.totals())),
            Ask::Holds { node, attempt, reply } => {
                answer(reply, Ok(self.core.holds(node, attempt)));
            }
        }
    }

    fn entry(&self, now: Timestamp, record: &Arc<NodeRecord>) -> Option<NodeEntry> {
        let status = self.core.node_status(now, record.id)?;
        Some(NodeEntry { record: Arc::clone(record), status })
    }

    /// Keeps the nodes' records for listings; the core does not hand them out.
    pub(super) fn remember(&mut self, changes: &[Change]) {
        for change in changes {
            if let Change::Node(node) = change {
                self.nodes.insert(node.id, Arc::new((**node).clone()));
            }
        }
    }

    /// Sets the gauges.
    pub(super) fn show(&self, now: Timestamp) {
        let mut states: BTreeMap<NodeState, u32> = BTreeMap::new();
        for status in self.nodes.keys().filter_map(|node| self.core.node_status(now, *node)) {
            *states.entry(status.state).or_default() += 1;
        }
        metrics::gauges(self.core.totals(), &states);
    }
}
