//! The rows: what may be written, writing it, and reading.

use std::collections::BTreeMap;

use mesh_core::{Change, Existing, JobRecord, Snapshot, TaskRecord};
use mesh_schemas::{JobId, TaskState, attempt::JobState, manifest::ManifestSummary};

use super::{AttemptRow, Db};

impl Db {
    /// No row would be there twice: a job, the key of one, an attempt.
    pub(super) fn admits(&self, changes: &[Change]) -> bool {
        let mut keys = BTreeMap::new();
        changes.iter().all(|change| match change {
            Change::JobAccepted(job) => {
                let key = job.spec.idempotency_key.as_deref();
                let taken = key.is_some_and(|key| {
                    self.by_key(key).is_some() || *keys.entry(key).or_insert(job.id) != job.id
                });
                !taken && !self.jobs.contains_key(&job.id)
            }
            Change::AttemptLeased { attempt, .. } => !self.attempts.contains_key(attempt),
            Change::JobProgress { .. }
            | Change::Task(_)
            | Change::AttemptStarted { .. }
            | Change::AttemptManifest { .. }
            | Change::AttemptEnded(_)
            | Change::AttemptReopened { .. }
            | Change::Node(_)
            | Change::NodeJournal { .. }
            | Change::Event(_) => true,
        })
    }

    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::JobAccepted(job) => {
                self.jobs.insert(job.id, (**job).clone());
            }
            Change::JobProgress { job, progress } => {
                if let Some(job) = self.jobs.get_mut(job) {
                    job.progress = progress.clone();
                }
            }
            Change::Task(task) => {
                self.tasks.insert((task.job, task.task), (**task).clone());
            }
            Change::AttemptLeased { attempt, node, .. } => {
                let row = AttemptRow { node: *node, ended: None, manifest: None };
                self.attempts.insert(*attempt, row);
            }
            Change::AttemptManifest { attempt, manifest } => {
                if let Some(row) = self.attempts.get_mut(attempt) {
                    row.manifest = Some((**manifest).clone());
                }
            }
            Change::AttemptEnded(end) => {
                if let Some(row) = self.attempts.get_mut(&end.attempt) {
                    row.ended = Some(end.class);
                    let kept = end.manifest.clone().or_else(|| row.manifest.take());
                    row.manifest = Some(kept.unwrap_or_else(ManifestSummary::empty));
                }
            }
            Change::AttemptReopened { attempt } => {
                if let Some(row) = self.attempts.get_mut(attempt) {
                    row.ended = None;
                }
            }
            Change::Node(node) => {
                self.nodes.insert(node.id, (**node).clone());
            }
            Change::NodeJournal { node, journal, seq } => {
                self.journals.insert((*node, *journal), *seq);
            }
            Change::AttemptStarted { .. } | Change::Event(_) => {}
        }
    }

    // ---- reading ----

    /// All that is live.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let live = |job: &&JobRecord| !job.progress.state.is_terminal();
        Snapshot {
            jobs: self.jobs.values().filter(live).cloned().collect(),
            tasks: self.tasks.values().filter(|t| !t.state.is_terminal()).cloned().collect(),
            nodes: self.nodes.values().cloned().collect(),
            journals: self.journals.iter().map(|((node, id), seq)| (*node, *id, *seq)).collect(),
        }
    }

    /// The job under an idempotency key.
    pub(crate) fn by_key(&self, key: &str) -> Option<Existing> {
        let job = self.jobs.values().find(|j| j.spec.idempotency_key.as_deref() == Some(key))?;
        Some(Existing {
            job: job.id,
            spec_hash: job.spec_hash,
            tasks: job.progress.counts.total,
            trace: job.trace,
        })
    }

    /// Ended tasks of a job that may be tried again.
    pub(crate) fn retryable(&self, job: JobId) -> Vec<TaskRecord> {
        let rows = self.tasks.range((job, 0)..=(job, u32::MAX)).map(|(_, task)| task);
        rows.filter(|task| task.state.is_terminal() && task.state != TaskState::Succeeded)
            .cloned()
            .collect()
    }

    pub(crate) fn job_states(&self, jobs: &[JobId]) -> Vec<(JobId, JobState)> {
        let known = jobs.iter().filter_map(|id| self.jobs.get(id));
        known.map(|job| (job.id, job.progress.state)).collect()
    }
}
