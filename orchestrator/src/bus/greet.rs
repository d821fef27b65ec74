//! Asking all nodes for a report when the lead begins: otherwise each would be heard at its next beat alone, and
//! given no work until then.

use std::time::Duration;

use async_nats::{Client, connection::State};
use mesh_core::{Command, NodeSetting};
use mesh_schemas::message::NodeCommand;
use tracing::debug;

use super::{commands, split};
use crate::{engine, lead::Lease};

/// How often it is looked whether the broker and the engine are there.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Nodes that are asked at once: their reports come back together.
const NODES_AT_ONCE: usize = 100;

/// Asks each node once. One that does not hear it is heard when it beats.
pub(super) async fn run(client: Client, engine: engine::Handle, lease: Lease) {
    let nodes = loop {
        if client.connection_state() == State::Connected
            && let Ok(nodes) = engine.node_statuses().await
        {
            break nodes;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let known = nodes.iter().filter(|node| node.record.setting != NodeSetting::Revoked);
    let greetings: Vec<Command> =
        known.map(|node| Command { node: node.record.id, command: NodeCommand::Report }).collect();
    debug!(nodes = greetings.len(), "Asking nodes for their reports");
    for batch in greetings.chunks(NODES_AT_ONCE) {
        if !lease.holds() {
            return;
        }
        let (messages, _) = split::messages(lease.leader(), batch.to_vec());
        for message in messages {
            commands::send(&client, message).await;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
