//! Rounds: the leader's fence, all or nothing, folding.

use std::time::Duration;

use mesh_core::{AttemptEnd, Change};
use mesh_orchestrator::store::{EventFilter, JobFilter, Round, Store, StoreError};
use mesh_schemas::{
    EndClass, TaskState, api::EventKind, attempt::JobState, message::Usage, spec::ArrayRange,
};

use super::{
    build::{
        accepted, array, at, end, ended, event, job, job_id, key, leased, manifest, progress, task,
        task_row,
    },
    database::{Database, Leader},
};

/// Long enough to see that something waits.
const A_WHILE: Duration = Duration::from_millis(300);

pub(crate) async fn every_lead_is_larger_than_any_before(database: Database) {
    let (one, other) = (database.open().await, database.open().await);
    let mut last = 0;
    for store in [&one, &other, &one] {
        let leader = store.take_lead().await.unwrap();
        assert!(leader > last, "{leader} after {last}");
        last = leader;
    }
}

pub(crate) async fn a_round_of_an_older_leader_is_refused_and_writes_nothing(database: Database) {
    let old = database.lead().await;
    old.commit(&[accepted(&job(1)), event(Some(1), EventKind::JobAccepted)]).await;
    let new = database.lead().await;

    let changes = [accepted(&job(2)), event(Some(2), EventKind::JobAccepted)];
    let refused = old
        .store
        .commit(Round { leader: old.leader, load: old.load, changes: &changes, position: Some(9) })
        .await
        .unwrap_err();
    assert!(matches!(refused, StoreError::NotLeader { mine } if mine == old.leader), "{refused}");

    let (snapshot, position) = new.store.load().await.unwrap();
    assert_eq!((snapshot.jobs.len(), position), (1, 0));
    let committed = new.commit(&[event(None, EventKind::NodeJoined)]).await;
    assert_eq!(committed.event_seq, 2, "the refused round took a number");
}

/// A round whose answer was lost may still come to pass. What the engine loads after it settled has it.
pub(crate) async fn settling_waits_for_the_round_under_way(database: Database) {
    let leader = database.lead().await;
    let under_way = database.begin("UPDATE meta SET position = 77").await;
    let mut settled = std::pin::pin!(leader.store.settle(leader.leader));
    let waits = tokio::time::timeout(A_WHILE, &mut settled).await;
    assert!(waits.is_err(), "it did not wait: {waits:?}");
    assert_eq!(leader.store.load().await.unwrap().1, 0, "reading does not wait, and sees what was");
    under_way.commit().await;
    assert!(settled.await.unwrap() > leader.load);
    assert_eq!(leader.store.load().await.unwrap().1, 77);
}

/// A round that was given up in the network reaches the database only after the state was loaded again.
pub(crate) async fn a_round_of_before_the_load_is_refused_and_writes_nothing(database: Database) {
    let before = database.lead().await;
    before.commit(&[accepted(&job(1))]).await;
    let after = Leader::load(before.store.clone(), before.leader).await;
    let changes = [accepted(&job(2)), task(2, 0, TaskState::Leased, 1), leased(key(2, 0, 1))];
    let refused = before.try_commit(&changes).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotLeader { .. }), "{refused}");
    assert_eq!(after.store.jobs(&all_jobs()).await.unwrap().len(), 1);
    assert!(after.store.attempts(&job(2), 0).await.unwrap().is_empty());
    after.commit(&changes).await;
    assert_eq!(after.store.jobs(&all_jobs()).await.unwrap().len(), 2);
}

/// The same with a round that the database has begun when the load is through.
pub(crate) async fn a_round_that_waits_behind_the_load_is_refused(database: Database) {
    let before = database.lead().await;
    let mut held = database.hold().await;
    let mut settled = std::pin::pin!(before.store.settle(before.leader));
    tokio::select! {
        settled = &mut settled => panic!("it did not wait: {settled:?}"),
        () = held.is_waited_for(1) => {}
    }
    let changes = [accepted(&job(1))];
    let mut late = std::pin::pin!(before.try_commit(&changes));
    tokio::select! {
        late = &mut late => panic!("it did not wait: {late:?}"),
        () = held.is_waited_for(2) => {}
    }
    held.commit().await;
    let load = settled.await.unwrap();
    let refused = late.await.unwrap_err();
    assert!(matches!(refused, StoreError::NotLeader { .. }), "{refused}");
    let leader = Leader { store: before.store.clone(), load, ..before };
    assert!(leader.store.jobs(&all_jobs()).await.unwrap().is_empty());
    leader.commit(&changes).await;
}

pub(crate) async fn later_changes_of_a_row_override_earlier_ones(database: Database) {
    let leader = database.lead().await;
    let record = array(1, 0, 4);
    let fresh = Some(ArrayRange { first: 1, last: 4 });
    leader
        .commit(&[
            accepted(&record),
            progress(&record, JobState::Running, Some(ArrayRange { first: 2, last: 4 })),
            progress(&record, JobState::Running, fresh),
            task(1, 0, TaskState::Leased, 1),
            task(1, 0, TaskState::Succeeded, 1),
        ])
        .await;
    let stored = leader.store.job(job_id(1)).await.unwrap().unwrap();
    assert_eq!((stored.progress.state, stored.progress.fresh), (JobState::Running, fresh));
    let tasks = leader.store.tasks(&stored, None, 0, 1).await.unwrap();
    assert_eq!(tasks[0].state, TaskState::Succeeded);

    leader
        .commit(&[
            progress(&record, JobState::Running, fresh),
            progress(&record, JobState::Succeeded, None),
            task(1, 0, TaskState::Queued, 1),
            task(1, 0, TaskState::Failed, 1),
        ])
        .await;
    let stored = leader.store.job(job_id(1)).await.unwrap().unwrap();
    assert_eq!((stored.progress.state, stored.progress.fresh), (JobState::Succeeded, None));
    let tasks = leader.store.tasks(&stored, None, 0, 9).await.unwrap();
    assert_eq!(tasks.iter().map(|task| task.state).collect::<Vec<_>>(), [TaskState::Failed]);
}

