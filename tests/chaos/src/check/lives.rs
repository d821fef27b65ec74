//! I1 and I4: jobs and tasks end once, and stay ended until somebody asks for a retry.

use mesh_schemas::{
    JobId, TaskState,
    api::{EventKind, EventView, TaskCounts},
};

use super::{
    Invariant, Look, Verdict,
    index::{Index, word},
};
use crate::history::{Answer, JobRow};

/// I1.
pub(super) fn ends_once(index: &Index<'_>) -> Verdict {
    let mut look = Look::at(Invariant::I1);
    for op in &index.history.ops {
        let Some((job, _)) = op.submitted() else { continue };
        look.see();
        if !index.jobs.contains_key(&job) {
            look.wrong(Some(job), format!("{job} was accepted and is gone"), index.slice_of_op(op));
        }
    }
    for &job in index.events.keys() {
        if !index.jobs.contains_key(&job) {
            let slice = index.slice(job, None, &[]);
            look.wrong(Some(job), format!("{job} has events and is gone"), slice);
        }
    }
    for job in index.jobs.values() {
        look.see();
        accepted_once(index, job.id, &mut look);
        finished_once(index, job, &mut look);
        counted(index, job, &mut look);
    }
    for &(job, task) in index.task_events.keys() {
        task_finished_once(index, (job, task), &mut look);
    }
    look.verdict("no job was accepted")
}

fn accepted_once(index: &Index<'_>, job: JobId, look: &mut Look) {
    let events = index.events_of(job);
    let accepted: Vec<u64> =
        events.iter().filter(|e| e.kind == EventKind::JobAccepted).map(|e| e.seq).collect();
    let first = events.first().map(|event| event.seq);
    if accepted.len() != 1 || accepted.first().copied() != first {
        let what =
            format!("{job} has {} acceptances; it needs one, as its first event", accepted.len());
        look.wrong(Some(job), what, index.slice(job, None, &accepted));
    }
}

fn finished_once(index: &Index<'_>, job: &JobRow, look: &mut Look) {
    let mut finished: Option<&EventView> = None;
    for event in index.events_of(job.id) {
        match event.kind {
            EventKind::JobFinished => {
                if let Some(before) = finished {
                    let slice = index.slice(job.id, None, &[before.seq, event.seq]);
                    look.wrong(Some(job.id), format!("{} finished twice", job.id), slice);
                }
                finished = Some(event);
            }
            EventKind::JobRetried => finished = None,
            EventKind::JobAccepted
            | EventKind::JobCancelRequested
            | EventKind::AttemptLeased
            | EventKind::AttemptStarted
            | EventKind::ManifestCommitted
            | EventKind::AttemptEnded
            | EventKind::AttemptAdopted
            | EventKind::TaskQueued
            | EventKind::TaskFinished
            | EventKind::NodeJoined
            | EventKind::NodeChanged => {}
        }
    }
    let told = finished.map(word);
    let stored = job.state.is_terminal().then(|| job.state.as_str());
    if told != stored || job.state.is_terminal() != job.finished_at.is_some() {
        let what = format!(
            "{} is {} in its row, its last end in the log is {}",
            job.id,
            job.state,
            told.unwrap_or("none")
        );
        let witnesses: Vec<u64> = finished.iter().map(|event| event.seq).collect();
        look.wrong(Some(job.id), what, index.slice(job.id, None, &witnesses));
    }
}

/// Every task is there, once, in the state that the job counts it in.
fn counted(index: &Index<'_>, job: &JobRow, look: &mut Look) {
    let mut counts = TaskCounts::default();
    let rows = index.tasks.range((job.id, 0)..=(job.id, u32::MAX));
    for (_, task) in rows {
        count(&mut counts, task.state, 1);
    }
    if let Some(fresh) = job.fresh.filter(|(first, last)| first <= last) {
        count(&mut counts, job.fresh_state, fresh.1 - fresh.0 + 1);
    }
    // A task of one that was never leased has no row but the job's range.
    if counts != job.counts {
        let what = format!("{} counts {:?}, its tasks are {counts:?}", job.id, job.counts);
        look.wrong(Some(job.id), what, index.slice(job.id, None, &[]));
    }
}

const fn count(counts: &mut TaskCounts, state: TaskState, tasks: u32) {
    counts.total += tasks;
    let slot = match state {
        TaskState::Queued => &mut counts.queued,
        TaskState::Leased => &mut counts.leased,
        TaskState::Running => &mut counts.running,
        TaskState::Succeeded => &mut counts.succeeded,
        TaskState::Failed => &mut counts.failed,
        TaskState::Cancelled => &mut counts.cancelled,
        TaskState::Quarantined => &mut counts.quarantined,
    };
    *slot += tasks;
}

