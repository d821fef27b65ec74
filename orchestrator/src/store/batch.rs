//! The changes of one round, by kind and with the changes of one row folded into one.
//!
//! A task that is leased, starts and ends within one round is written once, and every kind is written by
//! one statement: through sqlx a statement for each row costs about twenty times as much.

use std::collections::BTreeMap;

use mesh_core::{AttemptEnd, Change, EventRecord, JobProgress, JobRecord, NodeRecord, TaskRecord};
use mesh_schemas::{AttemptKey, JobId, JournalId, NodeId, Timestamp, manifest::ManifestSummary};

/// What to write. Sorted, as neighbours in an index are cheapest written together.
#[derive(Debug, Default)]
pub(super) struct Batch<'a> {
    /// To insert, with their latest progress.
    pub(super) jobs: BTreeMap<JobId, (&'a JobRecord, &'a JobProgress)>,
    /// To update.
    pub(super) progress: BTreeMap<JobId, &'a JobProgress>,
    /// To insert or update.
    pub(super) tasks: BTreeMap<(JobId, u32), &'a TaskRecord>,
    /// To insert, with what became of them in this round.
    pub(super) leased: BTreeMap<AttemptKey, Leased<'a>>,
    /// To update.
    pub(super) attempts: BTreeMap<AttemptKey, Edit<'a>>,
    /// To insert or update.
    pub(super) nodes: BTreeMap<NodeId, &'a NodeRecord>,
    /// To insert or update.
    pub(super) journals: BTreeMap<(NodeId, JournalId), u64>,
    /// To append, in this order.
    pub(super) events: Vec<&'a EventRecord>,
}

/// A new attempt.
#[derive(Debug)]
pub(super) struct Leased<'a> {
    pub(super) node: NodeId,
    pub(super) at: Timestamp,
    pub(super) edit: Edit<'a>,
}

/// What became of an attempt.
#[derive(Debug, Default)]
pub(super) struct Edit<'a> {
    /// Absent to leave it.
    pub(super) started_at: Option<Timestamp>,
    /// Absent to leave it.
    pub(super) manifest: Option<&'a ManifestSummary>,
    pub(super) end: End<'a>,
}

/// What became of an attempt's end.
#[derive(Debug, Default, Clone, Copy)]
pub(super) enum End<'a> {
    /// It is left as it is.
    #[default]
    Kept,
    /// It is recorded.
    Recorded(&'a AttemptEnd),
    /// It is undone.
    Undone,
}

impl<'a> Batch<'a> {
    /// Folds the changes, in their order.
    pub(super) fn fold(changes: &'a [Change]) -> Self {
        let mut batch = Self::default();
        for change in changes {
            batch.add(change);
        }
        batch
    }

    fn add(&mut self, change: &'a Change) {
        match change {
            Change::JobAccepted(job) => {
                self.jobs.insert(job.id, (job, &job.progress));
            }
            Change::JobProgress { job, progress } => self.add_progress(*job, progress),
            Change::Task(task) => {
                self.tasks.insert((task.job, task.task), task);
            }
            Change::AttemptLeased { attempt, node, at } => {
                let leased = Leased { node: *node, at: *at, edit: Edit::default() };
                self.leased.insert(*attempt, leased);
            }
            Change::AttemptStarted { attempt, at } => {
                self.edit(*attempt).started_at = Some(*at);
            }
            Change::AttemptManifest { attempt, manifest } => {
                self.edit(*attempt).manifest = Some(manifest);
            }
            Change::AttemptEnded(end) => self.edit(end.attempt).record(end),
            Change::AttemptReopened { attempt } => self.edit(*attempt).end = End::Undone,
            Change::Node(node) => {
                self.nodes.insert(node.id, node);
            }
            Change::NodeJournal { node, journal, seq } => {
                self.journals.insert((*node, *journal), *seq);
            }
            Change::Event(event) => self.events.push(event),
        }
    }

    fn add_progress(&mut self, job: JobId, progress: &'a JobProgress) {
        if let Some((_, latest)) = self.jobs.get_mut(&job) {
            *latest = progress;
        } else {
            self.progress.insert(job, progress);
        }
    }

    fn edit(&mut self, attempt: AttemptKey) -> &mut Edit<'a> {
        match self.leased.get_mut(&attempt) {
            Some(leased) => &mut leased.edit,
            None => self.attempts.entry(attempt).or_default(),
        }
    }
}

impl<'a> Edit<'a> {
    fn record(&mut self, end: &'a AttemptEnd) {
        self.started_at = end.started_at.or(self.started_at);
        self.manifest = end.manifest.as_ref().or(self.manifest);
        self.end = End::Recorded(end);
    }
}
