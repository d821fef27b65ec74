//! What the ledger of ideas is still to be told.

use mesh_core::{Change, EventRecord};
use mesh_orchestrator::store::IdeaNews;
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
    let news = |seq, state| IdeaNews { seq, idea, job: job_id(2), job_name: "true".into(), state };
    let (told, until) = leader.store.ledger_news().await.unwrap();
    assert_eq!(told, [news(2, JobState::Queued), news(4, JobState::Failed)]);
    assert_eq!(until, 5);

    leader.store.ledger_told(leader.leader, until).await.unwrap();
    leader.store.ledger_told(leader.leader, 1).await.unwrap();
    assert_eq!(leader.store.ledger_news().await.unwrap(), (Vec::new(), 5), "it never goes back");
    leader.commit(&[event(Some(2), EventKind::JobRetried)]).await;
    let (told, until) = leader.store.ledger_news().await.unwrap();
    assert_eq!((told, until), (vec![news(6, JobState::Queued)], 6));

    let next = database.lead().await;
    leader.store.ledger_told(leader.leader, 6).await.unwrap();
    assert_eq!(next.store.ledger_news().await.unwrap().0.len(), 1, "an old leader moves nothing");
}
