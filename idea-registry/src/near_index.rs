//! Near duplicates by their bands, in memory: of the newest ideas, so that it is bounded whatever the log's size.
//!
//! Forty keys of each text, scattered over an index on disk, would cost more than all else of an append. The
//! table `near` has them by idea; those of the newest are read once, at the start. What is compared is bounded as
//! well: of texts that share a template the newest of each band, and all that share a rarer band.

use std::collections::{BTreeSet, HashMap};

use mesh_ideas_core::near::{Near, Signature};
use mesh_schemas::idea::IdeaId;

/// Most candidates for one text; the newest count.
const CANDIDATES_MAX: usize = 512;
/// Most texts that are looked at for one band, the newest first.
const BAND_MAX: usize = 64;
/// Keys that were added last are kept apart until there are so many.
const RECENT_MAX: usize = 1 << 15;
/// Texts that come beside [`NearIndex::TEXTS_MAX`] before the oldest are let go, all at once.
const SPARE_MAX: usize = 4_096;

/// Signatures of the latest texts of the newest ideas, found by what they share.
#[derive(Debug, Default)]
pub(crate) struct NearIndex {
    slots: Vec<(IdeaId, Signature)>,
    /// The number of the first slot: those before it were let go.
    first: u32,
    /// Where the latest text of an idea is; older ones are passed over.
    latest: HashMap<IdeaId, u32>,
    /// Halves of keys with slots, sorted. That two keys share a half costs a comparison.
    old: Vec<(u32, u32)>,
    recent: HashMap<u32, Vec<u32>>,
    recent_count: usize,
}

impl NearIndex {
    /// How many texts are found: the newest.
    pub(crate) const TEXTS_MAX: usize = 1 << 16;

    /// Takes a text in, in place of an older one of the same idea.
    pub(crate) fn insert(&mut self, idea: IdeaId, near: &Near) {
        if self.slots.len() >= Self::TEXTS_MAX + SPARE_MAX {
            self.let_go();
        }
        let count = u32::try_from(self.slots.len()).ok();
        let Some(slot) = count.and_then(|count| self.first.checked_add(count)) else { return };
        if self.slots.len() == self.slots.capacity() {
            // Twice as many would be twice the memory.
            self.slots.reserve_exact(SPARE_MAX);
        }
        self.slots.push((idea, near.signature));
        self.latest.insert(idea, slot);
        for band in &near.bands {
            self.recent.entry(half(*band)).or_default().push(slot);
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
        let found: BTreeSet<u32> = near.bands.iter().flat_map(|band| self.newest(*band)).collect();
        let newest = found.into_iter().rev().filter_map(|slot| {
            let (idea, signature) = self.slot(slot)?;
            (self.latest.get(idea) == Some(&slot)).then_some((*idea, *signature))
        });
        newest.take(CANDIDATES_MAX).collect()
    }

    /// The newest slots of one band, newest first.
    fn newest(&self, band: u64) -> impl Iterator<Item = u32> {
        let half = half(band);
        let end = self.old.partition_point(|(key, _)| *key <= half);
        let old = self.old[..end].iter().rev().take_while(move |(key, _)| *key == half);
        let recent = self.recent.get(&half).into_iter().flatten().rev().copied();
        recent.chain(old.map(|(_, slot)| *slot)).take(BAND_MAX)
    }

    fn slot(&self, slot: u32) -> Option<&(IdeaId, Signature)> {
        self.slots.get(usize::try_from(slot.checked_sub(self.first)?).ok()?)
    }

    fn settle(&mut self) {
        self.old.reserve_exact(self.recent_count);
        let recent = self.recent.drain();
        self.old.extend(recent.flat_map(|(key, slots)| slots.into_iter().map(move |s| (key, s))));
        // Two sorted runs: merging them is what this sort does.
        self.old.sort();
        self.recent_count = 0;
    }

    /// Lets the oldest texts go.
    fn let_go(&mut self) {
        self.settle();
        let gone = self.slots.len().saturating_sub(Self::TEXTS_MAX);
        self.slots.drain(..gone);
        self.first = self.first.saturating_add(u32::try_from(gone).unwrap_or(u32::MAX));
        let first = self.first;
        self.old.retain(|(_, slot)| *slot >= first);
        self.latest.retain(|_, slot| *slot >= first);
    }

    /// What it takes of memory, in bytes, by what its parts have room for.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        let slots = self.slots.capacity() * size_of::<(IdeaId, Signature)>();
        let old = self.old.capacity() * size_of::<(u32, u32)>();
        // A byte of control for each place, and one place in eight stays empty.
        let places = |room: usize, entry: usize| (room * 8 / 7).next_power_of_two() * (entry + 1);
        let latest = places(self.latest.capacity(), size_of::<(IdeaId, u32)>());
        let recent = places(self.recent.capacity(), size_of::<(u32, Vec<u32>)>());
        // The smallest piece of an allocator for each.
        let lists = self.recent.values().map(|slots| (slots.capacity() * 4).max(32));
        slots + old + latest + recent + lists.sum::<usize>()
    }
}

