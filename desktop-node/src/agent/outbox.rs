//! When and how events leave: at once when the node would otherwise have nothing to do, and some
//! milliseconds' worth together while it has more work than it can run.

use std::time::Duration;

use mesh_fabric::fail_point::FailPoint;
use mesh_node_core::Node;
use mesh_schemas::{
    JournalId, NodeId, Timestamp, TraceParent,
    message::{EVENTS_MAX, MESSAGE_BYTES_MAX, MESSAGE_VERSION, NodeEvent, NodeEvents},
};

use super::wire::Wire;

/// While work waits on this node for work before it, events wait so long for one another: nobody can be
/// waiting for room here, and each message costs broker and database as much as hundreds of events.
const COALESCE: Duration = Duration::from_millis(25);
/// With so many they wait no longer.
const EAGER_EVENTS: usize = 256;

/// Sends the node's events.
#[derive(Debug)]
pub(super) struct Outbox {
    node: NodeId,
    last: Timestamp,
}

impl Outbox {
    pub(super) const fn new(node: NodeId, now: Timestamp) -> Self {
        Self { node, last: now }
    }

    /// When there is something to send, if there is.
    pub(super) fn due(&self, node: &Node, wire: &Wire) -> Option<Timestamp> {
        let waiting = node.unsent().take(EAGER_EVENTS).count();
        if waiting == 0 || !wire.is_connected() {
            return None;
        }
        let may_wait = waiting < EAGER_EVENTS && node.has_work_ahead();
        Some(if may_wait { self.last + COALESCE } else { self.last })
    }

    /// Sends what is due. Unconnected, nothing leaves: the welcome starts over.
    pub(super) async fn flush(&mut self, node: &mut Node, wire: &Wire, now: Timestamp) {
        while self.due(node, wire).is_some_and(|due| due <= now) {
            let (first, events, trace) = take(node);
            let through = first + events.len() as u64 - 1;
            let is_end = |event: &NodeEvent| matches!(event, NodeEvent::AttemptEnded(_));
            FailPoint::AgentExitWritten.pass_if(|| events.iter().any(is_end));
            metrics::counter!("mesh_node_events_sent_total").increment(events.len() as u64);
            for payload in payloads(self.node, node.journal(), first, events) {
                wire.publish_events(trace, payload).await;
            }
            node.mark_sent(through, now);
            self.last = now;
        }
    }
}

/// The next events, and the trace of the first one's job.
fn take(node: &Node) -> (u64, Vec<NodeEvent>, Option<TraceParent>) {
    let first = node.unsent().next().map_or(1, |(seq, _)| seq);
    let events: Vec<NodeEvent> =
        node.unsent().take(EVENTS_MAX).map(|(_, event)| event.clone()).collect();
    let attempt = events.first().and_then(|event| node.attempt(event.attempt()));
    let trace = attempt.map(|attempt| attempt.job.trace.child(mesh_fabric::ids::span_id()));
    (first, events, trace)
}

/// One message, or as many as it takes to keep each within the broker's limit.
fn payloads(
    node: NodeId,
    journal: JournalId,
    first_seq: u64,
    events: Vec<NodeEvent>,
) -> Vec<Vec<u8>> {
    let mut message = NodeEvents { v: MESSAGE_VERSION, node, journal, first_seq, events };
    let payload = match serde_json::to_vec(&message) {
        Ok(payload) => payload,
        Err(error) => {
            tracing::error!(%error, "Events cannot be written");
            return Vec::new();
        }
    };
    if payload.len() <= MESSAGE_BYTES_MAX || message.events.len() == 1 {
        return vec![payload];
    }
    let rest = message.events.split_off(message.events.len() / 2);
    let second = first_seq + message.events.len() as u64;
    let mut all = payloads(node, journal, first_seq, message.events);
    all.extend(payloads(node, journal, second, rest));
    all
}

#[cfg(test)]
mod tests {
    use mesh_schemas::message::{AttemptEnded, Usage};
    use mesh_schemas::{AttemptKey, EndClass, Epoch, JobId, manifest::ManifestSummary};

    use super::*;

    fn event(task: u32, bytes: usize) -> NodeEvent {
        let job = JobId::from_uuid(uuid::Uuid::from_u128(1));
        NodeEvent::AttemptEnded(Box::new(AttemptEnded {
            attempt: AttemptKey { job, task, epoch: Epoch(1) },
            started_at: None,
            ended_at: Timestamp::default(),
            class: EndClass::Success,
            exit_code: Some(0),
            signal: None,
            message: Some("x".repeat(bytes)),
            manifest: ManifestSummary::empty(),
            usage: Usage::default(),
        }))
    }

    #[test]
    fn large_events_are_split_without_a_gap_and_below_the_limit() {
        let (node, journal) = (
            NodeId::from_uuid(uuid::Uuid::from_u128(1)),
            JournalId::from_uuid(uuid::Uuid::from_u128(2)),
        );
        let events: Vec<_> = (0..400).map(|task| event(task, 10_000)).collect();
        let mut next = 7;
        for payload in payloads(node, journal, 7, events) {
            assert!(payload.len() <= MESSAGE_BYTES_MAX);
            let message: NodeEvents = serde_json::from_slice(&payload).unwrap();
            assert_eq!(message.first_seq, next);
            next += message.events.len() as u64;
        }
        assert_eq!(next, 407);
    }
}
