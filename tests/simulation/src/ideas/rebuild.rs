//! Projections made anew from the leaves and the texts beside them.

use mesh_ideas_core::{
    ledger::{Leaf, Ledger, TextFacts, project},
    parse_leaf,
};

use super::db::{LeafRow, size};

/// What the leaves say; `but` names a kind to pass over.
pub(super) fn rebuild(leaves: &[LeafRow], but: Option<&str>) -> Ledger {
    let mut ledger = Ledger::default();
    for (index, row) in leaves.iter().enumerate() {
        let Ok(entry) = parse_leaf(&row.data) else { continue };
        let leaf = Leaf { index: size(index), id: row.id, entry: &entry };
        let mut changes = project(&leaf, row.text.as_deref().map(TextFacts::plain));
        if but == Some(entry.say.kind()) {
            changes.truncate(1);
        }
        ledger.take_in([changes]);
    }
    ledger
}
