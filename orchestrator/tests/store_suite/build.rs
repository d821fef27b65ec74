//! Rows with as little in them as a claim needs.

use std::sync::Arc;

use mesh_core::{AttemptEnd, Change, EventRecord, JobProgress, JobRecord, TaskRecord, Tries};
use mesh_schemas::{
    AttemptKey, EndClass, Epoch, JobId, JobSpec, NodeId, TaskState, Timestamp, TraceParent,
    api::{EventKind, TaskCounts},
    attempt::JobState,
    manifest::{ManifestPlace, ManifestRef, ManifestSummary},
    spec::{ArrayRange, ArraySpec},
};
use uuid::Uuid;

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

pub(crate) fn job_id(number: u128) -> JobId {
    JobId::from_uuid(Uuid::from_u128(number))
}

pub(crate) fn node_id(number: u128) -> NodeId {
    NodeId::from_uuid(Uuid::from_u128(number))
}

pub(crate) fn key(job: u128, task: u32, epoch: u32) -> AttemptKey {
    AttemptKey { job: job_id(job), task, epoch: Epoch(epoch) }
}

/// A queued job over tasks that are all fresh.
pub(crate) fn job_of(number: u128, spec: JobSpec) -> JobRecord {
    let range = spec.task_range();
    let total = range.count();
    JobRecord {
        id: job_id(number),
        spec: Arc::new(spec),
        spec_hash: [u8::try_from(number % 256).unwrap(); 32],
        trace: TraceParent::new(number + 1, 7),
        created_at: at(i64::try_from(number).unwrap()),
        progress: JobProgress {
            state: JobState::Queued,
            counts: TaskCounts { total, queued: total, ..TaskCounts::default() },
            fresh: Some(range),
            fresh_state: TaskState::Queued,
            cancel_requested: false,
            finished_at: None,
        },
    }
}

pub(crate) fn job(number: u128) -> JobRecord {
    job_of(number, JobSpec::new(["/bin/true"]))
}

pub(crate) fn array(number: u128, first: u32, last: u32) -> JobRecord {
    let mut spec = JobSpec::new(["/bin/true"]);
    spec.array = Some(ArraySpec::Range(ArrayRange { first, last }));
    job_of(number, spec)
}

pub(crate) fn accepted(job: &JobRecord) -> Change {
    Change::JobAccepted(Box::new(job.clone()))
}

/// The job as it stands once tasks before `first_fresh` have rows.
pub(crate) fn progress(job: &JobRecord, state: JobState, fresh: Option<ArrayRange>) -> Change {
    let progress = JobProgress { state, fresh, ..job.progress.clone() };
    Change::JobProgress { job: job.id, progress }
}

pub(crate) fn task_row(job: u128, task: u32, state: TaskState, epoch: u32) -> TaskRecord {
    TaskRecord {
        job: job_id(job),
        task,
        state,
        epoch: Epoch(epoch),
        node: (epoch > 0).then(|| node_id(1)),
        tries: Tries::default(),
        eligible_at: None,
        cancel_requested: false,
        checkpoint: None,
    }
}

pub(crate) fn task(job: u128, task: u32, state: TaskState, epoch: u32) -> Change {
    Change::Task(Box::new(task_row(job, task, state, epoch)))
}

pub(crate) fn leased(attempt: AttemptKey) -> Change {
    Change::AttemptLeased { attempt, node: node_id(1), at: at(1) }
}

pub(crate) fn end(attempt: AttemptKey, class: EndClass) -> AttemptEnd {
    AttemptEnd {
        attempt,
        started_at: None,
        recorded_at: at(9),
        class,
        exit_code: None,
        signal: None,
        message: None,
        manifest: None,
        usage: None,
    }
}

pub(crate) fn ended(attempt: AttemptKey, class: EndClass) -> Change {
    Change::AttemptEnded(Box::new(end(attempt, class)))
}

pub(crate) fn manifest(version: u32) -> ManifestSummary {
    let key = format!("a/manifest-{version}");
    let place = ManifestPlace::Object(ManifestRef { key, size: 5, blake3: "0".repeat(64) });
    ManifestSummary { version, bytes: 10, place, ..ManifestSummary::empty() }
}

pub(crate) fn event(job: Option<u128>, kind: EventKind) -> Change {
    Change::Event(EventRecord {
        at: at(3),
        kind,
        job: job.map(job_id),
        task: None,
        epoch: None,
        node: None,
        detail: None,
    })
}
