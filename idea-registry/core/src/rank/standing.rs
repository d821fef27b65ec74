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
    let places: BTreeMap<IdeaId, usize> = ideas.iter().copied().zip(0..).collect();
    let mut flows = BTreeSet::new();
    let mut refuted = vec![BTreeSet::new(); ideas.len()];
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
    let count = |count: usize| count as f64;
    spread(ideas.len(), &flows)
        .into_iter()
        .zip(refuted)
        .map(|(all, against)| share(all - 1.0) - share(count(against.len())))
        .collect()
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
