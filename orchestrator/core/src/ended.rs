//! The end of an attempt, and what becomes of its task and its job.

use mesh_schemas::{
    AttemptKey, EndClass, JobId, NodeId, TaskState, Timestamp,
    api::EventKind,
    attempt::JobState,
    manifest::{ManifestPlace, ManifestSummary},
    message::{AttemptEnded, Usage},
    spec::Retries,
};

use crate::{
    AttemptEnd, Change, Config, Core, EventRecord, JobProgress, Output, Tries,
    core::{Counter, attempt_event, counter_of, job_event, task_finished},
    job::{Job, end_state},
    task::{State, Task, Wait},
};

/// How an attempt ended, and by whose word.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) class: EndClass,
    pub(crate) by: By,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) exit_code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) message: Option<String>,
    pub(crate) manifest: Option<ManifestSummary>,
    pub(crate) usage: Option<Usage>,
}

/// By whose word an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// Its node's: it is over for good.
    Node,
    /// Ours, as its lease ran out: its node may come back with it.
    Expiry,
    /// Ours, and its node is not to be heard again.
    Decree,
}

/// What becomes of a task whose attempt ended.
enum Fate {
    Ends(TaskState),
    Again(Wait),
}

impl End {
    pub(crate) fn ours(class: EndClass, by: By, message: String) -> Self {
        Self {
            class,
            by,
            started_at: None,
            exit_code: None,
            signal: None,
            message: Some(message),
            manifest: None,
            usage: None,
        }
    }
}

impl From<AttemptEnded> for End {
    fn from(ended: AttemptEnded) -> Self {
        // A node that lost an attempt knows of no output; what was committed before stays its result.
        let nothing = ended.class == EndClass::NodeLost
            && matches!(ended.manifest.place, ManifestPlace::Empty);
        Self {
            class: ended.class,
            by: By::Node,
            started_at: ended.started_at,
            exit_code: ended.exit_code,
            signal: ended.signal,
            message: ended.message,
            manifest: (!nothing).then_some(ended.manifest),
            usage: Some(ended.usage),
        }
    }
}

impl Core {
    /// Ends the attempt that holds this task; nothing happens when none does.
    pub(crate) fn end_attempt(
        &mut self,
        now: Timestamp,
        (id, index): (JobId, u32),
        end: End,
        out: &mut Output,
    ) {
        let was_recalled = self.lease(id, index).is_some_and(|lease| lease.recalled_at.is_some());
        let Some(node) = self.release(id, index) else { return };
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(task) = job.tasks.get_mut(&index) else { return };
        let (class, by) = (end.class, end.by);
        let started_at = end.started_at.or_else(|| task.started_at());
        record_end(now, task.key(id, index), node, started_at, end, out);
        let from = task.state_word();
        let fate = if class == EndClass::Preempted && was_recalled {
            handed_back(now, task)
        } else {
            fate(&self.config, now, task, &job.spec.retries, class, by)
        };
        match fate {
            Fate::Ends(state) => {
                out.changes.push(Change::Task(Box::new(task.ended_record(id, index, state))));
                out.changes.push(task_finished(now, id, index, state, None));
                job.tasks.remove(&index);
                job.moved(1, from, state);
            }
            Fate::Again(wait) => {
                task.state = State::Queued(wait);
                out.changes.push(Change::Task(Box::new(task.record(id, index))));
                let queued = attempt_event(now, EventKind::TaskQueued, task.key(id, index), None);
                out.changes.push(Change::Event(EventRecord {
                    detail: Some(format!("after {class}")),
                    ..queued
                }));
                job.moved(1, from, TaskState::Queued);
                self.wait(now, id, index, wait);
            }
        }
        self.changed(now, id, out);
    }

    /// Takes the lease away and gives the room back; whose it was.
    fn release(&mut self, id: JobId, index: u32) -> Option<NodeId> {
        let job = self.jobs.get(&id)?;
        let lease = job.tasks.get(&index)?.lease()?;
        let needs = &self.classes.get(job.class)?.needs;
        if let Some(node) = self.nodes.get_mut(&lease.node) {
            node.release(id, index, needs, lease);
            self.gained.insert(lease.node);
        }
        Some(lease.node)
    }

    /// Makes a queued task ready, now or when its time has come.
    pub(crate) fn wait(&mut self, now: Timestamp, id: JobId, index: u32, wait: Wait) {
        match wait {
            Wait::Until(time) if time > now => {
                self.waits.insert((time, id, index));
            }
            Wait::Until(_) | Wait::Lost { .. } => {
                if let Some(job) = self.jobs.get_mut(&id) {
                    job.ready.insert(index);
                }
            }
        }
    }

    /// To be called after tasks of a job have changed: minds its queue, its progress and its end.
    pub(crate) fn changed(&mut self, now: Timestamp, id: JobId, out: &mut Output) {
        self.dirty.insert(id);
        self.sync_ready(id);
        // A list instead of recursion: chains of dependents may be long.
        let mut maybe_over = vec![id];
        while let Some(id) = maybe_over.pop() {
            if self.jobs.get(&id).is_some_and(Job::is_over) {
                self.finish_job(now, id, &mut maybe_over, out);
            }
        }
    }

