//! Time passes: leases end, queues time out, waits are over, commands are said again.

use mesh_schemas::{
    AttemptKey, EndClass, JobId, NodeId, TaskState, Timestamp, api::EventKind, message::StopReason,
};

use crate::{
    Change, Core, EventRecord, Output,
    command::push_stops,
    core::{job_event, task_finished},
    ended::{By, End},
    task::{State, Wait},
};

impl Core {
    pub(crate) fn on_tick(&mut self, now: Timestamp, out: &mut Output) {
        if now.since(self.last_tick) > self.config.suspect_after {
            // It was us who were away: the nodes get the time to be heard again.
            self.grace_until = self.grace_until.max(now + self.config.lease_ttl);
        }
        self.last_tick = now;
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        for node in nodes {
            self.tell_state(now, node, out);
            self.mind_leases(now, node, out);
            self.recall(now, node, out);
        }
        self.time_out_queues(now, out);
        self.end_waits(now);
    }

    /// Ends a node's leases that ran out, and says again what is to stop.
    fn mind_leases(&mut self, now: Timestamp, id: NodeId, out: &mut Output) {
        let Some(node) = self.nodes.get(&id) else { return };
        let may_expire = now >= self.grace_until;
        let online = node.is_online(&self.config, now);
        let mut expired = Vec::new();
        let mut stops = Vec::new();
        for &(job, index) in &node.held {
            let Some(task) = self.task(job, index) else { continue };
            let Some(lease) = task.lease() else { continue };
            if may_expire && lease.expires_at <= now {
                expired.push((job, index));
            } else if online
                && task.cancel_requested
                && now.since(lease.sent_at) >= self.config.resend_after
            {
                stops.push(task.key(job, index));
            }
        }
        self.stop_again(now, id, &stops, out);
        for key in expired {
            let message = format!(
                "lost: its node was not heard to hold it for {}",
                mesh_schemas::Span::from_millis(millis(self.config.lease_ttl))
            );
            self.end_attempt(now, key, End::ours(EndClass::NodeLost, By::Expiry, message), out);
        }
    }

    fn stop_again(
        &mut self,
        now: Timestamp,
        node: NodeId,
        attempts: &[AttemptKey],
        out: &mut Output,
    ) {
        for attempt in attempts {
            if let Some(lease) = self.lease_mut(attempt.job, attempt.task) {
                lease.sent_at = now;
            }
        }
        push_stops(out, node, attempts, StopReason::Cancelled);
    }

    /// Makes tasks ready whose wait is over.
    pub(crate) fn end_waits(&mut self, now: Timestamp) {
        while let Some(&(time, id, index)) = self.waits.first() {
            if time > now {
                return;
            }
            self.waits.pop_first();
            if let Some(job) = self.jobs.get_mut(&id) {
                job.ready.insert(index);
            }
            self.sync_ready(id);
        }
    }

    fn time_out_queues(&mut self, now: Timestamp, out: &mut Output) {
        while let Some(&(deadline, id)) = self.deadlines.first() {
            if deadline > now {
                return;
            }
            self.deadlines.pop_first();
            self.time_out_queue(now, id, out);
        }
    }

    /// Fails all tasks of a job that were never granted.
    fn time_out_queue(&mut self, now: Timestamp, id: JobId, out: &mut Output) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.queue_until = None;
        let limit = job.spec.timeouts.queue.unwrap_or_default();
        let why = format!("timeout: waited in the queue for longer than {limit}");
        let fresh = job.end_fresh(TaskState::Failed);
        if fresh > 0 {
            let detail = Some(format!("{}: {why} ({fresh} tasks)", TaskState::Failed));
            let finished = job_event(now, EventKind::TaskFinished, id);
            out.changes.push(Change::Event(EventRecord { detail, ..finished }));
        }
        let never_granted: Vec<(u32, Wait)> = job
            .tasks
            .iter()
            .filter(|(_, task)| task.epoch.0 == 0)
            .filter_map(|(index, task)| match &task.state {
                State::Queued(wait) => Some((*index, *wait)),
                State::Leased { .. } | State::Running { .. } => None,
            })
            .collect();
        for (index, wait) in never_granted {
            self.fail_waiting(now, (id, index), wait, &why, out);
        }
        self.changed(now, id, out);
    }

    fn fail_waiting(
        &mut self,
        now: Timestamp,
        (id, index): (JobId, u32),
        wait: Wait,
        why: &str,
        out: &mut Output,
    ) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(task) = job.tasks.remove(&index) else { return };
        if let Wait::Until(time) = wait {
            self.waits.remove(&(time, id, index));
        }
        job.ready.remove(&index);
        job.moved(1, TaskState::Queued, TaskState::Failed);
        let ended = task.ended_record(id, index, TaskState::Failed);
        out.changes.push(Change::Task(Box::new(ended)));
        out.changes.push(task_finished(now, id, index, TaskState::Failed, Some(why)));
    }
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
