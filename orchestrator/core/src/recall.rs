//! Taking back what was granted ahead when the work before it is not short after all.
//!
//! Expectations fail: the next task of a job whose tasks took a millisecond may take an hour, and what was
//! granted ahead would wait behind it while other nodes idle. So what still runs after `recall_after` counts as
//! slow, which the history learns; and when slow work fills a node, what was granted ahead there and has waited as
//! long is asked back. It is queued again, and counts as no failure.

use mesh_schemas::{AttemptKey, JobId, NodeId, Timestamp, message::StopReason};

use crate::{
    Core, Output,
    command::push_stops,
    lease::{Lease, Share},
    task::State,
};

impl Core {
    /// To be called with each tick.
    pub(crate) fn recall(&mut self, now: Timestamp, id: NodeId, out: &mut Output) {
        let Some(node) = self.nodes.get(&id) else { return };
        if node.used == node.slow || !node.is_online(&self.config, now) {
            return;
        }
        let held: Vec<(JobId, u32)> = node.held.iter().copied().collect();
        for &task in &held {
            if self.runs_long(now, task) {
                self.count_as_slow(now, id, task);
            }
        }
        let waiting: Vec<AttemptKey> =
            held.iter().filter_map(|task| self.waits_in_vain(now, id, *task)).collect();
        for attempt in &waiting {
            if let Some(lease) = self.lease_mut(attempt.job, attempt.task) {
                lease.recalled_at = Some(now);
            }
        }
        push_stops(out, id, &waiting, StopReason::Preempted);
    }

    fn runs_long(&self, now: Timestamp, (job, index): (JobId, u32)) -> bool {
        let Some(State::Running { lease, .. }) = self.task(job, index).map(|task| &task.state)
        else {
            return false;
        };
        lease.share != Share::Slow && now.since(lease.granted_at) >= self.config.recall_after
    }

    /// The attempt, when it was granted ahead, has not begun for long, and has no slot to begin in.
    fn waits_in_vain(
        &self,
        now: Timestamp,
        id: NodeId,
        (job, index): (JobId, u32),
    ) -> Option<AttemptKey> {
        let task = self.task(job, index)?;
        let State::Leased { lease } = &task.state else { return None };
        let last_asked = lease.recalled_at.unwrap_or(lease.granted_at);
        let is_due = now.since(last_asked) >= self.config.recall_after;
        let may_be_asked =
            lease.share == Share::Prefetched && lease.named && !task.cancel_requested;
        let needs = &self.classes.get(self.jobs.get(&job)?.class)?.needs;
        let node = self.nodes.get(&id)?;
        let is_full = node.slow.room_for(needs, &node.capacity) == 0;
        (may_be_asked && is_due && is_full).then(|| task.key(job, index))
    }

    fn count_as_slow(&mut self, now: Timestamp, id: NodeId, (job_id, index): (JobId, u32)) {
        let Some(job) = self.jobs.get_mut(&job_id) else { return };
        let Some(class) = self.classes.get(job.class) else { return };
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let task = job.tasks.get_mut(&index);
        let Some(lease) = task.and_then(|task| task.lease_mut()) else { return };
        let ran_ms = u64::try_from(now.since(lease.granted_at).as_millis()).unwrap_or(u64::MAX);
        self.history.learn(job.work, ran_ms);
        node.release(job_id, index, &class.needs, lease);
        lease.share = Share::Slow;
        node.hold(job_id, index, &class.needs, lease);
    }

    pub(crate) fn lease_mut(&mut self, job: JobId, task: u32) -> Option<&mut Lease> {
        self.jobs.get_mut(&job)?.tasks.get_mut(&task)?.lease_mut()
    }
}
