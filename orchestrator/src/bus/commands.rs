//! Sending commands. What cannot be sent is dropped: the core says it again until it shows.

use async_nats::{Client, connection::State};
use mesh_core::Command;
use mesh_fabric::nats::traced_headers;
use mesh_schemas::subject;
use metrics::counter;
use tokio::sync::mpsc;
use tracing::{debug, error};

use super::split::{self, Outgoing};
use crate::lead::Lease;

/// Sends until the engine ends.
pub(super) async fn run(client: Client, lease: Lease, mut commands: mpsc::Receiver<Vec<Command>>) {
    while let Some(batch) = commands.recv().await {
        // Words kept for a broker that is away would be stale when it comes back.
        if client.connection_state() != State::Connected {
            count("disconnected", batch.len());
            continue;
        }
        // Nodes refuse an older leader's words; this saves them from hearing any.
        if !lease.holds() {
            count("not_leader", batch.len());
            continue;
        }
        let (messages, too_large) = split::messages(lease.leader(), batch);
        if too_large > 0 {
            error!("{too_large} commands are too long for a message; their tasks cannot start");
            count("too_large", too_large);
        }
        for message in messages {
            send(&client, message).await;
        }
    }
}

pub(super) async fn send(client: &Client, message: Outgoing) {
    let subject = subject::node_commands(message.node);
    let payload = message.payload.into();
    let sent = match message.trace {
        Some(trace) => client.publish_with_headers(subject, traced_headers(trace), payload).await,
        None => client.publish(subject, payload).await,
    };
    match sent {
        Ok(()) => counter!("mesh_command_messages_total").increment(1),
        Err(error) => {
            debug!(node.id = %message.node, "Could not send commands: {error}");
            count("publish", 1);
        }
    }
}

fn count(reason: &'static str, count: usize) {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    counter!("mesh_commands_unsent_total", "reason" => reason).increment(count);
}