fn task_finished_once(index: &Index<'_>, (job, task): (JobId, u32), look: &mut Look) {
    let events = index.task_events.get(&(job, task)).map_or(&[][..], Vec::as_slice);
    let mut finished: Option<&EventView> = None;
    for event in events {
        if event.kind == EventKind::JobRetried {
            // What succeeded is not tried again.
            finished = finished.filter(|event| word(event) == TaskState::Succeeded.as_str());
        }
        if event.kind == EventKind::TaskFinished {
            if let Some(before) = finished {
                let slice = index.slice(job, Some(task), &[before.seq, event.seq]);
                look.wrong(Some(job), format!("task {task} of {job} finished twice"), slice);
            }
            finished = Some(event);
        }
    }
    let Some(row) = index.tasks.get(&(job, task)) else {
        let fresh = index.jobs.get(&job).and_then(|job| job.fresh);
        if !fresh.is_some_and(|(first, last)| (first..=last).contains(&task)) {
            let what = format!("task {task} of {job} has events and is gone");
            look.wrong(Some(job), what, index.slice(job, Some(task), &[]));
        }
        return;
    };
    let told = finished.map(word);
    let stored = row.state.is_terminal().then(|| row.state.as_str());
    if told != stored {
        let what = format!(
            "task {task} of {job} is {} in its row, its last end in the log is {}",
            row.state,
            told.unwrap_or("none")
        );
        let witnesses: Vec<u64> = finished.iter().map(|event| event.seq).collect();
        look.wrong(Some(job), what, index.slice(job, Some(task), &witnesses));
    }
}

/// I4.
pub(super) fn stays_ended(index: &Index<'_>) -> Verdict {
    let mut look = Look::at(Invariant::I4);
    for &job in index.jobs.keys() {
        job_stays_ended(index, job, &mut look);
    }
    for &(job, task) in index.task_events.keys() {
        task_stays_ended(index, (job, task), &mut look);
    }
    for op in &index.history.ops {
        let Some(Answer::Seen(seen)) = op.answer() else { continue };
        let Some(job) = op.job().and_then(|job| index.jobs.get(&job)) else { continue };
        let retried = index.events_of(job.id).iter().any(|e| e.kind == EventKind::JobRetried);
        if seen.is_terminal() && !retried && *seen != job.state {
            let what = format!("a client saw {} as {seen}, now it is {}", job.id, job.state);
            look.wrong(Some(job.id), what, index.slice(job.id, None, &[]));
        }
    }
    look.verdict("nothing has ended")
}

fn job_stays_ended(index: &Index<'_>, job: JobId, look: &mut Look) {
    let mut finished: Option<&EventView> = None;
    for event in index.events_of(job) {
        if event.kind == EventKind::JobRetried {
            finished = None;
        } else if event.kind == EventKind::JobFinished {
            look.see();
            finished = Some(event);
        } else if let Some(end) = finished {
            let slice = index.slice(job, None, &[end.seq, event.seq]);
            look.wrong(Some(job), format!("{job} had ended, then came {}", event.kind), slice);
            return;
        }
    }
}

fn task_stays_ended(index: &Index<'_>, (job, task): (JobId, u32), look: &mut Look) {
    let events = index.task_events.get(&(job, task)).map_or(&[][..], Vec::as_slice);
    let mut finished: Option<&EventView> = None;
    for event in events {
        match event.kind {
            EventKind::JobRetried => {
                finished = finished.filter(|end| word(end) == TaskState::Succeeded.as_str());
            }
            EventKind::TaskFinished => {
                look.see();
                finished = finished.or(Some(event));
            }
            EventKind::JobAccepted
            | EventKind::JobCancelRequested
            | EventKind::JobFinished
            | EventKind::AttemptLeased
            | EventKind::AttemptStarted
            | EventKind::ManifestCommitted
            | EventKind::AttemptEnded
            | EventKind::AttemptAdopted
            | EventKind::TaskQueued
            | EventKind::NodeJoined
            | EventKind::NodeChanged => {
                let Some(end) = finished else { continue };
                let what = format!("task {task} of {job} had ended, then came {}", event.kind);
                let slice = index.slice(job, Some(task), &[end.seq, event.seq]);
                look.wrong(Some(job), what, slice);
                return;
            }
        }
    }
}
