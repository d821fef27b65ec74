//! The observer: every head that was ever signed, what was said of the stream, and what nobody can hold a
//! log to, as it was put back from a backup and nobody had kept more.

use std::collections::{BTreeMap, BTreeSet};

use mesh_tlog::{Edge, Hash, Prover, Tile, TreeHead};

use super::db::LeafRow;

/// A head and when in the log's history it was signed.
#[derive(Debug, Clone, Copy)]
struct Head {
    version: u32,
    era: usize,
    head: TreeHead,
    excused: bool,
}

/// What the observer has seen.
#[derive(Debug, Default)]
pub(super) struct Observer {
    heads: Vec<Head>,
    /// What a log was before it was put back.
    eras: Vec<(u32, Vec<LeafRow>)>,
    refused: BTreeSet<(u32, u64)>,
    /// Versions of the origin that were begun behind the first.
    begun: BTreeSet<u32>,
}

impl Observer {
    /// A head was signed, whether or not anybody saw it.
    pub(super) fn signed(&mut self, version: u32, head: TreeHead) {
        let era = self.era_of(version);
        let same = |h: &Head| h.version == version && h.era == era && h.head == head;
        if !self.heads.iter().any(same) {
            self.heads.push(Head { version, era, head, excused: false });
        }
    }

    fn era_of(&self, version: u32) -> usize {
        self.eras.iter().filter(|(of, _)| *of == version).count()
    }

    pub(super) fn was_restored(&self, version: u32) -> bool {
        self.era_of(version) > 0
    }

    /// How often logs were put back.
    pub(super) fn restores(&self) -> usize {
        self.eras.len()
    }

    /// A log was put back to its first `left` leaves; others know of `kept`.
    pub(super) fn restored(&mut self, version: u32, was: Vec<LeafRow>, left: u64, kept: u64) {
        for head in self.heads.iter_mut().filter(|head| head.version == version) {
            head.excused |= head.head.size > left && head.head.size > kept;
        }
        self.eras.push((version, was));
    }

    /// Nobody but a client knew of this head when its log was put back.
    pub(super) fn is_excused(&self, version: u32, head: TreeHead) -> bool {
        self.heads.iter().any(|h| h.version == version && h.head == head && h.excused)
    }

    /// A11: an origin is begun once, and names a head of the one before that is not older than any that somebody
    /// can hold that one to.
    pub(super) fn began(
        &mut self,
        version: u32,
        (old, named): (u32, TreeHead),
    ) -> Result<(), String> {
        if !self.begun.insert(version) {
            return Err(format!("v{version} was begun twice"));
        }
        let of = self.heads.iter().filter(|head| head.version == old && !head.excused);
        match of.map(|head| head.head.size).max() {
            Some(most) if most > named.size => Err(format!(
                "v{version} names {} entries of v{old}, which has signed {most}",
                named.size
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// A message's entry breaks a rule, or may not follow what the log has.
    pub(super) fn decided_against(&mut self, born: u32, number: u64) {
        self.refused.insert((born, number));
    }

    /// Whether a message is done with, its entry not being in the log.
    pub(super) fn is_done(&self, at: (u32, u64)) -> bool {
        self.refused.contains(&at)
    }

    /// I7: all heads of a log, those aside that nobody can hold it to, are heads of one log.
    pub(super) fn check_heads(&self, version: u32, leaves: &[LeafRow]) -> Result<(), String> {
        let of_version = self.eras.iter().filter(|(of, _)| *of == version);
        let eras = of_version.map(|(_, leaves)| leaves.as_slice()).chain([leaves]);
        let of = |head: &&Head| head.version == version && !head.excused;
        for (era, leaves) in eras.enumerate() {
            let mine = self.heads.iter().filter(of).filter(|head| head.era == era);
            let Some(most) = mine.map(|head| head.head.size).max() else { continue };
            let mut roots = Roots::of(leaves);
            for head in self.heads.iter().filter(of).filter(|head| head.head.size <= most) {
                let size = head.head.size;
                if roots.at(size) != Some(head.head.root) {
                    let (now, then) = (era, head.era);
                    return Err(format!(
                        "v{version} signed {size} entries in era {then} that era {now} denies"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// All tiles of some leaves, and their head.
pub(super) fn tiles_of(leaves: &[LeafRow]) -> Option<(TreeHead, BTreeMap<Tile, Vec<u8>>)> {
    let data: Vec<_> = leaves.iter().map(|leaf| leaf.data.clone()).collect();
    let (edge, files) = Edge::empty().integrate(&data).ok()?;
    Some((edge.head(), files.into_iter().map(|file| (file.tile, file.bytes)).collect()))
}

/// The root of the first `size` leaves; none when there are fewer.
pub(super) fn root_at(leaves: &[LeafRow], size: u64) -> Option<Hash> {
    let first = leaves.get(..usize::try_from(size).ok()?)?;
    let data: Vec<_> = first.iter().map(|leaf| leaf.data.clone()).collect();
    Some(Edge::empty().integrate(&data).ok()?.0.head().root)
}

struct Roots(Option<Prover<BTreeMap<Tile, Vec<u8>>>>);

impl Roots {
    fn of(leaves: &[LeafRow]) -> Self {
        Self(tiles_of(leaves).map(|(head, tiles)| Prover::new(tiles, head)))
    }

    fn at(&mut self, size: u64) -> Option<Hash> {
        self.0.as_mut()?.root_at(size).ok()
    }
}