/// The life of an attempt, cut into rounds at every place, comes out the same.
pub(crate) async fn changes_fold_the_same_within_a_round_and_across_rounds(database: Database) {
    let leader = database.lead().await;
    let life = |job| {
        let attempt = key(job, 0, 1);
        let usage = Some(Usage { wall_ms: 3, ..Usage::default() });
        let last = AttemptEnd { exit_code: Some(1), usage, ..end(attempt, EndClass::UserError) };
        vec![
            task(job, 0, TaskState::Leased, 1),
            leased(attempt),
            Change::AttemptStarted { attempt, at: at(2) },
            Change::AttemptManifest { attempt, manifest: Box::new(manifest(1)) },
            ended(attempt, EndClass::NodeLost),
            Change::AttemptReopened { attempt },
            Change::AttemptManifest { attempt, manifest: Box::new(manifest(2)) },
            Change::AttemptEnded(Box::new(last)),
            task(job, 0, TaskState::Failed, 1),
        ]
    };
    let mut lives = Vec::new();
    for cut in 0..=9 {
        let number = u128::try_from(cut).unwrap() + 1;
        leader.commit(&[accepted(&job(number))]).await;
        let changes = life(number);
        leader.commit(&changes[..cut]).await;
        leader.commit(&changes[cut..]).await;
        let mut attempts = leader.store.attempts(&job(number), 0).await.unwrap();
        attempts[0].attempt.job = job_id(1);
        attempts[0].trace_id.clear();
        lives.push(attempts);
    }
    assert_eq!(lives[0][0].class, Some(EndClass::UserError));
    assert_eq!(lives[0][0].manifest, Some(manifest(2)));
    assert_eq!(lives[0][0].started_at, Some(at(2)));
    for (cut, other) in lives.iter().enumerate() {
        assert_eq!(*other, lives[0], "cut at {cut}");
    }
}

pub(crate) async fn a_round_that_fails_half_way_leaves_nothing(database: Database) {
    let leader = database.lead().await;
    leader.commit(&[accepted(&job(1)), leased(key(1, 0, 1))]).await;
    // The attempt is there already, and it comes after a job and a task.
    let changes = [
        accepted(&job(2)),
        task(2, 0, TaskState::Leased, 1),
        leased(key(1, 0, 1)),
        event(Some(2), EventKind::JobAccepted),
    ];
    let error = leader.try_commit(&changes).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(!error.to_string().to_uppercase().contains("INSERT"), "{error}");

    assert!(leader.store.job(job_id(2)).await.unwrap().is_none());
    assert_eq!(leader.store.load().await.unwrap().0.tasks, []);
    assert_eq!(leader.store.events(&all_events()).await.unwrap(), []);
    leader.commit(&[accepted(&job(2))]).await;
    assert_eq!(leader.store.jobs(&all_jobs()).await.unwrap().len(), 2);
}

fn all_events() -> EventFilter {
    EventFilter { limit: 100, ..EventFilter::default() }
}

fn all_jobs() -> JobFilter {
    JobFilter { limit: 100, ..JobFilter::default() }
}

pub(crate) async fn the_position_moves_only_when_a_round_names_one(database: Database) {
    let leader = database.lead().await;
    // A stream that was wiped begins with 1 again.
    for (position, expected) in [(None, 0), (Some(7), 7), (None, 7), (Some(1), 1)] {
        let Leader { leader: epoch, load, .. } = leader;
        let round = Round { leader: epoch, load, changes: &[], position };
        leader.store.commit(round).await.unwrap();
        assert_eq!(leader.store.load().await.unwrap().1, expected);
    }
}

pub(crate) async fn a_round_of_many_rows_is_written_whole(database: Database) {
    const TASKS: u32 = 3_000;
    let leader = database.lead().await;
    let mut changes = vec![accepted(&array(1, 0, TASKS - 1))];
    changes.push(progress(&array(1, 0, TASKS - 1), JobState::Running, None));
    for index in 0..TASKS {
        let attempt = key(1, index, 1);
        let message = Some(format!("{index} {}", "x".repeat(900)));
        let end = AttemptEnd { message, ..end(attempt, EndClass::Success) };
        changes.push(Change::Task(Box::new(task_row(1, index, TaskState::Succeeded, 1))));
        changes.push(leased(attempt));
        changes.push(Change::AttemptEnded(Box::new(end)));
        changes.push(event(Some(1), EventKind::AttemptEnded));
    }
    let committed = leader.commit(&changes).await;
    assert_eq!(committed.event_seq, u64::from(TASKS));

    let record = leader.store.job(job_id(1)).await.unwrap().unwrap();
    let tasks = leader.store.tasks(&record, Some(TaskState::Succeeded), 0, TASKS).await.unwrap();
    for (index, task) in (0..TASKS).zip(&tasks) {
        let message = task.last.as_ref().unwrap().message.as_ref().unwrap();
        assert!(message.starts_with(&format!("{index} ")), "{index}: {message}");
    }
    assert_eq!(tasks.len(), 3_000);
    assert_no_task_lives(&*leader.store).await;
}

async fn assert_no_task_lives(store: &dyn Store) {
    assert_eq!(store.load().await.unwrap().0.tasks, []);
}
