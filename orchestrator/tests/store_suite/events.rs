//! The event log.

use mesh_core::{Change, EventRecord};
use mesh_orchestrator::store::EventFilter;
use mesh_schemas::{
    Epoch,
    api::{EventKind, EventView},
};

use super::{
    build::{at, event, job_id, node_id},
    database::{Database, Leader},
};

async fn numbers(leader: &Leader, filter: &EventFilter) -> Vec<u64> {
    leader.store.events(filter).await.unwrap().iter().map(|event| event.seq).collect()
}

pub(crate) async fn events_are_numbered_in_order_without_gaps(database: Database) {
    let leader = database.lead().await;
    let mut last = 0;
    for round in [3_usize, 0, 1, 7] {
        let kinds = EventKind::ALL.iter().copied().take(round);
        let changes: Vec<_> = kinds.map(|kind| event(Some(1), kind)).collect();
        last += u64::try_from(round).unwrap();
        assert_eq!(leader.commit(&changes).await.event_seq, last);
    }
    let events =
        leader.store.events(&EventFilter { limit: 99, ..Default::default() }).await.unwrap();
    let seen: Vec<_> = events.iter().map(|event| (event.seq, event.kind)).collect();
    let kinds = [3, 1, 7].map(|round| &EventKind::ALL[..round]).concat();
    assert_eq!(seen, (1..).zip(kinds).collect::<Vec<_>>());
}

pub(crate) async fn events_are_filtered_by_job_and_number(database: Database) {
    let leader = database.lead().await;
    let full = EventRecord {
        at: at(3),
        kind: EventKind::AttemptEnded,
        job: Some(job_id(2)),
        task: Some(u32::MAX),
        epoch: Some(Epoch(4)),
        node: Some(node_id(5)),
        detail: Some("node_lost".into()),
    };
    leader
        .commit(&[
            event(Some(1), EventKind::JobAccepted),
            event(None, EventKind::NodeJoined),
            Change::Event(full),
            event(Some(1), EventKind::JobFinished),
        ])
        .await;
    let of = |job, after, limit| EventFilter { after, job, limit };
    assert_eq!(numbers(&leader, &of(None, 0, 9)).await, [1, 2, 3, 4]);
    assert_eq!(numbers(&leader, &of(None, 1, 2)).await, [2, 3]);
    assert_eq!(numbers(&leader, &of(Some(job_id(1)), 0, 9)).await, [1, 4]);
    assert_eq!(numbers(&leader, &of(Some(job_id(1)), 1, 9)).await, [4]);
    assert!(numbers(&leader, &of(Some(job_id(9)), 0, 9)).await.is_empty());
    assert!(numbers(&leader, &of(None, u64::MAX, 9)).await.is_empty());
    let expected = EventView {
        seq: 3,
        at: at(3),
        kind: EventKind::AttemptEnded,
        job: Some(job_id(2)),
        task: Some(u32::MAX),
        epoch: Some(Epoch(4)),
        node: Some(node_id(5)),
        detail: Some("node_lost".into()),
    };
    assert_eq!(leader.store.events(&of(Some(job_id(2)), 0, 9)).await.unwrap(), [expected]);
}
