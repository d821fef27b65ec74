//! Ideas by score.

use std::collections::BTreeMap;

use mesh_fabric::time;
use mesh_ideas_core::rank::{Ranked, rank};
use mesh_schemas::{
    Problem,
    idea::{IdeaId, LedgerAnswer, RankQuery, RankedIdea},
};

use super::{Answers, limit};

/// Rows when nothing is said.
const BEST: u32 = 20;

impl Answers {
    pub(super) async fn rank(&self, query: &RankQuery) -> Result<LedgerAnswer, Problem> {
        let limit = usize::try_from(limit(query.limit, BEST)?).unwrap_or(usize::MAX);
        let _alone = self.alone().await?;
        let ledger = self.shared.store.for_ranking().await?;
        let edges: Vec<_> = ledger.edges.iter().map(|(key, row)| (*key, *row)).collect();
        // All of them, as an idea stands among all others.
        let ranked = rank(&ledger.rank_inputs(), &edges, time::now(), &self.weights);
        let wanted = |ranked: &Ranked| {
            let row = ledger.ideas.get(&ranked.idea);
            query.status.is_none_or(|status| row.is_some_and(|row| row.status == status))
        };
        let best: Vec<Ranked> = ranked.into_iter().filter(wanted).take(limit).collect();
        let ids: Vec<IdeaId> = best.iter().map(|ranked| ranked.idea).collect();
        let views = self.shared.store.ideas(ids).await?;
        let mut views: BTreeMap<_, _> = views.into_iter().map(|view| (view.id, view)).collect();
        let items = best.iter().filter_map(|ranked| {
            let terms = ranked.terms(&self.weights);
            Some(RankedIdea { idea: views.remove(&ranked.idea)?, score: ranked.score, terms })
        });
        Ok(LedgerAnswer::Ranking { items: items.collect() })
    }
}
