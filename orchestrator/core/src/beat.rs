//! Signs of life: they renew leases, bring back what was given up too early, stop what must not run, and
//! show which commands never arrived.

use std::collections::BTreeSet;

use mesh_schemas::{
    AttemptKey, EndClass, JobId, NodeId, TaskState, Timestamp,
    api::EventKind,
    message::{HeldAttempts, NodeBeat, NodeCommand, NodeReport, StopReason, TaskStart},
};

use crate::{
    Change, Command, Core, Output, Rejected, Reply,
    command::{push_starts, push_stops},
    core::attempt_event,
    ended::{By, End},
    lease::{Lease, Share},
    task::{State, Wait},
};

/// Which of a node's unconfirmed grants are said again.
#[derive(Debug, Clone, Copy)]
enum Resend {
    /// Each.
    All,
    /// Those that were said a while ago: a younger one may be on its way.
    Overdue,
}

impl Core {
    pub(crate) fn on_hello(
        &mut self,
        now: Timestamp,
        report: &NodeReport,
        out: &mut Output,
    ) -> Result<Reply, Rejected> {
        let id = report.node;
        let node = self.node_mut(id)?;
        let new_journal = node.open_journal(report.journal);
        let changed = node.take_report(report);
        node.hello_at = now;
        node.seen_at = Some(now);
        let recorded_seq = node.journals.get(&report.journal).copied().unwrap_or(0);
        if changed {
            out.changes.push(Change::Node(Box::new(node.record.clone())));
        }
        if new_journal {
            let journal = report.journal;
            out.changes.push(Change::NodeJournal { node: id, journal, seq: 0 });
        }
        self.gained.insert(id);
        self.tell_state(now, id, out);
        if new_journal {
            self.lose_forgotten(now, id, &report.held, out);
        }
        // Whoever says hello has just come, or come back: what was sent before may never have reached it.
        self.on_held(now, id, &report.held, Resend::All, out);
        Ok(Reply::Welcome { recorded_seq })
    }

    pub(crate) fn on_beat(
        &mut self,
        now: Timestamp,
        beat: &NodeBeat,
        out: &mut Output,
    ) -> Result<Reply, Rejected> {
        let id = beat.node;
        self.recorded_seq(id, beat.journal, out)?;
        let config = self.config.clone();
        let node = self.node_mut(id)?;
        if node.journal() != Some(beat.journal) {
            // Its last report came late, from before its disk was wiped: ask for a new one.
            out.commands.push(Command { node: id, command: NodeCommand::Report });
        }
        if !node.is_online(&config, now) || (node.paused && !beat.paused) {
            self.gained.insert(id);
        }
        let node = self.node_mut(id)?;
        node.seen_at = Some(now);
        node.load = Some(beat.load);
        node.paused = beat.paused;
        self.tell_state(now, id, out);
        self.on_held(now, id, &beat.held, Resend::Overdue, out);
        Ok(Reply::Done)
    }

    /// Compares what a node holds with what it should hold.
    fn on_held(
        &mut self,
        now: Timestamp,
        node: NodeId,
        held: &[HeldAttempts],
        which: Resend,
        out: &mut Output,
    ) {
        let mut strangers = Vec::new();
        for of_job in held {
            for &(task, epoch) in &of_job.tasks {
                let attempt = AttemptKey { job: of_job.job, task, epoch };
                if !self.renew(now, node, attempt) && !self.adopt(now, node, attempt, out) {
                    strangers.push(attempt);
                }
            }
        }
        push_stops(out, node, &strangers, StopReason::Fenced);
        self.resend(now, node, which, out);
    }

    /// A new journal is a new memory: of what the old one had, whatever the report does not name is lost. To send
    /// it again would begin it anew under the same epoch if it had begun and that was forgotten.
    fn lose_forgotten(
        &mut self,
        now: Timestamp,
        id: NodeId,
        held: &[HeldAttempts],
        out: &mut Output,
    ) {
        let tasks = |of: &HeldAttempts| {
            let job = of.job;
            of.tasks.clone().into_iter().map(move |(task, epoch)| AttemptKey { job, task, epoch })
        };
        let named: BTreeSet<AttemptKey> = held.iter().flat_map(tasks).collect();
        let Some(node) = self.nodes.get(&id) else { return };
        let leased = node.held.iter().filter_map(|&(job, index)| {
            let attempt = self.task(job, index)?.key(job, index);
            (!named.contains(&attempt)).then_some((job, index))
        });
        for key in leased.collect::<Vec<_>>() {
            let message = "lost: its node came back without its memory of it".to_owned();
            self.end_attempt(now, key, End::ours(EndClass::NodeLost, By::Expiry, message), out);
        }
    }

