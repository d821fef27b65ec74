//! I2: no task succeeds twice, and what is recorded is of the last epoch that was granted.

use mesh_schemas::{AttemptKey, EndClass, Epoch, JobId, TaskState, api::EventKind};

use super::{
    Invariant, Look, Verdict,
    index::{Index, word},
};
use crate::history::{AttemptRow, TaskRow};

pub(super) fn once(index: &Index<'_>) -> Verdict {
    let mut look = Look::at(Invariant::I2);
    for &(job, task) in index.task_events.keys() {
        in_the_log(index, (job, task), &mut look);
    }
    for task in index.tasks.values() {
        look.see();
        in_the_rows(index, task, &mut look);
    }
    look.verdict("no task was ever leased")
}

fn in_the_log(index: &Index<'_>, (job, task): (JobId, u32), look: &mut Look) {
    let events = index.task_events.get(&(job, task)).map_or(&[][..], Vec::as_slice);
    let mut granted = None;
    let mut success = None;
    for event in events {
        if event.kind == EventKind::AttemptLeased {
            granted = Some(event);
        }
        if event.kind != EventKind::AttemptEnded {
            continue;
        }
        if granted.and_then(|lease| lease.epoch) != event.epoch {
            let from = granted.map_or(event.seq, |lease| lease.seq);
            let what = format!(
                "an end of task {task} of {job} was recorded for epoch {}, which was not the last",
                event.epoch.map_or(0, |epoch| epoch.0)
            );
            look.wrong(Some(job), what, index.slice(job, Some(task), &[from, event.seq]));
        }
        if word(event) == EndClass::Success.as_str() {
            if let Some(before) = success {
                let slice = index.slice(job, Some(task), &[before, event.seq]);
                look.wrong(Some(job), format!("task {task} of {job} succeeded twice"), slice);
            }
            success = Some(event.seq);
        }
    }
}

fn in_the_rows(index: &Index<'_>, task: &TaskRow, look: &mut Look) {
    let (job, number) = (task.job, task.task);
    let mut wrong = |what: String| {
        look.wrong(Some(job), what, index.slice(job, Some(number), &[]));
    };
    let key = |epoch: u32| AttemptKey { job, task: number, epoch: Epoch(epoch) };
    let attempts: Vec<&AttemptRow> =
        index.attempts.range(key(0)..=key(u32::MAX)).map(|(_, attempt)| *attempt).collect();
    let successes = attempts.iter().filter(|a| a.class == Some(EndClass::Success)).count();
    if successes > 1 {
        wrong(format!("task {number} of {job} has {successes} successful attempts"));
    }
    let last = attempts.iter().max_by_key(|attempt| attempt.key.epoch);
    if last.map_or(0, |attempt| attempt.key.epoch.0) != task.epoch {
        wrong(format!("task {number} of {job} is at epoch {}, its attempts are not", task.epoch));
    }
    let succeeded = task.state == TaskState::Succeeded;
    if succeeded != (last.and_then(|attempt| attempt.class) == Some(EndClass::Success)) {
        wrong(format!(
            "task {number} of {job} is {}, its last attempt ended as {}",
            task.state,
            last.and_then(|attempt| attempt.class).map_or("nothing", EndClass::as_str)
        ));
    }
}
