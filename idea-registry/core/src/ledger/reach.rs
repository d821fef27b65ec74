//! Circles: which relations must have none, and whether a new edge would close one.

use std::collections::BTreeSet;

use mesh_schemas::idea::{IdeaId, Relation};

use super::rows::{EdgeKey, Ledger};

/// Edges of this relation make no circle. Only refuting may go round: two ideas may speak against
/// each other.
pub const fn is_acyclic(relation: Relation) -> bool {
    match relation {
        Relation::Derives | Relation::Duplicates | Relation::Blocks | Relation::Implements => true,
        Relation::Refutes => false,
    }
}

impl Ledger {
    /// Confirmed edges of one relation lead from one idea to the other, or they are the same.
    pub fn reaches(&self, relation: Relation, from: IdeaId, to: IdeaId) -> bool {
        let mut seen = BTreeSet::from([from]);
        let mut next = vec![from];
        while let Some(idea) = next.pop() {
            if idea == to {
                return true;
            }
            next.extend(self.confirmed_from(relation, idea).filter(|idea| seen.insert(*idea)));
        }
        false
    }

    fn confirmed_from(
        &self,
        relation: Relation,
        from: IdeaId,
    ) -> impl Iterator<Item = IdeaId> + '_ {
        let key = |byte| EdgeKey { relation, from, to: IdeaId([byte; 32]) };
        self.edges.range(key(0)..=key(255)).filter(|(_, row)| !row.proposed).map(|(key, _)| key.to)
    }
}
