//! One live job: its tasks, those never leased as a range, and its counts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use mesh_schemas::{
    JobId, JobSpec, JournalId, TaskState, Timestamp, TraceParent,
    api::TaskCounts,
    attempt::JobState,
    message::{RunSpec, StartTasks, TaskStart},
    spec::ArrayRange,
};

use crate::{Existing, JobProgress, JobRecord, class::ClassId, history::Work, task::Task};

/// Jobs in the order in which they are served: older first.
pub(crate) type Order = (Timestamp, JobId);

/// A job that has not ended.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) spec: Arc<JobSpec>,
    pub(crate) spec_hash: [u8; 32],
    pub(crate) trace: TraceParent,
    pub(crate) created_at: Timestamp,
    /// Its tasks' class.
    pub(crate) class: ClassId,
    /// Tasks with rows that have not ended.
    pub(crate) tasks: BTreeMap<u32, Task>,
    /// Those of them that are queued and wait for nothing but a node.
    pub(crate) ready: BTreeSet<u32>,
    /// Tasks that were never leased and have no row: the tail of the job's range.
    pub(crate) fresh: Option<ArrayRange>,
    /// What the fresh ones are.
    pub(crate) fresh_state: TaskState,
    pub(crate) counts: TaskCounts,
    /// A task of it was granted once.
    pub(crate) granted: bool,
    pub(crate) cancel_requested: bool,
    /// Live jobs that must succeed first.
    pub(crate) blocked_on: BTreeSet<JobId>,
    /// When tasks that were never granted fail.
    pub(crate) queue_until: Option<Timestamp>,
    /// What its attempts do.
    pub(crate) work: Work,
}

impl Job {
    pub(crate) fn from_record(record: JobRecord, class: ClassId) -> Self {
        let progress = record.progress;
        Self {
            id: record.id,
            work: Work::from(&*record.spec),
            spec: record.spec,
            spec_hash: record.spec_hash,
            trace: record.trace,
            created_at: record.created_at,
            class,
            tasks: BTreeMap::new(),
            ready: BTreeSet::new(),
            fresh: progress.fresh,
            fresh_state: progress.fresh_state,
            counts: progress.counts,
            granted: progress.state == JobState::Running,
            cancel_requested: progress.cancel_requested,
            blocked_on: BTreeSet::new(),
            queue_until: None,
        }
    }

    pub(crate) const fn order(&self) -> Order {
        (self.created_at, self.id)
    }

    pub(crate) const fn existing(&self) -> Existing {
        Existing {
            job: self.id,
            spec_hash: self.spec_hash,
            tasks: self.counts.total,
            trace: self.trace,
        }
    }

    pub(crate) const fn progress(&self) -> JobProgress {
        JobProgress {
            state: if self.granted { JobState::Running } else { JobState::Queued },
            counts: self.counts,
            fresh: self.fresh,
            fresh_state: self.fresh_state,
            cancel_requested: self.cancel_requested,
            finished_at: None,
        }
    }

    /// Fresh tasks that wait for a node.
    pub(crate) fn fresh_queued(&self) -> Option<ArrayRange> {
        self.fresh.filter(|_| self.fresh_state == TaskState::Queued)
    }

    /// Some task waits for nothing but a node.
    pub(crate) fn is_ready(&self) -> bool {
        self.blocked_on.is_empty() && (!self.ready.is_empty() || self.fresh_queued().is_some())
    }

    /// Every task has ended.
    pub(crate) const fn is_over(&self) -> bool {
        self.counts.queued == 0 && self.counts.leased == 0 && self.counts.running == 0
    }

    /// Takes the first fresh task out of the range.
    pub(crate) fn pop_fresh(&mut self) -> Option<u32> {
        let range = self.fresh_queued()?;
        self.fresh = (range.first < range.last)
            .then(|| ArrayRange { first: range.first + 1, last: range.last });
        Some(range.first)
    }

    /// Ends every fresh task at once; their number.
    pub(crate) fn end_fresh(&mut self, state: TaskState) -> u32 {
        let Some(range) = self.fresh_queued() else { return 0 };
        self.fresh_state = state;
        self.moved(range.count(), TaskState::Queued, state);
        range.count()
    }

    pub(crate) const fn moved(&mut self, tasks: u32, from: TaskState, to: TaskState) {
        *count_mut(&mut self.counts, from) -= tasks;
        *count_mut(&mut self.counts, to) += tasks;
    }

    pub(crate) fn start_tasks(
        &self,
        journal: Option<JournalId>,
        tasks: Vec<TaskStart>,
    ) -> StartTasks {
        let run = RunSpec::from(&*self.spec);
        StartTasks { job: self.id, run, trace: self.trace, journal, tasks }
    }

    pub(crate) fn task_start(&self, index: u32, task: &Task) -> TaskStart {
        TaskStart {
            task: index,
            epoch: task.epoch,
            item: self.spec.item(index).map(Into::into),
            checkpoint: task.checkpoint.clone(),
        }
    }
}

/// How a job ended, as all of its tasks have.
pub(crate) const fn end_state(counts: &TaskCounts) -> JobState {
    if counts.failed > 0 {
        JobState::Failed
    } else if counts.quarantined > 0 {
        JobState::Quarantined
    } else if counts.cancelled > 0 {
        JobState::Cancelled
    } else {
        JobState::Succeeded
    }
}

pub(crate) const fn count_mut(counts: &mut TaskCounts, state: TaskState) -> &mut u32 {
    match state {
        TaskState::Queued => &mut counts.queued,
        TaskState::Leased => &mut counts.leased,
        TaskState::Running => &mut counts.running,
        TaskState::Succeeded => &mut counts.succeeded,
        TaskState::Failed => &mut counts.failed,
        TaskState::Cancelled => &mut counts.cancelled,
        TaskState::Quarantined => &mut counts.quarantined,
    }
}
