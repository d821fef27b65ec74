//! How much other ideas say for one, by their confirmed links.
//!
//! An idea passes a share of its own standing on: to what it derives from, duplicates or implements,
//! and to what blocks it, as that must be solved first. All ideas start with 1 and pass on 0.85 of what
//! they have, divided among the links, in 20 rounds (PageRank without jumps). What came in, `x`, counts
//! as x / (1 + x), less r / (1 + r) for r ideas that refute it.

use std::collections::{BTreeMap, BTreeSet};

use mesh_schemas::idea::{IdeaId, Relation};

use crate::ledger::{EdgeKey, EdgeRow};

const PASSED_ON: f64 = 0.85;
const ROUNDS: usize = 20;

/// The standing of each idea, from -1 to 1, in the order given.
pub fn standing(ideas: &[IdeaId], edges: &[(EdgeKey, EdgeRow)]) -> Vec<f64> {
    // In the order of the ids, so that sums do not depend on the order in which ideas are given.
    let sorted: BTreeSet<IdeaId> = ideas.iter().copied().collect();
    let places: BTreeMap<IdeaId, usize> = sorted.into_iter().zip(0..).collect();
    let mut flows = BTreeSet::new();
    let mut refuted = vec![BTreeSet::new(); places.len()];
    for (key, _) in edges.iter().filter(|(_, row)| !row.proposed) {
        let (Some(from), Some(to)) = (places.get(&key.from), places.get(&key.to)) else { continue };
        match key.relation {
            Relation::Derives | Relation::Duplicates | Relation::Implements => {
                flows.insert((*from, *to));
            }
            Relation::Blocks => {
                flows.insert((*to, *from));
            }
            Relation::Refutes => {
                refuted[*to].insert(*from);
            }
        }
    }
    let flows: Vec<(usize, usize)> = flows.into_iter().collect();
    let spread = spread(places.len(), &flows);
    let value = |place: usize| share(spread[place] - 1.0) - share(refuted[place].len() as f64);
    ideas.iter().filter_map(|idea| places.get(idea)).map(|place| value(*place)).collect()
}

fn share(value: f64) -> f64 {
    value / (1.0 + value)
}

fn spread(ideas: usize, flows: &[(usize, usize)]) -> Vec<f64> {
    let mut links = vec![0.0_f64; ideas];
    for (from, _) in flows {
        links[*from] += 1.0;
    }
    let mut now = vec![1.0; ideas];
    for _ in 0..ROUNDS {
        let mut next = vec![1.0; ideas];
        for (from, to) in flows {
            next[*to] += PASSED_ON * now[*from] / links[*from];
        }
        now = next;
    }
    now
}
