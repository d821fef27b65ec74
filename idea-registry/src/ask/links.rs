//! Edges and jobs of ideas.

use std::collections::{BTreeMap, BTreeSet};

use mesh_ideas_core::graph::{DEPTH_MAX, around, components};
use mesh_schemas::{
    ErrorCode, JobId, Problem,
    idea::{Direction, EdgeView, IdeaGraph, IdeaId, LedgerAnswer},
};

use super::{Answers, idea::edge_view};

impl Answers {
    pub(super) async fn graph(
        &self,
        idea: Option<IdeaId>,
        depth: u32,
        direction: Direction,
    ) -> Result<IdeaGraph, Problem> {
        if !(1..=DEPTH_MAX).contains(&depth) {
            let detail = format!("depth is {depth}; allowed are 1 to {DEPTH_MAX}");
            return Err(Problem::invalid("depth", detail));
        }
        let (mut edges, shown) = match idea {
            Some(idea) => {
                self.must_exist(idea).await?;
                self.around(idea, depth, direction).await?
            }
            None => {
                let _alone = self.alone().await?;
                let edges = self.shared.store.edges(None).await?;
                let edges: Vec<EdgeView> = edges.into_iter().map(edge_view).collect();
                let shown = edges.iter().flat_map(|edge| [edge.from, edge.to]).collect();
                (edges, shown)
            }
        };
        edges.retain(|edge| shown.contains(&edge.from) && shown.contains(&edge.to));
        let ideas = self.shared.store.ideas(shown.into_iter().collect()).await?;
        let ids: Vec<IdeaId> = ideas.iter().map(|view| view.id).collect();
        let components = components(&ids, &edges);
        Ok(IdeaGraph { ideas, edges, components })
    }

    /// The ideas around one, and every edge between any two of them, read step by step: the rest of the graph is
    /// not looked at.
    async fn around(
        &self,
        idea: IdeaId,
        depth: u32,
        direction: Direction,
    ) -> Result<(Vec<EdgeView>, BTreeSet<IdeaId>), Problem> {
        let (mut found, mut edges) = (BTreeMap::new(), Vec::new());
        let (mut known, mut new) = (BTreeSet::new(), BTreeSet::from([idea]));
        // Behind the last step come the edges between those that are farthest.
        for step in 1..=depth + 1 {
            found.extend(self.shared.store.edges_at(&new).await?);
            edges = found.iter().map(|(key, row)| edge_view((*key, *row))).collect();
            known.append(&mut new);
            new = &around(&edges, idea, step.min(depth), direction) - &known;
            if new.is_empty() {
                break;
            }
        }
        Ok((edges, known))
    }

    pub(super) async fn jobs(&self, idea: IdeaId) -> Result<LedgerAnswer, Problem> {
        self.must_exist(idea).await?;
        Ok(LedgerAnswer::Jobs { items: self.shared.store.jobs_of(idea).await? })
    }

    pub(super) async fn ideas_of(&self, job: JobId) -> Result<LedgerAnswer, Problem> {
        Ok(LedgerAnswer::Jobs { items: self.shared.store.ideas_of(job).await? })
    }

    pub(super) async fn exists(&self, idea: IdeaId) -> Result<LedgerAnswer, Problem> {
        let found = self.shared.store.ideas_like(&idea.to_string()).await?;
        Ok(LedgerAnswer::Exists { exists: !found.is_empty() })
    }

    async fn must_exist(&self, idea: IdeaId) -> Result<(), Problem> {
        match self.shared.store.ideas_like(&idea.to_string()).await?.is_empty() {
            true => {
                Err(Problem::new(ErrorCode::NotFound, format!("there is no idea {idea}"))
                    .at("idea"))
            }
            false => Ok(()),
        }
    }
}
