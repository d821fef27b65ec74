//! Taking back what was granted ahead when the work before it is not short after all.
//!
//! Expectations fail: the next task of a job whose tasks took a millisecond may take an hour, and what was
//! granted ahead would wait behind it while other nodes idle. So what has not begun in `recall_after` is
//! asked back, and what still runs by then counts as slow: nothing more is granted behind it.

use mesh_schemas::{AttemptKey, NodeId, Timestamp, message::StopReason};

use crate::{
    Core, Output,
    command::push_stops,
    lease::{Lease, Share},
    task::State,
};

/// What is to be done about one lease.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Late {
    /// It waits on the node.
    Waits,
    /// It runs.
    Runs,
}

impl Core {
    /// To be called with each tick.
    pub(crate) fn recall(&mut self, now: Timestamp, id: NodeId, out: &mut Output) {
        let Some(node) = self.nodes.get(&id) else { return };
        if node.used == node.slow || !node.is_online(&self.config, now) {
            return;
        }
        let held = node.held.iter();
        let late: Vec<(AttemptKey, Late)> = held
            .filter_map(|&(job, index)| {
                let task = self.task(job, index)?;
                Some((task.key(job, index), self.lateness(now, &task.state)?))
            })
            .collect();
        let mut waiting = Vec::new();
        for (attempt, late) in late {
            match late {
                Late::Waits => {
                    self.touch_lease(attempt, |lease| {
                        lease.sent_at = now;
                        lease.recalled = true;
                    });
                    waiting.push(attempt);
                }
                Late::Runs => self.count_as_slow(id, attempt),
            }
        }
        push_stops(out, id, &waiting, StopReason::Preempted);
    }

    fn lateness(&self, now: Timestamp, state: &State) -> Option<Late> {
        let is_due = |since: Timestamp| now.since(since) >= self.config.recall_after;
        match state {
            State::Leased { lease } => {
                let waits = lease.share == Share::Prefetched && lease.named;
                (waits && is_due(lease.sent_at)).then_some(Late::Waits)
            }
            State::Running { lease, .. } => {
                (lease.share != Share::Slow && is_due(lease.granted_at)).then_some(Late::Runs)
            }
            State::Queued(_) => None,
        }
    }

    fn count_as_slow(&mut self, id: NodeId, attempt: AttemptKey) {
        let Some(class) = self.jobs.get(&attempt.job).map(|job| job.class) else { return };
        let Some(needs) = self.classes.get(class).map(|class| class.needs.clone()) else { return };
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Some(job) = self.jobs.get_mut(&attempt.job) else { return };
        let task = job.tasks.get_mut(&attempt.task);
        let Some(lease) = task.and_then(|task| task.lease_mut()) else { return };
        node.release(attempt.job, attempt.task, &needs, lease);
        lease.share = Share::Slow;
        node.hold(attempt.job, attempt.task, &needs, lease);
    }

    /// Changes the lease of an attempt, when it has one.
    pub(crate) fn touch_lease(&mut self, attempt: AttemptKey, change: impl FnOnce(&mut Lease)) {
        let job = self.jobs.get_mut(&attempt.job);
        let task = job.and_then(|job| job.tasks.get_mut(&attempt.task));
        if let Some(lease) = task.and_then(|task| task.lease_mut()) {
            change(lease);
        }
    }
}
