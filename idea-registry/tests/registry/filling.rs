//! A log with something of every kind.

use mesh_ideas::{
    registry::Registry,
    verify::{Report, local},
};
use mesh_schemas::{
    ErrorCode, JobId,
    attempt::JobState,
    idea::{Appended, IdeaId, IdeaStatus, Relation, Say, Submission},
};

use crate::kit::{self, Home, idea, say, sealed_idea, some_text, with_text};

pub(crate) async fn append(registry: &Registry, submission: &Submission) -> Appended {
    registry.shared.writer.append(submission).await.unwrap()
}

pub(crate) async fn refused(registry: &Registry, submission: &Submission) -> ErrorCode {
    registry.shared.writer.append(submission).await.unwrap_err().code
}

/// Something of every kind; the last idea.
pub(crate) async fn fill(registry: &Registry) -> IdeaId {
    let first = append(registry, &idea(1, "Keep the caches of builds warm overnight")).await;
    let first_id = first.idea.unwrap();
    let twin = append(registry, &idea(2, "keep the cache of builds warm over night!")).await;
    assert_eq!(twin.similar.first().map(|(idea, _)| *idea), Some(first_id), "{twin:?}");
    let again = append(registry, &idea(3, "KEEP the caches of builds warm overnight")).await;
    assert_eq!((again.created, again.idea), (false, Some(first_id)));
    for _ in 0..20 {
        append(registry, &idea(4, &some_text())).await;
    }
    let other = append(registry, &idea(5, "Write the logs of nodes in colour")).await.idea.unwrap();
    let text = "Write the logs of nodes in colours that everybody can tell apart";
    append(registry, &with_text(5, Say::Revision { idea: other, body: kit::body(text) }, text))
        .await;
    let comment = Say::Comment { idea: other, body: kit::body("No.") };
    let comment = append(registry, &with_text(6, comment, "No.")).await;
    append(registry, &say(6, Say::Tombstone { entry: comment.entry, reason: "rude".into() })).await;
    let relation = Relation::Blocks;
    let link = Say::Link { from: other, to: first_id, relation, proposed: false, likeness: None };
    append(registry, &say(7, link)).await;
    let back = Say::Link { from: first_id, to: other, relation, proposed: false, likeness: None };
    assert_eq!(refused(registry, &say(7, back)).await, ErrorCode::Cycle);
    let release =
        append(registry, &say(5, Say::Release { idea: other, follows: other.into() })).await;
    append(registry, &say(8, Say::Claim { idea: other, follows: release.entry })).await;
    let accepted = Say::Status { idea: other, status: IdeaStatus::Accepted, reason: None };
    assert_eq!(refused(registry, &say(5, accepted.clone())).await, ErrorCode::NotHolder);
    append(registry, &say(8, accepted)).await;
    let rank = Say::Rank { idea: other, impact: Some(80), cost: None, risk: None, vote: Some(1) };
    append(registry, &say(9, rank)).await;
    let job = JobId::from_uuid(uuid::Uuid::from_u128(7));
    for state in [JobState::Running, JobState::Running, JobState::Succeeded] {
        registry.shared.writer.job_state(other, job, state, "colours".into()).await.unwrap();
    }
    append(registry, &sealed_idea(1, "A secret plan of the first", "someone")).await;
    let again = append(registry, &sealed_idea(2, "a secret  plan of the first", "someone")).await;
    assert!(!again.created);
    registry.shared.writer.erase("someone".into()).await.unwrap();
    let after = append(registry, &sealed_idea(1, "A secret plan of the first", "someone")).await;
    assert!(after.created, "what was erased is not remembered");
    other
}

pub(crate) async fn verified(home: &Home) -> Report {
    local(&home.place, None).await.unwrap()
}
