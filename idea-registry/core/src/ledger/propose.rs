//! Near duplicates as links that the registry proposes.

use mesh_schemas::idea::{IdeaId, Relation, Say};

use super::rows::{EdgeKey, Ledger};
use crate::near::{Near, likest};

/// What the registry says of two ideas that are alike: the newer one duplicates the older one.
pub const fn proposal(newer: IdeaId, older: IdeaId, likeness: u16) -> Say {
    let relation = Relation::Duplicates;
    Say::Link { from: newer, to: older, relation, proposed: true, likeness: Some(likeness) }
}

impl Ledger {
    /// The ideas that a new text of an idea is like, likest first, with thousandths. They are sought
    /// among all whose signatures are loaded: those that share a band with the text, and those of the
    /// same batch. Ideas that are linked as duplicates already, either way, are left out.
    pub fn alike(&self, idea: IdeaId, near: &Near) -> Vec<(IdeaId, u16)> {
        let linked = |from, to| {
            self.edges.contains_key(&EdgeKey { relation: Relation::Duplicates, from, to })
        };
        let free = |other: IdeaId| other != idea && !linked(idea, other) && !linked(other, idea);
        let candidates = self.near.iter().map(|(other, signature)| (*other, *signature));
        likest(&near.signature, candidates.filter(|(other, _)| free(*other)))
    }
}
