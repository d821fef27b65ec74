//! Sending commands. What cannot be sent is dropped: the core says it again until it shows.

use std::time::Duration;

use async_nats::{Client, connection::State};
use mesh_core::Command;
use mesh_fabric::{fail_point::FailPoint, nats::traced_headers};
use mesh_schemas::subject;
use metrics::counter;
use tokio::sync::mpsc;
use tracing::{debug, error};

use super::split::{self, Outgoing};
use crate::lead::Lease;

/// How long answers may take from the engine to the wire, where one dies behind them.
const ANSWERS_LEAVE: Duration = Duration::from_millis(50);

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
        if FailPoint::OrchestratorBeforePublish.is_due() {
            tokio::time::sleep(ANSWERS_LEAVE).await;
            FailPoint::OrchestratorBeforePublish.die();
        }
        for (place, message) in messages.into_iter().enumerate() {
            if place > 0 {
                between_messages(&client).await;
            }
            send(&client, message).await;
        }
    }
}

/// One node has its part of a batch, and the next has not.
async fn between_messages(client: &Client) {
    if FailPoint::OrchestratorMidBatch.is_due() {
        // What was published waits in the client until it is flushed.
        let _unsent = client.flush().await;
        FailPoint::OrchestratorMidBatch.die();
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
