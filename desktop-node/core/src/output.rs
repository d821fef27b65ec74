//! What comes out of the core.

use mesh_schemas::{
    AttemptKey, JournalId, Span, Timestamp,
    message::{NodeEvent, StartTasks},
};

use crate::{Rejected, StopCause};

/// What one input led to. The shell appends `records` to the journal, then carries out `actions`.
#[derive(Debug, Default)]
pub struct Output {
    /// To be appended before anything is said or done outside.
    pub records: Vec<Record>,
    /// To be carried out in this order.
    pub actions: Vec<Action>,
    /// What was not taken, to be counted.
    pub rejected: Vec<Rejected>,
}

impl Output {
    /// Empties it, keeping its room.
    pub fn clear(&mut self) {
        self.records.clear();
        self.actions.clear();
        self.rejected.clear();
    }

    /// Keeps what was not taken.
    pub(crate) fn note(&mut self, done: Result<(), Rejected>) {
        self.rejected.extend(done.err());
    }

    /// True when nothing came of it.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.actions.is_empty() && self.rejected.is_empty()
    }
}

/// One line of the journal. Replayed in order, the records are the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Numbers begin anew under this journal; what was unrecorded keeps its order.
    Opened {
        /// The journal's id.
        journal: JournalId,
        /// The boot of the machine that it was opened in.
        boot: String,
    },
    /// These tasks were taken.
    Accepted(Box<StartTasks>),
    /// An attempt is to end.
    Stopping {
        /// Which.
        attempt: AttemptKey,
        /// Why.
        cause: StopCause,
        /// Since when.
        at: Timestamp,
    },
    /// An event got this number.
    Event {
        /// The number.
        seq: u64,
        /// What came to pass.
        event: NodeEvent,
    },
    /// The orchestrator has recorded all up to this number.
    Recorded {
        /// The number.
        seq: u64,
    },
    /// A fenced attempt is gone; nothing is reported of it.
    Dropped {
        /// Which.
        attempt: AttemptKey,
    },
    /// Attempts forgotten before the journal was compacted, the oldest first.
    Tombstones(Vec<AttemptKey>),
}

/// What the shell is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Make the directory, fetch input and checkpoint. Answered by [`crate::Input::Prepared`].
    Prepare(AttemptKey),
    /// Give up preparing. Answered by [`crate::Input::Prepared`] all the same.
    AbortPrepare(AttemptKey),
    /// Hand it to the supervisor, which runs it when there is room. Safe to do twice.
    Submit(AttemptKey),
    /// End its whole process tree: ask, wait `grace`, kill; a grace of zero kills at once.
    Stop {
        /// Which.
        attempt: AttemptKey,
        /// How long it may take to end by itself.
        grace: Span,
    },
    /// It runs: look after its output. Safe to do twice.
    Watch(AttemptKey),
    /// Store its last output. Answered by `Stored` or `Fenced`; tried for as long as that may heal.
    StoreFinal(AttemptKey),
    /// Let the supervisor forget it, stop its uploads and remove its directory.
    Forget(AttemptKey),
    /// What is held has changed in a way that the orchestrator waits to see.
    Beat,
    /// Say hello, with everything held.
    Hello,
}
