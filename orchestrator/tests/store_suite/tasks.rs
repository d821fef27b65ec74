//! Tasks: rows and the fresh range as one list.

use mesh_core::{AttemptEnd, Change, JobProgress, JobRecord, TaskRecord, Tries};
use mesh_schemas::{
    EndClass, Epoch, TaskState, api::TaskView, attempt::JobState, spec::ArrayRange,
};

use super::{
    build::{accepted, array, end, job, job_id, key, leased, node_id, progress, task, task_row},
    database::{Database, Leader},
};

fn indices(tasks: &[TaskView]) -> Vec<u32> {
    tasks.iter().map(|task| task.task).collect()
}

/// Tasks 10 to 12 have rows (succeeded, failed, running), 13 to 19 are fresh.
async fn begun(leader: &Leader) -> JobRecord {
    let record = array(1, 10, 19);
    leader
        .commit(&[
            accepted(&record),
            progress(&record, JobState::Running, Some(ArrayRange { first: 13, last: 19 })),
            task(1, 10, TaskState::Succeeded, 1),
            task(1, 11, TaskState::Failed, 3),
            task(1, 12, TaskState::Running, 1),
        ])
        .await;
    leader.store.job(record.id).await.unwrap().unwrap()
}

pub(crate) async fn tasks_without_a_row_are_listed_from_the_fresh_range(database: Database) {
    let leader = database.lead().await;
    let record = begun(&leader).await;
    let tasks = leader.store.tasks(&record, None, 0, 100).await.unwrap();
    assert_eq!(indices(&tasks), (10..=19).collect::<Vec<_>>());
    let expected = TaskView { task: 15, state: TaskState::Queued, attempts: 0, last: None };
    assert_eq!(tasks[5], expected);
    assert_eq!((tasks[1].state, tasks[1].attempts), (TaskState::Failed, 3));

    // What was read of the job may be older than the list: the list speaks for itself.
    leader
        .commit(&[
            progress(&record, JobState::Running, Some(ArrayRange { first: 14, last: 19 })),
            task(1, 13, TaskState::Leased, 1),
        ])
        .await;
    let tasks = leader.store.tasks(&record, None, 13, 2).await.unwrap();
    assert_eq!(indices(&tasks), [13, 14]);
    assert_eq!(tasks[0].state, TaskState::Leased);
}

pub(crate) async fn pages_of_tasks_go_on_where_the_last_one_ended(database: Database) {
    let leader = database.lead().await;
    let record = begun(&leader).await;
    for size in 1..=11 {
        let (mut all, mut from) = (Vec::new(), 0);
        loop {
            let page = leader.store.tasks(&record, None, from, size).await.unwrap();
            assert!(u32::try_from(page.len()).unwrap() <= size);
            let Some(last) = page.last() else { break };
            assert!(page[0].task >= from, "a page of {size} goes back to {}", page[0].task);
            from = last.task + 1;
            all.extend(indices(&page));
        }
        assert_eq!(all, (10..=19).collect::<Vec<_>>(), "pages of {size}");
    }
    assert_eq!(leader.store.tasks(&record, None, 20, 5).await.unwrap(), []);
    assert_eq!(leader.store.tasks(&record, None, u32::MAX, 5).await.unwrap(), []);
    assert_eq!(leader.store.tasks(&record, None, 0, 0).await.unwrap(), []);
}

pub(crate) async fn tasks_are_filtered_by_state(database: Database) {
    let leader = database.lead().await;
    let record = begun(&leader).await;
    let in_state =
        async |state| indices(&leader.store.tasks(&record, Some(state), 0, 100).await.unwrap());
    assert_eq!(in_state(TaskState::Succeeded).await, [10]);
    assert_eq!(in_state(TaskState::Failed).await, [11]);
    assert_eq!(in_state(TaskState::Running).await, [12]);
    assert_eq!(in_state(TaskState::Queued).await, (13..=19).collect::<Vec<_>>());
    assert!(in_state(TaskState::Leased).await.is_empty());

    let cancelled = JobProgress { fresh_state: TaskState::Cancelled, ..record.progress.clone() };
    leader
        .commit(&[
            Change::JobProgress { job: record.id, progress: cancelled },
            task(1, 12, TaskState::Cancelled, 1),
        ])
        .await;
    assert_eq!(in_state(TaskState::Cancelled).await, (12..=19).collect::<Vec<_>>());
    assert!(in_state(TaskState::Queued).await.is_empty());
}