fn half(band: u64) -> u32 {
    let bytes = band.to_le_bytes();
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use mesh_ideas_core::near::{BANDS, SIGNATURE_BYTES, near};

    use super::*;

    fn idea(n: u32) -> IdeaId {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        IdeaId(id)
    }

    fn found(index: &NearIndex, text: &str) -> Vec<IdeaId> {
        index.candidates(&near(text)).into_iter().map(|(idea, _)| idea).collect()
    }

    /// Like a text's, without the work of making it.
    fn made(n: u32, shared: usize) -> Near {
        let mut signature = [0; SIGNATURE_BYTES];
        signature[0] = mesh_ideas_core::near::FORMAT;
        let own = |place: usize| {
            let place = place as u64;
            (u64::from(n) * 64 + place).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7
        };
        let band = |place: usize| if place < shared { place as u64 } else { own(place) };
        Near {
            signature: Signature::from_bytes(&signature).unwrap(),
            bands: (0..BANDS).map(band).collect(),
        }
    }

    #[test]
    fn a_text_is_found_by_its_like_until_it_is_another() {
        let mut index = NearIndex::default();
        let text = "Warm the build cache before the first job of a node starts";
        index.insert(idea(1), &near(text));
        for n in 2..1_200 {
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

    #[test]
    fn of_texts_of_one_template_few_are_looked_at_and_the_rarer_is_found() {
        let mut index = NearIndex::default();
        for n in 0..20_000 {
            index.insert(idea(n), &made(n, BANDS - 1));
        }
        for band in &made(7, BANDS - 1).bands {
            assert!(index.newest(*band).count() <= BAND_MAX);
        }
        let candidates = index.candidates(&made(7, BANDS - 1));
        assert!(candidates.iter().any(|(found, _)| *found == idea(7)), "by the band of its own");
        assert!(candidates.iter().any(|(found, _)| *found == idea(19_999)), "the newest");
        assert!(candidates.len() <= CANDIDATES_MAX);
    }

    /// Twice what it holds: it grows no further, and takes as much at a million ideas.
    #[test]
    #[expect(clippy::print_stdout, reason = "the figure is what this test is for")]
    fn it_takes_no_more_than_60_mib_however_many_ideas_there_are() {
        let (mut index, mut most) = (NearIndex::default(), 0);
        let count = u32::try_from(NearIndex::TEXTS_MAX * 2 + SPARE_MAX).unwrap();
        for n in 0..count {
            index.insert(idea(n), &made(n, 3));
            if n % 512 == 0 {
                most = most.max(index.bytes());
            }
        }
        println!("at {count} ideas and any more: at most {} KiB", most >> 10);
        assert!(most <= 60 << 20, "{most}");
        let recent = count - 60_000;
        assert!(index.candidates(&made(recent, 3)).iter().any(|(found, _)| *found == idea(recent)));
        assert!(!index.candidates(&made(5, 3)).iter().any(|(found, _)| *found == idea(5)));
    }
}
