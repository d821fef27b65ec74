//! What the engine lets the other threads see: beats and log readers look here and never wait for it.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use mesh_schemas::{AttemptKey, JournalId, message::HeldAttempts};

/// The node as of the engine's last step.
#[derive(Debug)]
pub(super) struct Board {
    seen: Mutex<Seen>,
    /// The disk is nearly full.
    pub(super) disk_low: AtomicBool,
    /// The node is to stop.
    pub(super) draining: AtomicBool,
}

#[derive(Debug)]
struct Seen {
    journal: JournalId,
    /// Sorted; with whether its processes are gone.
    attempts: Vec<(AttemptKey, bool)>,
}

impl Board {
    pub(super) const fn new(journal: JournalId) -> Self {
        let seen = Mutex::new(Seen { journal, attempts: Vec::new() });
        let (disk_low, draining) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { seen, disk_low, draining }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the present state; `attempts` come in their order.
    pub(super) fn show(
        &self,
        journal: JournalId,
        attempts: impl Iterator<Item = (AttemptKey, bool)>,
    ) {
        let mut seen = self.seen();
        seen.journal = journal;
        seen.attempts.clear();
        seen.attempts.extend(attempts);
    }

    pub(super) fn journal(&self) -> JournalId {
        self.seen().journal
    }

    /// `None` when the attempt is not held, otherwise whether its processes are gone.
    pub(super) fn is_over(&self, attempt: AttemptKey) -> Option<bool> {
        let seen = self.seen();
        let at = seen.attempts.binary_search_by_key(&attempt, |(key, _)| *key).ok()?;
        seen.attempts.get(at).map(|(_, over)| *over)
    }

    /// The attempts held, by job.
    pub(super) fn held(&self) -> Vec<HeldAttempts> {
        let mut held: Vec<HeldAttempts> = Vec::new();
        for (key, _) in &self.seen().attempts {
            match held.last_mut() {
                Some(last) if last.job == key.job => last.tasks.push((key.task, key.epoch)),
                Some(_) | None => {
                    let tasks = vec![(key.task, key.epoch)];
                    held.push(HeldAttempts { job: key.job, tasks });
                }
            }
        }
        held
    }

    pub(super) fn is_paused(&self) -> bool {
        self.disk_low.load(Ordering::Relaxed) || self.draining.load(Ordering::Relaxed)
    }
}
