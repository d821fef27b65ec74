//! Accepting jobs: idempotency keys and dependencies.

use std::collections::{BTreeMap, BTreeSet};

use mesh_schemas::{
    JobId, TaskState, Timestamp,
    api::{EventKind, TaskCounts},
    attempt::JobState,
};

use crate::{
    Change, Core, Existing, JobProgress, JobRecord, Output, Rejected, Reply, Submit,
    core::job_event, job::Job,
};

impl Core {
    pub(crate) fn on_submit(
        &mut self,
        now: Timestamp,
        submit: Submit,
        out: &mut Output,
    ) -> Result<Reply, Rejected> {
        if let Some(existing) = self.existing(&submit) {
            return same_job(existing, &submit);
        }
        self.check_after(&submit.spec.after, &submit.after)?;
        let record = new_record(now, submit);
        out.changes.push(Change::JobAccepted(Box::new(record.clone())));
        out.changes.push(Change::Event(job_event(now, EventKind::JobAccepted, record.id)));
        let (job, tasks, trace) = (record.id, record.progress.counts.total, record.trace);
        self.take_job(now, record);
        Ok(Reply::Submitted { job, tasks, created: true, trace })
    }

    /// The job that has this one's key: in memory, ended in this round, or in the store.
    fn existing(&self, submit: &Submit) -> Option<Existing> {
        let key = submit.spec.idempotency_key.as_ref()?;
        let live = self.keys.get(key).and_then(|id| self.jobs.get(id)).map(Job::existing);
        live.or_else(|| self.ended_keys.get(key).copied()).or(submit.existing)
    }

    /// Each job of `after` must be live or have succeeded; `stored` is what the store has of them.
    pub(crate) fn check_after(
        &self,
        after: &[JobId],
        stored: &[(JobId, JobState)],
    ) -> Result<(), Rejected> {
        let stored: BTreeMap<JobId, JobState> = stored.iter().copied().collect();
        for &job in after {
            if self.jobs.contains_key(&job) {
                continue;
            }
            match self.ended.get(&job).or_else(|| stored.get(&job)).copied() {
                Some(JobState::Succeeded) => {}
                None | Some(JobState::Queued | JobState::Running) => {
                    return Err(Rejected::UnknownDependency { job });
                }
                Some(state @ (JobState::Failed | JobState::Cancelled | JobState::Quarantined)) => {
                    return Err(Rejected::FailedDependency { job, state });
                }
            }
        }
        Ok(())
    }

    fn take_job(&mut self, now: Timestamp, record: JobRecord) {
        let class = self.classes.join(&record.spec);
        let id = self.insert_job(Job::from_record(record, class));
        self.block_on_live_dependencies(id);
        self.begin_queueing(now, id);
        self.sync_ready(id);
    }

    /// Puts a job among the live ones.
    pub(crate) fn insert_job(&mut self, job: Job) -> JobId {
        let id = job.id;
        if let Some(key) = &job.spec.idempotency_key {
            self.keys.insert(key.clone(), id);
        }
        self.jobs.insert(id, job);
        id
    }

    /// A job waits for the live ones in its `after`, until a task of it was granted. Those that are not
    /// live have succeeded: submits and retries after others are refused, and a job is cancelled when
    /// one that it waits for ends otherwise.
    pub(crate) fn block_on_live_dependencies(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        if job.granted {
            return;
        }
        let live = |dep: &&JobId| **dep != id && self.jobs.contains_key(dep);
        let blocked_on: BTreeSet<JobId> = job.spec.after.iter().filter(live).copied().collect();
        for &dep in &blocked_on {
            self.dependents.entry(dep).or_default().insert(id);
        }
        if let Some(job) = self.jobs.get_mut(&id) {
            job.blocked_on = blocked_on;
        }
    }

    /// The queue time-out of tasks that were never granted runs from now on.
    pub(crate) fn begin_queueing(&mut self, now: Timestamp, id: JobId) {
        let wait = self.jobs.get(&id).and_then(|job| job.spec.timeouts.queue);
        if let Some(wait) = wait {
            self.set_deadline(id, now + wait.duration());
        }
    }

    pub(crate) fn set_deadline(&mut self, id: JobId, deadline: Timestamp) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if let Some(old) = job.queue_until.replace(deadline) {
            self.deadlines.remove(&(old, id));
        }
        self.deadlines.insert((deadline, id));
    }
}

fn same_job(existing: Existing, submit: &Submit) -> Result<Reply, Rejected> {
    if existing.spec_hash != submit.spec_hash {
        return Err(Rejected::IdempotencyMismatch { job: existing.job });
    }
    Ok(Reply::Submitted {
        job: existing.job,
        tasks: existing.tasks,
        created: false,
        trace: existing.trace,
    })
}

fn new_record(now: Timestamp, submit: Submit) -> JobRecord {
    let range = submit.spec.task_range();
    let total = range.count();
    JobRecord {
        id: submit.job,
        spec: submit.spec,
        spec_hash: submit.spec_hash,
        trace: submit.trace,
        created_at: now,
        progress: JobProgress {
            state: JobState::Queued,
            counts: TaskCounts { total, queued: total, ..TaskCounts::default() },
            fresh: Some(range),
            fresh_state: TaskState::Queued,
            cancel_requested: false,
            finished_at: None,
        },
    }
}
