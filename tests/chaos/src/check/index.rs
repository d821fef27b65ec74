//! A history, sorted for looking things up.

use std::collections::BTreeMap;

use mesh_schemas::{AttemptKey, JobId, api::EventKind, api::EventView};

use crate::history::{AttemptRow, History, JobRow, NodeRow, StoredManifest, TaskRow};

/// One task, by its job and its index.
pub(super) type TaskKey = (JobId, u32);

/// The maps that the checks need.
pub(super) struct Index<'a> {
    pub(super) history: &'a History,
    pub(super) jobs: BTreeMap<JobId, &'a JobRow>,
    pub(super) tasks: BTreeMap<TaskKey, &'a TaskRow>,
    pub(super) attempts: BTreeMap<AttemptKey, &'a AttemptRow>,
    pub(super) nodes: BTreeMap<mesh_schemas::NodeId, &'a NodeRow>,
    /// Of each job, in order.
    pub(super) events: BTreeMap<JobId, Vec<&'a EventView>>,
    /// Of each task, in order, with the retries of its job: those alone lead out of an end.
    pub(super) task_events: BTreeMap<TaskKey, Vec<&'a EventView>>,
    /// Of each attempt, by version.
    pub(super) manifests: BTreeMap<AttemptKey, Vec<&'a StoredManifest>>,
}

impl<'a> Index<'a> {
    pub(super) fn new(history: &'a History) -> Self {
        let mut events: BTreeMap<JobId, Vec<&EventView>> = BTreeMap::new();
        for event in &history.events {
            if let Some(job) = event.job {
                events.entry(job).or_default().push(event);
            }
        }
        let mut manifests: BTreeMap<AttemptKey, Vec<&StoredManifest>> = BTreeMap::new();
        for manifest in &history.manifests {
            manifests.entry(manifest.attempt).or_default().push(manifest);
        }
        for versions in manifests.values_mut() {
            versions.sort_by_key(|manifest| manifest.version);
        }
        Self {
            history,
            jobs: history.jobs.iter().map(|job| (job.id, job)).collect(),
            tasks: history.tasks.iter().map(|task| ((task.job, task.task), task)).collect(),
            attempts: history.attempts.iter().map(|attempt| (attempt.key, attempt)).collect(),
            nodes: history.nodes.iter().map(|node| (node.id, node)).collect(),
            task_events: by_task(&events),
            events,
            manifests,
        }
    }

    /// A job's events.
    pub(super) fn events_of(&self, job: JobId) -> &[&'a EventView] {
        self.events.get(&job).map_or(&[], Vec::as_slice)
    }
}

fn by_task<'a>(
    events: &BTreeMap<JobId, Vec<&'a EventView>>,
) -> BTreeMap<TaskKey, Vec<&'a EventView>> {
    let mut tasks: BTreeMap<TaskKey, Vec<&EventView>> = BTreeMap::new();
    for (&job, events) in events {
        for event in events {
            if let Some(task) = event.task {
                tasks.entry((job, task)).or_default().push(event);
            }
        }
        let retries = events.iter().filter(|event| event.kind == EventKind::JobRetried);
        for retry in retries {
            let of_job = tasks.range_mut((job, 0)..=(job, u32::MAX));
            of_job.for_each(|(_, events)| events.push(retry));
        }
    }
    for events in tasks.values_mut() {
        events.sort_by_key(|event| event.seq);
    }
    tasks
}

/// The word before the reason in an event's detail: `failed` of `failed: it waited for too long`.
pub(super) fn word(event: &EventView) -> &str {
    let detail = event.detail.as_deref().unwrap_or_default();
    detail.split(':').next().unwrap_or(detail)
}
