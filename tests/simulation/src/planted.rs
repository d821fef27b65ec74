//! Bugs that others have shipped, planted on purpose: what the shell does beside or instead of the core.

use std::collections::BTreeMap;

use mesh_core::{AttemptEnd, Change, Core, Input, Output, TaskRecord};
use mesh_schemas::{
    AttemptKey, EndClass, NodeId, TaskState, Timestamp,
    message::{AttemptEnded, NodeEvent},
};

use crate::{
    db::Db,
    env::Env,
    options::{Bug, RESCUE_AFTER},
};

/// "No fence": writes the good end of any attempt straight to its task, whoever holds it by then.
pub(crate) fn record_without_fence(
    core: &Core,
    now: Timestamp,
    input: &Input,
    db: &Db,
    out: &mut Output,
) {
    let Input::NodeEvents(events) = input else { return };
    let recorded = db.journals.get(&(events.node, events.journal)).copied().unwrap_or(0);
    for (seq, event) in (events.first_seq..).zip(&events.events) {
        let NodeEvent::AttemptEnded(ended) = event else { continue };
        let good = ended.class == EndClass::Success;
        if good && seq > recorded && !core.holds(events.node, ended.attempt) {
            write_end(now, ended, db, out);
        }
    }
}

fn write_end(now: Timestamp, ended: &AttemptEnded, db: &Db, out: &mut Output) {
    let attempt = ended.attempt;
    let Some(task) = db.tasks.get(&(attempt.job, attempt.task)) else { return };
    let mut task = task.clone();
    task.state = TaskState::Succeeded;
    out.changes.push(Change::AttemptEnded(Box::new(AttemptEnd {
        attempt,
        started_at: ended.started_at,
        recorded_at: now,
        class: ended.class,
        exit_code: ended.exit_code,
        signal: None,
        message: None,
        manifest: Some(ended.manifest.clone()),
        usage: Some(ended.usage),
    })));
    out.changes.push(Change::Task(Box::new(task)));
}

/// "Rescue without compare-and-set": reads which tasks silent nodes hold, and a while later queues them
/// again without looking whether they are still held.
#[derive(Debug, Default)]
pub(crate) struct Rescuer {
    heard: BTreeMap<NodeId, u64>,
    found: Vec<TaskRecord>,
    write_at: u64,
}

impl Rescuer {
    pub(crate) fn heard(&mut self, env: &Env, node: NodeId) {
        self.heard.insert(node, env.now);
    }

    /// What it writes now.
    pub(crate) fn look(&mut self, env: &mut Env, db: &Db, now: Timestamp) -> Vec<Change> {
        if !self.found.is_empty() {
            if env.now < self.write_at {
                return Vec::new();
            }
            let mut found = std::mem::take(&mut self.found);
            if env.options.bug == Some(Bug::RescueWithCas) {
                found.retain(|read| {
                    let row = db.tasks.get(&(read.job, read.task));
                    row.is_some_and(|row| is_held(row.state) && row.epoch == read.epoch)
                });
            }
            return queue_again(db, &found, now);
        }
        let ttl = u64::try_from(RESCUE_AFTER.as_millis()).unwrap_or(0);
        let silent = |node: &NodeId| self.heard.get(node).is_none_or(|at| env.now - at > ttl);
        let held = db.tasks.values().filter(|task| is_held(task.state));
        let lost = held.filter(|task| task.node.as_ref().is_some_and(silent));
        self.found = lost.cloned().collect();
        self.write_at = env.now + env.rng.between(100, 3_000);
        Vec::new()
    }
}

const fn is_held(state: TaskState) -> bool {
    matches!(state, TaskState::Leased | TaskState::Running)
}

/// In itself this is a right rescue, counts and all: only nobody has looked what became of the tasks
/// since they were read.
fn queue_again(db: &Db, found: &[TaskRecord], now: Timestamp) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut jobs = BTreeMap::new();
    for task in found {
        let attempt = AttemptKey { job: task.job, task: task.task, epoch: task.epoch };
        changes.push(Change::AttemptEnded(Box::new(AttemptEnd {
            attempt,
            started_at: None,
            recorded_at: now,
            class: EndClass::NodeLost,
            exit_code: None,
            signal: None,
            message: None,
            manifest: None,
            usage: None,
        })));
        let Some(mut row) = db.tasks.get(&(task.job, task.task)).cloned() else { continue };
        let progress = jobs.entry(task.job).or_insert_with(|| db.jobs[&task.job].progress.clone());
        match row.state {
            TaskState::Leased => progress.counts.leased -= 1,
            TaskState::Running => progress.counts.running -= 1,
            TaskState::Queued
            | TaskState::Succeeded
            | TaskState::Failed
            | TaskState::Cancelled
            | TaskState::Quarantined => {
                progress.counts.queued = progress.counts.queued.wrapping_sub(1)
            }
        }
        progress.counts.queued = progress.counts.queued.wrapping_add(1);
        row.state = TaskState::Queued;
        row.eligible_at = Some(now);
        changes.push(Change::Task(Box::new(row)));
    }
    changes.extend(jobs.into_iter().map(|(job, progress)| Change::JobProgress { job, progress }));
    changes
}
