//! Trying ended tasks again because somebody asked: the only way out of an end.

use mesh_schemas::{JobId, TaskState, Timestamp, api::EventKind, attempt::JobState};

use crate::{
    Change, Core, EventRecord, JobRecord, Output, Rejected, Reply, TaskRecord, Tries,
    core::job_event,
    job::{Job, count_mut},
    task::{State, Task, Wait},
};

impl Core {
    /// `record`, `tasks` and `after` must be as the store has them after the last round's commit: epochs
    /// go on from theirs.
    pub(crate) fn on_retry(
        &mut self,
        now: Timestamp,
        record: JobRecord,
        tasks: Vec<TaskRecord>,
        after: &[(JobId, JobState)],
        out: &mut Output,
    ) -> Result<Reply, Rejected> {
        let id = record.id;
        let live = self.jobs.contains_key(&id);
        let stale = self.ended.contains_key(&id) || !record.progress.state.is_terminal();
        if !live && stale {
            // It ended in this very round, perhaps not for the first time, and what the shell has read
            // is from before.
            return Err(Rejected::NothingToRetry(id));
        }
        if !live {
            // It may have been cancelled because one of these did not succeed.
            self.check_after(&record.spec.after, after)?;
        }
        let mut job = match self.jobs.remove(&id) {
            Some(job) => job,
            None => {
                let class = self.classes.join(&record.spec);
                Job::from_record(record, class)
            }
        };
        let touched = requeue(now, &mut job, tasks, out);
        if touched == 0 {
            if live {
                self.jobs.insert(id, job);
            } else {
                self.classes.leave(job.class, job.order());
            }
            return Err(Rejected::NothingToRetry(id));
        }
        self.revive(now, job, live, out);
        Ok(Reply::Changed { tasks: touched })
    }

    fn revive(&mut self, now: Timestamp, mut job: Job, was_live: bool, out: &mut Output) {
        job.cancel_requested = false;
        job.granted |= job.counts.succeeded > 0 || job.tasks.values().any(|task| task.epoch.0 > 0);
        let waiting = job.counts.queued;
        let id: JobId = self.insert_job(job);
        if !was_live {
            self.ended.remove(&id);
            self.block_on_live_dependencies(id);
        }
        self.begin_queueing(now, id);
        let detail = Some(crate::why::waiting(waiting));
        let retried = job_event(now, EventKind::JobRetried, id);
        out.changes.push(Change::Event(EventRecord { detail, ..retried }));
        self.dirty.insert(id);
        self.sync_ready(id);
    }
}

/// Queues the job's ended tasks; how many.
fn requeue(now: Timestamp, job: &mut Job, tasks: Vec<TaskRecord>, out: &mut Output) -> u32 {
    let mut touched = 0;
    for retry in tasks {
        if !may_requeue(job, &retry) {
            continue;
        }
        let task = Task {
            epoch: retry.epoch,
            node: retry.node,
            tries: Tries::default(),
            cancel_requested: false,
            checkpoint: retry.checkpoint,
            state: State::Queued(Wait::Until(now)),
        };
        out.changes.push(Change::Task(Box::new(task.record(job.id, retry.task))));
        job.moved(1, retry.state, TaskState::Queued);
        job.ready.insert(retry.task);
        job.tasks.insert(retry.task, task);
        touched += 1;
    }
    match (job.fresh, job.fresh_state) {
        (Some(range), state @ (TaskState::Cancelled | TaskState::Failed)) => {
            job.fresh_state = TaskState::Queued;
            job.moved(range.count(), state, TaskState::Queued);
            touched + range.count()
        }
        (
            None | Some(_),
            TaskState::Queued
            | TaskState::Leased
            | TaskState::Running
            | TaskState::Succeeded
            | TaskState::Failed
            | TaskState::Cancelled
            | TaskState::Quarantined,
        ) => touched,
    }
}

fn may_requeue(job: &mut Job, retry: &TaskRecord) -> bool {
    let ended_badly = match retry.state {
        TaskState::Failed | TaskState::Cancelled | TaskState::Quarantined => true,
        TaskState::Queued | TaskState::Leased | TaskState::Running | TaskState::Succeeded => false,
    };
    let has_row = job.spec.task_range().contains(retry.task)
        && !job.fresh.is_some_and(|range| range.contains(retry.task));
    ended_badly
        && has_row
        && !job.tasks.contains_key(&retry.task)
        && *count_mut(&mut job.counts, retry.state) > 0
}
