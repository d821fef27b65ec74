//! Edges and jobs of ideas.

use std::collections::{BTreeMap, BTreeSet};

use mesh_ideas_core::graph::{DEPTH_MAX, around, components};
use mesh_schemas::{
    ErrorCode, JobId, Problem,
    idea::{Direction, EdgeView, IdeaGraph, IdeaId, LedgerAnswer},
};

use super::{Answers, idea::edge_view};

/// Most ideas and edges of one answer, which must fit one message: an idea takes up to 3 KiB, an edge a quarter of one.
const IDEAS_SHOWN_MAX: usize = 500;
const EDGES_SHOWN_MAX: usize = 5_000;
/// Most edges that are read for one step.
const EDGES_MAX: u32 = 20_000;
/// Most ideas of one job.
const IDEAS_OF_JOB_MAX: u32 = 1_000;

/// A part of the graph.
#[derive(Debug, Default)]
struct Part {
    edges: Vec<EdgeView>,
    shown: BTreeSet<IdeaId>,
    /// There is more.
    truncated: bool,
}

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
        let mut around = match idea {
            Some(idea) => {
                self.must_exist(idea).await?;
                self.around(idea, depth, direction).await?
            }
            None => self.beginning().await?,
        };
        let Part { edges, shown, truncated } = &mut around;
        edges.retain(|edge| shown.contains(&edge.from) && shown.contains(&edge.to));
        *truncated |= edges.len() > EDGES_SHOWN_MAX;
        edges.truncate(EDGES_SHOWN_MAX);
        let Part { edges, shown, truncated } = around;
        let ideas = self.shared.store.ideas(shown.into_iter().collect()).await?;
        let ids: Vec<IdeaId> = ideas.iter().map(|view| view.id).collect();
        let components = components(&ids, &edges);
        Ok(IdeaGraph { ideas, edges, components, truncated })
    }

    /// The edges that come first in their order, and the ideas at their ends.
    async fn beginning(&self) -> Result<Part, Problem> {
        let found = self.shared.store.edges(None, None, EDGES_MAX).await?;
        let mut part = Part { truncated: found.len() >= limit(EDGES_MAX), ..Part::default() };
        for edge in found.into_iter().map(edge_view) {
            let ends = [edge.from, edge.to];
            let new = ends.iter().filter(|end| !part.shown.contains(*end)).count();
            if part.shown.len() + new > IDEAS_SHOWN_MAX {
                part.truncated = true;
                break;
            }
            part.shown.extend(ends);
            part.edges.push(edge);
        }
        Ok(part)
    }

    /// The ideas around one, and every edge between any two of them, read step by step: the rest of the graph is
    /// not looked at.
    async fn around(
        &self,
        idea: IdeaId,
        depth: u32,
        direction: Direction,
    ) -> Result<Part, Problem> {
        let (mut found, mut part) = (BTreeMap::new(), Part::default());
        let mut new = BTreeSet::from([idea]);
        // Behind the last step come the edges between those that are farthest.
        for step in 1..=depth + 1 {
            let edges = self.shared.store.edges_at(&new, EDGES_MAX).await?;
            part.truncated |= edges.len() >= limit(EDGES_MAX);
            found.extend(edges);
            part.edges = found.iter().map(|(key, row)| edge_view((*key, *row))).collect();
            part.shown.append(&mut new);
            new = &around(&part.edges, idea, step.min(depth), direction) - &part.shown;
            let room = IDEAS_SHOWN_MAX.saturating_sub(part.shown.len());
            part.truncated |= new.len() > room;
            new = new.into_iter().take(room).collect();
            part.truncated |= found.len() >= limit(EDGES_MAX) && !new.is_empty();
            if new.is_empty() || found.len() >= limit(EDGES_MAX) {
                break;
            }
        }
        part.shown.append(&mut new);
        Ok(part)
    }

    pub(super) async fn ideas_of(&self, job: JobId) -> Result<LedgerAnswer, Problem> {
        // One, or as many as a job was said to be of by mistake.
        let items = self.shared.store.ideas_of(job, IDEAS_OF_JOB_MAX).await?;
        Ok(LedgerAnswer::Jobs { items, next: None })
    }

    pub(super) async fn exists(&self, idea: IdeaId) -> Result<LedgerAnswer, Problem> {
        let found = self.shared.store.ideas_like(&idea.to_string()).await?;
        let exists = !found.is_empty() || self.standing(idea).await?.is_some();
        Ok(LedgerAnswer::Exists { exists })
    }

    pub(super) async fn must_exist(&self, idea: IdeaId) -> Result<(), Problem> {
        match self.shared.store.ideas_like(&idea.to_string()).await?.is_empty() {
            true => {
                Err(Problem::new(ErrorCode::NotFound, format!("there is no idea {idea}"))
                    .at("idea"))
            }
            false => Ok(()),
        }
    }
}

fn limit(rows: u32) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}
