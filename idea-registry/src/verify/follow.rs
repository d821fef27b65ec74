//! The rows of projections that follow from the leaves, leaf by leaf, once it is known who has the last word on what.

use std::collections::{BTreeMap, BTreeSet};

use mesh_schemas::{Problem, idea::Relation};
use mesh_tlog::TILE_WIDTH;

use super::{digest::Digest, local::Run, named::Named, says::Says, tables::Of};
use crate::{
    replay::{Beside, Parsed},
    store::Leaf,
};

/// A row, or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) of: Of,
    pub(super) digest: Digest,
    /// The entry that it is about; of the parts of an idea's row, and of its words, the idea's.
    pub(super) index: u64,
}

/// An edge that is more than proposed, of a kind that makes no circle, by the indices of the ideas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Confirmed {
    pub(super) relation: Relation,
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Run {
    /// Gives every row that follows, and every edge that must close no circle.
    pub(super) async fn follow(
        &self,
        mut row: impl FnMut(Row),
        mut edge: impl FnMut(Confirmed),
    ) -> Result<(), Problem> {
        let mut next = 0;
        while next < self.size {
            let rows = self.store.leaf_rows(self.log.version, next, u64::from(TILE_WIDTH)).await?;
            let Some(last) = rows.last().and_then(|row| u64::try_from(row.idx).ok()) else { break };
            next = last.saturating_add(1);
            // What cannot be read was found, and says nothing.
            let leaves = rows.into_iter().filter_map(|row| Leaf::try_from(row).ok());
            let leaves = leaves.filter(|leaf| !self.last.unsound.contains(&leaf.index));
            let leaves: Vec<Parsed> = leaves.filter_map(|leaf| Parsed::new(leaf).ok()).collect();
            let beside = Beside::load(&self.store, &leaves).await?;
            let named = Named::load(&self.store, self.log.version, &leaves).await?;
            for leaf in &leaves {
                let (rows, edges) = Says::of(self, leaf, &beside, &named);
                rows.into_iter().for_each(&mut row);
                edges.into_iter().for_each(&mut edge);
            }
        }
        Ok(())
    }
}

/// The idea with the smallest index of those that go round in a circle.
pub(super) fn circle(mut edges: Vec<Confirmed>) -> Option<u64> {
    let turned = |Confirmed { relation, from, to }| Confirmed { relation, from: to, to: from };
    for _ in 0..2 {
        // First what leads to a circle goes, and then, the other way round, what comes behind it.
        edges = without_beginnings(edges).into_iter().map(turned).collect();
    }
    edges.into_iter().map(|edge| edge.from).min()
}

/// Takes edges away that come from where no edge goes to, until there are none.
fn without_beginnings(mut edges: Vec<Confirmed>) -> Vec<Confirmed> {
    edges.sort_unstable();
    let mut reached: BTreeMap<(Relation, u64), u64> = BTreeMap::new();
    for edge in &edges {
        *reached.entry((edge.relation, edge.to)).or_default() += 1;
    }
    let begins = |edge: &Confirmed| (edge.relation, edge.from);
    let beginnings = edges.iter().map(begins).filter(|place| !reached.contains_key(place));
    let mut beginnings: Vec<(Relation, u64)> = beginnings.collect();
    beginnings.dedup();
    let mut gone = BTreeSet::new();
    while let Some(place) = beginnings.pop() {
        gone.insert(place);
        let first = edges.partition_point(|edge| begins(edge) < place);
        for edge in edges.iter().skip(first).take_while(|edge| begins(edge) == place) {
            let to = (edge.relation, edge.to);
            let left = reached.entry(to).or_default();
            *left = left.saturating_sub(1);
            if *left == 0 {
                beginnings.push(to);
            }
        }
    }
    edges.retain(|edge| !gone.contains(&begins(edge)));
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(pairs: &[(u64, u64)]) -> Vec<Confirmed> {
        let relation = Relation::Blocks;
        pairs.iter().map(|(from, to)| Confirmed { relation, from: *from, to: *to }).collect()
    }

    #[test]
    fn a_circle_is_found_where_it_is() {
        assert_eq!(circle(edges(&[])), None);
        assert_eq!(circle(edges(&[(3, 2), (2, 1), (3, 1), (4, 1)])), None);
        // What leads to it and what comes of it is not in it.
        assert_eq!(circle(edges(&[(0, 5), (5, 6), (6, 7), (7, 5), (7, 1), (1, 2)])), Some(5));
        let mut two = edges(&[(5, 6)]);
        two.push(Confirmed { relation: Relation::Derives, from: 6, to: 5 });
        assert_eq!(circle(two), None, "of two kinds");
    }
}
