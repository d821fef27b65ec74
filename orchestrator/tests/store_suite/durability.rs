//! What outlives the process, and what is refused on opening.

use mesh_orchestrator::store::StoreError;
use mesh_schemas::{EndClass, TaskState, api::EventKind};

use super::{
    build::{accepted, array, ended, event, job_id, key, leased, task},
    database::Database,
};

pub(crate) async fn what_was_committed_is_there_after_a_reopen(database: Database) {
    let leader = database.lead().await;
    leader
        .commit(&[
            accepted(&array(1, 0, 9)),
            task(1, 0, TaskState::Running, 1),
            leased(key(1, 0, 1)),
            ended(key(1, 0, 1), EndClass::Success),
            event(Some(1), EventKind::JobAccepted),
        ])
        .await;
    let before = format!("{:?}", leader.store.load().await.unwrap());
    let attempts = leader.store.attempts(&array(1, 0, 9), 0).await.unwrap();
    let epoch = leader.leader;
    drop(leader);

    let again = database.lead().await;
    assert_eq!(format!("{:?}", again.store.load().await.unwrap()), before);
    assert_eq!(again.store.attempts(&array(1, 0, 9), 0).await.unwrap(), attempts);
    assert!(again.leader > epoch);
    assert_eq!(again.commit(&[event(None, EventKind::NodeJoined)]).await.event_seq, 2);
}

pub(crate) async fn a_database_of_newer_software_is_refused(database: Database) {
    drop(database.open().await);
    database
        .tamper(
            "INSERT INTO _sqlx_migrations \
                (version, description, installed_on, success, checksum, execution_time) \
             SELECT 9999, 'later', installed_on, success, checksum, 0 FROM _sqlx_migrations LIMIT 1",
        )
        .await;
    let error = database.try_open().await.unwrap_err();
    assert!(matches!(&error, StoreError::Unreadable { what } if what.contains("9999")), "{error}");
}

pub(crate) async fn a_damaged_row_is_named_and_not_guessed(database: Database) {
    let leader = database.lead().await;
    leader.commit(&[accepted(&array(1, 0, 9)), accepted(&array(2, 0, 9))]).await;
    database.tamper("UPDATE job SET trace = 'nonsense' WHERE name = 'true'").await;
    let error = leader.store.job(job_id(1)).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Unreadable { what } if what.contains("job.trace")),
        "{error}"
    );
    leader.store.load().await.unwrap_err();
    database.tamper("UPDATE job SET spec = '{\"secret\":1}'").await;
    let error = leader.store.job(job_id(1)).await.unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}
