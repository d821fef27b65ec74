//! Rankings are made once for each head of the log.

use futures::future::join_all;
use mesh_schemas::idea::{IdeaStatus, LedgerAnswer, LedgerAsk, RankQuery, RankedIdea};

use crate::{
    filling::{append, fill},
    kit::{Home, Owner, answers, idea, some_text},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_ranking_is_kept_until_the_log_grows() {
    for home in Home::both().await {
        let registry = home.start().await;
        let rated = fill(&registry).await;
        let answers = answers(&registry);
        let ranking = async |query: RankQuery| -> Vec<RankedIdea> {
            match answers.answer(LedgerAsk::Rank(query)).await {
                LedgerAnswer::Ranking { items } => items,
                other => panic!("{other:?}"),
            }
        };
        let all = RankQuery { limit: Some(1_000), ..RankQuery::default() };
        let together = join_all((0..8).map(|_| ranking(all.clone()))).await;
        let first = &together[0];
        assert_eq!(first[0].idea.id, rated);
        assert!(together.iter().all(|other| other == first));
        for status in IdeaStatus::ALL.iter().copied() {
            let wanted: Vec<RankedIdea> =
                first.iter().filter(|item| item.idea.status == status).cloned().collect();
            let query = RankQuery { status: Some(status), ..all.clone() };
            assert_eq!(ranking(query).await, wanted, "{status}");
        }
        let best = ranking(RankQuery { limit: Some(3), ..RankQuery::default() }).await;
        assert_eq!(best, first[..3]);

        // Past the registry, so that one that is made anew can be told from one that is kept.
        let owner = Owner::of(&home.place).await;
        owner.run("UPDATE opinion SET vote = -1, impact = 0").await;
        let score = |items: &[RankedIdea]| {
            items.iter().find(|item| item.idea.id == rated).map(|item| item.score).unwrap()
        };
        assert!((score(&ranking(all.clone()).await) - score(first)).abs() < 1e-12, "it is kept");
        append(&registry, &idea(1, &some_text())).await;
        let later = ranking(all.clone()).await;
        assert!(score(&later) < score(first) - 0.5, "{} {}", score(&later), score(first));
        assert_eq!(later.len(), first.len() + 1);
        owner.close().await;
        registry.stop().await;
    }
}