    fn renew(&mut self, now: Timestamp, node: NodeId, attempt: AttemptKey) -> bool {
        let job = self.jobs.get_mut(&attempt.job);
        let Some(task) = job.and_then(|job| job.tasks.get_mut(&attempt.task)) else { return false };
        if !task.is_held_by(node, attempt.epoch) {
            return false;
        }
        if let Some(lease) = task.lease_mut() {
            lease.renew(&self.config, now);
        }
        if let Some(node) = self.nodes.get_mut(&node) {
            node.unconfirmed.remove(&(attempt.job, attempt.task));
        }
        true
    }

    /// Takes a loss back: the attempt's lease ran out, but nobody else has had the task since.
    pub(crate) fn adopt(
        &mut self,
        now: Timestamp,
        id: NodeId,
        attempt: AttemptKey,
        out: &mut Output,
    ) -> bool {
        let Some(job) = self.jobs.get_mut(&attempt.job) else { return false };
        let Some(task) = job.tasks.get_mut(&attempt.task) else { return false };
        let State::Queued(Wait::Lost { started_at }) = task.state else { return false };
        if !task.is_adoptable_by(id, attempt.epoch) {
            return false;
        }
        let share = if started_at.is_some() { Share::Slow } else { Share::Prefetched };
        let mut lease = Lease::granted(&self.config, now, id, share);
        lease.named = true;
        lease.recalled_at = started_at.is_none().then_some(now);
        if let (Some(node), Some(class)) = (self.nodes.get_mut(&id), self.classes.get(job.class)) {
            node.hold(attempt.job, attempt.task, &class.needs, &lease);
        }
        task.tries.lost = task.tries.lost.saturating_sub(1);
        task.state = match started_at {
            None => State::Leased { lease },
            Some(started_at) => State::Running { lease, started_at },
        };
        out.changes.push(Change::AttemptReopened { attempt });
        out.changes.push(Change::Task(Box::new(task.record(attempt.job, attempt.task))));
        let event = attempt_event(now, EventKind::AttemptAdopted, attempt, Some(id));
        out.changes.push(Change::Event(event));
        let to = task.state_word();
        job.moved(1, TaskState::Queued, to);
        job.ready.remove(&attempt.task);
        self.dirty.insert(attempt.job);
        self.sync_ready(attempt.job);
        true
    }

    /// What was granted and the node does not name never reached it, or is on its way: say it again.
    fn resend(&mut self, now: Timestamp, id: NodeId, which: Resend, out: &mut Output) {
        let Some(node) = self.nodes.get(&id) else { return };
        let unconfirmed: BTreeSet<(JobId, u32)> = node.unconfirmed.clone();
        let mut batch: Vec<TaskStart> = Vec::new();
        let mut batch_job = None;
        for (job, index) in unconfirmed {
            let Some(start) = self.start_again(now, (job, index), which, out) else { continue };
            if batch_job.is_some_and(|of| of != job) {
                self.send_starts(id, batch_job, &mut batch, out);
            }
            batch_job = Some(job);
            batch.push(start);
        }
        self.send_starts(id, batch_job, &mut batch, out);
    }

    fn send_starts(
        &self,
        node: NodeId,
        job: Option<JobId>,
        batch: &mut Vec<TaskStart>,
        out: &mut Output,
    ) {
        let tasks = std::mem::take(batch);
        let job = job.and_then(|job| self.jobs.get(&job));
        if let (Some(node), Some(job)) = (self.nodes.get(&node), job) {
            push_starts(out, node, job, tasks);
        }
    }

    /// The command for a lease that its node does not name, when it is time to say it again. One that is
    /// to be cancelled and never arrived has nothing to wait for.
    fn start_again(
        &mut self,
        now: Timestamp,
        (id, index): (JobId, u32),
        which: Resend,
        out: &mut Output,
    ) -> Option<TaskStart> {
        let patience = self.config.resend_after;
        let job = self.jobs.get_mut(&id)?;
        let task = job.tasks.get_mut(&index)?;
        let cancelled = task.cancel_requested;
        let lease = task.lease_mut()?;
        if cancelled {
            if now.since(lease.granted_at) >= patience {
                let message = "cancelled before it reached its node".to_owned();
                let end = End::ours(EndClass::Cancelled, By::Decree, message);
                self.end_attempt(now, (id, index), end, out);
            }
            return None;
        }
        let due = match which {
            Resend::All => true,
            Resend::Overdue => now.since(lease.sent_at) >= patience,
        };
        if !due {
            return None;
        }
        lease.sent_at = now;
        let task = self.task(id, index)?;
        Some(self.jobs.get(&id)?.task_start(index, task))
    }
}
