//! Edges and jobs of ideas.

use std::collections::BTreeSet;

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
        let edges = self.shared.store.edges(None).await?;
        let mut edges: Vec<EdgeView> = edges.into_iter().map(edge_view).collect();
        let shown: BTreeSet<IdeaId> = match idea {
            Some(idea) => {
                self.must_exist(idea).await?;
                around(&edges, idea, depth, direction)
            }
            None => edges.iter().flat_map(|edge| [edge.from, edge.to]).collect(),
        };
        edges.retain(|edge| shown.contains(&edge.from) && shown.contains(&edge.to));
        let ideas = self.shared.store.ideas(shown.into_iter().collect()).await?;
        let ids: Vec<IdeaId> = ideas.iter().map(|view| view.id).collect();
        let components = components(&ids, &edges);
        Ok(IdeaGraph { ideas, edges, components })
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
