//! Machines that join, administrators' actions on them, and the guard against bad ones.

use mesh_schemas::{
    AttemptKey, EndClass, NodeId, Timestamp,
    api::{EventKind, NodeAction, NodeState},
};

use crate::{
    Change, Core, EventRecord, NodeRecord, NodeSetting, Output, Rejected, Reply,
    core::event,
    ended::{By, End},
    node::{Loss, Node},
};

impl Core {
    pub(crate) fn on_joined(
        &mut self,
        now: Timestamp,
        id: NodeId,
        name: String,
        public_key: String,
        out: &mut Output,
    ) -> Result<Reply, Rejected> {
        if self.nodes.contains_key(&id) {
            return self.node_mut(id).map(|_| Reply::Done);
        }
        let setting = NodeSetting::Active;
        let record = NodeRecord { id, name, public_key, joined_at: now, setting, report: None };
        out.changes.push(Change::Node(Box::new(record.clone())));
        let detail = Some(record.name.clone());
        let joined = event(now, EventKind::NodeJoined);
        out.changes.push(Change::Event(EventRecord { node: Some(id), detail, ..joined }));
        let mut node = Node::new(record, now);
        node.told = Some(NodeState::Offline);
        self.nodes.insert(id, node);
        Ok(Reply::Done)
    }

    pub(crate) fn on_node_action(
        &mut self,
        now: Timestamp,
        id: NodeId,
        action: NodeAction,
        out: &mut Output,
    ) -> Result<Reply, Rejected> {
        let node = self.node_mut(id)?;
        let setting = match action {
            NodeAction::Drain => NodeSetting::Draining,
            NodeAction::Pause => NodeSetting::Paused,
            NodeAction::Resume => NodeSetting::Active,
            NodeAction::Revoke => NodeSetting::Revoked,
        };
        if action == NodeAction::Resume {
            node.losses.clear();
        }
        self.set_node(now, id, setting, out);
        if action == NodeAction::Revoke {
            self.take_everything(now, id, out);
        }
        Ok(Reply::Done)
    }

    fn set_node(&mut self, now: Timestamp, id: NodeId, setting: NodeSetting, out: &mut Output) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if node.record.setting != setting {
            node.record.setting = setting;
            out.changes.push(Change::Node(Box::new(node.record.clone())));
            self.gained.insert(id);
        }
        self.tell_state(now, id, out);
    }

    /// Ends every lease of a node that is cut off.
    fn take_everything(&mut self, now: Timestamp, id: NodeId, out: &mut Output) {
        let held = self.nodes.get(&id).map(|node| node.held.clone()).unwrap_or_default();
        for key in held {
            let message = "its node was revoked".to_owned();
            self.end_attempt(now, key, End::ours(EndClass::NodeLost, By::Decree, message), out);
        }
    }

    /// Puts a node's state into the event log when it has changed.
    pub(crate) fn tell_state(&mut self, now: Timestamp, id: NodeId, out: &mut Output) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let state = node.state(&self.config, now, self.grace_until);
        let told = node.told.replace(state);
        // After a start nothing is known of a node: that it does well is then no news.
        let news = match told {
            Some(told) => told != state,
            None => state == NodeState::Offline,
        };
        if news {
            let detail = Some(state.to_string());
            let changed = event(now, EventKind::NodeChanged);
            out.changes.push(Change::Event(EventRecord { node: Some(id), detail, ..changed }));
        }
    }

    /// An attempt came to its own end there: the node works.
    pub(crate) fn trust(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.losses.clear();
        }
    }

    /// A node says that it lost an attempt. Too often in a row, and it gets no more work; unless most
    /// nodes are like that, as then the fault is elsewhere.
    pub(crate) fn doubt(
        &mut self,
        now: Timestamp,
        id: NodeId,
        attempt: AttemptKey,
        out: &mut Output,
    ) {
        let granted_at = self
            .task(attempt.job, attempt.task)
            .and_then(|task| task.lease())
            .map(|lease| lease.granted_at);
        let (online, active) = self.online_and_active(now);
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let loss = if granted_at.is_some_and(|granted| granted <= node.hello_at) {
            Loss::Crash(node.hello_at)
        } else {
            Loss::Task(attempt.job, attempt.task)
        };
        node.losses.insert(loss);
        let losses = u32::try_from(node.losses.len()).unwrap_or(u32::MAX);
        let most_left = active.saturating_sub(1) * 2 >= online;
        let is_active = node.record.setting == NodeSetting::Active;
        if is_active && losses >= self.config.node_losses_max && most_left {
            self.set_node(now, id, NodeSetting::Quarantined, out);
        }
    }

    fn online_and_active(&self, now: Timestamp) -> (usize, usize) {
        let online = self.nodes.values().filter(|node| node.is_online(&self.config, now));
        online.fold((0, 0), |(online, active), node| {
            let is_active = node.record.setting == NodeSetting::Active;
            (online + 1, active + usize::from(is_active))
        })
    }
}
