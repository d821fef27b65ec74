//! Near duplicates by their bands, in memory: some 800 bytes an idea.
//!
//! Forty keys of each text, scattered over an index on disk, would cost more than all else of an append. The
//! table `near` has them by idea; they are read once, at the start.

use std::collections::{BTreeSet, HashMap};

use mesh_ideas_core::near::{Near, Signature};
use mesh_schemas::idea::IdeaId;

/// Most candidates for one text; the newest count.
const CANDIDATES_MAX: usize = 512;
/// Keys that were added last are kept apart until there are so many.
const RECENT_MAX: usize = 1 << 17;

/// Signatures of the latest texts of ideas, found by what they share.
#[derive(Debug, Default)]
pub(crate) struct NearIndex {
    slots: Vec<(IdeaId, Signature)>,
    /// Where the latest text of an idea is; older ones are passed over.
    latest: HashMap<IdeaId, u32>,
    /// Sorted.
    old: Vec<(u64, u32)>,
    recent: HashMap<u64, Vec<u32>>,
    recent_count: usize,
}

impl NearIndex {
    /// Takes a text in, in place of an older one of the same idea.
    pub(crate) fn insert(&mut self, idea: IdeaId, near: &Near) {
        let Ok(slot) = u32::try_from(self.slots.len()) else { return };
        self.slots.push((idea, near.signature));
        self.latest.insert(idea, slot);
        for band in &near.bands {
            self.recent.entry(*band).or_default().push(slot);
        }
        self.recent_count += near.bands.len();
        if self.recent_count > RECENT_MAX {
            self.settle();
        }
    }

    /// Forgets the text of an idea.
    pub(crate) fn remove(&mut self, idea: IdeaId) {
        self.latest.remove(&idea);
    }

    /// Ideas whose texts share a band with this one.
    pub(crate) fn candidates(&self, near: &Near) -> Vec<(IdeaId, Signature)> {
        let mut found = BTreeSet::new();
        for band in &near.bands {
            let first = self.old.partition_point(|(key, _)| key < band);
            let same = self.old[first..].iter().take_while(|(key, _)| key == band);
            found.extend(same.map(|(_, slot)| *slot));
            found.extend(self.recent.get(band).into_iter().flatten());
        }
        let newest = found.into_iter().rev().filter_map(|slot| {
            let (idea, signature) = self.slots.get(usize::try_from(slot).ok()?)?;
            (self.latest.get(idea) == Some(&slot)).then_some((*idea, *signature))
        });
        newest.take(CANDIDATES_MAX).collect()
    }

    fn settle(&mut self) {
        let recent = self.recent.drain();
        self.old.extend(recent.flat_map(|(key, slots)| slots.into_iter().map(move |s| (key, s))));
        // Two sorted runs: merging them is what this sort does.
        self.old.sort();
        self.recent_count = 0;
    }
}

#[cfg(test)]
mod tests {
    use mesh_ideas_core::near::near;

    use super::*;

    fn idea(n: u32) -> IdeaId {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        IdeaId(id)
    }

    fn found(index: &NearIndex, text: &str) -> Vec<IdeaId> {
        index.candidates(&near(text)).into_iter().map(|(idea, _)| idea).collect()
    }

    #[test]
    fn a_text_is_found_by_its_like_until_it_is_another() {
        let mut index = NearIndex::default();
        let text = "Warm the build cache before the first job of a node starts";
        index.insert(idea(1), &near(text));
        for n in 2..4_000 {
            index.insert(idea(n), &near(&format!("{n} {} {}", n * 7919, n * 104_729)));
        }
        assert!(index.recent_count < RECENT_MAX && !index.old.is_empty());
        assert!(found(&index, text).contains(&idea(1)));
        index.insert(idea(1), &near("Something else altogether, about printers"));
        assert!(!found(&index, text).contains(&idea(1)));
        assert!(found(&index, "something else altogether about printers").contains(&idea(1)));
        index.remove(idea(1));
        assert!(!found(&index, "something else altogether about printers").contains(&idea(1)));
    }
}
