//! What the ledger of ideas is still to be told.

use mesh_core::{Change, EventRecord};
use mesh_orchestrator::store::{IdeaNews, Told};
use mesh_schemas::{JobSpec, api::EventKind, attempt::JobState, idea::IdeaId};

use super::{
    build::{accepted, event, job, job_id, job_of},
    database::Database,
};

fn finished(number: u128, state: JobState) -> Change {
    let Change::Event(record) = event(Some(number), EventKind::JobFinished) else {
        unreachable!("it makes events")
    };
    Change::Event(EventRecord { detail: Some(state.to_string()), ..record })
}

fn up_to(until: u64) -> Told {
    Told { until, ..Told::default() }
}

pub(crate) async fn jobs_of_ideas_are_told_in_order_and_once_they_were(database: Database) {
    let leader = database.lead().await;
    let mut spec = JobSpec::new(["/bin/true"]);
    let idea = IdeaId([7; 32]);
    spec.idea = Some(idea);
    leader
        .commit(&[
            accepted(&job(1)),
            event(Some(1), EventKind::JobAccepted),
            accepted(&job_of(2, spec)),
            event(Some(2), EventKind::JobAccepted),
            event(Some(2), EventKind::AttemptStarted),
            finished(2, JobState::Failed),
            event(None, EventKind::NodeJoined),
        ])
        .await;
    let news = |seq, state| IdeaNews {
        seq,
        idea,
        job: job_id(2),
        job_name: "true".into(),
        state,
        trace: Some(job(2).trace),
    };
    let (told, until) = leader.store.ledger_news().await.unwrap();
    assert_eq!(told, [news(2, JobState::Queued), news(4, JobState::Failed)]);
    assert_eq!(until, 5);

    leader.store.ledger_told(leader.leader, &up_to(until)).await.unwrap();
    leader.store.ledger_told(leader.leader, &up_to(1)).await.unwrap();
    assert_eq!(leader.store.ledger_news().await.unwrap(), (Vec::new(), 5), "it never goes back");
    leader.commit(&[event(Some(2), EventKind::JobRetried)]).await;
    let (told, until) = leader.store.ledger_news().await.unwrap();
    assert_eq!((told, until), (vec![news(6, JobState::Queued)], 6));

    let next = database.lead().await;
    leader.store.ledger_told(leader.leader, &up_to(6)).await.unwrap();
    assert_eq!(next.store.ledger_news().await.unwrap().0.len(), 1, "an old leader moves nothing");
}

/// What the ledger had no idea for stays, whoever leads, until it is taken; of each job the latest is kept.
pub(crate) async fn jobs_without_their_idea_are_parked_until_they_are_taken(database: Database) {
    let leader = database.lead().await;
    let (first, second) = (IdeaId([1; 32]), IdeaId([2; 32]));
    let of = |job, idea, seq, state| IdeaNews {
        seq,
        idea,
        job: job_id(job),
        job_name: "build".into(),
        state,
        // The jobs themselves are not there.
        trace: None,
    };
    leader.commit(&(1..=9).map(|_| event(None, EventKind::NodeJoined)).collect::<Vec<_>>()).await;
    let begun = of(1, second, 2, JobState::Queued);
    let ended = of(1, second, 4, JobState::Succeeded);
    let others = [of(2, first, 3, JobState::Queued), of(3, first, 1, JobState::Failed)];
    let parked = [&[begun.clone(), ended.clone()][..], &others].concat();
    let store = &leader.store;
    let told = Told { until: 5, parked, ..Told::default() };
    store.ledger_told(leader.leader, &told).await.unwrap();
    // The same news once more, as by a leader that did not hear of its commit.
    store.ledger_told(leader.leader, &told).await.unwrap();
    assert_eq!(store.ledger_parked(None, 9).await.unwrap(), (vec![first, second], 3));
    assert_eq!(store.ledger_parked(None, 1).await.unwrap(), (vec![first], 3));
    assert_eq!(store.ledger_parked(Some(first), 9).await.unwrap(), (vec![second], 3));
    assert_eq!(store.ledger_parked_of(second, 9).await.unwrap(), std::slice::from_ref(&ended));
    let oldest = store.ledger_parked_of(first, 1).await.unwrap();
    assert_eq!(oldest, [others[1].clone()], "the oldest first");

    // What was parked later of the same job stays.
    store.ledger_unpark(leader.leader, std::slice::from_ref(&begun)).await.unwrap();
    assert_eq!(store.ledger_parked_of(second, 9).await.unwrap(), std::slice::from_ref(&ended));
    // News of the job that are taken are the last word.
    let later = Told { until: 6, taken: vec![of(1, second, 6, JobState::Queued)], ..up_to(6) };
    store.ledger_told(leader.leader, &later).await.unwrap();
    assert_eq!(store.ledger_parked(None, 9).await.unwrap(), (vec![first], 2));

    let next = database.lead().await;
    store.ledger_unpark(leader.leader, &others).await.unwrap();
    let late = Told { until: 9, parked: vec![ended], ..Told::default() };
    store.ledger_told(leader.leader, &late).await.unwrap();
    assert_eq!(
        next.store.ledger_parked(None, 9).await.unwrap().1,
        2,
        "an old leader moves nothing"
    );
    next.store.ledger_unpark(next.leader, &others).await.unwrap();
    assert_eq!(next.store.ledger_parked(None, 9).await.unwrap(), (Vec::new(), 0));
}
