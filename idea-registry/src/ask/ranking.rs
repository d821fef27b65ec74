//! Ideas by score.
//!
//! A ranking is made of all ideas at once, off the threads that answer, by one at a time; it is kept for as long as
//! the log does not grow, and for a minute at most, as ideas age. Of each status the best are kept that one answer can
//! ask for: a few hundred kilobytes, however large the log is.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mesh_fabric::time;
use mesh_ideas_core::rank::{Ranked, Weights, rank};
use mesh_schemas::{
    ErrorCode, Problem, Timestamp,
    idea::{IdeaId, IdeaStatus, LedgerAnswer, RankQuery, RankedIdea},
};
use tokio::{runtime::Handle, sync::Mutex};

use super::{Answers, ROWS_MAX, limit};
use crate::store::{Store, StoreError};

/// Rows when nothing is said.
const BEST: u32 = 20;
/// After so long a ranking is made anew: an idea's age counts, with a half-life of an hour or more.
const AGE_MAX: Duration = Duration::from_secs(60);

/// The last ranking; cheap to clone. Who holds it makes the next one, and the others wait for that.
#[derive(Debug, Clone, Default)]
pub(super) struct Rankings(Arc<Mutex<Option<Arc<Ranking>>>>);

/// The best of a ranking.
#[derive(Debug)]
struct Ranking {
    /// The log had at least so many entries.
    entries: u64,
    made: Timestamp,
    /// Of all ideas, and of those of each status.
    best: BTreeMap<Option<IdeaStatus>, Vec<Ranked>>,
}

impl Answers {
    pub(super) async fn rank(&self, query: &RankQuery) -> Result<LedgerAnswer, Problem> {
        let limit = usize::try_from(limit(query.limit, BEST)?).unwrap_or(usize::MAX);
        let ranking = self.ranking().await?;
        let best = ranking.best.get(&query.status).map(Vec::as_slice).unwrap_or_default();
        let best = &best[..limit.min(best.len())];
        let ids: Vec<IdeaId> = best.iter().map(|ranked| ranked.idea).collect();
        let views = self.shared.store.ideas(ids).await?;
        let mut views: BTreeMap<_, _> = views.into_iter().map(|view| (view.id, view)).collect();
        let items = best.iter().filter_map(|ranked| {
            let terms = ranked.terms(&self.weights);
            Some(RankedIdea { idea: views.remove(&ranked.idea)?, score: ranked.score, terms })
        });
        Ok(LedgerAnswer::Ranking { items: items.collect() })
    }

    /// A ranking of all that was durable when it was asked for.
    async fn ranking(&self) -> Result<Arc<Ranking>, Problem> {
        let asked = self.shared.writer.size();
        let mut kept = self.rankings.0.lock().await;
        let now = time::now();
        if let Some(ranking) = kept.as_ref().filter(|ranking| ranking.is_of(asked, now)) {
            return Ok(Arc::clone(ranking));
        }
        let _alone = self.alone().await?;
        let entries = self.shared.writer.size();
        let (store, weights, runtime) =
            (self.shared.store.clone(), self.weights, Handle::current());
        let make = move || runtime.block_on(Ranking::make(&store, &weights, entries, now));
        let broke =
            |error| Problem::new(ErrorCode::Internal, format!("the ranking broke: {error}"));
        let made = Arc::new(tokio::task::spawn_blocking(make).await.map_err(broke)??);
        *kept = Some(Arc::clone(&made));
        Ok(made)
    }
}

impl Ranking {
    /// Reads all that counts, and ranks.
    async fn make(
        store: &Store,
        weights: &Weights,
        entries: u64,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let begun = std::time::Instant::now();
        let ledger = store.for_ranking().await?;
        let edges: Vec<_> = ledger.edges.iter().map(|(key, row)| (*key, *row)).collect();
        // All of them, as an idea stands among all others.
        let ranked = rank(&ledger.rank_inputs(), &edges, now, weights);
        let mut best: BTreeMap<Option<IdeaStatus>, Vec<Ranked>> = BTreeMap::new();
        for ranked in ranked {
            let status = ledger.ideas.get(&ranked.idea).map(|row| Some(row.status));
            for of in std::iter::once(None).chain(status) {
                let best = best.entry(of).or_default();
                if best.len() < ROWS_MAX {
                    best.push(ranked);
                }
            }
        }
        metrics::histogram!("mesh_ideas_rank_seconds").record(begun.elapsed().as_secs_f64());
        Ok(Self { entries, made: now, best })
    }

    fn is_of(&self, entries: u64, now: Timestamp) -> bool {
        self.entries >= entries && now.since(self.made) < AGE_MAX && self.made <= now
    }
}
