//! What is too large for one answer, put together of pages.

use std::collections::BTreeSet;

use mesh_ideas_core::graph;
use mesh_schemas::{
    Problem,
    idea::{
        Direction, EdgeView, EntryView, IdeaDetail, IdeaGraph, IdeaId, IdeaPart, IdeaView,
        OwnerView,
    },
};

use crate::client::Client;

/// The neighbourhood of an idea.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around {
    pub(super) idea: IdeaId,
    pub(super) depth: u32,
    pub(super) direction: Direction,
}

/// Fetches what an answer had no room for.
pub(super) async fn complete(client: &Client, idea: &mut IdeaDetail) -> Result<(), Problem> {
    let missing = std::mem::take(&mut idea.truncated);
    let id = idea.view.id;
    for part in &missing {
        let path = format!("/ideas/{id}/{part}");
        match part {
            IdeaPart::Entries => idea.entries = client.pages(&path, usize::MAX).await?,
            IdeaPart::Edges => idea.edges = client.pages(&path, usize::MAX).await?,
            IdeaPart::Jobs => {
                idea.jobs = client.pages(&path, usize::MAX).await?;
                // As they began.
                idea.jobs.reverse();
            }
            IdeaPart::Owners => {}
        }
    }
    if missing.contains(&IdeaPart::Owners) {
        // All entries are there by now.
        idea.owners = idea.entries.iter().filter_map(owner).collect();
    }
    Ok(())
}

/// Who holds an idea from this entry on, if it is a link of the chain of holders.
fn owner(view: &EntryView) -> Option<OwnerView> {
    let step = view.entry.say.holding(view.entry.author)?;
    Some(OwnerView { entry: view.id, holder: step.holder })
}

/// The whole graph, or a neighbourhood in it. Ideas without an edge are not part of the whole.
pub(super) async fn graph(client: &Client, around: Option<Around>) -> Result<IdeaGraph, Problem> {
    let mut edges: Vec<EdgeView> = client.pages("/ideas/edges", usize::MAX).await?;
    let shown: BTreeSet<IdeaId> = match around {
        Some(Around { idea, depth, direction }) => graph::around(&edges, idea, depth, direction),
        None => edges.iter().flat_map(|edge| [edge.from, edge.to]).collect(),
    };
    edges.retain(|edge| shown.contains(&edge.from) && shown.contains(&edge.to));
    // Behind the edges: whatever these name is there by now.
    let mut ideas: Vec<IdeaView> = client.pages("/ideas", usize::MAX).await?;
    ideas.retain(|idea| shown.contains(&idea.id));
    ideas.reverse();
    let ids: Vec<IdeaId> = ideas.iter().map(|idea| idea.id).collect();
    let components = graph::components(&ids, &edges);
    Ok(IdeaGraph { ideas, edges, components, truncated: false })
}
