//! The events of a simulated node: numbered, sent a few milliseconds' worth together, and kept until the
//! orchestrator has said that they are recorded.

use std::{collections::VecDeque, time::Duration};

use mesh_schemas::{
    AttemptKey, JournalId, NodeId,
    message::{EVENTS_MAX, NodeEvent, NodeEvents},
};
use tokio::time::Instant;

/// As a real agent's: events wait for one another so long.
const COALESCE: Duration = Duration::from_millis(5);

/// What was told and what of it is not known to be recorded.
pub(super) struct Outbox {
    node: NodeId,
    journal: JournalId,
    next_seq: u64,
    unsent: Vec<NodeEvent>,
    due: Option<Instant>,
    sent: VecDeque<Sent>,
}

struct Sent {
    last_seq: u64,
    payload: Vec<u8>,
    ended: Vec<AttemptKey>,
    at: Instant,
}

impl Outbox {
    pub(super) const fn new(node: NodeId, journal: JournalId) -> Self {
        Self { node, journal, next_seq: 1, unsent: Vec::new(), due: None, sent: VecDeque::new() }
    }

    /// Adds an event.
    pub(super) fn tell(&mut self, event: NodeEvent) {
        self.unsent.push(event);
        self.due.get_or_insert_with(|| Instant::now() + COALESCE);
    }

    /// When to flush, if there is something.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// A whole message waits: no reason to wait longer.
    pub(super) const fn is_full(&self) -> bool {
        self.unsent.len() >= EVENTS_MAX
    }

    /// What is to be published now.
    pub(super) fn flush(&mut self) -> Vec<Vec<u8>> {
        self.due = None;
        let mut events = std::mem::take(&mut self.unsent).into_iter();
        let mut payloads = Vec::new();
        loop {
            let message: Vec<NodeEvent> = events.by_ref().take(EVENTS_MAX).collect();
            if message.is_empty() {
                return payloads;
            }
            payloads.push(self.send(message));
        }
    }

    fn send(&mut self, events: Vec<NodeEvent>) -> Vec<u8> {
        let first_seq = self.next_seq;
        self.next_seq += events.len() as u64;
        let of_end = |event: &NodeEvent| match event {
            NodeEvent::AttemptEnded(ended) => Some(ended.attempt),
            NodeEvent::AttemptStarted { .. } | NodeEvent::ManifestCommitted { .. } => None,
        };
        let ended = events.iter().filter_map(of_end).collect();
        let message =
            NodeEvents { v: 1, node: self.node, journal: self.journal, first_seq, events };
        let payload = serde_json::to_vec(&message).unwrap_or_default();
        let (last_seq, at) = (self.next_seq - 1, Instant::now());
        self.sent.push_back(Sent { last_seq, payload: payload.clone(), ended, at });
        payload
    }

    /// Forgets what is recorded; the attempts whose ends were among it.
    pub(super) fn recorded(&mut self, seq: u64) -> Vec<AttemptKey> {
        let mut ended = Vec::new();
        while let Some(sent) = self.sent.pop_front_if(|sent| sent.last_seq <= seq) {
            ended.extend(sent.ended);
        }
        ended
    }

    /// All that is unrecorded, in its order, when the oldest has waited so long.
    pub(super) fn again(&mut self, waited: Duration) -> Vec<Vec<u8>> {
        if self.sent.front().is_none_or(|oldest| oldest.at.elapsed() < waited) {
            return Vec::new();
        }
        self.sent.iter_mut().for_each(|sent| sent.at = Instant::now());
        self.sent.iter().map(|sent| sent.payload.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use mesh_schemas::{Epoch, Timestamp};

    use super::*;

    fn outbox(events: u32) -> Outbox {
        let mut outbox = Outbox::new(mesh_fabric::ids::node_id(), mesh_fabric::ids::journal_id());
        let job = mesh_fabric::ids::job_id();
        for task in 0..events {
            let attempt = AttemptKey { job, task, epoch: Epoch(1) };
            outbox.tell(NodeEvent::AttemptStarted { attempt, at: Timestamp::from_millis(1) });
        }
        outbox
    }

    fn runs(payloads: &[Vec<u8>]) -> Vec<(u64, usize)> {
        let read = |payload: &Vec<u8>| serde_json::from_slice::<NodeEvents>(payload).unwrap();
        payloads.iter().map(read).map(|events| (events.first_seq, events.events.len())).collect()
    }

    #[test]
    fn numbers_grow_without_a_gap_and_no_message_is_too_long() {
        let mut outbox = outbox(600);
        assert!(outbox.is_full() && outbox.due().is_some());
        assert_eq!(runs(&outbox.flush()), [(1, 512), (513, 88)]);
        assert!(outbox.due().is_none() && outbox.flush().is_empty());
    }

    #[test]
    fn what_is_not_recorded_is_said_again_in_its_order() {
        let mut outbox = outbox(600);
        outbox.flush();
        assert!(outbox.again(Duration::from_secs(60)).is_empty());
        outbox.recorded(512);
        assert_eq!(runs(&outbox.again(Duration::ZERO)), [(513, 88)]);
        outbox.recorded(600);
        assert!(outbox.again(Duration::ZERO).is_empty());
    }
}
