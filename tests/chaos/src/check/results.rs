//! Beyond the list: a job that succeeded left what its command writes, byte by byte, and a job that
//! nobody cancelled ended as its command does.

use std::collections::BTreeSet;

use mesh_schemas::{AttemptKey, Epoch, ErrorCode, JobId, TaskState, attempt::JobState};

use super::{Invariant, Look, Verdict, index::Index};
use crate::history::{Action, History, Wanted};

pub(super) fn right(index: &Index<'_>) -> Verdict {
    let mut look = Look::at(Invariant::Results);
    let cancelled = maybe_cancelled(index.history);
    let mut judged = BTreeSet::new();
    for op in &index.history.ops {
        let Action::Submit { wanted, .. } = &op.action else { continue };
        let Some((job, _)) = op.submitted() else { continue };
        if !judged.insert(job) {
            continue;
        }
        look.see();
        ended_right(index, job, wanted, cancelled.contains(&job), &mut look);
        left_right(index, job, wanted, &mut look);
    }
    look.verdict("no client said what it wanted")
}

/// Jobs whose cancelling was asked for and not refused.
fn maybe_cancelled(history: &History) -> BTreeSet<JobId> {
    let refused = |code: &str| {
        [ErrorCode::NotFound, ErrorCode::WrongState].iter().any(|known| known.as_str() == code)
    };
    let asked = history.ops.iter().filter(|op| !op.failed().is_some_and(refused));
    asked
        .filter_map(|op| match op.action {
            Action::Cancel(job) => Some(job),
            Action::Submit { .. }
            | Action::Retry(_)
            | Action::Look(_)
            | Action::Node(..)
            | Action::File { .. }
            | Action::Head => None,
        })
        .collect()
}

fn ended_right(index: &Index<'_>, id: JobId, wanted: &Wanted, cancelled: bool, look: &mut Look) {
    let Some(job) = index.jobs.get(&id).filter(|job| job.state.is_terminal()) else { return };
    if job.counts.total != wanted.tasks {
        let what = format!("{id} has {} tasks instead of {}", job.counts.total, wanted.tasks);
        look.wrong(Some(id), what, Vec::new());
    }
    let fits = |end: JobState| end == job.state || cancelled && job.state == JobState::Cancelled;
    let mixed = cancelled && job.counts.cancelled > 0;
    if wanted.end.is_some_and(|end| !fits(end) && !mixed) {
        let end = wanted.end.map_or("", JobState::as_str);
        let what = format!("{id} ended as {}, its command ends as {end}", job.state);
        look.wrong(Some(id), what, index.slice(id, None, &[]));
    }
}

fn left_right(index: &Index<'_>, job: JobId, wanted: &Wanted, look: &mut Look) {
    let tasks = index.tasks.range((job, 0)..=(job, u32::MAX));
    for task in tasks.map(|(_, task)| task).filter(|task| task.state == TaskState::Succeeded) {
        let attempt = AttemptKey { job, task: task.task, epoch: Epoch(task.epoch) };
        let manifests = index.manifests.get(&attempt);
        let recorded = manifests.and_then(|all| all.iter().find(|manifest| manifest.recorded));
        let mut wrong = |what: String| {
            let slice = index.slice(job, Some(task.task), &[]);
            look.wrong(Some(job), what, slice);
        };
        if let Some(template) = &wanted.stdout {
            let stdout = template.replace("{task}", &task.task.to_string());
            let found = recorded.and_then(|manifest| manifest.stdout.as_deref());
            if found != Some(stdout.as_str()) {
                wrong(format!("{attempt} printed {found:?} instead of {stdout:?}"));
            }
        }
        for (path, blake3) in &wanted.files {
            let found = recorded.and_then(|manifest| manifest.files.get(path));
            if found != Some(blake3) {
                wrong(format!("{attempt} left {path} with the hash {found:?}, not {blake3}"));
            }
        }
    }
}
