//! The database as a model: the meaning of each change, all or nothing.

use std::collections::BTreeMap;

use mesh_core::{Change, Existing, JobRecord, NodeRecord, Snapshot, TaskRecord};
use mesh_schemas::{
    AttemptKey, EndClass, JobId, JournalId, NodeId, TaskState, attempt::JobState,
    manifest::ManifestSummary,
};

/// An attempt's row.
#[derive(Debug, Clone)]
pub(crate) struct AttemptRow {
    pub(crate) node: NodeId,
    pub(crate) ended: Option<EndClass>,
    pub(crate) manifest: Option<ManifestSummary>,
}

/// All rows.
#[derive(Debug, Default)]
pub(crate) struct Db {
    pub(crate) jobs: BTreeMap<JobId, JobRecord>,
    pub(crate) tasks: BTreeMap<(JobId, u32), TaskRecord>,
    pub(crate) attempts: BTreeMap<AttemptKey, AttemptRow>,
    pub(crate) nodes: BTreeMap<NodeId, NodeRecord>,
    pub(crate) journals: BTreeMap<(NodeId, JournalId), u64>,
}

impl Db {
    pub(crate) fn commit(&mut self, changes: &[Change]) {
        for change in changes {
            self.apply(change);
        }
    }

    fn apply(&mut self, change: &Change) {
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
