//! Near duplicates as links that the registry proposes.

use mesh_schemas::idea::{IdeaId, Relation, Say};

use super::rows::{EdgeKey, Ledger};
use crate::near::{Near, Signature, likest};

/// What the registry says of two ideas that are alike: the newer one duplicates the older one.
pub const fn proposal(newer: IdeaId, older: IdeaId, likeness: u16) -> Say {
    let relation = Relation::Duplicates;
    Say::Link { from: newer, to: older, relation, proposed: true, likeness: Some(likeness) }
}

impl Ledger {
    /// The ideas that a new text of an idea is like, likest first, with thousandths. They are sought among
    /// those whose signatures the ledger has, which are the newer ones, and among `others`. Ideas that are linked as
    /// duplicates already, either way, are left out.
    pub fn alike<'a>(
        &'a self,
        idea: IdeaId,
        near: &Near,
        others: impl IntoIterator<Item = (IdeaId, &'a Signature)>,
    ) -> Vec<(IdeaId, u16)> {
        let linked = |from, to| {
            self.edges.contains_key(&EdgeKey { relation: Relation::Duplicates, from, to })
        };
        let free = |other: IdeaId| other != idea && !linked(idea, other) && !linked(other, idea);
        let others = others.into_iter().filter(|(other, _)| !self.near.contains_key(other));
        let known = self.near.iter().map(|(other, signature)| (*other, signature));
        likest(&near.signature, known.chain(others), free)
    }
}
