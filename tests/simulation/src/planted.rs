//! Bugs that others have shipped, planted on purpose: what the shell does beside or instead of the core.

use std::collections::BTreeMap;

use mesh_core::{AttemptEnd, Change, Core, Input, Output};
use mesh_schemas::{
    EndClass, JobId, NodeId, TaskState, Timestamp,
    message::{AttemptEnded, NodeEvent},
};

use crate::{db::Db, env::Env};

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
    found: Vec<(JobId, u32)>,
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
            let found = std::mem::take(&mut self.found);
            return found.into_iter().filter_map(|key| queue_again(db, key, now)).collect();
        }
        let ttl = u64::try_from(env.options.config().lease_ttl.as_millis()).unwrap_or(0);
        let silent = |node: &NodeId| self.heard.get(node).is_none_or(|at| env.now - at > ttl);
        self.found = db
            .tasks
            .iter()
            .filter(|(_, task)| matches!(task.state, TaskState::Leased | TaskState::Running))
            .filter(|(_, task)| task.node.as_ref().is_some_and(silent))
            .map(|(key, _)| *key)
            .collect();
        self.write_at = env.now + env.rng.between(100, 3_000);
        Vec::new()
    }
}

fn queue_again(db: &Db, key: (JobId, u32), now: Timestamp) -> Option<Change> {
    let mut task = db.tasks.get(&key)?.clone();
    task.state = TaskState::Queued;
    task.eligible_at = Some(now);
    Some(Change::Task(Box::new(task)))
}
