//! Near duplicates by their bands, in memory: of the newest ideas, so that it is bounded whatever the log's size.
//!
//! Forty keys of each text, scattered over an index on disk, would cost more than all else of an append. The
//! table `near` has them by idea; those of the newest are read once, at the start. What is compared is bounded as
//! well: of texts that share a template the newest of each band, and all that share a rarer band.
//!
//! Texts have numbers and stand in a ring, in which the newest takes the place of the oldest. For each place of a band
//! there are buckets of keys, and each text names the one before it in the bucket: a chain from new to old,
//! which ends at the first text that is no longer there. Nothing is ever sorted, moved or searched for.

use std::collections::HashMap;

use mesh_ideas_core::near::{BANDS, Near, Signature, THRESHOLD, likeness};
use mesh_schemas::idea::IdeaId;

/// Most candidates for one text; the newest count.
const CANDIDATES_MAX: usize = 256;
/// Most texts that are looked at for one band, the newest first.
const BAND_MAX: usize = 16;
/// Buckets for each place of a band. Keys that share one cost a comparison.
const BUCKETS: u32 = 1 << 15;
/// Room is made for so many texts at a time: twice as many would be twice the memory.
const ROOM: usize = 4_096;

/// Signatures of the latest texts of the newest ideas, found by what they share. Numbers of texts begin with 1; 0 is
/// none.
#[derive(Debug)]
pub(crate) struct NearIndex {
    /// Text `n` stands at the place `(n - 1) % TEXTS_MAX`.
    texts: Vec<(IdeaId, Signature)>,
    /// At the same place: for each band, the text before in its bucket.
    before: Vec<[u32; BANDS]>,
    /// The newest text of each bucket, [`BUCKETS`] for each place of a band.
    newest: Vec<u32>,
    /// How many texts were taken in, which is the newest one's number.
    count: u32,
    /// Where the latest text of an idea is; older ones are passed over.
    latest: HashMap<IdeaId, u32>,
    /// How often the index was made anew: numbers of texts are of one life.
    life: u64,
}

/// What a text was found to be like, and how far the index had come then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    life: u64,
    count: u32,
    alike: Vec<IdeaId>,
}

impl Default for NearIndex {
    fn default() -> Self {
        Self {
            texts: Vec::new(),
            before: Vec::new(),
            newest: vec![0; BANDS * BUCKETS as usize],
            count: 0,
            latest: HashMap::new(),
            life: 0,
        }
    }
}

impl NearIndex {
    /// How many texts are found: the newest.
    pub(crate) const TEXTS_MAX: usize = 1 << 16;

    /// Takes a text in, in place of an older one of the same idea.
    pub(crate) fn insert(&mut self, idea: IdeaId, near: &Near) {
        // After four thousand million texts in one life of the process, no more are found.
        let Some(number) = self.count.checked_add(1) else { return };
        self.count = number;
        let mut before = [0; BANDS];
        for (place, (before, band)) in before.iter_mut().zip(&near.bands).enumerate() {
            let newest = self.newest.get_mut(bucket(place, *band));
            *before = newest.map_or(0, |newest| std::mem::replace(newest, number));
        }
        self.put(number, (idea, near.signature), before);
        self.latest.insert(idea, number);
    }

    /// Puts a text where the oldest is, once there is no more room.
    fn put(&mut self, number: u32, text: (IdeaId, Signature), before: [u32; BANDS]) {
        let at = place_of(number);
        let (Some(old), Some(links)) = (self.texts.get_mut(at), self.before.get_mut(at)) else {
            if self.texts.len() == self.texts.capacity() {
                self.texts.reserve_exact(ROOM);
                self.before.reserve_exact(ROOM);
            }
            self.texts.push(text);
            return self.before.push(before);
        };
        let (gone, _) = std::mem::replace(old, text);
        *links = before;
        if self.latest.get(&gone).is_some_and(|latest| place_of(*latest) == at) {
            self.latest.remove(&gone);
        }
    }

    /// Forgets the text of an idea.
    pub(crate) fn remove(&mut self, idea: IdeaId) {
        self.latest.remove(&idea);
    }

    /// Puts another index, read anew, in its place.
    pub(crate) fn replace(&mut self, other: Self) {
        let life = self.life + 1;
        *self = Self { life, ..other };
    }

    /// What the text is like. That takes some tenths of a millisecond, so it is done before the writer's turn, and
    /// [`Self::current`] is left to that.
    pub(crate) fn search(&self, near: &Near) -> Found {
        let alike = |(_, other): &(_, &_)| likeness(&near.signature, other) >= THRESHOLD;
        let alike = self.candidates(near).filter(alike).map(|(idea, _)| idea).collect();
        Found { life: self.life, count: self.count, alike }
    }

    /// What may be like the text now: what was found as far as it still stands, and whatever came since.
    pub(crate) fn current(&self, found: &Found, near: &Near) -> Vec<(IdeaId, &Signature)> {
        let since = self.count.wrapping_sub(found.count);
        if found.life != self.life || since as usize > CANDIDATES_MAX {
            return self.candidates(near).collect();
        }
        let before = found.alike.iter().filter_map(|idea| self.latest.get(idea).copied());
        let before = before.filter(|number| *number <= found.count);
        before.chain(found.count + 1..=self.count).filter_map(|number| self.text(number)).collect()
    }

    /// The text with this number, if it is its idea's latest.
    fn text(&self, number: u32) -> Option<(IdeaId, &Signature)> {
        let (idea, signature) = self.texts.get(place_of(number))?;
        (self.latest.get(idea) == Some(&number)).then_some((*idea, signature))
    }

