//! The numbered events: given out in order, sent again from the first unrecorded one on.

use std::{collections::VecDeque, time::Duration};

use mesh_schemas::{JournalId, Timestamp, message::NodeEvent};

/// Without a confirmation for so long, everything unrecorded is sent again.
pub const RESEND_AFTER: Duration = Duration::from_secs(3);

/// Events that the orchestrator has not recorded, and how far they have been sent.
#[derive(Debug)]
pub(crate) struct EventLog {
    pub(crate) journal: JournalId,
    /// Numbers up to this one are recorded.
    recorded: u64,
    /// Those after it, in order.
    unrecorded: VecDeque<NodeEvent>,
    /// Numbers up to this one have been sent since the last going back.
    sent: u64,
    /// Since when something sent waits for its confirmation.
    waiting_since: Option<Timestamp>,
}

impl EventLog {
    pub(crate) const fn new(journal: JournalId) -> Self {
        Self { journal, recorded: 0, unrecorded: VecDeque::new(), sent: 0, waiting_since: None }
    }

    pub(crate) const fn recorded(&self) -> u64 {
        self.recorded
    }

    /// The last number given.
    pub(crate) fn last(&self) -> u64 {
        self.recorded + self.unrecorded.len() as u64
    }

    pub(crate) fn push(&mut self, event: NodeEvent) -> u64 {
        self.unrecorded.push_back(event);
        self.last()
    }

    /// Unrecorded events with their numbers.
    pub(crate) fn unrecorded(&self) -> impl Iterator<Item = (u64, &NodeEvent)> {
        (self.recorded + 1..).zip(&self.unrecorded)
    }

    /// Those of them that are to be sent now.
    pub(crate) fn unsent(&self) -> impl Iterator<Item = (u64, &NodeEvent)> {
        let skip = usize::try_from(self.sent - self.recorded).unwrap_or(usize::MAX);
        (self.sent + 1..).zip(self.unrecorded.range(skip.min(self.unrecorded.len())..))
    }

    pub(crate) fn mark_sent(&mut self, through: u64, now: Timestamp) {
        self.sent = through.clamp(self.sent, self.last());
        if self.sent > self.recorded && self.waiting_since.is_none() {
            self.waiting_since = Some(now);
        }
    }

    /// Forgets events up to `seq` and gives them back; `seq` must be a number that was given.
    pub(crate) fn confirm(&mut self, seq: u64, now: Timestamp) -> Vec<(u64, NodeEvent)> {
        let count = usize::try_from(seq.saturating_sub(self.recorded)).unwrap_or(usize::MAX);
        let first = self.recorded + 1;
        let gone: Vec<_> = self.unrecorded.drain(..count.min(self.unrecorded.len())).collect();
        self.recorded += gone.len() as u64;
        self.sent = self.sent.max(self.recorded);
        if !gone.is_empty() {
            self.waiting_since = (self.sent > self.recorded).then_some(now);
        }
        (first..).zip(gone).collect()
    }

    /// Everything unrecorded is to be sent again.
    pub(crate) const fn go_back(&mut self) {
        self.sent = self.recorded;
        self.waiting_since = None;
    }

    pub(crate) fn on_tick(&mut self, now: Timestamp) {
        if self.waiting_since.is_some_and(|since| now.since(since) >= RESEND_AFTER) {
            self.go_back();
        }
    }

    /// Begins to count anew under another journal; unrecorded events keep their order.
    pub(crate) fn reopen(&mut self, journal: JournalId) {
        self.journal = journal;
        self.recorded = 0;
        self.go_back();
    }

    /// Where a compacted journal begins to count.
    pub(crate) fn begin_after(&mut self, seq: u64) {
        self.recorded = seq;
        self.go_back();
    }
}
