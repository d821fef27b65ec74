//! Jobs: whole ones, lists, idempotency keys.

use mesh_core::JobRecord;
use mesh_orchestrator::store::JobFilter;
use mesh_schemas::{
    JobId, JobSpec, Timestamp,
    api::JobView,
    attempt::JobState,
    spec::{ArraySpec, Resources},
};

use super::{
    build::{accepted, array, at, job, job_id, job_of, progress},
    database::{Database, Leader},
};

/// [`JobRecord`] has no equality; its debug form says everything.
fn shown(record: &JobRecord) -> String {
    format!("{record:?}")
}

pub(crate) async fn a_job_comes_back_as_it_was_accepted(database: Database) {
    let leader = database.lead().await;
    let mut spec = JobSpec::new(["sh", "-c", "echo \"it's\\n\" 'ü' \u{1F980} {}[]"]);
    spec.name = Some("build/x".into());
    spec.project = "team".into();
    spec.env.insert("PATH_'\"".into(), "a\tb\u{1}".into());
    spec.resources = Resources { gpu: 2, ..Resources::default() };
    spec.after = vec![job_id(77)];
    spec.idempotency_key = Some("key \"1\"".into());
    let mut record = job_of(1, spec);
    record.progress.state = JobState::Cancelled;
    record.progress.cancel_requested = true;
    record.progress.finished_at = Some(at(5));
    record.progress.fresh = None;
    leader.commit(&[accepted(&record)]).await;

    let stored = leader.store.job(record.id).await.unwrap().unwrap();
    assert_eq!(shown(&stored), shown(&record));
    let progress = leader.store.job_progress(record.id).await.unwrap();
    assert_eq!(progress.as_ref(), Some(&record.progress));
    assert_eq!(leader.store.job_progress(job_id(9)).await.unwrap(), None);
    let views = leader.store.jobs(&filter(9)).await.unwrap();
    let expected = JobView {
        id: record.id,
        name: "build/x".into(),
        project: "team".into(),
        state: JobState::Cancelled,
        counts: record.progress.counts,
        trace_id: record.trace.trace_id(),
        created_at: record.created_at,
        finished_at: Some(at(5)),
        cancel_requested: true,
    };
    assert_eq!(views, [expected]);
    assert!(leader.store.load().await.unwrap().0.jobs.is_empty(), "an ended job is not live");
}

pub(crate) async fn a_hundred_thousand_items_come_back_with_the_whole_job(database: Database) {
    let leader = database.lead().await;
    let mut spec = JobSpec::new(["echo"]);
    spec.array = Some(ArraySpec::Items((0..100_000).map(|i| format!("line \"{i}\" ü")).collect()));
    let record = job_of(1, spec);
    leader.commit(&[accepted(&record), accepted(&array(2, 0, 99_999))]).await;

    let stored = leader.store.job(record.id).await.unwrap().unwrap();
    assert_eq!(stored.spec, record.spec);
    let (snapshot, _) = leader.store.load().await.unwrap();
    assert_eq!(snapshot.jobs[0].spec, record.spec);
    assert_eq!(snapshot.jobs[1].spec, array(2, 0, 99_999).spec);
    let existing = leader.store.jobs(&filter(1)).await.unwrap();
    assert_eq!(existing[0].counts.total, 100_000);
}

fn filter(limit: u32) -> JobFilter {
    JobFilter { limit, ..JobFilter::default() }
}

async fn ids(leader: &Leader, filter: &JobFilter) -> Vec<JobId> {
    leader.store.jobs(filter).await.unwrap().iter().map(|job| job.id).collect()
}

pub(crate) async fn jobs_are_listed_newest_first_in_pages(database: Database) {
    let leader = database.lead().await;
    let all: Vec<_> = (1..=5).map(|number| accepted(&job(number))).collect();
    leader.commit(&all).await;
    let first = ids(&leader, &filter(2)).await;
    assert_eq!(first, [job_id(5), job_id(4)]);
    let next = JobFilter { before: Some(job_id(4)), ..filter(2) };
    assert_eq!(ids(&leader, &next).await, [job_id(3), job_id(2)]);
    let last = JobFilter { before: Some(job_id(2)), ..filter(2) };
    assert_eq!(ids(&leader, &last).await, [job_id(1)]);
    assert_eq!(ids(&leader, &filter(0)).await, []);
}