pub(crate) async fn a_task_shows_its_last_attempt(database: Database) {
    let leader = database.lead().await;
    let (first, second) = (key(1, 0, 1), key(1, 0, 2));
    let lost = AttemptEnd { message: Some("gone".into()), ..end(first, EndClass::NodeLost) };
    leader
        .commit(&[
            accepted(&job(1)),
            progress(&job(1), JobState::Running, None),
            leased(first),
            Change::AttemptEnded(Box::new(lost)),
            leased(second),
            task(1, 0, TaskState::Leased, 2),
        ])
        .await;
    let tasks = leader.store.tasks(&job(1), None, 0, 9).await.unwrap();
    let last = tasks[0].last.as_ref().unwrap();
    assert_eq!((last.attempt, last.node, last.class), (second, node_id(1), None));
    assert_eq!(last.trace_id, job(1).trace.trace_id());
    assert_eq!(leader.store.last_epoch(job_id(1), 0).await.unwrap(), Some(Epoch(2)));
    assert_eq!(leader.store.attempt_node(first).await.unwrap(), Some(node_id(1)));
}

pub(crate) async fn retryable_are_the_tasks_that_ended_badly(database: Database) {
    let leader = database.lead().await;
    let tries = Tries { user_error: 1, out_of_memory: 2, timeout: 3, stalled: 4, lost: u16::MAX };
    let row = |index, state, epoch| {
        Change::Task(Box::new(TaskRecord { tries, ..task_row(1, index, state, epoch) }))
    };
    let changes: Vec<_> =
        (0..).zip(TaskState::ALL).map(|(index, state)| row(index, *state, 5)).collect();
    leader.commit(&[accepted(&array(1, 0, 6))]).await;
    leader.commit(&changes).await;
    leader.commit(&[accepted(&job(2)), task(2, 0, TaskState::Failed, 1)]).await;

    let retryable = leader.store.retryable(job_id(1)).await.unwrap();
    let states: Vec<_> = retryable.iter().map(|task| task.state).collect();
    assert_eq!(states, [TaskState::Failed, TaskState::Cancelled, TaskState::Quarantined]);
    assert!(retryable.iter().all(|task| task.tries == tries && task.epoch == Epoch(5)));
}

pub(crate) async fn unknown_ids_find_nothing(database: Database) {
    let leader = database.lead().await;
    let store = &leader.store;
    leader.commit(&[accepted(&job(1)), task(1, 0, TaskState::Cancelled, 0)]).await;
    assert!(store.job(job_id(u128::MAX)).await.unwrap().is_none());
    assert_eq!(store.tasks(&job(9), None, 0, 9).await.unwrap(), []);
    assert_eq!(store.attempts(&job(9), 0).await.unwrap(), []);
    assert!(store.retryable(job_id(9)).await.unwrap().is_empty());
    assert_eq!(store.attempt_node(key(1, u32::MAX, u32::MAX)).await.unwrap(), None);
    assert_eq!(store.last_epoch(job_id(1), 7).await.unwrap(), None);
    assert_eq!(store.last_epoch(job_id(1), 0).await.unwrap(), None, "it was never leased");
    // An update of an attempt that is not there is nothing, and says nothing.
    leader.commit(&[Change::AttemptReopened { attempt: key(9, 9, 9) }]).await;
    store.ping().await.unwrap();
    assert!(["sqlite", "postgres"].contains(&store.kind()));
}
