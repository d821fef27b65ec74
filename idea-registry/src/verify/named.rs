//! Entries that other entries name, looked up in the rows of leaves: each of these is verified by itself.

use std::collections::{BTreeMap, BTreeSet};

use mesh_ideas_core::parse_leaf;
use mesh_schemas::idea::{Entry, EntryId, Say};

use crate::{
    replay::Parsed,
    store::{Leaf, Store, StoreError},
};

/// What some leaves name, as far as it is in the log.
#[derive(Debug, Default)]
pub(super) struct Named(BTreeMap<EntryId, Leaf>);

impl Named {
    pub(super) async fn load(
        store: &Store,
        log: u32,
        leaves: &[Parsed],
    ) -> Result<Self, StoreError> {
        let ids = leaves.iter().flat_map(|parsed| names(&parsed.entry.say)).collect();
        let rows = store.leaves_of(log, &ids).await?;
        // What is wrong with a row is found where it is verified.
        let leaves = rows.into_iter().filter_map(|row| Leaf::try_from(row).ok());
        Ok(Self(leaves.map(|leaf| (leaf.id, leaf)).collect()))
    }

    pub(super) fn index_of(&self, id: EntryId) -> Option<u64> {
        self.0.get(&id).map(|leaf| leaf.index)
    }

    pub(super) fn entry(&self, id: EntryId) -> Option<Entry> {
        parse_leaf(self.0.get(&id)?.data.as_bytes()).ok()
    }
}

fn names(say: &Say) -> BTreeSet<EntryId> {
    match say {
        Say::Idea { parents, .. } => parents.iter().map(|parent| EntryId::from(*parent)).collect(),
        Say::Link { from, to, .. } => BTreeSet::from([EntryId::from(*from), EntryId::from(*to)]),
        Say::SeenAgain { idea, entry, .. } => BTreeSet::from([EntryId::from(*idea), *entry]),
        Say::Tombstone { entry, .. } => BTreeSet::from([*entry]),
        Say::Revision { idea, .. }
        | Say::Comment { idea, .. }
        | Say::Claim { idea, .. }
        | Say::Transfer { idea, .. }
        | Say::Release { idea, .. }
        | Say::Status { idea, .. }
        | Say::Rank { idea, .. }
        | Say::Job { idea, .. } => BTreeSet::from([EntryId::from(*idea)]),
        Say::Erased { .. } | Say::Origin { .. } => BTreeSet::new(),
    }
}