    /// Ideas whose texts are likely to share a band with this one.
    pub(crate) fn candidates(&self, near: &Near) -> impl Iterator<Item = (IdeaId, &Signature)> {
        let mut found = Vec::with_capacity(BANDS * BAND_MAX);
        for (place, band) in near.bands.iter().take(BANDS).enumerate() {
            found.extend(self.chain(place, *band));
        }
        found.sort_unstable();
        found.dedup();
        let newest = found.into_iter().rev().filter_map(|number| self.text(number));
        newest.take(CANDIDATES_MAX)
    }

    /// The newest texts in the bucket of one band, newest first.
    fn chain(&self, place: usize, band: u64) -> impl Iterator<Item = u32> {
        let held = |number: &u32| self.holds(*number);
        let first = self.newest.get(bucket(place, band)).copied().filter(held);
        let before = move |number: &u32| {
            let links = self.before.get(place_of(*number))?;
            links.get(place).copied().filter(|number| self.holds(*number))
        };
        std::iter::successors(first, before).take(BAND_MAX)
    }

    const fn holds(&self, number: u32) -> bool {
        number > 0 && ((self.count - number) as usize) < Self::TEXTS_MAX
    }

    /// What it takes of memory, in bytes, by what its parts have room for.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        let texts = self.texts.capacity() * size_of::<(IdeaId, Signature)>();
        let links = self.before.capacity() * size_of::<[u32; BANDS]>() + self.newest.capacity() * 4;
        // A byte of control for each place, and one place in eight stays empty.
        let places = (self.latest.capacity() * 8 / 7).next_power_of_two();
        texts + links + places * (size_of::<(IdeaId, u32)>() + 1)
    }
}

/// Where in the ring a text stands.
const fn place_of(number: u32) -> usize {
    (number.wrapping_sub(1) as usize) % NearIndex::TEXTS_MAX
}

/// The bucket of a band's key: keys are hashes, so that any of their bits will do.
fn bucket(place: usize, band: u64) -> usize {
    let bytes = band.to_le_bytes();
    let low = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    place * BUCKETS as usize + (low % BUCKETS) as usize
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
        index.candidates(&near(text)).map(|(idea, _)| idea).collect()
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
        assert!(found(&index, text).contains(&idea(1)));
        index.insert(idea(1), &near("Something else altogether, about printers"));
        assert!(!found(&index, text).contains(&idea(1)));
        assert!(found(&index, "something else altogether about printers").contains(&idea(1)));
        index.remove(idea(1));
        assert!(!found(&index, "something else altogether about printers").contains(&idea(1)));
    }

    #[test]
    fn what_was_found_before_the_turn_is_made_current() {
        let mut index = NearIndex::default();
        let texts =
            ["Warm the build cache of a node at night", "Warm the build cache of a node by night"];
        let ideas = |index: &NearIndex, found: &Found| -> Vec<IdeaId> {
            index.current(found, &near(texts[0])).into_iter().map(|(idea, _)| idea).collect()
        };
        for (n, text) in (1..).zip(texts) {
            index.insert(idea(n), &near(text));
        }
        let found = index.search(&near(texts[0]));
        assert_eq!(ideas(&index, &found), [idea(2), idea(1)]);
        index.insert(idea(3), &near(texts[1]));
        index.insert(idea(2), &near("Something else altogether, about printers"));
        index.remove(idea(1));
        assert_eq!(ideas(&index, &found), [idea(3), idea(2)], "what came since is to be compared");
        let mut other = NearIndex::default();
        other.insert(idea(9), &near(texts[1]));
        index.replace(other);
        assert_eq!(ideas(&index, &found), [idea(9)], "numbers of another life say nothing");
    }

    #[test]
    fn of_texts_of_one_template_few_are_looked_at_and_the_rarer_is_found() {
        let mut index = NearIndex::default();
        for n in 0..20_000 {
            index.insert(idea(n), &made(n, BANDS - 1));
        }
        for (place, band) in made(7, BANDS - 1).bands.iter().enumerate() {
            assert!(index.chain(place, *band).count() <= BAND_MAX);
        }
        let candidates: Vec<_> = index.candidates(&made(7, BANDS - 1)).collect();
        assert!(candidates.iter().any(|(found, _)| *found == idea(7)), "by the band of its own");
        assert!(candidates.iter().any(|(found, _)| *found == idea(19_999)), "the newest");
        assert!(candidates.len() <= CANDIDATES_MAX);
    }

    /// Twice what it holds: it grows no further, and takes as much at a million ideas.
    #[test]
    #[expect(clippy::print_stdout, reason = "the figure is what this test is for")]
    fn it_takes_no_more_than_40_mib_however_many_ideas_there_are() {
        let (mut index, mut most) = (NearIndex::default(), 0);
        let count = u32::try_from(NearIndex::TEXTS_MAX * 2 + 5).unwrap();
        for n in 0..count {
            index.insert(idea(n), &made(n, 3));
            if n % 512 == 0 {
                most = most.max(index.bytes());
            }
        }
        println!("at {count} ideas and any more: at most {} KiB", most >> 10);
        assert!(most <= 40 << 20, "{most}");
        let recent = count - 60_000;
        assert!(index.candidates(&made(recent, 3)).any(|(found, _)| found == idea(recent)));
        assert!(!index.candidates(&made(5, 3)).any(|(found, _)| found == idea(5)));
    }
}
