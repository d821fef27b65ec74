//! Cancelling: what waits ends at once, what nodes hold is told to end.

use std::collections::{BTreeMap, BTreeSet};

use mesh_schemas::{
    AttemptKey, JobId, NodeId, TaskState, Timestamp, api::EventKind, message::StopReason,
};

use crate::{
    Change, Core, EventRecord, Output, Rejected, Reply,
    command::push_stops,
    core::{job_event, task_finished},
    job::Job,
    task::{State, Task, Wait},
};

/// Most tasks that get rows when some of an array are cancelled singly: all before the last of them
/// need one, and each is a change in the round's commit.
pub(crate) const ROWS_AT_ONCE_MAX: u32 = 10_000;

/// What one cancelling has touched.
#[derive(Debug, Default)]
struct Touched {
    tasks: u32,
    stops: BTreeMap<NodeId, Vec<AttemptKey>>,
}

impl Core {
    pub(crate) fn on_cancel(
        &mut self,
        now: Timestamp,
        id: JobId,
        tasks: Option<&[u32]>,
        out: &mut Output,
    ) -> Result<Reply, Rejected> {
        if !self.jobs.contains_key(&id) {
            return Err(Rejected::JobNotLive(id));
        }
        let tasks = match tasks {
            None => self.cancel_all(now, id, None, out),
            Some(tasks) => self.cancel_some(now, id, tasks, out)?,
        };
        self.changed(now, id, out);
        Ok(Reply::Changed { tasks })
    }

    /// Cancels every task of a job; how many were touched. The caller minds the job's end.
    pub(crate) fn cancel_all(
        &mut self,
        now: Timestamp,
        id: JobId,
        why: Option<&str>,
        out: &mut Output,
    ) -> u32 {
        let Some(job) = self.jobs.get_mut(&id) else { return 0 };
        if !job.cancel_requested {
            job.cancel_requested = true;
            let detail = why.map(Into::into);
            let asked = job_event(now, EventKind::JobCancelRequested, id);
            out.changes.push(Change::Event(EventRecord { detail, ..asked }));
        }
        let fresh = job.end_fresh(TaskState::Cancelled);
        let with_rows: Vec<u32> = job.tasks.keys().copied().collect();
        fresh + self.cancel_rows(now, id, with_rows, out)
    }

    fn cancel_some(
        &mut self,
        now: Timestamp,
        id: JobId,
        tasks: &[u32],
        out: &mut Output,
    ) -> Result<u32, Rejected> {
        let Some(job) = self.jobs.get_mut(&id) else { return Ok(0) };
        let tasks: BTreeSet<u32> = tasks.iter().copied().collect();
        if let Some(range) = job.fresh_queued()
            && let Some(&last) = tasks.iter().rev().find(|task| range.contains(**task))
        {
            let rows = last - range.first + 1;
            if rows > ROWS_AT_ONCE_MAX {
                return Err(Rejected::TooManyRows { job: id, rows });
            }
            give_rows(job, last, &tasks, out);
        }
        let tasks: Vec<u32> = tasks.into_iter().filter(|t| job.tasks.contains_key(t)).collect();
        if !tasks.is_empty() {
            let detail = Some(format!("{} of its tasks", tasks.len()));
            let asked = job_event(now, EventKind::JobCancelRequested, id);
            out.changes.push(Change::Event(EventRecord { detail, ..asked }));
        }
        Ok(self.cancel_rows(now, id, tasks, out))
    }

    fn cancel_rows(
        &mut self,
        now: Timestamp,
        id: JobId,
        tasks: impl IntoIterator<Item = u32>,
        out: &mut Output,
    ) -> u32 {
        let Some(job) = self.jobs.get_mut(&id) else { return 0 };
        let mut touched = Touched::default();
        for index in tasks {
            let wait = cancel_row(now, job, index, &mut touched, out);
            if let Some(Wait::Until(time)) = wait {
                self.waits.remove(&(time, id, index));
            }
        }
        for (node, attempts) in touched.stops {
            push_stops(out, node, &attempts, StopReason::Cancelled);
        }
        touched.tasks
    }
}

/// Fresh tasks are the tail of the range. To end some of them singly, they and all before the last of
/// them get rows.
fn give_rows(job: &mut Job, last: u32, cancelled: &BTreeSet<u32>, out: &mut Output) {
    while let Some(index) = job.pop_fresh() {
        let task = Task::fresh(job.created_at);
        if !cancelled.contains(&index) {
            out.changes.push(Change::Task(Box::new(task.record(job.id, index))));
        }
        job.ready.insert(index);
        job.tasks.insert(index, task);
        if index == last {
            return;
        }
    }
}

/// Cancels a task with a row. Returns its wait when it was queued: it has ended then.
fn cancel_row(
    now: Timestamp,
    job: &mut Job,
    index: u32,
    touched: &mut Touched,
    out: &mut Output,
) -> Option<Wait> {
    let id = job.id;
    let task = job.tasks.get_mut(&index)?;
    if task.cancel_requested {
        return None;
    }
    task.cancel_requested = true;
    touched.tasks += 1;
    let key = task.key(id, index);
    match &mut task.state {
        State::Queued(wait) => {
            let wait = *wait;
            let ended = task.ended_record(id, index, TaskState::Cancelled);
            out.changes.push(Change::Task(Box::new(ended)));
            out.changes.push(task_finished(now, id, index, TaskState::Cancelled, None));
            job.tasks.remove(&index);
            job.ready.remove(&index);
            job.moved(1, TaskState::Queued, TaskState::Cancelled);
            Some(wait)
        }
        State::Leased { lease } | State::Running { lease, .. } => {
            lease.sent_at = now;
            touched.stops.entry(lease.node).or_default().push(key);
            out.changes.push(Change::Task(Box::new(task.record(id, index))));
            None
        }
    }
}