pub(crate) async fn jobs_are_listed_by_project_and_state(database: Database) {
    let leader = database.lead().await;
    for number in 1..=6 {
        let mut spec = JobSpec::new(["true"]);
        spec.project = if number % 2 == 0 { "even" } else { "odd" }.into();
        let record = job_of(number, spec);
        leader.commit(&[accepted(&record)]).await;
        if number > 3 {
            leader.commit(&[progress(&record, JobState::Failed, None)]).await;
        }
    }
    let even = JobFilter { project: Some("even".into()), ..filter(9) };
    assert_eq!(ids(&leader, &even).await, [job_id(6), job_id(4), job_id(2)]);
    let failed = JobFilter { state: Some(JobState::Failed), ..filter(9) };
    assert_eq!(ids(&leader, &failed).await, [job_id(6), job_id(5), job_id(4)]);
    let both = JobFilter { before: Some(job_id(6)), state: Some(JobState::Failed), ..even };
    assert_eq!(ids(&leader, &both).await, [job_id(4)]);
    for strange in ["", "none", "'; DROP TABLE job; --", "a\0b"] {
        let none = JobFilter { project: Some(strange.into()), ..filter(9) };
        assert_eq!(ids(&leader, &none).await, [], "{strange:?}");
    }
}

fn keyed(number: u128, key: &str) -> JobRecord {
    let mut spec = JobSpec::new(["true"]);
    spec.idempotency_key = Some(key.into());
    job_of(number, spec)
}

pub(crate) async fn an_idempotency_key_belongs_to_one_job_for_ever(database: Database) {
    let leader = database.lead().await;
    let first = keyed(1, "same");
    leader.commit(&[accepted(&first)]).await;
    leader.commit(&[progress(&first, JobState::Succeeded, None)]).await;
    leader.try_commit(&[accepted(&job(3)), accepted(&keyed(2, "same"))]).await.unwrap_err();
    assert_eq!(ids(&leader, &filter(9)).await, [job_id(1)]);
    let twice = [accepted(&keyed(4, "twice")), accepted(&keyed(5, "twice"))];
    leader.try_commit(&twice).await.unwrap_err();
    assert_eq!(ids(&leader, &filter(9)).await, [job_id(1)]);
}

pub(crate) async fn idempotency_keys_are_answered_in_their_order(database: Database) {
    let leader = database.lead().await;
    leader.commit(&[accepted(&keyed(1, "one")), accepted(&keyed(2, "two 'ü'"))]).await;
    let keys = ["two 'ü'", "none", "one", "two 'ü'", "a\0b", ""].map(String::from);
    let found = leader.store.by_idempotency_keys(&keys).await.unwrap();
    let jobs: Vec<_> = found.iter().map(|existing| existing.map(|e| e.job)).collect();
    let (one, two) = (Some(job_id(1)), Some(job_id(2)));
    assert_eq!(jobs, [two, None, one, two, None, None]);
    let existing = found[2].unwrap();
    let record = keyed(1, "one");
    assert_eq!(
        (existing.spec_hash, existing.tasks, existing.trace),
        (record.spec_hash, 1, record.trace)
    );
    assert_eq!(leader.store.by_idempotency_keys(&[]).await.unwrap(), []);
}

pub(crate) async fn states_of_missing_jobs_are_left_out(database: Database) {
    let leader = database.lead().await;
    let mut ended = job(2);
    ended.progress.state = JobState::Succeeded;
    ended.progress.finished_at = Some(Timestamp::from_millis(1));
    leader.commit(&[accepted(&job(1)), accepted(&ended)]).await;
    let mut states = leader.store.job_states(&[job_id(2), job_id(9), job_id(1)]).await.unwrap();
    states.sort();
    assert_eq!(states, [(job_id(1), JobState::Queued), (job_id(2), JobState::Succeeded)]);
    assert_eq!(leader.store.job_states(&[]).await.unwrap(), []);
}