    fn finish_job(
        &mut self,
        now: Timestamp,
        id: JobId,
        maybe_over: &mut Vec<JobId>,
        out: &mut Output,
    ) {
        let Some(job) = self.jobs.remove(&id) else { return };
        let state = end_state(&job.counts);
        let progress = JobProgress { state, finished_at: Some(now), ..job.progress() };
        out.changes.push(Change::JobProgress { job: id, progress });
        out.changes.push(Change::Event(EventRecord {
            detail: Some(state.to_string()),
            ..job_event(now, EventKind::JobFinished, id)
        }));
        self.forget_job(&job, state);
        for dependent in self.dependents.remove(&id).unwrap_or_default() {
            if state == JobState::Succeeded {
                self.unblock(dependent, id);
            } else {
                let why = format!("{id} in after ended as {state}");
                self.cancel_all(now, dependent, Some(&why), out);
                maybe_over.push(dependent);
            }
        }
    }

    fn forget_job(&mut self, job: &Job, state: JobState) {
        self.classes.leave(job.class, job.order());
        self.dirty.remove(&job.id);
        self.ended.insert(job.id, state);
        if let Some(key) = &job.spec.idempotency_key {
            self.keys.remove(key);
            self.ended_keys.insert(key.clone(), job.existing());
        }
        if let Some(deadline) = job.queue_until {
            self.deadlines.remove(&(deadline, job.id));
        }
        for dep in &job.blocked_on {
            if let Some(waiting) = self.dependents.get_mut(dep) {
                waiting.remove(&job.id);
                if waiting.is_empty() {
                    self.dependents.remove(dep);
                }
            }
        }
    }

    fn unblock(&mut self, dependent: JobId, done: JobId) {
        if let Some(job) = self.jobs.get_mut(&dependent) {
            job.blocked_on.remove(&done);
        }
        self.sync_ready(dependent);
    }
}

fn record_end(
    now: Timestamp,
    attempt: AttemptKey,
    node: NodeId,
    started_at: Option<Timestamp>,
    end: End,
    out: &mut Output,
) {
    out.changes.push(Change::Event(EventRecord {
        detail: Some(end.class.to_string()),
        ..attempt_event(now, EventKind::AttemptEnded, attempt, Some(node))
    }));
    out.changes.push(Change::AttemptEnded(Box::new(AttemptEnd {
        attempt,
        started_at,
        recorded_at: now,
        class: end.class,
        exit_code: end.exit_code,
        signal: end.signal,
        message: end.message,
        manifest: end.manifest,
        usage: end.usage,
    })));
}

/// Nothing has failed: it was granted ahead, and asked back.
const fn handed_back(now: Timestamp, task: &Task) -> Fate {
    if task.cancel_requested {
        Fate::Ends(TaskState::Cancelled)
    } else {
        Fate::Again(Wait::Until(now))
    }
}

/// Counts the failure and decides. A task that succeeded has succeeded, even if it was to be cancelled.
fn fate(
    config: &Config,
    now: Timestamp,
    task: &mut Task,
    retries: &Retries,
    class: EndClass,
    by: By,
) -> Fate {
    if class == EndClass::Success {
        return Fate::Ends(TaskState::Succeeded);
    }
    let started_at = task.started_at();
    let spent = counter_of(class).map(|counter| {
        let (count, allowed) = counter.of(&mut task.tries, retries);
        *count = count.saturating_add(1);
        (counter, *count, allowed)
    });
    if task.cancel_requested || class == EndClass::Cancelled {
        return Fate::Ends(TaskState::Cancelled);
    }
    match spent {
        // The budget is gone: trying again would spend more of it.
        None => Fate::Ends(TaskState::Failed),
        Some((Counter::Lost, count, allowed)) if count > allowed => {
            Fate::Ends(TaskState::Quarantined)
        }
        Some((_, count, allowed)) if count > allowed => Fate::Ends(TaskState::Failed),
        Some((Counter::Lost, ..)) => Fate::Again(match by {
            By::Node | By::Decree => Wait::Until(now),
            By::Expiry => Wait::Lost { started_at },
        }),
        Some((_, count, _)) => Fate::Again(Wait::Until(now + retry_wait(config, count))),
    }
}

fn retry_wait(config: &Config, count: u16) -> std::time::Duration {
    let doublings = u32::from(count.saturating_sub(1)).min(16);
    config.retry_wait_min.saturating_mul(1 << doublings).min(config.retry_wait_max)
}

impl Counter {
    const fn of<'a>(self, tries: &'a mut Tries, retries: &Retries) -> (&'a mut u16, u16) {
        match self {
            Self::UserError => (&mut tries.user_error, retries.user_error),
            Self::OutOfMemory => (&mut tries.out_of_memory, retries.out_of_memory),
            Self::Timeout => (&mut tries.timeout, retries.timeout),
            Self::Stalled => (&mut tries.stalled, retries.stalled),
            Self::Lost => (&mut tries.lost, retries.lost),
        }
    }
}
